"""Who presides: one chair at a time, signed hand-overs, and a deputy when the chair's link is lost."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.commands.identity import StepUp, evidence_of, signed_action
from folkmoot_server.domain import presiding
from folkmoot_server.domain.errors import Conflict, Forbidden, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.meetings import IN_SESSION, Act, Meeting, advance
from folkmoot_server.domain.presiding import Holder
from folkmoot_server.domain.roles import Action, Role
from folkmoot_server.storage import events, meetings, members, notices, seats, units


def require_chair(tx: Connection, meeting: Meeting, actor: str, now: int) -> None:
    """Refuse unless the actor holds the role chair on the meeting's unit and nobody else presides.

    Raises:
        Forbidden: no such role (`role.missing`), or another chair presides (`chair.not-presiding`).
    """
    rights.require(tx, actor, Action.LEAD_MEETING, meeting.unit, now)
    if meeting.presiding not in ("", actor):
        raise Forbidden("chair.not-presiding", "Another chair presides over this meeting.")


def holders(tx: Connection, meeting: Meeting, now: int) -> list[Holder]:
    """Return the present holders of the role chair, first those who checked in first."""
    ids = {
        one.id
        for one in members.holders(tx, Role.CHAIR, units.lineage(tx, meeting.unit), now)
        if rights.allowed(tx, one.id, Action.LEAD_MEETING, meeting.unit, now)
    }
    arrived = seats.arrivals(tx, meeting.id)
    here = [Holder(seat.member, arrived[seat.member], seat.lease_at) for seat in seats.present(tx, meeting.id)]
    return sorted((one for one in here if one.member in ids), key=lambda one: (one.since, one.member))


def offer(tx: Connection, meeting_id: str, session: SessionInfo, to: str, step_up: StepUp, now: int) -> None:
    """Offer the chair to another present holder of the role, or take the offer back with an empty `to`.

    Raises:
        NotFound, WrongState: no such meeting, not in session, or there is no offer to take back.
        Forbidden: the actor does not preside.
        Conflict: the other one is oneself, no chair, or not present.
        Refused: the step-up does not fit.
    """
    meeting = meetings.get(tx, meeting_id)
    require_chair(tx, meeting, session.member_id, now)
    advance(meeting.state, Act.CHANGE_CHAIR)
    if to and (to == session.member_id or to not in {one.member for one in holders(tx, meeting, now)}):
        raise Conflict("chair.not-available", "The chair is handed to somebody else who is a chair and is present.")
    if to == meeting.offered_to == "":
        raise WrongState("chair.no-offer", "The chair is not offered to anybody.")
    expected = {"type": "hand-over", "meeting": meeting_id, "to": to}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)
    evidence = evidence_of(expected, step_up.signed)
    notices.keep_signed(tx, meeting_id, session.member_id, "hand-over", now, evidence)
    meetings.save(tx, replace(meeting, offered_to=to))
    name = members.get(tx, to).name if to else ""
    events.append(tx, meeting_id, "HandoverOffered", now, {"from": session.member_id, "to": to, "name": name})


def accept(tx: Connection, meeting_id: str, session: SessionInfo, step_up: StepUp, now: int) -> None:
    """Take the chair that was offered; from now on the actor presides.

    Raises:
        NotFound, WrongState: no such meeting, not in session, or the chair is not offered to the actor.
        Forbidden: the actor is no chair any more.
        Conflict: the actor is not present.
        Refused: the step-up does not fit.
    """
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, session.member_id, Action.LEAD_MEETING, meeting.unit, now)
    advance(meeting.state, Act.CHANGE_CHAIR)
    if meeting.offered_to != session.member_id:
        raise WrongState("chair.no-offer", "The chair is not offered to you.")
    _require_present(tx, meeting_id, session.member_id)
    expected = {"type": "accept-chair", "meeting": meeting_id, "from": meeting.presiding}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)
    evidence = evidence_of(expected, step_up.signed)
    notices.keep_signed(tx, meeting_id, session.member_id, "accept-chair", now, evidence)
    meetings.save(tx, replace(meeting, presiding=session.member_id, offered_to="", lost_chair=""))
    _tell(tx, meeting, "ChairHandedOver", session.member_id, now)


def resume_chair(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """Take the chair back from a deputy, after one's own link was lost; return the event's seq.

    Raises:
        NotFound, WrongState: no such meeting, not in session, or the actor did not lose it to a deputy.
        Forbidden: the actor is no chair any more.
        Conflict: the actor is not present, or was not heard since.
    """
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.LEAD_MEETING, meeting.unit, now)
    advance(meeting.state, Act.CHANGE_CHAIR)
    if meeting.lost_chair != actor:
        raise WrongState("chair.nothing-to-resume", "No deputy has taken your place.")
    # Who is still not heard would lose the chair again at the next look.
    _require_present(tx, meeting_id, actor, heard_since=events.last_at(tx, meeting_id, "DeputyPresides"))
    meetings.save(tx, replace(meeting, presiding=actor, offered_to="", lost_chair=""))
    body = {"member": actor, "name": members.get(tx, actor).name}
    return events.append(tx, meeting_id, "ChairResumed", now, body)


def due(tx: Connection, now: int, lost_s: int, watching_since: int) -> list[tuple[str, str]]:
    """Return each meeting whose presiding chair is lost, with the deputy who takes the place."""
    found = []
    for meeting in meetings.in_states(tx, IN_SESSION):
        if meeting.presiding and not _is_heard(tx, meeting, now, lost_s, watching_since):
            deputy = presiding.deputy(
                holders(tx, meeting, now), meeting.presiding, now=now, lost_s=lost_s, watching_since=watching_since
            )
            if deputy is not None:
                found.append((meeting.id, deputy))
    return found


def deputise(tx: Connection, now: int, lost_s: int, watching_since: int) -> None:
    """Let deputies preside where the chair's link is lost. Sent by the scheduler."""
    for meeting_id, deputy in due(tx, now, lost_s, watching_since):
        meeting = meetings.get(tx, meeting_id)
        # Who presided in good order gets the chair back, not a deputy who was lost as well.
        lost = meeting.lost_chair or meeting.presiding
        lost = "" if lost == deputy else lost
        meetings.save(tx, replace(meeting, presiding=deputy, offered_to="", lost_chair=lost))
        _tell(tx, meeting, "DeputyPresides", deputy, now)


def _is_heard(tx: Connection, meeting: Meeting, now: int, lost_s: int, watching_since: int) -> bool:
    """Say whether the presiding chair is there for certain, without looking at everybody else."""
    seat = seats.find(tx, meeting.id, meeting.presiding)
    if seat is None or not seat.present or now - max(seat.lease_at, watching_since) >= lost_s:
        return False
    return rights.allowed(tx, meeting.presiding, Action.LEAD_MEETING, meeting.unit, now)


def _require_present(tx: Connection, meeting_id: str, member: str, heard_since: int = 0) -> None:
    seat = seats.find(tx, meeting_id, member)
    if seat is None or not seat.present or seat.lease_at < heard_since:
        raise Conflict("chair.not-present", "Only who is in the room can preside; please check in.")


def _tell(tx: Connection, meeting: Meeting, kind: str, to: str, now: int) -> None:
    body = {"from": meeting.presiding, "to": to, "name": members.get(tx, to).name}
    events.append(tx, meeting.id, kind, now, body)
