"""Writes the lock files from ``pyproject.toml``; run it after changing a dependency.

Needs ``uv`` on PATH or beside this interpreter. The files carry hashes and no index address,
so plain ``pip install --require-hashes -r`` installs them from whatever index is configured.
"""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_COMMON = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--quiet"]
_LOCKS = {
    "requirements.lock": ["--group", "build"],
    "requirements-test.lock": ["--group", "build", "--extra", "test", "-c", "requirements.lock"],
}


def _uv() -> str:
    """Return the path of uv, or leave with a sentence."""
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        sys.exit("error: uv is needed to write lock files: pip install uv")
    return found


def main() -> None:
    """Write every lock file, keeping versions that still fit unless ``--upgrade`` is given."""
    extra = [argument for argument in sys.argv[1:] if argument.startswith("--upgrade")]
    for name, options in _LOCKS.items():
        command = [_uv(), "pip", "compile", "pyproject.toml", *_COMMON, *options, *extra, "-o", name]
        subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.DEVNULL)
        print(f"wrote {name}")
    verify = _ROOT / "requirements-verify.lock"
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    wanted = "\n".join(project["optional-dependencies"]["verify"]).encode()
    command = [_uv(), "pip", "compile", "-", *_COMMON, "-c", "requirements.lock", "-o", verify.name]
    subprocess.run(command, cwd=_ROOT, input=wanted, check=True, stdout=subprocess.DEVNULL)
    print(f"wrote {verify.name}")


if __name__ == "__main__":
    main()
