"""A zip of strangers, read as streams within the limits of section 9 (PKWARE APPNOTE 6.3).

Everything that the directory says is checked before the first byte is unpacked, and what is really unpacked is
counted against it, so that no archive costs more time or memory than its directory admitted.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

from folkmoot_voting.errors import BundleMalformed, BundleUnreadable

MAX_ZIP: Final = 256 * 2**20
MAX_UNPACKED: Final = 2**30
MAX_FILES: Final = 10_000
MAX_LINE: Final = 256 * 1024
CHUNK: Final = 1 << 16
KEPT: Final = 8 * 2**20

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_STORED, _DEFLATED = 0, 8
# Encrypted, sizes after the data, patch data, strong encryption, masked headers.
_REFUSED_FLAGS = 0x0001 | 0x0008 | 0x0020 | 0x0040 | 0x2000
_BEYOND = 0xFFFFFFFF
_LONG_LINES = re.compile(r"elections/[A-Za-z0-9_-]{1,64}/board\.jsonl|attendance\.jsonl")


@dataclass(frozen=True)
class Member:
    """One file of the archive, as its directory describes it; `start` is where its data begins."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    start: int


class Archive:
    """The members of a zip; reading is repeatable, and one reader at a time may be under way."""

    def __init__(self, source: BinaryIO | bytes) -> None:
        """Read the directory and every header.

        Raises:
            BundleUnreadable: not a plain zip, beyond a limit, a doubled name, encrypted, or another compression.
        """
        self._source = io.BytesIO(source) if isinstance(source, bytes) else source
        self.members: dict[str, Member] = {}
        self._kept: dict[str, bytes] = {}
        try:
            self._open()
        except (OSError, ValueError, struct.error) as error:
            raise _unreadable() from error

    def _open(self) -> None:
        size = self._source.seek(0, io.SEEK_END)
        if size > MAX_ZIP:
            raise BundleUnreadable("the zip is larger than 256 MiB")
        if size < _END.size:
            raise _unreadable()
        directory, count = self._directory(size)
        place, offset = 0, 0
        for _ in range(count):
            member, offset, header = self._member(directory, offset)
            if member.name in self.members:
                raise BundleUnreadable("a name comes twice")
            if header != place:
                raise BundleUnreadable("members do not follow each other")
            self.members[member.name] = member
            place = member.start + member.packed
        if offset != len(directory) or place != size - _END.size - len(directory):
            raise BundleUnreadable("something lies between or after the members")
        if self.unpacked > MAX_UNPACKED:
            raise BundleUnreadable("more than 1 GiB unpacked")

    def _directory(self, size: int) -> tuple[bytes, int]:
        magic, disk, first, here, count, length, start, comment = _END.unpack(self._at(size - _END.size, _END.size))
        if magic != b"PK\x05\x06" or comment:
            raise _unreadable()
        if disk or first or here != count or start + length + _END.size != size:
            raise _unreadable()
        if count > MAX_FILES:
            raise BundleUnreadable("too many files")
        return self._at(start, length), count

    def _member(self, directory: bytes, offset: int) -> tuple[Member, int, int]:
        """Return a member, where the next one's entry begins, and where its own local header does."""
        fields = _CENTRAL.unpack_from(directory, offset)
        magic, _made, _needed, flags, method, _time, _date, crc, packed, size = fields[:10]
        name_length, extra, comment, _disk, _internal, _external, header = fields[10:]
        after = offset + _CENTRAL.size + name_length
        name = directory[offset + _CENTRAL.size : after]
        if magic != b"PK\x01\x02" or len(name) != name_length:
            raise _unreadable()
        if flags & _REFUSED_FLAGS:
            raise BundleUnreadable("encrypted members and members with sizes after the data are refused")
        if method not in (_STORED, _DEFLATED):
            raise BundleUnreadable("only stored and deflated members are read")
        if name.endswith(b"/"):
            raise BundleUnreadable("directories are refused")
        if _BEYOND in (packed, size, header):
            raise BundleUnreadable("zip64 is not read")
        local = _LOCAL.unpack(self._at(header, _LOCAL.size))
        start = header + _LOCAL.size + local[9] + local[10]
        same = (local[0], local[2] & ~0x0806, local[3], *local[6:10])
        if same != (b"PK\x03\x04", flags & ~0x0806, method, crc, packed, size, name_length):
            raise BundleUnreadable("a member's two headers differ")
        if self._at(header + _LOCAL.size, name_length) != name or (method == _STORED and packed != size):
            raise BundleUnreadable("a member's two headers differ")
        return Member(name.decode("latin-1"), method, crc, packed, size, start), after + extra + comment, header

    @property
    def unpacked(self) -> int:
        """Bytes of all members together."""
        return sum(member.size for member in self.members.values())

    def chunks(self, name: str, start: int = 0) -> Iterator[bytes]:
        """Yield a member's content in parts of at most 64 KiB, from one of its bytes on.

        Raises:
            BundleUnreadable: no such member, or it is damaged, longer or shorter than the directory says.
        """
        if name in self._kept:
            yield from (self._kept[name][at : at + CHUNK] for at in range(start, len(self._kept[name]), CHUNK))
            return
        member = self._named(name)
        left, crc = member.size, 0
        for part in self._inflated(member):
            skipped = min(len(part), start)
            left -= len(part)
            start -= skipped
            if left < 0:
                raise BundleUnreadable(f"{name[:100]} is longer than it says")
            crc = zlib.crc32(part, crc)
            yield part[skipped:]
        if left or crc != member.crc:
            raise BundleUnreadable(f"{name[:100]} is damaged")

    def read(self, name: str, limit: int) -> bytes:
        """Return a member's content.

        Raises:
            BundleUnreadable: as `chunks`.
            BundleMalformed: longer than `limit` bytes (V01).
        """
        if self._named(name).size > limit:
            raise BundleMalformed(f"{name[:100]}: longer than {limit} bytes")
        return b"".join(self.chunks(name))

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield a member's lines without their line feeds.

        Raises:
            BundleUnreadable: as `chunks`, or a line is longer than 256 KiB.
            BundleMalformed: the last line has no line feed (V01).
        """
        rest = b""
        for part in self.chunks(name):
            *whole, last = part.split(b"\n")
            for line in whole:
                yield _short(name, rest + line)
                rest = b""
            rest = _short(name, rest + last)
        if rest:
            raise BundleMalformed(f"{name[:100]}: the last line does not end")

    def examine(self) -> None:
        """Unpack every member once, and keep what is unpacked as long as that is no more than 8 MiB.

        Raises:
            BundleUnreadable: one is damaged, or a line of a board or of the attendance log is longer than 256 KiB.
        """
        room = KEPT
        for name, member in self.members.items():
            if member.size <= room:
                self._kept[name] = b"".join(self.chunks(name))
                room -= member.size
            with suppress(BundleMalformed):
                for _ in self.lines(name) if _LONG_LINES.fullmatch(name) else self.chunks(name):
                    pass

    def _inflated(self, member: Member) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-15) if member.method == _DEFLATED else None
        for place in range(member.start, member.start + member.packed, CHUNK):
            part = self._at(place, min(CHUNK, member.start + member.packed - place))
            if inflate is None:
                yield part
                continue
            if inflate.eof:
                raise BundleUnreadable(f"{member.name[:100]} is damaged")
            try:
                while len(found := inflate.decompress(part, CHUNK)) == CHUNK:
                    yield found
                    part = inflate.unconsumed_tail
            except zlib.error as error:
                raise BundleUnreadable(f"{member.name[:100]} is damaged") from error
            yield found
        if inflate is not None and (not inflate.eof or inflate.unused_data):
            raise BundleUnreadable(f"{member.name[:100]} is damaged")

    def _named(self, name: str) -> Member:
        member = self.members.get(name)
        if member is None:
            raise BundleUnreadable(f"{name[:100]} is missing")
        return member

    def _at(self, place: int, size: int) -> bytes:
        self._source.seek(place)
        found = self._source.read(size)
        if len(found) != size:
            raise _unreadable()
        return found


def _short(name: str, line: bytes) -> bytes:
    if len(line) > MAX_LINE:
        raise BundleUnreadable(f"{name[:100]}: a line is longer than 256 KiB")
    return line


def _unreadable() -> BundleUnreadable:
    return BundleUnreadable("not a readable zip")
