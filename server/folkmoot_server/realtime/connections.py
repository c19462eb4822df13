"""What the server knows of one socket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from folkmoot_server.domain.audience import Audience, Listener
from folkmoot_server.domain.identity import GuestSession, SessionInfo
from folkmoot_server.domain.relays import site_seat
from folkmoot_server.realtime.packets import Line, Shared
from folkmoot_server.realtime.publisher import Told

BURST: Final = 300  # joining a large room asks for every speaker at once
PER_S: Final = 30.0
REFUSED_MAX: Final = 300


class Bucket:
    """A token bucket over a monotonic clock in seconds."""

    def __init__(self, now: float, burst: int = BURST, per_s: float = PER_S) -> None:
        self._burst, self._per_s = burst, per_s
        self._tokens, self._at = float(burst), now
        self.refused = 0

    def take(self, now: float) -> bool:
        """Take one token, or count a refusal and return False."""
        self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1.0:
            self.refused += 1
            return False
        self._tokens -= 1.0
        return True


class News:
    """Events of one meeting that follow each other, ready for every socket."""

    def __init__(self, told: Sequence[Told]) -> None:
        """Hold at least one event."""
        self.first, self.last = told[0].seq, told[-1].seq
        self._told = told
        self._closed = [one for one in told if one.closed is not None]
        self._ready: dict[tuple[Audience, tuple[int, ...]], tuple[list[Shared], bytes]] = {}

    def of(self, listener: Listener) -> tuple[list[Shared], bytes]:
        """Return the packets for a listener, and all their frames as one."""
        shut = tuple(one.seq for one in self._closed if one.shuts_out(listener))
        ready = self._ready.get((listener.audience, shut))
        if ready is None:
            packets = [one.packet(listener) for one in self._told]
            ready = (packets, b"".join(packet.frame for packet in packets))
            self._ready[(listener.audience, shut)] = ready
        return ready


@dataclass(slots=True, eq=False)
class Connection:
    """One accepted socket of a member in a meeting; `cursor` is the number of the last event it was sent.

    `site` is the hall whose page it is; its media are the hall's.

    Once `following`, events may go out; before that the client does not know yet that it was accepted.
    Leases have a lock of their own: a room whose worker is slow must not cost anyone the attendance.
    """

    sid: str
    eio_sid: str
    line: Line
    session: SessionInfo | GuestSession
    meeting: str
    cursor: int
    bucket: Bucket
    touched_at: int
    listener: Listener
    following: bool = False
    epoch: int | None = None
    in_room: bool = False
    visits: bool = False
    site: str = ""
    superseded: bool = False
    superseded_lease: bool = False
    farewell: tuple[str, str] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    lease_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    room_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pump: asyncio.Task[None] | None = None

    @property
    def member(self) -> str:
        """The id of the member or the guest."""
        return self.session.person

    @property
    def seat(self) -> str:
        """Who it is in the room's media: the hall whose page it is, or the member or guest."""
        return site_seat(self.site) if self.site else self.member

    @property
    def guest(self) -> bool:
        """Whether it is a guest's."""
        return isinstance(self.session, GuestSession)

    @property
    def unread(self) -> int:
        """How many messages wait until the client reads."""
        return self.line.qsize()

    def follow(self, news: News, unread_max: int) -> None:
        """Send new events at once when all before them were sent; else let the pump read on from the cursor."""
        if self.following and self.cursor == news.first - 1 and self.unread < unread_max:
            self.line.tell(*news.of(self.listener))
            self.cursor = news.last
        else:
            self.wake.set()

    def tell(self, packet: Shared) -> None:
        """Send a message that is no event."""
        self.line.tell((packet,), packet.frame)
