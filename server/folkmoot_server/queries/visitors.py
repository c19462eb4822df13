"""The lobby, and a meeting as a guest sees it."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.commands.visitors import OVER, Caller, presence
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.identity import GuestSession
from folkmoot_server.domain.roles import Action
from folkmoot_server.domain.visitors import State
from folkmoot_server.queries.members import organisation
from folkmoot_server.storage import visitors

# What a guest in the room gets of the snapshot. What is not named here is not for guests.
FOR_GUESTS: Final = (
    "id",
    "title",
    "organisation",
    "state",
    "starts_at",
    "time_zone",
    "opened_at",
    "closed_at",
    "agenda",
    "quorum",
    "present",
    "floor",
    "rehearsal",
    "speaking",
    "motions",
    "visitors",
    "messages",
    "presiding",
    "me",
    "closed_session",
    "seq",
)
OUTSIDE: Final = ("id", "title", "organisation", "state", "starts_at", "time_zone", "closed_at")
# What pages expect and a guest does not get.
EMPTY: Final[dict[str, Any]] = {
    "unit": "",
    "roll": {"frozen": True, "hash": "", "size": 0},
    "key": {"state": "waiting", "trustees": [], "code": ""},
    "cosigners": [],
    "challenge_s": 0,
    "removed": [],
    "elections": [],
    "sites": [],
    "disputes": [],
    "alerts": [],
    "presence": None,
}
# Of an election a guest sees what is put to the vote and what came out, never who votes.
ELECTION: Final = (
    "election",
    "agenda_item",
    "title",
    "questions",
    "secrecy",
    "majority",
    "state",
    "electorate_size",
    "cast",
    "closes_at",
    "result",
)


def lobby_view(tx: Connection, meeting_id: str, caller: Caller, now: int) -> dict[str, Any]:
    """Return every visitor, for chair and secretary.

    Raises:
        NotFound, Forbidden: no such meeting for the caller, or no office.
    """
    here = presence(tx, meeting_id, caller, now)
    rights.require(tx, here.person, Action.INVITE_GUESTS, here.meeting.unit, now)
    return {
        "visitors": [
            {
                "visitor": one.id,
                "name": one.name,
                "invited": one.invited,
                "kind": one.kind.value,
                "state": one.state.value,
                "at": one.at,
            }
            for one in visitors.of_meeting(tx, meeting_id)
        ]
    }


def visitors_in(tx: Connection, meeting_id: str) -> list[dict[str, str]]:
    """Return the visitors who are in the room, as everybody sees them."""
    found = visitors.admitted(tx, meeting_id)
    return [{"visitor": one.id, "name": one.name, "kind": one.kind.value} for one in found]


def visitor_states(tx: Connection, meeting_id: str) -> dict[str, str]:
    """Return where each visitor stands, by id."""
    return {one.id: one.state.value for one in visitors.of_meeting(tx, meeting_id)}


def guest_session_view(tx: Connection, session: GuestSession) -> dict[str, Any]:
    """Return GuestSession of conduct.md.

    Raises:
        NotFound: the visitor is gone.
    """
    visitor = visitors.find(tx, session.meeting, session.visitor)
    if visitor is None:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    return {
        "member": {"id": visitor.id, "name": visitor.name, "code": "", "unit": ""},
        "organisation": organisation(tx),
        "roles": [],
        "expires_at": session.expires_at,
        "guest": visitor.id,
        "meeting": session.meeting,
        "state": visitor.state.value,
    }


def guest_view(tx: Connection, session: GuestSession, whole: dict[str, Any]) -> dict[str, Any]:
    """Return what a guest gets of the snapshot: title and their own state, and the room once admitted.

    Of a closed session that is closed to them `whole` is only what goes outside.

    Raises:
        NotFound: the visitor is gone.
    """
    visitor = visitors.find(tx, session.meeting, session.visitor)
    if visitor is None:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    inside = visitor.state is State.ADMITTED and whole["state"] not in OVER
    guest = {"visitor": visitor.id, "name": visitor.name, "state": visitor.state.value}
    if inside and "agenda" not in whole:
        return {**whole, "unit": "", "sites": [], "guest": guest}
    named = FOR_GUESTS if inside else OUTSIDE
    view = {**EMPTY, **{name: whole[name] for name in named if name in whole}}
    if inside:
        view["elections"] = [{name: one[name] for name in ELECTION} for one in whole["elections"]]
    view["guest"] = guest
    return view
