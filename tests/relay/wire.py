"""A TCP proxy whose line a test can cut, or stop without anybody being told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Wire:
    """Forwards connections from `port` to `target`; `drop` ends and refuses them, `pause` swallows everything."""

    def __init__(self) -> None:
        self.port = 0
        self.target = 0
        self.carried = 0
        self._open = asyncio.Event()
        self._open.set()
        self._dropped = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def drop(self) -> None:
        """End every connection and refuse new ones."""
        self._dropped = True
        for writer in list(self._writers):
            writer.transport.abort()

    def pause(self) -> None:
        """Let bytes go in and none come out, as a line that is gone without a word."""
        self._open.clear()

    def restore(self) -> None:
        """Carry again."""
        self._dropped = False
        self._open.set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if self._dropped:
                return
            await self._open.wait()
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(far)
            ways = [
                asyncio.create_task(self._carry(reader, far)),
                asyncio.create_task(self._carry(far_reader, writer)),
            ]
            self._tasks.update(ways)
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            self._tasks.difference_update(ways)
        except OSError:
            pass
        finally:
            for one in (writer, far):
                if one is not None:
                    one.close()
                    self._writers.discard(one)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                await self._open.wait()
                self.carried += len(piece)
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def wire(target: int = 0) -> AsyncIterator[Wire]:
    """A wire to a local port."""
    made = Wire()
    made.target = target
    await made.start()
    try:
        yield made
    finally:
        await made.close()
