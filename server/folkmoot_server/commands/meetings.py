"""A meeting from its draft to its end: notice, check-in, recess, adjournment, close; and its agenda taken up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import attendance, closed_sessions, presiding, rights, speaking
from folkmoot_server.domain import agenda, notices
from folkmoot_server.domain.agenda import Item, ItemState
from folkmoot_server.domain.attendance import Departure
from folkmoot_server.domain.elections import Phase
from folkmoot_server.domain.errors import BadInput, NotFound, WrongState
from folkmoot_server.domain.ids import Rng, new_id
from folkmoot_server.domain.meetings import Act, Meeting, State, advance, drafted
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import agenda as templates
from folkmoot_server.storage import elections, events, meetings, members, settings, units
from folkmoot_server.storage import notices as notice_store

QUORUM_MAX = 10**6
CHALLENGE_DAYS = 30
CHALLENGE_DAYS_MAX = 365
DAY_S = 86_400
# Votes that somebody has to close stand in the way of a recess.
_OPEN = (Phase.OPEN, Phase.CLOSING)


@dataclass(frozen=True, slots=True)
class Draft:
    """A meeting as it is written down first; `starts_at` in seconds UTC, `template` is an agenda template or empty.

    The template's items come after those of `agenda`.
    """

    title: str
    unit: str
    starts_at: int
    time_zone: str
    agenda: tuple[str, ...]
    quorum_num: int
    quorum_den: int
    challenge_days: int = CHALLENGE_DAYS
    rehearsal: bool = False
    notice_days: int = 0
    binding: bool = False
    template: str = ""


def draft(tx: Connection, member: str, wanted: Draft, *, now: int, rng: Rng) -> str:
    """Write down a meeting and return its id.

    Raises:
        NotFound: there is no such unit, or no such template for it.
        Forbidden: the actor is neither chair nor secretary there.
        BadInput: a quorum above one, no agenda item or more than fit, or a period that is too long.
    """
    units.get(tx, wanted.unit)
    rights.require(tx, member, Action.CREATE_MEETING, wanted.unit, now)
    if not 0 <= wanted.quorum_num <= wanted.quorum_den <= QUORUM_MAX or wanted.quorum_den < 1:
        raise BadInput("meeting.bad-quorum", "A quorum is a fraction from 0 to 1.")
    if not 0 <= wanted.challenge_days <= CHALLENGE_DAYS_MAX:
        raise BadInput("meeting.bad-challenge", f"The challenge period is 0 to {CHALLENGE_DAYS_MAX} days.")
    if not 0 <= wanted.notice_days <= notices.DAYS_MAX:
        raise BadInput("meeting.bad-notice", f"A notice period is 0 to {notices.DAYS_MAX} days.")
    items = [Item(new_id(rng), title, ItemState.WAITING) for title in wanted.agenda]
    if wanted.template:
        items = agenda.joined(items, _from_template(tx, wanted, rng))
    if not 1 <= len(items) <= agenda.ITEMS_MAX:
        raise BadInput("meeting.bad-agenda", f"An agenda has 1 to {agenda.ITEMS_MAX} items.")
    meeting = drafted(
        new_id(rng),
        unit=wanted.unit,
        title=wanted.title,
        starts_at=wanted.starts_at,
        time_zone=wanted.time_zone,
        quorum=(wanted.quorum_num, wanted.quorum_den),
        rehearsal=wanted.rehearsal,
        challenge_s=wanted.challenge_days * DAY_S,
        notice_days=wanted.notice_days,
        binding=wanted.binding,
    )
    put(tx, meeting, items, now)
    return meeting.id


def put(tx: Connection, meeting: Meeting, items: Sequence[Item], now: int) -> None:
    """Store a new meeting with its agenda, and tell of it."""
    meetings.add(tx, meeting)
    meetings.save_items(tx, meeting.id, [], items)
    body = {
        "title": meeting.title,
        "organisation": settings.get(tx, settings.ORGANISATION_NAME) or "",
        "unit": units.get(tx, meeting.unit).name,
        "starts_at": meeting.starts_at,
        "time_zone": meeting.time_zone,
        "quorum": {"num": meeting.quorum_num, "den": meeting.quorum_den},
        "notice_days": meeting.notice_days,
    }
    events.append(tx, meeting.id, "MeetingDrafted", now, body)


def _from_template(tx: Connection, wanted: Draft, rng: Rng) -> list[Item]:
    found = templates.template(tx, wanted.template)
    if found.unit not in units.lineage(tx, wanted.unit):
        raise NotFound("template.unknown", "There is no such agenda template.")
    items = templates.template_items(tx, wanted.template)
    return agenda.copies(items, {item.id: new_id(rng) for item in items})


def _load(tx: Connection, meeting_id: str, member: str, action: Action, act: Act, now: int) -> Meeting:
    """Return the meeting moved on by `act`, if the member may."""
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, member, action, meeting.unit, now)
    return replace(meeting, state=advance(meeting.state, act))


def _lead(tx: Connection, meeting_id: str, member: str, act: Act, now: int) -> Meeting:
    """Return the meeting moved on by `act`, if the member presides or may."""
    meeting = meetings.get(tx, meeting_id)
    presiding.require_chair(tx, meeting, member, now)
    return replace(meeting, state=advance(meeting.state, act))


def _check_later(at: int, now: int) -> None:
    if at and at <= now:
        raise BadInput("meeting.time-past", "The time that was named is past already.")


def _check_no_vote(tx: Connection, meeting_id: str) -> None:
    if any(one.state in _OPEN and not one.closes_at for one in elections.of_meeting(tx, meeting_id)):
        raise WrongState("meeting.election-open", "A vote is open; close it first.")


def convene(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Call the members entitled to vote; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not a draft, or too late for its notice period.
    """
    meeting = _load(tx, meeting_id, member, Action.CONVENE, Act.CONVENE, now)
    notices.check_lead(meeting, meeting.starts_at, meeting.time_zone, now)
    meetings.save(tx, meeting)
    called = [one.id for one in members.electors(tx, meeting.unit, now)]
    body = {"recipients": notice_store.send(tx, meeting_id, called, now)}
    return events.append(tx, meeting_id, "MeetingConvened", now, body)


def reschedule(tx: Connection, meeting_id: str, member: str, starts_at: int, time_zone: str, now: int) -> int:
    """Put a meeting at another time, calling everybody again who was called; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, begun already, or too late for its notice period.
        BadInput: the time is past.
    """
    meeting = _load(tx, meeting_id, member, Action.CONVENE, Act.RESCHEDULE, now)
    _check_later(starts_at, now)
    called = meeting.state is State.CONVENED
    if called:
        notices.check_lead(meeting, starts_at, time_zone, now)
        notice_store.send_again(tx, meeting_id, now)
    sequence = meeting.calendar_seq + called
    meetings.save(tx, replace(meeting, starts_at=starts_at, time_zone=time_zone, calendar_seq=sequence))
    body = {"starts_at": starts_at, "time_zone": time_zone}
    return events.append(tx, meeting_id, "MeetingRescheduled", now, body)


def cancel(tx: Connection, meeting_id: str, member: str, reason: str, now: int) -> int:
    """Call a meeting off for good; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or check-in has begun.
    """
    called = meetings.get(tx, meeting_id).state is State.CONVENED
    meeting = _load(tx, meeting_id, member, Action.CONVENE, Act.CANCEL, now)
    meetings.save(tx, replace(meeting, reason=reason, calendar_seq=meeting.calendar_seq + called))
    return events.append(tx, meeting_id, "MeetingCancelled", now, {"reason": reason})


def begin_check_in(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Open the doors, also on a later day; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not convened, or the roll is not frozen.
    """
    meeting = _load(tx, meeting_id, member, Action.BEGIN_CHECK_IN, Act.BEGIN_CHECK_IN, now)
    if attendance.roll_size(tx, meeting_id) == 0:
        raise WrongState("roll.not-frozen", "The registrar must freeze the roll first.")
    meetings.save(tx, replace(meeting, until=0))
    body = notices.figures(notice_store.of_meeting(tx, meeting_id))
    return events.append(tx, meeting_id, "CheckInBegan", now, body)


def open_meeting(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Open the meeting, or go on with it on a later day, and preside over it; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, check-in has not begun, or there is no quorum
            and it is binding.
    """
    meeting = _lead(tx, meeting_id, member, Act.OPEN, now)
    figures = attendance.quorum(tx, meeting_id)
    if meeting.binding and not figures.met:
        raise WrongState("meeting.no-quorum", "There is no quorum; the meeting cannot be opened.")
    opened_at = meeting.opened_at or now
    meetings.save(tx, replace(meeting, opened_at=opened_at, presiding=member, offered_to="", lost_chair=""))
    if meeting.opened_at is None:
        body = {"present": figures.present, "roll": figures.roll}
        events.append(tx, meeting_id, "MeetingOpened", now, body)
    else:
        events.append(tx, meeting_id, "MeetingContinued", now, {})
    name = members.get(tx, member).name
    return events.append(tx, meeting_id, "ChairTaken", now, {"member": member, "name": name})


def recess(tx: Connection, meeting_id: str, member: str, until: int, now: int) -> int:
    """Interrupt the meeting, taking the floor from everybody; `until` is what the chair says, or 0. Return the seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not opened, or a vote waits to be closed.
        BadInput: the time is past.
    """
    meeting = _lead(tx, meeting_id, member, Act.RECESS, now)
    _check_later(until, now)
    _check_no_vote(tx, meeting_id)
    speaking.take_floor(tx, meeting_id, now)
    meetings.save(tx, replace(meeting, until=until))
    return events.append(tx, meeting_id, "RecessBegan", now, {"until": until})


def resume(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Go on after a recess; a binding quorum that was lost meanwhile is lost now. Return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or no recess.
    """
    meeting = _lead(tx, meeting_id, member, Act.RESUME, now)
    if meeting.binding and not attendance.quorum(tx, meeting_id).met:
        meeting = replace(meeting, state=advance(meeting.state, Act.LOSE_QUORUM))
    meetings.save(tx, replace(meeting, until=0))
    return events.append(tx, meeting_id, "MeetingResumed", now, {})


def adjourn(tx: Connection, meeting_id: str, member: str, continues_at: int, now: int) -> int:
    """Break off until another day, ending every attendance interval; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, check-in has not begun, or a vote waits to be
            closed.
        BadInput: the time is past.
    """
    meeting = _lead(tx, meeting_id, member, Act.ADJOURN, now)
    _check_later(continues_at, now)
    _check_no_vote(tx, meeting_id)
    closed_sessions.finish(tx, meeting_id, now)
    attendance.end_all(tx, meeting_id, Departure.ADJOURNED, now)
    # Nobody left early: an empty hall has no quorum to lose.
    gone = replace(meeting, quorum_met=False, presiding="", offered_to="", lost_chair="")
    meetings.save(tx, replace(gone, until=continues_at))
    return events.append(tx, meeting_id, "MeetingAdjourned", now, {"continues_at": continues_at})


def close_meeting(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Close the meeting, ending every attendance interval; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not opened, or an election is not declared.
    """
    meeting = _lead(tx, meeting_id, member, Act.CLOSE, now)
    if elections.is_running(tx, meeting_id):
        raise WrongState("meeting.election-running", "An election of this meeting has no declared result yet.")
    closed_sessions.finish(tx, meeting_id, now)
    attendance.end_all(tx, meeting_id, Departure.CLOSED, now)
    before = meetings.items(tx, meeting_id)
    meetings.save_items(tx, meeting_id, before, agenda.finish(before))
    # A closed meeting has no quorum to lose: nobody left early.
    gone = replace(meeting, presiding="", offered_to="", lost_chair="", until=0)
    meetings.save(tx, replace(gone, closed_at=now))
    return events.append(tx, meeting_id, "MeetingClosed", now, {})


def start_item(tx: Connection, meeting_id: str, member: str, item: str, now: int) -> int:
    """Take up an agenda item; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or item, no right, not opened, or current already.
    """
    _lead(tx, meeting_id, member, Act.START_ITEM, now)
    before = meetings.items(tx, meeting_id)
    after = agenda.start(before, item)
    speaking.leave_item(tx, meeting_id, now)
    meetings.save_items(tx, meeting_id, before, after)
    body = {"item": item, "title": agenda.find(after, item).public_title}
    return events.append(tx, meeting_id, "AgendaItemStarted", now, body)


def defer_item(tx: Connection, meeting_id: str, member: str, item: str, now: int) -> int:
    """Put an agenda item off; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or item, no right, not opened, or done already.
    """
    _lead(tx, meeting_id, member, Act.DEFER_ITEM, now)
    before = meetings.items(tx, meeting_id)
    after = agenda.defer(before, item)
    old = agenda.find(before, item)
    if old.state is ItemState.CURRENT:
        speaking.leave_item(tx, meeting_id, now)
    meetings.save_items(tx, meeting_id, before, after)
    body = {"item": item, "title": old.public_title}
    return events.append(tx, meeting_id, "AgendaItemDeferred", now, body)
