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


class Profile(NamedTuple):
    """How media is sent at a given link; 0 video means none.

    `redundancy` says which older voice packets ride along, in packets back (`red.Maker`). `documents` is what may be
    used for slides in the background, `listening_buffer` the receiver's buffer while the member does not speak (s).
    """

    link: int
    voices: int
    opus_bitrate: int
    ptime: int
    dtx: bool
    fec: bool
    redundancy: tuple[int, ...]
    video: int
    frames: int
    height: int
    documents: int
    listening_buffer: float


# Over 600 ms of round trip: long packets because headers cost more than the codec, redundancy instead of repair.
# In-band FEC does nothing below 16 kbit/s of Opus and DTX saves nothing where redundancy must stay regular.
PROFILES = (
    Profile(64, 1, 12_000, 60, False, True, (1,), 0, 0, 0, 15, 1.5),
    Profile(128, 2, 16_000, 60, False, True, (1,), 12, 1, 120, 30, 1.5),
    Profile(256, 2, 24_000, 60, False, True, (1,), 90, 8, 180, 30, 1.2),
    Profile(512, 3, 24_000, 60, True, True, (1,), 250, 15, 360, 60, 1.2),
)
PROFILE_64_LOSSY = Profile(64, 1, 8_000, 60, False, True, (1, 4), 0, 0, 0, 10, 2.0)
PROFILE_128_LOSSY = Profile(128, 2, 12_000, 60, False, True, (1, 4), 0, 0, 0, 15, 2.0)
# A short, wide link: small packets and repair by retransmission.
PROFILE_FREE = Profile(0, 3, 32_000, 20, True, True, (), 2_500, 30, 720, 1_000, 0.2)
HEADER_BYTES = 58
CONTROL_KBIT = 4.0

WORDS = {
    (Level.TEXT, "link"): "ladder.text-by-link",
    (Level.TEXT, "switch"): "ladder.text-by-choice",
    (Level.VOICE, "link"): "ladder.voice-by-link",
    (Level.VOICE, "switch"): "ladder.voice-by-choice",
    (Level.DOCUMENTS, "link"): "ladder.documents-by-link",
    (Level.DOCUMENTS, "switch"): "ladder.documents-by-choice",
    (Level.THUMBNAIL, "link"): "ladder.thumbnail-by-link",
    (Level.THUMBNAIL, "switch"): "ladder.thumbnail-by-choice",
    (Level.FULL, "link"): "ladder.full",
    (Level.FULL, "switch"): "ladder.full",
}


class Sample(NamedTuple):
    """What is known of a link at one moment: estimate in kbit/s, share of packets lost, round trip in seconds."""

    estimate: float
    loss: float
    round_trip: float


UNKNOWN_LINK = Sample(1_000.0, 0.0, 0.1)


class Standing(NamedTuple):
    """The result: level, the key of the words that say so, and the profile to send with."""

    level: Level
    words: str
    profile: Profile


def usable(sample: Sample) -> float:
    """Return the part of the estimate that arrives, with what repairing the losses costs taken off (kbit/s)."""
    lost = min(MOST_LOSS, max(0.0, sample.loss - LOSS_FREE))
    return max(0.0, sample.estimate) * (1 - LOSS_WEIGHT * lost)


def choose_profile(level: Level, sample: Sample) -> Profile:
    """Return how to send at `level` over a link like `sample`."""
    lossy = sample.loss > HEAVY_LOSS
    if level <= Level.DOCUMENTS:
        return PROFILE_64_LOSSY if lossy else PROFILES[0]
    rate = usable(sample)
    if rate < 2 * PROFILES[-1].link and (sample.round_trip >= LONG_ROUND_TRIP or rate < PROFILES[-1].link):
        fitting = [profile for profile in PROFILES[1:] if profile.link <= rate * 1.1]
        chosen = fitting[-1] if fitting else PROFILES[1]
        return PROFILE_128_LOSSY if lossy and chosen is PROFILES[1] else chosen
    return PROFILES[-1] if sample.round_trip >= LONG_ROUND_TRIP else PROFILE_FREE


def wire_rate(profile: Profile) -> float:
    """Return the most kbit/s that all voices of a profile take on the wire, headers and redundancy included.

    Opus seldom uses all it may; measured speech needs about four fifths of this.
    """
    packets = 1000 / profile.ptime
    payload = profile.opus_bitrate / 8 / packets
    redundant = len(profile.redundancy) * (payload + 4) + (1 if profile.redundancy else 0)
    return profile.voices * packets * (payload + redundant + HEADER_BYTES) * 8 / 1000


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
class Ladder:
    """One member's place on the ladder; `see` takes samples, `switch` the member's own wish.

    Whatever samples say, the link counts as carrying `cap` at most.
    """

    start: Level = Level.FULL
    most: Level = Level.FULL
    cap: Level = Level.FULL
    _sample: Sample = UNKNOWN_LINK
    _latches: list[_Latch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._latches = [_Latch(rung, rung.level <= self.start) for rung in RUNGS]

    def switch(self, most: Level) -> Standing:
        """Take the highest level that the member wants; it holds at once, both ways."""
        self.most = most
        return self.standing

    def see(self, sample: Sample, now: float) -> Standing:
        """Take what is known of the link now; samples should come at least twice a second."""
        self._sample = sample
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
        """Level, words and profile as they are now."""
        carried = self.by_link
        level = min(carried, self.most)
        why = "switch" if self.most <= carried else "link"
        return Standing(level, WORDS[level, why], choose_profile(level, self._sample))


def before_joining(sample: Sample | None, most: Level) -> Standing:
    """Return where a member would stand: by a first measurement if there is one, without waiting for latches."""
    if sample is None:
        return Ladder(most=most).standing
    rate = usable(sample)
    reached = Level.TEXT
    for rung in RUNGS:
        if rate < rung.comes_on:
            break
        reached = rung.level
    ladder = Ladder(start=reached, most=most)
    ladder._sample = sample
    return ladder.standing
