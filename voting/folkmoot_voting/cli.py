"""`folkmoot-verify`: check a bundle offline and say what was found."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

from .bundle import MAX_ZIP, Bundle, read_bundle
from .verify import Report, verify_bundle

DESCRIPTION = """Check the record of a meeting's secret votes, offline.

Reads bundle.zip (and annex.zip, which auditors hold) and runs the numbered checks V01 to V28 of
docs/spec/voting.md. No network is used and nothing is written."""

EPILOG = """exit status:
  0  ok: every check that could be run passed
  1  failed: at least one check failed
  2  unreadable: not a zip, a file is missing, or a limit is exceeded

Without --annex the checks V23 to V28 are not run, and that is said: the ballots and counts are then
checked, but not that each ballot belongs to a member on the registrar's roll."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        bundle = _read(options.bundle)
        annex = _read(options.annex) if options.annex is not None else None
    except OSError as error:
        bundle, annex = b"", None
        print(f"folkmoot-verify: {error.filename}: {error.strerror}", file=sys.stderr)
    report = verify_bundle(bundle, annex)
    if options.json:
        print(json.dumps(report.to_json(), ensure_ascii=False, indent=1))
    else:
        print(_human(report))
        if report.verdict == "ok":
            print(_results(read_bundle(bundle)))
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="folkmoot-verify",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=pathlib.Path, metavar="BUNDLE", help="bundle.zip of the meeting")
    parser.add_argument(
        "--annex", type=pathlib.Path, metavar="FILE", help="annex.zip: also check who stands behind the ballots"
    )
    parser.add_argument("--json", action="store_true", help="print verdict and checks as JSON")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="check each equation alone through libsodium; this version always does",
    )
    return parser


def _read(path: pathlib.Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_ZIP + 1)


def _human(report: Report) -> str:
    marks = {True: "ok  ", False: "FAIL", None: "  - "}
    lines = []
    for check in report.checks:
        detail = f" ({check.detail})" if check.detail else ""
        lines.append(f"{marks[check.ok]}  {check.id}  {check.title}{detail}")
    passed = sum(1 for check in report.checks if check.ok is True)
    skipped = sum(1 for check in report.checks if check.ok is None)
    verdict = {"ok": "OK", "failed": "FAILED", "unreadable": "UNREADABLE"}[report.verdict]
    reason = f" ({report.detail})" if report.detail else ""
    lines.append(f"{verdict}{reason}: {passed} checks passed, {skipped} not checked")
    return "\n".join(lines)


def _results(bundle: Bundle) -> str:
    """Say what was checked: whose record it is, and each result that the checks confirm."""
    info = bundle.info
    lines = [
        "",
        f"{info['organisation']['name']}, {info['meeting']['title']}",
        f"server key {info['server_key']} (compare it with the one your organisation publishes)",
    ]
    for name, files in bundle.elections.items():
        manifest, core = files.board[0]["manifest"], files.tally["core"]
        lines.append(f"{name}: {manifest['title']}: {core['cast']} ballots")
        for number, (question, outcome) in enumerate(zip(manifest["questions"], core["outcome"], strict=True)):
            votes = core["counts"][number] if core["counts"] else []
            counts = ", ".join(f"{option} {count}" for option, count in zip(question["options"], votes, strict=False))
            winner = f" {question['options'][outcome['option']]}" if outcome["kind"] == "elected" else ""
            lines.append(f"  {question['text']}: {outcome['kind']}{winner}" + (f" ({counts})" if counts else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
