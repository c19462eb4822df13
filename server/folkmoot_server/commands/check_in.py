"""Check-in: the member's passkey signs the voting credential of this meeting."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands.attendance import arrive
from folkmoot_server.commands.identity import new_nonce, use_nonce
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused
from folkmoot_server.domain.identity import Actor, Purpose, SessionInfo
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.ledger import CHECKPOINT_AGE_MAX_S, Notary, protocol_checked
from folkmoot_server.domain.meetings import Act, advance
from folkmoot_server.storage import ledger, lineages, meetings, passkeys, rolls
from folkmoot_voting import challenges
from folkmoot_voting.assertion import verify_assertion
from folkmoot_voting.encoding import JsonObject, b64u, h, jcs, unb64u
from folkmoot_voting.merkle_log import verify_note
from folkmoot_voting.roll import RollCore, passkey_of

SITE = "main"
NONCES_MAX = 50
NOT_ON_ROLL = "The roll was frozen without this passkey; it cannot vote in this meeting, but in later ones."


def begin_check_in(tx: Connection, meeting: str, session: SessionInfo, now: int, rng: Rng) -> JsonObject:
    """Return what the page signs: nonce, roll statement, newest checkpoint, site and the member's roll entry.

    Raises:
        Forbidden: the member is not on the roll, or with none of the passkeys that are left.
        WrongState: check-in has not begun or the meeting is over.
    """
    entry = _own_entry(tx, meeting, session)
    listed = {passkey["id"] for passkey in entry["passkeys"]}
    if listed.isdisjoint(passkey.id for passkey in passkeys.of_member(tx, session.member_id)):
        raise Forbidden("check-in.passkey-not-on-roll", NOT_ON_ROLL)
    nonce = new_nonce(tx, Purpose.CHECK_IN, session.session_hash, now=now, rng=rng, limit=NONCES_MAX)
    return {
        "nonce": b64u(nonce),
        "roll": rolls.frozen(tx, meeting).statement,
        "checkpoint": ledger.latest_checkpoint(tx),
        "site": SITE,
        "mine": entry,
    }


def finish_check_in(
    tx: Connection, meeting: str, actor: Actor, request: JsonObject, notary: Notary, now: int, rng: Rng
) -> int:
    """Accept a check-in, open the attendance interval and return the number of its event.

    `request` has the fields of wire.md. The statement goes into the annex; a later check-in of the same
    member replaces the credential for elections opened afterwards, also when it is one of theirs from before.

    Raises:
        Forbidden: the member is not on the roll.
        WrongState: check-in has not begun or the meeting is over.
        Refused: nonce, site, checkpoint, passkey or assertion does not fit.
        Conflict: another member has checked in with the credential.
    """
    entry = _own_entry(tx, meeting, actor)
    if request["site"] != SITE:
        raise Refused("check-in.site", "This version knows one site, main.")
    nonce = unb64u(request["nonce"])
    use_nonce(tx, actor, nonce, Purpose.CHECK_IN, now)
    roll = RollCore.from_json(rolls.frozen(tx, meeting).core)
    _require_checkpoint(tx, meeting, request["checkpoint"], notary, _since(actor, now) - CHECKPOINT_AGE_MAX_S)
    if request["passkey"] not in {passkey["id"] for passkey in entry["passkeys"]}:
        raise Refused("check-in.passkey-not-on-roll", NOT_ON_ROLL)
    if passkeys.find(tx, request["passkey"]) is None:
        raise Refused("passkey.unknown", "This passkey is not registered here any more.")
    with protocol_checked():
        key = passkey_of(entry, unb64u(request["passkey"]))
        challenge = challenges.checkin(
            meeting, roll.hash, SITE, unb64u(request["credential"]), request["checkpoint"], nonce
        )
        verify_assertion(roll.rp, challenge, key, request["assertion"])
    at = now if isinstance(actor, SessionInfo) else actor.at
    owner = rolls.credential_owner(tx, meeting, request["credential"])
    if owner == actor.member_id:
        # Back on the same device after leaving: the annex keeps the first statement, one per credential.
        kept = rolls.renew_check_in(tx, meeting, request["credential"])
        return arrive(tx, meeting, actor.member_id, SITE, _proof(kept), now, at)
    # A replaced credential stands on the board for all to read; it stays its member's own.
    taken = lineages.taken_over_by(tx, meeting, request["credential"])
    if owner is not None or taken not in (None, actor.member_id):
        raise Conflict("check-in.credential-known", "Another member has checked in with this credential.")
    fields = ("credential", "site", "checkpoint", "nonce", "passkey", "assertion")
    signed = {"member": actor.member_id, **{name: request[name] for name in fields}}
    statement = {**signed, "at": at, "salt": b64u(rng(32))}
    rolls.add_check_in(tx, meeting, actor.member_id, request["credential"], statement)
    return arrive(tx, meeting, actor.member_id, SITE, _proof(statement), now, at)


def _since(actor: Actor, now: int) -> int:
    """Return when the page that signed may have fetched its checkpoint last."""
    return now if isinstance(actor, SessionInfo) else actor.since


def _proof(statement: JsonObject) -> bytes:
    """The salted hash by which an attendance event cites a check-in (voting.md section 9)."""
    signed = {name: value for name, value in statement.items() if name not in ("at", "salt")}
    return h("fm1/statement", unb64u(statement["salt"]), jcs(signed))


def _own_entry(tx: Connection, meeting: str, actor: Actor) -> JsonObject:
    advance(meetings.get(tx, meeting).state, Act.CHECK_IN)
    rolls.frozen(tx, meeting)
    entry = rolls.entry(tx, meeting, actor.member_id)
    if entry is None:
        raise Forbidden("check-in.not-on-roll", "You are not on the roll of this meeting.")
    return entry


def _require_checkpoint(tx: Connection, meeting: str, text: str, notary: Notary, since: int) -> None:
    """Accept a checkpoint of ours that holds the roll and was the newest at `since` or later."""
    with protocol_checked():
        note = verify_note(text, notary.ledger_origin, notary.key)
    size = note.checkpoint.size
    if ledger.head(tx, size) != text:
        raise Refused("check-in.checkpoint-foreign", "The checkpoint is not one of this ledger.")
    roll_index = next(leaf.index for leaf in ledger.of_meeting(tx, meeting) if leaf.type == "roll")
    if size <= roll_index:
        raise Refused("check-in.checkpoint-before-roll", "The checkpoint is older than the roll.")
    superseded_at = ledger.appended_at(tx, size)
    if superseded_at is not None and superseded_at < since:
        raise Refused("check-in.old-checkpoint", "The checkpoint is too old; begin again.")
