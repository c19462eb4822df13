"""The sealed boxes of key generation (section 4): X25519, HKDF-SHA256 and AES-256-GCM, one box a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from .encoding import lp, u32
from .errors import KeyGenerationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BOX_BYTES = 48
_NONCE = bytes(12)


def public_key(private: bytes) -> bytes:
    """Return the X25519 public key of a 32-byte private key."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def exchange(private: bytes, peer: bytes) -> bytes:
    """Return the X25519 result (RFC 7748).

    Raises:
        KeyGenerationError: it is all zero.
    """
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError as error:
        raise KeyGenerationError("a box key is of small order", code="voting.keygen-boxes") from error


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int = 32) -> bytes:
    """Return HKDF-SHA256 (RFC 5869)."""
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), size, salt=salt, info=info).derive(ikm)


def box_key(private: bytes, peer: bytes, meeting: str, attempt: int, sender: int, receiver: int) -> bytes:
    """Return the key of the one box from sender to receiver; either end's private key gives it.

    Raises:
        KeyGenerationError: the X25519 result is all zero.
    """
    info = lp("fm1/dkg-box") + lp(meeting) + lp(u32(attempt)) + lp(u32(sender)) + lp(u32(receiver))
    return hkdf(exchange(private, peer), b"", info)


def seal(key: bytes, share: bytes, reveals_hash: bytes) -> bytes:
    """Return the box of a 32-byte share."""
    return _cipher(key).encrypt(_NONCE, share, reveals_hash)


def unseal(key: bytes, box: bytes, reveals_hash: bytes) -> bytes | None:
    """Return what the box holds, None when it does not open."""
    try:
        return _cipher(key).decrypt(_NONCE, box, reveals_hash)
    except InvalidTag:
        return None


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # the verifier opens no box and starts faster

    return AESGCM(key)
