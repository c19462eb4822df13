"""Motions with who stands behind them, the votes on them, and the register of resolutions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.errors import Conflict, NotFound
from folkmoot_server.domain.motions import SECONDERS, Backer, Motion, MotionState, Span
from folkmoot_server.storage.schema_motions import (
    motion,
    motion_backer,
    motion_conflict,
    motion_election,
    motion_rules,
    motion_text,
    resolution,
)


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote on a motion; `hash` is of the text that it cites."""

    election: str
    motion: str
    hash: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was decided, for ever; it has its motion's id."""

    motion: str
    unit: str
    year: int
    number: int
    meeting: str
    election: str
    title: str
    text: str
    hash: str
    adopted_at: int

    @property
    def name(self) -> str:
        """The number under which people cite it."""
        return f"{self.year}/{self.number}"


def seconders_needed(tx: Connection, meeting: str) -> int:
    """Return how many seconders a motion of this meeting needs."""
    found = tx.scalars(select(motion_rules.c.seconders).where(motion_rules.c.meeting == meeting)).first()
    return SECONDERS if found is None else found


def set_seconders_needed(tx: Connection, meeting: str, seconders: int) -> None:
    """Store how many seconders a motion of this meeting needs."""
    values = {"meeting": meeting, "seconders": seconders}
    statement = insert(motion_rules).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting"], set_=values))


def add(tx: Connection, one: Motion) -> None:
    """Insert a motion with its movers."""
    last = select(func.max(motion.c.position)).where(motion.c.meeting == one.meeting)
    position = 1 + (tx.execute(last).scalar() or 0)
    tx.execute(
        motion.insert().values(
            id=one.id,
            meeting=one.meeting,
            item=one.item,
            base=one.base or None,
            position=position,
            version=one.version,
            **_columns(one),
        )
    )
    for place, mover in enumerate(one.movers):
        tx.execute(_backing(one.id, mover, "mover", place))


def _columns(one: Motion) -> dict[str, Any]:
    return {
        "number": one.number,
        "title": one.title,
        "text": one.text,
        "hash": one.hash,
        "first": one.span.first,
        "last": one.span.last,
        "base_hash": one.base_hash,
        "seconders_needed": one.seconders_needed,
        "state": one.state,
        "collides": int(one.collides),
    }


def _backing(motion_id: str, backer: Backer, kind: str, place: int) -> Any:
    return motion_backer.insert().values(
        motion=motion_id, member=backer.member, kind=kind, place=place, name=backer.name
    )


def save(tx: Connection, one: Motion) -> Motion:
    """Store a changed motion (not its backers) under the next version, which is returned.

    Raises:
        Conflict: somebody else changed it since it was loaded.
    """
    done = tx.execute(
        update(motion)
        .where(motion.c.id == one.id, motion.c.version == one.version)
        .values(version=one.version + 1, **_columns(one))
    )
    if done.rowcount != 1:
        raise changed()
    return get(tx, one.meeting, one.id)


def changed() -> Conflict:
    """Return the refusal for a motion that somebody else has changed."""
    return Conflict("motion.changed", "This motion has just been changed; load it again.")


def add_seconder(tx: Connection, one: Motion, backer: Backer) -> None:
    """Store one more seconder."""
    tx.execute(_backing(one.id, backer, "seconder", len(one.seconders)))


def clear_seconders(tx: Connection, motion_id: str) -> None:
    """Forget who seconded a text that is another one now."""
    tx.execute(delete(motion_backer).where(motion_backer.c.motion == motion_id, motion_backer.c.kind == "seconder"))


def set_conflict(tx: Connection, motion_id: str, member: str, declared: bool) -> None:
    """Store or forget a declared conflict of interest."""
    table = motion_conflict
    tx.execute(delete(table).where(table.c.motion == motion_id, table.c.member == member))
    if declared:
        tx.execute(table.insert().values(motion=motion_id, member=member))


def get(tx: Connection, meeting: str, motion_id: str) -> Motion:
    """Return a motion of a meeting.

    Raises:
        NotFound: the meeting has no such motion.
    """
    found = _motions(tx, motion.c.meeting == meeting, motion.c.id == motion_id)
    if not found:
        raise NotFound("motion.unknown", "There is no such motion in this meeting.")
    return found[0]


def of_meeting(tx: Connection, meeting: str) -> list[Motion]:
    """Return every motion and amendment of a meeting in the order of writing."""
    return _motions(tx, motion.c.meeting == meeting)


def amendments(tx: Connection, base: Motion) -> list[Motion]:
    """Return the amendments of a motion in the order of writing."""
    return _motions(tx, motion.c.meeting == base.meeting, motion.c.base == base.id)


def drafts_of(tx: Connection, meeting: str, member: str) -> list[Motion]:
    """Return the drafts of which a member is a mover."""
    own = select(motion_backer.c.motion).where(motion_backer.c.member == member, motion_backer.c.kind == "mover")
    return _motions(tx, motion.c.meeting == meeting, motion.c.state == MotionState.DRAFT, motion.c.id.in_(own))


def drafters(tx: Connection, meeting: str) -> frozenset[str]:
    """Return the members who have drafts."""
    own = select(motion_backer.c.member).join(motion, motion.c.id == motion_backer.c.motion)
    here = (motion.c.meeting == meeting, motion.c.state == MotionState.DRAFT, motion_backer.c.kind == "mover")
    return frozenset(tx.scalars(own.where(*here)))


def _motions(tx: Connection, *conditions: Any) -> list[Motion]:
    rows = tx.execute(select(motion).where(*conditions).order_by(motion.c.position)).all()
    ids = [row.id for row in rows]
    if not ids:
        return []
    backers: dict[tuple[str, str], list[Backer]] = defaultdict(list)
    chosen = select(motion_backer).where(motion_backer.c.motion.in_(ids))
    for row in tx.execute(chosen.order_by(motion_backer.c.place)):
        backers[row.motion, row.kind].append(Backer(row.member, row.name))
    conflicts: dict[str, list[str]] = defaultdict(list)
    declared = select(motion_conflict).where(motion_conflict.c.motion.in_(ids))
    for row in tx.execute(declared.order_by(motion_conflict.c.member)):
        conflicts[row.motion].append(row.member)
    return [_motion(row, backers[row.id, "mover"], backers[row.id, "seconder"], conflicts[row.id]) for row in rows]


def _motion(row: Row[Any], movers: Sequence[Backer], seconders: Sequence[Backer], conflicts: Sequence[str]) -> Motion:
    return Motion(
        id=row.id,
        meeting=row.meeting,
        item=row.item,
        base=row.base or "",
        number=row.number,
        title=row.title,
        text=row.text,
        hash=row.hash,
        span=Span(row.first, row.last),
        base_hash=row.base_hash,
        seconders_needed=row.seconders_needed,
        state=MotionState(row.state),
        collides=bool(row.collides),
        version=row.version,
        movers=tuple(movers),
        seconders=tuple(seconders),
        conflicts=tuple(conflicts),
    )


def keep_text(tx: Connection, one: Motion) -> None:
    """Keep the text that a motion has now, for those that refer to it by its hash."""
    tx.execute(insert(motion_text).values(motion=one.id, hash=one.hash, text=one.text).on_conflict_do_nothing())


def kept_text(tx: Connection, motion_id: str, digest: str) -> str:
    """Return a text that a motion had.

    Raises:
        NotFound: it was not kept.
    """
    table = motion_text.c
    text: str | None = tx.scalars(select(table.text).where(table.motion == motion_id, table.hash == digest)).first()
    if text is None:
        raise NotFound("motion.unknown-text", "This motion never had this text.")
    return text


def cite(tx: Connection, vote: Vote) -> None:
    """Store that an election decides a motion."""
    tx.execute(motion_election.insert().values(election=vote.election, motion=vote.motion, hash=vote.hash))


def vote_of(tx: Connection, election: str) -> Vote | None:
    """Return what motion an election decides, or None."""
    row = tx.execute(select(motion_election).where(motion_election.c.election == election)).first()
    return None if row is None else Vote(row.election, row.motion, row.hash)


def votes_of(tx: Connection, motions: Sequence[str]) -> list[Vote]:
    """Return the votes on these motions, by election."""
    table = motion_election
    rows = tx.execute(select(table).where(table.c.motion.in_(list(motions))).order_by(table.c.election))
    return [Vote(row.election, row.motion, row.hash) for row in rows]


def next_resolution(tx: Connection, unit: str, year: int) -> int:
    """Return the number of a unit's next resolution of a year."""
    table = resolution.c
    query = select(func.max(table.number)).where(table.unit == unit, table.year == year)
    return 1 + (tx.execute(query).scalar() or 0)


def add_resolution(tx: Connection, one: Resolution) -> None:
    """Insert a resolution; nothing changes it any more."""
    names = ("motion", "unit", "year", "number", "meeting", "election", "title", "text", "hash", "adopted_at")
    tx.execute(resolution.insert().values({name: getattr(one, name) for name in names}))


def resolutions(tx: Connection, unit: str) -> list[Resolution]:
    """Return a unit's resolutions, the latest first."""
    query = select(resolution).where(resolution.c.unit == unit)
    rows = tx.execute(query.order_by(resolution.c.year.desc(), resolution.c.number.desc()))
    return [_resolution(row) for row in rows]


def resolution_of(tx: Connection, motion_id: str) -> Resolution:
    """Return the resolution that a motion became.

    Raises:
        NotFound: it became none.
    """
    row = tx.execute(select(resolution).where(resolution.c.motion == motion_id)).first()
    if row is None:
        raise NotFound("resolution.unknown", "There is no such resolution.")
    return _resolution(row)


def resolutions_of(tx: Connection, meeting: str) -> dict[str, Resolution]:
    """Return the resolutions of a meeting by their motions."""
    rows = tx.execute(select(resolution).where(resolution.c.meeting == meeting))
    return {row.motion: _resolution(row) for row in rows}


def _resolution(row: Row[Any]) -> Resolution:
    return Resolution(
        row.motion,
        row.unit,
        row.year,
        row.number,
        row.meeting,
        row.election,
        row.title,
        row.text,
        row.hash,
        row.adopted_at,
    )
