"""Guests: a link for one person, and a session that opens one meeting and nothing else."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.commands.visitors import OVER, leave, wait
from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound, TooMany
from folkmoot_server.domain.identity import GuestSession
from folkmoot_server.domain.ids import Rng, new_id, token_hash
from folkmoot_server.domain.roles import Action
from folkmoot_server.domain.visitors import LINKS_MAX, Act, Kind, State, Visitor, advance
from folkmoot_server.storage import meetings, visitors
from folkmoot_server.storage.visitors import Link


def make_link(tx: Connection, meeting_id: str, member: str, name: str, *, now: int, rng: Rng) -> tuple[str, bytes]:
    """Make a link for one guest; return its id and its token, of which only the hash is kept.

    Raises:
        Forbidden: neither chair nor secretary.
        Conflict: the meeting is over.
        TooMany: the meeting has 200 links.
    """
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, member, Action.INVITE_GUESTS, meeting.unit, now)
    if meeting.state.value in OVER:
        raise Conflict("guest.meeting-over", "This meeting is over.")
    if visitors.count_links(tx, meeting_id) >= LINKS_MAX:
        raise TooMany("guest.too-many-links", f"A meeting has at most {LINKS_MAX} guest links.")
    token = rng(32)
    link = Link(new_id(rng), meeting_id, name, "")
    visitors.add_link(tx, link, token_hash(token), member, now)
    return link.id, token


def enter(tx: Connection, token: bytes, name: str, *, now: int, rng: Rng) -> tuple[bytes, GuestSession]:
    """Let a guest into the lobby; return the session's token and the session.

    The link stays with one person: coming by it again ends the session before, and the chair is asked again.

    Raises:
        NotFound: there is no such link.
        Conflict: the meeting is over.
        Forbidden: the chair refused or removed this guest.
    """
    link = visitors.link(tx, token_hash(token))
    if link is None:
        raise NotFound("guest.unknown-link", "This guest link is not known here; ask for a new one.")
    if meetings.get(tx, link.meeting).state.value in OVER:
        raise Conflict("guest.meeting-over", "This meeting is over.")
    known = visitors.find(tx, link.meeting, link.visitor)
    if known is None:
        known = Visitor(link.meeting, new_id(rng), Kind.GUEST, name, State.LEFT, now)
        visitors.use_link(tx, link.id, known.id)
    elif known.here:
        leave(tx, link.meeting, known.id, now)
        known = replace(known, state=advance(known.state, Act.LEAVE))
    wait(tx, replace(known, name=name, invited=link.name), now)
    visitors.end_sessions(tx, known.id)
    secret = rng(32)
    session = GuestSession(token_hash(secret), link.meeting, known.id, now, now)
    visitors.add_session(tx, session)
    return secret, session


def sign_out(tx: Connection, session: GuestSession, now: int) -> None:
    """End a guest's visit and session."""
    visitor = visitors.find(tx, session.meeting, session.visitor)
    if visitor is not None and visitor.here:
        leave(tx, session.meeting, session.visitor, now)
    visitors.end_sessions(tx, session.visitor)


def ask_again(tx: Connection, session: GuestSession, now: int) -> None:
    """Put a guest who left into the lobby again; who waits or is in stays there.

    Raises:
        Forbidden: the chair refused or removed this guest.
        Conflict: the meeting is over.
    """
    if meetings.get(tx, session.meeting).state.value in OVER:
        raise Conflict("guest.meeting-over", "This meeting is over.")
    visitor = visitors.find(tx, session.meeting, session.visitor)
    if visitor is not None and not visitor.here:
        wait(tx, visitor, now)


def may_follow(tx: Connection, session: GuestSession) -> bool:
    """Say whether a guest may go on listening: admitted, or lost for a moment."""
    visitor = visitors.find(tx, session.meeting, session.visitor)
    if visitor is None or meetings.get(tx, session.meeting).state.value in OVER:
        return False
    return visitor.state is State.ADMITTED or visitor.back == State.ADMITTED


def require_follow(tx: Connection, session: GuestSession, meeting_id: str) -> int:
    """Return the number of the event before which a guest reads nothing.

    Raises:
        NotFound: another meeting.
        Forbidden: the chair has not admitted the guest.
    """
    if meeting_id != session.meeting:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    if not may_follow(tx, session):
        raise Forbidden("guest.not-admitted", "The chair has not admitted you to this meeting.")
    visitor = visitors.find(tx, session.meeting, session.visitor)
    return 0 if visitor is None else visitor.since
