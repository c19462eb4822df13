"""Who presides, to whom the chair is offered, and who would step in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import presiding
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.storage import members


def chair_view(tx: Connection, meeting: Meeting, now: int) -> dict[str, Any]:
    """Return the fields of a snapshot that tell of the chair."""
    deputies = [one.member for one in presiding.holders(tx, meeting, now) if one.member != meeting.presiding]
    people = members.by_ids(tx, {meeting.presiding, meeting.offered_to, *deputies} - {""})

    def named(member: str) -> dict[str, str] | None:
        return {"member": member, "name": people[member].name} if member else None

    return {
        "presiding": named(meeting.presiding),
        "offered_to": named(meeting.offered_to),
        "lost_chair": meeting.lost_chair,
        "deputies": [named(member) for member in deputies],
    }
