"""CPU per public point: decoding, sums, adding up 100,000 ballots, and checking ballots in batches.

    python -m loadtests.points [--rounds 3] [--json FILE]

FOLKMOOT_NO_NATIVE=1 measures libsodium alone, with sums of at most 800 points and a hundredth of the ballots. Times
are CPU (process) time of one core, the best of the rounds, except for the two lines about threads.
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import platform
import resource
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.voting.scenario import FIRST, Meeting
from tests.voting.votes import open_vote

from folkmoot_voting import ballot, batch, casting, group, multiexp, signing
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import one_of_n, yes_no_abstain

BALLOTS, COLUMNS, PART = 100_000, 6, 1000
MICRO = 1e6


def measure(rounds: int, work: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> float:
    """Return the least seconds of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start = clock()
        work()
        best = min(best, clock() - start)
    return best


def random_scalars(count: int, bits: int) -> bytes:
    return b"".join(secrets.randbits(bits).to_bytes(32, "little") for _ in range(count))


def repeat(times: int, scalars: bytes, part: multiexp.Decoded) -> None:
    for _ in range(times):
        multiexp.msm(scalars, part)


def points(rounds: int, quick: bool) -> dict[str, float]:
    """Measure decoding, encoding and sums; microseconds per point."""
    most = 20_000 if quick else 800
    some = b"".join(group.mult_base(group.random_scalar(secrets.token_bytes)) for _ in range(800))
    encodings = (some * (most // 800 + 1))[: 32 * most]
    decoded, hints = multiexp.decode_with_hints(encodings)
    found = {
        "decode_us": measure(rounds, lambda: multiexp.decode(encodings)) / most * MICRO,
        "decode_hinted_us": measure(rounds, lambda: multiexp.decode(encodings, hints)) / most * MICRO,
        "decode_wrong_hints_us": measure(rounds, lambda: multiexp.decode(encodings, encodings)) / most * MICRO,
        "encode_us": measure(rounds, lambda: multiexp.encode(decoded)) / most * MICRO,
    }
    for size in (1, 20, 80, 200, 800, 8000, 20_000):
        if size <= most:
            repeats = max(1, 400 // size) if quick else 1
            full, short, part = random_scalars(size, 252), random_scalars(size, 128), decoded[:size]
            for name, scalars in ((f"sum_{size}_us", full), (f"sum_{size}_short_us", short)):
                work = functools.partial(repeat, repeats, scalars, part)
                seconds = measure(rounds, work)
                found[name] = seconds / repeats / size * MICRO
    return found


def add_up(rounds: int, quick: bool) -> dict[str, float]:
    """Measure adding up ballots of three options, decoded from their bytes a thousand at a time; seconds."""
    rows = BALLOTS if quick else BALLOTS // 100
    some = b"".join(group.mult_base(group.random_scalar(secrets.token_bytes)) for _ in range(COLUMNS * 100))
    encodings = some * (PART // 100)
    _, hints = multiexp.decode_with_hints(encodings)
    weights = [1 + secrets.randbelow(100) for _ in range(PART)]

    def run(given: bytes | None, factors: list[int] | None) -> None:
        sums = multiexp.Sums(COLUMNS)
        for _ in range(rows // PART):
            sums.add(multiexp.decode(encodings, given), weights=factors)
        sums.result()

    return {
        "ballots": rows,
        "add_up_s": measure(rounds, lambda: run(None, None)),
        "add_up_hinted_s": measure(rounds, lambda: run(hints, None)),
        "add_up_hinted_weighted_s": measure(rounds, lambda: run(hints, weights)),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def batches(rounds: int, quick: bool) -> dict[str, float]:
    """Measure the check of ballots' proofs in batches; microseconds per ballot."""
    meeting = Meeting("points")
    for person in meeting.persons:
        meeting.check_in(person, FIRST)
    found: dict[str, float] = {}
    for name, question in (("yes_no_abstain", yes_no_abstain("?")), ("one_of_five", one_of_n("?", list("abcde")))):
        opened = open_vote(meeting, name.replace("_", "-"), [question]).manifest
        width = len(question.options)
        made = [
            Ballot.from_json(
                casting.make_ballot(
                    opened,
                    secrets.token_bytes(32),
                    [[int(i == n % width) for i in range(width)]],
                    secrets.token_bytes,
                )
            )
            for n in range(1024 if quick else 64)
        ]
        size = len(made)
        raw = [batch.open_ballot(opened, one) for one in made]
        found[f"{name}_points"] = sum(len(answer.points()) for answer in raw[0].answers)
        found[f"{name}_decode_us"] = measure(rounds, lambda m=opened, b=made: open_all(m, b, None)) / size * MICRO
        if quick:
            hints = [multiexp.decode_with_hints(multiexp.encode(one.points))[1] for one in raw if one.points]
            hinted = measure(rounds, lambda m=opened, b=made, h=hints: open_all(m, b, h))
            found[f"{name}_decode_hinted_us"] = hinted / size * MICRO
        for part in (64, 1024):
            if part <= size:
                seconds = measure(rounds, lambda m=opened, b=raw, n=part: check_all(m, b, n))
                found[f"{name}_batch_{part}_us"] = seconds / size * MICRO
        sample = made[:64]
        found[f"{name}_one_by_one_us"] = measure(rounds, lambda m=opened, b=sample: one_by_one(m, b)) / 64 * MICRO
    return found


def open_all(opened: Manifest, ballots: list[Ballot], hints: list[bytes] | None) -> None:
    """Take ballots apart and decode their points."""
    for index, one in enumerate(ballots):
        batch.open_ballot(opened, one, None if hints is None else hints[index])


def check_all(opened: Manifest, ballots: list[batch.Opened], part: int) -> None:
    """Check the proofs of ballots, so many at a time."""
    for start in range(0, len(ballots), part):
        assert batch.first_bad(opened, ballots[start : start + part], secrets.token_bytes) is None


def one_by_one(opened: Manifest, ballots: list[Ballot]) -> None:
    """Check every equation alone through libsodium."""
    for one in ballots:
        answers = ballot.decode_answers(opened, one)
        e = ballot.ballot_challenge(opened, one, answers)
        ballot.check_cells(opened, e, answers)
        ballot.check_constraints(opened, e, answers)


def others(rounds: int, quick: bool) -> dict[str, float]:
    """Measure what there is to compare with: libsodium's operations, signatures, and two threads (wall seconds)."""
    seed, message = secrets.token_bytes(32), secrets.token_bytes(32)
    key, signature = signing.public_key(seed), signing.sign(seed, message)
    scalar = group.random_scalar(secrets.token_bytes)
    point = group.mult_base(scalar)
    size = 8000 if quick else 200
    decoded, scalars = multiexp.decode(point * size), random_scalars(size, 252)

    def pair(threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda _: multiexp.msm(scalars, decoded), range(4)))

    return {
        "ed25519_verify_us": measure(rounds, lambda: [signing.is_valid(key, message, signature) for _ in range(500)])
        / 500
        * MICRO,
        "libsodium_mult_us": measure(rounds, lambda: [group.mult(scalar, point) for _ in range(500)]) / 500 * MICRO,
        "libsodium_is_point_us": measure(rounds, lambda: [group.is_point(point) for _ in range(500)]) / 500 * MICRO,
        "four_sums_one_thread_wall_s": measure(rounds, lambda: pair(1), time.perf_counter),
        "four_sums_two_threads_wall_s": measure(rounds, lambda: pair(2), time.perf_counter),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what public points cost.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    quick = multiexp.backend_name() == "native"
    result: dict[str, Any] = {
        "backend": multiexp.backend_name(),
        "machine": platform.processor() or platform.machine(),
    }
    for part in (add_up, points, batches, others):
        result |= {name: round(value, 3) for name, value in part(options.rounds, quick).items()}
    for name, value in result.items():
        print(f"{name:<34} {value}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
