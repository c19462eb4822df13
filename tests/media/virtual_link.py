"""A bottleneck link in virtual time: rate, delay, queue and seeded loss; and a receiver that tells what arrived."""

import heapq
import itertools
from collections.abc import Callable
from typing import Any

from tests.media.support import Dice

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.transport_wide import ArrivalLog, SendLog, Sent

FEEDBACK_PERIOD = 0.1


class VirtualLink:
    """One direction of a link. Loss strikes behind the queue, so that lost packets have used the link's rate.

    `rate` is bit/s, `delay` and `queue` are seconds; `burst` is the mean length of a run of losses (1: independent).
    """

    def __init__(
        self, rate: float, delay: float, *, queue: float = 1.0, loss: float = 0.0, burst: float = 1.0, seed: int = 1
    ) -> None:
        self.rate, self.delay, self.queue, self.loss, self.burst = rate, delay, queue, loss, burst
        self.dropped_by_queue = self.dropped_by_chance = self.carried = 0
        self._dice = Dice(f"link {seed}")
        self._backlog = 0.0
        self._at = 0.0
        self._losing = False

    def waiting(self, now: float) -> float:
        """How long a packet sent now would wait, in seconds."""
        self._backlog = max(0.0, self._backlog - (now - self._at) * self.rate / 8)
        self._at = now
        return self._backlog * 8 / self.rate

    def set_rate(self, rate: float, now: float) -> None:
        self.waiting(now)
        self.rate = rate

    def hold(self, seconds: float) -> None:
        """Let nothing through for a while: it queues."""
        self._backlog += seconds * self.rate / 8

    def _share(self) -> float:
        return self._dice.below(1 << 30) / (1 << 30)

    def _unlucky(self) -> bool:
        if self.burst <= 1:
            return self._share() < self.loss
        # Gilbert's model: from the losing state with 1/burst, into it so that the share of losses is `loss`.
        leave = 1 / self.burst
        enter = leave * self.loss / (1 - self.loss)
        self._losing = self._share() >= leave if self._losing else self._share() < enter
        return self._losing

    def send(self, size: int, now: float) -> float | None:
        """Return when a packet of `size` bytes arrives, or None."""
        waiting = self.waiting(now)
        if waiting > self.queue:
            self.dropped_by_queue += 1
            return None
        self._backlog += size
        arrival = now + waiting + size * 8 / self.rate + self.delay
        if self._unlucky():
            self.dropped_by_chance += 1
            return None
        self.carried += 1
        return arrival


class Clock:
    """Virtual time with appointments."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), what))

    def every(self, period: float, what: Callable[[], None]) -> None:
        def again() -> None:
            what()
            self.at(self.now + period, again)

        self.at(self.now + period, again)

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, what = heapq.heappop(self._queue)
            what()
        self.now = until


class WideReceiver:
    """A browser's side: notes arrivals on a clock of its own and answers every tenth of a second."""

    def __init__(self, clock: Clock, back: VirtualLink, answer: Callable[[bytes], None]) -> None:
        self._clock, self._back, self._answer = clock, back, answer
        self._log = ArrivalLog()
        clock.every(FEEDBACK_PERIOD, self._report)

    def take(self, number: int) -> None:
        # Half an hour ahead of the sender's clock, and 50 parts in a million faster.
        self._log.note(number, 1800 + self._clock.now * 1.00005)

    def _report(self) -> None:
        body = self._log.build()
        if body is None:
            return
        compound = rtcp.build_transport_feedback(1, 2, body)
        arrival = self._back.send(len(compound) + 28, self._clock.now)
        if arrival is not None:
            self._clock.at(arrival, lambda: self._answer(compound))


class Saturating:
    """A sender that always has as much to send as the estimator allows, up to `demand`, evenly spaced."""

    def __init__(self, estimator: Any, link: VirtualLink, back: VirtualLink, demand: float = 1e9) -> None:
        self.clock = Clock()
        self.estimator, self.link, self.demand = estimator, link, demand
        self.log = SendLog(5)
        self.trace: list[tuple[float, float, float]] = []
        self._credit = 0.0
        self._receiver = WideReceiver(self.clock, back, self._feedback)
        self.clock.every(0.005, self._tick)
        self.clock.every(0.1, self._note)

    def _feedback(self, compound: bytes) -> None:
        (told,) = rtcp.parse_compound(compound)
        assert isinstance(told, rtcp.TransportFeedback)
        round_trip = 2 * self.link.delay
        self.estimator.feed(self.log.resolve(told.base, told.arrivals), round_trip, self.clock.now)

    def _tick(self) -> None:
        self._credit += min(self.estimator.bitrate, self.demand) * 0.005 / 8
        while self._credit >= 1000:
            self._credit -= 1000
            self.send(1000)

    def send(self, size: int, probe: bool = False) -> None:
        number = self.log.stamp(Sent(self.clock.now, size, probe)) & 0xFFFF
        arrival = self.link.send(size, self.clock.now)
        if arrival is not None:
            self.clock.at(arrival, lambda: self._receiver.take(number))

    def _note(self) -> None:
        self.trace.append((self.clock.now, self.estimator.bitrate, self.link.waiting(self.clock.now)))

    def between(self, start: float, end: float) -> list[float]:
        """The estimates from `start` to `end` seconds."""
        return [bitrate for when, bitrate, _ in self.trace if start <= when <= end]
