"""Sessions, nonces and socket tickets; of every token only the SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select, update

from folkmoot_server.domain.identity import SESSION_IDLE_S, SESSION_MAX_S, SessionInfo
from folkmoot_server.storage import schema

HASH_OCTETS: Final = 32


@dataclass(frozen=True, slots=True)
class Nonce:
    """A nonce as it was stored."""

    purpose: str
    binding: bytes
    expires_at: int


@dataclass(frozen=True, slots=True)
class Ticket:
    """A socket ticket as it was stored; `session` is the session's hash."""

    session: bytes
    meeting: str
    expires_at: int


def add(tx: Connection, session: SessionInfo) -> None:
    """Insert a session."""
    tx.execute(
        schema.session.insert().values(
            token_hash=session.session_hash,
            member=session.member_id,
            passkey=session.passkey_id,
            created_at=session.created_at,
            used_at=session.used_at,
            expires_at=session.created_at + SESSION_MAX_S,
        )
    )


def keep_newest(tx: Connection, member: str, most: int) -> None:
    """End a member's sessions but the `most` that were used last."""
    table = schema.session
    newest = (
        select(table.c.token_hash)
        .where(table.c.member == member)
        .order_by(table.c.used_at.desc(), table.c.created_at.desc())
        .limit(most)
    )
    tx.execute(table.delete().where(table.c.member == member, table.c.token_hash.not_in(newest)))


def get(tx: Connection, session_hash: bytes) -> SessionInfo | None:
    """Return a session by the hash of its token, ended ones that were not swept yet included."""
    row = tx.execute(select(schema.session).where(schema.session.c.token_hash == session_hash)).first()
    if row is None:
        return None
    carried = frozenset(row.carried.split())
    return SessionInfo(row.token_hash, row.member, row.passkey, row.created_at, row.used_at, carried)


def beginning_with(tx: Connection, start: bytes) -> SessionInfo | None:
    """Return the session whose token's hash begins so; of twelve bytes and more there is never a second one."""
    table = schema.session.c
    last = start.ljust(HASH_OCTETS, b"\xff")
    found = tx.scalars(select(table.token_hash).where(table.token_hash.between(start, last)).limit(1)).first()
    return None if found is None else get(tx, found)


def set_carried(tx: Connection, session: SessionInfo) -> None:
    """Store which relays have carried a session."""
    table = schema.session
    chosen = update(table).where(table.c.token_hash == session.session_hash)
    tx.execute(chosen.values(carried=" ".join(sorted(session.carried))))


def touch(tx: Connection, session_hashes: Iterable[bytes], at: int) -> None:
    """Note that sessions were used at `at`."""
    table = schema.session
    tx.execute(update(table).where(table.c.token_hash.in_(list(session_hashes))).values(used_at=at))


def end(tx: Connection, session_hash: bytes) -> None:
    """Delete a session."""
    tx.execute(schema.session.delete().where(schema.session.c.token_hash == session_hash))


def end_of_member(tx: Connection, member: str) -> None:
    """Delete every session of a member."""
    tx.execute(schema.session.delete().where(schema.session.c.member == member))


def end_of_passkey(tx: Connection, passkey: str) -> None:
    """Delete the sessions that a passkey began."""
    tx.execute(schema.session.delete().where(schema.session.c.passkey == passkey))


def live(tx: Connection, session_hashes: Collection[bytes], at: int) -> frozenset[bytes]:
    """Return those of `session_hashes` whose sessions still stand at `at`."""
    table = schema.session.c
    query = select(table.token_hash).where(
        table.token_hash.in_(list(session_hashes)), table.expires_at > at, table.used_at > at - SESSION_IDLE_S
    )
    return frozenset(tx.scalars(query))


def add_nonce(tx: Connection, nonce: bytes, stored: Nonce) -> None:
    """Insert a nonce."""
    tx.execute(
        schema.nonce.insert().values(
            nonce=nonce, purpose=stored.purpose, binding=stored.binding, expires_at=stored.expires_at
        )
    )


def count_nonces(tx: Connection, purpose: str, binding: bytes, now: int) -> int:
    """Return how many unused nonces there are for a purpose and binding."""
    table = schema.nonce.c
    query = select(func.count()).where(table.purpose == purpose, table.binding == binding, table.expires_at > now)
    return tx.execute(query).scalar_one()


def make_place(tx: Connection, purpose: str, binding: bytes, now: int, limit: int) -> None:
    """Delete the oldest unused nonces of a purpose and binding until there are fewer than `limit`."""
    surplus = count_nonces(tx, purpose, binding, now) - limit + 1
    if surplus <= 0:
        return
    table = schema.nonce
    oldest = (
        select(table.c.nonce)
        .where(table.c.purpose == purpose, table.c.binding == binding)
        .order_by(table.c.expires_at)
        .limit(surplus)
    )
    tx.execute(table.delete().where(table.c.nonce.in_(oldest)))


def count_tickets(tx: Connection, session_hash: bytes, now: int) -> int:
    """Return how many unused socket tickets a session has."""
    table = schema.socket_ticket.c
    query = select(func.count()).where(table.session == session_hash, table.expires_at > now)
    return tx.execute(query).scalar_one()


def take_nonce(tx: Connection, nonce: bytes) -> Nonce | None:
    """Delete a nonce and return what was stored with it."""
    table = schema.nonce
    row = tx.execute(
        table.delete().where(table.c.nonce == nonce).returning(table.c.purpose, table.c.binding, table.c.expires_at)
    ).first()
    return None if row is None else Nonce(row.purpose, row.binding, row.expires_at)


def add_ticket(tx: Connection, ticket_hash: bytes, ticket: Ticket) -> None:
    """Insert a socket ticket."""
    tx.execute(
        schema.socket_ticket.insert().values(
            ticket_hash=ticket_hash, session=ticket.session, meeting=ticket.meeting, expires_at=ticket.expires_at
        )
    )


def has_ticket(tx: Connection, ticket_hash: bytes) -> bool:
    """Say whether a socket ticket is stored."""
    table = schema.socket_ticket.c
    return tx.execute(select(table.meeting).where(table.ticket_hash == ticket_hash)).first() is not None


def take_ticket(tx: Connection, ticket_hash: bytes) -> Ticket | None:
    """Delete a socket ticket and return what was stored with it."""
    table = schema.socket_ticket
    row = tx.execute(
        table.delete()
        .where(table.c.ticket_hash == ticket_hash)
        .returning(table.c.session, table.c.meeting, table.c.expires_at)
    ).first()
    return None if row is None else Ticket(row.session, row.meeting, row.expires_at)


def sweep(tx: Connection, now: int) -> None:
    """Delete nonces, tickets and sessions that have ended."""
    for table in (schema.nonce, schema.socket_ticket, schema.session):
        tx.execute(table.delete().where(table.c.expires_at <= now))
    tx.execute(schema.session.delete().where(schema.session.c.used_at <= now - SESSION_IDLE_S))
