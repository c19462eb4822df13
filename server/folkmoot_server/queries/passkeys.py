"""Passkeys as their owners see them, and those that wait for a second officer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.domain.errors import Forbidden
from folkmoot_server.domain.identity import METHODS, OPERATOR
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import members, passkeys, units


def own(tx: Connection, member: str) -> dict[str, Any]:
    """The passkeys of a member as GET passkeys of wire.md, the newest first."""
    found = sorted(passkeys.of_member(tx, member), key=lambda one: (-one.added_at, one.id))
    return {
        "passkeys": [
            {
                "id": one.id,
                "added_at": one.added_at,
                "method": METHODS[one.kind],
                "last_used_at": one.used_at,
                "in_roll": _has_second_officer(tx, one),
            }
            for one in found
        ]
    }


def _has_second_officer(tx: Connection, passkey: passkeys.Passkey) -> bool:
    root = passkeys.known(tx, passkey.root)
    return root is not None and bool(root.confirmed_by)


def unconfirmed(tx: Connection, member: str, unit: str, now: int) -> dict[str, Any]:
    """The passkeys in a unit and below it that wait for a second officer, as in wire.md.

    Raises:
        NotFound: there is no such unit.
        Forbidden: the caller may not confirm there.
    """
    units.get(tx, unit)
    allowed = rights.units_for(tx, member, Action.CONFIRM_PASSKEY, now) & units.subtree(tx, unit)
    if not allowed:
        raise Forbidden("role.missing", "You do not hold a role that allows this.")
    waiting = passkeys.unconfirmed(tx, allowed)
    officers = members.by_ids(tx, {one.made_by for one, _ in waiting})
    return {
        "passkeys": [
            {
                "passkey": one.id,
                "member": one.member,
                "name": name,
                "method": METHODS[one.kind],
                "made_by": OPERATOR if one.made_by == OPERATOR else officers[one.made_by].name,
                "at": one.added_at,
                "can_confirm": member not in (one.member, one.made_by),
            }
            for one, name in waiting
        ]
    }
