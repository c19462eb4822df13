"""Ed25519 (RFC 8032) in the strict form of section 1, through libsodium."""

from __future__ import annotations

import ctypes

from .errors import SignatureInvalid
from .sodium import SODIUM


def public_key(seed: bytes) -> bytes:
    """Return the 32-byte public key of a 32-byte seed."""
    return _keypair(seed)[0]


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature of the message under the 32-byte seed."""
    secret = _keypair(seed)[1]
    out = ctypes.create_string_buffer(64)
    SODIUM.crypto_sign_detached(out, None, message, ctypes.c_ulonglong(len(message)), secret)
    return out.raw


def is_valid(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether the signature verifies: S < L, canonical A, no small order, no cofactor."""
    if len(key) != 32 or len(signature) != 64:
        return False
    size = ctypes.c_ulonglong(len(message))
    return int(SODIUM.crypto_sign_verify_detached(signature, message, size, key)) == 0


def require(key: bytes, message: bytes, signature: bytes, what: str = "signature") -> None:
    """Check a signature.

    Raises:
        SignatureInvalid: it does not verify.
    """
    if not is_valid(key, message, signature):
        raise SignatureInvalid(f"{what} does not verify")


def _keypair(seed: bytes) -> tuple[bytes, ctypes.Array[ctypes.c_char]]:
    if len(seed) != 32:
        raise SignatureInvalid("a signing seed has 32 bytes")
    public = ctypes.create_string_buffer(32)
    secret = ctypes.create_string_buffer(64)
    SODIUM.crypto_sign_seed_keypair(public, secret, seed)
    return public.raw, secret
