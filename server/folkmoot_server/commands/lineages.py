"""Sealed ballots are announced, audited ones made void, and credentials replaced, until the box is closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands.ballots import own_seat
from folkmoot_server.commands.identity import use_nonce
from folkmoot_server.domain.elections import (
    REPLACEMENTS_MAX,
    SEALS_MAX,
    Verb,
    follow,
    require_open_time,
    require_time,
)
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused, TooMany
from folkmoot_server.domain.identity import Actor, Purpose
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_server.storage import board, elections, lineages, passkeys, rolls
from folkmoot_server.storage.board import Pending
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting import challenges, signing
from folkmoot_voting.assertion import verify_assertion
from folkmoot_voting.board import check_entry, entry_leaf, replacement_entry, statement_hash
from folkmoot_voting.casting import MAX_VOIDS, announcement_hash
from folkmoot_voting.encoding import JsonObject, b64u, jcs, unb64u
from folkmoot_voting.errors import ReplacementRefused
from folkmoot_voting.lineages import check_void
from folkmoot_voting.roll import RollCore, passkey_of


@dataclass(frozen=True, slots=True)
class Replacement:
    """A member's passkey says that `new` acts for `old` in one election; assertion as in voting.md section 2."""

    old: bytes
    new: bytes
    kiosk: bool
    nonce: bytes
    passkey: str
    assertion: JsonObject


@dataclass(frozen=True, slots=True)
class Announcement:
    """A credential's word that it sealed a ballot with this hash (voting.md section 7)."""

    credential: bytes
    sealed: bytes
    sig: bytes


def announce(tx: Connection, meeting: str, election: str, actor: Actor, announced: Announcement, now: int) -> int:
    """Note the hash of a sealed ballot before it is cast or audited; return how many the lineage has announced.

    The one announced last, said again, changes nothing. A session alone does not do: without the credential's
    signature, who steals one could keep the member from voting.

    Raises:
        WrongState: the election takes no ballots.
        Forbidden, Refused: the credential is not the caller's, may not vote here, or has not signed.
        Conflict: the sealed ballot was cast or made void, or is another voter's.
        TooMany: twenty were announced.
    """
    stored = _open(tx, meeting, election, now)
    seat = own_seat(tx, meeting, election, actor, b64u(announced.credential))
    sealed = announced.sealed
    if not signing.is_valid(announced.credential, announcement_hash(stored.opened.hash, sealed), announced.sig):
        raise Refused("ballot.announcement-unsigned", "The announcement is not signed by your voting key.")
    if seat.sealed == sealed:
        return seat.seals
    if stored.voting_again == "once" and seat.lineage.voted:
        raise Conflict("ballot.already-cast", "A ballot was already cast with this credential.")
    _require_unused(tx, election, sealed, seat.first)
    if seat.seals >= SEALS_MAX:
        raise TooMany("ballot.too-many-seals", f"At most {SEALS_MAX} sealed ballots can be announced.")
    lineages.announce(tx, election, seat, sealed)
    return seat.seals + 1


def make_void(tx: Connection, meeting: str, election: str, actor: Actor, entry: Any, now: int) -> None:
    """Take the void of an audited ballot; the same entry again changes nothing.

    Raises:
        WrongState: the election takes no ballots.
        Forbidden, Refused: malformed, unsigned, or the credential is not the caller's or may not vote here.
        Conflict: the sealed ballot was cast or made void, or is another voter's.
        TooMany: five were made void.
    """
    stored = _open(tx, meeting, election, now)
    with protocol_checked():
        check_entry(entry)
        if entry["type"] != "void":
            raise Refused("voting.board-malformed", "This is no void entry.")
        sealed = check_void(stored.opened, entry)
    seat = own_seat(tx, meeting, election, actor, entry["credential"])
    leaf = entry_leaf(entry)
    if lineages.seal_use(tx, election, sealed) == (True, leaf):
        return
    _require_unused(tx, election, sealed, seat.first)
    if seat.voids >= MAX_VOIDS:
        raise TooMany("ballot.too-many-voids", f"At most {MAX_VOIDS} ballots can be audited.")
    lineages.use_seal(tx, election, sealed, leaf, void=True)
    step = lineages.save(tx, election, replace(seat, voids=seat.voids + 1))
    board.add_pending(tx, election, Pending("void", leaf, jcs(entry), seat.first, step))
    elections.add_numbers(tx, election, voids=1)


def replace_credential(
    tx: Connection, meeting: str, election: str, actor: Actor, wanted: Replacement, now: int, rng: Rng
) -> None:
    """Let a new credential take over a member's lineage; the same credential again changes nothing.

    The statement goes into the annex, its salted hash onto the board.

    Raises:
        WrongState: the election takes no ballots.
        Forbidden, Refused: the old credential is not the caller's current one, or passkey or nonce do not fit.
        Conflict: the one vote is cast, or the new credential was in use before.
        TooMany: twenty were made.
    """
    stored = _open(tx, meeting, election, now)
    old, new = b64u(wanted.old), b64u(wanted.new)
    known, before = lineages.find(tx, election, new), lineages.find(tx, election, old)
    again = known is not None and known.lineage.current == wanted.new
    same = known is not None and before is not None and known.first == before.first  # a relay believes the answer
    if again and same and lineages.replacement_of(tx, election, new) == actor.member_id:
        return
    seat = own_seat(tx, meeting, election, actor, old)
    try:
        seat.lineage.check_replacement(stored.opened, wanted.old, kiosk=wanted.kiosk)
    except ReplacementRefused as error:
        raise Conflict(error.code, error.detail[:1].upper() + error.detail[1:] + ".") from error
    if lineages.credentials(tx, election, seat) > REPLACEMENTS_MAX:
        raise TooMany("replacement.too-many", f"At most {REPLACEMENTS_MAX} times can another device take over.")
    statement = _signed_statement(tx, stored, actor, wanted, now)
    owners = (rolls.credential_owner(tx, meeting, new), lineages.taken_over_by(tx, meeting, new))
    if any(owner not in (None, actor.member_id) for owner in owners):
        raise Conflict("voting.replacement-new", "This credential was in use before.")
    if not lineages.add_credential(tx, election, seat, new):
        raise Conflict("voting.replacement-new", "This credential was in use before.")
    salt = rng(32)
    lineages.add_replacement(tx, election, new, actor.member_id, {**statement, "salt": b64u(salt)})
    entry = replacement_entry(wanted.old, wanted.new, statement_hash(salt, statement), kiosk=wanted.kiosk)
    step = lineages.save(tx, election, replace(seat, lineage=seat.lineage.replaced_by(wanted.new), sealed=b""))
    board.add_pending(tx, election, Pending("replacement", entry_leaf(entry), jcs(entry), seat.first, step))
    elections.add_numbers(tx, election, replacements=1, kiosk=int(wanted.kiosk))


def _signed_statement(
    tx: Connection, stored: StoredElection, actor: Actor, wanted: Replacement, now: int
) -> JsonObject:
    use_nonce(tx, actor, wanted.nonce, Purpose.REPLACE, now)
    entry = rolls.entry(tx, stored.meeting, actor.member_id)
    live = passkeys.find(tx, wanted.passkey)
    if entry is None or live is None or live.member != actor.member_id:
        raise Forbidden("replacement.passkey", "The passkey is not one of yours on the roll of this meeting.")
    roll = RollCore.from_json(rolls.frozen(tx, stored.meeting).core)
    with protocol_checked():
        key = passkey_of(entry, unb64u(wanted.passkey))
        keys = (wanted.old, wanted.new)
        challenge = challenges.replacement(stored.opened.hash, *keys, wanted.kiosk, wanted.nonce)
        verify_assertion(roll.rp, challenge, key, wanted.assertion)
    return {
        "member": actor.member_id,
        "old": b64u(wanted.old),
        "new": b64u(wanted.new),
        "kiosk": wanted.kiosk,
        "nonce": b64u(wanted.nonce),
        "passkey": wanted.passkey,
        "assertion": wanted.assertion,
    }


def _open(tx: Connection, meeting: str, election: str, now: int) -> StoredElection:
    stored = elections.get(tx, meeting, election)
    require_open_time(follow(stored.state, Verb.CAST), stored.grace_until, now)
    require_time(stored.time_limit, now)
    return stored


def _require_unused(tx: Connection, election: str, sealed: bytes, first: str) -> None:
    if lineages.seal_use(tx, election, sealed) is not None:
        raise Conflict("ballot.sealed-used", "This sealed ballot was cast or made void already.")
    if lineages.announced_by_other(tx, election, sealed, first):
        raise Conflict("ballot.sealed-foreign", "This sealed ballot is another voter's.")
