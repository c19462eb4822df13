"""Compiles the optional C libraries into their packages, and knows when that is not needed.

Only the standard library is used: the build hook, ``run.py`` and a person at a prompt
(``python tools/native_build.py [--sanitize]``) all come through here. A machine without a C compiler
gets no libraries, and Folkmoot falls back to slower code; nothing here ever fails an installation.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STAMPS = Path("build/native")
SANITIZED = Path("build/sanitized")
FLAGS = (
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wconversion",
    "-fvisibility=hidden",
    "-fstack-protector-strong",
)
OPTIMISED = ("-O2", "-DNDEBUG")
SANITIZERS = ("-g", "-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_COMPILERS = ("cc", "gcc", "clang")
_ERROR_LINES = 25
_TIMEOUT = 300

Say = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """One C library; paths are relative to the root of the source tree.

    `headers` are only watched for changes. `harness` is a program for the sanitizers, compiled together with
    the sources. `libraries` go to the linker as they are (``-ldl``).
    """

    name: str
    sources: tuple[str, ...]
    output: str
    headers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    harness: tuple[str, ...] = ()


_FAN = "media/folkmoot_media/fan/native"
_VOTING = "voting/folkmoot_voting/native"

TARGETS: tuple[Target, ...] = (
    Target(
        name="multiexp",
        sources=(f"{_VOTING}/multiexp.c", f"{_VOTING}/ballots.c"),
        headers=(
            *(f"{_VOTING}/{one}.h" for one in ("field25519", "multiexp", "multiply", "ristretto255")),
            *(f"{_VOTING}/{one}.h" for one in ("roots_ifma", "scalar25519")),
            "tests/voting/native_fuzz_ballots.h",
        ),
        output="voting/folkmoot_voting/_multiexp.so",
        flags=("-O3",),
        harness=("tests/voting/native_fuzz.c",),
        libraries=("-ldl",),
    ),
    Target(
        name="fan",
        sources=tuple(f"{_FAN}/{name}.c" for name in ("address", "table", "receive", "express", "again", "send")),
        headers=(f"{_FAN}/fan.h",),
        output=f"{_FAN}/libfolkmoot_fan.so",
        libraries=("-ldl",),
        harness=("tests/media/native_fuzz.c",),
    ),
)


def find_compiler() -> str | None:
    """Return the C compiler: ``$CC`` when set, else the first of cc, gcc and clang that is there, else None."""
    named = os.environ.get("CC")
    if named:
        return shutil.which(named)
    return next((found for name in _COMPILERS if (found := shutil.which(name))), None)


def digest(root: Path, target: Target, flags: tuple[str, ...] = OPTIMISED, more: tuple[str, ...] = ()) -> str:
    """Return the SHA-256 of everything that the compiled library depends on; `more` are further files."""
    hashed = hashlib.sha256(repr((target, FLAGS, flags, platform.machine(), platform.system())).encode())
    for name in (*target.sources, *target.headers, *more):
        path = root / name
        content = path.read_bytes() if path.is_file() else b""
        hashed.update(f"{name}\0{len(content)}\0".encode() + content)
    return hashed.hexdigest()


def is_fresh(root: Path, target: Target) -> bool:
    """Say whether the compiled library matches its sources (or came without them, in a finished package)."""
    output = root / target.output
    if not output.is_file():
        return False
    if not all((root / name).is_file() for name in target.sources):
        return True
    stamp = root / STAMPS / f"{target.name}.digest"
    return stamp.is_file() and stamp.read_text() == digest(root, target)


def build(root: Path, say: Say) -> list[Path]:
    """Compile every library whose sources have changed; return those that are there, fresh, afterwards.

    A library that cannot be compiled is said and left out; an older build of it is removed, because it would
    not fit the code that loads it.
    """
    present = []
    for target in TARGETS:
        output = root / target.output
        if is_fresh(root, target) or _build_one(root, target, say):
            present.append(output)
        else:
            output.unlink(missing_ok=True)
    return present


def _build_one(root: Path, target: Target, say: Say) -> bool:
    """Compile one library into its package; say whether that went well."""
    compiler = find_compiler()
    if compiler is None:
        say(f"no C compiler here: going on without the compiled part '{target.name}', which is only faster")
        return False
    say(f"compiling the optional part '{target.name}'")
    flags = (*FLAGS, *OPTIMISED, *target.flags, "-fPIC", "-shared")
    sources = [str(root / name) for name in target.sources]
    problem = compile_to(root / target.output, [compiler, *flags, *sources], target.libraries)
    if problem:
        say(f"cannot compile '{target.name}'; going on without it:\n{problem}")
        return False
    stamp = root / STAMPS / f"{target.name}.digest"
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest(root, target))
    return True


def compile_to(output: Path, command: list[str], libraries: tuple[str, ...] = ()) -> str:
    """Run a compiler that writes `output`, which appears only when it is complete.

    Returns:
        What the compiler said when it failed, else an empty string.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".compiling-") as folder:
        made = Path(folder) / output.name
        try:
            done = subprocess.run(
                [*command, "-o", str(made), *libraries],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=_TIMEOUT,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode != 0:
            return "\n".join(done.stdout.strip().splitlines()[:_ERROR_LINES]) or f"exit code {done.returncode}"
        # A running process keeps the file that it has mapped; the next one finds the new file.
        made.replace(output)
    return ""


def build_sanitized(root: Path, say: Say, names: tuple[str, ...] = ()) -> list[Path]:
    """Compile libraries and harnesses with the address and undefined-behaviour sanitizers.

    Args:
        root: of the source tree.
        say: called with every progress line.
        names: of the targets; all of them when empty.

    Returns:
        ``build/sanitized/NAME.so`` of every target and ``build/sanitized/NAME_harness`` of those that have one.

    Raises:
        RuntimeError: there is no compiler, or it failed; the message has its words.
    """
    compiler = find_compiler()
    if compiler is None:
        raise RuntimeError("no C compiler found; install gcc or clang, or set CC")
    made = []
    for target in (target for target in TARGETS if not names or target.name in names):
        for output, extra in _sanitized_outputs(root, target):
            stamp = output.with_suffix(".digest")
            wanted = digest(root, target, (compiler, *SANITIZERS), target.harness)
            if not (output.is_file() and stamp.is_file() and stamp.read_text() == wanted):
                say(f"compiling {output.name} with sanitizers")
                sources = [str(root / name) for name in target.sources]
                problem = compile_to(
                    output, [compiler, *FLAGS, *SANITIZERS, *target.flags, *extra, *sources], target.libraries
                )
                if problem:
                    raise RuntimeError(f"cannot compile {output.name}:\n{problem}")
                stamp.write_text(wanted)
            made.append(output)
    return made


def _sanitized_outputs(root: Path, target: Target) -> list[tuple[Path, list[str]]]:
    """Return what is compiled of a target with sanitizers: each file with the flags of its own."""
    folder = root / SANITIZED
    outputs = [(folder / f"{target.name}.so", ["-fPIC", "-shared"])]
    if target.harness:
        outputs.append((folder / f"{target.name}_harness", [str(root / name) for name in target.harness]))
    return outputs


def main(arguments: list[str] | None = None) -> int:
    """Compile from the command line; return 1 when something that was asked for is missing afterwards."""
    parser = argparse.ArgumentParser(prog="native_build.py", description="Compile Folkmoot's optional C libraries.")
    parser.add_argument("--sanitize", action="store_true", help="compile with sanitizers, into build/sanitized")
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parent.parent
    try:
        made = (build_sanitized if options.sanitize else build)(root, lambda line: print(line, flush=True))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in made:
        print(path.relative_to(root))
    return 0 if len(made) >= len(TARGETS) else 1


if __name__ == "__main__":
    sys.exit(main())
