"""Hands, the floor, and order in the room, by the rights of who commands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import attendance, closed_sessions, presiding, rights, speaking
from folkmoot_server.domain.attendance import REMOTE, Departure, Seat
from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound, WrongState
from folkmoot_server.domain.meetings import Act, FloorMode, Meeting, advance
from folkmoot_server.domain.relays import State as RelayState
from folkmoot_server.domain.relays import site_of_seat, site_seat
from folkmoot_server.domain.roles import Role
from folkmoot_server.domain.speaking import Rules, Speaker, TurnState, Wish
from folkmoot_server.domain.visitors import State
from folkmoot_server.storage import events, meetings, members, relays, seats, sites, units, visitors
from folkmoot_server.storage import speaking as speaking_store


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who may be heard: in chaired mode the chairs and who has the floor, unless paused (ids of persons).

    `halls` has the members who are present at each hall, by the hall's own seat: of those one is heard at a time.
    """

    mode: FloorMode
    chairs: tuple[str, ...]
    granted: tuple[str, ...]
    muted: tuple[str, ...]
    halls: dict[str, tuple[str, ...]]


def speakers(tx: Connection, meeting_id: str, now: int) -> Speakers:
    """Return who may be heard in a meeting, and who is muted.

    Who has the floor in a hall, or presides there, is heard by the hall's own microphone.
    """
    meeting = meetings.get(tx, meeting_id)
    present = seats.present(tx, meeting_id)
    chairs = members.holders(tx, Role.CHAIR, units.lineage(tx, meeting.unit), now)
    granted = [turn.person for turn in speaking_store.in_states(tx, meeting_id, [TurnState.SPEAKING])]
    heard = {*granted, meeting.presiding}
    halls: dict[str, tuple[str, ...]] = {}
    for seat in present:
        if seat.site != REMOTE:
            name = site_seat(seat.site)
            halls[name] = (*halls.get(name, ()), seat.member)
    rooms = {name for name, there in halls.items() if heard.intersection(there)}
    granted += sorted(rooms - set(granted))
    # Visitors are heard with the floor only, in whatever mode the room is.
    silent = [visitor.id for visitor in visitors.admitted(tx, meeting_id) if visitor.id not in granted]
    return Speakers(
        meeting.floor_mode,
        tuple(chair.id for chair in chairs),
        tuple(granted),
        (*(seat.member for seat in present if seat.muted), *silent),
        halls,
    )


def _led(tx: Connection, meeting_id: str, actor: str, act: Act, now: int) -> Meeting:
    meeting = meetings.get(tx, meeting_id)
    presiding.require_chair(tx, meeting, actor, now)
    advance(meeting.state, act)
    return meeting


def _seat(tx: Connection, meeting_id: str, member: str) -> Seat:
    seat = seats.find(tx, meeting_id, member)
    if seat is None:
        raise WrongState("attendance.not-checked-in", "The member has not checked in to this meeting.")
    return seat


def _present(tx: Connection, meeting_id: str, member: str) -> Seat:
    seat = _seat(tx, meeting_id, member)
    if not seat.present:
        raise WrongState("attendance.not-present", "The member is not in the room.")
    return seat


def speaker(tx: Connection, meeting: Meeting, person: str) -> Speaker:
    """Return who is in the room as a speaker: name, and the unit below the meeting's whose time it is.

    A hall that is connected or has a relay speaks by its own seat, the hall's microphone.

    Raises:
        WrongState: never checked in, or not in the room now.
        NotFound: no such hall, or it is neither connected nor has a relay.
    """
    site = site_of_seat(person)
    if site is not None:
        found = sites.get(tx, meeting.id, site)
        if not found.live and not relays.of_site(tx, meeting.id, site, RelayState.ENROLLED):
            raise NotFound("relay.none", "This site has no relay.")
        return Speaker(person, found.name)
    visitor = visitors.find(tx, meeting.id, person)
    if visitor is not None and visitor.state is State.ADMITTED:
        return Speaker(person, visitor.name)
    _present(tx, meeting.id, person)
    member = members.get(tx, person)
    return Speaker(person, member.name, speaking_store.group_of(tx, meeting.unit, member.unit))


def raise_hand(tx: Connection, meeting_id: str, member: str, now: int, wish: Wish = Wish()) -> int:
    """Ask to speak; return the seq of the event, or of the last one when the same wish is in the queue already.

    Raises:
        NotFound, WrongState: no such meeting, not in session, or the member is not in the room.
        Forbidden: the chair has removed the member.
        Conflict: a wish of another kind is open, or the queue is closed.
        BadInput: a category that does not fit.
    """
    meeting = meetings.get(tx, meeting_id)
    advance(meeting.state, Act.RAISE_HAND)
    rights.require_not_removed(tx, meeting_id, member)
    return speaking.ask(tx, meeting_id, speaker(tx, meeting, member), wish, now)


def lower_hand(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Take the own hand down; return the seq of the event, or of the last one.

    Raises:
        NotFound, WrongState: no such meeting, not in session, or the member is not in the room.
    """
    meeting = meetings.get(tx, meeting_id)
    advance(meeting.state, Act.LOWER_HAND)
    speaker(tx, meeting, member)
    return speaking.lower(tx, meeting_id, member, now)


def grant_floor(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Give somebody the floor, which takes the hand down, ends other turns and lifts a mute; return the last seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or the member is not there.
        Forbidden: a hall or a visitor outside of a closed session.
    """
    meeting = _led(tx, meeting_id, actor, Act.GRANT_FLOOR, now)
    outside = closed_sessions.speaker_outside(tx, meeting, member, now)
    if outside is not None:
        raise outside
    seq = speaking.grant(tx, meeting_id, speaker(tx, meeting, member), now)
    if seats.find(tx, meeting_id, member) is None:
        return seq  # a visitor: heard with the floor, and never without it
    return unmute(tx, meeting_id, actor, member, now)


def withdraw_floor(tx: Connection, meeting_id: str, actor: str, member: str, now: int) -> int:
    """Take the floor from somebody; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or the member is not there.
    """
    meeting = _led(tx, meeting_id, actor, Act.WITHDRAW_FLOOR, now)
    speaker(tx, meeting, member)
    return speaking.take(tx, meeting_id, member, now)


def yield_floor(tx: Connection, meeting_id: str, person: str, now: int) -> int:
    """Return the own floor; return the event's seq, or the last one's when somebody else has it.

    Raises:
        NotFound, WrongState: no such meeting, or not in session.
    """
    advance(meetings.get(tx, meeting_id).state, Act.LOWER_HAND)
    return speaking.take(tx, meeting_id, person, now)


def next_speaker(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """End the running turn and give the floor to the first of the queue who may hear; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or not in session.
        Conflict: nobody waits; the running turn goes on.
    """
    meeting = _led(tx, meeting_id, actor, Act.GRANT_FLOOR, now)
    for turn in speaking.in_order(tx, meeting_id):
        if closed_sessions.speaker_outside(tx, meeting, turn.person, now) is None:
            return grant_floor(tx, meeting_id, actor, turn.person, now)
    raise Conflict("floor.queue-empty", "Nobody is waiting to speak.")


def pause_turn(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """Stop the clock of who speaks and silence them; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or nobody speaks.
    """
    _led(tx, meeting_id, actor, Act.GRANT_FLOOR, now)
    return speaking.pause(tx, meeting_id, now)


def resume_turn(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """Let who was paused speak again; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, or nobody is paused.
    """
    _led(tx, meeting_id, actor, Act.GRANT_FLOOR, now)
    return speaking.resume(tx, meeting_id, now)


def extend_turn(tx: Connection, meeting_id: str, actor: str, seconds: int, now: int) -> int:
    """Give who speaks more time; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not in session, nobody speaks, or no limit.
        BadInput: fewer than 15 or more than 600 seconds.
    """
    _led(tx, meeting_id, actor, Act.GRANT_FLOOR, now)
    return speaking.extend(tx, meeting_id, seconds, now)


def close_queue(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """Take points of order only from now on; return the event's seq, or the last one's.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or not in session.
    """
    _led(tx, meeting_id, actor, Act.WITHDRAW_FLOOR, now)
    return speaking.set_queue(tx, meeting_id, False, now)


def open_queue(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """Take every wish to speak again; return the event's seq, or the last one's.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or not in session.
    """
    _led(tx, meeting_id, actor, Act.WITHDRAW_FLOOR, now)
    return speaking.set_queue(tx, meeting_id, True, now)


def set_speaking_rules(tx: Connection, meeting_id: str, actor: str, wanted: Rules, now: int) -> int:
    """Set the times of turns, before the meeting too; whether the queue is open stays. Return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or the meeting is over.
    """
    meeting = _led(tx, meeting_id, actor, Act.WRITE_QUESTION, now)
    is_open = speaking_store.rules(tx, meeting.id).queue_open
    return speaking.set_rules(tx, meeting.id, replace(wanted, queue_open=is_open), now)


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
    seats.save(tx, replace(_present(tx, meeting_id, member), muted=True))
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
        presiding.require_chair(tx, meeting, actor, now)
    advance(meeting.state, Act.UNMUTE)
    seat = _present(tx, meeting_id, member)
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
    name = members.get(tx, member).name
    seq = events.append(tx, meeting_id, "MemberRemoved", now, {"member": member, "name": name})
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
    name = members.get(tx, member).name
    return events.append(tx, meeting_id, "MemberReadmitted", now, {"member": member, "name": name})
