"""Retransmission to consumers from the history that all of a layer share (RFC 4588), and probes made of it."""

from __future__ import annotations

from typing import NamedTuple

from folkmoot_media.forwarding import codecs, express, marked, pipe_pictures, rtcp
from folkmoot_media.forwarding.model import Batch, Copy, Leg, Outbox, VideoConsumer
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, WORDS_AT, extend
from folkmoot_media.forwarding.reception import Doubt, StoredPacket
from folkmoot_media.forwarding.transport_wide import Sent
from folkmoot_media.forwarding.video import OVERHEAD

MINIMUM_RESEND_GAP = 0.02
# So long after a round trip feedback is waited for that tells of a repair; browsers tell at least every 0.25 s.
FATE_WAIT = 0.3
REPAIR_SHARE = 0.25
REPAIR_ALLOWANCE = 12_000
PROBE_LOOKBACK = 64
# Shorter than the number that a retransmission begins with (RFC 4588 section 4): a receiver counts it and drops it.
PADDING = b"\0"
PADDING_SIZE = len(PADDING) + OVERHEAD


def answer_nack(consumer: VideoConsumer, nack: rtcp.Nack, now: float, outbox: Outbox | None) -> int:
    """Queue kept packets again, in the retransmission format where negotiated (RFC 4588 section 4).

    Each packet at most three times and not within 0.8 of a round trip; altogether at most a quarter of the media. One
    that is asked for once more before feedback has told whether the last repair arrived waits for it (`settle`).
    Without an `outbox` the fan-out has sent them already, and they are only taken note of.

    Returns:
        How many packets were queued.
    """
    layer = consumer.layer
    if layer is None:
        return 0
    view = consumer.view
    newest = layer.reception.last_position - (0 if view is None else view.packets_left_out)
    resent = 0
    for sequence in nack.sequences:
        position = extend(sequence - consumer.sequence_shift, newest)
        if view is not None:
            position = view.position_of(position)
        if position < consumer.base or (outbox is not None and _is_doubtful(consumer, position, sequence, now)):
            continue
        resent += _repair(consumer, position, sequence, now, outbox)
    consumer.resent += resent
    return resent


def settle(leg: Leg, now: float, outbox: Outbox) -> int:
    """Send again what was asked for once more and has not arrived, as feedback has told, or has not told in time.

    Returns:
        How many packets were queued.
    """
    leg.doubting = False
    resent = 0
    for consumer in leg.consumers.values():
        if isinstance(consumer, VideoConsumer) and consumer.retransmissions.doubted:
            resent += _settle(consumer, now, outbox)
            leg.doubting |= bool(consumer.retransmissions.doubted)
    return resent


def _settle(consumer: VideoConsumer, now: float, outbox: Outbox) -> int:
    doubted = consumer.retransmissions.doubted
    resent = 0
    for position, doubt in list(doubted.items()):
        arrived = _has_arrived(consumer, position)
        if arrived is None and now < doubt.until:
            continue
        del doubted[position]
        # Where the feedback itself was lost: who asks a round trip after the repair left does not have it.
        if arrived is False or (arrived is None and doubt.asked >= doubt.until - FATE_WAIT):
            resent += _repair(consumer, position, doubt.sequence, now, outbox)
    consumer.resent += resent
    return resent


def _has_arrived(consumer: VideoConsumer, position: int) -> bool | None:
    """Say whether what was last sent again for `position` has arrived; None where feedback has yet to tell."""
    number, wide = consumer.retransmissions.numbers.get(position), consumer.leg.wide
    return False if number is None or wide is None else wide.has_arrived(number)


def _is_doubtful(consumer: VideoConsumer, position: int, sequence: int, now: float) -> bool:
    """Say whether a request left, or may have left, just before the repair came that it would have waited for.

    A receiver asks again every tenth of a second or after a round trip: on a long way half of these requests are on
    their way when the repair arrives, and would have it sent twice.
    """
    known, leg = consumer.retransmissions, consumer.leg
    _, last = known.sent.get(position, (0, float("-inf")))
    if now - last > 2 * leg.round_trip + FATE_WAIT:
        return False
    arrived, until = _has_arrived(consumer, position), last + leg.round_trip + FATE_WAIT
    if arrived is None and now >= until:
        return False
    if arrived is None and now - last >= _gap(consumer):
        known.doubted[position] = Doubt(sequence, now, until)
        leg.doubting = True
    return arrived is not False


def _gap(consumer: VideoConsumer) -> float:
    return max(MINIMUM_RESEND_GAP, 0.8 * consumer.leg.round_trip)


def _repair(consumer: VideoConsumer, position: int, sequence: int, now: float, outbox: Outbox | None) -> int:
    """Queue one kept packet again if it may be; return how many were queued."""
    layer = consumer.layer
    stored = None if layer is None or spare_octets(consumer) < 0 else layer.history.find(position)
    if stored is None or not consumer.retransmissions.allow(position, now, _gap(consumer)):
        return 0
    consumer.repair_octets += len(stored.payload)
    if outbox is None:
        stamp = _count(consumer, stored, now, False)
    else:
        batch = _again(consumer, _numbered(consumer, stored, sequence), now, False)
        stamp = batch.copies[0][-1]
        outbox.batches.append(batch)
        express.tell_again(consumer, position, len(stored.payload))
    if consumer.leg.wide is not None:
        consumer.retransmissions.numbers[position] = stamp & 0xFFFF
        consumer.leg.wide.watch(stamp & 0xFFFF)
    return 1


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
