"""Rules of speaking and turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.speaking import OPEN, Kind, Rules, Speaker, Turn, TurnState, Wish
from folkmoot_server.storage import schema
from folkmoot_server.storage.schema_speaking import speaking_rules, turn


def rules(tx: Connection, meeting: str) -> Rules:
    """Return a meeting's rules of speaking."""
    row = tx.execute(select(speaking_rules).where(speaking_rules.c.meeting == meeting)).first()
    return Rules() if row is None else Rules(row.turn_s, row.group_s, row.order_s, bool(row.queue_open))


def save_rules(tx: Connection, meeting: str, wanted: Rules) -> None:
    """Insert or replace a meeting's rules of speaking."""
    values = {
        "meeting": meeting,
        "turn_s": wanted.turn_s,
        "group_s": wanted.group_s,
        "order_s": wanted.order_s,
        "queue_open": int(wanted.queue_open),
    }
    statement = insert(speaking_rules).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting"], set_=values))


def next_number(tx: Connection, meeting: str) -> int:
    """Return the number of the next turn of a meeting."""
    return 1 + (tx.execute(select(func.max(turn.c.number)).where(turn.c.meeting == meeting)).scalar() or 0)


def save(tx: Connection, meeting: str, one: Turn) -> None:
    """Insert or replace a turn."""
    values = {
        "meeting": meeting,
        "number": one.number,
        "person": one.speaker.person,
        "name": one.speaker.name,
        "group": one.speaker.group,
        "kind": one.wish.kind,
        "category": one.wish.category,
        "item": one.item,
        "state": one.state,
        "asked_at": one.asked_at,
        "begun_at": one.begun_at,
        "limit_s": one.limit_s,
        "spoken_s": one.spoken_s,
        "resumed_at": one.resumed_at,
    }
    statement = insert(turn).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting", "number"], set_=values))


def in_states(tx: Connection, meeting: str, states: Iterable[TurnState]) -> list[Turn]:
    """Return the turns in these states, by number."""
    return _turns(tx, turn.c.meeting == meeting, turn.c.state.in_(list(states)))


def open_turn(tx: Connection, meeting: str, person: str) -> Turn | None:
    """Return the turn that a person has queued or running, or None."""
    found = _turns(tx, turn.c.meeting == meeting, turn.c.person == person, turn.c.state.in_(list(OPEN)))
    return found[0] if found else None


def of_item(tx: Connection, meeting: str, item: str) -> list[Turn]:
    """Return the turns of an agenda item ("" before the first one) that have begun, by number."""
    return _turns(tx, turn.c.meeting == meeting, turn.c.item == item, turn.c.begun_at > 0)


def current_item(tx: Connection, meeting: str) -> str:
    """Return the agenda item that is dealt with, or ""."""
    item = schema.agenda_item.c
    return tx.scalars(select(item.id).where(item.meeting == meeting, item.state == "current")).first() or ""


def group_of(tx: Connection, unit: str, member_unit: str) -> str:
    """Return the unit directly below `unit` on the way to `member_unit`, or "" when there is none."""
    closure = schema.unit_closure.c
    query = select(schema.unit.c.id).join(schema.unit_closure, closure.ancestor == schema.unit.c.id)
    return tx.scalars(query.where(schema.unit.c.parent == unit, closure.descendant == member_unit)).first() or ""


def _turns(tx: Connection, *conditions: Any) -> list[Turn]:
    return [_turn(row) for row in tx.execute(select(turn).where(*conditions).order_by(turn.c.number))]


def _turn(row: Row[Any]) -> Turn:
    return Turn(
        number=row.number,
        speaker=Speaker(row.person, row.name, row.group),
        wish=Wish(Kind(row.kind), row.category),
        item=row.item,
        state=TurnState(row.state),
        asked_at=row.asked_at,
        begun_at=row.begun_at,
        limit_s=row.limit_s,
        spoken_s=row.spoken_s,
        resumed_at=row.resumed_at,
    )
