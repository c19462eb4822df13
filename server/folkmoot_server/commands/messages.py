"""Chat, questions and answers: writing, hiding, supporting, and what is open (conduct.md, section 8)."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions, presiding, rights
from folkmoot_server.commands.visitors import OVER, Caller, Presence, presence
from folkmoot_server.domain.errors import Forbidden, NotFound, WrongState
from folkmoot_server.domain.meetings import ROOM_STATES
from folkmoot_server.domain.messages import Kind, Message, Rules, Writer, check_kind, check_pace, check_target
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import events, messages


def post(tx: Connection, meeting_id: str, caller: Caller, kind: Kind, text: str, to: int, now: int) -> int:
    """Write a message and return its number; the event says that it is there, never what it says.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, not in the room or removed, not in session, or closed by
            the chair.
        BadInput: an answer to nothing.
        TooMany: too fast, or 500 already.
    """
    here = _in_room(tx, meeting_id, caller, now)
    visitor = not here.checked_in and not here.office
    check_kind(Writer(here.person, here.name, here.office, visitor), messages.rules(tx, meeting_id), kind)
    check_target(kind, _find(tx, meeting_id, caller, to, now) if to else None)
    check_pace(*messages.written(tx, meeting_id, here.person), now)
    number = messages.last(tx, meeting_id) + 1
    seq = events.append(tx, meeting_id, "MessagePosted", now, {"id": number, "kind": kind.value})
    messages.add(tx, Message(meeting_id, number, here.person, here.name, kind, to, text, now, seq=seq))
    return number


def _in_room(tx: Connection, meeting_id: str, caller: Caller, now: int) -> Presence:
    here = presence(tx, meeting_id, caller, now)
    if here.meeting.state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    rights.require_not_removed(tx, meeting_id, here.person)
    if not (here.checked_in or here.office or here.admitted):
        raise Forbidden("message.not-in-room", "Only those who are in the meeting may write.")
    return here


def hide(tx: Connection, meeting_id: str, caller: Caller, number: int, reason: str, now: int) -> None:
    """Take a message's text away, for good; that it was hidden and why stays.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or message, no office, or hidden already.
    """
    here = presence(tx, meeting_id, caller, now)
    rights.require(tx, here.person, Action.MODERATE_MESSAGES, here.meeting.unit, now)
    if _known(tx, meeting_id, caller, number, now).hidden:
        raise WrongState("message.hidden-already", "This message has been hidden already.")
    messages.hide(tx, meeting_id, number, reason, here.person)
    events.append(tx, meeting_id, "MessageHidden", now, {"id": number, "reason": reason})


def support(tx: Connection, meeting_id: str, caller: Caller, number: int, now: int) -> None:
    """Count the caller's support of a question; asking again changes nothing.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or question, not in the room, or not in session.
    """
    here = _in_room(tx, meeting_id, caller, now)
    found = _known(tx, meeting_id, caller, number, now)
    if found.kind is not Kind.QUESTION or found.hidden:
        raise NotFound("message.unknown", "There is no such question.")
    messages.support(tx, meeting_id, number, here.person)


def set_rules(tx: Connection, meeting_id: str, caller: Caller, wanted: Rules, now: int) -> None:
    """Say what may be written; saying it again changes nothing.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, not its chair, or it is over.
    """
    here = presence(tx, meeting_id, caller, now)
    presiding.require_chair(tx, here.meeting, here.person, now)
    if here.meeting.state.value in OVER:
        raise WrongState(
            "meeting.wrong-state", f"This cannot be done while the meeting is {here.meeting.state.value}."
        )
    if messages.rules(tx, meeting_id) == wanted:
        return
    messages.save_rules(tx, meeting_id, wanted)
    body = {"chat": wanted.chat, "questions": wanted.questions, "visitors": wanted.visitors}
    events.append(tx, meeting_id, "MessageRulesSet", now, body)


def _find(tx: Connection, meeting_id: str, caller: Caller, number: int, now: int) -> Message | None:
    found = messages.find(tx, meeting_id, number)
    knows = found is not None and closed_sessions.knows(tx, meeting_id, caller, found.seq, now)
    return found if knows else None


def _known(tx: Connection, meeting_id: str, caller: Caller, number: int, now: int) -> Message:
    found = _find(tx, meeting_id, caller, number, now)
    if found is None:
        raise NotFound("message.unknown", "There is no such message.")
    return found
