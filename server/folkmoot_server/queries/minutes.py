"""The draft of the minutes, from the event log alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions, rights
from folkmoot_server.domain.closed_sessions import Party, fold, is_inside
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.meetings import State
from folkmoot_server.domain.minutes import Minutes, draft
from folkmoot_server.domain.minutes_closed import withheld
from folkmoot_server.domain.minutes_course import HANDLERS
from folkmoot_server.domain.minutes_forms import as_html, as_text
from folkmoot_server.domain.minutes_words import words_of
from folkmoot_server.domain.roles import Action
from folkmoot_server.queries.access import readable
from folkmoot_server.queries.attendance import whole_log
from folkmoot_server.storage.closed_sessions import reasons
from folkmoot_server.storage.events import StoredEvent


def _with_reasons(tx: Connection, meeting_id: str, log: list[StoredEvent], asks: Party) -> list[StoredEvent]:
    """Return a log whose closed sessions tell their reasons, which no event does, to those who were inside."""
    began, found = fold(log), reasons(tx, meeting_id)
    for place, event in enumerate(log):
        admission = began.after(event.seq)
        if event.seq in found and admission is not None and is_inside(asks, admission):
            log[place] = replace(event, body={**event.body, "reason": found[event.seq]})
    return log


TYPES: Final = {"json": "application/json", "html": "text/html", "text": "text/plain"}


def minutes_file(tx: Connection, meeting_id: str, session: SessionInfo, language: str, form: str, now: int) -> bytes:
    """Return the minutes in UTF-8 as JSON, HTML or plain text, without what a closed session keeps from the reader.

    Raises:
        NotFound: no such meeting for this member.
        Forbidden: the meeting is not closed, and the actor is neither chair, secretary nor auditor.
        BadInput: an unknown language or form.
    """
    meeting = readable(tx, meeting_id, session.member_id, now)
    if meeting.state is not State.CLOSED:
        rights.require(tx, session.member_id, Action.READ_ATTENDANCE_FILE, meeting.unit, now)
    if form not in TYPES:
        raise BadInput("minutes.form", f"Minutes come as {', '.join(sorted(TYPES))}.")
    words = words_of(language)
    asks = closed_sessions.party(tx, meeting, session, now)
    log = _with_reasons(tx, meeting_id, whole_log(tx, meeting_id), asks)
    minutes: Minutes = draft(log, words, ZoneInfo(meeting.time_zone), HANDLERS)
    outside = {event.seq for event in log if event.closed is not None and not is_inside(asks, event.closed)}
    if outside:
        minutes = withheld(minutes, lambda seq: seq not in outside)
    if form == "json":
        return json.dumps(minutes.to_json(), ensure_ascii=False, separators=(",", ":")).encode()
    return (as_html if form == "html" else as_text)(minutes, words).encode()
