"""Closed sessions and halls: relays, what they carry, pipes, seats, and the media of who is outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from tests.server import test_relay_media
from tests.server.closed_support import carried, close, closed_house, code, relay_at
from tests.server.support import House, Socket, connect
from tests.server.test_closed_sessions import SNAPSHOT
from tests.server.test_papers import a_png, bring

from folkmoot_server.domain.audience import WITHHELD
from folkmoot_server.queries import relays
from folkmoot_server.relay.media import HUB
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_server.storage import closed_sessions
from folkmoot_server.web import closed_gate, relay_access, routes

valley = test_relay_media.valley


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with closed_house(tmp_path) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_relay_that_is_not_admitted_gets_nothing_of_the_session(
    house: House, http: aiohttp.ClientSession
) -> None:
    site, relay = await relay_at(house, http)
    await bring(house, "Plan.png", a_png())
    whole = await relay.feed()
    assert {"agenda", "closed_session"} <= whole["state"].keys()
    assert "papers" in whole
    began = await close(house)
    message = {"kind": "chat", "text": "Who is it?", "to": 0}
    await house.binh.post(house.path("/messages"), message)
    fed = await relay.feed()
    assert fed["state"].keys() == SNAPSHOT - {"me"}
    assert fed["state"]["closed_session"]["address"] == ""
    assert not {"papers", "manifest"} & fed.keys()
    assert {"present", "members", "roll", "checkpoint"} <= fed.keys()
    told = (await relay.feed(after=began - 1))["events"]
    assert [one["type"] for one in told] == ["ClosedSessionBegan", WITHHELD]
    for method, path, body in (
        ("GET", "/api/relay/papers/" + "0" * 64, None),
        ("GET", "/api/relay/papers/p/1/pages", None),
        ("POST", "/api/relay/pipe", {}),
        ("POST", "/api/relay/media", {}),
    ):
        assert await relay.refused(method, path, body) == (403, "closed-session.site"), path
    await relay.lease(house.paul)
    assert (await relay.post())[0] == 400  # the outbox is asked, and refuses an empty one
    await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
    fed = await relay.feed()
    assert fed["state"]["closed_session"]["reason"] == "A dismissal"
    assert {"papers"} <= fed.keys()
    await house.command("lan", "set-floor-mode", mode="chaired")
    await house.command("lan", "admit-inside", site=site, visitor="", admitted=False)
    await house.command("lan", "set-floor-mode", mode="open")
    await house.command("lan", "end-closed-session")
    kinds = [one["type"] for one in (await relay.feed(after=began - 1))["events"]]
    assert kinds == [
        "ClosedSessionBegan",
        WITHHELD,
        "ClosedSessionAdmitted",
        "FloorModeSet",
        "ClosedSessionAdmitted",
        WITHHELD,
        "ClosedSessionEnded",
    ]
    assert (await relay.feed())["state"]["closed_session"] is None


async def test_a_relay_that_is_not_admitted_still_knows_who_is_at_its_kiosk(
    house: House, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [{"member": house.ana.member, "credential": "first"}]
    monkeypatch.setattr(relays, "_kiosk", lambda *_: there)
    site, relay = await relay_at(house, http)
    assert (await relay.feed())["kiosk"] == {"members": there}
    await close(house)
    shut = {"members": [{"member": house.ana.member, "credential": ""}]}
    assert (await relay.feed())["kiosk"] == shut
    assert "kiosk" not in await relay.feed(have=[relays.digest(shut)])
    await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
    assert (await relay.feed())["kiosk"] == {"members": there}


def test_every_route_of_a_relay_but_a_short_list_is_shut() -> None:
    app = web.Application()
    routes.add_routes(app)
    found = {(one.method, one.resource.canonical) for one in app.router.routes() if one.resource is not None}
    relays = {one for one in found if one[0] != "HEAD" and one[1].startswith("/api/relay/")}
    assert relays - closed_gate.RELAY_OUTSIDE == {
        ("GET", "/api/relay/papers/{hash}"),
        ("GET", "/api/relay/papers/{p}/{v}/pages"),
        ("POST", "/api/relay/pipe"),
        ("POST", "/api/relay/media"),
        ("POST", "/api/relay/readers"),
        ("POST", "/api/relay/snapshots"),
    }


async def test_by_way_of_a_relay_that_is_not_admitted_nobody_is_inside(
    house: House, http: aiohttp.ClientSession
) -> None:
    site, relay = await relay_at(house, http)
    carried(house.binh, relay)
    assert await code(house.binh, house.path("/papers"), method="GET") == ""
    await close(house)
    for path in ("/papers", "/messages", "/attendance", "/sites"):
        assert await code(house.binh, house.path(path), method="GET") == "closed-session.site", path
    assert await code(house.binh, house.path("/commands"), {"command": "raise-hand"}) == "closed-session.site"
    view = await house.view("binh")
    assert view.keys() == SNAPSHOT
    assert view["closed_session"]["address"] == house.settings.public_url
    carried(house.greta, relay)
    assert (await house.view("greta"))["closed_session"]["address"] == ""
    await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
    assert await code(house.binh, house.path("/papers"), method="GET") == ""
    assert "agenda" in await house.view("binh")
    assert await code(house.greta, house.path("/papers"), method="GET") == "closed-session.outside"


async def test_a_session_that_a_relay_has_carried_counts_as_by_way_of_it_for_good(
    house: House, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay knows the cookies that it carries, and could use them without saying so."""
    site, relay = await relay_at(house, http)
    await close(house)
    assert "agenda" in await house.view("binh")
    carried(house.binh, relay)
    assert await code(house.binh, house.path("/papers"), method="GET") == "closed-session.site"
    carried(house.binh, None)
    assert await code(house.binh, house.path("/papers"), method="GET") == "closed-session.site"
    heard = await connect(house, "binh")
    last = await house.command("lan", "set-floor-mode", mode="chaired")
    await heard.until(lambda: heard.events and heard.events[-1]["seq"] >= last)
    assert heard.events[-1]["type"] == WITHHELD
    direct = await connect(house, "lan")  # control
    await direct.until(lambda: direct.events and direct.events[-1]["seq"] >= last)
    assert direct.events[-1]["type"] == "FloorModeSet"
    await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
    assert await code(house.binh, house.path("/papers"), method="GET") == ""

    async def forget(_request: object, session: Any) -> Any:
        return session

    await house.command("lan", "admit-inside", site=site, visitor="", admitted=False)
    monkeypatch.setattr(relay_access, "note_carried", forget)  # control: a relay that is not written down
    carried(house.jonas, relay)
    assert await code(house.jonas, house.path("/papers"), method="GET") == ""


async def transports(heard: Socket) -> str:
    """Ask for a transport; return the code of the refusal, "" when it was made."""
    capabilities = await heard.call("media", {"method": "capabilities", "data": {}})
    if "error" in capabilities:
        return str(capabilities["error"]["code"])
    made = await heard.call("media", {"method": "create_transport", "data": {"direction": "recv"}})
    assert "ok" in made, made
    return ""


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_media_of_who_is_outside_end_with_the_event_and_come_back(tmp_path: Path) -> None:
    async with closed_house(tmp_path, media_worker=True) as house:
        heard = {name: await connect(house, name) for name in ("binh", "gwen", "ned", "greta", "paul")}
        for name, one in heard.items():
            assert "ok" in await one.call("lease", {}), name
        for one in heard.values():
            assert await transports(one) == ""
        room = house.context.media._rooms[house.meeting]
        seats = {name: house.people[name].member for name in heard}
        assert set(seats.values()) <= room.members

        def sending() -> set[str]:
            return {owner for owner, _ in room.transports.values()}

        await close(house, "ned")
        await until(lambda: not {seats["gwen"], seats["greta"]} & room.members)
        assert sending() == {seats["binh"], seats["ned"], seats["paul"]}
        assert await transports(heard["gwen"]) == "closed-session.outside"
        assert "ok" in await heard["gwen"].call("lease", {})
        await house.command("lan", "admit-inside", site="", visitor=seats["ned"], admitted=False)
        await until(lambda: seats["ned"] not in room.members)
        await house.command("lan", "end-closed-session")
        for name in ("gwen", "ned", "greta"):
            assert await transports(heard[name]) == "", name
        assert sending() == set(seats.values())


async def test_the_seat_of_a_hall_ends_and_comes_back_and_the_hall_stays(tmp_path: Path) -> None:
    async with closed_house(tmp_path, media_worker=True) as house, aiohttp.ClientSession() as http:
        site, _ = await relay_at(house, http)
        page = await connect(house, "paul")
        assert "ok" in await page.call("lease", {"site": site})
        assert await transports(page) == ""
        room = house.context.media._rooms[house.meeting]
        assert f"site:{site}" in room.members
        await close(house)
        await until(lambda: f"site:{site}" not in room.members)
        assert await transports(page) == "closed-session.site"
        assert "ok" in await page.call("lease", {"site": site})
        states = {one["site"]: one["state"] for one in (await house.view("greta"))["sites"]}
        assert states[site] == "connected"
        await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
        assert await transports(page) == ""


async def test_a_seat_whose_page_is_away_is_let_go_when_it_may_be_outside(tmp_path: Path) -> None:
    async with closed_house(tmp_path, media_worker=True) as house, aiohttp.ClientSession() as http:
        site, _ = await relay_at(house, http)
        page = await connect(house, "paul")
        await page.call("lease", {"site": site})
        assert await transports(page) == ""
        room = house.context.media._rooms[house.meeting]
        (connection,) = [one for one in house.realtime.connections if one.site == site]
        await house.realtime._on_disconnect(connection.sid, "transport error")
        assert f"site:{site}" in room.members  # control: it is held for a while
        await close(house)
        await until(lambda: f"site:{site}" not in room.members)


async def test_the_pipe_of_a_hall_closes_and_is_dialled_again_when_it_is_admitted_or_at_the_end(
    valley: test_relay_media.Valley,
) -> None:
    house = valley.house
    await house.command("lan", "open")
    await valley.begin()
    first = await valley.piped()
    await close(house)
    await until(lambda: valley.at_hub.sites.pipe_of(valley.meeting, valley.seat) is None)
    await until(lambda: valley.here.sites.pipe_of(valley.meeting, HUB) is None)
    await house.command("lan", "admit-inside", site=valley.site, visitor="", admitted=True)
    second = await valley.piped()
    assert second != first
    await house.command("lan", "admit-inside", site=valley.site, visitor="", admitted=False)
    await until(lambda: valley.at_hub.sites.pipe_of(valley.meeting, valley.seat) is None)
    await house.command("lan", "end-closed-session")
    assert await valley.piped() not in (first, second)


@pytest.mark.parametrize("closed", [True, False])
async def test_after_a_crash_rooms_of_before_end_at_once_if_somebody_may_be_outside(
    tmp_path: Path, closed: bool
) -> None:
    """The process that would have let go of them is gone; without a closed session pages have half a minute."""
    settings = replace(MediaPoolSettings(tmp_path / "run", workers=1), **({"stale_s": 0.0} if closed else {}))
    first = MediaPool(settings)
    await first.start()
    await first.request("r", "router.create", {"router_id": "r", "floor_mode": "open"})
    pids = list(first.pids)
    first._closing = True  # it goes without a word
    writer = first._placed["r"].writer
    assert writer is not None
    writer.close()
    heir = MediaPool(settings)
    await heir.start()

    async def stands() -> bool:
        return bool(sum(stats["routers"] for stats in await heir.stats()))

    try:
        assert heir.pids == pids  # adopted
        async with asyncio.timeout(60):
            while closed and await stands():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert await stands() is not closed
    finally:
        await heir.close()


async def test_a_server_that_starts_knows_of_a_closed_session_that_runs(house: House) -> None:
    assert not await house.context.database.read(closed_sessions.any_runs)
    await close(house)
    assert await house.context.database.read(closed_sessions.any_runs)
    await house.command("lan", "end-closed-session")
    assert not await house.context.database.read(closed_sessions.any_runs)


async def test_the_floor_goes_to_nobody_outside(tmp_path: Path) -> None:
    async with closed_house(tmp_path) as house, aiohttp.ClientSession() as http:
        site, _ = await relay_at(house, http)
        hall, ned = f"site:{site}", house.people["ned"].member
        for name in ("gwen", "ned", "binh"):
            await house.people[name].post(house.path("/commands"), {"command": "raise-hand"})
        await house.command("lan", "grant-floor", member=hall)  # control: before the session it may
        await close(house, "ned")
        assert await house.refused("lan", "grant-floor", member=hall) == "closed-session.site"
        gwen = house.people["gwen"].member
        assert await house.refused("lan", "grant-floor", member=gwen) == "closed-session.visitor"
        spoken = []
        for _ in range(2):
            await house.command("lan", "next-speaker")
            spoken.append((await house.view("lan"))["speaking"]["now"]["person"])
        assert spoken == [ned, house.binh.member]  # Gwen was the first to ask
        assert await house.refused("lan", "next-speaker") == "floor.queue-empty"
        await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
        await house.command("lan", "grant-floor", member=hall)
        await house.command("lan", "end-closed-session")
        await house.command("lan", "next-speaker")
