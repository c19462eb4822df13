"""Founding an organisation; units, members, enrolment links and grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from folkmoot_server.commands import rights
from folkmoot_server.commands.identity import evidence_of, signed_action
from folkmoot_server.domain.auditors import check_recipient
from folkmoot_server.domain.errors import BadInput, Conflict, Forbidden
from folkmoot_server.domain.identity import LINK_S, OPERATOR, PasskeyKind, SessionInfo, Signed
from folkmoot_server.domain.ids import Rng, b64u, new_id, new_member_code, token_hash
from folkmoot_server.domain.members import Member, Unit, clean_text
from folkmoot_server.domain.roles import Action, Grant, Role, check_new_grant
from folkmoot_server.storage import members, passkeys, schema, settings, units
from folkmoot_server.webauthn_policy import RelyingParty
from folkmoot_voting.roll import MAX_WEIGHT

MEMBER_GRANT_S = 5 * 365 * 86400
FOUNDER = "foundation"


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Somebody of the founding roster; `unit` is a unit's name or None for the root, where `roles` hold."""

    name: str
    unit: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnrolmentLink:
    """A one-time link as it is handed out; `token` is base64url and never stored."""

    member: str
    name: str
    role: str
    token: str


@dataclass(frozen=True, slots=True)
class PrintedLink:
    """A one-time link as an operator hands it on."""

    role: str
    name: str
    url: str


def enrolment_url(public_url: str, token: str) -> str:
    """Return the address that enrols a passkey; the token is in the fragment, which never reaches a server's log."""
    return f"{public_url}/enrol#{token}"


def bootstrap_organisation(
    tx: Connection,
    *,
    name: str,
    units: Sequence[str],
    people: Sequence[NewPerson],
    now: int,
    rng: Rng,
    only_if_empty: bool = False,
) -> list[EnrolmentLink]:
    """Found the organisation: a root unit, `units` below it, people with roles for five years; return their links.

    Everyone is granted member on the own unit. With `only_if_empty` an installation that has an organisation is
    left as it is and no link is returned.

    Raises:
        Conflict: there is an organisation already.
        BadInput: a name or role that cannot be.
    """
    if settings.get(tx, settings.ORGANISATION_ID) is not None:
        if only_if_empty:
            return []
        raise Conflict("organisation.exists", "This installation has an organisation already.")
    settings.put(tx, settings.ORGANISATION_ID, new_id(rng))
    settings.put(tx, settings.ORGANISATION_NAME, clean_text(name))
    root = _add_unit(tx, None, name, rng)
    by_name = {unit: _add_unit(tx, root.id, unit, rng).id for unit in units}
    links = []
    for person in people:
        unit = root.id if person.unit is None else by_name[person.unit]
        member = _insert_member(tx, person.name, unit, now, rng)
        for role in dict.fromkeys((Role.MEMBER, *map(Role, person.roles))):
            grant = Grant(new_id(rng), member.id, role, unit, now, now + MEMBER_GRANT_S)
            members.add_grant(tx, grant, FOUNDER)
        office = person.roles[0] if person.roles else Role.MEMBER
        links.append(_new_link(tx, member, office, OPERATOR, now, rng))
    return links


def enrolment_links(tx: Connection, public_url: str, now: int, rng: Rng) -> list[PrintedLink]:
    """Make a fresh link for everyone without a passkey, officers first; older unused links stop working.

    The operator on the command line is who made them.
    """
    everyone = members.in_units(tx, [unit.id for unit in units.everything(tx)])
    enrolled = passkeys.count(tx, [member.id for member in everyone])
    order = {role: place for place, role in enumerate(Role)}
    pending = []
    for member in everyone:
        if member.id in enrolled or not member.belongs(now):
            continue
        held = [g.role for g in members.grants(tx, member.id) if g.valid_from <= now < g.valid_until]
        others = [role for role in held if role is not Role.MEMBER]
        pending.append((min(others, key=order.__getitem__, default=Role.MEMBER), member))
    pending.sort(key=lambda pair: (order[pair[0]], pair[1].name, pair[1].id))
    links = [_new_link(tx, member, role, OPERATOR, now, rng) for role, member in pending]
    return [PrintedLink(link.role, link.name, enrolment_url(public_url, link.token)) for link in links]


def add_unit(tx: Connection, session: SessionInfo, parent: str, name: str, *, now: int, rng: Rng) -> Unit:
    """Add a unit below `parent`.

    Raises:
        NotFound: there is no such parent.
        Forbidden: the actor is no secretary there.
    """
    units.get(tx, parent)
    rights.require(tx, session.member_id, Action.MANAGE_UNITS, parent, now)
    return _add_unit(tx, parent, name, rng)


def _add_unit(tx: Connection, parent: str | None, name: str, rng: Rng) -> Unit:
    unit = Unit(new_id(rng), parent, clean_text(name))
    units.add(tx, unit)
    return unit


def add_member(
    tx: Connection, session: SessionInfo, name: str, unit: str, *, now: int, rng: Rng
) -> tuple[Member, EnrolmentLink]:
    """Add a member to `unit` with the role member for five years, and make the first enrolment link.

    Raises:
        NotFound: there is no such unit.
        Forbidden: the actor is neither secretary nor registrar there.
    """
    units.get(tx, unit)
    rights.require(tx, session.member_id, Action.MANAGE_MEMBERS, unit, now)
    member = _insert_member(tx, name, unit, now, rng)
    grant = Grant(new_id(rng), member.id, Role.MEMBER, unit, now, now + MEMBER_GRANT_S)
    members.add_grant(tx, grant, session.member_id)
    return member, _new_link(tx, member, Role.MEMBER, session.member_id, now, rng)


def _insert_member(tx: Connection, name: str, unit: str, now: int, rng: Rng) -> Member:
    code = new_member_code(rng)
    while members.code_taken(tx, code):
        code = new_member_code(rng)
    member = Member(new_id(rng), code, clean_text(name), unit, rng(32), now, None)
    members.add(tx, member)
    return member


def new_link(tx: Connection, session: SessionInfo, member_id: str, *, now: int, rng: Rng) -> EnrolmentLink:
    """Make another enrolment link for a member without a passkey; earlier ones stop working.

    Raises:
        NotFound: there is no such member.
        Forbidden: the actor is neither secretary nor registrar of the member's unit and of every unit where the
            member holds a role.
        Conflict: the member has a passkey.
    """
    member = _in_care(tx, session, member_id, now)
    if passkeys.of_member(tx, member.id):
        raise Conflict("enrolment.has-passkey", "This member has a passkey already.")
    return _new_link(tx, member, Role.MEMBER, session.member_id, now, rng)


def new_replacement_link(
    tx: Connection, session: SessionInfo, member_id: str, *, now: int, rng: Rng
) -> EnrolmentLink:
    """Make a link for a member who lost every passkey; those work until somebody enrols with it.

    Raises:
        NotFound, Forbidden: as for `new_link`; nobody makes one for themselves.
        Conflict: the member has no passkey that could be replaced.
    """
    member = _in_care(tx, session, member_id, now)
    if member.id == session.member_id:
        raise Forbidden("enrolment.own-replacement", "Another officer must replace your passkeys.")
    if not passkeys.of_member(tx, member.id):
        raise Conflict("enrolment.no-passkey", "This member has no passkey yet; make an enrolment link.")
    return _new_link(tx, member, Role.MEMBER, session.member_id, now, rng, PasskeyKind.REPLACED)


def _in_care(tx: Connection, session: SessionInfo, member_id: str, now: int) -> Member:
    member = members.get(tx, member_id)
    rights.require(tx, session.member_id, Action.MANAGE_MEMBERS, member.unit, now)
    # Whoever enrols with the link holds every office of the member, also those above the member's own unit.
    for grant in members.grants_not_ended(tx, [member.id], now).get(member.id, []):
        rights.require(tx, session.member_id, Action.MANAGE_MEMBERS, grant.unit, now)
    if not member.belongs(now):
        raise Forbidden("member.left", "This member has left the organisation.")
    return member


def _new_link(
    tx: Connection,
    member: Member,
    role: str,
    made_by: str,
    now: int,
    rng: Rng,
    kind: PasskeyKind = PasskeyKind.FIRST,
) -> EnrolmentLink:
    token = rng(32)
    passkeys.add_link(tx, passkeys.Link(token_hash(token), member.id, now + LINK_S, None, kind, made_by))
    return EnrolmentLink(member.id, member.name, str(role), b64u(token))


def grant_role(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    wanted: Grant,
    given: dict[str, object],
    signed: Signed,
    now: int,
) -> Grant:
    """Grant a role; the granter's passkey signed exactly this grant, and that is kept as its evidence.

    Raises:
        NotFound: there is no such member or unit.
        Forbidden: to oneself, or without the right (domain.roles.check_new_grant).
        BadInput: a bad end.
        Refused: the signature does not fit.
        Conflict: the member holds this role there as long or longer.
    """
    holder = members.get(tx, wanted.member)
    units.get(tx, wanted.unit)
    action: dict[str, object] = {
        "type": "grant-role",
        "member": wanted.member,
        "role": wanted.role.value,
        "unit": wanted.unit,
        "until": wanted.valid_until,
    }
    check_new_grant(
        session.member_id,
        rights.grants_of(tx, session.member_id),
        wanted.member,
        wanted.role,
        units.lineage(tx, wanted.unit),
        wanted.valid_until,
        now,
    )
    signed_action(tx, rp, session, action, given, signed, now)
    for other in members.grants(tx, wanted.member):
        same = (other.role, other.unit) == (wanted.role, wanted.unit)
        if same and other.valid_from <= now and other.valid_until >= wanted.valid_until:
            raise Conflict("role.held-already", "The member holds this role there already.")
    members.add_grant(tx, wanted, session.member_id, evidence_of(action, signed))
    if not passkeys.of_member(tx, holder.id) and wanted.unit not in units.subtree(tx, holder.unit):
        passkeys.drop_links(tx, holder.id)  # made by officers of a lower unit, who must not enrol as this one
    return wanted


def end_grant(tx: Connection, session: SessionInfo, grant_id: str, now: int) -> None:
    """End a grant now: one's own, or one that the actor could have given.

    Raises:
        NotFound: there is no such grant.
        Forbidden: the actor may not end it.
        Conflict: it has ended, or nobody would be left who can grant this office anywhere.
    """
    grant = members.grant(tx, grant_id)
    if grant.member != session.member_id:
        lineage = units.lineage(tx, grant.unit)
        own = rights.grants_of(tx, session.member_id)
        check_new_grant(session.member_id, own, grant.member, grant.role, lineage, now + 1, now)
    if grant.valid_until <= now:
        raise Conflict("role.ended", "This grant has ended already.")
    if grant.role in (Role.CHAIR, Role.SECRETARY) and not _another(tx, grant, now):
        raise Conflict("role.last-officer", "Somebody else must hold this office before it can be given up.")
    members.end_grant(tx, grant_id, now)


def _another(tx: Connection, grant: Grant, now: int) -> bool:
    table = schema.role_grant.c
    query = select(table.id).where(
        table.role == grant.role, table.id != grant.id, table.valid_from <= now, table.valid_until > now
    )
    return tx.execute(query.limit(1)).first() is not None


def set_weight(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    member_id: str,
    weight: int,
    given: dict[str, object],
    signed: Signed,
    now: int,
) -> None:
    """Set what a member's vote counts from the next roll on; the officer's passkey signs it.

    Raises:
        NotFound: there is no such member.
        Forbidden: for oneself, or the actor is neither secretary nor registrar of the member's unit.
        BadInput: not from 1 to 10^6.
        Refused: the signature does not fit.
    """
    member = members.get(tx, member_id)
    rights.require(tx, session.member_id, Action.MANAGE_MEMBERS, member.unit, now)
    if member.id == session.member_id:
        raise Forbidden("member.own-weight", "Another officer must set the weight of your vote.")
    if not 1 <= weight <= MAX_WEIGHT:
        raise BadInput("member.bad-weight", f"A weight is a whole number from 1 to {MAX_WEIGHT}.")
    action: dict[str, object] = {"type": "set-weight", "member": member.id, "weight": weight}
    signed_action(tx, rp, session, action, given, signed, now)
    members.set_weight(tx, member.id, weight, evidence_of(action, signed))


def set_auditor_key(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    recipient: str,
    given: dict[str, object],
    signed: Signed,
    now: int,
) -> None:
    """Register the age recipient to which annexes are encrypted for this auditor; the passkey signs it.

    Raises:
        Forbidden: the actor is auditor nowhere.
        BadInput: not an age recipient.
        Refused: the signature does not fit.
    """
    if not rights.units_for(tx, session.member_id, Action.EXPORT_ANNEX, now):
        raise Forbidden("role.missing", "You do not hold a role that allows this.")
    check_recipient(recipient)
    action: dict[str, object] = {"type": "set-auditor-key", "recipient": recipient}
    signed_action(tx, rp, session, action, given, signed, now)
    members.set_auditor_key(tx, session.member_id, recipient, now, evidence_of(action, signed))


def parse_role(text: str) -> Role:
    """Return the role of this name.

    Raises:
        BadInput: there is none.
    """
    try:
        return Role(text)
    except ValueError as error:
        raise BadInput("role.unknown", "There is no such role.") from error
