"""CPU per ballot: building, the check on arrival, adding up, and the whole offline verification.

    python -m loadtests.ballots [--ballots 1000] [--rounds 3] [--json FILE]

One yes/no/abstain question, three trustees, two of them count. Times are CPU (process) time of one core,
the best of the rounds; everything goes through libsodium one equation at a time.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

from tests.voting.scenario import FIRST, SIMPLE, Meeting

from folkmoot_voting import ballot, bundle, tally
from folkmoot_voting.encoding import jcs
from folkmoot_voting.manifest import yes_no_abstain
from folkmoot_voting.verify import verify_bundle


def measure(rounds: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least CPU seconds of some rounds and the last result."""
    best, result = float("inf"), None
    for _ in range(rounds):
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    return best, result


def run(count: int, rounds: int) -> dict[str, Any]:
    """Hold a meeting of `count` voters and measure each part."""
    meeting = Meeting("load", members=max(count, 7))
    for person in meeting.persons[:count]:
        meeting.check_in(person, FIRST)
    opened = meeting.open("vote", [yes_no_abstain("Carry?")], SIMPLE, FIRST)
    seeds = [person.credential for person in meeting.persons[:count]]
    made = [ballot.make_ballot(opened, seed, [index % 3], meeting.rng) for index, seed in enumerate(seeds)]
    raw = [jcs(one) for one in made]
    electorate = {ballot.Ballot.from_json(one).credential for one in made}
    sample = seeds[: min(count, 200)]
    build, _ = measure(rounds, lambda: [ballot.make_ballot(opened, s, [0], meeting.rng) for s in sample])
    arrive, checked = measure(
        rounds,
        lambda: [ballot.check_ballot(opened, electorate, ballot.Ballot.from_bytes(one)) for one in raw],
    )
    add, _ = measure(rounds, lambda: tally.aggregate(opened, [one.answers for one in checked]))
    meeting.finish(opened, made, FIRST)
    files = bundle.write_bundle(meeting.bundle()), bundle.write_annex(meeting.annex())
    public, report = measure(rounds, lambda: verify_bundle(files[0]))
    assert report.verdict == "ok", report
    audited, report = measure(rounds, lambda: verify_bundle(*files))
    assert report.verdict == "ok", report
    return {
        "ballots": count,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "bundle_bytes": len(files[0]),
        "ballot_bytes": len(raw[0]),
        "cpu_us_per_ballot": {
            "build": round(build / len(sample) * 1e6),
            "check_on_arrival": round(arrive / count * 1e6),
            "add_up": round(add / count * 1e6),
            "verify_bundle": round(public / count * 1e6),
            "verify_bundle_and_annex": round(audited / count * 1e6),
        },
        "per_second": {"built": round(len(sample) / build), "checked": round(count / arrive)},
        "verify_s": {"bundle": round(public, 3), "bundle_and_annex": round(audited, 3)},
    }


def main() -> None:
    """Print the figures, and write them as JSON when asked."""
    parser = argparse.ArgumentParser(description="Measure the ballot protocol.")
    parser.add_argument("--ballots", type=int, default=1000, help="number of voters (at least 5)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the best counts")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    figures = run(options.ballots, options.rounds)
    for name, value in figures["cpu_us_per_ballot"].items():
        print(f"{name:26} {value:8} us CPU per ballot")
    print(f"{'built':26} {figures['per_second']['built']:8} per second")
    print(f"{'checked on arrival':26} {figures['per_second']['checked']:8} per second")
    whole = figures["verify_s"]
    print(f"{'verify everything':26} {whole['bundle']:8} s, with annex {whole['bundle_and_annex']} s")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
