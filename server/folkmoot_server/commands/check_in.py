"""Check-in: the member's passkey signs the voting credential of this meeting."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.commands import disputes, rights, sites
from folkmoot_server.commands.attendance import arrive
from folkmoot_server.commands.identity import new_nonce, take_nonce
from folkmoot_server.domain.attendance import REMOTE
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused, WrongState
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

NONCES_MAX = 50
NOT_ON_ROLL = "The roll was frozen without this passkey; it cannot vote in this meeting, but in later ones."


def begin_check_in(
    tx: Connection, meeting: str, session: SessionInfo, now: int, rng: Rng, *, site: str = REMOTE, code: str = ""
) -> JsonObject:
    """Return what the page signs: nonce, roll statement, newest checkpoint, site and the member's roll entry.

    Raises:
        NotFound: there is no such site.
        Forbidden: the member is not on the roll, or with none of the passkeys that are left, or the code is not the
            site's.
        WrongState: check-in has not begun or the meeting is over.
    """
    entry = _own_entry(tx, meeting, session.member_id)
    if site != REMOTE and not sites.takes_code(tx, meeting, site, code, now):
        raise Forbidden("site.bad-code", "This is not the code that the site shows now.")
    listed = {passkey["id"] for passkey in entry["passkeys"]}
    if listed.isdisjoint(passkey.id for passkey in passkeys.of_member(tx, session.member_id)):
        raise Forbidden("check-in.passkey-not-on-roll", NOT_ON_ROLL)
    return {**_to_sign(tx, meeting, session, site, now, rng), "mine": entry}


def begin_at_kiosk(tx: Connection, meeting: str, site: str, session: SessionInfo, now: int, rng: Rng) -> JsonObject:
    """Return what a member signs at the browser of a hall, beside the session of its custodian.

    Raises:
        NotFound, Forbidden: no such site, or the session is not its custodian's.
        WrongState: check-in has not begun, the meeting is over, or the hall is not connected.
    """
    advance(meetings.get(tx, meeting).state, Act.CHECK_IN)
    require_kiosk(tx, meeting, site, session, now)
    return _to_sign(tx, meeting, session, site, now, rng)


def require_kiosk(tx: Connection, meeting: str, site: str, session: SessionInfo, now: int) -> None:
    """Refuse unless the session is the custodian's of a hall that is connected now.

    Raises:
        NotFound, Forbidden: no such site, or the session is not its custodian's.
        WrongState: the hall is not connected.
    """
    found = sites.require_custodian(tx, meeting, site, session.member_id)
    rights.require_not_removed(tx, meeting, session.member_id)
    if not rights.may_read(tx, session.member_id, meetings.get(tx, meeting).unit, now):
        raise Forbidden("site.not-custodian", "Only the site's custodian may do this.")
    if not found.live:
        raise WrongState("site.not-connected", "The hall is not connected; open its page and test its line first.")


def _to_sign(tx: Connection, meeting: str, session: SessionInfo, site: str, now: int, rng: Rng) -> JsonObject:
    nonce = new_nonce(tx, Purpose.CHECK_IN, _bound(session, site), now=now, rng=rng, limit=NONCES_MAX)
    return {
        "nonce": b64u(nonce),
        "roll": rolls.frozen(tx, meeting).statement,
        "checkpoint": ledger.latest_checkpoint(tx),
        "site": site,
    }


def require_same_site(signed: str, asked: str) -> None:
    """Refuse a check-in that was signed for another site than it is sent to.

    Raises:
        Refused: it is so.
    """
    if signed != asked:
        raise Refused("check-in.site", "The check-in was signed for another site.")


def _bound(session: SessionInfo, site: str) -> bytes:
    """Return what a nonce is bound to: who has shown the code of one hall has shown no other's."""
    return session.session_hash if site == REMOTE else session.session_hash + site.encode()


def finish_check_in(
    tx: Connection,
    meeting: str,
    actor: Actor,
    request: JsonObject,
    notary: Notary,
    now: int,
    rng: Rng,
    *,
    kiosk: bool = False,
) -> int:
    """Accept a check-in, open the attendance interval and return the number of its event.

    `request` has the fields of wire.md; `kiosk` is what the relay of a hall says, in whose outbox it was.
    The statement goes into the annex; a later check-in of the same member replaces the credential for elections
    opened afterwards, also when it is one of theirs from before.

    Raises:
        Forbidden: the member is not on the roll.
        WrongState: check-in has not begun or the meeting is over.
        Refused: nonce, site, checkpoint, passkey or assertion does not fit.
        Conflict: another member has checked in with the credential.
    """
    _take_fresh(tx, meeting, actor, request, notary, now)
    at = now if isinstance(actor, SessionInfo) else actor.at
    return _accept(tx, meeting, actor.member_id, request, now, rng, at=at, kiosk=kiosk)


def note_overtaken(tx: Connection, meeting: str, actor: Actor, request: JsonObject, notary: Notary, now: int) -> None:
    """Take a check-in that a later one has overtaken: nobody arrives, and one from elsewhere is the chair's to judge.

    Raises:
        Forbidden, WrongState, Refused: as `finish_check_in`; what nobody signed says nothing of anybody.
    """
    _take_fresh(tx, meeting, actor, request, notary, now)
    _require_signed(tx, meeting, actor.member_id, request)
    if rolls.newest_credential(tx, meeting, actor.member_id) != request["credential"]:
        disputes.note_overtaken(tx, meeting, actor.member_id, request["site"], now)


def _take_fresh(tx: Connection, meeting: str, actor: Actor, request: JsonObject, notary: Notary, now: int) -> None:
    """Take the nonce of a check-in, and refuse one with an old checkpoint."""
    nonce = unb64u(request["nonce"])
    if isinstance(actor, SessionInfo):
        take_nonce(tx, nonce, Purpose.CHECK_IN, _bound(actor, request["site"]), now)
    else:
        actor.take_nonce(nonce)
    _require_checkpoint(tx, meeting, request["checkpoint"], notary, _since(actor, now) - CHECKPOINT_AGE_MAX_S)


def finish_at_kiosk(
    tx: Connection, meeting: str, session: SessionInfo, request: JsonObject, notary: Notary, now: int, rng: Rng
) -> tuple[str, int]:
    """Accept the check-in of whoever's passkey signed at the browser of a hall; return member and event's number.

    `request` is as in `finish_check_in`. The custodian's session says where it was signed, and nothing else.

    Raises:
        NotFound, Forbidden, WrongState, Refused, Conflict: as `begin_at_kiosk` and `finish_check_in` say.
    """
    require_kiosk(tx, meeting, request["site"], session, now)
    take_nonce(tx, unb64u(request["nonce"]), Purpose.CHECK_IN, _bound(session, request["site"]), now)
    _require_checkpoint(tx, meeting, request["checkpoint"], notary, now - CHECKPOINT_AGE_MAX_S)
    passkey = passkeys.find(tx, request["passkey"])
    if passkey is None:
        raise Refused("passkey.unknown", "This passkey is not registered here.")
    return passkey.member, _accept(tx, meeting, passkey.member, request, now, rng, at=now, kiosk=True)


def _accept(
    tx: Connection,
    meeting: str,
    member: str,
    request: JsonObject,
    now: int,
    rng: Rng,
    *,
    at: int,
    kiosk: bool = False,
) -> int:
    """Take a check-in whose nonce and checkpoint are checked; return the number of its last event."""
    _require_signed(tx, meeting, member, request)
    site, credential = request["site"], request["credential"]
    same_device = rolls.newest_credential(tx, meeting, member) == credential
    owner = rolls.credential_owner(tx, meeting, credential)
    if owner == member:
        # Back on the same device after leaving: the annex keeps the first statement, one per credential.
        kept = rolls.renew_check_in(tx, meeting, credential)
        return arrive(tx, meeting, member, site, _proof(kept), now, at, kiosk=kiosk, same_device=same_device)
    # A replaced credential stands on the board for all to read; it stays its member's own.
    taken = lineages.taken_over_by(tx, meeting, credential)
    if owner is not None or taken not in (None, member):
        raise Conflict("check-in.credential-known", "Another member has checked in with this credential.")
    fields = ("credential", "site", "checkpoint", "nonce", "passkey", "assertion")
    signed = {"member": member, **{name: request[name] for name in fields}}
    statement = {**signed, "at": at, "salt": b64u(rng(32))}
    rolls.add_check_in(tx, meeting, member, credential, statement)
    return arrive(tx, meeting, member, site, _proof(statement), now, at, kiosk=kiosk)


def _require_signed(tx: Connection, meeting: str, member: str, request: JsonObject) -> None:
    """Refuse a check-in that no passkey of the member's roll entry has signed."""
    entry = _own_entry(tx, meeting, member)
    roll = RollCore.from_json(rolls.frozen(tx, meeting).core)
    site = request["site"]
    if request["passkey"] not in {passkey["id"] for passkey in entry["passkeys"]}:
        raise Refused("check-in.passkey-not-on-roll", NOT_ON_ROLL)
    if passkeys.find(tx, request["passkey"]) is None:
        raise Refused("passkey.unknown", "This passkey is not registered here any more.")
    with protocol_checked():
        key = passkey_of(entry, unb64u(request["passkey"]))
        challenge = challenges.checkin(
            meeting, roll.hash, site, unb64u(request["credential"]), request["checkpoint"], unb64u(request["nonce"])
        )
        verify_assertion(roll.rp, challenge, key, request["assertion"])


def _since(actor: Actor, now: int) -> int:
    """Return when the page that signed may have fetched its checkpoint last."""
    return now if isinstance(actor, SessionInfo) else actor.since


def _proof(statement: JsonObject) -> bytes:
    """The salted hash by which an attendance event cites a check-in (voting.md section 9)."""
    signed = {name: value for name, value in statement.items() if name not in ("at", "salt")}
    return h("fm1/statement", unb64u(statement["salt"]), jcs(signed))


def _own_entry(tx: Connection, meeting: str, member: str) -> JsonObject:
    advance(meetings.get(tx, meeting).state, Act.CHECK_IN)
    rolls.frozen(tx, meeting)
    entry = rolls.entry(tx, meeting, member)
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
