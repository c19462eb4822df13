"""From counts to the tally: ties wait for the chair's casting votes, then the core is made and signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.domain.elections import Phase, Verb, follow, require_time
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.storage import board, elections, events, halls, keys
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting import rules, tally
from folkmoot_voting.board import check_casting, check_entry, entry_leaf
from folkmoot_voting.encoding import b64u, jcs, strict_json, unb64u
from folkmoot_voting.merkle_log import parse_note
from folkmoot_voting.tally import Aggregate

CHAIR = "chair"


def finish_count(
    tx: Connection,
    stored: StoredElection,
    counts: list[list[int]],
    notary: Notary,
    now: int,
    *,
    aggregate: bytes = b"",
) -> None:
    """Keep the counts and make the tally, or wait for the casting votes that are due.

    In a secret vote, aggregate is the hash of what the trustees opened.

    Raises:
        WrongState: past the time limit.
    """
    require_time(stored.time_limit, now)
    manifest = stored.opened
    kept = {"counts": counts, "aggregate": b64u(aggregate)}
    checkpoint = signed_checkpoint(tx, stored, notary)
    if rules.undecided(rules.evaluate(manifest, counts, stored.numbers.turnout)):
        state = follow(stored.state, Verb.FIND_TIE)
        elections.save(tx, stored, state, counts=kept, checkpoint=checkpoint)
        events.append(tx, stored.meeting, "TallyComputed", now, {"election": stored.id})
        return
    state = follow(stored.state, Verb.COUNT if manifest.secret else Verb.COUNT_PLAIN)
    _save_core(tx, stored, state, kept, {}, notary, now)


def finish_too_few(tx: Connection, stored: StoredElection, notary: Notary, now: int) -> None:
    """Make the tally of a secret vote in which too few voted; its box stays shut.

    Raises:
        WrongState: past the time limit.
    """
    require_time(stored.time_limit, now)
    state = follow(stored.state, Verb.FIND_TOO_FEW)
    _save_core(tx, stored, state, {"counts": [], "aggregate": ""}, {}, notary, now)


def decide_tie(
    tx: Connection, meeting: str, election: str, session: SessionInfo, entry: Any, *, notary: Notary, now: int
) -> None:
    """Take the chair's casting vote on one question; with the last one due, make the tally.

    The same entry again changes nothing.

    Raises:
        Forbidden: the caller is not the chair of the manifest.
        WrongState: no casting vote is due, or past the time limit.
        Conflict: another casting vote on this question was taken.
        Refused: malformed, unsigned, or for options that it cannot elect.
    """
    stored = elections.get(tx, meeting, election)
    if keys.cosigner_name(tx, meeting, session.member_id) != CHAIR:
        raise Forbidden("casting.not-chair", "Only the chair named in the manifest decides a tie.")
    posted = [strict_json(raw) for raw in board.of_types(tx, election, "casting")]
    if entry in posted:
        return
    state = follow(stored.state, Verb.DECIDE)
    require_time(stored.time_limit, now)
    kept = stored.counts or {}
    with protocol_checked():
        check_entry(entry)
        if entry["type"] != "casting":
            raise Refused("voting.board-malformed", "This is no casting vote.")
        check_casting(stored.opened, parse_note(stored.closing_checkpoint).checkpoint.hash(), entry)
    if entry["question"] in {one["question"] for one in posted}:
        raise Conflict("casting.second", "A casting vote on this question was taken already.")
    castings = {one["question"]: one["options"] for one in [*posted, entry]}
    with protocol_checked():
        outcomes = rules.evaluate(stored.opened, kept["counts"], stored.numbers.turnout, castings)
    board.append(tx, election, [("casting", jcs(entry), entry_leaf(entry))])
    if rules.undecided(outcomes):
        elections.save(tx, stored, state, checkpoint=signed_checkpoint(tx, stored, notary))
        return
    _save_core(tx, stored, follow(stored.state, Verb.COUNT), kept, castings, notary, now)


def signed_checkpoint(tx: Connection, stored: StoredElection, notary: Notary) -> str:
    """Sign the head of an election's board as it is now."""
    origin = notary.board_origin(stored.meeting, stored.id)
    return notary.checkpoint(origin, board.leaves(tx, stored.id)).text()


def _save_core(
    tx: Connection,
    stored: StoredElection,
    state: Phase,
    kept: dict[str, Any],
    castings: Mapping[int, Sequence[int]],
    notary: Notary,
    now: int,
) -> None:
    opened = unb64u(kept["aggregate"])
    with protocol_checked():
        core = tally.make_core(
            stored.opened,
            closing=parse_note(stored.closing_checkpoint).checkpoint.hash(),
            total=Aggregate((), opened) if opened else None,
            numbers=stored.numbers,
            counts=kept["counts"],
            counted_at=now,
            rejected=[strict_json(raw) for raw in elections.rejected_shares(tx, stored.id)],
            castings=castings,
            halls=halls.of_election(tx, stored.id),
        )
        server = b64u(notary.sign(tally.tally_hash(core)))
    checkpoint = signed_checkpoint(tx, stored, notary)
    counted = {"core": core, "server": server}
    elections.save(tx, stored, state, counts=kept, tally=counted, checkpoint=checkpoint)
    events.append(tx, stored.meeting, "TallyComputed", now, {"election": stored.id})
