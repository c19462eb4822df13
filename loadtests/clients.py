"""The load generator: many clients with real ICE, DTLS and SRTP on one socket, for our worker and its peers alike.

Everything happens in ticks of one coroutine: take what has arrived, answer with NACKs, reports and consent checks,
send what is due. Clients belong to a `Group`, one for each server under load, whose counters say what happened.
"""

from __future__ import annotations

import array
import asyncio
import gc
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aioice import stun
from loadtests.namespace import Network
from loadtests.streams import Stream, rtcp_names
from loadtests.wire import STRIDE, Wire
from pylibsrtp import Error as SrtpError

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.packets import RTP_HEADER, parse_rtp
from folkmoot_media.forwarding.transport_wide import ArrivalLog
from folkmoot_media.rtp_parameters import WIDE_ID
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint
from folkmoot_media.transport.stun_lite import BINDING_REQUEST

TICK = 0.005
CONSENT_PERIOD = 5.0
REPORT_PERIOD = 1.0
FEEDBACK_PERIOD = 0.1
CONNECT_TIMEOUT = 20.0
CHECK_RETRY = 0.1
DRAWS = 1 << 16
SAMPLE_MASK = 63
VIDEO_HEAD = 7
ONE_BYTE_PROFILE = b"\xbe\xde"
ESTIMATE = 20_000_000


def identity() -> DtlsIdentity:
    """Return the clients' certificate; AES-128-GCM alone is offered, so that every server uses the same cipher."""
    made = DtlsIdentity()
    made._context.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
    return made


class Peer:
    """One client: a transport to a server, and what it sends or receives."""

    def __init__(self, load: Load, group: Group, index: int) -> None:
        self.address = load.network.client(index)
        self.password = secrets.token_hex(16)
        self.group = group
        # A server that makes checks of its own drops a handshake that comes before them.
        self.was_checked = True
        self.active = ActiveTransport(load.identity, self._send, secrets.token_bytes, on_rtcp=self._on_rtcp)
        self.streams: list[Stream] = []
        self.ssrc = int.from_bytes(secrets.token_bytes(4), "big") | 0x100
        self.on_key_request: Callable[[], None] | None = None
        self.sender_reports: dict[int, tuple[int, float]] = {}
        self.arrivals: ArrivalLog | None = None
        self.next_report = self.next_check = self.next_feedback = 0.0
        self._load = load
        self._source = load.wire.source(self.address)
        self._target = ("", 0)

    def _send(self, data: bytes) -> None:
        if not self._load.wire.send(data, self._source, self._target):
            self.group.counts["not_sent"] += 1

    async def connect(
        self, target: tuple[str, int], fragment: str, password: str, fingerprints: list[Fingerprint]
    ) -> None:
        """Do ICE and DTLS.

        Raises:
            ConnectionError: the handshake failed.
            TimeoutError: it was not done in 20 s.
        """
        self._target = target
        self.active.set_remote(fragment, password, fingerprints)
        again = 0.0
        async with asyncio.timeout(CONNECT_TIMEOUT):
            while not self.active.connected:
                self._load.check()
                if self.active.failed:
                    raise ConnectionError(f"no DTLS with {self.group.name}")
                now = time.monotonic()
                if now >= again:
                    again = now + CHECK_RETRY
                    self.active.check()
                self.active.poll()
                await asyncio.sleep(TICK / 2)
        now = time.monotonic()
        # Spread over the periods, so that not all clients speak in the same tick.
        spread = (self._load.peers_made * 0.618) % 1
        self.next_report, self.next_check = now + spread * REPORT_PERIOD, now + spread * CONSENT_PERIOD

    def receive(self, datagram: bytes) -> None:
        """Take what is not media; Janus makes checks of its own although it says that it is lite."""
        if datagram[:2] == BINDING_REQUEST:
            self._answer_check(datagram)
        elif self.was_checked or not datagram[0] < 4:
            self.active.receive(datagram)

    def _answer_check(self, datagram: bytes) -> None:
        request = stun.parse_message(datagram)
        # A check may come before the description that names the server has been read.
        if not self._target[1] or not request.check_message_integrity(self.password.encode()):
            return
        answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = self._target
        answer.add_message_integrity(self.password.encode())
        self._send(bytes(answer))
        self.was_checked = True

    def add_stream(self, kind: str, ssrc: int, rtx_ssrc: int = 0) -> Stream:
        """Receive a stream from now on."""
        stream = Stream(self.unprotect, kind, ssrc, rtx_ssrc)
        self.streams.append(stream)
        self.group.streams.append(stream)
        self._load.add_stream(stream)
        return stream

    def unprotect(self, packet: bytes) -> bytes | None:
        """Return the plain packet, or None when it is forged."""
        pair = self.active.srtp
        try:
            return pair.receive.unprotect(packet) if pair is not None else None
        except (SrtpError, ValueError):
            return None

    def _on_rtcp(self, compound: bytes) -> None:
        now = time.monotonic()
        side = "to_receiver" if self.streams else "to_sender"
        for name, at in rtcp_names(compound):
            self.group.counts[f"{side}_{name}"] += 1
            if name in ("PLI", "FIR") and self.on_key_request is not None:
                self.on_key_request()
            if name == "SR" and at + 16 <= len(compound):
                ssrc = int.from_bytes(compound[at + 4 : at + 8], "big")
                self.sender_reports[ssrc] = (int.from_bytes(compound[at + 10 : at + 14], "big"), now)

    def housekeeping(self, now: float) -> None:
        """Send what a browser sends by itself: consent checks, receiver reports with an estimate, NACKs."""
        if now >= self.next_check:
            self.next_check += CONSENT_PERIOD
            self.active.check()
        for stream in self.streams:
            if stream.missing and stream.kind == "video" and (due := stream.due_nacks(now)):
                self.group.counts["nacked"] += len(due)
                self.active.send_rtcp(
                    rtcp.build_receiver_report(self.ssrc, ()) + rtcp.build_nack(self.ssrc, stream.ssrc, due)
                )
        if self.arrivals is not None and now >= self.next_feedback:
            self.next_feedback = now + FEEDBACK_PERIOD
            body = self.arrivals.build()
            if body is not None:
                self.group.counts["feedback_sent"] += 1
                self.active.send_rtcp(rtcp.build_transport_feedback(self.ssrc, self.streams[0].ssrc, body))
        if self.streams and now >= self.next_report:
            self.next_report += REPORT_PERIOD
            nothing = (0, 0.0)
            heard = [stream for stream in self.streams if stream.expected >= 0]
            blocks = tuple(stream.report(self.sender_reports.get(stream.ssrc, nothing), now) for stream in heard)
            compound = rtcp.build_receiver_report(self.ssrc, blocks)
            video = [stream.ssrc for stream in heard if stream.kind == "video"]
            if video and self.arrivals is None:
                compound += rtcp.build_remb(self.ssrc, ESTIMATE, video)
            self.active.send_rtcp(compound)


@dataclass(eq=False)
class Group:
    """The clients of one server, and what happened to their packets."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    peers: list[Peer] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    sources: list[PacketSource] = field(default_factory=list)

    def totals(self) -> Counter[str]:
        """Return every counter as it stands."""
        found = Counter(self.counts)
        found["sent"] = sum(source.sent for source in self.sources)
        for stream in self.streams:
            for name in ("arrived", "received", "discarded", "resent", "repaired", "checked", "forged", "extended"):
                found[name] += getattr(stream, name)
        return found


class PacketSource:
    """Sends packets of one size at one rate while `on`, several at a time when `burst` is more than 1.

    The first eight payload bytes behind the payload descriptor say when a packet was sent (wall clock, ns).
    """

    def __init__(self, peer: Peer, kind: str, size: int, rate: float, burst: int = 1, level: int = 20) -> None:
        self.peer = peer
        peer.on_key_request = self.key_frame
        self.kind = kind
        self.level = level
        self.on = False
        self.sent = 0
        self.last_sent_ns = 0
        self.longest_pause_ns = 0
        self._rate = rate
        self._burst = burst
        self._start = 0.0
        self._sent_before = 0
        self._frame = 0
        self._key = False
        self._next_report = 0.0
        self._extensions = b"\xbe\xde\x00\x01\x100\x00\x00"
        if kind == "audio":
            self._extensions = b"\xbe\xde\x00\x01\x100" + bytes((0xA0, 0x80 | level))
        head = 12 + len(self._extensions) + (VIDEO_HEAD if kind == "video" else 0)
        self._body = bytes(max(0, size - head - 8))

    def start(self, now: float) -> None:
        """Go on sending from `now`."""
        self.on, self._start, self._sent_before = True, now, self.sent
        self.last_sent_ns = 0

    def stop(self) -> None:
        """Send nothing more."""
        self.on = False

    def key_frame(self) -> None:
        """Let the next packet begin a key frame."""
        self._key = True

    def send_due(self, now: float) -> None:
        """Send what is due: by the clock, so that a generator that was held up catches up."""
        due = int((now - self._start) * self._rate) - (self.sent - self._sent_before)
        if due >= self._burst:
            for _ in range(due - due % self._burst):
                self._send()
        if now >= self._next_report:
            self._next_report = now + REPORT_PERIOD
            self._send_report(now)

    def _send(self) -> None:
        self.sent += 1
        place = self.sent % self._burst
        begins, ends = place == 1 or self._burst == 1, place == 0
        if begins:
            self._frame += 1
        if self.kind == "video":
            stamp, second = self._frame * 450, 96 | (0x80 if ends else 0)
            number = self._frame & 0x7FFF
            flags = 0x90 if begins else 0x80
            head = bytes((flags, 0xE0, 0x80 | number >> 8, number & 0xFF, number & 0xFF, 0, 0 if self._key else 1))
            self._key = self._key and not ends
        else:
            stamp, second, head = self.sent * 960, 111, b""
        header = RTP_HEADER.pack(0x90, second, self.sent & 0xFFFF, stamp & 0xFFFFFFFF, self.peer.ssrc)
        clock = time.time_ns()
        if self.last_sent_ns:
            self.longest_pause_ns = max(self.longest_pause_ns, clock - self.last_sent_ns)
        self.last_sent_ns = clock
        self.peer.active.send_rtp(header + self._extensions + head + clock.to_bytes(8, "big") + self._body)

    def _send_report(self, now: float) -> None:
        stamp = (self._frame * 450 if self.kind == "video" else self.sent * 960) & 0xFFFFFFFF
        ntp = int((now + 3_000_000_000) * (1 << 32))
        report = rtcp.SenderReport(self.peer.ssrc, ntp, stamp, self.sent & 0xFFFFFFFF, 0)
        compound = rtcp.build_sender_report(report) + rtcp.build_source_description(self.peer.ssrc, "load")
        self.peer.active.send_rtcp(compound)


class Load:
    """The generator: its socket, its clients, and the coroutine that moves everything.

    `loss` is the share of arriving packets, in percent, that receivers pretend not to have got.
    """

    def __init__(self, network: Network, loss: float = 0.0, seed: str = "load") -> None:
        self.network = network
        self.wire = Wire()
        self.identity = identity()
        self.peers_made = 0
        self.loss = loss
        self.stray = 0
        self._peers: dict[str, Peer] = {}
        self._groups: list[Group] = []
        self._streams: dict[int, Stream] = {}
        self._rtx: dict[int, Stream] = {}
        self._draws = array.array("H", hashlib.shake_128(seed.encode()).digest(2 * DRAWS))
        self._drawn = 0
        self._task: asyncio.Task[None] | None = None

    def group(self, name: str) -> Group:
        """Return a new group of clients."""
        self._groups.append(Group(name))
        return self._groups[-1]

    def peer(self, group: Group) -> Peer:
        """Return a new client that has connected to nothing yet."""
        made = Peer(self, group, self.peers_made)
        self.peers_made += 1
        self._peers[made.address] = made
        group.peers.append(made)
        return made

    def drop_peer(self, peer: Peer) -> None:
        """Forget a client; packets that still come for it are stray."""
        peer.group.peers.remove(peer)
        del self._peers[peer.address]
        for stream in peer.streams:
            self._streams.pop(stream.ssrc, None)
            self._rtx.pop(stream.rtx_ssrc, None)

    def add_stream(self, stream: Stream) -> None:
        """Count the packets of a stream."""
        self._streams[stream.ssrc] = stream
        if stream.rtx_ssrc:
            self._rtx[stream.rtx_ssrc] = stream

    def start(self) -> None:
        """Begin to tick."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop ticking and close the socket."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.wire.close()

    def check(self) -> None:
        """Raise what stopped the ticking, if anything did."""
        if self._task is not None and self._task.done():
            self._task.result()

    async def _run(self) -> None:
        gc.freeze()
        while True:
            now = time.monotonic()
            self._drain()
            for group in self._groups:
                for source in group.sources:
                    if source.on:
                        source.send_due(now)
                for peer in group.peers:
                    if peer.active.connected:
                        peer.housekeeping(now)
            await asyncio.sleep(max(0.0, now + TICK - time.monotonic()))

    def _drain(self) -> None:
        wire = self.wire
        while count := wire.receive():
            self._take(count)

    def _take(self, count: int) -> None:
        data, streams, unpack = self.wire.data, self._streams, RTP_HEADER.unpack_from
        threshold = int(self.loss * 655.36)
        for index in range(count):
            first, second, sequence, _, ssrc = unpack(data, index * STRIDE)
            if not 128 <= first < 192 or 192 <= second <= 223:
                self._take_other(index)
                continue
            stream = streams.get(ssrc)
            keep = True
            if threshold:
                self._drawn = (self._drawn + 1) % DRAWS
                keep = self._draws[self._drawn] >= threshold
            if keep and first & 0x10:
                self._note_number(index)
            if stream is None:
                self._take_rtx(ssrc, index, keep)
            elif stream.take(sequence, keep) and (not sequence & SAMPLE_MASK or stream.delays is not None):
                self._look_inside(stream, index)
            if stream is not None and stream.gaps is not None:
                self._time_gap(stream, index)

    def _note_number(self, index: int) -> None:
        """Remember when a packet with a transport-wide number came, for its receiver's feedback."""
        data, at = self.wire.data, index * STRIDE + RTP_HEADER.size
        if data[at : at + 2] != ONE_BYTE_PROFILE or data[at + 4] >> 4 != WIDE_ID:
            return
        peer = self._peers.get(self.wire.destination(index))
        if peer is not None and peer.arrivals is not None:
            number = data[at + 5] << 8 | data[at + 6]
            peer.arrivals.note(number, self.wire.arrived(index) / 1e9)

    def _take_rtx(self, ssrc: int, index: int, keep: bool) -> None:
        stream = self._rtx.get(ssrc)
        if stream is None:
            self.stray += 1
        else:
            stream.take_rtx(self.wire.datagram(index), keep)

    def _take_other(self, index: int) -> None:
        peer = self._peers.get(self.wire.destination(index))
        if peer is not None:
            peer.receive(self.wire.datagram(index))

    def _look_inside(self, stream: Stream, index: int) -> None:
        """Decrypt a packet: it must be what was sent, and it says when."""
        plain = stream.unprotect(self.wire.datagram(index))
        packet = parse_rtp(plain) if plain is not None else None
        at = VIDEO_HEAD if stream.kind == "video" else 0
        if packet is None or any(packet.payload[at + 8 :]):
            stream.forged += 1
            return
        stream.checked += 1
        stream.extended += bool(packet.extensions)
        if stream.delays is not None:
            stream.delays.append(self.wire.arrived(index) - int.from_bytes(packet.payload[at : at + 8], "big"))

    def _time_gap(self, stream: Stream, index: int) -> None:
        arrived = self.wire.arrived(index)
        if stream.last_arrival and stream.gaps is not None:
            stream.gaps.append((arrived, arrived - stream.last_arrival))
        stream.last_arrival = arrived


async def until(load: Load, ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something is so.

    Raises:
        RuntimeError: it was not so in time.
    """
    end = time.monotonic() + seconds
    while not ready():
        load.check()
        if time.monotonic() > end:
            raise RuntimeError(what)
        await asyncio.sleep(0.02)


def prints(found: list[dict[str, Any]]) -> list[Fingerprint]:
    """Return certificate digests as the transport takes them."""
    return [Fingerprint(one["algorithm"], one["value"]) for one in found]
