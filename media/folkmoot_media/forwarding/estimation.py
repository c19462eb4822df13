"""How much a subscriber's link carries: from delivered rate and delay trend, not from loss alone.

Loss is random on many thin links and says nothing about capacity by itself. It brakes only where it is far above what
this link loses anyway. Everything is bit/s and seconds; send times are the worker's, arrivals the receiver's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from folkmoot_media.forwarding.transport_wide import Outcome
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
LOSS_HEAVY = 0.3
LOSS_CREDIT = 0.04
PROBE_PACKETS = 4
PROBE_TRUST = 0.9
PROBE_FACTOR = 2.0
PROBE_LIFETIME = 2.0
SILENT_FOR = 1.0
SILENT_FACTOR = 0.7


class Losses:
    """Counts losses in half seconds and says when they are certainly more than this link's own."""

    __slots__ = ("_buckets", "_lost", "_since", "_total")

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int]] = deque(maxlen=BUCKETS_KEPT)
        self._since = float("-inf")
        self._total = self._lost = 0

    def add(self, total: int, lost: int, now: float) -> None:
        """Count packets of which the fate is known."""
        if now - self._since >= BUCKET:
            if self._total:
                self._buckets.append((self._total, self._lost))
            self._since, self._total, self._lost = now, 0, 0
        self._total += total
        self._lost += lost

    def _sum(self, buckets: Sequence[tuple[int, int]]) -> tuple[int, int]:
        return sum(total for total, _ in buckets), sum(lost for _, lost in buckets)

    @property
    def baseline(self) -> float:
        """The share that this link loses anyway, 0 to 1; 0 while too little is known."""
        total, lost = self._sum(list(self._buckets)[:-RECENT_BUCKETS])
        return lost / total if total >= FEWEST_BASELINE else 0.0

    @property
    def recent(self) -> float:
        """The share lost in the last second."""
        total, lost = self._sum(list(self._buckets)[-RECENT_BUCKETS:])
        return lost / total if total else 0.0

    def congested(self) -> bool:
        """Say whether the last second's losses are beyond chance above the baseline, or heavy whatever it was."""
        buckets = list(self._buckets)
        total, lost = self._sum(buckets[-RECENT_BUCKETS:])
        if total < FEWEST_RECENT:
            return False
        share = lost / total
        usual_buckets = buckets[:-RECENT_BUCKETS]
        before, lost_before = self._sum(usual_buckets)
        if before < FEWEST_BASELINE:
            return share > LOSS_HEAVY
        usual = lost_before / before
        chance = max(usual, 0.005) * (1 - min(usual, 0.995)) * (1 / total + 1 / before)
        # Losses that come in runs vary more than independent ones: believe what was seen.
        seen = sum((gone / all_ - usual) ** 2 for all_, gone in usual_buckets) / len(usual_buckets) / RECENT_BUCKETS
        return share - usual > LOSS_RISE and (share - usual) ** 2 > LOSS_CERTAIN**2 * max(chance, seen)

    def forgive(self) -> None:
        """The last losses were congestion: keep them out of the baseline."""
        for _ in range(min(RECENT_BUCKETS, len(self._buckets))):
            self._buckets.pop()


class Delivered:
    """The rate at which packets have arrived over the last second, and the share lost among them."""

    __slots__ = ("_assumed", "_lost", "_octets", "_packets", "_pending")

    def __init__(self) -> None:
        self._packets: deque[tuple[float, int, int]] = deque()
        self._octets = 0
        self._lost = 0
        self._pending = 0
        self._assumed = 0

    def assume(self, size: int) -> None:
        """Count a packet of which nothing is known: as lucky as the others."""
        self._assumed += int(size * (1 - self.share_lost))

    def miss(self) -> None:
        """Count a packet that was lost."""
        self._pending += 1

    def add(self, arrival: float, size: int) -> None:
        """Count a packet that arrived."""
        size += self._assumed
        self._assumed = 0
        self._packets.append((arrival, size, self._pending))
        self._octets += size
        self._lost += self._pending
        self._pending = 0
        while self._packets[0][0] < arrival - RATE_WINDOW:
            _, left, missed = self._packets.popleft()
            self._octets -= left
            self._lost -= missed

    @property
    def share_lost(self) -> float:
        """The share of this window's packets that was lost, 0 to 1."""
        return self._lost / (self._lost + len(self._packets)) if self._packets else 0.0

    @property
    def rate(self) -> float:
        """Bit/s, or 0 while less than a tenth of a second is known."""
        if not self._packets:
            return 0.0
        span = self._packets[-1][0] - self._packets[0][0]
        if span < SHORTEST_WINDOW:
            return 0.0
        # n packets span n - 1 gaps.
        return (self._octets - self._packets[0][1]) * 8 / span


class SendEstimator:
    """The estimate for one subscriber; `bitrate` is what may be sent."""

    def __init__(self, start: float = START) -> None:
        self.bitrate = start
        self.trend = DelayTrend()
        self.losses = Losses()
        self.delivered = Delivered()
        self.informed = False
        self._remote_limit: float | None = None
        self._ceiling: float | None = None
        self._draining = False
        self._braked = float("-inf")
        self._updated = float("-inf")
        self._heard = float("-inf")
        self._probe: list[tuple[float, int]] = []
        self._probe_size = 0
        self._probe_started = float("-inf")
        self._probe_goal = 0.0
        self._proven = 0.0
        self._proven_at = float("-inf")

    # -- what comes in ----------------------------------------------------------------------------------------

    def feed(self, outcomes: Sequence[Outcome], round_trip: float, now: float) -> None:
        """Take what transport-wide feedback tells, in send order."""
        lost = media = 0
        for sent, arrival, told in outcomes:
            if not told:
                self.delivered.assume(sent.size)
                continue
            if arrival is None:
                if not sent.probe:
                    lost += 1
                    media += 1
                    self.delivered.miss()
                continue
            self.delivered.add(arrival, sent.size)
            if sent.probe:
                self._probe.append((arrival, sent.size))
                continue
            media += 1
            self.trend.add(sent.time, arrival)
        self.losses.add(media, lost, now)
        self.informed = True
        self._heard = now
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
        if self.losses.congested():
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
        queue = self.trend.queue - self._packet_time
        over = queue > (QUEUE_RISING if self.trend.use is Use.OVER else QUEUE_HIGH)
        congested = self.losses.congested()
        if (over or congested) and now - self._braked >= response:
            self._brake(throughput, congested, now)
        elif self._draining:
            if self._empty and now - self._braked >= response:
                self._draining = False
                if self._ceiling is not None:
                    self.bitrate = self._bounded(max(self.bitrate, RESUMED * self._ceiling))
        elif not over and not congested:
            self._grow(throughput, response, now)
        self._updated = now

    def _brake(self, throughput: float, congested: bool, now: float) -> None:
        factor = max(STEEPEST, BACKED_OFF - DRAINING * self.trend.queue)
        known = self._ceiling
        self._ceiling = throughput if known is None or self._draining else 0.7 * known + 0.3 * throughput
        if abs(throughput - self._ceiling) > 3 * NEAR * throughput:
            self._ceiling = throughput
        self.bitrate = self._bounded(min(self.bitrate, factor * throughput))
        self._draining = True
        self._braked = now
        if congested:
            self.losses.forgive()

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
        if self.informed and last_sent > self._heard and now - self._heard > patience:
            self.bitrate = self._bounded(self.bitrate * SILENT_FACTOR)
            self._heard = now

    def _bounded(self, bitrate: float) -> float:
        return max(SMALLEST, min(LARGEST, bitrate))
