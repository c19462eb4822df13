"""Compiling the optional C libraries: only when needed, and never in the way of an installation."""

import ctypes
from pathlib import Path

import pytest
from tools import native_build
from tools.native_build import Target

GOOD = '#include "answer.h"\n__attribute__((visibility("default"))) int answer(void) { return ANSWER; }\n'
TARGET = Target(
    "answer", ("native/answer.c",), "package/answer.so", headers=("native/answer.h",), harness=("native/main.c",)
)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "native").mkdir()
    (tmp_path / "package").mkdir()
    (tmp_path / "native/answer.c").write_text(GOOD)
    (tmp_path / "native/answer.h").write_text("#define ANSWER 42\n")
    (tmp_path / "native/main.c").write_text("int answer(void);\nint main(void) { return answer() != 42; }\n")
    monkeypatch.setattr(native_build, "TARGETS", (TARGET,))
    return tmp_path


def build(tree: Path) -> tuple[list[Path], list[str]]:
    said: list[str] = []
    return native_build.build(tree, said.append), said


def answer(tree: Path) -> int:
    # A copy under another name, because the dynamic linker remembers what it has loaded.
    copy = tree / f"copy-{len(list(tree.iterdir()))}.so"
    copy.write_bytes((tree / TARGET.output).read_bytes())
    return int(ctypes.CDLL(str(copy)).answer())


def test_a_library_is_compiled_once_and_again_when_a_source_or_header_changes(tree: Path) -> None:
    made, said = build(tree)
    assert made == [tree / TARGET.output]
    assert said == ["compiling the optional part 'answer'"]
    assert answer(tree) == 42
    assert build(tree) == (made, [])
    (tree / "native/answer.h").write_text("#define ANSWER 43\n")
    assert build(tree) == (made, said)
    assert answer(tree) == 43
    (tree / "native/main.c").write_text("changed\n")
    assert build(tree) == (made, [])
    assert [path.name for path in (tree / "package").iterdir()] == ["answer.so"]


def test_without_a_compiler_everything_else_goes_on(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    made, said = build(tree)
    assert made == []
    assert said == ["no C compiler here: going on without the compiled part 'answer', which is only faster"]
    with pytest.raises(RuntimeError, match="no C compiler"):
        native_build.build_sanitized(tree, said.append)


def test_a_library_that_no_longer_fits_its_sources_is_removed_when_it_cannot_be_compiled(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tree)
    (tree / "native/answer.c").write_text(GOOD + "int broken(void) { return\n")
    made, said = build(tree)
    assert made == []
    assert said[1].startswith("cannot compile 'answer'; going on without it:\n")
    assert not (tree / TARGET.output).exists()
    (tree / "native/answer.c").write_text(GOOD)
    assert build(tree)[0] == [tree / TARGET.output]
    (tree / "native/answer.c").write_text(GOOD + "\n")
    monkeypatch.setenv("CC", "no-such-compiler")
    assert build(tree)[0] == []
    assert not (tree / TARGET.output).exists()


def test_a_finished_package_without_sources_keeps_its_library(tree: Path) -> None:
    made, _ = build(tree)
    (tree / "native/answer.c").unlink()
    assert build(tree) == (made, [])


def test_sanitized_builds_lie_apart_and_a_harness_is_a_program(tree: Path) -> None:
    said: list[str] = []
    made = native_build.build_sanitized(tree, said.append)
    assert [path.relative_to(tree).as_posix() for path in made] == [
        "build/sanitized/answer.so",
        "build/sanitized/answer_harness",
    ]
    assert len(said) == 2
    assert native_build.build_sanitized(tree, said.append) == made
    assert len(said) == 2
    assert native_build.build_sanitized(tree, said.append, ("other",)) == []
    assert not (tree / TARGET.output).exists()


def test_every_target_of_the_tree_has_its_sources_and_an_ignored_output() -> None:
    root = Path(native_build.__file__).resolve().parent.parent
    assert "fan" in {target.name for target in native_build.TARGETS}
    for target in native_build.TARGETS:
        assert all((root / name).is_file() for name in (*target.sources, *target.headers, *target.harness))
        assert target.output.endswith(".so")
