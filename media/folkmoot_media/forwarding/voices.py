"""Forwarding of voices through slots: one unbroken stream per slot, whoever speaks in it."""

from __future__ import annotations

from folkmoot_media.forwarding import express
from folkmoot_media.forwarding.model import Batch, Copy, Layer, Outbox, Slot, SlotConsumer
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, RtpPacket
from folkmoot_media.forwarding.transport_wide import Sent
from folkmoot_media.forwarding.video import OVERHEAD, RATE_PERIOD

MARKER = 0x80
SMALLEST_STEP = 120


def forward(slot: Slot, packet: RtpPacket, position: int, now: float, outbox: Outbox) -> None:
    """Queue the copies of one packet of the slot's speaker."""
    layer = slot.source
    if layer is None:
        return
    marker = packet.marker
    if slot.fresh:
        _join(slot, packet, position, now, layer.reception.clock_rate)
        marker = MARKER
    if position < slot.base:
        return
    place, timestamp = _count(slot, packet, position, now)
    sent = Sent(now, len(packet.payload) + OVERHEAD)
    copies: list[Copy] = []
    for consumer in slot.active:
        if place < consumer.base:
            continue
        leg = consumer.leg
        if leg.pacer is not None:
            leg.pacer.spend(sent.size)
        copies.append(
            (
                leg,
                marker | consumer.payload_type,
                (place - consumer.gap) & 0xFFFF,
                timestamp,
                consumer.ssrc,
                b"",
                0 if leg.wide is None else leg.wide.stamp(sent),
            )
        )
    if copies:
        following = None
        if outbox.express and len(copies) == len(slot.active) and position == layer.reception.last_position:
            following = express.place(layer, packet.sequence, position, lambda _: express.voice_rows(slot))
        outbox.batches.append(Batch(packet.payload, True, copies, following))


def note_forwarded(slot: Slot, packet: RtpPacket, position: int, now: float) -> None:
    """Take note of a packet of the slot's speaker that was forwarded by a rule, as `forward` would have."""
    _count(slot, packet, position, now)
    rule = slot.source.rule if slot.source is not None else None
    if rule is None or rule.stamped:
        sent = Sent(now, len(packet.payload) + OVERHEAD)
        for consumer in slot.active:
            if consumer.leg.wide is not None:
                consumer.leg.wide.stamp(sent)


def _count(slot: Slot, packet: RtpPacket, position: int, now: float) -> tuple[int, int]:
    """Count a packet; return its place in the slot and its timestamp there."""
    place = position + slot.shift
    timestamp = (packet.timestamp + slot.timestamp_shift) & TIMESTAMP_MASK
    if place > slot.last_position:
        slot.last_position, slot.last_timestamp, slot.last_heard = place, timestamp, now
    slot.packets += 1
    slot.octets += len(packet.payload)
    return place, timestamp


def sample(slot: Slot, now: float) -> None:
    """Move the slot's rate (bit/s on the wire) halfway to what the time since the last sample has shown."""
    before = slot.sampled
    if before is None or now - before[0] >= RATE_PERIOD:
        slot.sampled = (now, slot.packets, slot.octets)
        if before is not None:
            octets = slot.octets - before[2] + OVERHEAD * (slot.packets - before[1])
            slot.rate += (octets * 8 / (now - before[0]) - slot.rate) / 2


def _join(slot: Slot, packet: RtpPacket, position: int, now: float, clock_rate: int) -> None:
    """Let a new speaker's numbers go on where the last speaker's stopped, with a timestamp gap."""
    slot.fresh = False
    slot.base = position
    slot.shift = slot.last_position + 1 - position
    if slot.packets:
        step = max(SMALLEST_STEP, int((now - slot.last_heard) * clock_rate))
        slot.timestamp_shift = slot.last_timestamp + step - packet.timestamp


def set_speaker(slot: Slot, owner: str | None, source: Layer | None) -> None:
    """Give the slot to another speaker, or to nobody."""
    express.drop_all([layer for layer in (slot.source, source) if layer is not None])
    slot.owner, slot.source, slot.fresh = owner, source, True
    for consumer in slot.consumers.values():
        refresh(consumer)


def refresh(consumer: SlotConsumer) -> None:
    """Start or stop sending the slot to a consumer: never to the owner who speaks in it."""
    slot = consumer.slot
    wanted = (
        not consumer.paused
        and not consumer.held
        and consumer.leg.ready
        and consumer.leg.owner != slot.owner
        and consumer.id in slot.consumers
    )
    if wanted is not consumer.listening and slot.source is not None:
        express.drop(slot.source)
    if wanted and not consumer.listening:
        consumer.gap += slot.last_position - consumer.held_at
        consumer.base = slot.last_position + 1
        slot.active.append(consumer)
    elif consumer.listening and not wanted:
        consumer.held_at = slot.last_position
        slot.active.remove(consumer)
    consumer.listening = wanted
