"""The bandwidth ladder as a state machine: hysteresis, monotony, the member's switch, profiles."""

import itertools

import pytest
from tests.media.support import Dice

from folkmoot_media.forwarding import ladder
from folkmoot_media.forwarding.ladder import (
    PROFILES,
    RUNGS,
    WORDS,
    Ladder,
    Level,
    Sample,
    before_joining,
    choose_profile,
    usable,
    wire_rate,
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
    assert before_joining(Sample(rate, 0, 0.6), Level.FULL).level == level


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
    assert steps.switch(Level.VOICE)[:2] == (Level.VOICE, "ladder.voice-by-choice")
    assert steps.by_link == Level.FULL
    assert steps.switch(Level.FULL)[:2] == (Level.FULL, "ladder.full")
    steps.switch(Level.THUMBNAIL)
    for number in range(40, 80):
        standing = steps.see(Sample(30, 0, 0.05), number * STEP)
    assert standing[:2] == (Level.VOICE, "ladder.voice-by-link")


def test_the_switch_works_before_joining() -> None:
    assert before_joining(None, Level.DOCUMENTS)[:2] == (Level.DOCUMENTS, "ladder.documents-by-choice")
    assert before_joining(Sample(30, 0, 0.6), Level.FULL)[:2] == (Level.VOICE, "ladder.voice-by-link")


def test_every_level_has_words_for_both_reasons() -> None:
    assert set(WORDS) == {(level, why) for level in Level for why in ("link", "switch")}


def test_loss_costs_what_repairing_it_costs() -> None:
    assert usable(Sample(100, 0.02, 0.6)) == 100
    assert usable(Sample(100, 0.12, 0.6)) == pytest.approx(90)
    assert usable(Sample(100, 0.9, 0.6)) == pytest.approx(50)
    assert usable(Sample(-5, 0.0, 0.6)) == 0


# -- profiles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", [64, 128, 256, 512])
def test_a_profile_fits_its_link_with_everything_on_it(link: int) -> None:
    (profile,) = (profile for profile in PROFILES if profile.link == link)
    total = wire_rate(profile) + profile.video * 1.07 + profile.documents + ladder.CONTROL_KBIT
    assert total <= link
    assert profile.ptime == 60


def test_the_thinnest_link_keeps_within_its_acceptance_figure() -> None:
    thin = PROFILES[0]
    # 60 ms of 12 kbit/s are 90 bytes: with a copy, RED's headers and 58 bytes around it, 243 bytes every 60 ms.
    assert wire_rate(thin) == pytest.approx(243 * 8 / 60)
    assert wire_rate(thin) + thin.documents + ladder.CONTROL_KBIT <= 56


@pytest.mark.parametrize(
    ("rate", "loss", "round_trip", "link"),
    [
        (64, 0.0, 0.6, 64),
        (128, 0.0, 0.6, 128),
        (260, 0.0, 0.6, 256),
        (520, 0.0, 0.6, 512),
        (3000, 0.0, 0.6, 512),
        (3000, 0.0, 0.05, 0),
    ],
)
def test_the_profile_follows_the_link(rate: float, loss: float, round_trip: float, link: int) -> None:
    sample = Sample(rate, loss, round_trip)
    assert choose_profile(before_joining(sample, Level.FULL).level, sample).link == link


@pytest.mark.parametrize("rate", [64, 140])
def test_a_lossy_thin_link_gets_spaced_redundancy_and_no_video(rate: float) -> None:
    sample = Sample(rate, 0.15, 0.6)
    standing = before_joining(sample, Level.FULL)
    assert standing.profile.redundancy == (1, 4)
    assert standing.profile.video == 0
    assert wire_rate(standing.profile) <= rate
