"""Reports in both directions: receiver reports and REMB to publishers, sender reports to consumers."""

from __future__ import annotations

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.model import Consumer, Leg, Outbox, PipedVoice, SlotConsumer
from folkmoot_media.forwarding.packets import TIMESTAMP_MASK
from folkmoot_media.forwarding.video import FEEDBACK_SSRC

FEEDBACK_PERIOD = 0.5
REPORT_PERIOD = 1.0
ARRIVALS_PERIOD = 0.1
AUDIO_CLOCK = 48000
MAXIMUM_COMPOUND = 1100
SMALLEST_RTT = 0.002
LARGEST_RTT = 5.0
SMOOTHING = 0.25
QUIET_AFTER = 5.0


def report_to_publisher(leg: Leg, bitrate: int, now: float, outbox: Outbox) -> None:
    """Queue one receiver report on every stream of `leg`.

    A publisher that gets no transport-wide feedback is told by REMB that all its layers may be sent.
    """
    blocks, videos = [], []
    for producer in leg.producers.values():
        for layer in producer.layers:
            if leg.pipe is not None and now - layer.reception.heard > QUIET_AFTER:
                continue
            block = layer.reception.report(layer.ssrc, now) if layer.ssrc >= 0 else None
            if block is not None:
                blocks.append(block)
                if producer.spec.kind == "video":
                    videos.append(layer.ssrc)
    if not blocks:
        return
    compound = rtcp.build_receiver_report(FEEDBACK_SSRC, tuple(blocks))
    if videos and leg.arrivals is None:
        compound += rtcp.build_remb(FEEDBACK_SSRC, bitrate, videos)
    outbox.reports.append((leg, compound))


def note_arrival(leg: Leg, values: dict[int, bytes], arrived: float) -> None:
    """Remember the transport-wide number of a packet from a publisher, by its header extensions."""
    number = values.get(leg.wide_id)
    if number is not None and len(number) == 2 and leg.arrivals is not None:
        leg.arrivals.note(number[0] << 8 | number[1], arrived)


def tell_arrivals(leg: Leg, now: float, outbox: Outbox) -> None:
    """Queue transport-wide feedback on what has arrived from a publisher that numbers its packets."""
    if leg.arrivals is None or now < leg.next_arrivals:
        return
    leg.next_arrivals = now + ARRIVALS_PERIOD
    body = leg.arrivals.build()
    if body is not None:
        media = next(iter(leg.streams), 0)
        outbox.reports.append((leg, rtcp.build_transport_feedback(FEEDBACK_SSRC, media, body)))


def ask_again(leg: Leg, now: float, outbox: Outbox) -> None:
    """Queue NACKs for packets of the leg's video streams that did not arrive."""
    for producer in leg.producers.values():
        if producer.spec.kind != "video" or producer.silent:
            continue
        for layer in producer.layers:
            if layer.reception.repair_time is not None:
                take_round_trip(leg, layer.reception.repair_time)
                layer.reception.repair_time = None
            if layer.reception.missing and layer.ssrc >= 0:
                due = layer.reception.due_nacks(now, max(0.05, 1.2 * leg.round_trip))
                if due:
                    outbox.reports.append((leg, rtcp.build_nack(FEEDBACK_SSRC, layer.ssrc, due)))


def report_to_consumer(leg: Leg, now: float, wall_ntp: int, outbox: Outbox) -> None:
    """Queue sender reports, in our clock, for every stream now being sent to `leg`; something in any case.

    A page of which nothing has come for longer than `REPORT_PERIOD` knows that its way is broken.

    Args:
        leg: the receiving leg.
        now: seconds on the worker's clock.
        wall_ntp: the same instant as 32.32 fixed point NTP time.
        outbox: where the packets go.
    """
    compound, told = b"", False
    for consumer in leg.consumers.values():
        report = _sender_report(consumer, now, wall_ntp)
        if report is None:
            continue
        compound += rtcp.build_sender_report(report)
        compound += rtcp.build_source_description(consumer.ssrc, consumer.cname)
        if len(compound) >= MAXIMUM_COMPOUND:
            outbox.reports.append((leg, compound))
            compound, told = b"", True
    if compound or (leg.consumers and not told):
        outbox.reports.append((leg, compound or rtcp.build_receiver_report(FEEDBACK_SSRC, ())))


def _sender_report(consumer: Consumer, now: float, wall_ntp: int) -> rtcp.SenderReport | None:
    if isinstance(consumer, PipedVoice):
        if not consumer.crossing or now - consumer.last_heard > QUIET_AFTER:
            return None
        media_time = int(consumer.last_timestamp + (now - consumer.last_heard) * AUDIO_CLOCK)
        return rtcp.SenderReport(
            consumer.ssrc, wall_ntp, media_time & TIMESTAMP_MASK, consumer.packets, consumer.octets
        )
    if isinstance(consumer, SlotConsumer):
        slot = consumer.slot
        if not consumer.listening or not slot.packets:
            return None
        media_time = int(slot.last_timestamp + (now - slot.last_heard) * AUDIO_CLOCK)
        return rtcp.SenderReport(consumer.ssrc, wall_ntp, media_time & TIMESTAMP_MASK, slot.packets, slot.octets)
    layer = consumer.layer
    if layer is None:
        return None
    source = layer if consumer.view is None else consumer.view
    return rtcp.SenderReport(
        consumer.ssrc,
        wall_ntp,
        (layer.reception.media_time(now) + consumer.timestamp_shift) & TIMESTAMP_MASK,
        consumer.packets_before + source.forwarded_packets,
        consumer.octets_before + source.forwarded_octets,
    )


def note_round_trip(leg: Leg, block: rtcp.ReportBlock, wall_ntp: int) -> None:
    """Measure the round trip from a report block that echoes our sender report (RFC 3550 section 6.4.1)."""
    if not block.last_sender_report:
        return
    ticks = ((wall_ntp >> 16 & 0xFFFFFFFF) - block.last_sender_report - block.delay_since_last) & 0xFFFFFFFF
    take_round_trip(leg, ticks / 65536)


def take_round_trip(leg: Leg, seconds: float) -> None:
    """Let one measurement move the leg's smoothed round trip; an impossible one is ignored."""
    if 0 <= seconds < LARGEST_RTT:
        leg.round_trip += (clamp_round_trip(seconds) - leg.round_trip) * SMOOTHING


def clamp_round_trip(seconds: float) -> float:
    """Return a round trip that timers may be made from."""
    return min(LARGEST_RTT, max(SMALLEST_RTT, seconds))
