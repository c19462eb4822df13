"""Every kind of vote over HTTP: question types, weights, plain votes, ties, exclusions, repeats, the clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.test_votes_flow import downloads
from tests.server.votes_support import NO, YES, Hall, opened, refused
from tests.voting.votes import EVERY_CHOICE, EVERY_TYPE

from folkmoot_server.demo import votes
from folkmoot_voting import board, merkle_log
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import multi_seat, score, yes_no_abstain
from folkmoot_voting.verify import verify_bundle


async def verified(hall: Hall) -> None:
    report = verify_bundle(*await downloads(hall))
    assert report.verdict == "ok", [check for check in report.checks if check.ok is False]


async def summary(hall: Hall) -> dict[str, Any]:
    return dict((await hall.view(hall.chair))["elections"][-1])


async def test_every_question_type_on_one_ballot(hall: Hall) -> None:
    ready = await support.prepare(hall)
    choices = [EVERY_CHOICE[index % 3] for index in range(5)]
    await support.hold_vote(hall, ready, choices, questions=[one.to_json() for one in EVERY_TYPE])
    core = (await summary(hall))["result"]
    expected = [[0] * len(question.cells) for question in EVERY_TYPE]
    for ballot in choices:
        for row, cells in zip(expected, ballot, strict=True):
            row[:] = [old + new for old, new in zip(row, cells, strict=True)]
    assert core["counts"] == expected
    await verified(hall)


@pytest.mark.parametrize("secrecy", ["open", "roll-call"])
async def test_plain_votes_are_counted_by_the_server_and_declared_by_the_chair(tmp_path: Path, secrecy: str) -> None:
    async with support.enrolled(tmp_path) as hall:
        ready = await support.prepare(hall)
        questions = [multi_seat("Board", ["a", "b", "c"], 2).to_json()]
        choices = [[[1, 1, 0]], [[0, 1, 1]]]
        manifest = await support.hold_vote(hall, ready, choices, secrecy=secrecy, questions=questions)
        assert manifest.trustees.count == 0
        assert (await summary(hall))["state"] == "declared"
        core = (await summary(hall))["result"]
        assert (core["counts"], core["aggregate"]) == ([[1, 2, 1]], "")
        listed = (await hall.plain.get(hall.election_path(manifest.election, "/manifest")))["electorate"]
        assert all(bool(one["name"]) == (secrecy == "roll-call") for one in listed)
        entries = (await support.whole_board(hall, manifest.election))["entries"]
        kinds = [json.loads(entry)["type"] for entry in entries]
        assert kinds == ["opening", "ballot", "ballot", "closing", "tally"]
        await verified(hall)


async def test_an_open_vote_needs_no_key(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    await support.check_in(hall, hall.officers)
    cosigners = [await votes.name_cosigner(person, hall.meeting) for person in hall.officers]
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    await support.hold_vote(hall, support.Ready([], cosigners), [YES, YES, NO], secrecy="open")
    secret = await support.draft(hall)
    view = await hall.chair.get(hall.election_path(secret, "/preview"))
    assert view["refusal"] == "election.no-key"
    path = hall.election_path(secret, "/open")
    body = await support.act(hall, hall.chair, secret, "open")
    assert await refused(hall, hall.chair, path, body) == (409, "election.no-key")
    await verified(hall)


async def tied(hall: Hall, **changes: Any) -> tuple[support.Ready, Manifest]:
    ready = await support.prepare(hall)
    election = await support.draft(hall, tie="casting-vote", **changes)
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    await support.cast_all(hall, manifest, [YES, YES, NO, NO])
    await support.close(hall, election)
    await support.cosign(hall, manifest, ready.cosigners)
    return ready, manifest


async def casting_vote(hall: Hall, manifest: Manifest, seed: bytes, options: list[int], question: int = 0) -> Any:
    view = await support.whole_board(hall, manifest.election)
    head = merkle_log.parse_note(view["closing"]).checkpoint.hash()
    return {"entry": board.casting_entry(manifest.hash, head, question, options, seed)}


@pytest.mark.parametrize("secrecy", ["trustees", "open"])
async def test_a_tie_waits_for_the_chairs_casting_vote(tmp_path: Path, secrecy: str) -> None:
    async with support.enrolled(tmp_path) as hall:
        ready, manifest = await tied(hall, secrecy=secrecy)
        path = hall.election_path(manifest.election, "/casting")
        seeds = [one.seed for one in ready.cosigners]
        good = await casting_vote(hall, manifest, seeds[0], [0])
        assert await refused(hall, hall.chair, path, good) == (409, "election.wrong-state")
        if secrecy == "open":
            await hall.settle()
        else:
            total, closing = await support.own_aggregate(hall, manifest)
            for teller in ready.tellers[:2]:
                post = hall.election_path(manifest.election, "/intents")
                await teller.person.post(
                    post, {"entry": support.intent(teller, manifest, closing.hash(), total.hash)}
                )
                post = hall.election_path(manifest.election, "/shares")
                await teller.person.post(post, {"entry": support.share(teller, manifest, total)})
        assert ((await summary(hall))["state"], (await summary(hall))["result"]) == ("tied", None)
        waiting = await hall.chair.get(hall.election_path(manifest.election, "/tally"))
        assert (waiting["core"], waiting["tally_hash"], waiting["rejected"]) == (None, "", [])
        for person, body, expected in [
            (hall.secretary, good, (403, "casting.not-chair")),
            (hall.chair, await casting_vote(hall, manifest, seeds[1], [0]), (422, "voting.casting-unsigned")),
            (hall.chair, await casting_vote(hall, manifest, seeds[0], [2]), (422, "voting.casting")),
            (hall.chair, await casting_vote(hall, manifest, seeds[0], [0, 1]), (422, "voting.casting")),
            (hall.chair, await casting_vote(hall, manifest, seeds[0], [0], 1), (422, "voting.casting-question")),
            (hall.chair, {"entry": {"type": "tally", "hash": "A" * 43}}, (422, "voting.board-malformed")),
        ]:
            assert await refused(hall, person, path, body) == expected
        for _ in range(2):  # the second changes nothing
            assert await hall.chair.post(path, good) == {}
        core = (await summary(hall))["result"]
        assert core["outcome"] == [{"kind": "carried", "options": [0], "tied": [0, 1], "votes": [2, 2, 0]}]
        for teller in ready.tellers[:2] if secrecy == "trustees" else []:
            index, seed = teller.trustee.index, teller.trustee.seed
            assert await support.sign_tally(hall, manifest, teller.person, seed, index) == (200, "accepted")
        await votes.declare(ready.cosigners[0], hall.meeting, manifest)
        await verified(hall)


async def test_a_wrong_share_is_kept_as_evidence_and_any_good_ones_suffice(hall: Hall) -> None:
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES, YES, NO])
    await support.close(hall, manifest.election)
    await support.cosign(hall, manifest, ready.cosigners)
    total, closing = await support.own_aggregate(hall, manifest)
    liar = ready.tellers[0]
    intents, shares = (hall.election_path(manifest.election, rest) for rest in ("/intents", "/shares"))
    await liar.person.post(intents, {"entry": support.intent(liar, manifest, closing.hash(), total.hash)})
    good = support.share(liar, manifest, total)
    for number in range(6):
        parts = [
            [{**part, "z": part["u"][: -1 - number] + "A" * (number + 1)} for part in row] for row in good["parts"]
        ]
        wrong = board.share_entry(1, manifest.hash, total.hash, parts, liar.trustee.seed)
        for _ in range(2):
            answer = await support.refusal(liar.person, shares, {"entry": wrong})
            assert answer == (422, "voting.share-proof")
    assert [one["body"]["trustee"] for one in await hall.events("ShareRejected")] == [1] * 5
    await votes.count(ready.tellers[1:], hall.meeting, manifest)
    core = await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    assert [one["trustee"] for one in core["rejected"]] == [1] * 5
    shown = await hall.chair.get(hall.election_path(manifest.election, "/tally"))
    assert len(shown["rejected"]) == 5
    await verified(hall)


async def test_excluded_members_are_present_and_no_electors(tmp_path: Path) -> None:
    async with support.enrolled(tmp_path, electorate_min=3) as hall:
        ready = await support.prepare(hall)
        election = await support.draft(hall)
        path = hall.election_path(election, "/exclusions")
        body = {"member": hall.tellers[0].member, "excluded": True, "reason": "own contract"}
        assert await refused(hall, hall.tellers[1], path, body) == (403, "role.missing")
        assert await refused(hall, hall.chair, path, {**body, "reason": ""}) == (400, "input.bad-text")
        assert await refused(hall, hall.chair, path, {**body, "member": "nobody"}) == (404, "roll.unknown-member")
        await hall.chair.post(path, body)
        absent = {"member": hall.plain.member, "excluded": True, "reason": "own contract"}
        await hall.secretary.post(path, absent)  # on the roll, but not present: counts nowhere
        other = {"member": hall.tellers[1].member, "excluded": True, "reason": "mistaken"}
        await hall.secretary.post(path, other)
        await hall.secretary.post(path, {**other, "excluded": False, "reason": ""})
        assert len((await summary(hall))["excluded"]) == 2
        view = await hall.secretary.get(hall.election_path(election, "/preview"))
        assert (view["present"], view["excluded"], view["electorate_size"], view["small"]) == (5, 1, 4, True)
        assert (view["refusal"], view["repeats"], view["weights"]) == ("", [], {"1": 4})
        assert await refused(hall, hall.tellers[0], path.replace("exclusions", "preview"), None, "GET") == (
            403, "role.missing",
        )  # fmt: skip
        manifest = await votes.open_election(hall.chair, hall.meeting, election)
        assert (manifest.present, manifest.excluded, manifest.electorate_size) == (5, 1, 4)
        assert await refused(hall, hall.chair, path, body) == (409, "election.wrong-state")
        ballot = support.seal(hall, hall.tellers[0], manifest, YES)
        answer = await refused(hall, hall.tellers[0], hall.election_path(election, "/ballots"), {"ballot": ballot})
        assert answer == (422, "ballot.not-elector")
        for person in (hall.chair, hall.secretary, hall.tellers[1]):
            await support.send(hall, person, support.seal(hall, person, manifest, YES))
        await support.close(hall, election)
        await support.cosign(hall, manifest, ready.cosigners)
        await votes.count(ready.tellers[:2], hall.meeting, manifest)
        await votes.declare(ready.cosigners[0], hall.meeting, manifest)
        told = [event["body"] for event in await hall.events("ElectorExcluded")]
        assert [one["excluded"] for one in told] == [True, True, True, False]
        await verified(hall)


async def test_the_chair_confirms_what_a_vote_repeats(tmp_path: Path) -> None:
    async with support.enrolled(tmp_path, electorate_min=3) as hall:
        ready = await support.prepare(hall)
        first = await support.hold_vote(hall, ready, [YES, YES, NO])
        same = await support.draft(hall)
        assert (await hall.chair.get(hall.election_path(same, "/preview")))["repeats"] == []
        body = {"member": hall.tellers[2].member, "excluded": True, "reason": "own contract"}
        await hall.chair.post(hall.election_path(same, "/exclusions"), body)
        assert (await hall.chair.get(hall.election_path(same, "/preview")))["repeats"] == [first.election]
        path = hall.election_path(same, "/open")
        unseen = await support.act(hall, hall.chair, same, "open")
        before = support.fingerprint(hall)
        status, raw = await hall.chair.raw("POST", path, unseen)
        assert status == 409
        error = json.loads(raw)["error"]
        assert (error["code"], error["details"]) == ("election.repeats", {"repeats": [first.election]})
        assert support.fingerprint(hall) == before
        manifest = await votes.open_election(hall.chair, hall.meeting, same)
        assert manifest.repeats == (first.election,)
        assert (await summary(hall))["warnings"] == ["small", "repeat"]
        await support.close(hall, same)
        # Another question of the same people is no repetition.
        other = await support.draft(hall, questions=[score("Points", ["a", "b"], 3).to_json()])
        assert (await hall.chair.get(hall.election_path(other, "/preview")))["repeats"] == []


async def test_weights_count_and_rare_ones_are_refused(tmp_path: Path) -> None:
    async with support.enrolled(tmp_path, electorate_min=3) as hall:
        for person in hall.tellers:
            action = {"type": "set-weight", "member": person.member, "weight": 4}
            await hall.secretary.act(f"/api/members/{person.member}/weight", action, weight=4)
        ready = await support.prepare(hall)
        election = await support.draft(hall)
        view = await hall.chair.get(hall.election_path(election, "/preview"))
        assert (view["weights"], view["refusal"]) == ({"1": 2, "4": 3}, "voting.weight-leak")
        assert (await summary(hall))["weighted"]
        body = await support.act(hall, hall.chair, election, "open")
        answer = await refused(hall, hall.chair, hall.election_path(election, "/open"), body)
        assert answer == (422, "voting.weight-leak")
        weighted = await support.draft(hall, secrecy="roll-call")
        manifest = await votes.open_election(hall.chair, hall.meeting, weighted)
        for person, choice in ((hall.chair, YES), (hall.secretary, YES), (hall.tellers[0], NO)):
            seed = hall.credentials[person.member]
            await votes.cast(person, hall.meeting, manifest, seed, support.cells(manifest, choice))
        assert (await hall.view(hall.tellers[0]))["elections"][-1]["me"]["weight"] == 4
        await support.close(hall, weighted)
        await support.cosign(hall, manifest, ready.cosigners)
        await hall.settle()
        core = await votes.declare(ready.cosigners[0], hall.meeting, manifest)
        assert (core["counts"], core["cast"], core["cast_weight"]) == ([[2, 4, 0]], 3, 6)
        assert core["outcome"][0]["kind"] == "rejected"
        await verified(hall)


async def test_a_vote_by_the_clock_ends_by_itself_and_not_before(hall: Hall) -> None:
    ready = await support.prepare(hall)
    election = await support.draft(hall, closes_after_s=120)
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    assert manifest.closes_at == hall.clock() + 120
    await support.cast_all(hall, manifest, [YES, NO, YES])
    hall.clock.at = manifest.closes_at - 1
    await hall.settle()
    assert (await summary(hall))["state"] == "open"
    assert (await summary(hall))["closes_at"] == manifest.closes_at
    body = await support.act(hall, hall.chair, election, "close")
    path = hall.election_path(election, "/close")
    assert await refused(hall, hall.chair, path, body) == (409, "election.closes-by-itself")
    await hall.settle(1)
    assert (await summary(hall))["state"] == "closing"
    await support.send(hall, hall.tellers[1], support.seal(hall, hall.tellers[1], manifest, YES))
    await hall.settle(hall.settings.closing_grace_s + 1)
    entries = (await support.whole_board(hall, election))["entries"]
    closing = json.loads(entries[-1])
    assert (closing["ended"], closing["cast"], closing["ballots"]) == (manifest.closes_at, 4, 4)
    assert closing["at"] >= closing["ended"] + manifest.grace_s
    await support.cosign(hall, manifest, ready.cosigners)
    await votes.count(ready.tellers[:2], hall.meeting, manifest)
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    await verified(hall)


BAD_DRAFTS: list[dict[str, Any]] = [
    {"questions": [yes_no_abstain("?").to_json()] * 9},
    {"questions": []},
    {"questions": [{**yes_no_abstain("?").to_json(), "blank": True}]},
    {"questions": [{**yes_no_abstain("?").to_json(), "options": ["no", "yes", "abstain"]}]},
    {"questions": [{**score("?", ["a", "b"], 3).to_json(), "score": 11}]},
    {"questions": [{name: value for name, value in yes_no_abstain("?").to_json().items() if name != "seats"}]},
    {"questions": [score("?", ["a", "b"], 3).to_json()], "majority": {"kind": "absolute", "of": "cast"}},
    {"tie": "casting-vote", "majority": {"kind": "two-thirds", "of": "cast"}},
    {"tie": "lot"},
    {"secrecy": "server"},
    {"voting_again": "always"},
    {"closes_after_s": -1},
    {"closes_after_s": 32 * 86_400},
    {"kiosk": 1},
]


@pytest.mark.parametrize("changes", BAD_DRAFTS)
async def test_what_no_manifest_could_carry_is_not_drafted(hall: Hall, changes: dict[str, Any]) -> None:
    await support.convene(hall)
    status, code = await refused(hall, hall.secretary, hall.path("/questions"), support.question(hall, **changes))
    assert (status, code) in {(400, "question.invalid"), (400, "input.malformed")}
