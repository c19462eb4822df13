"""AV1 on a pipe: each payload behind its dependency descriptor, put there by one side and taken off by the other.

A payload of type `DESCRIBED` is one byte, the descriptor's length (0: the publisher sent none), the descriptor, and
the publisher's payload. A retransmission, of type `DESCRIBED_AGAIN`, has the two bytes of RFC 4588 before all that.
"""

from __future__ import annotations

from folkmoot_media.forwarding.codecs import AV1
from folkmoot_media.forwarding.demux import LARGEST_PAYLOAD
from folkmoot_media.forwarding.model import Layer, ProducerSpec, VideoConsumer
from folkmoot_media.forwarding.packets import RtpPacket

DESCRIBED, DESCRIBED_AGAIN = 96, 97
DESCRIPTOR_ID = 8
LENGTH_SIZE = 1
LONGEST = 255
ORIGINAL_NUMBER = 2
# What the largest payload comes to when it crosses again, with nothing in front of it.
LARGEST_CROSSING = ORIGINAL_NUMBER + LENGTH_SIZE + LARGEST_PAYLOAD


def payload_types(spec: ProducerSpec, plain: tuple[int, int]) -> tuple[int, int]:
    """Return the types with which pictures cross, media and retransmission: `plain` where nothing stands in front."""
    return (DESCRIBED, DESCRIBED_AGAIN) if spec.codec.mime == AV1 and spec.descriptor_id else plain


def is_described(consumer: VideoConsumer) -> bool:
    """Say whether payloads go to a consumer as `fold` makes them."""
    return consumer.leg.pipe is not None and consumer.payload_type == DESCRIBED


def fold(marks: bytes | None, payload: bytes) -> bytes:
    """Return what crosses; a descriptor with which it would be too large for the other side is left out."""
    kept = marks or b""
    if len(kept) > LONGEST or len(kept) + len(payload) > LARGEST_PAYLOAD:
        kept = b""
    return bytes((len(kept),)) + kept + payload


def unfold(layer: Layer, packet: RtpPacket) -> tuple[RtpPacket, dict[int, bytes]] | None:
    """Return a packet of type `DESCRIBED` or `DESCRIBED_AGAIN` as of its codec, and its descriptor by extension id.

    None when it is cut, holds nothing but a descriptor, or the layer is none of AV1.
    """
    spec, payload = layer.producer.spec, packet.payload
    again = packet.payload_type == DESCRIBED_AGAIN
    at = ORIGINAL_NUMBER if again else 0
    if spec.codec.mime != AV1 or len(payload) <= at:
        return None
    start = at + LENGTH_SIZE
    end = start + payload[at]
    if end >= len(payload):
        return None
    payload_type = spec.codec.rtx if again else spec.codec.payload_type
    plain = packet._replace(payload_type=payload_type, payload=payload[:at] + payload[end:])
    return plain, ({spec.descriptor_id: payload[start:end]} if end > start else {})
