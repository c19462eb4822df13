"""Whose link is in trouble, for those who lead the meeting; nobody else is told of another member's link."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from folkmoot_server.realtime.media_rooms import Room

Audience = str | frozenset[str] | None
"""Everybody in a room, one seat, or some."""
Notify = Callable[[str, Audience, str, dict[str, Any]], None]
LISTED_MAX: Final = 100
TELL_PERIOD_S: Final = 2.0
TEXT_ONLY: Final = 0
VOICES: Final = 1
EVERYTHING: Final = 4


def reaches(whom: Audience, seat: str) -> bool:
    """Say whether a seat is among those who are told."""
    return whom is None or (whom == seat if isinstance(whom, str) else seat in whom)


@dataclass(slots=True)
class Trouble:
    """One seat in trouble: the level it gets, why, and since when (seconds of the caller's clock)."""

    level: int
    reason: str
    since: float


@dataclass(slots=True)
class Badly:
    """One seat of which a source arrives badly: which, and since when (seconds of the caller's clock)."""

    source: str
    since: float


@dataclass(slots=True)
class Links:
    """What one room's seats said of their links; who reads along only, by choice, counts as well.

    `levels` holds the level that each seat's worker has told last, `sending` of whom something arrives badly.
    """

    levels: dict[str, int] = field(default_factory=dict)
    by_link: dict[str, Trouble] = field(default_factory=dict)
    ceilings: dict[str, int] = field(default_factory=dict)
    text_only: dict[str, Trouble] = field(default_factory=dict)
    sending: dict[str, Badly] = field(default_factory=dict)

    def note(self, owner: str, data: dict[str, Any], now: float) -> bool:
        """Take a worker's `link_level`; return whether the list has changed."""
        before = self.by_link.get(owner)
        level, reason = int(data["level"]), str(data["reason"])
        self.levels[owner] = level
        if not data["trouble"]:
            return self.by_link.pop(owner, None) is not None
        self.by_link[owner] = Trouble(level, reason, now if before is None else before.since)
        return before is None or (before.level, before.reason) != (level, reason)

    def note_sending(self, owner: str, source: str | None, now: float) -> bool:
        """Take which of a seat's sources arrives badly, if any; return whether the list has changed."""
        before = self.sending.get(owner)
        if source is None:
            return self.sending.pop(owner, None) is not None
        self.sending[owner] = Badly(source, now if before is None else before.since)
        return before is None or before.source != source

    def choose(self, owner: str, ceiling: int, now: float) -> bool:
        """Take a seat's own highest level; return whether the list has changed."""
        self.ceilings[owner] = ceiling
        if ceiling > TEXT_ONLY:
            return self.text_only.pop(owner, None) is not None
        if owner in self.text_only:
            return False
        self.text_only[owner] = Trouble(TEXT_ONLY, "choice", now)
        return True

    def drop_way(self, owner: str, direction: str) -> bool:
        """Forget one way of a seat, "recv" or "send" (its transport is gone); return whether the list has changed."""
        if direction != "recv":
            return self.sending.pop(owner, None) is not None
        self.levels.pop(owner, None)
        return self.by_link.pop(owner, None) is not None

    def drop_link(self, owner: str) -> bool:
        """Forget the link of a seat whose transports are gone; return whether the list has changed."""
        sending = self.drop_way(owner, "send")
        return self.drop_way(owner, "recv") or sending

    def drop(self, owner: str) -> bool:
        """Forget a seat; return whether the list has changed."""
        self.ceilings.pop(owner, None)
        chosen = self.text_only.pop(owner, None) is not None
        return self.drop_link(owner) or chosen

    def ceiling(self, owner: str) -> int:
        """Return the highest level that a seat wants, 0 to 4."""
        return self.ceilings.get(owner, EVERYTHING)

    def is_thin(self, owner: str) -> bool:
        """Say whether a seat gets voices or less where it wants more."""
        level = self.levels.get(owner, EVERYTHING)
        return level <= VOICES < self.ceiling(owner)

    def counts(self) -> dict[str, int]:
        """Return how many seats are at each level; those without a transport by choice are at the lowest."""
        standing = self.levels | dict.fromkeys(self.text_only, TEXT_ONLY)
        counted = Counter(standing.values())
        return {f"seats_at_level_{level}": counted[level] for level in range(TEXT_ONLY, EVERYTHING + 1)}

    def listing(self, now: float) -> dict[str, Any]:
        """Return the event `links`: at most a hundred seats, the longest in trouble first, and how many more."""
        received = {**self.by_link, **self.text_only}
        since = {owner: one.since for owner, one in self.sending.items()}
        since |= {owner: min(one.since, since.get(owner, one.since)) for owner, one in received.items()}
        longest = sorted(since, key=lambda owner: (since[owner], owner))
        listed = [self._listed(owner, round(now - since[owner])) for owner in longest[:LISTED_MAX]]
        return {"members": listed, "more": len(longest) - len(listed)}

    def _listed(self, owner: str, for_s: int) -> dict[str, Any]:
        trouble, badly = self.text_only.get(owner) or self.by_link.get(owner), self.sending.get(owner)
        return {
            "owner": owner,
            "level": self.levels.get(owner, EVERYTHING) if trouble is None else trouble.level,
            "reason": None if trouble is None else trouble.reason,
            "sends_badly": None if badly is None else badly.source,
            "for_s": for_s,
        }


class LinkDesk:
    """Passes on what workers say of links: each seat hears of its own, those who lead of all in trouble."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def on_level(self, room: Room, data: dict[str, Any]) -> None:
        """Take a worker's `link_level`."""
        owner = str(data["owner"])
        if owner not in room.members:
            return
        told = {name: value for name, value in data.items() if name != "owner"}
        self._notify(room.room_id, owner, "link_level", told)
        if room.links.note(owner, data, self._now()):
            self.tell_soon(room)

    def on_sending(self, room: Room, data: dict[str, Any]) -> None:
        """Take a worker's `uplink`."""
        owner = str(data["owner"])
        if owner not in room.members:
            return
        told = {name: value for name, value in data.items() if name != "owner"}
        self._notify(room.room_id, owner, "uplink", told)
        if room.links.note_sending(owner, data["source"], self._now()):
            self.tell_soon(room)

    def choose(self, room: Room, owner: str, ceiling: int) -> None:
        """Take a seat's own highest level; one that leads is told at once who is in trouble."""
        if room.links.choose(owner, ceiling, self._now()):
            self.tell_soon(room)
        if owner in room.chairs:
            self._notify(room.room_id, owner, "links", room.links.listing(self._now()))

    def drop(self, room: Room, owner: str) -> None:
        """Forget a seat that has left."""
        if room.links.drop(owner):
            self.tell_soon(room)

    def drop_link(self, room: Room, owner: str) -> None:
        """Forget the link of a seat whose transport is gone."""
        if room.links.drop_link(owner):
            self.tell_soon(room)

    def drop_way(self, room: Room, owner: str, direction: str) -> None:
        """Forget what is known of one way of a seat: its transport is gone."""
        if room.links.drop_way(owner, direction):
            self.tell_soon(room)

    def drop_links(self, room: Room) -> None:
        """Forget every link: the room's router is gone."""
        room.links.levels.clear()
        if room.links.by_link or room.links.sending:
            room.links.by_link.clear()
            room.links.sending.clear()
            self.tell_soon(room)

    def tell_soon(self, room: Room) -> None:
        """Tell those who lead who is in trouble, every two seconds at most."""
        if room.telling is None:
            room.telling = asyncio.get_running_loop().call_later(TELL_PERIOD_S, self._tell, room)

    def _tell(self, room: Room) -> None:
        room.telling = None
        listing = room.links.listing(self._now())
        for chair in room.chairs:
            if chair in room.members:
                self._notify(room.room_id, chair, "links", listing)

    def close(self, room: Room) -> None:
        """The room is closed: nothing more is told."""
        if room.telling is not None:
            room.telling.cancel()
            room.telling = None
