"""Seeded mutations of ballots, manifests, electorates, entries, openings and tallies: typed errors, nothing else."""

from __future__ import annotations

import os
import random  # noqa: TID251  # seeded test data, no secrets
from collections.abc import Callable
from typing import Any

import pytest
from tests.voting import votes
from tests.voting.fuzzing import MUTATIONS, outcomes, spoil_bytes, spoil_value
from tests.voting.scenario import Meeting
from tests.voting.test_vectors import published

from folkmoot_voting import batch, board, casting, electorate, merkle_log, tally
from folkmoot_voting.ballot import Ballot, check_ballot
from folkmoot_voting.encoding import jcs
from folkmoot_voting.errors import BallotRejected, EncodingError, TallyInvalid
from folkmoot_voting.lineages import Lineages, Voids, take
from folkmoot_voting.manifest import Manifest


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    return votes.full_meeting()


@pytest.mark.parametrize("number", [0, 1, 3, 4])
def test_ballots(meeting: Meeting, number: int) -> None:
    election = meeting.elections[number]
    raw = jcs(election.ballots[0])

    def check(rng: random.Random) -> None:
        spoiled = spoil_bytes(rng, raw)
        check_ballot(election.manifest, Ballot.from_bytes(spoiled))
        assert spoiled == raw

    assert outcomes(check, MUTATIONS // 2)[1] > MUTATIONS // 2 * 0.99


@pytest.mark.parametrize("number", [0, 3])
def test_ballots_as_values_alone_and_in_batches(meeting: Meeting, number: int) -> None:
    election = meeting.elections[number]
    one = election.ballots[0]

    def check(rng: random.Random) -> None:
        spoiled = Ballot.from_json(spoil_value(rng, one))
        (verdict,) = batch.check_many(election.manifest, [spoiled], os.urandom)
        if isinstance(verdict, BallotRejected):
            raise verdict
        assert spoiled.json == one

    assert outcomes(check, 4000)[1] > 4000 * 0.9


def test_everything_else_that_arrives_as_json(meeting: Meeting) -> None:
    election = meeting.elections[0]
    opened, total = election.manifest, election.aggregate
    assert total is not None
    found = {entry["type"]: entry for entry in election.entries}
    chair = next(entry for entry in meeting.elections[1].entries if entry["type"] == "casting")
    head = merkle_log.parse_note(election.closing).checkpoint.hash()
    opening = published("ballot")["cases"][0]
    first = Manifest.from_json(published("manifest")["good"][0]["manifest"])

    def fold(entry: Any) -> None:
        lines = Lineages(opened, electorate.parse_electorate(election.electorate))
        take(lines, Voids(opened), _checked(entry), bytes(32))

    calls: list[tuple[Any, Callable[[Any], Any]]] = [
        (opened.json, Manifest.from_json),
        (meeting.elections[3].manifest.json, Manifest.from_json),
        (election.electorate, electorate.parse_electorate),
        (found["share"], lambda entry: tally.check_share(opened, total, _checked(entry))),
        (found["intent"], lambda entry: tally.check_intent(opened, head, total, _checked(entry))),
        (chair, lambda entry: board.check_casting(meeting.elections[1].manifest, head, _checked(entry))),
        (found["void"], fold),
        (found["replacement"], fold),
        (found["closing"], lambda entry: board.check_closing_times(opened, _checked(entry))),
        (found["share"]["parts"], lambda parts: tally.check_parts(opened, total, 3, parts)),
        (election.tally, lambda data: tally.verify_tally_signatures(opened, _tally(data))),
        (opening["opening"], lambda data: casting.rebuild(first, data)),
        (board.make_promise(bytes(32), bytes(32), 1, bytes(32)), lambda p: board.verify_promise(p, bytes(32))),
    ]
    for number, (good, call) in enumerate(calls):
        passed, refused = outcomes(_spoiled_call(call, good), 1500)
        assert refused > passed, number


def test_fragments(meeting: Meeting) -> None:
    text = published("ballot")["cases"][0]["fragment"]

    def check(rng: random.Random) -> None:
        casting.read_fragment(spoil_bytes(rng, text.encode()).decode("utf-8", "replace"))

    assert outcomes(check)[1] > MUTATIONS * 0.9


def _spoiled_call(call: Callable[[Any], Any], good: Any) -> Callable[[random.Random], Any]:
    return lambda rng: call(spoil_value(rng, good))


def _checked(entry: Any) -> Any:
    board.check_entry(entry)
    return entry


def _tally(data: Any) -> Any:
    try:
        tally.TALLY(data)
    except EncodingError as error:
        raise TallyInvalid(error.detail) from error
    return data
