"""Which fan-out back end a worker uses: the best that works here, or the one that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from folkmoot_media.errors import MediaError
from folkmoot_media.fan.cffi_backend import CffiFan
from folkmoot_media.fan.compiled_backend import CompiledFan
from folkmoot_media.fan.interface import Fan, Unavailable, Wire
from folkmoot_media.fan.python_backend import PythonFan

AUTOMATIC = "auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """The back end, and why each better one was passed over."""

    fan: Fan
    passed_over: tuple[str, ...]


def _cffi(wire: Wire, ipv6: bool, rng: Callable[[int], bytes]) -> Fan:
    del rng
    return CffiFan(wire, ipv6)


def _python(wire: Wire, ipv6: bool, rng: Callable[[int], bytes]) -> Fan:
    del ipv6, rng
    return PythonFan(wire)


MAKERS: dict[str, Callable[[Wire, bool, Callable[[int], bytes]], Fan]] = {
    "compiled": CompiledFan,
    "cffi": _cffi,
    "python": _python,
}
"""Best first."""
NAMES = (AUTOMATIC, *MAKERS)


def choose(wanted: str, wire: Wire, ipv6: bool, rng: Callable[[int], bytes]) -> Choice:
    """Make the back end named `wanted`, or for `auto` the first that works.

    Args:
        wanted: one of `NAMES`.
        wire: the worker's UDP socket.
        ipv6: whether addresses of that socket are IPv6 ones.
        rng: gives random bytes.

    Raises:
        MediaError: media.fan-unavailable: the one that was asked for does not work here.
    """
    passed_over: list[str] = []
    for name, make in MAKERS.items():
        if wanted not in (AUTOMATIC, name):
            continue
        try:
            return Choice(make(wire, ipv6, rng), tuple(passed_over))
        except Unavailable as reason:
            passed_over.append(f"{name}: {reason}")
    raise MediaError("media.fan-unavailable", f"This fan-out back end does not work here: {'; '.join(passed_over)}.")
