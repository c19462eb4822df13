"""The socket of a dialled pipe: connected, so that nobody but the other end's address is heard.

Arrivals are the kernel's: a worker that was busy for a moment must not take that for a queue on the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import time
from collections.abc import Callable
from struct import Struct

from folkmoot_media.transport.dialling import Arrived
from folkmoot_media.transport.stun_lite import IpPort

LARGEST_DATAGRAM = 2048
MOST_RECEIVED = 64
SOCKET_BUFFER = 1 << 20
# Linux's number (asm-generic/socket.h); where it is another one, arrival is when the datagram is read.
SO_TIMESTAMPNS = 35
ANCILLARY = 64
_TIME = Struct("@qq")


class DialledSocket:
    """Sends to one address at a time; needs a running event loop that can watch descriptors."""

    def __init__(self, addresses: list[IpPort], take: Callable[[list[Arrived]], None]) -> None:
        """Open a socket to the first address that this machine has a way to.

        Args:
            addresses: where the other end may be, best first.
            take: is given what has come in; must not raise.

        Raises:
            OSError: no socket can be opened.
        """
        self._addresses = addresses
        self._take = take
        self._attempt = 0
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = self._open()

    def _open(self) -> socket.socket:
        """Try the address whose turn it is, and where there is no way to it at all, the others after it."""
        for _ in self._addresses[1:]:
            try:
                return self._connected()
            except OSError:
                self._attempt += 1
        return self._connected()

    def _connected(self) -> socket.socket:
        host, port = self._addresses[self._attempt % len(self._addresses)]
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        fresh = socket.socket(family, socket.SOCK_DGRAM)
        try:
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
            with contextlib.suppress(OSError):
                fresh.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            fresh.setblocking(False)
            fresh.connect((host, port))
        except OSError:
            fresh.close()
            raise
        self._loop.add_reader(fresh.fileno(), self._read)
        return fresh

    def _read(self) -> None:
        found: list[Arrived] = []
        # Of two clocks that are read one after the other; good to microseconds.
        ahead = time.time() - time.monotonic()
        for _ in range(MOST_RECEIVED):
            if self._socket is None:
                return
            try:
                data, ancillary, _, _ = self._socket.recvmsg(LARGEST_DATAGRAM, ANCILLARY)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                # The other end's port is closed for now: that is silence.
                continue
            found.append((data, _arrival(ancillary, ahead)))
        if found:
            self._take(found)

    def send(self, data: bytes) -> None:
        """Send a datagram; what the network refuses is lost."""
        if self._socket is not None:
            try:
                self._socket.send(data)
            except OSError:
                return

    def renew(self) -> None:
        """Go on from another port, and to the next of the addresses."""
        self._attempt += 1
        try:
            fresh = self._open()
        except OSError:
            return
        self._drop()
        self._socket = fresh

    def _drop(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """Let the socket go."""
        self._drop()


def _arrival(ancillary: list[tuple[int, int, bytes]], ahead: float) -> float:
    """Return when a datagram arrived, in seconds of the monotonic clock; never later than now."""
    now = time.monotonic()
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) == _TIME.size:
            seconds, nanoseconds = _TIME.unpack(value)
            return min(now, float(seconds + nanoseconds / 1e9 - ahead))
    return now
