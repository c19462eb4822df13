"""A passkey in software: ES256, attestation `none`, user always verified (W3C WebAuthn Level 3, section 6).

For demonstrations and tests. It answers with the JSON that a browser would send.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from folkmoot_voting.encoding import JsonObject, b64u

USER_PRESENT, USER_VERIFIED = 0x01, 0x04
ATTESTED = 0x40
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class SoftwareAuthenticator:
    """One device with at most one passkey; `register` makes it, `authenticate` uses it."""

    def __init__(self, origin: str, rng: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """Sign as the page at `origin`; the key and credential id come from `rng`, signatures from RFC 6979."""
        self.origin = origin
        self._key = ec.derive_private_key(int.from_bytes(rng(48), "big") % (P256_ORDER - 1) + 1, ec.SECP256R1())
        self.credential_id = rng(32)
        self.rp_id = ""
        self.user_handle = b""
        self.sign_count = 0

    @property
    def cose_key(self) -> bytes:
        """The public key as CBOR (RFC 9053 section 2.1)."""
        numbers = self._key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    @property
    def private_key(self) -> bytes:
        """The secret key as PKCS #8 (RFC 5958, DER), for taking the passkey to another authenticator."""
        return self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def register(self, rp_id: str, user_handle: bytes, challenge: bytes) -> JsonObject:
        """Bind the passkey to a relying party and return RegistrationResponseJSON."""
        self.rp_id, self.user_handle = rp_id, user_handle
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self.cose_key
        data = self._authenticator_data(USER_PRESENT | USER_VERIFIED | ATTESTED) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._response(
            clientDataJSON=b64u(self.client_data("webauthn.create", challenge)),
            attestationObject=b64u(attestation),
            transports=["internal"],
        )

    def authenticate(self, challenge: bytes, **client_data: Any) -> JsonObject:
        """Return AuthenticationResponseJSON; further client data (crossOrigin, topOrigin) serves bad cases."""
        self.sign_count += 1
        parts = self.assertion(challenge, **client_data)
        return self._response(
            clientDataJSON=parts["client_data_json"],
            authenticatorData=parts["authenticator_data"],
            signature=parts["signature"],
            userHandle=b64u(self.user_handle),
        )

    def assertion(self, challenge: bytes, **client_data: Any) -> JsonObject:
        """Return the assertion in the form that statements carry (voting.md section 2)."""
        data = self._authenticator_data(USER_PRESENT | USER_VERIFIED)
        client = self.client_data("webauthn.get", challenge, **client_data)
        signature = self._key.sign(
            data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256(), deterministic_signing=True)
        )
        return {
            "authenticator_data": b64u(data),
            "client_data_json": b64u(client),
            "signature": b64u(signature),
        }

    def client_data(self, kind: str, challenge: bytes, **extra: Any) -> bytes:
        """Return clientDataJSON as a browser orders it."""
        data = {
            "type": kind,
            "challenge": b64u(challenge),
            "origin": self.origin,
            "crossOrigin": False,
            **extra,
        }
        return json.dumps(data, separators=(",", ":")).encode()

    def _authenticator_data(self, flags: int) -> bytes:
        rp_hash = hashlib.sha256(self.rp_id.encode()).digest()
        return rp_hash + bytes([flags]) + self.sign_count.to_bytes(4, "big")

    def _response(self, **response: Any) -> JsonObject:
        identity = b64u(self.credential_id)
        return {
            "id": identity,
            "rawId": identity,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": response,
        }
