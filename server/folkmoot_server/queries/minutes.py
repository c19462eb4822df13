"""The draft of the minutes, from the event log alone."""

from __future__ import annotations

import json
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.meetings import State
from folkmoot_server.domain.minutes import Minutes, draft
from folkmoot_server.domain.minutes_course import HANDLERS
from folkmoot_server.domain.minutes_forms import as_html, as_text
from folkmoot_server.domain.minutes_words import words_of
from folkmoot_server.domain.roles import Action
from folkmoot_server.queries.access import readable
from folkmoot_server.queries.attendance import whole_log

TYPES: Final = {"json": "application/json", "html": "text/html", "text": "text/plain"}


def minutes_file(tx: Connection, meeting_id: str, member: str, language: str, form: str, now: int) -> bytes:
    """Return the minutes in UTF-8 as JSON, HTML or plain text.

    Raises:
        NotFound: no such meeting for this member.
        Forbidden: the meeting is not closed, and the actor is neither chair, secretary nor auditor.
        BadInput: an unknown language or form.
    """
    meeting = readable(tx, meeting_id, member, now)
    if meeting.state is not State.CLOSED:
        rights.require(tx, member, Action.READ_ATTENDANCE_FILE, meeting.unit, now)
    if form not in TYPES:
        raise BadInput("minutes.form", f"Minutes come as {', '.join(sorted(TYPES))}.")
    words = words_of(language)
    minutes: Minutes = draft(whole_log(tx, meeting_id), words, ZoneInfo(meeting.time_zone), HANDLERS)
    if form == "json":
        return json.dumps(minutes.to_json(), ensure_ascii=False, separators=(",", ":")).encode()
    return (as_html if form == "html" else as_text)(minutes, words).encode()
