"""The phones that follow a hall's relay: who they are, and the tickets by which they come in."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from folkmoot_server.domain.errors import NotSignedIn, TooMany
from folkmoot_server.domain.ids import b64u, token_hash
from folkmoot_server.domain.relays import site_seat
from folkmoot_server.realtime.connections import Bucket
from folkmoot_server.realtime.packets import Line, Shared
from folkmoot_server.relay.people import HallSession

TICKET_S: Final = 60.0
TICKETS_MAX: Final = 4096


class Right(Enum):
    """What the hub must say of somebody who is not on the hall's list."""

    INSIDE = "inside"  # of a closed session
    PAGES = "pages"  # sees which page for members is shown


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who may follow; the session's cookie stays in memory, to ask the hub whether the session still stands."""

    session: HallSession
    cookie: str = field(repr=False)


@dataclass(slots=True, eq=False)
class Phone:
    """One accepted socket; `cursor` is the number of the last event that it was sent.

    `site` is set for the page of the hall itself: its media are the hall's.
    """

    sid: str
    eio_sid: str
    line: Line
    admitted: Admitted
    cursor: int
    bucket: Bucket
    following: bool = False
    leased_at: float = 0.0
    site: str = ""
    in_room: bool = False
    # Whether it was inside at the last event of a closed session, and whether it sees pages for members; once known.
    knows: dict[Right, bool] = field(default_factory=dict)
    room_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    farewell: tuple[str, str] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    pump: asyncio.Task[None] | None = None

    @property
    def session(self) -> HallSession:
        """Whose it is."""
        return self.admitted.session

    @property
    def member(self) -> str:
        """The member's id."""
        return self.session.member

    @property
    def seat(self) -> str:
        """Who it is in the room's media: the hall, or the member."""
        return site_seat(self.site) if self.site else self.member

    def tell(self, *packets: Shared) -> None:
        """Send messages in order."""
        self.line.tell(packets, b"".join(packet.frame for packet in packets))


class Tickets:
    """One-use tickets of a minute, in memory: a relay that was started again has no sockets to resume."""

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[Admitted, float]] = {}

    def give(self, ticket: bytes, admitted: Admitted) -> str:
        """Remember a ticket of 32 random bytes and return it as text.

        Raises:
            TooMany: thousands are open.
        """
        now = time.monotonic()
        self._open = {digest: one for digest, one in self._open.items() if one[1] > now}
        if len(self._open) >= TICKETS_MAX:
            raise TooMany("request.too-many", "Too many connections at once; wait a moment.")
        self._open[token_hash(ticket)] = (admitted, now + TICKET_S)
        return b64u(ticket)

    def take(self, ticket: bytes) -> Admitted:
        """Spend a ticket.

        Raises:
            NotSignedIn: it is unknown, used or too old.
        """
        found = self._open.pop(token_hash(ticket), None)
        if found is None or found[1] <= time.monotonic():
            raise NotSignedIn("socket.bad-ticket", "The ticket is unknown, used or too old; ask for another.")
        return found[0]
