"""Papers as their readers see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands.papers import seen, unknown
from folkmoot_server.commands.visitors import Caller, Presence, presence
from folkmoot_server.domain.audience import UNSEEN
from folkmoot_server.domain.errors import Forbidden
from folkmoot_server.domain.papers import Paper, PaperClass, State, Type, Version
from folkmoot_server.storage import members, papers


def papers_view(tx: Connection, meeting_id: str, caller: Caller, now: int) -> dict[str, Any]:
    """Return the papers that are for the caller, and what is shown to everybody.

    Raises:
        NotFound, Forbidden: no such meeting for the caller.
    """
    here = presence(tx, meeting_id, caller, now)
    visible = [paper for paper in papers.of_meeting(tx, meeting_id) if here.standing.sees(paper.paper_class)]
    versions = papers.versions(tx, [paper.id for paper in visible])
    people = members.by_ids(tx, {one.by for found in versions.values() for one in found})
    names = {member: person.name for member, person in people.items()}
    rows = [_paper(paper, versions.get(paper.id, []), names, office=here.office) for paper in visible]
    return {"papers": [row for row in rows if row is not None], "presenting": _presenting(tx, here)}


def for_members(tx: Connection, meeting: str, items: Sequence[str]) -> list[dict[str, Any]]:
    """Return the papers that every member of a meeting may read, as members see them, in the order of `items`.

    Papers of no item come last.
    """
    places = {item: place for place, item in enumerate(items)}
    found = [paper for paper in papers.of_meeting(tx, meeting) if paper.paper_class is not PaperClass.RESTRICTED]
    found.sort(key=lambda paper: places.get(paper.item, len(places)))
    versions = papers.versions(tx, [paper.id for paper in found])
    people = members.by_ids(tx, {one.by for rows in versions.values() for one in rows})
    names = {member: person.name for member, person in people.items()}
    rows = [_paper(paper, versions.get(paper.id, []), names, office=False) for paper in found]
    return [row for row in rows if row is not None]


def _presenting(tx: Connection, here: Presence) -> dict[str, Any] | None:
    shown = papers.shown(tx, here.meeting.id)
    paper = None if shown is None else papers.find(tx, here.meeting.id, shown[0])
    if shown is None or paper is None:
        return None
    if not here.standing.sees(paper.paper_class):
        return dict(UNSEEN)
    named = dict(zip(("paper", "version", "page"), shown, strict=True))
    return {**named, "open": paper.paper_class is PaperClass.OPEN}


def _paper(
    paper: Paper, versions: Sequence[Version], names: dict[str, str], *, office: bool
) -> dict[str, Any] | None:
    """Return a paper; whoever does not look after papers sees versions once they can be read, and no others."""
    found = [one for one in versions if office or one.state is State.READY]
    if not found:
        return None
    return {
        "paper": paper.id,
        "item": paper.item,
        "name": paper.name,
        "class": paper.paper_class.value,
        "version": found[-1].number,
        "versions": [_version(one, names) for one in found],
        "state": found[-1].state.value,
        "refusal": found[-1].refusal,
    }


def _version(one: Version, names: dict[str, str]) -> dict[str, Any]:
    return {
        "version": one.number,
        "sha256": one.sha256,
        "size": one.size,
        "type": one.type.value,
        "pages": one.pages,
        "at": one.at,
        "by": names.get(one.by, ""),
        "state": one.state.value,
        "refusal": one.refusal,
    }


@dataclass(frozen=True, slots=True)
class Found:
    """What the caller may read, and the hash of the file that holds it; empty when it says nothing."""

    paper: Paper
    version: Version
    sha256: str


def file_of(tx: Connection, here: Presence, paper_id: str, number: int) -> Found:
    """Return the bytes of a version as they came.

    Raises:
        NotFound: there is none for the caller.
    """
    paper, version = seen(tx, here, paper_id, number)
    return Found(paper, version, version.sha256)


def page_of(tx: Connection, here: Presence, paper_id: str, number: int, page: int) -> Found:
    """Return a page of a version.

    Raises:
        NotFound: there is none for the caller.
    """
    paper, version = seen(tx, here, paper_id, number)
    files = papers.page(tx, paper_id, number, page)
    if files is None:
        raise unknown()
    return Found(paper, version, files.page)


def hashes_of(tx: Connection, here: Presence, paper_id: str, number: int) -> dict[str, Any]:
    """Return the SHA-256 of every page of a version and of what it says, by which a page knows those it has.

    Raises:
        NotFound: there is no such version for the caller.
    """
    _, version = seen(tx, here, paper_id, number)
    files = papers.pages(tx, paper_id, number)
    words = [one.page if version.type is Type.TEXT else one.text for one in files]
    return {"pages": [one.page for one in files], "words": words}


def text_of(tx: Connection, here: Presence, paper_id: str, number: int, page: int) -> Found:
    """Return what a page says in plain text; of a paper that is text, the page itself.

    Raises:
        NotFound: there is no such page for the caller.
    """
    paper, version = seen(tx, here, paper_id, number)
    files = papers.page(tx, paper_id, number, page)
    if files is None:
        raise unknown()
    return Found(paper, version, files.page if version.type is Type.TEXT else files.text)


def reads_view(tx: Connection, meeting_id: str, caller: Caller, paper_id: str, now: int) -> dict[str, Any]:
    """Return who read a paper, the latest first.

    Raises:
        NotFound, Forbidden: no such meeting or paper for the caller, or neither chair nor secretary.
    """
    here = presence(tx, meeting_id, caller, now)
    paper = papers.find(tx, meeting_id, paper_id)
    if paper is None or not here.standing.sees(paper.paper_class):
        raise unknown()
    if not here.office:
        raise Forbidden("role.missing", "You do not hold a role that allows this.")
    rows = papers.reads(tx, paper_id)
    return {"reads": [{"member": m, "name": n, "at": at, "version": v} for m, n, at, v in rows]}
