"""Closes connections that send nothing, or only half a request head.

aiohttp has no limit of its own for either. A connection is busy while a handler runs for it (a WebSocket
stays busy as long as it is open); any other connection may be silent for `IDLE_S`. Stalled bodies are the
business of the body reader, which has its own deadline.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web
from aiohttp.typedefs import Handler

IDLE_S = 10.0
STEP_S = 1.0


class Watchdog:
    """Owns the table of busy connections and the task that closes the idle ones."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        """Allow each connection `idle_s` seconds without a running handler."""
        self._idle_s = idle_s
        self._busy: dict[object, int] = {}
        self._idle_since: dict[object, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.closed = 0

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            protocol = request.protocol
            self._busy[protocol] = self._busy.get(protocol, 0) + 1
            try:
                return await handler(request)
            finally:
                self._busy[protocol] -= 1
                if not self._busy[protocol]:
                    del self._busy[protocol]
                self._idle_since.pop(protocol, None)

        self.middleware = middleware

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
            for protocol in connections:
                if protocol in self._busy:
                    continue
                since = self._idle_since.setdefault(protocol, now)
                transport = protocol.transport
                if now - since >= self._idle_s and transport is not None:
                    transport.abort()
                    self.closed += 1
