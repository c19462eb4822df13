"""`folkmoot-verify` as it is called: files, identities, state, reports, exit codes."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pyrage
import pytest
from tests.voting.mutations import MUTATIONS
from tests.voting.spoiling import GOOD, full

from folkmoot_voting import cli
from folkmoot_voting.verify import TITLES, Progress


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "bundle.zip").write_bytes(full()[0])
    (tmp_path / "annex.zip").write_bytes(full()[1])
    (tmp_path / "bad.zip").write_bytes(MUTATIONS[0][1]()[0])
    return tmp_path


@pytest.fixture
def identities(folder: pathlib.Path) -> list[str]:
    """Two key files; annex.age is for the first, annex.asc the same in letters."""
    made = [pyrage.x25519.Identity.generate() for _ in range(2)]
    for number, one in enumerate(made):
        (folder / f"key{number}.txt").write_text(f"# created: today\n\n{one}\n")
    recipient = [made[0].to_public()]
    (folder / "annex.age").write_bytes(pyrage.encrypt(full()[1], recipient))
    (folder / "annex.asc").write_bytes(pyrage.encrypt(full()[1], recipient, armored=True))
    return [str(folder / f"key{number}.txt") for number in range(2)]


def run(*arguments: str | pathlib.Path) -> int:
    return cli.main([str(one) for one in arguments])


def test_it_prints_json(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder / "bundle.zip", "--annex", folder / "annex.zip", "--json", "--strict") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "ok"
    assert report["checks"][0] == {"id": "V01", "ok": True, "title": TITLES["V01"]}
    assert [one["election"] for one in report["elections"]] == ["all-types", "tie", "again", "roll-call", "open"]


def test_it_says_what_was_decided(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder / "bundle.zip") == 0
    out = capsys.readouterr().out
    assert "OK: 25 checks passed, 9 not checked" in out
    assert "Thông qua ngân sách?: Rejected (Yes 3, No 6, Abstain 4)" in out
    assert "Sell the hall?: Carried by the chair's casting vote (Yes 2, No 2, Abstain 3)" in out
    assert "A wrong share of teller 3 was refused" in out


def test_it_says_what_failed(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder / "bad.zip") == 1
    out = capsys.readouterr().out
    assert "FAIL  V01" in out
    assert "FAILED: 0 checks passed, 33 not checked" in out


@pytest.mark.parametrize("missing", ["bundle", "annex", "identity", "folder"])
def test_files_that_are_not_there(
    folder: pathlib.Path, identities: list[str], capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    arguments = {
        "bundle": [folder / "none.zip"],
        "annex": [folder / "bundle.zip", "--annex", folder / "none.zip"],
        "identity": [folder / "bundle.zip", "--annex", folder / "annex.age", "--identity", folder / "none.zip"],
        "folder": [folder],
    }[missing]
    assert run(*arguments, "--json") == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["verdict"] == "unreadable"
    assert ("none.zip" if missing != "folder" else str(folder)) in printed.err


@pytest.mark.parametrize("name", ["annex.age", "annex.asc"])
@pytest.mark.parametrize(("keys", "status"), [([0], 0), ([1, 0], 0), ([1], 2), ([], 2)])
def test_an_encrypted_annex(
    folder: pathlib.Path, identities: list[str], name: str, keys: list[int], status: int
) -> None:
    given = [one for key in keys for one in ("--identity", identities[key])]
    assert run(folder / "bundle.zip", "--annex", folder / name, *given) == status


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "holds no age identity"), (b"# nothing\n", "holds no age identity"), (b"hello\n", "X25519 identity")],
)
def test_a_key_file_that_holds_no_key(
    folder: pathlib.Path, identities: list[str], capsys: pytest.CaptureFixture[str], content: bytes, words: str
) -> None:
    (folder / "odd.txt").write_bytes(content)
    assert run(folder / "bundle.zip", "--annex", folder / "annex.age", "--identity", folder / "odd.txt") == 2
    assert words in capsys.readouterr().err


def test_a_damaged_age_file(folder: pathlib.Path, identities: list[str]) -> None:
    raw = (folder / "annex.age").read_bytes()
    other = b"y" if raw[300:301] == b"x" else b"x"
    for cut in (raw[:-100], raw[:30], raw[:300] + other + raw[301:]):
        (folder / "annex.age").write_bytes(cut)
        assert run(folder / "bundle.zip", "--annex", folder / "annex.age", "--identity", identities[0]) == 2


def test_without_pyrage_it_says_so(
    folder: pathlib.Path, identities: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyrage", None)
    assert run(folder / "bundle.zip", "--annex", folder / "annex.age", "--identity", identities[0]) == 2
    assert "pyrage" in capsys.readouterr().err
    assert run(folder / "bundle.zip", "--annex", folder / "annex.zip") == 0


def test_state_is_kept_and_added_to(folder: pathlib.Path) -> None:
    state = folder / "seen.json"
    assert run(folder / "bundle.zip", "--state", state) == 0
    first = json.loads(state.read_text())
    assert len(first["boards"]) == 5
    (folder / "other.zip").write_bytes(GOOD[0])
    assert run(folder / "other.zip", "--state", state) == 0
    assert len(json.loads(state.read_text())["boards"]) == 6
    assert run(folder / "bad.zip", "--state", state) == 1
    assert len(json.loads(state.read_text())["boards"]) == 6
    assert sorted(one.name for one in folder.glob("seen*")) == ["seen.json"]


def test_a_state_that_is_something_else_is_left_alone(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = folder / "seen.json"
    state.write_text('{"v":2}\n')
    assert run(folder / "bundle.zip", "--state", state) == 2
    assert "no state file" in capsys.readouterr().err
    assert state.read_text() == '{"v":2}\n'


def test_a_report_is_written_for_every_verdict(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, status, words in (
        ("bundle.zip", 0, "Everything that could be checked is right"),
        ("bad.zip", 1, "This record is not right"),
        ("none.zip", 2, "This record cannot be read"),
    ):
        path = folder / f"{name}.html"
        assert run(folder / name, "--report", path) == status
        assert words in path.read_text(encoding="utf-8")
    assert run(folder / "bundle.zip", "--report", folder / "no" / "such.html") == 2
    assert "such.html" in capsys.readouterr().err


def test_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert "exit status:" in out
    assert "--identity" in out


def test_progress_is_told_to_people_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli._progress() is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    tell = cli._progress()
    assert tell is not None
    tell(Progress("vote-1", "read", 1000))
    tell(Progress("vote-1", "check", 5000))
    assert capsys.readouterr().err == "\rvote-1: 5000 ballots checked "


def test_the_installed_command(folder: pathlib.Path) -> None:
    command = [sys.executable, "-m", "folkmoot_voting.cli", str(folder / "bundle.zip"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["verdict"] == "ok"
