"""Askings whether those present are still there: who confirmed, who missed, and what that makes of an interval.

See docs/spec/sites.md section 3. Whoever misses an asking keeps the seat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from folkmoot_server.domain.attendance import Line

WITHIN_MIN_S: Final = 60
WITHIN_MAX_S: Final = 600
SHOWN_S: Final = 600  # after its end an asking is shown for so many seconds


class Answer(StrEnum):
    """Where a member stands in an asking; empty for who was not asked."""

    ASKED = "asked"
    CONFIRMED = "confirmed"
    MISSED = "missed"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One asking, seconds UTC; `over_at` is when it ended, or 0; `answers` when each one asked confirmed, or 0."""

    id: str
    meeting: str
    site: str
    at: int
    until: int
    over_at: int
    told: int
    answers: Mapping[str, int]

    @property
    def confirmed(self) -> int:
        """How many have confirmed."""
        return sum(at > 0 for at in self.answers.values())

    def of(self, member: str) -> Answer:
        """Return where a member stands."""
        at = self.answers.get(member)
        if at is None:
            return Answer.NONE
        if at:
            return Answer.CONFIRMED
        return Answer.MISSED if self.over_at else Answer.ASKED


def covers(ask: Ask, line: Line) -> bool:
    """Say whether an asking was about an interval: open when it began, and its member among those asked."""
    open_then = line.from_at <= ask.at and (line.until_at is None or line.until_at > ask.at)
    return open_then and line.member in ask.answers


def missed(ask: Ask, line: Line) -> bool:
    """Say whether an asking that is over was missed in an interval: who left before its end has missed nothing."""
    stayed = line.until_at is None or line.until_at >= ask.over_at
    return bool(ask.over_at) and covers(ask, line) and stayed and not ask.answers[line.member]


def confirmed(line: Line, asks: Sequence[Ask]) -> str:
    """Return "yes" or "no" as the newest asking says that was answered or missed, "" when there is none."""
    for ask in sorted(asks, key=lambda one: (one.at, one.id), reverse=True):
        if covers(ask, line) and ask.answers[line.member]:
            return "yes"
        if missed(ask, line):
            return "no"
    return ""


def count_missed(ask: Ask, lines: Iterable[Line]) -> int:
    """Return how many intervals an asking that is over leaves unconfirmed."""
    return sum(missed(ask, line) for line in lines)
