"""Which meetings a member may read."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.storage import meetings


def readable(tx: Connection, meeting_id: str, member: str, now: int) -> Meeting:
    """Return a meeting that the member may read.

    Raises:
        NotFound: there is none, or it is not for this member (which is not told apart).
    """
    meeting = meetings.get(tx, meeting_id)
    if not rights.may_read(tx, member, meeting.unit, now):
        raise NotFound("meeting.unknown", "There is no such meeting.")
    return meeting
