"""How far the chain of a meeting's attendance log is, and the marks that votes have signed of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from folkmoot_server.storage import schema_attendance


@dataclass(frozen=True, slots=True)
class Chain:
    """A log of `count` lines with this head, made of the events up to number `seq`."""

    salt: bytes
    seq: int
    count: int
    head: bytes


def chain(tx: Connection, meeting: str) -> Chain | None:
    """Return how far a meeting's log is; None before its first mark."""
    table = schema_attendance.attendance_log
    columns = (table.c.salt, table.c.seq, table.c["count"], table.c.head)
    row = tx.execute(select(*columns).where(table.c.meeting == meeting)).first()
    if row is None:
        return None
    salt, seq, count, head = row
    return Chain(bytes(salt), seq, count, bytes(head))


def save_chain(tx: Connection, meeting: str, now: Chain) -> None:
    """Store how far the log is."""
    table = schema_attendance.attendance_log
    if not tx.execute(update(table).where(table.c.meeting == meeting).values(**asdict(now))).rowcount:
        tx.execute(table.insert().values(meeting=meeting, **asdict(now)))


def add_mark(tx: Connection, meeting: str, mark: dict[str, Any]) -> None:
    """Store a mark of one of a vote's two moments."""
    values = {"election": mark["election"], "moment": mark["when"], "meeting": meeting, "mark": json.dumps(mark)}
    tx.execute(schema_attendance.attendance_mark.insert().values(**values))


def marks(tx: Connection, meeting: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the marks of a meeting by election and moment."""
    table = schema_attendance.attendance_mark
    rows = tx.execute(select(table).where(table.c.meeting == meeting))
    return {(row.election, row.moment): json.loads(row.mark) for row in rows}
