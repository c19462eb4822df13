"""What one subscriber's link carries and how it is shared: feedback in, layers and pacing out."""

from __future__ import annotations

from folkmoot_media.forwarding import repair, rtcp, video
from folkmoot_media.forwarding.allocation import NOTHING, Demand, Option, allocate
from folkmoot_media.forwarding.estimation import START, SendEstimator
from folkmoot_media.forwarding.ladder import Sample
from folkmoot_media.forwarding.model import Batch, Layer, Leg, Outbox, SlotConsumer, VideoConsumer
from folkmoot_media.forwarding.pacing import Pacer
from folkmoot_media.forwarding.temporal import EVERYTHING
from folkmoot_media.forwarding.transport_wide import Sent

ALLOCATE_PERIOD = 0.2
RISE_AFTER_FALL = 5.0
RISE_AFTER_EARLY_FALL = 1.0
PACED_FROM = 0.6
PACED_UNTIL = 0.4
ALWAYS_PACED = 1_000_000.0
PACED_NO_MORE = 1_200_000.0
MEDIA_SHARE = 0.95
GUESSED_LOWEST = 150_000.0
GUESSED_FACTOR = 3.0
PROBE_GAP = 5.0
PROBE_GAP_AT_FIRST = 0.4
FIRST_PHASE = 6.0
PROBE_SECONDS = 0.06
FEWEST_PROBES = 5
MOST_PROBES = 24
PROBE_PACKET = 1_000
SMALLEST_PROBE = 300
THIN = 150_000.0
PROBE_GAP_IF_THIN = 15.0
CONTROL_RATE = 4_000.0


class Downlink:
    """Joins estimator, allocator and pacer of one leg; times in seconds, rates in bit/s."""

    def __init__(self, leg: Leg, now: float, start: float = START) -> None:
        self.estimator = SendEstimator(start)
        self.budget: float | None = None
        self._leg = leg
        self._first_video: float | None = None
        self._next = now
        self._next_probe = now
        self._wanting = self._watching = False
        # What was sent last: the link of a subscriber who gets no video for now is tried with it.
        self._spare: tuple[VideoConsumer, list[repair.Again]] | None = None

    # -- feedback ---------------------------------------------------------------------------------------------

    def feedback(self, told: rtcp.TransportFeedback, now: float) -> None:
        """Take transport-wide feedback."""
        wide = self._leg.wide
        if wide is not None:
            outcomes = wide.resolve(told.base, told.arrivals)
            if outcomes.arrived or outcomes.lost:
                self.estimator.feed(outcomes, self._leg.round_trip, now)
                self._follow()

    def limit(self, told: rtcp.BitrateLimit, now: float) -> None:
        """Take the receiver's own estimate (REMB)."""
        self.estimator.limit(told.bitrate, now)
        self._follow()

    def report(self, consumer: VideoConsumer | SlotConsumer, block: rtcp.ReportBlock, now: float) -> None:
        """Take a receiver report, which counts only where nothing better is told."""
        before, consumer.reported = consumer.reported, (block.highest_sequence, block.packets_lost)
        if before is None or not isinstance(consumer, VideoConsumer):
            return
        packets = (block.highest_sequence - before[0]) & 0xFFFFFFFF
        if 0 < packets < 1 << 16:
            lost = min(packets, max(0, block.packets_lost - before[1]))
            self.estimator.report(packets, lost, self._video_rate() + self._voice_rate(), now)
            self._follow()

    def _follow(self) -> None:
        if self._leg.pacer is not None:
            self._leg.pacer.set_bitrate(self.estimator.bitrate)

    @property
    def sample(self) -> Sample | None:
        """What is known of the link, for the ladder and for the member; None before anything is."""
        if not self.estimator.informed:
            return None
        return Sample(self.estimator.bitrate / 1000, self.estimator.losses.recent, self._leg.round_trip)

    # -- time -------------------------------------------------------------------------------------------------

    def poll(self, now: float, outbox: Outbox) -> None:
        """Share out what there is; call every 50 ms or so."""
        wide = self._leg.wide
        if wide is not None:
            self.estimator.poll(wide.last_sent, self._leg.round_trip, now)
        if now >= self._next:
            self._next = now + ALLOCATE_PERIOD
            self._allocate(now, outbox)
            self._pace(now, outbox)
            self._probe(now, outbox)

    def _is_new(self, now: float) -> bool:
        return self._first_video is not None and now - self._first_video < FIRST_PHASE

    def _known(self) -> bool:
        return self._leg.wide is not None or self.estimator.informed

    def _voice_rate(self) -> float:
        total = CONTROL_RATE
        for consumer in self._leg.consumers.values():
            if isinstance(consumer, SlotConsumer) and consumer.listening:
                total += consumer.slot.rate
        return total

    def _video_rate(self) -> float:
        total = 0.0
        for consumer in self._leg.consumers.values():
            if isinstance(consumer, VideoConsumer) and consumer.layer is not None:
                most = EVERYTHING if consumer.view is None else consumer.view.most
                total += sum(consumer.layer.rates[: most + 1])
        return total

    def _allocate(self, now: float, outbox: Outbox) -> None:
        watched = [
            consumer
            for consumer in self._leg.consumers.values()
            if isinstance(consumer, VideoConsumer) and not consumer.paused and not consumer.producer.silent
        ]
        self._wanting, self._watching = False, bool(watched)
        if watched and self._first_video is None:
            self._first_video = now
        if not self._known():
            self.budget = None
            return
        self.budget = max(0.0, self.estimator.bitrate * MEDIA_SHARE - self._voice_rate())
        watched.sort(key=_importance)
        choices = [_options(consumer, now) for consumer in watched]
        demands = [
            Demand(options, _current(consumer, options), now >= consumer.may_rise_at)
            for consumer, options in zip(watched, choices, strict=True)
        ]
        for consumer, demand, given in zip(watched, demands, allocate(demands, self.budget), strict=True):
            self._wanting |= given < len(demand.options) - 1
            self._apply(consumer, demand, given, now, outbox)
        # Pacing costs: where nothing more is wanted, find out all the same whether it can be done without.
        self._wanting |= bool(watched) and self.estimator.bitrate < PACED_NO_MORE

    def _apply(self, consumer: VideoConsumer, demand: Demand, given: int, now: float, outbox: Outbox) -> None:
        if not demand.options:
            return
        if given < demand.current:
            # A link that has just been opened is still being found out: a fall says little.
            first = self._is_new(now)
            consumer.may_rise_at = now + (RISE_AFTER_EARLY_FALL if first else RISE_AFTER_FALL)
        before = consumer.allowed
        if given == NOTHING:
            if before != NOTHING:
                self._keep_spare(consumer, fewest=1)
            consumer.allowed = NOTHING
        else:
            option = demand.options[given]
            highest = given == len(demand.options) - 1
            consumer.allowed = EVERYTHING if highest else option.layer
            if consumer.temporal != option.temporal:
                video.set_temporal(consumer, option.temporal)
        if consumer.allowed != before:
            video.retarget(consumer, now, outbox)

    # -- pacing -----------------------------------------------------------------------------------------------

    def _pace(self, now: float, outbox: Outbox) -> None:
        leg, bitrate = self._leg, self.estimator.bitrate
        used = (self._video_rate() + self._voice_rate()) / bitrate
        if leg.pacer is None:
            if self._watching and self._known() and (used > PACED_FROM or bitrate < ALWAYS_PACED):
                leg.pacer = Pacer(bitrate, now)
        elif not len(leg.pacer) and (not self._watching or (used < PACED_UNTIL and bitrate > PACED_NO_MORE)):
            leg.pacer = None
        else:
            release(leg, now, outbox)

    # -- probing ----------------------------------------------------------------------------------------------

    def _probe(self, now: float, outbox: Outbox) -> None:
        """Try whether the link carries more, when more is wanted than it is known to carry."""
        if not self._wanting or now < self._next_probe or not self.estimator.may_probe(now):
            return
        for consumer in self._leg.consumers.values():
            if isinstance(consumer, VideoConsumer) and self._keep_spare(consumer):
                break
        if self._spare is not None:
            self.estimator.begin_probe(len(self._spare[1]), now)
            repair.send_probe(*self._spare, now, outbox)
        gap = PROBE_GAP_AT_FIRST + self._leg.round_trip if self._is_new(now) else PROBE_GAP
        self._next_probe = now + (gap if self.estimator.bitrate > THIN else PROBE_GAP_IF_THIN)

    def _keep_spare(self, consumer: VideoConsumer, fewest: int = FEWEST_PROBES) -> bool:
        """Keep what was sent last, to try the link with also when nothing flows any more; say whether it is enough.

        A stream that was quiet when the link was new and then takes more than the link is known to carry is cut off
        between two trials: without this there would never be anything to try the link with again.
        """
        if self._leg.wide is None:
            return False
        octets = int(self.estimator.bitrate * PROBE_SECONDS / 8)
        wanted = max(FEWEST_PROBES, min(MOST_PROBES, octets // PROBE_PACKET))
        packets = repair.find_probe(consumer, wanted, max(SMALLEST_PROBE, octets // wanted))
        if len(packets) < fewest:
            return False
        if len(packets) >= FEWEST_PROBES or self._spare is None:
            # A stream that was cut off at once has left only a few: then these go more than once.
            self._spare = (consumer, (packets * FEWEST_PROBES)[: max(len(packets), FEWEST_PROBES)])
        return True


def release(leg: Leg, now: float, outbox: Outbox) -> None:
    """Let the leg's pacer send what may leave at `now`."""
    pacer, wide = leg.pacer, leg.wide
    if pacer is None:
        return
    for packet in pacer.release(now):
        copy = packet.copy
        if wide is not None:
            copy = (*copy[:6], wide.stamp(Sent(now, packet.size)))
        outbox.batches.append(Batch(packet.payload, False, [copy]))


def _importance(consumer: VideoConsumer) -> tuple[bool, int, str]:
    """A shared screen comes first, then whom the page shows largest."""
    return consumer.producer.spec.source != "screen", -consumer.preferred, consumer.id


def _rate_of(layer: Layer, most: int) -> float:
    measured = sum(layer.rates[: most + 1])
    return measured if measured > 0 else GUESSED_LOWEST * GUESSED_FACTOR**layer.index


def _options(consumer: VideoConsumer, now: float) -> list[Option]:
    """Return the ways to send a stream, least first: of higher layers at most the top temporal layer is left out."""
    top = min(consumer.preferred, len(consumer.producer.layers) - 1)
    alive = video.alive_layers(consumer.producer, now)
    layers = [layer for layer in alive if layer.index <= top] or alive[:1]
    found: list[Option] = []
    for layer in layers:
        lowest = 0 if layer is layers[0] else max(0, layer.top_temporal - 1)
        steps = [*range(lowest, layer.top_temporal), EVERYTHING]
        found += [Option(layer.index, most, _rate_of(layer, most)) for most in steps]
    return found


def _current(consumer: VideoConsumer, options: list[Option]) -> int:
    layer = consumer.target or consumer.layer
    if layer is None:
        return NOTHING
    best = NOTHING
    for number, option in enumerate(options):
        if (option.layer, option.temporal) <= (layer.index, consumer.temporal):
            best = number
    return best
