"""The emulated link of one member: the way through it, its kernel counters, its check, and media beside it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from loadtests.emulator import HUB, Emulator, ip
from loadtests.link_check import pour, probe

Figures = dict[str, Any]
VOICE_OCTETS: Final = 140  # 60 ms of Opus at 12 kbit/s in RTP, with the transport's 12 + 16 bytes


class Here(AbstractResolver):
    """Every name is the hub's address on the link: pages speak to http://localhost, and it is over there."""

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        """Return the hub."""
        flags = socket.AI_NUMERICHOST
        found = ResolveResult(hostname=host, host=HUB, port=port, family=socket.AF_INET, proto=0, flags=flags)
        return [found]

    async def close(self) -> None:
        """Nothing to close."""


class Link:
    """The emulated link with its kernel counters, and the member's way through it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Be in the member's namespace."""
        self.emulator.enter(self.emulator.home)
        try:
            yield
        finally:
            self.emulator.enter(self.emulator.hub)

    def connector(self, trust: ssl.SSLContext | bool) -> aiohttp.TCPConnector:
        """Return what opens connections from the member's namespace, kept as long as browsers keep them."""

        def make(found: Any) -> socket.socket:
            with self.at_home():
                return socket.socket(family=found[0], type=found[1], proto=found[2])

        return aiohttp.TCPConnector(
            resolver=Here(), socket_factory=make, keepalive_timeout=300, limit_per_host=6, ssl=trust
        )

    def octets(self) -> Figures:
        """Return the bytes so far that were given to the link and that came out of it, each way."""
        hub_in, hub_out = _device(self.emulator.hub_device)
        with self.at_home():
            home_in, home_out = _device(self.emulator.home_device)
        return {"down_sent": hub_out, "down_arrived": home_in, "up_sent": home_out, "up_arrived": hub_in}


def _device(name: str) -> tuple[int, int]:
    """Return the bytes received and sent by a link's device in the namespace where this thread is."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        device, _, counts = line.partition(":")
        if device.strip() == name:
            numbers = counts.split()
            return int(numbers[0]), int(numbers[8])
    raise RuntimeError(f"the device {name} is gone")


def silence_ipv6(emulator: Emulator) -> None:
    """Take the addresses of IPv6 from a link: they would make neighbours' packets, which are nobody's meeting."""
    for name, device in ((emulator.hub, emulator.hub_device), (emulator.home, emulator.home_device)):
        ip(f"-n {name} link set dev {device} addrgenmode none")
        ip(f"-n {name} -6 addr flush dev {device}")


class Meter:
    """What each part of the meeting took of the link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.parts: Figures = {}
        self.quiet: Callable[[], Awaitable[None]] | None = None

    @asynccontextmanager
    async def part(self, name: str, settle_s: float) -> AsyncIterator[None]:
        """Count a part with what it made the page fetch; acknowledgements have `settle_s` more to come."""
        before, began = self._link.octets(), time.monotonic()
        yield
        took = time.monotonic() - began
        if self.quiet is not None:
            await self.quiet()
        await asyncio.sleep(settle_s)
        after = self._link.octets()
        found = {key: after[key] - before[key] for key in after}
        found["sent"] = found["down_sent"] + found["up_sent"]
        found["arrived"] = found["down_arrived"] + found["up_arrived"]
        self.parts[name] = {"s": round(took, 2), "counted_s": round(time.monotonic() - began, 2), **found}
        print(json.dumps({name: self.parts[name]}), file=sys.stderr, flush=True)


async def make_link(stack: AsyncExitStack) -> Link:
    """Make namespaces and link, and stay in the hub's namespace.

    Raises:
        OSError, RuntimeError, subprocess.CalledProcessError: not to be had here.
    """
    emulator = Emulator()
    stack.push_async_callback(_quietly_stop, emulator)
    await emulator.start()
    silence_ipv6(emulator)
    emulator.enter(emulator.hub)
    return Link(emulator)


async def _quietly_stop(emulator: Emulator) -> None:
    with contextlib.suppress(subprocess.CalledProcessError, OSError):
        await emulator.stop()


async def check(link: Link, options: argparse.Namespace) -> Figures:
    """Measure the emulator: its rate, delay and loss as they will be, and, to compare, without any."""
    hub, home = probe(link.emulator)
    link.emulator.enter(link.emulator.hub)
    found: Figures = {}
    for way, source, sink in (("down", hub, home), ("up", home, hub)):
        await link.emulator.both(kbit=options.kbit, delay_ms=options.rtt_ms / 2, loss=0.0, burst=1)
        filled = await pour(source, sink, 200, options.kbit * 1.3 * 1000 / 8 / 228, options.check_s)
        await link.emulator.both(kbit=8000, delay_ms=options.rtt_ms / 2, loss=options.loss, burst=1)
        lossy = await pour(source, sink, 100, 600, options.check_s)
        await link.emulator.both(kbit=8000, delay_ms=0, loss=0.0, burst=1)
        free = await pour(source, sink, 100, 600, options.check_s)
        found[way] = {
            "kbit": round(filled["kbit"], 2),
            "delay_ms": round(lossy["delay_ms"], 1),
            "loss": round(1 - lossy["came"] / lossy["sent"], 4),
            "control_without": {
                "delay_ms": round(free["delay_ms"], 1),
                "loss": round(1 - free["came"] / free["sent"], 4),
            },
        }
    hub.close()
    home.close()
    return found


@asynccontextmanager
async def media(link: Link, kbit: float) -> AsyncIterator[None]:
    """Fill both ways with packets of a voice's size at a rate that yields to nothing."""
    hub, home = probe(link.emulator)
    link.emulator.enter(link.emulator.hub)

    async def send() -> None:
        due = time.monotonic()
        while True:
            for source in (hub, home):
                with contextlib.suppress(OSError):
                    source.send(bytes(VOICE_OCTETS))
            due += (VOICE_OCTETS + 28) * 8 / 1000 / kbit
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        hub.close()
        home.close()
