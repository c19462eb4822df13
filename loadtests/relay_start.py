"""How long a relay that held the meeting before takes from its process's start to its lease, and to its open port.

    python loadtests/relay_start.py --starts 5 --delay-ms 300 --json FILE

A real hub, a real relay in a process of its own, and a line between them that keeps every piece for `--delay-ms` each
way. CPU seconds are the relay process's own, its media worker's not among them; `busy` is how much longer a loop of
fixed work took than processor time was used for it, which says how loaded the machine was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.relay.rig import Rig, rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Figures = dict[str, Any]
PIECE = 64 * 1024
WITHIN_S = 120.0
TICKS = os.sysconf("SC_CLK_TCK")


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    waiting: deque[tuple[float, bytes]] = deque()
    more = asyncio.Event()

    async def send() -> None:
        while True:
            await more.wait()
            due, data = waiting.popleft()
            if not waiting:
                more.clear()
            await asyncio.sleep(due - time.monotonic())
            if not data:
                writer.close()
                return
            writer.write(data)

    sending = asyncio.create_task(send())
    try:
        data = b"-"
        while data:
            data = await reader.read(PIECE)
            waiting.append((time.monotonic() + delay_s, data))
            more.set()
        await sending
    except OSError:
        sending.cancel()


@asynccontextmanager
async def slow_line(target: int, delay_s: float) -> AsyncIterator[int]:
    """Carry connections to a port of this machine, each piece after `delay_s`; yield the port."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * delay_s)  # the round trip of the connection itself
        far_reader, far = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(_carry(reader, far, delay_s), _carry(far_reader, writer, delay_s))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy() -> float:
    """How much longer fixed work takes than the processor time that it needs."""
    wall, own = time.perf_counter(), time.process_time()
    sum(number * number for number in range(3_000_000))
    return (time.perf_counter() - wall) / (time.process_time() - own)


async def one(made: Rig) -> Figures:
    """Start the relay once; return when its lease was at the hub and when its port was open."""
    relay, database = made.relay, made.hall.database

    async def lease() -> list[Any]:
        return list(await database.read(lambda tx: tx.exec_driver_sql("SELECT at FROM relay_lease").fetchall()))

    await relay.stop()
    before, load = await lease(), busy()
    began = time.monotonic()
    starting = asyncio.create_task(relay.start())
    found: Figures = {"busy": round(load, 1)}
    while "lease_s" not in found or not starting.done():
        if time.monotonic() - began > WITHIN_S:
            raise TimeoutError(relay.log[-1000:])
        process = relay.process
        if process is not None and process.poll() is None:
            if "lease_s" not in found and await lease() != before:
                found |= {"lease_s": time.monotonic() - began, "lease_cpu_s": cpu_s(process.pid)}
            if "port_s" not in found and starting.done():
                found |= {"port_s": time.monotonic() - began, "port_cpu_s": cpu_s(process.pid)}
        await asyncio.sleep(0.01)
    process = relay.process
    assert process is not None
    found = {"port_s": time.monotonic() - began, "port_cpu_s": cpu_s(process.pid)} | found
    await starting
    return {name: round(value, 2) for name, value in found.items()}


async def run(starts: int, delay_s: float) -> Figures:
    """Start a relay that held the meeting before so many times."""
    found: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="folkmoot-start-") as folder:
        async with rig(Path(folder)) as made, slow_line(made.link.target, delay_s) as port:
            made.link.target = port
            for _ in range(starts):
                found.append(await one(made))
                print(json.dumps(found[-1]), flush=True)
    median = {name: round(statistics.median(one[name] for one in found), 2) for name in found[0]}
    return {"delay_ms": round(delay_s * 1000), "starts": found, "median": median}


def main() -> int:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description="How long a relay takes to start")
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--delay-ms", type=float, default=300.0, help="of the line, each way")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    result = asyncio.run(run(options.starts, options.delay_ms / 1000))
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
