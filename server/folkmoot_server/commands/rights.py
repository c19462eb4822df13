"""Loading what the role table needs and asking it."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.domain.audience import Audience
from folkmoot_server.domain.errors import Forbidden
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.domain.roles import ALLOWED, Action, Grant, Role, can, held
from folkmoot_server.storage import members, passkeys, rolls, seats, units


def grants_of(tx: Connection, member: str) -> list[Grant]:
    """Return the grants that a member can act by: no office while every passkey waits for a second officer.

    One officer alone could otherwise enrol in another's name and act for both.
    """
    found = members.grants(tx, member)
    if passkeys.awaits_officer(tx, member):
        return [grant for grant in found if grant.role is Role.MEMBER]
    return found


def allowed(tx: Connection, member: str, action: Action, unit: str, now: int) -> bool:
    """Say whether the member may do `action` on `unit` at `now`."""
    return can(grants_of(tx, member), action, units.lineage(tx, unit), now)


def require(tx: Connection, member: str, action: Action, unit: str, now: int) -> None:
    """Refuse unless the member may do `action` on `unit` at `now`.

    Raises:
        Forbidden: the member holds no role for it.
    """
    if not allowed(tx, member, action, unit, now):
        raise Forbidden("role.missing", "You do not hold a role that allows this.")


def require_not_removed(tx: Connection, meeting_id: str, person: str) -> None:
    """Refuse whom the chair has sent out of the meeting, until readmitted (conduct.md section 5).

    Raises:
        Forbidden: it is so.
    """
    seat = seats.find(tx, meeting_id, person)
    if seat is not None and seat.removed:
        raise Forbidden("meeting.removed", "The chair has removed you from this meeting.")


def roles_on(tx: Connection, member: str, unit: str, now: int) -> frozenset[Role]:
    """Return the roles that the member holds on `unit` at `now`."""
    return held(grants_of(tx, member), units.lineage(tx, unit), now)


def units_for(tx: Connection, member: str, action: Action, now: int) -> frozenset[str]:
    """Return every unit on which the member may do `action` at `now`."""
    found: frozenset[str] = frozenset()
    for grant in grants_of(tx, member):
        if grant.valid_from <= now < grant.valid_until and grant.role in ALLOWED[action]:
            found |= units.subtree(tx, grant.unit)
    return found


def readable_units(tx: Connection, member: str, now: int) -> frozenset[str]:
    """Return every unit whose meetings the member may read (see may_read)."""
    found = units_for(tx, member, Action.READ_MEETING, now)
    for grant in members.grants_in_force(tx, [member], now).get(member, []):
        if grant.role is Role.MEMBER:
            found |= units.lineage(tx, grant.unit)
    return found


def may_read(tx: Connection, member: str, unit: str, now: int) -> bool:
    """Say whether the member may read meetings of `unit`: by a role on it, or by belonging to a unit below it."""
    return allowed(tx, member, Action.READ_MEETING, unit, now) or members.is_elector(tx, member, unit, now)


def is_entitled(tx: Connection, meeting: Meeting, member: str, now: int) -> bool:
    """Say whether the member stands in the frozen roll or, before the freeze, holds the role for it."""
    found = rolls.find(tx, meeting.id)
    if found is None or found.statement is None:
        return members.is_elector(tx, member, meeting.unit, now)
    return rolls.entry(tx, meeting.id, member) is not None


def audience(tx: Connection, meeting: Meeting, member: str, now: int) -> Audience:
    """Return as whom a member who may read the meeting hears of it."""
    inside = bool(roles_on(tx, member, meeting.unit, now) - {Role.MEMBER}) or is_entitled(tx, meeting, member, now)
    return Audience.MEMBERS if inside else Audience.OBSERVERS
