"""Passkeys, how they came, and the links that enrol them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from folkmoot_server.domain.identity import OPERATOR, PasskeyKind
from folkmoot_server.storage import schema


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as stored; `id` is base64url, `public_key` the COSE bytes, times are seconds UTC.

    `root` is the passkey made with a link from which this one descends, itself for those. Its officers answer
    for all that descend from it: `made_by` made the link, `confirmed_by` is the second officer, empty until then.
    """

    id: str
    member: str
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    added_at: int
    kind: PasskeyKind
    root: str
    made_by: str = ""
    confirmed_by: str = ""
    used_at: int | None = None
    rolled_at: int | None = None
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An enrolment link as stored."""

    token_hash: bytes
    member: str
    expires_at: int
    used_at: int | None
    kind: PasskeyKind
    made_by: str


_TABLE = schema.passkey.c
_LIVE = _TABLE.ended_at.is_(None)


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        row.id,
        row.member,
        row.public_key,
        row.sign_count,
        bool(row.backup_eligible),
        bool(row.backed_up),
        row.added_at,
        PasskeyKind(row.kind),
        row.root,
        row.made_by,
        row.confirmed_by,
        row.used_at,
        row.rolled_at,
        row.ended_at,
    )


def add(tx: Connection, passkey: Passkey) -> None:
    """Insert a passkey."""
    tx.execute(
        schema.passkey.insert().values(
            id=passkey.id,
            member=passkey.member,
            public_key=passkey.public_key,
            sign_count=passkey.sign_count,
            backup_eligible=int(passkey.backup_eligible),
            backed_up=int(passkey.backed_up),
            added_at=passkey.added_at,
            kind=passkey.kind.value,
            root=passkey.root,
            made_by=passkey.made_by,
        )
    )


def known(tx: Connection, passkey_id: str) -> Passkey | None:
    """Return a passkey by its credential id, whoever owns it, also one that has ended."""
    row = tx.execute(select(schema.passkey).where(_TABLE.id == passkey_id)).first()
    return None if row is None else _passkey(row)


def find(tx: Connection, passkey_id: str) -> Passkey | None:
    """Return a passkey by its credential id, whoever owns it, unless it has ended."""
    found = known(tx, passkey_id)
    return None if found is None or found.ended_at is not None else found


def of_member(tx: Connection, member: str) -> list[Passkey]:
    """Return a member's passkeys, by id."""
    query = select(schema.passkey).where(_TABLE.member == member, _LIVE).order_by(_TABLE.id)
    return [_passkey(row) for row in tx.execute(query)]


def of_members(tx: Connection, members: Iterable[str]) -> dict[str, list[Passkey]]:
    """Return the passkeys of each of `members`; those with none are missing."""
    query = select(schema.passkey).where(_TABLE.member.in_(list(members)), _LIVE).order_by(_TABLE.id)
    found: dict[str, list[Passkey]] = {}
    for row in tx.execute(query):
        found.setdefault(row.member, []).append(_passkey(row))
    return found


def by_ids(tx: Connection, ids: Iterable[str]) -> dict[str, Passkey]:
    """Return the passkeys with these ids, also those that have ended."""
    query = select(schema.passkey).where(_TABLE.id.in_(list(ids)))
    return {row.id: _passkey(row) for row in tx.execute(query)}


def count(tx: Connection, members: Iterable[str]) -> dict[str, int]:
    """Return how many passkeys each of `members` has; those with none are missing."""
    query = select(_TABLE.member, func.count()).where(_TABLE.member.in_(list(members)), _LIVE)
    return {row[0]: row[1] for row in tx.execute(query.group_by(_TABLE.member))}


def use(tx: Connection, passkey_id: str, sign_count: int, backed_up: bool, at: int) -> None:
    """Keep what a passkey's last assertion said."""
    changes = {"sign_count": sign_count, "backed_up": int(backed_up), "used_at": at}
    tx.execute(update(schema.passkey).where(_TABLE.id == passkey_id).values(changes))


def end(tx: Connection, passkey_id: str, at: int) -> None:
    """Let a passkey end; its row stays, so that nobody can register it again."""
    tx.execute(update(schema.passkey).where(_TABLE.id == passkey_id).values(ended_at=at))


def end_all(tx: Connection, member: str, at: int) -> None:
    """Let every passkey of a member end."""
    tx.execute(update(schema.passkey).where(_TABLE.member == member, _LIVE).values(ended_at=at))


def confirm(tx: Connection, passkey_id: str, officer: str, evidence: str) -> None:
    """Store the second officer of a passkey with the signed action that stands for it."""
    changes = {"confirmed_by": officer, "evidence": evidence}
    tx.execute(update(schema.passkey).where(_TABLE.id == passkey_id).values(changes))


_ROOT = schema.passkey.alias()
_ROOTS = (  # made once: every request for a snapshot asks this
    select(_ROOT.c.made_by, _ROOT.c.confirmed_by)
    .join(schema.passkey, _TABLE.root == _ROOT.c.id)
    .where(_TABLE.member == bindparam("of"), _LIVE)
)


def awaits_officer(tx: Connection, member: str) -> bool:
    """Say whether a member has passkeys, none of which a second officer or the operator stands behind."""
    rows = tx.execute(_ROOTS, {"of": member}).all()
    return bool(rows) and not any(row.made_by == OPERATOR or row.confirmed_by for row in rows)


def unconfirmed(tx: Connection, units: Iterable[str]) -> list[tuple[Passkey, str]]:
    """Return the passkeys in these units that wait for a second officer, with their members' names, by name."""
    query = (
        select(schema.passkey, schema.member.c.name)
        .join(schema.member, schema.member.c.id == _TABLE.member)
        .where(schema.member.c.unit.in_(list(units)), _LIVE, _TABLE.confirmed_by == "", _TABLE.root == _TABLE.id)
        .order_by(schema.member.c.name, _TABLE.id)
    )
    return [(_passkey(row), str(row.name)) for row in tx.execute(query)]


def rolled_members(tx: Connection, members: Iterable[str]) -> frozenset[str]:
    """Return those of `members` who stood in a roll before, with whichever passkey."""
    query = select(_TABLE.member).where(_TABLE.member.in_(list(members)), _TABLE.rolled_at.is_not(None))
    return frozenset(tx.scalars(query.distinct()))


def mark_rolled(tx: Connection, ids: Iterable[str], at: int) -> None:
    """Note that a roll lists these passkeys, for those that stood in none before."""
    here = (_TABLE.id.in_(list(ids)), _TABLE.rolled_at.is_(None))
    tx.execute(update(schema.passkey).where(*here).values(rolled_at=at))


def add_link(tx: Connection, link: Link) -> None:
    """Insert an enrolment link; earlier unused ones of the member stop working."""
    drop_links(tx, link.member)
    tx.execute(
        schema.enrolment.insert().values(
            token_hash=link.token_hash,
            member=link.member,
            expires_at=link.expires_at,
            kind=link.kind.value,
            made_by=link.made_by,
        )
    )


def drop_links(tx: Connection, member: str) -> None:
    """Delete a member's unused enrolment links."""
    table = schema.enrolment
    tx.execute(table.delete().where(table.c.member == member, table.c.used_at.is_(None)))


def link(tx: Connection, token_hash: bytes) -> Link | None:
    """Return an enrolment link by the hash of its token."""
    row = tx.execute(select(schema.enrolment).where(schema.enrolment.c.token_hash == token_hash)).first()
    if row is None:
        return None
    return Link(row.token_hash, row.member, row.expires_at, row.used_at, PasskeyKind(row.kind), row.made_by)


def spend_link(tx: Connection, token_hash: bytes, at: int) -> None:
    """Mark an enrolment link as used."""
    tx.execute(update(schema.enrolment).where(schema.enrolment.c.token_hash == token_hash).values(used_at=at))
