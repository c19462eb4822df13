"""Manifest, roll, board, promise, tally and assertions refuse what the specification refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from tests.voting.scenario import FIRST, RP, Meeting, small_meeting
from tests.voting.test_vectors import published

from folkmoot_voting import assertion, board, manifest, merkle_log, roll, rules, signing, tally
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.errors import (
    AssertionInvalid,
    BoardInvalid,
    LogInvalid,
    ManifestInvalid,
    RollInvalid,
    TallyInvalid,
)
from folkmoot_voting.manifest import Manifest


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    return small_meeting()


def set_at(*path: Any, to: Any) -> Callable[[JsonObject], None]:
    def apply(data: Any) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = to

    return apply


OPTIONS = [f"option {n}" for n in range(33)]
BAD_MANIFESTS: list[Callable[[JsonObject], None]] = [
    set_at("v", to=2),
    set_at("v", to=True),
    set_at("protocol", to="fm2"),
    set_at("voting_again", to="last"),
    set_at("rules", "quorum", to={"num": 2, "den": 1, "of": "roll"}),
    set_at("rules", "quorum", to={"num": 0, "den": 0, "of": "roll"}),
    set_at("rules", "quorum", "of", to="present"),
    set_at("rules", "majority", "kind", to="most"),
    set_at("rules", "majority", "of", to="electorate"),
    set_at("rules", "tie", to="chair"),
    set_at("questions", to=[]),
    set_at("questions", 0, "type", to="ranked"),
    set_at("questions", 0, "text", to=""),
    set_at("questions", 0, "text", to="a\tb"),
    set_at("questions", 0, "text", to="e\u0301"),
    set_at("questions", 0, "text", to="x" * 2001),
    set_at("questions", 0, "options", to=["no", "yes", "abstain"]),
    set_at("questions", 0, to={"type": "one-of-n", "text": "?", "options": ["a"]}),
    set_at("questions", 0, to={"type": "one-of-n", "text": "?", "options": ["a", "a"]}),
    set_at("questions", 0, to={"type": "one-of-n", "text": "?", "options": OPTIONS}),
    set_at("present", to=8),
    set_at("electorate_size", to=7),
    set_at("roll_size", to=-1),
    set_at("time_limit", to=FIRST),
    set_at("grace_s", to=3601),
    set_at("trustees", "threshold", to=1),
    set_at("trustees", "count", to=4),
    set_at("trustees", "key", to=b64u(b"\x01" * 32)),
    set_at("trustees", "sign_keys", to=[b64u(bytes(32))] * 3),
    set_at("cosigners", 0, "name", to="Chair"),
    set_at("cosigners", 1, "name", to="chair"),
    set_at("cosigners", 0, "name", to="observer-1"),
    set_at("cosign_quorum", to=3),
    set_at("cosign_quorum", to=6),
    set_at("board", "origin", to="localhost/meeting-1/vote-2"),
    set_at("ledger", "key", to=b64u(bytes(32))),
    set_at("rp", "origins", to=[]),
    set_at("note", to="x"),
    set_at("election", to="a/b"),
]


@pytest.mark.parametrize("spoil", BAD_MANIFESTS)
def test_malformed_manifests_are_refused(meeting: Meeting, spoil: Callable[[JsonObject], None]) -> None:
    good = copy.deepcopy(meeting.elections[0].manifest.json)
    assert Manifest.from_json(good) == meeting.elections[0].manifest
    spoil(good)
    with pytest.raises(ManifestInvalid):
        Manifest.from_json(good)


def test_small_electorates_are_refused(meeting: Meeting) -> None:
    small = Meeting("small")
    for person in small.persons[:4]:
        small.check_in(person, FIRST)
    with pytest.raises(ManifestInvalid) as caught:
        small.open("vote", [manifest.yes_no_abstain("?")], rules_simple(), FIRST)
    assert caught.value.code == "voting.electorate-too-small"


def rules_simple() -> manifest.Rules:
    return manifest.Rules(1, 2, "simple", "cast")


@pytest.mark.parametrize(("cosigners", "least"), [(3, 3), (4, 4), (5, 4), (6, 5), (7, 5), (15, 9)])
def test_the_quorum_of_cosigners_beats_two_liars(cosigners: int, least: int) -> None:
    assert manifest.least_cosign_quorum(cosigners) == least
    assert 2 * least > cosigners + 2 >= 2 * (least - 1)


def test_electorates_are_sorted_and_distinct() -> None:
    keys = [signing.public_key(bytes([n]) * 32) for n in range(5)]
    electorate = manifest.make_electorate(keys)
    assert manifest.parse_electorate(electorate) == set(keys)
    for bad in (electorate[::-1], [electorate[0], *electorate], [{"credential": "AA", "weight": 1}]):
        with pytest.raises(ManifestInvalid):
            manifest.parse_electorate(bad)
    with pytest.raises(ManifestInvalid):
        manifest.make_electorate([keys[0], keys[0]])


def test_rolls_refuse_disorder(meeting: Meeting) -> None:
    entries = meeting.entries
    roll.check_entries(entries)
    twin = {**entries[1], "passkeys": entries[0]["passkeys"]}
    for bad in (entries[::-1], [entries[0], entries[0]], [entries[0], twin], [{**entries[0], "weight": 2}]):
        with pytest.raises(RollInvalid):
            roll.check_entries(bad)
    assert roll.passkey_of(entries[0], meeting.persons[0].authenticator.credential_id)
    with pytest.raises(RollInvalid):
        roll.passkey_of(entries[0], meeting.persons[1].authenticator.credential_id)


def test_roll_statements_need_the_registrar(meeting: Meeting) -> None:
    assert roll.verify_statement(meeting.statement) == meeting.roll
    device = meeting.persons[0].authenticator
    with pytest.raises(RollInvalid) as caught:
        roll.make_statement(meeting.roll, bytes(32), device.assertion(bytes(32)))
    assert caught.value.code == "voting.roll-unsigned"
    with pytest.raises(RollInvalid):
        roll.verify_statement({**meeting.statement, "note": 1})


def test_the_board_takes_entries_in_order_only(meeting: Meeting) -> None:
    entries = meeting.elections[0].entries
    state = board.BoardState()
    for entry in entries:
        board.check_entry(entry)
        for other in entries:
            kind = other["type"]
            allowed = board.ORDER[state.phase]
            if kind not in allowed:
                with pytest.raises(BoardInvalid):
                    state.accept(other)
        state = state.accept(entry)
    assert (state.phase, state.size, state.ballots) == ("done", len(entries), 5)
    with pytest.raises(BoardInvalid):
        board.check_entry({"type": "void"})
    with pytest.raises(BoardInvalid):
        board.check_entry({**entries[-1], "note": 1})


def test_promises_are_signed_by_the_board(meeting: Meeting) -> None:
    promise = published("board")["promise"]
    key = signing.public_key(meeting.server)
    board.verify_promise(promise, key)
    for bad in ({**promise, "publish_by": 1}, {**promise, "leaf": b64u(bytes(32))}, {}, {**promise, "n": 1}):
        with pytest.raises(BoardInvalid):
            board.verify_promise(bad, key)
    with pytest.raises(BoardInvalid):
        board.verify_promise(promise, bytes(32))
    with pytest.raises(BoardInvalid):
        board.ledger_entry("vote", 1, bytes(32))


def test_shares_of_the_wrong_trustee_are_refused(meeting: Meeting) -> None:
    election = meeting.elections[0]
    opened, total = election.manifest, election.aggregate
    share = next(entry for entry in election.entries if entry["type"] == "share")
    tally.check_share(opened, total, share)
    for bad in ({**share, "trustee": 3}, {**share, "trustee": 9}, {**share, "aggregate": b64u(bytes(32))}):
        with pytest.raises(TallyInvalid):
            tally.check_share(opened, total, bad)
    with pytest.raises(TallyInvalid):
        tally.check_parts(opened, total, 3, share["parts"])
    with pytest.raises(TallyInvalid):
        tally.partial_decrypt(opened, total, 1, bytes(32), meeting.rng)


def test_too_few_shares_open_nothing(meeting: Meeting) -> None:
    election = meeting.elections[0]
    shares = {one["trustee"]: one["parts"] for one in election.entries if one["type"] == "share"}
    with pytest.raises(TallyInvalid):
        tally.combine(election.manifest, election.aggregate, {2: shares[2]}, 5)
    assert tally.combine(election.manifest, election.aggregate, shares, 5) == [[3, 1, 1]]
    with pytest.raises(TallyInvalid):
        tally.combine(election.manifest, election.aggregate, {1: shares[2], 3: shares[3]}, 5)


def test_outcomes_of_the_published_table(meeting: Meeting) -> None:
    kinds = set()
    for row in published("rules"):
        data = copy.deepcopy(meeting.elections[0].manifest.json)
        data["questions"] = [question(one) for one in row["questions"]]
        data["rules"] = row["rules"]
        data.update(present=row["present"], roll_size=row["roll"])
        opened = Manifest.from_json(data)
        outcome = [one.to_json() for one in rules.evaluate(opened, row["counts"], row["cast"])]
        assert (outcome, rules.quorum_met(opened)) == (row["outcome"], row["met"])
        kinds |= {one["kind"] for one in outcome}
    assert kinds == {"carried", "rejected", "elected", "none", "no-quorum", "too-few"}


def question(one: JsonObject) -> JsonObject:
    yes_no = one["type"] == "yes-no-abstain"
    options = ["yes", "no", "abstain"] if yes_no else [str(n) for n in range(one["options"])]
    return {"type": one["type"], "text": "?", "options": options}


def test_cosignatures_of_named_people_must_verify(meeting: Meeting) -> None:
    election = meeting.elections[0]
    note = merkle_log.parse_note(election.closing)
    cosigners = election.manifest.cosigners
    assert list(merkle_log.valid_cosigners(note, cosigners)) == ["chair", "secretary", "teller-1", "teller-2"]
    other = merkle_log.Checkpoint(note.checkpoint.origin, note.checkpoint.size, bytes(32))
    forged = merkle_log.Note(other, note.signatures)
    with pytest.raises(LogInvalid):
        merkle_log.valid_cosigners(forged, cosigners)
    line = note.signatures[1]
    with pytest.raises(LogInvalid):
        merkle_log.verify_cosignature(note.checkpoint, line, "secretary", cosigners["secretary"])


def test_published_assertions() -> None:
    for one in published("challenges")["assertions"]:
        party = assertion.RelyingParty(one["rp"]["id"], tuple(one["rp"]["origins"]))
        args = (party, unb64u(one["challenge"]), unb64u(one["key"]), one["assertion"])
        if one["code"] == "ok":
            assertion.verify_assertion(*args)
            continue
        with pytest.raises(AssertionInvalid) as caught:
            assertion.verify_assertion(*args)
        assert caught.value.code == one["code"], one["name"]


def test_the_other_kinds_of_passkey() -> None:
    message = b"message"
    okp = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    okp_key = cbor2.dumps({1: 1, 3: -8, -1: 6, -2: okp.public_key().public_bytes_raw()})
    assert assertion.cose_verifies(okp_key, message, okp.sign(message))
    assert not assertion.cose_verifies(okp_key, b"other", okp.sign(message))
    private = rsa.generate_private_key(65537, 2048)
    numbers = private.public_key().public_numbers()
    modulus = numbers.n.to_bytes(256, "big")
    rsa_key = cbor2.dumps({1: 3, 3: -257, -1: modulus, -2: b"\x01\x00\x01"})
    signature = private.sign(message, padding.PKCS1v15(), SHA256())
    assert assertion.cose_verifies(rsa_key, message, signature)
    assert not assertion.cose_verifies(rsa_key, b"other", signature)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"\xff",
        cbor2.dumps([1, 2]),
        cbor2.dumps({}),
        cbor2.dumps({1: [1], 3: {2: 3}}),
        cbor2.dumps({1: 2, 3: -7}),
        cbor2.dumps({1: 2, 3: -7, -1: 2, -2: bytes(32), -3: bytes(32)}),
        cbor2.dumps({1: 2, 3: -7, -1: 1, -2: bytes(32), -3: bytes(32)}),
        cbor2.dumps({1: 2, 3: -7, -1: 1, -2: "x", -3: 7}),
        cbor2.dumps({1: 1, 3: -8, -1: 7, -2: bytes(32)}),
        cbor2.dumps({1: 3, 3: -257, -1: bytes(256), -2: b"\x03"}),
        cbor2.dumps({1: 2, 3: -257}),
        b"\x9f" * 2000,
        bytes(3000),
    ],
)
def test_malformed_passkeys_are_refused(key: bytes) -> None:
    with pytest.raises(AssertionInvalid) as caught:
        assertion.cose_verifies(key, b"", b"")
    assert caught.value.code == "voting.assertion-key"


def test_relying_party_is_that_of_the_roll(meeting: Meeting) -> None:
    assert meeting.roll.rp == RP
