"""What every browser test stands on: browser, people with passkeys, axe, screenshots.

Everything is asynchronous (Playwright's async API), so that five people can act at once.
The server side is in ``serving.py``.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, CDPSession, ConsoleMessage, Page, Playwright, expect
from tests.browser.serving import HALL_HOST, TEST_HOST, Origin
from tests.chromium import ALLOW_DEVICES, FLAGS
from tools.house import find_chromium

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "test-results" / "shots"
SHOT_SIZES = ((360, 640), (1280, 800))
PHONE = (360, 640)
PATIENCE_MS = 60_000
"""How long a page may take to show what is waited for: five browsers on two cores are slow, not wrong."""
expect.set_options(timeout=PATIENCE_MS)

BROWSER_FLAGS = (*FLAGS, ALLOW_DEVICES, f"--host-resolver-rules=MAP {TEST_HOST} 127.0.0.1, MAP {HALL_HOST} 127.0.0.1")

_RECORD_PEERS = """
(() => {
  const Native = window.RTCPeerConnection;
  if (!Native) return;
  window.__peers = [];
  window.RTCPeerConnection = class extends Native {
    constructor(...given) { super(...given); window.__peers.push(this); }
  };
})();
"""

_READ_STATS = """
async () => {
  const all = [];
  for (const peer of window.__peers ?? []) {
    if (peer.connectionState === "closed") continue;
    for (const entry of (await peer.getStats()).values()) {
      if (entry.type === "inbound-rtp" || entry.type === "outbound-rtp") all.push({...entry});
    }
  }
  return all;
}
"""


async def launch_browser(playwright: Playwright, origin: Origin, home: Path) -> Browser:
    """Start the run's one Chromium, with its own HOME so that nobody's profile is touched.

    It trusts the test authority through a certificate store of that HOME; where ``certutil`` is
    missing, it is told to accept the one key of the test certificate instead.
    """
    chromium = find_chromium()
    if chromium is None:
        raise AssertionError("no Chromium: install the package chromium or set CHROME_BIN")
    flags = list(BROWSER_FLAGS)
    if origin.authority is not None and not origin.authority.trust_in(home):
        flags.append(f"--ignore-certificate-errors-spki-list={origin.authority.key_pin}")
    return await playwright.chromium.launch(
        executable_path=chromium, headless=True, args=flags, env={**os.environ, "HOME": str(home)}
    )


@dataclass
class Person:
    """One browser context with one page and a virtual authenticator that always says yes."""

    name: str
    context: BrowserContext
    page: Page
    cdp: CDPSession
    authenticator: str
    complaints: list[str] = field(default_factory=list)
    """Uncaught errors, console errors and refused resources of the page, in order."""

    async def credentials(self) -> list[dict[str, Any]]:
        """Return the passkeys in the authenticator, as CDP describes them."""
        answer = await self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        return list(answer["credentials"])

    async def refuse_verification(self) -> None:
        """Let the next user verification fail. The authenticator stays blocked: see :meth:`new_authenticator`."""
        await self.cdp.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": False}
        )

    async def new_authenticator(self, *, prf: bool = False) -> None:
        """Take another authenticator, empty, in place of this person's; with `prf` its passkeys can seal copies."""
        await self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator})
        self.authenticator = await _add_authenticator(self.cdp, prf=prf)

    async def forget(self, url: str) -> None:
        """Lose all that pages of this address keep in the browser's databases; cookies stay."""
        await self.cdp.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "indexeddb"})

    async def media(self) -> "MediaStats":
        """Return the sums over the page's live peer connections."""
        return MediaStats.of(await self.page.evaluate(_READ_STATS))

    async def close(self) -> None:
        """Close the context and everything in it."""
        await self.context.close()


@dataclass(frozen=True)
class MediaStats:
    """Sums of ``getStats`` over one page. Energy and frames rise only for tracks that an element plays."""

    frames_decoded: int
    audio_energy: float
    packets_lost: int
    tallest_received: int
    """Largest ``frameHeight`` of the received pictures: tells which simulcast layer arrives."""
    packets_sent: int
    entries: tuple[dict[str, Any], ...] = field(repr=False)

    @classmethod
    def of(cls, entries: list[dict[str, Any]]) -> "MediaStats":
        """Sum up the entries of all peer connections."""
        inbound = [entry for entry in entries if entry["type"] == "inbound-rtp"]
        outbound = [entry for entry in entries if entry["type"] == "outbound-rtp"]
        return cls(
            frames_decoded=sum(entry.get("framesDecoded", 0) for entry in inbound),
            audio_energy=sum(entry.get("totalAudioEnergy", 0.0) for entry in inbound),
            packets_lost=sum(entry.get("packetsLost", 0) for entry in inbound),
            tallest_received=max((entry.get("frameHeight", 0) for entry in inbound), default=0),
            packets_sent=sum(entry.get("packetsSent", 0) for entry in outbound),
            entries=tuple(entries),
        )


async def _add_authenticator(cdp: CDPSession, *, prf: bool = False) -> str:
    """Add a platform authenticator with discoverable keys and user verification; return its id."""
    answer = await cdp.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "ctap2Version": "ctap2_1",
                "hasPrf": prf,
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )
    return str(answer["authenticatorId"])


async def new_person(
    browser: Browser,
    base_url: str,
    name: str = "someone",
    *,
    size: tuple[int, int] = PHONE,
    locale: str = "en-GB",
    media: bool = True,
    worker: bool = False,
) -> Person:
    """Open a fresh context at ``base_url`` with a page and a virtual authenticator.

    With ``media`` the camera and microphone are granted (Chromium's moving test picture and beeps). Only with
    ``worker`` may the application's service worker start: it would answer requests that a test means to route.
    """
    context = await browser.new_context(
        base_url=base_url,
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        timezone_id="Europe/Berlin",
        accept_downloads=True,
        service_workers="allow" if worker else "block",
    )
    context.set_default_timeout(PATIENCE_MS)
    if media:
        await context.grant_permissions(["camera", "microphone"], origin=base_url)
    await context.add_init_script(_RECORD_PEERS)
    page = await context.new_page()
    cdp = await context.new_cdp_session(page)
    await cdp.send("WebAuthn.enable", {"enableUI": False})
    person = Person(name, context, page, cdp, await _add_authenticator(cdp))

    def heard(message: ConsoleMessage) -> None:
        if message.type == "error":
            person.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    page.on("console", heard)
    page.on("pageerror", lambda error: person.complaints.append(f"page error: {error}"))
    return person


async def until(
    happened: Callable[[], Any], what: str, *, deadline_s: float = PATIENCE_MS / 1000, every_s: float = 0.1
) -> Any:
    """Return the first truthy value of ``happened`` (called anew each time; may be async), else fail."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    while True:
        value = happened()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert loop.time() < end, f"did not happen within {deadline_s:.0f} s: {what}"
        await asyncio.sleep(every_s)


async def axe_findings(page: Page, *, impacts: Iterable[str] = ("serious", "critical")) -> list[dict[str, Any]]:
    """Run axe on the page as it stands; return the violations of these impacts."""
    source = (ROOT / "web_client" / "node_modules" / "axe-core" / "axe.min.js").read_text()
    # Through the debugger, not a script tag: the page's content security policy stays on.
    await page.evaluate(source)
    result = await page.evaluate("async () => await axe.run(document, {resultTypes: ['violations']})")
    wanted = set(impacts)
    return [finding for finding in result["violations"] if finding["impact"] in wanted]


def _where(finding: dict[str, Any]) -> str:
    """Name up to five elements that a finding is about."""
    return "; ".join(str(node["target"]) for node in finding["nodes"][:5])


async def assert_accessible(page: Page, screen: str) -> None:
    """Fail with each rule and the elements that break it, when axe finds anything serious."""
    findings = await axe_findings(page)
    lines = [f"{finding['id']} ({finding['impact']}), {finding['help']}: {_where(finding)}" for finding in findings]
    assert not lines, f"axe on {screen}:\n" + "\n".join(lines)


async def shoot(page: Page, name: str) -> list[Path]:
    """Write ``test-results/shots/NAME-360x640.png`` and ``-1280x800.png``; put the size back after."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    written = []
    for width, height in SHOT_SIZES:
        await resize(page, width, height)
        path = SHOTS / f"{name}-{width}x{height}.png"
        await page.screenshot(path=path, animations="disabled")
        written.append(path)
    if before is not None:
        await page.set_viewport_size(before)
    return written


async def resize(page: Page, width: int, height: int) -> None:
    """Give the page another size; what is drawn on wide screens alone comes and goes with the frame after that."""
    await page.set_viewport_size({"width": width, "height": height})
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def sideways_overflow(page: Page, *, width: int = 320) -> int:
    """Return by how many CSS pixels the page is wider than a phone of ``width``; put the size back."""
    before = page.viewport_size
    await resize(page, width, 640)
    root = "document.documentElement"
    overflow = await page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
    if before is not None:
        await page.set_viewport_size(before)
    return int(overflow)
