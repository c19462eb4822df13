"""A batch of ballots is checked by one random combination, and bisection finds exactly the bad ones."""

from __future__ import annotations

import random  # noqa: TID251  # seeded test data, no secrets
from dataclasses import replace
from functools import cache
from itertools import count

import pytest
from tests.voting import ballot_batch
from tests.voting.ballot_batch import Arrived, arrive, find_bad, holds, refused
from tests.voting.scenario import FIRST, Meeting
from tests.voting.seeded import SeededRng
from tests.voting.votes import EVERY_CHOICE, EVERY_TYPE, open_vote

from folkmoot_voting import ballot, casting, group, multiexp
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.errors import BallotRejected
from folkmoot_voting.manifest import Manifest

both = pytest.mark.parametrize("native", [True, False], ids=["native", "libsodium"])


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


def more(one: Arrived, question: int, amount: int) -> Arrived:
    """Add to the first response of a question's first proof."""
    answer = one.answers[question]
    cell = answer.cells[0]
    first = group.scalar_add(cell.proof.responses[0], group.scalar_int(amount))
    proof = replace(cell.proof, responses=(first, *cell.proof.responses[1:]))
    changed = replace(answer, cells=(replace(cell, proof=proof), *answer.cells[1:]))
    return replace(one, answers=(*one.answers[:question], changed, *one.answers[question + 1 :]))


@both
def test_good_ballots_hold_together_and_alone(native: bool) -> None:
    manifest, ballots = election()
    batch = [arrive(manifest, one, native=native) for one in ballots]
    rng = SeededRng("weights")
    assert holds(manifest, batch, rng)
    assert find_bad(manifest, batch, rng) == []
    assert find_bad(manifest, [], rng) == []
    assert all(holds(manifest, [one], rng) for one in batch[:2])


@both
def test_bisection_finds_every_bad_ballot(native: bool) -> None:
    manifest, ballots = election()
    batch = [arrive(manifest, one, native=native) for one in ballots[:4]]
    for bad in ([0], [3], [1, 2], [0, 1, 2, 3]) if native else ([2],):
        spoiled = [more(one, index % 7, 1 + index) if index in bad else one for index, one in enumerate(batch)]
        assert find_bad(manifest, spoiled, SeededRng("weights")) == bad


def test_any_changed_bit_is_found_as_it_is_one_by_one() -> None:
    manifest, ballots = election()
    rng = random.Random(5)
    good = [arrive(manifest, one) for one in ballots[:5]]
    outcomes = {"refused": 0, "found": 0}
    for _ in range(60):
        question = rng.randrange(len(EVERY_TYPE))
        raw = bytearray(ballots[5].choices[question])
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        choices = (*ballots[5].choices[:question], bytes(raw), *ballots[5].choices[question + 1 :])
        changed = replace(ballots[5], choices=choices)
        assert not one_by_one(manifest, changed)
        assert refused(manifest, changed, native=True) == refused(manifest, changed, native=False)
        if refused(manifest, changed, native=True):
            outcomes["refused"] += 1
            continue
        place = rng.randrange(6)
        batch = [*good[:place], arrive(manifest, changed), *good[place:]]
        assert find_bad(manifest, batch, SeededRng("weights")) == [place]
        outcomes["found"] += 1
    assert min(outcomes.values()) > 10
    assert one_by_one(manifest, ballots[5])


@both
def test_errors_that_cancel_are_told_apart_by_the_weights(native: bool) -> None:
    manifest, ballots = election()
    batch = [arrive(manifest, one, native=native) for one in ballots[:3]]
    spoiled = [more(batch[0], 0, 9), batch[1], more(batch[2], 0, group.ORDER - 9)]
    assert not holds(manifest, spoiled, SeededRng("weights"))
    assert find_bad(manifest, spoiled, SeededRng("weights")) == [0, 2]
    # The control: with weights that an attacker knows, here all alike, the errors pass.
    alike = bytes([1, *bytes(15)]) * 2
    assert holds(manifest, spoiled, lambda _size: alike)


@both
def test_ballots_are_added_up_from_the_points_that_were_checked(native: bool) -> None:
    manifest, ballots = election()
    batch = [arrive(manifest, one, native=native) for one in ballots]
    places = count()
    columns: list[int] = []
    for answer in batch[0].answers:
        for cell in answer.cells:
            columns += [next(places), next(places)]
            _ = [next(places) for _ in cell.proof.points()]
        _ = [next(places) for proof in answer.sums for _ in proof.points()]
    stride = next(places)
    assert stride == len(batch[0].points)
    sums = multiexp.Sums(len(columns), native=native)
    weights = [1, 2, 3, 1, 1, 250, 1]
    for one, weight in zip(batch, weights, strict=True):
        sums.add(one.points, stride=stride, offsets=columns, weights=[weight])
    for found, column in zip(sums.result(), columns, strict=True):
        terms = [multiexp.encode(one.points[column]) for one in batch]
        assert found == group.total(group.mult(group.scalar_int(w), p) for w, p in zip(weights, terms, strict=True))
    cell = [one.answers[0].cells[0] for one in batch]
    assert sums.result()[0] == group.total(
        group.mult(group.scalar_int(w), one.alpha) for w, one in zip(weights, cell, strict=True)
    )


def test_an_empty_batch_and_the_weights_drawn() -> None:
    manifest, ballots = election()
    one = arrive(manifest, ballots[0])
    assert holds(manifest, [], SeededRng("none"))
    rng = SeededRng("weights")
    ballot_batch.Combination(manifest, one, rng)
    branches = sum(len(proof.responses) for answer in one.answers for proof in answer.sums)
    branches += sum(len(cell.proof.responses) for answer in one.answers for cell in answer.cells)
    assert [len(drawn) for drawn in rng.drawn] == [32] * branches
