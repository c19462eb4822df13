"""The binding to libsodium: ristretto255 (RFC 9496) and Ed25519 (RFC 8032), nothing else.

Secrets are only ever computed with here, because libsodium runs in constant time.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import pathlib
from collections.abc import Iterator

from .errors import LibsodiumMissing

_NAMES = ("libsodium.so.23", "libsodium.so.26", "libsodium.23.dylib", "libsodium.26.dylib", "libsodium.dll")
_NEEDED = (
    "crypto_scalarmult_ristretto255",
    "crypto_scalarmult_ristretto255_base",
    "crypto_core_ristretto255_add",
    "crypto_core_ristretto255_sub",
    "crypto_core_ristretto255_is_valid_point",
    "crypto_core_ristretto255_scalar_add",
    "crypto_core_ristretto255_scalar_sub",
    "crypto_core_ristretto255_scalar_mul",
    "crypto_core_ristretto255_scalar_invert",
    "crypto_core_ristretto255_scalar_reduce",
    "crypto_sign_seed_keypair",
    "crypto_sign_detached",
    "crypto_sign_verify_detached",
)


def _candidates() -> Iterator[str]:
    yield from _NAMES
    found = ctypes.util.find_library("sodium")
    if found:
        yield found
    spec = importlib.util.find_spec("rbcl")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from (str(path) for path in sorted(pathlib.Path(folder).glob("*sodium*.so*")))
        yield from (str(path) for path in sorted(pathlib.Path(folder).glob("_sodium*")))


def load() -> ctypes.CDLL:
    """Return the first libsodium that has ristretto255 (1.0.18 or later).

    Raises:
        LibsodiumMissing: names the packages that would provide it.
    """
    for name in _candidates():
        try:
            library = ctypes.CDLL(name)
            for symbol in _NEEDED:
                getattr(library, symbol)
        except (OSError, AttributeError):
            continue
        if library.sodium_init() >= 0:
            return library
    raise LibsodiumMissing(
        "libsodium 1.0.18 or later was not found: install the system package libsodium23 or the Python package rbcl"
    )


SODIUM = load()
