"""Which layer a packet belongs to: by learned SSRC, else by MID and RID (RFC 8843 section 9.2, RFC 8852).

Payload types tell nothing apart: two media sections may share them. Everything here comes from one transport, so a
publisher can confuse nobody's streams but its own, and even those are guarded.
"""

from __future__ import annotations

from enum import StrEnum

from folkmoot_media.forwarding.model import Layer, Leg
from folkmoot_media.forwarding.packets import RtpPacket

UNKNOWN_BUDGET = 256
LARGEST_PAYLOAD = 1330


class Count(StrEnum):
    """What a router counts; each is the name of a figure in `worker.stats`."""

    RECEIVED = "received"
    MALFORMED = "malformed"
    OVERSIZE = "oversize"
    UNKNOWN_STREAM = "unknown_stream"
    WRONG_SECTION = "wrong_section"
    DUPLICATE = "duplicate"
    SEQUENCE_JUMP = "sequence_jump"
    SILENCED = "silenced"
    RESENT = "resent"
    HELD_BACK = "held_back"


def is_of_section(layer: Layer, values: dict[int, bytes]) -> bool:
    """Say whether a packet of a known SSRC may belong to `layer`: a MID, if there is one, must be the layer's."""
    spec = layer.producer.spec
    named = values.get(spec.mid_id)
    return named is None or not spec.mid_id or named == spec.mid.encode()


def identify(leg: Leg, packet: RtpPacket, values: dict[int, bytes]) -> tuple[Layer, bool] | None:
    """Find the layer of an unknown SSRC and learn it.

    Returns:
        The layer, and whether it had another SSRC before; None when nothing fits or too many were unknown of late.
    """
    if leg.unknown_budget <= 0 or not values:
        return None
    leg.unknown_budget -= 1
    for producer in leg.producers.values():
        spec = producer.spec
        if not spec.mid_id or values.get(spec.mid_id) != spec.mid.encode():
            continue
        rid, repaired = values.get(spec.rid_id), values.get(spec.repaired_rid_id)
        for layer, encoding in zip(producer.layers, spec.encodings, strict=True):
            name = encoding.rid.encode() if encoding.rid is not None else None
            if packet.payload_type == spec.codec.payload_type and rid == name:
                anew = layer.ssrc >= 0
                learn(leg, layer, packet.ssrc)
                return layer, anew
            if packet.payload_type == spec.codec.rtx and repaired == name:
                learn_repair(leg, layer, packet.ssrc)
                return layer, False
    return None


def learn(leg: Leg, layer: Layer, ssrc: int) -> None:
    """From now on packets of `ssrc` belong to `layer`."""
    leg.streams.pop(layer.ssrc, None)
    layer.ssrc = ssrc
    leg.streams[ssrc] = layer


def learn_repair(leg: Leg, layer: Layer, ssrc: int) -> None:
    """From now on packets of `ssrc` repeat packets of `layer`."""
    leg.repairs.pop(layer.rtx_ssrc, None)
    layer.rtx_ssrc = ssrc
    leg.repairs[ssrc] = layer


def unwrap(layer: Layer, packet: RtpPacket) -> RtpPacket | None:
    """Turn a retransmission back into the packet it repeats (RFC 4588 section 4), or return None."""
    codec = layer.producer.spec.codec
    if packet.payload_type != codec.rtx or len(packet.payload) <= 2 or layer.ssrc < 0:
        return None
    return packet._replace(
        payload_type=codec.payload_type,
        sequence=int.from_bytes(packet.payload[:2], "big"),
        ssrc=layer.ssrc,
        payload=packet.payload[2:],
    )
