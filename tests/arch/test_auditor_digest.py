"""The auditor's page publishes what it is made of; anybody can compute the same digest again."""

import hashlib
import shutil
from pathlib import Path

import pytest
from tools import web_build

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / web_build.DIST


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """The pages must be built from the sources as they are."""
    assert web_build.is_fresh(ROOT), "the pages are not built from these sources: python tools/web_build.py"


def published(dist: Path) -> tuple[dict[str, str], str]:
    """Return the digests of files by name, and the one over them all."""
    lines = (dist / web_build.AUDITOR_DIGEST).read_text().splitlines()
    digests = {name: digest for digest, name in (line.split("  ") for line in lines)}
    whole = digests.pop("auditor.html-and-all-it-loads")
    return digests, whole


def test_it_is_the_digest_of_the_built_files() -> None:
    digests, whole = published(DIST)
    own = {name: hashlib.sha256((DIST / name).read_bytes()).hexdigest() for name in digests}
    assert own == digests
    lines = "".join(f"{own[name]}  {name}\n" for name in sorted(own))
    assert hashlib.sha256(lines.encode()).hexdigest() == whole


def test_it_names_all_that_the_page_may_load() -> None:
    digests, _ = published(DIST)
    names = list(digests)
    assert "auditor.html" in names
    for beginning in ("assets/auditor-", "assets/verifier.worker-", "assets/batch.worker-"):
        assert [name for name in names if name.startswith(beginning) and name.endswith(".js")], beginning
    # Whatever script of the build a listed one mentions is listed, too, however it is quoted.
    text = "".join((DIST / name).read_text() for name in names)
    mentioned = {f"assets/{path.name}" for path in (DIST / "assets").glob("*.js") if path.name in text}
    assert mentioned <= set(names)


def test_control_another_script_gives_another_digest(tmp_path: Path) -> None:
    copy = tmp_path / "dist"
    shutil.copytree(DIST, copy)
    digests, _ = published(copy)
    worker = next(name for name in digests if name.startswith("assets/batch.worker-"))
    (copy / worker).write_text((copy / worker).read_text() + " ")
    assert web_build.page_digest(copy, "auditor.html") != (DIST / web_build.AUDITOR_DIGEST).read_text()
    assert web_build.page_digest(DIST, "auditor.html") == (DIST / web_build.AUDITOR_DIGEST).read_text()
