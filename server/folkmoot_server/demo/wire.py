"""A TCP line between a hall and its hub that the demonstration, or a test, cuts and mends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

PIECE = 65_536


class Wire:
    """Forwards connections from `port` to the local port `target`.

    Attributes:
        down: how many bytes it has carried from the target to whoever called.
    """

    def __init__(self, target: int = 0) -> None:
        """Carry to `target` once started."""
        self.port = 0
        self.target = target
        self.down = 0
        self._whole = True
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._ways: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where the target is reached through this line."""
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        """Open the near end on a free port of this machine."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End the line for good."""
        if self._server is not None:
            self._server.close()
        self.drop()
        for way in list(self._ways):
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    def drop(self) -> None:
        """End every connection and refuse new ones."""
        self._whole = False
        for end in list(self._ends):
            end.transport.abort()

    def pause(self) -> None:
        """Let bytes go in and none come out, as a line that is gone without a word."""
        self._flowing.clear()

    def restore(self) -> None:
        """Carry again."""
        self._whole = True
        self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        self._ends.add(writer)
        try:
            if not self._whole:
                return
            await self._flowing.wait()
            far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
            self._ends.add(far)
            ways = [
                asyncio.create_task(self._carry(reader, far, 0)),
                asyncio.create_task(self._carry(far_reader, writer, 1)),
            ]
            self._ways.update(ways)
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            self._ways.difference_update(ways)
        except OSError:
            pass  # whoever called sees a line that ends
        finally:
            for end in (writer, far):
                if end is not None:
                    end.close()
                    self._ends.discard(end)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: int) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                await self._flowing.wait()
                self.down += counted * len(piece)
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def wire(target: int = 0) -> AsyncIterator[Wire]:
    """A line to a local port, ended afterwards."""
    made = Wire(target)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
