"""Retransmission to consumers from the history that all of a layer share (RFC 4588), and probes made of it."""

from __future__ import annotations

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


def find_probe(consumer: VideoConsumer, wanted: int) -> list[StoredPacket]:
    """Return up to `wanted` of the largest packets sent of late that may be sent again to try the link.

    Retransmissions of what has arrived are thrown away by the receiver; without a retransmission stream there is
    nothing that may be sent.
    """
    layer = consumer.layer
    if layer is None or consumer.rtx_payload_type < 0 or consumer.view is not None:
        return []
    newest = layer.reception.last_position
    first = max(consumer.base, newest - PROBE_LOOKBACK)
    found = [stored for position in range(first, newest + 1) if (stored := layer.history.find(position)) is not None]
    found.sort(key=lambda stored: -len(stored.payload))
    return found[:wanted]


def send_probe(consumer: VideoConsumer, packets: list[StoredPacket], now: float, outbox: Outbox) -> None:
    """Queue packets again in one go, to learn from their arrival what the link carries."""
    for stored in packets:
        sequence = (stored.position + consumer.sequence_shift) & 0xFFFF
        outbox.batches.append(_again(consumer, stored, sequence, now, True))
