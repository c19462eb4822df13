"""Papers: bringing them in, changing, removing, reading and showing them (conduct.md, section 7).

Bytes are in their place before a command names them; a refused command leaves a file that no row names, which the
caller deletes (or the next start, if the process ends between the two).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import presiding, rights
from folkmoot_server.commands.visitors import OVER, Caller, Presence, has_floor, presence
from folkmoot_server.domain.audience import SHOWN
from folkmoot_server.domain.errors import BadInput, Forbidden, NotFound, WrongState
from folkmoot_server.domain.ids import Rng, new_id
from folkmoot_server.domain.meetings import ROOM_STATES, Meeting
from folkmoot_server.domain.papers import (
    PageFiles,
    Paper,
    PaperClass,
    State,
    Type,
    Version,
    check_name,
    check_room,
)
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import events, meetings, papers


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that lies in its place."""

    sha256: str
    size: int
    type: Type


def may_bring(tx: Connection, meeting_id: str, caller: Caller, now: int) -> Meeting:
    """Return the meeting if the caller may bring papers; asked before the first byte is read, and again.

    Raises:
        NotFound, Forbidden: no such meeting for the caller, or neither chair nor secretary.
        WrongState: the meeting is over.
    """
    here = presence(tx, meeting_id, caller, now)
    rights.require(tx, here.person, Action.MANAGE_PAPERS, here.meeting.unit, now)
    if here.meeting.state.value in OVER:
        raise WrongState(
            "meeting.wrong-state", f"This cannot be done while the meeting is {here.meeting.state.value}."
        )
    return here.meeting


def check_item(tx: Connection, meeting_id: str, item: str) -> None:
    """Refuse an agenda item that there is not.

    Raises:
        NotFound: there is none.
    """
    if item and all(known.id != item for known in meetings.items(tx, meeting_id)):
        raise NotFound("agenda.unknown-item", "There is no such agenda item.")


def bring(
    tx: Connection,
    meeting_id: str,
    caller: Caller,
    wanted: Paper,
    arrived: Arrived,
    *,
    now: int,
    rng: Rng,
) -> Version:
    """Take in a new paper (an empty id) or another version of one; return the version, which waits for its pages.

    Raises:
        NotFound, Forbidden, WrongState: as `may_bring`, or there is no such paper or item.
        Refused: the name promises another type.
        TooMany: there is no room for it.
    """
    meeting = may_bring(tx, meeting_id, caller, now)
    check_name(wanted.name, arrived.type)
    if wanted.id:
        old = _known(tx, meeting.id, wanted.id)
        paper = replace(old, name=wanted.name, version=old.version + 1)
    else:
        check_item(tx, meeting.id, wanted.item)
        paper = replace(wanted, id=new_id(rng), meeting=meeting.id, version=1)
    count = 0 if wanted.id else len(papers.of_meeting(tx, meeting.id))
    check_room(count, paper.version - 1, papers.stored(tx, meeting.id), arrived.size)
    (papers.save if wanted.id else papers.add)(tx, paper)
    version = Version(paper.id, paper.version, arrived.sha256, arrived.size, arrived.type, now, caller.person)
    papers.add_version(tx, version)
    return version


def rendered(tx: Connection, meeting_id: str, done: Version, pages: Sequence[PageFiles], now: int) -> bool:
    """Store what became of a version; everybody hears of an open paper once it can be read. False when it is gone."""
    paper = papers.find(tx, meeting_id, done.paper)
    if paper is None or paper.removed_at is not None or not papers.finish_version(tx, done, pages):
        return False
    if done.state is State.READY and paper.paper_class is PaperClass.OPEN:
        _tell_added(tx, paper, done, now)
    return True


def _tell_added(tx: Connection, paper: Paper, version: Version, now: int) -> None:
    about = {"paper": paper.id, "item": paper.item, "name": paper.name}
    body = {**about, "version": version.number, "sha256": version.sha256}
    events.append(tx, paper.meeting, "PaperAdded", now, body)


def change(tx: Connection, meeting_id: str, caller: Caller, wanted: Paper, now: int) -> None:
    """Change a paper's class, item and name. For whom it is no longer, it is gone.

    Raises:
        NotFound, Forbidden, WrongState, Refused: as `bring`.
    """
    meeting = may_bring(tx, meeting_id, caller, now)
    old = _known(tx, meeting.id, wanted.id)
    if wanted.item != old.item:
        check_item(tx, meeting.id, wanted.item)
    newest = papers.version(tx, old.id, old.version)
    if newest is not None:
        check_name(wanted.name, newest.type)
    new = replace(old, item=wanted.item, name=wanted.name, paper_class=wanted.paper_class)
    if new == old:
        return
    papers.save(tx, new)
    was_open, is_open = (one.paper_class is PaperClass.OPEN for one in (old, new))
    ready = [one for one in papers.versions(tx, [new.id]).get(new.id, []) if one.state is State.READY]
    if was_open and is_open and ready:
        body = {"paper": new.id, "item": new.item, "name": new.name}
        events.append(tx, meeting.id, "PaperChanged", now, body)
    elif is_open and ready:
        _tell_added(tx, new, ready[-1], now)
    elif was_open and ready:
        events.append(tx, meeting.id, "PaperRemoved", now, {"paper": new.id})
    shown = papers.shown(tx, meeting.id)
    if new.paper_class is PaperClass.RESTRICTED:
        _stop_showing(tx, meeting.id, new.id, now)
    elif was_open is not is_open and shown is not None and shown[0] == new.id:
        _tell_shown(tx, meeting.id, shown, now, is_open=is_open)


def remove(tx: Connection, meeting_id: str, caller: Caller, paper_id: str, now: int) -> frozenset[str]:
    """Remove a paper; versions shown in the meeting stay for the record. Return hashes that may be free now.

    Raises:
        NotFound, Forbidden, WrongState: as `may_bring`, or there is no such paper.
    """
    meeting = may_bring(tx, meeting_id, caller, now)
    paper = _known(tx, meeting.id, paper_id)
    hashes = papers.hashes_of(tx, paper.id)
    papers.save(tx, replace(paper, item="", removed_at=now))
    papers.delete_versions(tx, paper.id, keep_shown=True)
    if paper.paper_class is PaperClass.OPEN:
        events.append(tx, meeting.id, "PaperRemoved", now, {"paper": paper.id})
    _stop_showing(tx, meeting.id, paper.id, now)
    return hashes


def _known(tx: Connection, meeting_id: str, paper_id: str) -> Paper:
    paper = papers.find(tx, meeting_id, paper_id)
    if paper is None or paper.removed_at is not None:
        raise unknown()
    return paper


def unknown() -> NotFound:
    """Return the one answer for a paper that is not there and for one that is not for the caller."""
    return NotFound("paper.unknown", "There is no such paper.")


def seen(tx: Connection, here: Presence, paper_id: str, number: int) -> tuple[Paper, Version]:
    """Return a version that the caller may read.

    Raises:
        NotFound: there is none, or it is not for the caller; both take the same way.
    """
    paper = papers.find(tx, here.meeting.id, paper_id)
    version = papers.version(tx, paper_id, number)
    sees = here.standing.sees(PaperClass.RESTRICTED if paper is None else paper.paper_class)
    if paper is None or version is None or not sees:
        raise unknown()
    if version.state is not State.READY and not here.office:
        raise unknown()
    return paper, version


def note_read(tx: Connection, here: Presence, version: Version, now: int) -> None:
    """Keep that somebody reads a version of a restricted paper."""
    papers.note_read(tx, version.paper, version.number, here.person, now)


def present(tx: Connection, meeting_id: str, caller: Caller, target: tuple[str, int, int], now: int) -> None:
    """Show (paper, version, page) to everybody, or nothing with an empty paper.

    Raises:
        NotFound, BadInput: no such meeting, paper, version or page.
        Forbidden: neither presiding nor on the floor, or the paper is restricted.
        WrongState: the meeting is not in session.
    """
    here = presence(tx, meeting_id, caller, now)
    _may_present(tx, here, now)
    if here.meeting.state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    paper_id, number, page = target
    if not paper_id:
        if papers.shown(tx, meeting_id) is not None:
            _end_showing(tx, meeting_id, now)
        return
    paper, version = seen(tx, here, paper_id, number)
    if paper.paper_class is PaperClass.RESTRICTED:
        raise Forbidden("paper.restricted", "A restricted paper is not shown to everybody.")
    if paper.removed_at is not None or not 1 <= page <= version.pages:
        raise BadInput("paper.no-such-page", "This paper has no such page.")
    if papers.shown(tx, meeting_id) != target:
        papers.show(tx, meeting_id, *target)
        _tell_shown(tx, meeting_id, target, now, is_open=paper.paper_class is PaperClass.OPEN)


def _may_present(tx: Connection, here: Presence, now: int) -> None:
    if not has_floor(tx, here.meeting.id, here.person):
        presiding.require_chair(tx, here.meeting, here.person, now)


def _stop_showing(tx: Connection, meeting_id: str, paper_id: str, now: int) -> None:
    shown = papers.shown(tx, meeting_id)
    if shown is not None and shown[0] == paper_id:
        _end_showing(tx, meeting_id, now)


def _end_showing(tx: Connection, meeting_id: str, now: int) -> None:
    papers.end_showing(tx, meeting_id)
    _tell_shown(tx, meeting_id, ("", 0, 0), now, is_open=True)


def _tell_shown(tx: Connection, meeting_id: str, target: tuple[str, int, int], now: int, *, is_open: bool) -> None:
    body = {**dict(zip(("paper", "version", "page"), target, strict=True)), "open": is_open}
    events.append(tx, meeting_id, SHOWN, now, body)
