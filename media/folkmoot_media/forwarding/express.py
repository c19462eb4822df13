"""Rules: what a fan-out back end may do by itself with the next packet of a stream, before the core has seen it.

A rule says how the stream's last packet was copied, and holds for the next one in order. It is made while nothing
about the copies can change from packet to packet, and dropped by whatever changes it. What was forwarded by a rule is
given to the core a little later, which then takes note of it (`Router.note_forwarded`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from folkmoot_media.forwarding.packets import SEQUENCE_MODULUS, TIMESTAMP_MASK

if TYPE_CHECKING:
    from folkmoot_media.forwarding.model import Layer, Leg, Slot, VideoConsumer

LONGEST_MID = 16
# Of extensions with one byte before them (RFC 8285 section 4.2).
LARGEST_SHORT_ID = 14
MARK = 8
PICTURE_MODULUS = 1 << 16
TL0_MODULUS = 1 << 8
NUMBERED = "video/vp8"
PLAIN = frozenset({"video/h264", "video/av1"})


class Row(NamedTuple):
    """One copy of every packet: what is added to its position, timestamp and VP8 numbers; `stamp` 0 or the id.

    A `consumer` may ask for packets again. `mark`, 0 or the id, brings AV1's dependency descriptors (`marked.py`).
    """

    leg: Leg
    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    picture: int
    tl0: int
    stamp: int
    consumer: VideoConsumer | None = None
    mark: int = 0


@dataclass(slots=True, eq=False)
class Rule:
    """How the packets of one layer are copied; `release` is set by the back end that holds the rule as `handle`.

    So is `tell_again`, if that back end answers requests for lost packets too: it is told of what the core has sent
    again to a row by itself (handle, row, position or -1, bytes of payload, retransmission number). A place of a rule
    that is `dropped` may still wait to be handed over.
    """

    leg: Leg
    ssrc: int
    payload_type: int
    numbered: bool
    mid_id: int
    mark_id: int
    mid: bytes
    rows: list[Row]
    stamped: bool
    handle: int = -1
    release: Callable[[int], None] | None = field(default=None)
    tell_again: Callable[[int, int, int, int, int], None] | None = field(default=None)
    dropped: bool = False


class Place(NamedTuple):
    """A rule and the packet that it fits: its sequence number and its position."""

    rule: Rule
    sequence: int
    position: int


def drop(layer: Layer) -> None:
    """Something about the layer's copies is about to change."""
    rule = layer.rule
    if rule is not None:
        layer.rule = None
        rule.dropped = True
        if rule.release is not None:
            rule.release(rule.handle)


def place(layer: Layer, sequence: int, position: int, make: Callable[[Layer], list[Row] | None]) -> Place | None:
    """Let the layer's rule fit the packet behind this one; a rule is made when there is none and one can be."""
    rule = layer.rule
    if rule is None:
        rule = _new(layer, make)
        if rule is None:
            return None
        layer.rule = rule
    return Place(rule, (sequence + 1) % SEQUENCE_MODULUS, position + 1)


def _new(layer: Layer, make: Callable[[Layer], list[Row] | None]) -> Rule | None:
    spec = layer.producer.spec
    mid = spec.mid.encode()
    if layer.producer.leg.pipe is not None or len(mid) > LONGEST_MID:
        return None
    rows = make(layer)
    if not rows or any(row.leg.pacer is not None or row.leg.pipe is not None for row in rows):
        return None
    return Rule(
        layer.producer.leg,
        layer.ssrc,
        spec.codec.payload_type,
        spec.codec.mime == NUMBERED,
        spec.mid_id,
        spec.descriptor_id if spec.descriptor_id <= LARGEST_SHORT_ID else 0,
        mid,
        rows,
        any(row.stamp for row in rows),
    )


def video_rows(layer: Layer) -> list[Row] | None:
    """Return a row for each consumer of the layer, or None when something about them is about to change."""
    mime = layer.producer.spec.codec.mime
    if layer.views or layer.changing or layer.waiting or not (mime == NUMBERED or mime in PLAIN):
        return None
    rows: list[Row] = []
    for consumer in layer.active:
        consumer.row = len(rows)
        rows.append(
            Row(
                consumer.leg,
                consumer.ssrc,
                consumer.payload_type,
                consumer.sequence_shift % SEQUENCE_MODULUS,
                consumer.timestamp_shift & TIMESTAMP_MASK,
                consumer.picture_shift % PICTURE_MODULUS,
                consumer.tl0_shift % TL0_MODULUS,
                _stamp(consumer.leg),
                consumer,
                MARK if consumer.marked else 0,
            )
        )
    return rows


def voice_rows(slot: Slot) -> list[Row]:
    """Return a row for each consumer who listens to the slot."""
    return [
        Row(
            consumer.leg,
            consumer.ssrc,
            consumer.payload_type,
            (slot.shift - consumer.gap) % SEQUENCE_MODULUS,
            slot.timestamp_shift & TIMESTAMP_MASK,
            0,
            0,
            _stamp(consumer.leg),
        )
        for consumer in slot.active
    ]


def _stamp(leg: Leg) -> int:
    return 0 if leg.wide is None else leg.wide.extension_id


def tell_again(consumer: VideoConsumer, position: int, octets: int) -> None:
    """The core has sent a packet again: the one at `position`, or with -1 one that nobody had asked for."""
    rule = None if consumer.layer is None else consumer.layer.rule
    if rule is not None and rule.tell_again is not None:
        rule.tell_again(rule.handle, consumer.row, position, octets, consumer.rtx_sequence)


def drop_all(layers: Sequence[Layer]) -> None:
    """Drop the rules of these layers."""
    for layer in layers:
        drop(layer)
