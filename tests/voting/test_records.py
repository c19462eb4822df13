"""Roll, cosignatures and assertions refuse what the specification refuses."""

from __future__ import annotations

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from tests.voting.scenario import RP, Meeting
from tests.voting.test_vectors import published
from tests.voting.votes import small_meeting

from folkmoot_voting import assertion, merkle_log, roll
from folkmoot_voting.encoding import unb64u
from folkmoot_voting.errors import AssertionInvalid, LogInvalid, RollInvalid


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    return small_meeting()


def test_rolls_refuse_disorder(meeting: Meeting) -> None:
    entries = meeting.entries
    roll.check_entries(entries)
    twin = {**entries[1], "passkeys": entries[0]["passkeys"]}
    for bad in (entries[::-1], [entries[0], entries[0]], [entries[0], twin], [{**entries[0], "weight": 0}]):
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
