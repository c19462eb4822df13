"""Forwarding of video layers: unbroken numbering per consumer, switches at key frames, retransmission."""

from __future__ import annotations

from folkmoot_media.forwarding import codecs, rtcp
from folkmoot_media.forwarding.model import Batch, Copy, Event, Layer, Outbox, Producer, VideoConsumer
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, RtpPacket, extend
from folkmoot_media.forwarding.reception import StoredPacket

KEY_REQUEST_GAP = 0.5
KEY_REQUEST_RETRY = 1.0
LAYER_ALIVE_FOR = 3.0
MINIMUM_RESEND_GAP = 0.02
FEEDBACK_SSRC = 1
VP8 = "video/vp8"


def forward(layer: Layer, packet: RtpPacket, position: int, now: float, outbox: Outbox) -> None:
    """Queue the copies of one packet of `layer`; waiting consumers join when it starts a key frame."""
    payload = packet.payload
    descriptor = None
    if layer.producer.spec.codec.mime == VP8:
        descriptor = codecs.parse_vp8(payload)
        if descriptor is None:
            return
        key_frame = descriptor.key_frame_start
    else:
        key_frame = codecs.is_h264_key_frame(payload)
    if key_frame and position == layer.reception.last_position:
        for consumer in layer.waiting:
            _switch(consumer, layer, packet, position, descriptor, now)
            outbox.events.append(Event("layers_changed", {"consumer_id": consumer.id, "layer": layer.index}))
        layer.waiting.clear()
    if descriptor is not None and position == layer.reception.last_position:
        layer.last_picture, layer.last_tl0 = descriptor.picture, descriptor.tl0
    if not layer.active:
        return
    layer.history.add(StoredPacket(position, packet.marker, packet.timestamp, payload, descriptor))
    layer.forwarded_packets += 1
    layer.forwarded_octets += len(payload)
    copies: list[Copy] = []
    heads: dict[tuple[int, int], bytes] = {(0, 0): b""}
    marker, timestamp = packet.marker, packet.timestamp
    for consumer in layer.active:
        if position < consumer.base:
            continue
        head = b""
        if descriptor is not None:
            shifts = (consumer.picture_shift, consumer.tl0_shift)
            known = heads.get(shifts)
            if known is None:
                known = heads[shifts] = codecs.patch_vp8(payload, descriptor, *shifts)
            head = known
        copies.append(
            (
                consumer.leg,
                marker | consumer.payload_type,
                (position + consumer.sequence_shift) & 0xFFFF,
                (timestamp + consumer.timestamp_shift) & TIMESTAMP_MASK,
                consumer.ssrc,
                head,
                0,
            )
        )
    if copies:
        outbox.batches.append(Batch(payload, False, copies))


def _switch(
    consumer: VideoConsumer,
    layer: Layer,
    packet: RtpPacket,
    position: int,
    descriptor: codecs.Vp8Descriptor | None,
    now: float,
) -> None:
    """Attach a consumer to `layer` so that its numbers go on where the last layer stopped."""
    detach(consumer)
    consumer.target = None
    consumer.layer = layer
    consumer.base = position
    consumer.sequence_shift = consumer.last_sequence + 1 - position
    if consumer.started:
        elapsed = max(1, int((now - consumer.last_heard) * layer.reception.clock_rate))
        consumer.timestamp_shift = consumer.last_timestamp + elapsed - packet.timestamp
        if descriptor is not None:
            consumer.picture_shift = consumer.last_picture + 1 - descriptor.picture
            consumer.tl0_shift = consumer.last_tl0 + 1 - descriptor.tl0
    consumer.started = True
    consumer.packets_before -= layer.forwarded_packets
    consumer.octets_before -= layer.forwarded_octets
    consumer.retransmissions.sent.clear()
    layer.active.append(consumer)


def detach(consumer: VideoConsumer) -> None:
    """Take a consumer off its layer, remembering the numbers it was last sent."""
    layer = consumer.layer
    if layer is None:
        return
    reception = layer.reception
    consumer.last_sequence = (reception.last_position + consumer.sequence_shift) & 0xFFFF
    consumer.last_timestamp = (reception.last_timestamp + consumer.timestamp_shift) & TIMESTAMP_MASK
    consumer.last_heard = reception.heard
    consumer.last_picture = layer.last_picture + consumer.picture_shift
    consumer.last_tl0 = layer.last_tl0 + consumer.tl0_shift
    consumer.packets_before += layer.forwarded_packets
    consumer.octets_before += layer.forwarded_octets
    layer.active.remove(consumer)
    consumer.layer = None


def release(consumer: VideoConsumer) -> None:
    """Detach a consumer and forget what it waits for."""
    detach(consumer)
    if consumer.target is not None:
        consumer.target.waiting.remove(consumer)
        consumer.target = None


def retarget(consumer: VideoConsumer, now: float, outbox: Outbox) -> None:
    """Choose the layer a consumer should see and start towards it; the change comes with a key frame."""
    wanted = _choose(consumer, now)
    if wanted is None:
        release(consumer)
        return
    if wanted is consumer.target:
        return
    if consumer.target is not None:
        consumer.target.waiting.remove(consumer)
        consumer.target = None
    if wanted is not consumer.layer:
        consumer.target = wanted
        wanted.waiting.append(consumer)
        request_key_frame(wanted, now, outbox)


def _choose(consumer: VideoConsumer, now: float) -> Layer | None:
    producer = consumer.producer
    if consumer.paused or not consumer.leg.ready or producer.silent:
        return None
    layers = producer.layers
    top = min(consumer.preferred, len(layers) - 1)
    if len(layers) == 1:
        return layers[0]
    alive = [layer for layer in layers if now - layer.reception.heard <= LAYER_ALIVE_FOR]
    fitting = [layer for layer in alive if layer.index <= top]
    if fitting:
        return fitting[-1]
    if alive:
        return alive[0]
    return consumer.layer or layers[top]


def request_key_frame(layer: Layer, now: float, outbox: Outbox) -> None:
    """Ask the publisher for a key frame of `layer`, at most twice a second; otherwise `poll` asks later."""
    if layer.ssrc < 0 or now - layer.key_requested < KEY_REQUEST_GAP:
        layer.key_wanted = True
        return
    layer.key_wanted = False
    layer.key_requested = now
    outbox.reports.append((layer.producer.leg, rtcp.build_pli(FEEDBACK_SSRC, layer.ssrc)))


def poll_producer(producer: Producer, now: float, outbox: Outbox) -> None:
    """Retry key-frame requests and move consumers off layers that have stopped or onto ones that came back."""
    if producer.silent:
        return
    if len(producer.layers) > 1:
        for consumer in producer.consumers.values():
            retarget(consumer, now, outbox)
    for layer in producer.layers:
        overdue = bool(layer.waiting) and now - layer.key_requested >= KEY_REQUEST_RETRY
        if layer.key_wanted or overdue:
            request_key_frame(layer, now, outbox)


def answer_nack(consumer: VideoConsumer, nack: rtcp.Nack, now: float, outbox: Outbox) -> int:
    """Queue kept packets again, in the retransmission format where negotiated (RFC 4588 section 4).

    Returns:
        How many packets were queued.
    """
    layer = consumer.layer
    if layer is None:
        return 0
    gap = max(MINIMUM_RESEND_GAP, 0.8 * consumer.leg.round_trip)
    resent = 0
    for sequence in nack.sequences:
        position = extend(sequence - consumer.sequence_shift, layer.reception.last_position)
        stored = layer.history.find(position) if position >= consumer.base else None
        if stored is None or not consumer.retransmissions.allow(position, now, gap):
            continue
        payload = stored.payload
        if stored.descriptor is not None and (consumer.picture_shift or consumer.tl0_shift):
            head = codecs.patch_vp8(payload, stored.descriptor, consumer.picture_shift, consumer.tl0_shift)
            payload = head + payload[len(head) :]
        timestamp = (stored.timestamp + consumer.timestamp_shift) & TIMESTAMP_MASK
        if consumer.rtx_payload_type < 0:
            copy = (consumer.leg, stored.marker | consumer.payload_type, sequence, timestamp, consumer.ssrc, b"", 0)
        else:
            payload = sequence.to_bytes(2, "big") + payload
            consumer.rtx_sequence = (consumer.rtx_sequence + 1) & 0xFFFF
            copy = (
                consumer.leg,
                stored.marker | consumer.rtx_payload_type,
                consumer.rtx_sequence,
                timestamp,
                consumer.rtx_ssrc,
                b"",
                0,
            )
        outbox.batches.append(Batch(payload, False, [copy]))
        resent += 1
    return resent
