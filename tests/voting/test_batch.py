"""A batch of ballots gets the verdicts of checking one by one, with and without the compiled library."""

from __future__ import annotations

import os

import pytest
from tests.vectors import fm1_votes
from tests.vectors.fm1_votes import BALLOTS
from tests.voting import votes
from tests.voting.seeded import SeededRng
from tests.voting.test_vectors import published

from folkmoot_voting import ballot, batch, casting, group, multiexp, tally
from folkmoot_voting.ballot import Ballot, CheckedBallot
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import BallotRejected
from folkmoot_voting.manifest import Manifest

Verdicts = list[CheckedBallot | BallotRejected]


@pytest.fixture(params=["native", "libsodium"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    wanted = str(request.param)
    monkeypatch.setenv("FOLKMOOT_NO_NATIVE", "" if wanted == "native" else "1")
    assert multiexp.backend_name() == wanted, "the compiled library is part of this test"
    assert batch.is_fast() == (wanted == "native")
    return wanted


@pytest.fixture(scope="module")
def opened() -> list[votes.Vote]:
    return fm1_votes.all_votes()[1]


def one_by_one(manifest: Manifest, ballots: list[Ballot]) -> list[str]:
    codes = []
    for one in ballots:
        try:
            ballot.check_ballot(manifest, one)
            codes.append("ok")
        except BallotRejected as error:
            codes.append(error.code)
    return codes


def codes_of(verdicts: Verdicts) -> list[str]:
    return [one.code if isinstance(one, BallotRejected) else "ok" for one in verdicts]


def parsed(made: JsonObject) -> Ballot | None:
    try:
        return Ballot.from_json(made)
    except BallotRejected:
        return None


def test_published_ballots_all_at_once(backend: str, opened: list[votes.Vote]) -> None:
    vector = published("ballot")
    refused = 0
    for vote in opened:
        name = b64u(vote.manifest.hash)
        made = [one["ballot"] for one in (*vector["cases"], *vector["refused"]) if one["manifest"] == name]
        ballots = [one for one in map(parsed, made) if one is not None]
        verdicts = batch.check_many(vote.manifest, ballots, os.urandom)
        assert codes_of(verdicts) == one_by_one(vote.manifest, ballots)
        refused += sum(isinstance(one, BallotRejected) for one in verdicts)
        for one, verdict in zip(ballots, verdicts, strict=True):
            if isinstance(verdict, CheckedBallot):
                assert verdict == ballot.check_ballot(vote.manifest, one)
    assert refused > 40


def made_batch(manifest: Manifest, count: int) -> list[Ballot]:
    rng = SeededRng("batch")
    return [
        Ballot.from_json(
            casting.make_ballot(manifest, rng(32), votes.EVERY_CHOICE[n % 3], rng, casting.Place(1 + 2 * (n % 2)))
        )
        for n in range(count)
    ]


def spoiled(one: Ballot, question: int, last: bool) -> Ballot:
    """Change one response, in the first cell or in the last proof."""
    raw = one.choices[question]
    at = len(raw) - 32 if last else 64 + 128 + 32
    word = group.scalar_add(raw[at : at + 32], group.ONE)
    choices = [*one.json["choices"]]
    choices[question] = b64u(raw[:at] + word + raw[at + 32 :])
    return Ballot.from_json({**one.json, "choices": choices})


def test_the_bad_ones_are_found_wherever_they_are(backend: str, opened: list[votes.Vote]) -> None:
    manifest = opened[len(BALLOTS)].manifest
    good = made_batch(manifest, 5)
    for places in ([], [0], [4], [1, 3], [0, 1, 2, 3, 4]):
        ballots = [
            spoiled(one, index % 2, last=index % 2 == 1) if index in places else one for index, one in enumerate(good)
        ]
        decoded = [batch.open_ballot(manifest, one) for one in ballots]
        assert all((one.points is not None) == (backend == "native") for one in decoded)
        assert batch.all_bad(manifest, decoded, os.urandom) == places
        assert batch.first_bad(manifest, decoded, os.urandom) == (places[0] if places else None)
    assert batch.check_many(manifest, [], os.urandom) == []


def test_faults_that_cancel_out_are_found(opened: list[votes.Vote]) -> None:
    """Two ballots off by +1 and -1: the sum of the equations without random weights would hold."""
    manifest = opened[0].manifest
    rng = SeededRng("cancel")
    pair = [Ballot.from_json(casting.make_ballot(manifest, rng(32), [[1, 0, 0]], rng)) for _ in range(2)]
    for index, change in enumerate((group.ONE, group.scalar_sub(group.ZERO, group.ONE))):
        raw = pair[index].choices[0]
        word = group.scalar_add(raw[224:256], change)
        changed = {**pair[index].json, "choices": [b64u(raw[:224] + word + raw[256:])]}
        pair[index] = Ballot.from_json(changed)
    decoded = [batch.open_ballot(manifest, one) for one in pair]
    assert batch.all_bad(manifest, decoded, os.urandom) == [0, 1]
    constant = (b"\x01" + bytes(15)) * 1000
    assert batch._holds(manifest, decoded, lambda size: constant[:size]), (
        "the planted fault shows what weights are for"
    )


def test_copied_points_are_refused(backend: str, opened: list[votes.Vote]) -> None:
    manifest = opened[0].manifest
    made = Ballot.from_json(casting.make_ballot(manifest, bytes(32), [[1, 0, 0]], SeededRng("seen")))
    point = made.choices[0][:32]
    verdict = batch.check_many(manifest, [made], os.urandom, seen_points={point})
    assert codes_of(verdict) == ["voting.ballot-point-repeated"]


def test_weighted_sums_are_those_of_one_by_one(backend: str, opened: list[votes.Vote]) -> None:
    manifest = opened[len(BALLOTS)].manifest
    ballots = made_batch(manifest, 5)
    decoded = [batch.open_ballot(manifest, one) for one in ballots]
    sums = batch.BatchSums(manifest)
    sums.add(decoded[:3])
    sums.add([])
    sums.add(decoded[3:])
    expected = tally.aggregate(manifest, [(one.ballot.weight, one.answers) for one in decoded])
    assert sums.result() == expected
    assert unb64u(b64u(expected.hash)) == expected.hash
