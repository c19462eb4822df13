"""Enrolment, sign-in, sessions, nonces, socket tickets and signed actions."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound, Refused, TooMany
from folkmoot_server.domain.identity import (
    NONCE_S,
    PASSKEYS_MAX,
    TICKET_S,
    Actor,
    Assertion,
    GuestSession,
    PasskeyKind,
    Purpose,
    SessionInfo,
    Signed,
)
from folkmoot_server.domain.ids import Rng, b64u, from_b64u, token_hash
from folkmoot_server.domain.members import Member
from folkmoot_server.storage import members, passkeys, sessions
from folkmoot_server.storage.passkeys import Link, Passkey
from folkmoot_server.webauthn_policy import (
    Registration,
    RelyingParty,
    Stored,
    check_user_handle,
    verify_assertion,
    verify_registration,
)
from folkmoot_voting import challenges

SIGN_IN_NONCES_MAX = 20_000
SESSION_NONCES_MAX = 50
SESSION_TICKETS_MAX = 30
SESSIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a page needs to make a passkey for a member."""

    nonce: bytes
    member: Member
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignIn:
    """AuthenticationResponseJSON, decoded."""

    passkey: str
    assertion: Assertion
    user_handle: bytes | None


@dataclass(frozen=True, slots=True)
class StepUp:
    """A signed action as it arrived, and the relying party that must have seen it."""

    rp: RelyingParty
    action: dict[str, Any]
    signed: Signed


def new_nonce(tx: Connection, purpose: str, binding: bytes, *, now: int, rng: Rng, limit: int) -> bytes:
    """Store and return 32 random bytes for one use within five minutes.

    Raises:
        TooMany: `limit` unused ones are out already for this purpose and binding.
    """
    if sessions.count_nonces(tx, purpose, binding, now) >= limit:
        raise TooMany("nonce.too-many", "Too many unused challenges are out; wait a few minutes.")
    nonce = rng(32)
    sessions.add_nonce(tx, nonce, sessions.Nonce(purpose, binding, now + NONCE_S))
    return nonce


def take_nonce(tx: Connection, nonce: bytes, purpose: str, binding: bytes, now: int) -> None:
    """Use up a nonce; it stays unused only if the whole command is refused, as everything else does.

    Raises:
        Refused: unknown, used, late, or made for another purpose or session.
    """
    stored = sessions.take_nonce(tx, nonce)
    if stored is None or stored.purpose != purpose or stored.binding != binding or stored.expires_at <= now:
        raise Refused("nonce.invalid", "The challenge is unknown, used or too old; begin again.")


def use_nonce(tx: Connection, actor: Actor, nonce: bytes, purpose: str, now: int) -> None:
    """Use up a nonce of the actor's session, or of the relay that carries what the actor signed.

    Raises:
        Refused: unknown, used, late, or made for another purpose or session.
    """
    if isinstance(actor, SessionInfo):
        take_nonce(tx, nonce, purpose, actor.session_hash, now)
    else:
        actor.take_nonce(nonce)


def verify_signed(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    purpose: str,
    challenge_fn: Callable[[bytes], bytes],
    signed: Signed,
    now: int,
) -> Member:
    """Check that the session's member signed `challenge_fn(nonce)` with an own passkey; use the nonce up.

    Raises:
        Refused: the nonce, the passkey or its answer does not fit.
    """
    return _verify(tx, rp, session, session.member_id, purpose, challenge_fn, signed, now)


def _verify(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    member: str,
    purpose: str,
    challenge_fn: Callable[[bytes], bytes],
    signed: Signed,
    now: int,
) -> Member:
    take_nonce(tx, signed.nonce, purpose, session.session_hash, now)
    passkey = passkeys.find(tx, signed.passkey)
    if passkey is None or passkey.member != member:
        raise Refused("passkey.not-yours", "The passkey does not belong to the signed-in member.")
    _use(tx, rp, passkey, challenge_fn(signed.nonce), signed.assertion, now)
    return members.get(tx, member)


def signed_action(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    expected: dict[str, Any],
    given: dict[str, Any],
    signed: Signed,
    now: int,
) -> Member:
    """Check a step-up: the action in the request is what the server would do, and the member signed it.

    Raises:
        Refused: the action differs, or the signature does not fit.
    """
    return action_of(tx, rp, session, session.member_id, expected, given, signed, now)


def action_of(
    tx: Connection,
    rp: RelyingParty,
    session: SessionInfo,
    member: str,
    expected: dict[str, Any],
    given: dict[str, Any],
    signed: Signed,
    now: int,
) -> Member:
    """Check a step-up of a member at a browser where `session` is somebody else's.

    Raises:
        Refused: the action differs, or the signature does not fit.
    """
    if given != expected or [type(value) for value in given.values()] != [type(expected[name]) for name in given]:
        raise Refused("action.differs", "The signed action is not the one that was asked for.")
    return _verify(
        tx, rp, session, member, Purpose.ACTION, lambda nonce: challenges.action(expected, nonce), signed, now
    )


def evidence_of(action: dict[str, Any], signed: Signed) -> str:
    """Return a signed action as JSON, to be kept with what it did."""
    kept = {
        "action": action,
        "nonce": b64u(signed.nonce),
        "passkey": signed.passkey,
        "authenticator_data": b64u(signed.assertion.authenticator_data),
        "client_data_json": b64u(signed.assertion.client_data_json),
        "signature": b64u(signed.assertion.signature),
    }
    return json.dumps(kept, sort_keys=True)


def _use(
    tx: Connection, rp: RelyingParty, passkey: Passkey, challenge: bytes, assertion: Assertion, now: int
) -> None:
    stored = Stored(from_b64u(passkey.id), passkey.public_key, passkey.sign_count, passkey.backup_eligible)
    used = verify_assertion(rp, challenge, stored, assertion)
    passkeys.use(tx, passkey.id, max(used.sign_count, passkey.sign_count), used.backed_up, now)


def _usable_link(tx: Connection, token: bytes, now: int) -> Link:
    link = passkeys.link(tx, token_hash(token))
    if link is None:
        raise NotFound("enrolment.unknown-link", "This enrolment link is not known here; ask for a new one.")
    if link.used_at is not None:
        raise Conflict("enrolment.link-spent", "This enrolment link was used already; ask for a new one.")
    if link.expires_at <= now:
        raise Conflict("enrolment.link-expired", "This enrolment link is too old; ask for a new one.")
    return link


def begin_enrolment(tx: Connection, token: bytes, *, now: int, rng: Rng) -> Enrolment:
    """Return what the page needs to make a passkey with this link's token.

    Raises:
        NotFound: no such link.
        Conflict: the link is spent or too old.
    """
    link = _usable_link(tx, token, now)
    member = _present(members.get(tx, link.member), now)
    nonce = new_nonce(tx, Purpose.ENROL, link.token_hash, now=now, rng=rng, limit=SESSION_NONCES_MAX)
    return Enrolment(nonce, member, tuple(passkey.id for passkey in passkeys.of_member(tx, member.id)))


def finish_enrolment(
    tx: Connection,
    rp: RelyingParty,
    token: bytes,
    nonce: bytes,
    answer: Registration,
    old_session: bytes | None,
    *,
    now: int,
    rng: Rng,
) -> tuple[bytes, SessionInfo]:
    """Register the passkey, spend the link and sign the member in; return the session's token and the session.

    A link for a member who lost every passkey ends the old ones and every session that they began.

    Raises:
        NotFound, Conflict: the link cannot be used.
        Refused: the passkey's answer fails a check.
    """
    link = _usable_link(tx, token, now)
    take_nonce(tx, nonce, Purpose.ENROL, link.token_hash, now)
    member = _present(members.get(tx, link.member), now)
    if link.kind is PasskeyKind.REPLACED:
        passkeys.end_all(tx, member.id, now)
        sessions.end_of_member(tx, member.id)
    passkey = register(tx, rp, member, nonce, answer, link.kind, made_by=link.made_by, root="", now=now)
    passkeys.spend_link(tx, link.token_hash, now)
    return _start_session(tx, member.id, passkey, old_session, now, rng)


def register(
    tx: Connection,
    rp: RelyingParty,
    member: Member,
    nonce: bytes,
    answer: Registration,
    kind: PasskeyKind,
    *,
    made_by: str,
    root: str,
    now: int,
) -> str:
    """Store a passkey whose browser answered for `nonce`; an empty root makes it its own; return its id.

    Raises:
        Refused: the answer fails a check.
        Conflict: the passkey is registered already, or was.
        TooMany: the member has 20.
    """
    made = verify_registration(rp, challenges.enrol(rp.id, member.user_handle, nonce), answer)
    passkey = b64u(made.credential_id)
    if passkeys.known(tx, passkey) is not None:
        raise Conflict("passkey.taken", "This passkey is registered already.")
    if len(passkeys.of_member(tx, member.id)) >= PASSKEYS_MAX:
        raise TooMany("passkey.too-many", f"A member has at most {PASSKEYS_MAX} passkeys.")
    passkeys.add(
        tx,
        Passkey(
            id=passkey,
            member=member.id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            backup_eligible=made.backup_eligible,
            backed_up=made.backed_up,
            added_at=now,
            kind=kind,
            root=root or passkey,
            made_by=made_by,
        ),
    )
    return passkey


def begin_sign_in(tx: Connection, *, now: int, rng: Rng) -> bytes:
    """Return a nonce for a sign-in.

    With too many out, the oldest gives way: strangers who begin sign-ins without end must not keep members out.
    """
    sessions.make_place(tx, Purpose.SIGN_IN, b"", now, SIGN_IN_NONCES_MAX)
    return new_nonce(tx, Purpose.SIGN_IN, b"", now=now, rng=rng, limit=SIGN_IN_NONCES_MAX)


def finish_sign_in(
    tx: Connection,
    rp: RelyingParty,
    nonce: bytes,
    answer: SignIn,
    old_session: bytes | None,
    *,
    now: int,
    rng: Rng,
) -> tuple[bytes, SessionInfo]:
    """Sign a member in by passkey; return the new session's token and the session; the old session ends.

    Raises:
        Refused: the nonce, the passkey or its answer fails a check.
        Forbidden: the member has left.
    """
    member, passkey = check_sign_in(tx, rp, nonce, b"", answer, now)
    return _start_session(tx, member.id, passkey, old_session, now, rng)


def check_sign_in(
    tx: Connection, rp: RelyingParty, nonce: bytes, binding: bytes, answer: SignIn, now: int
) -> tuple[Member, str]:
    """Return whose passkey answered, and its id; use the nonce up, which was made for `binding`.

    Raises:
        Refused: the nonce, the passkey or its answer fails a check.
        Forbidden: the member has left.
    """
    take_nonce(tx, nonce, Purpose.SIGN_IN, binding, now)
    passkey = passkeys.find(tx, answer.passkey)
    if passkey is None:
        raise Refused("passkey.unknown", "This passkey is not registered here.")
    member = members.get(tx, passkey.member)
    check_user_handle(answer.user_handle, member.user_handle)
    _use(tx, rp, passkey, challenges.sign_in(rp.id, nonce), answer.assertion, now)
    return _present(member, now), passkey.id


def _start_session(
    tx: Connection, member: str, passkey: str, old_session: bytes | None, now: int, rng: Rng
) -> tuple[bytes, SessionInfo]:
    # A fresh token at each sign-in: a token planted in the browser before it is worth nothing after it.
    if old_session is not None:
        sessions.end(tx, old_session)
    token = rng(32)
    session = SessionInfo(token_hash(token), member, passkey, now, now)
    sessions.keep_newest(tx, member, SESSIONS_MAX - 1)
    sessions.add(tx, session)
    return token, session


def _present(member: Member, now: int) -> Member:
    if not member.belongs(now):
        raise Forbidden("member.left", "This member has left the organisation.")
    return member


def new_ticket(tx: Connection, session: SessionInfo | GuestSession, meeting: str, *, now: int, rng: Rng) -> bytes:
    """Store a socket ticket for one connection within a minute and return its token; the caller checked rights.

    Raises:
        TooMany: the session has `SESSION_TICKETS_MAX` unused ones.
    """
    if sessions.count_tickets(tx, session.session_hash, now) >= SESSION_TICKETS_MAX:
        raise TooMany("socket.too-many-tickets", "Too many unused tickets are out; wait a minute.")
    token = rng(32)
    sessions.add_ticket(tx, token_hash(token), sessions.Ticket(session.session_hash, meeting, now + TICKET_S))
    return token
