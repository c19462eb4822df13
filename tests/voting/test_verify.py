"""The offline verifier: a good record passes, every spoiled one fails at its own check."""

from __future__ import annotations

import io
import json
import pathlib
import zipfile
from collections.abc import Callable

import pytest
from tests.voting.mutations import MUTATIONS
from tests.voting.scenario import small_meeting
from tests.voting.spoiling import GOOD, Record

from folkmoot_voting import bundle, cli
from folkmoot_voting.verify import TITLES, verify_bundle


def failing(record: Record) -> list[str]:
    report = verify_bundle(*record)
    assert report.verdict == "failed"
    return [check.id for check in report.checks if check.ok is False]


def test_a_good_record_passes_every_check() -> None:
    report = verify_bundle(*GOOD)
    assert [check.detail for check in report.checks if check.ok is not True] == []
    assert (report.verdict, report.exit_code) == ("ok", 0)
    assert [check.id for check in report.checks] == list(TITLES)


def test_three_elections_pass_together() -> None:
    meeting = small_meeting()
    report = verify_bundle(bundle.write_bundle(meeting.bundle()), bundle.write_annex(meeting.annex()))
    assert report.verdict == "ok"


def test_without_the_annex_its_checks_are_null() -> None:
    report = verify_bundle(GOOD[0])
    assert report.verdict == "ok"
    assert [check.id for check in report.checks if check.ok is None] == [f"V{n}" for n in range(23, 29)]


@pytest.mark.parametrize(("mutate", "expected"), [case[1:] for case in MUTATIONS], ids=[m[0] for m in MUTATIONS])
def test_each_mutation_fails_first_at_its_own_check(mutate: Callable[[], Record], expected: str) -> None:
    assert failing(mutate())[0] == expected


def test_every_check_has_a_mutation() -> None:
    assert {expected for _, _, expected in MUTATIONS} == set(TITLES)


def test_annex_of_another_meeting_is_noticed() -> None:
    other = small_meeting()
    assert failing((GOOD[0], bundle.write_annex(other.annex())))[0] in ("V09", "V23")


def spoiled_zips() -> dict[str, bytes]:
    files = bundle.unpack(GOOD[0])
    doubled = io.BytesIO()
    with zipfile.ZipFile(doubled, "w") as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("README.txt", b"again")
    lzma = io.BytesIO()
    with zipfile.ZipFile(lzma, "w", zipfile.ZIP_LZMA) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    long_line = {**files, "elections/vote-1/board.jsonl": b"[" * (bundle.MAX_LINE + 1) + b"\n"}
    return {
        "empty": b"",
        "not a zip": b"hello" * 100,
        "cut": GOOD[0][:-30],
        "missing file": bundle.pack({name: raw for name, raw in files.items() if name != "roll.json"}),
        "missing board": bundle.pack({k: v for k, v in files.items() if not k.endswith(".jsonl")}),
        "doubled name": doubled.getvalue(),
        "other compression": lzma.getvalue(),
        "long line": bundle.pack(long_line),
        "too many files": bundle.pack({str(n): b"" for n in range(bundle.MAX_FILES + 1)}),
        "bomb": bundle.pack({"README.txt": bytes(1 << 20)} | {f"{n}": bytes(1 << 26) for n in range(16)}),
    }


def test_unreadable_zips_say_so() -> None:
    for name, raw in spoiled_zips().items():
        report = verify_bundle(raw)
        assert (report.verdict, report.exit_code) == ("unreadable", 2), name
        assert all(check.ok is None for check in report.checks)


def test_unreadable_annex_says_so() -> None:
    assert verify_bundle(GOOD[0], b"nothing").verdict == "unreadable"
    assert verify_bundle(GOOD[0], bundle.pack({"other.json": b"{}"})).verdict == "unreadable"


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "bundle.zip").write_bytes(GOOD[0])
    (tmp_path / "annex.zip").write_bytes(GOOD[1])
    (tmp_path / "bad.zip").write_bytes(MUTATIONS[0][1]()[0])
    return tmp_path


def test_command_prints_json(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(folder / "bundle.zip"), "--annex", str(folder / "annex.zip"), "--json", "--strict"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "ok"
    assert report["checks"][0] == {"id": "V01", "ok": True, "title": TITLES["V01"]}
    assert len(report["checks"]) == 28


def test_command_says_what_was_decided(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(folder / "bundle.zip")]) == 0
    out = capsys.readouterr().out
    assert "OK: 22 checks passed, 6 not checked" in out
    assert "Carry?: rejected (yes 2, no 2, abstain 1)" in out


def test_command_says_what_failed(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(folder / "bad.zip")]) == 1
    out = capsys.readouterr().out
    assert "FAIL  V01" in out
    assert "FAILED: 0 checks passed, 27 not checked" in out


def test_command_without_a_file(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(folder / "none.zip"), "--json"]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["verdict"] == "unreadable"
    assert "none.zip" in printed.err
