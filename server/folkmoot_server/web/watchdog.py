"""Closes connections that send nothing, send only half a request head, or do not take their answer.

aiohttp has no limit of its own for any of these. A connection is busy while a handler runs for it (a WebSocket
stays busy as long as it is open) and, for a time that grows with the answer, while its answer is being sent; any
other connection may be silent for `IDLE_S`. After an answer it may rest for `REST_S`, and for as long as the answer
may still be under way in the kernel's buffers: over a thin link a new connection is dear. Stalled bodies are the
business of the body reader, which has its own deadline.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web
from aiohttp.typedefs import Handler

IDLE_S = 10.0
REST_S = 75.0
STEP_S = 1.0
SLOWEST = 512.0  # bytes per second at which an answer must be taken: one of several over 16 kbit/s with losses


class _Sent(web.StreamResponse):
    """Stands for an answer that is out already, so that the library does not send it again."""

    def __init__(self, sent: web.StreamResponse) -> None:
        super().__init__(status=sent.status, reason=sent.reason)
        self._sent = sent

    @property
    def keep_alive(self) -> bool | None:
        return self._sent.keep_alive

    async def prepare(self, _request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, _data: bytes = b"") -> None:
        return None


class Watchdog:
    """Owns the table of busy connections and the task that closes the idle ones."""

    def __init__(self, idle_s: float = IDLE_S, slowest: float = SLOWEST, rest_s: float = REST_S) -> None:
        """Allow each connection `idle_s` seconds before its first request, answers `slowest` bytes per second.

        After an answer it may be without a request for `rest_s`.
        """
        self._idle_s, self._slowest, self._rest_s = idle_s, slowest, rest_s
        self._busy: dict[object, int] = {}
        self._sending: dict[object, tuple[float, web.StreamResponse]] = {}
        self._idle_since: dict[object, float] = {}
        self._rests: dict[object, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.closed = 0

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            protocol = request.protocol
            self._busy[protocol] = self._busy.get(protocol, 0) + 1
            try:
                response = await handler(request)
                if response.prepared:
                    return response
                await self._send(protocol, request, response)
                return _Sent(response)
            finally:
                self._busy[protocol] -= 1
                if not self._busy[protocol]:
                    del self._busy[protocol]
                self._idle_since.pop(protocol, None)

        self.middleware = middleware

    async def _send(self, protocol: object, request: web.Request, response: web.StreamResponse) -> None:
        """Send the answer here, where its time is measured, and not after the last middleware as usual."""
        self._sending[protocol] = (asyncio.get_running_loop().time(), response)
        try:
            with contextlib.suppress(ConnectionError):  # the client is gone, which the caller will notice
                await response.prepare(request)
                await response.write_eof()
            self._rests[protocol] = self._rest_s + (response.content_length or 0) / self._slowest
        finally:
            del self._sending[protocol]

    def start(self, runner: web.AppRunner) -> None:
        """Watch the connections of `runner` until `close`."""
        self._task = asyncio.create_task(self._run(runner), name="watchdog")

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, runner: web.AppRunner) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STEP_S)
            server = runner.server
            if server is None:
                continue
            now = loop.time()
            connections = list(server.connections)
            self._idle_since = {one: self._idle_since[one] for one in connections if one in self._idle_since}
            self._rests = {one: self._rests[one] for one in connections if one in self._rests}
            for protocol in connections:
                transport = protocol.transport
                if self._left(protocol, now) <= 0 and transport is not None:
                    transport.abort()
                    self.closed += 1

    def _left(self, protocol: object, now: float) -> float:
        """Return how many seconds the connection has left."""
        if protocol in self._sending:
            since, response = self._sending[protocol]
            return since + self._idle_s + (response.content_length or 0) / self._slowest - now
        if protocol in self._busy:
            return self._idle_s
        return self._idle_since.setdefault(protocol, now) + self._rests.get(protocol, self._idle_s) - now
