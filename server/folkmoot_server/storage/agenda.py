"""Agenda templates, and what refers to an agenda item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, delete, func, select

from folkmoot_server.domain.agenda import Item, ItemState, depths
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.storage import schema
from folkmoot_server.storage.schema_conduct import agenda_template, agenda_template_item


@dataclass(frozen=True, slots=True)
class Template:
    """A named agenda of a unit; `items` is how many it has."""

    id: str
    unit: str
    name: str
    items: int


def is_referred_to(tx: Connection, item: str) -> bool:
    """Say whether any row of any table names the item: what stands below it, votes, motions, papers, turns."""
    return any(
        tx.execute(select(column).where(column == item).limit(1)).first() is not None for column in _references()
    )


def _references() -> list[Column[str]]:
    return [
        column
        for table in schema.metadata.sorted_tables
        for column in table.columns
        if any(one.column is schema.agenda_item.c.id for one in column.foreign_keys)
    ]


def add_template(
    tx: Connection, template: str, unit: str, name: str, items: Sequence[Item], made_by: str, now: int
) -> None:
    """Store an agenda under a name."""
    tx.execute(agenda_template.insert().values(id=template, unit=unit, name=name, made_by=made_by, at=now))
    levels = depths(items)
    for place, item in enumerate(items):
        tx.execute(
            agenda_template_item.insert().values(
                template=template,
                place=place,
                depth=levels[item.id] - 1,
                title=item.title,
                minutes=item.minutes,
                internal=int(item.internal),
            )
        )


def templates(tx: Connection, units: Iterable[str]) -> list[Template]:
    """Return the templates of these units, by name."""
    table, item = agenda_template.c, agenda_template_item.c
    count = select(func.count()).where(item.template == table.id).scalar_subquery()
    query = select(table.id, table.unit, table.name, count.label("items")).where(table.unit.in_(list(units)))
    return [
        Template(row.id, row.unit, row.name, row.items) for row in tx.execute(query.order_by(table.name, table.id))
    ]


def template(tx: Connection, template_id: str) -> Template:
    """Return one template.

    Raises:
        NotFound: there is none with this id.
    """
    row = tx.execute(select(agenda_template).where(agenda_template.c.id == template_id)).first()
    if row is None:
        raise NotFound("template.unknown", "There is no such agenda template.")
    return Template(row.id, row.unit, row.name, len(template_items(tx, template_id)))


def template_items(tx: Connection, template_id: str) -> list[Item]:
    """Return the items of a template in reading order; their ids are good among themselves only."""
    table = agenda_template_item
    rows = tx.execute(select(table).where(table.c.template == template_id).order_by(table.c.place))
    found: list[Item] = []
    above: list[str] = []
    for row in rows:
        del above[row.depth :]
        parent = above[-1] if above else ""
        above.append(str(row.place))
        found.append(Item(str(row.place), row.title, ItemState.WAITING, parent, row.minutes, bool(row.internal)))
    return found


def remove_template(tx: Connection, template_id: str) -> None:
    """Remove a template with its items."""
    tx.execute(delete(agenda_template_item).where(agenda_template_item.c.template == template_id))
    tx.execute(delete(agenda_template).where(agenda_template.c.id == template_id))
