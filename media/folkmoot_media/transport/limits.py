"""Token buckets and the counter-based log line for hostile input."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable


class TokenBucket:
    """Allows `rate` units per second with bursts of `burst`."""

    __slots__ = ("_burst", "_level", "_rate", "_updated")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._updated = float("-inf")

    def level(self, now: float) -> float:
        """Return the units available at `now` (seconds)."""
        if now > self._updated:
            self._level = min(self._burst, self._level + (now - max(self._updated, -1e9)) * self._rate)
            self._updated = now
        return self._level

    def take(self, amount: float, now: float) -> bool:
        """Take `amount` units if they are there."""
        if self.level(now) < amount:
            return False
        self._level -= amount
        return True


class SourceLimiter:
    """One bucket per source address, for the `capacity` most recent sources."""

    def __init__(self, rate: float, burst: float, capacity: int) -> None:
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def exhausted(self, source: str, now: float) -> bool:
        """Say whether `source` has used up its failures."""
        bucket = self._buckets.get(source)
        return bucket is not None and bucket.level(now) < 1.0

    def charge(self, source: str, now: float) -> None:
        """Count one failure of `source`."""
        bucket = self._buckets.get(source)
        if bucket is None:
            if len(self._buckets) >= self._capacity:
                self._buckets.popitem(last=False)
            bucket = self._buckets[source] = TokenBucket(self._rate, self._burst)
        self._buckets.move_to_end(source)
        bucket.take(1.0, now)


class ThrottledLog:
    """Writes at most one line per second and says how many were left out."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._next = float("-inf")
        self._left_out = 0

    def line(self, text: str, now: float) -> None:
        """Write `text` unless a line was written less than a second ago."""
        if now < self._next:
            self._left_out += 1
            return
        self._next = now + 1.0
        suffix = f" ({self._left_out} more not shown)" if self._left_out else ""
        self._left_out = 0
        self._write(text + suffix)
