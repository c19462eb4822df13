"""Arriving, leaving and the leases that keep a member present; the quorum follows each change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from folkmoot_server.commands import disputes, speaking
from folkmoot_server.domain.attendance import RETURNING, Departure, Presence, Seat, judge_lease
from folkmoot_server.domain.errors import Conflict, Forbidden, WrongState
from folkmoot_server.domain.ids import b64u
from folkmoot_server.domain.meetings import ROOM_STATES, Act, State, advance
from folkmoot_server.domain.quorum import Quorum
from folkmoot_server.storage import events, meetings, members, schema, seats


def quorum(tx: Connection, meeting_id: str) -> Quorum:
    """Return the quorum of a meeting as it stands; the roll counts nobody before it is frozen."""
    meeting = meetings.get(tx, meeting_id)
    return Quorum(
        meeting.quorum_num, meeting.quorum_den, seats.count_present(tx, meeting_id), roll_size(tx, meeting_id)
    )


def roll_size(tx: Connection, meeting_id: str) -> int:
    """Return the size of the frozen roll, or 0."""
    table = schema.roll.c
    core = tx.execute(select(table.core).where(table.meeting == meeting_id, table.statement.is_not(None))).scalar()
    return 0 if core is None else int(json.loads(core)["size"])


def presence(tx: Connection, meeting_id: str) -> list[str]:
    """Return the ids of the members with an open attendance interval, ascending."""
    return [seat.member for seat in seats.present(tx, meeting_id)]


def arrive(
    tx: Connection,
    meeting_id: str,
    member: str,
    site: str,
    proof: bytes,
    now: int,
    since: int = 0,
    *,
    kiosk: bool = False,
    same_device: bool = False,
) -> int:
    """Record a check-in: open an interval unless one is open; return the last event's seq.

    `since`, if it is before `now`, is when the check-in was made while the hall was cut off. It is attendance from
    then on and counts for the quorum from `now` on.

    The caller verified the check-in itself; `proof` is its salted hash, which the event cites. Checking in again
    from another device is told as an event too; at another site, it ends the interval at the first one, and is
    disputed when the member is still heard there, unless it comes from the `same_device`. With `kiosk` the member has
    no lease, and is there as long as the hall is.

    Raises:
        WrongState: the meeting takes no check-ins.
        Forbidden: the member was removed.
    """
    advance(meetings.get(tx, meeting_id).state, Act.CHECK_IN)
    seat = seats.find(tx, meeting_id, member)
    if seat is not None and seat.removed:
        raise Forbidden("meeting.removed", "The chair has removed you from this meeting.")
    name = members.get(tx, member).name
    before = seat.site if seat is not None and seat.present else ""
    moved = before not in ("", site)
    twice = moved and seat is not None and not same_device and disputes.still_there(tx, seat)
    if moved:
        _end_interval(tx, meeting_id, member, Departure.MOVED, since if 0 < since < now else now, now)
    was_present = before == site
    seat = seat or Seat(meeting_id, member, site)
    seat = replace(seat, site=site, lease_at=now, away=False, departed="", kiosk=kiosk)
    seats.save(tx, seat)
    if not was_present:
        seats.open_interval(tx, seat, now)
    body: dict[str, Any] = {"member": member, "name": name, "site": site, "proof": b64u(proof)}
    if 0 < since < now:
        body["since"] = since
    seq = events.append(tx, meeting_id, "MemberCheckedIn", now, body)
    if moved:
        seq = disputes.note_move(tx, seat, name, before, now, twice=twice)
    update_quorum(tx, meeting_id, now)
    return seq


def depart(tx: Connection, seat: Seat, reason: Departure, until: int, now: int) -> int:
    """End a present member's interval at `until`, take hand and floor; return the event's seq.

    The caller updates the quorum when it has let everyone go.

    Raises:
        WrongState: the member is not in the room.
    """
    if not seat.present:
        raise WrongState("attendance.not-present", "The member is not in the room.")
    seats.save(tx, replace(seat, departed=reason.value, away=False))
    speaking.depart(tx, seat.meeting, seat.member, min(until, now), now)
    return _end_interval(tx, seat.meeting, seat.member, reason, until, now)


def _end_interval(tx: Connection, meeting_id: str, member: str, reason: Departure, until: int, now: int) -> int:
    seats.end_interval(tx, meeting_id, member, until)
    body = {"member": member, "reason": reason.value, "until": until}
    return events.append(tx, meeting_id, "MemberDeparted", now, body)


def leave(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Let a member leave by own wish; return the event's seq.

    Raises:
        WrongState: the meeting is not in session, or the member is not in the room.
    """
    advance(meetings.get(tx, meeting_id).state, Act.LEAVE)
    seq = depart(tx, _seat(tx, meeting_id, member), Departure.LEFT, now, now)
    update_quorum(tx, meeting_id, now)
    return seq


def take_lease(tx: Connection, meeting_id: str, member: str, now: int) -> int:
    """Give a new connection the member's lease and return its epoch; older connections cannot renew any more.

    Raises:
        WrongState: the meeting is not in session, or the member must check in (again).
        Forbidden: the member was removed.
    """
    seat = _leasable(tx, meeting_id, member)
    seat = replace(seat, lease_epoch=seat.lease_epoch + 1)
    renewed(tx, seat, now)
    return seat.lease_epoch


def renew(tx: Connection, meeting_id: str, member: str, epoch: int, now: int) -> None:
    """Renew a lease; who was away or lost is back.

    Raises:
        Conflict: a newer connection has the lease.
        WrongState: the meeting is not in session, or the member must check in (again).
        Forbidden: the member was removed.
    """
    seat = _leasable(tx, meeting_id, member)
    if seat.lease_epoch != epoch:
        raise Conflict("attendance.lease-superseded", "You are in this meeting on a newer connection.")
    renewed(tx, seat, now)


def _leasable(tx: Connection, meeting_id: str, member: str) -> Seat:
    if meetings.get(tx, meeting_id).state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    seat = _seat(tx, meeting_id, member)
    if seat.removed:
        raise Forbidden("meeting.removed", "The chair has removed you from this meeting.")
    if seat.departed not in ("", *RETURNING):
        raise WrongState("attendance.not-present", "Please check in again.")
    return seat


def renewed(tx: Connection, seat: Seat, now: int) -> None:
    """Note a sign of life of somebody who may be here; who was away or lost is back.

    Who is heard from an own device is there by that device, wherever they checked in.
    """
    bring_back(tx, replace(seat, kiosk=False), now)
    if not seat.present:
        update_quorum(tx, seat.meeting, now)


def bring_back(tx: Connection, seat: Seat, now: int) -> None:
    """Note that a member is there, or back; the caller updates the quorum when it has brought everyone back."""
    was_present, was_away = seat.present, seat.away
    seat = replace(seat, lease_at=now, away=False, departed="")
    seats.save(tx, seat)
    if not was_present:
        seats.open_interval(tx, seat, now)
    if was_away or not was_present:
        events.append(tx, seat.meeting, "MemberReturned", now, {"member": seat.member})


def _seat(tx: Connection, meeting_id: str, member: str) -> Seat:
    seat = seats.find(tx, meeting_id, member)
    if seat is None:
        raise WrongState("attendance.not-checked-in", "The member has not checked in to this meeting.")
    return seat


def expire_leases(tx: Connection, now: int, away_s: int, lost_s: int, watching_since: int) -> bool:
    """Mark silent members away and end the intervals of lost ones; return whether anything changed.

    Sent by the scheduler. `watching_since` is when this server began to listen.
    """
    changed = False
    for meeting in meetings.in_states(tx, ROOM_STATES):
        lost = False
        for seat in seats.silent(tx, meeting.id, now - away_s + 1):
            verdict = judge_lease(seat.lease_at, watching_since, now, away_s, lost_s)
            if verdict is Presence.LOST:
                # The member was last seen when the lease was renewed: presence is not stretched beyond that.
                depart(tx, seat, Departure.LOST, seat.lease_at, now)
                lost = changed = True
            elif verdict is Presence.AWAY and not seat.away:
                seats.save(tx, replace(seat, away=True))
                events.append(tx, meeting.id, "MemberAway", now, {"member": seat.member})
                changed = True
        if lost:
            update_quorum(tx, meeting.id, now)
    return changed


def silent_meetings(tx: Connection, now: int, away_s: int) -> bool:
    """Say whether expire_leases might have something to do."""
    return any(seats.silent(tx, meeting.id, now - away_s + 1) for meeting in meetings.in_states(tx, ROOM_STATES))


def end_all(tx: Connection, meeting_id: str, reason: Departure, now: int) -> Sequence[str]:
    """End every open interval because the meeting closes or adjourns; return the members."""
    leaving = seats.present(tx, meeting_id)
    for seat in leaving:
        depart(tx, seat, reason, now, now)
    return [seat.member for seat in leaving]


def update_quorum(tx: Connection, meeting_id: str, now: int) -> None:
    """Tell when the quorum is reached or lost; a binding one takes the meeting along."""
    meeting = meetings.get(tx, meeting_id)
    figures = quorum(tx, meeting_id)
    if figures.met == meeting.quorum_met:
        return
    state = meeting.state
    if meeting.binding and figures.met and state is State.QUORUM_LOST:
        state = advance(state, Act.REGAIN_QUORUM)
    elif meeting.binding and not figures.met and state is State.OPENED:
        state = advance(state, Act.LOSE_QUORUM)
    meetings.set_quorum(tx, meeting_id, figures.met, state)
    kind = "QuorumReached" if figures.met else "QuorumLost"
    events.append(tx, meeting_id, kind, now, {"present": figures.present, "needed": figures.needed})
