"""Zips that must be refused before anything in them is believed, and some that are only unusual."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from collections.abc import Mapping
from functools import cache

from tests.voting.spoiling import BOARD, GOOD

from folkmoot_voting import bundle


def written(
    files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, extra: str = "", comment: bytes = b""
) -> bytes:
    """Return a zip as the standard library writes it, with a name once more when asked."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.comment = comment
        for name, raw in files.items():
            archive.writestr(name, raw)
        if extra:
            archive.writestr(extra, b"again")
    return out.getvalue()


class _Unseekable(io.RawIOBase):
    """A stream into which zipfile writes sizes after the data."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # a narrower argument than RawIOBase's
        self.parts.append(bytes(data))
        return len(data)


def with_descriptors(files: Mapping[str, bytes]) -> bytes:
    """Return a zip whose sizes follow the data."""
    out = _Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return b"".join(out.parts)


def entry_at(raw: bytes, number: int = 0) -> int:
    """Return where an entry of the directory begins."""
    at = struct.unpack_from("<I", raw, len(raw) - 6)[0]
    for _ in range(number):
        at += 46 + sum(struct.unpack_from("<3H", raw, at + 28))
    return int(at)


def patched(raw: bytes, at: int, new: bytes) -> bytes:
    """Return the bytes with some replaced."""
    return raw[:at] + new + raw[at + len(new) :]


def with_zip64(files: Mapping[str, bytes]) -> bytes:
    """Return a zip whose first member leaves its sizes to a zip64 field, as the format has it (APPNOTE 4.5.3)."""
    raw = written(files)
    at = entry_at(raw)
    return patched(patched(raw, 18, b"\xff" * 8), at + 20, b"\xff" * 8)


def in_both(raw: bytes, central: int, local: int, new: bytes) -> bytes:
    """Replace a field of the first member in its entry and in its header."""
    return patched(patched(raw, entry_at(raw) + central, new), local, new)


def with_gap(raw: bytes) -> bytes:
    """Put a byte between the members and the directory."""
    start = entry_at(raw)
    moved = raw[:start] + b"\0" + raw[start:]
    return patched(moved, len(moved) - 6, struct.pack("<I", start + 1))


def _bomb(raw: bytes) -> bytes:
    """A member that unpacks to more than both headers say."""
    size = struct.unpack_from("<I", raw, entry_at(raw) + 24)[0]
    return in_both(raw, 24, 22, struct.pack("<I", size - 1))


@cache
def unreadable() -> dict[str, bytes]:
    """Return what exit 2 is for, by name."""
    files = bundle.unpack(GOOD[0])
    raw = GOOD[0]
    start = entry_at(raw)
    long_line = {**files, BOARD: b"[" * (bundle.MAX_LINE + 1) + b"\n"}
    return {
        "empty": b"",
        "not a zip": b"hello" * 100,
        "cut": raw[:-30],
        "bytes before": b"x" + raw,
        "bytes after": raw + b"x",
        "comment": written(files, comment=b"hello"),
        "gap": with_gap(raw),
        "sizes after the data": with_descriptors(files),
        "zip64": with_zip64(files),
        "missing file": bundle.pack({name: one for name, one in files.items() if name != "roll.json"}),
        "missing board": bundle.pack({name: one for name, one in files.items() if name != BOARD}),
        "missing evidence": bundle.pack({name: one for name, one in files.items() if "rejected" not in name}),
        "doubled name": written(files, extra="README.txt"),
        "directory": written({**files, "elections/": b""}),
        "other compression": written(files, zipfile.ZIP_LZMA),
        "encrypted": in_both(raw, 8, 6, b"\x01\x00"),
        "two names": patched(raw, 30, b"r"),
        "two sums": patched(raw, 14, b"\0\0\0\0"),
        "wrong sum": in_both(raw, 16, 14, b"\0\0\0\0"),
        "longer than it says": _bomb(raw),
        "damaged": patched(raw, 60, b"\xff\xff\xff\xff"),
        "more entries than there are": patched(raw, len(raw) - 12, b"\xff\x00"),
        "directory elsewhere": patched(raw, len(raw) - 6, struct.pack("<I", start - 1)),
        "long line": bundle.pack(long_line),
        "long line in a bundle that is malformed too": bundle.pack({**long_line, "ledger.json": b"{}"}),
        "too many files": bundle.pack({str(number): b"" for number in range(bundle.MAX_FILES + 1)}),
        "bomb": in_both(raw, 24, 22, struct.pack("<I", (1 << 30) + 1)),
    }


@cache
def unusual() -> dict[str, bytes]:
    """Return zips that other tools write and that say the same."""
    files = bundle.unpack(GOOD[0])
    return {
        "another order": written(dict(reversed(files.items()))),
        "stored": written(files, zipfile.ZIP_STORED),
    }
