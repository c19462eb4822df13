"""The agenda as readers see it, and the templates of a unit."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.domain import agenda
from folkmoot_server.domain.roles import ALLOWED, Action, Role
from folkmoot_server.storage import agenda as store
from folkmoot_server.storage import meetings, units


def sees_internal(roles: Collection[Role]) -> bool:
    """Say whether somebody with these roles on the meeting's unit may know of internal items."""
    return not ALLOWED[Action.EDIT_AGENDA].isdisjoint(roles)


def agenda_view(tx: Connection, meeting_id: str, *, office: bool) -> list[dict[str, Any]]:
    """Return the items that a reader may know of in reading order, numbered without a hole."""
    items = agenda.visible(meetings.items(tx, meeting_id), office=office)
    numbers = agenda.numbers(items)
    return [
        {
            "id": item.id,
            "parent": item.parent,
            "position": position,
            "number": numbers[item.id],
            "title": item.title,
            "state": item.state.value,
            "minutes": item.minutes,
            "internal": item.internal,
            "carried_from": item.carried_from,
            "version": item.version,
        }
        for position, item in enumerate(items)
    ]


def templates_view(tx: Connection, unit: str, member: str, now: int) -> dict[str, Any]:
    """Return the templates of a unit and of the units above it.

    Raises:
        NotFound: there is no such unit.
        Forbidden: the member is neither chair nor secretary there.
    """
    units.get(tx, unit)
    rights.require(tx, member, Action.EDIT_AGENDA, unit, now)
    found = store.templates(tx, units.lineage(tx, unit))
    return {"templates": [{"id": one.id, "name": one.name, "items": one.items} for one in found]}
