"""The relay of key generation: every message is checked by the protocol's fold before it is stored."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands.identity import take_nonce
from folkmoot_server.domain.errors import BadInput, Forbidden
from folkmoot_server.domain.identity import Purpose, SessionInfo
from folkmoot_server.domain.keys import ROUNDS, threshold
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.domain.meetings import Act, advance
from folkmoot_server.storage import events, keys, ledger, meetings, rolls
from folkmoot_voting import challenges
from folkmoot_voting.assertion import verify_assertion
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.keygen import KeyGeneration
from folkmoot_voting.roll import RollCore, passkey_of


def key_generation(tx: Connection, meeting: str) -> KeyGeneration:
    """Rebuild the public state of a meeting's key generation from its stored messages.

    Raises:
        NotFound: the roll is not frozen.
    """
    roll = rolls.frozen(tx, meeting)
    count = len(keys.trustees(tx, meeting))
    state = KeyGeneration(meeting, roll.roll_hash, threshold(count), count)
    for message in keys.messages(tx, meeting):
        state = state.accept(message)
    return state


def post_message(
    tx: Connection,
    meeting: str,
    session: SessionInfo,
    message: JsonObject,
    statement: JsonObject | None,
    notary: Notary,
    now: int,
) -> None:
    """Store one trustee's message; the same message again changes nothing.

    A register message needs the trustee's passkey statement {"nonce", "passkey", "assertion"}. The last
    certification records the key in the ledger.

    Raises:
        Forbidden: the caller is not the trustee whom the message names.
        BadInput: a statement is missing, or given where none belongs.
        Refused: the protocol refuses the message or the statement.
    """
    advance(meetings.get(tx, meeting).state, Act.MAKE_KEY)
    index = keys.trustee_index(tx, meeting, session.member_id)
    if index == 0 or message.get("trustee") != index:
        raise Forbidden("keygen.not-your-message", "Only the trustee whom a message names may post it.")
    state = key_generation(tx, meeting)
    with protocol_checked():
        following = state.accept(message)
    if following is state:
        return
    kind = message["type"]
    if kind == "register":
        _keep_statement(tx, meeting, session, message, statement, now)
    elif statement is not None:
        raise BadInput("keygen.statement", "Only a register message comes with a statement.")
    keys.add_message(tx, meeting, ROUNDS.index(kind), index, message)
    events.append(tx, meeting, "KeyMessagePosted", now, {"round": kind, "trustee": index})
    with protocol_checked():
        key = following.result
    if key is not None:
        ledger.append(tx, notary, kind="key", meeting=meeting, digest=key.transcript, now=now)
        body = {"key": b64u(key.key), "code": following.spoken_code}
        events.append(tx, meeting, "KeyGenerated", now, body)


def _keep_statement(
    tx: Connection,
    meeting: str,
    session: SessionInfo,
    message: JsonObject,
    statement: JsonObject | None,
    now: int,
) -> None:
    if statement is None:
        raise BadInput("keygen.statement", "A register message needs the trustee's passkey statement.")
    nonce = unb64u(statement["nonce"])
    take_nonce(tx, nonce, Purpose.TRUSTEE, session.session_hash, now)
    roll = RollCore.from_json(rolls.frozen(tx, meeting).core)
    entry = rolls.entry(tx, meeting, session.member_id)
    if entry is None:
        raise Forbidden("check-in.not-on-roll", "You are not on the roll of this meeting.")
    index, sign_key, box_key = message["trustee"], message["sign_key"], message["box_key"]
    with protocol_checked():
        challenge = challenges.trustee(meeting, roll.hash, index, unb64u(sign_key), unb64u(box_key), nonce)
        verify_assertion(roll.rp, challenge, passkey_of(entry, unb64u(statement["passkey"])), statement["assertion"])
    kept = {"member": session.member_id, "trustee": index, "sign_key": sign_key, "box_key": box_key, **statement}
    rolls.add_statement(tx, meeting, "trustee", str(index), session.member_id, kept)
