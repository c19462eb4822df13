"""A room with real Chromium pages for one test, and what their getStats says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, CDPSession, Page, async_playwright
from tests.chromium import ALLOW_DEVICES
from tests.media.page_server import PageServer, bundle_page
from tests.media.test_browser_media import launch

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrowserRoom:
    """One server and one browser; every page is a seat."""

    server: PageServer
    context: BrowserContext

    async def open(self, seat: str, **wishes: str) -> Page:
        """Load a seat's page, which has not joined yet; `wishes` are those of page_wishes.ts."""
        page = await self.context.new_page()
        await self.load(page, seat, **wishes)
        return page

    async def load(self, page: Page, seat: str, **wishes: str) -> None:
        """Load a seat's page into `page`."""
        query = "&".join(f"{name}={value}" for name, value in {"seat": seat, **wishes}.items())
        await page.goto(f"{self.server.url}?{query}")

    async def enter(self, seat: str, **wishes: str) -> Page:
        """Load a seat's page and join."""
        page = await self.open(seat, **wishes)
        await join(page)
        return page

    async def behind_link(self, seat: str, **wishes: str) -> tuple[Page, "EmulatedLink"]:
        """Load and join a seat's page whose traffic the browser itself can lose, delay and narrow."""
        page = await self.context.new_page()
        link = EmulatedLink(await self.context.new_cdp_session(page))
        await link.be()
        await self.load(page, seat, **wishes)
        await join(page)
        return page, link


class EmulatedLink:
    """Chromium's own emulation, which holds for a page's WebRTC sockets when it was on before they were made."""

    def __init__(self, session: CDPSession) -> None:
        self._session = session

    async def be(self, *, loss: float = 0.0, delay_ms: float = 1.0, down_kbit: float = 0.0) -> None:
        """Lose `loss` percent each way, delay by `delay_ms` each way, carry `down_kbit` down (0: everything)."""
        await self._session.send("Network.enable")
        await self._session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": delay_ms,
                "downloadThroughput": down_kbit * 125 or -1,
                "uploadThroughput": -1,
                "packetLoss": loss,
                "packetQueueLength": 0,
            },
        )


async def join(page: Page) -> None:
    """Tap on Join and wait until the page is connected."""
    await page.click("button")
    await page.wait_for_function("folkmoot.room.state === 'connected'")


async def figures(page: Page) -> list[Entry]:
    """Return every entry of getStats of every connection of the page."""
    entries: list[Entry] = await page.evaluate("folkmoot.figures()")
    return entries


def pick(entries: list[Entry], kind: str, direction: str = "inbound-rtp") -> list[Entry]:
    """Return the streams of one kind, without the one that mediasoup-client probes with."""
    streams = [entry for entry in entries if entry["type"] == direction and entry["kind"] == kind]
    return [entry for entry in streams if entry.get("mid") != "probator"]


def codec_of(entries: list[Entry], stream: Entry) -> str:
    """Return the media type of a stream's codec as the browser names it."""
    return next(str(entry["mimeType"]) for entry in entries if entry["id"] == stream["codecId"])


@asynccontextmanager
async def browser_room(tmp_path: Path) -> AsyncIterator[BrowserRoom]:
    """Run a server and a browser."""
    script = bundle_page(tmp_path)
    async with async_playwright() as driver:
        server = PageServer(script, tmp_path / "run")
        await server.start()
        browser = await launch(driver, ALLOW_DEVICES)
        try:
            yield BrowserRoom(server, await browser.new_context())
        finally:
            await browser.close()
            await server.stop()
