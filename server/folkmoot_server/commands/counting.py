"""Opening the box: cosignatures, intents and shares are verified, then the count is computed and signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.domain.elections import TOO_FEW_BALLOTS, Phase, Verb, follow, require_time
from folkmoot_server.domain.errors import Conflict, Forbidden, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.storage import board, elections, events, keys
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting import tally
from folkmoot_voting.ballot import Ballot, decode_answers
from folkmoot_voting.board import check_entry, entry_leaf
from folkmoot_voting.encoding import JsonObject, b64u, jcs, strict_json, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.merkle_log import parse_note, parse_signature_line, verify_cosignature
from folkmoot_voting.tally import Aggregate


@dataclass(frozen=True, slots=True)
class Box:
    """A closed ballot box as read: its manifest, and its ballots' JCS bytes or the aggregate kept of them."""

    manifest: JsonObject
    closing: str
    kept: JsonObject | None
    ballots: tuple[bytes, ...]


def cosign(
    tx: Connection, meeting: str, election: str, session: SessionInfo, line: str, *, notary: Notary, now: int
) -> int:
    """Accept a cosignature of the closing checkpoint and return how many there are.

    The first line of a cosigner stays. With the quorum, counting begins; with fewer than three ballots the
    tally is made at once.

    Raises:
        Forbidden: the caller is not a cosigner of this election.
        WrongState: the election is not closed.
        Refused: the signature does not verify over our closing checkpoint.
    """
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.COSIGN)
    manifest = Manifest.from_json(stored.manifest)
    name = keys.cosigner_name(tx, meeting, session.member_id)
    if name not in manifest.cosigners:
        raise Forbidden("cosigner.not-named", "You are not a cosigner of this election.")
    with protocol_checked():
        checkpoint = parse_note(stored.closing_checkpoint).checkpoint
        verify_cosignature(checkpoint, parse_signature_line(line), name, manifest.cosigners[name])
    lines = elections.cosignature_lines(tx, election)
    if name in lines:
        return len(lines)
    elections.add_cosignature(tx, election, name, line)
    count = len(lines) + 1
    events.append(tx, meeting, "ClosingCosigned", now, {"election": election, "cosignatures": count})
    if stored.state is Phase.CLOSED and count >= manifest.cosign_quorum:
        if elections.cast_count(tx, election) < TOO_FEW_BALLOTS:
            state = follow(stored.state, Verb.FIND_TOO_FEW)
            _finish_count(tx, stored, state, manifest, None, {}, notary, now)
            return count
        state = follow(stored.state, Verb.START_COUNT)
    elections.save(tx, stored, state)
    return count


def require_trustee(tx: Connection, meeting: str, session: SessionInfo, kind: str, entry: JsonObject) -> int:
    """Return the caller's index if the entry is of this kind and names the caller.

    Raises:
        Forbidden: it does not.
    """
    index = keys.trustee_index(tx, meeting, session.member_id)
    if entry.get("type") != kind or index == 0 or entry.get("trustee") != index:
        raise Forbidden("count.not-your-entry", f"Only the trustee whom a {kind} names may post it.")
    return index


def load_box(tx: Connection, meeting: str, election: str) -> Box:
    """Read what the aggregate is made of.

    Raises:
        WrongState: the box is not to be opened now.
    """
    stored = elections.get(tx, meeting, election)
    follow(stored.state, Verb.POST_INTENT)
    kept = stored.aggregate
    ballots = () if kept is not None else tuple(board.of_types(tx, election, "ballot"))
    return Box(stored.manifest, stored.closing_checkpoint, kept, ballots)


def aggregate(box: Box) -> Aggregate:
    """Sum the ballots of a closed box; pure and slow for many ballots, so it runs in a thread of the pool."""
    if box.kept is not None:
        pairs = tuple(tuple((unb64u(a), unb64u(b)) for a, b in row) for row in box.kept["pairs"])
        return Aggregate(pairs, unb64u(box.kept["hash"]))
    manifest = Manifest.from_json(box.manifest)
    ballots = (Ballot.from_json(strict_json(raw)["ballot"]) for raw in box.ballots)
    return tally.aggregate(manifest, (decode_answers(manifest, ballot) for ballot in ballots))


def check_counting_entry(box: Box, total: Aggregate, entry: Any) -> JsonObject:
    """Verify an intent or share against our own aggregate; pure, runs in a thread of the pool.

    Raises:
        Refused: malformed, for another box, unsigned, or a proof fails.
    """
    with protocol_checked():
        check_entry(entry)
        manifest = Manifest.from_json(box.manifest)
        if entry["type"] == "intent":
            tally.check_intent(manifest, parse_note(box.closing).checkpoint.hash(), total, entry)
        elif entry["type"] == "share":
            tally.check_share(manifest, total, entry)
    return dict(entry)


def post_entry(
    tx: Connection,
    meeting: str,
    election: str,
    session: SessionInfo,
    kind: str,
    entry: JsonObject,
    total: Aggregate,
    *,
    notary: Notary,
    now: int,
) -> None:
    """Append a verified intent or share of the caller; with the threshold of shares, count.

    The same entry again changes nothing.

    Raises:
        Forbidden: the caller is not the trustee whom the entry names.
        WrongState: counting has not begun or is over, or a share comes before its intent.
        Conflict: a second, different intent or share of the same trustee.
    """
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.POST_INTENT if kind == "intent" else Verb.POST_SHARE)
    index = require_trustee(tx, meeting, session, kind, entry)
    posted = [strict_json(raw) for raw in board.of_types(tx, election, "intent", "share")]
    mine = {one["type"]: one for one in posted if one["trustee"] == index}
    if kind in mine:
        if mine[kind] == entry:
            return
        raise Conflict("count.second-entry", f"You have already posted another {kind} for this election.")
    if kind == "share" and "intent" not in mine:
        raise WrongState("count.no-intent", "Post the intent before the share.")
    data = jcs(entry)
    board.append(tx, election, [(kind, data, entry_leaf(entry))])
    event = "IntentPosted" if kind == "intent" else "SharePosted"
    events.append(tx, meeting, event, now, {"election": election, "trustee": index})
    shares = {one["trustee"]: one["parts"] for one in [*posted, entry] if one["type"] == "share"}
    manifest = Manifest.from_json(stored.manifest)
    if stored.state is Phase.COUNTING and len(shares) == manifest.trustees.threshold:
        _finish_count(tx, stored, follow(stored.state, Verb.COUNT), manifest, total, shares, notary, now)
        return
    elections.save(tx, stored, state, aggregate=_kept(total), checkpoint=_checkpoint(tx, stored, notary))


def _finish_count(
    tx: Connection,
    stored: StoredElection,
    state: Phase,
    manifest: Manifest,
    total: Aggregate | None,
    shares: dict[int, Any],
    notary: Notary,
    now: int,
) -> None:
    require_time(stored.time_limit, now)
    cast = elections.cast_count(tx, stored.id)
    with protocol_checked():
        counts = tally.combine(manifest, total, shares, cast) if total is not None else []
        core = tally.make_core(
            manifest,
            closing=parse_note(stored.closing_checkpoint).checkpoint.hash(),
            total=total,
            cast=cast,
            counts=counts,
            trustees=sorted(shares),
            counted_at=now,
        )
        server = b64u(notary.sign(tally.tally_hash(core)))
    changes: dict[str, Any] = {"tally": {"core": core, "server": server}}
    if total is not None:
        changes["aggregate"] = _kept(total)
    elections.save(tx, stored, state, checkpoint=_checkpoint(tx, stored, notary), **changes)
    events.append(tx, stored.meeting, "TallyComputed", now, {"election": stored.id})


def _kept(total: Aggregate) -> JsonObject:
    return {"pairs": [[[b64u(a), b64u(b)] for a, b in row] for row in total.pairs], "hash": b64u(total.hash)}


def _checkpoint(tx: Connection, stored: StoredElection, notary: Notary) -> str:
    origin = notary.board_origin(stored.meeting, stored.id)
    return notary.checkpoint(origin, board.leaves(tx, stored.id)).text()
