"""A member's own passkeys, and the second officer of those that came by a link."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from folkmoot_server.commands import rights
from folkmoot_server.commands.identity import (
    SESSION_NONCES_MAX,
    Enrolment,
    evidence_of,
    new_nonce,
    register,
    signed_action,
    take_nonce,
)
from folkmoot_server.domain.errors import BadInput, Conflict, Forbidden, NotFound
from folkmoot_server.domain.identity import PasskeyKind, Purpose, SessionInfo, Signed
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.roles import Action
from folkmoot_server.storage import members, passkeys, sessions
from folkmoot_server.storage.passkeys import Passkey
from folkmoot_server.webauthn_policy import Registration, RelyingParty

CONFIRM_MAX = 1000


def begin_adding(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    given: dict[str, object],
    signed: Signed,
    *,
    now: int,
    rng: Rng,
) -> Enrolment:
    """Return what the page needs to make another passkey for the signed-in member.

    A passkey that the member has signs the wish: a session alone, on a screen that was left, must not do it.

    Raises:
        Refused: the signature does not fit.
        TooMany: too many unused challenges are out.
    """
    signed_action(tx, rp, session, {"type": "add-passkey"}, given, signed, now)
    member = members.get(tx, session.member_id)
    nonce = new_nonce(tx, Purpose.ENROL, session.session_hash, now=now, rng=rng, limit=SESSION_NONCES_MAX)
    return Enrolment(nonce, member, tuple(passkey.id for passkey in passkeys.of_member(tx, member.id)))


def finish_adding(
    tx: Connection, rp: RelyingParty, session: SessionInfo, nonce: bytes, answer: Registration, now: int
) -> str:
    """Register another passkey of the signed-in member and return its id.

    Whoever answers for the passkey of this session answers for the new one.

    Raises:
        Refused: the nonce or the passkey's answer fails a check.
        Conflict: the passkey is registered already, or was.
        TooMany: the member has 20.
    """
    take_nonce(tx, nonce, Purpose.ENROL, session.session_hash, now)
    parent = passkeys.find(tx, session.passkey_id)
    if parent is None:
        raise NotFound("passkey.unknown", "The passkey you signed in with is no longer registered.")
    member = members.get(tx, session.member_id)
    return register(tx, rp, member, nonce, answer, PasskeyKind.ADDED, made_by="", root=parent.root, now=now)


def remove(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    passkey_id: str,
    given: dict[str, object],
    signed: Signed,
    now: int,
) -> None:
    """Let one of the member's own passkeys end, with the sessions that it began.

    Raises:
        NotFound: the member has no such passkey.
        Conflict: it is the last one.
        Refused: the signature does not fit.
    """
    owned = {passkey.id for passkey in passkeys.of_member(tx, session.member_id)}
    if passkey_id not in owned:
        raise NotFound("passkey.not-found", "You have no such passkey.")
    if len(owned) == 1:
        raise Conflict("passkey.last", "This is your last passkey; add another one first.")
    signed_action(tx, rp, session, {"type": "remove-passkey", "passkey": passkey_id}, given, signed, now)
    passkeys.end(tx, passkey_id, now)
    sessions.end_of_passkey(tx, passkey_id)


def confirm(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    ids: Sequence[str],
    given: dict[str, object],
    signed: Signed,
    now: int,
) -> None:
    """Let the actor be the second officer of these passkeys, all or none; the actor's passkey signs the list.

    Raises:
        BadInput: no passkeys, too many, or one twice.
        NotFound: one is not registered.
        Forbidden: for oneself, by who made the link, or without an office in the member's unit (there is none while
            one's own passkeys wait for a second officer).
        Conflict: one has its second officer, or needs none.
        Refused: the signature does not fit.
    """
    if not 1 <= len(ids) <= CONFIRM_MAX or len(set(ids)) != len(ids):
        raise BadInput("passkey.bad-list", f"Confirm 1 to {CONFIRM_MAX} different passkeys at a time.")
    found = passkeys.by_ids(tx, ids)
    for passkey_id in ids:
        passkey = found.get(passkey_id)
        if passkey is None or passkey.ended_at is not None:
            raise NotFound("passkey.not-found", "One of these passkeys is not registered.")
        _check_second(tx, session, passkey, now)
    action: dict[str, object] = {"type": "confirm-passkeys", "passkeys": list(ids)}
    signed_action(tx, rp, session, action, given, signed, now)
    evidence = evidence_of(action, signed)
    for passkey_id in ids:
        passkeys.confirm(tx, passkey_id, session.member_id, evidence)


def _check_second(tx: Connection, session: SessionInfo, passkey: Passkey, now: int) -> None:
    rights.require(tx, session.member_id, Action.CONFIRM_PASSKEY, members.get(tx, passkey.member).unit, now)
    if passkey.member == session.member_id:
        raise Forbidden("passkey.own-confirmation", "Another officer must confirm your passkey.")
    if passkey.made_by == session.member_id:
        raise Forbidden("passkey.same-officer", "Who made the link cannot be the second officer.")
    if passkey.kind is PasskeyKind.ADDED:
        raise Conflict("passkey.needs-none", "A passkey that a member added needs no second officer.")
    if passkey.confirmed_by:
        raise Conflict("passkey.confirmed", "One of these passkeys has its second officer already.")
