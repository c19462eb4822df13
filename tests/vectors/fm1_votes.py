"""The vectors of sections 5 to 8: manifests, electorates, ballots, lineages, closing, shares, rules and tallies."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from tests.voting import votes
from tests.voting.scenario import FIRST, Meeting
from tests.voting.seeded import SeededRng

from folkmoot_voting import ballot, casting, electorate, group, signing
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import VotingError
from folkmoot_voting.manifest import Manifest, Rules, check_electorate
from folkmoot_voting.questions import (
    Question,
    approval,
    borda,
    m_of_n,
    multi_seat,
    one_of_n,
    score,
    yes_no_abstain,
)

# Per question: a name, and cells that may be chosen.
BALLOTS: Sequence[tuple[str, Question, Sequence[Sequence[int]]]] = (
    ("yes-no-abstain", yes_no_abstain("Carry?"), ([1, 0, 0], [0, 1, 0], [0, 0, 1])),
    ("one-of-n", one_of_n("Who?", ["An", "Bình"]), ([1, 0], [0, 1])),
    ("m-of-n", m_of_n("Which?", ["a", "b", "c"], 1, 2, seats=2), ([1, 0, 0], [0, 1, 1])),
    ("m-of-n fixed", m_of_n("Which two?", ["a", "b", "c"], 2, 2), ([1, 0, 1],)),
    ("m-of-n blank", m_of_n("Which?", ["a", "b", "c"], 0, 3, blank=True), ([0] * 4, [1, 1, 1, 0], [0, 0, 0, 1])),
    ("multi-seat", multi_seat("Board", ["a", "b", "c"], 2), ([0, 0, 0], [1, 0, 1])),
    ("multi-seat blank", multi_seat("Board", ["a", "b", "c"], 2, low=1, blank=True), ([0, 1, 0, 0], [0, 0, 0, 1])),
    ("approval", approval("Dates", ["a", "b", "c"]), ([0, 0, 0], [1, 1, 1], [0, 1, 0])),
    ("score 1", score("Points", ["a", "b"], 1), ([0, 1],)),
    ("score 10", score("Points", ["a", "b"], 10, seats=2), ([0, 10], [7, 3])),
    ("borda", borda("Order", ["a", "b", "c"], 2), ([0, 1, 1, 0, 0, 0], [0, 0, 1, 0, 0, 1])),
    ("borda all ranks", borda("Order", ["a", "b"], 2), ([1, 0, 0, 1], [0, 1, 1, 0])),
    ("borda one rank", borda("Order", ["a", "b"], 1), ([1, 0],)),
)


def code_of(act: Callable[..., Any], *given: Any) -> str:
    """Return the code with which an act is refused, or "ok"."""
    try:
        act(*given)
    except VotingError as error:
        return error.code
    return "ok"


def all_votes() -> tuple[Meeting, list[votes.Vote]]:
    """Return a meeting with an open vote for each of BALLOTS, one with all types, and plain ones."""
    meeting = Meeting("vectors", members=9, weights=(1, 1, 1, 1, 3, 3, 3, 1, 1))
    meeting.check_in_all(7)
    opened = [
        votes.open_vote(meeting, f"vote-{number}", [question], least_electorate=3)
        for number, (_, question, _) in enumerate(BALLOTS)
    ]
    last: Any = {"voting_again": "last-counts", "kiosk": True, "least_electorate": 3}
    opened.append(votes.open_vote(meeting, "vote-all", votes.EVERY_TYPE, **last))
    tie = Rules(1, 3, "simple", "decided", "cast", "votes", "casting-vote")
    opened.append(votes.open_vote(meeting, "vote-open", votes.EVERY_TYPE, tie, secrecy="open"))
    named: Any = {"secrecy": "roll-call", "closes_at": FIRST + 900, "excluded": ["m-002"]}
    opened.append(votes.open_vote(meeting, "vote-call", [multi_seat("Board", ["a", "b", "c"], 2)], **named))
    return meeting, opened


def manifest_vectors(opened: Sequence[votes.Vote]) -> JsonObject:
    """Section 5: manifests and electorates, and manifests that are refused."""
    return {
        "good": [
            {
                "manifest": one.manifest.json,
                "hash": b64u(one.manifest.hash),
                "electorate": one.electorate,
                "cells": [list(question.cells) for question in one.manifest.questions],
                "constraints": [
                    [{"terms": [list(term) for term in c.terms], "low": c.low, "high": c.high} for c in q.constraints]
                    for q in one.manifest.questions
                ],
                "answer_bytes": [
                    ballot.answer_bytes(q) if one.manifest.secret else len(q.cells) for q in one.manifest.questions
                ],
            }
            for one in opened
        ],
        "bad": bad_manifests(opened[0].manifest, opened[-2].manifest),
    }


def bad_manifests(secret: Manifest, plain: Manifest) -> list[JsonObject]:
    """Return spoiled manifests with the code of their refusal; each differs in the fields named by a path."""
    point = b64u(group.BASE)
    base: Sequence[tuple[str, Any]] = (
        ("v", 2), ("protocol", "fm2"), ("secrecy", "none"), ("voting_again", "twice"), ("rules.tie", "lot"),
        ("rules.quorum.by", "roll"), ("rules.quorum.in", "heads"), ("rules.majority.kind", "most"),
        ("rules.majority.of", "all"), ("rules.quorum.den", 0), ("rules.quorum.num", 3),
        ("rules.quorum.den", 1_000_001),
        ("rehearsal", 0), ("kiosk", "no"), ("questions", []), ("questions", [secret.questions[0].to_json()] * 9),
        ("questions.0.options", ["yes", "no"]), ("questions.0.min", 0), ("questions.0.seats", 2),
        ("questions.0.blank", True), ("questions.0.score", 2), ("questions.0.ranks", 1), ("questions.0.type", "stv"),
        ("excluded", secret.present), ("present", secret.roll_size + 1), ("present_weight", 1),
        ("electorate_weight", secret.present_weight + 1), ("roll_weight", 10**8 + 1), ("least_electorate", 2),
        ("least_electorate", secret.electorate_size + 1), ("electorate_size", secret.present + 1),
        ("repeats", ["not an id"]), ("trustees.attempt", 0), ("trustees.attempt", 21), ("trustees.threshold", 1),
        ("trustees.threshold", 4), ("trustees.key", ""), ("trustees.key", b64u(bytes(32))),
        ("trustees.key", b64u(b"\x01" + bytes(31))), ("trustees.transcript", ""),
        ("trustees.verification_keys", [point]), ("trustees.sign_keys", [point] * 3), ("cosigners", []),
        ("cosigners.0.name", "Chair"), ("cosigners.1.name", "chair"), ("cosigners.2.name", "teller-0"),
        ("cosigners.1.key", secret.json["cosigners"][0]["key"]), ("cosign_quorum", 3), ("cosign_quorum", 6),
        ("board.origin", "localhost/other"), ("ledger.origin", "localhost"), ("ledger.key", point),
        ("opened_at", secret.time_limit), ("closes_at", secret.opened_at), ("closes_at", secret.time_limit),
        ("grace_s", 3601), ("grace_s", -1), ("challenge_s", 31_536_001), ("title", ""), ("title", "a\u0007"),
        ("meeting", "x y"),
    )  # fmt: skip
    questions: Sequence[tuple[str, Question]] = (
        ("one option", one_of_n("?", ["a"])), ("33 options", one_of_n("?", [str(n) for n in range(33)])),
        ("same option twice", one_of_n("?", ["a", "a"])),
        ("one-of-n min", Question("one-of-n", "?", ("a", "b"), min=0)),
        ("m-of-n max 0", m_of_n("?", ["a", "b"], 0, 0)), ("m-of-n min over max", m_of_n("?", ["a", "b"], 2, 1)),
        ("m-of-n max over options", m_of_n("?", ["a", "b"], 0, 3)),
        ("m-of-n seats", m_of_n("?", ["a", "b"], 0, 1, seats=3)),
        ("multi-seat all", multi_seat("?", ["a", "b"], 2)), ("multi-seat one", multi_seat("?", ["a", "b"], 1)),
        ("multi-seat max", Question("multi-seat", "?", ("a", "b", "c"), min=0, max=3, seats=2)),
        ("approval max", Question("approval", "?", ("a", "b"), min=0, max=1)),
        ("approval blank", Question("approval", "?", ("a", "b"), min=0, max=2, blank=True)),
        ("score 0", score("?", ["a", "b"], 0)), ("score 11", score("?", ["a", "b"], 11)),
        ("score min", Question("score", "?", ("a", "b"), min=1, max=0, score=3)),
        ("borda ranks 0", borda("?", ["a", "b"], 0)), ("borda ranks 3", borda("?", ["a", "b"], 3)),
        ("borda 11 options", borda("?", [str(n) for n in range(11)], 2)),
    )  # fmt: skip
    cases = [(path, {path: value}) for path, value in base]
    cases += [(name, {"questions": [question.to_json()]}) for name, question in questions]
    many = [one_of_n("?", [str(n) for n in range(32)]).to_json() for _ in range(5)]
    yes_no, points = yes_no_abstain("?").to_json(), score("?", ["a", "b"], 2).to_json()
    cases += [
        ("129 cells and more", {"questions": many}),
        ("score by absolute majority", {"questions": [points], "rules.majority.kind": "absolute"}),
        ("casting vote by absolute majority", {"rules.tie": "casting-vote", "rules.majority.kind": "absolute"}),
        (
            "score times weight",
            {"questions": [yes_no, {**points, "score": 10}], "roll_weight": 10**7 + 1},
        ),
        ("unknown field", {"note": "x"}),
    ]
    out = [_bad_manifest(name, secret, changes) for name, changes in cases]
    key = secret.json["trustees"]
    for name, changes in (
        ("plain with a key", {"trustees": key}),
        ("plain with least electorate 3", {"least_electorate": 3}),
        ("plain without electors", {"electorate_size": 0}),
        ("secret without a key", {"secrecy": "trustees", "least_electorate": 3}),
    ):
        out.append(_bad_manifest(name, plain, changes))
    return out


def _bad_manifest(name: str, good: Manifest, changes: JsonObject) -> JsonObject:
    spoiled = changed(good.json, changes)
    code = code_of(Manifest.from_json, spoiled)
    assert code != "ok", name
    return {"name": name, "base": b64u(good.hash), "changes": changes, "code": code}


def changed(good: JsonObject, changes: JsonObject) -> JsonObject:
    """Return a copy with the values at dotted paths replaced."""
    out = copy.deepcopy(good)
    for path, value in changes.items():
        *way, last = path.split(".")
        at: Any = out
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        at[last] = value
    return out


def electorate_vectors(opened: Sequence[votes.Vote]) -> JsonObject:
    """Section 5: lists that fit a manifest or do not, and repeated votes."""
    secret, called = opened[0], opened[-1]
    good = secret.electorate
    lists = {
        "the electorate": (secret, good),
        "the roll-call's electorate": (called, called.electorate),
        "not sorted": (secret, good[::-1]),
        "doubled": (secret, [good[0], *good]),
        "one less": (secret, good[1:]),
        "another weight": (secret, [{**good[0], "weight": 5}, *good[1:]]),
        "weight 0": (secret, [{**good[0], "weight": 0}, *good[1:]]),
        "named in a secret vote": (secret, [{**good[0], "name": "An"}, *good[1:]]),
        "no weight": (secret, [{"credential": good[0]["credential"], "name": ""}, *good[1:]]),
    }
    keys = [hashlib.sha256(bytes([n])).digest() for n in range(12)]
    yes_no, other = [yes_no_abstain("First?")], [one_of_n("?", ["a", "b"])]
    earlier = [
        electorate.EarlierVote("same", yes_no, keys[:8]),
        electorate.EarlierVote("one-more", [yes_no_abstain("Second?")], keys[:9]),
        electorate.EarlierVote("one-less", yes_no, keys[1:8]),
        electorate.EarlierVote("two-exchanged", yes_no, keys[2:10]),
        electorate.EarlierVote("three-exchanged", yes_no, keys[3:11]),
        electorate.EarlierVote("other-question", other, keys[:9]),
        electorate.EarlierVote("two-questions", yes_no * 2, keys[:9]),
    ]
    weights = ([1] * 5, [1] * 4 + [2], [1] * 3 + [2] * 3, [1] * 3 + [2] * 3 + [5] * 2)
    return {
        "lists": [
            {
                "name": name,
                "manifest": b64u(vote.manifest.hash),
                "electorate": listed,
                "hash": b64u(electorate.electorate_hash(listed)),
                "code": code_of(check_electorate, vote.manifest, listed),
            }
            for name, (vote, listed) in lists.items()
        ],
        "repeats": [
            {
                "questions": [one.to_json() for one in yes_no],
                "credentials": [b64u(key) for key in keys[:8]],
                "least_electorate": least,
                "earlier": [
                    {
                        "election": one.election,
                        "questions": [question.to_json() for question in one.questions],
                        "credentials": [b64u(key) for key in one.credentials],
                    }
                    for one in earlier
                ],
                "repeats": electorate.find_repeats(yes_no, keys[:8], least, earlier),
            }
            for least in (3, 4, 5)
        ],
        "weights": [
            {
                "weights": list(row),
                "least_electorate": least,
                "code": code_of(
                    electorate.check_classes,
                    {keys[n]: electorate.Elector(keys[n], weight) for n, weight in enumerate(row)},
                    least,
                ),
            }
            for row in weights
            for least in (1, 3, 5)
        ],
    }


def draw_vectors() -> list[JsonObject]:
    """Section 7: draws of a seed."""
    seed = hashlib.sha256(b"draws").digest()
    return [{"seed": b64u(seed), "index": n, "draw": b64u(casting.draw(seed, n))} for n in (0, 1, 2, 255, 256)]


def ballot_vectors(meeting: Meeting, opened: Sequence[votes.Vote]) -> JsonObject:
    """Section 7: ballots made from a seed, ballots refused, and choices that no ballot can be made of."""
    people = meeting.persons
    cases = []
    for vote, (name, _, rows) in zip(opened, BALLOTS, strict=False):
        cases += [_ballot_case(name, vote, people[0].credential, [row]) for row in rows]
    everything, plain, called = opened[len(BALLOTS) :]
    for number, choices in enumerate(votes.EVERY_CHOICE):
        place = casting.Place(3, number + 1, hashlib.sha256(bytes([number])).digest() if number else b"")
        cases.append(_ballot_case("every type", everything, people[4].credential, choices, place))
        cases.append(_ballot_case("every type, plain", plain, people[number].credential, choices))
    cases.append(_ballot_case("roll-call", called, people[5].credential, [[1, 0, 1]], casting.Place(3)))
    return {
        "draws": draw_vectors(),
        "cases": cases,
        "refused": _refused(meeting, opened),
        "impossible": _impossible(opened),
    }


def _ballot_case(
    name: str, vote: votes.Vote, key: bytes, choices: votes.Choices, place: casting.Place = casting.FIRST
) -> JsonObject:
    opened = vote.manifest
    seed = hashlib.sha256(f"{name} {choices}".encode()).digest()
    sealed = casting.seal(opened, signing.public_key(key), choices, casting.SeededDraws(seed), place)
    made = casting.sign_ballot(sealed, key)
    parsed = Ballot.from_json(made)
    checked = ballot.check_ballot(opened, parsed)
    opening = casting.make_opening(sealed, seed, choices)
    assert casting.rebuild(opened, opening) == sealed
    answers = checked.answers
    return {
        "name": name,
        "manifest": b64u(opened.hash),
        "key_seed": b64u(key),
        "seed": b64u(seed),
        "choices": [list(row) for row in choices],
        "challenge": b64u(ballot.ballot_challenge(opened, parsed, answers)) if opened.secret else "",
        "signed_hash": b64u(ballot.signed_hash(made)),
        "sealed": b64u(ballot.sealed_hash(made)),
        "audit_code": casting.audit_code(ballot.sealed_hash(made)),
        "announcement": casting.make_announcement(opened, key, ballot.sealed_hash(made)),
        "void": casting.make_void(opened, key, sealed),
        "opening": opening,
        "fragment": casting.opening_fragment(opening),
        "ballot": made,
        "leaf": b64u(checked.leaf),
        "tracker": checked.tracker,
    }


def resigned(made: JsonObject, seed: bytes, **changes: Any) -> JsonObject:
    """Return the ballot with changed fields and a fresh signature."""
    spoiled = {**made, **changes}
    return {**spoiled, "sig": b64u(signing.sign(seed, ballot.signed_hash(spoiled)))}


def _refused(meeting: Meeting, opened: Sequence[votes.Vote]) -> list[JsonObject]:
    """Ballots that the checks of one ballot refuse, whatever else is on the board."""
    seed, vote, everything, plain = meeting.persons[0].credential, opened[0], opened[-3], opened[-2]
    good = _ballot_case("refused", vote, seed, [[1, 0, 0]])["ballot"]
    other = _ballot_case("other", vote, meeting.persons[1].credential, [[0, 1, 0]])["ballot"]
    raw = unb64u(good["choices"][0])

    def at(offset: int, new: bytes) -> JsonObject:
        return resigned(good, seed, choices=[b64u(raw[:offset] + new + raw[offset + len(new) :])])

    order = group.ORDER.to_bytes(32, "little")
    cases: list[tuple[str, votes.Vote, JsonObject]] = [
        ("other manifest", vote, resigned(good, seed, manifest=b64u(hashlib.sha256(b"other").digest()))),
        ("weight of the proof", vote, resigned(good, seed, weight=2)),
        ("seq of the proof", vote, resigned(good, seed, seq=2)),
        ("prev of the proof", vote, resigned(good, seed, prev=b64u(bytes(32)))),
        ("weight beyond 4 bytes", vote, resigned(good, seed, weight=2**32)),
        ("signature", vote, {**good, "sig": other["sig"]}),
        ("too short", vote, resigned(good, seed, choices=[b64u(raw[:-1])])),
        ("empty", vote, resigned(good, seed, choices=[""])),
        ("no answer", vote, resigned(good, seed, choices=[])),
        ("one answer too many", vote, resigned(good, seed, choices=[*good["choices"], ""])),
        ("identity alpha", vote, at(0, bytes(32))),
        ("identity commitment", vote, at(64, bytes(32))),
        ("point not canonical", vote, at(32, b"\x01" + bytes(31))),
        ("second encoding", vote, at(32, bytes(31) + b"\x80")),
        ("scalar not canonical", vote, at(192, order)),
        ("last scalar not canonical", vote, at(len(raw) - 32, order)),
        ("challenge split", vote, at(192, group.scalar_add(raw[192:224], group.ONE))),
        ("response", vote, at(224, group.scalar_add(raw[224:256], group.ONE))),
        ("sum response", vote, at(len(raw) - 32, group.scalar_add(raw[-32:], group.ONE))),
        ("sum commitment", vote, at(len(raw) - 96, group.BASE)),
        ("proof of another voter", vote, resigned(good, seed, choices=other["choices"])),
        ("unknown field", vote, {**good, "note": "x"}),
        ("missing field", vote, {name: value for name, value in good.items() if name != "prev"}),
        ("weight as text", vote, {**good, "weight": "1"}),
        ("sealed in an open vote", plain, resigned({**good, "manifest": b64u(plain.manifest.hash)}, seed)),
    ]
    cases += [(f"every type: {name}", everything, made) for name, made in _spoiled_answers(meeting, everything)]
    cases += [(f"plain: {name}", plain, made) for name, made in _spoiled_plain(meeting, plain)]
    out = []
    for name, where, spoiled in cases:
        code = code_of(_check, where.manifest, spoiled)
        assert code != "ok", name
        out.append({"name": name, "manifest": b64u(where.manifest.hash), "ballot": spoiled, "code": code})
    return out


def _check(opened: Manifest, made: JsonObject) -> None:
    ballot.check_ballot(opened, Ballot.from_json(made))


def _spoiled_answers(meeting: Meeting, vote: votes.Vote) -> list[tuple[str, JsonObject]]:
    """Spoil the first cell's response and the last proof's response of each question."""
    seed = meeting.persons[4].credential
    good = _ballot_case("spoiled", vote, seed, votes.EVERY_CHOICE[0], casting.Place(3))["ballot"]
    out = []
    for index, question in enumerate(vote.manifest.questions):
        raw = unb64u(good["choices"][index])
        values = question.cells[0] + 1
        first = 64 + 64 * values + 32 * (values - 1)
        for name, offset in (("first cell", first), ("last response", len(raw) - 32)):
            word = group.scalar_add(raw[offset : offset + 32], group.ONE)
            choices = [*good["choices"]]
            choices[index] = b64u(raw[:offset] + word + raw[offset + 32 :])
            out.append((f"{question.type}, {name}", resigned(good, seed, choices=choices)))
    swapped = [good["choices"][0], good["choices"][1]][::-1]
    out.append(("two answers swapped", resigned(good, seed, choices=[*swapped, *good["choices"][2:]])))
    return out


def _spoiled_plain(meeting: Meeting, vote: votes.Vote) -> list[tuple[str, JsonObject]]:
    seed = meeting.persons[0].credential
    good = _ballot_case("plain", vote, seed, votes.EVERY_CHOICE[0])["ballot"]
    spoiled = {
        "value out of range": (0, [2, 0, 0]), "score out of range": (5, [5, 0]), "a cell less": (0, [1, 0]),
        "two options": (1, [1, 1, 0]), "too many": (2, [1, 1, 1, 1, 0]), "blank and an option": (2, [1, 0, 0, 0, 1]),
        "too few": (2, [0] * 5), "one option at two ranks": (6, [1, 1, 0, 0, 0, 0]),
        "one rank twice": (6, [1, 0, 1, 0, 0, 0]), "no second rank": (6, [1, 0, 0, 0, 0, 0]),
    }  # fmt: skip
    out = []
    for name, (index, cells) in spoiled.items():
        choices = [*good["choices"]]
        choices[index] = b64u(bytes(cells))
        out.append((name, resigned(good, seed, choices=choices)))
    return out


def _impossible(opened: Sequence[votes.Vote]) -> list[JsonObject]:
    """Choices that `seal` refuses."""
    rows: dict[str, Sequence[Sequence[int]]] = {
        "yes-no-abstain": ([0, 0, 0], [1, 1, 0], [2, 0, 0], [1, 0], [-1, 1, 1]),
        "m-of-n": ([0, 0, 0], [1, 1, 1]),
        "m-of-n blank": ([1, 0, 0, 1], [0, 0, 0, 2]),
        "multi-seat blank": ([0, 0, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]),
        "score 10": ([11, 0], [0, 0, 0]),
        "borda": ([1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0], [0] * 6),
        "borda all ranks": ([1, 0, 1, 0], [0, 0, 0, 0]),
    }
    out = []
    for vote, (name, _, _) in zip(opened, BALLOTS, strict=False):
        for row in rows.get(name, ()):
            code = code_of(casting.seal, vote.manifest, bytes(32), [row], SeededRng("impossible"))
            assert code == "voting.choice", (name, row)
            out.append({"name": name, "manifest": b64u(vote.manifest.hash), "choices": [list(row)], "code": code})
    return out
