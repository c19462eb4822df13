"""One UDP socket that stands for many clients, read in batches so that the generator is not what is measured.

Every client has an address of its own and all share one port: datagrams are sent with the client's address by
IP_PKTINFO (ip(7)) and arrive through recvmmsg(2) with the address they were sent to and the kernel's time of arrival.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterator
from struct import Struct

BATCH = 256
STRIDE = 2048
RECEIVE_BUFFER = 64 << 20
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
IP_PKTINFO = 8
MSG_DONTWAIT = 0x40
_CONTROL = 128
_PKTINFO = Struct("=i4s4s")
_CONTROL_HEADER = Struct("@Nii")
_TIMESPEC = Struct("@qq")

Source = list[tuple[int, int, bytes]]


class _Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Header(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _Message(ctypes.Structure):
    _fields_ = [("header", _Header), ("length", ctypes.c_uint32)]


class Wire:
    """The shared socket; `data` holds datagram `i` of the last batch from `i * STRIDE` on."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("0.0.0.0", 0))  # noqa: S104 - in a namespace of its own
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self.port: int = self.socket.getsockname()[1]
        self._prepare()

    def _prepare(self) -> None:
        self._receive = ctypes.CDLL(None, use_errno=True).recvmmsg
        self._bytes = (ctypes.c_char * (BATCH * STRIDE))()
        self._control = (ctypes.c_char * (BATCH * _CONTROL))()
        self._vectors = (_Vector * BATCH)()
        self._messages = (_Message * BATCH)()
        for index in range(BATCH):
            vector, header = self._vectors[index], self._messages[index].header
            vector.base = ctypes.addressof(self._bytes) + index * STRIDE
            vector.length = STRIDE
            header.vectors = ctypes.addressof(vector)
            header.vector_count = 1
            header.control = ctypes.addressof(self._control) + index * _CONTROL
            header.control_length = _CONTROL
        self._pristine = bytes(self._messages)
        self.data = memoryview(self._bytes).cast("B")
        self._control_view = memoryview(self._control).cast("B")
        self._words = memoryview(self._messages).cast("B").cast("I")
        self._words_each = ctypes.sizeof(_Message) // 4
        self._length_word = _Message.length.offset // 4

    @staticmethod
    def source(address: str) -> Source:
        """Return what `send` needs to send as the client at `address`."""
        return [(socket.IPPROTO_IP, IP_PKTINFO, _PKTINFO.pack(0, socket.inet_aton(address), bytes(4)))]

    def send(self, data: bytes, source: Source, target: tuple[str, int]) -> bool:
        """Send one datagram; False when the socket is full or the target refuses."""
        try:
            self.socket.sendmsg((data,), source, 0, target)
        except OSError:
            return False
        return True

    def receive(self) -> int:
        """Take the next batch and return how many datagrams it has, 0 when nothing waits."""
        ctypes.memmove(self._messages, self._pristine, len(self._pristine))
        count: int = self._receive(self.socket.fileno(), self._messages, BATCH, MSG_DONTWAIT, None)
        return max(0, count)

    def size(self, index: int) -> int:
        """Return the length of datagram `index` in bytes."""
        return self._words[index * self._words_each + self._length_word]

    def datagram(self, index: int) -> bytes:
        """Return a copy of datagram `index`."""
        start = index * STRIDE
        return bytes(self.data[start : start + self.size(index)])

    def _controls(self, index: int) -> Iterator[tuple[int, int, memoryview]]:
        start = index * _CONTROL
        end = start + self._messages[index].header.control_length
        while start + _CONTROL_HEADER.size <= end:
            length, level, kind = _CONTROL_HEADER.unpack_from(self._control_view, start)
            if length < _CONTROL_HEADER.size:
                return
            yield level, kind, self._control_view[start + _CONTROL_HEADER.size : start + length]
            start += (length + 7) & ~7

    def destination(self, index: int) -> str:
        """Return the client address that datagram `index` was sent to."""
        for level, kind, data in self._controls(index):
            if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
                return socket.inet_ntoa(_PKTINFO.unpack_from(data)[2])
        raise OSError("the kernel told no destination address")

    def arrived(self, index: int) -> int:
        """Return when datagram `index` reached the socket, in nanoseconds of the wall clock."""
        for level, kind, data in self._controls(index):
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack_from(data)
                return int(seconds * 1_000_000_000 + nanoseconds)
        raise OSError("the kernel told no time of arrival")

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
