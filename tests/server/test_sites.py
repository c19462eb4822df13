"""Halls: their states, codes, seat lists, moves between them and what becomes of those they hold."""

from __future__ import annotations

import base64
import itertools
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import sites_support as support
from tests.server.common import START, refusal
from tests.server.sites_support import hall_of, keep_alive, states
from tests.server.support import House, Socket, at_check_in, connect

from folkmoot_server.commands import floor
from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.meetings import State
from folkmoot_server.domain.sites import (
    CODE_S,
    EVENTS,
    NEXT,
    SITES_MAX,
    LineTest,
    SiteAct,
    SiteState,
    advance,
    code,
    differences,
    fixed,
    lease_end,
    shown,
    takes,
)
from folkmoot_server.realtime import visiting
from folkmoot_server.storage.events import StoredEvent

LOST_S = 20


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.realtime._housekeeping.close()  # here the tests say when halls are lost
        yield running


async def tick(house: House, since: int = START) -> None:
    """Let the housekeeping do what is due now."""
    keeper = house.realtime._housekeeping
    keeper._watching_since = keeper.halls.watching_since = since
    await keeper.halls.tick()
    await keeper.tick()


# -- the table ------------------------------------------------------------------------------------------------------


def test_a_site_follows_the_table_and_nothing_else() -> None:
    walk = [
        (SiteAct.LEASE, "invited"),
        (SiteAct.PASS, "tested"),
        (SiteAct.LEASE, "connected"),
        (SiteAct.DEGRADE, "degraded"),
        (SiteAct.LEASE, "degraded"),
        (SiteAct.RECOVER, "connected"),
        (SiteAct.LOSE, "lost"),
        (SiteAct.PASS, "lost"),
        (SiteAct.LEASE, "rejoined"),
        (SiteAct.LEASE, "connected"),
        (SiteAct.DEGRADE, "degraded"),
        (SiteAct.LOSE, "lost"),
    ]
    state = SiteState.INVITED
    for act, expected in walk:
        state = advance(state, act)
        assert state.value == expected
    refused = [(state, act) for state, act in itertools.product(SiteState, SiteAct) if (state, act) not in NEXT]
    assert len(refused) > 10
    for state, act in refused:
        with pytest.raises(WrongState):
            advance(state, act)
    assert {act for one, act in NEXT if one is SiteState.CLOSED} == set()
    assert set(EVENTS) == set(NEXT.values()) - {SiteState.INVITED, SiteState.TESTED}


def test_every_site_of_a_meeting_that_is_over_is_closed() -> None:
    site = fixed("m", "main")
    assert {state for state in State if shown(site, state) is SiteState.CLOSED} == {State.CLOSED, State.CANCELLED}


def test_a_line_without_sound_or_too_slow_is_not_passed_and_the_clock_never_counts() -> None:
    good = LineTest(0, 600, 50, 64, 64, 10**9, True, False)
    assert good.passed
    assert LineTest(0, 600, None, 64, 64, 0, True, False).passed
    for bad in (
        LineTest(0, 600, 50, 64, 64, 0, False, True),
        LineTest(0, 3001, 50, 64, 64, 0, True, True),
        LineTest(0, 600, 301, 64, 64, 0, True, True),
    ):
        assert not bad.passed


def test_a_code_is_fifty_bits_and_lasts_until_the_end_of_the_next_ten_minutes() -> None:
    secret = bytes(range(32))
    now = 1000 * CODE_S
    given = code(secret, now // CODE_S)
    assert re.fullmatch("[a-z2-7]{10}", given)
    assert len(base64.b32decode(given.upper() + "======")) == 6
    assert [takes(secret, given, at) for at in (now - 1, now, now + 2 * CODE_S - 1, now + 2 * CODE_S)] == [
        False,
        True,
        True,
        False,
    ]
    assert not takes(bytes(32), given, now)
    assert not takes(secret, "", now)
    assert len({code(secret, period) for period in range(500)}) == 500


def test_silence_counts_from_when_the_server_listens_again() -> None:
    assert lease_end(100_000, 0, 20) == 120_000
    assert lease_end(100_250, 100, 20) == 120_250
    assert lease_end(100_999, 110, 20) == 130_000


def test_differences_of_a_seat_list_go_both_ways() -> None:
    assert differences(["a", "b"], ["b", "c", "d"]) == (["a"], ["c", "d"])


# -- writing halls down ---------------------------------------------------------------------------------------------


async def test_officers_write_halls_down_and_nobody_else(house: House) -> None:
    body = {"name": "Hall 7", "custodian": house.paul.member, "expected": 30, "profile": 256}
    assert await refusal(house.paul, house.path("/sites"), body) == (403, "role.missing")
    assert await refusal(house.jonas, house.path("/sites"), {**body, "profile": 100}) == (400, "input.malformed")
    unknown = {**body, "custodian": "nobody"}
    assert await refusal(house.jonas, house.path("/sites"), unknown) == (409, "site.bad-custodian")
    site = (await house.jonas.post(house.path("/sites"), body))["site"]
    listed = (await house.binh.get(house.path("/sites")))["sites"]
    assert [(one["site"], one["kind"]) for one in listed] == [("main", "main"), (site, "hall"), ("remote", "remote")]
    assert listed[1] == {
        "site": site,
        "name": "Hall 7",
        "kind": "hall",
        "custodian": house.paul.member,
        "custodian_name": "Paul Martin",
        "expected": 30,
        "profile": 256,
        "state": "invited",
        "since": START,
        "tested": None,
        "present": 0,
        "seats": None,
    }
    assert (await house.view("binh"))["sites"] == listed
    changed = {**body, "name": "Hall seven", "custodian": ""}
    assert await refusal(house.paul, house.path(f"/sites/{site}"), changed) == (403, "role.missing")
    await house.lan.post(house.path(f"/sites/{site}"), changed)
    await house.lan.post(house.path("/sites/main"), {**body, "name": "Town hall"})
    assert [one["name"] for one in (await house.view("binh"))["sites"]] == ["Town hall", "Hall seven", ""]
    assert await refusal(house.lan, house.path("/sites/remote"), body) == (409, "site.no-place")
    assert await refusal(house.lan, house.path("/sites/main/remove")) == (409, "site.fixed")
    assert await refusal(house.paul, house.path(f"/sites/{site}/remove")) == (403, "role.missing")
    await house.lan.post(house.path(f"/sites/{site}/remove"))
    assert await refusal(house.lan, house.path(f"/sites/{site}/remove")) == (404, "site.unknown")
    told = [event["type"] for event in await house.events() if event["type"].startswith("Site")]
    assert told == ["SiteAdded", "SiteChanged", "SiteChanged", "SiteRemoved"]


async def test_a_meeting_has_at_most_64_sites(house: House) -> None:
    for number in range(SITES_MAX - 2):
        await support.add(house, house.jonas, "", f"Hall {number}")
    body = {"name": "One more", "custodian": "", "expected": 0, "profile": 0}
    assert await refusal(house.jonas, house.path("/sites"), body) == (409, "site.too-many")


async def test_a_line_is_tested_by_the_custodian_and_a_bad_one_accepted_by_an_officer(house: House) -> None:
    site = await support.add(house, house.jonas, house.paul.member)
    path = house.path(f"/sites/{site}/test")
    assert await refusal(house.jonas, path, support.GOOD_LINE) == (403, "site.not-custodian")
    assert await refusal(house.paul, path, {**support.GOOD_LINE, "rtt_ms": -1}) == (400, "input.malformed")
    assert await refusal(house.jonas, house.path(f"/sites/{site}/accept")) == (409, "site.not-tested")
    await house.paul.post(path, {**support.GOOD_LINE, "sound": False, "loss_permille": None})
    assert (await states(house))[site] == "invited"
    assert await refusal(house.paul, house.path(f"/sites/{site}/accept")) == (403, "role.missing")
    await house.jonas.post(house.path(f"/sites/{site}/accept"))
    assert (await states(house))[site] == "tested"
    found = next(one for one in (await house.view("lan"))["sites"] if one["site"] == site)
    assert found["tested"] == {**support.GOOD_LINE, "sound": False, "loss_permille": None, "at": START}
    other = await support.add(house, house.jonas, house.paul.member, "Hall 8")
    await house.paul.post(house.path(f"/sites/{other}/test"), support.GOOD_LINE)
    assert (await states(house))[other] == "tested"


async def test_probes_measure_a_line_for_who_looks_after_the_site(house: House) -> None:
    site = await support.add(house, house.jonas, house.paul.member)
    path = house.path(f"/sites/{site}/probe")
    status, body = await house.paul.raw("GET", f"{path}?bytes=70000")
    assert (status, len(body)) == (200, 70_000)
    assert len(set(body)) == 256
    for query in ("?bytes=0", "?bytes=262145", "?bytes=-1", "?bytes=x"):
        assert (await refusal(house.paul, path + query, None, "GET"))[0] == 400
    assert await refusal(house.binh, f"{path}?bytes=10", None, "GET") == (403, "site.not-yours")
    headers = {"Origin": house.origin, "Content-Type": "application/octet-stream"}
    async with house.paul._http.post(house.origin + path, data=bytes(5000), headers=headers) as answer:
        told = await answer.json()
    assert told["received"] == 5000
    assert abs(told["now_ms"] - 1000 * time.time()) < 3_600_000
    async with house.paul._http.post(house.origin + path, data=bytes(262_145), headers=headers) as answer:
        assert answer.status == 400
    elsewhere = {**headers, "Origin": "https://elsewhere.example"}
    async with house.paul._http.post(house.origin + path, data=b"x", headers=elsewhere) as answer:
        assert answer.status == 403
    codes = [await refusal(house.paul, f"{path}?bytes=1", None, "GET") for _ in range(70)]
    assert codes[-1] == (429, "site.too-many-probes")


# -- being heard and lost -------------------------------------------------------------------------------------------


async def test_a_hall_is_connected_by_its_pages_socket_and_lost_without_it(house: House) -> None:
    site = await support.add(house, house.jonas, house.paul.member)
    await house.paul.post(house.path(f"/sites/{site}/test"), support.GOOD_LINE)
    page, other = await connect(house, "paul"), await connect(house, "binh")
    assert (await other.call("lease", {"site": site}))["error"]["code"] == "site.not-custodian"
    assert (await page.call("lease", {"site": "nowhere"}))["error"]["code"] == "site.unknown"
    assert (await page.call("lease", {"site": "remote"}))["error"]["code"] == "site.not-custodian"
    assert (await page.call("lease", {"site": site}))["ok"]["epoch"] == 0  # the custodian has not checked in
    assert (await states(house))[site] == "connected"
    await house.check_in("paul")
    assert (await page.call("lease", {"site": site}))["ok"]["epoch"] == 1
    house.clock.at += LOST_S - 1
    await tick(house)
    assert (await states(house))[site] == "connected"
    house.clock.at += 1
    await tick(house)
    assert (await states(house))[site] == "lost"
    await page.call("lease", {"site": site})
    assert (await states(house))[site] == "rejoined"
    await page.call("lease", {"site": site})
    assert (await states(house))[site] == "connected"
    told = [event["type"] for event in await house.events() if event["body"].get("site") == site]
    assert told[2:] == ["SiteConnected", "SiteLost", "SiteRejoined", "SiteConnected"]


async def test_a_custodian_who_was_replaced_is_not_heard_any_more(house: House) -> None:
    site = await hall_of(house)
    page = await connect(house, "paul")
    assert "ok" in await page.call("lease", {"site": site})
    body = {"name": "Hall 7", "custodian": house.ana.member, "expected": 1, "profile": 0}
    await house.jonas.post(house.path(f"/sites/{site}"), body)
    assert (await page.call("lease", {"site": site}))["error"]["code"] == "site.not-custodian"


async def test_members_of_a_kiosk_leave_the_quorum_with_their_hall_and_come_back_with_it(house: House) -> None:
    site = await hall_of(house)
    await house.check_in("lan", "jonas")  # on their own devices
    code_now = await support.code_of(house, house.paul, site)
    await support.check_in_at(house, house.ana, site, code_now)  # in the hall, on an own device
    for name in ("binh", "greta"):
        answer = await support.check_in_at_kiosk(house, house.paul, house.people[name], site)
        assert answer["member"] == house.people[name].member
    here = {one["member"]: one["site"] for one in (await house.view("lan"))["present"]}
    assert sorted(here.values()) == sorted(["remote", "remote", site, site, site])
    assert (await house.view("lan"))["quorum"]["met"] is True  # five of eight, four needed
    house.clock.at += LOST_S - 1
    await keep_alive(house, site)
    house.clock.at += 1
    await tick(house)
    assert len((await house.view("lan"))["present"]) == 5
    house.clock.at += LOST_S - 1
    await tick(house)
    assert (await states(house))[site] == "lost"
    view = await house.view("lan")
    assert {one["name"] for one in view["present"]} == {"Lan Nguyen", "Jonas Keller", "Ana Silva"}
    assert view["quorum"]["met"] is False
    gone = await house.events("MemberDeparted")
    assert {event["body"]["member"] for event in gone} == {house.binh.member, house.greta.member}
    assert {(event["body"]["reason"], event["body"]["until"]) for event in gone} == {("lost", START + LOST_S - 1)}
    assert (await house.events("QuorumLost"))[0]["at"] == house.clock.at
    assert next(one for one in view["sites"] if one["site"] == site)["present"] == 1
    await keep_alive(house, site)
    view = await house.view("lan")
    assert (len(view["present"]), view["quorum"]["met"]) == (5, True)
    assert len(await house.events("MemberReturned")) == 2


async def test_no_member_is_held_by_a_hall_whose_kiosk_they_did_not_use(house: House) -> None:
    """The control of the test above: with own devices, losing the hall ends nobody's interval."""
    site = await hall_of(house)
    code_now = await support.code_of(house, house.paul, site)
    for name in ("ana", "binh"):
        await support.check_in_at(house, house.people[name], site, code_now)
    house.clock.at += LOST_S
    await tick(house)
    assert (await states(house))[site] == "lost"
    assert len((await house.view("lan"))["present"]) == 2


async def test_whose_own_device_is_heard_is_not_held_by_the_kiosk(house: House) -> None:
    site = await hall_of(house)
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    phone = await connect(house, "binh")
    assert "ok" in await phone.call("lease", {})
    house.clock.at += LOST_S
    await tick(house)
    assert (await states(house))[site] == "lost"
    assert [one["name"] for one in (await house.view("lan"))["present"]] == ["Binh Tran"]


async def test_a_thin_link_is_told_and_told_to_be_better(house: House) -> None:
    site = await hall_of(house)
    seat = f"site:{site}"
    room = house.context.media._room(house.meeting)
    room.links.levels[seat] = 1
    await tick(house)
    assert (await states(house))[site] == "degraded"
    await keep_alive(house, site)
    await tick(house)
    assert (await states(house))[site] == "degraded"
    room.links.ceilings[seat] = 1  # no more is wanted
    await tick(house)
    assert (await states(house))[site] == "connected"
    room.links.ceilings[seat], room.links.levels[seat] = 4, 2
    await tick(house)
    assert (await states(house))[site] == "connected"


async def test_a_halls_microphone_is_heard_while_somebody_there_has_the_floor_or_presides(house: House) -> None:
    site = await hall_of(house)
    await house.check_in("jonas", "ana")
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    await support.check_in_at(house, house.lan, "main", await support.code_of(house, house.jonas, "main"))
    await house.command("lan", "open")

    async def granted() -> tuple[str, ...]:
        now = house.clock.at
        return (await house.context.database.read(lambda tx: floor.speakers(tx, house.meeting, now))).granted

    assert await granted() == ("site:main",)  # the chair sits there
    await house.command("lan", "grant-floor", member=house.ana.member)
    assert await granted() == (house.ana.member, "site:main")  # who is alone is heard alone
    await house.command("lan", "grant-floor", member=house.binh.member)
    assert (await granted())[0] == house.binh.member
    assert set((await granted())[1:]) == {f"site:{site}", "site:main"}
    await house.command("lan", "grant-floor", member=f"site:{site}")
    assert await granted() == (f"site:{site}", "site:main")
    assert (await house.view("lan"))["speaking"]["now"]["name"] == "Hall 7"
    assert await house.refused("lan", "grant-floor", member="site:main") == "relay.none"  # it is not connected


def test_what_may_put_the_chair_into_another_hall_lets_the_room_hear_anew() -> None:
    def placed(kind: str, **body: Any) -> bool:
        return visiting.places_chair(StoredEvent(1, "m", 1, kind, 0, body))

    assert placed("MemberCheckedIn", member="a", site="main")
    assert placed("SeatMoved", member="a", to="remote")
    assert placed("DeputyPresides", to="a")
    assert placed("ChairTaken", member="a")
    assert not placed("MemberCheckedIn", member="a", site="remote")
    assert not placed("HandRaised", member="a")


async def test_everything_is_closed_with_the_meeting(house: House) -> None:
    site = await hall_of(house)
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    await house.check_in("lan")
    await house.command("lan", "open")
    await house.command("lan", "close")
    assert set((await states(house)).values()) == {"closed"}
    house.clock.at += LOST_S
    await tick(house)
    assert await house.events("SiteLost") == []
    assert await refusal(house.jonas, house.path(f"/sites/{site}/accept")) == (409, "meeting.wrong-state")
    assert await refusal(house.paul, house.path(f"/sites/{site}/kiosk/begin")) == (409, "meeting.wrong-state")


# -- the room -------------------------------------------------------------------------------------------------------


async def test_a_halls_page_uses_the_room_as_the_halls_own_seat(tmp_path: Path) -> None:
    async with at_check_in(tmp_path, media_worker=True) as house:
        site = await hall_of(house)
        page: Socket = await connect(house, "paul")
        refused = await page.call("media", {"method": "capabilities", "data": {}})
        assert refused["error"]["code"] == "media.not-checked-in"  # its custodian is not in the room
        assert "ok" in await page.call("lease", {"site": site})
        for name in ("binh", "greta"):
            await support.check_in_at_kiosk(house, house.paul, house.people[name], site)
        found = (await page.call("media", {"method": "capabilities", "data": {}}))["ok"]
        assert found["owner"] == f"site:{site}"
        assert [room["members"] for room in house.context.media.figures()] == [1]  # one line for everybody there
        second = await connect(house, "paul")
        assert "ok" in await second.call("lease", {"site": site})
        assert (await second.call("media", {"method": "capabilities", "data": {}}))["ok"]["owner"] == f"site:{site}"
        again = await page.call("media", {"method": "capabilities", "data": {}})
        assert again["error"]["code"] == "media.elsewhere"
