"""What the tests of `multiexp` share: seeded points and scalars, and the compiled library brought up to date."""

from __future__ import annotations

import random  # noqa: TID251  # seeded test data, no secrets

from tests.voting.native_fuzz import ROOT, TARGET
from tools import native_build

from folkmoot_voting import group, multiexp, multiexp_backends

COMPILER = native_build.find_compiler()


def bring_up_to_date() -> None:
    """Compile the library where that is possible and needed; `run.py` has usually done so."""
    if COMPILER is not None and not native_build.is_fresh(ROOT, TARGET):
        targets = native_build.TARGETS
        native_build.TARGETS = (TARGET,)
        try:
            native_build.build(ROOT, print)
        finally:
            native_build.TARGETS = targets
        multiexp_backends.load.cache_clear()


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
