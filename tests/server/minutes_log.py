"""A log with one of every event that the minutes tell of."""

from __future__ import annotations

from typing import Any

from folkmoot_server.storage.events import StoredEvent

START = 1_800_000_000  # 2027-01-15 08:00 UTC
HASH = "A" * 43
YES_NO = {"type": "yes-no-abstain", "text": "Shall M1 be adopted?", "options": ["yes", "no", "abstain"]}
BOARD = {"type": "one-of-n", "text": "Who leads?", "options": ["Binh", "yes"]}

_BEFORE: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "MeetingDrafted",
        {
            "title": "Spring <meeting>",
            "organisation": "Folk",
            "unit": "North",
            "starts_at": START + 500_000,
            "time_zone": "Asia/Ho_Chi_Minh",
            "quorum": {"num": 1, "den": 2},
            "notice_days": 7,
        },
    ),
    ("AgendaItemAdded", {"item": "i1", "title": "Reports", "internal": False}),
    ("AgendaItemAdded", {"item": "i2", "title": "Budget", "internal": False}),
    ("AgendaItemAdded", {"item": "i3", "title": "", "internal": True}),
    ("AgendaItemChanged", {"item": "i2", "title": "Budget 2027", "internal": False}),
    ("MeetingRescheduled", {"starts_at": START + 600_000, "time_zone": "Asia/Ho_Chi_Minh"}),
    ("NoticeWaived", {"reason": "the hall burns"}),
    ("MeetingConvened", {"recipients": 41}),
    ("RollFrozen", {"hash": HASH, "size": 40, "exceptions": 2}),
    ("MemberExcused", {"member": "lan", "name": "Lan"}),
    ("MemberExcused", {"member": "tu", "name": "Tu"}),
    ("ExcuseWithdrawn", {"member": "tu", "name": "Tu"}),
    ("KeyRestarted", {"attempt": 2, "reason": "a phone was lost!"}),
    ("KeyGenerated", {"key": HASH, "code": "abc"}),
    ("CheckInBegan", {"sent": 41, "delivered": 39, "read": 17, "excused": 1}),
    ("MemberCheckedIn", {"member": "an", "name": "An", "site": "main", "proof": HASH}),
    ("MemberCheckedIn", {"member": "binh", "name": "Binh", "site": "main", "proof": HASH}),
    ("QuorumReached", {"present": 21, "needed": 20}),
)
_COURSE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("MeetingOpened", {"present": 21, "roll": 40}),
    ("ChairTaken", {"member": "an", "name": "An"}),
    ("VisitorAdmitted", {"visitor": "v1", "name": "Guest", "kind": "guest"}),
    ("VisitorAdmitted", {"visitor": "v2", "name": "Watcher", "kind": "observer"}),
    ("AgendaItemStarted", {"item": "i1", "title": "Reports"}),
    ("PaperAdded", {"paper": "p1", "item": "i1", "name": "Report", "version": 1, "sha256": HASH}),
    ("FloorGranted", {"member": "binh", "turn": "t1", "kind": "pro", "limit_s": 180}),
    ("FloorGranted", {"member": "v1", "turn": "t2", "kind": "point-of-order", "limit_s": 0}),
    ("FloorWithdrawn", {"member": "v1", "turn": "t2", "spoken_s": 9}),
    ("FloorWithdrawn", {"member": "binh", "turn": "t1", "spoken_s": 130}),
    ("QueueClosed", {}),
    ("QueueOpened", {}),
    ("MemberDeparted", {"member": "binh", "reason": "lost", "until": START + 1000}),
    ("QuorumLost", {"present": 19, "needed": 20}),
    ("MemberReturned", {"member": "binh"}),
    ("DeputyPresides", {"from": "an", "to": "binh", "name": "Binh"}),
    ("ChairResumed", {"member": "an", "name": "An"}),
    ("ChairHandedOver", {"from": "an", "to": "binh", "name": "Binh"}),
    ("ClosedSessionBegan", {"sites": ["main"], "visitors": ["v1"], "reason": "a dismissal"}),
    ("ClosedSessionAdmitted", {"site": "main", "visitor": "", "admitted": False}),
    ("ClosedSessionAdmitted", {"site": "", "visitor": "v2", "admitted": True}),
    ("ClosedSessionEnded", {}),
    ("ClosedSessionBegan", {"sites": [], "visitors": []}),
    ("ClosedSessionEnded", {}),
    ("RecessBegan", {"until": START + 3000}),
    ("MeetingResumed", {}),
    ("RecessBegan", {"until": 0}),
    ("MeetingAdjourned", {"continues_at": START + 86_400}),
    ("MeetingAdjourned", {"continues_at": 0}),
    ("MeetingContinued", {}),
    ("AgendaItemStarted", {"item": "i2", "title": "Budget 2027"}),
    (
        "MotionSubmitted",
        {
            "motion": "m1",
            "number": "M1",
            "base": "",
            "item": "i2",
            "title": "New roof",
            "hash": HASH,
            "movers": [{"member": "an", "name": "An"}, {"member": "binh", "name": "Binh"}],
        },
    ),
    (
        "MotionSubmitted",
        {
            "motion": "m2",
            "number": "M1-A1",
            "base": "m1",
            "item": "i2",
            "title": "Cheaper",
            "hash": HASH,
            "movers": [{"member": "an", "name": "An"}],
        },
    ),
    ("MotionSeconded", {"motion": "m1", "member": "binh", "name": "Binh"}),
    ("MotionChanged", {"motion": "m1", "title": "New roof", "hash": "B" * 43, "version": 2}),
    ("MotionAdmitted", {"motion": "m1"}),
    ("ConflictDeclared", {"motion": "m1", "member": "an", "name": "An", "declared": True}),
    ("ConflictDeclared", {"motion": "m1", "member": "an", "name": "An", "declared": False}),
    ("TextAmended", {"motion": "m1", "hash": "C" * 43, "by": "m2"}),
    ("AmendmentSetBack", {"motion": "m2"}),
    ("MotionReferred", {"motion": "m2"}),
    ("MotionWithdrawn", {"motion": "m2"}),
    ("ElectionDrafted", {"election": "e1", "title": "Roof", "item": "i2", "motion": "m1"}),
    ("ElectorExcluded", {"election": "e1", "member": "binh", "excluded": True}),
    ("ElectorExcluded", {"election": "e1", "member": "binh", "excluded": False}),
    ("ElectionOpened", {"election": "e1", "manifest": HASH, "present": 21, "title": "Roof", "secrecy": "trustees"}),
    ("VoteTimerSet", {"election": "e1", "ends_at": START + 4000, "reason": ""}),
    ("VoteTimerSet", {"election": "e1", "ends_at": START + 5000, "reason": "slow links"}),
    ("ElectionClosed", {"election": "e1", "cast": 20}),
    (
        "ResultDeclared",
        {
            "election": "e1",
            "title": "Roof",
            "questions": [YES_NO, BOARD],
            "majority": {"kind": "two-thirds", "of": "present"},
            "counts": [[15, 3, 2], [8, 12]],
            "outcome": [
                {"kind": "carried", "options": [0], "tied": [], "votes": [15, 3, 2]},
                {"kind": "elected", "options": [1], "tied": [], "votes": [8, 12]},
            ],
            "halls": [
                {"site": "h7", "name": "Hall seven", "state": "late", "ballots": 3},
                {"site": "main", "name": "", "state": "unreachable", "ballots": 0},
            ],
        },
    ),
    ("MotionDecided", {"motion": "m1", "outcome": "carried", "election": "e1"}),
    ("ResolutionAdopted", {"resolution": "2027/1", "motion": "m1", "title": "New roof", "hash": HASH}),
    ("ElectionOpened", {"election": "e2", "manifest": HASH, "present": 21, "title": "Wall", "secrecy": "open"}),
    ("ElectionAborted", {"election": "e2", "reason": "wrong text."}),
    ("ElectionOpened", {"election": "e3", "manifest": HASH, "present": 4, "title": "Door", "secrecy": "roll-call"}),
    ("ElectionVoided", {"election": "e3"}),
    (
        "ResultDeclared",
        {
            "election": "e3",
            "title": "Door",
            "questions": [YES_NO],
            "majority": {"kind": "simple", "of": "cast"},
            "counts": [],
            "outcome": [{"kind": "too-few", "options": [], "tied": [], "votes": []}],
        },
    ),
    ("AgendaItemDeferred", {"item": "i2"}),
    ("MemberRemoved", {"member": "binh", "name": "Binh"}),
    ("MemberReadmitted", {"member": "binh", "name": "Binh"}),
    ("VisitorRemoved", {"visitor": "v1", "name": "Guest"}),
    ("SiteAdded", {"site": "h7", "name": "Hall 7", "expected": 12, "custodian": "an", "custodian_name": "An"}),
    ("SiteConnected", {"site": "main"}),
    ("SiteConnected", {"site": "h7"}),
    ("SiteChanged", {"site": "h7", "name": "Hall seven", "expected": 12, "custodian": "an", "custodian_name": "An"}),
    ("SeatsSigned", {"site": "h7", "count": 12, "missing": 2, "extra": 3, "hash": HASH}),
    ("SiteLost", {"site": "h7"}),
    ("RelayCaughtUp", {"site": "h7", "entries": 41, "refused": 2, "from": START + 900}),
    ("SiteRejoined", {"site": "h7"}),
    ("SiteConnected", {"site": "h7"}),
    ("SeatDisputed", {"dispute": "d1", "member": "binh", "name": "Binh", "sites": ["h7", "remote"]}),
    ("SeatDisputed", {"dispute": "d2", "member": "cara", "name": "Cara", "sites": ["h7", "main"]}),
    ("DisputeDecided", {"dispute": "d1", "decision": "keep"}),
    ("DisputeDecided", {"dispute": "d2", "decision": "remove"}),
    ("PresenceAsked", {"presence": "p1", "site": "", "asked": 21, "until": START + 9000}),
    ("PresenceConfirmed", {"presence": "p1", "confirmed": 5}),
    ("PresenceConfirmed", {"presence": "p1", "confirmed": 18}),
    ("PresenceMissed", {"presence": "p1", "missed": 3}),
    ("AgendaItemStarted", {"item": "i1", "title": "Reports"}),
    ("AgendaItemStarted", {"item": "i3", "title": ""}),
    ("MemberDeparted", {"member": "an", "reason": "closed", "until": START + 7000}),
    ("MeetingClosed", {}),
    ("MeetingCancelled", {"reason": "never mind"}),
)


def example() -> list[StoredEvent]:
    """Return the log, a minute and ten seconds between events."""
    return [
        StoredEvent(seq, "meeting", seq, kind, START + 70 * seq, dict(body))
        for seq, (kind, body) in enumerate((*_BEFORE, *_COURSE), start=1)
    ]
