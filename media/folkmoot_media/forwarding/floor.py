"""Who is heard: a few voice slots, one of them reserved for the floor.

Slot 0 is given by order (granted owners first, then chairs), never by loudness, so that no claimed audio level
can take it. The other slots go to the loudest voices by the level of RFC 6464, with hysteresis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

RESERVED_SLOT = 0
SLOT_COUNT = 4
SILENCE = 127
SMOOTHING_TIME = 0.12
LONGEST_STEP = 0.1
STALE_AFTER = 1.0
FLOOR_LIVE_FOR = 2.0
MINIMUM_HOLD = 0.6
WINNING_MARGIN = 8.0
WINNING_TIME = 0.2
AUDIBLE_SCORE = 60.0
CHALLENGE_FRESH = 0.1


class FloorMode(StrEnum):
    """`open`: every unmuted owner competes; `chaired`: only chairs and granted owners are heard."""

    OPEN = "open"
    CHAIRED = "chaired"


@dataclass(slots=True)
class Voice:
    """One owner's microphone as heard lately; `score` is 0 (silent) to 127 (loudest)."""

    owner: str
    score: float = 0.0
    heard: float = float("-inf")
    leading_since: float | None = None


@dataclass(frozen=True, slots=True)
class SlotChange:
    """Slot `slot` now carries `owner`, or nobody."""

    slot: int
    owner: str | None


class Floor:
    """Assigns voices to slots; `hear` per packet, `assign` every tenth of a second or so."""

    def __init__(self, mode: FloorMode = FloorMode.OPEN) -> None:
        self.mode = mode
        self.holders: list[str | None] = [None] * SLOT_COUNT
        self._held_since = [float("-inf")] * SLOT_COUNT
        self._privileged: tuple[str, ...] = ()
        self._muted: set[str] = set()
        self._voices: dict[str, Voice] = {}

    def set_floor(self, mode: FloorMode, chairs: Sequence[str], granted: Sequence[str]) -> None:
        """Set the mode and who is privileged, in order: granted owners first, then chairs."""
        self.mode = mode
        self._privileged = tuple(dict.fromkeys([*granted, *chairs]))

    @property
    def privileged(self) -> tuple[str, ...]:
        """Granted owners and chairs, in order."""
        return self._privileged

    def score(self, owner: str) -> float:
        """Return how loud the owner has been of late, 0 (silent) to 127."""
        voice = self._voices.get(owner)
        return voice.score if voice is not None else 0.0

    def is_leading(self, owner: str) -> bool:
        """Say whether the owner is louder than somebody who has a slot, and will have it if that lasts."""
        voice = self._voices.get(owner)
        return voice is not None and voice.leading_since is not None and owner not in self.holders

    def set_muted(self, owner: str, muted: bool) -> None:
        """Bar an owner from every slot, or lift it."""
        (self._muted.add if muted else self._muted.discard)(owner)

    def is_muted(self, owner: str) -> bool:
        """Say whether the owner is barred."""
        return owner in self._muted

    def add_voice(self, owner: str) -> None:
        """A microphone of `owner` may be heard from now on."""
        self._voices.setdefault(owner, Voice(owner))

    def remove_voice(self, owner: str) -> None:
        """The microphone of `owner` is gone or paused."""
        self._voices.pop(owner, None)

    def release(self, owner: str) -> list[SlotChange]:
        """Take every slot from `owner` at once and return what changed."""
        changes = [SlotChange(slot, None) for slot in range(SLOT_COUNT) if self.holders[slot] == owner]
        for change in changes:
            self.holders[change.slot] = None
        return changes

    def may_speak(self, owner: str) -> bool:
        """Say whether the rules of the floor let `owner` be heard at all."""
        if owner in self._muted or owner not in self._voices:
            return False
        return self.mode is FloorMode.OPEN or owner in self._privileged

    def hear(self, owner: str, level: int, now: float) -> bool:
        """Take the level of one packet (-dBov, 0 loudest to 127); say whether a free slot should be given now."""
        voice = self._voices.get(owner)
        if voice is None:
            return False
        # By time and not by packet, so that it makes no difference how long an owner's packets are.
        step = min(LONGEST_STEP, now - voice.heard)
        voice.score += ((SILENCE - level) - voice.score) * step / (SMOOTHING_TIME + step)
        voice.heard = now
        if owner in self.holders or not self.may_speak(owner):
            return False
        if None in self.holders[1:] or (self.holders[RESERVED_SLOT] is None and owner in self._privileged):
            return True
        return self._has_won(voice, now)

    def _has_won(self, voice: Voice, now: float) -> bool:
        """Note since when a voice without slot is loud enough to take one; say whether that is long enough."""
        if voice.score < AUDIBLE_SCORE:
            voice.leading_since = None
            return False
        slots = self._open_to_challenge(now)
        if not slots or voice.score < min(map(self._score_of, slots)) + WINNING_MARGIN:
            voice.leading_since = None
        elif voice.leading_since is None:
            voice.leading_since = now
        return voice.leading_since is not None and now - voice.leading_since >= WINNING_TIME

    def _open_to_challenge(self, now: float) -> list[int]:
        return [slot for slot in range(1, SLOT_COUNT) if now - self._held_since[slot] >= MINIMUM_HOLD]

    def assign(self, now: float) -> list[SlotChange]:
        """Give the slots anew and return what changed."""
        before = list(self.holders)
        for voice in self._voices.values():
            if now - voice.heard > STALE_AFTER:
                voice.score = 0.0
        self._assign_reserved(now)
        reserved = self.holders[RESERVED_SLOT]
        for slot in range(1, SLOT_COUNT):
            holder = self.holders[slot]
            if holder is not None and (holder == reserved or not self.may_speak(holder)):
                self.holders[slot] = None
        self._fill_free(now)
        self._replace_quietest(now)
        return [
            SlotChange(slot, self.holders[slot]) for slot in range(SLOT_COUNT) if self.holders[slot] != before[slot]
        ]

    def _assign_reserved(self, now: float) -> None:
        for owner in self._privileged:
            if self.may_speak(owner) and now - self._voices[owner].heard <= FLOOR_LIVE_FOR:
                self._give(RESERVED_SLOT, owner, now)
                return
        holder = self.holders[RESERVED_SLOT]
        if holder is not None and (holder not in self._privileged or not self.may_speak(holder)):
            self.holders[RESERVED_SLOT] = None

    def _give(self, slot: int, owner: str, now: float) -> None:
        if self.holders[slot] != owner:
            self.holders[slot] = owner
            self._held_since[slot] = now
            self._voices[owner].leading_since = None

    def _waiting(self, now: float) -> list[Voice]:
        waiting = [
            voice
            for voice in self._voices.values()
            if voice.owner not in self.holders and self.may_speak(voice.owner) and now - voice.heard <= STALE_AFTER
        ]
        return sorted(waiting, key=lambda voice: -voice.score)

    def _fill_free(self, now: float) -> None:
        waiting = self._waiting(now)
        for slot in range(1, SLOT_COUNT):
            if self.holders[slot] is None and waiting:
                self._give(slot, waiting.pop(0).owner, now)

    def _replace_quietest(self, now: float) -> None:
        waiting = self._waiting(now)
        candidates = self._open_to_challenge(now)
        if not waiting or not candidates:
            return
        quietest = min(candidates, key=self._score_of)
        for voice in waiting[1:]:
            voice.leading_since = None
        challenger = waiting[0]
        bar = max(AUDIBLE_SCORE, self._score_of(quietest) + WINNING_MARGIN)
        if challenger.score < bar or now - challenger.heard > CHALLENGE_FRESH:
            challenger.leading_since = None
        elif challenger.leading_since is None:
            challenger.leading_since = now
        elif now - challenger.leading_since >= WINNING_TIME:
            self._give(quietest, challenger.owner, now)

    def _score_of(self, slot: int) -> float:
        holder = self.holders[slot]
        return self._voices[holder].score if holder is not None and holder in self._voices else 0.0
