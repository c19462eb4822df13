"""Transport-wide numbers: what was sent when, and what arrived when.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 (section 2: header extension, section 3.1: feedback).
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from struct import Struct
from typing import NamedTuple

from folkmoot_media.forwarding.packets import extend

TICKS_PER_SECOND = 4000
REFERENCE_TICKS = 256
REFERENCE_MODULUS = 1 << 24
MAXIMUM_STATUSES = 1024
MAXIMUM_WAITING = 1024
WATCHED_MAX = 256
LOG_SIZE = 4096
LARGEST_SMALL_DELTA = 255
LARGEST_DELTA = (1 << 15) - 1
VECTOR_SYMBOLS = 7
MISSING, SMALL, LARGE = 0, 1, 2
# What the bits of a status vector say: seven symbols of one bit, four of two.
_SINGLES = [tuple(bits >> shift & 1 for shift in range(6, -1, -1)) for bits in range(128)]
_PAIRS = [tuple(bits >> shift & 3 for shift in range(6, -1, -2)) for bits in range(256)]
_HEADER = Struct("!HHL")
_WORD = Struct("!H")
_SIGNED = Struct("!h")


def parse_feedback(control: bytes) -> tuple[int, tuple[int, ...]] | None:
    """Read the part of a feedback packet behind its two SSRCs, without padding.

    Returns:
        The first number and, for it and each one after, the arrival in ticks of 250 us on the sender's clock or -1;
        None when the packet is cut or tells of more than 1024 packets.
    """
    if len(control) < 8:
        return None
    base, count, reference = _HEADER.unpack_from(control)
    if not 0 < count <= MAXIMUM_STATUSES:
        return None
    ticks = (reference >> 8) * REFERENCE_TICKS
    size = len(control)
    if size >= 10 + count and control[8] >> 5 == SMALL and (control[8] << 8 | control[9]) & 0x1FFF >= count:
        # Nearly every one: all have arrived, one soon after the other.
        return base, tuple(accumulate(control[10 : 10 + count], initial=ticks))[1:]
    read = _read_symbols(control, 8, count)
    if read is None:
        return None
    symbols, position = read
    arrivals: list[int] = []
    for symbol in symbols:
        if symbol == SMALL:
            if position >= size:
                return None
            ticks += control[position]
            position += 1
        elif symbol == LARGE:
            if position + 2 > size:
                return None
            ticks += _SIGNED.unpack_from(control, position)[0]
            position += 2
        else:
            arrivals.append(-1)
            continue
        arrivals.append(max(0, ticks))
    return base, tuple(arrivals)


def _read_symbols(control: bytes, position: int, count: int) -> tuple[list[int], int] | None:
    symbols: list[int] = []
    while len(symbols) < count:
        if position + 2 > len(control):
            return None
        (chunk,) = _WORD.unpack_from(control, position)
        position += 2
        if not chunk & 0x8000:
            symbols.extend([chunk >> 13 & 3] * min(chunk & 0x1FFF, count - len(symbols)))
            if not chunk & 0x1FFF:
                return None
        elif chunk & 0x4000:
            symbols += _PAIRS[chunk >> 6 & 0xFF]
            symbols += _PAIRS[chunk & 0x3F][1:]
        else:
            symbols += _SINGLES[chunk >> 7 & 0x7F]
            symbols += _SINGLES[chunk & 0x7F]
    del symbols[count:]
    return symbols, position


def build_feedback(base: int, arrivals: list[int], count: int) -> bytes:
    """Write the part of a feedback packet behind its two SSRCs, unpadded.

    Args:
        base: the first number told of.
        arrivals: ticks of 250 us for each number from `base` on, -1 where missing; at least one is not.
        count: running number of this feedback, 8 bits.
    """
    first = next(ticks for ticks in arrivals if ticks >= 0)
    reference = first // REFERENCE_TICKS
    last = reference * REFERENCE_TICKS
    symbols: list[int] = []
    deltas = bytearray()
    for ticks in arrivals:
        if ticks < 0:
            symbols.append(MISSING)
            continue
        delta = ticks - last
        last = ticks
        if 0 <= delta <= LARGEST_SMALL_DELTA:
            symbols.append(SMALL)
            deltas.append(delta)
        else:
            symbols.append(LARGE)
            deltas += _SIGNED.pack(delta)
    head = _HEADER.pack(base & 0xFFFF, len(arrivals), (reference % REFERENCE_MODULUS) << 8 | count & 0xFF)
    return head + _write_symbols(symbols) + bytes(deltas)


def _write_symbols(symbols: list[int]) -> bytes:
    chunks = bytearray()
    position, end = 0, len(symbols)
    while position < end:
        symbol = symbols[position]
        stop = position + 1
        while stop < end and symbols[stop] == symbol:
            stop += 1
        if stop - position >= VECTOR_SYMBOLS or stop == end:
            chunks += _WORD.pack(symbol << 13 | stop - position)
            position = stop
            continue
        chunk = 0xC000
        for offset in range(VECTOR_SYMBOLS):
            if position + offset < end:
                chunk |= symbols[position + offset] << 12 - 2 * offset
        chunks += _WORD.pack(chunk)
        position += VECTOR_SYMBOLS
    return bytes(chunks)


class ArrivalLog:
    """What has arrived from one publisher since the last feedback."""

    __slots__ = ("_arrived", "_count", "_highest", "_next")

    def __init__(self) -> None:
        self._arrived: dict[int, int] = {}
        self._highest = -1
        self._next = -1
        self._count = 0

    def note(self, number: int, now: float) -> None:
        """A packet with this 16-bit number has arrived at `now` (seconds)."""
        extended = extend(number, self._highest) if self._highest >= 0 else (1 << 16) + number
        self._highest = max(extended, self._highest)
        if len(self._arrived) < MAXIMUM_WAITING:
            self._arrived.setdefault(extended, int(now * TICKS_PER_SECOND))

    def build(self) -> bytes | None:
        """Return feedback on all since the last call, or None when there was nothing (section 3.1)."""
        if not self._arrived:
            return None
        last = max(self._arrived)
        first = min(self._arrived)
        if self._next >= 0:
            first = min(first, self._next)
        first = max(first, last - MAXIMUM_WAITING + 1)
        arrivals = [self._arrived.get(number, -1) for number in range(first, last + 1)]
        self._arrived.clear()
        self._next = max(self._next, last + 1)
        present = [ticks for ticks in arrivals if ticks >= 0]
        if any(abs(after - before) > LARGEST_DELTA - REFERENCE_TICKS for before, after in pairwise(present)):
            # More than eight seconds lie between two packets: nothing can be learned from them.
            return None
        self._count = self._count + 1 & 0xFF
        return build_feedback(first, arrivals, self._count)


class Sent(NamedTuple):
    """One packet as it left: seconds on the worker's clock, bytes on the wire; `probe` when sent to test the link."""

    time: float
    size: int
    probe: bool = False


class Outcomes(NamedTuple):
    """What became of packets, each kind in send order.

    `arrived` has each packet with its arrival in seconds on the receiver's clock. Of `untold` ones nothing is known,
    because the feedback about them was itself lost.
    """

    arrived: list[tuple[Sent, float]]
    lost: list[Sent]
    untold: list[Sent]


def _put(held: dict[int, bool], number: int, what: bool) -> None:
    if len(held) >= WATCHED_MAX:
        del held[next(iter(held))]
    held[number] = what


class SendLog:
    """The transport-wide numbers given to one subscriber's packets; `next` is the number the next one gets."""

    __slots__ = ("_arrival_base", "_known", "_mark", "_ring", "_told", "_watched", "extension_id", "next")

    def __init__(self, extension_id: int) -> None:
        self.next = 0
        self.extension_id = extension_id
        self._mark = extension_id << 16
        self._ring: list[Sent | None] = [None] * LOG_SIZE
        self._arrival_base: int | None = None
        self._told = 0
        self._watched: dict[int, bool] = {}
        self._known: dict[int, bool] = {}

    def stamp(self, sent: Sent) -> int:
        """Give the next number to a packet and return its stamp (`model.Copy`)."""
        number = self.next
        self.next = number + 1 & 0xFFFF
        self._ring[number & LOG_SIZE - 1] = sent
        return self._mark | number

    @property
    def last_sent(self) -> float:
        """When the newest packet left that nothing was heard of yet; minus infinity when there is none."""
        sent = self._ring[self.next - 1 & LOG_SIZE - 1]
        return float("-inf") if sent is None else sent.time

    def watch(self, number: int) -> None:
        """Remember what becomes of the packet that got this number; of the last `WATCHED_MAX` it is known."""
        self._known.pop(number, None)
        _put(self._watched, number, True)

    def has_arrived(self, number: int) -> bool | None:
        """Say whether a watched packet has arrived; None when no feedback told of it, False for a forgotten one."""
        return None if number in self._watched else self._known.get(number, False)

    def resolve(self, base: int, arrivals: tuple[int, ...]) -> Outcomes:
        """Match feedback with what was sent; each packet is told of at most once.

        Numbers that were never given out, or so long ago that they are forgotten, are ignored.
        """
        outcomes = Outcomes([], [], self._skip_to(base))
        if self._watched:
            self._learn(base, arrivals)
        following, ring, offset_ticks = self.next, self._ring, self._offset(arrivals)
        newest = -1
        for offset, ticks in enumerate(arrivals):
            number = base + offset & 0xFFFF
            if not 0 < (following - number & 0xFFFF) <= LOG_SIZE:
                continue
            place = number & LOG_SIZE - 1
            sent = ring[place]
            if sent is None:
                continue
            ring[place] = None
            newest = number
            if ticks < 0:
                outcomes.lost.append(sent)
            else:
                outcomes.arrived.append((sent, (ticks + offset_ticks) / TICKS_PER_SECOND))
        if newest >= 0 and following - newest & 0xFFFF <= following - self._told & 0xFFFF:
            self._told = newest + 1 & 0xFFFF
        return outcomes

    def _learn(self, base: int, arrivals: tuple[int, ...]) -> None:
        """Note what feedback tells of watched packets; those before it that none told of stay unknown."""
        for number in list(self._watched):
            offset = number - base & 0xFFFF
            if offset < len(arrivals):
                del self._watched[number]
                _put(self._known, number, arrivals[offset] >= 0)

    def _skip_to(self, base: int) -> list[Sent]:
        """Return the packets that no feedback told of before `base`."""
        missing = base - self._told & 0xFFFF
        if missing >= LOG_SIZE or self.next - base & 0xFFFF > LOG_SIZE:
            return []
        skipped: list[Sent] = []
        for number in range(self._told, self._told + missing):
            place = number & LOG_SIZE - 1
            sent = self._ring[place]
            self._ring[place] = None
            if sent is not None:
                skipped.append(sent)
        return skipped

    def _offset(self, arrivals: tuple[int, ...]) -> int:
        # The 24-bit reference time wraps after 12 days: keep near the first time seen.
        first = next((ticks for ticks in arrivals if ticks >= 0), 0)
        if self._arrival_base is None:
            self._arrival_base = first
        return extend(first, self._arrival_base, REFERENCE_MODULUS * REFERENCE_TICKS) - first
