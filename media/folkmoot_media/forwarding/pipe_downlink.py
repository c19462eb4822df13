"""What a pipe's link carries and how it is shared: voices first, then as many layers of each picture as fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from folkmoot_media.forwarding import rtcp, video
from folkmoot_media.forwarding.allocation import NOTHING, Demand, Option, allocate
from folkmoot_media.forwarding.downlink import (
    CONTROL_RATE,
    FEWEST_PROBES,
    MEDIA_SHARE,
    MOST_PROBES,
    PACED_NO_MORE,
    PROBE_GAP,
    PROBE_GAP_AT_FIRST,
    PROBE_GAP_IF_THIN,
    PROBE_PACKET,
    PROBE_SECONDS,
    RISE_AFTER_EARLY_FALL,
    RISE_AFTER_FALL,
    SMALLEST_PROBE,
    Downlink,
    rate_of,
)
from folkmoot_media.forwarding.model import Batch, Copy, Leg, Outbox, Producer, VideoConsumer
from folkmoot_media.forwarding.temporal import EVERYTHING
from folkmoot_media.forwarding.transport_wide import Sent
from folkmoot_media.forwarding.video import OVERHEAD

if TYPE_CHECKING:
    from folkmoot_media.forwarding.pipe import Pipe


PROBE_TYPE = 98
# Where hardly more than voices fit, a trial keeps them waiting; above this one of 1500 bytes takes under 0.2 s.
VOICES_ALONE = 64_000.0


@dataclass(slots=True, eq=False)
class PipedVideo:
    """A video producer on its way through a pipe: one pinned consumer for each layer.

    `wish` and `flow` are what the other end has told (`pipe_messages.Pull`), of layers that there are; no layer above
    `cap` crosses (-1: none), and of the smallest layer no temporal layer above `temporal`.
    """

    producer: Producer
    streams: list[VideoConsumer] = field(default_factory=list)
    wish: int = 0
    flow: int = 0
    cap: int = EVERYTHING
    temporal: int = EVERYTHING
    may_rise_at: float = float("-inf")

    def options(self, now: float) -> list[Option]:
        """Return the ways to send what is wished for, least first."""
        alive = video.alive_layers(self.producer, now) or self.producer.layers[:1]
        wished = [index for index in range(len(self.producer.layers)) if self.wish >> index & 1]
        found: list[Option] = []
        for cap in alive:
            if cap.index > max(wished) and cap is not alive[0]:
                break
            needed = {
                max((layer.index for layer in alive if layer.index <= min(index, cap.index)), default=alive[0].index)
                for index in wished
            }
            cost = sum(rate_of(self.producer.layers[index], EVERYTHING) for index in needed)
            if cap is alive[0]:
                found += [Option(cap.index, step, rate_of(cap, step)) for step in range(cap.top_temporal)]
            if not found or cost > found[-1].bitrate:
                found.append(Option(cap.index, EVERYTHING, cost))
        return found

    def current(self, options: list[Option]) -> int:
        """Return which of the options holds now."""
        best = NOTHING
        if self.flow:
            for number, option in enumerate(options):
                if (option.layer, option.temporal) <= (self.cap, self.temporal):
                    best = number
        return best

    def apply(self, now: float, outbox: Outbox) -> None:
        """Let the layers flow that are pulled and fit, and no others."""
        for index, consumer in enumerate(self.streams):
            fits = index <= self.cap
            wanted = fits and bool(self.flow >> index & 1)
            consumer.allowed = EVERYTHING if fits else NOTHING
            temporal = self.temporal if index == 0 else EVERYTHING
            if consumer.temporal != temporal:
                video.set_temporal(consumer, temporal)
            if consumer.paused == wanted:
                consumer.paused = not wanted
            video.retarget(consumer, now, outbox)


class PipeDownlink(Downlink):
    """Joins estimator, allocator and pacer of one pipe, whose `probe_ssrc` carries what the link is tried with."""

    def __init__(self, leg: Leg, pipe: Pipe, probe_ssrc: int, now: float) -> None:
        super().__init__(leg, now)
        self._pipe = pipe
        self._probe_ssrc = probe_ssrc
        self._probe_sequence = 0
        # What the last trial could prove at most; where it has, the link may carry more still.
        self._goal = float("inf")

    def feedback(self, told: rtcp.TransportFeedback, now: float) -> None:
        """Take transport-wide feedback; after a trial that has found no limit the next one comes soon."""
        super().feedback(told, now)
        if self.estimator.bitrate >= self._goal:
            self._goal = float("inf")
            self._next_probe = min(self._next_probe, now + PROBE_GAP_AT_FIRST)

    def hurry(self, now: float) -> None:
        """Share out anew at the next `poll`."""
        self._next = now

    def _climb(self, now: float, outbox: Outbox) -> None:
        """The ladder is for members; a pipe has none."""

    def _voice_rate(self) -> float:
        return CONTROL_RATE + sum(voice.rate for voice in self._pipe.voices.values() if voice.crossing)

    def _allocate(self, now: float, outbox: Outbox) -> None:
        watched = [one for one in self._pipe.videos.values() if one.wish and not one.producer.silent]
        self._wanting, self._watching = self._pipe.held, bool(watched)
        if watched and self._first_video is None:
            self._first_video = now
        if not self._known():
            self.budget = None
            return
        self.budget = max(0.0, self.estimator.bitrate * MEDIA_SHARE - self._voice_rate())
        watched.sort(key=lambda one: (one.producer.spec.source != "screen", one.producer.id))
        choices = [one.options(now) for one in watched]
        demands = [
            Demand(options, one.current(options), now >= one.may_rise_at)
            for one, options in zip(watched, choices, strict=True)
        ]
        for one, demand, given in zip(watched, demands, allocate(demands, self.budget), strict=True):
            self._wanting |= given < len(demand.options) - 1
            self._give(one, demand, given, now, outbox)
        self._wanting |= bool(watched) and self.estimator.bitrate < PACED_NO_MORE

    def _probe(self, now: float, outbox: Outbox) -> None:
        """Try whether the link carries more, with packets that mean nothing: there may be no others yet."""
        wide = self._leg.wide
        if wide is None or not self._wanting or now < self._next_probe or not self.estimator.may_probe(now):
            return
        octets = int(self.estimator.bitrate * PROBE_SECONDS / 8)
        count = max(FEWEST_PROBES, min(MOST_PROBES, octets // PROBE_PACKET))
        payload = bytes(max(SMALLEST_PROBE, min(PROBE_PACKET, octets // count)))
        self._goal = self.estimator.begin_probe(count, now)
        self._probes += 1
        for _ in range(count):
            self._probe_sequence = self._probe_sequence + 1 & 0xFFFF
            stamp = wide.stamp(Sent(now, len(payload) + OVERHEAD, True))
            copy: Copy = (self._leg, PROBE_TYPE, self._probe_sequence, 0, self._probe_ssrc, b"", stamp)
            outbox.batches.append(Batch(payload, False, [copy]))
            if self._leg.pacer is not None:
                self._leg.pacer.spend(len(payload) + OVERHEAD)
        gap = PROBE_GAP_AT_FIRST + self._leg.round_trip if self._is_untried(now) else PROBE_GAP
        self._next_probe = now + (gap if self.estimator.bitrate > VOICES_ALONE else PROBE_GAP_IF_THIN)

    def _give(self, one: PipedVideo, demand: Demand, given: int, now: float, outbox: Outbox) -> None:
        if given < demand.current:
            one.may_rise_at = now + (RISE_AFTER_EARLY_FALL if self._is_new(now) else RISE_AFTER_FALL)
        before = (one.cap, one.temporal)
        if given == NOTHING:
            one.cap = NOTHING
        elif given == len(demand.options) - 1:
            one.cap = one.temporal = EVERYTHING
        else:
            option = demand.options[given]
            one.cap, one.temporal = option.layer, option.temporal
        if (one.cap, one.temporal) != before:
            one.apply(now, outbox)
