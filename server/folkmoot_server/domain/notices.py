"""Who was called to a meeting, whether the call arrived, and who asked to be excused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from folkmoot_server.domain.calendar import latest_notice
from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.meetings import Meeting

DAYS_MAX: Final = 365
REASON_MAX: Final = 500


class Receipt(StrEnum):
    """What a member's page says about a notice."""

    DELIVERED = "delivered"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Notice:
    """The call of one member; times are seconds UTC, 0 for what has not happened."""

    member: str
    sent_at: int
    delivered_at: int = 0
    read_at: int = 0
    excused: bool = False
    reason: str = ""

    def confirmed(self, receipt: Receipt, now: int) -> Notice:
        """Return the notice with a receipt; who has read it has got it, and the first time stays."""
        delivered = replace(self, delivered_at=self.delivered_at or now)
        if receipt is Receipt.DELIVERED:
            return delivered
        return replace(delivered, read_at=self.read_at or now)

    @property
    def state(self) -> str:
        """The last thing known: sent, delivered or read."""
        return "read" if self.read_at else "delivered" if self.delivered_at else "sent"


def figures(notices: Iterable[Notice]) -> dict[str, int]:
    """Return how many were sent, delivered, read and answered with an excuse."""
    listed = list(notices)
    return {
        "sent": len(listed),
        "delivered": sum(one.delivered_at > 0 for one in listed),
        "read": sum(one.read_at > 0 for one in listed),
        "excused": sum(one.excused for one in listed),
    }


def check_lead(meeting: Meeting, starts_at: int, time_zone: str, now: int) -> None:
    """Refuse a notice given too late for a meeting at that time, unless that was waived.

    Raises:
        WrongState: too late; the details say until when it would have been in time.
    """
    if not meeting.notice_days or meeting.waived:
        return
    latest = latest_notice(starts_at, time_zone, meeting.notice_days)
    if now > latest:
        raise WrongState(
            "meeting.notice-too-short",
            "The notice would come too late; take a later time, or waive it with a reason.",
            {"latest": latest},
        )
