"""What a relay is told for all pages of its hall at once: their snapshots, and which of their sessions stand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions, visitors
from folkmoot_server.domain.errors import Forbidden, NotFound
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import b64u, from_b64u
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.domain.relays import Session
from folkmoot_server.domain.roles import Role
from folkmoot_server.queries import meetings as meeting_queries
from folkmoot_server.queries import papers, relays
from folkmoot_server.queries.access import readable
from folkmoot_server.queries.meetings import Picture
from folkmoot_server.storage import sessions

ELECTIONS: Final = "elections"


def standing(tx: Connection, marks: Collection[str], now: int) -> dict[str, SessionInfo]:
    """Return the sessions of members that stand, by their marks."""
    found = {mark: sessions.beginning_with(tx, from_b64u(mark)) for mark in marks}
    return {mark: one for mark, one in found.items() if one is not None and one.live(now)}


def has_carried(relay: Session, session: SessionInfo) -> bool:
    """Say whether a relay has passed on a request of a session: only then it may speak of it."""
    return f"{relay.meeting}/{relay.site}" in session.carried


def readers(
    tx: Connection, meeting: str, asking: dict[str, SessionInfo], paper: str, version: int, now: int
) -> tuple[str, list[str]]:
    """Return the class of a paper, "" of one that nobody here sees, and the marks of the sessions that may read it.

    Nobody may in a closed session: there each is asked about alone.
    """
    shown, found = "", list[str]()
    if closed_sessions.is_running(tx, meeting):
        return shown, found
    for mark, session in asking.items():
        try:
            page = papers.page_of(tx, visitors.presence(tx, meeting, session, now), paper, version, 1)
        except (NotFound, Forbidden):
            continue
        shown = page.paper.paper_class.value
        found.append(mark)
    return shown, found


def common(tx: Connection, drawn: Picture, site: str) -> dict[str, Any]:
    """Return the snapshot as far as it is the same for all members of a hall."""
    return {**relays.state(tx, drawn, site), "motions": json.loads(drawn.motions)}


def name_of(shared: dict[str, Any]) -> str:
    """Return by which name a relay says that it holds a common part."""
    text = json.dumps(shared, separators=(",", ":"), sort_keys=True)
    return b64u(hashlib.sha256(text.encode()).digest())[: relays.DIGEST]


def own_parts(
    tx: Connection,
    drawn: Picture,
    meeting: Meeting,
    shared: dict[str, Any],
    asking: dict[str, SessionInfo],
    now: int,
) -> dict[str, Any]:
    """Return in what the snapshot of each session differs from the `shared` one.

    Left out, and asked for alone, is who may not read the meeting, or has in it what is for few (`_is_plain`).
    """
    found = {}
    for mark, session in asking.items():
        try:
            readable(tx, meeting.id, session.member_id, now)
        except NotFound:
            continue
        whole = json.loads(meeting_queries.snapshot(tx, drawn, meeting, session, "", now))
        if _is_plain(whole["me"]):
            found[mark] = difference(shared, whole)
    return found


def _is_plain(me: dict[str, Any]) -> bool:
    """Say whether somebody has no draft, no excuse and no office: those are not compressed with others' texts."""
    excuse = (me["notice"] or {}).get("reason", "")
    return not me["drafts"] and not excuse and set(me["roles"]) <= {Role.MEMBER}


def difference(shared: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """Return what of a snapshot is not in the shared one, and of each vote what is another one's there."""
    changed = _changed(shared, whole)
    votes = changed.pop(ELECTIONS, [])
    if not votes:
        return changed
    return {
        **changed,
        ELECTIONS: [_changed(before, after) for before, after in zip(shared[ELECTIONS], votes, strict=True)],
    }


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in after.items() if name not in before or before[name] != value}
