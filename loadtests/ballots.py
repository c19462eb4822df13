"""CPU of the ballot protocol, beside Debian's `belenios-tool` in the same run.

    .venv/bin/python loadtests/ballots.py --n 1000 [--peer belenios] [--rounds 3] [--json FILE]

One yes/no/abstain question, three trustees of whom two open the box, the same choices for both. Each audit is a
process of its own, from its start to its end: `folkmoot-verify BUNDLE` and `belenios-tool election verify`, in
turn, round by round; user and system time as the kernel counts them, medians over the rounds. The annex adds one
passkey assertion per voter, which the peer has nothing like; it is printed apart.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from loadtests.peers import belenios
from tests.voting.record import write
from tests.voting.scenario import FIRST, Meeting
from tests.voting.votes import Vote, open_vote

import folkmoot_voting
from folkmoot_voting import ballot, batch, casting
from folkmoot_voting.encoding import jcs
from folkmoot_voting.questions import yes_no_abstain

LEAST = 5
MICRO_BATCH = 64
SAMPLE = 200
VERIFY = str(Path(sys.executable).parent / "folkmoot-verify")


def processor() -> str:
    """Return what Linux calls the processor, elsewhere its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def vector(choice: int) -> list[list[int]]:
    """Return the cells of one yes/no/abstain question."""
    return [[int(option == choice) for option in range(3)]]


def child_cpu_s(command: Sequence[str]) -> float:
    """Run a command to its good end and return its CPU seconds.

    Raises:
        RuntimeError: it ended with another code than 0.
    """
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read()
    child.stderr.close()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{command[0]}: {said.decode()[-300:]}")
    return usage.ru_utime + usage.ru_stime


def least_cpu_s(rounds: int, work: Callable[[], Any]) -> float:
    """Return the least CPU seconds of this process over some rounds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def hold(choices: Sequence[int], folder: Path) -> tuple[Path, Path, Vote, list[dict[str, Any]]]:
    """Hold our election; return bundle, annex, the vote and its ballots."""
    meeting = Meeting("load", members=max(len(choices), 7))
    meeting.check_in_all(len(choices), FIRST)
    vote = open_vote(meeting, "vote", [yes_no_abstain("Shall the budget be adopted?")])
    made = [vote.cast(person, vector(choice)) for person, choice in zip(meeting.present(), choices, strict=True)]
    vote.finish()
    paths = folder / "bundle.zip", folder / "annex.zip"
    for path, content in zip(paths, write(meeting), strict=True):
        path.write_bytes(content)
    return *paths, vote, made


def parts(vote: Vote, made: Sequence[dict[str, Any]], rounds: int) -> dict[str, float]:
    """Return microseconds of CPU per ballot of building, arriving and adding up."""
    opened, rng = vote.manifest, vote.meeting.rng
    people = vote.meeting.present()[: min(len(made), SAMPLE)]
    raw = [jcs(one) for one in made]
    groups = [raw[start : start + MICRO_BATCH] for start in range(0, len(raw), MICRO_BATCH)]

    def build() -> None:
        for person in people:
            casting.make_ballot(opened, person.credential, vector(0), rng, casting.Place(1, 1, b""))

    def arrive() -> None:
        for group in groups:
            batch.check_many(opened, [ballot.Ballot.from_bytes(one) for one in group], os.urandom)

    def alone() -> None:
        for one in raw[: len(people)]:
            ballot.check_ballot(opened, ballot.Ballot.from_bytes(one))

    boxes = [batch.open_ballot(opened, ballot.Ballot.from_bytes(one)) for one in raw]

    def add_up() -> None:
        sums = batch.BatchSums(opened)
        sums.add(boxes)
        sums.result()

    count = len(made)
    return {
        "build": least_cpu_s(rounds, build) / len(people) * 1e6,
        f"check_on_arrival_{MICRO_BATCH}": least_cpu_s(rounds, arrive) / count * 1e6,
        "check_alone_libsodium": least_cpu_s(rounds, alone) / len(people) * 1e6,
        "add_up": least_cpu_s(rounds, add_up) / count * 1e6,
    }


def audit(count: int, rounds: int, peer: str) -> dict[str, Any]:
    """Hold both elections and audit them in turn."""
    choices = [index % 3 for index in range(count)]
    compileall.compile_dir(Path(folkmoot_voting.__file__).parent, quiet=2)
    with tempfile.TemporaryDirectory(prefix="folkmoot-load-") as name:
        folder = Path(name)
        public, annex, vote, made = hold(choices, folder)
        figures: dict[str, Any] = {
            "n": count,
            "machine": f"{processor()}, Python {platform.python_version()}",
            "backend": "compiled" if batch.is_fast() else "libsodium",
            "bundle_bytes": public.stat().st_size,
            "ballot_bytes": len(jcs(made[0])),
            "us_per_ballot": parts(vote, made, rounds),
        }
        other = None
        if peer == "belenios":
            (folder / "peer").mkdir()
            other = belenios.Election(folder / "peer")
            counts = other.hold(choices)
            assert counts == [choices.count(option) for option in range(3)], counts
            figures |= {"peer": f"belenios-tool {belenios.version()}", "peer_bytes": other.size()}
        rows = []
        for _ in range(rounds):
            row = [child_cpu_s([VERIFY, str(public)]), child_cpu_s([VERIFY, str(public), "--annex", str(annex)])]
            row.append(child_cpu_s([VERIFY, str(public), "--strict"]))
            rows.append((*row, other.audit_cpu_s() if other else 0.0))
        ours, with_annex, strict, theirs = (statistics.median(column) for column in zip(*rows, strict=True))
        figures |= {"ours_cpu_s": ours, "ours_annex_cpu_s": with_annex, "ours_strict_cpu_s": strict}
        figures["start_cpu_s"] = statistics.median(child_cpu_s([VERIFY, "--help"]) for _ in range(rounds))
        if other:
            figures |= {"peer_cpu_s": theirs, "ratio": theirs / ours, "ratio_with_annex": theirs / with_annex}
    return figures


def main() -> None:
    """Print the figures, and write them as JSON when asked."""
    parser = argparse.ArgumentParser(description="Measure the ballot protocol.")
    parser.add_argument("--n", type=int, default=1000, help="number of voters, at least 5")
    parser.add_argument("--peer", choices=("none", "belenios"), default="none", help="audit the same election there")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, whose median counts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    if options.n < LEAST:
        parser.error("a secret vote has at least 5 voters")
    try:
        figures = audit(options.n, options.rounds, options.peer)
    except belenios.PeerMissing as error:
        sys.exit(f"error: {error}")
    for name, value in figures["us_per_ballot"].items():
        print(f"{name:26} {value:8.0f} us CPU per ballot")
    for name, value in figures.items():
        if name.endswith("_cpu_s"):
            print(f"{name:26} {value:8.3f} s")
        elif name.startswith("ratio"):
            print(f"{name:26} {value:8.1f} times less CPU than {figures['peer']}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
