"""The command line: help for everything, plain errors, nothing destroyed by mistake."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from folkmoot_config.settings import Settings
from folkmoot_server import app

FOLKMOOT = Path(sys.executable).parent / "folkmoot"


def run(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FOLKMOOT, *map(str, words)], capture_output=True, text=True, timeout=60, cwd=folder)


@pytest.mark.parametrize("command", ["serve", "init", "demo", "export"])
def test_every_command_has_help(command: str, tmp_path: Path) -> None:
    assert command in run("--help", folder=tmp_path).stdout
    done = run(command, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "--" in done.stdout


def test_an_organisation_of_ones_own_is_founded_once(tmp_path: Path) -> None:
    words = ("init", "--name", "Club", "--secretary", "Ada", "--chair", "Bo", "--public-url", "https://club.example")
    assert "ready" in run(*words, folder=tmp_path).stdout
    key = (tmp_path / "data" / "server.key").read_bytes()
    assert (tmp_path / "data" / "server.key").stat().st_mode & 0o077 == 0
    assert (tmp_path / "data" / "folkmoot.db").stat().st_mode & 0o077 == 0
    again = run(*words, folder=tmp_path)
    assert again.returncode == 1
    assert "already holds an organisation" in again.stderr
    assert (tmp_path / "data" / "server.key").read_bytes() == key


def test_another_host_name_is_refused(tmp_path: Path) -> None:
    words = ("init", "--name", "Club", "--secretary", "Ada", "--chair", "Bo", "--public-url", "https://club.example")
    run(*words, folder=tmp_path)
    done = run("serve", "--public-url", "https://other.example", "--port", "0", folder=tmp_path)
    assert done.returncode == 1
    assert "belong to club.example" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("serve", "--public-url", "http://meet.example"), "only to https"),
        (("serve", "--public-url", "https://meet.example/path"), "without a path"),
        (("serve", "--cert", "cert.pem"), "cert and key belong together"),
        (("serve", "--reset"), "works only together with --demo"),
        (("export", "--meeting", "m", "--out", "o"), "holds no organisation"),
    ],
)
def test_bad_words_are_refused_in_one_line(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    done = run(*words, folder=tmp_path)
    assert done.returncode in {1, 2}
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_reset_spares_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    precious = tmp_path / "data" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("words")
    done = run("serve", "--demo", "--reset", folder=tmp_path)
    assert done.returncode == 1
    assert "nothing was deleted" in done.stderr
    assert precious.read_text() == "words"


def test_a_damaged_database_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "folkmoot.db").write_bytes(b"this is not a database" * 1000)
    done = run("serve", "--port", "0", folder=tmp_path)
    assert done.returncode == 1
    assert "the database in the data folder cannot be used: file is not a database" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_disk_without_room_is_told_in_one_line(tmp_path: Path) -> None:
    """No file may grow beyond 8 KiB, which SQLite meets as on a full disk."""
    words = [FOLKMOOT, "init", "--name", "Club", "--secretary", "Ada", "--chair", "Bo"]
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    limited = f"import os, resource, sys; {limit}; os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", limited, *map(str, words)], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


async def test_a_lost_or_foreign_server_key_is_refused(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", port=0, media_workers=1)

    async def start_once() -> None:
        database = app.open_database(settings)
        try:
            await (await app.start(settings, database)).stop()
        finally:
            database.close()

    await start_once()
    await start_once()  # the control: the same key again
    own = (tmp_path / "data" / "server.key").read_bytes()
    for wrong in (None, bytes(32)):
        if wrong is None:
            (tmp_path / "data" / "server.key").unlink()
        else:
            (tmp_path / "data" / "server.key").write_bytes(wrong)
        with pytest.raises(app.StartError, match="not the one"):
            await start_once()
    (tmp_path / "data" / "server.key").write_bytes(own)
    await start_once()


def test_a_run_folder_laid_by_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    data = tmp_path / ("x" * 100)
    data.mkdir()
    made = app.run_dir(data)
    assert (made.parent, made.stat().st_mode & 0o777) == (tmp_path, 0o700)
    made.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made.symlink_to(elsewhere)
    with pytest.raises(app.StartError, match="somebody else"):
        app.run_dir(data)
