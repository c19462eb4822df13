"""WebAuthn assertions as evidence (section 2; W3C Web Authentication Level 3, section 7.2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from . import fields, signing
from .encoding import JsonObject, b64u
from .errors import AssertionInvalid, EncodingError

ASSERTION = fields.record(
    authenticator_data=fields.binary(37, 1024),
    client_data_json=fields.binary(1, 4096),
    signature=fields.binary(1, 1024),
)
CREDENTIAL_ID = fields.binary(1, 1023)
COSE_KEY = fields.binary(1, 2048)

USER_PRESENT, USER_VERIFIED = 0x01, 0x04


@dataclass(frozen=True)
class RelyingParty:
    """The WebAuthn relying party: its id (a domain) and the origins of its pages."""

    id: str
    origins: tuple[str, ...]


def verify_assertion(rp: RelyingParty, challenge: bytes, cose_key: bytes, assertion: JsonObject) -> None:
    """Check that the passkey signed exactly this challenge, with the user verified.

    Args:
        rp: the relying party that the roll names.
        challenge: the 32 bytes of section 2.
        cose_key: the passkey's public key as CBOR (RFC 9052).
        assertion: the JSON form of section 2, with b64u strings.

    Raises:
        AssertionInvalid: with the first reason found.
    """
    try:
        parts = ASSERTION(assertion)
    except EncodingError as error:
        raise AssertionInvalid(f"assertion: {error.detail}", code="voting.assertion-malformed") from error
    _check_client_data(rp, challenge, parts["client_data_json"])
    data: bytes = parts["authenticator_data"]
    if data[:32] != hashlib.sha256(rp.id.encode()).digest():
        raise AssertionInvalid("made for another relying party", code="voting.assertion-rp")
    if not data[32] & USER_PRESENT or not data[32] & USER_VERIFIED:
        raise AssertionInvalid("the user was not verified", code="voting.assertion-user")
    message = data + hashlib.sha256(parts["client_data_json"]).digest()
    if not cose_verifies(cose_key, message, parts["signature"]):
        raise AssertionInvalid("the passkey's signature does not verify", code="voting.assertion-signature")


def cose_verifies(cose_key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the signature verifies under a COSE key (ES256, EdDSA, RS256).

    Raises:
        AssertionInvalid: the key is not one of these.
    """
    key = _decode_key(cose_key)
    kind, algorithm = key.get(1), key.get(3)
    verify = None
    if isinstance(kind, int) and isinstance(algorithm, int):
        verify = _ALGORITHMS.get((kind, algorithm))
    if verify is None:
        raise AssertionInvalid("unknown kind of passkey", code="voting.assertion-key")
    try:
        return verify(key, message, signature)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, OverflowError, KeyError) as error:
        raise AssertionInvalid("the passkey's public key is malformed", code="voting.assertion-key") from error


def _check_client_data(rp: RelyingParty, challenge: bytes, raw: bytes) -> None:
    try:
        data = _CLIENT_DATA.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise AssertionInvalid("client data is not JSON", code="voting.assertion-client-data") from error
    if not isinstance(data, dict):
        raise AssertionInvalid("client data is not an object", code="voting.assertion-client-data")
    if data.get("type") != "webauthn.get":
        raise AssertionInvalid("not an assertion's client data", code="voting.assertion-client-data")
    if data.get("challenge") != b64u(challenge):
        raise AssertionInvalid("another challenge was signed", code="voting.assertion-challenge")
    if _in(data.get("origin"), rp.origins) is False:
        raise AssertionInvalid("signed on a foreign page", code="voting.assertion-origin")
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        raise AssertionInvalid("signed inside a frame of another page", code="voting.assertion-origin")


def _in(value: Any, allowed: Sequence[str]) -> bool:
    return isinstance(value, str) and value in allowed


def _refuse(text: str) -> None:
    raise ValueError(text)


_CLIENT_DATA = json.JSONDecoder(parse_constant=_refuse)


def _decode_key(cose_key: bytes) -> dict[Any, Any]:
    if len(cose_key) > 2048:
        raise AssertionInvalid("the passkey's public key is too long", code="voting.assertion-key")
    try:
        key = cbor2.loads(cose_key)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise AssertionInvalid("the passkey's public key is not CBOR", code="voting.assertion-key") from error
    if not isinstance(key, dict):
        raise AssertionInvalid("the passkey's public key is not a map", code="voting.assertion-key")
    return key


_P256, _ECDSA = ec.SECP256R1(), ec.ECDSA(SHA256())


def _es256(key: dict[Any, Any], message: bytes, signature: bytes) -> bool:
    x, y = _bytes(key[-2], 32), _bytes(key[-3], 32)
    if key[-1] != 1:
        raise ValueError("not on P-256")
    ec.EllipticCurvePublicKey.from_encoded_point(_P256, b"\x04" + x + y).verify(signature, message, _ECDSA)
    return True


def _eddsa(key: dict[Any, Any], message: bytes, signature: bytes) -> bool:
    if key[-1] != 6:
        raise ValueError("not on Ed25519")
    return signing.is_valid(_bytes(key[-2], 32), message, signature)


def _rs256(key: dict[Any, Any], message: bytes, signature: bytes) -> bool:
    # Few passkeys are RSA, and loading it takes a while.
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    n, e = int.from_bytes(_bytes(key[-1], 256, 512), "big"), int.from_bytes(_bytes(key[-2], 1, 8), "big")
    if not 2048 <= n.bit_length() <= 4096:
        raise ValueError("RSA keys have 2048 to 4096 bits")
    rsa.RSAPublicNumbers(e, n).public_key().verify(signature, message, padding.PKCS1v15(), SHA256())
    return True


def _bytes(value: Any, low: int, high: int | None = None) -> bytes:
    if not isinstance(value, bytes) or not low <= len(value) <= (high or low):
        raise ValueError("wrong length")
    return value


_Verify = Callable[[dict[Any, Any], bytes, bytes], bool]

# (key type, algorithm) as in RFC 9053 and RFC 8812.
_ALGORITHMS: dict[tuple[int, int], _Verify] = {(2, -7): _es256, (1, -8): _eddsa, (3, -257): _rs256}
