"""Meetings as clients see them: the list, the snapshot, the events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from folkmoot_server.commands import attendance, rights
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.domain.roles import held
from folkmoot_server.queries import elections, keys, rolls
from folkmoot_server.queries.access import readable
from folkmoot_server.queries.members import organisation
from folkmoot_server.storage import events, meetings, members, schema, seats, units

EVENTS_MAX = 500


def meetings_view(tx: Connection, member: str, now: int) -> dict[str, Any]:
    """Return the meetings that the member may read, the latest first."""
    visible = rights.readable_units(tx, member, now)
    return {"meetings": [_summary(tx, meeting) for meeting in meetings.in_units(tx, visible)]}


def _summary(tx: Connection, meeting: Meeting) -> dict[str, Any]:
    table = schema.election.c
    running = tx.scalars(select(table.id).where(table.meeting == meeting.id, table.state == "open").limit(1)).first()
    return {
        "id": meeting.id,
        "title": meeting.title,
        "unit": meeting.unit,
        "state": meeting.state.value,
        "starts_at": meeting.starts_at,
        "time_zone": meeting.time_zone,
        "open_election": running,
    }


def meeting_view(tx: Connection, meeting_id: str, member: str, now: int) -> dict[str, Any]:
    """Return Meeting of wire.md with the number of its last event.

    Raises:
        NotFound: no such meeting for this member.
    """
    meeting = readable(tx, meeting_id, member, now)
    items = meetings.items(tx, meeting_id)
    return {
        "id": meeting.id,
        "title": meeting.title,
        "unit": meeting.unit,
        "organisation": organisation(tx),
        "state": meeting.state.value,
        "starts_at": meeting.starts_at,
        "time_zone": meeting.time_zone,
        "opened_at": meeting.opened_at,
        "closed_at": meeting.closed_at,
        "agenda": [{"id": item.id, "title": item.title, "state": item.state.value} for item in items],
        "quorum": _quorum(tx, meeting_id),
        "present": _present(tx, meeting, now),
        "floor": {"mode": meeting.floor_mode.value},
        "roll": rolls.roll_state(tx, meeting_id),
        "key": keys.key_state(tx, meeting_id),
        "cosigners": keys.cosigner_states(tx, meeting_id),
        "rehearsal": meeting.rehearsal,
        "challenge_s": meeting.challenge_s,
        "removed": _removed(tx, meeting_id),
        "elections": elections.summaries(tx, meeting_id, member),
        "me": _me(tx, meeting, member, now),
        "seq": meeting.last_seq,
    }


def _quorum(tx: Connection, meeting_id: str) -> dict[str, Any]:
    figures = attendance.quorum(tx, meeting_id)
    return {
        "num": figures.num,
        "den": figures.den,
        "present": figures.present,
        "roll": figures.roll,
        "needed": figures.needed,
        "met": figures.met,
    }


def _present(tx: Connection, meeting: Meeting, now: int) -> list[dict[str, Any]]:
    here = seats.present(tx, meeting.id)
    ids = [seat.member for seat in here]
    people, grants, lineage = (
        members.by_ids(tx, ids),
        members.grants_in_force(tx, ids, now),
        units.lineage(tx, meeting.unit),
    )
    return [
        {
            "member": seat.member,
            "name": people[seat.member].name,
            "site": seat.site,
            "state": "away" if seat.away else "present",
            "hand": seat.hand_at,
            "floor": seat.floor_at > 0,
            "muted": seat.muted,
            "roles": sorted(held(grants.get(seat.member, []), lineage, now)),
        }
        for seat in here
    ]


def _removed(tx: Connection, meeting_id: str) -> list[dict[str, str]]:
    ids = seats.removed(tx, meeting_id)
    people = members.by_ids(tx, ids)
    return [{"member": member, "name": people[member].name} for member in ids]


def _me(tx: Connection, meeting: Meeting, member: str, now: int) -> dict[str, Any]:
    seat = seats.find(tx, meeting.id, member)
    part = keys.offices(tx, meeting.id, member)
    return {
        "member": member,
        "roles": sorted(rights.roles_on(tx, member, meeting.unit, now)),
        "checked_in": seat is not None and seat.present,
        "entitled": rolls.is_entitled(tx, meeting, member, now),
        "removed": seat is not None and seat.removed,
        "credential": rolls.own_credential(tx, meeting.id, member),
        "trustee": part["trustee"],
        "cosigner": part["cosigner"],
    }


def events_view(tx: Connection, meeting_id: str, member: str, after: int, now: int) -> dict[str, Any]:
    """Return up to 500 events after number `after`, ascending.

    Raises:
        NotFound: no such meeting for this member.
    """
    readable(tx, meeting_id, member, now)
    return {"events": [event.wire() for event in events.of_meeting(tx, meeting_id, after, EVENTS_MAX)]}
