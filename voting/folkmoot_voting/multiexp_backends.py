"""What `multiexp` computes with: the compiled library `_multiexp.so`, or libsodium in its place."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

from . import group
from .errors import GroupError

LIBRARY: Final = Path(__file__).with_name("_multiexp.so")
# What native/multiexp.h says under the same names.
_VERSION, _POINT_BYTES, _SUM_BYTES = 2, 120, 10408
_IDENTITY, _BAD_POINT, _BAD_SCALAR = 1, -2, -3

_ADDRESS, _LENGTH = ctypes.c_void_p, ctypes.c_size_t
_BUFFER = (_ADDRESS, _LENGTH)
_ARGUMENTS: Final = {
    "fm_decode": (*_BUFFER, *_BUFFER, *_BUFFER, *_BUFFER, _ADDRESS),
    "fm_encode": (*_BUFFER, *_BUFFER),
    "fm_msm": (_ADDRESS, *_BUFFER, *_BUFFER, _ADDRESS),
    "fm_msm_is_identity": (*_BUFFER, *_BUFFER, _ADDRESS),
    "fm_sums_init": _BUFFER,
    "fm_sums_update": (*_BUFFER, *_BUFFER, _LENGTH, *_BUFFER, *_BUFFER),
    "fm_sums_finish": (*_BUFFER, *_BUFFER),
    "fm_ballots_open": (*_BUFFER, *_BUFFER, *_BUFFER, *_BUFFER),
    "fm_ballots_hold": (*_BUFFER, *_BUFFER, *_BUFFER, *_BUFFER, *_BUFFER, *_BUFFER, _ADDRESS),
}


class PointRefused(GroupError):
    """An encoding is not a canonical point.

    Attributes:
        index: which of those handed in, from 0; the first refused one.
    """

    def __init__(self, index: int) -> None:
        super().__init__(f"point {index} is not a canonical ristretto255 point")
        self.index = index


class ScalarRefused(GroupError):
    """A scalar is not below the group order.

    Attributes:
        index: which of those handed in, from 0; the first refused one.
    """

    def __init__(self, index: int) -> None:
        super().__init__(f"scalar {index} is not below the group order")
        self.index = index


class Backend(Protocol):
    """What the face above needs of the compiled library or of its stand-in; arguments come checked."""

    name: str
    point_bytes: int

    def decode(self, points: bytes, hints: bytes | None) -> bytes | bytearray:
        """Return what is kept of the points; raises PointRefused."""
        ...

    def decode_with_hints(self, points: bytes) -> tuple[bytes | bytearray, bytes]:
        """Return what is kept and the hints; raises PointRefused."""
        ...

    def encode(self, points: memoryview) -> bytes:
        """Return the encodings of points that are kept."""
        ...

    def msm(self, scalars: bytes, points: memoryview) -> bytes:
        """Return the encoded sum; raises ScalarRefused."""
        ...

    def is_identity(self, scalars: bytes, points: memoryview) -> bool:
        """Say whether the sum is the identity; raises ScalarRefused."""
        ...

    def sums_begin(self, columns: int) -> Any:
        """Return sums that are the identity."""
        ...

    def sums_add(
        self, state: Any, points: memoryview, stride: int, offsets: Sequence[int], weights: Sequence[int] | None
    ) -> None:
        """Add rows to sums."""
        ...

    def sums_result(self, state: Any, columns: int) -> list[bytes]:
        """Return the encoded sums."""
        ...


class Sodium:
    """The stand-in: keeps encodings and computes with libsodium."""

    name = "libsodium"
    point_bytes = 32

    def decode(self, points: bytes, _hints: bytes | None) -> bytes:
        """Check every encoding and keep them all; hints are of no use here."""
        for index, point in enumerate(_words(points)):
            if not group.is_point(point):
                raise PointRefused(index)
        return bytes(points)

    def decode_with_hints(self, points: bytes) -> tuple[bytes, bytes]:
        """Check every encoding; the hints are zeros."""
        return self.decode(points, None), bytes(len(points))

    def encode(self, points: memoryview) -> bytes:
        """Return what was kept."""
        return bytes(points)

    def msm(self, scalars: bytes, points: memoryview) -> bytes:
        """Multiply and add one by one."""
        for index, scalar in enumerate(_words(scalars)):
            if not group.is_scalar(scalar):
                raise ScalarRefused(index)
        pairs = zip(_words(scalars), _words(bytes(points)), strict=True)
        return group.total(group.mult(scalar, point) for scalar, point in pairs)

    def is_identity(self, scalars: bytes, points: memoryview) -> bool:
        """Compute the sum and compare."""
        return self.msm(scalars, points) == group.IDENTITY

    def sums_begin(self, columns: int) -> list[bytes]:
        """Keep an encoding for each column."""
        return [group.IDENTITY] * columns

    def sums_add(
        self,
        state: list[bytes],
        points: memoryview,
        stride: int,
        offsets: Sequence[int],
        weights: Sequence[int] | None,
    ) -> None:
        """Multiply and add one by one."""
        words = _words(bytes(points))
        for row in range(len(words) // stride):
            weight = 1 if weights is None else weights[row]
            for column, offset in enumerate(offsets):
                point = words[row * stride + offset]
                term = point if weight == 1 else group.mult(group.scalar_int(weight), point)
                state[column] = group.add(state[column], term)

    def sums_result(self, state: list[bytes], _columns: int) -> list[bytes]:
        """Return the encodings."""
        return list(state)


class Native:
    """The compiled library."""

    name = "native"
    point_bytes = _POINT_BYTES

    def __init__(self, library: ctypes.CDLL) -> None:
        """Take a library whose version fits."""
        self._library = library
        for name, arguments in _ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes = arguments
            function.restype = ctypes.c_int

    def decode(self, points: bytes, hints: bytes | None) -> bytearray:
        """Decode into memory that only the library reads."""
        return self._decode(points, hints, None)

    def decode_with_hints(self, points: bytes) -> tuple[bytearray, bytes]:
        """Decode, and take the inverse square roots along."""
        hints = bytearray(len(points))
        return self._decode(points, None, hints), bytes(hints)

    def _decode(self, points: bytes, hints: bytes | None, hints_out: bytearray | None) -> bytearray:
        data = bytearray(len(points) // 32 * _POINT_BYTES)
        bad = ctypes.c_size_t()
        given = (hints, 0 if hints is None else len(hints))
        code = self._library.fm_decode(
            *_span(data), points, len(points), *given, *_span(hints_out), ctypes.byref(bad)
        )
        _raise_for(code, bad)
        return data

    def encode(self, points: memoryview) -> bytes:
        """Encode with one inverse square root each."""
        out = bytearray(len(points) // _POINT_BYTES * 32)
        _raise_for(self._library.fm_encode(*_span(out), *_span(points)))
        return bytes(out)

    def msm(self, scalars: bytes, points: memoryview) -> bytes:
        """Sum by tables or buckets."""
        out, bad = bytearray(32), ctypes.c_size_t()
        address, _length = _span(out)
        code = self._library.fm_msm(address, scalars, len(scalars), *_span(points), ctypes.byref(bad))
        _raise_for(code, bad)
        return bytes(out)

    def is_identity(self, scalars: bytes, points: memoryview) -> bool:
        """Sum without encoding the result."""
        bad = ctypes.c_size_t()
        code: int = self._library.fm_msm_is_identity(scalars, len(scalars), *_span(points), ctypes.byref(bad))
        if code == _IDENTITY:
            return True
        _raise_for(code, bad)
        return False

    def sums_begin(self, columns: int) -> bytearray:
        """Allocate the accumulators."""
        state = bytearray(columns * _SUM_BYTES)
        _raise_for(self._library.fm_sums_init(*_span(state)))
        return state

    def sums_add(
        self,
        state: bytearray,
        points: memoryview,
        stride: int,
        offsets: Sequence[int],
        weights: Sequence[int] | None,
    ) -> None:
        """Add each point to the accumulators of its weight."""
        places = (ctypes.c_uint32 * len(offsets))(*offsets)
        factors = None if weights is None else (ctypes.c_uint64 * len(weights))(*weights)
        code = self._library.fm_sums_update(
            *_span(state),
            *_span(points),
            stride,
            ctypes.byref(places),
            ctypes.sizeof(places),
            None if factors is None else ctypes.byref(factors),
            0 if factors is None else ctypes.sizeof(factors),
        )
        _raise_for(code)

    def sums_result(self, state: bytearray, columns: int) -> list[bytes]:
        """Collapse and encode the accumulators."""
        out = bytearray(32 * columns)
        _raise_for(self._library.fm_sums_finish(*_span(out), *_span(state)))
        return _words(bytes(out))

    def ballots_open(self, ballots: bytes, count: int, width: int, layout: bytes) -> tuple[bytearray, bytes]:
        """Decode the points of ballots, `width` in each; the second result has a 1 for each good ballot."""
        points, good = bytearray(count * width * _POINT_BYTES), bytearray(count)
        given = (ballots, len(ballots), layout, len(layout))
        _raise_for(self._library.fm_ballots_open(*_span(points), *_span(good), *given))
        return points, bytes(good)

    def ballots_hold(
        self, ballots: bytes, points: memoryview, fixed: memoryview, layout: bytes, challenges: bytes, weights: bytes
    ) -> bool:
        """Say whether the combination of all equations is the identity; raises ScalarRefused naming a ballot."""
        bad = ctypes.c_size_t()
        given = (layout, len(layout), challenges, len(challenges), weights, len(weights))
        code: int = self._library.fm_ballots_hold(
            ballots, len(ballots), *_span(points), *_span(fixed), *given, ctypes.byref(bad)
        )
        if code == _IDENTITY:
            return True
        _raise_for(code, bad)
        return False


def available() -> bool:
    """Say whether the compiled library is there, fits this module, and is not switched off.

    The environment variable FOLKMOOT_NO_NATIVE, set to anything but "" or "0", switches it off.
    """
    return compiled() is not None


def choose(native: bool) -> Backend:
    """Return the compiled library when it is available and wanted, else libsodium."""
    found = compiled() if native else None
    return _SODIUM if found is None else found


def compiled() -> Native | None:
    """Return the compiled library when it is available."""
    return None if _switched_off() else load(LIBRARY)


@cache
def load(path: Path) -> Native | None:
    """Return the compiled library, or None when it is missing, of another version, or computes wrongly."""
    try:
        library = ctypes.CDLL(str(path))
        library.fm_version.argtypes, library.fm_version.restype = (), ctypes.c_uint32
        if library.fm_version() != _VERSION:
            return None
        native = Native(library)
    except (OSError, AttributeError):
        return None
    return native if _computes(native) else None


def _computes(native: Native) -> bool:
    """Say whether 2 * (3G) + (order - 6) * G is the identity, and 2 * (3G) is 6G: a wrong build shows here."""
    scalars = group.scalar_int(2) + group.scalar_int(-6)
    encodings = group.mult_base(group.scalar_int(3)) + group.BASE
    try:
        points = memoryview(native.decode(encodings, None))
        half = native.msm(scalars[:32], points[:_POINT_BYTES])
        return (
            native.encode(points) == encodings
            and half == group.mult_base(group.scalar_int(6))
            and native.is_identity(scalars, points)
            and not native.is_identity(scalars[:32], points[:_POINT_BYTES])
        )
    except GroupError:
        return False


def _switched_off() -> bool:
    # The C library's own getenv: this package imports nothing that can reach files or processes.
    if _C is None:
        return True
    getenv = _C.getenv
    getenv.argtypes, getenv.restype = (ctypes.c_char_p,), ctypes.c_char_p
    return getenv(b"FOLKMOOT_NO_NATIVE") not in (None, b"", b"0")


def _words(data: bytes) -> list[bytes]:
    return [data[start : start + 32] for start in range(0, len(data), 32)]


def _span(data: bytearray | memoryview | None) -> tuple[Any, int]:
    """Return address and length of what may be written; ctypes keeps the memory in place meanwhile."""
    if not data:
        return None, 0
    return ctypes.byref(ctypes.c_char.from_buffer(data)), len(data)


def _raise_for(code: int, bad: ctypes.c_size_t | None = None) -> None:
    if code == _BAD_POINT and bad is not None:
        raise PointRefused(bad.value)
    if code == _BAD_SCALAR and bad is not None:
        raise ScalarRefused(bad.value)
    if code != 0:
        raise GroupError(f"the compiled library answered {code}")


_C: Final = ctypes.CDLL(None) if sys.platform != "win32" else None
_SODIUM: Final = Sodium()
