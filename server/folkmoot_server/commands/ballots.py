"""Ballots arrive: checked outside the writer, recorded in one transaction with their promise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from folkmoot_server.domain.elections import BALLOTS_MAX, Verb, follow, require_open_time, require_time
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused, TooMany
from folkmoot_server.domain.identity import Actor, SessionInfo
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.storage import board, elections, events, lineages, rolls
from folkmoot_server.storage.board import Pending
from folkmoot_server.storage.elections import StoredElection
from folkmoot_server.storage.lineages import Seat
from folkmoot_voting.ballot import Ballot, CheckedBallot
from folkmoot_voting.batch import check_many
from folkmoot_voting.board import ballot_entry, make_promise
from folkmoot_voting.encoding import JsonObject, b64u, jcs
from folkmoot_voting.errors import BallotRejected
from folkmoot_voting.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Arrival:
    """A ballot of the right form, as found before its proofs are checked.

    Attributes:
        promise: the one given earlier for the same bytes; the ballot need not be looked at again then.
    """

    manifest: Manifest
    ballot: Ballot
    promise: JsonObject | None


Verdict = CheckedBallot | BallotRejected


def receive(
    tx: Connection, meeting: str, election: str, actor: Actor, ballot: JsonObject, arrived_at: int
) -> Arrival:
    """Look at a ballot on a read-only connection: refuse cheaply what cannot be accepted, find a retry.

    Raises:
        NotFound: no such election, or it was never opened.
        WrongState: the election takes no ballots.
        Forbidden: the credential is not the caller's.
        Refused: malformed, the credential may not vote here, or the ballot does not follow the lineage's last.
        Conflict: the member has cast another ballot, or this one was not announced.
        TooMany: the member has cast twenty.
    """
    with protocol_checked():
        parsed = Ballot.from_json(ballot)
    stored = elections.get(tx, meeting, election)
    seat = own_seat(tx, meeting, election, actor, b64u(parsed.credential))
    given = board.promise(tx, election, parsed.leaf)
    if given is not None:
        return Arrival(stored.opened, parsed, json.loads(given))
    _require_place(tx, stored, seat, parsed, arrived_at)
    return Arrival(stored.opened, parsed, None)


def check_batch(arrivals: Sequence[Arrival], rng: Rng) -> list[Verdict]:
    """Check signature, bytes and proofs of many ballots; pure and slow, so it runs in a thread of the pool."""
    verdicts: dict[int, Verdict] = {}
    for manifest in {one.manifest.hash: one.manifest for one in arrivals}.values():
        places = [index for index, one in enumerate(arrivals) if one.manifest.hash == manifest.hash]
        checked = check_many(manifest, [arrivals[index].ballot for index in places], rng)
        verdicts.update(zip(places, checked, strict=True))
    return [verdicts[index] for index in range(len(arrivals))]


def accepted(verdict: Verdict) -> CheckedBallot:
    """Return the checked ballot.

    Raises:
        Refused: a check of voting.md section 7 failed.
    """
    with protocol_checked():
        if isinstance(verdict, BallotRejected):
            raise verdict
    return verdict


def cast(
    tx: Connection,
    meeting: str,
    election: str,
    actor: Actor,
    checked: CheckedBallot,
    *,
    notary: Notary,
    arrived_at: int,
    now: int,
) -> JsonObject:
    """Record a checked ballot with its promise, each place in its lineage and each point once; return the promise.

    If we crash before the commit nothing of the ballot is stored and nobody was answered; after it, ballot
    and promise are there and the same bytes get the same promise. A ballot that arrived in time is taken although
    its proofs were checked later.

    Raises:
        WrongState: closed in the meantime, or past the time limit.
        Conflict: the member has cast another ballot.
        TooMany: the member has cast twenty.
        Refused: the credential may not vote, the ballot is void, or a point is in another ballot.
    """
    ballot = checked.ballot
    given = board.promise(tx, election, checked.leaf)
    if given is not None:
        return dict(json.loads(given))
    stored = elections.get(tx, meeting, election)
    require_time(stored.time_limit, now)
    seat = own_seat(tx, meeting, election, actor, b64u(ballot.credential))
    _require_place(tx, stored, seat, ballot, arrived_at)
    if not board.add_points(tx, election, checked.points):
        raise Refused("ballot.point-repeated", "A part of this ballot is copied from another ballot.")
    lineages.use_seal(tx, election, ballot.sealed, checked.leaf, void=False)
    seated = replace(seat, lineage=seat.lineage.with_ballot(checked.leaf), sealed=b"")
    step = lineages.save(tx, election, seated)
    # The same time for every ballot of an election: a promise must not tell when its ballot came.
    promise = make_promise(stored.opened.hash, checked.leaf, stored.time_limit, notary.seed)
    board.add_promise(tx, election, checked.leaf, json.dumps(promise, sort_keys=True))
    entry = jcs(ballot_entry(ballot.json))
    board.add_pending(tx, election, Pending("ballot", checked.leaf, entry, seat.first, step))
    first = not seat.lineage.voted
    elections.add_numbers(tx, election, ballots=1, cast=int(first), cast_weight=seat.lineage.weight if first else 0)
    if first:
        body = {"election": election, "count": stored.numbers.cast + 1}
        events.append(tx, meeting, "BallotAccepted", now, body)
    return promise


def own_seat(tx: Connection, meeting: str, election: str, actor: Actor, credential: str) -> Seat:
    """Return the seat of which this is the current credential and which is the actor's.

    Where no member is named, the credential speaks for itself: the caller has its signature over what it says.

    Raises:
        Forbidden: it is another member's, or of no check-in of the caller.
        Refused: the credential may not vote here, or another device does now.
    """
    seat = lineages.find(tx, election, credential)
    first = credential if seat is None else seat.first
    owner = rolls.credential_owner(tx, meeting, first)
    speaks_for_itself = not isinstance(actor, SessionInfo) and not actor.member_id and owner is not None
    if owner != actor.member_id and not speaks_for_itself:
        raise Forbidden("ballot.foreign-credential", "This credential is not one you checked in with.")
    if seat is None:
        raise Refused("ballot.not-elector", "This credential may not vote in this election.")
    if b64u(seat.lineage.current) != credential:
        raise Refused("ballot.replaced", "Another device votes for you in this election now.")
    return seat


def _require_place(tx: Connection, stored: StoredElection, seat: Seat, ballot: Ballot, arrived_at: int) -> None:
    require_open_time(follow(stored.state, Verb.CAST), stored.grace_until, arrived_at)
    if seat.lineage.voted and stored.opened.voting_again == "once":
        raise Conflict("ballot.already-cast", "A ballot was already cast with this credential.")
    if seat.lineage.seq >= BALLOTS_MAX:
        raise TooMany("ballot.too-many", f"At most {BALLOTS_MAX} ballots can be cast; the last one counts.")
    with protocol_checked():
        seat.lineage.check_ballot(stored.opened, ballot)
    used = lineages.seal_use(tx, stored.id, ballot.sealed)
    if used is not None:
        raise Refused("ballot.void", "This ballot was audited and is void; seal a new one.")
    if seat.sealed and seat.sealed != ballot.sealed:
        raise Conflict("ballot.not-announced", "This is not the ballot that was sealed last.")
