"""Manifests and electorates: what section 5 refuses, and what is refused only when one is built."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest
from tests.vectors.fm1_votes import changed
from tests.voting import votes
from tests.voting.scenario import FIRST, SIMPLE, Meeting
from tests.voting.seeded import SeededRng
from tests.voting.test_vectors import published

from folkmoot_voting import batch, casting, electorate, manifest, signing
from folkmoot_voting.ballot import Ballot, CheckedBallot, answer_bytes
from folkmoot_voting.encoding import b64u, jcs, unb64u
from folkmoot_voting.errors import ManifestInvalid
from folkmoot_voting.keygen import NO_KEY
from folkmoot_voting.manifest import Manifest, Rules
from folkmoot_voting.questions import Question, one_of_n, score, yes_no_abstain


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    made = Meeting("manifests", members=9, weights=(1, 1, 1, 1, 1, 3, 3, 3, 7))
    made.check_in_all(8)
    return made


def test_published_manifests() -> None:
    vector = published("manifest")
    good = {}
    for one in vector["good"]:
        made = Manifest.from_json(one["manifest"])
        good[one["hash"]] = made
        assert b64u(made.hash) == one["hash"]
        manifest.check_electorate(made, one["electorate"])
        assert [list(question.cells) for question in made.questions] == one["cells"]
    assert len(vector["bad"]) > 80
    for one in vector["bad"]:
        with pytest.raises(ManifestInvalid) as caught:
            Manifest.from_json(changed(good[one["base"]].json, one["changes"]))
        assert caught.value.code == one["code"], one["name"]


def test_published_electorates() -> None:
    vector = published("electorate")
    manifests = {one["hash"]: Manifest.from_json(one["manifest"]) for one in published("manifest")["good"]}
    for one in vector["lists"]:
        code = "ok"
        try:
            manifest.check_electorate(manifests[one["manifest"]], one["electorate"])
        except ManifestInvalid as error:
            code = error.code
        assert code == one["code"], one["name"]
    for one in vector["repeats"]:
        questions = [Question(**{**q, "options": tuple(q["options"])}) for q in one["questions"]]
        earlier = [
            electorate.EarlierVote(
                old["election"],
                [Question(**{**q, "options": tuple(q["options"])}) for q in old["questions"]],
                [unb64u(key) for key in old["credentials"]],
            )
            for old in one["earlier"]
        ]
        keys = [unb64u(key) for key in one["credentials"]]
        assert electorate.find_repeats(questions, keys, one["least_electorate"], earlier) == one["repeats"]


def test_every_field_is_needed_and_none_may_be_added(meeting: Meeting) -> None:
    good = votes.open_vote(meeting, "fields", [yes_no_abstain("?")], least_electorate=3).manifest

    def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if isinstance(value, dict):
            return [path, *(found for key in value for found in places(value[key], (*path, key)))]
        return places(value[0], (*path, 0)) if isinstance(value, list) and value else []

    for path in places(good.json):
        for name in (*_at(good.json, path), "surplus"):
            spoiled = copy.deepcopy(good.json)
            if name == "surplus":
                _at(spoiled, path)[name] = 1
            else:
                del _at(spoiled, path)[name]
            with pytest.raises(ManifestInvalid) as caught:
                Manifest.from_json(spoiled)
            assert caught.value.code == "voting.manifest-malformed"


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def test_a_manifest_is_at_most_200_kib(meeting: Meeting) -> None:
    good = votes.open_vote(meeting, "long", [yes_no_abstain("?")], least_electorate=3).manifest
    room = (manifest.MAX_MANIFEST - len(jcs(good.json))) // 67
    Manifest.from_json({**good.json, "repeats": [f"{n:064d}" for n in range(room)]})
    with pytest.raises(ManifestInvalid):
        Manifest.from_json({**good.json, "repeats": [f"{n:064d}" for n in range(room + 2)]})


def test_the_longest_ballot_can_be_sent(meeting: Meeting) -> None:
    """128 cells of 0..10 are the most that questions can ask for, and fit into protocol JSON of 256 KiB."""
    many = [score(f"Question {n}", [str(m) for m in range(32)], 10) for n in range(4)]
    assert sum(map(answer_bytes, many)) == 180 * 1024
    vote = votes.open_vote(meeting, "many", many, least_electorate=3)
    made = casting.make_ballot(vote.manifest, bytes(32), [[10] * 32] * 4, SeededRng("many"))
    parsed = Ballot.from_bytes(jcs(made))
    (verdict,) = batch.check_many(vote.manifest, [parsed], os.urandom)
    assert isinstance(verdict, CheckedBallot)
    assert votes.open_vote(meeting, "plain", many, secrecy="open").manifest.trustees == NO_KEY


def test_small_electorates_and_rare_weights_are_refused() -> None:
    small = Meeting("small", members=7, weights=(1, 1, 1, 1, 1, 3))
    for count, least, code in ((4, 5, "voting.electorate-too-small"), (2, 1, "voting.electorate-too-small")):
        small.checkins.clear()
        small.check_in_all(count)
        with pytest.raises(ManifestInvalid) as caught:
            votes.open_vote(small, "vote", [yes_no_abstain("?")], least_electorate=least)
        assert caught.value.code == code
    votes.open_vote(small, "open", [yes_no_abstain("?")], secrecy="open")
    small.check_in_all(6)
    with pytest.raises(ManifestInvalid) as caught:
        votes.open_vote(small, "leak", [yes_no_abstain("?")], least_electorate=3)
    assert caught.value.code == "voting.weight-leak"
    votes.open_vote(small, "leak", [yes_no_abstain("?")], secrecy="roll-call")


def test_excluded_members_are_present_but_no_electors(meeting: Meeting) -> None:
    gone = ["m-000", "m-001"]
    vote = votes.open_vote(
        meeting, "excluded", [yes_no_abstain("?")], SIMPLE, FIRST, excluded=gone, least_electorate=3
    )
    made = vote.manifest
    assert (made.present, made.present_weight, made.excluded) == (8, 14, 2)
    assert (made.electorate_size, made.electorate_weight) == (6, 12)
    assert b64u(meeting.persons[0].first) not in {one["credential"] for one in vote.electorate}


@pytest.mark.parametrize(("cosigners", "least"), [(3, 3), (4, 4), (5, 4), (6, 5), (7, 5), (15, 9)])
def test_the_quorum_of_cosigners_beats_two_liars(cosigners: int, least: int) -> None:
    assert manifest.least_cosign_quorum(cosigners) == least
    assert 2 * least > cosigners + 2 >= 2 * (least - 1)


def test_points_need_the_simple_majority(meeting: Meeting) -> None:
    absolute = Rules(1, 2, "absolute", "cast")
    votes.open_vote(meeting, "names", [one_of_n("?", ["a", "b"])], absolute, least_electorate=3)
    with pytest.raises(ManifestInvalid):
        votes.open_vote(meeting, "points", [score("?", ["a", "b"], 3)], absolute, least_electorate=3)


def test_electorates_are_sorted_and_distinct() -> None:
    electors = [electorate.Elector(signing.public_key(bytes([n]) * 32), n + 1) for n in range(5)]
    listed = electorate.make_electorate(electors)
    assert set(electorate.parse_electorate(listed).values()) == set(electors)
    bad: list[Any] = [listed[::-1], [listed[0], *listed], [{"credential": "AA", "weight": 1, "name": ""}]]
    for one in bad:
        with pytest.raises(ManifestInvalid):
            electorate.parse_electorate(one)
    for wrong in (0, 10**6 + 1):
        with pytest.raises(ManifestInvalid):
            electorate.make_electorate([electorate.Elector(bytes(32), wrong)])
