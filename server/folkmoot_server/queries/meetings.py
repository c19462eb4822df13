"""Meetings as clients see them: the list, the snapshot, the events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from folkmoot_server.commands import attendance, closed_sessions, rights
from folkmoot_server.domain.closed_sessions import from_outside
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.domain.notices import Notice
from folkmoot_server.domain.roles import Role, held
from folkmoot_server.domain.speaking import ON_FLOOR, OPEN, TurnState
from folkmoot_server.queries import elections, keys, messages, rolls, sites, speaking, visitors
from folkmoot_server.queries.access import readable
from folkmoot_server.queries.agenda import agenda_view, sees_internal
from folkmoot_server.queries.closed_sessions import closed_session_view
from folkmoot_server.queries.members import organisation
from folkmoot_server.queries.motions import drafts_view, motion_rules, motions_view, without_conflicts
from folkmoot_server.queries.notices import own_notice, rules_view
from folkmoot_server.queries.presiding import chair_view
from folkmoot_server.storage import events, meetings, members, schema, seats, units
from folkmoot_server.storage import motions as motion_store
from folkmoot_server.storage import notices as notice_store
from folkmoot_server.storage import rolls as rolls_storage
from folkmoot_server.storage import speaking as speaking_store

EVENTS_MAX = 500
PICTURE_S = 5  # what depends on the time of day in a picture is never older


def meetings_view(tx: Connection, session: SessionInfo, now: int) -> dict[str, Any]:
    """Return the meetings that a member may read, the latest first."""
    visible = rights.readable_units(tx, session.member_id, now)
    called = notice_store.of_member(tx, session.member_id)
    listed = []
    for one in meetings.in_units(tx, visible):
        summary = _summary(tx, one, called.get(one.id))
        if summary["open_election"] and closed_sessions.is_outside(tx, one, session, now):
            summary["open_election"] = None
        listed.append(summary)
    return {"meetings": listed}


def _summary(tx: Connection, meeting: Meeting, notice: Notice | None) -> dict[str, Any]:
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
        "until": meeting.until,
        "notice": "" if notice is None else notice.state,
        "excused": notice is not None and notice.excused,
    }


@dataclass(frozen=True, slots=True)
class Picture:
    """What a snapshot says to everybody, as JSON text; it holds until the time `until`.

    Of what it says to one alone it has what is quickly found for all: states of visitors, trustees, cosigners, and
    who has drafts.
    """

    text: str
    agenda: str
    internal_agenda: str
    motions: str
    motions_outside: str
    elections: tuple[elections.SharedSummary, ...]
    lineage: frozenset[str]
    frozen: bool
    visitors: Mapping[str, str]
    trustees: Mapping[str, int]
    cosigners: Mapping[str, str]
    drafters: frozenset[str]
    closed: bool
    until: int


def picture(tx: Connection, meeting: Meeting, now: int) -> Picture:
    """Draw the part of Meeting of wire.md that is the same for all members."""
    view = _shared(tx, meeting, now)
    listed = motions_view(tx, meeting.id)
    return Picture(
        _dump(view).removesuffix("}"),
        json.dumps(agenda_view(tx, meeting.id, office=False), separators=(",", ":")),
        json.dumps(agenda_view(tx, meeting.id, office=True), separators=(",", ":")),
        _dump(listed),
        _dump([without_conflicts(one) for one in listed]),
        elections.shared_summaries(tx, meeting.id),
        units.lineage(tx, meeting.unit),
        bool(view["roll"]["frozen"]),
        visitors.visitor_states(tx, meeting.id),
        {one["member"]: one["index"] for one in view["key"]["trustees"]},
        {one["member"]: one["name"] for one in view["cosigners"]},
        motion_store.drafters(tx, meeting.id),
        view["closed_session"] is not None,
        min(members.next_change(tx, now), now + PICTURE_S),
    )


def snapshot(
    tx: Connection, shared: Picture, meeting: Meeting, session: closed_sessions.Caller, address: str, now: int
) -> str:
    """Return Meeting of wire.md for one person as JSON text; the caller has made sure that they may read it.

    Whoever is outside of a closed session gets what goes outside, and `address`, the installation's own, if they are
    kept out by a relay alone.
    """
    whole = _whole(tx, shared, meeting, session.person, now)
    if not shared.closed or not closed_sessions.is_outside(tx, meeting, session, now):
        return whole
    shown = address if closed_sessions.is_kept_out_by_way(tx, meeting, session, now) else ""
    return _dump(from_outside(json.loads(whole), shown))


def _whole(tx: Connection, shared: Picture, meeting: Meeting, member: str, now: int) -> str:
    owned = rolls_storage.credentials(tx, meeting.id, member)
    entry = rolls_storage.entry(tx, meeting.id, member)
    weight = 0 if entry is None else int(entry["weight"])
    entitled = entry is not None if shared.frozen else members.is_elector(tx, member, meeting.unit, now)
    roles = held(rights.grants_of(tx, member), shared.lineage, now)
    inside = entitled or bool(roles - {Role.MEMBER})
    listed = elections.summaries(tx, meeting.id, shared.elections, owned, weight, inside=inside)
    items = shared.internal_agenda if sees_internal(roles) else shared.agenda
    motions = shared.motions if inside else shared.motions_outside
    me = {
        **_me(tx, shared, meeting, member),
        **sites.own_place(tx, meeting.id, member),
        "roles": sorted(roles),
        "notice": own_notice(tx, meeting.id, member),
        "drafts": drafts_view(tx, meeting.id, member) if member in shared.drafters else [],
        "entitled": entitled,
        "credential": owned[-1] if owned else None,
    }
    halls = _dump(sites.own_part(tx, meeting, member, roles, now))[1:-1]
    parts = f'"agenda":{items},"motions":{motions},"elections":[{",".join(listed)}],"me":{_dump(me)}'
    return f"{shared.text},{halls},{parts}}}"


def _dump(view: dict[str, Any] | list[dict[str, Any]]) -> str:
    return json.dumps(view, separators=(",", ":"))


def _shared(tx: Connection, meeting: Meeting, now: int) -> dict[str, Any]:
    meeting_id = meeting.id
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
        **rules_view(meeting),
        **chair_view(tx, meeting, now),
        "quorum": _quorum(tx, meeting_id),
        "present": _present(tx, meeting, now),
        "floor": {"mode": meeting.floor_mode.value},
        "speaking": speaking.speaking_view(tx, meeting_id),
        "motion_rules": motion_rules(tx, meeting_id),
        "messages": messages.message_state(tx, meeting_id),
        "visitors": visitors.visitors_in(tx, meeting_id),
        "sites": sites.sites_in(tx, meeting),
        "roll": rolls.roll_state(tx, meeting_id),
        "key": keys.key_state(tx, meeting_id),
        "cosigners": keys.cosigner_states(tx, meeting_id),
        "rehearsal": meeting.rehearsal,
        "challenge_s": meeting.challenge_s,
        "removed": _removed(tx, meeting_id),
        "closed_session": closed_session_view(tx, meeting),
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
    turns = {turn.person: turn for turn in speaking_store.in_states(tx, meeting.id, OPEN)}
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
            "hand": turn.asked_at if turn and turn.state is TurnState.QUEUED else None,
            "floor": turn is not None and turn.state in ON_FLOOR,
            "muted": seat.muted,
            "roles": sorted(held(grants.get(seat.member, []), lineage, now)),
        }
        for seat in here
        for turn in [turns.get(seat.member)]
    ]


def _removed(tx: Connection, meeting_id: str) -> list[dict[str, str]]:
    ids = seats.removed(tx, meeting_id)
    people = members.by_ids(tx, ids)
    return [{"member": member, "name": people[member].name} for member in ids]


def _me(tx: Connection, shared: Picture, meeting: Meeting, member: str) -> dict[str, Any]:
    seat = seats.find(tx, meeting.id, member)
    return {
        "member": member,
        "checked_in": seat is not None and seat.present,
        "removed": seat is not None and seat.removed,
        "visitor": shared.visitors.get(member, ""),
        "trustee": shared.trustees.get(member, 0),
        "cosigner": shared.cosigners.get(member, ""),
    }


def events_view(tx: Connection, meeting_id: str, session: SessionInfo, after: int, now: int) -> dict[str, Any]:
    """Return up to 500 events after number `after`, ascending.

    Raises:
        NotFound: no such meeting for this member.
    """
    meeting = readable(tx, meeting_id, session.member_id, now)
    listener = closed_sessions.listener(tx, meeting, session, now)
    return {"events": [event.wire(listener) for event in events.of_meeting(tx, meeting_id, after, EVENTS_MAX)]}
