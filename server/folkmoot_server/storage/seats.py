"""Seats and attendance intervals."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, func, select, update
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.domain.attendance import Seat
from folkmoot_server.storage import schema


def _seat(row: Row[Any]) -> Seat:
    return Seat(
        row.meeting,
        row.member,
        row.site,
        bool(row.removed),
        bool(row.muted),
        row.lease_epoch,
        row.lease_at,
        bool(row.away),
        row.departed,
        bool(row.kiosk),
    )


# Built once: every snapshot asks for it.
_FIND: Final = select(schema.seat).where(
    schema.seat.c.meeting == bindparam("in_meeting"), schema.seat.c.member == bindparam("of_member")
)


def find(tx: Connection, meeting: str, member: str) -> Seat | None:
    """Return a member's seat in a meeting, or None before the first check-in."""
    row = tx.execute(_FIND, {"in_meeting": meeting, "of_member": member}).first()
    return None if row is None else _seat(row)


def of_meeting(tx: Connection, meeting: str) -> list[Seat]:
    """Return every seat of a meeting, by member."""
    table = schema.seat
    return [
        _seat(row) for row in tx.execute(select(table).where(table.c.meeting == meeting).order_by(table.c.member))
    ]


def present(tx: Connection, meeting: str) -> list[Seat]:
    """Return the seats with an open attendance interval, by member."""
    return [seat for seat in of_meeting(tx, meeting) if seat.present]


def removed(tx: Connection, meeting: str) -> list[str]:
    """Return the members whom the chair has removed, by id."""
    table = schema.seat.c
    query = select(table.member).where(table.meeting == meeting, table.removed == 1)
    return list(tx.scalars(query.order_by(table.member)))


def count_present(tx: Connection, meeting: str) -> int:
    """Return how many attendance intervals are open."""
    table = schema.attendance_interval.c
    return tx.execute(select(func.count()).where(table.meeting == meeting, table.until_at.is_(None))).scalar_one()


def arrivals(tx: Connection, meeting: str) -> dict[str, int]:
    """Return since when each member with an open attendance interval has been there."""
    table = schema.attendance_interval.c
    rows = tx.execute(select(table.member, table.from_at).where(table.meeting == meeting, table.until_at.is_(None)))
    return {row.member: row.from_at for row in rows}


def silent(tx: Connection, meeting: str, before: int) -> list[Seat]:
    """Return the seats with an open interval whose own lease was last renewed before `before`, by member."""
    table = schema.seat
    where = (table.c.meeting == meeting, table.c.departed == "", table.c.kiosk == 0, table.c.lease_at < before)
    return [_seat(row) for row in tx.execute(select(table).where(*where).order_by(table.c.member))]


def at_kiosk(tx: Connection, meeting: str, site: str) -> list[Seat]:
    """Return the seats of who checked in at a hall's own browser and has no lease, by member."""
    table = schema.seat
    where = (table.c.meeting == meeting, table.c.site == site, table.c.kiosk == 1)
    return [_seat(row) for row in tx.execute(select(table).where(*where).order_by(table.c.member))]


def was_used(tx: Connection, meeting: str, site: str) -> bool:
    """Say whether somebody has checked in at a site, now or before."""
    table = schema.attendance_interval.c
    return (
        tx.execute(select(table.id).where(table.meeting == meeting, table.site == site).limit(1)).first() is not None
    )


def by_site(tx: Connection, meeting: str) -> dict[str, int]:
    """Return how many members are present at each site where some are."""
    table = schema.seat.c
    query = select(table.site, func.count().label("n")).where(table.meeting == meeting, table.departed == "")
    return {row.site: row.n for row in tx.execute(query.group_by(table.site))}


def save(tx: Connection, seat: Seat) -> None:
    """Insert or replace a seat."""
    values = {
        "meeting": seat.meeting,
        "member": seat.member,
        "site": seat.site,
        "removed": int(seat.removed),
        "muted": int(seat.muted),
        "lease_epoch": seat.lease_epoch,
        "lease_at": seat.lease_at,
        "away": int(seat.away),
        "departed": seat.departed,
        "kiosk": int(seat.kiosk),
    }
    statement = insert(schema.seat).values(values)
    tx.execute(statement.on_conflict_do_update(index_elements=["meeting", "member"], set_=values))


def open_interval(tx: Connection, seat: Seat, at: int) -> None:
    """Begin an attendance interval; the member must have none open in this meeting."""
    tx.execute(
        schema.attendance_interval.insert().values(
            meeting=seat.meeting, member=seat.member, site=seat.site, from_at=at, until_at=None
        )
    )


def end_interval(tx: Connection, meeting: str, member: str, at: int) -> None:
    """End the member's open attendance interval."""
    table = schema.attendance_interval
    tx.execute(
        update(table)
        .where(table.c.meeting == meeting, table.c.member == member, table.c.until_at.is_(None))
        .values(until_at=at)
    )
