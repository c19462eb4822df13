"""Downloads are prepared one after the other, and one member cannot ask for many at once."""

import asyncio

import pytest

from folkmoot_server.domain.errors import TooMany
from folkmoot_server.web.handlers_export import Exports


async def test_one_at_a_time_and_one_for_each_member() -> None:
    exports, gate, running = Exports(), asyncio.Event(), []

    async def export(member: str) -> str:
        async with exports.turn(member):
            running.append(member)
            await gate.wait()
            running.remove(member)
            return member

    first, second = asyncio.create_task(export("ana")), asyncio.create_task(export("binh"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert running == ["ana"]
    for waiting in ("ana", "binh"):
        with pytest.raises(TooMany, match="download"):
            await export(waiting)
    gate.set()
    assert await asyncio.gather(first, second) == ["ana", "binh"]
    assert await export("ana") == "ana"
    assert not running
