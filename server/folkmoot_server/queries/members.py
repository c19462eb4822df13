"""Who is signed in, who is in the organisation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.domain.errors import Forbidden, NotFound
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.members import Member, Unit
from folkmoot_server.domain.roles import Action, Grant, Role
from folkmoot_server.storage import members, passkeys, settings, units


def organisation(tx: Connection) -> dict[str, str]:
    """Return {"id", "name"} of the organisation.

    Raises:
        NotFound: nobody has founded one yet.
    """
    found, name = settings.get(tx, settings.ORGANISATION_ID), settings.get(tx, settings.ORGANISATION_NAME)
    if found is None or name is None:
        raise NotFound("organisation.none", "This installation has no organisation yet; run folkmoot init.")
    return {"id": found, "name": name}


def session_view(tx: Connection, session: SessionInfo, now: int) -> dict[str, Any]:
    """Return Session of wire.md: the member, the organisation and the roles that hold now."""
    member = members.get(tx, session.member_id)
    held = [grant for grant in rights.grants_of(tx, member.id) if grant.valid_from <= now < grant.valid_until]
    return {
        "member": {"id": member.id, "name": member.name, "code": member.code, "unit": member.unit},
        "organisation": organisation(tx),
        "roles": [{"role": g.role.value, "unit": g.unit, "until": g.valid_until} for g in held],
        "expires_at": session.expires_at,
    }


def unit_view(unit: Unit) -> dict[str, Any]:
    """Return a unit as wire.md writes it."""
    return {"id": unit.id, "parent": unit.parent, "name": unit.name}


def organisation_view(tx: Connection) -> dict[str, Any]:
    """Return the organisation with its units, parents first, and the names of all roles."""
    found = [unit_view(unit) for unit in units.everything(tx)]
    return {"organisation": organisation(tx), "units": found, "roles": [role.value for role in Role]}


def member_view(member: Member, grants: list[Grant], count: int) -> dict[str, Any]:
    """Return a member with `count` passkeys as the list of wire.md writes it."""
    return {
        "id": member.id,
        "code": member.code,
        "name": member.name,
        "unit": member.unit,
        "roles": [grant_view(grant) for grant in grants],
        "passkeys": count,
        "weight": member.weight,
        "state": "active" if count else "invited",
    }


def grant_view(grant: Grant) -> dict[str, Any]:
    """Return a grant as wire.md writes it."""
    return {
        "id": grant.id,
        "role": grant.role.value,
        "unit": grant.unit,
        "from": grant.valid_from,
        "until": grant.valid_until,
    }


def members_view(tx: Connection, session: SessionInfo, now: int) -> dict[str, Any]:
    """Return the members of every unit that the actor may look after.

    Raises:
        Forbidden: there is no such unit.
    """
    visible = rights.units_for(tx, session.member_id, Action.LIST_MEMBERS, now)
    if not visible:
        raise Forbidden("role.missing", "You do not hold a role that allows this.")
    found = members.in_units(tx, visible)
    counts = passkeys.count(tx, [member.id for member in found])
    grants = members.grants_not_ended(tx, [member.id for member in found], now)
    rows = [member_view(member, grants.get(member.id, []), counts.get(member.id, 0)) for member in found]
    return {"members": rows}
