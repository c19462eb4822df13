"""What the chair may do about a vote that is open: break it off, or announce how long it stays open."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands import motion_votes
from folkmoot_server.commands.identity import StepUp, evidence_of, signed_action
from folkmoot_server.commands.presiding import require_chair
from folkmoot_server.domain.elections import Phase, Verb, follow
from folkmoot_server.domain.errors import BadInput, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.meetings import Act, advance
from folkmoot_server.storage import elections, events, meetings, notices


def abort(
    tx: Connection, meeting: str, election: str, session: SessionInfo, reason: str, step_up: StepUp, now: int
) -> None:
    """Break off a vote: it is void, and its box stays shut; the signed reason is kept.

    Raises:
        NotFound, Forbidden: no such election, or the actor does not preside.
        WrongState: the meeting is not in session, or the vote is not open.
        Refused: the step-up does not fit.
    """
    facts = meetings.get(tx, meeting)
    require_chair(tx, facts, session.member_id, now)
    advance(facts.state, Act.ABORT_ELECTION)
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.ABORT)
    expected = {"type": "abort-election", "meeting": meeting, "election": election, "reason": reason}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)
    evidence = evidence_of(expected, step_up.signed)
    notices.keep_signed(tx, meeting, session.member_id, "abort-election", now, evidence)
    elections.save(tx, stored, state)
    events.append(tx, meeting, "ElectionAborted", now, {"election": election, "reason": reason})
    motion_votes.release(tx, stored, now)


def set_timer(tx: Connection, meeting: str, election: str, member: str, ends_at: int, reason: str, now: int) -> None:
    """Announce until when a vote that the chair closes stays open, or with 0 nothing any more.

    Raises:
        NotFound, Forbidden: no such election, or the actor does not preside.
        WrongState: the meeting is not in session, the vote is not open, ends by itself, or an announced time would
            come earlier.
        BadInput: the time is past or after the vote's time limit, or a later time lacks its reason.
    """
    facts = meetings.get(tx, meeting)
    require_chair(tx, facts, member, now)
    advance(facts.state, Act.SET_VOTE_TIMER)
    stored = elections.get(tx, meeting, election)
    if stored.state is not Phase.OPEN:
        raise WrongState("election.not-open", "This vote is not open.")
    if stored.closes_at:
        raise WrongState("election.end-fixed", "This vote ends at the time that it was opened with.")
    before = elections.timer(tx, election)
    if ends_at and not now < ends_at < stored.time_limit:
        raise BadInput("election.bad-end", "A vote stays open until a time in the future, before its time limit.")
    if now < before and ends_at < before:
        raise WrongState("election.timer-running", "It was announced that this vote stays open longer.")
    if before and ends_at > before and not reason:
        raise BadInput("election.no-reason", "Say why the vote stays open longer than announced.")
    if ends_at == before:
        return
    elections.set_timer(tx, election, ends_at)
    kept = reason if before and ends_at > before else ""
    body = {"election": election, "ends_at": ends_at, "reason": kept}
    events.append(tx, meeting, "VoteTimerSet", now, body)
