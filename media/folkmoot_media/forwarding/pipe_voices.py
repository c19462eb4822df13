"""Voices on a pipe: level and redundancy around each payload, made on one side and taken off on the other.

A packet of a voice is one byte as of RFC 6464 (voice activity, level) and then redundant audio (RFC 2198). Payload
types: `REDUNDANT` of the packet, `VOICE` of its newest block, `OLDER` + n of a block n packets back.
"""

from __future__ import annotations

from folkmoot_media.forwarding import red
from folkmoot_media.forwarding.floor import SILENCE
from folkmoot_media.forwarding.model import Batch, Copy, Outbox, PipedVoice
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK, RtpPacket
from folkmoot_media.forwarding.transport_wide import Sent
from folkmoot_media.forwarding.video import OVERHEAD, RATE_PERIOD
from folkmoot_media.forwarding.voices import MARKER, SMALLEST_STEP

REDUNDANT, VOICE, OLDER = 99, 100, 110
LEVEL_ID = 10
LARGEST_FOLDED = 1_200
BARE_HEAD = 2
CLOCK = 48_000


def forward(voice: PipedVoice, packet: RtpPacket, position: int, level: int, now: float, outbox: Outbox) -> None:
    """Queue one packet of a voice that may cross."""
    marker = packet.marker
    if not voice.crossing:
        _join(voice, packet, position, now)
        marker = MARKER
    if position < voice.base:
        return
    place = position + voice.shift
    timestamp = (packet.timestamp + voice.timestamp_shift) & TIMESTAMP_MASK
    if place > voice.last_place:
        voice.last_place, voice.last_timestamp, voice.last_heard = place, timestamp, now
    payload = fold(voice.maker, place, timestamp, packet.payload, level)
    voice.packets += 1
    voice.octets += len(payload)
    voice.bare_octets += len(packet.payload) + BARE_HEAD
    leg, size = voice.leg, len(payload) + OVERHEAD
    if leg.pacer is not None:
        leg.pacer.spend(size)
    stamp = 0 if leg.wide is None else leg.wide.stamp(Sent(now, size))
    copy: Copy = (leg, marker | REDUNDANT, place & 0xFFFF, timestamp, voice.ssrc, b"", stamp)
    outbox.batches.append(Batch(payload, True, [copy]))


def _join(voice: PipedVoice, packet: RtpPacket, position: int, now: float) -> None:
    """Begin or go on to send: numbers without a gap, and timestamps of the publisher's clock."""
    voice.crossing = True
    voice.base = position
    voice.shift = voice.last_place + 1 - position
    voice.maker = red.Maker(VOICE, voice.maker.distances, OLDER)
    if voice.anew and voice.packets:
        step = max(SMALLEST_STEP, int((now - voice.last_heard) * CLOCK))
        voice.timestamp_shift = voice.last_timestamp + step - packet.timestamp
    voice.anew = False


def fold(maker: red.Maker, place: int, timestamp: int, payload: bytes, level: int) -> bytes:
    """Return the payload with its level in front and what the maker adds; too long, it goes without redundancy."""
    folded = maker.make(place, timestamp, payload)
    if len(folded) > LARGEST_FOLDED:
        folded = red.pack([red.Block(VOICE, 0, payload)])
    return bytes((level & 0xFF,)) + folded


def unfold(packet: RtpPacket) -> list[tuple[RtpPacket, int]]:
    """Return the packets inside, oldest first, each with the level; nothing for malformed bytes."""
    if len(packet.payload) < 2:
        return []
    blocks = red.unpack(packet.payload[1:])
    if blocks is None or blocks[-1].payload_type != VOICE:
        return []
    level = packet.payload[0]
    found: list[tuple[RtpPacket, int]] = []
    for block in blocks[:-1]:
        distance = block.payload_type - OLDER
        if 0 < distance <= red.KEPT and block.offset and block.payload:
            older = packet._replace(
                marker=0,
                sequence=(packet.sequence - distance) & 0xFFFF,
                timestamp=(packet.timestamp - block.offset) & TIMESTAMP_MASK,
                payload=block.payload,
            )
            found.append((older, level))
    found.append((packet._replace(payload=blocks[-1].payload), level))
    return found


def loudness(value: bytes | None) -> int:
    """Return the level that a packet claims (-dBov)."""
    return value[0] & 0x7F if value else SILENCE


def sample(voice: PipedVoice, now: float) -> None:
    """Move the voice's rates (bit/s on the wire) halfway to what the time since the last sample has shown."""
    before = voice.sampled
    if before is not None and now - before[0] < RATE_PERIOD:
        return
    voice.sampled = (now, voice.packets, voice.octets, voice.bare_octets)
    if before is not None:
        elapsed, heads = now - before[0], OVERHEAD * (voice.packets - before[1])
        voice.rate += ((voice.octets - before[2] + heads) * 8 / elapsed - voice.rate) / 2
        voice.bare_rate += ((voice.bare_octets - before[3] + heads) * 8 / elapsed - voice.bare_rate) / 2
