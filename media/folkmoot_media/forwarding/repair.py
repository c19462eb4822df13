"""Retransmission to consumers from the history that all of a layer share (RFC 4588), and probes made of it."""

from __future__ import annotations

from typing import NamedTuple

from folkmoot_media.forwarding import codecs, express, marked, pipe_pictures, rtcp
from folkmoot_media.forwarding.model import Batch, Copy, Outbox, VideoConsumer
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, WORDS_AT, extend
from folkmoot_media.forwarding.reception import StoredPacket
from folkmoot_media.forwarding.transport_wide import Sent
from folkmoot_media.forwarding.video import OVERHEAD

MINIMUM_RESEND_GAP = 0.02
REPAIR_SHARE = 0.25
REPAIR_ALLOWANCE = 40_000
PROBE_LOOKBACK = 64
# Shorter than the number that a retransmission begins with (RFC 4588 section 4): a receiver counts it and drops it.
PADDING = b"\0"
PADDING_SIZE = len(PADDING) + OVERHEAD


def answer_nack(consumer: VideoConsumer, nack: rtcp.Nack, now: float, outbox: Outbox | None) -> int:
    """Queue kept packets again, in the retransmission format where negotiated (RFC 4588 section 4).

    Each packet at most three times and not within 0.8 of a round trip; altogether at most a quarter of the media.
    Without an `outbox` the fan-out has sent them already, and they are only taken note of.

    Returns:
        How many packets were queued.
    """
    layer = consumer.layer
    if layer is None:
        return 0
    view = consumer.view
    gap = max(MINIMUM_RESEND_GAP, 0.8 * consumer.leg.round_trip)
    newest = layer.reception.last_position - (0 if view is None else view.packets_left_out)
    resent = 0
    spare = spare_octets(consumer)
    for sequence in nack.sequences:
        if spare < 0:
            break
        position = extend(sequence - consumer.sequence_shift, newest)
        if view is not None:
            position = view.position_of(position)
        stored = layer.history.find(position) if position >= consumer.base else None
        if stored is None or not consumer.retransmissions.allow(position, now, gap):
            continue
        consumer.repair_octets += len(stored.payload)
        spare -= len(stored.payload)
        if outbox is None:
            _count(consumer, stored, now, False)
        else:
            outbox.batches.append(_again(consumer, _numbered(consumer, stored, sequence), now, False))
            express.tell_again(consumer, position, len(stored.payload))
        resent += 1
    consumer.resent += resent
    return resent


def spare_octets(consumer: VideoConsumer) -> float:
    """Return how many bytes of payload may be sent again now to a consumer that has a layer."""
    layer, view = consumer.layer, consumer.view
    octets = consumer.octets_before
    if layer is not None:
        octets += (layer if view is None else view).forwarded_octets
    return REPAIR_SHARE * octets + REPAIR_ALLOWANCE - consumer.repair_octets


def _count(consumer: VideoConsumer, stored: StoredPacket, now: float, probe: bool) -> int:
    """Count a packet that is sent again; return its stamp."""
    leg, size = consumer.leg, len(stored.payload) + OVERHEAD
    if leg.pacer is not None:
        leg.pacer.spend(size)
    if consumer.rtx_payload_type >= 0:
        consumer.rtx_sequence = (consumer.rtx_sequence + 1) & 0xFFFF
    return 0 if leg.wide is None else leg.wide.stamp(Sent(now, size, probe))


class Again(NamedTuple):
    """A packet that a consumer was sent, to be sent again with the numbers that it had then."""

    sequence: int
    stored: StoredPacket
    timestamp: int
    picture_shift: int
    tl0_shift: int


def _numbered(consumer: VideoConsumer, stored: StoredPacket, sequence: int) -> Again:
    """Return a packet of the layer that a consumer gets, with the numbers that it was sent with."""
    view, picture_shift = consumer.view, consumer.picture_shift
    if view is not None:
        picture_shift -= view.pictures_before(stored.position)
    timestamp = (stored.timestamp + consumer.timestamp_shift) & TIMESTAMP_MASK
    return Again(sequence, stored, timestamp, picture_shift, consumer.tl0_shift)


def _again(consumer: VideoConsumer, packet: Again, now: float, probe: bool) -> Batch:
    sequence, stored, timestamp, picture_shift, tl0_shift = packet
    payload, descriptor, leg = stored.payload, stored.descriptor, consumer.leg
    if descriptor.length and (picture_shift or tl0_shift):
        head = codecs.patch(payload, descriptor, picture_shift, tl0_shift)
        payload = head + payload[len(head) :]
    if pipe_pictures.is_described(consumer):
        payload = pipe_pictures.fold(stored.marks, payload)
    words, extension = marked.again(consumer, stored, picture_shift)
    marker = stored.marker | words << WORDS_AT
    stamp = _count(consumer, stored, now, probe)
    copy: Copy
    if consumer.rtx_payload_type < 0:
        copy = (leg, marker | consumer.payload_type, sequence, timestamp, consumer.ssrc, b"", stamp)
    else:
        payload = sequence.to_bytes(2, "big") + payload
        copy = (
            leg,
            marker | consumer.rtx_payload_type,
            consumer.rtx_sequence,
            timestamp,
            consumer.rtx_ssrc,
            b"",
            stamp,
        )
    return Batch(extension + payload, False, [copy])


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
            found.append(_numbered(consumer, stored, (place + consumer.sequence_shift) & 0xFFFF))
    found.sort(key=lambda again: _distance(len(again.stored.payload), size))
    return found[:wanted]


def _distance(size: int, wanted: int) -> int:
    return wanted - size if size <= wanted else wanted + size


def send_probe(consumer: VideoConsumer, packets: list[Again], now: float, outbox: Outbox) -> None:
    """Queue packets again in one go, to learn from their arrival what the link carries."""
    for packet in packets:
        outbox.batches.append(_again(consumer, packet, now, True))
    express.tell_again(consumer, -1, 0)


def send_padding(consumer: VideoConsumer, packets: int, now: float, outbox: Outbox) -> None:
    """Queue so many small packets that hold nothing, in one go, where nothing has been sent that could be sent again.

    They take the consumer's retransmission stream, which it must have.
    """
    leg = consumer.leg
    for _ in range(packets):
        consumer.rtx_sequence = (consumer.rtx_sequence + 1) & 0xFFFF
        if leg.pacer is not None:
            leg.pacer.spend(PADDING_SIZE)
        stamp = 0 if leg.wide is None else leg.wide.stamp(Sent(now, PADDING_SIZE, True))
        copy: Copy = (
            leg,
            consumer.rtx_payload_type,
            consumer.rtx_sequence,
            consumer.last_timestamp,
            consumer.rtx_ssrc,
            b"",
            stamp,
        )
        outbox.batches.append(Batch(PADDING, False, [copy]))
    express.tell_again(consumer, -1, 0)
