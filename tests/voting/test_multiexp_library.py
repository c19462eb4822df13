"""The compiled library behind `multiexp`: when it is used, and what the sanitizers and planted faults say."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.voting.multiexp_support import COMPILER, bring_up_to_date, compare_on_seeded_inputs
from tests.voting.native_fuzz import ROOT, SODIUM_NAME, TARGET, compile_harness
from tools import native_build

from folkmoot_voting import group, multiexp, multiexp_backends
from folkmoot_voting.errors import GroupError


@pytest.fixture(autouse=True)
def _library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOLKMOOT_NO_NATIVE", raising=False)
    bring_up_to_date()


def test_the_library_is_used_where_there_is_a_compiler() -> None:
    there = multiexp_backends.LIBRARY.is_file()
    assert there or COMPILER is None
    assert multiexp.available() == there
    assert multiexp.backend_name() == ("native" if there else "libsodium")
    assert multiexp.backend_name(native=False) == "libsodium"
    assert multiexp.decode(group.BASE).backend == multiexp.backend_name()
    assert multiexp.decode(group.BASE, native=False).backend == "libsodium"


def test_the_environment_switches_the_library_off(monkeypatch: pytest.MonkeyPatch) -> None:
    there = multiexp_backends.LIBRARY.is_file()
    for value, off in (("1", True), ("yes", True), ("", False), ("0", False)):
        monkeypatch.setenv("FOLKMOOT_NO_NATIVE", value)
        assert multiexp.available() == (there and not off)
        assert multiexp.decode(group.BASE).backend == ("native" if there and not off else "libsodium")


def test_a_library_that_is_missing_or_another_is_passed_over(tmp_path: Path) -> None:
    text = tmp_path / "text.so"
    text.write_text("not a library")
    for path in (tmp_path / "nowhere.so", text, Path(SODIUM_NAME)):
        assert multiexp_backends.load(path) is None


def planted(tmp_path: Path, file: str, good: str, bad: str) -> Path:
    """Copy the sources and plant a fault; return the root of the copy."""
    root = tmp_path / hashlib.sha256(bad.encode()).hexdigest()
    for name in (*TARGET.sources, *TARGET.headers, *TARGET.harness):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    path = root / "voting/folkmoot_voting/native" / file
    text = path.read_text()
    assert text.count(good) == 1, good
    path.write_text(text.replace(good, bad))
    return root


def compiled(root: Path, output: Path) -> Path:
    assert COMPILER is not None
    sources = [str(root / name) for name in TARGET.sources]
    command = [COMPILER, *native_build.FLAGS, "-O0", "-fPIC", "-shared", *sources]
    assert native_build.compile_to(output, command) == ""
    return output


def test_a_library_of_another_version_or_that_computes_wrongly_is_passed_over(tmp_path: Path) -> None:
    if COMPILER is None:
        assert multiexp.backend_name() == "libsodium"
        return
    assert multiexp_backends.load(compiled(ROOT, tmp_path / "good.so")) is not None
    faults = [
        ("multiexp.h", "#define FM_VERSION 2u", "#define FM_VERSION 1u"),
        ("field25519.h", "FE_D = {{0x34dca135978a3", "FE_D = {{0x34dca135978a4"),
        ("field25519.h", "h4 >> 51);\n", "h4 >> 52);\n"),
    ]
    for number, fault in enumerate(faults):
        output = compiled(planted(tmp_path, *fault), tmp_path / f"{number}.so")
        assert multiexp_backends.load(output) is None, fault


# Under the sanitizers

INPUTS = 800
FAULTS = [
    # A second encoding of every point.
    ("ristretto255.h", "(s[0] & 1) || top >> 63", "(s[0] & 1)"),
    # An encoding of p and more.
    ("ristretto255.h", "return !(all_ones && load64(s) >= UINT64_MAX - 18)", "return !all_ones || s[0]"),
    # A root of -1/w taken for one of 1/w.
    ("ristretto255.h", "if (is_square) fe_mul(&root", "if (0) fe_mul(&root"),
    # Hints that are believed.
    ("ristretto255.h", "is_square = fe_is_one(&t);", "is_square = 1;"),
    # The group order as a scalar.
    (
        "scalar25519.h",
        "return k->v[i] < SCALAR_ORDER[i];\n    }\n    return 0;",
        "return k->v[i] < SCALAR_ORDER[i];\n    }\n    return 1;",
    ),
    # A digit too few for the longest scalars.
    ("multiexp.c", "(scalar_length + 2 + bits - 1) / bits", "(scalar_length + bits - 1) / bits - 1"),
    # Scalars of ballots that are not canonical.
    ("ballots.c", "good &= scalar_is_canonical(&k);", "good &= scalar_is_canonical(&k) | 1;"),
    # The identity in a ballot.
    ("ballots.c", "|| is_zero(w->encodings[i])", ""),
    # A remainder that is one order too great.
    ("scalar25519.h", "i < 2; i++) {\n        uint64_t less[5];", "i < 0; i++) {\n        uint64_t less[5];"),
    # A carry that is lost.
    ("scalar25519.h", "+ sum->v[i + j] + carry;", "+ sum->v[i + j] + (carry & ~UINT64_C(1));"),
    # The values of branches forgotten, and factors of constraints.
    ("ballots.c", "wide_add_product(&sum->on_base, valued, 3, &c);", "(void)valued;"),
    ("ballots.c", "factor = one.terms[2 * j + 1];", "factor = one.terms[2 * j + 1] & 1;"),
    # A cell that does not exist, which only the sanitizer sees.
    ("ballots.c", "if (layout[at + 3 + 2 * i] >= s->cells) return 0;", "if (layout[at + 3 + 2 * i] >= 64) return 0;"),
    # A column outside its row, which only the sanitizer sees.
    ("multiexp.c", "if (offsets[i] >= stride) return", "if (offsets[i] > stride) return"),
]


def harness(program: Path, seed: int, inputs: int) -> subprocess.CompletedProcess[str]:
    command = [str(program), SODIUM_NAME, str(seed), str(inputs)]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=100)


def test_seeded_inputs_under_the_sanitizers(tmp_path: Path) -> None:
    if COMPILER is None:
        compare_on_seeded_inputs(11, 100)
        return
    program = tmp_path / "harness"
    compile_harness(ROOT, program, COMPILER, native_build.SANITIZERS)
    done = harness(program, 11, INPUTS)
    assert done.returncode == 0, done.stderr
    counts = dict(part.split("=") for part in done.stdout.split())
    assert int(counts["inputs"]) == INPUTS
    assert min(int(counts[name]) for name in ("bad", "sums", "identities", "ballots", "spoiled")) > INPUTS // 20
    assert min(int(counts[name]) for name in ("held", "refused")) > INPUTS // 40


@pytest.mark.parametrize("fault", FAULTS, ids=[good[:24].strip() for _, good, _ in FAULTS])
def test_planted_faults_are_found(tmp_path: Path, fault: tuple[str, str, str]) -> None:
    if COMPILER is None:
        compare_on_seeded_inputs(12, 20)
        return
    program = tmp_path / "harness"
    only_seen = any(word in fault[1] for word in ("stride", "layout[at"))
    flags = native_build.SANITIZERS if only_seen else ("-O1",)
    compile_harness(planted(tmp_path, *fault), program, COMPILER, flags)
    done = harness(program, 11, 5 * INPUTS)
    assert done.returncode != 0
    assert "disagreement: " in done.stderr or "AddressSanitizer" in done.stderr


def test_the_face_agrees_on_seeded_inputs() -> None:
    compare_on_seeded_inputs(13, 150)


def test_a_refusal_of_the_library_that_the_face_did_not_expect_is_an_error() -> None:
    native = multiexp_backends.load(multiexp_backends.LIBRARY)
    if native is None:
        assert multiexp.backend_name() == "libsodium"
        return
    with pytest.raises(GroupError, match="answered -1"):
        native.encode(memoryview(bytearray(121))[1:])
    with pytest.raises(GroupError, match="answered -1"):
        native.sums_begin(0)
