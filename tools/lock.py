"""Writes the lock files of ``pyproject.toml`` and ``web_client/package.json``.

Run it after changing a dependency. Needs ``uv`` and ``npm``. The files carry hashes and no
address of any index or registry, so that they install from whatever is configured.
"""

import json
import shutil
import subprocess
import sys
import tempfile
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
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    _lock_alone("requirements-verify.lock", project["project"]["optional-dependencies"]["verify"])
    _lock_alone("requirements-sodium.lock", project["dependency-groups"]["sodium"])
    _lock_alone("requirements-foreign.lock", project["dependency-groups"]["foreign"], "--no-deps")
    for folder in ("web_client", "tools/chromium"):
        _lock_npm(_ROOT / folder)
        print(f"wrote {folder}/package-lock.json")


def _lock_alone(name: str, wanted: list[str], *options: str) -> None:
    """Lock a few requirements by themselves, at the versions of ``requirements.lock`` where it has them."""
    command = [_uv(), "pip", "compile", "-", *_COMMON, *options, "-c", "requirements.lock", "-o", name]
    lines = "\n".join(wanted).encode()
    subprocess.run(command, cwd=_ROOT, input=lines, check=True, stdout=subprocess.DEVNULL)
    print(f"wrote {name}")


def _lock_npm(client: Path) -> None:
    """Resolve a package.json afresh; keep integrity, drop where each came from."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(client / "package.json", folder)
        command = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
        subprocess.run([*command, "--loglevel=error"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        lock = json.loads((Path(folder) / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    for name, package in packages.items():
        package.pop("resolved", None)
        if "integrity" not in package:
            sys.exit(f"error: {name} has no integrity value")
        for wanted in package.get("optionalDependencies", {}):
            if f"node_modules/{wanted}" not in packages:
                sys.exit(f"error: {name} wants {wanted}, which the registry does not have")
    (client / "package-lock.json").write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
