"""What a server and a relay have in common before anything large is loaded: limits, folders, the refusal to start."""

from __future__ import annotations

import hashlib
import os
import resource
import tempfile
from pathlib import Path

from folkmoot_server.domain.errors import FolkmootError

SHUTDOWN_S = 5.0
HANDSHAKE_S = 10.0
BACKLOG = 512
FILES_MAX = 65_536
LINGER_S = 1.0  # for the rest of a body that was refused; the library's 10 s would add to our own 10 s
SOCKET_PATH_MAX = 80  # a Unix socket's path holds 107 bytes, its file name needs the rest


class StartError(FolkmootError):
    """The installation cannot start with these settings; the message says what to change."""


def raise_file_limit() -> None:
    """Allow this process as many open connections as the system lets it; the usual 1,024 are a hall of 500."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_dir(data: Path) -> Path:
    """Return where workers' control sockets live: beside the data, or in /tmp when that path is too long for one.

    Raises:
        StartError: the folder there is somebody else's.
    """
    folder = (data / "run").resolve()
    if len(os.fsencode(folder)) > SOCKET_PATH_MAX:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"folkmoot-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise StartError("start.run-folder", f"{folder} belongs to somebody else; remove it or set TMPDIR.")
    return folder
