"""How much a subscriber's link carries: from delivered rate and delay trend, not from loss alone.

Loss is random on many thin links and says nothing about capacity by itself. It brakes only where it is far above what
this link loses anyway. Everything is bit/s and seconds; send times are the worker's, arrivals the receiver's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from folkmoot_media.forwarding.transport_wide import Outcomes
from folkmoot_media.forwarding.trend import DelayTrend, Use

START = 300_000.0
SMALLEST = 20_000.0
LARGEST = 20_000_000.0
RATE_WINDOW = 1.0
SHORTEST_WINDOW = 0.1
GROWTH = 1.08
NEAR = 0.1
MOST_ABOVE_DELIVERED = 1.5
LITTLE_ABOVE_DELIVERED = 1.15
PROOF_HOLDS = 15.0
SPARE = 10_000.0
BACKED_OFF = 0.93
DRAINING = 0.6
STEEPEST = 0.3
QUEUE_HIGH = 0.15
QUEUE_RISING = 0.015
QUEUE_LOW = 0.04
RESUMED = 0.9
PACKET_BITS = 9_600.0
BUCKET = 0.5
BUCKETS_KEPT = 30
RECENT_BUCKETS = 2
FEWEST_RECENT = 20
FEWEST_BASELINE = 50
LOSS_RISE = 0.03
LOSS_CERTAIN = 3.5
LOSS_HEAVY = 0.4
LOSS_STEP = 0.85
LOSS_CREDIT = 0.04
PROBE_PACKETS = 4
PROBE_TRUST = 0.9
PROBE_FACTOR = 2.0
PROBE_LIFETIME = 2.0
REWARD_WINDOW = 2.0
REWARD_STEP = 0.15
REWARD_MEMORY = 16
REWARD_LEAST = 0.3
SILENT_FOR = 1.0
SILENT_FACTOR = 0.7


class Losses:
    """Counts losses in half seconds and says when they are certainly more than this link's own.

    `baseline` and `recent` are the shares lost anyway and in the last second, 0 to 1; `congested` says whether the
    last second's are beyond chance above the baseline, or heavy whatever it was.
    """

    __slots__ = ("_buckets", "_lost", "_since", "_total", "baseline", "congested", "recent")

    def __init__(self) -> None:
        self.baseline = self.recent = 0.0
        self.congested = False
        self._buckets: deque[tuple[int, int]] = deque(maxlen=BUCKETS_KEPT)
        self._since = float("-inf")
        self._total = self._lost = 0

    def add(self, total: int, lost: int, now: float) -> None:
        """Count packets of which the fate is known."""
        if now - self._since >= BUCKET:
            if self._total:
                self._buckets.append((self._total, self._lost))
                self._judge()
            self._since, self._total, self._lost = now, 0, 0
        self._total += total
        self._lost += lost

    def _judge(self) -> None:
        buckets = list(self._buckets)
        usual_buckets = buckets[:-RECENT_BUCKETS]
        total, lost = _sum(buckets[-RECENT_BUCKETS:])
        before, lost_before = _sum(usual_buckets)
        self.recent = lost / total if total else 0.0
        known = before >= FEWEST_BASELINE
        self.baseline = usual = lost_before / before if known else 0.0
        if total < FEWEST_RECENT or not known:
            self.congested = total >= FEWEST_RECENT and self.recent > LOSS_HEAVY
            return
        chance = max(usual, 0.005) * (1 - min(usual, 0.995)) * (1 / total + 1 / before)
        # Losses that come in runs vary more than independent ones: believe what was seen.
        seen = sum((gone / all_ - usual) ** 2 for all_, gone in usual_buckets) / len(usual_buckets) / RECENT_BUCKETS
        above = self.recent - usual
        self.congested = above > LOSS_RISE and above**2 > LOSS_CERTAIN**2 * max(chance, seen)

    def forgive(self) -> None:
        """The last losses were congestion: keep them out of the baseline."""
        for _ in range(min(RECENT_BUCKETS, len(self._buckets))):
            self._buckets.pop()
        self._judge()


def _sum(buckets: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return sum(total for total, _ in buckets), sum(lost for _, lost in buckets)


class Delivered:
    """The rate at which packets have arrived over the last second, and the share lost among them."""

    __slots__ = ("_lost", "_octets", "_packets", "_told")

    def __init__(self) -> None:
        self._told: deque[tuple[float, int, int, int]] = deque()
        self._octets = self._packets = self._lost = 0

    def add(self, outcomes: Outcomes) -> None:
        """Count what one feedback tells; what is untold counts as lucky as the rest."""
        octets = sum(sent.size for sent, _ in outcomes.arrived)
        octets += int(sum(sent.size for sent in outcomes.untold) * (1 - self.share_lost))
        arrival, packets, lost = outcomes.arrived[-1][1], len(outcomes.arrived), len(outcomes.lost)
        self._told.append((arrival, octets, packets, lost))
        self._octets += octets
        self._packets += packets
        self._lost += lost
        while self._told[0][0] < arrival - RATE_WINDOW:
            _, octets, packets, lost = self._told.popleft()
            self._octets -= octets
            self._packets -= packets
            self._lost -= lost

    @property
    def share_lost(self) -> float:
        """The share of this window's packets that was lost, 0 to 1."""
        return self._lost / (self._lost + self._packets) if self._packets else 0.0

    @property
    def rate(self) -> float:
        """Bit/s, or 0 while less than a tenth of a second is known."""
        if not self._told:
            return 0.0
        span = self._told[-1][0] - self._told[0][0]
        if span < SHORTEST_WINDOW:
            return 0.0
        # The first entry tells of what arrived before its time.
        return (self._octets - self._told[0][1]) * 8 / span


class Reward:
    """Whether sending more has brought more: where it has not, losses rise with the rate and are no chance.

    Rates are averages over about two seconds, in bit/s.
    """

    __slots__ = ("_least_lost", "_mark", "_settled", "_updated", "delivered", "sent")

    def __init__(self) -> None:
        self.sent = self.delivered = 0.0
        self._mark: tuple[float, float] | None = None
        self._least_lost: deque[float] = deque(maxlen=REWARD_MEMORY)
        self._updated = self._settled = float("-inf")

    def restart(self, now: float) -> None:
        """Begin to compare anew, once what was sent before has left the averages."""
        self._mark = None
        self._settled = now + REWARD_WINDOW

    def add(self, delivered: float, share_lost: float, now: float) -> float | None:
        """Take what the last second showed; return what the link carries when that has just been found."""
        sent = delivered / (1 - min(share_lost, 0.9))
        weight = min(1.0, (now - self._updated) / REWARD_WINDOW)
        self._updated = now
        self.sent += (sent - self.sent) * weight
        self.delivered += (delivered - self.delivered) * weight
        if now < self._settled:
            return None
        if self._mark is None or self.sent < self._mark[0]:
            self._mark = (self.sent, self.delivered)
            self._least_lost.append(self.sent / max(1.0, self.delivered))
            return None
        sent_before, delivered_before = self._mark
        more = self.sent / sent_before - 1
        if more < REWARD_STEP:
            return None
        self._mark = (self.sent, self.delivered)
        if self.delivered / delivered_before - 1 >= REWARD_LEAST * more:
            return None
        return self.delivered * min(self._least_lost)


class SendEstimator:
    """The estimate for one subscriber; `bitrate` is what may be sent."""

    def __init__(self, start: float = START) -> None:
        self.bitrate = start
        self.trend = DelayTrend()
        self.losses = Losses()
        self.delivered = Delivered()
        self.reward = Reward()
        self.informed = False
        self._remote_limit: float | None = None
        self._ceiling: float | None = None
        self._draining = False
        self._braked = float("-inf")
        self._updated = float("-inf")
        self._heard = float("-inf")
        # When the first packet left that nothing has been heard of since.
        self._unanswered = float("-inf")
        self._probe: list[tuple[float, int]] = []
        self._probe_size = 0
        self._probe_started = float("-inf")
        self._probe_goal = 0.0
        self._proven = 0.0
        self._proven_at = float("-inf")

    # -- what comes in ----------------------------------------------------------------------------------------

    def feed(self, outcomes: Outcomes, round_trip: float, now: float) -> None:
        """Take what transport-wide feedback tells."""
        self._heard = now
        self.informed = True
        arrived, lost = outcomes.arrived, outcomes.lost
        if self._probe_size:
            self._probe += [(arrival, sent.size) for sent, arrival in arrived if sent.probe]
            media = [(sent.time, arrival) for sent, arrival in arrived if not sent.probe]
            missing = sum(1 for sent in lost if not sent.probe)
            self.losses.add(len(media) + missing, missing, now)
        else:
            media = [(sent.time, arrival) for sent, arrival in arrived]
            self.losses.add(len(media) + len(lost), len(lost), now)
        if arrived:
            self.delivered.add(outcomes)
        self.trend.feed(media)
        self._finish_probe(now)
        self._decide(round_trip, now)

    def limit(self, bitrate: int, now: float) -> None:
        """Take the receiver's own estimate (REMB), for receivers that give no transport-wide feedback."""
        self._remote_limit = float(bitrate)
        self._heard = now
        if not self.trend_known:
            self.informed = True
            self.bitrate = self._bounded(float(bitrate))

    def report(self, packets: int, lost: int, sent_rate: float, now: float) -> None:
        """Take a receiver report's losses, for receivers that tell nothing better."""
        if self.trend_known or self._remote_limit is not None:
            return
        self.losses.add(packets, lost, now)
        if self.losses.congested:
            share = min(self.losses.recent, 0.9)
            self.losses.forgive()
            self.informed = True
            self.bitrate = self._bounded(min(self.bitrate, sent_rate * (1 - share)))
            self._updated = now
        elif self.informed:
            self.bitrate = self._bounded(self.bitrate * self._growth(now))

    @property
    def trend_known(self) -> bool:
        """True once transport-wide feedback has come."""
        return self.delivered.rate > 0

    # -- probing ----------------------------------------------------------------------------------------------

    def begin_probe(self, packets: int, now: float) -> float:
        """Say that `packets` packets are about to be sent in one go; return the rate that they may prove."""
        self._probe.clear()
        self._probe_size = packets
        self._probe_started = now
        self._probe_goal = self.bitrate * PROBE_FACTOR
        return self._probe_goal

    def may_probe(self, now: float) -> bool:
        """Say whether the link looks free enough to be tried, and no trial is under way."""
        under_way = self._probe_size and now - self._probe_started < PROBE_LIFETIME
        free = self.trend.use is not Use.OVER and self._empty
        return free and not under_way and not self._draining

    def _finish_probe(self, now: float) -> None:
        if not self._probe_size:
            return
        complete = len(self._probe) >= max(PROBE_PACKETS, self._probe_size * 3 // 4)
        if complete:
            first, last = min(self._probe), max(self._probe)
            octets = sum(size for _, size in self._probe) - first[1]
            span = last[0] - first[0]
            found = octets * 8 / span * PROBE_TRUST if span > 0.001 else self._probe_goal
            self._proven, self._proven_at = found, now
            self.bitrate = self._bounded(max(self.bitrate, min(found, self._probe_goal)))
            if self._ceiling is not None and self.bitrate > self._ceiling * (1 + NEAR):
                self._ceiling = None
        if complete or now - self._probe_started > PROBE_LIFETIME:
            self._probe_size = 0
            self._probe.clear()

    # -- decisions --------------------------------------------------------------------------------------------

    def _decide(self, round_trip: float, now: float) -> None:
        response = max(0.2, round_trip + 0.1)
        # What chance took had passed the bottleneck: it counts as delivered, up to what this link usually loses.
        by_chance = min(self.delivered.share_lost, self.losses.baseline + LOSS_CREDIT, 0.5)
        throughput = self.delivered.rate / (1 - by_chance)
        if throughput <= 0:
            return
        unrewarded = self.reward.add(self.delivered.rate, self.delivered.share_lost, now)
        queue = self.trend.queue - self._packet_time
        over = queue > (QUEUE_RISING if self.trend.use is Use.OVER else QUEUE_HIGH)
        congested = self.losses.congested
        if (over or congested) and now - self._braked >= response:
            self._brake(throughput, over, now)
        elif self._draining:
            if self._empty and now - self._braked >= response:
                self._draining = False
                if self._ceiling is not None:
                    self.bitrate = self._bounded(max(self.bitrate, RESUMED * self._ceiling))
        elif unrewarded is not None:
            self.bitrate = self._bounded(min(self.bitrate, BACKED_OFF * unrewarded))
            self._braked = now
            self.reward.restart(now + round_trip)
        elif not over and not congested:
            self._grow(throughput, response, now)
        self._updated = now

    def _brake(self, throughput: float, over: bool, now: float) -> None:
        heavy = self.losses.recent > LOSS_HEAVY
        if self.losses.congested and (over or heavy):
            self.losses.forgive()
        if not over and not heavy:
            # Losses alone may be chance in runs: go down a step, and another if they stay.
            self.bitrate = self._bounded(max(LOSS_STEP * self.bitrate, BACKED_OFF * throughput))
            self._braked = now
            return
        factor = max(STEEPEST, BACKED_OFF - DRAINING * self.trend.queue)
        known = self._ceiling
        self._ceiling = throughput if known is None or self._draining else 0.7 * known + 0.3 * throughput
        if abs(throughput - self._ceiling) > 3 * NEAR * throughput:
            self._ceiling = throughput
        self.bitrate = self._bounded(min(self.bitrate, factor * throughput))
        self._draining = True
        self._braked = now

    def _growth(self, now: float) -> float:
        elapsed = min(1.0, max(0.0, now - self._updated)) if self._updated > 0 else 0.0
        self._updated = now
        return float(GROWTH**elapsed)

    def _grow(self, throughput: float, response: float, now: float) -> None:
        elapsed = min(1.0, max(0.0, now - self._updated))
        ceiling = self._ceiling
        if ceiling is not None and abs(self.bitrate - ceiling) <= NEAR * ceiling:
            wanted = self.bitrate + PACKET_BITS * elapsed / response
        else:
            wanted = self.bitrate * GROWTH**elapsed
        most = MOST_ABOVE_DELIVERED * throughput + SPARE
        if now - self._proven_at < PROOF_HOLDS:
            most = max(LITTLE_ABOVE_DELIVERED * throughput + SPARE, self._proven)
        self.bitrate = self._bounded(max(self.bitrate, min(wanted, most)))
        if ceiling is not None and self.bitrate > ceiling * (1 + NEAR):
            self._ceiling = None

    @property
    def _packet_time(self) -> float:
        """How long one full packet takes at the link's rate: a wait that is no queue."""
        return PACKET_BITS / (self.bitrate if self._ceiling is None else self._ceiling)

    @property
    def _empty(self) -> bool:
        return self.trend.queue < QUEUE_LOW + self._packet_time

    def poll(self, last_sent: float, round_trip: float, now: float) -> None:
        """Back off while packets leave and nothing is heard of them; call a few times a second."""
        patience = max(SILENT_FOR, 3 * round_trip)
        if not self.informed or last_sent <= self._heard:
            return
        if self._unanswered <= self._heard:
            self._unanswered = last_sent
        if now - self._unanswered > patience:
            self.bitrate = self._bounded(self.bitrate * SILENT_FACTOR)
            self._heard = now

    def _bounded(self, bitrate: float) -> float:
        return max(SMALLEST, min(LARGEST, bitrate))
