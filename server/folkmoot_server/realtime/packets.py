"""Socket.IO packets: what comes in is small, what goes to many is encoded once and written at once.

The library encodes, queues and wakes two tasks for every socket that a message goes to. Here a message for a whole
meeting is one `Shared` packet: its WebSocket frame is the same bytes for everybody, because we do not compress, and
a server's frames carry no mask. A socket whose writer has nothing to do takes them straight to its transport; any
other takes the packet into its queue, behind what waits there. This module alone relies on how python-engineio works
inside; tests/server/test_shared_packets.py holds it to the pinned version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import engineio
import socketio
from aiohttp import web
from engineio.async_drivers.aiohttp import WebSocket
from engineio.packet import MESSAGE
from engineio.packet import Packet as EnginePacket
from socketio.packet import EVENT, Packet

from folkmoot_server.domain.audience import SHOWN

ATTACHMENTS_MAX: Final = 4
FINAL_TEXT: Final = b"\x81"  # RFC 6455 section 5.2: the only frame of a text message
BYTE_LENGTH_MAX: Final = 125
TWO_BYTE_LENGTH_MAX: Final = 65_535


class SmallPacket(Packet):  # type: ignore[misc]  # the library has no types
    """A packet with few binary attachments: the library would keep ten thousand million of them for a client."""

    def decode(self, encoded_packet: Any) -> int:
        """Decode one packet and return how many attachments follow.

        Raises:
            ValueError: it announces more than `ATTACHMENTS_MAX`.
        """
        attachments = int(super().decode(encoded_packet))
        if attachments > ATTACHMENTS_MAX:
            raise ValueError("too many attachments")
        return attachments


def frame(text: str) -> bytes:
    """Return the WebSocket frame of a server's text message."""
    payload = text.encode()
    length = len(payload)
    if length <= BYTE_LENGTH_MAX:
        head = FINAL_TEXT + length.to_bytes(1, "big")
    elif length <= TWO_BYTE_LENGTH_MAX:
        head = FINAL_TEXT + b"\x7e" + length.to_bytes(2, "big")
    else:
        head = FINAL_TEXT + b"\x7f" + length.to_bytes(8, "big")
    return head + payload


class Shared(EnginePacket):  # type: ignore[misc]
    """One Socket.IO message, encoded when it is made; `frame` is what travels. It has no binary parts."""

    def __init__(self, name: str, data: dict[str, Any]) -> None:
        super().__init__(MESSAGE, SmallPacket(EVENT, [name, data]).encode())
        self.frame: Final = frame(self.encode())


def event_packet(event: Mapping[str, Any]) -> Shared:
    """Return the packet of an event as the log tells it (wire.md); a page turn has to be short for thin links.

    Whoever gets the rest of a page that is shown knows that its paper is open unless the event denies it.
    """
    body = event["body"]
    if event["type"] == SHOWN and body.get("open") is True:
        body = {name: value for name, value in body.items() if name != "open"}
    return Shared("event", {**event, "body": body})


class Transport(Protocol):
    """What is asked of asyncio's transports."""

    def write(self, data: bytes) -> None:
        """Send soon; what the kernel does not take is kept."""

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""

    def get_write_buffer_size(self) -> int:
        """How many bytes the kernel has not taken yet."""


class Line(asyncio.Queue[EnginePacket | None]):
    """What waits to be written to one WebSocket; the library's writer takes it from here."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._writer_waits = False
        self._socket: web.WebSocketResponse | None = None
        self._transport: Transport | None = None

    def attach(self, socket: web.WebSocketResponse, transport: Transport | None) -> None:
        """Write to this WebSocket from now on."""
        self._socket, self._transport = socket, transport

    async def get(self) -> EnginePacket | None:
        """Return the next packet; who waits here has written all that was taken before."""
        self._writer_waits = self.empty()
        try:
            return await super().get()
        finally:
            self._writer_waits = False

    def put_nowait(self, item: EnginePacket | None) -> None:
        """Add a packet, or None for the end."""
        self._writer_waits = False
        super().put_nowait(item)

    def tell(self, packets: Sequence[Shared], frames: bytes) -> None:
        """Write the packets, whose frames together are `frames`, after all that was put or told before."""
        socket, transport = self._socket, self._transport
        if (
            self._writer_waits
            and transport is not None
            and socket is not None
            and not socket.closed
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        ):
            transport.write(frames)
        else:
            for packet in packets:
                self.put_nowait(packet)


class _Wire(WebSocket):  # type: ignore[misc]
    """The library's WebSocket, without compression: each socket would compress the same text again."""

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        request: web.Request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(max_msg_size=self.server.max_http_buffer_size, compress=False)
        await self._sock.prepare(request)
        self.environ = environ
        self.handler.__self__.queue.attach(self._sock, request.transport)
        await self.handler(self)
        return self._sock


class _Engine(engineio.AsyncServer):  # type: ignore[misc]
    """engine.io whose sockets have a `Line` for a queue."""

    _async: dict[str, Any]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._async = {**self._async, "websocket": _Wire}

    def create_queue(self, *_: Any, **__: Any) -> Line:
        return Line()


class Server(socketio.AsyncServer):  # type: ignore[misc]
    """Socket.IO on such an engine."""

    def _engineio_server_class(self) -> type[_Engine]:
        return _Engine

    def line(self, eio_sid: str) -> Line | None:
        """The line of an engine.io session, or None when it has ended."""
        socket = self.eio.sockets.get(eio_sid)
        return None if socket is None else socket.queue
