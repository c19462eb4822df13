"""Rules by exact integers, aggregates, shares, evidence and the signed tally."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vectors.fm1_votes import code_of
from tests.voting import votes
from tests.voting.scenario import Meeting
from tests.voting.test_vectors import published

from folkmoot_voting import ballot, group, manifest, rules, tally
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import TallyInvalid, VotingError
from folkmoot_voting.manifest import Manifest, Rules
from folkmoot_voting.questions import Question, m_of_n, one_of_n, yes_no_abstain
from folkmoot_voting.rules import Turnout


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    return votes.full_meeting()


class Rehearsed:
    """The numbers that rules read, without a whole manifest."""

    def __init__(self, row: JsonObject) -> None:
        quorum, majority = row["rules"]["quorum"], row["rules"]["majority"]
        names = (majority["kind"], majority["of"], quorum["by"], quorum["in"])
        self.rules = Rules(quorum["num"], quorum["den"], *names, row["rules"]["tie"])
        self.secret = row["secrecy"] == manifest.SECRET
        self.questions = [Question(**{**one, "options": tuple(one["options"])}) for one in row["questions"]]
        for name in ("present", "present_weight", "roll_size", "roll_weight"):
            setattr(self, name, row[name])


def test_published_outcomes() -> None:
    kinds, codes = set(), set()
    for row in published("rules"):
        case: Any = Rehearsed(row)
        turnout = Turnout(row["cast"], row["cast_weight"])
        castings = {one["question"]: one["options"] for one in row["castings"]}
        assert rules.quorum_json(case, turnout) == row["quorum"]
        code = code_of(rules.evaluate, case, row["counts"], turnout, castings)
        assert code == row["code"]
        codes.add(code)
        if code == "ok":
            made = rules.evaluate(case, row["counts"], turnout, castings)
            assert [one.to_json() for one in made] == row["outcome"]
            assert rules.undecided(made) == row["casting_due"]
            kinds |= {one.kind for one in made}
    assert kinds == {"carried", "rejected", "elected", "none", "no-quorum", "too-few"}
    assert codes == {"ok", "voting.casting"}


FRACTIONS = {
    "simple": None,
    "absolute": Fraction(1, 2),
    "two-thirds": Fraction(2, 3),
    "three-quarters": Fraction(3, 4),
}


def elected_by_hand(counts: list[int], seats: int, reached: list[bool]) -> tuple[list[int], list[int]]:
    """Fill seats one group of equals at a time, from the top."""
    left = seats
    elected: list[int] = []
    standing = [option for option, votes_ in enumerate(counts) if votes_ and reached[option]]
    for level in sorted({counts[option] for option in standing}, reverse=True):
        equals = [option for option in standing if counts[option] == level]
        if left == 0:
            break
        if len(equals) > left:
            return sorted(elected), equals
        elected += equals
        left -= len(equals)
    return sorted(elected), []


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_seats_are_filled_as_by_hand(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 6), min_size=2, max_size=6))
    seats = data.draw(st.integers(1, len(counts)))
    kind = data.draw(st.sampled_from(sorted(FRACTIONS)))
    base = data.draw(st.sampled_from(["cast", "decided", "present", "roll"]))
    blank = data.draw(st.integers(0, 3))
    cast = data.draw(st.integers(max(*counts, 3), 9)) + blank
    question = m_of_n("?", [str(n) for n in range(len(counts))], 0, len(counts), blank=True, seats=seats)
    row = {
        "rules": {
            "quorum": {"num": 0, "den": 1, "by": "present", "in": "members"},
            "majority": {"kind": kind, "of": base},
            "tie": "rejected",
        },
        "secrecy": "open", "questions": [question.to_json()],
        "present": 15, "present_weight": 15, "roll_size": 20, "roll_weight": 20,
    }  # fmt: skip
    (found,) = rules.evaluate(_manifest(row), [[*counts, blank]], Turnout(cast, cast))
    whole = {"cast": cast, "decided": cast - blank, "present": 15, "roll": 20}[base]
    share = FRACTIONS[kind]
    reached = [share is None or (n > share * whole if kind == "absolute" else n >= share * whole) for n in counts]
    elected, tied = elected_by_hand(counts, seats, reached)
    assert (list(found.options), list(found.tied)) == (elected, tied)
    assert found.kind == ("elected" if elected else "none")


def _manifest(row: JsonObject) -> Any:
    return Rehearsed(row)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_yes_needs_more_than_no_and_its_majority(yes: int, no: int, abstain: int) -> None:
    cast = yes + no + abstain
    for kind, share in FRACTIONS.items():
        row = {
            "rules": {
                "quorum": {"num": 0, "den": 1, "by": "present", "in": "members"},
                "majority": {"kind": kind, "of": "decided"},
                "tie": "rejected",
            },
            "secrecy": "open", "questions": [yes_no_abstain("?").to_json()],
            "present": 60, "present_weight": 60, "roll_size": 60, "roll_weight": 60,
        }  # fmt: skip
        (found,) = rules.evaluate(_manifest(row), [[yes, no, abstain]], Turnout(cast, cast))
        enough = share is None or (2 * yes > yes + no if kind == "absolute" else yes >= share * (yes + no))
        assert (found.kind == "carried") == (yes > no and enough)
        assert found.votes == (yes, no, abstain)


def test_the_quorum_is_a_fraction_of_the_roll(meeting: Meeting) -> None:
    tie = meeting.elections[1].manifest
    numbers = rules.quorum_json(tie, Turnout(5, 7))
    assert numbers == {"met": True, "count": 7, "base": 15}
    assert not rules.quorum_json(tie, Turnout(4, 4))["met"]
    assert rules.quorum_json(tie, Turnout(4, 5))["met"]


def test_published_boxes() -> None:
    vector = published("box")
    for one in vector["elections"]:
        opened = Manifest.from_json(one["manifest"])
        assert b64u(tally.tally_hash(one["tally"]["core"])) == one["tally_hash"]
        tally.TALLY(one["tally"])
        tally.verify_tally_signatures(opened, one["tally"])
    for one in vector["logs"]:
        found = group.small_log(group.mult_base(group.scalar_int(one["count"])), one["limit"])
        assert (-1 if found is None else found) == one["found"]


@pytest.mark.parametrize("number", [0, 1, 2, 10_000, 10_001, 99_980_001, 10**8 - 1, 10**8])
def test_logarithms_up_to_a_hundred_million(number: int) -> None:
    point = group.mult_base(group.scalar_int(number))
    assert group.small_log(point, 10**8) == number
    assert group.small_log(point, number) == number
    assert group.small_log(point, number - 1) is None
    assert group.small_log(group.sub(group.IDENTITY, group.BASE), 10**6) is None


def test_any_threshold_of_shares_gives_the_same_counts(meeting: Meeting) -> None:
    election = meeting.elections[0]
    opened, total = election.manifest, election.aggregate
    assert total is not None
    assert meeting.keygen is not None
    parts = {
        one.index: tally.partial_decrypt(opened, total, one.index, one.secret_share(meeting.keygen), meeting.rng)
        for one in meeting.trustees
    }
    core = election.tally["core"]
    weight = core["cast_weight"]
    for some in ((1, 2), (1, 3), (2, 3), (1, 2, 3)):
        assert tally.combine(opened, total, {index: parts[index] for index in some}, weight) == core["counts"]
    for wrong in ({2: parts[2]}, {1: parts[2], 3: parts[3]}, {1: parts[1], 2: parts[2][:-1]}):
        with pytest.raises(TallyInvalid):
            tally.combine(opened, total, wrong, weight)
    with pytest.raises(TallyInvalid):
        tally.combine(opened, total, {1: parts[1], 2: parts[2]}, 1)
    with pytest.raises(TallyInvalid):
        tally.partial_decrypt(opened, total, 1, bytes(32), meeting.rng)


def test_wrong_shares_are_evidence_and_others_are_not(meeting: Meeting) -> None:
    election = meeting.elections[0]
    opened, total = election.manifest, election.aggregate
    assert total is not None
    (kept,) = election.rejected
    good = next(one for one in election.entries if one["type"] == "share" and one["trustee"] == kept["trustee"])
    tally.check_share(opened, total, good)
    assert tally.is_evidence(opened, total, kept)
    assert election.tally["core"]["rejected"] == [tally.rejected_json(kept)]
    assert not tally.is_evidence(opened, total, good), "a right share is no evidence"
    other: list[JsonObject] = [
        {"sig": good["sig"]}, {"trustee": 2}, {"trustee": 9}, {"aggregate": b64u(bytes(32))}, {"parts": []},
        {"parts": kept["parts"][:-1]}, {"manifest": b64u(bytes(32))},
    ]  # fmt: skip
    for changes in other:
        changed = {**kept, **changes}
        assert not tally.is_evidence(opened, total, changed)
        with pytest.raises(VotingError):
            tally.check_share(opened, total, changed)
    with pytest.raises(TallyInvalid) as caught:
        tally.check_share(opened, total, kept)
    assert caught.value.code == "voting.share-proof"


def test_the_weight_of_a_ballot_counts(meeting: Meeting) -> None:
    election = meeting.elections[0]
    opened = election.manifest
    parsed = [Ballot.from_json(one) for one in election.ballots]
    answers = [ballot.decode_answers(opened, one) for one in parsed]
    heavy = tally.aggregate(opened, [(3, answers[0])])
    assert heavy == tally.aggregate(opened, [(1, answers[0])] * 3)
    assert tally.aggregate(opened, []).pairs[0][0] == (group.IDENTITY, group.IDENTITY)


def test_a_core_is_made_only_when_every_tie_is_decided(meeting: Meeting) -> None:
    election = meeting.elections[1]
    core = election.tally["core"]
    numbers = tally.BoardNumbers(core["ballots"], core["cast"], core["cast_weight"])
    given: dict[str, Any] = {
        "closing": unb64u(core["closing"]),
        "total": election.aggregate,
        "numbers": numbers,
        "counts": core["counts"],
        "counted_at": core["counted_at"],
    }
    assert tally.make_core(election.manifest, castings={0: [0]}, **given) == core
    for castings in ({}, {0: [2]}, {0: [0], 1: []}, {1: [0]}):
        with pytest.raises(TallyInvalid):
            tally.make_core(election.manifest, castings=castings, **given)


def test_the_chair_and_any_trustees_who_suffice_sign_the_tally(meeting: Meeting) -> None:
    election = meeting.elections[0]
    good = election.tally
    signatures = good["signatures"]
    digest = tally.tally_hash(good["core"])
    every = [{"trustee": one.index, "sig": b64u(one.sign(digest))} for one in meeting.trustees]
    for signers in ((0, 1), (0, 2), (1, 2), (0, 1, 2)):
        signed = {**signatures, "trustees": [every[index] for index in signers]}
        tally.verify_tally_signatures(election.manifest, {**good, "signatures": signed})
    for changes in (
        {"server": signatures["chair"]},
        {"chair": signatures["server"]},
        {"trustees": []},
        {"trustees": signatures["trustees"][:1]},
        {"trustees": signatures["trustees"][::-1]},
        {"trustees": [*signatures["trustees"], signatures["trustees"][0]]},
    ):
        with pytest.raises(TallyInvalid):
            tally.verify_tally_signatures(election.manifest, {**good, "signatures": {**signatures, **changes}})
    with pytest.raises(TallyInvalid):
        tally.verify_tally_signatures(election.manifest, {**good, "core": {**good["core"], "cast": 8}})


def test_votes_of_borda_and_blank() -> None:
    order = votes.EVERY_TYPE[6]
    assert rules.votes_of(order, [1, 2, 3, 4, 5, 6]) == (4, 10, 16)
    assert rules.votes_of(m_of_n("?", ["a", "b"], 0, 1, blank=True), [3, 4, 9]) == (3, 4)
    assert rules.votes_of(one_of_n("?", ["a", "b"]), [3, 4]) == (3, 4)
