"""Turns as rules: the table in full, clocks, groups' time and the order of the queue."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folkmoot_server.domain.errors import BadInput, WrongState
from folkmoot_server.domain.speaking import (
    NEXT,
    Kind,
    Rules,
    Speaker,
    Step,
    Turn,
    TurnState,
    Used,
    Wish,
    check_wish,
    follow,
    limit,
    order,
    used,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "speaking.json"
S = TurnState


def turn(number: int, kind: Kind = Kind.CONTRIBUTION, group: str = "", category: int = 0) -> Turn:
    return Turn(
        number, Speaker(f"p{number}", f"P {number}", group), Wish(kind, category), "i", S.QUEUED, 100 + number
    )


# -- the table and the clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "step"), list(itertools.product(TurnState, Step)))
def test_every_step_meets_every_state(state: TurnState, step: Step) -> None:
    allowed = {
        S.QUEUED: {Step.GRANT, Step.WITHDRAW},
        S.SPEAKING: {Step.PAUSE, Step.EXTEND, Step.END},
        S.PAUSED: {Step.RESUME, Step.EXTEND, Step.END},
    }
    if step in allowed.get(state, set()):
        assert follow(state, step) is NEXT[state, step]
    else:
        with pytest.raises(WrongState) as refused:
            follow(state, step)
        assert refused.value.code == "floor.wrong-state"


def test_a_pause_costs_no_time() -> None:
    spoken = turn(1).grant(60, 1000).pause(1030).resume(1100).pause(1110).resume(1200).end(1205)
    assert (spoken.state, spoken.spoken_s, spoken.begun_at, spoken.resumed_at) == (S.DONE, 45, 1000, 0)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=9))
def test_the_clock_is_the_sum_of_what_ran(stretches: list[int]) -> None:
    now, one = 1000, turn(1).grant(0, 1000)
    for place, seconds in enumerate(stretches):
        now += seconds
        one = one.pause(now) if place % 2 == 0 else one.resume(now)
        assert one.spoken_at(now) == sum(stretches[: place + 1 : 2])
    assert one.end(now).spoken_s == sum(stretches[::2])


def test_a_clock_that_went_back_takes_nothing_away() -> None:
    assert turn(1).grant(0, 1000).end(990).spoken_s == 0


@pytest.mark.parametrize("seconds", [14, 601, 0, -60])
def test_a_turn_is_extended_within_bounds(seconds: int) -> None:
    speaking = turn(1).grant(60, 1000)
    assert speaking.extend(15).extend(600).limit_s == 675
    with pytest.raises(BadInput):
        speaking.extend(seconds)
    with pytest.raises(WrongState, match="no-limit"):
        turn(1).grant(0, 1000).extend(60)


@pytest.mark.parametrize("wish", [Wish(Kind.PRO, 1), Wish(Kind.ORDER, 6), Wish(Kind.ORDER, -1)])
def test_only_a_point_of_order_has_a_category(wish: Wish) -> None:
    with pytest.raises(BadInput):
        check_wish(wish)
    check_wish(Wish(Kind.ORDER, 5))


# -- groups' time ------------------------------------------------------------------------------------------------


def test_a_worked_example_of_group_times() -> None:
    """600 seconds a group in one item, 300 a turn, as a party congress would have them."""
    rules = Rules(turn_s=300, group_s=600, order_s=120)
    done: list[Turn] = []

    def speak(one: Turn, *, seconds: int, pause_s: int = 0) -> int:
        granted = limit(one, rules, used(done, "i"))
        now = 1000 + 10_000 * one.number
        ran = one.grant(granted, now).pause(now + seconds // 2).resume(now + seconds // 2 + pause_s)
        done.append(ran.end(now + seconds + pause_s))
        return granted

    assert speak(turn(1, group="north"), seconds=250, pause_s=400) == 300
    assert used(done, "i").groups == {"north": 250}
    assert speak(turn(2, Kind.ORDER, "north"), seconds=90) == 120
    assert used(done, "i").groups == {"north": 250}  # a point of order uses no group's time
    assert speak(turn(3, group="south"), seconds=300) == 300
    assert speak(turn(4, group="north"), seconds=200) == 300
    assert speak(turn(5, group="north"), seconds=230) == 150  # what is left; the 80 too many count
    assert used(done, "i").groups == {"north": 680, "south": 300}
    queue = [turn(6, group="north"), turn(7, group="south"), turn(8)]
    assert [one.number for one in order(queue, rules, used(done, "i"))] == [7, 8, 6]
    assert limit(queue[0], rules, used(done, "i")) == 300  # none left: a whole turn, if the chair calls it
    elsewhere = replace(done[0], item="other")
    assert used([elsewhere], "i").groups == {}
    assert limit(turn(9), Rules(), Used({})) == 0


# -- order -------------------------------------------------------------------------------------------------------

kinds = st.sampled_from(list(Kind))
queues = st.lists(
    st.tuples(kinds, st.sampled_from(["", "north", "south", "west"]), st.integers(0, 5)), max_size=12
).map(
    lambda rows: [
        turn(number, kind, group, category if kind is Kind.ORDER else 0)
        for number, (kind, group, category) in enumerate(rows, 1)
    ]
)
spent_times = st.builds(
    Used,
    st.dictionaries(st.sampled_from(["north", "south", "west"]), st.integers(0, 900)),
    st.integers(0, 3),
    st.integers(0, 3),
)


@settings(max_examples=400, deadline=None)
@given(queues, spent_times, st.sampled_from([0, 300]), st.permutations(range(12)))
def test_the_order_keeps_its_rules(queue: list[Turn], spent: Used, group_s: int, again: list[int]) -> None:
    rules = Rules(group_s=group_s)
    called = order(queue, rules, spent)
    assert sorted(one.number for one in called) == [one.number for one in queue]
    assert order([queue[place] for place in again if place < len(queue)], rules, spent) == called
    urgent = [one for one in called if one.wish.kind is Kind.ORDER]
    assert called[: len(urgent)] == urgent
    assert urgent == sorted(urgent, key=lambda one: (one.wish.category, one.number))
    rest = called[len(urgent) :]
    none_left = [
        bool(group_s and one.speaker.group and spent.groups.get(one.speaker.group, 0) >= group_s) for one in rest
    ]
    assert none_left == sorted(none_left)
    for bucket in (False, True):
        part = [one for one, is_out in zip(rest, none_left, strict=True) if is_out is bucket]
        _sides_in_turn(part, spent)
        others = [one.number for one in part if one.wish.kind not in (Kind.PRO, Kind.CONTRA)]
        assert others == sorted(others)


def _sides_in_turn(part: list[Turn], spent: Used) -> None:
    sides = [one for one in part if one.wish.kind in (Kind.PRO, Kind.CONTRA)]
    pro = [one.number for one in sides if one.wish.kind is Kind.PRO]
    contra = [one.number for one in sides if one.wish.kind is Kind.CONTRA]
    assert pro == sorted(pro)
    assert contra == sorted(contra)
    if not pro or not contra:
        return
    less = Kind.PRO if (spent.pro, pro[0]) < (spent.contra, contra[0]) else Kind.CONTRA
    assert sides[0].wish.kind is less
    both = 2 * min(len(pro), len(contra))
    assert all(one.wish.kind is not other.wish.kind for one, other in itertools.pairwise(sides[:both]))


def test_control_the_plain_order_of_asking_breaks_the_rules() -> None:
    queue = [turn(1, Kind.PRO), turn(2, Kind.PRO), turn(3, Kind.CONTRA), turn(4), turn(5, Kind.ORDER)]
    assert [one.number for one in order(queue, Rules(), Used({}))] == [5, 1, 3, 2, 4]
    assert [one.number for one in order(queue, Rules(), Used({}, pro=1))] == [5, 3, 1, 2, 4]
    with pytest.raises(AssertionError):
        _sides_in_turn(queue[:4], Used({}))


@pytest.mark.parametrize("case", json.loads(VECTORS.read_text())["cases"], ids=lambda case: str(case["name"]))
def test_the_shared_cases(case: dict[str, object]) -> None:
    rows: list[dict[str, object]] = case["queue"]  # type: ignore[assignment]
    queue = [
        turn(int(str(row["turn"])), Kind(str(row["kind"])), str(row["group"]), int(str(row["category"])))
        for row in rows
    ]
    spent = Used(case["groups"], case["pro"], case["contra"])  # type: ignore[arg-type]
    called = order(queue, Rules(group_s=int(str(case["group_s"]))), spent)
    assert [one.id for one in called] == case["order"]
