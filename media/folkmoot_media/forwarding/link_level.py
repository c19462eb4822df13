"""Where one subscriber stands on the ladder: samples of the link in, what may be sent and what is told out."""

from __future__ import annotations

from typing import NamedTuple

from folkmoot_media.forwarding.estimation import START
from folkmoot_media.forwarding.ladder import (
    HEAVY_LOSS,
    LIGHT_LOSS,
    UNKNOWN_LINK,
    Alarm,
    Ladder,
    Level,
    Sample,
    Standing,
    before_joining,
)

TELL_GAP = 2.0
TROUBLE_PERIOD = 6.0
# For so long after the estimate has last fallen it says what the link carries, even when nothing more is wanted.
FALL_REMEMBERED = 20.0
FELL = 0.97
LOWERED = 0.9
# A link too weak for voices is tried with them again after this long, or it could never be found to be better.
VOICES_HELD_FOR = 10.0
MOST_VOICES = 4
VOICES_WITHOUT_PICTURES = 1
# Who falls so soon after a rise waits twice as long before the next, up to a limit.
SOON = 20.0
SHORTEST_PATIENCE = 10.0
LONGEST_PATIENCE = 60.0


class Told(NamedTuple):
    """What the seat and the chair are told; `estimate` is kbit/s, None while the link has not been found wanting.

    `lossy` says that a tenth is lost and more; a change of the first five is told.
    """

    level: Level
    by_choice: bool
    trouble: bool
    profile: int
    lossy: bool
    estimate: float | None
    loss: float
    round_trip: float

    def describe(self) -> dict[str, object]:
        """Return the event's data (media_control.md section 3) without the owner."""
        return {
            "level": int(self.level),
            "reason": "choice" if self.by_choice else "link",
            "trouble": self.trouble,
            "profile": self.profile,
            "lossy": self.lossy,
            "estimate_kbps": None if self.estimate is None else round(self.estimate),
            "loss": round(self.loss, 3),
            "rtt_ms": round(self.round_trip * 1000),
        }


class LinkLevel:
    """The ladder of one leg; call `see` a few times a second."""

    def __init__(self, ceiling: Level = Level.FULL) -> None:
        self.ladder = Ladder(most=ceiling)
        self.standing: Standing = self.ladder.standing
        self.voices_held = False
        self._highest_since_fall = 0.0
        self._fell = float("-inf")
        self._held_since: float | None = None
        self._lossy = Alarm(HEAVY_LOSS, LIGHT_LOSS)
        self._rose = float("-inf")
        self._patience = SHORTEST_PATIENCE
        self._capped_until = float("-inf")
        self._judged = UNKNOWN_LINK
        self._known: Sample | None = None
        self._first: Sample | None = None
        self._told: Told | None = None
        self._told_at = float("-inf")

    @property
    def level(self) -> Level:
        """What may be sent now."""
        return self.standing.level

    @property
    def voices(self) -> int:
        """How many voices may be sent at once: fewer on a link that is too thin for pictures."""
        if self.voices_held:
            return 0
        return VOICES_WITHOUT_PICTURES if self.ladder.by_link < Level.THUMBNAIL else MOST_VOICES

    @property
    def held_by_link(self) -> bool:
        """Whether it is the link, not the member's switch, that keeps something back."""
        return self.ladder.by_link < self.ladder.most

    def switch(self, ceiling: Level) -> None:
        """Take the member's own highest level; it holds at once."""
        self.standing = self.ladder.switch(ceiling)

    def begin(self, first: Sample, now: float) -> None:
        """Take what was measured of the link before joining: it holds until more is known, as a fall does."""
        self.ladder = before_joining(first, self.ladder.most)
        self.standing = self.ladder.standing
        self._first = first
        if self.ladder.by_link < Level.FULL:
            self._judged = first
            self._fell, self._highest_since_fall = now, first.estimate

    def see(self, sample: Sample | None, wanting: bool, early: bool, now: float) -> None:
        """Take what is known of the link.

        `wanting` says that more would be sent if it were known to fit, `early` that the link is still being found
        out: an estimate that nothing has tested yet is a beginning, not a finding.
        """
        self._known = sample
        if sample is None:
            return
        self._note_fall(sample.estimate, now)
        lowered = sample.estimate * 1000 < LOWERED * START
        fallen = lowered and now - self._fell < FALL_REMEMBERED
        if (wanting and (lowered or not early)) or fallen:
            self._judged = sample
        else:
            self._judged = sample._replace(estimate=max(sample.estimate, UNKNOWN_LINK.estimate))
        before = self.ladder.by_link
        self.ladder.see(self._judged, now)
        self._be_patient(before, now)
        self.standing = self.ladder.standing
        self._lossy.see(sample.loss, now)
        self._hold_voices(now)

    def _be_patient(self, before: Level, now: float) -> None:
        """Keep a link that has just been tried in vain from being tried again at once."""
        level = self.ladder.by_link
        if level > before:
            self._rose = now
        elif level < before and now - self._rose < SOON:
            self._patience = min(LONGEST_PATIENCE, 2 * self._patience)
            self._capped_until = now + self._patience
            self.ladder.cap = max(level, Level.VOICE)
        elif level < before:
            self._patience = SHORTEST_PATIENCE
        if now >= self._capped_until:
            self.ladder.cap = Level.FULL

    def _note_fall(self, estimate: float, now: float) -> None:
        if estimate < FELL * self._highest_since_fall:
            self._fell = now
            self._highest_since_fall = estimate
        self._highest_since_fall = max(self._highest_since_fall, estimate)

    def _hold_voices(self, now: float) -> None:
        """Hold voices back at the lowest level, and let them try again after a while."""
        if self.level > Level.TEXT:
            self._held_since, self.voices_held = None, False
        elif self.ladder.most is Level.TEXT:
            self.voices_held = True
        elif self._held_since is None:
            self._held_since, self.voices_held = now, True
        elif now - self._held_since >= VOICES_HELD_FOR:
            self.ladder.resume(Level.VOICE)
            self.standing = self.ladder.standing
            self._held_since, self.voices_held = None, False

    def tell(self, now: float) -> Told | None:
        """Return what has to be told now, if anything: changes, and in trouble the figures now and then."""
        known, before = self._known or self._first, self._told
        if known is None or now - self._told_at < TELL_GAP:
            return None
        by_choice = self.ladder.most <= self.ladder.by_link
        shown = known.estimate if self._judged is known else None
        trouble = self.ladder.by_link < min(Level.THUMBNAIL, self.ladder.most) or self._lossy.on
        profile, lossy = self.standing.profile, self._lossy.on
        told = Told(self.level, by_choice, trouble, profile, lossy, shown, known.loss, known.round_trip)
        stale = trouble and now - self._told_at >= TROUBLE_PERIOD
        if before is not None and told[:5] == before[:5] and not stale:
            return None
        self._told, self._told_at = told, now
        return told
