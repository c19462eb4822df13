"""Ballots of every type: what may be chosen passes, every byte counts, and every check has its own code."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors import fm1_votes
from tests.vectors.fm1_votes import BALLOTS, resigned
from tests.voting import votes
from tests.voting.scenario import FIRST, Meeting
from tests.voting.seeded import SeededRng
from tests.voting.test_vectors import published

from folkmoot_voting import ballot, casting, group, signing, tally
from folkmoot_voting.ballot import Ballot, check_ballot
from folkmoot_voting.encoding import b64u, jcs, unb64u
from folkmoot_voting.errors import BallotRejected, EncodingError, VotingError
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import (
    Question,
    cells_of_marked,
    cells_of_one,
    cells_of_ranking,
    check_values,
    m_of_n,
    one_of_n,
    yes_no_abstain,
)


@pytest.fixture(scope="module")
def opened() -> list[votes.Vote]:
    return fm1_votes.all_votes()[1]


def code(manifest: Manifest, data: Any, **known: Any) -> str:
    return fm1_votes.code_of(lambda: check_ballot(manifest, Ballot.from_json(data), **known))


def allowed(question: Question, cells: tuple[int, ...]) -> bool:
    """Section 5 in other words, for each type by itself."""
    options = cells[: len(question.options)]
    match question.type:
        case "yes-no-abstain" | "one-of-n":
            return sum(cells) == 1
        case "m-of-n" | "multi-seat" if question.blank and cells[-1]:
            return sum(options) == 0
        case "m-of-n" | "multi-seat":
            return question.min <= sum(options) <= question.max
        case "approval" | "score":
            return True
    rows = [cells[start : start + question.ranks] for start in range(0, len(cells), question.ranks)]
    least = int(question.ranks == len(question.options))
    return all(least <= sum(row) <= 1 for row in rows) and all(sum(column) == 1 for column in zip(*rows, strict=True))


@pytest.mark.parametrize(("name", "question"), [(name, question) for name, question, _ in BALLOTS])
def test_exactly_the_allowed_choices_can_be_made(name: str, question: Question) -> None:
    every = list(itertools.product(*(range(highest + 1) for highest in question.cells)))
    codes = {cells: fm1_votes.code_of(check_values, question, cells) for cells in every}
    assert codes == {cells: "ok" if allowed(question, cells) else "voting.choice" for cells in every}, name
    assert "ok" in codes.values()
    assert "voting.choice" in codes.values() or question.type in ("approval", "score")
    if len(question.options) <= 3:
        over = [question.cells[0] + 1, *[0] * (len(question.cells) - 1)]
        for bad in (over, [-1, *over[1:]], over[1:], [*over, 0]):
            with pytest.raises(BallotRejected):
                check_values(question, bad)


def test_choices_in_words_become_cells() -> None:
    blank = m_of_n("?", ["a", "b", "c"], 1, 2, blank=True)
    assert cells_of_one(yes_no_abstain("?"), 2) == [0, 0, 1]
    assert cells_of_marked(blank, [2, 0]) == [1, 0, 1, 0]
    assert cells_of_marked(blank, []) == [0, 0, 0, 1]
    order = BALLOTS[10][1]
    assert cells_of_ranking(order, [2, 0]) == [0, 1, 0, 0, 1, 0]
    for cells in (cells_of_ranking(order, [2]), cells_of_ranking(order, [1, 1])):
        with pytest.raises(BallotRejected):
            check_values(order, cells)


def test_published_ballots_are_rebuilt_from_their_openings(opened: list[votes.Vote]) -> None:
    manifests = {b64u(one.manifest.hash): one.manifest for one in opened}
    vector = published("ballot")
    types = set()
    for one in vector["cases"]:
        manifest = manifests[one["manifest"]]
        types |= {question.type for question in manifest.questions}
        assert code(manifest, one["ballot"]) == "ok", one["name"]
        rebuilt = casting.rebuild(manifest, casting.read_fragment(one["fragment"]))
        assert casting.sign_ballot(rebuilt, unb64u(one["key_seed"])) == one["ballot"]
        assert casting.audit_code(ballot.sealed_hash(rebuilt)) == one["audit_code"]
        parsed = Ballot.from_bytes(jcs(one["ballot"]))
        assert (parsed.leaf, parsed.sealed) == (unb64u(one["leaf"]), unb64u(one["sealed"]))
    assert len(types) == 7
    for one in vector["refused"]:
        assert code(manifests[one["manifest"]], one["ballot"]) == one["code"], one["name"]


def test_counted_ballots_add_up_to_their_cells(opened: list[votes.Vote]) -> None:
    """The sealed sums of one ballot, opened with the key, are its cells times its weight."""
    meeting, everything = fm1_votes.all_votes()
    vote = everything[len(BALLOTS)]
    total = group.ZERO
    assert meeting.keygen is not None
    for index, factor in zip((1, 2), group.lagrange_at_zero([1, 2]), strict=True):
        share = meeting.trustees[index - 1].secret_share(meeting.keygen)
        total = group.scalar_add(total, group.scalar_mul(factor, share))
    for choices in votes.EVERY_CHOICE:
        made = casting.make_ballot(vote.manifest, bytes(32), choices, SeededRng("add"), casting.Place(3))
        answers = ballot.decode_answers(vote.manifest, Ballot.from_json(made))
        sums = tally.aggregate(vote.manifest, [(3, answers)])
        for row, cells in zip(sums.pairs, choices, strict=True):
            for (alpha, beta), value in zip(row, cells, strict=True):
                assert group.small_log(group.sub(beta, group.mult(total, alpha)), 30) == 3 * value


def test_every_32_bytes_of_the_choices_count(opened: list[votes.Vote]) -> None:
    """Each point or scalar of every question type replaced by another valid one is noticed."""
    vote = opened[len(BALLOTS)]
    seed = bytes(range(32))
    made = casting.make_ballot(vote.manifest, seed, votes.EVERY_CHOICE[0], SeededRng("bytes"), casting.Place(3))
    answers = ballot.decode_answers(vote.manifest, Ballot.from_json(made))
    points = {point for answer in answers for point in answer.points()}
    checked = 0
    for question, text in enumerate(made["choices"]):
        raw = unb64u(text)
        for word in range(0, len(raw), 32 if question in (2, 5) else 160):
            old = raw[word : word + 32]
            new = group.add(old, group.BASE) if old in points else group.scalar_add(old, group.ONE)
            choices = [*made["choices"]]
            choices[question] = b64u(raw[:word] + new + raw[word + 32 :])
            checked += 1
            assert code(vote.manifest, resigned(made, seed, choices=choices)) in (
                "voting.ballot-option-proof",
                "voting.ballot-sum-proof",
            )
    assert checked > 140


def test_a_ballot_serves_one_voter_one_place_and_one_election(opened: list[votes.Vote]) -> None:
    first, other = opened[0].manifest, fm1_votes.all_votes()[0]
    again = votes.open_vote(other, "again", first.questions, at=FIRST + 10, least_electorate=3).manifest
    seeds = [bytes([n]) * 32 for n in range(2)]
    made = casting.make_ballot(first, seeds[0], [[1, 0, 0]], SeededRng("copy"))
    assert code(first, made) == "ok"
    stolen = resigned({**made, "credential": b64u(signing.public_key(seeds[1]))}, seeds[1])
    moved = resigned(made, seeds[0], manifest=b64u(again.hash))
    for manifest, spoiled in (
        (first, stolen),
        (again, moved),
        (first, resigned(made, seeds[0], weight=3)),
        (first, resigned(made, seeds[0], seq=2)),
        (first, resigned(made, seeds[0], prev=b64u(bytes(32)))),
    ):
        assert code(manifest, spoiled) == "voting.ballot-option-proof"
    assert code(again, made) == "voting.ballot-foreign"
    for point in ballot.ballot_points(ballot.decode_answers(first, Ballot.from_json(made))):
        assert code(first, made, seen_points={point}) == "voting.ballot-point-repeated"
    assert code(first, made, seen_points={group.BASE}) == "ok"


def test_a_seed_gives_the_same_draws_and_another_seed_others() -> None:
    draws = casting.SeededDraws(bytes(32))
    assert [draws(64), draws(64)] == [casting.draw(bytes(32), 0), casting.draw(bytes(32), 1)]
    assert casting.draw(bytes(32), 0) != casting.draw(bytes([1]) + bytes(31), 0)
    with pytest.raises(EncodingError):
        draws(32)


def test_openings_of_other_ballots_do_not_fit(opened: list[votes.Vote]) -> None:
    case = published("ballot")["cases"][0]
    manifest, good = opened[0].manifest, case["opening"]
    sealed = unb64u(case["sealed"])
    changes: list[dict[str, Any]] = [
        {"seed": b64u(bytes(32))}, {"choices": [[0, 1, 0]]}, {"weight": 2}, {"seq": 2}, {"prev": b64u(bytes(32))},
    ]  # fmt: skip
    assert ballot.sealed_hash(casting.rebuild(manifest, good)) == sealed
    for change in changes:
        assert ballot.sealed_hash(casting.rebuild(manifest, {**good, **change})) != sealed
    for bad in (
        {**good, "choices": [[1, 1, 0]]},
        {**good, "choices": []},
        {**good, "note": 1},
        {**good, "manifest": b64u(bytes(32))},
        {**good, "seq": 0},
    ):
        with pytest.raises(BallotRejected):
            casting.rebuild(manifest, bad)
    for fragment in ("", "b=AA", "a=AA", "a=" + b64u(b"{}"), "a=!"):
        with pytest.raises(BallotRejected):
            casting.read_fragment(fragment)


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"null", b'{"v":1}', b"\xff", b"[" * 100_000, b'"' + b"a" * 300_000 + b'"', b"1" * 5000],
)
def test_hostile_bytes_are_malformed(raw: bytes) -> None:
    with pytest.raises(BallotRejected) as caught:
        Ballot.from_bytes(raw)
    assert caught.value.code == "voting.ballot-malformed"


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_allowed_choice_of_any_questions_passes(data: st.DataObject) -> None:
    """Random questions and choices; one proof more or less in the draft would fail here."""
    options = [str(n) for n in range(data.draw(st.integers(2, 4)))]
    low = data.draw(st.integers(0, 2))
    high = data.draw(st.integers(max(low, 1), len(options)))
    question = m_of_n("?", options, low, high, blank=data.draw(st.booleans()))
    ways = [c for c in itertools.product((0, 1), repeat=len(question.cells)) if allowed(question, c)]
    meeting = Meeting("any", members=5)
    meeting.check_in_all(5)
    vote = votes.open_vote(meeting, "any", [question, one_of_n("?", options)])
    choices = [data.draw(st.sampled_from(ways)), cells_of_one(one_of_n("?", options), 1)]
    place = casting.Place(data.draw(st.integers(1, 10**6)), data.draw(st.integers(1, 2**32 - 1)), b"p" * 32)
    made = casting.make_ballot(vote.manifest, bytes(32), choices, SeededRng("any"), place)
    assert code(vote.manifest, made) == "ok"
    with pytest.raises(VotingError):
        check_ballot(vote.manifest, Ballot.from_json({**made, "seq": place.seq + 1}))
