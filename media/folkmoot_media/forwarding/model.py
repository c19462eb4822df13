"""The objects of a router: legs, producers with layers, video consumers, voice slots with consumers.

The words are mediasoup's. A leg is the forwarding side of one WebRTC transport. A batch says: send this payload
to these legs with these headers; the fan-out back end carries it out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from folkmoot_media.forwarding.codecs import Reader, parse_vp8
from folkmoot_media.forwarding.dependency_descriptor import Dependencies
from folkmoot_media.forwarding.express import Place, Rule
from folkmoot_media.forwarding.reception import History, Reception, Retransmissions
from folkmoot_media.forwarding.red import Maker
from folkmoot_media.forwarding.temporal import EVERYTHING, TemporalView
from folkmoot_media.forwarding.transport_wide import ArrivalLog, SendLog
from folkmoot_media.forwarding.uplink import Uplink

if TYPE_CHECKING:
    from folkmoot_media.forwarding.downlink import Downlink
    from folkmoot_media.forwarding.pacing import Pacer
    from folkmoot_media.forwarding.pipe import Pipe

Rng = Callable[[int], bytes]


class Sink(Protocol):
    """Where a leg's packets go: an SRTP session and an address. Opaque to the forwarding core."""


Copy = tuple["Leg", int, int, int, int, bytes, int]
"""Leg, marker and payload type, sequence number, timestamp, SSRC, bytes that replace the payload's first ones, stamp.

Above marker and payload type, from bit `packets.WORDS_AT` on, stands a count of words, usually 0: with so many words
of a header extension the payload begins, which are part of the extension that then stands before them.
The stamp is 0, or `id << 16 | number`: the packet then carries the transport-wide sequence number in a one-byte
header extension (RFC 8285), which is the X bit and the eight bytes of `stamp_block` between header and payload, or
those of `words_block` where words follow. Only a fan-out back end whose `stamps` is true is given stamps or words.
"""


class Batch(NamedTuple):
    """One payload and every copy of it that must be sent; `place` says how the next one may be copied likewise."""

    payload: bytes
    audio: bool
    copies: list[Copy]
    place: Place | None = None


class Event(NamedTuple):
    """Something the owner of the router is told."""

    name: str
    data: dict[str, object]


@dataclass(slots=True)
class Outbox:
    """What the core wants done since the outbox was last emptied, and how many frames were left out meanwhile.

    `express`: batches may say how the next packets are to be copied (`express.Rule`).
    """

    batches: list[Batch] = field(default_factory=list)
    reports: list[tuple[Leg, bytes]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    held_back: int = 0
    express: bool = False


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """The codec that a producer sends: `rtx` is the retransmission payload type, -1 when there is none."""

    mime: str
    payload_type: int
    rtx: int
    clock_rate: int


@dataclass(frozen=True, slots=True)
class EncodingSpec:
    """One encoding of a producer: known by SSRC or by rid."""

    ssrc: int | None
    rid: str | None
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class ProducerSpec:
    """All that the core needs to know of a producer; extension ids are 0 when absent."""

    kind: str
    source: str
    mid: str
    codec: CodecChoice
    encodings: tuple[EncodingSpec, ...]
    mid_id: int
    rid_id: int
    repaired_rid_id: int
    level_id: int
    wide_id: int = 0
    descriptor_id: int = 0


@dataclass(slots=True, eq=False)
class Leg:
    """The forwarding side of one transport or `pipe`; `ready` once its DTLS handshake has finished.

    Upstream, `arrivals` gathers transport-wide feedback when the publisher sends extension `wide_id`, and `uplink`
    judges how well everything arrives. Downstream,
    `wide` numbers every packet when the subscriber understands it, `pacer` is there while video must wait, and
    `doubting` says that requests wait for feedback (`repair.settle`).
    """

    id: str
    owner: str
    direction: str
    sink: Sink
    ready: bool = False
    streams: dict[int, Layer] = field(default_factory=dict)
    repairs: dict[int, Layer] = field(default_factory=dict)
    unknown_budget: int = 256
    producers: dict[str, Producer] = field(default_factory=dict)
    consumers: dict[str, Consumer] = field(default_factory=dict)
    by_ssrc: dict[int, Consumer] = field(default_factory=dict)
    round_trip: float = 0.1
    next_feedback: float = 0.0
    next_mid: int = 0
    closed: bool = False
    wide_id: int = 0
    arrivals: ArrivalLog | None = None
    next_arrivals: float = 0.0
    uplink: Uplink = field(default_factory=Uplink)
    wide: SendLog | None = None
    pacer: Pacer | None = None
    doubting: bool = False
    downlink: Downlink | None = None
    pipe: Pipe | None = None


@dataclass(slots=True, eq=False)
class Layer:
    """One source stream of a producer.

    Of a mirrored producer the other end of the pipe tells whether the layer is being sent at all (`exists`), whether
    the pipe has room for it (`fits`), and its bitrate (`told_rate`, 0: not told).
    """

    producer: Producer
    index: int
    reception: Reception
    ssrc: int = -1
    rtx_ssrc: int = -1
    history: History = field(default_factory=History)
    active: list[VideoConsumer] = field(default_factory=list)
    waiting: list[VideoConsumer] = field(default_factory=list)
    forwarded_packets: int = 0
    forwarded_octets: int = 0
    key_requested: float = float("-inf")
    key_heard: float = float("-inf")
    key_wanted: bool = False
    last_picture: int = 0
    last_tl0: int = 0
    read: Reader = parse_vp8
    dependencies: Dependencies = field(default_factory=Dependencies)
    frame_timestamp: int = -1
    views: list[TemporalView] = field(default_factory=list)
    changing: list[VideoConsumer] = field(default_factory=list)
    octets: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    rates: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0, 0.0])
    top_temporal: int = 0
    sampled: float = float("-inf")
    sampled_octets: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    exists: bool = True
    fits: bool = True
    told_rate: float = 0.0
    rule: Rule | None = None


@dataclass(slots=True, eq=False)
class Producer:
    """A stream that an owner sends into the router, or that a pipe mirrors there; `named` is then its owner."""

    id: str
    leg: Leg
    spec: ProducerSpec
    layers: list[Layer] = field(default_factory=list)
    paused: bool = False
    muted: bool = False
    consumers: dict[str, VideoConsumer] = field(default_factory=dict)
    named: str | None = None

    @property
    def owner(self) -> str:
        """Who sends it."""
        return self.leg.owner if self.named is None else self.named

    @property
    def mirrored(self) -> bool:
        """True when it came over a pipe."""
        return self.leg.pipe is not None

    @property
    def silent(self) -> bool:
        """True while nothing of this producer may be forwarded."""
        return self.paused or self.muted


@dataclass(slots=True, eq=False)
class VideoConsumer:
    """One leg's view of a video producer.

    A packet at position p of the current layer (place p of the temporal view, if there is one) leaves with sequence
    number p + `sequence_shift`; packets before position `base` belong to the time before the last switch and are not
    sent. `row` is its place in the layer's rule. `preferred` is what the page wants, `allowed` what its link carries
    (-1: nothing), `temporal` the same for temporal layers. A `pinned` one is a pipe's and sees that layer only. To a
    `marked` one packets go with their AV1 dependency descriptors (`marked.py`), whose frame numbers are its pictures.
    """

    id: str
    leg: Leg
    producer: Producer
    ssrc: int
    rtx_ssrc: int
    payload_type: int
    rtx_payload_type: int
    cname: str
    preferred: int
    allowed: int = EVERYTHING
    temporal: int = EVERYTHING
    view: TemporalView | None = None
    may_rise_at: float = float("-inf")
    paused: bool = True
    layer: Layer | None = None
    target: Layer | None = None
    base: int = 0
    sequence_shift: int = 0
    timestamp_shift: int = 0
    picture_shift: int = 0
    tl0_shift: int = 0
    started: bool = False
    last_sequence: int = 0
    last_timestamp: int = 0
    last_heard: float = 0.0
    last_picture: int = 0
    last_tl0: int = 0
    packets_before: int = 0
    octets_before: int = 0
    rtx_sequence: int = 0
    repair_octets: int = 0
    resent: int = 0
    held_back: int = 0
    pinned: int | None = None
    marked: bool = False
    shown: int | None = None
    reported: tuple[int, int] | None = None
    retransmissions: Retransmissions = field(default_factory=Retransmissions)
    next_report: float = 0.0
    row: int = -1


@dataclass(slots=True, eq=False)
class Slot:
    """A voice slot: a producer owned by the router whose source changes with the speaker."""

    index: int
    producer_id: str
    source: Layer | None = None
    owner: str | None = None
    base: int = 0
    shift: int = 0
    timestamp_shift: int = 0
    last_position: int = 0
    last_timestamp: int = 0
    last_heard: float = float("-inf")
    fresh: bool = True
    packets: int = 0
    octets: int = 0
    rate: float = 0.0
    sampled: tuple[float, int, int] | None = None
    consumers: dict[str, SlotConsumer] = field(default_factory=dict)
    active: list[SlotConsumer] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SlotConsumer:
    """One leg's view of a voice slot; `gap` counts slot packets that were deliberately not sent to it."""

    id: str
    leg: Leg
    slot: Slot
    ssrc: int
    payload_type: int
    cname: str
    paused: bool = True
    held: bool = False
    listening: bool = False
    gap: int = 0
    base: int = 0
    held_at: int = 0
    reported: tuple[int, int] | None = None
    next_report: float = 0.0


@dataclass(slots=True, eq=False)
class PipedVoice:
    """A microphone on its way through a pipe; `crossing` while it is one of the voices that are sent.

    `rate` is bit/s on the wire, `bare_rate` what of it were left without redundancy.

    A packet at position p leaves with sequence number p + `shift`; `anew` says that its publisher's clock has begun
    anew.
    """

    id: str
    leg: Leg
    producer: Producer
    ssrc: int
    cname: str
    maker: Maker
    crossing: bool = False
    anew: bool = False
    base: int = 0
    shift: int = 0
    timestamp_shift: int = 0
    last_place: int = 0
    last_timestamp: int = 0
    last_heard: float = float("-inf")
    packets: int = 0
    octets: int = 0
    bare_octets: int = 0
    rate: float = 0.0
    bare_rate: float = 0.0
    sampled: tuple[float, int, int, int] | None = None
    reported: tuple[int, int] | None = None
    next_report: float = 0.0


Consumer = VideoConsumer | SlotConsumer | PipedVoice
