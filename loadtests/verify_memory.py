"""Peak memory and time of `folkmoot-verify`, and of the auditor's page under Node, on a long board.

    python -m loadtests.verify_memory [--ballots 100000] [--annex] [--page] [--from 25000] [--json FILE]

One yes/no/abstain question, three trustees of whom two count. Ballots are made fast, by a voter who knows the
trustees' secret key: every point is then one multiplication of the generator. They are as valid as any. The verifier
runs in a process of its own; peak memory is what the system says of that process. With --from a shorter board is
verified too: what the peak grows by between the two, for each ballot, tells whether ballots are kept.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from typing import Any

from tests.voting.record import make_annex, make_bundle
from tests.voting.scenario import FIRST, Meeting
from tests.voting.votes import Election, Vote, open_vote

from folkmoot_voting import ballot, board, bundle, group, merkle_log, signing, tally
from folkmoot_voting.encoding import JsonObject, b64u, h512, jcs, u32
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import yes_no_abstain

# The bundle alone, with the annex, and the page's verifier with what there is.
LIMITS_MB = {"bundle": 500, "bundle_and_annex": 500, "page": 500}
# A ballot is 1.5 kB on the board and 4 kB in memory; what is kept of a voter is far less.
LIMIT_KB_PER_BALLOT = 3.0
PAGE = pathlib.Path(__file__).resolve().parents[1] / "web_client" / "tools" / "verify.mjs"
ORDER = group.ORDER
OPTIONS = 3
STEP = 500


def secret_key(meeting: Meeting) -> int:
    """Return the key that the trustees share: the sum of their constant coefficients."""
    return sum(int.from_bytes(one.coefficients[0], "little") for one in meeting.trustees) % ORDER


def times(scalar: int) -> bytes:
    """Return scalar * G."""
    return group.mult_base((scalar % ORDER).to_bytes(32, "little"))


def fast_line(opened: Manifest, seed: bytes, choice: int, key: int) -> tuple[bytes, list[int]]:
    """Return the board's line of a ballot by the credential of this seed, and the randomness of its cells."""
    draws = (int.from_bytes(h512("load", seed, u32(index)), "little") % ORDER for index in range(100))

    cells: list[tuple[list[bytes], int, int, int, int, int]] = []
    for option in range(OPTIONS):
        value = int(option == choice)
        r, w, c, z = (next(draws) for _ in range(4))
        other = 1 - value
        real = [times(w), times(w * key)]
        # The branch of the other value, simulated: A = zG - c*alpha, B = zY - c*(beta - other*G).
        fake = [times(z - c * r), times(z * key - c * (r * key + value - other))]
        branches = [*real, *fake] if value == 0 else [*fake, *real]
        cells.append(([times(r), times(r * key + value), *branches], value, r, w, c, z))
    w_sum = next(draws)
    sums = [times(w_sum), times(w_sum * key)]
    credential = signing.public_key(seed)
    points = [one for cell in cells for one in cell[0]] + sums
    e = int.from_bytes(ballot.challenge(opened, credential, (1, 1, b""), [points]), "little")
    raw = b""
    for inner, value, r, w, c, z in cells:
        split = (e - c) % ORDER
        response = (w + split * r) % ORDER
        numbers = (split, response, z) if value == 0 else (c, z, response)
        raw += b"".join(inner) + b"".join(one.to_bytes(32, "little") for one in numbers)
    raw += b"".join(sums) + ((w_sum + e * sum(cell[2] for cell in cells)) % ORDER).to_bytes(32, "little")
    unsigned: JsonObject = {
        "v": 1,
        "manifest": b64u(opened.hash),
        "credential": b64u(credential),
        "weight": 1,
        "seq": 1,
        "prev": "",
        "choices": [b64u(raw)],
    }
    sig = b64u(signing.sign(seed, ballot.signed_hash(unsigned)))
    return jcs(board.ballot_entry({**unsigned, "sig": sig})) + b"\n", [cell[2] for cell in cells]


def made(job: tuple[JsonObject, list[bytes], int, int]) -> list[tuple[bytes, list[int]]]:
    """Return the lines of some voters."""
    manifest, seeds, first, key = job
    opened = Manifest.from_json(manifest)
    return [fast_line(opened, seed, (first + index) % OPTIONS, key) for index, seed in enumerate(seeds)]


def lines(vote: Vote, key: int) -> Iterator[tuple[bytes, list[int]]]:
    """Yield all ballots, made by as many processes as there are cores."""
    seeds = [person.credential for person in vote.meeting.persons]
    jobs = [(vote.manifest.json, seeds[at : at + STEP], at, key) for at in range(0, len(seeds), STEP)]
    with multiprocessing.Pool() as pool:
        for part in pool.imap(made, jobs):
            yield from part


class Board:
    """A board that is written to a file as it grows."""

    def __init__(self, path: pathlib.Path, vote: Vote) -> None:
        self._file = path.open("wb")
        self._tree = merkle_log.Frontier()
        self._vote = vote

    def write(self, line: bytes) -> None:
        """Append an entry with its line feed."""
        self._file.write(line)
        self._tree.append(merkle_log.leaf_hash(line[:-1]))

    def add(self, entry: JsonObject) -> None:
        """Append an entry."""
        self.write(jcs(entry) + b"\n")

    def note(self) -> merkle_log.Note:
        """Return the signed checkpoint of what there is."""
        head = merkle_log.Checkpoint(self._vote.manifest.board_origin, self._tree.size, self._tree.root())
        return merkle_log.sign_checkpoint(head, self._vote.meeting.server)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def hold(meeting: Meeting, path: pathlib.Path) -> None:
    """Hold a vote in which every member casts a ballot; the board goes to the file."""
    vote = open_vote(meeting, "vote-1", [yes_no_abstain("Carry?")], at=FIRST + 600)
    opened, voters, key = vote.manifest, len(meeting.persons), secret_key(meeting)
    log = Board(path, vote)
    log.add(board.opening_entry(opened.json))
    opening = log.note()
    meeting.record("opened", FIRST + 600, opening.checkpoint.hash())
    randomness = [0] * OPTIONS
    for line, drawn in lines(vote, key):
        log.write(line)
        randomness = [(a + b) % ORDER for a, b in zip(randomness, drawn, strict=True)]
    log.add(board.closing_entry(ballots=voters, cast=voters, ended=FIRST + 660, at=FIRST + 675))
    closing = log.note()
    for name, person in meeting.cosigners()[: opened.cosign_quorum]:
        closing = closing.with_signature(merkle_log.cosign(closing.checkpoint, name, person.cosigner, FIRST + 680))
    head = closing.checkpoint.hash()
    meeting.record("closed", FIRST + 675, head)
    counts = [len(range(option, voters, OPTIONS)) for option in range(OPTIONS)]
    pairs = [(times(r), times(r * key + count)) for r, count in zip(randomness, counts, strict=True)]
    total = tally.make_aggregate(opened, [pairs])
    core = _open_box(meeting, vote, log, total, head, counts)
    digest = tally.tally_hash(core)
    log.add(board.tally_entry(digest))
    texts = (opening.text(), closing.text(), log.note().text())
    log.close()
    meeting.record("tally", FIRST + 700, digest)
    meeting.elections.append(
        Election(opened, vote.electorate, [], [], [], *texts, vote.sign_tally(core), total),
    )


def _open_box(
    meeting: Meeting, vote: Vote, log: Board, total: tally.Aggregate, head: bytes, counts: list[int]
) -> JsonObject:
    assert meeting.keygen is not None
    opened = vote.manifest
    for one in meeting.trustees[:2]:
        log.add(board.intent_entry(one.index, opened.hash, head, total.hash, one.seed))
        parts = tally.partial_decrypt(opened, total, one.index, one.secret_share(meeting.keygen), meeting.rng)
        log.add(board.share_entry(one.index, opened.hash, total.hash, parts, one.seed))
    voters = len(meeting.persons)
    numbers = tally.BoardNumbers(ballots=voters, cast=voters, cast_weight=voters)
    return tally.make_core(
        opened, closing=head, total=total, numbers=numbers, counts=[counts], counted_at=FIRST + 700
    )


def write_record(folder: pathlib.Path, voters: int, *, annex: bool) -> None:
    """Hold the vote and write bundle.zip and, when asked, annex.zip."""
    meeting = Meeting("memory", members=voters)
    meeting.check_in_all(voters)
    path = folder / "board.jsonl"
    hold(meeting, path)
    files = bundle.unpack(bundle.write_bundle(make_bundle(meeting)))
    name = "elections/vote-1/board.jsonl"
    with zipfile.ZipFile(folder / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, name)
        for other, raw in files.items():
            if other != name:
                archive.writestr(other, raw)
    path.unlink()
    if annex:
        (folder / "annex.zip").write_bytes(bundle.write_annex(make_annex(meeting)))


def verify(folder: pathlib.Path, *arguments: str, page: bool = False) -> dict[str, float]:
    """Run a verifier on the record in a process of its own, the page's under Node, and return what it took."""
    own = ["node", str(PAGE)] if page else [sys.executable, "-m", "folkmoot_voting.cli"]
    command = [*own, str(folder / "bundle.zip"), *arguments]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return {
        "peak_mb": round(usage.ru_maxrss / 1024, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "wall_s": round(time.perf_counter() - start, 2),
    }


def measure(folder: pathlib.Path, voters: int, *, annex: bool, page: bool) -> dict[str, Any]:
    """Return the figures of the record in a folder."""
    figures: dict[str, Any] = {"ballots": voters, "this_process_mb": round(_peak(), 1)}
    figures["bundle_mb"] = round((folder / "bundle.zip").stat().st_size / 1e6, 1)
    figures["bundle"] = verify(folder)
    if annex:
        figures["bundle_and_annex"] = verify(folder, "--annex", str(folder / "annex.zip"))
    if page:
        more = ("--annex", str(folder / "annex.zip")) if annex else ()
        figures["page"] = verify(folder, *more, page=True)
    return figures


def slopes(shorter: dict[str, Any], longer: dict[str, Any]) -> dict[str, float]:
    """Return by how many kilobytes the peak of each verifier grows for each ballot."""
    ballots = longer["ballots"] - shorter["ballots"]
    both = [one for one in LIMITS_MB if one in longer]
    return {one: round((longer[one]["peak_mb"] - shorter[one]["peak_mb"]) * 1024 / ballots, 2) for one in both}


def made_and_measured(voters: int, *, annex: bool, page: bool) -> dict[str, Any]:
    """Make a record in a process of its own and return its figures."""
    with tempfile.TemporaryDirectory() as name:
        make = [sys.executable, "-m", "loadtests.verify_memory", "--make", name, "--ballots", str(voters)]
        subprocess.run([*make, *(["--annex"] if annex else [])], check=True)
        return measure(pathlib.Path(name), voters, annex=annex, page=page)


def _peak() -> float:
    # A child's peak is never less than what its parent had when it was started (Linux, exec).
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Print the figures, and write them as JSON when asked; return 1 when memory or its slope is beyond the limit."""
    parser = argparse.ArgumentParser(description="Measure the memory of the verifier.")
    parser.add_argument("--ballots", type=int, default=100_000, help="number of voters (at least 7)")
    parser.add_argument("--annex", action="store_true", help="verify with the annex too")
    parser.add_argument("--page", action="store_true", help="verify with the auditor's page under Node too; slow")
    parser.add_argument("--from", type=int, dest="shorter", metavar="N", help="measure with N ballots first")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--make", type=pathlib.Path, metavar="FOLDER", help="make the record there, no more")
    options = parser.parse_args()
    if options.make:
        write_record(options.make, options.ballots, annex=options.annex)
        return 0
    figures: dict[str, Any] = {}
    if options.shorter:
        figures["shorter"] = made_and_measured(options.shorter, annex=options.annex, page=options.page)
    figures |= made_and_measured(options.ballots, annex=options.annex, page=options.page)
    if options.shorter:
        figures["kb_per_ballot"] = slopes(figures["shorter"], figures)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    too_steep = any(slope > LIMIT_KB_PER_BALLOT for slope in figures.get("kb_per_ballot", {}).values())
    return int(too_steep or any(figures[one]["peak_mb"] > most for one, most in LIMITS_MB.items() if one in figures))


if __name__ == "__main__":
    sys.exit(main())
