"""Passkeys: what `webauthn` verifies, and the checks of W3C WebAuthn Level 3 that it leaves out.

The bare library accepts crossOrigin and topOrigin, any attestation chain, a changed backup-eligibility flag and
an absent userHandle. Here a ceremony passes only when client data names our challenge as canonical text, an
origin of the list and no foreign frame, the user was verified, and the passkey is the one that was stored.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import decode_credential_public_key, parse_attestation_object
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.decode_credential_public_key import DecodedRSAPublicKey
from webauthn.helpers.structs import AttestationFormat, CredentialDeviceType

from folkmoot_server.domain.errors import Refused
from folkmoot_server.domain.identity import Assertion
from folkmoot_server.domain.ids import b64u

ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
CREDENTIAL_ID_MAX: Final = 1023  # W3C WebAuthn Level 3, section 7.1, step 25
CLIENT_DATA_MAX: Final = 4096
AUTHENTICATOR_DATA_MAX: Final = 1024
COSE_KEY_MAX: Final = 2048
ATTESTATION_MAX: Final = 16384
SIGNATURE_MAX: Final = 1024
RSA_BITS: Final = (2048, 4096)


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Our id (a host name), display name and the exact origins of our pages."""

    id: str
    name: str
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registration:
    """RegistrationResponseJSON, decoded."""

    credential_id: bytes
    client_data_json: bytes
    attestation_object: bytes


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey; `public_key` is COSE."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What we know of a passkey before it signs."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    backup_eligible: bool


@dataclass(frozen=True, slots=True)
class Used:
    """What a passkey said when it signed; `count_fell` marks a counter that did not grow."""

    sign_count: int
    backed_up: bool
    count_fell: bool


def verify_registration(rp: RelyingParty, challenge: bytes, answer: Registration) -> Registered:
    """Check a registration (W3C WebAuthn Level 3, section 7.1) and return the passkey.

    Raises:
        Refused: with a code `passkey.*` naming the first check that failed.
    """
    if len(answer.attestation_object) > ATTESTATION_MAX or not 1 <= len(answer.credential_id) <= CREDENTIAL_ID_MAX:
        raise Refused("passkey.too-large", "The passkey's answer is larger than allowed.")
    _check_client_data(rp, challenge, answer.client_data_json, "webauthn.create")
    _check_attestation(answer.attestation_object)
    encoded = b64u(answer.credential_id)
    try:
        verified = verify_registration_response(
            credential={
                "id": encoded,
                "rawId": encoded,
                "type": "public-key",
                "response": {
                    "clientDataJSON": b64u(answer.client_data_json),
                    "attestationObject": b64u(answer.attestation_object),
                },
            },
            expected_challenge=challenge,
            expected_rp_id=rp.id,
            expected_origin=list(rp.origins),
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
    except Exception as error:  # hostile bytes reach several parsers, which raise many kinds of error
        raise _refusal(error) from error
    if verified.credential_id != answer.credential_id:
        raise Refused("passkey.other-id", "The passkey's answer names two different passkeys.")
    _check_key(verified.credential_public_key)
    return Registered(
        credential_id=verified.credential_id,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        backup_eligible=verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        backed_up=verified.credential_backed_up,
    )


def verify_assertion(rp: RelyingParty, challenge: bytes, stored: Stored, assertion: Assertion) -> Used:
    """Check an assertion of a stored passkey (W3C WebAuthn Level 3, section 7.2).

    A counter that did not grow is refused for a passkey that cannot be copied; for one that can it is only told,
    because synchronising providers are allowed to keep it at zero or to let it fall.

    Raises:
        Refused: with a code `passkey.*` naming the first check that failed.
    """
    if len(assertion.authenticator_data) > AUTHENTICATOR_DATA_MAX or len(assertion.signature) > SIGNATURE_MAX:
        raise Refused("passkey.too-large", "The passkey's answer is larger than allowed.")
    _check_client_data(rp, challenge, assertion.client_data_json, "webauthn.get")
    encoded = b64u(stored.credential_id)
    try:
        verified = verify_authentication_response(
            credential={
                "id": encoded,
                "rawId": encoded,
                "type": "public-key",
                "response": {
                    "clientDataJSON": b64u(assertion.client_data_json),
                    "authenticatorData": b64u(assertion.authenticator_data),
                    "signature": b64u(assertion.signature),
                },
            },
            expected_challenge=challenge,
            expected_rp_id=rp.id,
            expected_origin=list(rp.origins),
            credential_public_key=stored.public_key,
            credential_current_sign_count=0,  # the counter is judged below
            require_user_verification=True,
        )
    except Exception as error:  # hostile bytes reach several parsers, which raise many kinds of error
        raise _refusal(error) from error
    eligible = verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    if eligible != stored.backup_eligible:
        raise Refused("passkey.backup-eligibility-changed", "The passkey is not the one that was registered.")
    counts = verified.new_sign_count > 0 or stored.sign_count > 0
    fell = counts and verified.new_sign_count <= stored.sign_count
    if fell and not eligible:
        raise Refused("passkey.counter-fell", "The passkey's counter did not grow; it may have been copied.")
    return Used(verified.new_sign_count, verified.credential_backed_up, fell)


def check_user_handle(handle: bytes | None, owner: bytes) -> None:
    """Check that an assertion without a named user came from the passkey's owner (section 7.2, step 6).

    Raises:
        Refused: the handle is absent or another member's.
    """
    if handle is None or not hmac.compare_digest(handle, owner):
        raise Refused("passkey.wrong-user", "The passkey belongs to another member.")


def _check_client_data(rp: RelyingParty, challenge: bytes, raw: bytes, kind: str) -> None:
    data = _client_data(raw)
    if data.get("type") != kind:
        raise Refused("passkey.wrong-ceremony", "The passkey's answer belongs to another ceremony.")
    if data.get("challenge") != b64u(challenge):
        raise Refused("passkey.wrong-challenge", "The passkey signed something else.")
    if data.get("origin") not in rp.origins:
        raise Refused("passkey.wrong-origin", "The passkey signed on a page of another origin.")
    if data.get("crossOrigin", False) is not False or "topOrigin" in data:
        raise Refused("passkey.foreign-frame", "The passkey signed inside a frame of another page.")
    if "tokenBinding" in data:
        raise Refused("passkey.malformed", "The passkey's client data uses token binding.")


def _client_data(raw: bytes) -> dict[str, Any]:
    if len(raw) > CLIENT_DATA_MAX:
        raise Refused("passkey.too-large", "The passkey's client data is larger than allowed.")
    try:
        data = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Refused("passkey.malformed", "The passkey's client data is not JSON.") from error
    if not isinstance(data, dict):
        raise Refused("passkey.malformed", "The passkey's client data is not an object.")
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a name twice")
    return data


def _check_attestation(raw: bytes) -> None:
    """Refuse every attestation but none and self-signed: we ask for none and would trust no chain anyway."""
    try:
        parsed = parse_attestation_object(raw)
    except Exception as error:  # hostile CBOR makes the parser raise many kinds of error
        raise Refused("passkey.malformed", "The passkey's attestation is malformed.") from error
    if parsed.fmt == AttestationFormat.NONE:
        return
    if parsed.fmt != AttestationFormat.PACKED or parsed.att_stmt.x5c is not None:
        raise Refused("passkey.attestation-not-asked", "The passkey sent an attestation that nobody asked for.")


def _check_key(cose: bytes) -> None:
    if len(cose) > COSE_KEY_MAX:
        raise Refused("passkey.too-large", "The passkey's public key is larger than allowed.")
    key = decode_credential_public_key(cose)
    if isinstance(key, DecodedRSAPublicKey):
        bits = int.from_bytes(key.n, "big").bit_length()
        if not RSA_BITS[0] <= bits <= RSA_BITS[1]:
            raise Refused("passkey.weak-key", "The passkey's RSA key must have 2048 to 4096 bits.")


# The library tells its checks apart only by the words of its messages.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "user verification": ("passkey.user-not-verified", "The passkey did not verify who you are."),
    "was not present": ("passkey.user-not-present", "The passkey was not touched."),
    "rp id hash": ("passkey.wrong-relying-party", "The passkey belongs to another site."),
    "public key alg": ("passkey.algorithm", "The passkey uses a signature algorithm that is not allowed."),
    "verify authentication signature": ("passkey.bad-signature", "The passkey's signature does not verify."),
}


def _refusal(error: Exception) -> Refused:
    text = str(error).lower()
    for words, (code, message) in _WORDS.items():
        if words in text:
            return Refused(code, message)
    return Refused("passkey.malformed", "The passkey's answer does not verify.")
