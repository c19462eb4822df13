"""Members who move between sites, and what the chair decides about those who move too often."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection

from folkmoot_server.domain.attendance import Seat
from folkmoot_server.domain.ids import b64u
from folkmoot_server.domain.sites import MOVES_S
from folkmoot_server.storage import events, sites
from folkmoot_server.storage.sites import Dispute


def note_move(tx: Connection, seat: Seat, name: str, before: str, now: int) -> int:
    """Tell that a member moved from the site `before`; a second move within ten minutes is disputed.

    Return the last event's seq. A member has one dispute at a time.
    """
    meeting, member = seat.meeting, seat.member
    sites.add_move(tx, meeting, member, (before, seat.site), now)
    body = {"member": member, "name": name, "from": before, "to": seat.site}
    seq = events.append(tx, meeting, "SeatMoved", now, body)
    moves = sites.moves_since(tx, meeting, member, now - MOVES_S + 1)
    if len(moves) < 2 or sites.disputes(tx, meeting, [member]):
        return seq
    claimed = tuple(sorted({site for move in moves for site in move}))
    found = Dispute(_id(meeting, seq), meeting, member, claimed, now, "")
    sites.add_dispute(tx, found)
    told = {"dispute": found.id, "member": member, "name": name, "sites": list(claimed)}
    return events.append(tx, meeting, "SeatDisputed", now, told)


def _id(meeting: str, seq: int) -> str:
    """Return an id for what the event of this number began."""
    return b64u(hashlib.sha256(f"fm1/dispute {meeting} {seq}".encode()).digest()[:12])
