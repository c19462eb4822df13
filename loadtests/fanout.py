"""CPU per forwarded packet of the media worker, beside Janus in the same run, driven by one generator.

    python loadtests/fanout.py --backend compiled --subscribers 10 --size 1200 --rate 200 --loss 0 \
        --peer janus-tuned --json out.json
    python loadtests/fanout.py --backend compiled --peer janus --delay --rate 500

One client publishes, N subscribe, with real ICE, DTLS 1.2 and SRTP (AES-128-GCM), receiver reports once a second,
in a network namespace over loopback. Both servers stand with all their clients; the rounds measure them in turn,
and nothing is sent through the one that is not measured. CPU is what the kernel accounts to the server's threads
(/proc/PID/task/*/schedstat), divided by the packets that reached the subscribers' socket; repeated packets are not
counted, so the cost of repairs is in the figure. With `--loss` receivers pretend to have lost some packets, ask for
them again and report the loss. Rounds in which 2 % or more are missing without that are discarded.
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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests import namespace
from loadtests.clients import Group, Load, PacketSource, until
from loadtests.peers.janus import Janus
from loadtests.peers.server import Server, cpu_seconds, deferred_pids, raise_priority, thread_count
from loadtests.peers.worker import Worker

from folkmoot_media.errors import MediaError

BACKENDS = ("compiled", "cffi", "python")
JANUSES = ("janus", "janus-tuned")
JOINS_AT_ONCE = 20
WARM_UP = 0.5
SETTLE = 0.25
MOST_LOSS_PERCENT = 2.0
ATTACH_TIMEOUT = 15.0
REPAIR_WAIT = 0.4


@dataclass
class Round:
    """What one server did in one round."""

    server: str
    sent: int
    arrived: int
    cpu_us_per_packet: float
    missing_percent: float
    cores: float
    generator_cores: float
    deferred_percent: float
    load_average: float
    counts: dict[str, int]
    delay_p50_us: float | None = None
    delay_p99_us: float | None = None

    @property
    def good(self) -> bool:
        """Whether nearly everything arrived that was not dropped on purpose."""
        return self.arrived > 0 and self.missing_percent < MOST_LOSS_PERCENT


@dataclass(eq=False)
class Bench:
    """One server with its clients and its publisher."""

    server: Server
    group: Group
    source: PacketSource | None = None
    join_ms: float = 0.0
    threads: int = 0
    faults: int = 0
    rounds: list[Round] = field(default_factory=list)


async def prepare(load: Load, bench: Bench, options: argparse.Namespace) -> None:
    """Start a server, connect everybody, and wait until every subscriber gets packets."""
    await bench.server.start()
    sender = load.peer(bench.group)
    await bench.server.publish(sender, options.kind)
    source = PacketSource(sender, options.kind, options.size, options.rate, options.burst)
    bench.source = source
    bench.group.sources.append(source)
    before = cpu_seconds(bench.server.pid)
    turn = asyncio.Semaphore(JOINS_AT_ONCE)

    async def join() -> None:
        async with turn:
            await bench.server.subscribe(load.peer(bench.group), options.kind)

    await asyncio.gather(*(join() for _ in range(options.subscribers)))
    bench.join_ms = (cpu_seconds(bench.server.pid) - before) / options.subscribers * 1e3
    source.start(time.monotonic())

    def all_receive() -> bool:
        source.key_frame()
        return bool(sum(1 for stream in bench.group.streams if stream.arrived) >= options.subscribers)

    await until(load, all_receive, ATTACH_TIMEOUT, f"{bench.server.name}: not every subscriber gets packets")
    source.stop()
    # An audio subscriber has a stream for each voice slot, of which one is in use.
    bench.group.streams = [stream for stream in bench.group.streams if stream.arrived]
    if options.delay:
        chosen = bench.group.streams
        for stream in {chosen[0].ssrc: chosen[0], chosen[len(chosen) // 2].ssrc: chosen[len(chosen) // 2]}.values():
            stream.delays = []
        chosen[-1].delays = []


async def measure(load: Load, bench: Bench, options: argparse.Namespace) -> Round:
    """Measure one round of one server."""
    source, group, pid = bench.source, bench.group, bench.server.pid
    assert source is not None
    source.start(time.monotonic())
    await asyncio.sleep(WARM_UP)
    source.stop()
    await asyncio.sleep(SETTLE)
    timed = [stream for stream in group.streams if stream.delays is not None]
    for stream in timed:
        stream.delays = []
    kernel = deferred_pids()
    before, cpu, own = group.totals(), cpu_seconds(pid), time.process_time()
    deferred = sum(cpu_seconds(thread) for thread in kernel)
    source.start(time.monotonic())
    await asyncio.sleep(options.seconds)
    source.stop()
    await asyncio.sleep(REPAIR_WAIT if options.loss else SETTLE)
    load.check()
    cpu = cpu_seconds(pid) - cpu
    deferred = sum(cpu_seconds(thread) for thread in kernel) - deferred
    counts = group.totals() - before
    sent, arrived = counts["sent"], counts["arrived"]
    expected = sent * len(group.streams)
    made = Round(
        server=bench.group.name,
        sent=sent,
        arrived=arrived,
        cpu_us_per_packet=round(cpu / max(1, arrived) * 1e6, 2),
        missing_percent=round(100 * (1 - arrived / max(1, expected)), 2),
        cores=round(cpu / options.seconds, 3),
        generator_cores=round((time.process_time() - own) / options.seconds, 3),
        deferred_percent=round(100 * deferred / max(1e-9, cpu), 1),
        load_average=round(os.getloadavg()[0], 2),
        counts=dict(sorted(counts.items())),
    )
    delays = sorted(delay / 1e3 for stream in timed for delay in stream.delays or ())
    if delays:
        made.delay_p50_us = round(delays[len(delays) // 2], 1)
        made.delay_p99_us = round(delays[int(len(delays) * 0.99)], 1)
    bench.rounds.append(made)
    return made


def opponents(load: Load, options: argparse.Namespace) -> list[Bench]:
    """Return ours and, if one is asked for, the peer: Janus, or another back end of ours."""
    address = load.network.server
    numbered = options.feedback == "transport-wide"
    benches = [Bench(Worker(options.backend, address, numbered), load.group("ours"))]
    if options.peer in JANUSES:
        janus = Janus(options.peer == "janus-tuned", address, load.wire.port)
        benches.append(Bench(janus, load.group("peer")))
    elif options.peer != "none":
        benches.append(Bench(Worker(options.peer, address, numbered), load.group("peer")))
    return benches


async def run(options: argparse.Namespace, network: namespace.Network) -> list[Bench]:
    """Make all rounds, the two servers in turn and the order changed from round to round."""
    load = Load(network, options.loss, options.seed)
    benches = opponents(load, options)
    load.start()
    try:
        for bench in benches:
            await prepare(load, bench, options)
        if options.pipe and isinstance(benches[0].server, Worker):
            await benches[0].server.hold_pipe()
        for number in range(options.rounds):
            for bench in benches if number % 2 == 0 else benches[::-1]:
                made = await measure(load, bench, options)
                print(describe(number, bench.server.name, made), flush=True)
        if options.pipe and isinstance(benches[0].server, Worker):
            await benches[0].server.require_pipe()
        for bench in benches:
            bench.threads = thread_count(bench.server.pid)
            bench.faults = await bench.server.faults()
    finally:
        for bench in benches:
            await bench.server.close()
        await load.close()
    return benches


def describe(number: int, name: str, made: Round) -> str:
    """Return one line about a round."""
    line = (
        f"round {number + 1} {name}: {made.cpu_us_per_packet} us CPU per forwarded packet, "
        f"{made.arrived} of {made.sent} sent forwarded, {made.missing_percent} % missing, {made.cores} cores, "
        f"load average {made.load_average}"
    )
    if made.delay_p50_us is not None:
        line += f"; delay p50 {made.delay_p50_us} us, p99 {made.delay_p99_us} us"
    return line if made.good else line + "; DISCARDED: too much is missing"


def median_of(rounds: Sequence[Round], name: str) -> float | None:
    """Return the median of a figure over the rounds that count, or None when none do."""
    values = [value for made in rounds if made.good and (value := getattr(made, name)) is not None]
    return round(statistics.median(values), 2) if values else None


def pair_ratios(ours: Bench, peer: Bench, name: str) -> list[float]:
    """Return ours over peer for every round in which both count."""
    return [
        round(getattr(mine, name) / getattr(theirs, name), 3)
        for mine, theirs in zip(ours.rounds, peer.rounds, strict=True)
        if mine.good and theirs.good
    ]


def summarise(benches: list[Bench], options: argparse.Namespace) -> dict[str, Any]:
    """Return what is written as JSON."""
    ours = benches[0]
    result: dict[str, Any] = {
        "backend": options.backend,
        "peer": options.peer,
        "subscribers": options.subscribers,
        "size": options.size,
        "rate": options.rate,
        "kind": options.kind,
        "loss": options.loss,
        "burst": options.burst,
        "feedback": options.feedback,
        "pipe": options.pipe,
        "seconds": options.seconds,
        "nice": options.nice,
        "ours_us": median_of(ours.rounds, "cpu_us_per_packet"),
        "ours_join_ms": round(ours.join_ms, 2),
        "discarded_rounds": sum(1 for bench in benches for made in bench.rounds if not made.good),
        "load_average": round(os.getloadavg()[0], 2),
        "rounds": [asdict(made) for bench in benches for made in bench.rounds],
        "did": {bench.group.name: what_it_did(bench) for bench in benches},
    }
    if len(benches) > 1:
        peer = benches[1]
        result["peer_us"] = median_of(peer.rounds, "cpu_us_per_packet")
        result["peer_join_ms"] = round(peer.join_ms, 2)
        result["ratios"] = pair_ratios(ours, peer, "cpu_us_per_packet")
        result["ratio"] = _ratio(result["ours_us"], result["peer_us"])
    if options.delay:
        for name in ("delay_p50_us", "delay_p99_us"):
            result[f"ours_{name}"] = median_of(ours.rounds, name)
            if len(benches) > 1:
                result[f"peer_{name}"] = median_of(benches[1].rounds, name)
                ratios = pair_ratios(ours, benches[1], name)
                result[f"{name[:-3]}_ratios"] = ratios
                result[f"{name[:-3]}_ratio"] = round(statistics.median(ratios), 3) if ratios else None
    return result


def _ratio(ours: float | None, peer: float | None) -> float | None:
    return round(ours / peer, 3) if ours and peer else None


def what_it_did(bench: Bench) -> dict[str, int]:
    """Return what a server did in all measured rounds, by the packets that came from it."""
    total: Counter[str] = Counter()
    for made in bench.rounds:
        total.update(made.counts)
    done = {
        "packets_in": total["sent"],
        "forwarded": total["arrived"],
        "missing": total["sent"] * len(bench.group.streams) - total["arrived"],
        "lost_on_purpose": total["discarded"],
        "nacked": total["nacked"],
        "nack_answered": total["resent"],
        "repaired": total["repaired"],
        "decrypted_and_compared": total["checked"],
        "with_header_extensions": total["extended"],
        "wrong_inside": total["forged"],
        "transport_wide_feedback": total["feedback_sent"],
        "threads": bench.threads,
        "faults_contained": bench.faults,
    }
    done.update({name: count for name, count in total.items() if name.startswith("to_")})
    return done


def compare(did: dict[str, dict[str, int]]) -> list[str]:
    """Return lines that say what each server did in the run, side by side, and what only one of them did."""
    names = list(did)
    kinds = sorted({kind for done in did.values() for kind in done})
    lines = [f"{'in all rounds':32}" + "".join(f"{name:>14}" for name in names)]
    lines += [f"{kind:32}" + "".join(f"{done.get(kind, 0):14}" for done in did.values()) for kind in kinds]
    for name, other in zip(names, reversed(names), strict=True):
        alone = [kind for kind in kinds if did[name].get(kind, 0) and not did[other].get(kind, 0)]
        if name != other and alone:
            lines.append(f"only {name} did: {', '.join(alone)}")
    return lines


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="CPU per forwarded packet of the media worker, beside Janus")
    parser.add_argument("--backend", choices=BACKENDS, default="python")
    parser.add_argument("--peer", choices=("none", *JANUSES, *BACKENDS), default="none")
    parser.add_argument("--subscribers", type=int, default=10)
    parser.add_argument("--size", type=int, default=1200, help="bytes of an RTP packet before encryption")
    parser.add_argument("--rate", type=float, default=200, help="packets per second from the publisher")
    parser.add_argument("--kind", choices=("video", "audio"), default="video", help="VP8, or Opus in a voice slot")
    parser.add_argument("--burst", type=int, default=1, help="packets of a frame, sent together")
    parser.add_argument("--loss", type=float, default=0.0, help="percent that receivers pretend to lose")
    parser.add_argument(
        "--feedback",
        choices=("remb", "transport-wide"),
        default="remb",
        help="what receivers of our worker send; Janus numbers no packets for receivers and always gets REMB",
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round of one server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nice", type=int, default=0, help="priority of generator and servers; below 0 needs root")
    parser.add_argument("--seed", default="load", help="of the losses")
    parser.add_argument("--pipe", action="store_true", help="hold a pipe open in our room, as a hall's relay does")
    parser.add_argument("--delay", action="store_true", help="also measure the delay that a server adds")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args(arguments)
    for name, least, most in (("subscribers", 1, 900), ("size", 60, 1300), ("rate", 1, 6000), ("rounds", 1, 1000)):
        if not least <= getattr(options, name) <= most:
            parser.error(f"--{name} is from {least} to {most}")
    if not 0 <= options.loss <= 50 or options.burst < 1 or options.seconds <= 0:
        parser.error("--loss is from 0 to 50, --burst at least 1, --seconds more than 0")
    return options


def main() -> int:
    """Measure, print one line per round and the medians, and write the JSON."""
    options = parse()
    try:
        if options.nice:
            raise_priority(options.nice)
        network = namespace.enter() if options.peer in JANUSES else namespace.enter_or_loopback()
        benches = asyncio.run(run(options, network))
    except MediaError as error:
        print(f"error: {error.message} (back end {options.backend})", file=sys.stderr)
        return 1
    except (RuntimeError, PermissionError, TimeoutError, ConnectionError) as error:
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    result = summarise(benches, options)
    print("\n".join(compare(result["did"])))
    if result["discarded_rounds"]:
        print(f"{result['discarded_rounds']} rounds discarded: 2 % or more was missing, the machine is too busy")
    if benches[0].faults:
        print(f"the worker met and contained {benches[0].faults} faults of its own: do not trust the figures")
    for name in ("ours_us", "peer_us", "ratio", "delay_p50_ratio", "delay_p99_ratio", "ours_join_ms", "peer_join_ms"):
        if name in result:
            print(f"{name:16} {result[name]}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["ours_us"] is not None and result.get("peer_us", 0.0) is not None else 1


if __name__ == "__main__":
    sys.exit(main())
