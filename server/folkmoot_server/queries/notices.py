"""Receipts for chair and secretary, one's own notice, and the calendar file."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.domain import agenda, calendar
from folkmoot_server.domain.calendar import latest_notice
from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.meetings import Meeting, State
from folkmoot_server.domain.notices import Notice, figures
from folkmoot_server.domain.roles import Action
from folkmoot_server.queries.access import readable
from folkmoot_server.queries.members import organisation
from folkmoot_server.storage import events, meetings, members, notices


def notices_view(tx: Connection, meeting_id: str, member: str, now: int) -> dict[str, Any]:
    """Return who was called and what became of it.

    Raises:
        NotFound: no such meeting for this member.
        Forbidden: the member is neither chair nor secretary.
    """
    rights.require(tx, member, Action.CONVENE, readable(tx, meeting_id, member, now).unit, now)
    listed = notices.of_meeting(tx, meeting_id)
    people = members.by_ids(tx, [one.member for one in listed])
    rows = [{"name": people[one.member].name, **_row(one)} for one in listed]
    return {"notices": sorted(rows, key=lambda row: (row["name"], row["member"])), **figures(listed)}


def _row(one: Notice) -> dict[str, Any]:
    return {
        "member": one.member,
        "sent_at": one.sent_at,
        "delivered_at": one.delivered_at,
        "read_at": one.read_at,
        "excused": one.excused,
        "reason": one.reason,
    }


def own_notice(tx: Connection, meeting_id: str, member: str) -> dict[str, Any] | None:
    """Return a member's own notice, or None for who was not called."""
    found = notices.find(tx, meeting_id, member)
    return None if found is None else {"state": found.state, "excused": found.excused, "reason": found.reason}


def rules_view(meeting: Meeting) -> dict[str, Any]:
    """Return the fields of a snapshot that tell of notice, recess and cancelling."""
    return {
        "notice_days": meeting.notice_days,
        "notice_latest": latest_notice(meeting.starts_at, meeting.time_zone, meeting.notice_days)
        if meeting.notice_days
        else 0,
        "waived": meeting.waived,
        "binding": meeting.binding,
        "until": meeting.until,
        "reason": meeting.reason,
    }


def calendar_file(tx: Connection, meeting_id: str, member: str, *, origin: str, host: str, now: int) -> bytes:
    """Return the meeting as a calendar file; `origin` is the installation's address, `host` its name.

    Raises:
        NotFound: no such meeting for this member.
        WrongState: nobody has been called yet.
    """
    meeting = readable(tx, meeting_id, member, now)
    if meeting.state is State.DRAFT:
        raise WrongState("meeting.not-convened", "The meeting has not been convened yet.")
    entry = calendar.Entry(
        uid=f"{meeting.id}@{host}",
        sequence=meeting.calendar_seq,
        title=meeting.title,
        organisation=organisation(tx)["name"],
        url=f"{origin}/meetings/{meeting.id}",
        starts_at=meeting.starts_at,
        minutes=agenda.planned(agenda.visible(meetings.items(tx, meeting_id), office=False)),
        cancelled=meeting.state is State.CANCELLED,
    )
    log = [(event.type, event.body) for event in events.of_types(tx, meeting_id, calendar.DAY_EVENTS)]
    return calendar.write(calendar.with_later_days(entry, calendar.later_days(log)), now)
