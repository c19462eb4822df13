"""The agenda as a tree: moves, limits, numbers; two editors lose nothing; the tables keep exactly the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from folkmoot_server.domain import agenda
from folkmoot_server.domain.agenda import Item, ItemState
from folkmoot_server.domain.errors import BadInput, Conflict, FolkmootError, NotFound, Refused
from folkmoot_server.storage import meetings, schema
from folkmoot_server.storage.tables import metadata

W = ItemState.WAITING


def tree(*ids: str) -> list[Item]:
    """Items named by paths: "a", "a/b" stands below a; a star marks an internal one."""
    found = []
    for path in ids:
        *above, last = path.strip("*").split("/")
        found.append(Item(last, last.upper(), W, above[-1] if above else "", internal=path.endswith("*")))
    return found


def outline(items: list[Item]) -> str:
    levels = agenda.depths(items)
    return " ".join("-" * (levels[one.id] - 1) + one.id + "*" * one.internal for one in items)


def test_moves_are_relative_and_take_along_what_stands_below() -> None:
    items = tree("a", "a/x", "x/y", "b", "c")
    assert outline(agenda.move(items, "a", "", "c")) == "b c a -x --y"
    assert outline(agenda.move(items, "x", "b", "")) == "a b -x --y c"
    assert outline(agenda.move(items, "c", "a", "")) == "a -c -x --y b"
    assert outline(agenda.move(items, "c", "a", "x")) == "a -x --y -c b"
    assert outline(agenda.move(items, "y", "", "")) == "y a -x b c"
    assert outline(agenda.move(items, "b", "y", "")) == "a -x --y ---b c"
    for parent, after in (("a", ""), ("x", ""), ("y", ""), ("", "a")):
        with pytest.raises(Refused, match="cycle"):
            agenda.move(items, "a", parent, after)
    with pytest.raises(NotFound, match="unknown-place"):
        agenda.move(items, "c", "", "x")
    with pytest.raises(NotFound, match="unknown-item"):
        agenda.move(items, "c", "z", "")


def test_depth_and_size_are_limited() -> None:
    deep = tree("a", "a/b", "b/c", "c/d", "e", "e/f")
    with pytest.raises(BadInput, match="too-deep"):
        agenda.add(deep, Item("g", "G", W, "d"), "")
    with pytest.raises(BadInput, match="too-deep"):
        agenda.move(deep, "e", "c", "d")
    assert outline(agenda.move(deep, "f", "c", "d")) == "a -b --c ---d ---f e"
    full = [Item(str(number), "x", W) for number in range(agenda.ITEMS_MAX)]
    with pytest.raises(BadInput, match="too-many"):
        agenda.add(full, Item("g", "G", W), "")
    with pytest.raises(BadInput, match="too-many"):
        agenda.joined(full, tree("a"))
    assert len(agenda.add(full[1:], Item("g", "G", W), "")) == agenda.ITEMS_MAX


def test_numbers_leave_no_hole_for_those_who_do_not_see_internal_items() -> None:
    items = tree("a", "b*", "b/c*", "d", "d/e*", "d/f")
    assert agenda.numbers(items) == {"a": "1", "b": "2", "c": "2.1", "d": "3", "e": "3.1", "f": "3.2"}
    assert agenda.numbers(agenda.visible(items, office=False)) == {"a": "1", "d": "2", "f": "2.1"}


def test_planned_minutes_are_an_items_own_or_those_below() -> None:
    minutes = {"a": 10, "x": 99, "y": 5, "z": 7}
    items = [replace(one, minutes=minutes.get(one.id, 0)) for one in tree("a", "a/x", "b", "b/y", "b/z")]
    assert agenda.planned(items) == 10 + 5 + 7


def closed_downward(items: list[Item]) -> bool:
    internal = {one.id: one.internal for one in items}
    return all(one.internal or not one.parent or not internal[one.parent] for one in items)


def test_what_stands_below_an_internal_item_is_internal() -> None:
    items = tree("a", "a/x", "x/y", "b*")
    assert outline(agenda.add(items, Item("n", "N", W, "b"), "")) == "a -x --y b* -n*"
    moved = agenda.move(items, "x", "b", "")
    assert outline(moved) == "a b* -x* --y*"
    assert [one.version for one in moved] == [0, 0, 1, 1]
    marked = agenda.change(items, "a", 0, title="A", minutes=0, internal=True)
    assert outline(marked) == "a* -x* --y* b*"
    with pytest.raises(Refused, match="below-internal"):
        agenda.change(marked, "x", 1, title="X", minutes=0, internal=False)
    shown = agenda.change(marked, "a", 1, title="A", minutes=0, internal=False)
    assert outline(shown) == "a -x* --y* b*"


def test_a_change_of_what_somebody_else_changed_is_told_and_not_done() -> None:
    items = agenda.change(tree("a", "b"), "a", 0, title="Anna", minutes=5, internal=False)
    with pytest.raises(Conflict) as caught:
        agenda.change(items, "a", 0, title="Otto", minutes=9, internal=False)
    assert caught.value.details == {
        "item": {"id": "a", "title": "Anna", "minutes": 5, "internal": False, "version": 1}
    }
    assert agenda.change(items, "b", 0, title="Otto", minutes=9, internal=False)[1].title == "Otto"


# Two editors: each sees the agenda as it was at some earlier moment and sends what fits that.
Step = tuple[str, int, int, int]
steps = st.tuples(
    st.sampled_from(["add", "move", "change", "remove"]), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)
)


def pick(items: list[Item], number: int, *, none: bool = False) -> str:
    names = [one.id for one in items] + ([""] if none else [])
    return names[number % len(names)]


def act(now: list[Item], seen: list[Item], step: Step, name: str) -> list[Item]:
    """Return the agenda after one editor's step, which was thought out for `seen`."""
    verb, first, second, third = step
    if verb == "add" or not seen:
        parent = pick(seen, first, none=True)
        siblings = [one for one in seen if one.parent == parent]
        return agenda.add(now, Item(name, name, W, parent), pick(siblings, second, none=True))
    item = agenda.find(seen, pick(seen, first))
    if verb == "move":
        parent = pick(seen, second, none=True)
        siblings = [one for one in seen if one.parent == parent and one.id != item.id]
        return agenda.move(now, item.id, parent, pick(siblings, third, none=True))
    if verb == "change":
        return agenda.change(now, item.id, item.version, title=name, minutes=third, internal=third % 7 == 0)
    agenda.find(now, item.id)
    if any(one.parent == item.id for one in now):
        raise Conflict("agenda.in-use", "")
    return [one for one in now if one.id != item.id]


@given(st.lists(st.tuples(st.integers(0, 1), st.booleans(), steps), max_size=40))
@settings(max_examples=200, deadline=None)
def test_two_editors_at_once_lose_nothing(acts: list[tuple[int, bool, Step]]) -> None:
    now = tree("a", "b", "b/c", "d*")
    seen = [now, now]
    here, titles = {one.id for one in now}, {one.id: one.title for one in now}
    for number, (editor, looks, step) in enumerate(acts):
        if looks:
            seen[editor] = now
        name, before = f"n{number}", now
        try:
            now = act(now, seen[editor], step, name)
        except FolkmootError:
            assert now is before
            continue
        if step[0] == "add" or not seen[editor]:
            here.add(name)
            titles[name] = name
        elif step[0] == "change":
            titles[pick(seen[editor], step[1])] = name
        elif step[0] == "remove":
            here.remove(pick(seen[editor], step[1]))
        assert {one.id for one in now} == here
        assert len(now) == len(here)
        assert {one.id: one.title for one in now} == {key: titles[key] for key in here}
        assert now == agenda.reading_order(now)
        assert closed_downward(now)
        assert not now or max(agenda.depths(now).values()) <= agenda.DEPTH_MAX


def test_control_saving_whole_lists_loses_an_item() -> None:
    shared = tree("a", "b")
    first, second = list(shared), list(shared)  # both editors open the page
    first = agenda.add(first, Item("n", "N", W), "a")
    second = agenda.move(second, "a", "", "b")
    stored = first
    stored = second  # the later save wins
    assert "n" not in {one.id for one in stored}
    # The same two steps sent as what was meant keep everything.
    assert outline(agenda.move(agenda.add(shared, Item("n", "N", W), "a"), "a", "", "b")) == "n b a"


@given(st.lists(st.tuples(steps), max_size=25))
@settings(max_examples=40, deadline=None)
def test_the_tables_keep_exactly_the_list(acts: list[tuple[Step]]) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as tx:
        metadata.create_all(tx)
        tx.exec_driver_sql("PRAGMA foreign_keys=ON")
        tx.execute(schema.unit.insert().values(id="u", name="U"))
        times = {"starts_at": 0, "time_zone": "UTC", "quorum_num": 0, "quorum_den": 1, "floor_mode": "open"}
        tx.execute(schema.meeting.insert().values(id="m", unit="u", title="M", state="draft", **times))
        now: list[Item] = []
        for number, (step,) in enumerate(acts):
            try:
                after = act(now, now, step, f"n{number}")
            except FolkmootError:
                continue
            meetings.save_items(tx, "m", now, after)
            assert meetings.items(tx, "m") == after
            now = after


def test_a_planted_move_that_forgets_what_stands_below_is_noticed() -> None:
    def forgetful(items: list[Item], item: str) -> list[Item]:
        return [one for one in items if one.id not in agenda.below(items, item)]

    check: Callable[[list[Item]], bool] = lambda items: {one.id for one in items} == {"a", "x", "b"}  # noqa: E731
    items = tree("a", "a/x", "b")
    assert check(agenda.move(items, "a", "", "b"))
    assert not check(forgetful(items, "a"))
