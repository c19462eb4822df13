"""Is an emulated link what its settings say? Nothing that is measured over it is believed before."""

from __future__ import annotations

import asyncio
import socket
import statistics
import struct
import time
from typing import Any

from loadtests.emulator import Emulator

Figures = dict[str, Any]
PROBE_PORT = 9000


def probe(link: Emulator) -> tuple[socket.socket, socket.socket]:
    """Return connected UDP sockets: in the hub and at home."""
    link.enter(link.home)
    home = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    home.bind((link.home_address, PROBE_PORT))
    link.enter(link.hub)
    hub = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    hub.bind((link.hub_address, PROBE_PORT))
    hub.connect((link.home_address, PROBE_PORT))
    home.connect((link.hub_address, PROBE_PORT))
    for one in (hub, home):
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    return hub, home


def drain(sink: socket.socket, delays: list[float]) -> int:
    """Take what has come; return how many bytes on the wire it was."""
    octets = 0
    while True:
        try:
            data = sink.recv(2048)
        except BlockingIOError:
            return octets
        delays.append(time.monotonic() - struct.unpack_from("d", data)[0])
        octets += len(data) + 28


async def pour(source: socket.socket, sink: socket.socket, size: int, rate: float, seconds: float) -> Figures:
    """Send packets of `size` bytes, `rate` a second; return what came of them."""
    delays: list[float] = []
    started, sent, octets, first, last = time.monotonic(), 0, 0, 0.0, 0.0
    while (now := time.monotonic()) < started + seconds + 2.5:
        while sent < min(now - started, seconds) * rate:
            source.send(struct.pack("d", time.monotonic()).ljust(size, b"\0"))
            sent += 1
        came = drain(sink, delays)
        if came:
            first, last = first or now, now
            octets += came
        await asyncio.sleep(0.002)
    # The first packet begins the time in which the others came.
    kbit = (octets - size - 28) * 8 / 1000 / max(0.001, last - first)
    return {"sent": sent, "came": len(delays), "kbit": kbit, "delay_ms": statistics.median(delays) * 1000}


async def check(link: Emulator) -> Figures:
    """Compare the link with its own settings: rate within 3 %, delay within 10 ms, losses within 1 % of the packets.

    Raises:
        SystemExit: it is not what it says; nothing measured over it could be believed.
    """
    hub, home = probe(link)
    found: Figures = {}
    wrong: list[str] = []
    for name, source, sink in (("down", hub, home), ("up", home, hub)):
        for kbit in (64, 512):
            await link.both(kbit=kbit, delay_ms=300, loss=0.0, burst=1)
            # The queue's end is part of what came: the rate is that of the time in which anything arrived.
            result = await pour(source, sink, 1000, kbit * 1.3 * 1000 / 8 / 1028, 8)
            found[f"{name}-{kbit}-kbit"] = round(result["kbit"], 1)
            if abs(result["kbit"] / kbit - 1) > 0.03:
                wrong.append(f"{name}: {result['kbit']:.1f} instead of {kbit} kbit/s")
        for loss, burst in ((0.1, 1), (0.1, 3), (0.2, 1)):
            await link.both(kbit=8000, delay_ms=300, loss=loss, burst=burst)
            result = await pour(source, sink, 100, 900, 11)
            share = 1 - result["came"] / result["sent"]
            found[f"{name}-loss-{loss}-burst-{burst}"] = round(share, 4)
            found[f"{name}-delay-ms"] = round(result["delay_ms"], 2)
            if abs(share - loss) > 0.01 * (1 if burst == 1 else 1.5):
                wrong.append(f"{name}: {share:.3f} lost instead of {loss} in runs of {burst}")
            if abs(result["delay_ms"] - 300) > 10:
                wrong.append(f"{name}: {result['delay_ms']:.1f} ms instead of 300")
    for one in (hub, home):
        one.close()
    if wrong:
        raise SystemExit("the emulated link is not what it says: " + "; ".join(wrong))
    return found
