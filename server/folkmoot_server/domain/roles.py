"""Who may do what: dated grants on the unit tree, deny by default."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from folkmoot_server.domain.errors import BadInput, Forbidden

GRANT_MAX_S: Final = 10 * 366 * 86400


class Role(StrEnum):
    """What a member may be on a unit and everything below it."""

    CHAIR = "chair"
    SECRETARY = "secretary"
    REGISTRAR = "registrar"
    TELLER = "teller"
    OBSERVER = "observer"
    MEMBER = "member"
    AUDITOR = "auditor"


class Action(StrEnum):
    """Things that need a role."""

    MANAGE_UNITS = "manage-units"
    MANAGE_MEMBERS = "manage-members"
    LIST_MEMBERS = "list-members"
    CONFIRM_PASSKEY = "confirm-passkey"
    GRANT_ROLE = "grant-role"
    CREATE_MEETING = "create-meeting"
    CONVENE = "convene"
    BEGIN_CHECK_IN = "begin-check-in"
    LEAD_MEETING = "lead-meeting"
    EDIT_AGENDA = "edit-agenda"
    WRITE_QUESTION = "write-question"
    READ_MEETING = "read-meeting"
    READ_ATTENDANCE_FILE = "read-attendance-file"
    FREEZE_ROLL = "freeze-roll"
    CHECK_IN = "check-in"
    HOLD_KEY = "hold-key"
    OPEN_ELECTION = "open-election"
    CLOSE_ELECTION = "close-election"
    DECLARE_RESULT = "declare-result"
    MANAGE_PAPERS = "manage-papers"
    MANAGE_RELAYS = "manage-relays"
    MANAGE_SITES = "manage-sites"
    INVITE_GUESTS = "invite-guests"
    MODERATE_MESSAGES = "moderate-messages"
    EXPORT_BUNDLE = "export-bundle"
    EXPORT_ANNEX = "export-annex"


_CHAIR: Final = frozenset({Role.CHAIR})
_OFFICE: Final = frozenset({Role.CHAIR, Role.SECRETARY})
_EVERYONE: Final = frozenset(Role)

ALLOWED: Final[Mapping[Action, frozenset[Role]]] = {
    Action.MANAGE_UNITS: frozenset({Role.SECRETARY}),
    Action.MANAGE_MEMBERS: frozenset({Role.SECRETARY, Role.REGISTRAR}),
    Action.LIST_MEMBERS: _OFFICE | {Role.REGISTRAR},
    Action.CONFIRM_PASSKEY: _OFFICE | {Role.REGISTRAR},
    Action.GRANT_ROLE: _OFFICE | {Role.REGISTRAR},
    Action.CREATE_MEETING: _OFFICE,
    Action.CONVENE: _OFFICE,
    Action.BEGIN_CHECK_IN: _OFFICE,
    Action.LEAD_MEETING: _CHAIR,
    Action.EDIT_AGENDA: _OFFICE,
    Action.WRITE_QUESTION: _OFFICE,
    Action.READ_MEETING: _EVERYONE,
    Action.READ_ATTENDANCE_FILE: _OFFICE | {Role.AUDITOR},
    Action.FREEZE_ROLL: frozenset({Role.REGISTRAR}),
    Action.CHECK_IN: frozenset({Role.MEMBER}),
    Action.HOLD_KEY: frozenset({Role.TELLER}),
    Action.OPEN_ELECTION: _CHAIR,
    Action.CLOSE_ELECTION: _CHAIR,
    Action.DECLARE_RESULT: _CHAIR,
    Action.MANAGE_PAPERS: _OFFICE,
    Action.MANAGE_RELAYS: _OFFICE,
    Action.MANAGE_SITES: _OFFICE,
    Action.INVITE_GUESTS: _OFFICE,
    Action.MODERATE_MESSAGES: _OFFICE,
    Action.EXPORT_BUNDLE: _EVERYONE,
    Action.EXPORT_ANNEX: frozenset({Role.AUDITOR}),
}


# An office is handed on only by one who holds it; the duties of a meeting are given out by its officers.
GRANTED_BY: Final[Mapping[Role, frozenset[Role]]] = {
    Role.CHAIR: _CHAIR,
    Role.SECRETARY: frozenset({Role.SECRETARY}),
    Role.REGISTRAR: frozenset({Role.REGISTRAR}),
    Role.TELLER: _OFFICE,
    Role.OBSERVER: _OFFICE,
    Role.AUDITOR: _OFFICE,
    Role.MEMBER: _OFFICE | {Role.REGISTRAR},
}


@dataclass(frozen=True, slots=True)
class Grant:
    """A role of a member on a unit's subtree, from `valid_from` until just before `valid_until` (seconds)."""

    id: str
    member: str
    role: Role
    unit: str
    valid_from: int
    valid_until: int

    def holds(self, lineage: Collection[str], at: int) -> bool:
        """Say whether it is in force at `at` on the unit whose lineage (itself and all above) is given."""
        return self.valid_from <= at < self.valid_until and self.unit in lineage


def held(grants: Iterable[Grant], lineage: Collection[str], at: int) -> frozenset[Role]:
    """Return the roles that the actor's `grants` give on the unit with this lineage."""
    return frozenset(grant.role for grant in grants if grant.holds(lineage, at))


def can(grants: Iterable[Grant], action: Action, lineage: Collection[str], at: int) -> bool:
    """Say whether the actor's grants allow `action` on the unit with this lineage (itself and all units above)."""
    return not ALLOWED[action].isdisjoint(held(grants, lineage, at))


def check_new_grant(
    granter: str,
    granter_grants: Iterable[Grant],
    member: str,
    role: Role,
    lineage: Collection[str],
    until: int,
    at: int,
) -> None:
    """Refuse a grant that nobody could answer for.

    Raises:
        Forbidden: to oneself, without the right to grant, or of a role the granter lacks there.
        BadInput: the end is not in the future or too far in it.
    """
    if granter == member:
        raise Forbidden("role.own-grant", "Nobody grants a role to themselves.")
    grants = list(granter_grants)
    if not can(grants, Action.GRANT_ROLE, lineage, at):
        raise Forbidden("role.missing", "You may not grant roles in this unit.")
    if GRANTED_BY[role].isdisjoint(held(grants, lineage, at)):
        raise Forbidden("role.not-held", "You do not hold the role that may grant this one.")
    if not at < until <= at + GRANT_MAX_S:
        raise BadInput("role.bad-end", "A grant ends in the future, at most ten years from now.")
