"""A meeting of 300 seats at the level of packets, on one worker: everybody joins within a minute, then it goes on.

    python loadtests/meeting.py --seats 300 --sites 20 --backend compiled --json out.json

Someone has the floor, three others speak at once, more microphones are open but quieter, one camera is on. Ten seats
are inside from the start; then all seats join: the direct ones and the sites receive the voices and the picture, the
members in the halls connect and receive nothing, because they sit before their hall's loudspeaker. When all are in,
the members of the halls leave the hub to their sites and the meeting goes on with direct seats and sites alone.

A site is an ordinary receiver here: pipes between workers, with one stream estimate for a hall and RED on the link,
are not part of this test.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests import namespace
from loadtests.clients import Group, Load, PacketSource, Peer, until
from loadtests.peers.server import cpu_seconds, raise_priority, resident_kilobytes
from loadtests.peers.worker import ROUTER, Worker
from loadtests.streams import Stream

VOICE_SIZE, VOICE_RATE = 120, 50
VIDEO_SIZE, VIDEO_RATE = 1000, 100
LOUD, QUIET = 20, 70
SPOKEN_SLOTS = 4
JOIN_TIMEOUT = 20.0
SAMPLE_PERIOD = 1.0
LONGEST_GAP_MS = 200.0
NOTE = "sites are modelled as ordinary receivers: pipes between workers are not part of this test"


@dataclass
class Phase:
    """What was measured between two moments."""

    seconds: float
    forwarded: int
    lost: int
    cpu: float
    floor_gap_ms: float
    sent_gap_ms: float

    def figures(self) -> dict[str, Any]:
        """Return what goes into the JSON."""
        total = self.forwarded + self.lost
        return {
            "seconds": round(self.seconds, 1),
            "forwarded": self.forwarded,
            "packets_per_second": round(self.forwarded / self.seconds),
            "missing_percent": round(100 * self.lost / max(1, total), 3),
            "cpu_us_per_packet": round(self.cpu / max(1, self.forwarded) * 1e6, 2),
            "cores": round(self.cpu / self.seconds, 3),
            "longest_floor_gap_ms": round(self.floor_gap_ms, 1),
            "longest_gap_at_the_sender_ms": round(self.sent_gap_ms, 1),
        }


@dataclass(eq=False)
class Meeting:
    """The worker, the generator and who is in the room."""

    worker: Worker
    load: Load
    group: Group
    floor: PacketSource
    watchers: list[Stream] = field(default_factory=list)
    halls: list[Peer] = field(default_factory=list)
    join_seconds: list[float] = field(default_factory=list)
    joins_failed: int = 0

    async def join(self, kind: str, flowing: bool = True) -> Peer:
        """Let a receiver in and remember how long it took."""
        began = time.monotonic()
        peer = self.load.peer(self.group)
        transport = await self.worker.join(peer, f"seat-{peer.address}", "recv")
        await self.worker.consume(peer, transport, kind, paused=not flowing)
        self.join_seconds.append(time.monotonic() - began)
        return peer


async def open_meeting(load: Load, options: argparse.Namespace) -> Meeting:
    """Start the worker, the speakers, the camera and the seats that watch from the start."""
    worker = Worker(options.backend, load.network.server)
    await worker.start()
    group = load.group(options.backend)
    sources = []
    for number in range(max(options.microphones, SPOKEN_SLOTS)):
        peer = load.peer(group)
        await worker.publish(peer, "audio")
        level = LOUD + number if number < SPOKEN_SLOTS else QUIET
        sources.append(PacketSource(peer, "audio", VOICE_SIZE, VOICE_RATE, level=level))
    camera = load.peer(group)
    await worker.publish(camera, "video")
    sources.append(PacketSource(camera, "video", VIDEO_SIZE, VIDEO_RATE))
    group.sources += sources
    floor = sources[0]
    granted = [f"pub-{floor.peer.address}"]
    await worker.ask("router.set_floor", router_id=ROUTER, mode="open", chairs=[], granted=granted)
    meeting = Meeting(worker, load, group, floor)
    inside = [await meeting.join("both") for _ in range(options.watchers)]
    meeting.join_seconds.clear()
    for source in sources:
        source.start(time.monotonic())
    flowing = [stream for peer in inside for stream in peer.streams]
    await until(load, lambda: all(stream.arrived for stream in flowing), 20, "not every watcher hears all voices")
    # A receiver's first stream of sound is slot 0, which is reserved for the floor.
    meeting.watchers = [next(stream for stream in peer.streams if stream.kind == "audio") for peer in inside]
    for stream in meeting.watchers:
        stream.gaps = []
    return meeting


class Measure:
    """Takes the figures at its beginning and tells the difference at its end."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting
        self._start = time.monotonic()
        self._cpu = cpu_seconds(meeting.worker.pid)
        self._forwarded, self._lost = self._counts()
        meeting.floor.longest_pause_ns = 0
        for stream in meeting.watchers:
            stream.gaps = []

    def _counts(self) -> tuple[int, int]:
        streams = self._meeting.group.streams
        return sum(stream.arrived for stream in streams), sum(stream.lost for stream in streams)

    def end(self) -> Phase:
        """Return what happened since the beginning."""
        meeting = self._meeting
        forwarded, lost = self._counts()
        gaps = [gap for stream in meeting.watchers for _, gap in stream.gaps or ()]
        return Phase(
            time.monotonic() - self._start,
            forwarded - self._forwarded,
            lost - self._lost,
            cpu_seconds(meeting.worker.pid) - self._cpu,
            max(gaps, default=0) / 1e6,
            meeting.floor.longest_pause_ns / 1e6,
        )


def arrivals(options: argparse.Namespace) -> list[str]:
    """Return who joins in which order, the kinds well mixed."""
    in_halls = options.sites * options.hall
    kinds = {"direct": options.seats - in_halls, "hall": in_halls, "site": options.sites}
    places = [((number + 0.5) / count, kind) for kind, count in kinds.items() if count > 0 for number in range(count)]
    return [kind for _, kind in sorted(places)]


async def storm(meeting: Meeting, options: argparse.Namespace) -> Phase:
    """Let everybody in at an even pace, without waiting for one before the next."""
    order = arrivals(options)
    measure = Measure(meeting)
    start = time.monotonic()

    async def enter(kind: str) -> None:
        try:
            peer = await meeting.join("both", flowing=kind != "hall")
        except (TimeoutError, ConnectionError):
            meeting.joins_failed += 1
            return
        if kind == "hall":
            meeting.halls.append(peer)

    tasks = []
    for number, kind in enumerate(order):
        due = start + number * options.join_within / len(order)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        meeting.load.check()
        tasks.append(asyncio.create_task(enter(kind)))
    await asyncio.gather(*tasks)
    return measure.end()


async def steady(meeting: Meeting, options: argparse.Namespace) -> tuple[Phase, list[tuple[float, int]]]:
    """Let the meeting go on, and read the worker's memory once a second."""
    measure = Measure(meeting)
    samples: list[tuple[float, int]] = []
    start = time.monotonic()
    while (now := time.monotonic()) - start < options.seconds:
        samples.append((now - start, resident_kilobytes(meeting.worker.pid)))
        meeting.load.check()
        await asyncio.sleep(min(SAMPLE_PERIOD, options.seconds / 4))
    return measure.end(), samples


def slope(samples: list[tuple[float, int]]) -> float:
    """Return kilobytes per minute by least squares."""
    if len({at for at, _ in samples}) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*samples, strict=True)).slope * 60


async def run(options: argparse.Namespace, network: namespace.Network) -> dict[str, Any]:
    """Hold the meeting and return the figures."""
    load = Load(network)
    load.start()
    meeting: Meeting | None = None
    try:
        meeting = await open_meeting(load, options)
        before = resident_kilobytes(meeting.worker.pid)
        joining = await storm(meeting, options)
        for peer in meeting.halls:
            await meeting.worker.leave(peer)
            load.drop_peer(peer)
        await asyncio.sleep(min(2.0, options.seconds))
        going_on, samples = await steady(meeting, options)
        stats = await meeting.worker.stats()
    finally:
        if meeting is not None:
            await meeting.worker.close()
        await load.close()
    counts: Counter[str] = meeting.group.totals()
    joins = sorted(meeting.join_seconds)
    return {
        "note": NOTE,
        "backend": options.backend,
        "seats": options.seats,
        "direct": options.seats - options.sites * options.hall,
        "sites": options.sites,
        "microphones": options.microphones,
        "receivers": len(meeting.watchers) + options.seats - options.sites * options.hall + options.sites,
        "joins": len(joins),
        "joins_failed": meeting.joins_failed,
        "join_p50_ms": round(joins[len(joins) // 2] * 1e3, 1),
        "join_p95_ms": round(joins[int(len(joins) * 0.95)] * 1e3, 1),
        "join_within_s": options.join_within,
        "joining": joining.figures(),
        "steady": going_on.figures(),
        "memory_kb_before": before,
        "memory_kb_first": samples[0][1],
        "memory_kb_last": samples[-1][1],
        "memory_slope_kb_per_minute": round(slope(samples), 1),
        "faults_contained": stats["contained_errors"],
        "wrong_inside": counts["forged"],
        "decrypted_and_compared": counts["checked"],
        "load_average": round(os.getloadavg()[0], 2),
    }


def describe(result: dict[str, Any]) -> list[str]:
    """Return the lines to print."""
    joining, going_on = result["joining"], result["steady"]
    verdict = "within" if joining["longest_floor_gap_ms"] <= LONGEST_GAP_MS else "OVER"
    return [
        f"{result['seats']} seats: {result['direct']} direct and {result['sites']} sites; {result['note']}",
        f"joining: {result['joins']} joins in {joining['seconds']} s, {result['joins_failed']} failed, "
        f"p50 {result['join_p50_ms']} ms, p95 {result['join_p95_ms']} ms; longest gap in the floor's sound "
        f"{joining['longest_floor_gap_ms']} ms ({verdict} {LONGEST_GAP_MS:.0f} ms; the sender itself paused "
        f"{joining['longest_gap_at_the_sender_ms']} ms)",
        f"steady: {going_on['packets_per_second']} packets/s out, {going_on['cpu_us_per_packet']} us CPU per packet, "
        f"{going_on['cores']} cores, {going_on['missing_percent']} % missing, longest gap "
        f"{going_on['longest_floor_gap_ms']} ms",
        f"memory: {result['memory_kb_before']} kB before, {result['memory_kb_first']} to {result['memory_kb_last']} "
        f"kB afterwards, {result['memory_slope_kb_per_minute']} kB per minute; load average {result['load_average']}",
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A meeting of many seats on one worker")
    parser.add_argument("--seats", type=int, default=300)
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--hall", type=int, default=10, help="members in each hall")
    parser.add_argument("--microphones", type=int, default=10, help="open ones; four of them are loud")
    parser.add_argument("--watchers", type=int, default=10, help="seats that are inside before the others come")
    parser.add_argument("--join-within", type=float, default=60.0, help="seconds in which all join")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the meeting goes on afterwards")
    parser.add_argument("--backend", choices=("compiled", "cffi", "python"), default="compiled")
    parser.add_argument("--nice", type=int, default=0, help="priority of generator and worker; below 0 needs root")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args(arguments)
    if options.seats < options.sites * options.hall or options.seats + options.sites > 900:
        parser.error("--seats holds the members of all halls, and seats and sites together are at most 900")
    if min(options.watchers, options.seats, options.sites + 1) < 1 or min(options.join_within, options.seconds) <= 0:
        parser.error("--watchers and --seats are at least 1, and times are more than 0")
    return options


def main() -> int:
    """Hold the meeting, print what happened, and write the JSON."""
    options = parse()
    try:
        if options.nice:
            raise_priority(options.nice)
        result = asyncio.run(run(options, namespace.enter_or_loopback()))
    except (RuntimeError, TimeoutError, PermissionError, ConnectionError) as error:
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    print("\n".join(describe(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
