"""Retransmission to consumers from the history that all of a layer share (RFC 4588), and probes made of it."""

from __future__ import annotations

from typing import NamedTuple

from folkmoot_media.forwarding import codecs, rtcp
from folkmoot_media.forwarding.model import Batch, Copy, Outbox, VideoConsumer
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, extend
from folkmoot_media.forwarding.reception import StoredPacket
from folkmoot_media.forwarding.transport_wide import Sent
from folkmoot_media.forwarding.video import OVERHEAD

MINIMUM_RESEND_GAP = 0.02
REPAIR_SHARE = 0.25
REPAIR_ALLOWANCE = 40_000
PROBE_LOOKBACK = 64


def answer_nack(consumer: VideoConsumer, nack: rtcp.Nack, now: float, outbox: Outbox) -> int:
    """Queue kept packets again, in the retransmission format where negotiated (RFC 4588 section 4).

    Each packet at most three times and not within 0.8 of a round trip; altogether at most a quarter of the media.

    Returns:
        How many packets were queued.
    """
    layer = consumer.layer
    if layer is None:
        return 0
    view = consumer.view
    gap = max(MINIMUM_RESEND_GAP, 0.8 * consumer.leg.round_trip)
    newest = layer.reception.last_position - (0 if view is None else view.packets_left_out)
    octets = consumer.octets_before + (layer if view is None else view).forwarded_octets
    resent = 0
    for sequence in nack.sequences:
        if consumer.repair_octets > REPAIR_SHARE * octets + REPAIR_ALLOWANCE:
            break
        position = extend(sequence - consumer.sequence_shift, newest)
        if view is not None:
            position = view.position_of(position)
        stored = layer.history.find(position) if position >= consumer.base else None
        if stored is None or not consumer.retransmissions.allow(position, now, gap):
            continue
        consumer.repair_octets += len(stored.payload)
        outbox.batches.append(_again(consumer, stored, sequence, now, False))
        resent += 1
    consumer.resent += resent
    return resent


def _again(consumer: VideoConsumer, stored: StoredPacket, sequence: int, now: float, probe: bool) -> Batch:
    payload, descriptor, view, leg = stored.payload, stored.descriptor, consumer.view, consumer.leg
    picture_shift = consumer.picture_shift
    if view is not None:
        picture_shift -= view.pictures_before(stored.position)
    if descriptor.length and (picture_shift or consumer.tl0_shift):
        head = codecs.patch(payload, descriptor, picture_shift, consumer.tl0_shift)
        payload = head + payload[len(head) :]
    timestamp = (stored.timestamp + consumer.timestamp_shift) & TIMESTAMP_MASK
    size = len(payload) + OVERHEAD
    stamp = 0 if leg.wide is None else leg.wide.stamp(Sent(now, size, probe))
    if leg.pacer is not None:
        leg.pacer.spend(size)
    copy: Copy
    if consumer.rtx_payload_type < 0:
        copy = (leg, stored.marker | consumer.payload_type, sequence, timestamp, consumer.ssrc, b"", stamp)
    else:
        payload = sequence.to_bytes(2, "big") + payload
        consumer.rtx_sequence = (consumer.rtx_sequence + 1) & 0xFFFF
        copy = (
            leg,
            stored.marker | consumer.rtx_payload_type,
            consumer.rtx_sequence,
            timestamp,
            consumer.rtx_ssrc,
            b"",
            stamp,
        )
    return Batch(payload, False, [copy])


class Again(NamedTuple):
    """A packet that a consumer was sent, kept to be sent again."""

    sequence: int
    stored: StoredPacket


def find_probe(consumer: VideoConsumer, wanted: int, size: int) -> list[Again]:
    """Return up to `wanted` of the packets sent of late that may be sent again to try the link.

    Those with at most `size` bytes of payload come first, the largest before the others, then the rest.
    Retransmissions of what has arrived are thrown away by the receiver; without a retransmission stream there is
    nothing that may be sent.
    """
    layer, view = consumer.layer, consumer.view
    if layer is None or consumer.rtx_payload_type < 0:
        return []
    newest = layer.reception.last_position - (0 if view is None else view.packets_left_out)
    found: list[Again] = []
    for place in range(max(0, newest - PROBE_LOOKBACK), newest + 1):
        position = place if view is None else view.position_of(place)
        stored = layer.history.find(position) if position >= consumer.base else None
        if stored is not None:
            found.append(Again((place + consumer.sequence_shift) & 0xFFFF, stored))
    found.sort(key=lambda again: _distance(len(again.stored.payload), size))
    return found[:wanted]


def _distance(size: int, wanted: int) -> int:
    return wanted - size if size <= wanted else wanted + size


def send_probe(consumer: VideoConsumer, packets: list[Again], now: float, outbox: Outbox) -> None:
    """Queue packets again in one go, to learn from their arrival what the link carries."""
    for sequence, stored in packets:
        outbox.batches.append(_again(consumer, stored, sequence, now, True))
