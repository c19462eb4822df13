"""What is said in a closed session: events, messages, minutes, walls, and who comes and goes meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.server import sites_support
from tests.server.closed_support import close, closed_house, code, guest_of
from tests.server.support import House, connect
from tests.server.test_papers import a_png, bring
from tests.server.test_screens import look, make

from folkmoot_server.commands import attendance
from folkmoot_server.domain.audience import WITHHELD
from folkmoot_server.domain.closed_sessions import ADMITTED, BEGAN, ENDED
from folkmoot_server.storage import events

NAMES = ("lan", "binh", "karin", "greta", "gwen", "ned")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with closed_house(tmp_path) as running:
        yield running


async def say(house: House, name: str, words: str, kind: str = "question", to: int = 0) -> int:
    """Write a message once two seconds have passed since the last one."""
    house.clock.at += 3
    body = {"kind": kind, "text": words, "to": to}
    return int((await house.people[name].post(house.path("/messages"), body))["id"])


async def read(house: House, name: str) -> list[dict[str, Any]]:
    return list((await house.people[name].get(house.path("/events?after=0")))["events"])


async def test_events_of_the_session_are_withheld_from_who_was_outside_by_http_and_by_socket(house: House) -> None:
    sockets = {name: await connect(house, name) for name in NAMES}
    began = await close(house, "ned")
    await say(house, "binh", "Who is it?")
    middle = await house.command("lan", "admit-inside", site="", visitor=house.people["gwen"].member, admitted=True)
    await say(house, "binh", "And why?")
    await house.command("lan", "admit-inside", site="", visitor=house.people["ned"].member, admitted=False)
    await say(house, "binh", "How long?")
    ended = await house.command("lan", "end-closed-session")
    last = await house.command("lan", "set-floor-mode", mode="chaired")
    seen = {"lan": 3, "binh": 3, "karin": 3, "greta": 0, "gwen": 2, "ned": 2}
    for name in NAMES:
        told = [one for one in await read(house, name) if one["seq"] >= began]
        assert [one["seq"] for one in told] == list(range(began, last + 1))
        assert [one["type"] for one in told if one["type"] in (BEGAN, ADMITTED, ENDED)] == [
            BEGAN,
            ADMITTED,
            ADMITTED,
            ENDED,
        ]
        assert sum(one["type"] == "MessagePosted" for one in told) == seen[name], name
        assert sum(one["type"] == WITHHELD for one in told) == 3 - seen[name]
        assert all(one["body"] == {} for one in told if one["type"] == WITHHELD)
        heard = sockets[name]
        await heard.until(lambda heard=heard: heard.events and heard.events[-1]["seq"] >= last)
        assert [one for one in heard.events if one["seq"] >= began] == told
        again = await connect(house, name, after=began - 1)  # as after a broken connection
        await again.until(lambda again=again: again.events and again.events[-1]["seq"] >= last)
        assert again.events == told
    assert middle < ended


async def test_messages_of_the_session_are_for_who_was_inside_also_afterwards(house: House) -> None:
    rules = {"chat": True, "questions": True, "visitors": True}
    await house.lan.post(house.path("/message-rules"), rules)
    open_one = await say(house, "gwen", "When is lunch?")
    await close(house, "ned")
    secret = await say(house, "binh", "Who is it?")
    await house.people["ned"].post(house.path(f"/messages/{secret}/support"))
    await house.command("lan", "end-closed-session")
    after = await say(house, "greta", "What did we miss?")
    everything = [open_one, secret, after]
    for name in NAMES:
        found = await house.people[name].get(house.path("/messages"))
        wanted = [one for one in everything if one != secret] if name in ("greta", "gwen") else everything
        if name == "ned":  # named while it was written
            wanted = everything
        assert [one["id"] for one in found["messages"]] == wanted, name
        assert [one["id"] for one in found["support"]] == ([secret] if secret in wanted else [])
    path = house.path(f"/messages/{secret}/support")
    assert await code(house.greta, path) == "message.unknown"
    assert await code(house.people["gwen"], path) == "message.unknown"
    assert await code(house.binh, path) == ""  # control


async def test_minutes_leave_out_what_rests_on_the_session_alone_and_tell_its_reason_inside(house: House) -> None:
    await close(house, "ned", reason="the dismissal of N")
    await house.command("lan", "start-item", item=house.items[1])
    await house.command("lan", "grant-floor", member=house.binh.member)
    house.clock.at += 60
    await house.command("lan", "withdraw-floor", member=house.binh.member)
    await house.command("lan", "close")

    async def minutes(name: str, language: str) -> str:
        found = await house.people[name].get(house.path(f"/minutes?lang={language}&form=json"))
        return json.dumps(found, ensure_ascii=False)

    for language, heading in (("en", "Item of a closed session"), ("vi", "Nội dung của phiên họp kín")):
        inside, outside = await minutes("binh", language), await minutes("greta", language)
        assert "the dismissal of N." in inside
        assert "Any other business" in inside
        assert "Binh" in inside
        for secret in ("dismissal", "Any other business", "Binh Tran spoke", "Binh Tran phát biểu"):
            assert secret not in outside, secret
        assert ("10:00" in outside) or ("closed" in outside) or ("kín" in outside)
        assert heading not in inside
    english = await minutes("greta", "en")
    assert "the chair closed the meeting to the public." in english
    assert "the closed session ended." in english
    assert "Ned was admitted to the closed session" in english


async def test_a_wall_shows_nothing_but_that_it_is_closed_unless_its_site_is_admitted(house: House) -> None:
    token = await make(house, house.lan)
    await bring(house, "Plan.png", a_png())
    paper = (await house.lan.get(house.path("/papers")))["papers"][0]["paper"]
    await house.jonas.post(house.path(f"/papers/{paper}"), {"class": "open", "item": "", "name": "Plan.png"})
    await house.lan.post(house.path("/present"), {"paper": paper, "version": 1, "page": 1})
    await house.command("lan", "start-item", item=house.items[0])
    await house.command("lan", "grant-floor", member=house.binh.member)
    seq = (await look(house, token))[1]["seq"]
    waiting = asyncio.create_task(look(house, token, after=seq))
    await close(house)
    async with asyncio.timeout(60):
        shown = (await waiting)[1]
    plain = {"seq", "now", "title", "state", "until", "time_zone", "site", "quorum", "sites", "closed"}
    assert shown["closed"] is True
    assert {name for name, value in shown.items() if value not in (None, [])} == plain
    assert shown["sites"]
    headers = {"Authorization": f"Screen {token}"}

    async def page() -> int:
        async with house.stranger()._http.get(f"{house.origin}/api/screen/page", headers=headers) as answer:
            return answer.status

    assert await page() == 404
    await house.command("lan", "admit-inside", site="main", visitor="", admitted=True)
    inside = (await look(house, token))[1]
    assert (inside["closed"], inside["speaking"]["name"], await page()) == (False, "Binh Tran", 200)
    await house.command("lan", "admit-inside", site="main", visitor="", admitted=False)
    assert (await look(house, token))[1]["closed"] is True
    await house.command("lan", "end-closed-session")
    assert (await look(house, token))[1]["presented"]["name"] == "Plan.png"


async def test_a_visitor_who_goes_or_is_sent_away_is_named_no_more(house: House) -> None:
    ned, gwen = house.people["ned"], house.people["gwen"]
    await close(house, "ned", "gwen", "greta")
    assert "agenda" in await house.view("greta")
    await house.command("greta", "leave")
    assert "agenda" not in await house.view("greta")
    await house.lan.post(house.path(f"/lobby/{gwen.member}"), {"act": "remove"})
    assert (await house.view("lan"))["closed_session"]["visitors"] == [ned.member]
    await house.lan.post(house.path(f"/lobby/{gwen.member}"), {"act": "admit"})
    assert "agenda" not in await house.view("gwen")
    late = house.people["late"] = await guest_of(house, "late")  # let in during the session, and outside
    assert "agenda" not in await house.view("late")
    await house.command("lan", "admit-inside", site="", visitor=late.member, admitted=True)
    assert "agenda" in await house.view("late")


async def test_whoever_is_outside_loses_the_floor_and_keeps_the_place_in_the_room(house: House) -> None:
    await house.command("lan", "grant-floor", member=house.people["gwen"].member)
    await close(house)
    view = await house.view("lan")
    assert view["speaking"]["now"] is None
    assert len(view["visitors"]) == 3
    lost_s, now = house.settings.lease_lost_s, house.clock.at
    await house.context.database.write(lambda tx: attendance.expire_leases(tx, now, lost_s, lost_s, now))
    assert len((await house.view("lan"))["present"]) == 3


async def test_a_hall_that_is_outside_loses_the_floor_and_one_that_is_admitted_keeps_it(house: House) -> None:
    site = await sites_support.open_hall(house, house.context.database, house.jonas, house.paul, house.clock.at)

    async def has_the_floor() -> bool:
        return (await house.view("lan"))["speaking"]["now"] is not None

    await house.command("lan", "grant-floor", member=f"site:{site}")
    await close(house, sites=(site,))
    assert await has_the_floor()  # control
    admit = {"site": site, "visitor": "", "admitted": True}
    await house.command("lan", "admit-inside", **admit)
    assert await has_the_floor()
    await house.command("lan", "admit-inside", **{**admit, "admitted": False})
    assert not await has_the_floor()
    await house.command("lan", "end-closed-session")
    await house.command("lan", "grant-floor", member=f"site:{site}")
    assert await has_the_floor()
    await close(house)
    assert not await has_the_floor()
    await house.command("lan", "end-closed-session")
    assert not await has_the_floor()


async def test_who_may_begin_admit_and_end_and_what_is_refused(house: House) -> None:
    path = house.path("/commands")
    begin = {"command": "begin-closed-session", "reason": "R", "sites": [], "visitors": []}
    admit = {"command": "admit-inside", "site": "main", "visitor": "", "admitted": True}
    end = {"command": "end-closed-session"}
    for body in (begin, admit, end):
        assert await code(house.jonas, path, body) == "role.missing"
    assert await code(house.lan, path, admit) == "closed-session.none"
    assert await code(house.lan, path, end) == "closed-session.none"
    for wrong in ({"sites": ["nowhere"]}, {"sites": ["remote"]}):
        assert await code(house.lan, path, {**begin, **wrong}) == "site.unknown"
    assert await code(house.lan, path, {**begin, "visitors": [house.binh.member]}) == "lobby.unknown-visitor"
    assert await code(house.lan, path, {**begin, "reason": ""}) == "input.malformed"
    await close(house)
    assert await code(house.lan, path, begin) == "closed-session.running"
    for both in ({"visitor": house.greta.member}, {"site": ""}):
        assert await code(house.lan, path, {**admit, **both}) == "closed-session.nobody-named"
    assert await code(house.lan, path, {**admit, "site": "remote"}) == "site.unknown"
    seq = await house.command(**{"name": "lan", **admit})
    assert await house.command(**{"name": "lan", **admit}) == seq  # once more changes nothing
    await house.command("lan", "recess", until=0)
    assert (await house.view("lan"))["closed_session"] is not None
    await house.command("lan", "end-closed-session")


@pytest.mark.parametrize("command", ["adjourn", "close"])
async def test_the_end_of_the_day_ends_it_before_its_own_event(house: House, command: str) -> None:
    await close(house)
    fields = {"continues_at": 0} if command == "adjourn" else {}
    await house.command("lan", command, **fields)
    kinds = [one["type"] for one in await read(house, "greta")]
    last = {"adjourn": "MeetingAdjourned", "close": "MeetingClosed"}[command]
    assert kinds.index(ENDED) < kinds.index(last)
    assert "MemberDeparted" in kinds[kinds.index(ENDED) :]
    assert (await house.view("greta"))["closed_session"] is None


async def test_a_command_that_breaks_off_leaves_nothing_half_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event and what decides by it are stored together, or neither is."""
    before = len(await house.events())

    def break_off(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("folkmoot_server.commands.closed_sessions.store.add", break_off)
    body = {"command": "begin-closed-session", "reason": "R", "sites": [], "visitors": []}
    assert await code(house.lan, house.path("/commands"), body) == "server.accident"
    monkeypatch.undo()
    assert len(await house.events()) == before
    assert "agenda" in await house.view("greta")
    await close(house)
    stored = "SELECT seq, type, body FROM {} WHERE type LIKE 'ClosedSession%' ORDER BY seq"
    rows = await house.context.database.read(
        lambda tx: [
            [(row.seq, row.type, json.loads(row.body)) for row in tx.execute(text(stored.format(table)))]
            for table in ("event", "closed_session")
        ]
    )
    assert rows[0] == rows[1] != []


async def test_resolutions_and_the_list_of_meetings_tell_nothing_meanwhile(house: House) -> None:
    unit = (await house.greta.get("/api/organisation"))["units"][0]["id"]
    await close(house)
    meeting, at = house.meeting, house.clock.at

    with contextlib.closing(sqlite3.connect(house.context.database.path)) as raw:  # without its motion and its vote
        row = ("m1", unit, 2026, 1, meeting, "e1", "Dismissal", "N goes.", "h", at)
        raw.execute("INSERT INTO resolution VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        raw.commit()
    path = f"/api/resolutions?unit={unit}"
    assert (await house.greta.get(path))["resolutions"] == []
    assert await code(house.greta, "/api/resolutions/m1", method="GET") == "resolution.unknown"
    assert [one["title"] for one in (await house.binh.get(path))["resolutions"]] == ["Dismissal"]  # control
    await house.command("lan", "end-closed-session")
    assert [one["title"] for one in (await house.greta.get(path))["resolutions"]] == ["Dismissal"]


async def test_the_count_of_a_vote_in_the_session_is_told_inside_alone(house: House) -> None:
    inside, outside = await connect(house, "binh"), await connect(house, "greta")

    def count(cast: int) -> Any:
        body = {"election": "e1", "count": cast}
        return lambda tx: events.append(tx, house.meeting, "BallotAccepted", house.clock.at, body)

    await house.context.database.write(count(1))
    for heard in (inside, outside):  # control
        await heard.until(lambda heard=heard: [one["cast"] for one in heard.counters] == [1])
    await close(house)
    await house.context.database.write(count(2))
    await inside.until(lambda: inside.counters[-1]["cast"] == 2)
    last = await house.command("lan", "end-closed-session")
    await outside.until(lambda: outside.events and outside.events[-1]["seq"] >= last)
    assert [one["cast"] for one in outside.counters] == [1]
