"""Media loops of line tests: a hall sends its sound and picture to a media worker and gets them back.

Each loop is a room of its own with two seats, one that sends and one that receives; nobody else is ever in it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Any, Final, Literal, Protocol

from folkmoot_server.domain.errors import Conflict, TooMany

LOOP_S: Final = 60.0
"""A loop ends after so long, whatever its page does."""
LOOPS_MAX: Final = 20
"""So many halls test at once in one installation."""
Side = Literal["out", "back"]


class LoopMedia(Protocol):
    """What a loop needs of media signalling."""

    async def set_floor(
        self, room_id: str, mode: Literal["open", "chaired"], chairs: list[str], granted: list[str]
    ) -> None:
        """Say who is heard."""

    async def join(self, room_id: str, owner: str, resume: bool = False) -> None:
        """Let a seat use the room."""

    async def handle(self, room_id: str, owner: str, method: str, data: object) -> dict[str, Any]:
        """Answer one method of media_control.md; raises MediaError."""

    async def close_room(self, room_id: str) -> None:
        """Close the room and everything in it."""


class _Loop:
    """One loop; `id` names it to its page, `room` to media signalling."""

    def __init__(self, site: str) -> None:
        self.id = secrets.token_hex(16)
        self.room = f"line:{site}:{self.id}"
        self.timer: asyncio.TimerHandle | None = None

    def seat(self, side: Side) -> str:
        """Return the seat that sends (`out`) or receives (`back`)."""
        return f"{self.id}-{side}"


class MediaLoops:
    """The loops that run, one for each site. Whoever calls has made sure of the right to test that line.

    Args:
        media: signalling of this installation, or of a relay.
        seconds: after how long a loop ends by itself.
    """

    def __init__(self, media: LoopMedia, seconds: float = LOOP_S) -> None:
        self._media = media
        self._seconds = seconds
        self._open: dict[tuple[str, str], _Loop] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> int:
        """How many loops run now."""
        return len(self._open)

    async def close(self) -> None:
        """End every loop."""
        for key, loop in list(self._open.items()):
            await self._end(key, loop)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def begin(self, meeting: str, site: str) -> str:
        """Open a loop for a site, in place of one that it had; return its id.

        Raises:
            TooMany: too many halls test now.
            Conflict: it was ended meanwhile.
        """
        key = (meeting, site)
        before = self._open.get(key)
        if before is None and len(self._open) >= LOOPS_MAX:
            raise TooMany("site.loops-busy", "Too many halls test sound and picture just now; try again in a minute.")
        loop = self._open[key] = _Loop(site)
        loop.timer = asyncio.get_running_loop().call_later(self._seconds, self._run_out, key, loop)
        try:
            if before is not None:
                await self._shut(before)
            # In a hall's relay nobody is heard without the floor.
            await self._media.set_floor(loop.room, "open", [], [loop.seat("out")])
            await self._media.join(loop.room, loop.seat("out"))
            await self._media.join(loop.room, loop.seat("back"))
        except BaseException:
            await self._end(key, loop)
            raise
        if self._open.get(key) is not loop:
            await self._media.close_room(loop.room)
        return self._named(meeting, site, loop.id).id

    async def ask(
        self, meeting: str, site: str, loop_id: str, side: Side, method: str, data: object
    ) -> dict[str, Any]:
        """Answer one media method of one side of a loop.

        Raises:
            Conflict: this loop has ended.
            MediaError: as media signalling says.
        """
        loop = self._named(meeting, site, loop_id)
        return await self._media.handle(loop.room, loop.seat(side), method, data)

    async def end(self, meeting: str, site: str, loop_id: str) -> None:
        """End a loop; one that has ended stays so."""
        key = (meeting, site)
        loop = self._open.get(key)
        if loop is not None and loop.id == loop_id:
            await self._end(key, loop)

    def _named(self, meeting: str, site: str, loop_id: str) -> _Loop:
        loop = self._open.get((meeting, site))
        if loop is None or loop.id != loop_id:
            raise Conflict("site.no-loop", "This test of sound and picture has ended; begin another.")
        return loop

    def _run_out(self, key: tuple[str, str], loop: _Loop) -> None:
        self._spawn(self._end(key, loop))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, key: tuple[str, str], loop: _Loop) -> None:
        if self._open.get(key) is loop:
            del self._open[key]
        await self._shut(loop)

    async def _shut(self, loop: _Loop) -> None:
        if loop.timer is not None:
            loop.timer.cancel()
        await self._media.close_room(loop.room)
