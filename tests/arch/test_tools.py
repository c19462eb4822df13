"""Set-up and checks keep their word: nothing passes silently, nothing is built twice, errors are one line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tools import checks, house, web_build

ROOT = Path(__file__).resolve().parents[2]


def run_py(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``run.py`` as a person would."""
    return subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--cert", "x.pem"], {}, "error: --cert and --key belong together; give both or neither"),
        (["test", "--only", "nonsense"], {}, "error: no such step: nonsense; steps are ruff,"),
        (["test", "--only", "ruff"], {"CHROME_BIN": "/nowhere"}, "error: CHROME_BIN is /nowhere,"),
    ],
)
def test_misuse_is_said_in_one_line(arguments: list[str], environment: dict[str, str], said: str) -> None:
    done = run_py(*arguments, **environment)
    assert done.returncode == 2
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_a_taken_port_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_py("--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen on" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_piece_stops_unless_something_stands_in(capsys: pytest.CaptureFixture[str]) -> None:
    absent = house.Piece("Thing", "thing-package", lambda: False)
    replaced = house.Piece("Other", "other-package", lambda: False, "using paper")
    with pytest.raises(house.HouseError, match=r"Thing \(package thing-package\).*--install-system"):
        house.require_system([absent], install=False)
    house.require_system([replaced], install=False)
    assert "no Other here (package other-package): using paper" in capsys.readouterr().out


def step_for(tmp_path: Path, body: str, *arguments: str) -> checks.Step:
    """Return a pytest step over one test file of its own, already run."""
    (tmp_path / "test_it.py").write_text(body)
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *arguments]
    step = checks.Step("pytest", command, tmp_path, ROOT / "no-node", report)
    checks.run_step(step, lenient=False)
    return step


def test_passed_and_failed_are_counted(tmp_path: Path) -> None:
    step = step_for(tmp_path, "def test_a(): pass\ndef test_b(): assert False\ndef test_c(): pass\n")
    assert (step.passed, step.failed, step.skipped) == (2, 1, 0)
    assert checks.summary([step], 1.0) == 1


def test_a_skipped_test_counts_as_failed(tmp_path: Path) -> None:
    step = step_for(tmp_path, "import pytest\n@pytest.mark.skip\ndef test_a(): pass\ndef test_b(): pass\n")
    assert (step.passed, step.failed) == (1, 1)


UNSTEADY = """
from pathlib import Path
def test_a():
    been = Path(__file__).with_name("been")
    if not been.exists():
        been.touch()
        assert False
"""


@pytest.mark.parametrize(
    ("body", "passed", "failed", "named"),
    [
        (UNSTEADY, 1, 0, True),
        ("def test_a(): assert False\ndef test_b(): pass\n", 1, 1, False),
        (UNSTEADY + "".join(f"def test_b{n}(): assert False\n" for n in range(3)), 0, 4, False),
    ],
    ids=["unsteady", "broken", "too-many"],
)
def test_few_failures_are_tried_again_and_named(
    tmp_path: Path, body: str, passed: int, failed: int, named: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    step = step_for(tmp_path, body)
    checks.try_again(step)
    assert (step.passed, step.failed) == (passed, failed)
    assert checks.summary([step], 1.0) == (1 if failed else 0)
    assert ("UNSTEADY, passed only when tried again: test_it::test_a" in capsys.readouterr().out) is named


SIDE_BY_SIDE = """
import time
from pathlib import Path
def test_a():
    here = Path(__file__).parent
    (here / NAME).touch()
    end = time.monotonic() + 60
    while time.monotonic() < end and len(list(here.glob("was-*"))) < 3:
        time.sleep(0.05)
    assert len(list(here.glob("was-*"))) == 3
"""


def test_rows_run_side_by_side_and_all_of_them_are_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps = []
    for number in range(3):
        file = tmp_path / f"test_{number}.py"
        file.write_text(SIDE_BY_SIDE.replace("NAME", repr(f"was-{number}")))
        report = tmp_path / f"{number}.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", str(file)]
        step = checks.Step(f"row-{number}", command, tmp_path, ROOT / "no-node", report)
        step.beside = tmp_path / f"{number}.txt"
        steps.append(step)
    checks.run_steps(steps, lenient=False)
    assert checks.summary(steps, 1.0) == 0
    said = capfd.readouterr().out
    assert [f"== row-{number}" in said for number in range(3)] == [True] * 3
    assert said.count("1 passed in") == 3


def test_no_test_at_all_counts_as_failed(tmp_path: Path) -> None:
    assert step_for(tmp_path, "").failed == 1


def test_the_last_line_is_the_totals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = step_for(tmp_path, "def test_a(): pass\n")
    assert checks.summary([step], 1.0) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


def test_pages_are_stale_when_a_source_changes(tmp_path: Path) -> None:
    source = tmp_path / "web_client" / "src"
    source.mkdir(parents=True)
    (tmp_path / "web_client" / "package.json").write_text("{}")
    (source / "main.tsx").write_text("1")
    dist = tmp_path / web_build.DIST
    dist.mkdir(parents=True)
    assert not web_build.is_fresh(tmp_path)
    (dist / ".source-digest").write_text(web_build.source_digest(tmp_path))
    assert web_build.is_fresh(tmp_path)
    (tmp_path / "web_client" / "node_modules").mkdir()
    (tmp_path / "web_client" / "node_modules" / "other.js").write_text("not ours")
    assert web_build.is_fresh(tmp_path)
    (source / "main.tsx").write_text("2")
    assert not web_build.is_fresh(tmp_path)
