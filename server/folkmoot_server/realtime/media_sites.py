"""The far end of a pipe that leaves this machine: what it has offered, and what it is to be told."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from folkmoot_media.rtp_parameters import Id, Kind, Source, Ssrc, Strict


class AnnouncedEncoding(Strict):
    """One stream of an announced producer."""

    ssrc: Ssrc
    rtx_ssrc: Ssrc | None = None


class Announced(Strict):
    """A producer as the other end tells of it; the worker checks the rest (media_control.md section 6)."""

    producer_id: Id
    owner: Id
    kind: Kind
    source: Source
    paused: bool
    codec: Annotated[str, Field(max_length=32)]
    encodings: Annotated[list[AnnouncedEncoding], Field(min_length=1, max_length=3)]


class Telling:
    """What one end of a pipe tells the other: producers by id, each at its newest, and the floor.

    Every change has a number; whoever has heard up to a number is told what has changed since.
    """

    def __init__(self) -> None:
        self.version = 0
        self._producers: dict[str, tuple[int, dict[str, Any] | None]] = {}
        self._floor: tuple[int, dict[str, Any]] | None = None
        self._changed = asyncio.Event()

    def _next(self) -> int:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()
        return self.version

    def offer(self, announcement: dict[str, Any]) -> None:
        """A producer crosses, or is paused, or goes on."""
        self._producers[announcement["producer_id"]] = (self._next(), announcement)

    def set_paused(self, producer_id: str, paused: bool) -> None:
        """An offered producer is paused, or goes on."""
        _, announcement = self._producers.get(producer_id, (0, None))
        if announcement is not None:
            self.offer({**announcement, "paused": paused})

    def withdraw(self, producer_id: str) -> None:
        """A producer does not cross any more."""
        self._producers[producer_id] = (self._next(), None)

    def set_floor(self, floor: dict[str, Any]) -> None:
        """Who may be heard; nothing is told where it is as before."""
        if self._floor is None or self._floor[1] != floor:
            self._floor = (self._next(), floor)

    def since(self, heard: int) -> dict[str, Any]:
        """Return what has changed after number `heard`, which the other end has; forget what nobody needs then."""
        for key in [key for key, (at, told) in self._producers.items() if told is None and at <= heard]:
            del self._producers[key]
        fresh = {key: told for key, (at, told) in self._producers.items() if at > heard}
        answer: dict[str, Any] = {
            "version": self.version,
            "offers": [told for told in fresh.values() if told is not None],
            "withdrawn": [key for key, told in fresh.items() if told is None],
        }
        if self._floor is not None and self._floor[0] > heard:
            answer["floor"] = self._floor[1]
        return answer

    def end(self) -> None:
        """Nothing more comes: whoever waits is let go."""
        self._changed.set()

    async def news(self, heard: int, wait_s: float) -> dict[str, Any]:
        """Return `since(heard)` as soon as there is something, after `wait_s` at the latest."""
        if self.version <= heard:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
        return self.since(heard)


@dataclass(slots=True, eq=False)
class Site:
    """The other end of a pipe, by the name that it has among the nodes of a room, which is also its own seat.

    `pipe_id` is the own end, None while there is no pipe; `offered` is what comes by it. `opening` is an end whose
    other side has not answered yet.
    """

    name: str
    pipe_id: str | None = None
    opening: str | None = None
    offered: dict[str, dict[str, Any]] = field(default_factory=dict)
    telling: Telling = field(default_factory=Telling)

    @property
    def owners(self) -> set[str]:
        """Return the site's own seat and the seats there that send."""
        return {self.name, *(offer["owner"] for offer in self.offered.values())}

    def begin(self, pipe_id: str | None) -> None:
        """Another pipe, or none: nothing that was said about the one before holds."""
        self.telling.end()
        self.pipe_id, self.offered, self.telling = pipe_id, {}, Telling()
