"""Trustees, key generation messages and cosigners of a meeting."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

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


def attempt(tx: Connection, meeting: str) -> int:
    """The number of the attempt at the key that runs or has succeeded, from 1."""
    table = schema.ended_attempt.c
    newest = tx.execute(select(func.max(table.attempt)).where(table.meeting == meeting)).scalar()
    return 1 if newest is None else int(newest) + 1


def end_attempt(tx: Connection, meeting: str, number: int, reason: str, at: int, evidence: str) -> None:
    """Break an attempt off; its messages stay, the trustees' copies of their secrets do not."""
    table = schema.ended_attempt
    tx.execute(table.insert().values(meeting=meeting, attempt=number, reason=reason, at=at, evidence=evidence))
    tx.execute(schema.share_copy.delete().where(schema.share_copy.c.meeting == meeting))


def ended_attempts(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """The broken-off attempts as the annex has them: {"attempt", "reason", "messages"}, ascending."""
    table = schema.ended_attempt
    rows = tx.execute(
        select(table.c.attempt, table.c.reason).where(table.c.meeting == meeting).order_by(table.c.attempt)
    )
    return [
        {"attempt": number, "reason": reason, "messages": _messages(tx, meeting, number)} for number, reason in rows
    ]


def messages(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """Messages of the current attempt: rounds in order, each by index, a complaint last."""
    return _messages(tx, meeting, attempt(tx, meeting))


def _messages(tx: Connection, meeting: str, number: int) -> list[dict[str, Any]]:
    table = schema.key_message
    rows = tx.execute(
        select(table.c.message)
        .where(table.c.meeting == meeting, table.c.attempt == number)
        .order_by(table.c.round, table.c.trustee)
    )
    return [json.loads(row.message) for row in rows]


def add_message(tx: Connection, meeting: str, number: int, content: dict[str, Any]) -> None:
    """Store a message that the key generation has accepted, in round `number`."""
    tx.execute(
        schema.key_message.insert().values(
            meeting=meeting,
            attempt=content["attempt"],
            round=number,
            trustee=content["trustee"],
            message=json.dumps(content, sort_keys=True),
        )
    )


def is_used(tx: Connection, meeting: str) -> bool:
    """Say whether an election of the meeting was opened with the trustees' key."""
    table = schema.election.c
    manifests = tx.scalars(select(table.manifest).where(table.meeting == meeting, table.manifest.is_not(None)))
    return any(json.loads(manifest)["trustees"]["count"] for manifest in manifests)


def challenges_end(tx: Connection, meeting: str) -> int:
    """When the challenge period of the meeting's last tally ends, in seconds; 0 when nothing was counted."""
    table = schema.election.c
    counted = select(table.manifest, table.tally).where(table.meeting == meeting, table.tally.is_not(None))
    return max(
        (
            int(json.loads(tally)["core"]["counted_at"]) + int(json.loads(manifest)["challenge_s"])
            for manifest, tally in tx.execute(counted)
        ),
        default=0,
    )


def put_copy(tx: Connection, meeting: str, trustee: int, copy: dict[str, Any]) -> None:
    """Store a trustee's sealed copy in place of an earlier one."""
    drop_copy(tx, meeting, trustee)
    tx.execute(
        schema.share_copy.insert().values(meeting=meeting, trustee=trustee, copy=json.dumps(copy, sort_keys=True))
    )


def copy(tx: Connection, meeting: str, trustee: int) -> dict[str, Any] | None:
    """A trustee's sealed copy."""
    table = schema.share_copy.c
    found = tx.execute(select(table.copy).where(table.meeting == meeting, table.trustee == trustee)).scalar()
    return None if found is None else dict(json.loads(found))


def drop_copy(tx: Connection, meeting: str, trustee: int) -> None:
    """Delete a trustee's sealed copy."""
    table = schema.share_copy
    tx.execute(table.delete().where(table.c.meeting == meeting, table.c.trustee == trustee))


def add_destroyed(tx: Connection, meeting: str, trustee: int, statement: dict[str, Any]) -> None:
    """Store a trustee's statement that the own secrets are deleted."""
    tx.execute(
        schema.share_destroyed.insert().values(
            meeting=meeting, trustee=trustee, statement=json.dumps(statement, sort_keys=True)
        )
    )


def destroyed(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """The statements of destruction, by trustee."""
    table = schema.share_destroyed.c
    rows = tx.scalars(select(table.statement).where(table.meeting == meeting).order_by(table.trustee))
    return [json.loads(row) for row in rows]


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
