"""A batch of ballots is checked by one random combination, and halving finds exactly the bad ones."""

from __future__ import annotations

import random  # noqa: TID251  # seeded test data, no secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
from tests.voting.scenario import FIRST, Meeting
from tests.voting.seeded import SeededRng
from tests.voting.votes import EVERY_CHOICE, EVERY_TYPE, open_vote

from folkmoot_voting import ballot, batch, casting, group, multiexp, tally
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.batch import Opened, all_bad, first_bad, open_ballot
from folkmoot_voting.errors import BallotBytesInvalid, BallotRejected
from folkmoot_voting.manifest import Manifest

both = pytest.mark.parametrize("fast", [True, False], ids=["native", "libsodium"])


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOLKMOOT_NO_NATIVE", raising=False)


@cache
def election() -> tuple[Manifest, tuple[Ballot, ...]]:
    """Return the manifest of a vote with a question of every type, and seven ballots."""
    meeting = Meeting("batch")
    for person in meeting.persons:
        meeting.check_in(person, FIRST)
    opened = open_vote(meeting, "vote", EVERY_TYPE).manifest
    made = [
        casting.make_ballot(opened, person.credential, EVERY_CHOICE[index % 3], meeting.rng)
        for index, person in enumerate(meeting.persons)
    ]
    return opened, tuple(map(Ballot.from_json, made))


def one_by_one(manifest: Manifest, one: Ballot) -> bool:
    """Say whether a ballot's bytes and proofs hold, each equation alone through libsodium."""
    try:
        answers = ballot.decode_answers(manifest, one)
        e = ballot.ballot_challenge(manifest, one, answers)
        ballot.check_cells(manifest, e, answers)
        ballot.check_constraints(manifest, e, answers)
    except BallotRejected:
        return False
    return True


def more(one: Opened, question: int, amount: int) -> Opened:
    """Add to the first response of a question's first proof."""
    raw = one.ballot.choices[question]
    # Behind alpha, beta, the commitments and all challenges but the last.
    at = 64 + 96 * len(one.answers[question].cells[0].proof.responses) - 32
    changed = raw[:at] + group.scalar_add(raw[at : at + 32], group.scalar_int(amount)) + raw[at + 32 :]
    choices = (*one.ballot.choices[:question], changed, *one.ballot.choices[question + 1 :])
    return replace(one, ballot=replace(one.ballot, choices=choices))


def refused(manifest: Manifest, one: Ballot, *, fast: bool) -> bool:
    """Say whether a ballot's bytes are refused before any proof is looked at."""
    try:
        open_ballot(manifest, one, fast=fast)
    except BallotBytesInvalid:
        return True
    return False


def opened(manifest: Manifest, ballots: Sequence[Ballot], *, fast: bool) -> list[Opened]:
    return [open_ballot(manifest, one, fast=fast) for one in ballots]


@both
def test_good_ballots_hold_together_and_alone(fast: bool) -> None:
    manifest, ballots = election()
    good = opened(manifest, ballots, fast=fast)
    rng = SeededRng("weights")
    assert all_bad(manifest, good, rng) == []
    assert all_bad(manifest, [], rng) == []
    assert first_bad(manifest, good[:1], rng) is None
    assert bool(rng.drawn) == (fast and batch.is_fast())


@both
def test_halving_finds_every_bad_ballot(fast: bool) -> None:
    manifest, ballots = election()
    good = opened(manifest, ballots[:4], fast=fast)
    for bad in ([0], [3], [1, 2], [0, 1, 2, 3]) if fast else ([2],):
        spoiled = [more(one, index % 7, 1 + index) if index in bad else one for index, one in enumerate(good)]
        assert all_bad(manifest, spoiled, SeededRng("weights")) == bad
        assert first_bad(manifest, spoiled, SeededRng("weights")) == bad[0]


def test_any_changed_bit_is_found_as_it_is_one_by_one() -> None:
    manifest, ballots = election()
    rng = random.Random(5)
    good = opened(manifest, ballots[:5], fast=True)
    outcomes = {"refused": 0, "found": 0}
    for _ in range(60):
        question = rng.randrange(len(EVERY_TYPE))
        raw = bytearray(ballots[5].choices[question])
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        choices = (*ballots[5].choices[:question], bytes(raw), *ballots[5].choices[question + 1 :])
        changed = replace(ballots[5], choices=choices)
        assert not one_by_one(manifest, changed)
        assert refused(manifest, changed, fast=True) == refused(manifest, changed, fast=False)
        if refused(manifest, changed, fast=True):
            outcomes["refused"] += 1
            continue
        place = rng.randrange(6)
        mixed = [*good[:place], open_ballot(manifest, changed), *good[place:]]
        assert all_bad(manifest, mixed, SeededRng("weights")) == [place]
        outcomes["found"] += 1
    assert min(outcomes.values()) > 10
    assert one_by_one(manifest, ballots[5])


@both
def test_errors_that_cancel_are_told_apart_by_the_weights(fast: bool) -> None:
    manifest, ballots = election()
    good = opened(manifest, ballots[:3], fast=fast)
    spoiled = [more(good[0], 0, 9), good[1], more(good[2], 0, group.ORDER - 9)]
    assert all_bad(manifest, spoiled, SeededRng("weights")) == [0, 2]
    # The control: with weights that an attacker knows, here all alike, the errors pass the combination.
    passed = all_bad(manifest, spoiled, lambda size: bytes([1, *bytes(15)]) * (size // 16))
    assert passed == ([] if fast and batch.is_fast() else [0, 2])


@both
def test_ballots_are_added_up_from_the_points_that_were_checked(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fast:
        monkeypatch.setenv("FOLKMOOT_NO_NATIVE", "1")
    manifest, ballots = election()
    weighted = [replace(one, weight=weight) for one, weight in zip(ballots, [1, 2, 3, 1, 1, 250, 1], strict=True)]
    good = opened(manifest, weighted, fast=fast)
    sums = batch.BatchSums(manifest)
    for start, stop in ((0, 2), (2, 2), (2, 7)):
        sums.add(good[start:stop])
    rows = [
        [
            tuple(
                group.total(
                    group.mult(group.scalar_int(one.ballot.weight), getattr(one.answers[q].cells[c], name))
                    for one in good
                )
                for name in ("alpha", "beta")
            )
            for c in range(len(good[0].answers[q].cells))
        ]
        for q in range(len(EVERY_TYPE))
    ]
    assert sums.result() == tally.make_aggregate(manifest, rows)


def test_the_weights_are_drawn_for_every_equation() -> None:
    manifest, ballots = election()
    good = opened(manifest, ballots[:2], fast=True)
    rng = SeededRng("weights")
    assert all_bad(manifest, good, rng) == []
    answers = [answer for one in good for answer in one.answers]
    branches = sum(len(proof.responses) for answer in answers for proof in answer.sums)
    branches += sum(len(cell.proof.responses) for answer in answers for cell in answer.cells)
    expected = 32 * branches if multiexp.backend_name() == "native" else 0
    assert sum(map(len, rng.drawn)) == expected
