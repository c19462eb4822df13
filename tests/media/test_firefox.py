"""A real Firefox publishes and plays through a real worker, with Chromium and with another Firefox."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, async_playwright
from tests.chromium import ALLOW_DEVICES, FLAGS
from tests.media.firefox import Firefox
from tests.media.lossy_relay import Address, LossyRelay
from tests.media.page_server import ROOM, PageServer, bundle_page
from tools import house

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
CAMERA = "folkmoot.room.publishCamera({ width: 960, height: 540, frameRate: 10 })"
RECEIVED = """
async () => {
  const { receive } = await folkmoot.room.support();
  const busiest = (kind) => receive
    .filter((entry) => entry.type === 'inbound-rtp' && entry.kind === kind)
    .sort((one, other) => other.packetsReceived - one.packetsReceived)[0] ?? {};
  const video = busiest('video');
  const audio = busiest('audio');
  return {
    frames: video.framesDecoded ?? 0,
    width: video.frameWidth ?? 0,
    frozen: video.totalFreezesDuration ?? 0,
    asked: video.nackCount ?? 0,
    lost: (video.packetsLost ?? 0) + (audio.packetsLost ?? 0),
    came: (video.packetsReceived ?? 0) + (audio.packetsReceived ?? 0),
    voice: audio.packetsReceived ?? 0,
    energy: audio.totalAudioEnergy ?? 0,
  };
}
"""
SENT_WIDTHS = """
async () => (await folkmoot.room.stats()).outbound
  .filter((entry) => entry.rid !== '').sort((one, other) => one.rid < other.rid ? -1 : 1)
  .map((entry) => entry.frameWidth)
"""


class Tab(Protocol):
    """What a page of either browser can do here."""

    async def evaluate(self, expression: str, arg: Any = None, /) -> Any: ...
    async def click(self, selector: str, /) -> None: ...
    async def close(self) -> None: ...


Enter = Callable[[str, str], Awaitable[Tab]]


class CutRelay(LossyRelay):
    """A relay that can be cut: then nothing passes either way, as on a link that is gone."""

    cut = False

    def _from_clients(self) -> None:
        if self.cut:
            self._front.recvfrom(2048)
        else:
            super()._from_clients()

    def _from_worker(self, client: Address) -> None:
        if self.cut:
            self._ways[client].recv(2048)
        else:
            super()._from_worker(client)


class AskedServer(PageServer):
    """A page server that remembers which seat asked for what."""

    def __init__(self, script: Path, run_dir: Path, media_host: str) -> None:
        super().__init__(script, run_dir, media_host=media_host)
        self.asked: list[tuple[str, str]] = []

    async def _answer(self, socket: web.WebSocketResponse, seat: str, asked: dict[str, Any]) -> None:
        await super()._answer(socket, seat, asked)
        self.asked.append((seat, asked["method"]))


def own_address() -> str:
    """Return the address that packets to the outside carry: Firefox gathers no candidate on 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))  # nothing is sent; RFC 5737
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_page(tmp_path_factory.mktemp("page"))


@pytest_asyncio.fixture(loop_scope="module")
async def server(script: Path, tmp_path: Path) -> AsyncIterator[AskedServer]:
    running = AskedServer(script, tmp_path / "run", own_address())
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        running = await driver.chromium.launch(executable_path=house.find_chromium(), args=[*FLAGS, ALLOW_DEVICES])
        yield running
        await running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def firefox() -> AsyncIterator[Firefox]:
    running = await Firefox.start()
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def enter(server: AskedServer, chromium: Browser, firefox: Firefox) -> AsyncIterator[Enter]:
    """Open a seat's page in a browser ("firefox" or "chromium") and join."""
    opened: list[Tab] = []

    async def open_seat(browser: str, seat: str) -> Tab:
        url = f"{server.url}?seat={seat}"
        tab: Tab
        if browser == "firefox":
            tab = await firefox.open(url)
        else:
            fresh = await chromium.new_page()
            await fresh.goto(url)
            tab = fresh
        opened.append(tab)
        await tab.click("button")
        await until(tab, "() => folkmoot.room.state === 'connected'")
        return tab

    yield open_seat
    for tab in opened:
        await tab.close()


async def until(tab: Tab, predicate: str, argument: object = None) -> None:
    """Evaluate a predicate until it is true; the test's own time limit ends what never comes."""
    while await tab.evaluate(predicate, argument) is not True:  # noqa: ASYNC110 - the page cannot call us
        await asyncio.sleep(0.2)


async def grown(tab: Tab, key: str, by: float, start: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the tab has received when a figure has grown by so much."""
    begun = start or await tab.evaluate(RECEIVED)
    while True:
        now: dict[str, Any] = await tab.evaluate(RECEIVED)
        if now[key] >= begun[key] + by:
            return now
        await asyncio.sleep(0.2)


async def publish(tab: Tab) -> None:
    await tab.evaluate("folkmoot.room.publishMicrophone()")
    await tab.evaluate(CAMERA)
    await until(tab, f"async () => (await ({SENT_WIDTHS})()).join() === '240,480,960'")


async def seen_at(tab: Tab, width: int) -> None:
    """Wait until a picture of this width is played, and plays on."""
    await until(tab, f"async (width) => (await ({RECEIVED})()).width === width", width)
    await grown(tab, "frames", 10)


PAIRS = [("firefox", "chromium"), ("chromium", "firefox"), ("firefox", "firefox")]


@pytest.mark.parametrize(("publisher", "listener"), PAIRS)
async def test_sound_and_every_size_of_picture_arrive(enter: Enter, publisher: str, listener: str) -> None:
    anna, cleo = await enter(publisher, "anna"), await enter(listener, "cleo")
    await publish(anna)
    await seen_at(cleo, 960)
    begun = await cleo.evaluate(RECEIVED)
    playing = await grown(cleo, "frames", 40, begun)
    # A busy machine may stop the browsers themselves: what counts is that forty pictures come without a halt.
    while playing["frozen"] - begun["frozen"] > 0.2:
        begun, playing = playing, await grown(cleo, "frames", 40, playing)
    assert playing["voice"] - begun["voice"] > 100
    assert playing["energy"] > begun["energy"]
    for layer, width in ((0, 240), (1, 480), (2, 960)):
        await cleo.evaluate("(layer) => folkmoot.room.setPreferredLayer('anna', layer)", layer)
        await seen_at(cleo, width)
    ended = await cleo.evaluate(RECEIVED)
    assert ended["lost"] * 100 < ended["came"], "an unbroken sequence looks like no loss, whatever size is sent"


@pytest.mark.parametrize(("publisher", "listener"), PAIRS[:2])
async def test_a_paused_picture_stands_still_until_it_goes_on(
    enter: Enter, server: AskedServer, publisher: str, listener: str
) -> None:
    anna, cleo = await enter(publisher, "anna"), await enter(listener, "cleo")
    await publish(anna)
    await seen_at(cleo, 960)
    (camera,) = [
        entry["producer_id"]
        for entry in (await server.signalling.handle(ROOM, "anna", "list", {}))["producers"]
        if entry["source"] == "camera"
    ]
    await anna.evaluate("(id) => folkmoot.request('pause_producer', { producer_id: id })", camera)
    # The voice goes on and is the clock: what was on its way is shown within half a second of it.
    paused = await grown(cleo, "voice", 25)
    later = await grown(cleo, "voice", 100, paused)
    assert later["frames"] == paused["frames"]
    await anna.evaluate("(id) => folkmoot.request('resume_producer', { producer_id: id })", camera)
    resumed = await grown(cleo, "frames", 20, later)
    # The figure that says above that nothing froze does see two seconds of standing still.
    assert resumed["frozen"] - paused["frozen"] > 1.0


async def test_firefox_asks_again_for_what_is_lost(enter: Enter, server: AskedServer) -> None:
    relay = await server.lose(10)
    anna, cleo = await enter("chromium", "anna"), await enter("firefox", "cleo")
    await publish(anna)
    asked = await grown(cleo, "asked", 10)
    await grown(cleo, "frames", 40, asked)
    assert relay.dropped > 10
    while (await server.pool.stats())[0]["counters"]["resent"] < 10:  # noqa: ASYNC110 - statistics are asked for
        await asyncio.sleep(0.2)


async def test_a_link_that_was_gone_is_repaired_in_place(enter: Enter, server: AskedServer) -> None:
    relay = server.relay = CutRelay(await server._worker_port(), 0, server.media_host)
    anna, cleo = await enter("firefox", "anna"), await enter("firefox", "cleo")
    await publish(anna)
    await seen_at(cleo, 960)
    relay.cut = True
    cut = await cleo.evaluate(RECEIVED)
    while not {("anna", "restart_ice"), ("cleo", "restart_ice")} <= set(server.asked):  # noqa: ASYNC110 - the page cannot call us
        await asyncio.sleep(0.1)
    standing = await cleo.evaluate(RECEIVED)
    assert standing["frames"] - cut["frames"] < 10
    relay.cut = False
    back = await grown(cleo, "frames", 10, standing)
    await grown(cleo, "voice", 100, back)
    for tab in (anna, cleo):
        assert "state rebuilding" not in await tab.evaluate("folkmoot.log")
    assert server.asked.count(("anna", "create_transport")) == 2
    assert server.asked.count(("cleo", "create_transport")) == 1


async def test_firefox_sends_and_plays_over_tcp_where_its_udp_is_dropped(enter: Enter, server: AskedServer) -> None:
    relay = server.relay = CutRelay(await server._worker_port(), 0, server.media_host)
    relay.cut = server.tcp_open = True
    anna, cleo = await enter("firefox", "anna"), await enter("firefox", "cleo")
    await publish(anna)
    await seen_at(cleo, 960)
    await grown(cleo, "voice", 100)
    for seat in ("anna", "cleo"):
        told = (await server.signalling.report(ROOM, seat))["transports"]
        assert {(one["protocol"], one["dtls"]) for one in told} == {("tcp", "connected")}
