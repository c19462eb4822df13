"""The clock of a running installation: it does not jump when the machine's wall clock is set.

Grace, time limits, leases and sessions are counted in seconds UTC. A wall clock that is put forward by a day would
void a running election for ever and put every member out of the room.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def _since_boot() -> float:
    """Seconds that go on while the machine sleeps, where the system can tell them."""
    kind = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(kind)


class SteadyClock:
    """Seconds since 1970-01-01 UTC by the wall clock at the start, and from then on by the time that has passed."""

    def __init__(self, wall: Callable[[], float] | None = None, passed: Callable[[], float] = _since_boot) -> None:
        self._wall = wall or (lambda: time.time())
        self._passed = passed
        self._base = self._wall() - passed()

    def __call__(self) -> int:
        """Return the time."""
        return int(self._base + self._passed())

    def ms(self) -> int:
        """Return the time in milliseconds."""
        return int((self._base + self._passed()) * 1000)

    def behind(self) -> float:
        """Return by how many seconds the wall clock is ahead of this one; negative when it is behind."""
        return self._wall() - self._base - self._passed()

    def adopt(self) -> None:
        """Take over the wall clock's time."""
        self._base = self._wall() - self._passed()


def split(clock: Callable[[], int]) -> tuple[int, int]:
    """Return a clock's time as seconds and the milliseconds beyond them, which are 0 where it counts none."""
    return divmod(clock.ms(), 1000) if isinstance(clock, SteadyClock) else (clock(), 0)
