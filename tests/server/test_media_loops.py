"""The media loop of a line test: whose it is, one for each hall, through a real worker, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import pytest_asyncio
from tests.media.test_drain import until
from tests.server import sites_support as support
from tests.server.common import refusal
from tests.server.support import CONNECT_S, House, at_check_in

from folkmoot_media.errors import MediaError
from folkmoot_server import sfu_client
from folkmoot_server.domain.errors import Conflict, TooMany
from folkmoot_server.realtime.media_loops import LOOPS_MAX, MediaLoops
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_server.web import site_limits

VOICE = {"side": "out", "method": "create_transport", "data": {"direction": "send"}}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, media_worker=True) as running:
        yield running


async def hall_of(house: House) -> tuple[str, str]:
    """A hall that Paul looks after; return its id and the path of its loops."""
    site = await support.add(house, house.jonas, house.paul.member)
    return site, house.path(f"/sites/{site}/loop")


def rooms(house: House) -> list[dict[str, Any]]:
    """What there is of loops at media signalling."""
    return [one for one in house.context.media.figures() if one["room"].startswith("line:")]


async def test_a_loop_is_the_custodians_alone_and_asks_like_a_seat(house: House) -> None:
    _, path = await hall_of(house)
    for other in (house.jonas, house.lan, house.binh):
        assert await refusal(other, path) == (403, "site.not-custodian")
    assert await refusal(house.paul, house.path("/sites/nowhere/loop")) == (404, "site.unknown")
    begun = await house.paul.post(path)
    assert begun["seconds"] == 60
    way = f"{path}/{begun['loop']}/media"
    transport = await house.paul.post(way, VOICE)
    assert transport["iceCandidates"]
    assert await refusal(house.lan, way, VOICE) == (403, "site.not-custodian")
    wrong = {**VOICE, "side": "chair"}
    assert await refusal(house.paul, way, wrong) == (400, "input.malformed")
    assert await refusal(house.paul, way, {**VOICE, "method": "shout"}) == (409, "media.unknown-method")
    connect = {"method": "restart_ice", "data": {"transport_id": transport["id"]}}
    assert await refusal(house.paul, way, {"side": "back", **connect}) == (409, "media.not-yours")
    assert (await house.paul.post(way, {"side": "out", **connect}))["iceParameters"]
    assert [(one["members"], one["transports"]) for one in rooms(house)] == [(2, 1)]
    await house.paul.post(f"{path}/{begun['loop']}/end")
    assert rooms(house) == []
    assert await refusal(house.paul, way, VOICE) == (409, "site.no-loop")
    await house.paul.post(f"{path}/{begun['loop']}/end")


async def test_a_hall_has_one_loop_and_the_newest_counts(house: House) -> None:
    _, path = await hall_of(house)
    first, second = [(await house.paul.post(path))["loop"] for _ in range(2)]
    assert await refusal(house.paul, f"{path}/{first}/media", VOICE) == (409, "site.no-loop")
    await house.paul.post(f"{path}/{first}/end")  # the older page goes away: nothing of the newer one ends
    assert (await house.paul.post(f"{path}/{second}/media", VOICE))["id"]
    assert len(rooms(house)) == 1


async def test_loops_are_counted_and_nothing_of_who_is_no_longer_custodian(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, path = await hall_of(house)
    monkeypatch.setattr(site_limits, "LOOPS_MAX", 2)
    loop = [(await house.paul.post(path))["loop"] for _ in range(2)][-1]
    assert await refusal(house.paul, path) == (429, "site.too-many-loops")
    wanted = {"name": "Hall 7", "custodian": house.binh.member, "expected": 12, "profile": 128}
    await house.jonas.post(house.path(f"/sites/{site}"), wanted)
    assert await refusal(house.paul, f"{path}/{loop}/media", VOICE) == (403, "site.not-custodian")
    assert (await house.binh.post(f"{path}/{loop}/media", VOICE))["id"]


async def test_without_a_worker_a_loop_says_so(tmp_path: Path) -> None:
    async with at_check_in(tmp_path) as house:
        _, path = await hall_of(house)
        loop = (await house.paul.post(path))["loop"]
        asked = {"side": "back", "method": "capabilities", "data": {}}
        assert await refusal(house.paul, f"{path}/{loop}/media", asked) == (409, "media.room-resetting")


# -- by itself ------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def signalling(tmp_path: Path) -> AsyncIterator[MediaSignalling]:
    """Signalling as in a hall's relay, where nobody is heard without the floor, over a real worker."""
    pool = MediaPool(MediaPoolSettings(tmp_path / "run", workers=1))
    with mock.patch.object(sfu_client, "START_TIMEOUT", CONNECT_S):
        await pool.start()
    made = MediaSignalling(pool, lambda *_: None, hall=True)
    yield made
    await made.close()
    await pool.close()


async def test_a_loop_that_nobody_ends_runs_out(signalling: MediaSignalling) -> None:
    loops = MediaLoops(signalling, seconds=0.5)
    loop = await loops.begin("m", "h")
    await until(lambda: signalling.figures() == [])
    with pytest.raises(Conflict):
        await loops.ask("m", "h", loop, "out", "list", {})
    assert loops.running == 0
    # The control: one with more time is still there.
    patient = MediaLoops(signalling)
    kept = await patient.begin("m", "h")
    assert (await patient.ask("m", "h", kept, "out", "list", {}))["muted"] is False
    await patient.close()
    assert signalling.figures() == []


async def test_in_a_hall_the_side_that_sends_is_heard(signalling: MediaSignalling) -> None:
    loops = MediaLoops(signalling)
    loop = await loops.begin("m", "h")
    listed = {side: await loops.ask("m", "h", loop, side, "list", {}) for side in ("out", "back")}
    assert {side: one["muted"] for side, one in listed.items()} == {"out": False, "back": True}
    with pytest.raises(MediaError):
        await signalling.handle("line:h:x", f"{loop}-out", "list", {})
    await loops.close()


async def test_so_many_halls_test_at_once_and_no_more(signalling: MediaSignalling) -> None:
    loops = MediaLoops(signalling)
    for number in range(LOOPS_MAX):
        await loops.begin("m", f"h{number}")
    with pytest.raises(TooMany, match="Too many halls"):
        await loops.begin("m", "one-more")
    await loops.begin("m", "h0")  # in place of its own
    assert loops.running == LOOPS_MAX
    await loops.close()
    assert signalling.figures() == []
