"""Papers, their versions and pages, who read them, and what is shown to everybody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.papers import READING_S, PageFiles, Paper, PaperClass, State, Type, Version
from folkmoot_server.storage import schema
from folkmoot_server.storage.schema_papers import (
    paper,
    paper_page,
    paper_read,
    paper_shown,
    paper_text,
    paper_version,
)

_FILES: Final = (paper_version, paper_page, paper_text)  # the tables that name files


def _paper(row: Row[Any]) -> Paper:
    paper_class = PaperClass(row._mapping["class"])
    return Paper(row.id, row.meeting, row.item or "", row.name, paper_class, row.version, row.removed_at)


def _version(row: Row[Any]) -> Version:
    return Version(
        row.paper,
        row.number,
        row.sha256,
        row.size,
        Type(row.type),
        row.at,
        row.by,
        row.pages,
        State(row.state),
        row.refusal,
        bool(row.shown),
    )


def find(tx: Connection, meeting: str, paper_id: str) -> Paper | None:
    """Return a paper of a meeting, a removed one too."""
    row = tx.execute(select(paper).where(paper.c.id == paper_id, paper.c.meeting == meeting)).first()
    return None if row is None else _paper(row)


def of_meeting(tx: Connection, meeting: str) -> list[Paper]:
    """Return a meeting's papers that are not removed, in the order in which they came."""
    query = select(paper).where(paper.c.meeting == meeting, paper.c.removed_at.is_(None))
    return [_paper(row) for row in tx.execute(query.order_by(paper.c.position))]


def add(tx: Connection, new: Paper) -> None:
    """Insert a paper behind the others of its meeting."""
    place = select(func.coalesce(func.max(paper.c.position), -1) + 1).where(paper.c.meeting == new.meeting)
    values = {"id": new.id, "meeting": new.meeting, "position": tx.execute(place).scalar_one()}
    tx.execute(paper.insert().values({**values, **_changeable(new)}))


def save(tx: Connection, changed: Paper) -> None:
    """Store what can change about a paper."""
    tx.execute(update(paper).where(paper.c.id == changed.id).values(_changeable(changed)))


def _changeable(one: Paper) -> dict[str, Any]:
    return {
        "item": one.item or None,
        "name": one.name,
        "class": one.paper_class.value,
        "version": one.version,
        "removed_at": one.removed_at,
    }


def add_version(tx: Connection, new: Version) -> None:
    """Insert a version."""
    tx.execute(
        paper_version.insert().values(
            paper=new.paper,
            number=new.number,
            sha256=new.sha256,
            size=new.size,
            type=new.type.value,
            at=new.at,
            by=new.by,
            state=new.state.value,
        )
    )


def versions(tx: Connection, papers: Iterable[str]) -> dict[str, list[Version]]:
    """Return the versions of papers, oldest first."""
    query = select(paper_version).where(paper_version.c.paper.in_(list(papers)))
    found: dict[str, list[Version]] = {}
    for row in tx.execute(query.order_by(paper_version.c.paper, paper_version.c.number)):
        found.setdefault(row.paper, []).append(_version(row))
    return found


def version(tx: Connection, paper_id: str, number: int) -> Version | None:
    """Return one version of a paper."""
    table = paper_version
    row = tx.execute(select(table).where(table.c.paper == paper_id, table.c.number == number)).first()
    return None if row is None else _version(row)


def rendering(tx: Connection) -> list[tuple[str, Version]]:
    """Return every version that waits for its pages with its meeting, the oldest first."""
    table = paper_version
    query = select(table, paper.c.meeting).join(paper).where(table.c.state == State.RENDERING.value)
    rows = tx.execute(query.order_by(table.c.at, table.c.paper, table.c.number))
    return [(row.meeting, _version(row)) for row in rows]


def finish_version(tx: Connection, done: Version, pages: Sequence[PageFiles]) -> bool:
    """Store what became of a version that was rendered, with its pages; False when it is gone."""
    table = paper_version
    changed = tx.execute(
        update(table)
        .where(table.c.paper == done.paper, table.c.number == done.number, table.c.state == State.RENDERING.value)
        .values(state=done.state.value, refusal=done.refusal, pages=done.pages)
    )
    if changed.rowcount != 1:
        return False
    for number, files in enumerate(pages, start=1):
        place = {"paper": done.paper, "version": done.number, "page": number}
        tx.execute(paper_page.insert().values(**place, sha256=files.page))
        if files.text:
            tx.execute(paper_text.insert().values(**place, sha256=files.text))
    return True


def page(tx: Connection, paper_id: str, number: int, wanted: int) -> PageFiles | None:
    """Return the files of one page of a version."""
    found = []
    for table in (paper_page, paper_text):
        place = (table.c.paper == paper_id, table.c.version == number, table.c.page == wanted)
        found.append(tx.execute(select(table.c.sha256).where(*place)).scalar())
    picture, text = found
    return None if picture is None else PageFiles(picture, text or "")


def pages(tx: Connection, paper_id: str, number: int) -> list[PageFiles]:
    """Return the files of every page of a version, the first page first."""
    place = (paper_page.c.paper == paper_text.c.paper) & (paper_page.c.version == paper_text.c.version)
    place &= paper_page.c.page == paper_text.c.page
    query = select(paper_page.c.sha256, paper_text.c.sha256.label("words")).outerjoin(paper_text, place)
    query = query.where(paper_page.c.paper == paper_id, paper_page.c.version == number).order_by(paper_page.c.page)
    return [PageFiles(row.sha256, row.words or "") for row in tx.execute(query)]


def delete_versions(tx: Connection, paper_id: str, *, keep_shown: bool) -> None:
    """Delete versions with their pages; those shown in the meeting stay when asked for."""
    table = paper_version
    gone = select(table.c.number).where(table.c.paper == paper_id)
    if keep_shown:
        gone = gone.where(table.c.shown == 0)
    numbers = list(tx.scalars(gone))
    for part in (paper_page, paper_text):
        tx.execute(part.delete().where(part.c.paper == paper_id, part.c.version.in_(numbers)))
    tx.execute(table.delete().where(table.c.paper == paper_id, table.c.number.in_(numbers)))


def stored(tx: Connection, meeting: str) -> int:
    """Return how many bytes all versions of a meeting have, removed papers' ones too."""
    query = select(func.coalesce(func.sum(paper_version.c.size), 0)).join(paper).where(paper.c.meeting == meeting)
    return int(tx.execute(query).scalar_one())


def files(tx: Connection) -> frozenset[str]:
    """Return the hash of every file that some row names."""
    return frozenset(sha256 for table in _FILES for sha256 in tx.scalars(select(table.c.sha256)))


def named(tx: Connection, hashes: Collection[str]) -> frozenset[str]:
    """Return those of `hashes` that some row names."""
    wanted = list(hashes)
    found: set[str] = set()
    for table in _FILES:
        found |= set(tx.scalars(select(table.c.sha256).where(table.c.sha256.in_(wanted))))
    return frozenset(found)


def hashes_of(tx: Connection, paper_id: str) -> frozenset[str]:
    """Return the hash of every file of a paper."""
    queries = [select(table.c.sha256).where(table.c.paper == paper_id) for table in _FILES]
    return frozenset(sha256 for query in queries for sha256 in tx.scalars(query))


def note_read(tx: Connection, paper_id: str, number: int, member: str, now: int) -> None:
    """Keep that a member read a version; reading on within ten minutes belongs to the same reading."""
    table = paper_read
    same = (table.c.paper == paper_id, table.c.version == number, table.c.member == member)
    going_on = update(table).where(*same, table.c.until_at > now - READING_S).values(until_at=now)
    if tx.execute(going_on).rowcount == 0:
        values = {"paper": paper_id, "version": number, "member": member, "at": now, "until_at": now}
        tx.execute(table.insert().values(values))


def reads(tx: Connection, paper_id: str) -> list[tuple[str, str, int, int]]:
    """Return (member, name, time, version) of every reading, the latest first."""
    table, people = paper_read.c, schema.member.c
    query = select(table.member, people.name, table.at, table.version).join(schema.member, people.id == table.member)
    rows = tx.execute(query.where(table.paper == paper_id).order_by(table.at.desc(), table.id.desc()))
    return [(row.member, row.name, row.at, row.version) for row in rows]


def show(tx: Connection, meeting: str, paper_id: str, number: int, wanted: int) -> None:
    """Store what is shown to everybody, and that this version was shown."""
    values = {"meeting": meeting, "paper": paper_id, "version": number, "page": wanted}
    tx.execute(insert(paper_shown).values(values).on_conflict_do_update(index_elements=["meeting"], set_=values))
    table = paper_version
    tx.execute(update(table).where(table.c.paper == paper_id, table.c.number == number).values(shown=1))


def shown(tx: Connection, meeting: str) -> tuple[str, int, int] | None:
    """Return (paper, version, page) that is shown to everybody, or None."""
    row = tx.execute(select(paper_shown).where(paper_shown.c.meeting == meeting)).first()
    return None if row is None else (row.paper, row.version, row.page)


def end_showing(tx: Connection, meeting: str) -> None:
    """Show nothing any more."""
    tx.execute(paper_shown.delete().where(paper_shown.c.meeting == meeting))
