"""Accepted ballots reach the board in shuffled batches; after the grace the board is sealed."""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.domain.elections import EXPIRING, Phase, Verb, follow, shuffled
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.storage import board, elections, events, ledger
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting.board import closing_entry, entry_leaf
from folkmoot_voting.encoding import jcs


def work_is_due(tx: Connection, now: int, batch_min: int) -> bool:
    """Whether `publish_batches`, `seal_closing` or `expire` would change anything."""
    for election, state, closes_at, time_limit in elections.clocks(tx, *EXPIRING):
        if now > time_limit or (state is Phase.CLOSING and now > closes_at):
            return True
        if state in (Phase.OPEN, Phase.CLOSING) and board.pending_count(tx, election) >= batch_min:
            return True
    return False


def expire(tx: Connection, now: int) -> int:
    """Declare void each election that was not counted within its time limit; return how many.

    Its ballots stay sealed for ever, and the meeting can be closed.
    """
    expired = 0
    for stored in elections.in_states(tx, *EXPIRING):
        if now > stored.time_limit:
            elections.save(tx, stored, follow(stored.state, Verb.EXPIRE))
            events.append(tx, stored.meeting, "ElectionVoided", now, {"election": stored.id})
            expired += 1
    return expired


def publish_batches(tx: Connection, now: int, *, batch_min: int, notary: Notary, rng: Rng) -> int:
    """Publish the waiting ballots of each election that has at least `batch_min`; return how many boards grew."""
    grown = 0
    for stored in elections.in_states(tx, Phase.OPEN, Phase.CLOSING):
        if board.pending_count(tx, stored.id) >= batch_min:
            state = follow(stored.state, Verb.PUBLISH)
            size, checkpoint = _publish(tx, stored, notary, rng)
            elections.save(tx, stored, state, checkpoint=checkpoint)
            events.append(tx, stored.meeting, "BoardPublished", now, {"election": stored.id, "size": size})
            grown += 1
    return grown


def seal_closing(tx: Connection, now: int, *, notary: Notary, rng: Rng) -> int:
    """Publish the last batch and the closing entry of each election whose grace is over; return how many.

    The state is in the database, so a restart in the middle of a grace only delays this.
    """
    sealed = 0
    for stored in elections.in_states(tx, Phase.CLOSING):
        if not _is_over(stored, now):
            continue
        state = follow(stored.state, Verb.SEAL)
        if board.pending_count(tx, stored.id):
            size, _ = _publish(tx, stored, notary, rng)
            events.append(tx, stored.meeting, "BoardPublished", now, {"election": stored.id, "size": size})
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
        sealed += 1
    return sealed


def _is_over(stored: StoredElection, now: int) -> bool:
    # Strictly later: a ballot is still taken in the last second of the grace.
    return stored.state is Phase.CLOSING and now > stored.closes_at


def _publish(tx: Connection, stored: StoredElection, notary: Notary, rng: Rng) -> tuple[int, str]:
    batch = shuffled(board.take_pending(tx, stored.id), rng)
    size = board.append(tx, stored.id, [("ballot", entry, leaf) for leaf, entry in batch])
    note = notary.checkpoint(notary.board_origin(stored.meeting, stored.id), board.leaves(tx, stored.id))
    return size, note.text()
