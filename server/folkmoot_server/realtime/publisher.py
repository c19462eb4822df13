"""Carries the event log to whoever listens: every event, in order, at least once.

The log in the database is the only truth. The publisher reads it after each commit, encodes each event once, keeps
the newest of each meeting at hand and hands them to who listens; who has not got all of the earlier ones yet reads
on from the own last number.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from folkmoot_server.domain.audience import WITHHELD, Audience, Listener, project
from folkmoot_server.domain.closed_sessions import Admission, is_inside
from folkmoot_server.realtime.packets import Shared, event_packet
from folkmoot_server.storage import events
from folkmoot_server.storage.database import Database, StoreClosedError
from folkmoot_server.storage.events import StoredEvent

log = logging.getLogger("folkmoot.publisher")
TAIL_MAX: Final = 1000
PAGE: Final = 500
RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """One event as clients get it; `closed` is who was admitted when it happened in a closed session."""

    seq: int
    packets: Mapping[Audience, Shared]
    closed: Admission | None
    withheld: Shared

    def shuts_out(self, listener: Listener) -> bool:
        """Say whether it happened in a closed session that was closed to the listener."""
        return self.closed is not None and not is_inside(listener.party, self.closed)

    def packet(self, listener: Listener) -> Shared:
        """Return what the listener gets of it."""
        return self.withheld if self.shuts_out(listener) else self.packets[listener.audience]


def told(event: StoredEvent) -> Told:
    """Encode an event, once for all who get the same of it."""
    frame = {"seq": event.seq, "at": event.at}
    whole = event_packet({**frame, "type": event.type, "body": event.body})
    packets = {Audience.MEMBERS: whole}
    for audience in (Audience.OBSERVERS, Audience.GUESTS):
        kind, body = project(event.type, event.body, audience)
        same = (kind, body) == (event.type, event.body)
        packets[audience] = whole if same else event_packet({**frame, "type": kind, "body": body})
    return Told(event.seq, packets, event.closed, event_packet({**frame, "type": WITHHELD, "body": {}}))


class Publisher:
    """Follows the log from the moment it starts.

    `react` sees each new event once, in order; then `deliver` gets those of one meeting that came together.
    """

    def __init__(
        self,
        database: Database,
        react: Callable[[StoredEvent], Awaitable[None]],
        deliver: Callable[[str, list[Told]], None],
    ) -> None:
        self._database = database
        self._react = react
        self._deliver = deliver
        self._tails: dict[str, deque[Told]] = {}
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

    async def after(self, meeting: str, seq: int) -> list[Told]:
        """Return the next events of a meeting after number `seq`, ascending; empty when there is none yet."""
        tail = self._tails.get(meeting)
        if tail and tail[0].seq <= seq + 1:
            first = tail[0].seq
            return [tail[index] for index in range(seq + 1 - first, min(len(tail), seq + 1 - first + PAGE))]
        stored = await self._database.read(lambda tx: events.of_meeting(tx, meeting, seq, PAGE))
        return [told(event) for event in stored]

    def forget(self, meeting: str) -> None:
        """Drop what is kept at hand of a meeting that nobody listens to."""
        self._tails.pop(meeting, None)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while page := await self._database.read(lambda tx: events.since(tx, self._number, PAGE)):
                    await self._pass_on(page)
            except StoreClosedError:
                return
            except Exception as error:  # the edge of a loop that must go on: the log is read again from its number
                log.error("publisher.accident kind=%s", type(error).__name__)
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _pass_on(self, page: list[StoredEvent]) -> None:
        news: dict[str, list[Told]] = {}
        try:
            for event in page:
                news.setdefault(event.meeting, []).append(self._keep(event))
                self._number = event.number
                await self._react(event)
        finally:  # what was kept is delivered, whatever became of the next one
            for meeting, new in news.items():
                self._deliver(meeting, new)

    def _keep(self, event: StoredEvent) -> Told:
        tail = self._tails.setdefault(event.meeting, deque(maxlen=TAIL_MAX))
        if tail and tail[-1].seq + 1 != event.seq:
            tail.clear()  # never hand out a list with a gap
        tail.append(told(event))
        return tail[-1]
