"""Meetings and their agendas in reading order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from folkmoot_server.domain.agenda import Item, ItemState
from folkmoot_server.domain.errors import Conflict, NotFound
from folkmoot_server.domain.meetings import FloorMode, Meeting, State
from folkmoot_server.storage import schema


def _meeting(row: Row[Any]) -> Meeting:
    return Meeting(
        row.id,
        row.unit,
        row.title,
        State(row.state),
        row.starts_at,
        row.time_zone,
        row.quorum_num,
        row.quorum_den,
        bool(row.quorum_met),
        FloorMode(row.floor_mode),
        row.opened_at,
        row.closed_at,
        row.last_seq,
        row.version,
        bool(row.rehearsal),
        row.challenge_s,
        row.notice_days,
        bool(row.binding),
        bool(row.waived),
        row.calendar_seq,
        row.reason,
        row.until,
        row.presiding,
        row.offered_to,
        row.lost_chair,
    )


def add(tx: Connection, meeting: Meeting) -> None:
    """Insert a meeting."""
    tx.execute(
        schema.meeting.insert().values(
            id=meeting.id,
            unit=meeting.unit,
            title=meeting.title,
            state=meeting.state,
            starts_at=meeting.starts_at,
            time_zone=meeting.time_zone,
            quorum_num=meeting.quorum_num,
            quorum_den=meeting.quorum_den,
            quorum_met=0,
            floor_mode=meeting.floor_mode,
            rehearsal=int(meeting.rehearsal),
            challenge_s=meeting.challenge_s,
            notice_days=meeting.notice_days,
            binding=int(meeting.binding),
        )
    )


def get(tx: Connection, meeting: str) -> Meeting:
    """Return a meeting.

    Raises:
        NotFound: there is none with this id.
    """
    row = tx.execute(select(schema.meeting).where(schema.meeting.c.id == meeting)).first()
    if row is None:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    return _meeting(row)


def in_units(tx: Connection, units: Iterable[str]) -> list[Meeting]:
    """Return the meetings of these units, the latest first."""
    query = select(schema.meeting).where(schema.meeting.c.unit.in_(list(units)))
    return [
        _meeting(row) for row in tx.execute(query.order_by(schema.meeting.c.starts_at.desc(), schema.meeting.c.id))
    ]


def in_states(tx: Connection, states: Iterable[State]) -> list[Meeting]:
    """Return the meetings in these states, by id."""
    query = select(schema.meeting).where(schema.meeting.c.state.in_(list(states))).order_by(schema.meeting.c.id)
    return [_meeting(row) for row in tx.execute(query)]


def save(tx: Connection, meeting: Meeting) -> None:
    """Store a meeting's state if nobody changed it since it was loaded; event numbers are not touched.

    Raises:
        Conflict: somebody did.
    """
    table = schema.meeting
    done = tx.execute(
        update(table)
        .where(table.c.id == meeting.id, table.c.version == meeting.version)
        .values(
            state=meeting.state,
            starts_at=meeting.starts_at,
            time_zone=meeting.time_zone,
            quorum_met=int(meeting.quorum_met),
            floor_mode=meeting.floor_mode,
            opened_at=meeting.opened_at,
            closed_at=meeting.closed_at,
            waived=int(meeting.waived),
            calendar_seq=meeting.calendar_seq,
            reason=meeting.reason,
            until=meeting.until,
            presiding=meeting.presiding,
            offered_to=meeting.offered_to,
            lost_chair=meeting.lost_chair,
            version=meeting.version + 1,
        )
    )
    if done.rowcount != 1:
        raise Conflict("meeting.changed", "The meeting has just been changed; load it again.")


def set_quorum(tx: Connection, meeting: str, met: bool, state: State) -> None:
    """Store whether the quorum is met and what that makes of the meeting."""
    table = schema.meeting
    values = {"quorum_met": int(met), "state": state, "version": table.c.version + 1}
    tx.execute(update(table).where(table.c.id == meeting).values(values))


def items(tx: Connection, meeting: str) -> list[Item]:
    """Return the agenda in reading order."""
    table = schema.agenda_item
    rows = tx.execute(select(table).where(table.c.meeting == meeting).order_by(table.c.position))
    return [
        Item(
            row.id,
            row.title,
            ItemState(row.state),
            row.parent or "",
            row.minutes,
            bool(row.internal),
            row.carried_from,
            row.source,
            row.version,
        )
        for row in rows
    ]


def save_items(tx: Connection, meeting: str, before: Sequence[Item], after: Sequence[Item]) -> None:
    """Store what differs between two lists in reading order: new items, changed ones, those gone, and the places."""
    table = schema.agenda_item
    old = {item.id: (place, item) for place, item in enumerate(before)}
    kept = {item.id for item in after}
    for item in reversed(before):
        if item.id not in kept:
            tx.execute(delete(table).where(table.c.id == item.id))
    for place, item in enumerate(after):
        if old.get(item.id) == (place, item):
            continue
        values = {**_values(item), "position": place}
        if item.id in old:
            tx.execute(update(table).where(table.c.id == item.id).values(values))
        else:
            tx.execute(table.insert().values(id=item.id, meeting=meeting, **values))


def _values(item: Item) -> dict[str, Any]:
    return {
        "title": item.title,
        "state": item.state,
        "parent": item.parent or None,
        "minutes": item.minutes,
        "internal": int(item.internal),
        "carried_from": item.carried_from,
        "source": item.source,
        "version": item.version,
    }
