"""Closed sessions of a meeting: their events once more, with the reasons."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from folkmoot_server.domain.closed_sessions import BEGAN, History, Session, fold
from folkmoot_server.storage.schema_conduct import closed_session


@dataclass(frozen=True, slots=True)
class _Stored:
    seq: int
    type: str
    at: int
    body: dict[str, Any]
    reason: str


def add(tx: Connection, meeting: str, seq: int, kind: str, at: int, body: dict[str, Any], reason: str = "") -> None:
    """Keep what an event that was just appended says; a reason belongs to the one that begins a session."""
    values = {"meeting": meeting, "seq": seq, "type": kind, "at": at, "body": json.dumps(body), "reason": reason}
    tx.execute(closed_session.insert().values(values))


def _stored(tx: Connection, meetings: Collection[str]) -> dict[str, list[_Stored]]:
    table = closed_session.c
    query = select(closed_session).where(table.meeting.in_(list(meetings))).order_by(table.meeting, table.seq)
    found: dict[str, list[_Stored]] = {}
    for row in tx.execute(query):
        one = _Stored(row.seq, row.type, row.at, json.loads(row.body), row.reason)
        found.setdefault(row.meeting, []).append(one)
    return found


def histories(tx: Connection, meetings: Collection[str]) -> dict[str, History]:
    """Return the closed sessions of those of these meetings that had any."""
    return {meeting: fold(stored) for meeting, stored in _stored(tx, meetings).items()}


def history(tx: Connection, meeting: str) -> History:
    """Return the closed sessions of a meeting."""
    return histories(tx, [meeting]).get(meeting, History())


def any_runs(tx: Connection) -> bool:
    """Say whether a closed session runs in any meeting."""
    had = set(tx.scalars(select(closed_session.c.meeting).distinct()))
    return any(one.running is not None for one in histories(tx, had).values())


def running(tx: Connection, meeting: str) -> Session | None:
    """Return the closed session that runs in a meeting, None without one."""
    stored = _stored(tx, [meeting]).get(meeting, [])
    admission = fold(stored).running
    if admission is None:
        return None
    began = [one for one in stored if one.type == BEGAN][-1]
    return Session(began.at, began.reason, admission)


def reasons(tx: Connection, meeting: str) -> dict[int, str]:
    """Return the reasons of closed sessions by the number of the event that began each."""
    return {one.seq: one.reason for one in _stored(tx, [meeting]).get(meeting, []) if one.type == BEGAN}
