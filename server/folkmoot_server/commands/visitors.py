"""The lobby: who asks to come in, whom the chair admits, and what somebody is in a meeting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import attendance, closed_sessions, presiding, rights, speaking
from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound, WrongState
from folkmoot_server.domain.identity import GuestSession, SessionInfo
from folkmoot_server.domain.meetings import ROOM_STATES, Meeting
from folkmoot_server.domain.papers import Standing
from folkmoot_server.domain.roles import Role
from folkmoot_server.domain.speaking import ON_FLOOR
from folkmoot_server.domain.visitors import EVENTS, Act, Kind, State, Visitor, advance
from folkmoot_server.storage import events, meetings, members, rolls, seats, visitors
from folkmoot_server.storage import speaking as turns

OVER = ("closed", "cancelled")
Caller = SessionInfo | GuestSession


@dataclass(frozen=True, slots=True)
class Presence:
    """What somebody is in a meeting; `checked_in` is a member with an open interval, `admitted` a visitor."""

    meeting: Meeting
    person: str
    name: str
    guest: bool
    roles: frozenset[Role]
    entitled: bool
    checked_in: bool
    admitted: bool

    @property
    def office(self) -> bool:
        """Whether it is the chair or the secretary."""
        return not self.roles.isdisjoint({Role.CHAIR, Role.SECRETARY})

    @property
    def standing(self) -> Standing:
        """What papers they may see."""
        return Standing(self.office, self.entitled or bool(self.roles - {Role.MEMBER}))


def presence(tx: Connection, meeting_id: str, caller: Caller, now: int) -> Presence:
    """Return what the caller is in a meeting.

    Raises:
        NotFound: no such meeting for this caller.
        Forbidden: a guest whom the chair has not admitted.
    """
    if isinstance(caller, GuestSession):
        return _guest(tx, meeting_id, caller)
    meeting = meetings.get(tx, meeting_id)
    member = caller.member_id
    if not rights.may_read(tx, member, meeting.unit, now):
        raise NotFound("meeting.unknown", "There is no such meeting.")
    seat, visitor = seats.find(tx, meeting_id, member), visitors.find(tx, meeting_id, member)
    removed = seat is not None and seat.removed
    return Presence(
        meeting=meeting,
        person=member,
        name=members.get(tx, member).name,
        guest=False,
        roles=rights.roles_on(tx, member, meeting.unit, now),
        entitled=is_entitled(tx, meeting, member, now),
        checked_in=seat is not None and seat.present and not removed,
        admitted=visitor is not None and visitor.state is State.ADMITTED and not removed,
    )


def _guest(tx: Connection, meeting_id: str, caller: GuestSession) -> Presence:
    visitor = visitors.find(tx, caller.meeting, caller.visitor)
    if meeting_id != caller.meeting or visitor is None:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    meeting = meetings.get(tx, meeting_id)
    if visitor.state is not State.ADMITTED or meeting.state.value in OVER:
        raise Forbidden("guest.not-admitted", "The chair has not admitted you to this meeting.")
    return Presence(
        meeting=meeting,
        person=visitor.id,
        name=visitor.name,
        guest=True,
        roles=frozenset(),
        entitled=False,
        checked_in=False,
        admitted=True,
    )


def is_entitled(tx: Connection, meeting: Meeting, member: str, now: int) -> bool:
    """Say whether the member stands in the frozen roll or, before the freeze, holds the role for it."""
    found = rolls.find(tx, meeting.id)
    if found is None or found.statement is None:
        return members.is_elector(tx, member, meeting.unit, now)
    return rolls.entry(tx, meeting.id, member) is not None


def ask(tx: Connection, meeting_id: str, caller: SessionInfo, now: int) -> str:
    """Let an observer ask to come in; asking twice changes nothing. Return the visitor's id.

    Raises:
        NotFound, Forbidden: no such meeting for this member, or the chair removed or refused them.
        WrongState: the meeting is not in session.
        Conflict: the member may vote here and checks in instead.
    """
    here = presence(tx, meeting_id, caller, now)
    rights.require_not_removed(tx, meeting_id, here.person)
    if here.meeting.state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    if here.entitled:
        raise Conflict("lobby.elector", "You may vote in this meeting; please check in.")
    known = visitors.find(tx, meeting_id, here.person)
    if known is not None and known.here:
        return known.id
    wait(tx, known or Visitor(meeting_id, here.person, Kind.OBSERVER, here.name, State.LEFT, now), now)
    return here.person


def wait(tx: Connection, visitor: Visitor, now: int) -> None:
    """Put a visitor into the lobby.

    Raises:
        Forbidden: the chair removed or refused them.
    """
    if visitor.state in (State.REFUSED, State.REMOVED):
        raise Forbidden("lobby.refused", "The chair does not let you in.")
    state = advance(visitor.state, Act.ASK)
    visitors.save(tx, replace(visitor, state=state, at=now, back="", since=0, seen_at=now))
    closed_sessions.forget_visitor(tx, visitor.meeting, visitor.id, now)
    body = {"visitor": visitor.id, "kind": visitor.kind.value}
    events.append(tx, visitor.meeting, EVENTS[Act.ASK], now, body)


def decide(tx: Connection, meeting_id: str, actor: str, visitor_id: str, act: Act, now: int) -> None:
    """Admit, refuse or remove a visitor.

    Raises:
        Forbidden, NotFound, WrongState: no chair, no such visitor, the meeting is over, or the visitor's state does
            not allow it.
    """
    meeting = meetings.get(tx, meeting_id)
    presiding.require_chair(tx, meeting, actor, now)
    if meeting.state.value in OVER:
        raise WrongState("meeting.wrong-state", f"This cannot be done while the meeting is {meeting.state.value}.")
    visitor = visitors.find(tx, meeting_id, visitor_id)
    if visitor is None:
        raise NotFound("lobby.unknown-visitor", "There is no such visitor.")
    # Who was lost for a moment comes back to where they were, unless the chair says otherwise meanwhile.
    state = advance(State(visitor.back or visitor.state), act)
    if act is Act.REMOVE:
        speaking.depart(tx, meeting_id, visitor.id, now, now)
    if act is not Act.ADMIT:
        closed_sessions.forget_visitor(tx, meeting_id, visitor.id, now)
    body = {"visitor": visitor.id}
    if act is not Act.REFUSE:
        body["name"] = visitor.name
    if act is Act.ADMIT:
        body["kind"] = visitor.kind.value
    seq = events.append(tx, meeting_id, EVENTS[act], now, body)
    since = seq if act is Act.ADMIT else visitor.since
    seen_at = now if act is Act.ADMIT else visitor.seen_at
    visitors.save(tx, replace(visitor, state=state, back="", since=since, seen_at=seen_at))


def leave(tx: Connection, meeting_id: str, visitor_id: str, now: int) -> int:
    """Let a visitor go by own wish; return the event's seq.

    Raises:
        NotFound, WrongState: no such visitor, or neither waiting nor in.
    """
    visitor = visitors.find(tx, meeting_id, visitor_id)
    if visitor is None:
        raise NotFound("lobby.unknown-visitor", "There is no such visitor.")
    return _go(tx, visitor, "", now)


def _go(tx: Connection, visitor: Visitor, back: str, now: int) -> int:
    state = advance(visitor.state, Act.LEAVE)
    speaking.depart(tx, visitor.meeting, visitor.id, now, now)
    visitors.save(tx, replace(visitor, state=state, back=back))
    if not back:
        closed_sessions.forget_visitor(tx, visitor.meeting, visitor.id, now)
    # Whom the chair never admitted, the others never knew by name.
    name = visitor.name if visitor.state is State.ADMITTED else ""
    return events.append(tx, visitor.meeting, EVENTS[Act.LEAVE], now, {"visitor": visitor.id, "name": name})


def renew(tx: Connection, meeting_id: str, visitor_id: str, now: int) -> None:
    """Note that a visitor is still there; who was lost for a while comes back to where they were.

    Raises:
        WrongState: the meeting is not in session, or the visitor neither waits nor is in.
    """
    if meetings.get(tx, meeting_id).state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    visitor = visitors.find(tx, meeting_id, visitor_id)
    if visitor is None or not (visitor.here or visitor.back):
        raise WrongState("lobby.not-admitted", "The chair has not admitted you to this meeting.")
    if visitor.here:
        visitors.save(tx, replace(visitor, seen_at=now))
        return
    state = State(visitor.back)
    visitors.save(tx, replace(visitor, state=state, back="", seen_at=now))
    body = {"visitor": visitor.id, "kind": visitor.kind.value}
    if state is State.ADMITTED:
        body["name"] = visitor.name
    events.append(tx, meeting_id, EVENTS[Act.ADMIT if state is State.ADMITTED else Act.ASK], now, body)


def silent(tx: Connection, now: int, lost_s: int, watching_since: int) -> list[Visitor]:
    """Return the visitors of whom nothing was heard for `lost_s` seconds.

    No lease runs while the server is down: silence counts from `watching_since` at the earliest.
    """
    return [] if now - watching_since < lost_s else visitors.silent(tx, now - lost_s + 1)


def expire(tx: Connection, now: int, lost_s: int, watching_since: int) -> None:
    """Let silent visitors go; sent by the scheduler. A later sign of life brings them back."""
    for visitor in silent(tx, now, lost_s, watching_since):
        _go(tx, visitor, visitor.state.value, now)


def has_floor(tx: Connection, meeting_id: str, person: str) -> bool:
    """Say whether somebody speaks now."""
    turn = turns.open_turn(tx, meeting_id, person)
    return turn is not None and turn.state in ON_FLOOR


def leave_room(tx: Connection, meeting_id: str, person: str, now: int) -> int:
    """Let a visitor or a member leave by own wish; return the event's seq.

    Raises:
        WrongState: the meeting is not in session, or nobody of this id is there.
    """
    visitor = visitors.find(tx, meeting_id, person)
    if visitor is not None and visitor.here:
        return _go(tx, visitor, "", now)
    return attendance.leave(tx, meeting_id, person, now)
