"""Ballots arrive: checked outside the writer, recorded in one transaction with their promise."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.domain.elections import Phase, Verb, follow, require_time
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.storage import board, elections, events, rolls
from folkmoot_voting.ballot import Ballot, ballot_leaf, check_ballot
from folkmoot_voting.board import ballot_entry, make_promise
from folkmoot_voting.encoding import JsonObject, b64u, jcs
from folkmoot_voting.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Arrival:
    """A ballot of the right form, as found before its proofs are checked.

    `promise` is the one given earlier for the same bytes; the ballot need not be looked at again then.
    """

    manifest: JsonObject
    ballot: Ballot
    leaf: bytes
    promise: JsonObject | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A ballot that passed every check that needs no database."""

    credential: str
    manifest_hash: bytes
    leaf: bytes
    entry: bytes
    points: frozenset[bytes]


def receive(tx: Connection, meeting: str, election: str, session: SessionInfo, ballot: JsonObject) -> Arrival:
    """Look at a ballot on a read-only connection: refuse cheaply what cannot be accepted, find a retry.

    Raises:
        NotFound: no such election, or it was never opened.
        WrongState: the election takes no ballots.
        Forbidden: the credential is not of the caller's check-ins.
        Refused: malformed, or the credential may not vote here.
        Conflict: the credential has cast another ballot.
    """
    with protocol_checked():
        parsed = Ballot.from_json(ballot)
        leaf = ballot_leaf(ballot)
    stored = elections.get(tx, meeting, election)
    manifest = stored.manifest
    _require_own(tx, meeting, session, b64u(parsed.credential))
    given = board.promise(tx, election, leaf)
    if given is not None:
        return Arrival(manifest, parsed, leaf, json.loads(given))
    follow(stored.state, Verb.CAST)
    _require_seat(tx, election, b64u(parsed.credential))
    return Arrival(manifest, parsed, leaf, None)


def check(arrival: Arrival) -> Accepted:
    """Check signature, bytes and proofs; pure and slow, so it runs in a thread of the pool.

    Raises:
        Refused: a check of voting.md section 7 failed.
    """
    with protocol_checked():
        manifest = Manifest.from_json(arrival.manifest)
        checked = check_ballot(manifest, {arrival.ballot.credential}, arrival.ballot)
    return Accepted(
        credential=b64u(arrival.ballot.credential),
        manifest_hash=manifest.hash,
        leaf=checked.leaf,
        entry=jcs(ballot_entry(arrival.ballot.json)),
        points=checked.points,
    )


def cast(
    tx: Connection,
    meeting: str,
    election: str,
    session: SessionInfo,
    ballot: Accepted,
    *,
    notary: Notary,
    now: int,
) -> JsonObject:
    """Record a checked ballot with its promise, each credential and each point once; return the promise.

    If we crash before the commit nothing of the ballot is stored and nobody was answered; after it, ballot
    and promise are there and the same bytes get the same promise.

    Raises:
        WrongState: closed in the meantime, or past the time limit.
        Conflict: the credential has cast another ballot.
        Refused: the credential may not vote, or a point is in another ballot.
    """
    given = board.promise(tx, election, ballot.leaf)
    if given is not None:
        return dict(json.loads(given))
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.CAST)
    if state is Phase.CLOSING and now > stored.closes_at:
        raise WrongState("ballot.election-not-open", "The ballot came after the end of the grace.")
    require_time(stored.time_limit, now)
    _require_own(tx, meeting, session, ballot.credential)
    if not elections.take_seat(tx, election, ballot.credential, ballot.leaf):
        _require_seat(tx, election, ballot.credential)
    if not board.add_points(tx, election, ballot.points):
        raise Refused("ballot.point-repeated", "A part of this ballot is copied from another ballot.")
    # The same time for every ballot of an election: a promise must not tell when its ballot came.
    promise = make_promise(ballot.manifest_hash, ballot.leaf, stored.time_limit, notary.seed)
    board.add_pending(tx, election, ballot.leaf, ballot.entry, json.dumps(promise, sort_keys=True))
    body = {"election": election, "count": elections.cast_count(tx, election)}
    events.append(tx, meeting, "BallotAccepted", now, body)
    return promise


def _require_own(tx: Connection, meeting: str, session: SessionInfo, credential: str) -> None:
    if rolls.credential_owner(tx, meeting, credential) != session.member_id:
        raise Forbidden("ballot.foreign-credential", "This credential is not one you checked in with.")


def _require_seat(tx: Connection, election: str, credential: str) -> None:
    may_vote, leaf = elections.seat_leaf(tx, election, credential)
    if not may_vote:
        raise Refused("ballot.not-elector", "This credential may not vote in this election.")
    if leaf is not None:
        raise Conflict("ballot.already-cast", "A ballot was already cast with this credential.")
