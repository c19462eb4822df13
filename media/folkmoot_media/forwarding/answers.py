"""What the other side of a leg tells in RTCP: its clock, what it received, what it misses and what it wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from folkmoot_media.forwarding import feedback, repair, rtcp
from folkmoot_media.forwarding.demux import Count
from folkmoot_media.forwarding.model import Leg, VideoConsumer

if TYPE_CHECKING:
    from folkmoot_media.forwarding.router import Router


def take(
    router: Router, leg: Leg, data: bytes, now: float, wall_ntp: int, answered: bool = False
) -> list[rtcp.ReportBlock]:
    """Take one decrypted RTCP compound from `leg`; return its report blocks (they may prove a path).

    `answered`: the packets it asks for have been sent again by the fan-out.
    """
    try:
        parts = rtcp.parse_compound(data)
    except rtcp.MalformedRtcpError:
        router.counters[Count.MALFORMED] += 1
        return []
    blocks: list[rtcp.ReportBlock] = []
    for part in parts:
        if isinstance(part, rtcp.SenderReport):
            layer = leg.streams.get(part.ssrc)
            if layer is not None:
                layer.reception.note_sender_report(part, now)
            elif leg.pipe is not None:
                leg.pipe.answer_clock(part)
        if isinstance(part, rtcp.SenderReport | rtcp.ReceiverReport):
            blocks += _take_blocks(leg, part.blocks, now, wall_ntp)
        elif isinstance(part, rtcp.TransportFeedback):
            if leg.downlink is not None:
                leg.downlink.feedback(part, now)
                if leg.doubting:
                    router.counters[Count.RESENT] += repair.settle(leg, now, router.outbox)
        elif isinstance(part, rtcp.BitrateLimit):
            if leg.downlink is not None and leg.wide is None:
                leg.downlink.limit(part, now)
        elif isinstance(part, rtcp.Application):
            if leg.pipe is not None:
                leg.pipe.take(part, now)
        else:
            consumer = leg.by_ssrc.get(part.media_ssrc)
            if not isinstance(consumer, VideoConsumer):
                continue
            if isinstance(part, rtcp.KeyFrameRequest):
                router.request_key_frame(consumer, now)
            else:
                outbox = None if answered else router.outbox
                router.counters[Count.RESENT] += repair.answer_nack(consumer, part, now, outbox)
    return blocks


def _take_blocks(leg: Leg, told: tuple[rtcp.ReportBlock, ...], now: float, wall_ntp: int) -> list[rtcp.ReportBlock]:
    known: list[rtcp.ReportBlock] = []
    for block in told:
        reporting = leg.by_ssrc.get(block.ssrc)
        if leg.pipe is not None and block.ssrc == leg.pipe.clock_ssrc:
            feedback.note_round_trip(leg, block, wall_ntp)
            known.append(block)
        elif reporting is not None:
            feedback.note_round_trip(leg, block, wall_ntp)
            known.append(block)
            if leg.downlink is not None:
                leg.downlink.report(reporting, block, now)
    return known
