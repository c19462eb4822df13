"""Who is in a hall with a relay: leases that it renews, intervals that a cut ends, and what the hall proves."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from folkmoot_server.commands import attendance
from folkmoot_server.domain.attendance import RETURNING, Departure, Seat
from folkmoot_server.storage import events, seats


def in_hall(tx: Connection, meeting: str, site: str, member: str) -> Seat | None:
    """Return the seat of somebody who has checked in at a site and is there, or was lost with it; else None."""
    seat = seats.find(tx, meeting, member)
    if seat is None or seat.site != site or seat.removed:
        return None
    return seat if seat.present or seat.departed in RETURNING else None


def renew(tx: Connection, meeting: str, site: str, members: Iterable[str], now: int) -> None:
    """Renew the leases of those of `members` who are checked in at a site; others are ignored."""
    for member in members:
        seat = in_hall(tx, meeting, site, member)
        if seat is not None:
            attendance.renewed(tx, seat, now)


def lost_with(tx: Connection, meeting: str, site: str, heard_at: int) -> list[Seat]:
    """Return the seats of those present at a site of whom nothing was heard after its relay."""
    return [seat for seat in seats.present(tx, meeting) if seat.site == site and seat.lease_at <= heard_at]


def cut_off(tx: Connection, meeting: str, site: str, heard_at: int, now: int) -> None:
    """End the intervals of those at a site of whom nothing was heard after its relay.

    Each ends at its own last lease, of who has no phone here at the hall's: presence is not stretched beyond that.
    """
    gone = lost_with(tx, meeting, site, heard_at)
    for seat in gone:
        until = max(seat.lease_at, heard_at) if seat.kiosk else seat.lease_at
        attendance.depart(tx, seat, Departure.CUT, until, now)
    if gone:
        attendance.update_quorum(tx, meeting, now)


def confirm(tx: Connection, meeting: str, site: str, members: Iterable[str], at: int, now: int) -> bool:
    """Tell that a hall proves who was there at `at`, of those who are checked in at it; return whether anybody was.

    It moves ends of intervals in the attendance list and never counts for a quorum of then.
    """
    proved = sorted({member for member in members if in_hall(tx, meeting, site, member) is not None})
    if proved:
        events.append(tx, meeting, "HallConfirmed", now, {"site": site, "at": at, "members": proved})
    return bool(proved)
