"""Setting the machine's clock does not reach a running meeting."""

import asyncio
import secrets
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.realtime.steady_clock import SteadyClock
from folkmoot_server.storage import schema
from folkmoot_server.storage.database import Database

DAY = 86_400


class Times:
    """A wall clock that can be set, and the time that really passes."""

    def __init__(self) -> None:
        self.wall, self.passed = 1_790_000_000.0, 500.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.passed += seconds


def test_it_goes_on_evenly_when_the_wall_clock_is_set() -> None:
    times = Times()
    clock = SteadyClock(lambda: times.wall, lambda: times.passed)
    times.advance(10)
    assert (clock(), clock.behind()) == (1_790_000_010, 0)
    times.wall += 3 * DAY
    times.advance(5)
    assert (clock(), clock.behind()) == (1_790_000_015, 3 * DAY)
    times.wall -= 4 * DAY
    assert (clock(), clock.behind()) == (1_790_000_015, -DAY)
    clock.adopt()
    assert (clock(), clock.behind()) == (1_790_000_015 - DAY, 0)


async def test_the_installation_keeps_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(data=tmp_path / "data", port=0, media_workers=1)
    running = await app.start(settings, app.open_database(settings))
    try:
        before, wall = running.context.now(), time.time
        monkeypatch.setattr(time, "time", lambda: wall() + 3 * DAY)
        assert app.now_s() >= before + 3 * DAY  # the control
        assert before <= running.context.now() < before + DAY
    finally:
        monkeypatch.undo()
        await running.stop()


async def test_the_wall_clock_is_followed_between_meetings_only(tmp_path: Path) -> None:
    times, database = Times(), Database(tmp_path / "folkmoot.db")
    clock = SteadyClock(lambda: times.wall, lambda: times.passed)

    def meeting(tx: Connection) -> None:
        tx.execute(schema.unit.insert().values(id="u", parent=None, name="Unit"))
        tx.execute(
            schema.meeting.insert().values(
                id=secrets.token_hex(4), unit="u", title="t", state="opened", starts_at=0, time_zone="UTC",
                quorum_num=1, quorum_den=2, floor_mode="open",
            )
        )  # fmt: skip

    await database.write(meeting)
    times.wall += DAY
    watching = asyncio.create_task(app.watch_clock(clock, database, every_s=0.0))
    for _ in range(100):
        await database.read(lambda _tx: None)
    assert clock.behind() == DAY
    await database.write(lambda tx: tx.execute(schema.meeting.update().values(state="closed")) and None)
    async with asyncio.timeout(30):
        while clock.behind():  # noqa: ASYNC110  a clock tells nobody that it was set
            await asyncio.sleep(0.01)
    watching.cancel()
    database.close()
