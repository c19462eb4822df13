"""``docs/spec/errors.md`` names every code that the code can raise, and is exactly what its tool writes."""

import re
from pathlib import Path

from tools import gen_error_docs

ROOT = Path(__file__).resolve().parents[2]


def test_regenerating_gives_the_same_bytes() -> None:
    up_to_date = gen_error_docs.TARGET.read_text() == gen_error_docs.render()
    assert up_to_date, "run: python tools/gen_error_docs.py"


def test_every_code_of_a_class_is_listed() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", gen_error_docs.TARGET.read_text(), re.MULTILINE))
    spelled = set()
    for folder, _ in gen_error_docs.PACKAGES:
        for path in (ROOT / folder).rglob("*.py"):
            spelled |= set(re.findall(r'^\s+code(?:: \S+)? = "([^"]+)"', path.read_text(), re.MULTILINE))
    assert spelled
    assert spelled - listed == set()


def test_control_every_way_to_spell_a_code_is_found(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(
        "class Planted(FolkmootError):\n"
        '    """A first sentence."""\n'
        '    code = "planted.class"\n'
        'def f(n):\n    raise Planted("planted.call", f"It was {n}.")\n'
        'def g(n):\n    raise Planted("planted.one" if n else "planted.two", "Either.")\n'
        'h(n, "planted.helper", "Something is wrong.")\n'
        'other(code="planted.keyword")\n'
    )
    found = gen_error_docs.entries(tmp_path, {"FolkmootError", "Planted"})
    assert {(entry.code, entry.sentence) for entry in found} == {
        ("planted.class", "A first sentence."),
        ("planted.call", "It was …."),
        ("planted.one", "Either."),
        ("planted.two", "Either."),
        ("planted.helper", "Something is wrong."),
        ("planted.keyword", ""),
    }
