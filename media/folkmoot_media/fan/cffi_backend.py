"""The fan-out back end without a compiler: libsrtp encrypts in place, sendmmsg(2) takes 64 datagrams at once."""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import sys
from typing import Any, NamedTuple

from folkmoot_media.fan import libsrtp
from folkmoot_media.fan.interface import LARGEST_RTCP, LARGEST_RTP, ReadingFan, Unavailable, Wire
from folkmoot_media.forwarding.model import Batch
from folkmoot_media.forwarding.packets import (
    RTP_HEADER,
    RTP_HEADER_LENGTH,
    WITH_WORDS,
    WORDS_AT,
    stamp_block,
    words_block,
)
from folkmoot_media.transport.endpoint import Address, Endpoint

SLOTS = 64
SLOT = 2048
VERSION_2 = 0x80
WITH_EXTENSION = 0x90
# Linux's numbers (sys/socket.h); this back end runs nowhere else.
_INET, _INET6 = 2, 10
_DO_NOT_WAIT = 0x40


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("length", ctypes.c_uint32))


class _Route(NamedTuple):
    """A session and an address as libsrtp and the kernel want them; `kept` are the objects behind the pointers."""

    session: Any
    name: int
    name_length: int
    kept: tuple[object, ...]


class CffiFan(ReadingFan):
    """Encrypts in 64 slots of one buffer and sends them with one system call."""

    name = "cffi"

    def __init__(self, wire: Wire, ipv6: bool) -> None:
        """Prepare the slots.

        Raises:
            Unavailable: not on Linux, or libsrtp is of an unknown version.
        """
        super().__init__(wire)
        if not sys.platform.startswith("linux"):
            raise Unavailable("sendmmsg is known on Linux only")
        ffi, lib = libsrtp.calls()
        self._ipv6 = ipv6
        self._descriptor = wire.fileno()
        self._protect, self._protect_rtcp = lib.srtp_protect, lib.srtp_protect_rtcp
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self._buffer = bytearray(SLOTS * SLOT)
        start = ffi.from_buffer("char[]", self._buffer)
        base = int(ffi.cast("uintptr_t", start))
        self._slots = [start + SLOT * slot for slot in range(SLOTS)]
        self._lengths = ffi.new("int[]", SLOTS)
        self._length_pointers = [self._lengths + slot for slot in range(SLOTS)]
        self._pieces = (_Piece * SLOTS)()
        self._messages = (_Message * SLOTS)()
        for slot, message in enumerate(self._messages):
            self._pieces[slot].base = base + SLOT * slot
            message.header.pieces = ctypes.pointer(self._pieces[slot])
            message.header.piece_count = 1
        # Each look at an element makes an object; these stay.
        self._piece_views = list(self._pieces)
        self._headers = [message.header for message in self._messages]
        # What the messages point at must live until they are handed over.
        self._routes: list[_Route | None] = [None] * SLOTS
        self._filled = 0

    def _make_route(self, endpoint: Endpoint) -> Any:
        assert endpoint.keys is not None and endpoint.address is not None  # noqa: S101, PT018 - the caller has looked
        name = ctypes.create_string_buffer(_socket_address(endpoint.address, self._ipv6))
        session = endpoint.keys.send
        return _Route(libsrtp.handle(session), ctypes.addressof(name), len(name) - 1, (session, name))

    def _carry_out(self, control: list[tuple[Endpoint, bytes]], batches: list[Batch], now: float) -> None:
        self._filled = 0
        for endpoint, compound in control:
            self._add_compound(endpoint, compound, now)
        for batch in batches:
            self._add_copies(batch, now)
        self._hand_over()

    def _add_compound(self, endpoint: Endpoint, compound: bytes, now: float) -> None:
        prepared = endpoint.prepare_control(compound, now)
        if prepared is None or endpoint.address is None:
            return
        if len(prepared) > LARGEST_RTCP:
            self.dropped += 1
            return
        slot = self._filled
        if slot == SLOTS:
            self._hand_over()
            slot = 0
        start = slot * SLOT
        self._buffer[start : start + len(prepared)] = prepared
        route = self._control_route(endpoint)
        self._lengths[slot] = len(prepared)
        if self._protect_rtcp(route.session, self._slots[slot], self._length_pointers[slot]):
            self.dropped += 1
        else:
            self._fill(slot, route)

    def _fill(self, slot: int, route: _Route) -> None:
        header = self._headers[slot]
        header.name, header.name_length = route.name, route.name_length
        self._piece_views[slot].length = self._lengths[slot]
        self._routes[slot] = route
        self._filled = slot + 1

    def _add_copies(self, batch: Batch, now: float) -> None:
        payload, audio, copies, _ = batch
        pack_into, buffer, size = RTP_HEADER.pack_into, self._buffer, len(payload)
        lengths, slots, pointers, protect = self._lengths, self._slots, self._length_pointers, self._protect
        for leg, second, sequence, timestamp, ssrc, head, stamp in copies:
            sink: Any = leg.sink
            route = sink.route or self._route(sink, size, audio, now)
            if route is None:
                self.dropped += 1
                continue
            slot = self._filled
            if slot == SLOTS:
                self._hand_over()
                slot = 0
            start = SLOT * slot
            body = start + RTP_HEADER_LENGTH
            if second >= WITH_WORDS:
                words = second >> WORDS_AT
                if 4 * words > max(size, len(head)):
                    self.dropped += 1
                    continue
                block = words_block(words, stamp)
                pack_into(buffer, start, WITH_EXTENSION, second & 0xFF, sequence, timestamp, ssrc)
                buffer[body : body + len(block)] = block
                body += len(block)
            elif stamp:
                pack_into(buffer, start, WITH_EXTENSION, second, sequence, timestamp, ssrc)
                buffer[body : body + 8] = stamp_block(stamp)
                body += 8
            else:
                pack_into(buffer, start, VERSION_2, second, sequence, timestamp, ssrc)
            end = body + max(size, len(head))
            if end - start > LARGEST_RTP:
                self.dropped += 1
                continue
            buffer[body : body + size] = payload
            if head:
                buffer[body : body + len(head)] = head
            lengths[slot] = end - start
            if protect(route.session, slots[slot], pointers[slot]):
                self.dropped += 1
            else:
                self._fill(slot, route)

    def _hand_over(self) -> None:
        """Let the kernel send the filled slots; what it does not take is dropped."""
        done, filled = 0, self._filled
        size, first = ctypes.sizeof(_Message), ctypes.addressof(self._messages)
        while done < filled:
            taken = self._sendmmsg(self._descriptor, first + done * size, filled - done, _DO_NOT_WAIT)
            if taken > 0:
                self.sent += taken
                done += taken
                continue
            problem = ctypes.get_errno()
            if problem == errno.EINTR:
                continue
            if problem in (errno.EAGAIN, errno.ENOBUFS):
                # The socket is full: what cannot leave now is lost, as on any network.
                self.dropped += filled - done
                break
            self.dropped += 1
            done += 1
        self._filled = 0


def _socket_address(address: Address, ipv6: bool) -> bytes:
    """Return a `sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7))."""
    packed = ipaddress.ip_address(address[0]).packed
    port = address[1].to_bytes(2, "big")
    if not ipv6:
        return _INET.to_bytes(2, sys.byteorder) + port + packed + bytes(8)
    flow, scope = (address[2], address[3]) if len(address) == 4 else (0, 0)
    return (
        _INET6.to_bytes(2, sys.byteorder) + port + flow.to_bytes(4, "big") + packed + scope.to_bytes(4, sys.byteorder)
    )
