"""The files of `folkmoot-verify` besides the bundle: annex, identities, and what an earlier run has verified."""

from __future__ import annotations

import importlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO

from . import fields
from .encoding import b64u, strict_json
from .errors import BundleUnreadable, EncodingError
from .verifier.archive import MAX_ZIP
from .verify import Verified

MAX_STATE = 2**24
MAX_IDENTITY = 64 * 1024
_AGE = (b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----")
_STATE = fields.record(
    v=fields.const(1),
    boards=fields.items(
        fields.record(manifest=fields.hash32, root=fields.hash32, size=fields.integer(1)), 0, 100_000
    ),
)


def open_annex(path: pathlib.Path, identities: Sequence[pathlib.Path], opened: ExitStack) -> BinaryIO | bytes:
    """Return annex.zip as a file, or its bytes when the file is an age file.

    Raises:
        OSError: a file cannot be read.
        BundleUnreadable: an age file that cannot be opened; the sentence says why.
    """
    file = opened.enter_context(path.open("rb"))
    head = file.read(40)
    file.seek(0)
    if not head.startswith(_AGE):
        return file
    if not identities:
        raise BundleUnreadable("the annex is encrypted: name the file of your age identity with --identity")
    raw = file.read(2 * MAX_ZIP)
    return _decrypt(raw, [line for one in identities for line in _identities(one)])


def _identities(path: pathlib.Path) -> list[str]:
    with path.open("rb") as file:
        text = file.read(MAX_IDENTITY).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise BundleUnreadable(f"{path.name} holds no age identity")
    return found


def _decrypt(raw: bytes, identities: Sequence[str]) -> bytes:
    try:
        pyrage: Any = importlib.import_module("pyrage")
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


def read_state(path: pathlib.Path) -> dict[bytes, Verified]:
    """Return what an earlier run has written, nothing when there is no such file.

    Raises:
        OSError: the file cannot be read.
        BundleUnreadable: it is something else.
    """
    if not path.exists():
        return {}
    with path.open("rb") as file:
        raw = file.read(MAX_STATE + 1)
    try:
        parts = _STATE(strict_json(raw.rstrip(b"\n"), MAX_STATE))
    except EncodingError as error:
        raise BundleUnreadable(f"{path.name} is no state file of folkmoot-verify: {error.detail}") from error
    return {one["manifest"]: Verified(one["size"], one["root"]) for one in parts["boards"]}


def write_state(path: pathlib.Path, verified: Mapping[bytes, Verified]) -> None:
    """Add what was verified to the state file, all of it or nothing; raises OSError."""
    boards = {**read_state(path), **verified}
    state = {
        "boards": [
            {"manifest": b64u(manifest), "root": b64u(one.root), "size": one.size}
            for manifest, one in sorted(boards.items())
        ],
        "v": 1,
    }
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(state, separators=(",", ":")) + "\n", encoding="utf-8")
    beside.replace(path)
