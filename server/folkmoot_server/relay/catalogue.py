"""Which papers every member of the meeting may read, and which file answers which request for one; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from folkmoot_server.domain.papers import CONTENT_TYPES, PaperClass, Type
from folkmoot_voting.encoding import JsonObject

SHA256: Final = re.compile(r"[0-9a-f]{64}")
_REST: Final = re.compile(r"papers/([^/]+)/([0-9]{1,9})/(?:(file)|pages/([0-9]{1,9})(/text)?)")
PICTURE: Final = "image/webp"

Pages = Mapping[str, Sequence[JsonObject]]  # "paper/version" -> [{"sha256", "text"}] of each page


@dataclass(frozen=True, slots=True)
class Held:
    """What answers a request: a file's hash, "" where a page says nothing, its media type and whose it is.

    `name` is the paper's where the paper itself is asked for, else "".
    """

    sha256: str
    type: str
    paper_class: PaperClass
    name: str = ""


class Catalogue:
    """The papers as the feed lists them (in the order of the agenda), with the files of their pages."""

    def __init__(self, papers: Sequence[JsonObject] = (), pages: Pages | None = None) -> None:
        """Raise KeyError, TypeError or ValueError for papers that have another form."""
        self.papers = list(papers)
        self._pages = dict(pages or {})
        self._by_id = {str(one["paper"]): one for one in self.papers}
        self._versions = {}
        for one in self.papers:
            PaperClass(one["class"])
            for version in one["versions"]:
                Type(version["type"])
                _require_hash(version["sha256"])
                self._versions[_key(one["paper"], version["version"])] = version
        for listed in self._pages.values():
            for page in listed:
                _require_hash(page["sha256"])
                if page["text"]:
                    _require_hash(page["text"])

    def _newest(self) -> Iterator[tuple[JsonObject, JsonObject]]:
        for one in self.papers:
            yield one, one["versions"][-1]

    def unlisted(self) -> tuple[str, int] | None:
        """Return the first paper and version whose pages' files are not known yet."""
        for one, version in self._newest():
            if _key(one["paper"], version["version"]) not in self._pages:
                return one["paper"], version["version"]
        return None

    def pages(self) -> Pages:
        """Return the lists of pages that still belong to a paper."""
        return {key: listed for key, listed in self._pages.items() if key in self._versions}

    def with_pages(self, paper: str, version: int, listed: Sequence[JsonObject]) -> Catalogue:
        """Return the catalogue with one more list of pages; raises as the constructor."""
        return Catalogue(self.papers, {**self.pages(), _key(paper, version): listed})

    def files(self) -> list[str]:
        """Return the hashes of all files of the newest versions: first what pages show and say, then the papers."""
        found: dict[str, None] = {}
        for one, version in self._newest():
            listed = self._pages.get(_key(one["paper"], version["version"]), ())
            found.update(dict.fromkeys(page["sha256"] for page in listed))
            found.update(dict.fromkeys(page["text"] for page in listed if page["text"]))
        found.update((version["sha256"], None) for _, version in self._newest())
        return list(found)

    def find(self, rest: str) -> Held | None:
        """Return what answers `papers/…` of the meeting, None where this catalogue knows no file for it."""
        match = _REST.fullmatch(rest)
        if match is None:
            return None
        paper, number = match[1], int(match[2])
        one, version = self._by_id.get(paper), self._versions.get(_key(paper, number))
        if one is None or version is None:
            return None
        kind, paper_class = Type(version["type"]), PaperClass(one["class"])
        if match[3]:
            return Held(version["sha256"], CONTENT_TYPES[kind], paper_class, one["name"])
        listed, page = self._pages.get(_key(paper, number), ()), int(match[4])
        if not 1 <= page <= len(listed):
            return None
        files: Mapping[str, Any] = listed[page - 1]
        if kind is Type.TEXT:
            return Held(files["sha256"], CONTENT_TYPES[kind], paper_class)
        if match[5]:
            return Held(files["text"], CONTENT_TYPES[Type.TEXT], paper_class)
        return Held(files["sha256"], PICTURE, paper_class)


def _key(paper: str, version: int) -> str:
    return f"{paper}/{version}"


def _require_hash(text: str) -> None:
    if not SHA256.fullmatch(text):
        raise ValueError(text)
