"""Identifiers, member codes and byte strings in JSON; randomness comes in as an argument."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Final

from folkmoot_server.domain.errors import BadInput

Rng = Callable[[int], bytes]

CODE_DIGITS: Final = 9
_CODE: Final = re.compile(r"[0-9]{11}")


def new_id(rng: Rng) -> str:
    """Return a fresh identifier of 96 random bits."""
    return b64u(rng(12))


def b64u(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_b64u(text: str) -> bytes:
    """Return the bytes behind canonical base64url without padding.

    Raises:
        BadInput: another alphabet, padding, or trailing bits that are not zero.
    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("input.not-base64url", "A byte string is not base64url without padding.") from error
    if b64u(data) != text:
        raise BadInput("input.not-base64url", "A byte string is not canonical base64url.")
    return data


def token_hash(token: bytes) -> bytes:
    """Return what the database keeps of a secret token of 256 random bits."""
    return hashlib.sha256(token).digest()


def new_member_code(rng: Rng) -> str:
    """Return nine random digits and their two ISO 7064 MOD 97-10 check digits."""
    digits = int.from_bytes(rng(8), "big") % 10**CODE_DIGITS
    return f"{digits:0{CODE_DIGITS}d}{98 - digits * 100 % 97:02d}"


def is_member_code(text: str) -> bool:
    """Say whether `text` is eleven digits whose check digits fit."""
    return _CODE.fullmatch(text) is not None and int(text) % 97 == 1
