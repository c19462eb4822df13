"""The worker's TCP port, for browsers whose networks let no UDP out (RFC 6544 passive candidate, RFC 4571 frames)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from folkmoot_media.transport.endpoint import STREAM, Address
from folkmoot_media.transport.framing import LARGEST_FRAME, Frames, frame

MOST_CONNECTIONS = 2000
MOST_STRANGERS = 100
STRANGER_SECONDS = 10.0
STRANGER_BYTES = 8192
# What waits for a reader that is slow: about half a second of a large picture. More is dropped, like on any network.
MOST_WAITING = 128 << 10
SEND_BUFFER = 128 << 10
BACKLOG = 128


def open_tcp(listen_ip: str, port: int) -> socket.socket | None:
    """Bind the worker's TCP port; an IPv6 wildcard serves IPv4 too. None when somebody else has the number."""
    family = socket.AF_INET6 if ipaddress.ip_address(listen_ip).version == 6 else socket.AF_INET
    tcp = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        tcp.setblocking(False)
        tcp.bind((listen_ip, port))
        tcp.listen(BACKLOG)
    except OSError:
        tcp.close()
        return None
    return tcp


class StreamPort:
    """Accepts connections, hands on their datagrams, and sends to them as to any other address.

    A connection is a stranger until a connectivity check that came over it has passed; strangers are few, short and
    soon gone.
    """

    def __init__(
        self,
        take: Callable[[bytes, Address], None],
        known: Callable[[Address], bool],
        lost: Callable[[Address], None],
    ) -> None:
        """Serve nothing yet.

        Args:
            take: is given each datagram with its connection's address; must not raise.
            known: says whether a connectivity check from this address has passed.
            lost: is told of an address that is gone.
        """
        self.take, self.known, self.lost = take, known, lost
        self.connections: dict[Address, Connection] = {}
        self.counters = {"stream_refused": 0, "stream_dropped": 0}
        self._serial = 0
        self._server: asyncio.Server | None = None

    @property
    def strangers(self) -> int:
        """How many connections have not passed a check."""
        return sum(not one.checked for one in self.connections.values())

    async def serve(self, listening: socket.socket) -> None:
        """Accept connections from now on; takes the socket over."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=listening)

    def close(self) -> None:
        """Accept nothing more and end every connection."""
        if self._server is not None:
            self._server.close()
        for one in list(self.connections.values()):
            one.abort()

    def address_for(self, peer: Any) -> Address:
        """Return an address that no other connection ever has."""
        self._serial += 1
        return (str(peer[0]), int(peer[1]), STREAM, self._serial)

    # -- as the wire of a fan-out back end --------------------------------------------------------------------

    def fileno(self) -> int:
        """Return -1: datagrams are read by the connections."""
        return -1

    def recvfrom(self, size: int, /) -> tuple[bytes, Any]:
        """Return nothing, as `fileno` says."""
        raise BlockingIOError(f"nothing of at most {size} bytes")

    def sendto(self, data: bytes, address: Address, /) -> None:
        """Send a datagram over a connection.

        Raises:
            OSError: the connection is gone, or so much waits for its reader that this datagram is dropped.
        """
        connection = self.connections.get(address)
        if connection is None:
            raise ConnectionResetError("this connection is gone")
        if not connection.send(data):
            self.counters["stream_dropped"] += 1
            raise BlockingIOError("the reader is slow")


class Connection(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, port: StreamPort) -> None:
        self._port = port
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._address: Address | None = None
        self._received = 0
        self._timer: asyncio.TimerHandle | None = None
        self.checked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or go when there is none."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream server makes no other
        self._transport = transport
        port, peer = self._port, transport.get_extra_info("peername")
        if peer is None or len(port.connections) >= MOST_CONNECTIONS or port.strangers >= MOST_STRANGERS:
            self._refuse()
            return
        self._address = port.address_for(peer)
        port.connections[self._address] = self
        self._timer = asyncio.get_running_loop().call_later(STRANGER_SECONDS, self._expire)

    def _expire(self) -> None:
        if not self.checked:
            self._refuse()

    def _refuse(self) -> None:
        self._port.counters["stream_refused"] += 1
        self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hand on the datagrams; a stream that makes no sense ends."""
        address = self._address
        if address is None:
            return
        self._received += len(data)
        try:
            datagrams = self._frames.feed(data)
        except ValueError:
            self._refuse()
            return
        for datagram in datagrams:
            self._port.take(datagram, address)
        self.checked = self.checked or self._port.known(address)
        if not self.checked and self._received > STRANGER_BYTES:
            self._refuse()

    def send(self, data: bytes) -> bool:
        """Send a datagram; False when it is dropped because the reader is slow."""
        transport = self._transport
        if transport is None or transport.is_closing() or len(data) > LARGEST_FRAME:
            return False
        if transport.get_write_buffer_size() > MOST_WAITING:
            return False
        transport.write(frame(data))
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Give the place back."""
        del error
        if self._timer is not None:
            self._timer.cancel()
        if self._address is not None:
            with contextlib.suppress(KeyError):
                del self._port.connections[self._address]
            self._port.lost(self._address)
