"""Notices of meetings with their receipts and excuses, and signed acts kept as evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, select, update

from folkmoot_server.domain.notices import Notice
from folkmoot_server.storage.schema_conduct import notice, signed_act


def _notice(row: Row[Any]) -> Notice:
    return Notice(row.member, row.sent_at, row.delivered_at, row.read_at, bool(row.excused), row.reason)


def send(tx: Connection, meeting: str, members: Iterable[str], now: int) -> int:
    """Call the members; return how many were called."""
    rows = [{"meeting": meeting, "member": member, "sent_at": now} for member in members]
    if rows:
        tx.execute(notice.insert(), rows)
    return len(rows)


def send_again(tx: Connection, meeting: str, now: int) -> None:
    """Call everybody called once more; receipts begin anew, excuses stay."""
    values = {"sent_at": now, "delivered_at": 0, "read_at": 0}
    tx.execute(update(notice).where(notice.c.meeting == meeting).values(values))


def of_meeting(tx: Connection, meeting: str) -> list[Notice]:
    """Return the notices of a meeting, by member."""
    rows = tx.execute(select(notice).where(notice.c.meeting == meeting).order_by(notice.c.member))
    return [_notice(row) for row in rows]


def find(tx: Connection, meeting: str, member: str) -> Notice | None:
    """Return the notice of one member, or None for who was not called."""
    row = tx.execute(select(notice).where(notice.c.meeting == meeting, notice.c.member == member)).first()
    return None if row is None else _notice(row)


def of_member(tx: Connection, member: str) -> dict[str, Notice]:
    """Return the notices of one member by meeting."""
    return {row.meeting: _notice(row) for row in tx.execute(select(notice).where(notice.c.member == member))}


def save(tx: Connection, meeting: str, one: Notice) -> None:
    """Store a changed notice."""
    values = {
        "delivered_at": one.delivered_at,
        "read_at": one.read_at,
        "excused": int(one.excused),
        "reason": one.reason,
    }
    tx.execute(update(notice).where(notice.c.meeting == meeting, notice.c.member == one.member).values(values))


def keep_signed(tx: Connection, meeting: str, member: str, kind: str, at: int, evidence: str) -> None:
    """Keep a signed act of the conduct of a meeting."""
    tx.execute(signed_act.insert().values(meeting=meeting, member=member, kind=kind, at=at, evidence=evidence))


def signed(tx: Connection, meeting: str) -> list[tuple[str, str, str]]:
    """Return kind, member and evidence of the signed acts of a meeting, the oldest first."""
    table = signed_act.c
    rows = tx.execute(
        select(table.kind, table.member, table.evidence).where(table.meeting == meeting).order_by(table.id)
    )
    return [(row.kind, row.member, row.evidence) for row in rows]
