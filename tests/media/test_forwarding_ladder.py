"""The bandwidth ladder as a state machine: hysteresis, monotony, the member's switch, profiles."""

import itertools

import pytest
from tests.media.support import Dice

from folkmoot_media.forwarding import ladder
from folkmoot_media.forwarding.ladder import (
    RUNGS,
    Ladder,
    Level,
    Sample,
    before_joining,
    usable,
)

STEP = 0.25


def climb(rates: list[float], start: Level = Level.TEXT, loss: float = 0.0) -> list[Level]:
    steps = Ladder(start=start)
    return [steps.see(Sample(rate, loss, 0.6), number * STEP).level for number, rate in enumerate(rates)]


def changes(levels: list[Level]) -> int:
    return sum(1 for before, after in itertools.pairwise(levels) if before != after)


@pytest.mark.parametrize(
    ("rate", "level"),
    [
        (10, Level.TEXT),
        (30, Level.VOICE),
        (64, Level.DOCUMENTS),
        (128, Level.THUMBNAIL),
        (256, Level.THUMBNAIL),
        (512, Level.FULL),
        (5000, Level.FULL),
    ],
)
def test_every_link_finds_its_rung_from_below_and_before_joining(rate: float, level: Level) -> None:
    assert climb([rate] * 40)[-1] == level
    assert before_joining(Sample(rate, 0, 0.6), Level.FULL).standing.level == level


def test_rising_waits_and_falling_does_not() -> None:
    levels = climb([100.0] * 40 + [600.0] * 40 + [100.0] * 40, Level.DOCUMENTS)
    assert levels[39] == Level.DOCUMENTS
    risen = levels.index(Level.FULL)
    assert (risen - 40) * STEP == pytest.approx(ladder.RISE_AFTER, abs=STEP)
    fallen = next(number for number in range(80, 120) if levels[number] < Level.FULL)
    assert (fallen - 80) * STEP <= ladder.FALL_AFTER + STEP


def test_a_collapsed_link_falls_at_once() -> None:
    levels = climb([600.0] * 8 + [30.0] * 8, Level.FULL)
    assert levels[8 + 3] <= Level.DOCUMENTS


@pytest.mark.parametrize("seed", range(40))
def test_noise_of_a_tenth_changes_nothing_more_than_once(seed: int) -> None:
    dice = Dice(f"noise {seed}")
    middle = 10 * (60 ** (dice.below(1000) / 1000))
    rates = [middle * (0.9 + dice.below(201) / 1000) for _ in range(1200)]
    for start in Level:
        levels = climb(rates, start)
        assert changes(levels[40:]) <= 1


def test_without_the_gap_the_same_noise_flaps(monkeypatch: pytest.MonkeyPatch) -> None:
    tight = tuple(rung._replace(goes_off=rung.comes_on) for rung in RUNGS)
    monkeypatch.setattr(ladder, "RUNGS", tight)
    monkeypatch.setattr(ladder, "RISE_AFTER", 0.0)
    monkeypatch.setattr(ladder, "FALL_AFTER", 0.0)
    dice = Dice("noise")
    assert changes(climb([120 * (0.9 + dice.below(201) / 1000) for _ in range(400)])) > 50


@pytest.mark.parametrize("seed", range(200))
def test_a_link_that_is_never_worse_never_gets_less(seed: int) -> None:
    dice = Dice(f"monotone {seed}")
    worse, better = Ladder(start=Level.VOICE), Ladder(start=Level.VOICE)
    rate = 100.0
    for number in range(300):
        if dice.below(12) == 0:
            rate = 8 * (100 ** (dice.below(1000) / 1000))
        low, high = Sample(rate, 0.15, 0.6), Sample(rate * (1 + dice.below(3)), dice.below(16) / 100, 0.6)
        assert worse.see(low, number * STEP).level <= better.see(high, number * STEP).level


def test_the_members_switch_holds_at_once_and_both_ways() -> None:
    steps = Ladder()
    for number in range(40):
        steps.see(Sample(2000, 0, 0.05), number * STEP)
    assert steps.switch(Level.VOICE).level == Level.VOICE
    assert steps.by_link == Level.FULL
    assert steps.switch(Level.FULL).level == Level.FULL
    steps.switch(Level.THUMBNAIL)
    for number in range(40, 80):
        standing = steps.see(Sample(30, 0, 0.05), number * STEP)
    assert standing.level == Level.VOICE


def test_the_switch_works_before_joining() -> None:
    assert before_joining(Sample(5000, 0, 0.1), Level.DOCUMENTS).standing.level == Level.DOCUMENTS
    assert before_joining(Sample(30, 0, 0.6), Level.FULL).standing.level == Level.VOICE


def test_loss_costs_what_repairing_it_costs() -> None:
    assert usable(Sample(100, 0.02, 0.6)) == 100
    assert usable(Sample(100, 0.12, 0.6)) == pytest.approx(90)
    assert usable(Sample(100, 0.9, 0.6)) == pytest.approx(50)
    assert usable(Sample(-5, 0.0, 0.6)) == 0


# -- profiles ---------------------------------------------------------------------------------------------------

FIT = [
    (64, 0.6, 64),
    (128, 0.6, 128),
    (260, 0.6, 256),
    (520, 0.6, 512),
    (3000, 0.6, 512),
    (3000, 0.05, 0),
]


@pytest.mark.parametrize(("rate", "round_trip", "profile"), FIT)
def test_the_profile_follows_the_link(rate: float, round_trip: float, profile: int) -> None:
    sample = Sample(rate, 0.0, round_trip)
    assert before_joining(sample, Level.FULL).standing.profile == profile
    for start in (Sample(3000, 0.0, 0.05), Sample(30, 0.0, 0.6)):
        steps = before_joining(start, Level.FULL)
        for number in range(40):
            steps.see(sample, number * STEP)
        assert steps.standing.profile == profile


def test_without_pictures_the_thinnest_profile_does() -> None:
    assert before_joining(Sample(3000, 0.0, 0.05), Level.DOCUMENTS).standing.profile == 64


def profiles_told(rates: list[float]) -> list[int]:
    steps = before_joining(Sample(rates[0], 0.0, 0.6), Level.FULL)
    return [steps.see(Sample(rate, 0.0, 0.6), number * STEP).profile for number, rate in enumerate(rates)]


def test_a_profile_does_not_flap_where_two_meet_and_control_each_side_has_its_own() -> None:
    wobble = [220.0, 245.0] * 100
    assert set(profiles_told(wobble)) == {128}
    assert set(profiles_told(wobble[::-1])) == {256}
    assert profiles_told([220.0] * 40 + [245.0] * 40)[-1] == 256


def test_a_profile_rises_late_and_falls_soon_and_no_further_than_all_the_while_fitted() -> None:
    told = profiles_told([150.0] * 20 + [300.0, 600.0] * 20 + [150.0] * 20)
    assert set(told) == {128, 256}
    risen, fallen = told.index(256), 60 + told[60:].index(128)
    assert (risen - 20) * STEP == pytest.approx(ladder.RISE_AFTER, abs=STEP)
    assert (fallen - 60) * STEP == pytest.approx(ladder.FALL_AFTER, abs=STEP)
