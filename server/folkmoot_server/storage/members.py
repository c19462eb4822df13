"""Members, their grants, passkeys and enrolment links."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.members import Member
from folkmoot_server.domain.roles import Grant, Role
from folkmoot_server.storage import schema


@dataclass(frozen=True, slots=True)
class Passkey:
    """A registered passkey; `id` is base64url, `public_key` the COSE bytes."""

    id: str
    member: str
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool
    added_at: int


@dataclass(frozen=True, slots=True)
class Link:
    """An enrolment link as stored."""

    token_hash: bytes
    member: str
    expires_at: int
    used_at: int | None


def _member(row: Row[Any]) -> Member:
    return Member(row.id, row.code, row.name, row.unit, row.user_handle, row.joined_at, row.left_at)


def add(tx: Connection, member: Member) -> None:
    """Insert a member."""
    tx.execute(
        schema.member.insert().values(
            id=member.id,
            code=member.code,
            name=member.name,
            unit=member.unit,
            user_handle=member.user_handle,
            joined_at=member.joined_at,
            left_at=member.left_at,
        )
    )


def get(tx: Connection, member: str) -> Member:
    """Return a member.

    Raises:
        NotFound: there is none with this id.
    """
    row = tx.execute(select(schema.member).where(schema.member.c.id == member)).first()
    if row is None:
        raise NotFound("member.unknown", "There is no such member.")
    return _member(row)


def code_taken(tx: Connection, code: str) -> bool:
    """Say whether a member has this code."""
    return tx.execute(select(schema.member.c.id).where(schema.member.c.code == code)).first() is not None


def in_units(tx: Connection, units: Iterable[str]) -> list[Member]:
    """Return the members whose own unit is among `units`, by name."""
    query = select(schema.member).where(schema.member.c.unit.in_(list(units)))
    return [_member(row) for row in tx.execute(query.order_by(schema.member.c.name, schema.member.c.id))]


def electors(tx: Connection, unit: str, now: int) -> list[Member]:
    """Return the members entitled to vote in a meeting of `unit`: role member on it or below it, by id."""
    grant, closure = schema.role_grant.c, schema.unit_closure.c
    holders = (
        select(grant.member)
        .join(schema.unit_closure, (closure.descendant == grant.unit) & (closure.ancestor == unit))
        .where(grant.role == Role.MEMBER, grant.valid_from <= now, grant.valid_until > now)
    )
    query = select(schema.member).where(schema.member.c.id.in_(holders)).order_by(schema.member.c.id)
    return [member for member in map(_member, tx.execute(query)) if member.belongs(now)]


def is_elector(tx: Connection, member: str, unit: str, now: int) -> bool:
    """Say whether the member is entitled to vote in a meeting of `unit`."""
    grant, closure = schema.role_grant.c, schema.unit_closure.c
    query = (
        select(grant.id)
        .join(schema.unit_closure, (closure.descendant == grant.unit) & (closure.ancestor == unit))
        .where(grant.member == member, grant.role == Role.MEMBER, grant.valid_from <= now, grant.valid_until > now)
    )
    return tx.execute(query).first() is not None


def _grant(row: Row[Any]) -> Grant:
    return Grant(row.id, row.member, Role(row.role), row.unit, row.valid_from, row.valid_until)


def add_grant(tx: Connection, grant: Grant, granted_by: str, evidence: str = "") -> None:
    """Insert a grant with the signed action that stands for it."""
    tx.execute(
        schema.role_grant.insert().values(
            id=grant.id,
            member=grant.member,
            role=grant.role,
            unit=grant.unit,
            valid_from=grant.valid_from,
            valid_until=grant.valid_until,
            granted_by=granted_by,
            evidence=evidence,
        )
    )


def grants(tx: Connection, member: str) -> list[Grant]:
    """Return every grant of a member, past ones included."""
    query = select(schema.role_grant).where(schema.role_grant.c.member == member)
    return [_grant(row) for row in tx.execute(query.order_by(schema.role_grant.c.id))]


def grants_in_force(tx: Connection, members: Iterable[str], now: int) -> dict[str, list[Grant]]:
    """Return the grants in force at `now` of each of `members`; those with none are missing."""
    found = grants_not_ended(tx, members, now)
    current = {member: [one for one in held if one.valid_from <= now] for member, held in found.items()}
    return {member: held for member, held in current.items() if held}


def grants_not_ended(tx: Connection, members: Iterable[str], now: int) -> dict[str, list[Grant]]:
    """Return the grants of each of `members` that hold at `now` or will; those with none are missing."""
    table = schema.role_grant.c
    query = select(schema.role_grant).where(table.member.in_(list(members)), table.valid_until > now)
    found: dict[str, list[Grant]] = {}
    for row in tx.execute(query.order_by(table.id)):
        found.setdefault(row.member, []).append(_grant(row))
    return found


def by_ids(tx: Connection, members: Iterable[str]) -> dict[str, Member]:
    """Return the members with these ids."""
    query = select(schema.member).where(schema.member.c.id.in_(list(members)))
    return {row.id: _member(row) for row in tx.execute(query)}


def grant(tx: Connection, grant_id: str) -> Grant:
    """Return one grant.

    Raises:
        NotFound: there is none with this id.
    """
    row = tx.execute(select(schema.role_grant).where(schema.role_grant.c.id == grant_id)).first()
    if row is None:
        raise NotFound("role.unknown-grant", "There is no such grant.")
    return _grant(row)


def end_grant(tx: Connection, grant_id: str, at: int) -> None:
    """Let a grant end at `at`."""
    tx.execute(update(schema.role_grant).where(schema.role_grant.c.id == grant_id).values(valid_until=at))


def holders(tx: Connection, role: Role, lineage: Iterable[str], now: int) -> list[Member]:
    """Return the members who hold `role` on the unit with this lineage, by id."""
    grant = schema.role_grant.c
    ids = select(grant.member).where(
        grant.role == role, grant.unit.in_(list(lineage)), grant.valid_from <= now, grant.valid_until > now
    )
    query = select(schema.member).where(schema.member.c.id.in_(ids)).order_by(schema.member.c.id)
    return [member for member in map(_member, tx.execute(query)) if member.belongs(now)]


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        row.id,
        row.member,
        row.public_key,
        row.sign_count,
        bool(row.backup_eligible),
        bool(row.backed_up),
        row.added_at,
    )


def add_passkey(tx: Connection, passkey: Passkey) -> None:
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
        )
    )


def passkey(tx: Connection, passkey_id: str) -> Passkey | None:
    """Return a passkey by its credential id, whoever owns it."""
    row = tx.execute(select(schema.passkey).where(schema.passkey.c.id == passkey_id)).first()
    return None if row is None else _passkey(row)


def passkeys(tx: Connection, member: str) -> list[Passkey]:
    """Return a member's passkeys, by id."""
    query = select(schema.passkey).where(schema.passkey.c.member == member).order_by(schema.passkey.c.id)
    return [_passkey(row) for row in tx.execute(query)]


def count_passkeys(tx: Connection, members: Iterable[str]) -> dict[str, int]:
    """Return how many passkeys each of `members` has; those with none are missing."""
    table = schema.passkey.c
    query = select(table.member, func.count()).where(table.member.in_(list(members))).group_by(table.member)
    return {row[0]: row[1] for row in tx.execute(query)}


def use_passkey(tx: Connection, passkey_id: str, sign_count: int, backed_up: bool, at: int) -> None:
    """Keep what a passkey's last assertion said."""
    tx.execute(
        update(schema.passkey)
        .where(schema.passkey.c.id == passkey_id)
        .values(sign_count=sign_count, backed_up=int(backed_up), used_at=at)
    )


def add_link(tx: Connection, link: Link) -> None:
    """Insert an enrolment link; earlier unused ones of the member stop working."""
    drop_links(tx, link.member)
    tx.execute(
        schema.enrolment.insert().values(token_hash=link.token_hash, member=link.member, expires_at=link.expires_at)
    )


def drop_links(tx: Connection, member: str) -> None:
    """Delete a member's unused enrolment links."""
    table = schema.enrolment
    tx.execute(table.delete().where(table.c.member == member, table.c.used_at.is_(None)))


def link(tx: Connection, token_hash: bytes) -> Link | None:
    """Return an enrolment link by the hash of its token."""
    row = tx.execute(select(schema.enrolment).where(schema.enrolment.c.token_hash == token_hash)).first()
    return None if row is None else Link(row.token_hash, row.member, row.expires_at, row.used_at)


def spend_link(tx: Connection, token_hash: bytes, at: int) -> None:
    """Mark an enrolment link as used."""
    tx.execute(update(schema.enrolment).where(schema.enrolment.c.token_hash == token_hash).values(used_at=at))
