"""What is remembered about one received stream: reports, renumbering, history for retransmission."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from folkmoot_media.forwarding.codecs import Descriptor
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, extend
from folkmoot_media.forwarding.rtcp import ReportBlock, SenderReport

HISTORY_SIZE = 512
MAXIMUM_NACK_TRIES = 3
MAXIMUM_MISSING = 128
REORDER_WAIT = 0.02
GIVE_UP_AFTER = 1.0
SEEN_WINDOW = 512
MAXIMUM_DROPOUT = 3000
EMPTY, DUPLICATE, JUMPED, RESTARTED = -1, -2, -3, -4
_SEEN_MASK = (1 << SEEN_WINDOW) - 1


class StoredPacket(NamedTuple):
    """A forwarded packet kept for retransmission; `marks` is its AV1 dependency descriptor, if it carried one."""

    position: int
    marker: int
    timestamp: int
    payload: bytes
    descriptor: Descriptor
    marks: bytes | None = None


class History:
    """The last packets of one layer, by position; shared by all its consumers."""

    __slots__ = ("_ring",)

    def __init__(self) -> None:
        self._ring: list[StoredPacket | None] = [None] * HISTORY_SIZE

    def add(self, packet: StoredPacket) -> None:
        """Keep `packet`, forgetting the one `HISTORY_SIZE` positions before it."""
        self._ring[packet.position % HISTORY_SIZE] = packet

    def find(self, position: int) -> StoredPacket | None:
        """Return the packet at `position` when it is still kept."""
        packet = self._ring[position % HISTORY_SIZE]
        return packet if packet is not None and packet.position == position else None


@dataclass(slots=True)
class ClockReference:
    """The publisher's clock as last reported: media time `rtp` was heard of at `heard` (seconds)."""

    rtp: int
    heard: float
    short_ntp: int


@dataclass(slots=True)
class Missing:
    """A packet that did not arrive: noticed or last asked for at `since`."""

    since: float
    tries: int = 0
    first_asked: float = 0.0


class Reception:
    """Statistics and numbering of one received stream.

    `receive` turns the 16-bit sequence number into a position: an ever-growing integer in which packets that
    carry nothing (padding) leave no gap, so that consumers see an unbroken sequence.
    """

    __slots__ = (
        "_after_jump",
        "_expected_before",
        "_received_before",
        "_seen",
        "_skipped",
        "_transit",
        "clock",
        "clock_rate",
        "earliest",
        "first",
        "heard",
        "highest",
        "jitter",
        "last_position",
        "last_timestamp",
        "latest",
        "missing",
        "octets",
        "received",
        "repair_time",
        "skipped_total",
    )

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.first = -1
        self.highest = -1
        self.received = 0
        self.octets = 0
        self.heard = float("-inf")
        self.jitter = 0.0
        self.earliest, self.latest = float("inf"), float("-inf")
        self.last_position = -1
        self.last_timestamp = 0
        self.clock: ClockReference | None = None
        self.missing: dict[int, Missing] = {}
        self.repair_time: float | None = None
        self.skipped_total = 0
        self._skipped: deque[int] = deque(maxlen=64)
        self._transit = 0.0
        self._expected_before = 0
        self._received_before = 0
        self._seen = 0
        self._after_jump = -1

    def receive(self, sequence: int, timestamp: int, size: int, now: float, repair: bool = False) -> int:
        """Count a packet and return its position.

        Negative are EMPTY (padding only), DUPLICATE, JUMPED (far from all others: ignored) and RESTARTED (the second
        in a row after a jump: the stream has begun anew and needs a new `Reception`; RFC 3550 appendix A.1). A
        `repair` (retransmission) never counts as a jump.
        """
        if self.first < 0:
            number = (1 << 16) + sequence
            self.first = number
            self.highest = number - 1
        else:
            number = extend(sequence, self.highest)
        ahead = number - self.highest
        if ahead > MAXIMUM_DROPOUT or ahead <= -SEEN_WINDOW:
            if repair:
                return DUPLICATE
            if sequence == self._after_jump:
                return RESTARTED
            self._after_jump = sequence + 1 & 0xFFFF
            return JUMPED
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & _SEEN_MASK
        elif self._seen >> -ahead & 1:
            return DUPLICATE
        else:
            self._seen |= 1 << -ahead
        self._after_jump = -1
        if ahead > 0:
            self._note_gap(number, now)
            self._measure_jitter(timestamp, now)
            self.highest = number
            self.last_timestamp = timestamp
        elif self.missing:
            repaired = self.missing.pop(number, None)
            if repaired is not None and repaired.tries:
                self.repair_time = now - repaired.first_asked
        self.received += 1
        self.octets += size
        self.heard = now
        if size == 0:
            if number == self.highest:
                self.skipped_total += 1
                self._skipped.append(number)
            return EMPTY
        position = number - self.skipped_total
        if self._skipped and number < self._skipped[-1]:
            position += sum(1 for skipped in self._skipped if skipped > number)
        if position > self.last_position:
            self.last_position = position
        return position

    def _note_gap(self, number: int, now: float) -> None:
        gap = number - self.highest - 1
        if 0 < gap <= MAXIMUM_MISSING:
            for lost in range(self.highest + 1, number):
                self.missing[lost] = Missing(now)
            while len(self.missing) > MAXIMUM_MISSING:
                del self.missing[next(iter(self.missing))]

    def _measure_jitter(self, timestamp: int, now: float) -> None:
        # RFC 3550 appendix A.8, in media units.
        transit = now * self.clock_rate - timestamp
        if transit > self.latest:
            self.latest = transit
        if transit < self.earliest:
            self.earliest = transit
        if self.received:
            change = abs(transit - self._transit)
            if change < self.clock_rate * 10:
                self.jitter += (change - self.jitter) / 16
        self._transit = transit

    def take_transits(self) -> tuple[float, float] | None:
        """Return how early and how late packets have come since the last call, in seconds of an unknown clock."""
        earliest, latest = self.earliest / self.clock_rate, self.latest / self.clock_rate
        self.earliest, self.latest = float("inf"), float("-inf")
        return (earliest, latest) if earliest <= latest else None

    def note_sender_report(self, report: SenderReport, now: float) -> None:
        """Remember the publisher's clock for report blocks and for our own sender reports."""
        self.clock = ClockReference(report.rtp, now, report.ntp >> 16 & 0xFFFFFFFF)

    def media_time(self, now: float) -> int:
        """Return the stream's media time at `now`, from its sender report or else its newest packet."""
        if self.clock is not None:
            base, heard = self.clock.rtp, self.clock.heard
        else:
            base, heard = self.last_timestamp, self.heard
        return int(base + (now - heard) * self.clock_rate) & TIMESTAMP_MASK

    def report(self, ssrc: int, now: float) -> ReportBlock | None:
        """Return the report block since the last call, or None before the first packet (RFC 3550 A.3)."""
        if self.first < 0:
            return None
        expected = self.highest - self.first + 1
        expected_interval = expected - self._expected_before
        lost_interval = expected_interval - (self.received - self._received_before)
        self._expected_before, self._received_before = expected, self.received
        fraction = 0
        if expected_interval > 0 and lost_interval > 0:
            fraction = min(255, (lost_interval << 8) // expected_interval)
        lost = max(-(1 << 23), min((1 << 23) - 1, expected - self.received))
        last, delay = 0, 0
        if self.clock is not None:
            last = self.clock.short_ntp
            delay = int((now - self.clock.heard) * 65536) & 0xFFFFFFFF
        highest = (self.highest - (1 << 16)) & 0xFFFFFFFF
        return ReportBlock(ssrc, fraction, lost, highest, int(self.jitter) & 0xFFFFFFFF, last, delay)

    def due_nacks(self, now: float, retry_after: float) -> list[int]:
        """Return 16-bit numbers to ask for again, each at most three times and not before `retry_after` s."""
        due: list[int] = []
        for number, lost in list(self.missing.items()):
            if lost.tries >= MAXIMUM_NACK_TRIES:
                if now - lost.since > GIVE_UP_AFTER:
                    del self.missing[number]
            elif now - lost.since >= (retry_after if lost.tries else REORDER_WAIT):
                lost.first_asked = lost.first_asked if lost.tries else now
                lost.tries += 1
                lost.since = now
                due.append(number & 0xFFFF)
        return due


class Doubt(NamedTuple):
    """A request for a packet that may have arrived meanwhile, when it came, and how long to wait for feedback."""

    sequence: int
    asked: float
    until: float


@dataclass(slots=True)
class Retransmissions:
    """Per consumer: how often each position was sent again, and when.

    `numbers` has the transport-wide number of the last time, and `doubted` who asks again while nobody knows whether
    that arrived. Both are empty where the link is not numbered.
    """

    sent: dict[int, tuple[int, float]] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    doubted: dict[int, Doubt] = field(default_factory=dict)

    def allow(self, position: int, now: float, gap: float) -> bool:
        """Say whether `position` may be sent again now: at most three times, `gap` seconds apart."""
        tries, last = self.sent.get(position, (0, float("-inf")))
        if tries >= MAXIMUM_NACK_TRIES or now - last < gap:
            return False
        if len(self.sent) >= HISTORY_SIZE:
            self.forget(next(iter(self.sent)))
        self.sent[position] = (tries + 1, now)
        return True

    def forget(self, position: int) -> None:
        """Nothing more is known of `position`."""
        for known in (self.sent, self.numbers, self.doubted):
            known.pop(position, None)

    def clear(self) -> None:
        """Positions mean others from now on."""
        for known in (self.sent, self.numbers, self.doubted):
            known.clear()
