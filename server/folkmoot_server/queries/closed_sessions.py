"""A closed session as those inside see it (conduct.md section 11)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.storage import closed_sessions


def closed_session_view(tx: Connection, meeting: Meeting) -> dict[str, Any] | None:
    """Return "closed_session" of the snapshot for those inside, None while the meeting is open to the public."""
    running = closed_sessions.running(tx, meeting.id)
    if running is None:
        return None
    admission = running.admission
    return {
        "since": running.since,
        "reason": running.reason,
        "sites": sorted(admission.sites),
        "visitors": sorted(admission.visitors),
    }
