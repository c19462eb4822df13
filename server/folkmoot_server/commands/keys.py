"""The relay of key generation: every message is checked by the protocol's fold before it is stored."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands.identity import evidence_of, signed_action, take_nonce
from folkmoot_server.commands.presiding import require_chair
from folkmoot_server.domain.errors import BadInput, Conflict, Forbidden, Refused, WrongState
from folkmoot_server.domain.identity import Purpose, SessionInfo, Signed
from folkmoot_server.domain.keys import threshold
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.domain.meetings import Act, State, advance
from folkmoot_server.storage import elections, events, keys, ledger, meetings, rolls
from folkmoot_server.webauthn_policy import RelyingParty
from folkmoot_voting import challenges, copies, destruction
from folkmoot_voting.assertion import verify_assertion
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.keygen import COMPLAINT, MAX_ATTEMPTS, ROUNDS, KeyGeneration
from folkmoot_voting.roll import RollCore, passkey_of

CLOCK_SKEW_S = 300


def key_generation(tx: Connection, meeting: str) -> KeyGeneration:
    """Rebuild the public state of the current attempt at a meeting's key from its stored messages.

    Raises:
        NotFound: the roll is not frozen.
    """
    roll = rolls.frozen(tx, meeting)
    count = len(keys.trustees(tx, meeting))
    state = KeyGeneration(meeting, roll.roll_hash, keys.attempt(tx, meeting), threshold(count), count)
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
    certification records the key in the ledger; a complaint ends the attempt.

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
    keys.add_message(tx, meeting, (*ROUNDS, COMPLAINT).index(kind), message)
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
        challenge = challenges.trustee(
            meeting, roll.hash, message["attempt"], index, unb64u(sign_key), unb64u(box_key), nonce
        )
        verify_assertion(roll.rp, challenge, passkey_of(entry, unb64u(statement["passkey"])), statement["assertion"])
    kept = {"member": session.member_id, "trustee": index, "sign_key": sign_key, "box_key": box_key, **statement}
    rolls.add_statement(tx, meeting, "trustee", str(index), session.member_id, kept)


def restart(
    tx: Connection,
    rp: RelyingParty,
    meeting: str,
    session: SessionInfo,
    reason: str,
    given: JsonObject,
    signed: Signed,
    now: int,
) -> None:
    """Break the current attempt at the key off and begin the next; the chair's passkey signs that.

    Messages and statements of the old attempt stay as evidence.

    Raises:
        Forbidden: the caller is not the chair, or does not preside.
        WrongState: no attempt can run now, or a vote was opened with the key.
        Conflict: another attempt runs by now, or it is the twentieth.
        Refused: the signature does not fit.
    """
    facts = meetings.get(tx, meeting)
    require_chair(tx, facts, session.member_id, now)
    advance(facts.state, Act.MAKE_KEY)
    attempt = keys.attempt(tx, meeting)
    if keys.is_used(tx, meeting):
        raise WrongState("keygen.used", "A vote was opened with this key; it cannot be made again.")
    if attempt == MAX_ATTEMPTS:
        raise Conflict("keygen.too-many-attempts", f"A key is tried at most {MAX_ATTEMPTS} times.")
    if given.get("attempt") != attempt:
        raise Conflict("keygen.other-attempt", "Another attempt runs by now; look at it once more.")
    action: JsonObject = {"type": "restart-key", "meeting": meeting, "attempt": attempt}
    signed_action(tx, rp, session, action, given, signed, now)
    keys.end_attempt(tx, meeting, attempt, reason, now, evidence_of(action, signed))
    rolls.end_trustee_statements(tx, meeting, attempt)
    events.append(tx, meeting, "KeyRestarted", now, {"attempt": attempt + 1, "reason": reason})


def keep_copy(tx: Connection, meeting: str, session: SessionInfo, copy: JsonObject) -> None:
    """Keep a trustee's sealed copy of the own secrets, in place of an earlier one.

    Raises:
        Forbidden: the caller is not the trustee whom the copy names.
        Refused: malformed, of another kind than `passkey`, or of another attempt.
        WrongState: the trustee has destroyed the secrets.
    """
    index = _own_index(tx, meeting, session)
    with protocol_checked():
        copies.check_copy(copy)
    if copy["kind"] != "passkey":
        raise Refused("keygen.copy-kind", "The server keeps only copies that a passkey opens.")
    if (copy["meeting"], copy["attempt"], copy["trustee"]) != (meeting, keys.attempt(tx, meeting), index):
        raise Refused("keygen.copy-foreign", "The copy is of another key.")
    if _destroyed_by(tx, meeting, index) is not None:
        raise WrongState("keygen.share-destroyed", "You have destroyed your share of this key.")
    keys.put_copy(tx, meeting, index, copy)


def destroy_share(
    tx: Connection, meeting: str, session: SessionInfo, statement: JsonObject, notary: Notary, now: int
) -> None:
    """Record that a trustee's secrets are deleted, and delete the copy; the same statement again changes nothing.

    Raises:
        Forbidden: the caller is not the trustee whom the statement names.
        WrongState: the meeting is not closed, there is no key, or an election is not finished.
        Conflict: the trustee has made another statement.
        Refused: malformed, unsigned, before the challenge period is over, or in the future.
    """
    index = _own_index(tx, meeting, session)
    if statement.get("trustee") != index:
        raise Forbidden("keygen.not-your-message", "Only the trustee whom a message names may post it.")
    if meetings.get(tx, meeting).state is not State.CLOSED or elections.is_running(tx, meeting):
        raise WrongState("keygen.still-needed", "The share may be needed until the meeting is closed.")
    known = _destroyed_by(tx, meeting, index)
    if known == statement:
        return
    if known is not None:
        raise Conflict("keygen.share-destroyed", "You have destroyed your share of this key.")
    key = key_generation(tx, meeting).result
    if key is None:
        raise WrongState("keygen.no-key", "This meeting has no key.")
    with protocol_checked():
        digest = destruction.check_statement(statement, meeting, key, not_before=keys.challenges_end(tx, meeting))
    if statement["at"] > now + CLOCK_SKEW_S:
        raise Refused("keygen.destroyed-later", "The statement is dated in the future; set your device's clock.")
    keys.add_destroyed(tx, meeting, index, statement)
    keys.drop_copy(tx, meeting, index)
    ledger.append(tx, notary, kind="destroyed", meeting=meeting, digest=digest, now=now)
    events.append(tx, meeting, "ShareDestroyed", now, {"trustee": index})


def _own_index(tx: Connection, meeting: str, session: SessionInfo) -> int:
    index = keys.trustee_index(tx, meeting, session.member_id)
    if index == 0:
        raise Forbidden("keygen.not-a-trustee", "Only a trustee of this meeting may do this.")
    return index


def own_copy(tx: Connection, meeting: str, session: SessionInfo) -> JsonObject | None:
    """Return the caller's sealed copy.

    Raises:
        Forbidden: the caller is no trustee of this meeting.
    """
    return keys.copy(tx, meeting, _own_index(tx, meeting, session))


def _destroyed_by(tx: Connection, meeting: str, index: int) -> JsonObject | None:
    return next((one for one in keys.destroyed(tx, meeting) if one["trustee"] == index), None)
