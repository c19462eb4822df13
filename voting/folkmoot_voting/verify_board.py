"""Checks V08 to V22: boards, ballots, the opening of the box and tallies."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import ballot, rules, tally
from .board import ORDER
from .encoding import JsonObject, b64u, unb64u
from .manifest import electorate_hash, make_electorate
from .merkle_log import parse_note, prefix_roots, valid_cosigners
from .verify_context import Context, Election, each_election, require, within


def check_order(_context: Context, election: Election) -> None:
    """V08."""
    phase, closed_size = "empty", 0
    for number, entry in enumerate(election.files.board):
        kind = entry["type"]
        require(kind in ORDER[phase], f"entry {number}: {kind} may not follow in an {phase} board")
        phase = ORDER[phase][kind]
        if kind == "closing":
            closed_size = number + 1
    require(phase == "done", "the board does not end with a tally")
    size = len(election.leaves)
    files = election.files
    wanted = (("opening", files.opening, 1), ("closing", files.closing, closed_size))
    roots = prefix_roots(election.leaves, (1, closed_size, size))
    for name, text, wanted_size in (*wanted, ("final", files.final, size)):
        with within(f"{name} checkpoint"):
            head = election.note(text).checkpoint
            same = (head.size, head.root) == (wanted_size, roots[wanted_size])
            require(same, "another size or root than the board's")


def check_electorate(context: Context, election: Election) -> None:
    """V09."""
    manifest = election.manifest
    voters = {one.credential for one in election.ballots}
    require(len(voters) <= manifest.electorate_size, "more voters than electors")
    if context.annex is None:
        return
    listed = [
        unb64u(one["credential"]) for one in context.annex_list("checkins") if manifest.election in one["elections"]
    ]
    electorate = make_electorate(listed)
    require(len(electorate) == manifest.electorate_size, "another size of the electorate")
    require(electorate_hash(electorate) == manifest.electorate, "another electorate than the manifest's")
    require(voters <= set(listed), "a voter is not in the electorate")


def check_bindings(_context: Context, election: Election) -> None:
    """V10."""
    seen: set[bytes] = set()
    for number, one in enumerate(election.ballots, 1):
        with within(f"ballot {number}"):
            ballot.check_binding(election.manifest, one)
            require(one.credential not in seen, "this credential has voted twice")
        seen.add(one.credential)


def check_signatures(_context: Context, election: Election) -> None:
    """V11."""
    for number, one in enumerate(election.ballots, 1):
        with within(f"ballot {number}"):
            ballot.check_signature(one)


def check_bytes(_context: Context, election: Election) -> None:
    """V12."""
    require(len(election.answers) == election.cast, "not every ballot has bytes")


def check_options(_context: Context, election: Election) -> None:
    """V13."""
    for number, (e, answers) in enumerate(zip(election.challenges, election.answers, strict=True), 1):
        with within(f"ballot {number}"):
            ballot.check_options(election.manifest, e, answers)


def check_sums(_context: Context, election: Election) -> None:
    """V14."""
    for number, (e, answers) in enumerate(zip(election.challenges, election.answers, strict=True), 1):
        with within(f"ballot {number}"):
            ballot.check_sums(election.manifest, e, answers)


def check_copies(_context: Context, election: Election) -> None:
    """V15."""
    seen: set[bytes] = set()
    for number, answers in enumerate(election.answers, 1):
        points = ballot.ballot_points(answers)
        require(points.isdisjoint(seen), f"ballot {number}: a point of an earlier ballot")
        seen |= points


def check_closing(_context: Context, election: Election) -> None:
    """V16."""
    manifest = election.manifest
    require(election.of_type("closing")[0]["cast"] == election.cast, "the closing entry miscounts")
    signers = valid_cosigners(election.note(election.files.closing), manifest.cosigners)
    require(
        len(signers) >= manifest.cosign_quorum,
        f"{len(signers)} cosignatures, {manifest.cosign_quorum} are needed",
    )


def check_intents(_context: Context, election: Election) -> None:
    """V17."""
    intents = election.of_type("intent")
    require(election.cast >= rules.LEAST_CAST or not intents, "an intent although too few were cast")
    _require_one_each(intents)
    closing = parse_note(election.files.closing).checkpoint.hash()
    for one in intents:
        tally.check_intent(election.manifest, closing, election.aggregate, one)
    announced: set[int] = set()
    for entry in election.files.board:
        if entry["type"] == "intent":
            announced.add(entry["trustee"])
        elif entry["type"] == "share":
            require(entry["trustee"] in announced, "a share before its trustee's intent")


def _require_one_each(entries: list[JsonObject]) -> None:
    trustees = [entry["trustee"] for entry in entries]
    require(len(set(trustees)) == len(trustees), "a trustee has two")


def check_share_signatures(_context: Context, election: Election) -> None:
    """V18."""
    shares = election.of_type("share")
    require(election.cast >= rules.LEAST_CAST or not shares, "a share although too few were cast")
    _require_one_each(shares)
    for one in shares:
        tally.check_share_signature(election.manifest, election.aggregate, one)


def check_share_proofs(_context: Context, election: Election) -> None:
    """V19."""
    for one in election.of_type("share"):
        tally.check_parts(election.manifest, election.aggregate, one["trustee"], one["parts"])


def check_counts(_context: Context, election: Election) -> None:
    """V20."""
    core = election.core
    if election.cast < rules.LEAST_CAST:
        require(core["counts"] == [] and core["trustees"] == [], "counts although too few were cast")
        return
    used = core["trustees"]
    require(used == sorted(set(used)), "the trustees used are not ascending")
    parts = {one["trustee"]: one["parts"] for one in election.of_type("share")}
    require(set(used) <= parts.keys(), "a trustee used has no share on the board")
    total = election.aggregate
    counts = tally.combine(election.manifest, total, {index: parts[index] for index in used}, election.cast)
    require(core["counts"] == counts, "the shares give other counts")


def check_outcome(_context: Context, election: Election) -> None:
    """V21."""
    manifest, core = election.manifest, election.core
    require(core["quorum"] == tally.quorum_json(manifest), "another quorum")
    sizes = [len(one.options) for one in manifest.questions] if election.cast >= rules.LEAST_CAST else []
    require([len(row) for row in core["counts"]] == sizes, "counts do not fit the questions")
    outcome = [one.to_json() for one in rules.evaluate(manifest, core["counts"], election.cast)]
    require(core["outcome"] == outcome, "another outcome")


def check_tally(_context: Context, election: Election) -> None:
    """V22."""
    manifest, core = election.manifest, election.core
    closing = parse_note(election.files.closing).checkpoint.hash()
    few = election.cast < rules.LEAST_CAST
    stated = election.of_type("intent")[0]["aggregate"] if election.of_type("intent") else ""
    expected = {
        "election": manifest.election,
        "manifest": b64u(manifest.hash),
        "closing": b64u(closing),
        "aggregate": "" if few else stated,
        "cast": election.cast,
        "exceptions": manifest.exceptions,
    }
    for name, value in expected.items():
        require(core[name] == value, f"{name} differs")
    closed_at = election.of_type("closing")[0]["at"]
    times = [manifest.opened_at, closed_at, core["counted_at"], manifest.time_limit]
    require(times == sorted(times), "times are not in order")
    recorded = election.of_type("tally")[0]["hash"]
    require(recorded == b64u(tally.tally_hash(core)), "the board records another tally")
    tally.verify_tally_signatures(manifest, election.files.tally)


CHECKS: Mapping[str, Callable[[Context], None]] = {
    "V08": each_election(check_order),
    "V09": each_election(check_electorate),
    "V10": each_election(check_bindings),
    "V11": each_election(check_signatures),
    "V12": each_election(check_bytes),
    "V13": each_election(check_options),
    "V14": each_election(check_sums),
    "V15": each_election(check_copies),
    "V16": each_election(check_closing),
    "V17": each_election(check_intents),
    "V18": each_election(check_share_signatures),
    "V19": each_election(check_share_proofs),
    "V20": each_election(check_counts),
    "V21": each_election(check_outcome),
    "V22": each_election(check_tally),
}
