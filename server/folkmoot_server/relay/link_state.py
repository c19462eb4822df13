"""Whether the link to the hub is cut (relay.md section 4), as a table; time comes in as an argument."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

CUT_AFTER_S: Final = 8.0


class Link(StrEnum):
    """The two states of the link."""

    LINKED = "linked"
    CUT = "cut"


class Sign(StrEnum):
    """What is noticed of the link."""

    ANSWERED = "answered"
    SILENT = "silent"


NEXT: Final[Mapping[tuple[Link, Sign], Link]] = {
    (Link.LINKED, Sign.ANSWERED): Link.LINKED,
    (Link.LINKED, Sign.SILENT): Link.CUT,
    (Link.CUT, Sign.ANSWERED): Link.LINKED,
    (Link.CUT, Sign.SILENT): Link.CUT,
}


class LinkState:
    """The link of a relay: cut until the hub has answered, and when it has not answered for `CUT_AFTER_S`.

    Attributes:
        since: seconds UTC of the last answer; while cut, since when it is cut.
    """

    def __init__(self, since: int) -> None:
        self.link = Link.CUT
        self.since = since
        self._heard_at = 0.0

    @property
    def cut(self) -> bool:
        """Whether the link is cut."""
        return self.link is Link.CUT

    def answered(self, passed: float, now: int) -> bool:
        """Note an answer of the hub; return whether the link is back by it.

        Args:
            passed: seconds of a clock that only goes forward.
            now: seconds UTC.
        """
        self._heard_at, self.since = passed, now
        return self._step(Sign.ANSWERED)

    def tick(self, passed: float) -> bool:
        """Let time pass; return whether the link is cut by it."""
        return self._step(Sign.SILENT) if passed - self._heard_at >= CUT_AFTER_S else False

    def _step(self, sign: Sign) -> bool:
        before, self.link = self.link, NEXT[self.link, sign]
        return self.link is not before
