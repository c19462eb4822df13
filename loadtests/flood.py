"""A worker under a flood from addresses that no check has passed for: what becomes of a voice, of CPU and of the log.

    python loadtests/flood.py --flood 20000 --json out.json

Rounds are quiet and flooded in turn. The flood is STUN with a wrong password, cut STUN, DTLS, RTP and RTCP, from as
many source addresses as there are sockets; a limit for each address does not help against it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests import fanout, namespace
from loadtests.clients import Load
from loadtests.peers.worker import Worker

SOURCES = 200
AT_ONCE = 50
MAGIC = bytes.fromhex("2112a442")


def datagrams() -> list[bytes]:
    """Return what strangers send: of each kind one that is well formed as far as it goes without a secret."""
    attributes = b"\x00\x06\x00\x0bwrong:wrong\x00" + b"\x00\x08\x00\x14" + hashlib.sha1(b"wrong").digest()  # noqa: S324
    check = b"\x00\x01" + len(attributes).to_bytes(2, "big") + MAGIC + secrets.token_bytes(12) + attributes
    dtls = b"\x16\xfe\xff" + bytes(8) + (100).to_bytes(2, "big") + secrets.token_bytes(100)
    rtp = b"\x80\x60" + secrets.token_bytes(10) + secrets.token_bytes(160)
    rtcp = b"\x80\xc9\x00\x01" + secrets.token_bytes(24)
    return [check, check[:30], dtls, rtp, rtcp]


def flood(address: str, port: int, rate: float, seconds: float) -> int:
    """Send the datagrams to a server from many addresses of loopback; return how many were sent."""
    sockets = []
    for number in range(SOURCES):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setblocking(False)
        one.bind((f"127.8.{number >> 8}.{1 + (number & 255)}", 0))
        sockets.append(one)
    print("begins", flush=True)
    kinds, sent, began = datagrams(), 0, time.monotonic()
    while time.monotonic() - began < seconds:
        for _ in range(AT_ONCE):
            with contextlib.suppress(BlockingIOError):
                sockets[sent % SOURCES].sendto(kinds[sent % len(kinds)], (address, port))
            sent += 1
        ahead = sent / rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
    return sent


def length(options: argparse.Namespace) -> float:
    """Return for how many seconds there is a flood in a round: before its measured part, and to the end of that."""
    return float(fanout.WARM_UP + fanout.SETTLE + options.seconds)


def count_lines(log: Path) -> int:
    """Return how many lines the servers have logged."""
    return len(log.read_bytes().splitlines())


async def port_of(worker: Worker) -> int:
    """Return the UDP port that the worker takes media at."""
    info = await worker.ask("router.create_transport", router_id=worker.room, owner="asks", direction="recv")
    return int(info["iceCandidates"][0]["port"])


async def measure(options: argparse.Namespace, log: Path) -> dict[str, Any]:
    """Run quiet and flooded rounds in turn and return what they showed."""
    voice = ["--kind", "audio", "--size", "160", "--rate", "50", "--subscribers", "5"]
    chosen = fanout.parse(["--backend", options.backend, *voice, "--seconds", str(options.seconds)])
    load = Load(namespace.LOOPBACK, 0.0, "flood")
    worker = Worker(options.backend, namespace.LOOPBACK.server)
    bench = fanout.Bench(worker, load.group("ours"))
    rounds: list[dict[str, Any]] = []
    load.start()
    try:
        await fanout.prepare(load, bench, chosen)
        words = [sys.executable, __file__, "--at", namespace.LOOPBACK.server, str(await port_of(worker))]
        words += ["--flood", str(options.flood), "--seconds", str(length(options))]
        for number in range(2 * options.rounds):
            lines, flooded = count_lines(log), number % 2 == 1
            before, sent = (await worker.stats())["counters"], 0
            if flooded:
                child = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
                assert child.stdout is not None
                await child.stdout.readline()  # it begins now
                made = await fanout.measure(load, bench, chosen)
                sent = int((await child.communicate())[0])
            else:
                made = await fanout.measure(load, bench, chosen)
            after = (await worker.stats())["counters"]
            rounds.append(
                {
                    "flooded": flooded,
                    "strangers_sent": sent,
                    "refused": {name: after[name] - before.get(name, 0) for name in after if _is_refusal(name)},
                    "voice_packets": made.arrived,
                    "voice_missing_percent": made.missing_percent,
                    "worker_cores": made.cores,
                    "log_lines": count_lines(log) - lines,
                }
            )
            print(json.dumps(rounds[-1]), flush=True)
        faults = await worker.faults()
    finally:
        await worker.close()
        await load.close()
    return {
        "rounds": rounds,
        "faults_contained": faults,
        "log_lines_in_all": count_lines(log),
        **summary(rounds, options),
    }


def _is_refusal(name: str) -> bool:
    return name.startswith("stun_") or name in ("unchecked_source", "unknown_kind")


def summary(rounds: list[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Return the medians of quiet and flooded rounds, and the CPU of one stranger's datagram in microseconds."""
    quiet = [one for one in rounds if not one["flooded"]]
    flooded = [one for one in rounds if one["flooded"]]
    median = {
        f"{name}_{key}": round(statistics.median(one[key] for one in some), 3)
        for name, some in (("quiet", quiet), ("flooded", flooded))
        for key in ("voice_missing_percent", "worker_cores", "log_lines")
    }
    per_s = statistics.median(one["strangers_sent"] for one in flooded) / length(options)
    more = median["flooded_worker_cores"] - median["quiet_worker_cores"]
    return {
        **median,
        "strangers_per_s": round(per_s),
        "us_per_stranger": round(more / per_s * 1e6, 2),
        "load_average": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Flood a worker, or be the flood."""
    parser = argparse.ArgumentParser(description="A worker under a flood from strangers")
    parser.add_argument("--backend", choices=fanout.BACKENDS, default="compiled")
    parser.add_argument("--flood", type=float, default=20_000, help="datagrams per second")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a round")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--at", nargs=2, metavar=("ADDRESS", "PORT"), help="only send the flood there")
    options = parser.parse_args()
    if options.at:
        print(flood(options.at[0], int(options.at[1]), options.flood, options.seconds))
        return
    with tempfile.NamedTemporaryFile() as log:
        own = os.dup(2)
        os.dup2(log.fileno(), 2)  # the worker's log goes where ours goes
        try:
            found = asyncio.run(measure(options, Path(log.name)))
        finally:
            os.dup2(own, 2)
    print(json.dumps({name: value for name, value in found.items() if name != "rounds"}, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
