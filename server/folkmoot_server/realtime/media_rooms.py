"""What the browser may say about media, and what signalling remembers of a room."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from folkmoot_media.rtp_parameters import (
    DtlsParameters,
    Id,
    Kind,
    RtpCapabilities,
    RtpParameters,
    Source,
    Strict,
)
from folkmoot_media.transport.limits import TokenBucket
from folkmoot_server.domain.relays import site_of_seat
from folkmoot_server.realtime.media_links import Audience, Links
from folkmoot_server.realtime.media_pipes import PipeTable
from folkmoot_server.realtime.media_sites import Site

FloorModeName = Literal["open", "chaired"]
Halls = Mapping[str, Collection[str]] | None


class Empty(Strict):
    """capabilities, list."""


class FirstLook(Strict):
    """What a page has measured of its link before joining."""

    kbps: Annotated[int, Field(ge=1, le=10_000_000)]
    rtt_ms: Annotated[int, Field(ge=0, le=60_000)]


class CreateTransport(Strict):
    """create_transport."""

    direction: Literal["send", "recv"]
    link: FirstLook | None = None


class ConnectTransport(Strict):
    """connect_transport."""

    transport_id: Id
    dtlsParameters: DtlsParameters  # noqa: N815 - the wire's spelling


class TransportRef(Strict):
    """restart_ice."""

    transport_id: Id


class Produce(Strict):
    """produce."""

    transport_id: Id
    kind: Kind
    rtpParameters: RtpParameters  # noqa: N815
    source: Source
    paused: bool = False


class ProducerRef(Strict):
    """pause_producer, resume_producer, close_producer."""

    producer_id: Id


class Consume(Strict):
    """consume."""

    transport_id: Id
    producer_id: Id
    rtpCapabilities: RtpCapabilities  # noqa: N815


class ConsumerRef(Strict):
    """resume_consumer, pause_consumer, close_consumer."""

    consumer_id: Id


class PreferredLayers(Strict):
    """set_preferred_layers."""

    consumer_id: Id
    layer: Annotated[int, Field(ge=0, le=7)]


class SetLadder(Strict):
    """set_ladder: the highest level of the ladder that the member wants."""

    ceiling: Annotated[int, Field(ge=0, le=4)]


@dataclass(slots=True)
class ProducerEntry:
    """A producer that clients may be told of."""

    producer_id: str
    owner: str
    kind: str
    source: str
    transport_id: str
    paused: bool

    @property
    def is_voice(self) -> bool:
        """Say whether it is a microphone."""
        return self.source == "microphone"

    def described(self) -> dict[str, Any]:
        """Return what pages are told of it."""
        return {
            "producer_id": self.producer_id,
            "owner": self.owner,
            "kind": self.kind,
            "source": self.source,
            "paused": self.paused,
        }


class ConsumerEntry(NamedTuple):
    """Whose consumer it is and what it hangs on."""

    owner: str
    transport_id: str
    producer_id: str


@dataclass(slots=True, eq=False)
class Part:
    """One router of a room, the seats that it serves, and the producers that stand there, by id."""

    router_id: str
    slots: list[dict[str, Any]]
    members: set[str] = field(default_factory=set)
    producers: dict[str, ProducerEntry] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Room:
    """What signalling knows of one room.

    A room has a part on one worker, or several joined by pipes; the first is the centre of the star. A part is
    forgotten with everything of its seats when its worker dies. `ordered` are those whom the workers were last told
    to silence. `halls` are the members who checked in at a hall, by the hall's own seat; a room that is in one hall
    as a whole (`hall`) needs none.
    """

    room_id: str
    mode: FloorModeName = "open"
    chairs: list[str] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)
    muted: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    parts: list[Part] = field(default_factory=list)
    pipes: PipeTable = field(default_factory=PipeTable)
    capabilities: dict[str, Any] = field(default_factory=dict)
    transports: dict[str, tuple[str, str]] = field(default_factory=dict)
    producers: dict[str, ProducerEntry] = field(default_factory=dict)
    consumers: dict[str, ConsumerEntry] = field(default_factory=dict)
    budgets: dict[str, TokenBucket] = field(default_factory=dict)
    links: Links = field(default_factory=Links)
    telling: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    settling: asyncio.Task[None] | None = None
    sites: dict[str, Site] = field(default_factory=dict)
    hall: bool = False
    halls: dict[str, frozenset[str]] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)

    @property
    def in_use(self) -> bool:
        """Say whether the room needs a router: for seats, or for sites that may dial."""
        return bool(self.members or self.sites)

    @property
    def silenced(self) -> set[str]:
        """Return whose microphones are to be silent.

        Those whom the chair has muted, and in a hall everyone without the floor: its loudspeakers are on, and a
        second open microphone there would send back what they play.
        """
        if self.hall:
            return self.muted | (self.members - self._heard(self.members, self._voices()))
        return self.muted.union(*(owners - self._heard(owners, sending) for owners, sending in self._in_halls()))

    def enter(self, owner: str) -> None:
        """A seat uses the room; a hall's own seat makes it a room with that hall."""
        self.members.add(owner)
        if site_of_seat(owner) is not None:
            self.halls.setdefault(owner, frozenset())

    def follow(
        self,
        mode: FloorModeName,
        chairs: Collection[str],
        granted: Collection[str],
        halls: Mapping[str, Collection[str]],
    ) -> None:
        """Take over who may be heard, and who has checked in at which hall."""
        self.mode, self.chairs, self.granted = mode, list(chairs), list(granted)
        own = {owner for owner in self.members if site_of_seat(owner) is not None}
        self.halls = {name: frozenset(halls.get(name, ())) for name in own.union(halls)}

    def _voices(self) -> set[str]:
        return {entry.owner for entry in self.producers.values() if entry.transport_id and entry.is_voice}

    def _in_halls(self) -> Iterator[tuple[set[str], set[str]]]:
        """Yield the seats of each hall, by its relay and by themselves, and those of them who send."""
        names = {*self.sites, *self.halls}
        voices = self._voices() if names else set()
        for name in names:
            by_relay = self.sites[name].owners if name in self.sites else set()
            here = self.members & {name, *self.halls.get(name, ())}
            yield by_relay | here, by_relay | (here & voices)

    def _heard(self, owners: set[str], sending: set[str]) -> set[str]:
        """Return who of the seats in one hall may be heard: one microphone at a time.

        The first with the floor who sends; while none of them does, whoever of them begins; where nobody there has
        the floor, the chairs.
        """
        granted = [owner for owner in self.granted if owner in owners]
        first = next((owner for owner in granted if owner in sending), None)
        if first is not None:
            return {first}
        return set(granted) or owners.intersection(self.chairs)

    def part_of(self, owner: str) -> Part | None:
        """Return the part that serves a seat, None while there is none."""
        return next((part for part in self.parts if owner in part.members), None)

    def part_at(self, node: str) -> Part | None:
        """Return the part with this router."""
        return next((part for part in self.parts if part.router_id == node), None)

    def audience(self, part: Part) -> Audience:
        """Return whom to tell what concerns one part: everybody, where there is no other."""
        return None if len(self.parts) == 1 else frozenset(part.members)

    def audience_of(self, owners: set[str]) -> Audience:
        """Return whom to tell what concerns these seats."""
        return None if owners >= self.members else frozenset(owners)

    def figures(self) -> dict[str, Any]:
        """Return how much is in the room, as numbers by name beside its id."""
        return {
            "room": self.room_id,
            "members": len(self.members),
            "routers": len(self.parts),
            "transports": len(self.transports),
            "producers": len(self.producers),
            "consumers": len(self.consumers),
            **self.links.counts(),
        }
