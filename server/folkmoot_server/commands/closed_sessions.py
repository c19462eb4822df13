"""Closed sessions: the chair shuts the room to the public; who asks is inside or outside (conduct.md section 11)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import presiding, rights, speaking
from folkmoot_server.domain import closed_sessions as rules
from folkmoot_server.domain.audience import Audience, Listener
from folkmoot_server.domain.closed_sessions import ADMITTED, BEGAN, ELSEWHERE, ENDED, Admission, Party
from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound, Refused
from folkmoot_server.domain.identity import GuestSession, SessionInfo
from folkmoot_server.domain.meetings import Act, Meeting, advance
from folkmoot_server.domain.relays import site_of_seat, site_seat
from folkmoot_server.domain.sites import SiteKind
from folkmoot_server.domain.visitors import State
from folkmoot_server.storage import closed_sessions as store
from folkmoot_server.storage import events, meetings, sites, visitors

Caller = SessionInfo | GuestSession


def party(tx: Connection, meeting: Meeting, caller: Caller, now: int) -> Party:
    """Return what the rules of closed sessions have to know of a caller.

    By way of a relay comes every request of a session that one has ever carried: the relay knows its cookie.
    """
    ways = frozenset(_site_of(way, meeting.id) for way in caller.carried)
    if isinstance(caller, GuestSession):
        return Party(caller.visitor, False, ways)
    entitled = rights.is_entitled(tx, meeting, caller.member_id, now)
    roles = rights.roles_on(tx, caller.member_id, meeting.unit, now)
    return Party(caller.member_id, rules.is_insider(entitled=entitled, roles=roles), ways)


def _site_of(way: str, meeting: str) -> str:
    of, _, site = way.partition("/")
    return site if of == meeting else ELSEWHERE


def listener(tx: Connection, meeting: Meeting, caller: Caller, now: int) -> Listener:
    """Return as whom a caller who may follow the meeting hears of it."""
    asks = party(tx, meeting, caller, now)
    if isinstance(caller, GuestSession):
        return Listener(Audience.GUESTS, asks)
    return Listener(rights.audience(tx, meeting, caller.member_id, now), asks)


def is_outside(tx: Connection, meeting: Meeting, caller: Caller, now: int) -> bool:
    """Say whether a closed session runs that is closed to the caller."""
    admission = store.history(tx, meeting.id).running
    return admission is not None and not rules.is_inside(party(tx, meeting, caller, now), admission)


def is_kept_out_by_way(tx: Connection, meeting: Meeting, caller: Caller, now: int) -> bool:
    """Say whether a closed session runs to which the caller is admitted, if not by way of these relays."""
    admission = store.history(tx, meeting.id).running
    return admission is not None and rules.is_kept_out_by_way(party(tx, meeting, caller, now), admission)


def require_inside(tx: Connection, meeting_id: str, caller: Caller, now: int) -> None:
    """Refuse whoever is outside of a closed session that runs; without one nobody is, nor in a meeting unknown here.

    Raises:
        Forbidden: `closed-session.site` by way of a hall that is not admitted, else `closed-session.outside`.
    """
    admission = store.history(tx, meeting_id).running
    if admission is None:
        return
    asks = party(tx, meetings.get(tx, meeting_id), caller, now)
    if not asks.ways <= admission.sites:
        raise hall_outside()
    if not rules.is_inside(asks, admission):
        raise Forbidden("closed-session.outside", "The meeting is in closed session; you are not admitted to it.")


def is_running(tx: Connection, meeting_id: str) -> bool:
    """Say whether a meeting is in closed session."""
    return store.history(tx, meeting_id).running is not None


def require_hall_inside(tx: Connection, meeting_id: str, site: str) -> None:
    """Refuse a hall that is not admitted to a closed session that runs.

    Raises:
        Forbidden: it is so.
    """
    if is_hall_outside(tx, meeting_id, site):
        raise hall_outside()


def speaker_outside(tx: Connection, meeting: Meeting, person: str, now: int) -> Forbidden | None:
    """Return the refusal of a hall, by its own seat, or a visitor outside of a closed session that runs."""
    admission = store.history(tx, meeting.id).running
    site, visitor = site_of_seat(person), visitors.find(tx, meeting.id, person)
    if admission is None or (site is None and visitor is None):
        return None
    if site is not None:
        return hall_outside() if is_hall_outside(tx, meeting.id, site) else None
    if person in admission.visitors or _is_insider(tx, meeting, person, now):
        return None
    message = "The meeting is in closed session; this visitor is not admitted to it."
    return Forbidden("closed-session.visitor", message)


def is_hall_outside(tx: Connection, meeting_id: str, site: str) -> bool:
    """Say whether a closed session runs to which a hall is not admitted."""
    admission = store.history(tx, meeting_id).running
    return admission is not None and not rules.is_inside(rules.hall(site), admission)


def hall_outside() -> Forbidden:
    """Return the refusal of a hall, and of whoever comes by its relay."""
    return Forbidden("closed-session.site", "The meeting is in closed session; this hall is not admitted to it.")


def outside(tx: Connection, meeting: Meeting, caller: Caller, now: int) -> list[tuple[int, int]]:
    """Return the ranges of event numbers, both ends included, of which the caller may not know."""
    history = store.history(tx, meeting.id)
    return history.outside(party(tx, meeting, caller, now)) if history.changes else []


def knows(tx: Connection, meeting_id: str, caller: Caller, seq: int, now: int) -> bool:
    """Say whether the caller may know of event `seq`."""
    ranges = outside(tx, meetings.get(tx, meeting_id), caller, now)
    return not any(first <= seq <= last for first, last in ranges)


def begin(
    tx: Connection,
    meeting_id: str,
    actor: str,
    reason: str,
    halls: Collection[str],
    guests: Collection[str],
    now: int,
) -> int:
    """Close the room to all but insiders, these sites and these visitors; return the event's seq.

    Visitors and halls that are outside lose the floor.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, site or admitted visitor, no chair, or not in session.
        Conflict: a closed session runs already.
    """
    meeting = _led(tx, meeting_id, actor, now)
    if store.history(tx, meeting_id).running is not None:
        raise Conflict("closed-session.running", "The meeting is in closed session already.")
    for hall in halls:
        _check_site(tx, meeting_id, hall)
    for visitor in guests:
        _check_visitor(tx, meeting_id, visitor)
    for one in visitors.admitted(tx, meeting_id):
        if one.id not in guests and not _is_insider(tx, meeting, one.id, now):
            speaking.take(tx, meeting_id, one.id, now)
    for site in sites.of_meeting(tx, meeting_id):
        if site.id not in halls:
            speaking.take(tx, meeting_id, site_seat(site.id), now)
    return _tell(tx, meeting_id, BEGAN, {"sites": sorted(set(halls)), "visitors": sorted(set(guests))}, now, reason)


def _led(tx: Connection, meeting_id: str, actor: str, now: int) -> Meeting:
    meeting = meetings.get(tx, meeting_id)
    presiding.require_chair(tx, meeting, actor, now)
    advance(meeting.state, Act.CLOSE_SESSION)
    return meeting


def _is_insider(tx: Connection, meeting: Meeting, visitor: str, now: int) -> bool:
    entitled = rights.is_entitled(tx, meeting, visitor, now)
    return rules.is_insider(entitled=entitled, roles=rights.roles_on(tx, visitor, meeting.unit, now))


def _check_site(tx: Connection, meeting_id: str, site: str) -> None:
    if sites.get(tx, meeting_id, site).kind is SiteKind.REMOTE:
        raise NotFound("site.unknown", "There is no such site.")


def _check_visitor(tx: Connection, meeting_id: str, visitor_id: str) -> None:
    visitor = visitors.find(tx, meeting_id, visitor_id)
    if visitor is None or State.ADMITTED not in (visitor.state, visitor.back):
        raise NotFound("lobby.unknown-visitor", "There is no such visitor.")


def _tell(tx: Connection, meeting_id: str, kind: str, body: dict[str, Any], now: int, reason: str = "") -> int:
    seq = events.append(tx, meeting_id, kind, now, body)
    store.add(tx, meeting_id, seq, kind, now, body, reason)
    return seq


def admit(tx: Connection, meeting_id: str, actor: str, site: str, visitor: str, admitted: bool, now: int) -> int:
    """Let a site or a visitor in, or send them out; return the event's seq, the last one's when nothing changes.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, site or admitted visitor, no chair, or not in session.
        Conflict: no closed session runs.
        Refused: not just one of the two is named.
    """
    meeting = _led(tx, meeting_id, actor, now)
    if bool(site) == bool(visitor):
        raise Refused("closed-session.nobody-named", "Name one site or one visitor.")
    before = _running(tx, meeting_id)
    if admitted and site:
        _check_site(tx, meeting_id, site)
    if admitted and visitor:
        _check_visitor(tx, meeting_id, visitor)
    return _change(tx, meeting, before, site, visitor, admitted, now)


def _running(tx: Connection, meeting_id: str) -> Admission:
    found = store.history(tx, meeting_id).running
    if found is None:
        raise Conflict("closed-session.none", "The meeting is not in closed session.")
    return found


def _change(
    tx: Connection, meeting: Meeting, before: Admission, site: str, visitor: str, admitted: bool, now: int
) -> int:
    if rules.admitted(before, site, visitor, admitted) == before:
        return meetings.get(tx, meeting.id).last_seq
    if visitor and not admitted and not _is_insider(tx, meeting, visitor, now):
        speaking.take(tx, meeting.id, visitor, now)
    if site and not admitted:
        speaking.take(tx, meeting.id, site_seat(site), now)
    return _tell(tx, meeting.id, ADMITTED, {"site": site, "visitor": visitor, "admitted": admitted}, now)


def forget_visitor(tx: Connection, meeting_id: str, visitor: str, now: int) -> None:
    """Let a visitor who has gone, or was sent away, not be named any more: whoever comes back is let in anew."""
    before = store.history(tx, meeting_id).running
    if before is not None and visitor in before.visitors:
        _change(tx, meetings.get(tx, meeting_id), before, "", visitor, False, now)


def end(tx: Connection, meeting_id: str, actor: str, now: int) -> int:
    """Open the room to the public again; return the event's seq.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, no chair, or not in session.
        Conflict: no closed session runs.
    """
    _led(tx, meeting_id, actor, now)
    _running(tx, meeting_id)
    return _tell(tx, meeting_id, ENDED, {}, now)


def finish(tx: Connection, meeting_id: str, now: int) -> None:
    """End the closed session of a meeting that is adjourned or closed, if one runs."""
    if store.history(tx, meeting_id).running is not None:
        _tell(tx, meeting_id, ENDED, {}, now)
