"""The attendance list of a meeting, from its events."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.domain.attendance import Line, fold, write_csv
from folkmoot_server.domain.presence import confirmed
from folkmoot_server.domain.quorum_curve import curve
from folkmoot_server.domain.roles import Action
from folkmoot_server.queries.access import readable
from folkmoot_server.storage import events, meetings, members, presence
from folkmoot_server.storage.events import StoredEvent

NO_LIMIT = -1


def whole_log(tx: Connection, meeting: str) -> list[StoredEvent]:
    """Return every event of a meeting, ascending."""
    return events.of_meeting(tx, meeting, 0, NO_LIMIT)


def _codes(tx: Connection, lines: list[Line]) -> dict[str, str]:
    found = members.by_ids(tx, {line.member for line in lines})
    return {member: one.code for member, one in found.items()}


def attendance_view(tx: Connection, meeting_id: str, member: str, now: int) -> dict[str, Any]:
    """Return the attendance of wire.md.

    Raises:
        NotFound: no such meeting for this member.
    """
    readable(tx, meeting_id, member, now)
    lines, asks = fold(whole_log(tx, meeting_id)), presence.of_meeting(tx, meeting_id)
    codes = _codes(tx, lines)
    rows = [
        {
            "member": line.member,
            "code": codes[line.member],
            "name": line.name,
            "site": line.site,
            "from": line.from_at,
            "until": line.until_at,
            "confirmed": confirmed(line, asks),
            "cut": line.cut,
            "events": line.events,
        }
        for line in lines
    ]
    return {"lines": rows, "present": sum(line.until_at is None for line in lines)}


def attendance_file(tx: Connection, meeting_id: str, member: str, now: int) -> bytes:
    """Return the attendance list as CSV.

    Raises:
        NotFound: no such meeting.
        Forbidden: the actor is neither chair, secretary nor auditor.
    """
    rights.require(tx, member, Action.READ_ATTENDANCE_FILE, meetings.get(tx, meeting_id).unit, now)
    lines, asks = fold(whole_log(tx, meeting_id)), presence.of_meeting(tx, meeting_id)
    return write_csv(lines, _codes(tx, lines), lambda line: confirmed(line, asks))


def curve_view(tx: Connection, meeting_id: str, member: str, now: int) -> dict[str, Any]:
    """Return the quorum curve of sites.md section 3.

    Raises:
        NotFound: no such meeting for this member.
    """
    readable(tx, meeting_id, member, now)
    return {"points": [point.to_json() for point in curve(whole_log(tx, meeting_id))]}
