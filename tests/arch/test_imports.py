"""The import contracts of ``pyproject.toml`` hold, and a broken one is noticed."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("server/folkmoot_server", "media/folkmoot_media", "voting/folkmoot_voting", "config/folkmoot_config")
PURE = ("server/folkmoot_server/domain", "voting/folkmoot_voting", "media/folkmoot_media/forwarding")
# Why they are named: docs/adr/0006.
NOT_IMPORTED_YET = {"alembic", "av", "pyotp", "redis"}
# Which import names the distributions of the ``verify`` extra bring.
_IMPORT_NAMES = {name: name for name in ("cryptography", "cbor2", "rfc8785", "cffi", "pyrage")}


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


# For each contract, by the beginning of its name: a line that breaks it, and the module that it is added to.
BREACHES = [
    ("packages are layered", "media/folkmoot_media/__init__.py", "import folkmoot_voting"),
    ("packages are layered", "voting/folkmoot_voting/rules.py", "import folkmoot_server.domain.ids"),
    ("the server is layered", "server/folkmoot_server/commands/floor.py", "import folkmoot_server.web.errors"),
    ("the server is layered", "server/folkmoot_server/commands/floor.py", "import folkmoot_server.queries.board"),
    ("the server is layered", "server/folkmoot_server/storage/board.py", "import folkmoot_server.commands.rights"),
    ("the server is layered", "server/folkmoot_server/domain/roles.py", "import folkmoot_server.storage.schema"),
    ("the server is layered", "server/folkmoot_server/newcomer.py", '"""A module without a place."""'),
    ("the media worker is layered", "media/folkmoot_media/transport/mux.py", "import folkmoot_media.rooms"),
    ("pure cores import", "voting/folkmoot_voting/rules.py", "import asyncio"),
    ("pure cores import", "voting/folkmoot_voting/ballot.py", "import secrets"),
    ("pure cores import", "server/folkmoot_server/domain/__init__.py", "import time"),
    ("pure cores import", "media/folkmoot_media/forwarding/router.py", "import random"),
    ("use cases know", "server/folkmoot_server/commands/floor.py", "import aiohttp"),
    ("use cases know", "server/folkmoot_server/queries/board.py", "import folkmoot_config.settings"),
    ("a relay is layered", "server/folkmoot_server/relay/outbox_chain.py", "import folkmoot_server.relay.hub"),
    ("a relay is layered", "server/folkmoot_server/relay/rules.py", "import folkmoot_server.relay.node"),
    ("pure parts of a relay", "server/folkmoot_server/relay/link_state.py", "import time"),
    ("pure parts of a relay", "server/folkmoot_server/relay/nonces.py", "import secrets"),
    ("the renderer knows", "server/folkmoot_server/rendering/renderer.py", "import folkmoot_server.domain.papers"),
    ("papers are decoded", "server/folkmoot_server/web/paper_service.py", "import PIL"),
    ("papers are decoded", "server/folkmoot_server/storage/papers.py", "import folkmoot_server.rendering.renderer"),
    ("media transport and fan-out", "media/folkmoot_media/fan/python_backend.py", "import socket"),
    ("of the media worker", "server/folkmoot_server/sfu_client.py", "import folkmoot_media.worker"),
    ("aiortc is known", "media/folkmoot_media/transport/dtls.py", "import aiortc"),
]


@pytest.mark.parametrize(("contract", "module", "planted"), BREACHES)
def test_control_a_planted_import_breaks_its_contract(copy: Path, contract: str, module: str, planted: str) -> None:
    with (copy / module).open("a") as file:
        file.write(f"\n{planted}\n")
    done = lint(copy)
    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert [line for line in broken if line.startswith(contract)], done.stdout


def test_control_every_contract_has_a_breach() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    without = [one["name"] for one in contracts if not any(one["name"].startswith(row[0]) for row in BREACHES)]
    assert without == []


def clock_reads(source: str) -> list[str]:
    """Return calls that read a clock, a file or the system's randomness, which no import betrays."""
    calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls]
    return [
        name for name in names if name in {"now", "utcnow", "today", "open", "urandom", "uuid4", "print", "input"}
    ]


def test_pure_cores_read_no_clock_and_no_file() -> None:
    found = {
        str(path.relative_to(ROOT)): reads
        for core in PURE
        for path in (ROOT / core).rglob("*.py")
        if (reads := clock_reads(path.read_text()))
    }
    assert found.pop("voting/folkmoot_voting/cli.py", None) is not None  # the control: the tool that reads and prints
    assert found == {}


def imported(folder: Path) -> set[str]:
    """Return the top-level names that the code under a folder imports, the standard library left out."""
    used = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
                used.add(node.module.partition(".")[0])
    return used - set(sys.stdlib_module_names)


def named(requirements: list[str]) -> set[str]:
    """Return the distributions that a list of requirements names."""
    return {re.split(r"[=<>;\[ ]", line)[0].lower() for line in requirements}


def test_the_verifier_needs_only_what_its_extra_names() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["verify"]
    allowed = {_IMPORT_NAMES[name] for name in named(wanted)} | {"folkmoot_voting"}
    assert imported(ROOT / "voting") - allowed == set()


def test_what_is_imported_is_named_and_what_is_named_is_imported() -> None:
    dependencies = named(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    distributions = packages_distributions()
    ours = {Path(name).name for name in PACKAGES}
    foreign = {name for path in PACKAGES for name in imported(ROOT / path) - ours}
    used = {distributions[name][0].lower().replace("_", "-") for name in foreign}
    assert used - dependencies == set()
    assert dependencies - used == NOT_IMPORTED_YET
