"""Sites, seat lists, disputes, alerts and askings as pages see them (docs/spec/sites.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import sites as commands
from folkmoot_server.domain.attendance import REMOTE
from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.meetings import ROOM_STATES, Meeting
from folkmoot_server.domain.presence import SHOWN_S
from folkmoot_server.domain.roles import ALLOWED, Action, Role
from folkmoot_server.domain.sites import Site, shown
from folkmoot_server.queries.access import readable
from folkmoot_server.storage import members, presence, rolls, seats, sites


def sites_view(tx: Connection, meeting_id: str, member: str, now: int) -> dict[str, Any]:
    """Return the sites of a meeting.

    Raises:
        NotFound: no such meeting for this member.
    """
    return {"sites": sites_in(tx, readable(tx, meeting_id, member, now))}


def sites_in(tx: Connection, meeting: Meeting) -> list[dict[str, Any]]:
    """Return the snapshot's "sites"."""
    found, here = sites.of_meeting(tx, meeting.id), seats.by_site(tx, meeting.id)
    names = members.by_ids(tx, {site.custodian for site in found} - {""})
    return [
        _site(site, meeting, names[site.custodian].name if site.custodian in names else "", here.get(site.id, 0))
        for site in found
    ]


def _site(site: Site, meeting: Meeting, custodian_name: str, present: int) -> dict[str, Any]:
    listed = site.seats
    return {
        "site": site.id,
        "name": site.name,
        "kind": site.kind.value,
        "custodian": site.custodian,
        "custodian_name": custodian_name,
        "expected": site.expected,
        "profile": site.profile,
        "state": shown(site, meeting.state).value,
        "since": site.since,
        "tested": None if site.tested is None else asdict(site.tested),
        "present": present,
        "seats": None
        if listed is None
        else {"count": len(listed.members), "signed_at": listed.at, "hash": listed.hash},
    }


def seats_view(tx: Connection, meeting_id: str, site_id: str, member: str, now: int) -> dict[str, Any]:
    """Return who is on the roll and where they are, and the list signed last, for who looks after a site.

    Raises:
        NotFound, Forbidden: no such meeting or site for this member, or they do not look after it.
        WrongState: the room is not open.
    """
    meeting = readable(tx, meeting_id, member, now)
    site = commands.require_looks_after(tx, meeting_id, site_id, member, now)
    if meeting.state not in ROOM_STATES:
        raise WrongState("meeting.wrong-state", "The meeting is not in session.")
    here = {seat.member: seat.site for seat in seats.present(tx, meeting_id)}
    people = [(entry["name"], entry["member"]) for entry in rolls.entries(tx, meeting_id)]
    return {
        "members": [{"member": one, "name": name, "site": here.get(one, "")} for name, one in sorted(people)],
        "signed": [] if site.seats is None else list(site.seats.members),
    }


def own_part(tx: Connection, meeting: Meeting, member: str, roles: Collection[Role], now: int) -> dict[str, Any]:
    """Return what the snapshot says of sites to one member: "disputes", "alerts" and "presence"."""
    office = not ALLOWED[Action.MANAGE_SITES].isdisjoint(roles)
    return {
        "disputes": _disputes(tx, sites.disputes(tx, meeting.id)) if office else [],
        "alerts": [asdict(alert) for alert in sites.alerts(tx, meeting.id)] if office else [],
        "presence": _presence(tx, meeting, member, now),
    }


def own_place(tx: Connection, meeting_id: str, member: str) -> dict[str, Any]:
    """Return what the snapshot's "me" says of where the member is."""
    seat = seats.find(tx, meeting_id, member)
    site = seat.site if seat is not None and seat.present else ""
    return {"site": site, "companion": site not in ("", REMOTE)}


def _disputes(tx: Connection, found: Iterable[sites.Dispute]) -> list[dict[str, Any]]:
    listed = list(found)
    names = members.by_ids(tx, {one.member for one in listed})
    return [
        {
            "dispute": one.id,
            "member": one.member,
            "name": names[one.member].name,
            "sites": list(one.sites),
            "at": one.at,
        }
        for one in listed
    ]


def _presence(tx: Connection, meeting: Meeting, member: str, now: int) -> dict[str, Any] | None:
    found = presence.newest(tx, meeting.id, member)
    if found is None or (found.ask.over_at and now >= found.ask.over_at + SHOWN_S):
        return None
    ask = found.ask
    return {
        "presence": ask.id,
        "at": ask.at,
        "until": ask.until,
        "asked": found.asked,
        "confirmed": found.confirmed,
        "me": ask.of(member).value,
    }
