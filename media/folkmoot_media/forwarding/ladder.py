"""The bandwidth ladder: what a member's link is used for, by itself and by the member's own switch.

L0 text, votes and presence · L1 voices · L2 voices and slides as documents · L3 a small picture · L4 everything.

Every step has a latch of its own with two thresholds: it comes on when the link has been good enough for the whole of
`RISE_AFTER`, and goes off when it has been too weak for the whole of `FALL_AFTER`. The level is that of the highest
latch that is on. So noise within the gap between the thresholds changes nothing, and a link that is never worse than
another never gets less. Rates are kbit/s in one direction, times seconds, losses shares from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

RISE_AFTER = 5.0
FALL_AFTER = 1.5
COLLAPSED = 0.5
COLLAPSED_AFTER = 0.3
LOSS_FREE = 0.02
LOSS_WEIGHT = 1.0
MOST_LOSS = 0.5
LONG_ROUND_TRIP = 0.4
HEAVY_LOSS = 0.1
LIGHT_LOSS = 0.05
ALARM_AFTER = 1.5
CALM_AFTER = 5.0


class Level(IntEnum):
    """A rung of the ladder."""

    TEXT = 0
    VOICE = 1
    DOCUMENTS = 2
    THUMBNAIL = 3
    FULL = 4


class Rung(NamedTuple):
    """When a level comes on and goes off (kbit/s)."""

    level: Level
    comes_on: float
    goes_off: float


RUNGS = (
    Rung(Level.VOICE, 24, 16),
    Rung(Level.DOCUMENTS, 56, 40),
    Rung(Level.THUMBNAIL, 120, 88),
    Rung(Level.FULL, 420, 320),
)


# How a page sends, by the link in kbit/s that it is for, thin links first; the last is a short, wide link. What each
# of them is stands in the page (`web_client/src/media/profiles.ts`) and in media_control.md section 7.
PROFILES = (64, 128, 256, 512, 0)


class Sample(NamedTuple):
    """What is known of a link at one moment: estimate in kbit/s, share of packets lost, round trip in seconds."""

    estimate: float
    loss: float
    round_trip: float


UNKNOWN_LINK = Sample(1_000.0, 0.0, 0.1)


class Standing(NamedTuple):
    """The result: the level, and the profile to send with (one of `PROFILES`)."""

    level: Level
    profile: int


def usable(sample: Sample) -> float:
    """Return the part of the estimate that arrives, with what repairing the losses costs taken off (kbit/s)."""
    lost = min(MOST_LOSS, max(0.0, sample.loss - LOSS_FREE))
    return max(0.0, sample.estimate) * (1 - LOSS_WEIGHT * lost)


def fitting_profile(sample: Sample) -> int:
    """Return the place in `PROFILES` of the one that fits a link which carries pictures."""
    rate = usable(sample)
    widest = len(PROFILES) - 2
    if rate < 2 * PROFILES[widest] and (sample.round_trip >= LONG_ROUND_TRIP or rate < PROFILES[widest]):
        fitting = [place for place in range(1, widest + 1) if PROFILES[place] <= rate * 1.1]
        return fitting[-1] if fitting else 1
    return widest if sample.round_trip >= LONG_ROUND_TRIP else widest + 1


@dataclass(slots=True)
class _Latch:
    rung: Rung
    on: bool
    good_since: float | None = None
    weak_since: float | None = None
    dead_since: float | None = None

    def see(self, rate: float, now: float) -> None:
        rung = self.rung
        self.good_since = _since(self.good_since, rate >= rung.comes_on, now)
        self.weak_since = _since(self.weak_since, rate < rung.goes_off, now)
        self.dead_since = _since(self.dead_since, rate < COLLAPSED * rung.goes_off, now)
        if not self.on and self.good_since is not None and now - self.good_since >= RISE_AFTER:
            self.on = True
        elif self.on and (
            (self.weak_since is not None and now - self.weak_since >= FALL_AFTER)
            or (self.dead_since is not None and now - self.dead_since >= COLLAPSED_AFTER)
        ):
            self.on = False


def _since(before: float | None, holds: bool, now: float) -> float | None:
    if not holds:
        return None
    return now if before is None else before


@dataclass(slots=True)
class _Settled:
    """The place in `PROFILES` that has fitted for long enough: `RISE_AFTER` to rise, `FALL_AFTER` to fall."""

    place: int
    nearest: int = 0
    turn: int = 0
    since: float = 0.0

    def see(self, fitting: int, now: float) -> None:
        turn = (fitting > self.place) - (fitting < self.place)
        if turn != self.turn:
            self.turn, self.since, self.nearest = turn, now, fitting
        self.nearest = min(self.nearest, fitting) if turn > 0 else max(self.nearest, fitting)
        if turn and now - self.since >= (RISE_AFTER if turn > 0 else FALL_AFTER):
            self.place, self.turn = self.nearest, 0


@dataclass(slots=True)
class Alarm:
    """Goes on at `heavy` and above for the whole of `ALARM_AFTER`, and off below `light` for `CALM_AFTER`."""

    heavy: float
    light: float
    on: bool = False
    turning_since: float | None = None

    def see(self, value: float, now: float) -> None:
        """Take the value as it is now."""
        turning = value < self.light if self.on else value >= self.heavy
        self.turning_since = _since(self.turning_since, turning, now)
        if self.turning_since is not None and now - self.turning_since >= (CALM_AFTER if self.on else ALARM_AFTER):
            self.on, self.turning_since = not self.on, None


@dataclass(slots=True)
class Ladder:
    """One member's place on the ladder; `see` takes samples, `switch` the member's own wish.

    It begins at `start` and as fits `first`. Whatever samples say, the link counts as carrying `cap` at most.
    """

    start: Level = Level.FULL
    most: Level = Level.FULL
    cap: Level = Level.FULL
    first: Sample = UNKNOWN_LINK
    _latches: list[_Latch] = field(init=False)
    _settled: _Settled = field(init=False)

    def __post_init__(self) -> None:
        self._latches = [_Latch(rung, rung.level <= self.start) for rung in RUNGS]
        self._settled = _Settled(fitting_profile(self.first))

    def switch(self, most: Level) -> Standing:
        """Take the highest level that the member wants; it holds at once, both ways."""
        self.most = most
        return self.standing

    def see(self, sample: Sample, now: float) -> Standing:
        """Take what is known of the link now; samples should come at least twice a second."""
        self._settled.see(fitting_profile(sample), now)
        rate = usable(sample)
        for latch in self._latches:
            latch.see(rate, now)
        return self.standing

    def resume(self, reached: Level) -> None:
        """Take the link to carry `reached` at least, until samples say otherwise."""
        for latch in self._latches:
            if latch.rung.level <= reached and not latch.on:
                latch.on, latch.weak_since, latch.dead_since = True, None, None

    @property
    def by_link(self) -> Level:
        """The level that the link carries, whatever the member wants."""
        return min(self.cap, max((latch.rung.level for latch in self._latches if latch.on), default=Level.TEXT))

    @property
    def standing(self) -> Standing:
        """Level and profile as they are now: without pictures the thinnest, whatever the link."""
        level = min(self.by_link, self.most)
        return Standing(level, PROFILES[0 if level <= Level.DOCUMENTS else self._settled.place])


def before_joining(first: Sample, most: Level) -> Ladder:
    """Return the ladder of a link of which only a first measurement is known, without waiting for latches."""
    rate = usable(first)
    reached = Level.TEXT
    for rung in RUNGS:
        if rate < rung.comes_on:
            break
        reached = rung.level
    return Ladder(start=reached, most=most, first=first)
