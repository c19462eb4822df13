"""What crosses a pipe between two worker processes, with one subscriber on the far side and with many.

    python loadtests/pipe.py --subscribers 40 --backend compiled --json out.json
    python loadtests/pipe.py --subscribers 10 --kbit 512 --rtt 600 --loss 10 --burst 3 --video-rate 20

One client speaks and another sends a picture on the hub's worker; subscribers of both are on the other worker, joined
to the hub by a pipe. Packets and bytes are what the hub's worker says it has put into the pipe, without RTCP,
for each packet that the publishers sent meanwhile. With `--kbit` the pipe goes through a thin link: then the bytes on
it are counted too, with everything that is on it, and what of the voice is missing on the far side.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests import namespace
from loadtests.clients import Group, Load, PacketSource, until
from loadtests.peers.worker import Worker
from loadtests.shaped_relay import ShapedRelay

from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

PIPE = "pipe"
VOICE_SIZE, VOICE_RATE = 120, 50
VIDEO_SIZE, VIDEO_RATE = 1000, 100
TIMEOUT = 20.0
JOINS_AT_ONCE = 10
MOST_DIFFERENCE = 0.05


@dataclass(frozen=True)
class Link:
    """A thin link; losses in percent, `burst` is the mean length of a run of them."""

    kbit: float
    round_trip_ms: float
    loss: float
    burst: float


async def bridge(hub: Worker, site: Worker, link: Link | None = None, **options: Any) -> ShapedRelay | None:
    """Join two rooms: the site dials the hub, or the relay of a thin link to it, which is returned."""
    answer = await hub.ask("pipe.create", router_id=hub.room, side="answer", pipe_id=PIPE, **options)
    offer = await site.ask("pipe.create", router_id=site.room, side="offer", pipe_id=PIPE, **options)
    await hub.ask("pipe.connect", pipe_id=PIPE, dtlsParameters=offer["dtlsParameters"])
    (candidate,) = answer["iceCandidates"]
    relay = None
    if link is not None:
        relay = ShapedRelay((candidate["ip"], candidate["port"]), link.kbit, link.round_trip_ms)
        candidate = {**candidate, "port": relay.port}
    await site.ask(
        "pipe.connect",
        pipe_id=PIPE,
        dtlsParameters=answer["dtlsParameters"],
        iceParameters=answer["iceParameters"],
        iceCandidates=[candidate],
    )
    return relay


async def connected(*rooms: Worker) -> None:
    """Wait until every end of the pipe says that it stands.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + TIMEOUT
    for room in rooms:
        while (await room.ask("pipe.stats", pipe_id=PIPE))["state"] != "connected":
            if time.monotonic() > end:
                raise TimeoutError(f"the pipe does not stand in {room.room}")
            await asyncio.sleep(0.02)


@dataclass
class Crossing:
    """What crossed while so many subscribers were there, for each packet that was published."""

    subscribers: int
    published: int
    packets: int
    octets: int
    on_link: int
    voice_missing: float

    @property
    def copies(self) -> float:
        """Return the packets in the pipe for each one published."""
        return self.packets / max(1, self.published)

    def figures(self) -> dict[str, Any]:
        """Return what goes into the JSON."""
        return {
            "subscribers": self.subscribers,
            "published": self.published,
            "packets": self.packets,
            "octets": self.octets,
            "copies": round(self.copies, 4),
            "octets_on_link": self.on_link,
            "voice_missing_percent": round(100 * self.voice_missing, 2),
        }


class Bench:
    """Two rooms on two workers, and who sends and receives."""

    def __init__(self, load: Load, hub: Worker, site: Worker, relay: ShapedRelay | None = None) -> None:
        self.load, self.hub, self.site, self.relay = load, hub, site, relay
        self.group: Group = load.group("pipe")

    async def publish(self, video_rate: float = VIDEO_RATE) -> None:
        """Let a voice and a picture be sent on the hub, and mirror both."""
        for kind, size, rate in (("audio", VOICE_SIZE, VOICE_RATE), ("video", VIDEO_SIZE, video_rate)):
            peer = self.load.peer(self.group)
            await self.hub.publish(peer, kind)
            self.group.sources.append(PacketSource(peer, kind, size, rate))
        await self.hub.mirror(self.site, PIPE)
        now = time.monotonic()
        for source in self.group.sources:
            source.start(now)

    async def subscribe(self, count: int) -> None:
        """Let so many more receive both on the far side, and wait until all do."""
        turn = asyncio.Semaphore(JOINS_AT_ONCE)

        async def join() -> None:
            async with turn:
                await self.site.subscribe(self.load.peer(self.group), "both")

        await asyncio.gather(*(join() for _ in range(count)))
        receivers = [peer for peer in self.group.peers if peer.streams]

        def all_receive() -> bool:
            flowing = (
                {stream.kind for stream in peer.streams if stream.arrived} == {"audio", "video"} for peer in receivers
            )
            return all(flowing)

        await until(self.load, all_receive, TIMEOUT, "not everybody on the far side receives voice and picture")

    async def measure(self, seconds: float) -> Crossing:
        """Count what crosses for a while."""
        before, sent_before = await self.hub.ask("pipe.stats", pipe_id=PIPE), self.group.totals()["sent"]
        link_before, voice_before = self._on_link(), self._voice()
        await asyncio.sleep(seconds)
        self.load.check()
        after, sent = await self.hub.ask("pipe.stats", pipe_id=PIPE), self.group.totals()["sent"]
        return Crossing(
            sum(1 for peer in self.group.peers if peer.streams),
            sent - sent_before,
            after["packets_sent"] - before["packets_sent"],
            after["octets_sent"] - before["octets_sent"],
            self._on_link() - link_before,
            self._missing_since(voice_before),
        )

    def _on_link(self) -> int:
        return 0 if self.relay is None else sum(self.relay.octets.values())

    def _voice(self) -> dict[int, tuple[int, int]]:
        """Return, for each voice that is heard, what is missing of it and how much there was."""
        streams = [stream for stream in self.group.streams if stream.kind == "audio" and stream.arrived]
        return {stream.ssrc: (stream.lost - stream.repaired, stream.highest) for stream in streams}

    def _missing_since(self, before: dict[int, tuple[int, int]]) -> float:
        gone = total = 0
        for ssrc, (missing, highest) in self._voice().items():
            missing_before, highest_before = before.get(ssrc, (missing, highest))
            gone += missing - missing_before
            total += highest - highest_before
        return gone / max(1, total)


async def run(options: argparse.Namespace, network: namespace.Network) -> dict[str, Any]:
    """Measure with one subscriber and with all, and return the figures."""
    load = Load(network)
    load.start()
    relay: ShapedRelay | None = None
    with tempfile.TemporaryDirectory(prefix="folkmoot-pipe-") as folder:
        settings = MediaPoolSettings(
            Path(folder) / "run", network.server, (network.server,), workers=2, fan=options.backend
        )
        pool = MediaPool(settings)
        try:
            await pool.start()
            hub, site = (Worker(options.backend, network.server, room=name, pool=pool) for name in ("hub", "site"))
            for room in (hub, site):
                await room.start()
            relay = await bridge(hub, site, options.link)
            await connected(hub, site)
            if relay is not None:
                relay.set_loss(options.link.loss / 100, options.link.burst)
            bench = Bench(load, hub, site, relay)
            await bench.publish(options.video_rate)
            await bench.subscribe(1)
            await asyncio.sleep(options.settle)
            one = await bench.measure(options.seconds)
            await bench.subscribe(options.subscribers - 1)
            await asyncio.sleep(options.settle)
            many = await bench.measure(options.seconds)
            ends = [await room.ask("pipe.stats", pipe_id=PIPE) for room in (hub, site)]
            processes = len(pool.pids)
            faults = sum(int(stats["contained_errors"]) for stats in await pool.stats())
        finally:
            await pool.close()
            await load.close()
            if relay is not None:
                relay.close()
    counts = bench.group.totals()
    return {
        "backend": options.backend,
        "link": None if options.link is None else asdict(options.link),
        "processes": processes,
        "one": one.figures(),
        "many": many.figures(),
        "difference": round(many.copies / max(1e-9, one.copies) - 1, 4),
        "difference_on_link": round(many.on_link / one.on_link - 1, 4) if one.on_link else None,
        "arrived": counts["arrived"],
        "checked": counts["checked"],
        "wrong_inside": counts["forged"],
        "faults_contained": faults,
        "ends": ends,
        "load_average": round(os.getloadavg()[0], 2),
    }


def describe(result: dict[str, Any]) -> list[str]:
    """Return the lines to print."""
    lines = [
        f"{found['subscribers']} subscribers: {found['packets']} packets in the pipe for {found['published']} "
        f"published ({found['copies']} each), {found['octets']} bytes"
        for found in (result["one"], result["many"])
    ]
    verdict = "within" if result["difference"] <= MOST_DIFFERENCE else "OVER"
    if result["link"] is not None:
        one, many = result["one"], result["many"]
        lines.append(
            f"on the link: {one['octets_on_link']} and {many['octets_on_link']} bytes both ways "
            f"({100 * result['difference_on_link']:+.2f} %), of the voice {one['voice_missing_percent']} % and "
            f"{many['voice_missing_percent']} % missing"
        )
    lines.append(f"difference {100 * result['difference']:.2f} % ({verdict} {100 * MOST_DIFFERENCE:.0f} %)")
    lines.append(
        f"{result['arrived']} packets arrived, {result['checked']} decrypted and compared, "
        f"{result['wrong_inside']} wrong; load average {result['load_average']}"
    )
    return lines


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="What crosses a pipe between two media workers")
    parser.add_argument("--subscribers", type=int, default=40, help="on the far side")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--settle", type=float, default=5.0, help="seconds before each measurement")
    parser.add_argument("--backend", choices=("compiled", "cffi", "python"), default="compiled")
    parser.add_argument("--video-rate", type=float, default=VIDEO_RATE, help="packets of 1000 bytes each second")
    parser.add_argument("--kbit", type=float, help="let the pipe go through a link of so many kbit/s")
    parser.add_argument("--rtt", type=float, default=40.0, help="its round trip in ms")
    parser.add_argument("--loss", type=float, default=0.0, help="its losses each way, in percent")
    parser.add_argument("--burst", type=float, default=1.0, help="mean length of a run of losses")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args(arguments)
    if options.subscribers < 2 or min(options.seconds, options.settle) <= 0:
        parser.error("--subscribers is at least 2, and times are more than 0")
    options.link = Link(options.kbit, options.rtt, options.loss, options.burst) if options.kbit else None
    return options


def main() -> int:
    """Measure, print what happened, and write the JSON."""
    options = parse()
    try:
        result = asyncio.run(run(options, namespace.enter_or_loopback()))
    except (RuntimeError, TimeoutError, PermissionError, ConnectionError) as error:
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    print("\n".join(describe(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["difference"] <= MOST_DIFFERENCE and not result["wrong_inside"] else 1


if __name__ == "__main__":
    sys.exit(main())
