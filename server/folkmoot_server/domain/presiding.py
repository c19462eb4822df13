"""When the presiding chair counts as lost, and who steps in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """A present holder of the role chair: since when, and when the lease was renewed last (seconds UTC)."""

    member: str
    since: int
    lease_at: int


def deputy(present: Sequence[Holder], chair: str, *, now: int, lost_s: int, watching_since: int) -> str | None:
    """Return who presides in place of `chair`, or None while the chair is there or nobody else is.

    `present` has those first who checked in first. A chair who is not among them has left, or holds the role no
    more. No lease runs while the server is down: silence counts from `watching_since` at the earliest.
    """

    def heard(holder: Holder) -> bool:
        return now - max(holder.lease_at, watching_since) < lost_s

    if any(one.member == chair and heard(one) for one in present):
        return None
    return next((one.member for one in present if one.member != chair and heard(one)), None)
