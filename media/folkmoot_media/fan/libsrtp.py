"""The one place that uses names of pylibsrtp that it does not promise to keep; contract tests pin them.

pylibsrtp carries libsrtp in its own shared object. Back ends that encrypt in place call that very library, on the
sessions that pylibsrtp has made, and only when both are of a version whose functions they know.
"""

from __future__ import annotations

import ctypes
from typing import Any

import pylibsrtp
from pylibsrtp import Session, _binding

from folkmoot_media.fan.interface import Unavailable

KNOWN_BINDINGS = ("1.0.0",)
KNOWN_LIBRARIES = (b"libsrtp2 2.7.0",)


def library_path() -> str:
    """Return the path of the shared object that has libsrtp inside.

    Raises:
        Unavailable: pylibsrtp is of an unknown version.
    """
    if pylibsrtp.__version__ not in KNOWN_BINDINGS:
        raise Unavailable(f"pylibsrtp {pylibsrtp.__version__} is not one of {', '.join(KNOWN_BINDINGS)}")
    return str(_binding.__file__)


def calls() -> tuple[Any, Any]:
    """Return cffi's view of the library: its `ffi` and `lib`.

    Raises:
        Unavailable: pylibsrtp or libsrtp is of an unknown version.
    """
    try:
        name = ctypes.CDLL(library_path()).srtp_get_version_string
    except (OSError, AttributeError):
        raise Unavailable("pylibsrtp has no libsrtp inside that can be called") from None
    name.restype = ctypes.c_char_p
    if name() not in KNOWN_LIBRARIES:
        raise Unavailable(f"{name().decode('ascii', 'replace')} is not a libsrtp that is known")
    return _binding.ffi, _binding.lib


def handle(session: Session) -> Any:
    """Return the session's `srtp_t` for cffi; it lives as long as the session."""
    return session._srtp[0]


def pointer(session: Session) -> int:
    """Return the session's `srtp_t` as a number; it lives as long as the session."""
    return int(_binding.ffi.cast("uintptr_t", session._srtp[0]))
