"""Forwarding of video layers: unbroken numbering per consumer, switches at key frames, key-frame requests."""

from __future__ import annotations

from collections.abc import Sequence

from folkmoot_media.forwarding import codecs, express, marked, rtcp
from folkmoot_media.forwarding.codecs import Descriptor
from folkmoot_media.forwarding.model import Batch, Copy, Event, Layer, Outbox, Producer, VideoConsumer
from folkmoot_media.forwarding.pacing import Queued
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, WORDS_AT, RtpPacket
from folkmoot_media.forwarding.reception import StoredPacket
from folkmoot_media.forwarding.temporal import EVERYTHING, TemporalView
from folkmoot_media.forwarding.transport_wide import Sent

KEY_REQUEST_GAP = 0.5
KEY_REQUEST_RETRY = 1.0
LAYER_ALIVE_FOR = 3.0
FEEDBACK_SSRC = 1
# What a packet weighs on the wire beside its payload: RTP, SRTP's tag, header extension, UDP and IPv4.
OVERHEAD = 64
RATE_PERIOD = 0.5
NUMBERS_AHEAD = 1 << 15


def forward(
    layer: Layer, packet: RtpPacket, position: int, now: float, outbox: Outbox, marks: bytes | None = None
) -> None:
    """Queue the copies of one packet of `layer`; waiting consumers join when it starts a key frame.

    `marks` is the packet's AV1 dependency descriptor, empty if it carries none, None where there can be none.
    """
    payload = packet.payload
    descriptor = layer.read(payload)
    if descriptor is None:
        return
    if marks is not None:
        descriptor = layer.dependencies.describe(marks, descriptor, layer.last_picture)
    newest = position == layer.reception.last_position
    starts = newest and packet.timestamp != layer.frame_timestamp
    if newest:
        if descriptor.key_frame_start:
            layer.key_heard = now
            if marks:
                marked.keep_ahead(layer, marks, descriptor, position)
            for consumer in layer.waiting:
                _switch(consumer, layer, packet, position, descriptor, now)
                _tell(consumer, layer.index, outbox)
            layer.waiting.clear()
        if starts and layer.changing:
            _change_views(layer, descriptor, position)
        layer.last_picture, layer.last_tl0 = descriptor.picture, descriptor.tl0
        layer.frame_timestamp = packet.timestamp
    size = len(payload)
    _weigh(layer, descriptor, size)
    if not layer.active and not layer.views:
        return
    layer.history.add(StoredPacket(position, packet.marker, packet.timestamp, payload, descriptor, marks or None))
    layer.forwarded_packets += 1
    layer.forwarded_octets += size
    copies: list[Copy] = []
    numbers = (position, position, 0)
    forms: list[marked.Form] = []
    plain, count = layer.active, 0
    if marks is not None:
        plain, forms = marked.part(layer, packet, marks, descriptor)
    overdue = _copy(copies, plain, packet, numbers, descriptor, now, starts)
    for form in forms:
        formed: list[Copy] = []
        overdue += _copy(formed, form.consumers, form.packet, numbers, form.descriptor, now, starts, form.patch)
        outbox.batches += [Batch(form.packet.payload, False, formed)] if formed else []
        count += len(formed)
    for view in layer.views:
        placed = view.place(position, descriptor, newest)
        if placed is not None:
            view.forwarded_packets += 1
            view.forwarded_octets += size
            overdue += _copy(copies, view.consumers, packet, (position, *placed), descriptor, now, starts)
    place = None
    if outbox.express and newest and len(copies) + count == len(layer.active) > 0:
        place = express.place(layer, packet.sequence, position, express.video_rows)
    if copies:
        outbox.batches.append(Batch(payload, False, copies, place))
    elif place is not None:
        outbox.batches[-1] = outbox.batches[-1]._replace(place=place)
    for consumer in overdue:
        _hold_back(consumer, now, outbox)


def note_forwarded(layer: Layer, packet: RtpPacket, position: int, now: float, marks: bytes | None) -> None:
    """Take note of the newest packet of `layer`, which was forwarded by its rule, as `forward` would have."""
    payload = packet.payload
    descriptor = layer.read(payload)
    if descriptor is None:
        return
    if marks is not None:
        descriptor = layer.dependencies.describe(marks, descriptor, layer.last_picture)
    if descriptor.key_frame_start:
        layer.key_heard = now
    layer.last_picture, layer.last_tl0 = descriptor.picture, descriptor.tl0
    layer.frame_timestamp = packet.timestamp
    size = len(payload)
    _weigh(layer, descriptor, size)
    layer.history.add(StoredPacket(position, packet.marker, packet.timestamp, payload, descriptor, marks or None))
    layer.forwarded_packets += 1
    layer.forwarded_octets += size
    rule = layer.rule
    if rule is None or rule.stamped:
        sent = longer = Sent(now, size + OVERHEAD)
        if marks:
            longer = Sent(now, size + len(marked.extension(marks, size)) + OVERHEAD)
        for consumer in layer.active:
            if consumer.leg.wide is not None:
                consumer.leg.wide.stamp(longer if consumer.marked else sent)


def _weigh(layer: Layer, descriptor: Descriptor, size: int) -> None:
    """Count what the packet's temporal layer takes on the wire."""
    temporal = descriptor.temporal
    if temporal > 0:
        layer.octets[temporal] += size + OVERHEAD
        layer.top_temporal = max(layer.top_temporal, temporal)
    else:
        layer.octets[0] += size + OVERHEAD


def _copy(
    copies: list[Copy],
    consumers: Sequence[VideoConsumer],
    packet: RtpPacket,
    numbers: tuple[int, int, int],
    descriptor: Descriptor,
    now: float,
    starts: bool,
    patch: marked.Patch = codecs.patch,
) -> list[VideoConsumer]:
    """Copy one packet for the consumers of one view; return those for whom its frame comes too late.

    `numbers` are the packet's position, its place in the view, and the pictures that the view left out before it.
    """
    position, place, left_out = numbers
    payload, marker, timestamp = packet.payload, packet.marker, packet.timestamp
    heads: dict[tuple[int, int], bytes] = {(0, 0): b""}
    numbered = descriptor.length > 0
    overdue: list[VideoConsumer] = []
    size = len(payload) + OVERHEAD
    sent: Sent | None = None
    for consumer in consumers:
        if position < consumer.base:
            continue
        head = b""
        if numbered:
            shifts = (consumer.picture_shift - left_out, consumer.tl0_shift)
            known = heads.get(shifts)
            if known is None:
                known = heads[shifts] = patch(payload, descriptor, *shifts)
            head = known
        leg = consumer.leg
        wide, pacer, stamp = leg.wide, leg.pacer, 0
        if wide is not None and pacer is None:
            if sent is None:
                sent = Sent(now, size)
            stamp = wide.stamp(sent)
        copy = (
            leg,
            marker | consumer.payload_type,
            (place + consumer.sequence_shift) & 0xFFFF,
            (timestamp + consumer.timestamp_shift) & TIMESTAMP_MASK,
            consumer.ssrc,
            head,
            stamp,
        )
        if pacer is None:
            copies.append(copy)
        elif starts and pacer.overdue:
            overdue.append(consumer)
        else:
            picture = descriptor.picture + consumer.picture_shift - left_out
            tl0 = descriptor.tl0 + consumer.tl0_shift
            pacer.push(Queued(consumer, copy, payload, size, picture, tl0, now))
    return overdue


def _hold_back(consumer: VideoConsumer, now: float, outbox: Outbox) -> None:
    """Leave out the frame that begins now and all that follow until a key frame, and take back what has not begun."""
    pacer = consumer.leg.pacer
    if pacer is None:
        return
    layer, downlink = consumer.layer, consumer.leg.downlink
    numbered = [] if downlink is None else downlink.find_spare(consumer)
    detach(consumer)
    # The frame's first packet has been counted but is not sent.
    consumer.last_sequence = (consumer.last_sequence - 1) & 0xFFFF
    consumer.last_picture -= 1
    consumer.last_tl0 -= 1
    consumer.packets_before -= 1
    taken = pacer.take_back(consumer)
    if taken:
        first = taken[0]
        _, _, sequence, timestamp, _, _, _ = first.copy
        consumer.last_sequence, consumer.last_timestamp = (sequence - 1) & 0xFFFF, timestamp
        consumer.last_heard, consumer.last_picture, consumer.last_tl0 = first.since, first.picture - 1, first.tl0 - 1
        consumer.packets_before -= len(taken)
        words = sum(packet.copy[1] >> WORDS_AT for packet in taken)
        consumer.octets_before -= sum(packet.size - OVERHEAD for packet in taken) - 4 * words
    consumer.held_back += 1
    outbox.held_back += 1
    if downlink is not None:
        # Numbers that were taken back are given to other packets: only what has left may be sent again.
        last = consumer.last_sequence
        downlink.keep_spare(consumer, [one for one in numbered if (last - one.sequence) & 0xFFFF < NUMBERS_AHEAD])
    if consumer.target is None and layer is not None:
        consumer.target = layer
        express.drop(layer)
        layer.waiting.append(consumer)
    if consumer.target is not None:
        request_key_frame(consumer.target, now, outbox)


# -- temporal layers --------------------------------------------------------------------------------------------


def _view_of(layer: Layer, temporal: int) -> TemporalView | None:
    """Return the view of `layer` up to `temporal`, or None when that is everything it has."""
    if temporal >= layer.top_temporal:
        return None
    for view in layer.views:
        if view.most == temporal:
            return view
    view = TemporalView(temporal)
    layer.views.append(view)
    return view


def _enter(consumer: VideoConsumer, layer: Layer, view: TemporalView | None) -> None:
    express.drop(layer)
    consumer.view = view
    (layer.active if view is None else view.consumers).append(consumer)


def _leave(consumer: VideoConsumer, layer: Layer) -> None:
    express.drop(layer)
    view = consumer.view
    if view is None:
        layer.active.remove(consumer)
        return
    view.consumers.remove(consumer)
    consumer.view = None
    if not view.consumers:
        layer.views.remove(view)


def set_temporal(consumer: VideoConsumer, most: int) -> None:
    """Let a consumer get temporal layers up to `most`; the change comes at a frame from which it can go on."""
    consumer.temporal = most
    layer = consumer.layer
    if layer is not None and consumer not in layer.changing:
        express.drop(layer)
        layer.changing.append(consumer)


def _change_views(layer: Layer, descriptor: Descriptor, position: int) -> None:
    """At the start of a frame: fewer temporal layers at any, more only at a frame made for it (RFC 7741, Y bit)."""
    for consumer in list(layer.changing):
        old = consumer.view
        current = EVERYTHING if old is None else old.most
        wanted = consumer.temporal if consumer.temporal < layer.top_temporal else EVERYTHING
        if consumer.layer is not layer or wanted == current:
            layer.changing.remove(consumer)
            continue
        may_rise = descriptor.key_frame_start or (descriptor.temporal > current and descriptor.sync)
        if wanted > current and not may_rise:
            continue
        layer.changing.remove(consumer)
        before = layer if old is None else old
        if old is not None:
            consumer.sequence_shift -= old.packets_left_out
            consumer.picture_shift -= old.pictures_left_out
        consumer.packets_before += before.forwarded_packets
        consumer.octets_before += before.forwarded_octets
        _leave(consumer, layer)
        new = _view_of(layer, wanted)
        if new is not None:
            consumer.sequence_shift += new.packets_left_out
            consumer.picture_shift += new.pictures_left_out
        after = layer if new is None else new
        consumer.packets_before -= after.forwarded_packets
        consumer.octets_before -= after.forwarded_octets
        consumer.base = position
        _enter(consumer, layer, new)


# -- layers -----------------------------------------------------------------------------------------------------


def _switch(
    consumer: VideoConsumer, layer: Layer, packet: RtpPacket, position: int, descriptor: Descriptor, now: float
) -> None:
    """Attach a consumer to `layer` so that its numbers go on where the last layer stopped."""
    detach(consumer)
    consumer.target = None
    consumer.layer = layer
    consumer.base = position
    view = _view_of(layer, consumer.temporal)
    packets_out, pictures_out = (0, 0) if view is None else (view.packets_left_out, view.pictures_left_out)
    consumer.sequence_shift = consumer.last_sequence + 1 - (position - packets_out)
    if consumer.started:
        elapsed = max(1, int((now - consumer.last_heard) * layer.reception.clock_rate))
        consumer.timestamp_shift = consumer.last_timestamp + elapsed - packet.timestamp
        consumer.picture_shift = consumer.last_picture + 1 - (descriptor.picture - pictures_out)
        consumer.tl0_shift = consumer.last_tl0 + 1 - descriptor.tl0
    consumer.started = True
    source = layer if view is None else view
    consumer.packets_before -= source.forwarded_packets
    consumer.octets_before -= source.forwarded_octets
    consumer.retransmissions.clear()
    _enter(consumer, layer, view)


def detach(consumer: VideoConsumer) -> None:
    """Take a consumer off its layer, remembering the numbers it was last sent."""
    layer = consumer.layer
    if layer is None:
        return
    reception, view = layer.reception, consumer.view
    packets_out, pictures_out = (0, 0) if view is None else (view.packets_left_out, view.pictures_left_out)
    source = layer if view is None else view
    consumer.last_sequence = (reception.last_position - packets_out + consumer.sequence_shift) & 0xFFFF
    consumer.last_timestamp = (reception.last_timestamp + consumer.timestamp_shift) & TIMESTAMP_MASK
    consumer.last_heard = reception.heard
    consumer.last_picture = layer.last_picture - pictures_out + consumer.picture_shift
    consumer.last_tl0 = layer.last_tl0 + consumer.tl0_shift
    consumer.packets_before += source.forwarded_packets
    consumer.octets_before += source.forwarded_octets
    _leave(consumer, layer)
    if consumer in layer.changing:
        layer.changing.remove(consumer)
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
        mirrored = consumer.producer.mirrored and not consumer.paused and not consumer.producer.silent
        if (consumer.allowed < 0 or mirrored) and consumer.shown is not None:
            _tell(consumer, None, outbox)
        release(consumer)
        return
    if wanted is consumer.target:
        return
    if consumer.target is not None:
        consumer.target.waiting.remove(consumer)
        consumer.target = None
    if wanted is not consumer.layer:
        consumer.target = wanted
        express.drop(wanted)
        wanted.waiting.append(consumer)
        request_key_frame(wanted, now, outbox)


def _tell(consumer: VideoConsumer, layer: int | None, outbox: Outbox) -> None:
    consumer.shown = layer
    if consumer.pinned is not None:
        return
    outbox.events.append(Event("layers_changed", {"consumer_id": consumer.id, "layer": layer}))


def alive_layers(producer: Producer, now: float) -> list[Layer]:
    """Return the layers that are being sent, smallest first; a single layer counts always.

    Of a mirrored producer they are those that the other end of the pipe sends when they are pulled.
    """
    layers = producer.layers
    if producer.mirrored:
        return [layer for layer in layers if layer.exists and layer.fits]
    if len(layers) == 1:
        return layers
    return [layer for layer in layers if now - layer.reception.heard <= LAYER_ALIVE_FOR]


def _choose(consumer: VideoConsumer, now: float) -> Layer | None:
    producer = consumer.producer
    if consumer.paused or consumer.allowed < 0 or not consumer.leg.ready or producer.silent:
        return None
    layers = producer.layers
    if consumer.pinned is not None:
        return layers[consumer.pinned]
    top = min(consumer.preferred, consumer.allowed, len(layers) - 1)
    alive = alive_layers(producer, now)
    fitting = [layer for layer in alive if layer.index <= top]
    if fitting:
        return fitting[-1]
    if alive:
        return alive[0]
    if producer.mirrored and any(layer.exists for layer in layers):
        return None
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
    """Measure rates, retry key-frame requests, move consumers off layers that stopped or onto ones that came back."""
    for layer in producer.layers:
        if now - layer.sampled >= RATE_PERIOD:
            _sample(layer, now)
    if producer.silent:
        return
    if len(producer.layers) > 1:
        for consumer in producer.consumers.values():
            retarget(consumer, now, outbox)
    for layer in producer.layers:
        overdue = bool(layer.waiting) and now - layer.key_requested >= KEY_REQUEST_RETRY
        if layer.key_wanted or overdue:
            request_key_frame(layer, now, outbox)


def _sample(layer: Layer, now: float) -> None:
    """Move each temporal layer's rate (bit/s) halfway to what the time since the last sample has shown."""
    elapsed = now - layer.sampled
    for index, octets in enumerate(layer.octets):
        if elapsed < 10 * RATE_PERIOD:
            rate = (octets - layer.sampled_octets[index]) * 8 / elapsed
            known = layer.rates[index]
            layer.rates[index] = rate if known == 0 else (known + rate) / 2
        layer.sampled_octets[index] = octets
    layer.sampled = now
