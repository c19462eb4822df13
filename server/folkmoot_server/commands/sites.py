"""Halls: written down, tested, heard, lost and back; their codes, seat lists, and what the chair decides of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.commands import attendance, floor, presiding, rights
from folkmoot_server.commands.identity import StepUp, evidence_of, signed_action
from folkmoot_server.domain.attendance import RETURNING, Departure
from folkmoot_server.domain.errors import BadInput, Conflict, Forbidden, NotFound, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ids import Rng, b64u, new_id
from folkmoot_server.domain.meetings import FINAL, ROOM_STATES, Act, Meeting
from folkmoot_server.domain.meetings import advance as advance_meeting
from folkmoot_server.domain.roles import Action
from folkmoot_server.domain.sites import (
    CODE_S,
    EVENTS,
    FIXED,
    HEARD_STATES,
    LIVE,
    SITES_MAX,
    LineTest,
    SeatList,
    Site,
    SiteAct,
    SiteKind,
    SiteState,
    advance,
    code,
    differences,
    lease_end,
    takes,
)
from folkmoot_server.storage import events, meetings, members, rolls, screens, seats, sites
from folkmoot_voting.encoding import jcs

REMOTE = SiteKind.REMOTE
CODE_ELSEWHERE = "code-elsewhere"
REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What chair or secretary write down of a site; `expected` heads, `profile` in kbit/s."""

    name: str
    custodian: str
    expected: int
    profile: int


def _not_over(meeting: Meeting) -> None:
    if meeting.state in FINAL:
        raise WrongState("meeting.wrong-state", f"This cannot be done while the meeting is {meeting.state.value}.")


def _managed(tx: Connection, meeting_id: str, actor: str, now: int) -> Meeting:
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.MANAGE_SITES, meeting.unit, now)
    _not_over(meeting)
    return meeting


def looks_after(tx: Connection, meeting: Meeting, site: Site, actor: str, now: int) -> bool:
    """Say whether somebody is the site's custodian, chair or secretary."""
    return actor == site.custodian or rights.allowed(tx, actor, Action.MANAGE_SITES, meeting.unit, now)


def require_looks_after(tx: Connection, meeting_id: str, site_id: str, actor: str, now: int) -> Site:
    """Return a site that the actor looks after.

    Raises:
        NotFound: no such meeting or site.
        Forbidden: the actor is neither its custodian nor chair or secretary.
    """
    site = sites.get(tx, meeting_id, site_id)
    if not looks_after(tx, meetings.get(tx, meeting_id), site, actor, now):
        raise Forbidden("site.not-yours", "Only the site's custodian, the chair and the secretary may do this.")
    return site


def is_custodian(tx: Connection, meeting_id: str, site_id: str, actor: str) -> bool:
    """Say whether somebody is the custodian of a site.

    Raises:
        NotFound: no such site.
    """
    return bool(actor) and sites.get(tx, meeting_id, site_id).custodian == actor


def require_custodian(tx: Connection, meeting_id: str, site_id: str, actor: str) -> Site:
    """Return a site of which the actor is the custodian.

    Raises:
        NotFound: no such site.
        Forbidden: the actor is not.
    """
    site = sites.get(tx, meeting_id, site_id)
    if not actor or actor != site.custodian:
        raise Forbidden("site.not-custodian", "Only the site's custodian may do this.")
    return site


def require_tester(tx: Connection, meeting_id: str, site_id: str, actor: str) -> None:
    """Let nobody test a site's line but its custodian, and nobody once the meeting is over.

    Raises:
        NotFound, Forbidden, WrongState: no such site, the actor is not its custodian, or the meeting is over.
    """
    require_custodian(tx, meeting_id, site_id, actor)
    _not_over(meetings.get(tx, meeting_id))


def _check_custodian(tx: Connection, meeting: Meeting, wanted: Wanted, now: int) -> str:
    """Return the custodian's name, or ""."""
    if not wanted.custodian:
        return ""
    try:
        member = members.get(tx, wanted.custodian)
    except NotFound:
        member = None
    if member is None or not rights.may_read(tx, wanted.custodian, meeting.unit, now):
        raise Conflict("site.bad-custodian", "The custodian must be somebody who may read the meeting.")
    return member.name


def _told(site: Site, custodian_name: str) -> dict[str, object]:
    return {
        "site": site.id,
        "name": site.name,
        "expected": site.expected,
        "custodian": site.custodian,
        "custodian_name": custodian_name,
    }


def add(tx: Connection, meeting_id: str, actor: str, wanted: Wanted, *, now: int, rng: Rng) -> str:
    """Write down a hall and return its id.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting, neither chair nor secretary, or the meeting is over.
        Conflict: 64 sites are there, or the custodian may not read the meeting.
    """
    meeting = _managed(tx, meeting_id, actor, now)
    if len(sites.of_meeting(tx, meeting_id)) >= SITES_MAX:
        raise Conflict("site.too-many", f"A meeting has at most {SITES_MAX} sites.")
    custodian_name = _check_custodian(tx, meeting, wanted, now)
    site = Site(
        meeting_id,
        new_id(rng),
        wanted.name,
        SiteKind.HALL,
        wanted.custodian,
        wanted.expected,
        wanted.profile,
        since=now,
    )
    sites.save(tx, site)
    events.append(tx, meeting_id, "SiteAdded", now, _told(site, custodian_name))
    return site.id


def change(tx: Connection, meeting_id: str, site_id: str, actor: str, wanted: Wanted, now: int) -> None:
    """Write a site down anew.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or site, neither chair nor secretary, or it is over.
        Conflict: members by themselves have nothing to write down, or the custodian may not read the meeting.
    """
    meeting = _managed(tx, meeting_id, actor, now)
    site = sites.get(tx, meeting_id, site_id)
    _not_remote(site)
    custodian_name = _check_custodian(tx, meeting, wanted, now)
    site = replace(
        site, name=wanted.name, custodian=wanted.custodian, expected=wanted.expected, profile=wanted.profile
    )
    sites.save(tx, site)
    events.append(tx, meeting_id, "SiteChanged", now, _told(site, custodian_name))


def _not_remote(site: Site) -> None:
    if site.kind is REMOTE:
        raise Conflict("site.no-place", "Members by themselves are not in one place.")


def remove(tx: Connection, meeting_id: str, site_id: str, actor: str, now: int) -> None:
    """Delete a hall in which nobody has checked in.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or site, neither chair nor secretary, or it is over.
        Conflict: it is the main room, or somebody has checked in there.
    """
    _managed(tx, meeting_id, actor, now)
    site = sites.get(tx, meeting_id, site_id)
    if site.id in FIXED:
        raise Conflict("site.fixed", "The main room and members by themselves are part of every meeting.")
    if seats.was_used(tx, meeting_id, site_id):
        raise Conflict("site.in-use", "Members have checked in at this site.")
    sites.remove(tx, meeting_id, site_id)
    screens.remove_of(tx, meeting_id, site_id)
    events.append(tx, meeting_id, "SiteRemoved", now, {"site": site_id})


def keep_test(tx: Connection, meeting_id: str, site_id: str, actor: str, test: LineTest, now: int) -> None:
    """Take a custodian's line test; one that was passed takes the site on.

    Raises:
        NotFound, Forbidden: no such site, or the actor is not its custodian.
        WrongState: the meeting is over.
    """
    require_tester(tx, meeting_id, site_id, actor)
    site = replace(sites.get(tx, meeting_id, site_id), tested=test)
    sites.save(tx, site)
    body = {"site": site_id, "sound": test.sound, "picture": test.picture}
    events.append(tx, meeting_id, "SiteTested", now, body)
    if test.passed:
        _move(tx, site, SiteAct.PASS, now)


def accept_test(tx: Connection, meeting_id: str, site_id: str, actor: str, now: int) -> None:
    """Let a site take part whose line test was not passed.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or site, neither chair nor secretary, or it is over.
        Conflict: its line was not tested.
    """
    _managed(tx, meeting_id, actor, now)
    site = sites.get(tx, meeting_id, site_id)
    if site.tested is None:
        raise Conflict("site.not-tested", "The line of this site has not been tested.")
    if site.state is SiteState.INVITED:
        _move(tx, site, SiteAct.PASS, now)
        body = {"site": site_id, "sound": site.tested.sound, "picture": site.tested.picture}
        events.append(tx, meeting_id, "SiteTested", now, body)


def _move(tx: Connection, site: Site, act: SiteAct, now: int) -> SiteState:
    """Let something happen to a site and tell it; return where it stands now."""
    state = advance(site.state, act)
    if state is not site.state:
        sites.save(tx, replace(site, state=state, since=now))
        if state in EVENTS:
            events.append(tx, site.meeting, EVENTS[state], now, {"site": site.id})
    return state


def heard(tx: Connection, meeting_id: str, site_id: str, now: int, ms: int = 0) -> None:
    """Note a sign of life of a site, of its page or its relay; whom it holds and was lost with it is back.

    The caller has made sure that it comes from there. `ms` are the milliseconds that `now` leaves out.

    Raises:
        NotFound: no such meeting or site.
        WrongState: the meeting has no room now.
        Conflict: members by themselves are no place.
    """
    site = sites.get(tx, meeting_id, site_id)
    _not_remote(site)
    meeting = meetings.get(tx, meeting_id)
    if meeting.state not in HEARD_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    sites.set_lease(tx, meeting_id, site_id, now, ms)
    if _move(tx, site, SiteAct.LEASE, now) is SiteState.REJOINED and site.state is SiteState.LOST:
        _bring_back(tx, meeting, site_id, now)


def _bring_back(tx: Connection, meeting: Meeting, site_id: str, now: int) -> None:
    if meeting.state not in ROOM_STATES:
        return
    for seat in seats.at_kiosk(tx, meeting.id, site_id):
        if seat.departed in RETURNING and not seat.removed:
            attendance.bring_back(tx, seat, now)
    attendance.update_quorum(tx, meeting.id, now)


def lease(tx: Connection, meeting_id: str, site_id: str, actor: str, now: int, ms: int = 0) -> None:
    """Note that the page of a hall is there; `ms` are the milliseconds that `now` leaves out.

    Raises:
        Forbidden: the actor is not its custodian, or may not read the meeting any more.
        NotFound, WrongState, Conflict: as `heard`.
    """
    require_custodian(tx, meeting_id, site_id, actor)
    if not rights.may_read(tx, actor, meetings.get(tx, meeting_id).unit, now):
        raise Forbidden("site.not-custodian", "Only the site's custodian may do this.")
    rights.require_not_removed(tx, meeting_id, actor)
    heard(tx, meeting_id, site_id, now, ms)


def note_link(tx: Connection, meeting_id: str, site_id: str, thin: bool, now: int) -> None:
    """Take what the ladder, or a relay's silence, says of a site's link; what changes nothing is not told."""
    site = sites.find(tx, meeting_id, site_id)
    if site is None:
        return
    if thin and site.state in (SiteState.CONNECTED, SiteState.REJOINED):
        _move(tx, site, SiteAct.DEGRADE, now)
    elif not thin and site.state is SiteState.DEGRADED:
        _move(tx, site, SiteAct.RECOVER, now)


def live(tx: Connection) -> list[Site]:
    """Return the sites of every meeting that were heard and are not lost."""
    return sites.in_states(tx, LIVE)


def lease_ends(tx: Connection, lost_s: int, watching_since: int) -> list[tuple[Site, int]]:
    """Return the live sites and when each is lost if nothing more is heard, in milliseconds."""
    return [(site, lease_end(sites.lease_ms(tx, site.meeting, site.id), watching_since, lost_s)) for site in live(tx)]


def silent(tx: Connection, now: int, lost_s: int, watching_since: int, ms: int = 0) -> list[Site]:
    """Return the live sites of which nothing was heard for `lost_s`; no lease runs while the server is away."""
    return [site for site, end in lease_ends(tx, lost_s, watching_since) if now * 1000 + ms >= end]


def lose_silent(tx: Connection, now: int, lost_s: int, watching_since: int, ms: int = 0) -> None:
    """Let silent sites be lost, and with them whom they hold. Sent by the scheduler."""
    for site in silent(tx, now, lost_s, watching_since, ms):
        if meetings.get(tx, site.meeting).state in FINAL:
            sites.save(tx, replace(site, state=SiteState.CLOSED, since=now))
            continue
        _move(tx, site, SiteAct.LOSE, now)
        last = sites.lease_at(tx, site.meeting, site.id)
        gone = [seat for seat in seats.at_kiosk(tx, site.meeting, site.id) if seat.present]
        for seat in gone:
            # Presence is not stretched beyond the last sign of life, nor ended before it began.
            attendance.depart(tx, seat, Departure.LOST, max(last, seat.lease_at), now)
        if gone:
            attendance.update_quorum(tx, site.meeting, now)


def show_code(tx: Connection, meeting_id: str, site_id: str, actor: str, *, now: int, rng: Rng) -> tuple[str, int]:
    """Return the code of a site and until when it is the newest.

    Raises:
        NotFound, Forbidden, WrongState: no such meeting or site, the actor does not look after it, or it is over.
        Conflict: members by themselves have none.
    """
    site = require_looks_after(tx, meeting_id, site_id, actor, now)
    _not_over(meetings.get(tx, meeting_id))
    _not_remote(site)
    secret = sites.secret(tx, meeting_id, site_id)
    if secret is None:
        secret = rng(32)
        sites.add_secret(tx, meeting_id, site_id, secret)
    period = now // CODE_S
    return code(secret, period), (period + 1) * CODE_S


def takes_code(tx: Connection, meeting_id: str, site_id: str, given: str, now: int) -> bool:
    """Say whether a code is the site's.

    Raises:
        NotFound: no such site.
    """
    sites.get(tx, meeting_id, site_id)
    secret = sites.secret(tx, meeting_id, site_id)
    return secret is not None and takes(secret, given, now)


def note_stray_code(tx: Connection, meeting_id: str, site_id: str, given: str, now: int) -> None:
    """Tell chair and secretary when the code of one site was given for another one."""
    for other, secret in sites.secrets(tx, meeting_id).items():
        if other != site_id and takes(secret, given, now):
            tell_stray_code(tx, meeting_id, other, now)


def tell_stray_code(tx: Connection, meeting_id: str, site_id: str, now: int) -> None:
    """Tell chair and secretary that a site's code was used from elsewhere; once, until one of them has seen it."""
    if sites.raise_alert(tx, meeting_id, site_id, CODE_ELSEWHERE, now):
        events.append(tx, meeting_id, "CodeElsewhere", now, {"site": site_id})


def dismiss_alert(tx: Connection, meeting_id: str, site_id: str, actor: str, kind: str, now: int) -> None:
    """Put an alert aside.

    Raises:
        NotFound: no such meeting, site or alert.
        Forbidden: neither chair nor secretary.
    """
    meeting = meetings.get(tx, meeting_id)
    rights.require(tx, actor, Action.MANAGE_SITES, meeting.unit, now)
    if not sites.dismiss_alert(tx, meeting_id, site_id, kind):
        raise NotFound("site.no-alert", "There is no such alert.")


def list_hash(listed: Sequence[str]) -> str:
    """Return the hash of a seat list, as the custodian signs it."""
    return b64u(hashlib.sha256(jcs(list(listed))).digest())


def sign_seats(
    tx: Connection,
    meeting_id: str,
    site_id: str,
    session: SessionInfo,
    listed: Sequence[str],
    step_up: StepUp,
    now: int,
) -> None:
    """Keep who is in a hall as its custodian signs it; the list adds and removes nobody.

    Raises:
        NotFound, Forbidden: no such site, or the actor is not its custodian.
        WrongState: the meeting has no room now.
        BadInput: the list is not ascending, or names somebody who is not on the roll.
        Refused: the signature does not fit.
    """
    site = require_custodian(tx, meeting_id, site_id, session.member_id)
    advance_meeting(meetings.get(tx, meeting_id).state, Act.CHECK_IN)
    if list(listed) != sorted(set(listed)):
        raise BadInput("site.seats-order", "A seat list is ascending and names nobody twice.")
    on_roll = {entry["member"] for entry in rolls.entries(tx, meeting_id)}
    if not on_roll.issuperset(listed):
        raise BadInput("site.seats-unknown", "A seat list names members of the roll.")
    digest = list_hash(listed)
    expected = {"type": "sign-seats", "meeting": meeting_id, "site": site_id, "hash": digest}
    signed_action(tx, step_up.rp, session, expected, step_up.action, step_up.signed, now)
    sites.save(tx, replace(site, seats=SeatList(tuple(listed), now, digest)))
    sites.keep_evidence(tx, meeting_id, site_id, evidence_of(expected, step_up.signed))
    here = [seat.member for seat in seats.present(tx, meeting_id) if seat.site == site_id]
    missing, extra = differences(listed, here)
    body = {"site": site_id, "count": len(listed), "missing": len(missing), "extra": len(extra), "hash": digest}
    events.append(tx, meeting_id, "SeatsSigned", now, body)


def decide_dispute(tx: Connection, meeting_id: str, dispute_id: str, actor: str, decision: str, now: int) -> str:
    """Let a member who was claimed at several sites stay, or send them out; return who it is.

    Raises:
        NotFound, Forbidden: no such meeting or dispute, or the actor does not preside.
        Conflict: it is decided already.
        WrongState: the meeting has no room now.
    """
    meeting = meetings.get(tx, meeting_id)
    presiding.require_chair(tx, meeting, actor, now)
    advance_meeting(meeting.state, Act.REMOVE)
    found = sites.dispute(tx, meeting_id, dispute_id)
    if found.decision:
        raise Conflict("dispute.decided", "The chair has decided this already.")
    sites.decide(tx, dispute_id, decision)
    body = {"dispute": dispute_id, "decision": decision}
    events.append(tx, meeting_id, "DisputeDecided", now, body)
    seat = seats.find(tx, meeting_id, found.member)
    if decision == REMOVE and seat is not None and not seat.removed:
        floor.remove(tx, meeting_id, actor, found.member, now)
    return found.member
