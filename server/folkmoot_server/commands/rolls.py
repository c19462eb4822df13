"""The roll: prepared by the server, signed by the registrar, recorded in the ledger."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands.identity import take_nonce
from folkmoot_server.commands.rights import require
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused
from folkmoot_server.domain.identity import OPERATOR, Purpose, SessionInfo
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.keys import Officer, assign
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.domain.meetings import Act, State, advance
from folkmoot_server.domain.roles import Action, Role
from folkmoot_server.domain.rolls import Candidate, Elector, Origin, build_entries, officer_text
from folkmoot_server.storage import events, keys, ledger, meetings, members, passkeys, relays, rolls, settings, units
from folkmoot_voting.assertion import RelyingParty
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.roll import RollCore, build_core, make_statement

OFFICES = (Role.CHAIR, Role.SECRETARY, Role.TELLER, Role.OBSERVER)


def prepare_roll(
    tx: Connection, meeting: str, session: SessionInfo, rp: RelyingParty, now: int, rng: Rng
) -> JsonObject:
    """Make the draft that the registrar will sign, in place of an earlier draft, and return what wire.md says.

    Raises:
        Forbidden: the caller is not registrar for the meeting's unit.
        Conflict: the roll is frozen.
        Refused: nobody has a passkey with two officers, the registrar among them.
    """
    facts = meetings.get(tx, meeting)
    require(tx, session.member_id, Action.FREEZE_ROLL, facts.unit, now)
    _require_open(tx, meeting, facts.state)
    passkey = passkeys.find(tx, session.passkey_id)
    if passkey is None:
        raise Refused("passkey.unknown", "The passkey you signed in with is no longer registered.")
    root = passkeys.known(tx, passkey.root)
    if root is None or not root.confirmed_by:
        raise Refused("roll.registrar-unconfirmed", "A second officer must confirm the registrar's passkey first.")
    electors = _electors(tx, facts.unit, now)
    made = build_entries(electors, rng)
    with protocol_checked():
        entries, core = build_core(
            made.entries,
            meeting=meeting,
            organisation=settings.get(tx, settings.ORGANISATION_ID) or "",
            frozen_at=now,
            rp=RelyingParty(rp.id, (*rp.origins, *sorted(set(relays.origins(tx, meeting).values())))),
            registrar=(unb64u(passkey.id), passkey.public_key),
        )
    rolls.save_draft(tx, meeting, core.json, core.hash, entries)
    return {
        "core": core.json,
        "roll_hash": b64u(core.hash),
        "unconfirmed": [{"member": one.member, "name": one.name} for one in made.unconfirmed],
        "exceptions": [
            {"member": entry["member"], "name": entry["name"], **entry["exception"]}
            for entry in entries
            if entry["exception"]["kind"] != "none"
        ],
    }


def _electors(tx: Connection, unit: str, now: int) -> list[Elector]:
    people = members.electors(tx, unit, now)
    ids = [member.id for member in people]
    owned, before = passkeys.of_members(tx, ids), passkeys.rolled_members(tx, ids)
    roots = passkeys.by_ids(tx, {passkey.root for keys in owned.values() for passkey in keys})
    officers = members.by_ids(tx, {by for root in roots.values() for by in (root.made_by, root.confirmed_by) if by})
    names = {OPERATOR: OPERATOR, **{by: officer_text(one.name, one.code) for by, one in officers.items()}}
    origins = {
        key: Origin(
            root.kind,
            tuple(names[by] for by in (root.made_by, root.confirmed_by) if by),
            root.rolled_at is not None,
        )
        for key, root in roots.items()
    }
    return [
        Elector(
            member.id,
            member.name,
            member.weight,
            member.id in before,
            tuple(
                Candidate(key.id, key.public_key, key.added_at, key.rolled_at is not None, origins[key.root])
                for key in owned.get(member.id, [])
            ),
        )
        for member in people
    ]


def freeze_roll(
    tx: Connection, meeting: str, session: SessionInfo, roll_hash: bytes, signed: JsonObject, notary: Notary, now: int
) -> JsonObject:
    """Freeze the prepared roll with the registrar's assertion; return the statement (voting.md section 3).

    Names trustees and cosigners and records the roll in the ledger, all in the same transaction.

    Raises:
        Forbidden: the caller is not registrar, or signed with another passkey than the draft names.
        Conflict: the roll is frozen already, the draft is another one, or a listed passkey has ended since.
        Refused: the nonce or the assertion does not fit, or officers are missing.
    """
    facts = meetings.get(tx, meeting)
    require(tx, session.member_id, Action.FREEZE_ROLL, facts.unit, now)
    _require_open(tx, meeting, facts.state)
    draft = rolls.find(tx, meeting)
    if draft is None or draft.roll_hash != roll_hash:
        raise Conflict("roll.changed", "The roll was prepared again in the meantime; look at it once more.")
    if not set(relays.origins(tx, meeting).values()) <= set(draft.core["rp"]["origins"]):
        raise Conflict("roll.changed", "A relay's address was named in the meantime; prepare the roll again.")
    nonce = unb64u(signed["nonce"])
    take_nonce(tx, nonce, Purpose.ROLL, session.session_hash, now)
    if signed["passkey"] != draft.core["registrar"]["passkey"]:
        raise Forbidden("roll.other-passkey", "Sign with the passkey that prepared the roll.")
    owner = passkeys.find(tx, signed["passkey"])
    if owner is None or owner.member != session.member_id:
        raise Forbidden("roll.other-registrar", "Another registrar prepared this roll; prepare it yourself.")
    listed = {passkey["id"] for entry in rolls.entries(tx, meeting) for passkey in entry["passkeys"]}
    if any(passkey.ended_at is not None for passkey in passkeys.by_ids(tx, listed).values()):
        raise Conflict("roll.passkey-ended", "A listed passkey has ended in the meantime; prepare the roll again.")
    with protocol_checked():
        core = RollCore.from_json(draft.core)
        statement = make_statement(core, nonce, signed["assertion"])
    rolls.freeze(tx, meeting, statement, session.member_id)
    if not facts.rehearsal:  # or a rehearsal would hide exceptions from the meeting after it
        passkeys.mark_rolled(tx, listed, now)
    _assign_officers(tx, meeting, facts.unit, now)
    ledger.append(tx, notary, kind="roll", meeting=meeting, digest=core.hash, now=now)
    body = {"hash": b64u(core.hash), "size": core.size, "exceptions": core.exceptions}
    events.append(tx, meeting, "RollFrozen", now, body)
    return statement


def _assign_officers(tx: Connection, meeting: str, unit: str, now: int) -> None:
    listed = {entry["member"] for entry in rolls.entries(tx, meeting)}
    lineage = units.lineage(tx, unit)
    roles: dict[str, set[str]] = {}
    codes: dict[str, str] = {}
    for role in OFFICES:
        for member in members.holders(tx, role, lineage, now):
            if member.id in listed:  # trustees and cosigners sign with passkeys of the roll
                roles.setdefault(member.id, set()).add(role.value)
                codes[member.id] = member.code
    keys.assign(tx, meeting, assign([Officer(one, codes[one], frozenset(held)) for one, held in roles.items()]))


def _require_open(tx: Connection, meeting: str, state: State) -> None:
    found = rolls.find(tx, meeting)
    if found is not None and found.statement is not None:
        raise Conflict("roll.frozen", "The roll of this meeting is frozen and cannot change.")
    advance(state, Act.FREEZE_ROLL)
