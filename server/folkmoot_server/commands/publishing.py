"""Accepted entries reach the board in shuffled batches; votes end by the clock, and after the grace it is sealed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from folkmoot_server.commands import attendance_log, late_halls, motion_votes
from folkmoot_server.commands.elections import begin_closing
from folkmoot_server.domain.elections import EXPIRING, Phase, Verb, follow, mixed
from folkmoot_server.domain.ids import Rng
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.storage import board, elections, events, ledger
from folkmoot_server.storage.elections import Clock, StoredElection
from folkmoot_voting.board import closing_entry, entry_leaf
from folkmoot_voting.encoding import jcs


@dataclass(frozen=True, slots=True)
class Due:
    """One step that the clock asks for: PUBLISH, CLOSE, SEAL or EXPIRE."""

    meeting: str
    election: str
    verb: Verb


def due_work(tx: Connection, now: int, batch_min: int, on_the_way: Callable[[str, int], int]) -> list[Due]:
    """Return at most one step for each running election; changes nothing.

    Args:
        tx: a connection to read on.
        now: Unix seconds.
        batch_min: lineages with waiting entries that make a batch worth publishing.
        on_the_way: how many ballots of an election have arrived by a time and are not recorded or refused yet.
    """
    found = []
    for clock in elections.clocks(tx, *EXPIRING):
        verb = _due(tx, clock, now, batch_min, on_the_way)
        if verb is not None:
            found.append(Due(clock.meeting, clock.election, verb))
    return found


def _due(
    tx: Connection, clock: Clock, now: int, batch_min: int, on_the_way: Callable[[str, int], int]
) -> Verb | None:
    if now > clock.time_limit:
        return Verb.EXPIRE
    # Strictly later: a ballot is still taken in the last second of the grace; one that came in time is waited for.
    over = clock.state is Phase.CLOSING and now > clock.grace_until
    if over and not on_the_way(clock.election, clock.grace_until):
        return Verb.SEAL
    if clock.state is Phase.OPEN and clock.closes_at and now >= clock.closes_at:
        return Verb.CLOSE
    taking = clock.state in (Phase.OPEN, Phase.CLOSING)
    return Verb.PUBLISH if taking and board.pending_count(tx, clock.election) >= batch_min else None


def carry_out(tx: Connection, due: Due, now: int, *, notary: Notary, rng: Rng) -> None:
    """Take one due step.

    Raises:
        WrongState: the election has moved on since.
    """
    stored = elections.get(tx, due.meeting, due.election)
    if due.verb is Verb.PUBLISH:
        publish_batch(tx, stored, now, notary=notary, rng=rng)
    elif due.verb is Verb.CLOSE:
        begin_closing(tx, stored, now)
    elif due.verb is Verb.SEAL:
        seal_closing(tx, stored, now, notary=notary, rng=rng)
    else:
        expire(tx, stored, now)


def publish_batch(tx: Connection, stored: StoredElection, now: int, *, notary: Notary, rng: Rng) -> None:
    """Move every waiting entry of an election to its board, in an order drawn from `rng`, lineages in theirs.

    Raises:
        WrongState: the board takes no entries.
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
    late_halls.find_unreachable(tx, stored)
    numbers = stored.numbers
    closing = closing_entry(ballots=numbers.ballots, cast=numbers.cast, ended=stored.ended_at, at=now)
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
    mark = attendance_log.mark_closing(tx, stored, now, notary)
    there = {} if mark is None else {"present": mark["present"], "met": mark["met"]}
    body = {"election": stored.id, "cast": numbers.cast, **there}
    events.append(tx, stored.meeting, "ElectionClosed", now, body)


def expire(tx: Connection, stored: StoredElection, now: int) -> None:
    """Declare void an election that was not counted within its time limit.

    Its ballots stay sealed for ever, and the meeting can be closed.

    Raises:
        WrongState: it is counted, over, or was never opened.
    """
    elections.save(tx, stored, follow(stored.state, Verb.EXPIRE))
    events.append(tx, stored.meeting, "ElectionVoided", now, {"election": stored.id})
    motion_votes.release(tx, stored, now)


def _publish(tx: Connection, stored: StoredElection, now: int, rng: Rng) -> None:
    waiting = board.take_pending(tx, stored.id)
    batch = mixed(waiting, lambda one: one.lineage, lambda one: one.step, rng)
    size = board.append(tx, stored.id, [(one.type, one.entry, one.leaf) for one in batch])
    events.append(tx, stored.meeting, "BoardPublished", now, {"election": stored.id, "size": size})


def _checkpoint(tx: Connection, stored: StoredElection, notary: Notary) -> str:
    origin = notary.board_origin(stored.meeting, stored.id)
    return notary.checkpoint(origin, board.leaves(tx, stored.id)).text()
