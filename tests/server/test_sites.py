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
from tests.server.support import House, Socket, connect, serve

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
    is_silent,
    shown,
    takes,
)
from folkmoot_voting import challenges

LOST_S = 20


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with serve(tmp_path) as running:
        await running.enrol()
        await running.begin()
        await running.realtime._housekeeping.close()  # here the tests say when halls are lost
        yield running


async def tick(house: House, since: int = START) -> None:
    """Let the housekeeping do what is due now."""
    keeper = house.realtime._housekeeping
    keeper._watching_since = since
    await keeper.tick()


async def states(house: House) -> dict[str, str]:
    return {one["site"]: one["state"] for one in (await house.lan.get(house.path("/sites")))["sites"]}


async def hall_of(house: House, custodian: str = "paul") -> str:
    person = house.people[custodian]
    return await support.open_hall(house, house.context.database, house.jonas, person, house.clock.at)


async def hear(house: House, site: str, custodian: str = "paul") -> None:
    await support.hear(house, house.context.database, house.people[custodian], site, house.clock.at)


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
    assert is_silent(100, 0, 120, 20)
    assert not is_silent(101, 0, 120, 20)
    assert not is_silent(100, 110, 129, 20)


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
    await hear(house, site)
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
    await hear(house, site)
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
    await hear(house, site)
    await tick(house)
    assert (await states(house))[site] == "degraded"
    room.links.ceilings[seat] = 1  # no more is wanted
    await tick(house)
    assert (await states(house))[site] == "connected"
    room.links.ceilings[seat], room.links.levels[seat] = 4, 2
    await tick(house)
    assert (await states(house))[site] == "connected"


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


# -- codes, companions, moves ---------------------------------------------------------------------------------------


async def test_checking_in_at_a_hall_needs_its_code_and_signs_its_name(house: House) -> None:
    site, other = await hall_of(house), await support.add(house, house.jonas, house.ana.member, "Hall 8")
    begin = house.path("/check-in/begin")
    assert await refusal(house.binh, begin, {"site": site, "code": "aaaaaaaaaa"}) == (403, "site.bad-code")
    assert await refusal(house.binh, begin, {"site": site}) == (403, "site.bad-code")
    assert await refusal(house.binh, begin, {"site": "nowhere", "code": ""}) == (404, "site.unknown")
    assert await refusal(house.binh, house.path(f"/sites/{site}/code"), None, "GET") == (403, "site.not-yours")
    assert await refusal(house.jonas, house.path("/sites/remote/code"), None, "GET") == (409, "site.no-place")
    shown_now = await support.code_of(house, house.paul, site)
    assert shown_now == await support.code_of(house, house.jonas, site)
    house.clock.at += CODE_S
    assert await support.code_of(house, house.jonas, site) != shown_now
    begun = await house.binh.post(begin, {"site": site, "code": shown_now})  # the one before is still taken
    # A nonce of one hall is good for no other site, whatever the passkey signs.
    finish = house.path("/check-in/finish")
    for elsewhere in (other, "remote", "main"):
        body = await support.check_in_body(house, begun, house.binh, site=elsewhere)
        assert await refusal(house.binh, finish, body) == (422, "nonce.invalid")
    swapped = {**await support.check_in_body(house, begun, house.binh, site="main"), "site": site}
    assert await refusal(house.binh, finish, swapped) == (422, "voting.assertion-challenge")
    plain = await house.binh.post(begin, {})
    body = await support.check_in_body(house, plain, house.binh, site=site)
    assert await refusal(house.binh, finish, body) == (422, "nonce.invalid")
    await house.binh.post(finish, await support.check_in_body(house, begun, house.binh))
    me = (await house.view("binh"))["me"]
    assert (me["site"], me["companion"], me["checked_in"]) == (site, True, True)
    await house.check_in("greta")
    me = (await house.view("greta"))["me"]
    assert (me["site"], me["companion"]) == ("remote", False)
    me = (await house.view("ana"))["me"]
    assert (me["site"], me["companion"]) == ("", False)
    house.clock.at += CODE_S
    assert await refusal(house.ana, begin, {"site": site, "code": shown_now}) == (403, "site.bad-code")


async def test_guessing_codes_ends_after_twenty_and_a_code_given_elsewhere_is_told(house: House) -> None:
    site, other = await hall_of(house), await hall_of(house, "ana")
    shown_now = await support.code_of(house, house.paul, site)
    begin = house.path("/check-in/begin")
    assert (await house.view("lan"))["alerts"] == []
    assert await refusal(house.greta, begin, {"site": other, "code": shown_now}) == (403, "site.bad-code")
    alert = {"site": site, "kind": "code-elsewhere", "at": START}
    assert (await house.view("lan"))["alerts"] == [alert]
    assert (await house.view("greta"))["alerts"] == []
    dismiss = house.path(f"/sites/{site}/alerts/dismiss")
    assert await refusal(house.greta, dismiss, {"kind": "code-elsewhere"}) == (403, "role.missing")
    await house.jonas.post(dismiss, {"kind": "code-elsewhere"})
    assert await refusal(house.jonas, dismiss, {"kind": "code-elsewhere"}) == (404, "site.no-alert")
    wrong = [await refusal(house.binh, begin, {"site": site, "code": f"guess{number}"}) for number in range(21)]
    assert wrong == [(403, "site.bad-code")] * 20 + [(429, "site.too-many-codes")]
    assert await refusal(house.binh, begin, {"site": site, "code": shown_now}) == (429, "site.too-many-codes")
    house.clock.at += 300
    assert (await house.binh.post(begin, {"site": site, "code": shown_now}))["site"] == site


async def test_who_checks_in_at_another_site_moves_and_is_counted_once(house: House) -> None:
    site = await hall_of(house)
    await house.check_in("binh")
    house.clock.at += 30
    await support.check_in_at(house, house.binh, site, await support.code_of(house, house.paul, site))
    view = await house.view("lan")
    assert [(one["member"], one["site"]) for one in view["present"]] == [(house.binh.member, site)]
    assert view["quorum"]["present"] == 1
    kinds = [event["type"] for event in (await house.events())[-3:]]
    assert kinds == ["MemberDeparted", "MemberCheckedIn", "SeatMoved"]
    moved = (await house.events("SeatMoved"))[0]["body"]
    assert moved == {"member": house.binh.member, "name": "Binh Tran", "from": "remote", "to": site}
    lines = (await house.lan.get(house.path("/attendance")))["lines"]
    assert [(line["site"], line["from"], line["until"]) for line in lines] == [
        ("remote", START, START + 30),
        (site, START + 30, None),
    ]
    assert view["disputes"] == []
    assert await refusal(house.jonas, house.path(f"/sites/{site}/remove")) == (409, "site.in-use")


async def disputed(house: House) -> tuple[str, dict[str, Any]]:
    """Binh is claimed at two halls; return one of them and the dispute."""
    site, other = await hall_of(house), await hall_of(house, "ana")
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    await support.check_in_at_kiosk(house, house.ana, house.binh, other)
    assert (await house.view("lan"))["disputes"] == []
    house.clock.at += 10
    await hear(house, site)
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
    assert (await house.view("lan"))["disputes"] == []
    assert [one["member"] for one in (await house.view("lan"))["present"]] == [house.binh.member]
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


async def test_two_moves_far_apart_are_not_disputed(house: House) -> None:
    site = await hall_of(house)
    await house.check_in("binh")
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    house.clock.at += 600
    await house.check_in("binh")
    assert len(await house.events("SeatMoved")) == 2
    assert await house.events("SeatDisputed") == []


# -- seat lists -----------------------------------------------------------------------------------------------------


async def test_a_custodian_signs_who_is_there_and_the_list_adds_and_removes_nobody(house: House) -> None:
    site = await hall_of(house)
    await support.check_in_at_kiosk(house, house.paul, house.binh, site)
    await support.check_in_at_kiosk(house, house.paul, house.greta, site)
    listed = sorted([house.binh.member, house.ana.member, house.paul.member])
    path = house.path(f"/sites/{site}/seats")
    action = support.seats_action(house, site, listed)
    before = [one["member"] for one in (await house.view("lan"))["present"]]
    await house.paul.act(path, action, seats=listed)
    assert [one["member"] for one in (await house.view("lan"))["present"]] == before
    told = (await house.events("SeatsSigned"))[0]["body"]
    assert told == {"site": site, "count": 3, "missing": 2, "extra": 1, "hash": action["hash"]}
    found = next(one for one in (await house.view("greta"))["sites"] if one["site"] == site)
    assert found["seats"] == {"count": 3, "signed_at": START, "hash": action["hash"]}
    view = await house.paul.get(path)
    assert view["signed"] == listed
    assert {one["name"]: one["site"] for one in view["members"]}["Greta Weber"] == site
    assert len(view["members"]) == 8
    assert await refusal(house.greta, path, None, "GET") == (403, "site.not-yours")
    kept = await house.context.database.read(lambda tx: tx.exec_driver_sql("SELECT seats_evidence FROM site").all())
    assert action["hash"] in str(kept)


async def test_a_seat_list_that_was_not_signed_as_it_is_changes_nothing(house: House) -> None:
    site = await hall_of(house)
    listed = sorted([house.binh.member, house.ana.member])
    path = house.path(f"/sites/{site}/seats")
    action = support.seats_action(house, site, listed)

    async def send(person: Any, seats: list[str], given: dict[str, Any], signed_by: Any = None) -> tuple[int, str]:
        signed = await (signed_by or person).signed("action", lambda nonce: challenges.action(given, nonce))
        return await refusal(person, path, {"seats": seats, "action": given, "signed": signed})

    assert await send(house.jonas, listed, action) == (403, "site.not-custodian")
    longer = sorted([*listed, house.greta.member])
    assert await send(house.paul, longer, action) == (422, "action.differs")
    assert await send(house.paul, list(reversed(listed)), action) == (400, "site.seats-order")
    strangers = support.seats_action(house, site, ["nobody"])
    assert await send(house.paul, ["nobody"], strangers) == (400, "site.seats-unknown")
    assert await send(house.paul, listed, action, house.ana) == (422, "nonce.invalid")
    assert await house.events("SeatsSigned") == []


# -- the room -------------------------------------------------------------------------------------------------------


async def test_a_halls_page_uses_the_room_as_the_halls_own_seat(tmp_path: Path) -> None:
    async with serve(tmp_path, media_worker=True) as house:
        await house.enrol()
        await house.begin()
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
