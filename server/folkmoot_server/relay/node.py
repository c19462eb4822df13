"""One relay at work: what it knows, its time, its link, and its outbox's only door."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Connection

from folkmoot_server.domain.closed_sessions import History
from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.meetings import ROOM_STATES
from folkmoot_server.realtime.packets import Shared, event_packet
from folkmoot_server.relay import closed, hall, outbox, people, store, views
from folkmoot_server.relay.catalogue import Catalogue
from folkmoot_server.relay.hall import Hall
from folkmoot_server.relay.hub import Hub
from folkmoot_server.relay.link_state import LinkState
from folkmoot_server.relay.nonces import next_nonce
from folkmoot_server.relay.outbox import Moment, Place
from folkmoot_server.relay.outbox_chain import Head, Signer, Wish
from folkmoot_server.relay.shelf import Shelf
from folkmoot_server.relay.store import Identity, Start
from folkmoot_server.storage.database import Database
from folkmoot_voting.encoding import JsonObject

T = TypeVar("T")
TAIL_MAX: Final = 1000
PAGE: Final = 500

Judge = Callable[[Connection, Hall], tuple[Wish, Place]]


class Unavailable(FolkmootError):
    """The relay cannot do this now; nothing was done."""


class StopError(FolkmootError):
    """The hub wants nothing more of this relay."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event as the hub gives it to a hall, and what those in it get who may know less."""

    seq: int
    type: str
    body: JsonObject
    packet: Shared
    withheld: Shared | None  # of an event in a closed session: what those get who are outside
    unseen: Shared | None  # of a page for members: what others get


def told(event: JsonObject, history: History) -> Told:
    """Encode an event."""
    withheld = None if history.at(event["seq"]) is None else event_packet(closed.withheld(event))
    veiled = views.unseen(event)
    unseen = None if veiled is None else event_packet(veiled)
    return Told(event["seq"], event["type"], event["body"], event_packet(event), withheld, unseen)


class RelayClock:
    """Seconds UTC by the hub's clock, as far as the last start told it."""

    def __init__(self, off_s: int, wall: Callable[[], float] = time.time) -> None:
        """Go on from this machine's clock and the difference that was kept."""
        self._base = wall() + off_s - time.monotonic()

    def __call__(self) -> int:
        """Return the time."""
        return int(self._base + time.monotonic())

    def adopt(self, now: int) -> None:
        """Take over the hub's time."""
        self._base = now - time.monotonic()


class Node:
    """The state that feed, outbox, pages and phones of one relay share.

    Attributes:
        cut, linked: one of them is set.
        queued: set when something new waits in the outbox.
        shelf, catalogue: papers on disk, and what they are; `papers_changed` is set when another catalogue came.
        closed: the closed sessions that are known.
        passing: how many requests of pages the hub is answering.
        bringing: the last entry of the outbox that is on its way to the hub now, 0 while none is.
        unwanted: whether the hub has refused the outbox itself since it last took something of it.
        profile_kbps, in_room: of the line (0: no limit known), and whether voices may be on it.
        hall_open: says whether the hall's own page is connected.
        ended: set once the meeting is over; `over` once nothing of it is kept any more.
        fatal: why the relay must stop, once it must.
    """

    def __init__(self, identity: Identity, database: Database, hub: Hub, shelf: Shelf, seed: bytes, rng: Rng) -> None:
        """Serve an enrolled relay; call `load` before anything else."""
        self.identity, self.database, self.hub, self.seed, self.rng = identity, database, hub, seed, rng
        self.shelf, self.catalogue, self.papers_changed = shelf, Catalogue(), asyncio.Event()
        self.closed = History()
        self.ended, self.over = asyncio.Event(), False
        self.passing, self.profile_kbps, self.in_room = 0, 0, False
        self.clock = RelayClock(0)
        self.link = LinkState(self.clock())
        self.hall = Hall()
        self.parts: dict[str, str] = {}
        self.start: Start | None = None
        self.acknowledged, self.bringing, self.unwanted = Head(), 0, False
        self.cursor = 0
        self.tail: deque[Told] = deque(maxlen=TAIL_MAX)
        self.cut, self.linked, self.queued = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.cut.set()
        self.fatal: asyncio.Future[StopError] = asyncio.get_running_loop().create_future()
        self.hall_open: Callable[[], bool] = lambda: False
        self.on_link: Callable[[], None] = lambda: None
        self.on_events: Callable[[Sequence[Told]], None] = lambda _told: None
        self.on_news: Callable[[Sequence[Told]], None] = lambda _told: None
        self.on_reset: Callable[[], None] = lambda: None
        self.on_unheard: Callable[[], None] = lambda: None

    async def load(self) -> None:
        """Go on where the last process stopped."""

        def read(tx: Connection) -> tuple[Start | None, Head, int, int]:
            self.hall = hall.build(held := store.parts(tx))
            self.parts = {name: store.digest_of(part) for name, part in held.items()}
            self.catalogue = Catalogue(held.get("papers", []), store.find(tx, "pages"))
            self.take_line(store.state(tx))
            self.closed = closed.history(tx)
            if store.find(tx, "ended"):
                self.ended.set()
            end = store.over(tx)
            self.over = end is not None
            cursor = store.cursor(tx) if end is None else end[0]
            return store.start(tx), store.acknowledged(tx), cursor, int(store.find(tx, "heard") or 0)

        self.start, self.acknowledged, self.cursor, heard = await self.database.read(read)
        self.clock = RelayClock(0 if self.start is None else self.start.off_s)
        self.hub.token = "" if self.start is None else self.start.token
        self.link = LinkState(heard or self.clock())
        self.queued.set()
        self.papers_changed.set()

    def take_line(self, state: JsonObject | None) -> None:
        """Follow what a snapshot says of this hall's line and of the room."""
        if state is None:
            return
        sites = [one for one in state.get("sites", []) if one["site"] == self.identity.site]
        self.profile_kbps = int(sites[0]["profile"]) if sites else 0
        self.in_room = state["state"] in ROOM_STATES

    # -- the link -----------------------------------------------------------------------------------------------

    def answered(self) -> None:
        """Note that the hub has answered."""
        if self.link.answered(time.monotonic(), self.clock()):
            self.cut.clear()
            self.linked.set()
            self.queued.set()
            self.on_link()

    async def tick(self) -> None:
        """Let time pass for the link; remember on disk when the hub was heard last."""
        if self.link.tick(time.monotonic()):
            self.linked.clear()
            self.cut.set()
            since = self.link.since
            await self.database.write(lambda tx: store.put(tx, "heard", since))
            self.on_link()

    def stop(self, code: str, message: str) -> None:
        """End the process: the hub wants nothing more of this relay."""
        if not self.fatal.done():
            self.fatal.set_result(StopError(code, message))

    # -- the outbox ---------------------------------------------------------------------------------------------

    async def remember(self, run: Callable[[Connection], T]) -> T | None:
        """Write something of the meeting, unless the meeting is over and nothing of it is kept any more."""
        return await self.database.write(lambda tx: None if store.over(tx) is not None else run(tx))

    async def keep(self, known: History, run: Callable[[Connection], object]) -> None:
        """Write an answer of the hub, as `remember`, unless other closed sessions are known than when it was asked.

        Whoever waits for the disk may find that the answer is from inside, and the hall outside by now.
        """
        await self.remember(lambda tx: run(tx) if closed.history(tx) == known else None)

    async def queue(self, raw: Wish, judge: Judge) -> JsonObject:
        """Judge a wish and put it into the outbox; return its receipt, which is on disk then.

        The same bytes again get the same receipt, unjudged: their nonce is spent and their place is taken.

        Raises:
            Unavailable: the relay was never started by a hub, or its outbox is full.
            FolkmootError: as `judge` says.
        """
        start = self.start
        if start is None:
            raise Unavailable("relay.cut", "The relay has not reached the hub yet.")
        signer = Signer(self.identity.relay, start.epoch, self.seed)
        moment = Moment(self.clock(), self.link.cut, self.rng(32))

        def run(tx: Connection) -> JsonObject:
            if store.over(tx) is not None:
                raise Unavailable("relay.cut", "The meeting is over, and the hall is cut off from the main room.")
            before = outbox.again(tx, raw)
            if before is not None:
                return before
            wish, place = judge(tx, self.hall)
            return outbox.append(tx, signer, wish, place, moment)

        try:
            receipt = await self.database.write(run)
        except outbox.OutboxFullError as error:
            raise Unavailable(error.code, error.message) from error
        self.queued.set()
        return receipt

    async def nonce(self, purpose: str, binding: bytes) -> bytes:
        """Give a session the next nonce of the seed; it is spent on disk before anybody sees it.

        Raises:
            Unavailable: the relay was never started by a hub.
            TooMany: the seed is used up or too old, or the session has too many.
        """
        now = self.clock()

        def run(tx: Connection) -> bytes:
            start = store.start(tx)
            if start is None:
                raise Unavailable("relay.cut", "The relay has not reached the hub yet.")
            nonce, seed = next_nonce(start.seed, now)
            store.set_start(tx, Start(start.token, start.epoch, seed, start.off_s))
            people.give_nonce(tx, nonce, purpose, binding, now)
            return nonce

        return await self.database.write(run)

    # -- events -------------------------------------------------------------------------------------------------

    def hear(self, new: Sequence[JsonObject]) -> None:
        """Hand on events that are stored and follow each other."""
        fresh = [told(event, self.closed) for event in new]
        if not fresh:
            return
        if self.tail and self.tail[-1].seq + 1 != fresh[0].seq:
            self.tail.clear()
        self.tail.extend(fresh)
        self.cursor = fresh[-1].seq
        self.on_news(fresh)
        self.on_events(fresh)

    def skip(self, seq: int) -> None:
        """Go on from a snapshot of number `seq`; nobody here has heard the events that led to it."""
        self.tail.clear()
        self.cursor = seq
        self.on_unheard()
        self.on_reset()

    async def after(self, seq: int) -> list[Told]:
        """Return the next events after number `seq`; empty when there is none yet, or none that joins on."""
        if self.tail and self.tail[0].seq <= seq + 1:
            first = seq + 1 - self.tail[0].seq
            return [self.tail[index] for index in range(first, min(len(self.tail), first + PAGE))]
        kept = await self.database.read(lambda tx: store.events_after(tx, seq))
        return [told(event, self.closed) for event in kept]
