"""Guests and observers through the real server: what opens for them, what never does, and how they go."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from sqlalchemy import Connection, select
from tests.server.support import House, Socket, at_check_in, connect
from tests.server.test_papers import a_png, bring, fetch, send

from folkmoot_server.demo.client import Person
from folkmoot_server.storage import schema_visitors
from folkmoot_server.web import routes, routes_votes
from folkmoot_voting.encoding import b64u

# What a guest's session opens; everything else is refused. The list stands here a second time on purpose.
ALLOWED: Final = {
    ("GET", "/api/session"),
    ("POST", "/api/sign-out"),
    ("POST", "/api/socket-ticket"),
    ("GET", "/api/meetings/{m}"),
    ("GET", "/api/meetings/{m}/events"),
    ("POST", "/api/meetings/{m}/commands"),
    ("POST", "/api/meetings/{m}/lobby"),
    ("GET", "/api/meetings/{m}/papers"),
    ("GET", "/api/meetings/{m}/papers/{p}/{v}/file"),
    ("GET", "/api/meetings/{m}/papers/{p}/{v}/pages"),
    ("GET", "/api/meetings/{m}/papers/{p}/{v}/pages/{n}"),
    ("GET", "/api/meetings/{m}/papers/{p}/{v}/pages/{n}/text"),
    ("POST", "/api/meetings/{m}/present"),
    ("GET", "/api/meetings/{m}/messages"),
    ("POST", "/api/meetings/{m}/messages"),
    ("POST", "/api/meetings/{m}/messages/{n}/support"),
}
PUBLIC: Final = {
    ("GET", "/api/info"),
    ("GET", "/api/ledger"),
    ("GET", "/api/screen"),
    ("GET", "/api/screen/page"),
    ("GET", "/api/manifests/{manifest}"),
    ("GET", "/api/manifests/{manifest}/voids/{sealed}"),
    ("POST", "/api/guests/enter"),
    ("POST", "/api/enrol/begin"),
    ("POST", "/api/enrol/finish"),
    ("POST", "/api/sign-in/begin"),
    ("POST", "/api/sign-in/finish"),
}

UPLOADS: Final = {
    ("PUT", "/api/meetings/{m}/papers"),
    ("PUT", "/api/meetings/{m}/papers/{p}"),
    ("POST", "/api/meetings/{m}/sites/{s}/probe"),
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "karin", "binh") as running:
        await running.check_in("lan", "binh")
        yield running


async def link_for(house: House, name: str = "Press") -> str:
    answer = await house.jonas.post(house.path("/guest-links"), {"name": name})
    assert answer["url"].startswith(f"{house.origin}/guest#")
    return str(answer["url"]).split("#")[1]


async def waiting(house: House, name: str = "Gwen Guest") -> Person:
    """A guest in the lobby."""
    person = house.stranger(name)
    person.session = await person.post("/api/guests/enter", {"token": await link_for(house), "name": name})
    house.people[name.split()[0].lower()] = person
    return person


async def admitted(house: House, name: str = "Gwen Guest") -> Person:
    person = await waiting(house, name)
    await decide(house, person, "admit")
    return person


async def decide(house: House, person: Person, act: str) -> None:
    await house.lan.post(house.path(f"/lobby/{person.member}"), {"act": act})


async def code(person: Person, path: str, body: Any = None, method: str = "POST") -> str:
    status, answer = await person.raw(method, path, {} if body is None and method == "POST" else body)
    return "" if status == 200 else str(json.loads(answer)["error"]["code"])


def every_route() -> set[tuple[str, str]]:
    app = web.Application()
    routes.add_routes(app)
    routes_votes.add_routes(app)
    found = {(one.method, one.resource.canonical) for one in app.router.routes() if one.resource is not None}
    # A relay's own requests carry its token; whose cookie comes with them counts for nothing.
    return {one for one in found if one[0] != "HEAD" and not one[1].startswith("/api/relay/")}


def filled(path: str, meeting: str) -> str:
    path = path.replace("{m}", meeting).replace("{meeting}", meeting)
    return "/".join("1" if part.startswith("{") else part for part in path.split("/"))


async def test_a_guest_is_refused_on_every_route_but_the_short_list(house: House) -> None:
    guest = await admitted(house)
    all_routes = every_route()
    assert len(all_routes) > 90
    assert not (ALLOWED | PUBLIC | UPLOADS) - all_routes
    for method, path in sorted(all_routes - ALLOWED - PUBLIC):
        if (method, path) in UPLOADS:  # what brings bytes is refused as such, and never as JSON
            status, answer = await send(guest, filled(path, house.meeting) + "?name=a.png", a_png(), method)
            assert (status, answer["error"]["code"]) == (403, "guest.not-allowed")
            continue
        assert await code(guest, filled(path, house.meeting), {}, method) == "guest.not-allowed", (method, path)
    for method, path in sorted(ALLOWED - {("POST", "/api/sign-out")}):
        assert await code(guest, filled(path, house.meeting), {}, method) != "guest.not-allowed", (method, path)


async def test_nothing_of_another_meeting_opens_for_a_guest(house: House) -> None:
    guest, mine = await admitted(house), house.meeting
    await bring(house, "A.png", a_png())
    other = await house.draft(title="Another")
    house.meeting = mine
    for method, path in sorted(ALLOWED):
        if "{m}" in path:
            body = {"command": "leave"} if path.endswith("commands") else {}
            if path.endswith("messages"):
                body = {"kind": "question", "text": "?", "to": 0}
            elif path.endswith("present"):
                body = {"paper": "", "version": 0, "page": 0}
            assert await code(guest, filled(path, other), body, method) == "meeting.unknown", (method, path)
    assert await code(guest, "/api/socket-ticket", {"meeting": other}) == "meeting.unknown"
    assert await code(guest, "/api/socket-ticket", {"meeting": mine}) == ""  # control


async def test_who_waits_gets_the_title_and_nothing_else(house: House) -> None:
    guest = await waiting(house)
    view = await guest.get(house.path())
    assert (view["title"], view["guest"]["state"]) == ("Annual general meeting", "waiting")
    assert not {"present", "agenda", "quorum", "speaking", "messages", "me"} & view.keys()
    assert view["elections"] == []
    for method, path in sorted(ALLOWED):
        rest = path.partition("{m}")[2]
        if rest and rest != "/lobby":
            body = {"command": "leave"} if rest == "/commands" else {}
            if rest == "/messages":
                body = {"kind": "question", "text": "?", "to": 0}
            elif rest == "/present":
                body = {"paper": "", "version": 0, "page": 0}
            found = await code(guest, filled(path, house.meeting), body, method)
            assert found == "guest.not-admitted", (method, path)
    assert await code(guest, "/api/socket-ticket", {"meeting": house.meeting}) == "guest.not-admitted"


async def test_an_admitted_guest_sees_the_room_and_nobodys_roll(house: House) -> None:
    guest = await admitted(house)
    view = await guest.get(house.path())
    assert view["me"]["visitor"] == "admitted"
    assert (view["me"]["roles"], view["me"]["entitled"], view["me"]["checked_in"]) == ([], False, False)
    assert {person["name"] for person in view["present"]} == {"Lan Nguyen", "Binh Tran"}
    assert view["roll"]["hash"] == ""
    assert (view["cosigners"], view["removed"]) == ([], [])
    assert [one["name"] for one in view["visitors"]] == ["Gwen Guest"]
    whole = await house.view("lan")
    assert whole["roll"]["hash"] != ""  # control
    assert whole["visitors"] == view["visitors"]


async def test_a_guest_hears_events_from_the_admission_on(house: House) -> None:
    guest = await admitted(house)
    kinds = [event["type"] for event in (await guest.get(house.path("/events?after=0")))["events"]]
    assert kinds == ["VisitorAdmitted"]
    heard = await connect(house, "gwen")
    await house.command("lan", "open")
    await heard.until(lambda: "MeetingOpened" in heard.kinds())
    assert heard.kinds()[0] == "VisitorAdmitted"
    assert heard.events[0]["body"] == {"visitor": guest.member, "name": "Gwen Guest", "kind": "guest"}


async def test_visitors_are_never_counted(house: House) -> None:
    before = (await house.view("lan"))["quorum"]
    guest = await admitted(house)
    heard = await connect(house, "gwen")
    assert "ok" in await heard.call("lease", {})
    await house.enrol("greta")
    assert await code(house.greta, house.path("/lobby")) == ""
    await decide(house, house.greta, "admit")
    after = await house.view("lan")
    assert after["quorum"] == before
    assert {person["name"] for person in after["present"]} == {"Lan Nguyen", "Binh Tran"}
    lines = (await house.lan.get(house.path("/attendance")))["lines"]
    assert {line["name"] for line in lines} == {"Lan Nguyen", "Binh Tran"}
    assert sorted(one["kind"] for one in after["visitors"]) == ["guest", "observer"]
    tables = await house.context.database.read(lambda tx: _rows_naming(tx, guest.member))
    assert tables == {"visitor", "guest_session", "guest_link", "event"}


def _rows_naming(tx: Connection, text: str) -> set[str]:
    tables = schema_visitors.metadata.tables.values()
    return {table.name for table in tables for row in tx.execute(select(table)) if text in repr(row)}


async def test_a_link_is_for_one_guest_and_entering_again_asks_again(house: House) -> None:
    token = await link_for(house)
    first, second = house.stranger(), house.stranger()
    one = await first.post("/api/guests/enter", {"token": token, "name": "Gwen"})
    await house.lan.post(house.path(f"/lobby/{one['guest']}"), {"act": "admit"})
    assert (await first.get("/api/session"))["state"] == "admitted"
    two = await second.post("/api/guests/enter", {"token": token, "name": "Gwen again"})
    assert (two["guest"], two["state"]) == (one["guest"], "waiting")
    assert await code(first, "/api/session", method="GET") == "session.none"
    listed = (await house.jonas.get(house.path("/lobby")))["visitors"]
    assert [(row["name"], row["invited"], row["state"]) for row in listed] == [("Gwen again", "Press", "waiting")]


async def test_links_are_hashed_and_unknown_ones_refused(house: House) -> None:
    token = await link_for(house)
    stored = await house.context.database.read(lambda tx: repr(list(tx.execute(select(schema_visitors.guest_link)))))
    assert token not in stored
    stranger = house.stranger()
    body = {"token": b64u(secrets.token_bytes(32)), "name": "X"}
    assert await code(stranger, "/api/guests/enter", body) == "guest.unknown-link"
    assert await code(stranger, "/api/guests/enter", {"token": token, "name": " "}) == "input.bad-text"
    assert await code(house.binh, "/api/guests/enter", {"token": token, "name": "Binh"}) == "guest.signed-in"
    for name in ("binh", "karin"):
        assert await code(house.people[name], house.path("/guest-links"), {"name": ""}) == "role.missing"
        assert await code(house.people[name], house.path("/lobby"), method="GET") == "role.missing"


async def test_links_end_with_the_meeting_and_are_limited(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    guest, token = await admitted(house), await link_for(house)
    monkeypatch.setattr("folkmoot_server.commands.guests.LINKS_MAX", 2)
    assert await code(house.jonas, house.path("/guest-links"), {"name": ""}) == "guest.too-many-links"
    await house.command("lan", "open")
    await house.command("lan", "close")
    assert await code(house.stranger(), "/api/guests/enter", {"token": token, "name": "X"}) == "guest.meeting-over"
    view = await guest.get(house.path())
    assert view["state"] == "closed"
    assert "present" not in view
    assert await code(guest, house.path("/papers"), method="GET") == "guest.not-admitted"


async def test_only_the_chair_admits(house: House) -> None:
    guest = await waiting(house)
    for name in ("jonas", "binh"):
        assert (
            await code(house.people[name], house.path(f"/lobby/{guest.member}"), {"act": "admit"}) == "role.missing"
        )
    assert await code(house.lan, house.path("/lobby/nobody"), {"act": "admit"}) == "lobby.unknown-visitor"
    assert await code(house.lan, house.path(f"/lobby/{guest.member}"), {"act": "remove"}) == "lobby.wrong-state"
    await decide(house, guest, "refuse")
    assert (await guest.get("/api/session"))["state"] == "refused"
    assert await code(guest, house.path("/lobby")) == "lobby.refused"
    await decide(house, guest, "admit")
    kinds = [event["type"] for event in await house.events() if "isitor" in event["type"] or "Lobby" in event["type"]]
    assert kinds == ["LobbyEntered", "VisitorRefused", "VisitorAdmitted"]


async def test_electors_check_in_and_observers_wait(house: House) -> None:
    assert await code(house.binh, house.path("/lobby")) == "lobby.elector"
    await house.enrol("greta")
    assert await code(house.greta, house.path("/lobby")) == ""
    assert await code(house.greta, house.path("/lobby")) == ""
    assert len(await house.events("LobbyEntered")) == 1
    assert (await house.view("greta"))["me"]["visitor"] == "waiting"
    await decide(house, house.greta, "admit")
    assert (await house.view("greta"))["me"]["visitor"] == "admitted"
    await house.command("greta", "raise-hand")
    assert [turn["name"] for turn in (await house.view("lan"))["speaking"]["queue"]] == ["Greta Weber"]
    await house.command("greta", "leave")
    view = await house.view("greta")
    assert (view["me"]["visitor"], view["visitors"], view["speaking"]["queue"]) == ("left", [], [])
    assert await house.refused("greta", "leave") == "attendance.not-checked-in"


async def test_a_visitor_asks_to_speak_is_given_the_floor_and_loses_it(house: House) -> None:
    guest = await admitted(house)
    await house.command("lan", "open")
    await guest.post(house.path("/commands"), {"command": "raise-hand"})
    queue = (await house.view("lan"))["speaking"]["queue"]
    assert [(turn["person"], turn["name"]) for turn in queue] == [(guest.member, "Gwen Guest")]
    await house.command("lan", "grant-floor", member=guest.member)
    assert (await house.view("lan"))["speaking"]["now"]["name"] == "Gwen Guest"
    for command in ("open", "mute-all", "close", "next-speaker"):
        assert await code(guest, house.path("/commands"), {"command": command}) == "guest.not-allowed"
    await decide(house, guest, "remove")
    assert (await house.view("lan"))["speaking"]["now"] is None


async def test_a_removed_guest_loses_socket_and_room_within_five_seconds(tmp_path: Path) -> None:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh", media_worker=True) as house:
        await house.check_in("lan")
        guest = await admitted(house)
        heard = await connect(house, "gwen")
        assert "ok" in await heard.call("lease", {})
        capabilities = await heard.call("media", {"method": "capabilities", "data": {}})
        assert "ok" in capabilities, capabilities
        created = await heard.call("media", {"method": "create_transport", "data": {"direction": "recv"}})
        assert "ok" in created, created
        (transport,) = house.context.media._rooms[house.meeting].transports
        assert "room_reset" not in [told["event"] for told in heard.media]
        producing = {"method": "produce", "data": {}}
        assert (await heard.call("media", producing))["error"]["code"] == "media.no-floor"
        room = house.context.media._rooms[house.meeting]
        assert guest.member in room.members
        assert guest.member in room.muted
        await house.command("lan", "open")
        await house.command("lan", "grant-floor", member=guest.member)
        await until(lambda: guest.member not in room.muted)
        assert (await heard.call("media", producing))["error"]["code"] != "media.no-floor"  # control
        assert transport in room.transports
        await house.command("lan", "withdraw-floor", member=guest.member)
        await until(lambda: guest.member in room.muted)
        assert transport not in room.transports  # nothing that was sent goes on
        await heard.until(lambda: "room_reset" in [told["event"] for told in heard.media])
        begun = time.monotonic()
        await decide(house, guest, "remove")
        await heard.until(lambda: heard.gone)
        assert time.monotonic() - begun < 5
        assert [bye["code"] for bye in heard.goodbyes] == ["meeting.removed"]
        assert guest.member not in room.members
        assert await code(guest, "/api/socket-ticket", {"meeting": house.meeting}) == "guest.not-admitted"
        assert await code(guest, house.path("/messages"), method="GET") == "guest.not-admitted"


async def until(condition: Any) -> None:
    """Wait until `condition` holds; nothing tells when it does."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_waiting_observer_does_not_use_the_room(house: House) -> None:
    await house.enrol("greta")
    await house.greta.post(house.path("/lobby"))
    heard = await connect(house, "greta")
    answer = await heard.call("media", {"method": "capabilities", "data": {}})
    assert answer["error"]["code"] == "media.not-checked-in"
    assert "ok" in await heard.call("lease", {})


async def test_who_is_silent_has_left_and_is_back_with_the_next_sign_of_life(house: House) -> None:
    guest = await admitted(house)
    heard: Socket = await connect(house, "gwen")
    assert "ok" in await heard.call("lease", {})
    house.clock.at += house.settings.lease_lost_s + 1
    await until(lambda: "VisitorLeft" in heard.kinds())
    assert (await guest.get("/api/session"))["state"] == "left"
    assert (await house.view("lan"))["visitors"] == []
    assert "ok" in await heard.call("lease", {})
    assert (await guest.get("/api/session"))["state"] == "admitted"
    assert len(await house.events("VisitorAdmitted")) == 2
    assert len(await house.events("LobbyEntered")) == 1


async def test_going_is_told_and_the_session_ends_with_signing_out(house: House) -> None:
    guest = await admitted(house)
    await guest.post(house.path("/commands"), {"command": "leave"})
    assert (await house.events("VisitorLeft"))[0]["body"] == {"visitor": guest.member, "name": "Gwen Guest"}
    assert await code(guest, house.path("/lobby")) == ""
    await guest.post("/api/sign-out")
    assert (await house.events("VisitorLeft"))[1]["body"] == {"visitor": guest.member, "name": ""}
    assert await code(guest, "/api/session", method="GET") == "session.none"


async def test_guests_read_open_papers_only(house: House) -> None:
    guest = await admitted(house)
    ids = {kind: await bring(house, f"{kind}.png", a_png(), kind) for kind in ("open", "members", "restricted")}
    assert [paper["class"] for paper in (await guest.get(house.path("/papers")))["papers"]] == ["open"]
    found = {kind: (await fetch(guest, house.path(f"/papers/{one}/1/pages/1")))[0] for kind, one in ids.items()}
    assert found == {"open": 200, "members": 404, "restricted": 404}


async def test_a_guests_session_ends_by_the_same_times_as_a_members(house: House) -> None:
    guest = await admitted(house)
    heard = await connect(house, "gwen")
    house.clock.at += 31 * 60
    assert await code(guest, "/api/session", method="GET") == "session.none"
    await heard.until(lambda: heard.gone)
    assert [bye["code"] for bye in heard.goodbyes] == ["session.ended"]
