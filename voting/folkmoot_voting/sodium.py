"""The binding to libsodium: ristretto255 (RFC 9496) and Ed25519 (RFC 8032), nothing else.

Secrets are only ever computed with here, because libsodium runs in constant time.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator
from contextlib import suppress

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
    "crypto_core_ristretto255_scalar_reduce",
    "crypto_sign_seed_keypair",
    "crypto_sign_detached",
    "crypto_sign_verify_detached",
)


def system_library() -> ctypes.CDLL:
    """Return the operating system's libsodium; raises OSError when there is none."""
    for name in _NAMES:
        with suppress(OSError):
            return ctypes.CDLL(name)
    # It asks compilers and linkers, which takes longer than all the rest of a short run.
    found = importlib.import_module("ctypes.util").find_library("sodium")
    if found is None:
        raise OSError("no libsodium")
    return ctypes.CDLL(found)


def bundled_library() -> ctypes.CDLL:
    """Return the libsodium inside the rbcl package; raises ImportError or OSError when there is none."""
    library = importlib.import_module("rbcl._sodium")._sodium
    if not isinstance(library, ctypes.CDLL):
        raise OSError("rbcl holds no libsodium")
    return library


def load(
    sources: tuple[Callable[[], ctypes.CDLL], ...] = (system_library, bundled_library),
) -> ctypes.CDLL:
    """Return the first libsodium that has ristretto255 (1.0.18 or later).

    Raises:
        LibsodiumMissing: names the packages that would provide it.
    """
    for library in _open(sources):
        if all(hasattr(library, symbol) for symbol in _NEEDED) and library.sodium_init() >= 0:
            return library
    raise LibsodiumMissing(
        "libsodium 1.0.18 or later was not found: install the system package libsodium23 or the Python package rbcl"
    )


def _open(sources: tuple[Callable[[], ctypes.CDLL], ...]) -> Iterator[ctypes.CDLL]:
    for source in sources:
        try:
            yield source()
        except (OSError, ImportError, AttributeError):
            continue


SODIUM = load()
