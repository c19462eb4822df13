"""What one subscriber's link carries and how it is shared: feedback in, layers and pacing out."""

from __future__ import annotations

from typing import NamedTuple

from folkmoot_media.forwarding import repair, rtcp, video, voices
from folkmoot_media.forwarding.allocation import NOTHING, Demand, Option, allocate
from folkmoot_media.forwarding.estimation import SMALLEST, START, SendEstimator
from folkmoot_media.forwarding.ladder import Level, Sample
from folkmoot_media.forwarding.link_level import LinkLevel
from folkmoot_media.forwarding.model import (
    Batch,
    Consumer,
    Event,
    Layer,
    Leg,
    Outbox,
    SlotConsumer,
    VideoConsumer,
)
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
FIRST_PROBES = 8
PROBE_SECONDS = 0.06
FEWEST_PROBES = 5
MOST_PROBES = 24
PROBE_PACKET = 1_000
SMALLEST_PROBE = 300
THIN = 150_000.0
PROBE_GAP_IF_THIN = 15.0
# While nobody watched, nothing was tried: what is known of the link then is old when a picture is wanted again.
ANEW = 20.0
PROBE_GAP_IF_THIN_ANEW = 4.0
PROBE_GAP_WITH_PADDING = 30.0
PROBE_GAP_IF_CONTENT = 15.0
CONTROL_RATE = 4_000.0
# A link on which nothing is heard for so much longer was cut, not full.
CUT_AFTER = 2.0


class Silence(NamedTuple):
    """When nothing had been heard for so long that the estimate went down, and where it stood before."""

    since: float
    bitrate: float
    level: Level


class Downlink:
    """Joins estimator, allocator and pacer of one leg; times in seconds, rates in bit/s."""

    def __init__(self, leg: Leg, now: float, start: float = START) -> None:
        self.estimator = SendEstimator(start)
        self.place = LinkLevel()
        self.budget: float | None = None
        self._leg = leg
        self._first_video: float | None = None
        self._next = now
        self._next_probe = now
        self._silence: Silence | None = None
        self._probes = 0
        self._wanting = self._watching = False
        self._watched_since = float("inf")
        # What was sent last: the link of a subscriber who gets no video for now is tried with it.
        self._spare: tuple[VideoConsumer, list[repair.Again]] | None = None

    def begin(self, first: Sample, now: float, outbox: Outbox) -> None:
        """Take what was measured of the link before joining, until more is known; say at once what it carries."""
        self.estimator = SendEstimator(min(START, max(SMALLEST, 1000 * first.estimate)))
        self.place.begin(first, now)
        self._tell(now, outbox)

    # -- feedback ---------------------------------------------------------------------------------------------

    def feedback(self, told: rtcp.TransportFeedback, now: float) -> None:
        """Take transport-wide feedback; the first after a cut begins anew, for what a cut took is no loss."""
        wide = self._leg.wide
        if wide is None:
            return
        outcomes = wide.resolve(told.base, told.arrivals)
        silence, self._silence = self._silence, None
        if silence is not None and now - silence.since > CUT_AFTER:
            self._begin_anew(silence, now)
        elif outcomes.arrived or outcomes.lost:
            self.estimator.feed(outcomes, self._leg.round_trip, now)
            self._follow()

    def move(self, now: float) -> None:
        """Packets take another way from now on: what is told of the one before says nothing of it."""
        self.estimator.trend.rebase()
        before = self._silence or Silence(now, self.estimator.bitrate, self.place.ladder.by_link)
        self._silence = before._replace(since=float("-inf"))

    def _begin_anew(self, silence: Silence, now: float) -> None:
        """Something is heard again: the link carries what it did, as far as a beginning goes, until it shows else."""
        self.estimator = SendEstimator(min(START, silence.bitrate))
        self.place.ladder.resume(silence.level)
        self._first_video = None
        self._next_probe = now
        self._follow()

    def limit(self, told: rtcp.BitrateLimit, now: float) -> None:
        """Take the receiver's own estimate (REMB)."""
        self.estimator.limit(told.bitrate, now)
        self._follow()

    def report(self, consumer: Consumer, block: rtcp.ReportBlock, now: float) -> None:
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
            before = self.estimator.bitrate
            self.estimator.poll(wide.last_sent, self._leg.round_trip, now)
            if self.estimator.bitrate < before and self._silence is None:
                self._silence = Silence(now, before, self.place.ladder.by_link)
        if self._leg.doubting:
            repair.settle(self._leg, now, outbox)
        if now >= self._next:
            self._next = now + ALLOCATE_PERIOD
            self._climb(now, outbox)
            self._allocate(now, outbox)
            self._pace(now, outbox)
            self._probe(now, outbox)

    def switch(self, ceiling: Level, now: float) -> None:
        """Take the member's own highest level; `poll` carries it out the next time."""
        self.place.switch(ceiling)
        self._next = now

    def _climb(self, now: float, outbox: Outbox) -> None:
        """Look where the link stands on the ladder, and say so."""
        self.place.see(self.sample, self._wanting, self._is_new(now), now)
        self._hold_voices()
        self._tell(now, outbox)

    def _tell(self, now: float, outbox: Outbox) -> None:
        told = self.place.tell(now)
        if told is not None:
            outbox.events.append(Event("link_level", {"owner": self._leg.owner, **told.describe()}))

    def _hold_voices(self) -> None:
        """Let through as many voices as the level has, those of the lowest slots first."""
        left = self.place.voices
        heard = [consumer for consumer in self._leg.consumers.values() if isinstance(consumer, SlotConsumer)]
        for consumer in sorted(heard, key=lambda one: one.slot.index):
            held = left <= 0
            if consumer.slot.owner not in (None, self._leg.owner):
                left -= 1
            if consumer.held is not held:
                consumer.held = held
                voices.refresh(consumer)

    def _permitted(self, watched: list[VideoConsumer]) -> list[VideoConsumer]:
        """Return what the level lets through: everything, one speaker and shared screens, or nothing."""
        level = self.place.level
        if level is Level.FULL:
            return watched
        if level is not Level.THUMBNAIL:
            return []
        speaking = {
            slot.slot.owner: slot.slot.index
            for slot in self._leg.consumers.values()
            if isinstance(slot, SlotConsumer) and slot.slot.owner is not None
        }
        cameras = [consumer for consumer in watched if consumer.producer.spec.source != "screen"]
        cameras.sort(key=lambda one: (-one.preferred, speaking.get(one.producer.owner, len(speaking)), one.id))
        return [consumer for consumer in watched if consumer in cameras[:1] or consumer not in cameras]

    def _is_new(self, now: float) -> bool:
        return self._first_video is not None and now - self._first_video < FIRST_PHASE

    def _is_untried(self, now: float) -> bool:
        """The first phase may pass with nothing to try the link with: what comes later finds it out as fast."""
        return self._is_new(now) or self._probes < FIRST_PROBES

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
        self._note_watched(bool(watched), now)
        permitted = self._permitted(watched)
        self._watching = bool(permitted)
        self._wanting = bool(watched) and self.place.held_by_link
        for consumer in watched:
            if consumer not in permitted:
                self._withhold(consumer, now, outbox)
        if permitted and self._first_video is None:
            self._first_video = now
        if not self._known():
            self.budget = None
            self._release_unknown(permitted, now, outbox)
            return
        self.budget = max(0.0, self.estimator.bitrate * MEDIA_SHARE - self._voice_rate())
        permitted.sort(key=_importance)
        most = EVERYTHING if self.place.level is Level.FULL else 0
        choices = [_options(consumer, now, most) for consumer in permitted]
        demands = [
            Demand(options, _current(consumer, options), now >= consumer.may_rise_at)
            for consumer, options in zip(permitted, choices, strict=True)
        ]
        for consumer, demand, given in zip(permitted, demands, allocate(demands, self.budget), strict=True):
            self._wanting |= given < len(demand.options) - 1
            self._apply(consumer, demand, given, now, outbox)
        # Pacing costs: where nothing more is wanted, find out all the same whether it can be done without.
        self._wanting |= bool(permitted) and self.estimator.bitrate < PACED_NO_MORE

    def _note_watched(self, watched: bool, now: float) -> None:
        if not watched:
            self._watched_since = float("inf")
        elif self._watched_since > now:
            self._watched_since = now
            self._probes, self._next_probe = 0, min(self._next_probe, now)

    def _withhold(self, consumer: VideoConsumer, now: float, outbox: Outbox) -> None:
        """Send a picture no more, not even what waits: the next one begins with a key frame anyway."""
        if consumer.allowed != NOTHING:
            self._keep_spare(consumer, fewest=1)
            consumer.allowed = NOTHING
            video.retarget(consumer, now, outbox)
        if self._leg.pacer:
            self._leg.pacer.forget(consumer)

    def _release_unknown(self, permitted: list[VideoConsumer], now: float, outbox: Outbox) -> None:
        """Without an estimate the level alone decides."""
        allowed = EVERYTHING if self.place.level is Level.FULL else 0
        for consumer in permitted:
            if consumer.allowed != allowed:
                consumer.allowed = allowed
                video.retarget(consumer, now, outbox)

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
            consumer.allowed = EVERYTHING if highest and self.place.level is Level.FULL else option.layer
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
        """Try whether the link carries more, when more is wanted than it is known to carry.

        A link that is paced is tried as well, though more seldom: perhaps it can be done without.
        """
        paced = self._watching and self._leg.pacer is not None
        if not (self._wanting or paced) or now < self._next_probe or not self.estimator.may_probe(now):
            return
        live = any(
            isinstance(consumer, VideoConsumer) and self._keep_spare(consumer)
            for consumer in self._leg.consumers.values()
        )
        padded = False
        if self._spare is not None and (live or self._is_bearable(self._spare[1])):
            consumer, packets = self._spare
            if not live:
                packets = self._measured(packets)
            self.estimator.begin_probe(len(packets), now)
            repair.send_probe(consumer, packets, now, outbox)
            self._probes += 1
        elif self._leg.wide is not None and self.estimator.bitrate <= THIN:
            padded = self._probe_with_padding(now, outbox)
        self._next_probe = now + self._probe_gap(padded, now)

    def _probe_gap(self, padded: bool, now: float) -> float:
        if self.estimator.bitrate <= THIN:
            if now - self._watched_since < ANEW:
                return PROBE_GAP_IF_THIN_ANEW
            return PROBE_GAP_WITH_PADDING if padded else PROBE_GAP_IF_THIN
        if self._is_untried(now):
            return PROBE_GAP_AT_FIRST + self._leg.round_trip
        return PROBE_GAP if self._wanting else PROBE_GAP_IF_CONTENT

    def _probe_with_padding(self, now: float, outbox: Outbox) -> bool:
        """Try a thin link although nothing sent of late is small enough to be sent again beside voices."""
        for consumer in self._leg.consumers.values():
            if isinstance(consumer, VideoConsumer) and not consumer.paused and consumer.rtx_payload_type >= 0:
                fitting = int(self.estimator.bitrate * PROBE_SECONDS / 8) // repair.PADDING_SIZE
                packets = max(FEWEST_PROBES, min(MOST_PROBES, fitting))
                self.estimator.begin_probe(packets, now)
                repair.send_padding(consumer, packets, now, outbox)
                self._probes += 1
                return True
        return False

    def _is_bearable(self, packets: list[repair.Again]) -> bool:
        """Say whether a trial with what was kept leaves room for voices: large packets fill a thin link for long."""
        smallest = min(len(again.stored.payload) for again in packets)
        return self.estimator.bitrate > THIN or smallest <= SMALLEST_PROBE

    def _measured(self, packets: list[repair.Again]) -> list[repair.Again]:
        """Return as much of what was kept as the link may be tried with now, the smallest again and again.

        It was kept when the link carried more; all of it at once would keep voices waiting for a second.
        """
        wanted = self.estimator.bitrate * PROBE_SECONDS / 8
        small = sorted(packets, key=lambda again: len(again.stored.payload))[:FEWEST_PROBES]
        chosen = list(small)
        while len(chosen) < MOST_PROBES and sum(len(again.stored.payload) for again in chosen) < wanted:
            chosen.append(small[len(chosen) % len(small)])
        return chosen

    def _keep_spare(self, consumer: VideoConsumer, fewest: int = FEWEST_PROBES) -> bool:
        """Keep what was sent last, to try the link with also when nothing flows any more; say whether it is enough.

        A stream that was quiet when the link was new and then takes more than the link is known to carry is cut off
        between two trials: without this there would never be anything to try the link with again.
        """
        return self.keep_spare(consumer, self.find_spare(consumer, fewest), fewest)

    def find_spare(self, consumer: VideoConsumer, fewest: int = 1) -> list[repair.Again]:
        """Return what was numbered last for a consumer, as much as the link is to be tried with."""
        if self._leg.wide is None:
            return []
        octets = int(self.estimator.bitrate * PROBE_SECONDS / 8)
        wanted = max(FEWEST_PROBES, min(MOST_PROBES, octets // PROBE_PACKET))
        size = SMALLEST_PROBE if fewest < FEWEST_PROBES else max(SMALLEST_PROBE, octets // wanted)
        return repair.find_probe(consumer, wanted, size)

    def keep_spare(self, consumer: VideoConsumer, packets: list[repair.Again], fewest: int = 1) -> bool:
        """Keep packets that a consumer was sent, if they are at least so many; say whether they are."""
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


def rate_of(layer: Layer, most: int) -> float:
    """Return the bit/s that a layer takes with temporal layers up to `most`, measured, told or guessed."""
    measured, whole = sum(layer.rates[: most + 1]), sum(layer.rates)
    if layer.told_rate > 0:
        return layer.told_rate * (measured / whole if whole > 0 else 1.0)
    return measured if measured > 0 else GUESSED_LOWEST * GUESSED_FACTOR**layer.index


def _options(consumer: VideoConsumer, now: float, most: int) -> list[Option]:
    """Return the ways to send a stream, least first: of higher layers at most the top temporal layer is left out."""
    top = min(consumer.preferred, most, len(consumer.producer.layers) - 1)
    alive = video.alive_layers(consumer.producer, now)
    layers = [layer for layer in alive if layer.index <= top] or alive[:1]
    found: list[Option] = []
    for layer in layers:
        lowest = 0 if layer is layers[0] else max(0, layer.top_temporal - 1)
        steps = [*range(lowest, layer.top_temporal), EVERYTHING]
        found += [Option(layer.index, step, rate_of(layer, step)) for step in steps]
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
