"""Who is told of whose link: each seat of its own, those who lead of all in trouble, nobody else of anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.support import House, Socket, at_check_in, connect

from folkmoot_server.realtime.media_links import LISTED_MAX, Links
from folkmoot_server.web.metrics import Metrics, Snapshot

BAD: dict[str, Any] = {
    "level": 1,
    "reason": "link",
    "trouble": True,
    "profile": 64,
    "lossy": True,
    "estimate_kbps": 40,
    "loss": 0.1,
    "rtt_ms": 600,
}
GOOD = {**BAD, "level": 4, "trouble": False}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh", media_worker=True) as running:
        yield running


async def enter(house: House, name: str, ceiling: int = 4) -> Socket:
    """Check in, connect and choose a step of the ladder, as the page does first of all."""
    await house.check_in(name)
    socket = await connect(house, name)
    assert await socket.call("media", {"method": "set_ladder", "data": {"ceiling": ceiling}}) == {"ok": {}}
    return socket


def told(socket: Socket, event: str) -> list[dict[str, Any]]:
    return [message["data"] for message in socket.media if message["event"] == event]


def last_listed(socket: Socket) -> list[tuple[str, int, str]] | None:
    lists = told(socket, "links")
    if not lists:
        return None
    return [(one["owner"], one["level"], one["reason"]) for one in lists[-1]["members"]]


def worker_says(house: House, member: str, data: dict[str, Any]) -> None:
    """Hand the pool's event on, as it comes from a worker's channel."""
    media = house.context.media
    (router_id,) = media._routers._by_router
    media._on_event(router_id, "link_level", {"owner": member, **data})


async def test_those_who_lead_see_who_is_in_trouble_and_nobody_else_does(house: House) -> None:
    chair, binh, ana = await enter(house, "lan"), await enter(house, "binh"), await enter(house, "ana")
    await chair.until(lambda: last_listed(chair) == [])
    worker_says(house, house.binh.member, BAD)
    await chair.until(lambda: last_listed(chair) == [(house.binh.member, 1, "link")])
    assert told(binh, "link_level") == [BAD]
    assert told(chair, "links")[-1]["members"][0]["for_s"] in (2, 3)
    worker_says(house, house.binh.member, GOOD)
    await chair.until(lambda: last_listed(chair) == [])
    assert told(binh, "link_level") == [BAD, GOOD]
    for other in (ana, binh):
        assert told(other, "links") == []
    assert told(ana, "link_level") == []
    assert told(chair, "link_level") == []


async def test_who_reads_along_only_is_listed_without_any_transport(house: House) -> None:
    chair, binh = await enter(house, "lan"), await enter(house, "binh", ceiling=0)
    await chair.until(lambda: last_listed(chair) == [(house.binh.member, 0, "choice")])
    assert await binh.call("media", {"method": "set_ladder", "data": {"ceiling": 1}}) == {"ok": {}}
    await chair.until(lambda: last_listed(chair) == [])


async def test_a_seat_that_leaves_is_listed_no_more(house: House) -> None:
    chair = await enter(house, "lan")
    await enter(house, "binh")
    worker_says(house, house.binh.member, BAD)
    await chair.until(lambda: last_listed(chair) == [(house.binh.member, 1, "link")])
    await house.command("binh", "leave")
    await chair.until(lambda: last_listed(chair) == [])


async def test_a_new_transport_begins_anew(house: House) -> None:
    chair, binh = await enter(house, "lan"), await enter(house, "binh")
    worker_says(house, house.binh.member, BAD)
    await chair.until(lambda: last_listed(chair) == [(house.binh.member, 1, "link")])
    made = await binh.call("media", {"method": "create_transport", "data": {"direction": "recv"}})
    assert "ok" in made
    await chair.until(lambda: last_listed(chair) == [])


async def test_a_chair_who_comes_later_is_told_at_once(house: House) -> None:
    binh = await enter(house, "binh", ceiling=0)
    chair = await enter(house, "lan")
    await chair.until(lambda: last_listed(chair) == [(house.binh.member, 0, "choice")])
    assert told(binh, "links") == []


async def test_what_a_page_measured_before_joining_sets_where_its_link_begins(house: House) -> None:
    binh, ana = await enter(house, "binh"), await enter(house, "ana")
    for socket, link in ((binh, {"link": {"kbps": 64, "rtt_ms": 600}}), (ana, {})):
        await socket.call("media", {"method": "capabilities", "data": {}})
        answer = await socket.call("media", {"method": "create_transport", "data": {"direction": "recv", **link}})
        assert "ok" in answer
    await binh.until(lambda: told(binh, "link_level") != [])
    (said,) = told(binh, "link_level")
    assert (said["level"], said["reason"], said["profile"], said["rtt_ms"]) == (2, "link", 64, 600)
    assert told(ana, "link_level") == []
    for broken in ({"kbps": 0, "rtt_ms": 1}, {"kbps": 64}, {"kbps": 64, "rtt_ms": 1, "x": 1}, 64):
        refused = {"direction": "recv", "link": broken}
        answer = await binh.call("media", {"method": "create_transport", "data": refused})
        assert answer["error"]["code"] == "media.bad-request"


@pytest.mark.parametrize("data", [{}, {"ceiling": 5}, {"ceiling": -1}, {"ceiling": "1"}, {"ceiling": 1, "x": 1}])
async def test_a_malformed_choice_changes_nothing(house: House, data: dict[str, Any]) -> None:
    chair, binh = await enter(house, "lan"), await enter(house, "binh", ceiling=0)
    await chair.until(lambda: last_listed(chair) == [(house.binh.member, 0, "choice")])
    answer = await binh.call("media", {"method": "set_ladder", "data": data})
    assert answer["error"]["code"] == "media.bad-request"
    (room,) = house.context.media._rooms.values()
    assert room.links.ceiling(house.binh.member) == 0


async def test_the_choice_reaches_the_worker_with_transports_made_before_and_after(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    binh = await enter(house, "binh", ceiling=1)
    asked: list[tuple[str, Any]] = []
    pool = house.context.media._routers._pool
    request = pool.request

    async def noted(router_id: str, method: str, data: dict[str, Any]) -> dict[str, Any]:
        asked.append((method, data.get("ceiling")))
        return await request(router_id, method, data)

    monkeypatch.setattr(pool, "request", noted)
    await binh.call("media", {"method": "create_transport", "data": {"direction": "recv"}})
    await binh.call("media", {"method": "set_ladder", "data": {"ceiling": 3}})
    assert [one for one in asked if one[1] is not None] == [("router.create_transport", 1), ("router.set_ladder", 3)]


def test_the_list_has_an_end_and_keeps_since_when() -> None:
    links = Links()
    for number in range(LISTED_MAX + 20):
        assert links.note(f"m{number:03}", BAD, float(number))
    assert not links.note("m000", BAD, 500.0), "nothing new"
    assert links.note("m000", {**BAD, "level": 2}, 600.0)
    listing = links.listing(700.0)
    assert (len(listing["members"]), listing["more"]) == (LISTED_MAX, 20)
    assert listing["members"][0] == {"owner": "m000", "level": 2, "reason": "link", "sends_badly": None, "for_s": 700}
    assert not links.drop("nobody")


def test_how_many_seats_are_at_each_level_is_counted_and_gone_ones_are_not() -> None:
    links = Links()
    assert set(links.counts().values()) == {0}
    for owner, data in (("a", GOOD), ("b", BAD), ("c", GOOD), ("d", {**BAD, "level": 3, "trouble": False})):
        links.note(owner, data, 1.0)
    links.choose("e", 0, 1.0)
    links.choose("c", 0, 1.0)
    assert links.counts() == {f"seats_at_level_{level}": n for level, n in enumerate((2, 1, 0, 1, 1))}
    links.note("b", GOOD, 2.0)
    links.drop("a")
    links.drop_link("d")
    links.choose("c", 4, 3.0)
    assert links.counts() == {f"seats_at_level_{level}": n for level, n in enumerate((1, 0, 0, 0, 2))}


async def test_the_operator_sees_the_levels_of_a_room(house: House) -> None:
    binh = await enter(house, "binh")
    assert "ok" in await binh.call("media", {"method": "capabilities", "data": {}})
    worker_says(house, house.binh.member, BAD)
    (figures,) = house.context.media.figures()
    assert (figures["room"], figures["seats_at_level_1"], figures["seats_at_level_4"]) == (house.meeting, 1, 0)
    scraped = Snapshot(sockets={}, writes_waiting=0, meetings={}, rooms=[figures], workers=[])

    async def now() -> Snapshot:
        return scraped

    text = (await Metrics(now).text()).decode()
    assert f'folkmoot_room_seats_at_level_1{{room="{house.meeting}"}} 1.0' in text
    assert house.binh.member not in text
