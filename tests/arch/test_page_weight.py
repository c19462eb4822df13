"""What a page loads before it can be used stays small enough for a slow phone on a slow link."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from tools import web_build

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / web_build.DIST
KILOBYTE = 1000
# Compressed with gzip, as sent: page, scripts, styles.
BUDGETS = [("index.html", 60, 10), ("booth.html", 45, 10), ("auditor.html", 45, 10)]
# Scripts that a page starts by itself, by the beginning of their names: the booth's cryptography is a worker.
WORKERS = {"booth.html": ["ballot.worker-"]}
CHUNKS = [("room_media-", 85)]
CATALOGUES = sorted(path.stem for path in (ROOT / "web_client" / "src" / "i18n").glob("*.json"))
CATALOGUE_KB = 12
SHELL_KB = 240  # fetched once in the background, most of it from the browser's own cache
LARGEST_DIST = 1775 * KILOBYTE  # 200 of them open age files, on the auditor's page alone and when asked


def loaded_at_once(page: str) -> set[str]:
    """Return the assets that a page's head names: its script, what that imports, its styles."""
    return set(re.findall(r'(?:src|href)="/(assets/[^"]+\.(?:js|css))"', page))


def sent_bytes(path: Path) -> int:
    """Return the size as sent: the ``.gz`` beside a file, or the file itself when too small for one."""
    packed = path.with_name(path.name + ".gz")
    return (packed if packed.is_file() else path).stat().st_size


def chunk(beginning: str) -> Path:
    """Return the one script whose name begins so."""
    (found,) = (DIST / "assets").glob(f"{beginning}*.js")
    return found


def with_imports(script: Path) -> set[Path]:
    """Return a script and all that it imports before it can run."""
    found, waiting = set(), [script]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            imported = re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', one.read_text())
            waiting += [one.parent / name for name in imported]
    return found


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """The pages must be built from the sources as they are."""
    assert web_build.is_fresh(ROOT), "the pages are not built from these sources: python tools/web_build.py"


@pytest.mark.parametrize(("name", "script_kb", "style_kb"), BUDGETS, ids=[row[0] for row in BUDGETS])
def test_first_load(name: str, script_kb: int, style_kb: int) -> None:
    assets = loaded_at_once((DIST / name).read_text())
    scripts = sum(sent_bytes(DIST / asset) for asset in assets if asset.endswith(".js"))
    styles = sum(sent_bytes(DIST / asset) for asset in assets if asset.endswith(".css"))
    assert scripts > 0
    for beginning in WORKERS.get(name, []):
        scripts += sum(sent_bytes(script) for script in with_imports(chunk(beginning)))
    assert (scripts <= script_kb * KILOBYTE, styles <= style_kb * KILOBYTE) == (True, True), (scripts, styles)


@pytest.mark.parametrize(("beginning", "script_kb"), [*CHUNKS, *((f"{name}-", CATALOGUE_KB) for name in CATALOGUES)])
def test_chunks_that_come_later(beginning: str, script_kb: int) -> None:
    sent = sum(sent_bytes(script) for script in (DIST / "assets").glob(f"{beginning}*.js"))
    assert 0 < sent <= script_kb * KILOBYTE


def test_the_whole_of_it() -> None:
    files = [path for path in DIST.rglob("*") if path.is_file() and path.suffix not in {".gz", ".br"}]
    assert sum(path.stat().st_size for path in files) <= LARGEST_DIST


def shell() -> dict[str, str]:
    """Return the files that the application's worker keeps, path to SHA-256 in base64."""
    head = (DIST / "sw.js").read_text().splitlines()[0]
    files: dict[str, str] = json.loads(head.removeprefix("const FOLKMOOT_SHELL = ").removesuffix(";"))["files"]
    return files


def test_the_worker_keeps_what_it_pins_and_no_more_than_it_needs() -> None:
    files = shell()
    for path, digest in files.items():
        content = (DIST / (path.removeprefix("/") or "index.html")).read_bytes()
        assert base64.b64encode(hashlib.sha256(content).digest()).decode() == digest, path
    assert set(web_build.page_files(DIST, "booth.html")) <= {path.removeprefix("/") for path in files}
    assert {f"/{asset}" for asset in loaded_at_once((DIST / "index.html").read_text())} <= files.keys()
    assert [path for path in files if re.search("auditor|verifier|room_media|prepare", path)] == []
    sent = sum(sent_bytes(DIST / (path.removeprefix("/") or "index.html")) for path in files)
    assert 0 < sent <= SHELL_KB * KILOBYTE


def test_the_worker_is_one_script_that_starts_nothing_else() -> None:
    script = (DIST / "sw.js").read_text()
    assert re.findall(r"\b(?:import|export)\b|importScripts|eval\(", script.split("\n", 1)[1]) == []
    assert sent_bytes(DIST / "sw.js") <= 10 * KILOBYTE


def test_every_page_pins_what_it_loads() -> None:
    for name, _, _ in BUDGETS:
        page = (DIST / name).read_text()
        tags = re.findall(r"<(?:script|link)\b[^>]*/assets/[^>]*>", page)
        assert tags
        assert [tag for tag in tags if "integrity=" not in tag] == []


def test_control_a_heavy_script_is_counted() -> None:
    page = '<script src="/assets/a.js"></script><link rel="modulepreload" href="/assets/b.js"><img src="/icon.svg">'
    assert loaded_at_once(page) == {"assets/a.js", "assets/b.js"}
