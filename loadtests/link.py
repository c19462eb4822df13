"""Thin links with real browsers on both ends: what the ladder's profiles take, and what losses and outages do.

    python loadtests/link.py --json out.json            # as root: namespaces and TUN devices are made

A worker with its signalling and one Chromium (Anna, who speaks and has a camera) stand in one network namespace,
another Chromium (Lan, whose link it is) in a second one; all that Lan's page sends and gets, with signalling, goes
through the emulated link between them and is counted there. Before anything is believed, the link is checked against
its own settings. Names are those of the acceptance figures: M6, M8, M9, M10, M11.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests.emulator import HUB, Emulator
from loadtests.link_check import check
from playwright.async_api import Browser, Page, Playwright, async_playwright
from tests.chromium import ALLOW_DEVICES, FLAGS
from tests.media.page_server import ROOM, PageServer, bundle_page
from tools import house

Figures = dict[str, Any]
ROUND_TRIP = 0.6
THIN = {"link": 64, "opus": 12_000, "ptime": 60, "dtx": False, "video": None}
FREE = {"link": 0, "opus": 32_000, "ptime": 20, "dtx": True, "video": {"kbit": 2500, "frames": 30, "height": 720}}
CAMERA = {"width": 640, "height": 360, "frameRate": 15}
SETTLE_S, MEASURE_S = 20.0, 30.0
OUTAGES_S = (5, 20, 45, 60)
PAUSES_S = (0, 2, 5, 9)

_RECORD = """
(() => {
  const Native = window.RTCPeerConnection;
  window.__peers = [];
  window.RTCPeerConnection = class extends Native {
    constructor(...given) { super(...given); window.__peers.push(this); }
  };
})();
"""
_SAMPLE = """
() => {
  window.__samples = [];
  window.__sums = async () => {
    const sums = { at: Date.now() / 1000, audio: 0, video: 0, heard: 0, sentAudio: 0, sentVideo: 0, again: 0,
                   frames: 0, dropped: 0, askedAnew: 0, freezes: 0, streams: [], heardStreams: [],
                   peers: window.__peers.length };
    for (const peer of window.__peers) {
      if (peer.connectionState === "closed") continue;
      for (const one of (await peer.getStats()).values()) {
        if (one.type === "inbound-rtp" && one.mid !== "probator") {
          sums[one.kind] += one.bytesReceived;
          if (one.kind === "audio") sums.heard += one.packetsReceived;
          else {
            sums.frames += one.framesDecoded ?? 0;
            sums.dropped += one.framesDropped ?? 0;
            sums.askedAnew += (one.pliCount ?? 0) + (one.firCount ?? 0);
            sums.freezes += one.freezeCount ?? 0;
            sums.heardStreams.push(one.ssrc);
          }
        }
        if (one.type === "outbound-rtp") {
          sums[one.kind === "audio" ? "sentAudio" : "sentVideo"] += one.packetsSent;
          sums.again += one.retransmittedPacketsSent ?? 0;
          if (one.kind === "video") {
            sums.streams.push(one.ssrc);
          }
        }
      }
    }
    return sums;
  };
  setInterval(async () => window.__samples.push(await window.__sums()), 50);
}
"""


@dataclass
class Bench:
    """The link, the server in the hub, and a browser at each end."""

    link: Emulator
    server: PageServer
    hub: Browser
    home: Browser

    async def enter(self, browser: Browser, seat: str) -> Page:
        """Open the smallest page around a room's media and join."""
        context = await browser.new_context()
        await context.add_init_script(_RECORD)
        page = await context.new_page()
        await page.goto(f"{self.server.url}?seat={seat}", timeout=120_000)
        await page.click("button")
        await page.wait_for_function("folkmoot.room.state === 'connected'", timeout=120_000)
        await page.evaluate(_SAMPLE)
        return page

    async def leave(self, *pages: Page) -> None:
        """Close pages with their contexts, and let the room forget them."""
        for page in pages:
            await page.context.close()
        await self.link.both(kbit=10_000, delay_ms=0, loss=0.0, burst=1, cut=False)
        await asyncio.sleep(2)

    def told(self) -> list[Figures]:
        """What was told of Lan's link so far, the oldest first."""
        return [data for owner, event, data in self.server.events if owner == "lan" and event == "link_level"]


async def launch(driver: Playwright, url: str, namespace: str | None) -> Browser:
    """Start a Chromium, in another namespace if one is named."""
    chromium = house.find_chromium()
    if chromium is None:
        raise SystemExit("no Chromium: install the package chromium or set CHROME_BIN")
    command = chromium
    if namespace is not None:
        wrapper = Path(tempfile.mkdtemp()) / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} "{chromium}" "$@"\n')
        wrapper.chmod(0o755)
        command = str(wrapper)
    trust = f"--unsafely-treat-insecure-origin-as-secure={url.rstrip('/')}"
    return await driver.chromium.launch(executable_path=command, args=[*FLAGS, ALLOW_DEVICES, trust])


async def publish(page: Page, profile: Figures, *, camera: bool) -> None:
    """Send the microphone, and perhaps the camera, as a profile says."""
    await page.evaluate("(profile) => folkmoot.room.setProfile(profile)", profile)
    await page.evaluate("folkmoot.room.publishMicrophone()")
    if camera:
        await page.evaluate("(size) => folkmoot.room.publishCamera(size)", CAMERA)


async def sums(page: Page) -> Figures:
    """Return what the page has sent and got so far."""
    found: Figures = await page.evaluate("window.__sums()")
    return found


async def samples(page: Page) -> list[Figures]:
    """Return the sums of every twentieth of a second since the page joined."""
    found: list[Figures] = await page.evaluate("window.__samples")
    return found


# -- scenarios --------------------------------------------------------------------------------------------------


async def m6(bench: Bench) -> Figures:
    """64 kbit/s, 600 ms: what a member at the step "sound" takes each way while two people speak by turns."""
    result: Figures = {}
    for name, profile in (("speaker at 64", THIN), ("speaker unlimited", FREE)):
        anna = await bench.enter(bench.hub, "anna")
        await publish(anna, profile, camera=profile is FREE)
        await bench.link.both(kbit=64, delay_ms=300)
        lan = await bench.enter(bench.home, "lan")
        await lan.evaluate("folkmoot.request('set_ladder', { ceiling: 1 })")
        await publish(lan, THIN, camera=False)
        await asyncio.sleep(SETTLE_S)
        before, page = await bench.link.order(), await sums(lan)
        await asyncio.sleep(MEASURE_S)
        after, now = await bench.link.order(), await sums(lan)
        span = now["at"] - page["at"]
        result[name] = {
            "down_kbit": round((after["down"]["octets"] - before["down"]["octets"]) * 8 / MEASURE_S / 1000, 1),
            "up_kbit": round((after["up"]["octets"] - before["up"]["octets"]) * 8 / MEASURE_S / 1000, 1),
            "voice_packets_per_s_up": round((now["sentAudio"] - page["sentAudio"]) / span, 1),
            "voice_packets_per_s_down": round((now["heard"] - page["heard"]) / span, 1),
            "queue_drops": sum(after[way]["overflowed"] - before[way]["overflowed"] for way in ("down", "up")),
            "link_late_ms": round(max(after[way]["late_ms"] for way in ("down", "up")), 1),
        }
        await bench.leave(lan, anna)
    return result


def lost_of(streams: list[int], carried: Figures, before: Figures) -> tuple[int, int, int]:
    """Return how many packets of some streams came to the link meanwhile, were lost there, and ended a picture."""
    found = [0, 0, 0]
    for stream in map(str, streams):
        now, then = carried["streams"].get(stream, (0, 0, 0)), before["streams"].get(stream, (0, 0, 0))
        found = [one + after - earlier for one, after, earlier in zip(found, now, then, strict=True)]
    return found[0], found[1], found[2]


class AtWorker(NamedTuple):
    """Of Lan's camera the packets that never came; of the pictures that Lan gets what was sent, and sent again."""

    missing: int
    resent: int
    octets: int
    resent_octets: int


async def at_worker(bench: Bench) -> AtWorker:
    """Return what the worker counts of Lan's pictures."""
    report = await bench.server.signalling.report(ROOM, "lan")
    seen = [one for transport in report["transports"] for one in transport["consumers"] if one["kind"] == "video"]
    layers = [
        layer
        for transport in report["transports"]
        for producer in transport["producers"]
        if producer["source"] == "camera"
        for layer in producer["layers"]
    ]
    return AtWorker(
        sum(layer["lost"] for layer in layers),
        *(sum(one[name] for one in seen) for name in ("resent", "octets", "resent_octets")),
    )


async def m8(bench: Bench) -> Figures:
    """A camera each way over a lossy link: what was lost there, asked for, sent again, and never came.

    Upward the worker says which packets it never got, repairs counted. Downward the page asks for a key frame after
    every packet that was never repaired: no picture behind it can be decoded.
    """
    result: Figures = {}
    for loss, delay in ((0.2, 300), (0.02, 20)):
        await bench.link.both(kbit=4000, delay_ms=delay, loss=0.0)
        anna, lan = await bench.enter(bench.hub, "anna"), await bench.enter(bench.home, "lan")
        await publish(lan, FREE, camera=True)
        await publish(anna, FREE, camera=True)
        await asyncio.sleep(15)
        await bench.link.both(loss=loss)
        await asyncio.sleep(5)
        carried, before, heard = await bench.link.order(), await sums(lan), await sums(anna)
        worker = await at_worker(bench)
        await asyncio.sleep(2 * MEASURE_S)
        after, now, then = await bench.link.order(), await sums(lan), await sums(anna)
        told = await at_worker(bench)
        sent, lost, _ = lost_of(now["streams"], after["up"], carried["up"])
        sent_down, lost_down, pictures = lost_of(now["heardStreams"], after["down"], carried["down"])
        again, again_down = now["again"] - before["again"], told.resent - worker.resent
        gone = told.missing - worker.missing
        anew = now["askedAnew"] - before["askedAnew"]
        result[f"{loss:.0%}, {2 * delay} ms"] = {
            "up": {
                "packets": sent,
                "lost_on_the_link": lost,
                "sent_again_per_lost": round(again / max(1, lost), 2),
                "sent_again_share": round(again / max(1, sent), 3),
                "never_came": gone,
                "repaired": round(1 - gone / max(1, lost), 3),
            },
            "down": {
                "packets": sent_down,
                "lost_on_the_link": lost_down,
                "sent_again_per_lost": round(again_down / max(1, lost_down), 2),
                "sent_again_share": round(again_down / max(1, sent_down), 3),
                "sent_again_share_of_octets": round(
                    (told.resent_octets - worker.resent_octets) / max(1, told.octets - worker.octets), 3
                ),
                "pictures_sent": pictures,
                "pictures_decoded": now["frames"] - before["frames"],
                "pictures_dropped": now["dropped"] - before["dropped"],
                "freezes": now["freezes"] - before["freezes"],
                "key_frames_asked": anew,
                "repaired_at_least": round(1 - anew / max(1, lost_down), 3),
            },
            "frames_per_s_at_anna": round((then["frames"] - heard["frames"]) / 2 / MEASURE_S, 1),
            "frames_per_s_at_lan": round((now["frames"] - before["frames"]) / 2 / MEASURE_S, 1),
        }
        await bench.leave(lan, anna)
    return result


def longest_gap(series: list[Figures], start: float, end: float) -> float:
    """Return the longest time without a new voice packet, in seconds."""
    times, last = [start], None
    for one in series:
        if start <= one["at"] <= end and one["heard"] != last:
            times.append(one["at"])
            last = one["heard"]
    times.append(end)
    return max(after - before for before, after in itertools.pairwise(times))


async def m9(bench: Bench) -> Figures:
    """512 kbit/s, 600 ms, a tenth lost at random: the estimate; then 128 kbit/s: queue and voices."""
    anna = await bench.enter(bench.hub, "anna")
    await publish(anna, FREE, camera=True)
    await bench.link.both(kbit=512, delay_ms=300, loss=0.1)
    lan = await bench.enter(bench.home, "lan")
    await asyncio.sleep(30)
    early, before = len(bench.told()), await sums(lan)
    await asyncio.sleep(60)
    page = await sums(lan)
    came = page["video"] + page["audio"] - before["video"] - before["audio"]
    told = bench.told()[early:]
    await bench.link.both(kbit=128, loss=0.0)
    switched = time.time()
    await asyncio.sleep(3)
    await bench.link.order()
    await asyncio.sleep(7)
    settled = await bench.link.order()
    await asyncio.sleep(5)
    series = await samples(lan)
    result = {
        "received_kbit_from_30_to_90_s": round(came * 8 / 1000 / (page["at"] - before["at"]), 1),
        "estimates_told_from_30_to_90_s": [data["estimate_kbps"] for data in told],
        "levels_told_from_30_to_90_s": [data["level"] for data in told],
        "longest_queue_from_3_to_10_s_after_the_step_ms": round(settled["down"]["longest"] * 1000),
        "longest_voice_gap_in_10_s_after_the_step_ms": round(longest_gap(series, switched, switched + 10) * 1000),
        "levels_told_after_the_step": [data["level"] for data in bench.told()[early + len(told) :]],
    }
    await bench.leave(lan, anna)
    return result


async def m10(bench: Bench) -> Figures:
    """512 kbit/s, 600 ms: how long after the member's switch the last byte of a picture arrives."""
    anna = await bench.enter(bench.hub, "anna")
    await publish(anna, FREE, camera=True)
    await bench.link.both(kbit=512, delay_ms=300)
    lan = await bench.enter(bench.home, "lan")
    await asyncio.sleep(SETTLE_S)
    pressed = time.time()
    before = (await sums(lan))["video"]
    await lan.evaluate("folkmoot.request('set_ladder', { ceiling: 1 })")
    await asyncio.sleep(8)
    series = await samples(lan)
    last = max((b["at"] for a, b in itertools.pairwise(series) if b["video"] > a["video"]), default=pressed)
    result = {
        "picture_bytes_before": before,
        "last_picture_byte_after_s": round(last - pressed, 2),
        "bytes_later": series[-1]["video"] - next(one["video"] for one in series if one["at"] >= last),
    }
    await bench.leave(lan, anna)
    return result


async def back_again(bench: Bench, broken: Callable[[], Awaitable[None]]) -> Figures:
    """Both speak; `broken` breaks Lan's link and returns when it works again: when voices are back, each way."""
    anna = await bench.enter(bench.hub, "anna")
    await publish(anna, FREE, camera=False)
    await bench.link.both(kbit=512, delay_ms=300)
    lan = await bench.enter(bench.home, "lan")
    await publish(lan, FREE, camera=False)
    await asyncio.sleep(10)
    before = await sums(lan)
    await broken()
    back = time.time()
    await asyncio.sleep(25)
    found = {"connections_made_anew": (await samples(lan))[-1]["peers"] - before["peers"]}
    for name, page in (("down", lan), ("up", anna)):
        series = await samples(page)
        heard = [b["at"] for a, b in itertools.pairwise(series) if b["heard"] > a["heard"] and b["at"] > back]
        found[f"voices_back_{name}_after_s"] = round(heard[0] - back, 2) if heard else None
        found[f"longest_gap_{name}_from_5_s_on_ms"] = round(longest_gap(series, back + 5, back + 20) * 1000)
    await bench.leave(lan, anna)
    print(json.dumps(found), flush=True)
    return found


async def m11(bench: Bench) -> Figures:
    """Outages of 5 to 60 s, 512 kbit/s, 600 ms: when voices are back, and what was made anew."""
    result: Figures = {}
    for outage in OUTAGES_S:

        async def cut(seconds: float = outage) -> None:
            await bench.link.both(cut=True)
            await asyncio.sleep(seconds)
            await bench.link.both(cut=False)

        result[f"{outage} s"] = await back_again(bench, cut)
    return result


async def m11_address(bench: Bench) -> Figures:
    """Another address, at once and after some seconds without any, 512 kbit/s, 600 ms: when voices are back."""
    result: Figures = {}
    for pause in PAUSES_S:

        async def move(seconds: float = pause) -> None:
            await bench.link.move_home(seconds)

        result[f"{pause} s without an address"] = await back_again(bench, move)
    return result


async def m11_picture(bench: Bench) -> Figures:
    """Cuts in which Lan's page wants its only picture no more: how long after it is wanted again it comes."""
    result: Figures = {}
    for outage in (3, 20):
        await bench.link.both(kbit=4000, delay_ms=40)
        anna, lan = await bench.enter(bench.hub, "anna"), await bench.enter(bench.home, "lan")
        await publish(anna, FREE, camera=True)
        await asyncio.sleep(SETTLE_S)
        seen = (await sums(lan))["frames"]
        await bench.link.both(cut=True)
        await asyncio.sleep(1)
        await lan.evaluate("void folkmoot.room.setWatched('anna', 'camera', false)")
        await asyncio.sleep(outage - 1)
        await bench.link.both(cut=False)
        await asyncio.sleep(SETTLE_S)
        early, wanted = len(bench.told()), time.time()
        await lan.evaluate("void folkmoot.room.setWatched('anna', 'camera', true)")
        await asyncio.sleep(60)
        series = await samples(lan)
        came = [b["at"] for a, b in itertools.pairwise(series) if b["frames"] > a["frames"] and b["at"] > wanted]
        kbit = (series[-1]["video"] - next(one["video"] for one in series if one["at"] > wanted + 40)) * 8 / 20_000
        result[f"{outage} s"] = {
            "pictures_before": seen,
            "first_picture_after_s": round(came[0] - wanted, 2) if came else None,
            "levels_told_since": [data["level"] for data in bench.told()[early:]],
            "picture_kbit_from_40_to_60_s": round(kbit, 1),
        }
        print(json.dumps(result), flush=True)
        await bench.leave(lan, anna)
    return result


SCENARIOS: dict[str, Callable[[Bench], Awaitable[Figures]]] = {
    "M6": m6,
    "M8": m8,
    "M9": m9,
    "M10": m10,
    "M11": m11,
    "M11-address": m11_address,
    "M11-picture": m11_picture,
}


async def run(options: argparse.Namespace) -> Figures:
    """Make the link, check it, and play the scenarios that were asked for."""
    found: Figures = {}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        script = bundle_page(folder)
        link = Emulator()
        await link.start()
        stack.push_async_callback(link.stop)
        link.enter(link.hub)
        if not options.unchecked:
            found["check"] = await check(link)
            print(json.dumps({"check": found["check"]}, indent=2), flush=True)
        await link.both(kbit=10_000, delay_ms=0, loss=0.0, burst=1, cut=False)
        server = PageServer(script, folder / "run", host=HUB)
        await server.start()
        stack.push_async_callback(server.stop)
        driver = await stack.enter_async_context(async_playwright())
        hub = await launch(driver, server.url, None)
        stack.push_async_callback(hub.close)
        home = await launch(driver, server.url, link.home)
        stack.push_async_callback(home.close)
        bench = Bench(link, server, hub, home)
        for name in options.only or SCENARIOS:
            server.events.clear()
            found[name] = await SCENARIOS[name](bench)
            print(json.dumps({name: found[name]}, indent=2), flush=True)
            await server.signalling.close_room(ROOM)
    return found


def main() -> None:
    """Read the command line and write the figures."""
    parser = argparse.ArgumentParser(description="Thin links with real browsers")
    parser.add_argument("--only", nargs="*", choices=SCENARIOS, help="only these scenarios")
    parser.add_argument("--unchecked", action="store_true", help="do not check the link first")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if os.getuid() != 0:
        raise SystemExit("namespaces and TUN devices need root")
    found = asyncio.run(run(options))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
