"""Carries the event log to whoever listens: every event, in order, at least once.

The log in the database is the only truth. The publisher reads it after each commit, keeps the newest events of
each meeting at hand, wakes the listeners, and leaves it to each of them to read on from its own last number.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from folkmoot_server.storage import events
from folkmoot_server.storage.database import Database, StoreClosedError
from folkmoot_server.storage.events import StoredEvent

log = logging.getLogger("folkmoot.publisher")
TAIL_MAX: Final = 1000
PAGE: Final = 500
RETRY_S: Final = 1.0

Wire = dict[str, Any]


class Publisher:
    """Follows the log from the moment it starts; `react` sees each new event once, in order."""

    def __init__(self, database: Database, react: Callable[[StoredEvent], Awaitable[None]]) -> None:
        self._database = database
        self._react = react
        self._tails: dict[str, deque[StoredEvent]] = {}
        self._wake = asyncio.Event()
        self._number = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin with the events that come after now."""
        loop = asyncio.get_running_loop()
        self._number = await self._database.read(events.last_number)

        def committed() -> None:  # runs in the writer thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._wake.set)

        self._database.on_commit = committed
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="publisher")

    async def close(self) -> None:
        """Stop; listeners resume from their numbers after the next start."""
        self._database.on_commit = lambda: None
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def after(self, meeting: str, seq: int) -> list[Wire]:
        """Return the next events of a meeting after number `seq`, ascending; empty when there is none yet."""
        tail = self._tails.get(meeting)
        if tail and tail[0].seq <= seq + 1:
            first = tail[0].seq
            return [tail[index].wire() for index in range(seq + 1 - first, min(len(tail), seq + 1 - first + PAGE))]
        stored = await self._database.read(lambda tx: events.of_meeting(tx, meeting, seq, PAGE))
        return [event.wire() for event in stored]

    def forget(self, meeting: str) -> None:
        """Drop what is kept at hand of a meeting that nobody listens to."""
        self._tails.pop(meeting, None)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while page := await self._database.read(lambda tx: events.since(tx, self._number, PAGE)):
                    for event in page:
                        self._keep(event)
                        self._number = event.number
                        await self._react(event)
            except StoreClosedError:
                return
            except Exception as error:  # the edge of a loop that must go on: the log is read again from its number
                log.error("publisher.accident kind=%s", type(error).__name__)
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    def _keep(self, event: StoredEvent) -> None:
        tail = self._tails.setdefault(event.meeting, deque(maxlen=TAIL_MAX))
        if tail and tail[-1].seq + 1 != event.seq:
            tail.clear()  # never hand out a list with a gap
        tail.append(event)
