"""Whether a queue is building up on the way to a receiver, from send and arrival times alone.

The filter is that of draft-ietf-rmcat-gcc-02 section 5: delay differences between groups of packets, their slope by
least squares over the last groups, and a threshold that adapts to the link's own noise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum

GROUP_SPAN = 0.005
WINDOW = 20
SMOOTHING = 0.9
GAIN = 4.0
MOST_DELTAS = 60
START_THRESHOLD = 0.0125
SMALLEST_THRESHOLD = 0.006
LARGEST_THRESHOLD = 0.6
THRESHOLD_UP = 0.0087
THRESHOLD_DOWN = 0.039
LARGEST_STEP = 0.015
BASE_WINDOW = 15.0
QUEUE_SMOOTHING = 0.3
WAIT_NOTICED = 0.03
FLAT = 0.85
FLAT_FOR = 1.5


class Use(Enum):
    """What the delay says of the link: it fills up, it drains, or neither."""

    OVER = "over"
    UNDER = "under"
    NORMAL = "normal"


class DelayTrend:
    """Judges send and arrival times (seconds, of two unrelated clocks), once for each feedback."""

    __slots__ = (
        "_accumulated",
        "_base",
        "_base_before",
        "_base_since",
        "_deltas",
        "_first_arrival",
        "_flat_level",
        "_flat_since",
        "_group",
        "_last_update",
        "_points",
        "_previous",
        "_slope",
        "_smoothed",
        "_threshold",
        "queue",
        "use",
    )

    def __init__(self) -> None:
        self.use = Use.NORMAL
        self.queue = 0.0
        self._group: tuple[float, float, float] | None = None
        self._previous: tuple[float, float] | None = None
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._deltas = 0
        self._accumulated = 0.0
        self._smoothed = 0.0
        self._first_arrival = 0.0
        self._slope = 0.0
        self._threshold = START_THRESHOLD
        self._last_update: float | None = None
        self._base = self._base_before = float("inf")
        self._base_since = 0.0
        self._flat_since: float | None = None
        self._flat_level = 0.0

    def feed(self, arrived: Sequence[tuple[float, float]]) -> None:
        """Take send and arrival time of packets that one feedback told of, in send order.

        Afterwards `use` says what they mean, and `queue` is how long packets wait above the least seen of late (s).
        """
        if not arrived:
            return
        group = self._group
        for sent, arrival in arrived:
            if group is None:
                self._first_arrival = arrival
            else:
                first, last, heard = group
                if sent - first <= GROUP_SPAN or (arrival - heard < GROUP_SPAN and arrival - heard < sent - last):
                    group = (first, sent if sent > last else last, arrival if arrival > heard else heard)
                    continue
                self._close(last, heard)
            group = (sent, sent, arrival)
        self._group = group
        self._notice_new_path(arrived[-1][1])
        before, self._slope = self._slope, _least_squares(self._points) if len(self._points) == WINDOW else 0.0
        self._decide(self._slope * self._deltas * GAIN / 1000, before, arrived[-1][1])

    def rebase(self) -> None:
        """The path has changed: what waited on the old one says nothing of the new one."""
        self._group = self._previous = self._flat_since = None
        self._base = self._base_before = float("inf")
        self._points.clear()
        self._deltas = 0
        self._accumulated = self._smoothed = self._slope = self.queue = 0.0
        self.use = Use.NORMAL

    def _notice_new_path(self, heard: float) -> None:
        """A wait that neither grows nor drains for seconds, though less is sent, is the path's own length."""
        if self.queue < WAIT_NOTICED or self.queue < FLAT * self._flat_level or self.queue * FLAT > self._flat_level:
            self._flat_since, self._flat_level = heard, self.queue
        elif self._flat_since is not None and heard - self._flat_since > FLAT_FOR:
            self.rebase()

    def _close(self, sent: float, heard: float) -> None:
        """Take a whole group: when its last packet left and arrived."""
        delay = heard - sent
        if heard - self._base_since > BASE_WINDOW:
            self._base_before, self._base, self._base_since = self._base, delay, heard
        self._base = min(self._base, delay)
        self.queue += (delay - min(self._base, self._base_before) - self.queue) * QUEUE_SMOOTHING
        if self._previous is not None:
            before_sent, before_heard = self._previous
            self._deltas = min(self._deltas + 1, MOST_DELTAS)
            self._accumulated += heard - before_heard - (sent - before_sent)
            self._smoothed += (self._accumulated - self._smoothed) * (1 - SMOOTHING)
            self._points.append((heard - self._first_arrival, self._smoothed))
        self._previous = (sent, heard)

    def _decide(self, level: float, slope_before: float, heard: float) -> None:
        # The draft compares slope times count with milliseconds; here both sides are in thousandths of that.
        if level > self._threshold:
            if self._slope >= slope_before:
                self.use = Use.OVER
        else:
            self.use = Use.UNDER if level < -self._threshold else Use.NORMAL
        self._adapt(abs(level), heard)

    def _adapt(self, level: float, heard: float) -> None:
        elapsed = 0.0 if self._last_update is None else min(0.1, heard - self._last_update)
        self._last_update = heard
        if level > self._threshold + LARGEST_STEP:
            return
        rate = THRESHOLD_DOWN if level < self._threshold else THRESHOLD_UP
        moved = self._threshold + rate * (level - self._threshold) * elapsed * 1000
        self._threshold = max(SMALLEST_THRESHOLD, min(LARGEST_THRESHOLD, moved))


def _least_squares(points: deque[tuple[float, float]]) -> float:
    """Return the slope of the line through the points, 0 when they have no extent."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    if spread <= 0:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
