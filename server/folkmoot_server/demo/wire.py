"""A TCP line between a hall and its hub that the demonstration cuts and mends."""

from __future__ import annotations

import asyncio
import contextlib

PIECE = 65_536


class Wire:
    """Forwards connections from `port` to the local port `target`; a cut one ends them all and refuses new ones."""

    def __init__(self, target: int) -> None:
        """Carry to `target` once started."""
        self.port = 0
        self._target = target
        self._whole = True
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where the hub is reached through this line."""
        return f"http://localhost:{self.port}"

    async def start(self) -> None:
        """Open the near end on a free port of this machine."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """End the line for good."""
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        self._whole = False
        for end in list(self._ends):
            end.transport.abort()

    def mend(self) -> None:
        """Carry again."""
        self._whole = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            if not self._whole:
                return
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._target)
            self._ends |= {writer, far}
            ways = (
                asyncio.create_task(self._carry(reader, far)),
                asyncio.create_task(self._carry(far_reader, writer)),
            )
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
        except OSError:
            pass  # whoever called sees a line that ends
        finally:
            for end in (writer, far):
                if end is not None:
                    end.close()
                    self._ends.discard(end)

    @staticmethod
    async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE):
                writer.write(piece)
                await writer.drain()
