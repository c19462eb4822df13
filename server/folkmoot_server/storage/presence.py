"""Askings whether those present are still there, and their answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.presence import Ask
from folkmoot_server.storage.schema_sites import presence_answer, presence_ask


def _ask(tx: Connection, row: Row[Any]) -> Ask:
    answers = presence_answer.c
    query = select(answers.member, answers.confirmed_at).where(answers.presence == row.id).order_by(answers.member)
    found = {one.member: one.confirmed_at for one in tx.execute(query)}
    return Ask(row.id, row.meeting, row.site, row.at, row.until, row.over_at, row.told, found)


def get(tx: Connection, meeting: str, presence: str) -> Ask:
    """Return an asking of a meeting.

    Raises:
        NotFound: there is none.
    """
    table = presence_ask
    row = tx.execute(select(table).where(table.c.meeting == meeting, table.c.id == presence)).first()
    if row is None:
        raise NotFound("presence.unknown", "Nobody was asked this.")
    return _ask(tx, row)


def of_meeting(tx: Connection, meeting: str) -> list[Ask]:
    """Return every asking of a meeting, the oldest first."""
    table = presence_ask
    query = select(table).where(table.c.meeting == meeting).order_by(table.c.at, table.c.id)
    return [_ask(tx, row) for row in tx.execute(query)]


@dataclass(frozen=True, slots=True)
class Newest:
    """The asking that began last, with one member's answer alone, and how many it asks and have confirmed."""

    ask: Ask
    asked: int
    confirmed: int


def newest(tx: Connection, meeting: str, member: str) -> Newest | None:
    """Return the asking of a meeting that began last, with the answer of one member alone, or None."""
    table, answers = presence_ask, presence_answer.c
    query = select(table).where(table.c.meeting == meeting).order_by(table.c.at.desc(), table.c.id.desc()).limit(1)
    row = tx.execute(query).first()
    if row is None:
        return None
    counted = select(func.count(), func.count().filter(answers.confirmed_at > 0)).where(answers.presence == row.id)
    asked, confirmed = tx.execute(counted).one()
    mine = select(answers.member, answers.confirmed_at).where(answers.presence == row.id, answers.member == member)
    own = {one.member: one.confirmed_at for one in tx.execute(mine)}
    return Newest(Ask(row.id, row.meeting, row.site, row.at, row.until, row.over_at, row.told, own), asked, confirmed)


def running(tx: Connection, meeting: str = "") -> list[Ask]:
    """Return the askings that are not over, of one meeting or of all."""
    table = presence_ask
    query = select(table).where(table.c.over_at == 0)
    if meeting:
        query = query.where(table.c.meeting == meeting)
    return [_ask(tx, row) for row in tx.execute(query.order_by(table.c.at, table.c.id))]


def add(tx: Connection, ask: Ask) -> None:
    """Insert an asking with whom it asks."""
    values = {"id": ask.id, "meeting": ask.meeting, "site": ask.site, "at": ask.at, "until": ask.until}
    tx.execute(presence_ask.insert().values(**values))
    rows = [{"presence": ask.id, "member": member} for member in sorted(ask.answers)]
    tx.execute(presence_answer.insert(), rows)


def confirm(tx: Connection, presence: str, member: str, at: int, evidence: str) -> None:
    """Keep a member's answer."""
    where = (presence_answer.c.presence == presence, presence_answer.c.member == member)
    tx.execute(update(presence_answer).where(*where).values(confirmed_at=at, evidence=evidence))


def set_told(tx: Connection, presence: str, told: int) -> None:
    """Note how many confirmations the log has told of."""
    tx.execute(update(presence_ask).where(presence_ask.c.id == presence).values(told=told))


def end(tx: Connection, presences: Iterable[str], at: int) -> None:
    """End askings."""
    tx.execute(update(presence_ask).where(presence_ask.c.id.in_(list(presences))).values(over_at=at))
