"""The event log: the outbox and the source of every projection."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select, update

from folkmoot_server.domain.audience import Listener, heard
from folkmoot_server.domain.closed_sessions import Admission, History
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.storage import closed_sessions, schema

TYPES_MAX: Final = 1000  # far more than there are of what happens now and then
_OPEN: Final = History()


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event as committed; `seq` counts per meeting from 1 without gaps, `number` over the installation.

    `closed` is who was admitted when it happened in a closed session, None of an event outside of one.
    """

    number: int
    meeting: str
    seq: int
    type: str
    at: int
    body: dict[str, Any]
    closed: Admission | None = None

    def wire(self, listener: Listener) -> dict[str, Any]:
        """The event as a client hears it."""
        kind, body = heard(self.type, self.body, self.closed, listener)
        return {"seq": self.seq, "type": kind, "at": self.at, "body": body}


def append(connection: Connection, meeting: str, kind: str, at: int, body: dict[str, Any]) -> int:
    """Append one event in the caller's transaction and return its seq.

    Raises:
        NotFound: there is no such meeting.
    """
    row = connection.execute(
        update(schema.meeting)
        .where(schema.meeting.c.id == meeting)
        .values(last_seq=schema.meeting.c.last_seq + 1)
        .returning(schema.meeting.c.last_seq)
    ).first()
    if row is None:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    seq = int(row[0])
    connection.execute(
        schema.event.insert().values(
            meeting=meeting, seq=seq, type=kind, at=at, body=json.dumps(body, sort_keys=True, ensure_ascii=False)
        )
    )
    return seq


def _rows(connection: Connection, *conditions: Any, limit: int) -> list[StoredEvent]:
    query = select(schema.event).where(*conditions).order_by(schema.event.c.id).limit(limit)
    rows = connection.execute(query).all()
    histories = closed_sessions.histories(connection, {row.meeting for row in rows})
    return [
        StoredEvent(
            row.id,
            row.meeting,
            row.seq,
            row.type,
            row.at,
            json.loads(row.body),
            histories.get(row.meeting, _OPEN).at(row.seq),
        )
        for row in rows
    ]


def of_meeting(connection: Connection, meeting: str, after: int, limit: int = 500) -> list[StoredEvent]:
    """Events of one meeting with seq greater than `after`, ascending."""
    return _rows(connection, schema.event.c.meeting == meeting, schema.event.c.seq > after, limit=limit)


def of_types(
    connection: Connection, meeting: str, kinds: Collection[str], after: int = 0, limit: int = TYPES_MAX
) -> list[StoredEvent]:
    """Events of one meeting of these types with seq greater than `after`, ascending; limit -1 for all."""
    table = schema.event.c
    return _rows(connection, table.meeting == meeting, table.seq > after, table.type.in_(kinds), limit=limit)


def since(connection: Connection, number: int, limit: int = 500) -> list[StoredEvent]:
    """Events of every meeting with installation number greater than `number`, ascending."""
    return _rows(connection, schema.event.c.id > number, limit=limit)


def last_number(connection: Connection) -> int:
    """Return the installation number of the newest event, or 0."""
    return connection.execute(select(func.max(schema.event.c.id))).scalar() or 0


def last_at(connection: Connection, meeting: str, kind: str) -> int:
    """Return when the newest event of a kind happened in a meeting, or 0."""
    table = schema.event.c
    query = select(func.max(table.at)).where(table.meeting == meeting, table.type == kind)
    return connection.execute(query).scalar() or 0
