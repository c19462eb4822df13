"""Our passkey policy: the W3C vectors with a written expectation each, and what must be refused.

Every bad case names what the bare library makes of it, which is the control: where it accepts, only our policy
stands between the case and a session.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import parse_attestation_object

from folkmoot_server.domain.errors import Refused
from folkmoot_server.domain.identity import Assertion
from folkmoot_server.domain.ids import b64u
from folkmoot_server.webauthn_policy import (
    Registration,
    RelyingParty,
    Stored,
    check_user_handle,
    verify_assertion,
    verify_registration,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "webauthn"
W3C = json.loads((VECTORS / "w3c_level3.json").read_text())
EXPECTED = json.loads((VECTORS / "expectations.json").read_text())["expectations"]
W3C_PARTY = RelyingParty(W3C["rp_id"], "W3C", (W3C["origin"],))
RP = RelyingParty("folkmoot.test", "Folkmoot", ("https://folkmoot.test",))
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
CHALLENGE = bytes(range(32))
KEY = ec.derive_private_key(7, ec.SECP256R1())


def outcome(run: Callable[[], object]) -> str:
    try:
        run()
    except Refused as refusal:
        return refusal.code
    return "accepted"


def library(run: Callable[[], object]) -> str:
    try:
        run()
    except Exception:  # the library raises errors of its own and of its parsers
        return "refused"
    return "accepted"


def raw(fields: dict[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in fields.items()}


def flipped(signature: bytes) -> bytes:
    """Return another signature: one bit of the last byte is different."""
    return signature[:-1] + bytes([signature[-1] ^ 1])


# -- the W3C vectors ---------------------------------------------------------------------------------------------


def test_every_vector_has_an_expectation_and_none_is_left_over() -> None:
    names = [vector["name"] for vector in W3C["vectors"]]
    assert len(names) == 15
    assert set(names) == set(EXPECTED)


@pytest.mark.parametrize("vector", W3C["vectors"], ids=lambda vector: vector["name"])
def test_w3c_vectors(vector: dict[str, Any]) -> None:
    expected = EXPECTED[vector["name"]]
    made, used = raw(vector["registration"]), raw(vector["authentication"])
    answer = Registration(made["credential_id"], made["client_data_json"], made["attestation_object"])
    data = parse_attestation_object(made["attestation_object"]).auth_data
    assert data.attested_credential_data is not None
    key = data.attested_credential_data.credential_public_key
    stored = Stored(made["credential_id"], key, 0, data.flags.be)
    assertion = Assertion(used["authenticator_data"], used["client_data_json"], used["signature"])
    found = {
        "registration": outcome(lambda: verify_registration(W3C_PARTY, made["challenge"], answer)),
        "authentication": outcome(lambda: verify_assertion(W3C_PARTY, used["challenge"], stored, assertion)),
        "library": {
            "registration": library(lambda: bare_registration(W3C_PARTY, made["challenge"], answer, uv=False)),
            "authentication": library(
                lambda: bare_assertion(W3C_PARTY, used["challenge"], stored, assertion, uv=False)
            ),
        },
    }
    assert found == {name: expected[name] for name in found}
    damaged = replace(assertion, signature=flipped(assertion.signature))
    assert outcome(lambda: verify_assertion(W3C_PARTY, used["challenge"], stored, damaged)) != "accepted"


def bare_registration(rp: RelyingParty, challenge: bytes, answer: Registration, *, uv: bool) -> None:
    name = b64u(answer.credential_id)
    response = {"clientDataJSON": b64u(answer.client_data_json), "attestationObject": b64u(answer.attestation_object)}
    verify_registration_response(
        credential={"id": name, "rawId": name, "type": "public-key", "response": response},
        expected_challenge=challenge,
        expected_rp_id=rp.id,
        expected_origin=list(rp.origins),
        require_user_verification=uv,
    )


def bare_assertion(rp: RelyingParty, challenge: bytes, stored: Stored, assertion: Assertion, *, uv: bool) -> None:
    name = b64u(stored.credential_id)
    response = {
        "clientDataJSON": b64u(assertion.client_data_json),
        "authenticatorData": b64u(assertion.authenticator_data),
        "signature": b64u(assertion.signature),
    }
    verify_authentication_response(
        credential={"id": name, "rawId": name, "type": "public-key", "response": response},
        expected_challenge=challenge,
        expected_rp_id=rp.id,
        expected_origin=list(rp.origins),
        credential_public_key=stored.public_key,
        credential_current_sign_count=stored.sign_count,
        require_user_verification=uv,
    )


# -- assertions that must be refused -----------------------------------------------------------------------------


def cose(key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    numbers = key.public_key().public_numbers()
    return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})


def client_data(kind: str, **changes: Any) -> bytes:
    fields = {"type": kind, "challenge": b64u(CHALLENGE), "origin": RP.origins[0], "crossOrigin": False, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


@dataclass(frozen=True)
class Bad:
    """A bad assertion: what differs from the good one, our code, and what the bare library says."""

    name: str
    code: str
    library: str = "refused"
    client: dict[str, Any] = field(default_factory=dict)
    raw_client: bytes | None = None
    flags: int = UP | UV
    count: int = 5
    rp_id: str = RP.id
    more: bytes = b""
    key: ec.EllipticCurvePrivateKey = KEY
    stored_count: int = 4
    stored_be: bool = False
    damage: Callable[[Assertion], Assertion] = lambda made: made

    def build(self) -> tuple[Stored, Assertion]:
        rp_hash = hashlib.sha256(self.rp_id.encode()).digest()
        data = rp_hash + bytes([self.flags]) + self.count.to_bytes(4, "big") + self.more
        client = self.raw_client if self.raw_client is not None else client_data("webauthn.get", **self.client)
        signed = data + hashlib.sha256(client).digest()
        made = Assertion(data, client, self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return Stored(b"id", cose(), self.stored_count, self.stored_be), self.damage(made)


GOOD = client_data("webauthn.get")
FRAME, ORIGIN, WRONG = "passkey.foreign-frame", "passkey.wrong-origin", "passkey.wrong-challenge"
MALFORMED, SIGNATURE, LARGE = "passkey.malformed", "passkey.bad-signature", "passkey.too-large"
BACKUP = "passkey.backup-eligibility-changed"
ASSERTIONS = [
    Bad("cross origin", FRAME, "accepted", client={"crossOrigin": True}),
    Bad("cross origin as text", FRAME, "accepted", client={"crossOrigin": "false"}),
    Bad("cross origin as number", FRAME, "accepted", client={"crossOrigin": 0}),
    Bad("top origin", FRAME, "accepted", client={"topOrigin": "https://evil.example"}),
    Bad("own top origin", FRAME, "accepted", client={"topOrigin": RP.origins[0]}),
    Bad("cross and top origin", FRAME, "accepted", client={"crossOrigin": True, "topOrigin": "https://e.example"}),
    Bad("another origin", ORIGIN, client={"origin": "https://evil.example"}),
    Bad("an origin without TLS", ORIGIN, client={"origin": "http://folkmoot.test"}),
    Bad("an origin with a port", ORIGIN, client={"origin": "https://folkmoot.test:8443"}),
    Bad("an origin with a slash", ORIGIN, client={"origin": "https://folkmoot.test/"}),
    Bad("an origin below ours", ORIGIN, client={"origin": "https://files.folkmoot.test"}),
    Bad("an origin that begins like ours", ORIGIN, client={"origin": "https://folkmoot.test.evil.example"}),
    Bad("no origin", ORIGIN, client={"origin": None}),
    Bad("an origin that is a list", ORIGIN, client={"origin": [RP.origins[0]]}),
    Bad("another challenge", WRONG, client={"challenge": b64u(bytes(32))}),
    Bad("a padded challenge", WRONG, "accepted", client={"challenge": b64u(CHALLENGE) + "="}),
    Bad("a shorter challenge", WRONG, client={"challenge": b64u(CHALLENGE[:31])}),
    Bad("no challenge", WRONG, client={"challenge": None}),
    Bad("another ceremony", "passkey.wrong-ceremony", client={"type": "webauthn.create"}),
    Bad("a payment", "passkey.wrong-ceremony", client={"type": "payment.get"}),
    Bad("token binding", MALFORMED, "accepted", client={"tokenBinding": {"status": "supported"}}),
    Bad("a name twice", MALFORMED, "accepted", raw_client=b'{"crossOrigin":true,' + GOOD[1:]),
    Bad("client data that is no JSON", MALFORMED, raw_client=b"{"),
    Bad("client data that is a list", MALFORMED, raw_client=b"[]"),
    Bad("client data that is no UTF-8", MALFORMED, raw_client=b"\xff\xfe{}"),
    Bad("deep client data", MALFORMED, raw_client=b"[" * 4000),
    Bad("large client data", LARGE, "accepted", client={"extra": "x" * 4096}),
    Bad("another relying party", "passkey.wrong-relying-party", rp_id="evil.example"),
    Bad("nobody was present", "passkey.user-not-present", flags=UV),
    Bad("the user was not verified", "passkey.user-not-verified", flags=UP),
    Bad("became copyable", BACKUP, "accepted", flags=UP | UV | BE),
    Bad("became copied", BACKUP, "accepted", flags=UP | UV | BE | BS),
    Bad("is not copyable any more", BACKUP, "accepted", stored_be=True),
    Bad("copied but not copyable", MALFORMED, flags=UP | UV | BS),
    Bad("the counter stands still", "passkey.counter-fell", count=4),
    Bad("the counter falls", "passkey.counter-fell", count=1),
    Bad("the counter is gone", "passkey.counter-fell", count=0),
    Bad("another key", SIGNATURE, key=ec.derive_private_key(8, ec.SECP256R1())),
    Bad("no signature", SIGNATURE, damage=lambda made: replace(made, signature=b"")),
    Bad("a damaged signature", SIGNATURE, damage=lambda m: replace(m, signature=flipped(m.signature))),
    Bad("a large signature", LARGE, damage=lambda made: replace(made, signature=bytes(1025))),
    Bad(
        "a raised counter",
        SIGNATURE,
        damage=lambda m: replace(m, authenticator_data=m.authenticator_data[:-1] + b"\xff"),
    ),
    Bad("spaced client data", SIGNATURE, damage=lambda m: replace(m, client_data_json=b" " + m.client_data_json)),
    Bad("short data", MALFORMED, damage=lambda m: replace(m, authenticator_data=m.authenticator_data[:36])),
    Bad("no data", MALFORMED, damage=lambda m: replace(m, authenticator_data=b"")),
    Bad("bytes after the data", MALFORMED, more=b"\x00"),
    Bad("large data", LARGE, more=bytes(1024)),
]


@pytest.mark.parametrize("bad", ASSERTIONS, ids=lambda bad: bad.name)
def test_bad_assertions_are_refused(bad: Bad) -> None:
    stored, assertion = bad.build()
    assert outcome(lambda: verify_assertion(RP, CHALLENGE, stored, assertion)) == bad.code
    assert library(lambda: bare_assertion(RP, CHALLENGE, stored, assertion, uv=True)) == bad.library


def test_good_assertions_are_accepted() -> None:
    stored, assertion = Bad("good", "").build()
    used = verify_assertion(RP, CHALLENGE, stored, assertion)
    assert (used.sign_count, used.backed_up, used.count_fell) == (5, False, False)
    bare_assertion(RP, CHALLENGE, stored, assertion, uv=True)
    for client in ({"crossOrigin": None}, {"androidPackageName": "x"}):
        stored, assertion = Bad("fields a browser may leave out or add", "", client=client).build()
        verify_assertion(RP, CHALLENGE, stored, assertion)
    stored, assertion = Bad("no counter", "", count=0, stored_count=0).build()
    assert not verify_assertion(RP, CHALLENGE, stored, assertion).count_fell
    copyable = Bad("copyable", "", count=1, stored_be=True, flags=UP | UV | BE | BS)
    stored, assertion = copyable.build()
    used = verify_assertion(RP, CHALLENGE, stored, assertion)
    assert (used.sign_count, used.backed_up, used.count_fell) == (1, True, True)


def test_the_handle_must_be_the_owners() -> None:
    check_user_handle(b"a" * 32, b"a" * 32)
    for handle in (None, b"", b"b" * 32, b"a" * 31):
        with pytest.raises(Refused, match="wrong-user"):
            check_user_handle(handle, b"a" * 32)


def test_ed25519_and_rsa_keys_work() -> None:
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    modulus = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = modulus.public_key().public_numbers()
    keys: list[tuple[dict[int, Any], Callable[[bytes], bytes]]] = [
        ({1: 1, 3: -8, -1: 6, -2: edwards.public_key().public_bytes_raw()}, edwards.sign),
        (
            {1: 3, 3: -257, -1: numbers.n.to_bytes(256, "big"), -2: b"\x01\x00\x01"},
            lambda message: modulus.sign(message, padding.PKCS1v15(), hashes.SHA256()),
        ),
    ]
    for key, sign in keys:
        data = hashlib.sha256(RP.id.encode()).digest() + bytes([UP | UV]) + bytes(4)
        signature = sign(data + hashlib.sha256(GOOD).digest())
        stored = Stored(b"id", cbor2.dumps(key), 0, False)
        verify_assertion(RP, CHALLENGE, stored, Assertion(data, GOOD, signature))
        with pytest.raises(Refused):
            verify_assertion(RP, CHALLENGE, stored, Assertion(data, GOOD, flipped(signature)))


# -- registrations that must be refused --------------------------------------------------------------------------


def weak_rsa() -> bytes:
    private = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  weak on purpose
    numbers = private.public_key().public_numbers()
    return cbor2.dumps({1: 3, 3: -257, -1: numbers.n.to_bytes(128, "big"), -2: b"\x01\x00\x01"})


@dataclass(frozen=True)
class BadRegistration:
    """A bad registration: what differs from the good one, our code, and what the bare library says."""

    name: str
    code: str
    library: str = "refused"
    client: dict[str, Any] = field(default_factory=dict)
    flags: int = UP | UV | AT
    rp_id: str = RP.id
    key: Callable[[], bytes] = cose
    inner_id: bytes = b"credential"
    outer_id: bytes = b"credential"
    statement: dict[str, Any] = field(default_factory=dict)
    fmt: str = "none"
    damage: Callable[[bytes], bytes] = lambda made: made

    def build(self) -> Registration:
        attested = bytes(16) + len(self.inner_id).to_bytes(2, "big") + self.inner_id + self.key()
        data = hashlib.sha256(self.rp_id.encode()).digest() + bytes([self.flags]) + bytes(4)
        data += attested if self.flags & AT else b""
        made = cbor2.dumps({"fmt": self.fmt, "attStmt": self.statement, "authData": data})
        return Registration(self.outer_id, client_data("webauthn.create", **self.client), self.damage(made))


P384 = ec.derive_private_key(7, ec.SECP384R1()).public_key().public_numbers()
ES384 = cbor2.dumps({1: 2, 3: -35, -1: 2, -2: P384.x.to_bytes(48, "big"), -3: P384.y.to_bytes(48, "big")})
ASKED = "passkey.attestation-not-asked"
REGISTRATIONS = [
    BadRegistration("cross origin", FRAME, "accepted", client={"crossOrigin": True}),
    BadRegistration("top origin", FRAME, "accepted", client={"topOrigin": "https://evil.example"}),
    BadRegistration("another origin", ORIGIN, client={"origin": "https://evil.example"}),
    BadRegistration("another challenge", WRONG, client={"challenge": b64u(bytes(32))}),
    BadRegistration("another ceremony", "passkey.wrong-ceremony", client={"type": "webauthn.get"}),
    BadRegistration("another relying party", "passkey.wrong-relying-party", rp_id="evil.example"),
    BadRegistration("not verified", "passkey.user-not-verified", flags=UP | AT),
    BadRegistration("not present", "passkey.user-not-present", flags=UV | AT),
    BadRegistration("copied but not copyable", MALFORMED, flags=UP | UV | AT | BS),
    BadRegistration("no credential", MALFORMED, flags=UP | UV),
    BadRegistration("a large id", LARGE, "accepted", inner_id=bytes(1024), outer_id=bytes(1024)),
    BadRegistration("an empty id", LARGE, inner_id=b"", outer_id=b""),
    BadRegistration("two ids", "passkey.other-id", "accepted", outer_id=b"another"),
    BadRegistration("ES384", "passkey.algorithm", key=lambda: ES384),
    BadRegistration("a weak RSA key", "passkey.weak-key", "accepted", key=weak_rsa),
    BadRegistration("a statement with none", MALFORMED, statement={"sig": b"x"}),
    BadRegistration("certificates", ASKED, fmt="packed", statement={"alg": -7, "sig": b"x", "x5c": [b"x"]}),
    BadRegistration("a bad self-attestation", MALFORMED, fmt="packed", statement={"alg": -7, "sig": b"x"}),
    BadRegistration("U2F", ASKED, fmt="fido-u2f", statement={"sig": b"x", "x5c": [b"x"]}),
    BadRegistration("an unknown format", ASKED, fmt="another"),
    BadRegistration("no CBOR", MALFORMED, damage=lambda _: b"\xff"),
    BadRegistration("a CBOR list", MALFORMED, damage=lambda _: cbor2.dumps([1, 2])),
    BadRegistration("half of it", MALFORMED, damage=lambda made: made[: len(made) // 2]),
    BadRegistration("nothing", MALFORMED, damage=lambda _: b""),
    BadRegistration("a large attestation", LARGE, "accepted", damage=lambda made: made + bytes(16384)),
]


@pytest.mark.parametrize("bad", REGISTRATIONS, ids=lambda bad: bad.name)
def test_bad_registrations_are_refused(bad: BadRegistration) -> None:
    answer = bad.build()
    assert outcome(lambda: verify_registration(RP, CHALLENGE, answer)) == bad.code
    assert library(lambda: bare_registration(RP, CHALLENGE, answer, uv=True)) == bad.library


def test_good_registrations_are_accepted() -> None:
    made = verify_registration(RP, CHALLENGE, BadRegistration("good", "").build())
    assert (made.credential_id, made.public_key, made.sign_count) == (b"credential", cose(), 0)
    assert (made.backup_eligible, made.backed_up) == (False, False)
    longest = BadRegistration("longest", "", inner_id=bytes(1023), outer_id=bytes(1023), flags=UP | UV | AT | BE | BS)
    made = verify_registration(RP, CHALLENGE, longest.build())
    assert (made.backup_eligible, made.backed_up) == (True, True)


def test_there_are_enough_bad_cases() -> None:
    assert len(ASSERTIONS) + len(REGISTRATIONS) >= 30
    assert sum(bad.library == "accepted" for bad in (*ASSERTIONS, *REGISTRATIONS)) >= 10


def test_mutated_bytes_raise_nothing_but_refusals() -> None:
    stored, assertion = Bad("good", "").build()
    answer = BadRegistration("good", "").build()
    for place in range(len(answer.attestation_object)):
        for value in (0x00, 0x1B, 0x5B, 0x7F, 0xFF):
            changed = bytearray(answer.attestation_object)
            changed[place] = value
            outcome(
                lambda changed=changed: verify_registration(
                    RP, CHALLENGE, replace(answer, attestation_object=bytes(changed))
                )
            )
    for place in range(len(assertion.authenticator_data)):
        changed = bytearray(assertion.authenticator_data)
        changed[place] ^= 0x40
        bad = replace(assertion, authenticator_data=bytes(changed))
        assert outcome(lambda bad=bad: verify_assertion(RP, CHALLENGE, stored, bad)) != "accepted"
