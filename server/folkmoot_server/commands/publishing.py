"""Accepted ballots reach the board in shuffled batches; after the grace the board is sealed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.domain.elections import EXPIRING, Phase, Verb, follow, shuffled
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.storage import board, elections, events, ledger
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.board import closing_entry, entry_leaf
from folkmoot_voting.encoding import jcs


@dataclass(frozen=True, slots=True)
class Due:
    """One step that the clock asks for: PUBLISH, SEAL or EXPIRE."""

    meeting: str
    election: str
    verb: Verb


def due_work(tx: Connection, now: int, batch_min: int) -> list[Due]:
    """Return at most one step for each running election; changes nothing."""
    found = []
    for clock in elections.clocks(tx, *EXPIRING):
        if now > clock.time_limit:
            found.append(Due(clock.meeting, clock.election, Verb.EXPIRE))
        elif clock.state is Phase.CLOSING and now > clock.closes_at:
            # Strictly later: a ballot is still taken in the last second of the grace.
            found.append(Due(clock.meeting, clock.election, Verb.SEAL))
        elif clock.state in (Phase.OPEN, Phase.CLOSING) and board.pending_count(tx, clock.election) >= batch_min:
            found.append(Due(clock.meeting, clock.election, Verb.PUBLISH))
    return found


def carry_out(tx: Connection, due: Due, now: int, *, notary: Notary, rng: Rng) -> None:
    """Take one due step.

    Raises:
        WrongState: the election has moved on since.
    """
    stored = elections.get(tx, due.meeting, due.election)
    if due.verb is Verb.PUBLISH:
        publish_batch(tx, stored, now, notary=notary, rng=rng)
    elif due.verb is Verb.SEAL:
        seal_closing(tx, stored, now, notary=notary, rng=rng)
    else:
        expire(tx, stored, now)


def publish_batch(tx: Connection, stored: StoredElection, now: int, *, notary: Notary, rng: Rng) -> None:
    """Move every waiting ballot of an election to its board, in an order drawn from `rng`.

    Raises:
        WrongState: the board takes no ballots.
    """
    state = follow(stored.state, Verb.PUBLISH)
    _publish(tx, stored, now, rng)
    elections.save(tx, stored, state, checkpoint=_checkpoint(tx, stored, notary))


def seal_closing(tx: Connection, stored: StoredElection, now: int, *, notary: Notary, rng: Rng) -> None:
    """Publish the last batch and the closing entry; sign and record the closing checkpoint.

    The state is in the database, so a restart in the middle of a grace only delays this.

    Raises:
        WrongState: the election is not closing.
    """
    state = follow(stored.state, Verb.SEAL)
    if board.pending_count(tx, stored.id):
        _publish(tx, stored, now, rng)
    cast = elections.cast_count(tx, stored.id)
    closing = closing_entry(cast, now)
    board.append(tx, stored.id, [("closing", jcs(closing), entry_leaf(closing))])
    note = notary.checkpoint(notary.board_origin(stored.meeting, stored.id), board.leaves(tx, stored.id))
    elections.save(tx, stored, state, closing_checkpoint=note.text(), checkpoint=note.text())
    ledger.append(
        tx,
        notary,
        kind="closed",
        meeting=stored.meeting,
        election=stored.id,
        digest=note.checkpoint.hash(),
        now=now,
    )
    events.append(tx, stored.meeting, "ElectionClosed", now, {"election": stored.id, "cast": cast})


def expire(tx: Connection, stored: StoredElection, now: int) -> None:
    """Declare void an election that was not counted within its time limit.

    Its ballots stay sealed for ever, and the meeting can be closed.

    Raises:
        WrongState: it is counted, over, or was never opened.
    """
    elections.save(tx, stored, follow(stored.state, Verb.EXPIRE))
    events.append(tx, stored.meeting, "ElectionVoided", now, {"election": stored.id})


def _publish(tx: Connection, stored: StoredElection, now: int, rng: Rng) -> None:
    batch = shuffled(board.take_pending(tx, stored.id), rng)
    size = board.append(tx, stored.id, [("ballot", entry, leaf) for leaf, entry in batch])
    events.append(tx, stored.meeting, "BoardPublished", now, {"election": stored.id, "size": size})


def _checkpoint(tx: Connection, stored: StoredElection, notary: Notary) -> str:
    origin = notary.board_origin(stored.meeting, stored.id)
    return notary.checkpoint(origin, board.leaves(tx, stored.id)).text()
