"""A client that is killed and restored again and again: its intervals are those of its own diary and of the log."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random  # noqa: TID251  times of a test; never keys
from typing import Any

import pytest
from tests.server.support import House, Socket, at_check_in, connect, sign_in

from folkmoot_server.domain.attendance import fold
from folkmoot_server.storage import events

KILLS = 20
LEASE_S, AWAY_S, LOST_S = 10, 45, 120
SLACK_S = 1
Span = tuple[int, int | None]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.realtime._housekeeping.close()  # here the test's clock says when leases are judged
        yield running


@dataclass
class Client:
    """A member's page; `diary` has when it was let in and when it was heard last, each time it was there."""

    house: House
    diary: list[tuple[int, int]] = field(default_factory=list)

    async def stay(self, seconds: int, until_killed: int) -> None:
        """Connect, renew the lease every ten seconds, and die `until_killed` seconds after the last time."""
        page = await connect(self.house, "ana")
        began = self.house.clock.at
        assert "epoch" in (await page.call("lease", {}))["ok"]
        for step in [*[LEASE_S] * (seconds // LEASE_S), seconds % LEASE_S]:
            await pass_time(self.house, step)
            assert "ok" in await page.call("lease", {})
        self.diary.append((began, self.house.clock.at))
        await pass_time(self.house, until_killed)
        await kill(page)

    def intervals(self) -> list[tuple[int, int]]:
        """What the diary comes to: who is back before being lost has been there all the time."""
        found = [self.diary[0]]
        for began, ended in self.diary[1:]:
            if began - found[-1][1] < LOST_S:
                found[-1] = (found[-1][0], ended)
            else:
                found.append((began, ended))
        return found


async def kill(page: Socket) -> None:
    """End the connection as the kernel does for a process that was killed: no word to the server."""
    page.client.eio.ws._response.connection.transport.abort()
    await page.until(lambda: page.gone)


async def pass_time(house: House, seconds: int) -> None:
    """Let time pass and the server do every second what is due."""
    keeper = house.realtime._housekeeping
    for _ in range(seconds):
        house.clock.at += 1
        await keeper._expire_leases()


async def sheet(house: House) -> list[Span]:
    """The member's lines of attendance.csv."""
    raw = (await house.secretary.raw("GET", house.path("/attendance.csv")))[1].decode()

    def at(text: str) -> int | None:
        return int(datetime.fromisoformat(text).timestamp()) if text else None

    rows = [row for row in csv.DictReader(io.StringIO(raw)) if row["name"] == "Ana Silva"]
    return [(at(row["from"]) or 0, at(row["until"])) for row in rows]


async def told(house: House) -> list[Span]:
    """The member's intervals by the events of the log, without the server's own sums."""
    found: list[Span] = []
    for event in await house.events():
        if event["body"].get("member") != house.ana.member:
            continue
        if event["type"] == "MemberCheckedIn" or (event["type"] == "MemberReturned" and found[-1][1] is not None):
            found.append((event["at"], None))
        elif event["type"] == "MemberDeparted":
            found[-1] = (found[-1][0], event["body"]["until"])
    return found


async def stored(house: House) -> list[Span]:
    """The member's intervals as the quorum is counted from them."""
    query = "SELECT from_at, until_at FROM attendance_interval WHERE member = ? ORDER BY from_at"
    rows = await house.context.database.read(lambda tx: tx.exec_driver_sql(query, (house.ana.member,)).all())
    return [(row[0], row[1]) for row in rows]


def fits(found: list[Span], diary: list[tuple[int, int]]) -> bool:
    """Whether these are the diary's intervals, each end within a second."""
    return len(found) == len(diary) and all(
        abs(began - at) <= SLACK_S and ended is not None and abs(ended - until) <= SLACK_S
        for (began, ended), (at, until) in zip(found, diary, strict=True)
    )


async def test_a_client_killed_and_restored_twenty_times_has_the_intervals_of_the_log(house: House) -> None:
    chance = Random(14)
    await house.check_in("ana")
    client = Client(house)
    # Back at once, while away, a second before being lost, at its very end, and long after it.
    gaps = [0, 1, AWAY_S - 1, AWAY_S, LOST_S - 2, LOST_S - 1, LOST_S, LOST_S + 1, 3 * LOST_S]
    for number in range(KILLS):
        await client.stay(chance.randint(1, 25), chance.randint(0, 1))
        last = client.diary[-1][1]
        gap = gaps[number % len(gaps)]
        await pass_time(house, max(0, last + gap - house.clock.at))
    await pass_time(house, LOST_S)
    assert len(client.diary) == KILLS

    expected = client.intervals()
    assert 1 < len(expected) < KILLS  # some of the gaps were bridged, and some were not
    for person in (house.lan, house.secretary):  # nobody has heard of them for an hour
        await sign_in(person)
    listed = [one for one in (await house.lan.get(house.path("/attendance")))["lines"] if one["name"] == "Ana Silva"]
    lines: list[Span] = [(one["from"], one["until"]) for one in listed]
    assert fits(lines, expected), (lines, expected)
    assert lines == await told(house) == await stored(house) == await sheet(house)
    assert all(first[1] is not None and first[1] <= second[0] for first, second in pairwise(lines))
    assert {event["body"]["reason"] for event in await house.events("MemberDeparted")} == {"lost"}
    # Counted once each time, and the curve's last point is a room without the member.
    points = (await house.lan.get(house.path("/quorum-curve")))["points"]
    assert {point["present"] for point in points} == {0, 1}
    assert points[-1]["present"] == 0


async def test_the_check_of_the_intervals_can_fail(house: House) -> None:
    diary = [(100, 200), (500, 600)]
    assert fits([(100, 199), (501, 600)], diary)
    for wrong in ([(100, 202), (500, 600)], [(100, 200)], [(100, 600)], [(100, 200), (500, None)], []):
        assert not fits(list(wrong), diary)
    # A server that forgets one event tells other intervals.
    await house.check_in("ana")
    client = Client(house)
    for _ in range(2):
        await client.stay(5, 0)
        await pass_time(house, LOST_S)
    log: list[Any] = await house.context.database.read(lambda tx: events.of_meeting(tx, house.meeting, 0))
    whole: list[Span] = [(line.from_at, line.until_at) for line in fold(log)]
    assert fits(whole, client.intervals())
    back = next(event.seq for event in log if event.type == "MemberReturned")
    less: list[Span] = [(line.from_at, line.until_at) for line in fold(one for one in log if one.seq != back)]
    assert not fits(less, client.intervals())
