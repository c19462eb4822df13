"""Many points at once: the compiled library, libsodium and RFC 9496 agree on every input, good or bad.

Every test runs on both back ends. Where there is no compiler, "native" falls back to libsodium like everybody's
does, and the same assertions hold.
"""

from __future__ import annotations

import json
import random  # noqa: TID251  # seeded test data, no secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.voting.multiexp_support import (
    accepts,
    bring_up_to_date,
    random_points,
    random_scalars,
    scalar,
    spelled,
)
from tests.voting.native_fuzz import ROOT

from folkmoot_voting import group, multiexp
from folkmoot_voting.errors import GroupError

VECTORS = json.loads((ROOT / "tests/vectors/external/ristretto255_rfc9496.json").read_text())
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ROOT_M1 = pow(2, (P - 1) // 4, P)

both = pytest.mark.parametrize("native", [True, False], ids=["native", "libsodium"])


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOLKMOOT_NO_NATIVE", raising=False)
    bring_up_to_date()


# Decoding


@both
def test_encodings_of_rfc_9496(native: bool) -> None:
    multiples = [bytes.fromhex(one) for one in VECTORS["multiples"]]
    points = multiexp.decode(b"".join(multiples), native=native)
    assert len(points) == len(multiples) == 16
    assert multiexp.encode(points) == b"".join(multiples)
    base = points[1]
    for number, encoding in enumerate(multiples):
        assert multiexp.msm(scalar(number), base) == encoding
    for one in VECTORS["bad"]:
        assert accepts(group.BASE * 3 + bytes.fromhex(one) + group.BASE, native=native) == 3


@both
def test_random_strings_are_accepted_as_libsodium_accepts_them(native: bool) -> None:
    rng = random.Random(1)
    strings = [rng.randbytes(31) + bytes([rng.randrange(128)]) for _ in range(4000)]
    strings += [(P + rng.randrange(-40, 19)).to_bytes(32, "little") for _ in range(60)]
    strings += [number.to_bytes(32, "little") for number in range(60)]
    accepted = [one for one in strings if accepts(one, native=native) is None]
    assert accepted == [one for one in strings if group.is_point(one)]
    assert 100 < len(accepted) < 1000
    assert all(accepts(one[:31] + bytes([one[31] | 128]), native=native) == 0 for one in accepted)
    assert multiexp.encode(multiexp.decode(b"".join(accepted), native=native)) == b"".join(accepted)


@both
def test_random_points_survive_decoding_and_encoding(native: bool) -> None:
    encodings = b"".join(random_points(random.Random(2), 3000)[1])
    assert multiexp.encode(multiexp.decode(encodings, native=native)) == encodings


@both
def test_hints_change_no_outcome(native: bool) -> None:
    rng = random.Random(3)
    encodings = b"".join([*random_points(rng, 40)[1], group.IDENTITY, group.BASE])
    points, hints = multiexp.decode_with_hints(encodings, native=native)
    assert multiexp.encode(points) == encodings
    assert len(hints) == len(encodings)
    negative = b"".join(
        ((P - int.from_bytes(hints[at : at + 32], "little")) % P).to_bytes(32, "little")
        for at in range(0, len(hints), 32)
    )
    spoiled = [
        hints, negative, bytes(len(hints)), b"\xff" * len(hints), rng.randbytes(len(hints)), hints[32:] + hints[:32],
        *(bytes(value ^ (rng.random() < 0.02) for value in hints) for _ in range(20)),
    ]  # fmt: skip
    bad = bytearray(encodings)
    bad[5 * 32 : 6 * 32] = bytes.fromhex(VECTORS["bad"][-5])
    for hint in spoiled:
        assert multiexp.encode(multiexp.decode(encodings, hint, native=native)) == encodings
        assert accepts(bytes(bad), native=native, hints=hint) == 5
    with pytest.raises(GroupError):
        multiexp.decode(encodings, hints[:-1], native=native)


# Sums


@both
def test_sums_of_zero_to_six_hundred_points(native: bool) -> None:
    rng = random.Random(4)
    logs, points = random_points(rng, 600)
    decoded = multiexp.decode(b"".join(points), native=native)
    # libsodium needs a second for what the library does in fifty milliseconds.
    quick = multiexp.backend_name(native=native) == "native"
    for size in range(601) if quick else [*range(9), 150, 600]:
        start = rng.randrange(601 - size)
        scalars = random_scalars(rng, size)
        expected = sum(number * log for number, log in zip(scalars, logs[start:], strict=False)) % group.ORDER
        part = decoded[start : start + size]
        assert multiexp.msm(spelled(scalars), part) == group.mult_base(scalar(expected)), size
        assert multiexp.is_identity(spelled(scalars), part) == (expected == 0)


@both
@pytest.mark.parametrize("size", [40, 149, 150, 151, 400])
def test_sums_agree_with_libsodium_one_by_one(native: bool, size: int) -> None:
    rng = random.Random(size)
    points = random_points(rng, size)[1]
    scalars = random_scalars(rng, size)
    expected = group.total(group.mult(scalar(number), point) for number, point in zip(scalars, points, strict=True))
    assert multiexp.msm(spelled(scalars), multiexp.decode(b"".join(points), native=native)) == expected


@both
def test_five_thousand_points_that_cancel(native: bool) -> None:
    rng = random.Random(5)
    logs, points = random_points(rng, 5000)
    scalars = random_scalars(rng, 4999)
    rest = -sum(number * log for number, log in zip(scalars, logs, strict=False)) * pow(logs[-1], -1, group.ORDER)
    scalars.append(rest % group.ORDER)
    decoded = multiexp.decode(b"".join(points), native=native)
    assert multiexp.is_identity(spelled(scalars), decoded)
    for spoiled in (0, 2500, 4999) if native else (2500,):
        changed = list(scalars)
        changed[spoiled] = (changed[spoiled] + 1) % group.ORDER
        assert not multiexp.is_identity(spelled(changed), decoded)


@both
@pytest.mark.parametrize("count", [3, 200])
def test_scalars_that_are_not_canonical_are_named(native: bool, count: int) -> None:
    decoded = multiexp.decode(group.BASE * count, native=native)
    good = spelled([1] * count)
    largest = (group.ORDER - 1).to_bytes(32, "little")
    assert multiexp.msm(good[:-32] + largest, decoded) == group.mult_base(scalar(count - 2))
    for number in (group.ORDER, group.ORDER + 1, 2**252 + 2**200, 2**255, 2**256 - 1):
        tampered = good[:64] + number.to_bytes(32, "little") + good[96:]
        for call in (multiexp.msm, multiexp.is_identity):
            with pytest.raises(multiexp.ScalarRefused, match="scalar 2 ") as refused:
                call(tampered, decoded)
            assert refused.value.index == 2


def affine(encoding: bytes) -> tuple[int, int]:
    """Decode one point with Python's integers (RFC 9496 section 4.3.1)."""
    s = int.from_bytes(encoding, "little")
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    w = v * u2 * u2 % P
    root = pow(w, 3, P) * pow(pow(w, 7, P), (P - 5) // 8, P) % P
    if root * root * w % P != 1:
        root = root * ROOT_M1 % P
    assert root * root * w % P == 1
    x = 2 * s * root * u2 % P
    return min(x, P - x) if min(x, P - x) % 2 == 0 else max(x, P - x), u1 * root * root * u2 * v % P


def representatives(encoding: bytes, *, native: bool) -> list[multiexp.Decoded]:
    """Return the point as decoded and, in the library's memory, moved by each other element of E[4]."""
    decoded = multiexp.decode(encoding, native=native)
    if decoded.backend == "libsodium":
        return [decoded]
    x, y = affine(encoding)
    moved = [(x, y), (-x, -y), (y * ROOT_M1, x * ROOT_M1), (-y * ROOT_M1, -x * ROOT_M1)]
    made = []
    for a, b in moved:
        values = ((b + a) % P, (b - a) % P, 2 * D * a * b % P)
        limbs = [value >> 51 * at & (1 << 51) - 1 for value in values for at in range(5)]
        memory = bytearray(b"".join(limb.to_bytes(8, "little") for limb in limbs))
        made.append(multiexp.Decoded(decoded._backend, memory, 0, 1))
    assert multiexp.encode(made[0]) == encoding
    return made


@both
def test_every_representative_of_a_coset_is_the_same_point(native: bool) -> None:
    three = group.mult_base(scalar(3))
    minus = multiexp.decode(group.sub(group.IDENTITY, three), native=native)
    for shown in (three, group.IDENTITY):
        for one in representatives(shown, native=native):
            assert multiexp.encode(one) == shown
            assert multiexp.msm(scalar(5), one) == group.mult(scalar(5), shown)
            assert multiexp.is_identity(scalar(1), one) == (shown == group.IDENTITY)
            pair = multiexp.join([one, minus])
            assert multiexp.is_identity(scalar(1) * 2, pair) == (shown == three)
            many = multiexp.join([one] * 150 + [minus] * 150)
            assert multiexp.is_identity(scalar(7) * 300, many) == (shown == three)
            sums = multiexp.Sums(1, native=native)
            sums.add(pair, weights=[6, 6])
            assert (sums.result() == [group.IDENTITY]) == (shown == three)


# Columns


@both
def test_weighted_columns(native: bool) -> None:
    rng = random.Random(6)
    logs, points = random_points(rng, 60)
    decoded = multiexp.decode(b"".join(points), native=native)
    weights = [0, 1, 1, 2, 3, 7, 2**31, 2**63, 2**64 - 1, rng.getrandbits(64), rng.getrandbits(20), 1]
    for offsets in ([0, 1, 2, 3, 4], [4, 0], [3, 3]):
        plain, weighted = (multiexp.Sums(len(offsets), native=native) for _ in range(2))
        assert plain.result() == [group.IDENTITY] * len(offsets)
        for start, stop in ((0, 3), (3, 3), (3, 12)):
            rows = decoded[5 * start : 5 * stop]
            plain.add(rows, stride=5, offsets=offsets)
            weighted.add(rows, stride=5, offsets=offsets, weights=weights[start:stop])
        for column, offset in enumerate(offsets):
            chosen = logs[offset::5]
            total = sum(weight * log for weight, log in zip(weights, chosen, strict=True))
            assert plain.result()[column] == group.mult_base(scalar(sum(chosen)))
            assert weighted.result()[column] == group.mult_base(scalar(total))
        assert plain.result() == [group.total(points[offset::5]) for offset in offsets]


@both
def test_refused_rows_change_nothing(native: bool) -> None:
    decoded = multiexp.decode(group.BASE * 6, native=native)
    sums = multiexp.Sums(2, native=native)
    sums.add(decoded)
    before = sums.result()
    other = multiexp.decode(group.BASE * 6, native=not native)
    spoiled: list[dict[str, Any]] = [
        {"stride": 4}, {"stride": 0}, {"stride": -1}, {"offsets": [0]}, {"offsets": [0, 2]}, {"offsets": [-1, 0]},
        {"weights": [1, 1]}, {"weights": [1, 1, -1]}, {"weights": [1, 1, 2**64]}, {"weights": [1] * 4},
    ]  # fmt: skip
    for arguments in spoiled:
        with pytest.raises(GroupError):
            sums.add(decoded, **arguments)
    if other.backend != decoded.backend:
        with pytest.raises(GroupError):
            sums.add(other)
        with pytest.raises(GroupError):
            multiexp.join([decoded, other])
    assert sums.result() == before == [group.mult_base(scalar(3))] * 2
    for columns in (0, -1, multiexp.MAX_COLUMNS + 1):
        with pytest.raises(GroupError):
            multiexp.Sums(columns, native=native)


# The face


@both
def test_slices_and_joins(native: bool) -> None:
    encodings = random_points(random.Random(7), 10)[1]
    decoded = multiexp.decode(b"".join(encodings), native=native)
    assert multiexp.encode(decoded[3]) == multiexp.encode(decoded[-7]) == encodings[3]
    assert multiexp.encode(decoded[2:9][1:3]) == b"".join(encodings[3:5])
    assert len(decoded[5:5]) == len(decoded[7:3]) == len(decoded[20:]) == 0
    assert multiexp.encode(decoded[5:5]) == b""
    joined = multiexp.join([decoded[8:], decoded[:0], decoded[:2]])
    assert multiexp.encode(joined) == b"".join(encodings[8:] + encodings[:2])
    for index in (10, -11):
        with pytest.raises(IndexError):
            decoded[index]
    with pytest.raises(IndexError):
        decoded[::2]
    with pytest.raises(GroupError):
        multiexp.join([])


@both
def test_no_points_and_wrong_lengths(native: bool) -> None:
    nothing = multiexp.decode(b"", b"", native=native)
    assert len(nothing) == 0
    assert multiexp.msm(b"", nothing) == group.IDENTITY
    assert multiexp.is_identity(b"", nothing)
    assert multiexp.decode_with_hints(b"", native=native)[1] == b""
    for data in (b"\0", bytes(31), bytes(33)):
        with pytest.raises(GroupError):
            multiexp.decode(data, native=native)
    decoded = multiexp.decode(group.BASE * 2, native=native)
    for scalars in (b"", bytes(32), bytes(63), bytes(65), bytes(96)):
        for call in (multiexp.msm, multiexp.is_identity):
            with pytest.raises(GroupError):
                call(scalars, decoded)


@both
def test_threads_do_not_disturb_each_other(native: bool) -> None:
    rng = random.Random(8)
    logs, points = random_points(rng, 300)
    encodings = b"".join(points)
    shared = multiexp.decode(encodings, native=native)
    rounds = 24 if multiexp.backend_name(native=native) == "native" else 2
    works = [random_scalars(rng, 300) for _ in range(rounds)]

    def work(scalars: list[int]) -> tuple[bytes, bytes, list[bytes]]:
        own, hints = multiexp.decode_with_hints(encodings, native=native)
        sums = multiexp.Sums(3, native=native)
        sums.add(multiexp.decode(encodings, hints, native=native))
        return multiexp.msm(spelled(scalars), shared), multiexp.msm(spelled(scalars), own), sums.result()

    columns = [group.total(points[column::3]) for column in range(3)]
    with ThreadPoolExecutor(2) as pool:
        for scalars, (first, second, added) in zip(works, pool.map(work, works), strict=True):
            expected = sum(number * log for number, log in zip(scalars, logs, strict=True))
            assert first == second == group.mult_base(scalar(expected))
            assert added == columns
