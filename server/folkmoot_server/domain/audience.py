"""Who gets which events: all, all but the names of conflicts, or a list for guests (conduct.md section 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from folkmoot_server.domain.closed_sessions import Admission, Party, is_inside


class Audience(Enum):
    """Who listens."""

    MEMBERS = "members"  # on the roll, or with an office here
    OBSERVERS = "observers"  # may read the meeting, and no more
    GUESTS = "guests"
    HALLS = "halls"  # a relay: as observers, and which page is shown, for the members among its phones


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears events: of which audience, and what decides about closed sessions."""

    audience: Audience
    party: Party


WITHHELD: Final = "EventWithheld"
SHOWN: Final = "PagePresented"
# What those know of a page that is shown who may not see it: that there is one.
UNSEEN: Final[Mapping[str, Any]] = MappingProxyType({"paper": "", "version": 0, "page": 0, "open": False})
# Who stays away from which vote, and why, is for those who vote and for the officers.
FOR_MEMBERS: Final = frozenset({"ConflictDeclared", "ElectorExcluded"})
# What is not named here is not for guests.
FOR_GUESTS: Final = frozenset(
    {
        "AgendaItemAdded",
        "AgendaItemChanged",
        "AgendaItemDeferred",
        "AgendaItemMoved",
        "AgendaItemRemoved",
        "AgendaItemStarted",
        "AllMuted",
        "AmendmentSetBack",
        "BallotAccepted",
        "BoardPublished",
        "ChairHandedOver",
        "ChairResumed",
        "ChairTaken",
        "ClosedSessionAdmitted",
        "ClosedSessionBegan",
        "ClosedSessionEnded",
        "DeputyPresides",
        "ElectionAborted",
        "ElectionClosed",
        "ElectionDrafted",
        "ElectionOpened",
        "ElectionVoided",
        "FloorGranted",
        "FloorModeSet",
        "FloorWithdrawn",
        "HandLowered",
        "HandRaised",
        "MeetingAdjourned",
        "MeetingCancelled",
        "MeetingClosed",
        "MeetingContinued",
        "MeetingOpened",
        "MeetingRescheduled",
        "MeetingResumed",
        "MemberAway",
        "MemberCheckedIn",
        "MemberDeparted",
        "MemberMuted",
        "MemberReturned",
        "MessageHidden",
        "MessagePosted",
        "MessageRulesSet",
        "MotionAdmitted",
        "MotionChanged",
        "MotionDecided",
        "MotionPutToVote",
        "MotionReferred",
        "MotionSeconded",
        "MotionSubmitted",
        "MotionWithdrawn",
        "PagePresented",
        "PaperAdded",
        "PaperChanged",
        "PaperRemoved",
        "QueueClosed",
        "QueueOpened",
        "QuorumLost",
        "QuorumReached",
        "RecessBegan",
        "ResolutionAdopted",
        "ResultDeclared",
        "SpeakingRulesSet",
        "TallyComputed",
        "TextAmended",
        "TurnExtended",
        "TurnPaused",
        "TurnResumed",
        "VisitorAdmitted",
        "VisitorLeft",
        "VisitorRemoved",
        "VoteTimerSet",
    }
)


def heard(
    kind: str, body: Mapping[str, Any], closed: Admission | None, listener: Listener
) -> tuple[str, Mapping[str, Any]]:
    """Return type and body of an event as `listener` gets it.

    `closed` is who was admitted when it happened in a closed session, None when it did not.
    """
    if closed is not None and not is_inside(listener.party, closed):
        return WITHHELD, {}
    return project(kind, body, listener.audience)


def project(kind: str, body: Mapping[str, Any], audience: Audience) -> tuple[str, Mapping[str, Any]]:
    """Return type and body of an event as `audience` gets it; what is not for it keeps its place in the numbering."""
    if audience is Audience.MEMBERS:
        return kind, body
    if kind in FOR_MEMBERS or (audience is Audience.GUESTS and kind not in FOR_GUESTS):
        return WITHHELD, {}
    if audience is not Audience.HALLS and is_unseen(kind, body):
        return kind, dict(UNSEEN)
    return kind, body


def is_unseen(kind: str, body: Mapping[str, Any]) -> bool:
    """Say whether an event tells of a page that is for members alone."""
    return kind == SHOWN and body.get("open") is not True
