"""Attendance, leases, quorum and the floor over HTTP and as folds over events."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.server.common import START, refusal
from tests.server.support import House, at_check_in

from folkmoot_server.commands import attendance
from folkmoot_server.domain.attendance import Line, Presence, fold, judge_lease, write_csv
from folkmoot_server.domain.errors import Conflict, WrongState

AWAY_S, LOST_S = 45, 120


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.realtime._housekeeping.close()  # here the tests say when leases are judged
        yield running


async def expire(house: House, since: int = START) -> bool:
    now = house.clock.at
    return await house.context.database.write(lambda tx: attendance.expire_leases(tx, now, AWAY_S, LOST_S, since))


async def lease(house: House, name: str) -> int:
    member = house.people[name].member
    return await house.context.database.write(
        lambda tx: attendance.take_lease(tx, house.meeting, member, house.clock.at)
    )


async def renew(house: House, name: str, epoch: int) -> None:
    member = house.people[name].member
    await house.context.database.write(lambda tx: attendance.renew(tx, house.meeting, member, epoch, house.clock.at))


async def present(house: House) -> list[str]:
    return await house.context.database.read(lambda tx: attendance.presence(tx, house.meeting))


async def lines(house: House) -> list[dict[str, Any]]:
    return list((await house.lan.get(house.path("/attendance")))["lines"])


async def test_a_silent_member_is_away_and_then_lost_at_the_last_renewal(house: House) -> None:
    await house.check_in("lan", "ana")
    lan, ana = await lease(house, "lan"), await lease(house, "ana")
    house.clock.at = START + 30
    await renew(house, "lan", lan)
    await renew(house, "ana", ana)
    house.clock.at = START + 30 + AWAY_S - 1
    await renew(house, "lan", lan)
    assert await expire(house) is False
    house.clock.at += 1
    assert await expire(house) is True
    away = {one["name"]: one["state"] for one in (await house.view("lan"))["present"]}
    assert away == {"Lan Nguyen": "present", "Ana Silva": "away"}
    assert await expire(house) is False  # told once
    house.clock.at = START + 30 + LOST_S
    await renew(house, "lan", lan)
    assert await expire(house) is True
    assert await present(house) == [house.lan.member]
    departed = (await house.events("MemberDeparted"))[0]
    assert departed["at"] == START + 30 + LOST_S
    assert departed["body"] == {"member": house.ana.member, "reason": "lost", "until": START + 30}
    house.clock.at += 100
    await renew(house, "lan", lan)
    await renew(house, "ana", ana)
    assert (await house.events("MemberReturned"))[0]["body"] == {"member": house.ana.member}
    of_ana = [line for line in await lines(house) if line["name"] == "Ana Silva"]
    assert [(line["from"], line["until"]) for line in of_ana] == [
        (START, START + 30),
        (START + 30 + LOST_S + 100, None),
    ]


async def test_who_comes_back_in_time_keeps_the_interval(house: House) -> None:
    await house.check_in("ana")
    epoch = await lease(house, "ana")
    house.clock.at += AWAY_S
    await expire(house)
    await renew(house, "ana", epoch)
    assert [event["type"] for event in (await house.events())[-2:]] == ["MemberAway", "MemberReturned"]
    assert [(line["from"], line["until"]) for line in await lines(house)] == [(START, None)]


async def test_only_the_newest_connection_renews(house: House) -> None:
    await house.check_in("ana")
    old = await lease(house, "ana")
    new = await lease(house, "ana")
    assert new == old + 1
    with pytest.raises(Conflict, match="superseded"):
        await renew(house, "ana", old)
    await renew(house, "ana", new)


async def test_no_lease_runs_while_the_server_is_down(house: House) -> None:
    await house.check_in("ana")
    await lease(house, "ana")
    house.clock.at += 1200
    restarted = house.clock.at
    assert await expire(house, since=restarted) is False
    house.clock.at += LOST_S
    assert await expire(house, since=restarted) is True
    body = (await house.events("MemberDeparted"))[0]["body"]
    assert body["until"] == START  # nobody saw the member since then
    assert await expire(house, since=START) is False  # the control: the same silence without the restart ends it
    await house.check_in("binh")
    house.clock.at += LOST_S
    assert await expire(house, since=START) is True


async def test_who_left_must_check_in_again(house: House) -> None:
    await house.check_in("ana")
    epoch = await lease(house, "ana")
    house.clock.at += 5
    await house.command("ana", "leave")
    with pytest.raises(WrongState, match="not-present"):
        await renew(house, "ana", epoch)
    with pytest.raises(WrongState, match="not-checked-in"):
        await lease(house, "binh")
    assert await house.refused("ana", "leave") == "attendance.not-present"
    house.clock.at += 5
    await house.check_in("ana")
    got = [(line["from"], line["until"], len(line["events"])) for line in await lines(house)]
    assert got == [(START, START + 5, 2), (START + 10, None, 1)]


async def test_checking_in_twice_is_one_interval_that_cites_both(house: House) -> None:
    await house.check_in("ana")
    await house.check_in("ana")
    assert len(await present(house)) == 1
    found = await lines(house)
    assert len(found) == 1
    assert len(found[0]["events"]) == 2


async def test_the_quorum_is_told_when_it_is_reached_and_lost(house: House) -> None:
    await house.check_in("lan", "ana", "paul")
    assert await house.events("QuorumReached") == []
    await house.check_in("binh")
    assert (await house.events("QuorumReached"))[0]["body"] == {"present": 4, "needed": 4}
    await house.check_in("greta")
    assert len(await house.events("QuorumReached")) == 1
    await house.command("greta", "leave")
    assert await house.events("QuorumLost") == []
    await house.command("binh", "leave")
    assert (await house.events("QuorumLost"))[0]["body"] == {"present": 3, "needed": 4}
    assert (await house.view("lan"))["quorum"]["met"] is False


async def test_closing_is_no_loss_of_quorum_and_ends_every_interval(house: House) -> None:
    await house.check_in("lan", "ana", "paul", "binh")
    await house.command("lan", "open")
    house.clock.at += 50
    await house.command("lan", "close")
    assert await house.events("QuorumLost") == []
    assert {line["until"] for line in await lines(house)} == {START + 50}
    assert await house.refused("lan", "raise-hand") == "meeting.wrong-state"
    assert (await refusal(house.binh, house.path("/check-in/begin")))[0] == 409


async def test_the_file_is_for_officers_and_the_auditor(house: House) -> None:
    await house.check_in("lan", "ana")
    house.clock.at += 61
    await house.command("ana", "leave")
    assert await refusal(house.binh, house.path("/attendance.csv"), method="GET") == (403, "role.missing")
    status, raw = await house.auditor.raw("GET", house.path("/attendance.csv"))
    assert status == 200
    assert (await house.secretary.raw("GET", house.path("/attendance.csv")))[1] == raw
    rows = list(csv.DictReader(io.StringIO(raw.decode())))
    assert [(row["name"], row["reason"]) for row in rows] == [("Lan Nguyen", ""), ("Ana Silva", "left")]
    assert rows[1]["from"] == "2026-09-21T14:13:20Z"
    assert rows[1]["until"] == "2026-09-21T14:14:21Z"
    log = {event["seq"]: event for event in await house.events()}
    for row in rows:
        assert all(log[int(seq)]["body"]["member"] for seq in row["events"].split())


# -- the fold ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    seq: int
    type: str
    at: int
    body: dict[str, Any]


def log_of(*steps: tuple[str, int, dict[str, Any]]) -> list[Event]:
    return [Event(seq, kind, at, body) for seq, (kind, at, body) in enumerate(steps, 1)]


def test_the_fold_ignores_what_is_not_attendance_and_cites_what_is() -> None:
    log = log_of(
        ("MeetingOpened", 1, {}),
        ("MemberCheckedIn", 2, {"member": "a", "name": "A", "site": "main"}),
        ("HandRaised", 3, {"member": "a"}),
        ("MemberAway", 4, {"member": "a"}),
        ("MemberReturned", 5, {"member": "a"}),
        ("MemberDeparted", 9, {"member": "a", "reason": "lost", "until": 6}),
        ("MemberReturned", 12, {"member": "a"}),
    )
    assert fold(log) == [
        Line("a", "A", "main", 2, 6, "lost", [2, 5, 6], counted=[(2, 6)]),
        Line("a", "A", "main", 12, None, "", [7], counted=[(7, None)]),
    ]
    assert fold(log) == fold(log)
    assert all(fold(log[:cut] + log[cut + 1 :]) != fold(log) for cut in (1, 4, 5, 6))  # the control


moves = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["in", "out", "back"]), st.integers(0, 5)))


@given(moves)
def test_intervals_of_one_member_never_overlap_and_the_bytes_are_the_same(steps: list[tuple[str, str, int]]) -> None:
    at, log, here = 0, [], set()
    for member, what, wait in steps:
        at += wait
        if what == "out" and member in here:
            here.discard(member)
            body = {"member": member, "reason": "left", "until": at}
            log.append(Event(len(log) + 1, "MemberDeparted", at, body))
        elif what == "in" or (what == "back" and member not in here):
            here.add(member)
            kind = "MemberCheckedIn" if what == "in" else "MemberReturned"
            body = {"member": member, "name": member, "site": "main"}
            log.append(Event(len(log) + 1, kind, at, body))
    found = fold(log)
    for member in "abc":
        own = [line for line in found if line.member == member]
        assert all(first.until_at is not None for first in own[:-1])
        assert all((first.until_at or 0) <= second.from_at for first, second in pairwise(own))
        assert (bool(own) and own[-1].until_at is None) == (member in here)
    codes = {"a": "1"}
    assert write_csv(found, codes, lambda _: "") == write_csv(fold(list(log)), codes, lambda _: "")


def test_a_name_cannot_be_a_formula() -> None:
    raw = write_csv([Line("a", "=HYPERLINK(1)", "main", 0, 0, "left", [1])], {}, lambda _: "").decode()
    assert "'=HYPERLINK(1)" in raw
    assert "\n=" not in raw


@pytest.mark.parametrize(
    ("silent_s", "verdict"),
    [(0, Presence.PRESENT), (44, Presence.PRESENT), (45, Presence.AWAY), (119, Presence.AWAY), (120, Presence.LOST)],
)
def test_leases_are_judged_by_the_second(silent_s: int, verdict: Presence) -> None:
    assert judge_lease(100, 0, 100 + silent_s, AWAY_S, LOST_S) is verdict
    assert judge_lease(0, 100, 100 + silent_s, AWAY_S, LOST_S) is verdict


# -- the floor ---------------------------------------------------------------------------------------------------


async def test_hands_and_the_floor(house: House) -> None:
    await house.check_in("lan", "ana", "paul")
    await house.command("ana", "raise-hand")
    seq = await house.command("ana", "raise-hand")
    assert seq == (await house.view("lan"))["seq"]
    await house.command("paul", "raise-hand")
    await house.command("paul", "lower-hand")
    await house.command("lan", "grant-floor", member=house.ana.member)
    await house.command("lan", "set-floor-mode", mode="chaired")
    view = await house.view("lan")
    ana = next(one for one in view["present"] if one["name"] == "Ana Silva")
    assert (ana["hand"], ana["floor"]) == (None, True)
    assert view["floor"] == {"mode": "chaired"}
    await house.command("lan", "withdraw-floor", member=house.ana.member)
    kinds = [event["type"] for event in await house.events()][-7:]
    assert kinds == [
        "HandRaised",
        "HandRaised",
        "HandLowered",
        "HandLowered",
        "FloorGranted",
        "FloorModeSet",
        "FloorWithdrawn",
    ]


async def test_leaving_takes_hand_and_floor(house: House) -> None:
    await house.check_in("lan", "ana")
    await house.command("lan", "grant-floor", member=house.ana.member)
    await house.command("ana", "raise-hand")
    await house.command("ana", "leave")
    assert await house.refused("lan", "grant-floor", member=house.ana.member) == "attendance.not-present"
    await house.check_in("ana")
    ana = next(one for one in (await house.view("lan"))["present"] if one["name"] == "Ana Silva")
    assert (ana["hand"], ana["floor"]) == (None, False)


async def test_muting(house: House) -> None:
    await house.check_in("lan", "ana", "paul")

    async def muted() -> set[str]:
        return {one["name"].split()[0] for one in (await house.view("lan"))["present"] if one["muted"]}

    await house.command("lan", "mute", member=house.ana.member)
    assert await muted() == {"Ana"}
    await house.command("ana", "unmute", member=house.ana.member)
    assert await muted() == set()
    assert await house.refused("paul", "unmute", member=house.ana.member) == "role.missing"
    await house.command("lan", "mute-all")
    assert await muted() == {"Ana", "Paul"}
    await house.command("lan", "unmute", member=house.paul.member)
    assert await muted() == {"Ana"}
    await house.command("lan", "grant-floor", member=house.ana.member)
    assert await muted() == set()


async def test_removal_bars_the_way_back_until_readmission(house: House) -> None:
    await house.check_in("lan", "ana")
    epoch = await lease(house, "ana")
    house.clock.at += 10
    await house.command("lan", "remove", member=house.ana.member)
    me = (await house.view("ana"))["me"]
    assert (me["checked_in"], me["entitled"], me["removed"]) == (False, True, True)
    assert await refusal(house.ana, "/api/socket-ticket", {"meeting": house.meeting}) == (403, "meeting.removed")
    assert await house.refused("ana", "raise-hand") == "meeting.removed"
    with pytest.raises(Exception, match="removed"):
        await renew(house, "ana", epoch)
    with pytest.raises(Exception, match="removed"):
        await house.check_in("ana")
    assert await house.refused("lan", "remove", member=house.ana.member) == "meeting.removed-already"
    assert await house.refused("lan", "remove", member=house.lan.member) == "meeting.chair-stays"
    assert (await house.view("lan"))["removed"] == [{"member": house.ana.member, "name": "Ana Silva"}]
    await house.command("lan", "readmit", member=house.ana.member)
    assert (await house.view("lan"))["removed"] == []
    assert await house.refused("lan", "readmit", member=house.ana.member) == "meeting.not-removed"
    house.clock.at += 10
    await renew(house, "ana", epoch)
    of_ana = [line for line in await lines(house) if line["name"] == "Ana Silva"]
    assert [(line["from"], line["until"]) for line in of_ana] == [(START, START + 10), (START + 20, None)]
