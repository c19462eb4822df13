"""Many points at once: the compiled library, libsodium and RFC 9496 agree on every input, good or bad.

Every test runs on both back ends. Where there is no compiler, "native" falls back to libsodium like everybody's
does, and the same assertions hold.
"""

from __future__ import annotations

import hashlib
import json
import random  # noqa: TID251  # seeded test data, no secrets
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.voting.native_fuzz import ROOT, SODIUM_NAME, TARGET, compile_harness
from tools import native_build

from folkmoot_voting import group, multiexp, multiexp_backends
from folkmoot_voting.errors import GroupError

VECTORS = json.loads((ROOT / "tests/vectors/external/ristretto255_rfc9496.json").read_text())
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ROOT_M1 = pow(2, (P - 1) // 4, P)
COMPILER = native_build.find_compiler()

both = pytest.mark.parametrize("native", [True, False], ids=["native", "libsodium"])


@pytest.fixture(autouse=True, scope="module")
def _library() -> Iterator[None]:
    """Compile the library where that is possible; `run.py` has usually done so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_build, "TARGETS", (TARGET,))
        patch.delenv("FOLKMOOT_NO_NATIVE", raising=False)
        if not native_build.is_fresh(ROOT, TARGET):
            native_build.build(ROOT, print)
            multiexp_backends.load.cache_clear()
        yield


def scalar(number: int) -> bytes:
    return group.scalar_int(number)


def random_points(rng: random.Random, count: int) -> tuple[list[int], list[bytes]]:
    """Return logarithms and points; the logarithms give any sum a second way, in one multiplication."""
    logs = [rng.randrange(1, group.ORDER) for _ in range(count)]
    return logs, [group.mult_base(scalar(log)) for log in logs]


def random_scalars(rng: random.Random, count: int) -> list[int]:
    """Return full and short scalars, zeros, ones and minus ones, mixed."""
    odd = (0, 1, 2, group.ORDER - 1, group.ORDER - 2, 2**128 - 1, 2**128, 2**252)
    kinds = (
        lambda: rng.randrange(group.ORDER),
        lambda: rng.getrandbits(128),
        lambda: rng.choice(odd),
    )
    return [rng.choice(kinds)() for _ in range(count)]


def spelled(numbers: list[int]) -> bytes:
    return b"".join(number.to_bytes(32, "little") for number in numbers)


def accepts(encodings: bytes, *, native: bool, hints: bytes | None = None) -> int | None:
    """Return the index of the first refused point, or None."""
    try:
        multiexp.decode(encodings, hints, native=native)
    except multiexp.PointRefused as refused:
        return refused.index
    return None


# Which back end


def test_the_library_is_used_where_there_is_a_compiler() -> None:
    assert multiexp.available() == (COMPILER is not None)
    assert multiexp.backend_name() == ("libsodium" if COMPILER is None else "native")
    assert multiexp.backend_name(native=False) == "libsodium"
    assert multiexp.decode(group.BASE).backend == multiexp.backend_name()
    assert multiexp.decode(group.BASE, native=False).backend == "libsodium"


def test_the_environment_switches_the_library_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, off in (("1", True), ("yes", True), ("", False), ("0", False)):
        monkeypatch.setenv("FOLKMOOT_NO_NATIVE", value)
        assert multiexp.available() == (COMPILER is not None and not off)
        assert multiexp.decode(group.BASE).backend == ("libsodium" if off or COMPILER is None else "native")


def test_a_library_that_is_missing_or_another_is_passed_over(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("not a library")
    for path in (tmp_path / "nowhere.so", text, Path(SODIUM_NAME)):
        assert multiexp_backends.load(path) is None


def planted(tmp_path: Path, file: str, good: str, bad: str) -> Path:
    """Copy the sources and plant a fault; return the root of the copy."""
    root = tmp_path / hashlib.sha256(bad.encode()).hexdigest()
    for name in (*TARGET.sources, *TARGET.headers, *TARGET.harness):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    path = root / "voting/folkmoot_voting/native" / file
    text = path.read_text()
    assert text.count(good) == 1, good
    path.write_text(text.replace(good, bad))
    return root


def compiled(root: Path, output: Path) -> Path:
    assert COMPILER is not None
    sources = [str(root / name) for name in TARGET.sources]
    command = [COMPILER, *native_build.FLAGS, "-O0", "-fPIC", "-shared", *sources]
    assert native_build.compile_to(output, command) == ""
    return output


def test_a_library_of_another_version_or_that_computes_wrongly_is_passed_over(tmp_path: Path) -> None:
    if COMPILER is None:
        assert multiexp.backend_name() == "libsodium"
        return
    assert multiexp_backends.load(compiled(ROOT, tmp_path / "good.so")) is not None
    faults = [
        ("multiexp.h", "#define FM_VERSION 1u", "#define FM_VERSION 2u"),
        ("field25519.h", "FE_D = {{0x34dca135978a3", "FE_D = {{0x34dca135978a4"),
        ("field25519.h", "h4 >> 51);\n", "h4 >> 52);\n"),
    ]
    for number, fault in enumerate(faults):
        output = compiled(planted(tmp_path, *fault), tmp_path / f"{number}.so")
        assert multiexp_backends.load(output) is None, fault


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


# Under the sanitizers

INPUTS = 800
FAULTS = [
    # A second encoding of every point.
    ("ristretto255.h", "(s[0] & 1) || top >> 63", "(s[0] & 1)"),
    # An encoding of p and more.
    ("ristretto255.h", "return !(all_ones && load64(s) >= UINT64_MAX - 18)", "return !all_ones || s[0]"),
    # Hints that are believed.
    ("ristretto255.h", "is_square = fe_is_one(&t);", "is_square = 1;"),
    # The group order as a scalar.
    (
        "multiexp.c",
        "return k->v[i] < order[i];\n    }\n    return 0;",
        "return k->v[i] < order[i];\n    }\n    return 1;",
    ),
    # A digit too few for the longest scalars.
    ("multiexp.c", "(scalar_length + 2 + bits - 1) / bits", "(scalar_length + bits - 1) / bits - 1"),
    # A column outside its row, which only the sanitizer sees.
    ("multiexp.c", "if (offsets[i] >= stride) return", "if (offsets[i] > stride) return"),
]


def harness(program: Path, seed: int, inputs: int) -> subprocess.CompletedProcess[str]:
    command = [str(program), SODIUM_NAME, str(seed), str(inputs)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=100)


def test_seeded_inputs_under_the_sanitizers(tmp_path: Path) -> None:
    if COMPILER is None:
        compare_on_seeded_inputs(11, 100)
        return
    program = tmp_path / "harness"
    compile_harness(ROOT, program, COMPILER, native_build.SANITIZERS)
    done = harness(program, 11, INPUTS)
    assert done.returncode == 0, done.stderr
    counts = dict(part.split("=") for part in done.stdout.split())
    assert int(counts["inputs"]) == INPUTS
    assert min(int(counts[name]) for name in ("bad", "sums", "identities")) > INPUTS // 20


@pytest.mark.parametrize("fault", FAULTS, ids=[good[:24].strip() for _, good, _ in FAULTS])
def test_planted_faults_are_found(tmp_path: Path, fault: tuple[str, str, str]) -> None:
    if COMPILER is None:
        compare_on_seeded_inputs(12, 20)
        return
    program = tmp_path / "harness"
    flags = native_build.SANITIZERS if "stride" in fault[1] else ("-O1",)
    compile_harness(planted(tmp_path, *fault), program, COMPILER, flags)
    done = harness(program, 11, 5 * INPUTS)
    assert done.returncode != 0
    assert "disagreement: " in done.stderr or "AddressSanitizer" in done.stderr


def compare_on_seeded_inputs(seed: int, count: int) -> None:
    """Hold whatever is chosen here against libsodium on spoiled points and scalars."""
    rng = random.Random(seed)
    good = random_points(rng, 30)[1]
    for _ in range(count):
        encodings = bytearray(b"".join(rng.choices(good, k=rng.randrange(1, 12))))
        for _ in range(rng.randrange(2)):
            encodings[rng.randrange(len(encodings))] ^= 1 << rng.randrange(8)
        raw = bytes(encodings)
        refused = accepts(raw, native=True)
        assert refused == accepts(raw, native=False, hints=rng.randbytes(len(raw)))
        if refused is None:
            scalars = spelled(random_scalars(rng, len(raw) // 32))
            sums = {multiexp.msm(scalars, multiexp.decode(raw, native=native)) for native in (True, False)}
            assert len(sums) == 1


def test_the_face_agrees_on_seeded_inputs() -> None:
    compare_on_seeded_inputs(13, 150)


def test_a_refusal_of_the_library_that_the_face_did_not_expect_is_an_error() -> None:
    if COMPILER is None:
        assert multiexp.backend_name() == "libsodium"
        return
    native = multiexp_backends.load(multiexp_backends.LIBRARY)
    assert native is not None
    with pytest.raises(GroupError, match="answered -1"):
        native.encode(memoryview(bytearray(121))[1:])
    with pytest.raises(GroupError, match="answered -1"):
        native.sums_begin(0)
