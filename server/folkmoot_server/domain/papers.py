"""Papers of a meeting: classes, limits, and what bytes are by their content (conduct.md, section 7)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from folkmoot_server.domain.errors import BadInput, Refused, TooMany

SIZE_MAX: Final = 20 * 1024 * 1024  # bytes of one version
MEETING_SIZE_MAX: Final = 200 * 1024 * 1024  # bytes of all versions of a meeting
PAPERS_MAX: Final = 100  # of a meeting
VERSIONS_MAX: Final = 50  # of a paper
PAGES_MAX: Final = 300
NAME_MAX: Final = 200
READING_S: Final = 600  # page after page of one version within this time is one read


class PaperClass(StrEnum):
    """For whom a paper is."""

    OPEN = "open"
    MEMBERS = "members"
    RESTRICTED = "restricted"


class State(StrEnum):
    """What has become of a version."""

    RENDERING = "rendering"
    READY = "ready"
    REFUSED = "refused"


class Type(StrEnum):
    """What a version is, by its content."""

    PDF = "pdf"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    TEXT = "text"


CONTENT_TYPES: Final[Mapping[Type, str]] = {
    Type.PDF: "application/pdf",
    Type.PNG: "image/png",
    Type.JPEG: "image/jpeg",
    Type.WEBP: "image/webp",
    Type.TEXT: "text/plain; charset=utf-8",
}
# What a name promises by its ending; any other ending promises nothing and fits plain text alone.
_PROMISED: Final[Mapping[str, Type]] = {
    "pdf": Type.PDF,
    "png": Type.PNG,
    "jpg": Type.JPEG,
    "jpeg": Type.JPEG,
    "webp": Type.WEBP,
}
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a paper; `pages` is 0 until it is ready, `at` in seconds UTC, `by` a member."""

    paper: str
    number: int
    sha256: str
    size: int
    type: Type
    at: int
    by: str
    pages: int = 0
    state: State = State.RENDERING
    refusal: str = ""
    shown: bool = False


@dataclass(frozen=True, slots=True)
class PageFiles:
    """The hashes of a page and of what it says in plain text, empty when that is nothing."""

    page: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper with the number of its newest version; `item` is empty when it belongs to no agenda item."""

    id: str
    meeting: str
    item: str
    name: str
    paper_class: PaperClass
    version: int
    removed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody is in a meeting, as far as papers go."""

    office: bool  # chair or secretary
    insider: bool  # on the roll, or holds an office here

    def sees(self, paper_class: PaperClass) -> bool:
        """Say whether papers of this class are for them."""
        if paper_class is PaperClass.RESTRICTED:
            return self.office
        return self.insider or self.office or paper_class is PaperClass.OPEN


HEAD: Final = 16  # bytes that tell what a file is, unless it is text


def type_by_head(head: bytes) -> Type | None:
    """Return what a file is by its first 16 bytes, or None when it may be text."""
    if head.startswith(b"%PDF-"):
        return Type.PDF
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Type.PNG
    if head.startswith(b"\xff\xd8\xff"):
        return Type.JPEG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Type.WEBP
    return None


def check_text(content: bytes) -> Type:
    """Return the type text.

    Raises:
        Refused: it is none, so the file is nothing that a paper may be.
    """
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise _wrong("A paper is a PDF, a PNG, JPEG or WebP picture, or plain text in UTF-8.") from None
    if not content.strip() or _BINARY.search(content):
        raise _wrong("A paper is a PDF, a PNG, JPEG or WebP picture, or plain text in UTF-8.")
    return Type.TEXT


def check_name(name: str, found: Type) -> None:
    """Refuse a name that promises another type than the bytes have.

    Raises:
        Refused: it does.
    """
    stem, dot, ending = name.rpartition(".")
    promised = _PROMISED.get(ending.lower(), Type.TEXT) if dot and stem and _is_ending(ending) else found
    if promised is not found:
        raise _wrong(f"The name says that the paper is something else; its content is {found.value}.")


def _is_ending(text: str) -> bool:
    return len(text) <= 5 and text.isascii() and text.isalnum() and not text.isdigit()


def _wrong(sentence: str) -> Refused:
    return Refused("paper.wrong-type", sentence)


def check_size(size: int) -> None:
    """Refuse a paper of no bytes or too many, as soon as that is known.

    Raises:
        BadInput: it is so.
    """
    if size > SIZE_MAX:
        raise BadInput("paper.too-large", f"A paper has at most {SIZE_MAX // 1024 // 1024} MiB.")
    if size < 1:
        raise BadInput("paper.empty", "The file is empty.")


def check_room(papers: int, versions: int, stored: int, size: int) -> None:
    """Refuse what a meeting has no room for: counts before, and bytes with the new ones.

    Raises:
        TooMany: the meeting's papers, this paper's versions or all bytes are at their limit.
    """
    if papers >= PAPERS_MAX:
        raise TooMany("paper.too-many", f"A meeting has at most {PAPERS_MAX} papers.")
    if versions >= VERSIONS_MAX:
        raise TooMany("paper.too-many-versions", f"A paper has at most {VERSIONS_MAX} versions.")
    if stored + size > MEETING_SIZE_MAX:
        sentence = f"The papers of a meeting have at most {MEETING_SIZE_MAX // 1024 // 1024} MiB together."
        raise TooMany("paper.no-room", sentence)
