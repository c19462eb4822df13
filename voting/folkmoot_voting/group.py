"""ristretto255 (RFC 9496) points and scalars as 32-byte strings, computed by libsodium."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from math import isqrt

from .errors import GroupError
from .sodium import SODIUM

Rng = Callable[[int], bytes]

ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY = bytes(32)
ZERO = bytes(32)
ONE = b"\x01" + bytes(31)

_mult = SODIUM.crypto_scalarmult_ristretto255
_mult_base = SODIUM.crypto_scalarmult_ristretto255_base
_add = SODIUM.crypto_core_ristretto255_add
_sub = SODIUM.crypto_core_ristretto255_sub
_is_valid = SODIUM.crypto_core_ristretto255_is_valid_point
_scalar_add = SODIUM.crypto_core_ristretto255_scalar_add
_scalar_sub = SODIUM.crypto_core_ristretto255_scalar_sub
_scalar_mul = SODIUM.crypto_core_ristretto255_scalar_mul
_scalar_reduce = SODIUM.crypto_core_ristretto255_scalar_reduce


def is_point(data: bytes) -> bool:
    """Say whether the bytes are a canonical point; the identity counts as one."""
    return len(data) == 32 and not _has_top_bit(data) and bool(_is_valid(data))


def is_scalar(data: bytes) -> bool:
    """Say whether the bytes are a scalar below the group order."""
    return len(data) == 32 and int.from_bytes(data, "little") < ORDER


def mult(scalar: bytes, point: bytes) -> bytes:
    """Return scalar * point, both canonical; the result may be the identity.

    Raises:
        GroupError: the point is not canonical.
    """
    out = ctypes.create_string_buffer(32)
    if _mult(out, _exact(scalar), _point(point)) == 0:
        return out.raw
    # libsodium answers -1 both for a bad point and for an identity result.
    if is_point(point):
        return IDENTITY
    raise GroupError("not a canonical ristretto255 point")


def mult_base(scalar: bytes) -> bytes:
    """Return scalar * G; the identity for zero."""
    out = ctypes.create_string_buffer(32)
    return out.raw if _mult_base(out, _exact(scalar)) == 0 else IDENTITY


def add(left: bytes, right: bytes) -> bytes:
    """Return left + right.

    Raises:
        GroupError: one of them is not canonical.
    """
    out = ctypes.create_string_buffer(32)
    if _add(out, _point(left), _point(right)) != 0:
        raise GroupError("not a canonical ristretto255 point")
    return out.raw


def sub(left: bytes, right: bytes) -> bytes:
    """Return left - right.

    Raises:
        GroupError: one of them is not canonical.
    """
    out = ctypes.create_string_buffer(32)
    if _sub(out, _point(left), _point(right)) != 0:
        raise GroupError("not a canonical ristretto255 point")
    return out.raw


def total(points: Iterable[bytes]) -> bytes:
    """Return the sum of points; the identity for none."""
    result = IDENTITY
    for point in points:
        result = add(result, point)
    return result


def reduce(wide: bytes) -> bytes:
    """Return the 64-byte little-endian integer mod the order, as a scalar."""
    if len(wide) != 64:
        raise GroupError("a wide scalar has 64 bytes")
    out = ctypes.create_string_buffer(32)
    _scalar_reduce(out, wide)
    return out.raw


def random_scalar(rng: Rng) -> bytes:
    """Draw 64 bytes and reduce them."""
    return reduce(rng(64))


def scalar_add(left: bytes, right: bytes) -> bytes:
    """Return left + right mod the order."""
    out = ctypes.create_string_buffer(32)
    _scalar_add(out, _exact(left), _exact(right))
    return out.raw


def scalar_sub(left: bytes, right: bytes) -> bytes:
    """Return left - right mod the order."""
    out = ctypes.create_string_buffer(32)
    _scalar_sub(out, _exact(left), _exact(right))
    return out.raw


def scalar_mul(left: bytes, right: bytes) -> bytes:
    """Return left * right mod the order."""
    out = ctypes.create_string_buffer(32)
    _scalar_mul(out, _exact(left), _exact(right))
    return out.raw


def scalar_int(number: int) -> bytes:
    """Return a non-negative small integer as a scalar."""
    return (number % ORDER).to_bytes(32, "little")


def evaluate(coefficients: list[bytes], x: int) -> bytes:
    """Return the polynomial's value at x by Horner's rule (secret scalars)."""
    result = ZERO
    at = scalar_int(x)
    for coefficient in reversed(coefficients):
        result = scalar_add(scalar_mul(result, at), coefficient)
    return result


def evaluate_points(points: list[bytes], x: int) -> bytes:
    """Return sum x^k * points[k], the commitment to the polynomial's value at x."""
    result = IDENTITY
    at = scalar_int(x)
    for point in reversed(points):
        result = add(mult(at, result), point)
    return result


def lagrange_at_zero(indices: list[int]) -> list[bytes]:
    """Return the Lagrange coefficients at 0 for distinct indices from 1."""
    coefficients = []
    for j in indices:
        upper, lower = 1, 1
        for m in indices:
            if m != j:
                upper = upper * m % ORDER
                lower = lower * (m - j) % ORDER
        coefficients.append(scalar_int(upper * pow(lower, -1, ORDER)))
    return coefficients


def small_log(point: bytes, limit: int) -> int | None:
    """Return n with n * G = point for 0 <= n <= limit (at most about 10^9), or None; some sqrt(limit) additions."""
    width = _baby_width(limit)
    stride = mult_base(scalar_int(width))
    candidate = point
    for start in range(0, limit + 1, width):
        step = _BABY_STEPS.get(candidate)
        if step is not None and start + step <= limit:
            return start + step
        candidate = sub(candidate, stride)
    return None


def _baby_width(limit: int) -> int:
    """Make sure of at least sqrt(limit) baby steps and return how many there are."""
    wanted = isqrt(max(limit, 0)) + 1
    if wanted > len(_BABY_STEPS):
        step, last = max(((n, one) for one, n in _BABY_STEPS.items()), default=(-1, b""))
        for n in range(step + 1, wanted):
            last = add(last, BASE) if n else IDENTITY
            _BABY_STEPS[last] = n
    return len(_BABY_STEPS)


def _exact(data: bytes) -> bytes:
    # ctypes would let libsodium read past a short buffer.
    if len(data) != 32:
        raise GroupError("points and scalars have 32 bytes")
    return data


def _point(data: bytes) -> bytes:
    if _has_top_bit(_exact(data)):
        raise GroupError("not a canonical ristretto255 point")
    return data


def _has_top_bit(data: bytes) -> bool:
    # libsodium 1.0.18 passes over bit 255, which would give every point a second encoding (RFC 9496 section 4.3.1).
    return data[31] >= 128


BASE = mult_base(ONE)
# n * G -> n for small n, grown as far as the largest count so far needed; public and the same for everybody.
_BABY_STEPS: dict[bytes, int] = {}
