"""What `folkmoot-verify` reads besides the bundle: identities, age files, and what an earlier run has verified."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from . import fields
from .encoding import b64u, strict_json
from .errors import BundleUnreadable, EncodingError
from .verify import Verified

MAX_STATE: Final = 2**24
MAX_IDENTITY: Final = 64 * 1024
AGE_HEAD: Final = 40

_AGE = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
_STATE = fields.record(
    v=fields.const(1),
    boards=fields.items(
        fields.record(manifest=fields.hash32, root=fields.hash32, size=fields.integer(1)), 0, 100_000
    ),
)


def is_age(head: bytes) -> bool:
    """Say whether a file that begins like this is an age file, in bytes or in letters."""
    return head.startswith(_AGE)


def read_identities(raw: bytes, name: str) -> list[str]:
    """Return the identities in an age key file: its lines but comments and empty ones.

    Raises:
        BundleUnreadable: there are none.
    """
    lines = [line.strip() for line in raw.decode("utf-8", "replace").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise BundleUnreadable(f"{name} holds no age identity")
    return found


def decrypt(raw: bytes, identities: Sequence[str]) -> bytes:
    """Return the content of an age file.

    Raises:
        BundleUnreadable: no identity, none that opens it, or pyrage is not installed; the sentence says which.
    """
    if not identities:
        raise BundleUnreadable("the annex is encrypted: name the file of your age identity with --identity")
    try:
        import pyrage
    except ImportError as error:
        raise BundleUnreadable(
            "the annex is encrypted, and the Python package pyrage that opens age files is not installed"
        ) from error
    try:
        keys = [pyrage.x25519.Identity.from_str(one) for one in identities]
    except pyrage.IdentityError as error:
        raise BundleUnreadable("an identity is not an age X25519 identity (AGE-SECRET-KEY-1...)") from error
    try:
        return bytes(pyrage.decrypt(raw, keys))
    except pyrage.DecryptError as error:
        raise BundleUnreadable("none of the identities given opens the annex") from error


def read_state(raw: bytes, name: str) -> dict[bytes, Verified]:
    """Return what an earlier run has written.

    Raises:
        BundleUnreadable: it is something else.
    """
    try:
        parts = _STATE(strict_json(raw.rstrip(b"\n"), MAX_STATE))
    except EncodingError as error:
        raise BundleUnreadable(f"{name} is no state file of folkmoot-verify: {error.detail}") from error
    return {one["manifest"]: Verified(one["size"], one["root"]) for one in parts["boards"]}


def state_text(known: Mapping[bytes, Verified], verified: Mapping[bytes, Verified]) -> str:
    """Return what is to be remembered: what was known, and what this run has verified."""
    boards = [
        {"manifest": b64u(manifest), "root": b64u(one.root), "size": one.size}
        for manifest, one in sorted({**known, **verified}.items())
    ]
    return json.dumps({"boards": boards, "v": 1}, separators=(",", ":")) + "\n"
