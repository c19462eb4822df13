"""What a vote does to its motion: opening, the declared result, and what the result makes of texts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from folkmoot_server.domain.elections import Phase
from folkmoot_server.domain.errors import Conflict, WrongState
from folkmoot_server.domain.motions import LIVE, Motion, MotionState, Verb, carry_amendment, follow, text_hash
from folkmoot_server.storage import elections, events, meetings, members, motions
from folkmoot_server.storage.elections import StoredElection
from folkmoot_server.storage.motions import Resolution, Vote

CONFLICT = "conflict-declared"  # a code, for files that are read in any language


def check_votable(tx: Connection, motion: Motion) -> None:
    """Refuse a vote on a motion before its amendments, or on an amendment that does not fit its base.

    Raises:
        Conflict: undecided amendments, another text, or another amendment is being voted on.
        WrongState: the base is not admitted.
    """
    if not motion.base:
        undecided = [one.number for one in motions.amendments(tx, motion) if one.state in LIVE]
        if undecided:
            raise Conflict(
                "motion.amendments-open",
                f"The amendments come first: {', '.join(undecided)}.",
                {"motions": undecided},
            )
        return
    base = motions.get(tx, motion.meeting, motion.base)
    if base.state is not MotionState.ADMITTED:
        raise WrongState("motion.base-not-admitted", "The motion that this amendment changes is not admitted.")
    if motion.collides or motion.base_hash != base.hash:
        raise Conflict("motion.text-changed", "The text has been changed since; look at the new one first.")
    siblings = motions.amendments(tx, base)
    if any(one.state is MotionState.VOTING and one.id != motion.id for one in siblings):
        raise Conflict("motion.another-voting", "Another amendment to this motion is being voted on.")


def require_votable(tx: Connection, election: str, meeting: str) -> Motion | None:
    """Return the motion that an election decides, if it decides one, and refuse what cannot be opened.

    Raises:
        Conflict, WrongState: as check_votable, the motion is not admitted, or has another text than is cited.
    """
    vote = motions.vote_of(tx, election)
    if vote is None:
        return None
    motion = motions.get(tx, meeting, vote.motion)
    follow(motion.state, Verb.OPEN)
    if motion.hash != vote.hash:
        raise Conflict("motion.text-changed", "The motion has another text now; put that to the vote.")
    check_votable(tx, motion)
    return motion


def begin(tx: Connection, stored: StoredElection, now: int) -> None:
    """Say that the motion of an election that is opened now is being voted on.

    Raises:
        Conflict, WrongState: as require_votable.
    """
    motion = require_votable(tx, stored.id, stored.meeting)
    if motion is not None:
        motions.save(tx, replace(motion, state=follow(motion.state, Verb.OPEN)))
        body = {"motion": motion.id, "election": stored.id}
        events.append(tx, stored.meeting, "MotionPutToVote", now, body)


def exclude_conflicts(tx: Connection, motion: Motion, vote: Vote, now: int) -> None:
    """Leave out of a vote that is not open yet those who have declared a conflict, on its base too, and no others."""
    stored = elections.get(tx, motion.meeting, vote.election)
    if stored.state is not Phase.DRAFT:
        return
    declared = set(motion.conflicts)
    if motion.base:
        declared |= set(motions.get(tx, motion.meeting, motion.base).conflicts)
    left_out = elections.exclusions(tx, vote.election)
    kept = {member for member, reason in left_out.items() if reason == CONFLICT}
    for member in sorted((declared - left_out.keys()) | (kept - declared)):
        excluded = member in declared
        elections.set_exclusion(tx, vote.election, member, CONFLICT if excluded else None)
        name = members.get(tx, member).name
        body = {"election": vote.election, "member": member, "name": name, "excluded": excluded}
        events.append(tx, motion.meeting, "ElectorExcluded", now, body)


def decide(tx: Connection, stored: StoredElection, outcome: str, now: int) -> None:
    """Move the motion of a declared election along; `outcome` is the kind of its only question's outcome."""
    if outcome not in ("carried", "rejected"):
        release(tx, stored, now)
        return
    motion = _voted(tx, stored)
    if motion is None:
        return
    verb = Verb.CARRY if outcome == "carried" else Verb.REJECT
    motion = motions.save(tx, replace(motion, state=follow(motion.state, verb)))
    body = {"motion": motion.id, "outcome": outcome, "election": stored.id}
    events.append(tx, stored.meeting, "MotionDecided", now, body)
    if verb is Verb.CARRY and motion.base:
        _amend(tx, motion, now)
    elif verb is Verb.CARRY:
        _adopt(tx, motion, stored.id, now)


def release(tx: Connection, stored: StoredElection, now: int) -> None:
    """Leave undecided the motion of a vote that is void, aborted, without quorum, or in which too few voted."""
    motion = _voted(tx, stored)
    if motion is not None:
        motions.save(tx, replace(motion, state=follow(motion.state, Verb.RELEASE)))
        body = {"motion": motion.id, "outcome": "undecided", "election": stored.id}
        events.append(tx, stored.meeting, "MotionDecided", now, body)


def _voted(tx: Connection, stored: StoredElection) -> Motion | None:
    vote = motions.vote_of(tx, stored.id)
    return None if vote is None else motions.get(tx, stored.meeting, vote.motion)


def _amend(tx: Connection, amendment: Motion, now: int) -> None:
    base = motions.get(tx, amendment.meeting, amendment.base)
    waiting = (*LIVE, MotionState.DRAFT)
    others = [one for one in motions.amendments(tx, base) if one.state in waiting]
    carried = carry_amendment(base.text, amendment, others)
    base = motions.save(tx, replace(base, text=carried.text, hash=text_hash(carried.text)))
    motions.keep_text(tx, base)
    body = {"motion": base.id, "hash": base.hash, "by": amendment.id}
    events.append(tx, base.meeting, "TextAmended", now, body)
    for before, after in zip(others, carried.others, strict=True):
        collides = after.collides and before.state is not MotionState.DRAFT
        state = follow(before.state, Verb.SET_BACK) if collides else before.state
        motions.save(tx, replace(after, state=state))
        if collides and not before.collides:
            events.append(tx, base.meeting, "AmendmentSetBack", now, {"motion": after.id})


def _adopt(tx: Connection, motion: Motion, election: str, now: int) -> None:
    """Enter a carried motion into its unit's register; what a rehearsal decides is entered nowhere."""
    meeting = meetings.get(tx, motion.meeting)
    if meeting.rehearsal:
        return
    year = datetime.fromtimestamp(now, _zone(meeting.time_zone)).year
    adopted = Resolution(
        motion=motion.id,
        unit=meeting.unit,
        year=year,
        number=motions.next_resolution(tx, meeting.unit, year),
        meeting=meeting.id,
        election=election,
        title=motion.title,
        text=motion.text,
        hash=motion.hash,
        adopted_at=now,
    )
    motions.add_resolution(tx, adopted)
    body = {"resolution": adopted.name, "motion": motion.id, "title": motion.title, "hash": motion.hash}
    events.append(tx, meeting.id, "ResolutionAdopted", now, body)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a machine without a time zone database
        return UTC
