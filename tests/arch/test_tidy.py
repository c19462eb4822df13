"""House rules that a reader relies on: sizes, docstrings, words, and no trace of where we built it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FUNCTION = 70
LONGEST_MODULE = 500
SOURCE_FOLDERS = ("server", "media", "voting", "config", "tools", "tests", "loadtests")
_BINARY = {".png", ".ico", ".woff2", ".zip", ".gz", ".br", ".wasm", ".bin"}

# Spelled in pieces, so that this file does not find itself.
BANNED = re.compile(
    "|".join(
        [
            r"\bTO" + r"DO\b",
            r"\bFIX" + r"ME\b",
            r"\bX" + r"XX\b",
            "as an " + "AI",
            "as a language " + "model",
            "co-authored" + "-by",
            "generated " + "with",
        ]
    ),
    re.IGNORECASE,
)
BUILT_HERE = re.compile(
    "|".join(
        [
            r"registry\." + r"npmjs\.org",
            r"\bpypi\." + r"org",
            r"pythonhosted\." + r"org",
            r"deb\." + r"debian\.org",
            r"--(?:extra-)?index" + r"-url",
            '"resol' + 'ved":',
            "/opt/" + "(?:pypi|wheels)",
            "/wo" + "rk/",
            r"/ro" + r"ot/",
        ]
    )
)


def tracked_files() -> list[Path]:
    """Return every file that is committed (in an unpacked sdist: every file there is)."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode == 0:
        return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and "node_modules" not in path.parts]


def python_files() -> list[Path]:
    """Return our Python sources."""
    return [
        path
        for path in tracked_files()
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in (*SOURCE_FOLDERS, path.name)
    ]


def matches(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Return ``path:line: text`` for each line that matches."""
    found = []
    for path in paths:
        if path.suffix in _BINARY:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [
            f"{path.name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
            for match in pattern.finditer(text)
        ]
    return found


def long_functions(tree: ast.Module, limit: int) -> Iterator[str]:
    """Yield ``name (lines)`` for each function longer than the limit, its docstring not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            if lines > limit:
                yield f"{node.name} ({lines} lines)"


def test_no_module_is_too_long() -> None:
    clients = [path for path in tracked_files() if path.suffix in {".ts", ".tsx"} and ".gen." not in path.name]
    sizes = {path: len(path.read_text().splitlines()) for path in [*python_files(), *clients]}
    assert [f"{path.relative_to(ROOT)}: {n}" for path, n in sizes.items() if n > LONGEST_MODULE] == []


def test_no_function_is_too_long() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in python_files()
        for line in long_functions(ast.parse(path.read_text()), LONGEST_FUNCTION)
    ]
    assert found == []


def test_control_a_long_function_is_noticed() -> None:
    body = "\n".join("    x = 1" for _ in range(LONGEST_FUNCTION))
    tree = ast.parse(f'async def slow():\n    """Say."""\n{body}\n')
    assert list(long_functions(tree, LONGEST_FUNCTION)) == [f"slow ({LONGEST_FUNCTION + 1} lines)"]


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_no_banned_word() -> None:
    assert matches(BANNED, tracked_files()) == []


def test_nothing_says_where_it_was_built() -> None:
    assert matches(BUILT_HERE, tracked_files()) == []


@pytest.mark.parametrize(
    ("pattern", "planted"),
    [
        (BANNED, "# to" + "do: later"),
        (BANNED, "As an " + "AI I cannot"),
        (BUILT_HERE, "https://registry.npm" + "js.org/vite"),
        (BUILT_HERE, '"resol' + 'ved": "x"'),
    ],
)
def test_control_planted_words_are_found(tmp_path: Path, pattern: re.Pattern[str], planted: str) -> None:
    file = tmp_path / "planted.md"
    file.write_text(f"fine\n{planted}\n")
    assert [line.partition(" ")[0] for line in matches(pattern, [file])] == ["planted.md:2:"]


def test_locks_carry_hashes_and_no_addresses() -> None:
    for path in sorted(ROOT.glob("requirements*.lock")):
        text = path.read_text()
        pins = re.findall(r"^[a-z0-9._-]+==\S+", text, re.MULTILINE)
        assert len(pins) > 1, path.name
        assert "://" not in text, path.name
        for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
            assert "--hash=sha256:" in block, f"{path.name}: {block.splitlines()[0]}"
