"""Ballots: every choice passes, every single byte counts, and every check has its own code."""

from __future__ import annotations

from typing import Any

import pytest
from tests.vectors.make_fm1 import OUT
from tests.voting.scenario import FIRST, SIMPLE, Meeting
from tests.voting.seeded import SeededRng
from tests.voting.test_vectors import published

from folkmoot_voting import ballot, group, signing, tally
from folkmoot_voting.ballot import Ballot, check_ballot, make_ballot
from folkmoot_voting.encoding import JsonObject, b64u, jcs, unb64u
from folkmoot_voting.errors import BallotRejected
from folkmoot_voting.manifest import Manifest, one_of_n, parse_electorate, yes_no_abstain


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    made = Meeting("ballots")
    for person in made.persons[:6]:
        made.check_in(person, FIRST)
    return made


@pytest.fixture(scope="module")
def opened(meeting: Meeting) -> Manifest:
    questions = [yes_no_abstain("Carry?"), one_of_n("Who?", ["a", "b"])]
    return meeting.open("vote", questions, SIMPLE, FIRST + 10)


def code(opened: Manifest, data: Any, **known: Any) -> str:
    try:
        parsed = Ballot.from_json(data)
        check_ballot(opened, known.pop("electorate", {parsed.credential}), parsed, **known)
    except BallotRejected as error:
        return error.code
    return "ok"


def test_every_choice_is_accepted_and_counted(opened: Manifest) -> None:
    for first in range(3):
        for second in range(2):
            rng = SeededRng(f"{first}{second}")
            made = make_ballot(opened, rng(32), [first, second], rng)
            parsed = Ballot.from_bytes(jcs(made))
            checked = check_ballot(opened, {parsed.credential}, parsed)
            assert checked.leaf == ballot.ballot_leaf(made)
            assert len(checked.points) == 6 * 5 + 4
            total = tally.aggregate(opened, [checked.answers])
            assert total.pairs[0][first] != total.pairs[0][(first + 1) % 3]


def test_choices_that_do_not_exist_are_refused(opened: Manifest) -> None:
    for choices in ([], [0], [3, 0], [0, 2], [-1, 0], [0, 0, 0]):
        with pytest.raises(BallotRejected):
            make_ballot(opened, bytes(32), choices, SeededRng("x"))


def test_published_refusals(opened: Manifest) -> None:
    vector = published("ballot")
    first = Manifest.from_json(vector["manifests"][0]["manifest"])
    assert b64u(first.hash) == vector["manifests"][0]["hash"]
    for one in vector["refused"]:
        assert code(first, one["ballot"]) == one["code"], one["name"]
    for one in vector["cases"]:
        if one["manifest"] == b64u(first.hash):
            assert code(first, one["ballot"]) == "ok"
    assert OUT.is_dir()


def test_who_may_vote_and_how_often(opened: Manifest, meeting: Meeting) -> None:
    made = make_ballot(opened, meeting.persons[0].credential, [0, 0], SeededRng("once"))
    key = unb64u(made["credential"])
    assert code(opened, made, electorate=frozenset()) == "voting.ballot-not-elector"
    assert code(opened, made, voted={key}) == "voting.ballot-already-cast"
    points = ballot.ballot_points(ballot.decode_answers(opened, Ballot.from_json(made)))
    for point in points:
        assert code(opened, made, seen_points={point}) == "voting.ballot-point-repeated"
    assert code(opened, made, seen_points={group.BASE}) == "ok"


def test_every_32_bytes_of_the_choices_count(opened: Manifest) -> None:
    """Each point or scalar replaced by another valid one is noticed."""
    rng = SeededRng("bytes")
    seed = rng(32)
    made = make_ballot(opened, seed, [1, 0], rng)
    for question, text in enumerate(made["choices"]):
        raw = unb64u(text)
        count = len(opened.questions[question].options)
        for word in range(len(raw) // 32):
            is_scalar = word % 9 >= 6 if word < 9 * count else word == 9 * count + 2
            old = raw[32 * word : 32 * word + 32]
            new = group.scalar_add(old, group.ONE) if is_scalar else group.add(old, group.BASE)
            choices = list(made["choices"])
            choices[question] = b64u(raw[: 32 * word] + new + raw[32 * word + 32 :])
            assert code(opened, signed(made, seed, choices=choices)) in (
                "voting.ballot-option-proof",
                "voting.ballot-sum-proof",
            )


def signed(made: JsonObject, seed: bytes, **fields: Any) -> JsonObject:
    changed = {**made, **fields}
    return {**changed, "sig": b64u(signing.sign(seed, ballot.signed_hash(changed)))}


def test_a_ballot_cannot_be_cast_by_another_voter_or_in_another_election(opened: Manifest, meeting: Meeting) -> None:
    seeds = [person.credential for person in meeting.persons[:2]]
    made = make_ballot(opened, seeds[0], [0, 1], SeededRng("copy"))
    stolen = signed({**made, "credential": b64u(signing.public_key(seeds[1]))}, seeds[1])
    assert code(opened, stolen) == "voting.ballot-option-proof"
    other = meeting.open("vote-b", list(opened.questions), SIMPLE, FIRST + 20)
    assert code(other, made) == "voting.ballot-foreign"
    assert code(other, signed({**made, "manifest": b64u(other.hash)}, seeds[0])) == "voting.ballot-option-proof"


def test_swapped_answers_are_noticed(opened: Manifest, meeting: Meeting) -> None:
    two = meeting.open("vote-c", [yes_no_abstain("A?"), yes_no_abstain("B?")], SIMPLE, FIRST + 30)
    seed = meeting.persons[0].credential
    made = make_ballot(two, seed, [0, 1], SeededRng("swap"))
    assert code(two, signed(made, seed, choices=made["choices"][::-1])) == "voting.ballot-option-proof"


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"null", b'{"v":1}', b"\xff", b"[" * 100_000, b'"' + b"a" * 300_000 + b'"', b"1" * 5000],
)
def test_hostile_bytes_are_malformed(raw: bytes) -> None:
    with pytest.raises(BallotRejected) as caught:
        Ballot.from_bytes(raw)
    assert caught.value.code == "voting.ballot-malformed"


def test_the_electorate_is_the_present(opened: Manifest, meeting: Meeting) -> None:
    assert opened.electorate_size == 6
    keys = {signing.public_key(person.credential) for person in meeting.persons[:6]}
    electorate = [{"credential": text, "weight": 1} for text in sorted(map(b64u, keys))]
    assert parse_electorate(electorate) == keys
