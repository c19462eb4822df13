"""The organisation tree and its closure table."""

from __future__ import annotations

from sqlalchemy import Connection, literal, select

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.members import Unit
from folkmoot_server.storage import schema


def add(tx: Connection, unit: Unit) -> None:
    """Insert a unit below its parent, which must exist.

    Raises:
        NotFound: there is no such parent.
    """
    if unit.parent is not None:
        get(tx, unit.parent)
    tx.execute(schema.unit.insert().values(id=unit.id, parent=unit.parent, name=unit.name))
    tx.execute(schema.unit_closure.insert().values(ancestor=unit.id, descendant=unit.id, depth=0))
    closure = schema.unit_closure.c
    above = select(closure.ancestor, literal(unit.id), closure.depth + 1).where(closure.descendant == unit.parent)
    tx.execute(schema.unit_closure.insert().from_select(["ancestor", "descendant", "depth"], above))


def get(tx: Connection, unit: str) -> Unit:
    """Return a unit.

    Raises:
        NotFound: there is none with this id.
    """
    row = tx.execute(select(schema.unit).where(schema.unit.c.id == unit)).first()
    if row is None:
        raise NotFound("unit.unknown", "There is no such unit.")
    return Unit(row.id, row.parent, row.name)


def everything(tx: Connection) -> list[Unit]:
    """Return all units, parents before children."""
    closure = schema.unit_closure.c
    depth = select(closure.descendant, closure.depth).join(
        schema.unit, (schema.unit.c.id == closure.ancestor) & schema.unit.c.parent.is_(None)
    )
    level = depth.subquery()
    query = select(schema.unit).join(level, level.c.descendant == schema.unit.c.id)
    rows = tx.execute(query.order_by(level.c.depth, schema.unit.c.name, schema.unit.c.id))
    return [Unit(row.id, row.parent, row.name) for row in rows]


def lineage(tx: Connection, unit: str) -> frozenset[str]:
    """Return the ids of a unit and of every unit above it; empty when there is no such unit."""
    closure = schema.unit_closure.c
    return frozenset(tx.scalars(select(closure.ancestor).where(closure.descendant == unit)))


def subtree(tx: Connection, unit: str) -> frozenset[str]:
    """Return the ids of a unit and of every unit below it."""
    closure = schema.unit_closure.c
    return frozenset(tx.scalars(select(closure.descendant).where(closure.ancestor == unit)))
