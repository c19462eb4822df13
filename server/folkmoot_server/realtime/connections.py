"""What the server knows of one socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from folkmoot_server.domain.identity import SessionInfo

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


@dataclass(slots=True, eq=False)
class Connection:
    """One accepted socket of a member in a meeting; `cursor` is the number of the last event it was sent.

    Leases have a lock of their own: a room whose worker is slow must not cost anyone the attendance.
    """

    sid: str
    eio_sid: str
    session: SessionInfo
    meeting: str
    cursor: int
    bucket: Bucket
    touched_at: int
    epoch: int | None = None
    in_room: bool = False
    superseded: bool = False
    superseded_lease: bool = False
    farewell: tuple[str, str] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    lease_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    room_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pump: asyncio.Task[None] | None = None

    @property
    def member(self) -> str:
        """The member's id."""
        return self.session.member_id
