"""Joining from a network that lets out nothing but TCP to port 443: how long until somebody is seen and heard.

    python loadtests/closed_net.py --json out.json          # as root: namespaces and TUN devices are made
    python loadtests/closed_net.py --kbit 512 --rtt-ms 600  # over another link than the usual three

The pages are at https://folkmoot.test; Debian's coturn with the configuration of config/deploy/coturn has a host of
its own, turn.folkmoot.test, and listens on port 443 of that. The member's Chromium is behind a router that translates
addresses, drops all UDP and all other TCP, and counts what it drops; names it knows itself. Name of the figure: M12.
Where no namespaces are to be had, or no translation of addresses, it says so and ends with 2.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests import coturn_host, name_server
from loadtests.halls_meeting import OFFICERS, Assembly
from loadtests.halls_net import Net, Place
from loadtests.halls_pages import Pages
from loadtests.halls_phone import ORIGIN, Figures
from loadtests.l0_link import Link
from loadtests.router import NoTranslationError, Router
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import async_playwright, expect
from tests.browser import steps, support
from tests.browser.support import Person
from tests.browser.votes import hand_over

from folkmoot_server.demo.client import DemoError
from folkmoot_server.demo.client import Person as Soft
from folkmoot_server.serving import raise_file_limit

LIMIT_S: Final = 10.0
LINKS: Final = ((10_000, 40), (2000, 200), (512, 600))
NOTHING_S: Final = 20.0
CUT_S: Final = 5.0

# When something first came of each kind, by the page's clock; `began` is the moment of the click on Join.
_WATCH = """
() => {
  window.__first = { began: null, frame: null, sound: null, sent: null };
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-testid=check-in-button]")) window.__first.began = performance.now();
  }, true);
  setInterval(async () => {
    for (const peer of window.__peers) {
      if (peer.connectionState === "closed") continue;
      for (const one of (await peer.getStats()).values()) {
        const now = performance.now();
        if (one.type === "inbound-rtp" && one.framesDecoded > 0) window.__first.frame ??= now;
        if (one.type === "inbound-rtp" && one.totalAudioEnergy > 0) window.__first.sound ??= now;
        if (one.type === "outbound-rtp" && one.packetsSent > 0) window.__first.sent ??= now;
      }
    }
  }, 50);
}
"""
_CHOSEN = """
async () => {
  const found = [];
  for (const peer of window.__peers) {
    if (peer.connectionState === "closed") continue;
    const all = await peer.getStats();
    for (const one of all.values()) {
      if (one.type !== "transport" || !one.selectedCandidatePairId) continue;
      const own = all.get(all.get(one.selectedCandidatePairId).localCandidateId);
      found.push([own.candidateType, own.relayProtocol ?? own.protocol].join("/"));
    }
  }
  return found;
}
"""
# In place of the credentials that the server gives, others go to the browser's relays.
_OTHER_CREDENTIALS = """
(() => {
  const [username, credential] = %s;
  const other = (one) => ({ ...one, username, credential });
  const change = (given) => ({ ...given, iceServers: (given?.iceServers ?? []).map(other) });
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Native {
    constructor(given, ...more) { super(change(given), ...more); }
    setConfiguration(given) { super.setConfiguration(change(given)); }
  };
})();
"""


class NotHereError(Exception):
    """This system gives no namespaces, no TUN devices or no translation of addresses."""


@dataclass
class Bench:
    """The meeting, whoever is seen and heard in it, and the closed network."""

    pages: Pages
    link: Link
    router: Router
    closed: Place
    chair: Person
    members: list[Soft]

    @property
    def assembly(self) -> Assembly:
        """The meeting."""
        return self.pages.assembly

    async def come(self, *scripts: str) -> Person:
        """Let another member, with camera and microphone, come from the closed network as far as the check-in."""
        soft = self.members.pop(0)
        person = await self.pages.page(self.closed, ORIGIN, soft.name, media=True)
        for script in scripts:
            await person.context.add_init_script(script)
        await hand_over(soft, person)
        await person.page.goto("/")
        await steps.click(person, "sign-in-button")
        await steps.see(person, "home")
        await person.page.goto(f"/meetings/{self.assembly.meeting}/check-in")
        for testid in ("check-in-mic", "check-in-camera"):
            await steps.by(person.page, testid).set_checked(True)
        await person.page.evaluate(_WATCH)
        return person

    async def join(self, person: Person) -> Figures:
        """Join and wait until the meeting is seen and heard there, and the member by the chair; return when."""
        seen = (await self.chair.media()).frames_decoded
        await steps.click(person, "check-in-button")

        async def all_of_it() -> Figures | None:
            first: Figures = await person.page.evaluate("window.__first")
            return None if None in first.values() else first

        first = await support.until(all_of_it, "the meeting is seen and heard in the closed network")

        async def seen_there() -> bool:
            return (await self.chair.media()).frames_decoded > seen + 2

        await support.until(seen_there, "the member is seen by the chair")
        await self.pages.hears(self.chair)
        found = {f"first {name}_s": round((first[name] - first["began"]) / 1000, 2) for name in ("frame", "sound")}
        return {**found, "first packet sent_s": round((first["sent"] - first["began"]) / 1000, 2)}

    async def chosen(self, person: Person) -> list[str]:
        """By what each of the page's connections goes."""
        return sorted(await person.page.evaluate(_CHOSEN))


async def make(net: Net, stack: AsyncExitStack, members: int) -> Bench:
    """Make the meeting with its chair's page, the relay for media, and the closed network."""
    host = await coturn_host.start(net, stack)
    assembly = Assembly(net, stack)
    await assembly.found(OFFICERS + members, host.settings)
    await assembly.enrol(assembly.links)
    await assembly.convene((), 0)
    await assembly.arrive()
    driver = await stack.enter_async_context(async_playwright())
    pages = Pages(assembly, driver, net.folder)
    pages.chair = chair = await pages.page(net.hub, ORIGIN, "chair", media=True)
    await hand_over(assembly.chair, chair)
    await chair.page.goto("/")
    await steps.click(chair, "sign-in-button")
    await steps.see(chair, "home")
    await chair.page.goto(f"/meetings/{assembly.meeting}/room")
    await steps.attribute(chair, "room", "data-media", "joined")
    for toggle in ("mic-toggle", "cam-toggle"):
        await steps.click(chair, toggle)
    link, end = await net.line()
    names = {**end.hosts, coturn_host.NAME: coturn_host.ADDRESS}
    closed, device = net.behind(end, net.links, "closed", names)
    await name_server.start(stack, end.name, net.ask_router(closed, net.links), names)
    router = Router(end.name, link.emulator.home_device, device)
    return Bench(pages, link, router, closed, chair, assembly.persons[OFFICERS:])


# -- what is tried ----------------------------------------------------------------------------------------------


async def through_443(bench: Bench, kbit: float, rtt_ms: float) -> Figures:
    """Join while only TCP to port 443 gets out; then a short cut, after which all must come again."""
    await bench.link.emulator.both(kbit=kbit, delay_ms=rtt_ms / 2)
    bench.router.open(tls_alone=True)
    person = await bench.come()
    found: Figures = {"kbit": kbit, "rtt_ms": rtt_ms, **await bench.join(person)}
    found["goes by"] = await bench.chosen(person)
    found["dropped"] = bench.router.dropped()
    found["back after a cut_s"] = await _cut(bench, person)
    found["goes by, after the cut"] = await bench.chosen(person)
    await person.close()
    return found


async def _cut(bench: Bench, person: Person) -> float | None:
    """Cut the link; return how long after it pictures were decoded again."""
    await bench.link.emulator.both(cut=True)
    await asyncio.sleep(CUT_S)
    await bench.link.emulator.both(cut=False)
    back, before = time.monotonic(), (await person.media()).frames_decoded

    async def again() -> bool:
        return (await person.media()).frames_decoded > before + 2

    try:
        await support.until(again, "pictures after the cut", every_s=0.2)
    except AssertionError:
        return None
    return round(time.monotonic() - back, 1)


async def expired(bench: Bench) -> Figures:
    """The control: with credentials whose time is over nothing comes, and the page says so in words."""
    bench.router.open(tls_alone=True)
    await bench.link.emulator.both(kbit=LINKS[0][0], delay_ms=LINKS[0][1] / 2)
    person = await bench.come(_OTHER_CREDENTIALS % json.dumps(coturn_host.expired("whoever")))
    await steps.click(person, "check-in-button")
    began = time.monotonic()
    words = steps.by(person.page, "media-barred")
    await expect(words).to_be_visible()
    said = round(time.monotonic() - began, 1)
    await asyncio.sleep(max(0.0, NOTHING_S - said))
    first = await person.page.evaluate("window.__first")
    found = {
        "words": await words.inner_text(),
        "said after_s": said,
        "came": {name: first[name] is not None for name in ("frame", "sound")},
        "dropped": bench.router.dropped(),
    }
    await bench.pages.picture(person.page, "closed-expired")
    await person.close()
    return found


async def without_firewall(bench: Bench, kbit: float, rtt_ms: float) -> Figures:
    """The control: through the same router without the firewall the browser goes straight to the server."""
    await bench.link.emulator.both(kbit=kbit, delay_ms=rtt_ms / 2)
    bench.router.open()
    person = await bench.come()
    found: Figures = {"kbit": kbit, "rtt_ms": rtt_ms, **await bench.join(person)}
    found["goes by"] = await bench.chosen(person)
    found["dropped"] = bench.router.dropped()
    await person.close()
    return found


def problems(result: Figures) -> list[str]:
    """Return what is not as it must be; the times are for whoever reads them."""
    found = []
    for one in result["M12"]:
        for when in ("goes by", "goes by, after the cut"):
            found += [f"{one['rtt_ms']} ms: {when} {way}" for way in one[when] if way != "relay/tls"]
            found += [] if one[when] else [f"{one['rtt_ms']} ms: {when} nothing"]
        found += [
            f"the firewall has dropped no {kind}" for kind in ("udp_out", "tcp_out") if not one["dropped"][kind]
        ]
        if one["back after a cut_s"] is None:
            found.append(f"{one['rtt_ms']} ms: nothing came after the cut")
    if any(result["expired"]["came"].values()) or not result["expired"]["words"]:
        found.append(f"with expired credentials: {result['expired']}")
    found += [
        f"without the firewall: {free}"
        for free in result["without firewall"]
        if any("relay" in one for one in free["goes by"]) or free["dropped"]["udp_out"]
    ]
    return found


async def run(options: argparse.Namespace) -> Figures:
    """Make everything and try it."""
    raise_file_limit()
    links = ((options.kbit, options.rtt_ms),) if options.kbit else LINKS
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="folkmoot-closed-")))
        net = Net(folder, 0, others=(coturn_host.NAME,))
        try:
            await net.open(stack)
            net.try_router()
        except (OSError, subprocess.CalledProcessError, NoTranslationError) as error:
            raise NotHereError(f"no closed network can be made here: {error}") from error
        bench = await make(net, stack, 2 * len(links) + 1)
        if options.out:
            bench.pages.out = options.out
        result: Figures = {"M12": []}
        for kbit, rtt_ms in links:
            result["M12"].append(await through_443(bench, kbit, rtt_ms))
            print(json.dumps(result["M12"][-1], indent=1), flush=True)
        result["expired"] = await expired(bench)
        print(json.dumps({"expired": result["expired"]}, indent=1), flush=True)
        result["without firewall"] = [await without_firewall(bench, *one) for one in links]
    result["problems"] = problems(result)
    result["late"] = [one for one in result["M12"] if max(one["first frame_s"], one["first sound_s"]) > LIMIT_S]
    result["load_average"] = round(os.getloadavg()[0], 2)
    return result


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Joining where only TCP to port 443 gets out")
    parser.add_argument("--kbit", type=float, help="over a link of this rate alone")
    parser.add_argument("--rtt-ms", type=float, default=40.0, help="and this round trip")
    parser.add_argument("--out", type=Path, help="keep pictures in this folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args(arguments)


def main() -> int:
    """Try, print and write the figures; return the exit status."""
    options = parse()
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    try:
        result = asyncio.run(run(options))
    except NotHereError as error:
        print(error, file=sys.stderr)
        return 2
    except (AssertionError, DemoError, PlaywrightError, RuntimeError, TimeoutError) as error:
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if result["problems"] or result["late"] else 0


if __name__ == "__main__":
    sys.exit(main())
