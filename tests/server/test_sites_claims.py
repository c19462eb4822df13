"""Members who move between sites, who are claimed at two, and what the chair decides of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import sites_support as support
from tests.server.common import START, refusal
from tests.server.sites_support import hall_of, keep_alive
from tests.server.support import House, at_check_in

from folkmoot_server.commands import attendance, sites
from folkmoot_server.demo import votes

AWAY_S, LOST_S = 45, 120


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.realtime._housekeeping.close()  # here the tests say when leases are judged
        yield running


async def judge(house: House) -> None:
    """What the server does with silent members every second."""
    now = house.clock.at
    await house.context.database.write(lambda tx: attendance.expire_leases(tx, now, AWAY_S, LOST_S, START))


async def heard(house: House, name: str) -> None:
    """A lease of the member's own device."""
    member, now = house.people[name].member, house.clock.at
    await house.context.database.write(lambda tx: attendance.take_lease(tx, house.meeting, member, now))


async def seats_of(house: House, name: str) -> list[str]:
    """Where the member is counted."""
    view = await house.view("lan")
    found = [one["site"] for one in view["present"] if one["member"] == house.people[name].member]
    assert view["quorum"]["present"] == len(view["present"])
    return found


async def claims(house: House) -> list[tuple[str, ...]]:
    """Between which sites the chair has to decide."""
    return [tuple(one["sites"]) for one in (await house.view("lan"))["disputes"]]


async def test_a_device_that_moves_to_another_site_is_counted_once_and_nobody_is_asked(house: House) -> None:
    site = await hall_of(house)
    seed = await votes.check_in(house.binh, house.meeting)
    house.clock.at += 30
    await heard(house, "binh")
    code = await support.code_of(house, house.paul, site)
    await votes.check_in(house.binh, house.meeting, seed, {"site": site, "code": code})
    assert await seats_of(house, "binh") == [site]
    kinds = [event["type"] for event in (await house.events())[-3:]]
    assert kinds == ["MemberDeparted", "MemberCheckedIn", "SeatMoved"]
    moved = (await house.events("SeatMoved"))[0]["body"]
    assert moved == {"member": house.binh.member, "name": "Binh Tran", "from": "remote", "to": site}
    lines = (await house.lan.get(house.path("/attendance")))["lines"]
    assert [(line["site"], line["from"], line["until"]) for line in lines] == [
        ("remote", START, START + 30),
        (site, START + 30, None),
    ]
    assert await claims(house) == []
    assert await refusal(house.jonas, house.path(f"/sites/{site}/remove")) == (409, "site.in-use")


async def test_another_device_at_another_site_is_disputed_while_the_first_is_heard(house: House) -> None:
    site = await hall_of(house)
    await house.check_in("binh")
    house.clock.at += 300
    await heard(house, "binh")
    house.clock.at += AWAY_S - 1
    await judge(house)
    await support.check_in_at(house, house.binh, site, await support.code_of(house, house.paul, site))
    assert await seats_of(house, "binh") == [site]
    assert await claims(house) == [tuple(sorted((site, "remote")))]
    told = (await house.events("SeatDisputed"))[0]["body"]
    found = (await house.view("lan"))["disputes"][0]
    assert told == {name: found[name] for name in ("dispute", "member", "name", "sites")}
    assert (await house.view("binh"))["disputes"] == []
    # One at a time, whatever comes on top.
    await house.check_in("binh")
    assert len(await house.events("SeatDisputed")) == 1


@pytest.mark.parametrize("ended", ["away", "lost", "left", "same site"])
async def test_who_is_not_heard_elsewhere_any_more_moves_and_nobody_is_asked(house: House, ended: str) -> None:
    site = await hall_of(house)
    await house.check_in("binh")
    await heard(house, "binh")
    if ended == "left":
        await house.command("binh", "leave")
    elif ended != "same site":
        house.clock.at += AWAY_S if ended == "away" else LOST_S
        await judge(house)
        await keep_alive(house, site)
    if ended == "same site":
        await house.check_in("binh")
    else:
        await support.check_in_at(house, house.binh, site, await support.code_of(house, house.paul, site))
    assert await seats_of(house, "binh") == ["remote" if ended == "same site" else site]
    assert await claims(house) == []


async def test_a_hall_that_is_heard_vouches_for_who_is_at_its_kiosk_until_they_leave_or_it_is_lost(
    house: House,
) -> None:
    site, other = await hall_of(house), await hall_of(house, "ana")
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    await support.check_in_at_kiosk(house, house.paul, house.greta, site)
    house.clock.at += 1000
    await keep_alive(house, site)
    await keep_alive(house, other, "ana")
    await support.check_in_at_kiosk(house, house.ana, house.binh, other)
    assert await claims(house) == [tuple(sorted((site, other)))]
    # The control: the same for somebody whose hall is lost.
    house.clock.at += 1000
    now = house.clock.at
    await keep_alive(house, other, "ana")
    await house.context.database.write(lambda tx: sites.lose_silent(tx, now, 20, START))
    await support.check_in_at_kiosk(house, house.ana, house.greta, other)
    assert await seats_of(house, "greta") == [other]
    assert len(await claims(house)) == 1


async def test_two_moves_within_ten_minutes_are_disputed_and_two_far_apart_are_not(house: House) -> None:
    site = await hall_of(house)
    where = {"site": site, "code": await support.code_of(house, house.paul, site)}
    seed = await votes.check_in(house.binh, house.meeting)
    greta = await votes.check_in(house.greta, house.meeting)
    await votes.check_in(house.binh, house.meeting, seed, where)
    await votes.check_in(house.greta, house.meeting, greta, where)
    house.clock.at += 599
    await votes.check_in(house.binh, house.meeting, seed)
    assert len(await claims(house)) == 1
    house.clock.at += 1
    await votes.check_in(house.greta, house.meeting, greta)
    assert len(await house.events("SeatMoved")) == 4
    assert len(await claims(house)) == 1


async def disputed(house: House) -> tuple[str, dict[str, Any]]:
    """Binh is claimed at two halls; return the one where he is counted and the dispute."""
    site, other = await hall_of(house), await hall_of(house, "ana")
    await support.check_in_at_kiosk(house, house.ana, house.binh, other)
    assert await claims(house) == []
    house.clock.at += 10
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    return site, (await house.view("lan"))["disputes"][0]


async def test_a_seat_claimed_at_two_halls_is_disputed_until_the_chair_decides(house: House) -> None:
    site, found = await disputed(house)
    assert found["member"] == house.binh.member
    assert len(found["sites"]) == 2
    assert site in found["sites"]
    assert (await house.view("binh"))["disputes"] == []
    path = house.path(f"/disputes/{found['dispute']}")
    assert await refusal(house.paul, path, {"decision": "keep"}) == (403, "role.missing")
    assert await refusal(house.lan, path, {"decision": "burn"}) == (400, "input.malformed")
    await house.lan.post(path, {"decision": "keep"})
    assert await refusal(house.lan, path, {"decision": "remove"}) == (409, "dispute.decided")
    assert await claims(house) == []
    assert await seats_of(house, "binh") == [site]
    assert (await house.events("DisputeDecided"))[0]["body"] == {"dispute": found["dispute"], "decision": "keep"}
    assert len(await house.events("SeatDisputed")) == 1


async def test_the_chair_sends_out_whose_seat_is_not_believed(house: House) -> None:
    site, found = await disputed(house)
    await house.lan.post(house.path(f"/disputes/{found['dispute']}"), {"decision": "remove"})
    view = await house.view("lan")
    assert view["present"] == []
    assert [one["member"] for one in view["removed"]] == [house.binh.member]
    kiosk = house.path(f"/sites/{site}/kiosk")
    body = await support.check_in_body(house, await house.paul.post(f"{kiosk}/begin"), house.binh)
    assert await refusal(house.paul, f"{kiosk}/finish", body) == (403, "meeting.removed")
