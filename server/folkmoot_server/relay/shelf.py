"""Files of papers on a relay's disk, each named by the SHA-256 of its content, before anybody asks for them.

A file that is not whole lies beside under its name with `.part`: what has come stays there over cuts and restarts,
and only a whole file whose hash is its name gets that name. After a power cut the end of a part may hold anything;
the hash tells, and the file is fetched again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from folkmoot_server.domain.papers import MEETING_SIZE_MAX, SIZE_MAX
from folkmoot_server.storage.paper_files import PaperFiles

FILE_MAX: Final = SIZE_MAX  # bytes of one file
ALL_MAX: Final = 2 * MEETING_SIZE_MAX  # bytes of all of them: a meeting's papers, and as much for their pages
PART: Final = ".part"


class Shelf:
    """The folder `papers` in a relay's data; its methods wait for the disk.

    Attributes:
        here: hashes of the files that are whole.
    """

    def __init__(self, data: Path) -> None:
        """Make the folder, readable by its owner only, and look what is there."""
        self._files = PaperFiles(data)
        names = {path.name for path in self._files.folder.iterdir()}
        self.here = {name for name in names if not name.endswith(PART)}

    def _part(self, sha256: str) -> Path:
        return self._files.path(sha256).with_suffix(PART)

    def begun(self, sha256: str) -> int:
        """Return how many bytes of an unfinished file are here."""
        try:
            return self._part(sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def has_room(self, size: int) -> bool:
        """Say whether a file of so many bytes may be kept beside all that is here."""
        used = sum(path.stat().st_size for path in self._files.folder.iterdir())
        return size <= FILE_MAX and used + size <= ALL_MAX

    def append(self, sha256: str, data: bytes) -> None:
        """Add bytes to an unfinished file."""
        with self._part(sha256).open("ab") as file:
            file.write(data)

    def finish(self, sha256: str) -> bool:
        """Give a whole file its name; a file with another hash is deleted, and False returned."""
        part = self._part(sha256)
        with part.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                part.unlink()
                return False
            os.fsync(file.fileno())
        part.rename(self._files.path(sha256))
        self.here.add(sha256)
        return True

    def read(self, sha256: str) -> bytes | None:
        """Return a whole file, None when it is not here; one that the disk has damaged is deleted."""
        if sha256 not in self.here:
            return None
        try:
            data = self._files.path(sha256).read_bytes()
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        self.here.discard(sha256)
        self._files.delete({sha256})
        return None

    def keep_only(self, wanted: Collection[str]) -> None:
        """Delete every other file, whole or not."""
        for path in self._files.folder.iterdir():
            if path.name.removesuffix(PART) not in wanted:
                self.here.discard(path.name)
                path.unlink(missing_ok=True)
