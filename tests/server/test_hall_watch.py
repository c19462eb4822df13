"""When halls are lost, to the millisecond: leases as they are noted, and looks at their very end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from tests.server.common import START
from tests.server.sites_support import hall_of, states
from tests.server.support import House, at_check_in

from folkmoot_server.commands import sites
from folkmoot_server.realtime.hall_watch import TICK_S, HallWatch
from folkmoot_server.realtime.steady_clock import SteadyClock, split
from folkmoot_server.storage import relays as relay_store
from folkmoot_server.storage import sites as store

LOST_S = 20


class Passed:
    """Seconds since `START`, as a test says."""

    def __init__(self) -> None:
        self.ms = 0

    def __call__(self) -> float:
        return self.ms / 1000


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.realtime._housekeeping.close()  # here the tests say when halls are lost
        yield running


def watch_of(house: House, passed: Passed) -> HallWatch:
    """A watch on the house, by a clock that the test moves."""
    clock = SteadyClock(lambda: float(START), passed)
    return HallWatch(replace(house.context, now=clock))


async def heard_at(house: House, site: str, now: int, ms: int) -> None:
    await house.context.database.write(lambda tx: sites.heard(tx, house.meeting, site, now, ms))


async def test_a_hall_is_lost_at_the_millisecond_at_which_its_lease_ends(house: House) -> None:
    site, passed = await hall_of(house), Passed()
    watch = watch_of(house, passed)
    await heard_at(house, site, START, 730)
    for ms, state in ((20_000, "connected"), (20_729, "connected"), (20_730, "lost")):
        passed.ms = ms
        await watch.tick()
        assert (await states(house))[site] == state, ms


async def test_control_a_lease_of_whole_seconds_ends_with_a_whole_second(house: House) -> None:
    site, passed = await hall_of(house), Passed()
    watch = watch_of(house, passed)
    await heard_at(house, site, START, 0)
    passed.ms = 20_000
    await watch.tick()
    assert (await states(house))[site] == "lost"


async def test_the_next_look_is_at_the_end_of_the_next_lease(house: House) -> None:
    site, passed = await hall_of(house), Passed()
    watch = watch_of(house, passed)
    await heard_at(house, site, START, 730)
    for ms, pause in ((0, TICK_S), (19_500, TICK_S), (20_000, 0.73), (20_729, 0.001)):
        passed.ms = ms
        assert await watch.pause() == pause, ms
    # What has ended is past, and the server does not look for it without a rest.
    passed.ms = 20_730
    await watch.tick()
    assert await watch.pause() == TICK_S


async def test_leases_begin_when_the_server_does(house: House) -> None:
    site, passed = await hall_of(house), Passed()
    watch = watch_of(house, passed)
    await heard_at(house, site, START, 730)
    watch.watching_since, passed.ms = START + 100, 119_400
    await watch.tick()
    assert (await states(house))[site] == "connected"
    assert await watch.pause() == 0.6


def test_a_clock_is_read_once_for_seconds_and_what_is_beyond() -> None:
    passed = Passed()
    clock = SteadyClock(lambda: 100.5, passed)
    passed.ms = 499
    assert (split(clock), clock()) == ((100, 999), 100)
    passed.ms = 500
    assert (split(clock), clock()) == ((101, 0), 101)
    assert split(lambda: 7) == (7, 0)


def test_a_database_of_an_earlier_version_keeps_its_leases_and_takes_new_ones() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as tx:
        tx.execute(text("CREATE TABLE site_lease (meeting, site, at INTEGER NOT NULL, PRIMARY KEY (meeting, site))"))
        tx.execute(text("CREATE TABLE relay_lease (relay PRIMARY KEY, at INTEGER NOT NULL)"))
        tx.execute(text("INSERT INTO site_lease VALUES ('m', 's', :at)"), {"at": START})
        tx.execute(text("INSERT INTO relay_lease VALUES ('r', :at)"), {"at": START})
        assert (store.lease_ms(tx, "m", "s"), store.lease_at(tx, "m", "s")) == (START * 1000, START)
        assert (relay_store.lease_ms(tx, "r"), relay_store.lease_at(tx, "r")) == (START * 1000, START)
        for ms in (0, 1, 730, 999):
            store.set_lease(tx, "m", "s", START, ms)
            relay_store.set_lease(tx, "r", START, ms)
            assert (store.lease_ms(tx, "m", "s"), store.lease_at(tx, "m", "s")) == (START * 1000 + ms, START)
            assert (relay_store.lease_ms(tx, "r"), relay_store.lease_at(tx, "r")) == (START * 1000 + ms, START)
        assert (store.lease_ms(tx, "m", "other"), relay_store.lease_ms(tx, "other")) == (0, 0)
