"""A meeting from its draft to its close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from folkmoot_server.commands import attendance, rights
from folkmoot_server.domain import agenda
from folkmoot_server.domain.agenda import Item, ItemState
from folkmoot_server.domain.elections import RUNNING
from folkmoot_server.domain.errors import BadInput, WrongState
from folkmoot_server.domain.ids import Rng, new_id
from folkmoot_server.domain.meetings import Act, FloorMode, Meeting, State, advance
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import events, meetings, schema, units

ITEMS_MAX = 100
QUORUM_MAX = 10**6
CHALLENGE_DAYS = 30
CHALLENGE_DAYS_MAX = 365
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Draft:
    """A meeting as it is written down first; `starts_at` in seconds UTC."""

    title: str
    unit: str
    starts_at: int
    time_zone: str
    agenda: tuple[str, ...]
    quorum_num: int
    quorum_den: int
    challenge_days: int = CHALLENGE_DAYS
    rehearsal: bool = False


def draft(tx: Connection, member: str, wanted: Draft, *, now: int, rng: Rng) -> str:
    """Write down a meeting and return its id.

    Raises:
        NotFound: there is no such unit.
        Forbidden: the actor is neither chair nor secretary there.
        BadInput: a quorum above one, more agenda items than fit, or a challenge period above a year.
    """
    units.get(tx, wanted.unit)
    rights.require(tx, member, Action.CREATE_MEETING, wanted.unit, now)
    if not 0 <= wanted.quorum_num <= wanted.quorum_den <= QUORUM_MAX or wanted.quorum_den < 1:
        raise BadInput("meeting.bad-quorum", "A quorum is a fraction from 0 to 1.")
    if not 1 <= len(wanted.agenda) <= ITEMS_MAX:
        raise BadInput("meeting.bad-agenda", f"An agenda has 1 to {ITEMS_MAX} items.")
    if not 0 <= wanted.challenge_days <= CHALLENGE_DAYS_MAX:
        raise BadInput("meeting.bad-challenge", f"The challenge period is 0 to {CHALLENGE_DAYS_MAX} days.")
    meeting = Meeting(
        id=new_id(rng),
        unit=wanted.unit,
        title=wanted.title,
        state=State.DRAFT,
        starts_at=wanted.starts_at,
        time_zone=wanted.time_zone,
        quorum_num=wanted.quorum_num,
        quorum_den=wanted.quorum_den,
        quorum_met=False,
        floor_mode=FloorMode.OPEN,
        opened_at=None,
        closed_at=None,
        last_seq=0,
        version=0,
        rehearsal=wanted.rehearsal,
        challenge_s=wanted.challenge_days * DAY_S,
    )
    meetings.add(tx, meeting)
    items = [Item(new_id(rng), title, ItemState.WAITING) for title in wanted.agenda]
    meetings.add_items(tx, meeting.id, items)
    events.append(tx, meeting.id, "MeetingDrafted", now, {})
    return meeting.id


def _load(tx: Connection, meeting_id: str, member: str, action: Action, act: Act, now: int) -> Meeting:
    """Return the meeting moved on by `act`, if the member may."""
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, member, action, meeting.unit, now)
    return replace(meeting, state=advance(meeting.state, act))


def convene(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Call the members; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or not a draft.
    """
    meetings.save(tx, _load(tx, meeting_id, member, Action.CONVENE, Act.CONVENE, now))
    return events.append(tx, meeting_id, "MeetingConvened", now, {})


def begin_check_in(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Open the doors; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not convened, or the roll is not frozen.
    """
    meeting = _load(tx, meeting_id, member, Action.BEGIN_CHECK_IN, Act.BEGIN_CHECK_IN, now)
    if attendance.roll_size(tx, meeting_id) == 0:
        raise WrongState("roll.not-frozen", "The registrar must freeze the roll first.")
    meetings.save(tx, meeting)
    return events.append(tx, meeting_id, "CheckInBegan", now, {})


def open_meeting(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Open the meeting; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, or check-in has not begun.
    """
    meeting = _load(tx, meeting_id, member, Action.LEAD_MEETING, Act.OPEN, now)
    meetings.save(tx, replace(meeting, opened_at=now))
    return events.append(tx, meeting_id, "MeetingOpened", now, {})


def close_meeting(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Close the meeting, ending every attendance interval; return the last event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no right, not opened, or an election is not declared.
    """
    meeting = _load(tx, meeting_id, member, Action.LEAD_MEETING, Act.CLOSE, now)
    table = schema.election.c
    running = select(table.id).where(table.meeting == meeting_id, table.state.in_([s.value for s in RUNNING]))
    if tx.execute(running.limit(1)).first() is not None:
        raise WrongState("meeting.election-running", "An election of this meeting has no declared result yet.")
    attendance.close_all(tx, meeting_id, now)
    before = meetings.items(tx, meeting_id)
    meetings.save_items(tx, before, agenda.finish(before))
    # A closed meeting has no quorum to lose: nobody left early.
    meetings.save(tx, replace(meeting, closed_at=now))
    return events.append(tx, meeting_id, "MeetingClosed", now, {})


def start_item(tx: Connection, meeting_id: str, member: str, item: str, now: int) -> int:
    """Take up an agenda item; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or item, no right, not opened, or current already.
    """
    _load(tx, meeting_id, member, Action.LEAD_MEETING, Act.START_ITEM, now)
    before: Sequence[Item] = meetings.items(tx, meeting_id)
    meetings.save_items(tx, before, agenda.start(before, item))
    return events.append(tx, meeting_id, "AgendaItemStarted", now, {"item": item})
