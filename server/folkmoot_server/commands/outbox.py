"""The outbox of a relay: its entries go through the same commands as the requests of pages, in their order.

Nobody's session stands behind them. A passkey, a credential or, for a hand, the member's being in the hall says who
asks; whatever is not proved so is refused. Effects, head and cursor are written in one transaction: after a crash the
relay sends again, and what was taken is known by its number and head.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection

from folkmoot_server.commands import ballots, check_in, floor, hall_presence, late_halls, lineages, relays
from folkmoot_server.commands.ballots import Arrival, Verdict
from folkmoot_server.commands.lineages import Announcement, Replacement
from folkmoot_server.domain import relays as domain
from folkmoot_server.domain.errors import Conflict, FolkmootError, Forbidden, Refused, TooMany, WrongState
from folkmoot_server.domain.identity import Carried
from folkmoot_server.domain.ids import Rng, b64u
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.domain.relays import NAMED, Cursor, Entry, Kind, Session
from folkmoot_server.domain.speaking import Wish
from folkmoot_server.storage import board, elections, events, rolls
from folkmoot_server.storage import relays as store
from folkmoot_server.storage.relays import Relay, Start
from folkmoot_voting.ballot import Ballot, CheckedBallot, ballot_leaf
from folkmoot_voting.encoding import JsonObject
from folkmoot_voting.errors import VotingError

CLOSED: Final = "ballot.election-not-open"
OVERTAKEN: Final = Conflict("relay.overtaken", "The member has checked in again since, by another way.")
BUSY: Final = "ballot.busy"  # the whole request is sent again


@dataclass(frozen=True, slots=True)
class Hand:
    """A hand that goes up with a wish, or down without one."""

    wish: Wish | None


@dataclass(frozen=True, slots=True)
class About:
    """Something about an election: an announcement, a ballot or void as JSON, or a replacement."""

    election: str
    what: Announcement | Replacement | JsonObject


@dataclass(frozen=True, slots=True)
class Here:
    """Who is in the hall."""

    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A check-in with the fields of wire.md; `kiosk` says that it was made at the hall's own browser."""

    request: JsonObject
    kiosk: bool = False


@dataclass(frozen=True, slots=True)
class Queued:
    """An entry with what its body says, or None where its body says nothing of its kind."""

    entry: Entry
    what: Hand | About | Here | CheckIn | None


@dataclass(frozen=True, slots=True)
class Taking:
    """What every entry of a request is taken with."""

    session: Session
    relay: Relay
    secret: bytes
    notary: Notary
    verdicts: Mapping[int, Verdict]
    arrived_at: int
    now: int
    rng: Rng


def look(tx: Connection, session: Session, queued: Sequence[Queued]) -> dict[int, Arrival]:
    """Return the ballots of a request whose proofs have to be checked, by the numbers of their entries.

    Raises:
        Refused: the entries do not follow what was taken.
        Forbidden, Conflict: the relay may not speak any more.
    """
    relay = relays.current(tx, session)
    try:
        new = {entry.seq for entry in _fresh(tx, relay, queued)}
    except Conflict:  # two stories, which taking them finds too, and keeps
        return {}
    found: dict[int, Arrival] = {}
    for one in queued:
        if one.entry.seq in new and one.entry.kind is Kind.BALLOT and isinstance(one.what, About):
            arrival = _arrival(tx, session.meeting, one.what)
            if arrival is not None and arrival.promise is None:
                found[one.entry.seq] = arrival
    return found


def _arrival(tx: Connection, meeting: str, wanted: About) -> Arrival | None:
    """Return a ballot of the right form for an election that was opened; what else is wrong the write finds."""
    try:
        stored = elections.get(tx, meeting, wanted.election)
        with protocol_checked():
            parsed = Ballot.from_json(wanted.what)
        given = board.promise(tx, wanted.election, parsed.leaf)
        return Arrival(stored.opened, parsed, None if given is None else {})
    except FolkmootError:
        return None


def _fresh(tx: Connection, relay: Relay, queued: Sequence[Queued]) -> list[Entry]:
    entries = [one.entry for one in queued]
    known = store.heads(tx, relay.id, [entry.seq for entry in entries])
    new = domain.fresh(relay.id, relay.key, relay.cursor, known, entries)
    if any(entry.epoch > relay.epoch for entry in new):
        raise Refused("relay.chain", "The entry names a start that there was not.")
    return new


def take(
    tx: Connection,
    session: Session,
    queued: Sequence[Queued],
    verdicts: Mapping[int, Verdict],
    left: int,
    *,
    secret: bytes,
    notary: Notary,
    arrived_at: int,
    now: int,
    rng: Rng,
) -> dict[str, Any] | FolkmootError:
    """Take the entries that are new, in order, and return {"upto", "head", "refused", "promises"}.

    Args:
        tx: the writer's transaction.
        session: of the relay.
        queued: its entries.
        verdicts: what checking the proofs of ballots gave, by number.
        left: how many entries wait at the relay after these.
        secret: from which seeds are made.
        notary: of ledger and boards.
        arrived_at: when the request was there.
        now: Unix seconds.
        rng: n -> n random bytes.

    Returns:
        The answer; or the refusal of a relay that tells two stories, which is kept and therefore not raised.

    Raises:
        Refused: a gap, another chain or a wrong signature.
        Forbidden, Conflict: the relay may not speak any more.
    """
    relay = relays.current(tx, session)
    try:
        new = {entry.seq for entry in _fresh(tx, relay, queued)}
    except Conflict as forked:
        relays.tell_forked(tx, relay, now)
        return forked
    taking = Taking(session, relay, secret, notary, verdicts, arrived_at, now, rng)
    for one in queued:
        if one.entry.seq in new:
            relay = _take_one(tx, replace(taking, relay=relay), one)
    if queued and left == 0 and relay.caught[0]:
        relay = _caught_up(tx, relay, now)
    cursor = relay.cursor
    entries, refused, since = relay.caught
    values = {"upto": cursor.upto, "head": cursor.head, "last_at": cursor.last_at}
    store.change(tx, relay.id, **values, caught_entries=entries, caught_refused=refused, caught_from=since)
    refusals = store.refusals(tx, relay.id, queued[0].entry.seq, queued[-1].entry.seq) if queued else []
    promises = _promises(tx, queued, {one["seq"] for one in refusals})
    return {"upto": cursor.upto, "head": b64u(cursor.head), "refused": refusals, "promises": promises}


def _promises(tx: Connection, queued: Sequence[Queued], refused: Collection[int]) -> list[JsonObject]:
    """Return of each ballot's promise what the relay cannot know: when it will be published, and the signature."""
    found = []
    for one in queued:
        if one.entry.kind is Kind.BALLOT and one.entry.seq not in refused and isinstance(one.what, About):
            given = board.promise(tx, one.what.election, ballot_leaf(_json(one.what)))
            if given is not None:
                promise = json.loads(given)
                found.append({"seq": one.entry.seq, "publish_by": promise["publish_by"], "sig": promise["sig"]})
    return found


def _caught_up(tx: Connection, relay: Relay, now: int) -> Relay:
    entries, refused, since = relay.caught
    body = {"site": relay.site, "entries": entries, "refused": refused, "from": since}
    events.append(tx, relay.meeting, "RelayCaughtUp", now, body)
    return replace(relay, caught=(0, 0, 0))


def _take_one(tx: Connection, taking: Taking, one: Queued) -> Relay:
    """Take one entry, refused or not, and return the relay with its cursor after it."""
    relay, entry = taking.relay, one.entry
    begun = store.start_at(tx, relay.id, entry.epoch)
    if begun is None:
        raise Refused("relay.chain", "The entry names a start that there was not.")
    at = domain.effective(entry.at, max(relay.cursor.last_at, begun.started_at), taking.now)
    off_s = _clock_off(entry, begun, taking.now)
    if off_s and not begun.clock_told:
        store.mark(tx, begun, clock_told=1)
        relays.tell_clock(tx, relay, off_s, taking.now)
    refused = _outcome(tx, taking, one, begun, at)
    if entry.cut and isinstance(one.what, Here | Hand):
        there = one.what.members if isinstance(one.what, Here) else (entry.member,)
        hall_presence.confirm(tx, relay.meeting, relay.site, there, at, taking.now)
    store.add_entry(tx, relay.id, entry.seq, entry.head, refused)
    entries, wrong, since = relay.caught
    caught = (entries + 1, wrong + bool(refused), since or at) if entry.cut else relay.caught
    return replace(relay, cursor=Cursor(entry.seq, entry.head, at), caught=caught)


def _clock_off(entry: Entry, begun: Start, now: int) -> int:
    """Return by how much an entry's time cannot be: after its receipt or before its start."""
    if entry.at > now + domain.CLOCK_OFF_S:
        return entry.at - now
    return min(entry.at - begun.started_at, 0) if entry.at < begun.started_at - domain.CLOCK_OFF_S else 0


def _outcome(tx: Connection, taking: Taking, one: Queued, begun: Start, at: int) -> str:
    """Do what an entry says and return an empty string, or the code with which it is refused."""
    try:
        with tx.begin_nested():
            return _act(tx, taking, one, _carried(tx, taking, one.entry, begun, at))
    except VotingError as error:
        return error.code
    except FolkmootError as error:
        if error.code == BUSY:
            raise
        if error.code == CLOSED and isinstance(one.what, About) and isinstance(error, WrongState):
            verdict = taking.verdicts.get(one.entry.seq)
            if isinstance(verdict, CheckedBallot):
                late_halls.note(tx, taking.session.meeting, one.what.election, taking.session.site, verdict)
        return error.code


def _carried(tx: Connection, taking: Taking, entry: Entry, begun: Start, at: int) -> Carried:
    relay = taking.relay.id
    seed = domain.seed(taking.secret, relay, entry.epoch)

    def take_nonce(nonce: bytes) -> None:
        in_time = at < begun.started_at + domain.SESSION_S
        if not in_time or nonce not in domain.nonces(seed) or not store.take_nonce(tx, relay, nonce):
            raise Refused("relay.nonce", "The challenge is not one of this relay's, was used or is too old.")

    return Carried(entry.member, take_nonce, begun.started_at, at)


def _act(tx: Connection, taking: Taking, one: Queued, actor: Carried) -> str:
    """Do what an entry says; return an empty string, or the code of a refusal whose effects stay.

    Raises:
        FolkmootError: it is refused, for the reasons of the direct request or because nothing proves who asks.
    """
    kind, what, meeting, site, now = one.entry.kind, one.what, taking.session.meeting, taking.session.site, taking.now
    if what is None or bool(actor.member_id) != (kind in NAMED):
        raise Refused("relay.entry", "The entry does not say what its kind says.")
    if isinstance(what, About):
        _vote(tx, taking, one.entry, what, actor)
    elif isinstance(what, CheckIn):
        if what.request["site"] != site:
            raise Forbidden("relay.not-here", "A relay brings check-ins of its own hall alone.")
        if rolls.checked_in_at(tx, meeting, actor.member_id) > actor.at:
            check_in.note_overtaken(tx, meeting, actor, what.request, taking.notary, now)
            return OVERTAKEN.code
        check_in.finish_check_in(tx, meeting, actor, what.request, taking.notary, now, taking.rng, kiosk=what.kiosk)
    elif isinstance(what, Hand):
        seat = hall_presence.in_hall(tx, meeting, site, actor.member_id)
        if seat is None:
            raise Forbidden("relay.not-here", "The member is not checked in at this hall.")
        if what.wish is None:
            floor.lower_hand(tx, meeting, actor.member_id, now)
        else:
            floor.raise_hand(tx, meeting, actor.member_id, now, what.wish)
    return ""


def _vote(tx: Connection, taking: Taking, entry: Entry, wanted: About, actor: Carried) -> None:
    meeting, election, what, now = taking.session.meeting, wanted.election, wanted.what, taking.now
    if isinstance(what, Announcement):
        lineages.announce(tx, meeting, election, actor, what, now)
    elif isinstance(what, Replacement):
        lineages.replace_credential(tx, meeting, election, actor, what, now, taking.rng)
    elif entry.kind is Kind.VOID:
        lineages.make_void(tx, meeting, election, actor, what, now)
    else:
        _cast(tx, taking, entry, wanted, actor)


def _cast(tx: Connection, taking: Taking, entry: Entry, wanted: About, actor: Carried) -> None:
    verdict = taking.verdicts.get(entry.seq)
    if verdict is None:  # malformed or unknown, which receiving it tells; or it came before by another way
        arrival = ballots.receive(
            tx, taking.session.meeting, wanted.election, actor, _json(wanted), taking.arrived_at
        )
        if arrival.promise is None:
            raise TooMany(BUSY, "The proofs of a ballot were not checked; send the entries again.")
        return
    checked = ballots.accepted(verdict)
    times = {"arrived_at": taking.arrived_at, "now": taking.now}
    ballots.cast(tx, taking.session.meeting, wanted.election, actor, checked, notary=taking.notary, **times)


def _json(wanted: About) -> JsonObject:
    return wanted.what if isinstance(wanted.what, dict) else {}
