"""Cosigners register the key with which they will sign closing checkpoints."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands.identity import take_nonce
from folkmoot_server.domain.errors import Conflict, Forbidden
from folkmoot_server.domain.identity import Purpose, SessionInfo
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_server.domain.meetings import Act, advance
from folkmoot_server.storage import elections, events, keys, meetings, rolls
from folkmoot_voting import challenges
from folkmoot_voting.assertion import verify_assertion
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.roll import RollCore, passkey_of


def register_cosigner(tx: Connection, meeting: str, session: SessionInfo, request: JsonObject, now: int) -> None:
    """Store a cosigner's key with the passkey statement; the same key again changes nothing.

    `request` has the fields of wire.md. A new key may replace an old one (a lost device) while no election
    is between opening and declaration.

    Raises:
        Forbidden: the caller is not the cosigner of that name.
        Conflict: another cosigner has this key, or an election runs with the old one.
        Refused: the nonce, passkey or assertion does not fit.
    """
    advance(meetings.get(tx, meeting).state, Act.MAKE_KEY)
    name, key = request["name"], request["key"]
    listed = {one.name: one for one in keys.cosigners(tx, meeting)}
    mine = listed.get(name)
    if mine is None or mine.member != session.member_id:
        raise Forbidden("cosigner.not-you", "You are not the cosigner of this name.")
    if mine.key == key:
        return
    if any(one.key == key for one in listed.values()):
        raise Conflict("cosigner.key-taken", "Another cosigner has this key.")
    if mine.key and elections.is_running(tx, meeting):
        raise Conflict("cosigner.election-running", "A cosigner's key cannot change while an election runs.")
    nonce = unb64u(request["nonce"])
    take_nonce(tx, nonce, Purpose.COSIGN, session.session_hash, now)
    roll = RollCore.from_json(rolls.frozen(tx, meeting).core)
    entry = rolls.entry(tx, meeting, session.member_id)
    if entry is None:
        raise Forbidden("check-in.not-on-roll", "You are not on the roll of this meeting.")
    with protocol_checked():
        challenge = challenges.cosign(meeting, roll.hash, name, unb64u(key), nonce)
        verify_assertion(roll.rp, challenge, passkey_of(entry, unb64u(request["passkey"])), request["assertion"])
    kept = {"member": session.member_id, **{field: request[field] for field in request}}
    rolls.add_statement(tx, meeting, "cosigner", f"{name} {key}", session.member_id, kept)
    keys.set_cosigner_key(tx, meeting, name, key)
    events.append(tx, meeting, "CosignerNamed", now, {"name": name})
