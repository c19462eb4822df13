"""A long libFuzzer run of the compiled library behind `multiexp`, under the sanitizers, against libsodium.

    python -m tests.voting.native_fuzz [--seconds 600] [--corpus FOLDER]

Needs clang. Prints libFuzzer's own words; ends with an error as soon as one input shows a disagreement, a byte
read too far or undefined behaviour, and then leaves that input in the folder of the corpus.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools import native_build

from folkmoot_voting.sodium import SODIUM

ROOT = Path(__file__).resolve().parents[2]
TARGET = next(target for target in native_build.TARGETS if target.name == "multiexp")
SODIUM_NAME: str = SODIUM._name
LONGEST_INPUT = 1 << 14


def compile_harness(root: Path, output: Path, compiler: str, flags: tuple[str, ...]) -> None:
    """Compile library and harness from the tree at `root` into one program; raises RuntimeError."""
    sources = [str(root / name) for name in (*TARGET.harness, *TARGET.sources)]
    problem = native_build.compile_to(output, [compiler, *native_build.FLAGS, *flags, *sources], TARGET.libraries)
    if problem:
        raise RuntimeError(f"cannot compile the harness:\n{problem}")


def main(arguments: list[str]) -> int:
    """Fuzz for a while; return libFuzzer's exit code (0: nothing found)."""
    parser = argparse.ArgumentParser(prog="native_fuzz", description="Fuzz the compiled part of folkmoot_voting.")
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: 600)")
    parser.add_argument("--corpus", type=Path, help="folder of inputs to begin with and to add to")
    options = parser.parse_args(arguments)
    clang = shutil.which("clang")
    if clang is None:
        print("error: libFuzzer comes with clang, which is not here", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "native_fuzz"
        flags = (
            "-g",
            "-O1",
            "-DFOLKMOOT_LIBFUZZER",
            "-fsanitize=fuzzer,address,undefined",
            "-fno-sanitize-recover=all",
        )
        compile_harness(ROOT, program, clang, flags)
        corpus = options.corpus or Path(folder) / "corpus"
        corpus.mkdir(parents=True, exist_ok=True)
        limits = [f"-max_total_time={options.seconds}", f"-max_len={LONGEST_INPUT}", "-len_control=0"]
        return subprocess.run(
            [program, *limits, "-print_final_stats=1", f"-artifact_prefix={corpus}/", corpus],
            env={**os.environ, "FOLKMOOT_SODIUM": SODIUM_NAME},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
