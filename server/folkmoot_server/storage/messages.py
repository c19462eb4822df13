"""Messages of a meeting, their support, and what may be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.messages import Kind, Message, Rules
from folkmoot_server.storage.schema_messages import message, message_rules, message_support


def _message(row: Row[Any]) -> Message:
    kind, hidden = Kind(row.kind), bool(row.hidden)
    return Message(
        row.meeting,
        row.id,
        row.person,
        row.name,
        kind,
        row.to,
        row.text,
        row.at,
        hidden,
        row.reason,
        row.votes,
        row.seq,
    )


def _seen(outside: Sequence[tuple[int, int]]) -> list[ColumnElement[bool]]:
    return [~message.c.seq.between(first, last) for first, last in outside]


def find(tx: Connection, meeting: str, number: int) -> Message | None:
    """Return a message."""
    row = tx.execute(select(message).where(message.c.meeting == meeting, message.c.id == number)).first()
    return None if row is None else _message(row)


def after(
    tx: Connection, meeting: str, number: int, limit: int, outside: Sequence[tuple[int, int]] = ()
) -> list[Message]:
    """Return up to `limit` messages after `number`, ascending, but those of events in the ranges `outside`."""
    query = select(message).where(message.c.meeting == meeting, message.c.id > number, *_seen(outside))
    return [_message(row) for row in tx.execute(query.order_by(message.c.id).limit(limit))]


def last(tx: Connection, meeting: str) -> int:
    """Return the number of the newest message, or 0."""
    query = select(func.coalesce(func.max(message.c.id), 0)).where(message.c.meeting == meeting)
    return int(tx.execute(query).scalar_one())


def written(tx: Connection, meeting: str, person: str) -> tuple[int, int]:
    """Return how many messages a person wrote in a meeting, and when the last one."""
    query = select(func.count(), func.coalesce(func.max(message.c.at), 0))
    row = tx.execute(query.where(message.c.meeting == meeting, message.c.person == person)).one()
    return int(row[0]), int(row[1])


def add(tx: Connection, new: Message) -> None:
    """Insert a message."""
    tx.execute(
        message.insert().values(
            meeting=new.meeting,
            id=new.id,
            person=new.person,
            name=new.name,
            kind=new.kind.value,
            to=new.to,
            text=new.text,
            at=new.at,
            seq=new.seq,
        )
    )


def hide(tx: Connection, meeting: str, number: int, reason: str, by: str) -> None:
    """Overwrite a message's text with nothing and keep why and by whom."""
    chosen = (message.c.meeting == meeting, message.c.id == number)
    tx.execute(update(message).where(*chosen).values(hidden=1, text="", reason=reason, hidden_by=by))


def support(tx: Connection, meeting: str, number: int, person: str) -> bool:
    """Count a person's support once; return whether it was the first time."""
    values = {"meeting": meeting, "message": number, "person": person}
    if tx.execute(insert(message_support).values(values).on_conflict_do_nothing()).rowcount == 0:
        return False
    chosen = (message.c.meeting == meeting, message.c.id == number)
    tx.execute(update(message).where(*chosen).values(votes=message.c.votes + 1))
    return True


def supported(tx: Connection, meeting: str, outside: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Return (number, votes) of every question that has support and is not hidden, but those `outside`."""
    chosen = (message.c.meeting == meeting, message.c.votes > 0, message.c.hidden == 0, *_seen(outside))
    rows = tx.execute(select(message.c.id, message.c.votes).where(*chosen).order_by(message.c.id))
    return [(row.id, row.votes) for row in rows]


def supported_by(tx: Connection, meeting: str, person: str) -> frozenset[int]:
    """Return the numbers of the questions that a person supports."""
    table = message_support.c
    return frozenset(tx.scalars(select(table.message).where(table.meeting == meeting, table.person == person)))


def rules(tx: Connection, meeting: str) -> Rules:
    """Return what may be written in a meeting."""
    row = tx.execute(select(message_rules).where(message_rules.c.meeting == meeting)).first()
    return Rules() if row is None else Rules(bool(row.chat), bool(row.questions), bool(row.visitors))


def save_rules(tx: Connection, meeting: str, new: Rules) -> None:
    """Store what may be written."""
    values = {
        "meeting": meeting,
        "chat": int(new.chat),
        "questions": int(new.questions),
        "visitors": int(new.visitors),
    }
    tx.execute(insert(message_rules).values(values).on_conflict_do_update(index_elements=["meeting"], set_=values))
