"""Trustees, key generation messages and cosigners of a meeting."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from folkmoot_server.domain.keys import Assignment
from folkmoot_server.storage import schema


@dataclass(frozen=True, slots=True)
class StoredCosigner:
    """A cosigner's name, member and key (b64u, empty until it is registered)."""

    name: str
    member: str
    key: str


def assign(tx: Connection, meeting: str, assignment: Assignment) -> None:
    """Store the officers chosen when the roll was frozen."""
    for index, member in enumerate(assignment.trustees, 1):
        tx.execute(schema.trustee.insert().values(meeting=meeting, index=index, member=member))
    for name, member in assignment.cosigners.items():
        tx.execute(schema.cosigner.insert().values(meeting=meeting, name=name, member=member, key=""))


def trustees(tx: Connection, meeting: str) -> list[tuple[int, str, str]]:
    """The trustees as (index, member id, member name), by index."""
    rows = tx.execute(
        select(schema.trustee.c["index"], schema.trustee.c.member, schema.member.c.name)
        .join(schema.member, schema.member.c.id == schema.trustee.c.member)
        .where(schema.trustee.c.meeting == meeting)
        .order_by(schema.trustee.c["index"])
    )
    return [(index, member, name) for index, member, name in rows]


def trustee_index(tx: Connection, meeting: str, member: str) -> int:
    """The member's index among the trustees, or 0."""
    found = tx.execute(
        select(schema.trustee.c["index"]).where(
            schema.trustee.c.meeting == meeting, schema.trustee.c.member == member
        )
    ).scalar()
    return 0 if found is None else int(found)


def messages(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """Key generation messages, rounds in order and each round by index."""
    table = schema.key_message
    rows = tx.execute(
        select(table.c.message).where(table.c.meeting == meeting).order_by(table.c.round, table.c.trustee)
    )
    return [json.loads(row.message) for row in rows]


def message(tx: Connection, meeting: str, number: int, trustee: int) -> dict[str, Any] | None:
    """The message of one trustee in one round (0 to 4)."""
    table = schema.key_message
    found = tx.execute(
        select(table.c.message).where(table.c.meeting == meeting, table.c.round == number, table.c.trustee == trustee)
    ).scalar()
    return None if found is None else dict(json.loads(found))


def add_message(tx: Connection, meeting: str, number: int, trustee: int, content: dict[str, Any]) -> None:
    """Store a message that the key generation has accepted."""
    tx.execute(
        schema.key_message.insert().values(
            meeting=meeting, round=number, trustee=trustee, message=json.dumps(content, sort_keys=True)
        )
    )


def cosigners(tx: Connection, meeting: str) -> list[StoredCosigner]:
    """The assigned cosigners, by name."""
    rows = tx.execute(
        select(schema.cosigner).where(schema.cosigner.c.meeting == meeting).order_by(schema.cosigner.c.name)
    )
    return [StoredCosigner(row.name, row.member, row.key) for row in rows]


def cosigner_name(tx: Connection, meeting: str, member: str) -> str:
    """The member's name among the cosigners, or an empty string."""
    found = tx.execute(
        select(schema.cosigner.c.name).where(schema.cosigner.c.meeting == meeting, schema.cosigner.c.member == member)
    ).scalar()
    return "" if found is None else str(found)


def set_cosigner_key(tx: Connection, meeting: str, name: str, key: str) -> None:
    """Store the key with which a cosigner signs closing checkpoints."""
    tx.execute(
        update(schema.cosigner)
        .where(schema.cosigner.c.meeting == meeting, schema.cosigner.c.name == name)
        .values(key=key)
    )
