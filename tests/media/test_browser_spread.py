"""Real Chromium pages on two workers of one room see and hear each other; one worker's death is the others' pause."""

import os
import signal
from pathlib import Path

import pytest
from playwright.async_api import async_playwright
from tests.chromium import ALLOW_DEVICES
from tests.media.page_server import ROOM, PageServer, bundle_page
from tests.media.test_browser_media import FRAMES_FROM_ALL, WIDTHS, enter, launch, publish, until

pytestmark = pytest.mark.browser
LARGE = f"async () => (await ({WIDTHS.strip()})()).some((width) => width >= 600)"
# Lines of a log, not what is there just now: the picture may be gone and back between two looks.
DROPPED = "folkmoot.log.includes('ended bela camera')"
AGAIN = f"{DROPPED} && folkmoot.videos().length === 1"


async def worker_of(server: PageServer, seat: str) -> int:
    part = server.signalling._rooms[ROOM].part_of(seat)
    assert part is not None
    for stats in await server.pool.stats():
        if any(pipe["router_id"] == part.router_id for pipe in stats["pipes"]):
            return int(stats["pid"])
    raise AssertionError("no worker serves this seat")


async def test_pages_on_two_workers_see_and_hear_each_other(tmp_path: Path) -> None:
    script = bundle_page(tmp_path)
    async with async_playwright() as driver:
        server = PageServer(script, tmp_path / "run", workers=2, seats_per_router=1)
        await server.start()
        browser = await launch(driver, ALLOW_DEVICES)
        try:
            context = await browser.new_context()
            anna, bela = [await enter(context, server, seat) for seat in ("anna", "bela")]
            for page in (anna, bela):
                await publish(page, 640, 360)
            for page in (anna, bela):
                await until(page, FRAMES_FROM_ALL, 1, seconds=60)
            # The layer that Bela's page asks for crosses the pipe: the largest, and not only the first to come.
            await until(bela, LARGE, seconds=60)
            assert await worker_of(server, "anna") != await worker_of(server, "bela")
            ends = [pipe for stats in await server.pool.stats() for pipe in stats["pipes"]]
            assert [(end["state"], end["mirrored"]) for end in ends] == [("connected", 2), ("connected", 2)]

            os.kill(await worker_of(server, "bela"), signal.SIGKILL)
            await anna.wait_for_function(DROPPED, timeout=60_000)
            await anna.wait_for_function(AGAIN, timeout=60_000)
            await until(anna, FRAMES_FROM_ALL, 1, seconds=60)
            reset = [whom for whom, event, _ in server.events if event == "room_reset"]
            assert reset == [frozenset({"bela"})]
            assert sum(int(stats["contained_errors"]) for stats in await server.pool.stats()) == 0
        finally:
            await browser.close()
            await server.stop()
