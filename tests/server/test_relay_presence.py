"""Who was in a hall that was cut off: away after the lost time, back with the relay, and what the hall proves."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Connection
from tests.server import support, votes_support
from tests.server.relay_support import Village, add_site, check_in_body, check_in_by_relay, new_relay, open_village
from tests.server.votes_support import Hall

from folkmoot_server.commands import attendance, relays
from folkmoot_server.demo import votes
from folkmoot_server.domain.attendance import JOIN_S, Line, fold
from folkmoot_server.domain.ledger import CHECKPOINT_AGE_MAX_S
from folkmoot_server.domain.relays import DEGRADED_S, NONCES, SESSION_S
from folkmoot_server.realtime.vote_clock import VoteScheduler
from folkmoot_voting.encoding import h, u32

LOST_S = 20
SITE = {"name": "Upper village", "expected": 10, "profile": 64}


@pytest.fixture
async def village(hall: Hall) -> AsyncIterator[Village]:
    async with open_village(hall) as found:
        yield found


async def watch(hall: Hall) -> None:
    """What the server does every second."""
    now = hall.clock()
    if await hall.read(lambda tx: relays.some_lost(tx, now, LOST_S, 0)):
        await hall.database.write(lambda tx: relays.lose(tx, now, LOST_S, 0))


async def lines(hall: Hall, member: str) -> list[tuple[int, int | None, bool]]:
    """The member's intervals, from the clock's beginning."""
    found = (await hall.chair.get(hall.path("/attendance")))["lines"]
    return [(one["from"], one["until"], one["cut"]) for one in found if one["member"] == member]


async def test_a_cut_hall_leaves_the_quorum_and_its_records_join_the_intervals(village: Village) -> None:
    hall, relay, (first, second, third) = village.hall, village.relay, village.there
    begun = hall.clock()
    before = len(await lines(hall, first.member))
    hall.clock.at += LOST_S - 1
    await watch(hall)
    assert (await hall.view(hall.chair))["quorum"]["present"] == 5
    hall.clock.at += 1
    await watch(hall)
    view = await hall.view(hall.chair)
    assert (view["quorum"]["present"], view["quorum"]["met"]) == (2, False)
    gone = [event["body"] for event in await hall.events("MemberDeparted") if event["body"]["reason"] == "cut"]
    assert {(one["member"], one["until"]) for one in gone} == {(person.member, begun) for person in village.there}
    assert (await hall.events("QuorumLost"))[-1]["body"]["present"] == 2
    # Ten minutes alone: each minute the hall writes down who is there; the third one goes home after four.
    for minute in range(10):
        at = begun + 45 + 60 * minute
        there = [first.member, second.member, *([third.member] if minute < 4 else []), hall.chair.member]
        relay.write("here", {"members": there}, at)
    hall.clock.at = back = begun + 600
    await relay.lease(first, second)
    assert (await hall.view(hall.chair))["quorum"]["present"] == 4
    assert (await relay.send())["refused"] == []
    assert (await hall.view(hall.chair))["quorum"]["present"] == 4
    assert (await lines(hall, first.member))[before - 1 :] == [(begun, None, True)]
    assert (await lines(hall, third.member))[-1] == (begun, begun + 225, True)
    assert not any(cut for *_, cut in await lines(hall, hall.chair.member))
    told = await hall.events("RelayCaughtUp")
    assert [one["body"] for one in told] == [{"site": village.site, "entries": 10, "refused": 0, "from": begun + 45}]
    points = (await hall.chair.get(hall.path("/quorum-curve")))["points"]
    assert [point["present"] for point in points][-5:] == [4, 3, 2, 3, 4]
    assert points[-1]["at"] == back
    sheet = (await hall.chair.raw("GET", hall.path("/attendance.csv")))[1].decode()
    marked = [row for row in csv.DictReader(io.StringIO(sheet)) if row["cut"] == "yes"]
    assert len(marked) == 3


async def test_who_checks_in_during_a_cut_was_there_from_then_and_counts_from_its_end(village: Village) -> None:
    hall, relay = village.hall, village.relay
    begun = hall.clock()
    hall.clock.at += 30
    await check_in_by_relay(hall, relay, village.site, hall.plain, hall.clock())
    hall.clock.at += 300
    present = (await hall.view(hall.chair))["quorum"]["present"]
    assert (await relay.send())["refused"] == []
    assert (await hall.view(hall.chair))["quorum"]["present"] == present + 1
    assert await lines(hall, hall.plain.member) == [(begun + 30, None, True)]
    told = (await hall.events("MemberCheckedIn"))[-1]
    assert (told["at"], told["body"]["since"]) == (begun + 330, begun + 30)
    # What came of it later by another way is not undone by the hall's older word.
    await check_in_by_relay(hall, relay, village.site, hall.plain, hall.clock())
    hall.clock.at += 10
    await votes_support.check_in(hall, [hall.plain])
    assert [one["code"] for one in (await relay.send())["refused"]] == ["relay.overtaken"]
    assert [line[1] for line in await lines(hall, hall.plain.member)] == [begun + 340, None]


async def claimed(hall: Hall) -> list[tuple[str, ...]]:
    """Between which sites the chair has to decide about the plain member."""
    found = (await hall.view(hall.chair))["disputes"]
    return [tuple(one["sites"]) for one in found if one["member"] == hall.plain.member]


async def count_of(hall: Hall, member: str) -> list[str]:
    """Where a member is counted."""
    return [one["site"] for one in (await hall.view(hall.chair))["present"] if one["member"] == member]


async def test_who_is_claimed_in_a_cut_hall_and_elsewhere_is_disputed_and_counted_once(village: Village) -> None:
    hall, relay, plain = village.hall, village.relay, village.hall.plain
    both = [tuple(sorted((village.site, "remote")))]
    await check_in_by_relay(hall, relay, village.site, plain, hall.clock())
    hall.clock.at += 10
    await votes_support.check_in(hall, [plain])
    assert await claimed(hall) == []
    assert [one["code"] for one in (await relay.send())["refused"]] == ["relay.overtaken"]
    assert await claimed(hall) == both
    assert await count_of(hall, plain.member) == ["remote"]
    await relay.send(len(relay.log), len(relay.log))  # sent again, told once
    told = [event["body"]["member"] for event in await hall.events("SeatDisputed")]
    assert told.count(plain.member) == 1


async def test_a_cut_hall_s_check_in_over_one_that_is_heard_elsewhere_is_disputed(village: Village) -> None:
    hall, relay, plain = village.hall, village.relay, village.hall.plain
    await votes_support.check_in(hall, [plain])
    hall.clock.at += 10
    await check_in_by_relay(hall, relay, village.site, plain, hall.clock())
    assert (await relay.send())["refused"] == []
    assert await claimed(hall) == [tuple(sorted((village.site, "remote")))]
    assert await count_of(hall, plain.member) == [village.site]


async def test_who_had_left_elsewhere_before_or_came_again_to_the_same_hall_is_not_disputed(village: Village) -> None:
    hall, relay, site, plain = village.hall, village.relay, village.site, village.hall.plain
    await votes_support.check_in(hall, [plain])
    await plain.post(hall.path("/commands"), {"command": "leave"})
    hall.clock.at += 10
    await check_in_by_relay(hall, relay, site, plain, hall.clock())
    assert (await relay.send())["refused"] == []
    # The hall's older word of somebody who has come to the same hall again, by another way.
    await check_in_by_relay(hall, relay, site, plain, hall.clock())
    hall.clock.at += 10
    code = (await hall.chair.get(hall.path(f"/sites/{site}/code")))["code"]
    await votes.check_in(plain, hall.meeting, where={"site": site, "code": code})
    assert [one["code"] for one in (await relay.send())["refused"]] == ["relay.overtaken"]
    assert await claimed(hall) == []


async def test_an_overtaken_check_in_that_nobody_signed_says_nothing_of_anybody(village: Village) -> None:
    hall, relay, site, plain = village.hall, village.relay, village.site, village.hall.plain
    body, _ = await check_in_body(hall, relay, site, plain)
    other, _ = await check_in_body(hall, relay, site, village.there[0])
    relay.write("check-in", {**body, "assertion": other["assertion"]}, hall.clock(), plain.member)
    relay.write("check-in", body, hall.clock(), plain.member)
    hall.clock.at += 10
    await votes_support.check_in(hall, [plain])
    codes = [one["code"] for one in (await relay.send(last=len(relay.log) - 1))["refused"]]
    assert codes == ["voting.assertion-challenge"]
    assert await claimed(hall) == []
    # The control: the one that the member signed.
    assert [one["code"] for one in (await relay.send())["refused"]] == ["relay.overtaken"]
    assert await claimed(hall) == [tuple(sorted((site, "remote")))]


async def test_a_checkpoint_is_good_that_was_the_newest_when_the_relay_started(village: Village) -> None:
    hall, relay, site, person = village.hall, village.relay, village.site, village.there[0]
    held = (await relay.feed())["checkpoint"]
    await votes_support.close(hall, village.manifest.election)  # which the ledger notes
    hall.clock.at += CHECKPOINT_AGE_MAX_S + 1

    async def outcome() -> list[str]:
        body, _ = await check_in_body(hall, relay, site, person, checkpoint=held)
        relay.write("check-in", body, hall.clock(), person.member)
        return [one["code"] for one in (await relay.send())["refused"]]

    assert await outcome() == []
    await relay.start(hall.clock())
    assert await outcome() == ["check-in.old-checkpoint"]


async def test_nonces_end_after_twelve_hours_and_are_of_their_start(village: Village) -> None:
    hall, relay, site, person = village.hall, village.relay, village.site, village.there[0]
    early, _ = await check_in_body(hall, relay, site, person)
    late, _ = await check_in_body(hall, relay, site, person)
    beyond = h("fm1/relay-nonce", relay.nonce_seed, u32(NONCES))
    many, _ = await check_in_body(hall, relay, site, person, beyond)
    begun, old = hall.clock(), relay.epoch
    hall.clock.at += SESSION_S + 60
    await relay.start(hall.clock())  # brings what was written under the start before
    await support.sign_in(hall.chair)
    fresh, _ = await check_in_body(hall, relay, site, person)
    # A nonce of another start than the entry's; one too many; a good one in its last second; one a second later.
    told = ((fresh, begun), (many, begun), (early, begun + SESSION_S - 1), (late, begun + SESSION_S))
    for body, at in told:
        relay.log.append(relay.entry("check-in", body, at, person.member, epoch=old))
    first = relay.upto + 1
    refused = [(one["seq"] - first, one["code"]) for one in (await relay.send())["refused"]]
    assert refused == [(0, "relay.nonce"), (1, "relay.nonce"), (3, "relay.nonce")]


async def test_a_member_who_is_heard_by_another_way_stays_when_the_hall_is_lost(village: Village) -> None:
    hall, (first, second, _) = village.hall, village.there
    hall.clock.at += 10
    await hall.database.write(lambda tx: _hear(tx, hall, first.member))
    hall.clock.at += 15
    await watch(hall)
    here = {one["member"] for one in (await hall.view(hall.chair))["present"]}
    assert first.member in here
    assert second.member not in here


def _hear(tx: Connection, hall: Hall, member: str) -> None:
    epoch = attendance.take_lease(tx, hall.meeting, member, hall.clock())
    attendance.renew(tx, hall.meeting, member, epoch, hall.clock())


@dataclass(frozen=True)
class Told:
    """An event of a log."""

    seq: int
    type: str
    at: int
    body: dict[str, Any]


def log(*events: tuple[str, int, dict[str, Any]]) -> list[Line]:
    return fold(Told(seq, kind, at, body) for seq, (kind, at, body) in enumerate(events, 1))


ARRIVED = ("MemberCheckedIn", 100, {"member": "a", "name": "A", "site": "s"})
CUT = ("MemberDeparted", 220, {"member": "a", "reason": "cut", "until": 200})
BACK = ("MemberReturned", 800, {"member": "a"})


def here(at: int, site: str = "s", *members: str) -> tuple[str, int, dict[str, Any]]:
    return ("HallConfirmed", 900, {"site": site, "at": at, "members": list(members or ("a",))})


def told(found: list[Line]) -> list[tuple[int, int | None, bool]]:
    return [(line.from_at, line.until_at, line.cut) for line in found]


def test_records_prolong_join_or_stand_alone() -> None:
    assert told(log(ARRIVED, CUT)) == [(100, 200, False)]
    assert told(log(ARRIVED, CUT, here(200 + JOIN_S))) == [(100, 200 + JOIN_S, True)]
    assert told(log(ARRIVED, CUT, here(201 + JOIN_S))) == [(100, 200, False), (291, 291, True)]
    assert told(log(ARRIVED, CUT, here(250, "other"))) == [(100, 200, False)]
    assert told(log(ARRIVED, CUT, here(250, "s", "b"))) == [(100, 200, False)]
    assert told(log(ARRIVED, CUT, here(150))) == [(100, 200, False)]
    # What was proved counts whether the member is back before or after the hall has told it.
    minutes = [here(at) for at in range(260, 800, 60)]
    assert told(log(ARRIVED, CUT, *minutes)) == [(100, 740, True)]
    assert told(log(ARRIVED, CUT, *minutes, BACK)) == told(log(ARRIVED, CUT, BACK, *minutes))
    assert told(log(ARRIVED, CUT, BACK, *minutes)) == [(100, None, True)]
    # Five minutes without a word are no stay: three intervals, two of them marked.
    apart = [here(at) for at in (260, 320, 740)]
    assert told(log(ARRIVED, CUT, BACK, *apart)) == [(100, 320, True), (740, None, True)]
    assert told(log(ARRIVED, CUT, here(260), BACK)) == [(100, 260, True), (800, None, False)]


async def test_the_server_itself_loses_a_silent_hall_and_tells_the_quorum(tmp_path: Path) -> None:
    """The whole server: the site is degraded, then lost, the quorum with it, and all come back with the relay."""
    async with support.serve(tmp_path) as house, aiohttp.ClientSession() as http:
        await house.enrol()
        await house.begin()
        await house.check_in("lan")
        people = [house.people[name] for name in ("lan", "jonas", "ana", "paul", "amira")]
        context = house.context
        hall = Hall(
            house.settings,
            house.clock,
            b"",
            context.database,
            context,
            VoteScheduler(context),
            people,
            {},
            house.meeting,
        )
        site = await add_site(hall)
        relay = await new_relay(hall, site, http)
        for person in people[1:]:
            await check_in_by_relay(hall, relay, site, person, house.clock())
        assert (await relay.send())["refused"] == []
        await relay.lease(*people[1:])
        await house.chair.post(house.path(f"/sites/{site}"), SITE | {"custodian": house.chair.member})
        test = {"rtt_ms": 600, "loss_permille": 10, "up_kbps": 64, "down_kbps": 64, "clock_ms": 0}
        await house.chair.post(house.path(f"/sites/{site}/test"), {**test, "sound": True, "picture": False})
        await relay.lease(*people[1:])
        heard = await support.connect(house, "lan")
        house.clock.at += DEGRADED_S
        await heard.until(lambda: "SiteDegraded" in heard.kinds())
        assert "QuorumLost" not in heard.kinds()
        house.clock.at += house.settings.site_lost_s - DEGRADED_S
        await heard.until(lambda: {"SiteLost", "QuorumLost"} <= set(heard.kinds()))
        assert (await house.view("lan"))["quorum"]["present"] == 1
        await relay.lease(*people[1:])
        await heard.until(lambda: {"SiteRejoined", "QuorumReached"} <= set(heard.kinds()))
        assert (await house.view("lan"))["quorum"]["present"] == 5
