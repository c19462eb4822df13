"""Real Chromium pages publish and play through a real worker."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright
from tests.chromium import ALLOW_DEVICES, FLAGS
from tests.media.page_server import ROOM, PageServer, bundle_page
from tools import house

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
FRAMES_FROM_ALL = """
async (wanted) => {
  const { inbound } = await folkmoot.room.stats();
  const videos = inbound.filter((entry) => entry.kind === 'video' && entry.framesDecoded > 5);
  const voices = inbound.filter((entry) => entry.kind === 'audio' && entry.audioEnergy > 0.01);
  return videos.length >= wanted && voices.length >= wanted;
}
"""
ANNA_IN_SLOT_1 = "folkmoot.log.findLast((line) => line.startsWith('speaker 1')) === 'speaker 1 anna'"
NOBODY_IN_SLOT_1 = "folkmoot.log.findLast((line) => line.startsWith('speaker 1')) === 'speaker 1 -'"
WIDTHS = """
async () => {
  const { inbound } = await folkmoot.room.stats();
  return inbound.filter((entry) => entry.kind === 'video').map((entry) => entry.frameWidth);
}
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_page(tmp_path_factory.mktemp("page"))


@pytest_asyncio.fixture(loop_scope="module")
async def server(script: Path, tmp_path: Path) -> AsyncIterator[PageServer]:
    running = PageServer(script, tmp_path / "run")
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driver() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


async def launch(driver: Playwright, *extra: str) -> Browser:
    chromium = house.find_chromium()
    assert chromium is not None, "these tests need Chromium"
    return await driver.chromium.launch(executable_path=chromium, args=[*FLAGS, *extra])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(driver: Playwright) -> AsyncIterator[Browser]:
    running = await launch(driver, ALLOW_DEVICES)
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browser(chromium: Browser) -> AsyncIterator[BrowserContext]:
    context = await chromium.new_context()
    yield context
    await context.close()


async def enter(browser: BrowserContext, server: PageServer, seat: str) -> Page:
    page = await browser.new_page()
    await page.goto(f"{server.url}?seat={seat}")
    await page.click("button")
    await page.wait_for_function("folkmoot.room.state === 'connected'")
    return page


async def until(page: Page, predicate: str, argument: object = None, seconds: float = 90.0) -> None:
    """Evaluate an asynchronous predicate until it is true (wait_for_function takes a promise for true)."""
    async with asyncio.timeout(seconds):
        while await page.evaluate(predicate, argument) is not True:  # noqa: ASYNC110 - the page cannot call us
            await asyncio.sleep(0.2)


async def publish(page: Page, width: int, height: int) -> None:
    await page.evaluate("folkmoot.room.publishMicrophone()")
    size = {"width": width, "height": height, "frameRate": 10}
    await page.evaluate("(size) => folkmoot.room.publishCamera(size)", size)


async def test_two_publishers_and_a_listener(browser: BrowserContext, server: PageServer) -> None:
    anna, bela, listener = [await enter(browser, server, seat) for seat in ("anna", "bela", "cleo")]
    await publish(anna, 960, 540)
    await publish(bela, 640, 360)
    await until(listener, FRAMES_FROM_ALL, 2)
    await until(anna, FRAMES_FROM_ALL, 1)
    assert await listener.evaluate("folkmoot.videos()") == ["anna/camera", "bela/camera"]
    log = await listener.evaluate("folkmoot.log")
    assert {line.split()[2] for line in log if line.startswith("speaker") and line[-1] != "-"} == {"anna", "bela"}
    assert (await listener.evaluate("folkmoot.room.stats()"))["srtpCipher"] == "SRTP_AEAD_AES_128_GCM"

    # All three sizes are sent, and the listener's picture changes with its wish.
    await until(
        anna,
        "async () => (await folkmoot.room.stats()).outbound.filter((o) => o.rid && o.frameWidth > 0).length === 3",
    )
    await until(listener, f"async () => (await ({WIDTHS})()).includes(960)")
    await listener.evaluate("folkmoot.room.setPreferredLayer('anna', 0)")
    await until(listener, f"async () => (await ({WIDTHS})()).includes(240)")
    before = max(entry["framesDecoded"] for entry in (await listener.evaluate("folkmoot.room.stats()"))["inbound"])
    await until(
        listener,
        "async (n) => (await folkmoot.room.stats()).inbound.filter((e) => e.framesDecoded > n + 10).length > 0",
        before,
    )
    lost = [entry["packetsLost"] for entry in (await listener.evaluate("folkmoot.room.stats()"))["inbound"]]
    assert sum(lost) == 0, "an unbroken sequence looks like no loss at all"


async def test_media_comes_back_when_the_worker_is_killed(browser: BrowserContext, server: PageServer) -> None:
    anna, listener = await enter(browser, server, "anna"), await enter(browser, server, "cleo")
    await publish(anna, 640, 360)
    await until(listener, FRAMES_FROM_ALL, 1)
    (killed,) = server.pool.pids
    os.kill(killed, signal.SIGKILL)
    await listener.wait_for_function("folkmoot.log.includes('state rebuilding')", timeout=10_000)
    # The new transports' counters start at zero, so frames and energy here are new ones.
    await until(
        listener,
        f"async () => folkmoot.room.state === 'connected' && await ({FRAMES_FROM_ALL})(1)",
        seconds=10.0,
    )
    (running,) = server.pool.pids
    assert running != killed
    assert (None, "room_reset", {}) in server.events


async def test_the_chairs_mute_silences_a_voice_and_lifting_it_brings_it_back(
    browser: BrowserContext, server: PageServer
) -> None:
    anna, listener = await enter(browser, server, "anna"), await enter(browser, server, "cleo")
    await anna.evaluate("folkmoot.room.publishMicrophone()")
    await listener.wait_for_function("folkmoot.log.includes('speaker 1 anna')", timeout=20_000)
    await server.signalling.mute(ROOM, "anna", True)
    await listener.wait_for_function(NOBODY_IN_SLOT_1, timeout=10_000)
    await anna.wait_for_function("folkmoot.log.includes('muted true')", timeout=10_000)
    await server.signalling.mute(ROOM, "anna", False)
    await listener.wait_for_function(ANNA_IN_SLOT_1, timeout=10_000)


async def test_muting_oneself_sends_nothing(browser: BrowserContext, server: PageServer) -> None:
    anna, listener = await enter(browser, server, "anna"), await enter(browser, server, "cleo")
    await anna.evaluate("folkmoot.room.publishMicrophone()")
    await listener.wait_for_function("folkmoot.log.includes('speaker 1 anna')", timeout=20_000)
    await anna.evaluate("folkmoot.room.setMuted(true)")
    await listener.wait_for_function(NOBODY_IN_SLOT_1, timeout=10_000)
    sent = "async () => (await folkmoot.room.stats()).outbound[0].packetsSent"
    first = await anna.evaluate(sent)
    assert "source anna microphone paused" in await listener.evaluate("folkmoot.log")
    await anna.evaluate("folkmoot.room.setMuted(false)")
    await until(anna, f"async (n) => await ({sent})() > n + 10", first)
    await listener.wait_for_function(ANNA_IN_SLOT_1, timeout=10_000)


async def test_a_refused_camera_is_a_typed_error_and_the_room_goes_on(driver: Playwright, server: PageServer) -> None:
    refusing = await launch(driver, "--deny-permission-prompts")
    page = await enter(await refusing.new_context(), server, "anna")
    code = await page.evaluate("folkmoot.room.publishCamera().then(() => 'sent', (error) => error.code)")
    assert code == "media.permission-denied"
    assert await page.evaluate("folkmoot.room.state") == "connected"
    assert not await page.evaluate("folkmoot.room.isPublishing('camera')")
    await refusing.close()


async def test_packets_lost_on_the_way_down_are_sent_again(browser: BrowserContext, server: PageServer) -> None:
    relay = await server.lose(10)
    anna, listener = await enter(browser, server, "anna"), await enter(browser, server, "cleo")
    await publish(anna, 640, 360)
    await until(
        listener,
        """async () => {
          const video = (await folkmoot.room.stats()).inbound.find((entry) => entry.kind === 'video');
          return video !== undefined && video.packetsRepaired >= 10 && video.framesDecoded >= 40;
        }""",
        seconds=60.0,
    )
    assert relay.dropped > 10
    # The page counts as repaired what the worker sent twice only to try the link; the worker knows the difference.
    async with asyncio.timeout(60):
        while (await server.pool.stats())[0]["counters"]["resent"] < 10:  # noqa: ASYNC110 - statistics are asked for
            await asyncio.sleep(0.2)


async def test_a_shared_screen_is_seen_and_its_end_too(browser: BrowserContext, server: PageServer) -> None:
    anna, listener = await enter(browser, server, "anna"), await enter(browser, server, "cleo")
    await anna.evaluate("folkmoot.room.publishScreen()")
    frames = "async () => (await folkmoot.room.stats()).inbound.some((entry) => entry.framesDecoded > 2)"
    await until(listener, frames)
    assert await listener.evaluate("folkmoot.videos()") == ["anna/screen"]
    await anna.evaluate("folkmoot.room.stop('screen')")
    await until(listener, "() => folkmoot.videos().length === 0")
    assert (await listener.evaluate("folkmoot.log"))[-1] == "source anna screen off"


async def test_a_page_that_builds_anew_sends_and_sees_everything_again(
    browser: BrowserContext, server: PageServer
) -> None:
    anna, listener = await enter(browser, server, "anna"), await enter(browser, server, "cleo")
    await publish(anna, 640, 360)
    await until(listener, FRAMES_FROM_ALL, 1)
    for page in (anna, listener, anna):
        await page.evaluate("folkmoot.room.rebuild()")
        await until(listener, FRAMES_FROM_ALL, 1)
    assert await listener.evaluate("folkmoot.videos()") == ["anna/camera"]
    (worker,) = await server.pool.stats()
    assert worker["transports"] == 3


async def test_what_a_page_needs_is_asked_for_at_once_and_what_begins_meanwhile_is_seen(
    browser: BrowserContext, server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await enter(browser, server, "anna")
    asked: list[str] = []
    listed, sent = asyncio.Event(), asyncio.Event()
    handle = server.signalling.handle

    async def over_a_satellite(room: str, owner: str, method: str, data: object) -> dict[str, Any]:
        answer = await handle(room, owner, method, data)
        if owner == "bela":
            asked.append(method)
            if method == "list":
                listed.set()
            elif method == "capabilities":  # a page that waits for its answer asks for no list
                await listed.wait()
            elif method == "create_transport":
                await sent.wait()
        return answer

    monkeypatch.setattr(server.signalling, "handle", over_a_satellite)
    bela = await browser.new_page()
    await bela.goto(f"{server.url}?seat=bela")
    await bela.click("button")
    async with asyncio.timeout(10):
        await listed.wait()
    await publish(anna, 640, 360)  # the list is on its way to bela without it, the transport is not
    sent.set()
    await until(bela, FRAMES_FROM_ALL, 1)
    assert set(asked[:3]) == {"capabilities", "create_transport", "list"}
    assert await bela.evaluate("folkmoot.videos()") == ["anna/camera"]
