"""Guests' links and sessions, and the visitors of a meeting."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.identity import SESSION_IDLE_S, SESSION_MAX_S, GuestSession
from folkmoot_server.domain.visitors import Kind, State, Visitor
from folkmoot_server.storage.schema_visitors import guest_link, guest_session, visitor

_HERE = visitor.c.state.in_([State.WAITING.value, State.ADMITTED.value])


@dataclass(frozen=True, slots=True)
class Link:
    """A guest's link; `visitor` is empty until somebody came by it."""

    id: str
    meeting: str
    name: str
    visitor: str


def add_link(tx: Connection, link: Link, token_hash: bytes, made_by: str, at: int) -> None:
    """Insert a guest's link."""
    values = {"id": link.id, "meeting": link.meeting, "name": link.name, "made_by": made_by, "made_at": at}
    tx.execute(guest_link.insert().values(**values, token_hash=token_hash))


def count_links(tx: Connection, meeting: str) -> int:
    """Return how many guests' links a meeting has."""
    query = select(func.count()).select_from(guest_link).where(guest_link.c.meeting == meeting)
    return tx.execute(query).scalar_one()


def link(tx: Connection, token_hash: bytes) -> Link | None:
    """Return the link with this token."""
    row = tx.execute(select(guest_link).where(guest_link.c.token_hash == token_hash)).first()
    return None if row is None else Link(row.id, row.meeting, row.name, row.visitor)


def use_link(tx: Connection, link_id: str, visitor_id: str) -> None:
    """Note who came by a link."""
    tx.execute(update(guest_link).where(guest_link.c.id == link_id).values(visitor=visitor_id))


def _visitor(row: Row[Any]) -> Visitor:
    return Visitor(
        row.meeting,
        row.id,
        Kind(row.kind),
        row.name,
        State(row.state),
        row.at,
        row.invited,
        row.back,
        row.since,
        row.seen_at,
    )


def find(tx: Connection, meeting: str, visitor_id: str) -> Visitor | None:
    """Return a visitor of a meeting."""
    query = select(visitor).where(visitor.c.meeting == meeting, visitor.c.id == visitor_id)
    row = tx.execute(query).first()
    return None if row is None else _visitor(row)


def save(tx: Connection, changed: Visitor) -> None:
    """Insert or replace a visitor."""
    values = {
        "meeting": changed.meeting,
        "id": changed.id,
        "kind": changed.kind.value,
        "name": changed.name,
        "state": changed.state.value,
        "at": changed.at,
        "invited": changed.invited,
        "back": changed.back,
        "since": changed.since,
        "seen_at": changed.seen_at,
    }
    statement = insert(visitor).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting", "id"], set_=values))


def of_meeting(tx: Connection, meeting: str) -> list[Visitor]:
    """Return every visitor of a meeting, in the order in which they asked."""
    query = select(visitor).where(visitor.c.meeting == meeting).order_by(visitor.c.at, visitor.c.id)
    return [_visitor(row) for row in tx.execute(query)]


def admitted(tx: Connection, meeting: str) -> list[Visitor]:
    """Return the visitors who are in a meeting."""
    return [one for one in of_meeting(tx, meeting) if one.state is State.ADMITTED]


def silent(tx: Connection, before: int) -> list[Visitor]:
    """Return visitors who wait or are in, and were last heard of before `before`."""
    query = select(visitor).where(_HERE, visitor.c.seen_at < before).order_by(visitor.c.meeting, visitor.c.id)
    return [_visitor(row) for row in tx.execute(query)]


def add_session(tx: Connection, session: GuestSession) -> None:
    """Insert a guest's session."""
    tx.execute(
        guest_session.insert().values(
            token_hash=session.session_hash,
            meeting=session.meeting,
            visitor=session.visitor,
            created_at=session.created_at,
            used_at=session.used_at,
        )
    )


def session(tx: Connection, session_hash: bytes) -> GuestSession | None:
    """Return a guest's session by the hash of its token, one that has ended included."""
    row = tx.execute(select(guest_session).where(guest_session.c.token_hash == session_hash)).first()
    if row is None:
        return None
    carried = frozenset(row.carried.split())
    return GuestSession(row.token_hash, row.meeting, row.visitor, row.created_at, row.used_at, carried)


def set_carried(tx: Connection, session: GuestSession) -> None:
    """Store which relays have carried a guest's session."""
    chosen = update(guest_session).where(guest_session.c.token_hash == session.session_hash)
    tx.execute(chosen.values(carried=" ".join(sorted(session.carried))))


def touch(tx: Connection, session_hashes: Iterable[bytes], at: int) -> None:
    """Note that guests' sessions were used at `at`, which is a sign of life of who waits or is in."""
    chosen = guest_session.c.token_hash.in_(list(session_hashes))
    tx.execute(update(guest_session).where(chosen).values(used_at=at))
    seen = visitor.c.id.in_(select(guest_session.c.visitor).where(chosen))
    tx.execute(update(visitor).where(seen, _HERE).values(seen_at=at))


def end_sessions(tx: Connection, visitor_id: str) -> None:
    """Delete every session of a guest."""
    tx.execute(guest_session.delete().where(guest_session.c.visitor == visitor_id))


def live(tx: Connection, session_hashes: Collection[bytes], at: int) -> frozenset[bytes]:
    """Return those of `session_hashes` whose guests' sessions still stand at `at`."""
    table = guest_session.c
    query = select(table.token_hash).where(
        table.token_hash.in_(list(session_hashes)),
        table.created_at > at - SESSION_MAX_S,
        table.used_at > at - SESSION_IDLE_S,
    )
    return frozenset(tx.scalars(query))


def sweep(tx: Connection, now: int) -> None:
    """Delete guests' sessions that have ended."""
    table = guest_session
    tx.execute(table.delete().where(table.c.created_at <= now - SESSION_MAX_S))
    tx.execute(table.delete().where(table.c.used_at <= now - SESSION_IDLE_S))
