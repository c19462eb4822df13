"""Every record, good, spoiled or unreadable, that verifiers are held against each other with.

    python -m tests.voting.corpus OUT

writes the zips to OUT, OUT/list.json for `verify.mjs --batch` and OUT/expected.json: per record its name, the
verdict, the first failing check or null, and what `folkmoot-verify --json` says of it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from functools import cache
from typing import Any

from tests.voting import forging
from tests.voting.mutations import MUTATIONS
from tests.voting.mutations_attendance import votes_with_log
from tests.voting.record import write
from tests.voting.scenario import FIRST, SIMPLE, Meeting
from tests.voting.spoiling import GOOD, checked_in, full, parsed, run
from tests.voting.votes import EVERY_TYPE, hold, small_meeting
from tests.voting.zips import unreadable, unusual

from folkmoot_voting import bundle
from folkmoot_voting.verify import Report, verify_bundle

Pair = tuple[bytes, bytes | None]
Answer = tuple[str, str | None]


def answer(report: dict[str, Any]) -> Answer:
    """Return what two verifiers must agree on: the verdict and the first failing check."""
    return report["verdict"], next((one["id"] for one in report["checks"] if one["ok"] is False), None)


def without_key() -> Meeting:
    """Return a meeting that made no key and votes openly."""
    meeting = checked_in(count=0)
    hold(meeting, "open", [EVERY_TYPE[0]], [[[1, 0, 0]], [[0, 1, 0]]], SIMPLE, FIRST + 600, secrecy="open")
    return meeting


@cache
def good_records() -> dict[str, Pair]:
    """Return records in which nothing is wrong."""
    full_record = full()
    return {
        "good": GOOD,
        "good without annex": (GOOD[0], None),
        "three elections": write(small_meeting()),
        "everything": full_record,
        "everything without annex": (full_record[0], None),
        "no attendance log": votes_with_log(False),
        "an attendance log from the second vote on": votes_with_log(False, True, True),
        "no key": write(without_key()),
        "rehearsal": run(rehearsal=True),
        "one who opened the box did not sign": run(spoil=forging.signed_by(1, 2)),
        "every trustee signed": run(spoil=forging.signed_by(1, 2, 3)),
        "shares destroyed": run(challenge_s=60, after=lambda meeting: meeting.destroy_shares(FIRST + 4200)),
        **{f"one {question.type}": run(question) for question in EVERY_TYPE},
        **{f"zip: {name}": (raw, GOOD[1]) for name, raw in unusual().items()},
    }


def records() -> dict[str, Pair]:
    """Return every record by name."""
    three = write(small_meeting())
    malformed = bundle.pack({**bundle.unpack(GOOD[0]), "ledger.json": b"{}"})
    _, annex = parsed(GOOD)
    found: dict[str, Pair] = {
        **good_records(),
        "annex of another meeting": (GOOD[0], three[1]),
        "annex is no zip": (GOOD[0], b"nothing"),
        "annex is no zip and the bundle malformed": (malformed, b"nothing"),
        "annex without its file": (GOOD[0], bundle.pack({"other.json": b"{}"})),
        "annex with a surplus file": (GOOD[0], bundle.pack({**bundle.unpack(GOOD[1]), "x": b""})),
        "annex that is no object": (GOOD[0], bundle.pack({"annex.json": b"[]"})),
        "annex out of order": (GOOD[0], bundle.pack({"annex.json": json.dumps(annex).encode()})),
    }
    for name, mutate, _ in MUTATIONS:
        found[f"mutation: {name}"] = mutate()
    for name, raw in unreadable().items():
        found[f"zip: {name}"] = (raw, None)
    return found


def write_list(folder: pathlib.Path, pairs: dict[str, Pair]) -> pathlib.Path:
    """Write the zips and the list that names them; return the list."""
    listed = []
    for number, (raw, annex) in enumerate(pairs.values()):
        one = {"bundle": str(folder / f"{number}-bundle.zip")}
        pathlib.Path(one["bundle"]).write_bytes(raw)
        if annex is not None:
            one["annex"] = str(folder / f"{number}-annex.zip")
            pathlib.Path(one["annex"]).write_bytes(annex)
        listed.append(one)
    path = folder / "list.json"
    path.write_text(json.dumps(listed))
    return path


def verify(pair: Pair) -> Report:
    """Run the verifier in Python."""
    return verify_bundle(*pair)


def main() -> None:
    """Write the corpus."""
    parser = argparse.ArgumentParser(description="Write every record that verifiers are tested with.")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT", help="a folder, made when it is not there")
    folder: pathlib.Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    pairs = records()
    print(write_list(folder, pairs))
    expected = []
    for name, pair in pairs.items():
        report = verify(pair).to_json()
        verdict, first = answer(report)
        expected.append({"name": name, "verdict": verdict, "first": first, "report": report})
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=1))
    print(f"{len(expected)} records")


if __name__ == "__main__":
    main()
