"""Writes ``docs/spec/errors.md``: every error code that the code can raise, found in its syntax trees.

A code enters the list as a class attribute (``code = "voting.ballot-bytes"``), as the first
argument of an error class (``WrongState("meeting.not-open", "...")``), as a ``code=`` argument, or
right before its sentence in a call or a table.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "spec" / "errors.md"
PACKAGES = (
    ("server/folkmoot_server", "Server"),
    ("media/folkmoot_media", "Media worker"),
    ("voting/folkmoot_voting", "Voting"),
    ("config/folkmoot_config", "Configuration"),
)
_CODE = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)+")
_HEAD = """# Error codes

Every code that Folkmoot can answer or raise. A code never changes its meaning; its sentence may be
reworded. `…` stands for a value. Written by `python tools/gen_error_docs.py`; do not edit.
"""


@dataclass(frozen=True, order=True)
class Entry:
    """One code at one place: which error class carries it, and its sentence."""

    code: str
    kind: str
    sentence: str


def _trees(folder: Path) -> Iterator[ast.Module]:
    """Yield the syntax tree of every module under a folder."""
    for path in sorted(folder.rglob("*.py")):
        yield ast.parse(path.read_text(), str(path))


def _code(node: ast.AST | None) -> str | None:
    """Return the code that an expression spells, or None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
        return node.value
    return None


def _sentence(node: ast.expr | None) -> str:
    """Return the text of a literal or f-string, with ``…`` for each value; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_sentence(part) or "…" for part in node.values)
    return ""


def _class_name(node: ast.expr) -> str:
    """Return the last name of ``a.b.Name``, or an empty string."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def error_classes() -> set[str]:
    """Return the names of all our exception classes, found by following their bases."""
    bases: dict[str, list[str]] = {}
    for folder, _ in PACKAGES:
        for tree in _trees(ROOT / folder):
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    bases[node.name] = [_class_name(base) for base in node.bases]
    found = {"Exception"}
    while more := {name for name, parents in bases.items() if found & set(parents)} - found:
        found |= more
    return found - {"Exception"}


def _in_class(node: ast.ClassDef) -> Iterator[Entry]:
    """Yield the code that a class declares for itself."""
    for statement in node.body:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if not any(_class_name(target) == "code" for target in targets):
            continue
        code = _code(getattr(statement, "value", None))
        if code:
            summary = (ast.get_docstring(node) or "").split("\n\n")[0]
            yield Entry(code, node.name, " ".join(summary.split()))


def _in_call(node: ast.Call, errors: set[str]) -> Iterator[Entry]:
    """Yield the codes that a call hands to an error class, or to anything as ``code=``."""
    kind = _class_name(node.func)
    named = {word.arg: word.value for word in node.keywords}
    holders = [named["code"]] if "code" in named else []
    if kind in errors:
        holders += node.args[:1]
    codes = {code for holder in holders for part in ast.walk(holder) if (code := _code(part))}
    texts = [_sentence(part) for part in [*node.args, *named.values()] if _code(part) is None]
    sentence = next((text for text in texts if text), "")
    for code in codes:
        yield Entry(code, kind if kind in errors else "", sentence)


def _in_row(items: list[ast.expr]) -> Iterator[Entry]:
    """Yield codes that stand right before their sentence, in a helper's arguments or a table's row."""
    for first, second in pairwise(items):
        code, sentence = _code(first), _sentence(second)
        if code and " " in sentence and sentence.endswith("."):
            yield Entry(code, "", sentence)


def entries(folder: Path, errors: set[str]) -> set[Entry]:
    """Return every code under a folder with its class and sentence."""
    found: set[Entry] = set()
    for tree in _trees(folder):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found |= set(_in_class(node))
            elif isinstance(node, ast.Call):
                found |= set(_in_call(node, errors)) or set(_in_row(node.args))
            elif isinstance(node, ast.Tuple):
                found |= set(_in_row(node.elts))
    return found


def render() -> str:
    """Return the whole document."""
    errors = error_classes()
    lines = [_HEAD]
    for folder, title in PACKAGES:
        by_code: dict[str, list[Entry]] = defaultdict(list)
        for entry in sorted(entries(ROOT / folder, errors)):
            by_code[entry.code].append(entry)
        if not by_code:
            continue
        lines += [f"## {title}", "", "| code | class | sentence |", "| --- | --- | --- |"]
        for code, found in by_code.items():
            kinds = ", ".join(sorted({entry.kind for entry in found if entry.kind}))
            sentences = " / ".join(sorted({entry.sentence for entry in found if entry.sentence}))
            lines.append(f"| `{code}` | {kinds} | {sentences.replace('|', '&#124;')} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Write the document; with ``--check`` only say whether it is up to date."""
    text = render()
    if "--check" in sys.argv[1:]:
        return 0 if TARGET.is_file() and TARGET.read_text() == text else 1
    TARGET.write_text(text)
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
