"""Agenda items and which of them is current."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from folkmoot_server.domain.errors import NotFound, WrongState


class ItemState(StrEnum):
    """Where an agenda item stands."""

    WAITING = "waiting"
    CURRENT = "current"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Item:
    """An agenda item."""

    id: str
    title: str
    state: ItemState


def start(items: Sequence[Item], item: str) -> list[Item]:
    """Return the items with `item` current and the former current one done; a done item may be taken up again.

    Raises:
        NotFound: there is no such item.
        WrongState: it is current already.
    """
    chosen = next((i for i in items if i.id == item), None)
    if chosen is None:
        raise NotFound("agenda.unknown-item", "There is no such agenda item in this meeting.")
    if chosen.state is ItemState.CURRENT:
        raise WrongState("agenda.current-already", "This agenda item is being dealt with already.")
    return [_after(i, item) for i in items]


def finish(items: Sequence[Item]) -> list[Item]:
    """Return the items with none current, as at the end of a meeting."""
    return [_after(i, "") for i in items]


def _after(item: Item, current: str) -> Item:
    if item.id == current:
        return replace(item, state=ItemState.CURRENT)
    return replace(item, state=ItemState.DONE) if item.state is ItemState.CURRENT else item
