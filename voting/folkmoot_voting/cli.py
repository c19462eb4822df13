"""`folkmoot-verify`: check a bundle offline and say what was found."""

from __future__ import annotations

import argparse
import gc
import json
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import BinaryIO

from . import cli_files, report
from .errors import BundleUnreadable
from .verifier.archive import MAX_ZIP
from .verify import Progress, Report, Verified, unreadable, verify_bundle

DESCRIPTION = """Check the record of a meeting's votes, offline.

Reads bundle.zip (and the annex, which auditors hold) and runs the numbered checks V01 to V34 of
docs/spec/voting.md. No network is used; nothing is written but what --report and --state name."""

EPILOG = """examples:
  folkmoot-verify bundle.zip
      every ballot, proof, count and outcome; anyone can do this
  folkmoot-verify bundle.zip --annex annex.age --identity my-key.txt --report report.html
      for auditors: also who stands behind the ballots, and a report to print
  folkmoot-verify bundle.zip --strict
      without the optional compiled library and without batches: slower, the same answer
  folkmoot-verify bundle.zip --state seen.json
      again on a longer record of the same meeting: what was proved before is not proved again

exit status:
  0  ok: every check that could be run passed
  1  failed: at least one check failed
  2  unreadable: not a zip, a file is missing, a limit is exceeded, or no identity opens the annex

Without --annex the checks V23 to V28 and V32 to V34 are not run, and that is said: the ballots and counts are
then checked, but not that each ballot belongs to a member on the registrar's roll."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return the exit status."""
    # What is imported stays, and a record makes no cycles: looking for them would take a tenth of a short run.
    gc.freeze()
    gc.set_threshold(100_000)
    options = _parser().parse_args(arguments)
    with ExitStack() as opened:
        try:
            known = _read_state(options.state)
            bundle = opened.enter_context(options.bundle.open("rb"))
            annex = _open_annex(options, opened)
            found = verify_bundle(bundle, annex, strict=options.strict, known=known, progress=_progress())
        except BundleUnreadable as error:
            known, found = {}, _refused(error.detail)
        except OSError as error:
            known, found = {}, _refused(f"{error.filename}: {error.strerror}")
        return _tell(options, found, known)


def _tell(options: argparse.Namespace, found: Report, known: Mapping[bytes, Verified]) -> int:
    try:
        if options.report is not None:
            options.report.write_text(report.to_html(found), encoding="utf-8")
        if options.state is not None and found.verdict != "unreadable":
            _write_state(options.state, cli_files.state_text(known, found.verified))
    except OSError as error:
        print(f"folkmoot-verify: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(found.to_json(), ensure_ascii=False, indent=1))
    else:
        print(report.to_text(found))
    return found.exit_code


def _refused(detail: str) -> Report:
    print(f"folkmoot-verify: {detail}", file=sys.stderr)
    return unreadable(BundleUnreadable(detail))


def _open_annex(options: argparse.Namespace, opened: ExitStack) -> BinaryIO | bytes | None:
    """Return annex.zip as a file, or its bytes when it comes as an age file; raises OSError, BundleUnreadable."""
    if options.annex is None:
        return None
    file: BinaryIO = opened.enter_context(options.annex.open("rb"))
    head = file.read(cli_files.AGE_HEAD)
    file.seek(0)
    if not cli_files.is_age(head):
        return file
    identities = [one for path in options.identity for one in _read_identities(path)]
    return cli_files.decrypt(file.read(2 * MAX_ZIP), identities)


def _read_identities(path: pathlib.Path) -> list[str]:
    with path.open("rb") as file:
        return cli_files.read_identities(file.read(cli_files.MAX_IDENTITY), path.name)


def _read_state(path: pathlib.Path | None) -> dict[bytes, Verified]:
    if path is None or not path.exists():
        return {}
    with path.open("rb") as file:
        return cli_files.read_state(file.read(cli_files.MAX_STATE + 1), path.name)


def _write_state(path: pathlib.Path, text: str) -> None:
    """Write all of it or nothing; raises OSError."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="folkmoot-verify",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    path = pathlib.Path
    parser.add_argument("bundle", type=path, metavar="BUNDLE", help="bundle.zip of the meeting")
    parser.add_argument(
        "--annex", type=path, metavar="FILE", help="annex.zip or annex.age: also check who stands behind the ballots"
    )
    parser.add_argument(
        "--identity",
        type=path,
        metavar="KEYFILE",
        action="append",
        default=[],
        help="an auditor's age identity that opens annex.age; may be given several times",
    )
    parser.add_argument("--strict", action="store_true", help="check each equation alone through libsodium")
    parser.add_argument("--json", action="store_true", help="print verdict, checks and results as JSON")
    parser.add_argument("--report", type=path, metavar="FILE.html", help="write a report to read and print")
    parser.add_argument(
        "--state", type=path, metavar="FILE", help="remember what was proved, and do not prove it again"
    )
    return parser


def _progress() -> Callable[[Progress], None] | None:
    """Return what tells a person at a terminal how far a long board is; None when nobody watches."""
    if not sys.stderr.isatty():
        return None
    words = {"read": "entries read", "check": "ballots checked"}

    def tell(now: Progress) -> None:
        if now.done >= 2000:
            print(f"\r{now.election}: {now.done} {words[now.stage]} ", end="", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
