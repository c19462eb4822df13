"""Members who move between sites or are claimed at several, and what is put before the chair of it."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from folkmoot_server.domain.attendance import Seat
from folkmoot_server.domain.ids import b64u
from folkmoot_server.domain.sites import MOVES_S
from folkmoot_server.storage import events, members, seats, sites
from folkmoot_server.storage.sites import Dispute


def still_there(tx: Connection, seat: Seat) -> bool:
    """Say whether a member is heard where the seat is: by an own device that is not away, or by the hall's page."""
    if not seat.present:
        return False
    if not seat.kiosk:
        return not seat.away
    site = sites.find(tx, seat.meeting, seat.site)
    return site is not None and site.live


def note_move(tx: Connection, seat: Seat, name: str, before: str, now: int, *, twice: bool) -> int:
    """Tell that a member moved from the site `before`; a second move within ten minutes is disputed.

    With `twice` this one is, for the member was still heard there. Return the last event's seq.
    """
    meeting, member = seat.meeting, seat.member
    sites.add_move(tx, meeting, member, (before, seat.site), now)
    body = {"member": member, "name": name, "from": before, "to": seat.site}
    seq = events.append(tx, meeting, "SeatMoved", now, body)
    moves = sites.moves_since(tx, meeting, member, now - MOVES_S + 1)
    if twice or len(moves) >= 2:
        claimed = {site for move in moves for site in move}
        return _raise(tx, meeting, member, name, claimed, now) or seq
    return seq


def note_overtaken(tx: Connection, meeting: str, member: str, site: str, now: int) -> None:
    """Put before the chair that a hall brings a check-in of somebody who has checked in elsewhere since."""
    seat = seats.find(tx, meeting, member)
    if seat is not None and seat.site != site and not seat.removed:
        _raise(tx, meeting, member, members.get(tx, member).name, {site, seat.site}, now)


def _raise(tx: Connection, meeting: str, member: str, name: str, claimed: set[str], now: int) -> int:
    """Tell a dispute and return its event's seq, or 0: a member has one at a time."""
    if sites.disputes(tx, meeting, [member]):
        return 0
    listed = tuple(sorted(claimed))
    found = Dispute(_id(meeting, member, events.last_number(tx)), meeting, member, listed, now, "")
    sites.add_dispute(tx, found)
    told = {"dispute": found.id, "member": member, "name": name, "sites": list(listed)}
    return events.append(tx, meeting, "SeatDisputed", now, told)


def _id(meeting: str, member: str, number: int) -> str:
    """Return an id for what was found of a member after the event of this number."""
    return b64u(hashlib.sha256(f"fm1/dispute {meeting} {member} {number}".encode()).digest()[:12])
