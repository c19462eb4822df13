"""What the browser may say about media, and what signalling remembers of a room."""

from __future__ import annotations

import asyncio
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
from folkmoot_server.realtime.media_links import Links

FloorModeName = Literal["open", "chaired"]


class Empty(Strict):
    """capabilities, list."""


class CreateTransport(Strict):
    """create_transport."""

    direction: Literal["send", "recv"]


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


class ConsumerEntry(NamedTuple):
    """Whose consumer it is and what it hangs on."""

    owner: str
    transport_id: str
    producer_id: str


@dataclass(slots=True, eq=False)
class Room:
    """What signalling knows of one room; emptied and filled anew when its worker dies."""

    room_id: str
    mode: FloorModeName = "open"
    chairs: list[str] = field(default_factory=list)
    granted: list[str] = field(default_factory=list)
    muted: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    router_id: str | None = None
    capabilities: dict[str, Any] = field(default_factory=dict)
    slots: list[dict[str, Any]] = field(default_factory=list)
    transports: dict[str, tuple[str, str]] = field(default_factory=dict)
    producers: dict[str, ProducerEntry] = field(default_factory=dict)
    consumers: dict[str, ConsumerEntry] = field(default_factory=dict)
    budgets: dict[str, TokenBucket] = field(default_factory=dict)
    links: Links = field(default_factory=Links)
    telling: asyncio.TimerHandle | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def figures(self) -> dict[str, Any]:
        """Return how much is in the room, as numbers by name beside its id."""
        return {
            "room": self.room_id,
            "members": len(self.members),
            "transports": len(self.transports),
            "producers": len(self.producers),
            "consumers": len(self.consumers),
            **self.links.counts(),
        }
