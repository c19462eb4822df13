"""CPU per forwarded packet and per join of the media worker, driven by real ICE, DTLS and SRTP clients on loopback.

    python loadtests/fanout.py --subscribers 10 --size 1200 --rate 1000 --seconds 8 --json out.json

One publisher sends VP8 packets in 5 ms ticks; every subscriber has a socket and transport of its own, answers with a
receiver report a second and keeps its consent fresh. CPU is what the kernel accounts to the worker's threads
(/proc/PID/task/*/schedstat), divided by the packets that arrived at the subscribers. Two figures are only comparable
when they come from one run on one machine.
"""

import argparse
import asyncio
import json
import os
import secrets
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.packets import RTP_HEADER
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings

ROUTER = "load"
TICK = 0.005
WARM_UP = 1.0
SETTLE = 0.3
MOST_LOSS_PERCENT = 2.0
CONSENT_PERIOD = 5.0
REPORT_PERIOD = 1.0
SSRC = 0x00ABCDEF
PAYLOAD_TYPE = 96
MID_EXTENSION = b"\xbe\xde\x00\x01\x100\x00\x00"
KEY_FRAME, DELTA_FRAME = b"\x00", b"\x01"
IDENTITY = DtlsIdentity()
CAPABILITIES = {
    "codecs": [
        {"kind": "video", "mimeType": "video/VP8", "clockRate": 90000},
        {"kind": "video", "mimeType": "video/rtx", "clockRate": 90000, "parameters": {"apt": 101}},
    ]
}
PARAMETERS = {
    "mid": "0",
    "codecs": [{"mimeType": "video/VP8", "payloadType": PAYLOAD_TYPE, "clockRate": 90000}],
    "headerExtensions": [{"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 1}],
    "encodings": [{"ssrc": SSRC}],
}


@dataclass(frozen=True)
class Result:
    """What one run measured."""

    backend: str
    subscribers: int
    packet_bytes: int
    rate_in: int
    seconds: float
    sent: int
    received: int
    loss_percent: float
    cpu_us_per_packet: float
    cpu_ms_per_join: float
    cores: float


class Peer:
    """One client transport with a socket of its own."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setblocking(False)
        self.active = ActiveTransport(IDENTITY, self._send, secrets.token_bytes)
        self.transport_id = ""
        self.ssrc = 0

    def _send(self, data: bytes) -> None:
        self.socket.send(data)

    async def connect(self, pool: MediaPool, owner: str, direction: str) -> None:
        """Create the transport and finish ICE and DTLS."""
        info = await pool.request(
            ROUTER, "router.create_transport", {"router_id": ROUTER, "owner": owner, "direction": direction}
        )
        self.transport_id = info["id"]
        prints = [Fingerprint(found["algorithm"], found["value"]) for found in info["dtlsParameters"]["fingerprints"]]
        ice = info["iceParameters"]
        self.active.set_remote(ice["usernameFragment"], ice["password"], prints)
        own = [{"algorithm": found.algorithm, "value": found.value} for found in IDENTITY.fingerprints]
        dtls = {"role": "client", "fingerprints": own}
        await pool.request(ROUTER, "transport.connect", {"transport_id": self.transport_id, "dtlsParameters": dtls})
        candidate = info["iceCandidates"][0]
        self.socket.connect((candidate["address"], candidate["port"]))
        loop = asyncio.get_running_loop()
        self.active.check()
        async with asyncio.timeout(10):
            while not self.active.connected:
                self.active.receive(await loop.sock_recv(self.socket, 2048))

    async def consume(self, pool: MediaPool, producer_id: str) -> None:
        """Receive a producer."""
        answer = await pool.request(
            ROUTER,
            "transport.consume",
            {
                "transport_id": self.transport_id,
                "producer_id": producer_id,
                "rtpCapabilities": CAPABILITIES,
                "paused": False,
            },
        )
        self.ssrc = answer["rtpParameters"]["encodings"][0]["ssrc"]

    def report(self) -> None:
        """Send a receiver report as a browser does."""
        block = rtcp.ReportBlock(self.ssrc, 0, 0, 0, 0, 0, 0)
        self.active.send_rtcp(rtcp.build_receiver_report(1, (block,)))


class Receiver(threading.Thread):
    """Drains every subscriber's socket and counts the media packets."""

    def __init__(self, peers: list[Peer]) -> None:
        super().__init__(daemon=True)
        self.received = 0
        self._running = True
        self._selector = selectors.DefaultSelector()
        for peer in peers:
            self._selector.register(peer.socket, selectors.EVENT_READ)

    def run(self) -> None:
        """Drain until stopped."""
        buffer = bytearray(2048)
        while self._running:
            for key, _ in self._selector.select(0.1):
                drain = key.fileobj
                assert isinstance(drain, socket.socket)
                try:
                    while drain.recv_into(buffer):
                        if 127 < buffer[0] < 192 and not 192 <= buffer[1] <= 223:
                            self.received += 1
                except BlockingIOError:
                    continue

    def stop(self) -> None:
        """End the thread."""
        self._running = False
        self.join()


class Publisher:
    """Sends packets of one size at one rate in 5 ms ticks."""

    def __init__(self, peer: Peer, size: int, rate: int) -> None:
        self.sent = 0
        self._peer = peer
        self._rate = rate
        self._body = bytes(size - 12 - len(MID_EXTENSION) - 7)

    def send(self, key_frame: bool = False) -> None:
        """Send one packet; each is a picture of its own."""
        self.sent += 1
        number = self.sent & 0x7FFF
        header = RTP_HEADER.pack(0x90, 0x80 | PAYLOAD_TYPE, self.sent & 0xFFFF, self.sent * 450 & 0xFFFFFFFF, SSRC)
        descriptor = bytes((0x90, 0xE0, 0x80 | number >> 8, number & 0xFF, number & 0xFF, 0))
        kind = KEY_FRAME if key_frame else DELTA_FRAME
        self._peer.active.send_rtp(header + MID_EXTENSION + descriptor + kind + self._body)

    async def run(self, seconds: float, peers: list[Peer]) -> None:
        """Send for some seconds, with the peers' reports and consent checks in between."""
        start = time.monotonic()
        already = self.sent
        next_report = next_consent = start
        while (now := time.monotonic()) - start < seconds:
            # By the clock, not by ticks: a generator that was held up catches up, so that the rate is what it says.
            for _ in range(int((now - start) * self._rate) - (self.sent - already)):
                self.send()
            if now >= next_report:
                next_report += REPORT_PERIOD
                for peer in peers:
                    peer.report()
            if now >= next_consent:
                next_consent += CONSENT_PERIOD
                for peer in [self._peer, *peers]:
                    peer.active.check()
            ahead = start + (round((now - start) / TICK) + 1) * TICK - time.monotonic()
            await asyncio.sleep(max(0.0, ahead))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process (first field of schedstat, nanoseconds)."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e9


async def attach(publisher: Publisher, pool: MediaPool, subscribers: int) -> None:
    """Send key frames until every consumer has joined the stream."""
    for _ in range(200):
        publisher.send(key_frame=True)
        await asyncio.sleep(0.02)
        stats = (await pool.stats())[0]
        if publisher.sent > 10 and stats["packets_sent"] >= 5 * subscribers:
            return
    raise RuntimeError("the consumers did not start")


async def measure(options: argparse.Namespace) -> Result:
    """Run once."""
    with tempfile.TemporaryDirectory() as folder:
        pool = MediaPool(MediaPoolSettings(Path(folder) / "run", workers=1))
        await pool.start()
        try:
            return await _measure(pool, options)
        finally:
            await pool.close()


async def _measure(pool: MediaPool, options: argparse.Namespace) -> Result:
    (pid,) = pool.pids
    await pool.request(ROUTER, "router.create", {"router_id": ROUTER, "floor_mode": "open"})
    sender = Peer()
    await sender.connect(pool, "publisher", "send")
    produced = {
        "transport_id": sender.transport_id,
        "kind": "video",
        "source": "camera",
        "rtpParameters": PARAMETERS,
        "paused": False,
    }
    producer = await pool.request(ROUTER, "transport.produce", produced)
    publisher = Publisher(sender, options.size, options.rate)
    peers = [Peer() for _ in range(options.subscribers)]
    before = cpu_seconds(pid)
    for number, peer in enumerate(peers):
        await peer.connect(pool, f"seat-{number}", "recv")
        await peer.consume(pool, producer["id"])
    join = (cpu_seconds(pid) - before) / options.subscribers
    receiver = Receiver(peers)
    receiver.start()
    await attach(publisher, pool, options.subscribers)
    await publisher.run(WARM_UP, peers)
    await asyncio.sleep(SETTLE)
    before, sent, received = cpu_seconds(pid), publisher.sent, receiver.received
    await publisher.run(options.seconds, peers)
    await asyncio.sleep(SETTLE)
    used = cpu_seconds(pid) - before
    sent, received = publisher.sent - sent, receiver.received - received
    receiver.stop()
    expected = sent * options.subscribers
    return Result(
        backend=options.backend,
        subscribers=options.subscribers,
        packet_bytes=options.size,
        rate_in=round(sent / options.seconds),
        seconds=options.seconds,
        sent=sent,
        received=received,
        loss_percent=round(100 * (1 - received / expected), 2),
        cpu_us_per_packet=round(used / received * 1e6, 1),
        cpu_ms_per_join=round(join * 1e3, 2),
        cores=round(used / options.seconds, 3),
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="CPU per forwarded packet of the media worker")
    parser.add_argument("--backend", choices=["python"], default="python")
    parser.add_argument("--subscribers", type=int, default=10)
    parser.add_argument("--size", type=int, default=1200, help="bytes of an RTP packet before encryption")
    parser.add_argument("--rate", type=int, default=200, help="packets per second from the publisher")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument(
        "--rounds", type=int, default=1, help="the median is reported; rounds that lose 2 %% or more do not count"
    )
    parser.add_argument("--json", type=Path, help="write the result of every round here")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure and print one line per round and the median."""
    options = parse()
    rounds = [asyncio.run(measure(options)) for _ in range(options.rounds)]
    for found in rounds:
        print(
            f"{found.backend} N={found.subscribers} {found.packet_bytes} B x {found.rate_in}/s: "
            f"{found.cpu_us_per_packet} us CPU per forwarded packet, {found.cpu_ms_per_join} ms CPU per join, "
            f"{found.cores} cores, {found.loss_percent} % lost"
        )
    good = [found.cpu_us_per_packet for found in rounds if found.loss_percent < MOST_LOSS_PERCENT]
    if not good:
        print("every round lost too much to count: the machine is too busy", file=sys.stderr)
        return 1
    median = statistics.median(good)
    print(f"median of {len(good)}: {median} us per forwarded packet; load average {os.getloadavg()[0]:.1f}")
    if options.json:
        document: dict[str, Any] = {"rounds": [asdict(found) for found in rounds], "median_us": median}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
