"""Opening the box: cosignatures, intents and shares are verified; with enough of them the box is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands.results import finish_count, finish_too_few, signed_checkpoint
from folkmoot_server.domain.elections import REJECTED_MAX, Phase, Verb, follow
from folkmoot_server.domain.errors import Conflict, Forbidden, Refused, WrongState
from folkmoot_server.domain.identity import SessionInfo
from folkmoot_server.domain.ledger import Notary, protocol_checked
from folkmoot_server.storage import board, elections, events, keys
from folkmoot_server.storage.elections import StoredElection
from folkmoot_voting import tally
from folkmoot_voting.ballot import Ballot, decode_values
from folkmoot_voting.batch import BatchSums, open_ballot
from folkmoot_voting.board import check_entry, entry_leaf
from folkmoot_voting.encoding import JsonObject, b64u, jcs, strict_json, unb64u
from folkmoot_voting.errors import TallyInvalid
from folkmoot_voting.merkle_log import parse_note, parse_signature_line, verify_cosignature
from folkmoot_voting.rules import too_few
from folkmoot_voting.tally import Aggregate

SUM_BATCH = 256
WRONG_SHARE = "voting.share-proof"


@dataclass(frozen=True, slots=True)
class Checked:
    """An intent or share that names our aggregate; `wrong` says why a share is evidence and no share."""

    entry: JsonObject
    wrong: str = ""


def cosign(
    tx: Connection, meeting: str, election: str, session: SessionInfo, line: str, *, notary: Notary, now: int
) -> int:
    """Accept a cosignature of the closing checkpoint and return how many there are.

    The first line of a cosigner stays. With the quorum, the opening of a secret box begins; with fewer than three
    ballots in it the tally is made at once. Ballots that all can read are counted by the clock, see `count_plain`.

    Raises:
        Forbidden: the caller is not a cosigner of this election.
        WrongState: the election is not closed.
        Refused: the signature does not verify over our closing checkpoint.
    """
    stored = elections.get(tx, meeting, election)
    state = follow(stored.state, Verb.COSIGN)
    manifest = stored.opened
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
    if manifest.secret and stored.state is Phase.CLOSED and count >= manifest.cosign_quorum:
        if too_few(manifest, stored.numbers.cast):
            finish_too_few(tx, stored, notary, now)
            return count
        state = follow(stored.state, Verb.START_COUNT)
    elections.save(tx, stored, state)
    return count


def plain_due(tx: Connection) -> list[tuple[str, str]]:
    """Return (meeting, election) of cosigned boxes whose ballots all can read, which the server is to count."""
    return [
        (clock.meeting, clock.election)
        for clock in elections.clocks(tx, Phase.CLOSED)
        if not clock.secret
        and len(elections.cosignature_lines(tx, clock.election))
        >= elections.get(tx, clock.meeting, clock.election).opened.cosign_quorum
    ]


def plain_counts(tx: Connection, meeting: str, election: str) -> list[list[int]]:
    """Add up the counted ballots of an open or roll-call vote; slow for many, so it runs on a reader."""
    manifest = elections.get(tx, meeting, election).opened
    return tally.plain_counts(
        manifest, ((ballot.weight, decode_values(manifest, ballot)) for ballot in _counted(tx, election))
    )


def count_plain(
    tx: Connection, meeting: str, election: str, counts: list[list[int]], *, notary: Notary, now: int
) -> None:
    """Make the count of an open or roll-call vote, or wait for the casting votes that it needs.

    Raises:
        WrongState: the box is not closed, or past the time limit.
    """
    stored = elections.get(tx, meeting, election)
    follow(stored.state, Verb.COUNT_PLAIN)
    finish_count(tx, stored, counts, notary, now)


def sums_due(tx: Connection) -> list[tuple[str, str]]:
    """Return (meeting, election) of closed secret boxes whose sums are not kept yet and will be needed."""
    return [
        (clock.meeting, clock.election)
        for clock in elections.clocks(tx, Phase.CLOSED, Phase.COUNTING)
        if clock.secret
        and not clock.summed
        and not too_few(elections.get(tx, clock.meeting, clock.election).opened, clock.cast)
    ]


def aggregate(tx: Connection, meeting: str, election: str) -> Aggregate:
    """Return the sums of a closed box: those kept, or computed; slow for many ballots, so it runs on a reader.

    Raises:
        WrongState: the box is not to be opened now.
    """
    stored = elections.get(tx, meeting, election)
    if stored.state is not Phase.CLOSED:
        follow(stored.state, Verb.POST_INTENT)
    kept = stored.aggregate
    if kept is not None:
        pairs = tuple(tuple((unb64u(a), unb64u(b)) for a, b in row) for row in kept["pairs"])
        return Aggregate(pairs, unb64u(kept["hash"]))
    manifest = stored.opened
    sums, waiting = BatchSums(manifest), []
    for ballot in _counted(tx, election):
        waiting.append(open_ballot(manifest, ballot))
        if len(waiting) == SUM_BATCH:
            sums.add(waiting)
            waiting = []
    sums.add(waiting)
    return sums.result()


def keep_aggregate(tx: Connection, election: str, total: Aggregate) -> None:
    """Keep the sums, so that nobody computes them again."""
    pairs = [[[b64u(a), b64u(b)] for a, b in row] for row in total.pairs]
    elections.keep_aggregate(tx, election, {"pairs": pairs, "hash": b64u(total.hash)})


def require_trustee(tx: Connection, meeting: str, session: SessionInfo, kind: str, entry: JsonObject) -> int:
    """Return the caller's index if the entry is of this kind and names the caller.

    Raises:
        Forbidden: it does not.
    """
    index = keys.trustee_index(tx, meeting, session.member_id)
    if entry.get("type") != kind or index == 0 or entry.get("trustee") != index:
        raise Forbidden("count.not-your-entry", f"Only the trustee whom a {kind} names may post it.")
    return index


def require_opening(stored: StoredElection, kind: str) -> Phase:
    """Return the phase after an intent or share.

    Raises:
        WrongState: counting has not begun or is over, or this box is never opened: too few voted, or all can read it.
    """
    state = follow(stored.state, Verb.POST_INTENT if kind == "intent" else Verb.POST_SHARE)
    if not stored.opened.secret or too_few(stored.opened, stored.numbers.cast):
        raise WrongState("election.box-stays-shut", "Nobody opens this box: it needs no shares, or too few voted.")
    return state


def check_counting_entry(stored: StoredElection, total: Aggregate, entry: Any) -> Checked:
    """Verify an intent or share against our own aggregate; pure, runs in a thread of the pool.

    A share that is signed for this box and proved wrongly comes back as evidence.

    Raises:
        Refused: malformed, for another box, or unsigned.
    """
    manifest = stored.opened
    with protocol_checked():
        check_entry(entry)
        try:
            if entry["type"] == "intent":
                closing = parse_note(stored.closing_checkpoint).checkpoint.hash()
                tally.check_intent(manifest, closing, total, entry)
            elif entry["type"] == "share":
                tally.check_share(manifest, total, entry)
        except TallyInvalid as error:
            if error.code != WRONG_SHARE or not tally.is_evidence(manifest, total, entry):
                raise
            return Checked(dict(entry), error.detail[:1].upper() + error.detail[1:] + ".")
    return Checked(dict(entry))


def post_entry(
    tx: Connection,
    meeting: str,
    election: str,
    session: SessionInfo,
    kind: str,
    checked: Checked,
    *,
    notary: Notary,
    now: int,
) -> str:
    """Append a verified intent or share of the caller; with the threshold of shares, open the box.

    The same entry again changes nothing. A wrong share is kept as evidence; the answer says why it is none.

    Raises:
        Forbidden: the caller is not the trustee whom the entry names.
        WrongState: as `require_opening`, or a share comes before its intent.
        Conflict: a second, different intent or share of the same trustee.
    """
    stored = elections.get(tx, meeting, election)
    state = require_opening(stored, kind)
    entry = checked.entry
    index = require_trustee(tx, meeting, session, kind, entry)
    posted = [strict_json(raw) for raw in board.of_types(tx, election, "intent", "share")]
    mine = {one["type"]: one for one in posted if one["trustee"] == index}
    if kind in mine:
        if mine[kind] == entry:
            return ""
        raise Conflict("count.second-entry", f"You have already posted another {kind} for this election.")
    if kind == "share" and "intent" not in mine:
        raise WrongState("count.no-intent", "Post the intent before the share.")
    if checked.wrong:
        _keep_evidence(tx, stored, index, entry, now)
        return checked.wrong
    board.append(tx, election, [(kind, jcs(entry), entry_leaf(entry))])
    event = "IntentPosted" if kind == "intent" else "SharePosted"
    events.append(tx, meeting, event, now, {"election": election, "trustee": index})
    shares = {one["trustee"]: one["parts"] for one in [*posted, entry] if one["type"] == "share"}
    manifest = stored.opened
    if stored.state is Phase.COUNTING and len(shares) == manifest.trustees.threshold:
        total = aggregate(tx, meeting, election)
        with protocol_checked():
            counts = tally.combine(manifest, total, shares, stored.numbers.cast_weight)
        finish_count(tx, stored, counts, notary, now, aggregate=total.hash)
        return ""
    elections.save(tx, stored, state, checkpoint=signed_checkpoint(tx, stored, notary))
    return ""


def _keep_evidence(tx: Connection, stored: StoredElection, index: int, entry: JsonObject, now: int) -> None:
    """Keep a wrong share, unless the count is made and names the evidence, or enough of this trustee is kept."""
    if stored.state is Phase.COUNTED or elections.count_rejected(tx, stored.id, index) >= REJECTED_MAX:
        raise Refused(WRONG_SHARE, f"The share of trustee {index} is not proved.")
    digest = tally.rejected_json(entry)["hash"]
    if elections.add_rejected(tx, stored.id, index, digest, jcs(entry)):
        events.append(tx, stored.meeting, "ShareRejected", now, {"election": stored.id, "trustee": index})


def _counted(tx: Connection, election: str) -> Any:
    return (Ballot.from_json(strict_json(raw)["ballot"]) for raw in board.counted(tx, election))
