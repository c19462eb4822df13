"""The compiled fan-out back end: tables for the C library in `native/`, which works on whole batches.

One call receives and decrypts, one call encrypts and sends; Python's lock is free meanwhile (ctypes). The library
holds addresses and borrowed libsrtp sessions in numbered lanes (where copies may go) and receivers (whose packets
may come in). Numbers of closed transports are used again only after the batch in hand, so that no packet of it can
be taken for another transport's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from struct import pack
from typing import Any, cast

from pylibsrtp import Session

from folkmoot_media.fan import libsrtp
from folkmoot_media.fan.interface import Intake, QueueingFan, Unavailable, Wire
from folkmoot_media.fan.rules import NOBODY, RuleTable
from folkmoot_media.forwarding.model import Batch, Leg
from folkmoot_media.transport.endpoint import (
    CONTROL_PER_SECOND,
    PACKETS_PER_SECOND,
    Address,
    Endpoint,
)

LIBRARY = Path(__file__).parent / "native" / "libfolkmoot_fan.so"
ABI = 4
BATCH, SLOT, HOST = 64, 2048, 48
CONTROL = 1 << 24
MOST_COPIES = 1 << 16
RESULT_FIELDS = 7
COPY_FIELDS = 7
OTHER, RTP, RTCP, OVER_BUDGET, REFUSED, FORWARDED, ANSWERED = range(7)
UNCHECKED, SEND_CALLS, SEGMENTED, SEND_FAILED, EXPRESS, EXPRESS_SENT, AGAIN = range(7)
COUNTERS = 7
_NUMBER = ctypes.c_uint32
_POINTER = ctypes.c_void_p


def load(path: Path) -> ctypes.CDLL:
    """Load the compiled library and let it find libsrtp.

    Raises:
        Unavailable: it has not been compiled, is of another version, or does not know this libsrtp.
    """
    if not path.is_file():
        raise Unavailable("it has not been compiled (tools/native_build.py does)")
    try:
        library = ctypes.CDLL(str(path))
        library.fan_abi.argtypes = ()
        built = library.fan_abi()
    except (OSError, AttributeError) as error:
        raise Unavailable(f"{path.name} cannot be loaded ({type(error).__name__})") from None
    if built != ABI:
        raise Unavailable(f"{path.name} was compiled for another version")
    _declare(library)
    known = (ctypes.c_char_p * len(libsrtp.KNOWN_LIBRARIES))(*libsrtp.KNOWN_LIBRARIES)
    problem = library.fan_load(libsrtp.library_path().encode(), known, len(known))
    if problem is not None:
        raise Unavailable(f"pylibsrtp: {problem.decode()}")
    return library


def _declare(library: ctypes.CDLL) -> None:
    """Name the types of every function; ctypes checks arguments against them."""
    text, port, real = ctypes.c_char_p, ctypes.c_uint16, ctypes.c_double
    signatures: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "fan_load": (text, (text, ctypes.POINTER(text), _NUMBER)),
        "fan_new": (_POINTER, (ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_uint64)),
        "fan_free": (None, (_POINTER,)),
        "fan_has_segments": (ctypes.c_int, (_POINTER,)),
        "fan_buffer": (_POINTER, (_POINTER,)),
        "fan_hosts": (_POINTER, (_POINTER,)),
        "fan_results": (_POINTER, (_POINTER,)),
        "fan_counters": (_POINTER, (_POINTER,)),
        "fan_times": (_POINTER, (_POINTER,)),
        "fan_set_lane": (ctypes.c_int, (_POINTER, _NUMBER, _POINTER, text, port, _NUMBER, _NUMBER)),
        "fan_clear_lane": (None, (_POINTER, _NUMBER)),
        "fan_set_receiver": (ctypes.c_int, (_POINTER, _NUMBER, _POINTER, real, real)),
        "fan_clear_receiver": (None, (_POINTER, _NUMBER)),
        "fan_set_source": (ctypes.c_int, (_POINTER, text, port, _NUMBER, _NUMBER)),
        "fan_clear_source": (None, (_POINTER, text, port, _NUMBER)),
        "fan_receive": (ctypes.c_int, (_POINTER, real)),
        "fan_wait": (ctypes.c_int, (_POINTER, ctypes.c_int, real)),
        "fan_set_rule": (
            ctypes.c_int,
            (_POINTER, _NUMBER, _NUMBER, _NUMBER, _NUMBER, text, _NUMBER, text, _NUMBER),
        ),
        "fan_set_askers": (ctypes.c_int, (_POINTER, _NUMBER, text, _NUMBER)),
        "fan_note_again": (ctypes.c_int, (_POINTER, _NUMBER, _NUMBER, _NUMBER, _NUMBER, _NUMBER)),
        "fan_place_rule": (ctypes.c_int, (_POINTER, _NUMBER, _NUMBER, _NUMBER, _NUMBER)),
        "fan_clear_rule": (None, (_POINTER, _NUMBER)),
        "fan_new_epoch": (_NUMBER, (_POINTER,)),
        "fan_set_stamp": (None, (_POINTER, _NUMBER, _NUMBER)),
        "fan_send": (ctypes.c_int64, (_POINTER, text, _NUMBER, text, _NUMBER, text, _NUMBER)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


class Numbers:
    """Gives endpoints numbers; a number given back is used again only after `recycle`."""

    def __init__(self) -> None:
        self.holders: list[Endpoint | None] = []
        self._by_holder: dict[Endpoint, int] = {}
        self._free: list[int] = []
        self._resting: list[int] = []

    def get(self, endpoint: Endpoint) -> int | None:
        """Return the endpoint's number, if it has one."""
        return self._by_holder.get(endpoint)

    def give(self, endpoint: Endpoint) -> int:
        """Return the endpoint's number, a fresh one if it has none."""
        number = self._by_holder.get(endpoint)
        if number is None:
            if self._free:
                number = self._free.pop()
                self.holders[number] = endpoint
            else:
                number = len(self.holders)
                self.holders.append(endpoint)
            self._by_holder[endpoint] = number
        return number

    def take_back(self, endpoint: Endpoint) -> int | None:
        """Take the endpoint's number away and return it, if it had one."""
        number = self._by_holder.pop(endpoint, None)
        if number is not None:
            self.holders[number] = None
            self._resting.append(number)
        return number

    def recycle(self) -> None:
        """Let numbers given back be used again."""
        if self._resting:
            self._free += self._resting
            self._resting.clear()


class CompiledFan(QueueingFan):
    """Keeps the library's tables up to date and hands it whole batches."""

    name = "compiled"
    rules = True

    def __init__(self, wire: Wire, ipv6: bool, rng: Callable[[int], bytes], segments: bool = True) -> None:
        """Load the library and make its tables.

        Args:
            wire: the worker's UDP socket.
            ipv6: whether addresses of that socket are IPv6 ones.
            rng: gives random bytes.
            segments: let the kernel cut runs of datagrams where it can (UDP_SEGMENT).

        Raises:
            Unavailable: see `load`.
            MemoryError: no memory for the tables.
        """
        super().__init__()
        self._library = load(LIBRARY)
        self._wire = wire
        self._fan = self._library.fan_new(wire.fileno(), ipv6, segments, int.from_bytes(rng(8), "big"))
        if not self._fan:
            raise MemoryError("no memory for the fan-out tables")
        self._buffer = self._view(self._library.fan_buffer(self._fan), BATCH * SLOT)
        self._hosts = self._view(self._library.fan_hosts(self._fan), BATCH * HOST)
        self._results = self._view(self._library.fan_results(self._fan), BATCH * RESULT_FIELDS * 4).cast("I")
        self._counters = self._view(self._library.fan_counters(self._fan), COUNTERS * 8).cast("Q")
        self._times = self._view(self._library.fan_times(self._fan), BATCH * 8).cast("d")
        self._rules = RuleTable(self._library, self._fan)
        self.waiter = self._wait
        self._ipv6 = ipv6
        self._lanes, self._receivers = Numbers(), Numbers()
        # The library borrows these sessions.
        self._lane_sessions: dict[int, Session] = {}
        self._receiver_sessions: dict[int, Session] = {}
        self._unchecked = self._express = self._express_sent = 0

    @staticmethod
    def _view(address: int, size: int) -> memoryview:
        return memoryview((ctypes.c_char * size).from_address(address)).cast("B")

    def __del__(self) -> None:
        fan = getattr(self, "_fan", None)
        if fan:
            self._library.fan_free(fan)

    # -- tables -----------------------------------------------------------------------------------------------

    def entered(self, address: Address, endpoint: Endpoint) -> None:
        """Let media from `address` be decrypted with the endpoint's keys, once it has some."""
        receiver = self._receivers.get(endpoint)
        if receiver is None:
            receiver = self._receivers.give(endpoint)
            self._set_receiver(receiver, endpoint)
        host, port, _, scope = _parts(address)
        if self._library.fan_set_source(self._fan, host, port, scope, receiver):
            raise ValueError("not an address of this socket")

    def left(self, address: Address) -> None:
        """Let nothing from `address` be decrypted any longer."""
        host, port, _, scope = _parts(address)
        self._library.fan_clear_source(self._fan, host, port, scope)

    def opened(self, endpoint: Endpoint) -> None:
        """Use the keys that are now there."""
        receiver = self._receivers.get(endpoint)
        if receiver is not None:
            self._set_receiver(receiver, endpoint)

    def _set_receiver(self, receiver: int, endpoint: Endpoint) -> None:
        keys = endpoint.keys
        session = libsrtp.pointer(keys.receive) if keys is not None else None
        if self._library.fan_set_receiver(self._fan, receiver, session, PACKETS_PER_SECOND, CONTROL_PER_SECOND):
            raise MemoryError("no memory for one more receiver")
        if keys is not None:
            self._receiver_sessions[receiver] = keys.receive

    def closed(self, endpoint: Endpoint) -> None:
        """Forget the endpoint and let go of its keys."""
        self.unrouted()
        lane = self._lanes.take_back(endpoint)
        if lane is not None:
            self._library.fan_clear_lane(self._fan, lane)
            self._lane_sessions.pop(lane, None)
        receiver = self._receivers.take_back(endpoint)
        if receiver is not None:
            self._library.fan_clear_receiver(self._fan, receiver)
            self._receiver_sessions.pop(receiver, None)

    def unrouted(self) -> None:
        """Let no rule fit anything that was made before."""
        self._rules.new_epoch()

    def _make_route(self, endpoint: Endpoint) -> Any:
        """Return the number of a lane that leads to the endpoint's address."""
        assert endpoint.keys is not None and endpoint.address is not None  # noqa: S101, PT018 - the caller has looked
        session = endpoint.keys.send
        lane = self._lanes.give(endpoint)
        handle = libsrtp.pointer(session)
        if self._library.fan_set_lane(self._fan, lane, handle, *_parts(endpoint.address)):
            raise ValueError("not an address of this socket")
        self._lane_sessions[lane] = session
        return lane

    # -- receiving --------------------------------------------------------------------------------------------

    def receive(self, intake: Intake, now: float) -> int:
        """Take what waiting has gathered, or else one batch from the socket; return how many datagrams there were."""
        self._receivers.recycle()
        self._lanes.recycle()
        found = self._library.fan_receive(self._fan, now)
        if not found:
            return 0
        count = found & 0xFFFF
        fields, times = self._results[: count * RESULT_FIELDS].tolist(), self._times[:count].tolist()
        holders, buffer = self._receivers.holders, self._buffer
        for number, arrived in enumerate(times):
            at = number * RESULT_FIELDS
            kind, receiver, offset, length = fields[at : at + 4]
            if kind == OTHER:
                self._take_other(intake, fields[at : at + RESULT_FIELDS], arrived)
                continue
            endpoint = holders[receiver]
            if endpoint is None:
                continue
            if kind == FORWARDED:
                intake.take_forwarded(endpoint, bytes(buffer[offset : offset + length]), arrived)
            elif kind == ANSWERED:
                intake.take_answered(endpoint, bytes(buffer[offset : offset + length]), arrived)
            elif kind == OVER_BUDGET:
                endpoint.counters["over_budget"] += 1
            elif kind == REFUSED:
                endpoint.counters["unprotect_failed"] += 1
            else:
                intake.take_packet(endpoint, bytes(buffer[offset : offset + length]), kind == RTCP, arrived)
        self._count_express()
        return int(found >> 16)

    def _wait(self, other: int, seconds: float | None) -> int:
        """See `interface.Waiter`."""
        return int(self._library.fan_wait(self._fan, other, -1.0 if seconds is None else seconds))

    def _count_express(self) -> None:
        made, sent = self._counters[EXPRESS], self._counters[EXPRESS_SENT]
        self.sent += sent - self._express_sent
        self.dropped += (made - self._express) - (sent - self._express_sent)
        self._express, self._express_sent = made, sent

    def take_unchecked(self) -> int:
        """Return how much media was dropped since the last call because its address had not been entered."""
        before, self._unchecked = self._unchecked, self._counters[UNCHECKED]
        return self._unchecked - before

    def _take_other(self, intake: Intake, fields: list[int], now: float) -> None:
        _, _, offset, length, port, flow, scope = fields
        # Addresses lie as their datagrams do, with gaps where something was dropped.
        slot = offset // SLOT
        printed = bytes(self._hosts[slot * HOST : (slot + 1) * HOST])
        host = printed[: printed.index(0)].decode("ascii")
        source: Address = (host, port, flow, scope) if self._ipv6 else (host, port)
        intake.take_datagram(bytes(self._buffer[offset : offset + length]), source, now)

    # -- sending ----------------------------------------------------------------------------------------------

    def _carry_out(self, control: list[tuple[Endpoint, bytes]], batches: list[Batch], now: float) -> None:
        table = Table()
        for endpoint, compound in control:
            prepared = endpoint.prepare_control(compound, now)
            if prepared is not None:
                table.add_compound(self._control_route(endpoint), prepared)
        for batch in batches:
            if table.count + len(batch.copies) > MOST_COPIES:
                self._hand_over(table)
                table = Table()
            self._add_copies(table, batch, now)
        self._hand_over(table)
        for batch in batches:
            if batch.place is not None:
                self._rules.place(batch.place, self._receiver_of, self._open_lane)

    def _receiver_of(self, leg: Leg) -> int | None:
        """Return the number under which a leg's packets come in, if they come over the socket."""
        return self._receivers.get(cast("Endpoint", leg.sink))

    def _open_lane(self, endpoint: Endpoint) -> int | None:
        """Return the lane of an endpoint that may be sent anything, NOBODY of one that is silent, else None."""
        if endpoint.address is None:  # found again, it begins another epoch
            return NOBODY
        lane = self._lanes.get(endpoint)
        return lane if lane is not None and endpoint.route == lane and not endpoint.restricted else None

    def _add_copies(self, table: Table, batch: Batch, now: float) -> None:
        payload, audio, copies, _ = batch
        piece, size, pieces, fields = table.add(payload), len(payload), {b"": 0}, table.fields
        for leg, second, sequence, timestamp, ssrc, head, stamp in copies:
            sink: Any = leg.sink
            lane = sink.route
            if lane is None:
                lane = self._route(sink, size, audio, now)
                if lane is None:
                    self.dropped += 1
                    continue
            patch = pieces.get(head)
            if patch is None:
                patch = pieces[head] = table.add(head)
            fields += (lane, piece, patch, second << 16 | sequence, timestamp, ssrc, stamp)

    def _hand_over(self, table: Table) -> None:
        count = table.count
        if not count:
            return
        # Several times as fast as an array made of the list.
        copies, pieces = pack(f"{len(table.fields)}I", *table.fields), pack(f"{len(table.pieces)}I", *table.pieces)
        blob = b"".join(table.parts)
        sent = self._library.fan_send(self._fan, copies, count, pieces, len(table.pieces) // 2, blob, len(blob))
        sent = max(0, sent)
        self.sent += sent
        self.dropped += count - sent

    def figures(self) -> dict[str, object]:
        """Return counters for the worker's statistics."""
        counters = self._counters.tolist()
        return {
            **super().figures(),
            "fan_send_calls": counters[SEND_CALLS],
            "fan_segmented": counters[SEGMENTED],
            "fan_express": counters[EXPRESS],
            "fan_again": counters[AGAIN],
        }


class Table:
    """Copies for one call: numbers in rows of seven, and the bytes they speak of."""

    __slots__ = ("_end", "fields", "parts", "pieces")

    def __init__(self) -> None:
        self.fields: list[int] = []
        self.pieces = [0, 0]
        self.parts: list[bytes] = []
        self._end = 0

    @property
    def count(self) -> int:
        """How many copies there are."""
        return len(self.fields) // COPY_FIELDS

    def add(self, data: bytes) -> int:
        """Add bytes; return the number of the piece."""
        self.pieces += (self._end, len(data))
        self.parts.append(data)
        self._end += len(data)
        return len(self.pieces) // 2 - 1

    def add_compound(self, lane: int, compound: bytes) -> None:
        """Add an RTCP compound."""
        self.fields += (lane, self.add(compound), 0, CONTROL, 0, 0, 0)


def _parts(address: Address) -> tuple[bytes, int, int, int]:
    """Return host, port, flow and scope as the library takes them."""
    flow, scope = (address[2], address[3]) if len(address) == 4 else (0, 0)
    return address[0].encode(), address[1], flow, scope
