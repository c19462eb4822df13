"""Commands that arrive together: the room ends up as the database says, and old sessions give way to new ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from tests.server.support import House, at_check_in, refusal, sign_in

from folkmoot_server.commands import floor
from folkmoot_server.commands.floor import Speakers
from folkmoot_server.commands.identity import SESSIONS_MAX
from folkmoot_server.storage import schema
from folkmoot_server.storage.database import Database, StoreClosedError


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh") as running:
        await running.check_in("lan", "binh")
        yield running


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when somebody has read who may be heard; that first reading is then held up for a second."""
    real, made = floor.speakers, threading.Event()

    def speakers(tx: Connection, meeting: str, now: int) -> Speakers:
        found, first = real(tx, meeting, now), not made.is_set()
        made.set()
        if first:
            threading.Event().wait(1.0)
        return found

    monkeypatch.setattr(floor, "speakers", speakers)
    return made


async def test_the_room_follows_the_last_floor_mode(house: House, reading: threading.Event) -> None:
    first = asyncio.create_task(house.command("lan", "set-floor-mode", mode="chaired"))
    assert await asyncio.to_thread(reading.wait, 10)
    await asyncio.gather(first, house.command("lan", "set-floor-mode", mode="open"))
    assert (await house.view("lan"))["floor"]["mode"] == "open"
    assert house.context.media._rooms[house.meeting].mode == "open"


async def test_the_room_follows_the_last_mute(house: House, reading: threading.Event) -> None:
    first = asyncio.create_task(house.command("lan", "mute", member=house.binh.member))
    assert await asyncio.to_thread(reading.wait, 10)
    await asyncio.gather(first, house.command("lan", "unmute", member=house.binh.member))
    assert house.context.media._rooms[house.meeting].muted == set()


async def test_a_member_has_so_many_sessions_and_no_more(house: House) -> None:
    def count(tx: Connection) -> int:
        query = select(func.count()).where(schema.session.c.member == house.binh.member)
        return int(tx.execute(query).scalar_one())

    for _ in range(SESSIONS_MAX + 5):
        house.clock.at += 1
        stranger = house.stranger()
        stranger.authenticator = house.binh.authenticator
        await sign_in(stranger)
    assert await house.context.database.read(count) == SESSIONS_MAX
    assert await refusal(house.binh, "/api/session", method="GET") == (401, "session.none")  # the oldest
    assert (await refusal(stranger, "/api/session", method="GET"))[0] == 200


async def test_reading_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Database(tmp_path / "store.db")
    store.close()
    with pytest.raises(StoreClosedError):
        await store.read(lambda _tx: None)
