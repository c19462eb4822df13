"""What the core learns a little later of packets that the fan-out has forwarded, or sent again, by a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from folkmoot_media.forwarding import answers, feedback, pipe_voices, video, voices
from folkmoot_media.forwarding.demux import Count
from folkmoot_media.forwarding.model import Leg
from folkmoot_media.forwarding.packets import parse_rtp, read_extensions

if TYPE_CHECKING:
    from folkmoot_media.forwarding.router import Router

_RECEIVED = str(Count.RECEIVED)


def note_forwarded(router: Router, leg: Leg, data: bytes, arrived: float) -> None:
    """Take note of a decrypted packet from `leg` that was forwarded by a rule; nothing is sent.

    What is remembered is what `Router.receive_rtp` would have left behind: the rule fits only the next packet in
    order, so that it is neither lost, late nor a repair.
    """
    packet = parse_rtp(data)
    layer = leg.streams.get(packet.ssrc) if packet is not None else None
    if packet is None or layer is None:
        return
    router.counters[_RECEIVED] += 1
    values = read_extensions(packet.extension_profile, packet.extensions) if packet.extensions else {}
    if leg.arrivals is not None:
        feedback.note_arrival(leg, values, arrived)
    position = layer.reception.receive(packet.sequence, packet.timestamp, len(packet.payload), arrived)
    producer = layer.producer
    spec = producer.spec
    if spec.kind == "video":
        marks = values.get(spec.descriptor_id, b"") if spec.descriptor_id else None
        video.note_forwarded(layer, packet, position, arrived, marks)
        return
    value = values.get(spec.level_id) if spec.level_id else None
    router.floor.hear(producer.owner, pipe_voices.loudness(value), arrived)
    slot = router.speaking.get(producer.owner)
    if slot is not None:
        voices.note_forwarded(slot, packet, position, arrived)


def note_answered(router: Router, leg: Leg, data: bytes, arrived: float, wall_ntp: int) -> None:
    """Take note of a decrypted RTCP compound from `leg` whose requests for lost packets were answered by a rule.

    That rule answers only where `repair.answer_nack` would send every packet that is kept: it decides the same again.
    """
    answers.take(router, leg, data, arrived, wall_ntp, answered=True)
