"""The roll of a meeting, its entries and the check-ins, which only annex tables hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, update

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.storage import schema


@dataclass(frozen=True, slots=True)
class StoredRoll:
    """A roll; `statement` is None while it is a draft."""

    core: dict[str, Any]
    roll_hash: bytes
    statement: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class CheckIn:
    """One check-in; `number` grows with time, so a member's newest has the largest."""

    number: int
    member: str
    credential: str
    statement: dict[str, Any]


def save_draft(tx: Connection, meeting: str, core: dict[str, Any], roll_hash: bytes, entries: list[Any]) -> None:
    """Store a draft in place of an earlier one; the caller has made sure that none is frozen."""
    tx.execute(delete(schema.annex_roll_entry).where(schema.annex_roll_entry.c.meeting == meeting))
    tx.execute(delete(schema.roll).where(schema.roll.c.meeting == meeting))
    tx.execute(schema.roll.insert().values(meeting=meeting, core=_dump(core), roll_hash=roll_hash))
    for entry in entries:
        tx.execute(
            schema.annex_roll_entry.insert().values(meeting=meeting, member=entry["member"], entry=_dump(entry))
        )


def freeze(tx: Connection, meeting: str, statement: dict[str, Any], registrar: str) -> None:
    """Store the registrar's statement, which ends the draft."""
    tx.execute(
        update(schema.roll)
        .where(schema.roll.c.meeting == meeting)
        .values(statement=_dump(statement), registrar=registrar)
    )


def find(tx: Connection, meeting: str) -> StoredRoll | None:
    """The draft or frozen roll of a meeting."""
    row = tx.execute(select(schema.roll).where(schema.roll.c.meeting == meeting)).first()
    if row is None:
        return None
    return StoredRoll(
        json.loads(row.core), bytes(row.roll_hash), None if row.statement is None else json.loads(row.statement)
    )


def frozen(tx: Connection, meeting: str) -> StoredRoll:
    """The frozen roll of a meeting.

    Raises:
        NotFound: there is none yet.
    """
    roll = find(tx, meeting)
    if roll is None or roll.statement is None:
        raise NotFound("roll.not-frozen", "The roll of this meeting is not frozen yet.")
    return roll


def entries(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """All roll entries, sorted by member id as the tree is."""
    rows = tx.execute(
        select(schema.annex_roll_entry.c.entry)
        .where(schema.annex_roll_entry.c.meeting == meeting)
        .order_by(schema.annex_roll_entry.c.member)
    )
    return [json.loads(row.entry) for row in rows]


# Built once: every snapshot asks for both.
_ENTRY: Final = select(schema.annex_roll_entry.c.entry).where(
    schema.annex_roll_entry.c.meeting == bindparam("in_meeting"),
    schema.annex_roll_entry.c.member == bindparam("of_member"),
)
_CREDENTIALS: Final = (
    select(schema.annex_check_in.c.credential)
    .where(
        schema.annex_check_in.c.meeting == bindparam("in_meeting"),
        schema.annex_check_in.c.member == bindparam("of_member"),
    )
    .order_by(schema.annex_check_in.c.id)
)


def entry(tx: Connection, meeting: str, member: str) -> dict[str, Any] | None:
    """The roll entry of one member."""
    found = tx.execute(_ENTRY, {"in_meeting": meeting, "of_member": member}).scalar()
    return None if found is None else dict(json.loads(found))


def add_check_in(tx: Connection, meeting: str, member: str, credential: str, statement: dict[str, Any]) -> None:
    """Store a check-in; the newest one of a member counts for elections opened later."""
    tx.execute(
        schema.annex_check_in.insert().values(
            meeting=meeting, member=member, credential=credential, statement=_dump(statement)
        )
    )


def renew_check_in(tx: Connection, meeting: str, credential: str) -> dict[str, Any]:
    """Make a stored check-in the newest of its member and return its statement, which stays as it was."""
    table = schema.annex_check_in
    here = (table.c.meeting == meeting, table.c.credential == credential)
    member, statement = tx.execute(select(table.c.member, table.c.statement).where(*here)).one()
    tx.execute(table.delete().where(*here))
    tx.execute(table.insert().values(meeting=meeting, member=member, credential=credential, statement=statement))
    return dict(json.loads(statement))


def check_ins(tx: Connection, meeting: str) -> list[CheckIn]:
    """Every check-in of a meeting, oldest first."""
    table = schema.annex_check_in
    rows = tx.execute(select(table).where(table.c.meeting == meeting).order_by(table.c.id))
    return [CheckIn(row.id, row.member, row.credential, json.loads(row.statement)) for row in rows]


def credential_owner(tx: Connection, meeting: str, credential: str) -> str | None:
    """The member who checked in with this credential."""
    table = schema.annex_check_in
    found = tx.execute(
        select(table.c.member).where(table.c.meeting == meeting, table.c.credential == credential)
    ).scalar()
    return None if found is None else str(found)


def credentials(tx: Connection, meeting: str, member: str) -> list[str]:
    """The credentials with which a member has checked in, oldest first."""
    return list(tx.scalars(_CREDENTIALS, {"in_meeting": meeting, "of_member": member}))


def newest_credential(tx: Connection, meeting: str, member: str) -> str | None:
    """The credential of the member's newest check-in."""
    table = schema.annex_check_in
    found = tx.execute(
        select(table.c.credential)
        .where(table.c.meeting == meeting, table.c.member == member)
        .order_by(table.c.id.desc())
        .limit(1)
    ).scalar()
    return None if found is None else str(found)


def checked_in_at(tx: Connection, meeting: str, member: str) -> int:
    """When the member's newest check-in was made, or 0."""
    table = schema.annex_check_in
    query = select(table.c.statement).where(table.c.meeting == meeting, table.c.member == member)
    found = tx.execute(query.order_by(table.c.id.desc()).limit(1)).scalar()
    return 0 if found is None else int(json.loads(found)["at"])


def add_statement(tx: Connection, meeting: str, kind: str, name: str, member: str, statement: dict[str, Any]) -> None:
    """Store the passkey statement of a trustee or cosigner, in place of one of the same name."""
    table = schema.annex_statement
    tx.execute(delete(table).where(table.c.meeting == meeting, table.c.kind == kind, table.c.name == name))
    tx.execute(
        schema.annex_statement.insert().values(
            meeting=meeting, kind=kind, name=name, member=member, statement=_dump(statement)
        )
    )


def end_trustee_statements(tx: Connection, meeting: str, attempt: int) -> None:
    """Put the statements of an attempt at the key aside, as evidence."""
    table = schema.annex_statement
    here = (table.c.meeting == meeting, table.c.kind == "trustee")
    tx.execute(update(table).where(*here).values(kind=f"trustee {attempt}"))


def statements(tx: Connection, meeting: str, kind: str) -> list[dict[str, Any]]:
    """The statements of one kind, ordered by name."""
    table = schema.annex_statement
    rows = tx.execute(
        select(table.c.statement).where(table.c.meeting == meeting, table.c.kind == kind).order_by(table.c.name)
    )
    return [json.loads(row.statement) for row in rows]


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
