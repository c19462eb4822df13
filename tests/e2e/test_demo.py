"""`folkmoot demo` holds a whole meeting over the real interfaces; `folkmoot-verify` judges what it wrote."""

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=110)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    done = run(BIN / "folkmoot", "demo", "--members", 12, "--tellers", 3, "--seed", 1, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert "Verdict: ok" in done.stdout
    return folder


# V23 to V28 and V32 to V34 want the annex.
ONLY_PUBLIC = [True] * 22 + [None] * 6 + [True] * 3 + [None] * 3


def test_the_bundle_verifies_with_and_without_the_annex(out: Path) -> None:
    done = run(BIN / "folkmoot-verify", out / "bundle.zip", "--annex", out / "annex.zip", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["verdict"]) == (0, "ok")
    assert [check["ok"] for check in report["checks"]] == [True] * 34
    assert [check["id"] for check in report["checks"]] == [f"V{number:02}" for number in range(1, 35)]
    alone = json.loads(run(BIN / "folkmoot-verify", out / "bundle.zip", "--json").stdout)
    assert [check["ok"] for check in alone["checks"]] == ONLY_PUBLIC


def test_a_changed_count_fails(out: Path, tmp_path: Path) -> None:
    """The control: one vote moved in the signed tally."""
    damaged = tmp_path / "damaged.zip"
    with zipfile.ZipFile(out / "bundle.zip") as source, zipfile.ZipFile(damaged, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("tally.json"):
                changed = data.replace(b'"cast":12', b'"cast":13')
                assert changed != data
                data = changed
            target.writestr(name, data)
    done = run(BIN / "folkmoot-verify", damaged, "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "failed")


def test_what_is_no_bundle_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_bytes(b"not a zip")
    done = run(BIN / "folkmoot-verify", tmp_path / "no.zip", "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (2, "unreadable")


def test_the_attendance_list_names_everyone_once(out: Path) -> None:
    with (out / "attendance.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 12
    assert len({line["member_code"] for line in lines}) == 12
    assert all(line["events"] for line in lines)


def test_too_few_members_are_refused_in_words(tmp_path: Path) -> None:
    done = run(BIN / "folkmoot", "demo", "--members", 3, "--out", tmp_path)
    assert done.returncode == 2
    assert "5 to 1000 members" in done.stderr


def test_a_system_that_opens_too_few_files_is_told_in_words(tmp_path: Path) -> None:
    command = f"ulimit -n 512; exec {BIN / 'folkmoot'} demo --members 100 --out {tmp_path / 'out'}"
    done = run("bash", "-c", command)
    assert done.returncode == 2
    assert "512 files, which is enough for 78 members" in done.stderr
    assert not (tmp_path / "out").exists()
