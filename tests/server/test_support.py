"""The support report over HTTP: one's own, anybody's for who presides, and honest when there is nothing to report."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.common import refusal
from tests.server.support import House, at_check_in, connect


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "binh", "paul", "amira", media_worker=True) as running:
        await running.check_in("lan", "binh")
        yield running


async def support(house: House, name: str, of: str = "") -> dict[str, Any]:
    rest = f"/support?member={house.people[of].member}" if of else "/support"
    return dict(await house.people[name].get(house.path(rest)))


async def join(house: House, name: str) -> None:
    heard = await connect(house, name)
    for method, data in (("capabilities", {}), ("create_transport", {"direction": "recv"})):
        assert "ok" in await heard.call("media", {"method": method, "data": data})
    assert "ok" in await heard.call("media", {"method": "set_ladder", "data": {"ceiling": 1}})


async def test_a_member_gets_the_own_report_and_the_chair_anybodys(house: House) -> None:
    await join(house, "binh")
    own = await support(house, "binh")
    assert (own["format"], own["meeting"], own["member"]) == (1, house.meeting, house.binh.member)
    assert (own["problem"], own["media"]["ceiling"], own["media"]["muted"]) == (None, 1, False)
    (transport,) = own["media"]["transports"]
    assert (transport["direction"], transport["ice"], transport["link"]["ceiling"]) == ("recv", "new", 1)
    theirs = await support(house, "lan", of="binh")
    assert theirs["media"]["transports"][0]["direction"] == "recv"
    await house.command("lan", "mute", member=house.binh.member)
    assert (await support(house, "lan", of="binh"))["media"]["muted"] is True


async def test_nobody_else_gets_it(house: House) -> None:
    await join(house, "binh")
    asked = house.path(f"/support?member={house.binh.member}")
    for name in ("ana", "jonas"):
        assert await refusal(house.people[name], asked, method="GET") == (403, "role.missing")
    assert (await refusal(house.stranger(), asked, method="GET"))[0] == 401
    unknown = "/api/meetings/nope/support"
    assert await refusal(house.lan, unknown, method="GET") == (404, "meeting.unknown")


async def test_the_report_names_nobody(house: House) -> None:
    await join(house, "lan")
    await join(house, "binh")
    text = json.dumps(await support(house, "binh"))
    assert house.lan.member not in text
    assert "127.0.0.1" not in text
    # Control: the seat that it is about is named once.
    assert text.count(house.binh.member) == 1


async def test_where_there_is_nothing_to_report_it_says_why(house: House) -> None:
    outside = await support(house, "binh")
    assert (outside["media"], outside["problem"]) == (None, "media.not-in-room")
    await join(house, "binh")
    pool = house.context.media._routers._pool
    os.kill(pool.pids[0], signal.SIGSTOP)  # a worker that hangs
    try:
        hanging = await support(house, "binh")
        assert (hanging["media"], hanging["problem"]) == (None, "media.timeout")
    finally:
        os.kill(pool.pids[0], signal.SIGCONT)
    assert (await support(house, "binh"))["media"]["transports"]
