"""The agenda: a tree of items in reading order, which of them is current, and changes that lose nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from folkmoot_server.domain.errors import BadInput, Conflict, NotFound, Refused, WrongState

ITEMS_MAX: Final = 200
DEPTH_MAX: Final = 4
MINUTES_MAX: Final = 1440


class ItemState(StrEnum):
    """Where an agenda item stands."""

    WAITING = "waiting"
    CURRENT = "current"
    DONE = "done"
    DEFERRED = "deferred"


@dataclass(frozen=True, slots=True)
class Item:
    """An agenda item; `parent` is empty at the top, `source` the item of another meeting that it was carried from.

    What stands below an internal item is internal too.
    """

    id: str
    title: str
    state: ItemState
    parent: str = ""
    minutes: int = 0
    internal: bool = False
    carried_from: str = ""
    source: str = ""
    version: int = 0

    @property
    def public_title(self) -> str:
        """The title as everybody may know it."""
        return "" if self.internal else self.title


def find(items: Iterable[Item], item: str) -> Item:
    """Return one item.

    Raises:
        NotFound: there is no such item.
    """
    for one in items:
        if one.id == item:
            return one
    raise NotFound("agenda.unknown-item", "There is no such agenda item in this meeting.")


def start(items: Sequence[Item], item: str) -> list[Item]:
    """Return the items with `item` current and the former current one done; a done item may be taken up again.

    Raises:
        NotFound: there is no such item.
        WrongState: it is current already.
    """
    if find(items, item).state is ItemState.CURRENT:
        raise WrongState("agenda.current-already", "This agenda item is being dealt with already.")
    return [_after(i, item) for i in items]


def finish(items: Sequence[Item]) -> list[Item]:
    """Return the items with none current, as at the end of a meeting."""
    return [_after(i, "") for i in items]


def defer(items: Sequence[Item], item: str) -> list[Item]:
    """Return the items with `item` put off, for another meeting or for later.

    Raises:
        NotFound: there is no such item.
        WrongState: it is done or put off already.
    """
    if find(items, item).state not in (ItemState.WAITING, ItemState.CURRENT):
        raise WrongState("agenda.not-open", "This agenda item is done or put off already.")
    return [replace(i, state=ItemState.DEFERRED) if i.id == item else i for i in items]


def _after(item: Item, current: str) -> Item:
    if item.id == current:
        return replace(item, state=ItemState.CURRENT)
    return replace(item, state=ItemState.DONE) if item.state is ItemState.CURRENT else item


def below(items: Iterable[Item], item: str) -> set[str]:
    """Return the ids of everything below an item of a list in reading order."""
    found = {item}
    for one in items:
        if one.parent in found:
            found.add(one.id)
    return found - {item}


def depths(items: Iterable[Item]) -> dict[str, int]:
    """Return the level of each item of a list in reading order, 1 at the top."""
    found = {"": 0}
    for one in items:
        found[one.id] = found[one.parent] + 1
    del found[""]
    return found


def numbers(items: Iterable[Item]) -> dict[str, str]:
    """Return the number of each item of a list in reading order, as in "2.1"."""
    counts: dict[str, int] = {}
    found = {"": ""}
    for one in items:
        counts[one.parent] = counts.get(one.parent, 0) + 1
        found[one.id] = f"{found[one.parent]}.{counts[one.parent]}".lstrip(".")
    del found[""]
    return found


def visible(items: Iterable[Item], *, office: bool) -> list[Item]:
    """Return what a reader may know of: internal items are for chair and secretary."""
    return [one for one in items if office or not one.internal]


def planned(items: Iterable[Item]) -> int:
    """Return the minutes planned: of each item its own, or those of the items below it where it has none."""
    children: dict[str, list[Item]] = {}
    for one in items:
        children.setdefault(one.parent, []).append(one)

    def of(parent: str) -> int:
        return sum(one.minutes or of(one.id) for one in children.get(parent, []))

    return of("")


def reading_order(items: Iterable[Item]) -> list[Item]:
    """Return items whose siblings are in order as a list with each item before what stands below it."""
    children: dict[str, list[Item]] = {}
    for one in items:
        children.setdefault(one.parent, []).append(one)

    def walk(parent: str) -> list[Item]:
        return [found for one in children.get(parent, []) for found in (one, *walk(one.id))]

    return walk("")


def add(items: Sequence[Item], item: Item, after: str) -> list[Item]:
    """Return the items with a new one below its parent, right after a sibling or first.

    Raises:
        NotFound: no such parent, or no such sibling there.
        BadInput: too many items, or too deep.
    """
    if len(items) >= ITEMS_MAX:
        raise BadInput("agenda.too-many", f"An agenda has at most {ITEMS_MAX} items.")
    if item.parent and find(items, item.parent).internal:
        item = replace(item, internal=True)
    return _checked(_placed(items, item, after))


def change(items: Sequence[Item], item: str, version: int, *, title: str, minutes: int, internal: bool) -> list[Item]:
    """Return the items with one changed; making it internal takes what stands below it along.

    Raises:
        NotFound: there is no such item.
        Conflict: somebody changed it since that version.
        Refused: it stands below an internal item.
    """
    old = find(items, item)
    if old.version != version:
        raise Conflict(
            "agenda.changed",
            "Somebody has just changed this item; look at both.",
            {
                "item": {
                    "id": old.id,
                    "title": old.title,
                    "minutes": old.minutes,
                    "internal": old.internal,
                    "version": old.version,
                }
            },
        )
    if old.parent and not internal and find(items, old.parent).internal:
        raise Refused("agenda.below-internal", "It stands below an internal item; move it first.")
    new = replace(old, title=title, minutes=minutes, internal=internal, version=version + 1)
    hidden = below(items, item) if internal else set()
    return [new if one.id == item else _hidden(one, hidden) for one in items]


def move(items: Sequence[Item], item: str, parent: str, after: str) -> list[Item]:
    """Return the items with one, and what stands below it, in another place.

    Raises:
        NotFound: no such item or parent, or no such sibling there.
        Refused: below itself.
        BadInput: too deep.
    """
    old = find(items, item)
    if parent in {item, *below(items, item)} or after == item:
        raise Refused("agenda.cycle", "An item cannot stand below or after itself.")
    inside = bool(parent) and find(items, parent).internal
    hidden = {item, *below(items, item)} if inside else set()
    rest = [_hidden(one, hidden) for one in items if one.id != item]
    return _checked(_placed(rest, _hidden(replace(old, parent=parent), hidden), after))


def _hidden(item: Item, hidden: Collection[str]) -> Item:
    if item.id not in hidden or item.internal:
        return item
    return replace(item, internal=True, version=item.version + 1)


def _placed(items: Sequence[Item], item: Item, after: str) -> list[Item]:
    if item.parent:
        find(items, item.parent)
    if after and find(items, after).parent != item.parent:
        raise NotFound("agenda.unknown-place", "The item after which it should stand is somewhere else now.")
    place = next((number for number, one in enumerate(items) if one.id == after), -1) + 1
    return reading_order([*items[:place], item, *items[place:]])


def _checked(items: list[Item]) -> list[Item]:
    if max(depths(items).values()) > DEPTH_MAX:
        raise BadInput("agenda.too-deep", f"An agenda has at most {DEPTH_MAX} levels.")
    return items


def copies(items: Sequence[Item], ids: Mapping[str, str]) -> list[Item]:
    """Return the items named in `ids` under their new ids, waiting; whose parent is not among them is at the top."""
    return reading_order(
        replace(one, id=ids[one.id], parent=ids.get(one.parent, ""), state=ItemState.WAITING, version=0)
        for one in items
        if one.id in ids
    )


def joined(items: Sequence[Item], more: Sequence[Item]) -> list[Item]:
    """Return an agenda with other items, themselves in reading order, after its own.

    Raises:
        BadInput: too many.
    """
    if len(items) + len(more) > ITEMS_MAX:
        raise BadInput("agenda.too-many", f"An agenda has at most {ITEMS_MAX} items.")
    return [*items, *more]
