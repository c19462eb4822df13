"""How many papers a relay says that it has."""

from __future__ import annotations

from typing import Any

from folkmoot_server.relay.ahead import papers_here
from folkmoot_server.relay.catalogue import Catalogue

OLD, NEW, PAGE, WORDS, OTHER = ("a" * 64, "b" * 64, "c" * 64, "d" * 64, "e" * 64)


def paper(name: str, *hashes: str) -> dict[str, Any]:
    """A paper for members with these versions."""
    versions = [{"version": number, "sha256": one, "type": "pdf"} for number, one in enumerate(hashes, 1)]
    return {"paper": name, "class": "members", "name": f"{name}.pdf", "versions": versions}


def test_a_paper_counts_when_its_newest_version_is_whole() -> None:
    held = Catalogue([paper("p", OLD, NEW), paper("q", OTHER)])
    assert papers_here(held, {OLD, NEW, PAGE, WORDS, OTHER}) == (0, 2)  # which pages they have is not known yet
    held = held.with_pages("p", 2, [{"sha256": PAGE, "text": WORDS}, {"sha256": PAGE, "text": ""}])
    assert papers_here(held, {NEW, PAGE, WORDS}) == (1, 2)
    for lacking in (NEW, PAGE, WORDS):  # the old version does not stand in
        assert papers_here(held, {OLD, NEW, PAGE, WORDS} - {lacking}) == (0, 2)
    held = held.with_pages("q", 1, [])
    assert papers_here(held, {NEW, PAGE, WORDS, OTHER}) == (2, 2)


def test_of_no_papers_none_is_missing() -> None:
    assert papers_here(Catalogue(), {OLD}) == (0, 0)
