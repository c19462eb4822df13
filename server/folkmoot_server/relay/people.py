"""Who uses a relay: sessions that the hub confirmed or that began here, and the nonces they were given."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.errors import Refused, TooMany
from folkmoot_server.domain.identity import NONCE_S, SESSION_IDLE_S, SESSION_MAX_S
from folkmoot_server.domain.ids import token_hash
from folkmoot_server.relay import schema
from folkmoot_voting.encoding import JsonObject

NONCES_MAX: Final = 50  # open ones of a session
STRANGERS_MAX: Final = 2_000  # open ones of those who have no session yet
STRANGER: Final = b""


@dataclass(frozen=True, slots=True)
class HallSession:
    """A session as the relay knows it; `view` is the Session of wire.md.

    Attributes:
        local: it began here while the link was cut, and means nothing to the hub.
        follows: the hub has given it a ticket for this meeting.
    """

    token_hash: bytes
    member: str
    view: JsonObject
    created_at: int
    used_at: int
    local: bool
    follows: bool

    def live(self, now: int) -> bool:
        """Say whether it still stands, by the same times as at the hub."""
        return now < min(self.created_at + SESSION_MAX_S, self.used_at + SESSION_IDLE_S)


def confirm(tx: Connection, digest: bytes, view: JsonObject, now: int) -> None:
    """Note that the hub knows a session."""
    values = {"member": view["member"]["id"], "text": json.dumps(view), "used_at": now, "local": 0}
    statement = insert(schema.session).values(token_hash=digest, created_at=now, follows=0, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["token_hash"], set_=values))


def begin_local(tx: Connection, digest: bytes, view: JsonObject, now: int) -> None:
    """Begin a session of the relay's own; it follows this meeting."""
    values = {"member": view["member"]["id"], "text": json.dumps(view), "created_at": now, "used_at": now}
    tx.execute(schema.session.insert().values(token_hash=digest, local=1, follows=1, **values))


def session(tx: Connection, digest: bytes, now: int) -> HallSession | None:
    """Return a live session by the hash of its token."""
    row = tx.execute(select(schema.session).where(schema.session.c.token_hash == digest)).first()
    if row is None:
        return None
    found = HallSession(
        row.token_hash,
        row.member,
        json.loads(row.text),
        row.created_at,
        row.used_at,
        bool(row.local),
        bool(row.follows),
    )
    return found if found.live(now) else None


def use(tx: Connection, digest: bytes, now: int) -> None:
    """Note that a session was used."""
    tx.execute(update(schema.session).where(schema.session.c.token_hash == digest).values(used_at=now))


def follow(tx: Connection, digest: bytes, *, follows: bool) -> None:
    """Note whether a session may follow this meeting."""
    tx.execute(update(schema.session).where(schema.session.c.token_hash == digest).values(follows=int(follows)))


def end(tx: Connection, digest: bytes) -> None:
    """Forget a session."""
    tx.execute(delete(schema.session).where(schema.session.c.token_hash == digest))


def settle(tx: Connection, standing: Iterable[bytes], ended: Iterable[bytes], now: int) -> None:
    """Note what the hub says of many sessions: the ones were used by its answer, the others are forgotten."""
    for digest in standing:
        use(tx, digest, now)
    for digest in ended:
        end(tx, digest)


def sweep(tx: Connection, now: int) -> None:
    """Forget sessions and nonces that have ended."""
    table = schema.session.c
    ended = (table.created_at + SESSION_MAX_S <= now) | (table.used_at + SESSION_IDLE_S <= now)
    tx.execute(delete(schema.session).where(ended))
    tx.execute(delete(schema.nonce).where(schema.nonce.c.expires_at <= now))


def give_nonce(tx: Connection, nonce: bytes, purpose: str, binding: bytes, now: int) -> None:
    """Note a nonce that is given to a session, or to a stranger who wants to sign in.

    Raises:
        TooMany: too many are open.
    """
    table = schema.nonce
    opened = select(func.count()).where(table.c.binding == binding, table.c.expires_at > now)
    if int(tx.execute(opened).scalar() or 0) >= (STRANGERS_MAX if binding == STRANGER else NONCES_MAX):
        raise TooMany("nonce.too-many", "Too many unused challenges are out; wait a few minutes.")
    values = {"purpose": purpose, "binding": binding, "expires_at": now + NONCE_S}
    tx.execute(table.insert().values(digest=token_hash(nonce), **values))


def take_nonce(tx: Connection, nonce: bytes, purpose: str, binding: bytes, now: int) -> None:
    """Spend a nonce.

    Raises:
        Refused: it was not given for this, was used, or is too old.
    """
    table = schema.nonce.c
    match = (table.digest == token_hash(nonce)) & (table.purpose == purpose) & (table.binding == binding)
    if tx.execute(delete(schema.nonce).where(match, table.expires_at > now)).rowcount != 1:
        raise Refused("nonce.invalid", "The challenge is unknown, used or too old; begin again.")
