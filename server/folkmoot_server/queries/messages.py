"""Messages as their readers see them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions
from folkmoot_server.commands.visitors import Caller, presence
from folkmoot_server.domain.messages import PAGE, Message
from folkmoot_server.storage import messages


def messages_view(tx: Connection, meeting_id: str, caller: Caller, after: int, now: int) -> dict[str, Any]:
    """Return up to 200 messages after a number, and the support of all questions.

    Raises:
        NotFound, Forbidden: no such meeting for the caller.
    """
    here = presence(tx, meeting_id, caller, now)
    mine = messages.supported_by(tx, meeting_id, here.person)
    outside = closed_sessions.outside(tx, here.meeting, caller, now)
    supported = messages.supported(tx, meeting_id, outside)
    listed = messages.after(tx, meeting_id, after, PAGE, outside)
    support = [{"id": n, "votes": votes, "mine": n in mine} for n, votes in supported]
    return {"messages": [_message(one) for one in listed], "support": support}


def _message(one: Message) -> dict[str, Any]:
    return {
        "id": one.id,
        "person": one.person,
        "name": one.name,
        "kind": one.kind.value,
        "to": one.to,
        "text": "" if one.hidden else one.text,
        "at": one.at,
        "hidden": one.hidden,
        "reason": one.reason,
        "votes": one.votes,
    }


def message_state(tx: Connection, meeting_id: str) -> dict[str, Any]:
    """Return what may be written and the number of the newest message, as the snapshot has it."""
    rules = messages.rules(tx, meeting_id)
    last = messages.last(tx, meeting_id)
    return {"chat": rules.chat, "questions": rules.questions, "visitors": rules.visitors, "last": last}
