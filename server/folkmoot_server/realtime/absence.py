"""Seats whose live connection broke off: their sound and pictures go on for a while, for the page may come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from folkmoot_media.errors import MediaError

# The worker ends a transport of which nothing has been heard for longer by itself.
HELD_S: Final = 60.0
# Closed without a goodbye: the browser was ended, or the page gives a silent connection up and comes anew.
HELD_IF_CLOSED_S: Final = 15.0
# A page says that it goes, or is told to go.
MEANT: Final = frozenset({"", "client disconnect", "server disconnect"})
CLOSED: Final = "transport close"
Seat = tuple[str, str]


class Absences:
    """Lets go of seats, as (room, owner), when their connections have been away for too long."""

    def __init__(self, leave: Callable[[str, str], Awaitable[None]]) -> None:
        self._leave = leave
        self._waiting: dict[Seat, asyncio.Task[None]] = {}

    async def go(self, seat: Seat, reason: str) -> None:
        """A connection has ended: close what the seat has open, at once if that was meant and else after a while."""
        self.back(seat)
        if reason in MEANT:
            await self._close(seat)
        else:
            held_s = HELD_IF_CLOSED_S if reason == CLOSED else HELD_S
            self._waiting[seat] = asyncio.create_task(self._wait(seat, held_s))

    def back(self, seat: Seat) -> None:
        """The seat is there again, or is dealt with in another way."""
        task = self._waiting.pop(seat, None)
        if task is not None:
            task.cancel()

    async def _wait(self, seat: Seat, held_s: float) -> None:
        await asyncio.sleep(held_s)
        del self._waiting[seat]
        await self._close(seat)

    async def _close(self, seat: Seat) -> None:
        with contextlib.suppress(MediaError):  # a worker that is gone holds nothing of the seat
            await self._leave(*seat)

    async def close(self) -> None:
        """Wait for nobody any more."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
