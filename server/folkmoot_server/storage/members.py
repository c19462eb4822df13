"""Members, their grants, and auditors' keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, update

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.members import Member
from folkmoot_server.domain.roles import Grant, Role
from folkmoot_server.storage import schema


def _member(row: Row[Any]) -> Member:
    return Member(row.id, row.code, row.name, row.unit, row.user_handle, row.joined_at, row.left_at, row.weight)


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


# Built once: every request asks for it.
_GRANTS: Final = (
    select(schema.role_grant)
    .where(schema.role_grant.c.member == bindparam("of_member"))
    .order_by(schema.role_grant.c.id)
)


def grants(tx: Connection, member: str) -> list[Grant]:
    """Return every grant of a member, past ones included."""
    return [_grant(row) for row in tx.execute(_GRANTS, {"of_member": member})]


def grants_in_force(tx: Connection, members: Iterable[str], now: int) -> dict[str, list[Grant]]:
    """Return the grants in force at `now` of each of `members`; those with none are missing."""
    found = grants_not_ended(tx, members, now)
    current = {member: [one for one in held if one.valid_from <= now] for member, held in found.items()}
    return {member: held for member, held in current.items() if held}


def next_change(tx: Connection, now: int) -> int:
    """Return the next time at which a grant begins or ends by itself, or a time that never comes."""
    table = schema.role_grant.c
    begins = tx.execute(select(func.min(table.valid_from)).where(table.valid_from > now)).scalar()
    ends = tx.execute(select(func.min(table.valid_until)).where(table.valid_until > now)).scalar()
    return min((one for one in (begins, ends) if one is not None), default=2**53)


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


def set_weight(tx: Connection, member: str, weight: int, evidence: str) -> None:
    """Store what a member's vote counts from the next roll on, with the signed action that stands for it."""
    values = {"weight": weight, "weight_evidence": evidence}
    tx.execute(update(schema.member).where(schema.member.c.id == member).values(values))


def set_auditor_key(tx: Connection, member: str, recipient: str, at: int, evidence: str) -> None:
    """Store an auditor's age recipient in place of an earlier one."""
    table = schema.auditor_key
    tx.execute(table.delete().where(table.c.member == member))
    tx.execute(table.insert().values(member=member, recipient=recipient, at=at, evidence=evidence))


def auditor_key(tx: Connection, member: str) -> tuple[str, int] | None:
    """Return an auditor's (age recipient, when it was set)."""
    table = schema.auditor_key
    row = tx.execute(select(table.c.recipient, table.c.at).where(table.c.member == member)).first()
    return None if row is None else (str(row.recipient), int(row.at))


def auditors(tx: Connection, lineage: Iterable[str], now: int) -> list[tuple[Member, str]]:
    """Return the auditors of the unit with this lineage who have registered an age recipient, with it, by id."""
    found = []
    for member in holders(tx, Role.AUDITOR, lineage, now):
        key = auditor_key(tx, member.id)
        if key is not None:
            found.append((member, key[0]))
    return found
