"""Members at the browser of a hall, beside the session of its custodian: signed in for one vote, and going.

A kiosk session opens what a vote and an asking need and nothing else (docs/spec/sites.md section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.commands import attendance, identity
from folkmoot_server.commands.check_in import require_kiosk
from folkmoot_server.commands.identity import SignIn, StepUp, new_nonce
from folkmoot_server.domain.errors import Refused, TooMany, WrongState
from folkmoot_server.domain.identity import Purpose, SessionInfo
from folkmoot_server.domain.ids import Rng, token_hash
from folkmoot_server.domain.sites import KIOSK_S
from folkmoot_server.storage import kiosk, passkeys, rolls, seats
from folkmoot_server.storage.kiosk import KioskSession
from folkmoot_server.webauthn_policy import RelyingParty

NONCES_MAX = 50
SESSIONS_MAX = 5


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What the kiosk's page gets of the member before it."""

    token: bytes
    until: int
    member: str
    name: str
    credential: str


def begin_sign_in(tx: Connection, meeting: str, site: str, session: SessionInfo, now: int, rng: Rng) -> bytes:
    """Return a nonce for signing a member in at the browser of a hall.

    Raises:
        NotFound, Forbidden, WrongState: no such site, the session is not its custodian's, or it is not connected.
    """
    require_kiosk(tx, meeting, site, session, now)
    return new_nonce(tx, Purpose.SIGN_IN, session.session_hash, now=now, rng=rng, limit=NONCES_MAX)


def finish_sign_in(
    tx: Connection,
    rp: RelyingParty,
    place: tuple[str, str],
    session: SessionInfo,
    nonce: bytes,
    answer: SignIn,
    *,
    now: int,
    rng: Rng,
) -> SignedIn:
    """Sign in whoever's passkey answered, for five minutes and this meeting; `place` is meeting and site.

    Raises:
        NotFound, Forbidden, WrongState: as `begin_sign_in`; the member has left, or is not checked in at this hall.
        Refused: the nonce, the passkey or its answer fails a check.
        TooMany: five are signed in there.
    """
    meeting, site = place
    require_kiosk(tx, meeting, site, session, now)
    member, passkey = identity.check_sign_in(tx, rp, nonce, session.session_hash, answer, now)
    seat = seats.find(tx, meeting, member.id)
    if seat is None or not seat.present or seat.removed or seat.site != site:
        raise WrongState("kiosk.not-here", "Please check in at this hall first.")
    if kiosk.count(tx, session.session_hash, now - KIOSK_S) >= SESSIONS_MAX:
        raise TooMany("kiosk.too-many", "Too many members are signed in here; wait a few minutes.")
    token = rng(32)
    found = KioskSession(token_hash(token), session.session_hash, meeting, site, member.id, passkey, now)
    kiosk.add(tx, found)
    credential = rolls.newest_credential(tx, meeting, member.id) or ""
    return SignedIn(token, found.until, member.id, member.name, credential)


def leave(tx: Connection, meeting: str, site: str, session: SessionInfo, step_up: StepUp, now: int) -> None:
    """Let the member go whose passkey signed at the browser of the hall where they are checked in.

    Raises:
        NotFound, Forbidden, WrongState: as `begin_sign_in`, or the member is not checked in there.
        Refused: the nonce, the passkey or its answer does not fit.
    """
    require_kiosk(tx, meeting, site, session, now)
    found = passkeys.find(tx, step_up.signed.passkey)
    if found is None:
        raise Refused("passkey.unknown", "This passkey is not registered here.")
    expected = {"type": "leave-site", "meeting": meeting, "site": site}
    identity.action_of(tx, step_up.rp, session, found.member, expected, step_up.action, step_up.signed, now)
    seat = seats.find(tx, meeting, found.member)
    if seat is None or not seat.present or seat.site != site:
        raise WrongState("kiosk.not-here", "Please check in at this hall first.")
    attendance.leave(tx, meeting, found.member, now)
