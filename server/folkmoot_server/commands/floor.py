"""Hands, the floor, and order in the room."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import attendance, rights
from folkmoot_server.domain import floor
from folkmoot_server.domain.attendance import Departure, Seat
from folkmoot_server.domain.errors import Forbidden, WrongState
from folkmoot_server.domain.floor import Change
from folkmoot_server.domain.meetings import Act, FloorMode, Meeting, advance
from folkmoot_server.domain.roles import Action, Role
from folkmoot_server.storage import events, meetings, members, seats, units


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who may be heard: in chaired mode the chairs and, in the order of granting, who has the floor (member ids)."""

    mode: FloorMode
    chairs: tuple[str, ...]
    granted: tuple[str, ...]
    muted: tuple[str, ...]


def speakers(tx: Connection, meeting_id: str, now: int) -> Speakers:
    """Return who may be heard in a meeting, and who is muted."""
    meeting = meetings.get(tx, meeting_id)
    present = seats.present(tx, meeting_id)
    chairs = members.holders(tx, Role.CHAIR, units.lineage(tx, meeting.unit), now)
    granted = sorted((seat.floor_at, seat.member) for seat in present if seat.floor_at)
    return Speakers(
        meeting.floor_mode,
        tuple(chair.id for chair in chairs),
        tuple(member for _, member in granted),
        tuple(seat.member for seat in present if seat.muted),
    )


def _led(tx: Connection, meeting_id: str, actor: str, act: Act, now: int) -> Meeting:
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.LEAD_MEETING, meeting.unit, now)
    advance(meeting.state, act)
    return meeting


def _seat(tx: Connection, meeting_id: str, member: str) -> Seat:
    seat = seats.find(tx, meeting_id, member)
    if seat is None:
        raise WrongState("attendance.not-checked-in", "The member has not checked in to this meeting.")
    return seat


def _change(tx: Connection, meeting_id: str, member: str, change: Change, now: int) -> int:
    seat = _seat(tx, meeting_id, member)
    outcome = floor.apply(seat, change, now)
    if outcome.seat != seat:
        seats.save(tx, outcome.seat)
    seq = meetings.get(tx, meeting_id).last_seq
    for kind in outcome.events:
        seq = events.append(tx, meeting_id, kind, now, {"member": member})
    return seq


def raise_hand(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Ask to speak; return the seq of the event, or of the last one when the hand is up already.

    Raises:
        NotFound, WrongState: no such meeting, not in session, or the member is not in the room.
    """
    advance(meetings.get(tx, meeting_id).state, Act.RAISE_HAND)
    return _change(tx, meeting_id, member, Change.RAISE, now)


def lower_hand(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Take the own hand down; return the seq of the event, or of the last one.

    Raises:
        NotFound, WrongState: no such meeting, not in session, or the member is not in the room.
    """
    advance(meetings.get(tx, meeting_id).state, Act.LOWER_HAND)
    return _change(tx, meeting_id, member, Change.LOWER, now)


def grant_floor(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Give a member the floor, which takes the hand down and lifts a mute; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or the member is not there.
    """
    _led(tx, meeting_id, actor, Act.GRANT_FLOOR, now)
    _change(tx, meeting_id, member, Change.GRANT, now)
    return unmute(tx, meeting_id, actor, member, now)


def withdraw_floor(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Take the floor from a member; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or the member is not there.
    """
    _led(tx, meeting_id, actor, Act.WITHDRAW_FLOOR, now)
    return _change(tx, meeting_id, member, Change.WITHDRAW, now)


def set_mode(tx: Connection, meeting_id: str, actor: str, mode: FloorMode, now: int) -> int:
    """Choose who may be heard; return the event's seq, or the last one's when it is so already.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or not in session.
    """
    meeting = _led(tx, meeting_id, actor, Act.SET_FLOOR_MODE, now)
    if meeting.floor_mode is mode:
        return meeting.last_seq
    meetings.save(tx, replace(meeting, floor_mode=mode))
    return events.append(tx, meeting_id, "FloorModeSet", now, {"mode": mode.value})


def mute(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Tell that the chair muted a member; return the event's seq. The member may lift it again.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or the member is not there.
    """
    _led(tx, meeting_id, actor, Act.MUTE, now)
    seat = _seat(tx, meeting_id, member)
    if not seat.present:
        raise WrongState("attendance.not-present", "The member is not in the room.")
    seats.save(tx, replace(seat, muted=True))
    return events.append(tx, meeting_id, "MemberMuted", now, {"member": member, "muted": True})


def mute_all(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """Tell that the chair muted everyone but the chair; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or not in session.
    """
    _led(tx, meeting_id, actor, Act.MUTE_ALL, now)
    for seat in seats.present(tx, meeting_id):
        if seat.member != actor:
            seats.save(tx, replace(seat, muted=True))
    return events.append(tx, meeting_id, "AllMuted", now, {})


def unmute(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Lift a mute: one's own, or any as chair; return the event's seq, or the last one's when nobody was muted.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or the member is not there.
    """
    meeting = meetings.get(tx, meeting_id)
    if member != actor:
        rights.require(tx, actor, Action.LEAD_MEETING, meeting.unit, now)
    advance(meeting.state, Act.UNMUTE)
    seat = _seat(tx, meeting_id, member)
    if not seat.present:
        raise WrongState("attendance.not-present", "The member is not in the room.")
    if not seat.muted:
        return meeting.last_seq
    seats.save(tx, replace(seat, muted=False))
    return events.append(tx, meeting_id, "MemberMuted", now, {"member": member, "muted": False})


def remove(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Send a member out of the room and bar the way back; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, oneself or another chair, not in session, or
            the member never checked in.
    """
    meeting = _led(tx, meeting_id, actor, Act.REMOVE, now)
    if Role.CHAIR in rights.roles_on(tx, member, meeting.unit, now):
        raise Forbidden("meeting.chair-stays", "A chair cannot be removed from the meeting.")
    seat = _seat(tx, meeting_id, member)
    if seat.removed:
        raise WrongState("meeting.removed-already", "The member has been removed already.")
    if seat.present:
        attendance.depart(tx, seat, Departure.REMOVED, now, now)
        seat = _seat(tx, meeting_id, member)
    seats.save(tx, replace(seat, removed=True, departed=Departure.REMOVED))
    seq = events.append(tx, meeting_id, "MemberRemoved", now, {"member": member})
    attendance.update_quorum(tx, meeting_id, now)
    return seq


def readmit(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Let a removed member back in; the next lease takes the seat again. Return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or the member was not removed.
    """
    _led(tx, meeting_id, actor, Act.READMIT, now)
    seat = _seat(tx, meeting_id, member)
    if not seat.removed:
        raise WrongState("meeting.not-removed", "The member has not been removed.")
    seats.save(tx, replace(seat, removed=False, departed=Departure.LOST))
    return events.append(tx, meeting_id, "MemberReadmitted", now, {"member": member})
