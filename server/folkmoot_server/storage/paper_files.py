"""The bytes of papers and pages: one folder, each file named by the SHA-256 of its content.

A file is written under a temporary name, synced, renamed, and only then named by a row; a row never names a file
that is not there. A crash between file and row leaves a file that no row names: `sweep` deletes it at the next
start. So does a crash between the end of a row and the end of its file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO, Final

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_INCOMING: Final = "incoming-"


class Incoming:
    """A file on its way in; `keep` or `drop` ends it."""

    def __init__(self, folder: Path) -> None:
        descriptor, name = tempfile.mkstemp(prefix=_INCOMING, dir=folder)
        self._file, self._path, self._folder = os.fdopen(descriptor, "r+b"), Path(name), folder
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def content(self, most: int = -1) -> bytes:
        """Return what was written so far, or its first `most` bytes."""
        self._file.seek(0)
        return self._file.read(most)

    def keep(self) -> str:
        """Put the file in its place, durable, and return its hash in hexadecimal."""
        name = self._hash.hexdigest()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.rename(self._path, self._folder / name)
        _sync(self._folder)
        return name

    def drop(self) -> None:
        """Forget the file; nothing happens once it is kept."""
        self._file.close()
        self._path.unlink(missing_ok=True)


class PaperFiles:
    """The folder `papers` of an installation's data."""

    def __init__(self, data: Path) -> None:
        """Make the folder, readable by its owner only."""
        self.folder = data / "papers"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def incoming(self) -> Incoming:
        """Begin a file."""
        return Incoming(self.folder)

    def path(self, sha256: str) -> Path:
        """Return where the file with this hash lies."""
        if not _NAME.fullmatch(sha256):
            raise ValueError(sha256)
        return self.folder / sha256

    def open(self, sha256: str) -> BinaryIO:
        """Open the file with this hash for reading.

        Raises:
            FileNotFoundError: it was deleted meanwhile.
        """
        return self.path(sha256).open("rb")

    def put(self, contents: Collection[bytes]) -> list[str]:
        """Store several files, durable together, and return their hashes."""
        names = []
        for content in contents:
            name = hashlib.sha256(content).hexdigest()
            names.append(name)
            if (self.folder / name).exists():
                continue
            incoming = self.incoming()
            incoming.write(content)
            incoming.keep()
        return names

    def delete(self, hashes: Collection[str]) -> None:
        """Delete files; the caller knows that no row names them."""
        for name in hashes:
            self.path(name).unlink(missing_ok=True)

    def sweep(self, known: Callable[[], Collection[str]]) -> int:
        """Delete what a crash left behind: unfinished files, and files that no row names; return how many."""
        kept, gone = known(), 0
        for path in self.folder.iterdir():
            left_over = path.name.startswith(_INCOMING) or (_NAME.fullmatch(path.name) and path.name not in kept)
            if left_over:
                path.unlink()
                gone += 1
        return gone


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot sync a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
