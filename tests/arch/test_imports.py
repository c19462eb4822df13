"""The import contracts of ``pyproject.toml`` hold, and a broken one is noticed."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("server/folkmoot_server", "media/folkmoot_media", "voting/folkmoot_voting", "config/folkmoot_config")
# Which import names the distributions of the ``verify`` extra bring.
_IMPORT_NAMES = {"cryptography": "cryptography", "cbor2": "cbor2", "rfc8785": "rfc8785", "cffi": "cffi"}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the packages as they stand in ``folder``."""
    paths = os.pathsep.join(str(folder / name.partition("/")[0]) for name in PACKAGES)
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of our packages that a test may spoil."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "web_dist"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("voting/folkmoot_voting/__init__.py", "import asyncio\n"),
        ("media/folkmoot_media/__init__.py", "import folkmoot_voting\n"),
        ("server/folkmoot_server/domain/__init__.py", "import time\n"),
    ],
)
def test_control_a_planted_import_breaks_a_contract(copy: Path, module: str, planted: str) -> None:
    with (copy / module).open("a") as file:
        file.write("\n" + planted)
    done = lint(copy)
    assert done.returncode != 0
    assert "BROKEN" in done.stdout


def test_the_verifier_needs_only_what_its_extra_names() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["verify"]
    allowed = {_IMPORT_NAMES[line.partition(">")[0].partition("=")[0]] for line in wanted} | {"folkmoot_voting"}
    used = set()
    for path in (ROOT / "voting").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                used.add(node.module.partition(".")[0])
    assert used - set(sys.stdlib_module_names) - allowed == set()
