"""Checks V08 to V22, V29 and V30: boards, ballots, the opening of the box and tallies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from folkmoot_voting import board, rules, tally
from folkmoot_voting.electorate import EarlierVote, find_repeats
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.manifest import ROLL_CALL
from folkmoot_voting.merkle_log import valid_cosigners

from .context import CheckFailed, Context, Election, each_election, require, within


def check_order(_context: Context, election: Election) -> None:
    """V08."""
    survey, files = election.survey, election.files
    _noted(survey.faults, "V08")
    wanted = (("opening", files.opening), ("closing", files.closing), ("final", files.final))
    for name, text in wanted:
        with within(f"{name} checkpoint"):
            head = election.note(text).checkpoint
            require((head.size, head.root) == survey.roots[name], "another size or root than the board's")


def check_electorate(context: Context, election: Election) -> None:
    """V09."""
    manifest, electors = election.manifest, election.files.electors
    require(not electors.fault, electors.fault)
    require(electors.hash == manifest.electorate, "another electorate than the manifest's")
    require(len(electors) == manifest.electorate_size, "another size of the electorate")
    require(sum(electors.weights) == manifest.electorate_weight, "another weight of the electorate")
    rarest = min(Counter(electors.weights).values(), default=0)
    require(rarest >= manifest.least_electorate, "a weight that too few electors have")
    named = manifest.secrecy == ROLL_CALL
    require(bool(electors.names) == named and all(electors.names), "names stand in roll-calls, and only there")
    require(len(set(manifest.repeats)) == len(manifest.repeats), "repeats names an election twice")
    _check_repeats(context, election)


def _check_repeats(context: Context, election: Election) -> None:
    manifest, before = election.manifest, []
    for name, other in context.elections.items():
        if other is election:
            break
        before.append(name)
    if manifest.secret:
        earlier = (
            EarlierVote(name, other.manifest.questions, frozenset(other.files.electors.all_credentials()))
            for name, other in ((name, context.elections[name]) for name in before)
            if other.manifest.secret
        )
        credentials = frozenset(election.files.electors.all_credentials())
        expected = find_repeats(manifest.questions, credentials, manifest.least_electorate, earlier)
    else:
        expected = []
    known = [name for name in manifest.repeats if name in before]
    require(sorted(known) == sorted(expected), "repeats names other elections than those that are alike")
    here = set(context.elections)
    require(not (set(manifest.repeats) & here) - set(before), "repeats names a later election")


def check_closing(_context: Context, election: Election) -> None:
    """V16."""
    manifest, survey, closing = election.manifest, election.survey, election.closing
    require(closing["ballots"] == survey.ballots, "the closing entry miscounts the ballots")
    require(closing["cast"] == survey.cast, "the closing entry miscounts the voters")
    board.check_closing_times(manifest, closing)
    signers = valid_cosigners(election.note(election.files.closing), manifest.cosigners)
    require(
        len(signers) >= manifest.cosign_quorum,
        f"{len(signers)} cosignatures, {manifest.cosign_quorum} are needed",
    )


def check_intents(_context: Context, election: Election) -> None:
    """V17."""
    intents = election.survey.of_type("intent")
    _require_box(election, intents, "an intent")
    for one in intents:
        tally.check_intent(election.manifest, election.closing_hash, election.total, one)
    announced: set[int] = set()
    for entry in election.survey.box:
        if entry["type"] == "intent":
            announced.add(entry["trustee"])
        elif entry["type"] == "share":
            require(entry["trustee"] in announced, "a share before its trustee's intent")


def _require_box(election: Election, entries: list[JsonObject], what: str) -> None:
    require(election.manifest.secret or not entries, f"{what} in a vote without a box")
    require(not election.too_few or not entries, f"{what} although too few were cast")
    trustees = [entry["trustee"] for entry in entries]
    require(len(set(trustees)) == len(trustees), "a trustee has two")


def check_share_signatures(_context: Context, election: Election) -> None:
    """V18."""
    shares = election.survey.of_type("share")
    _require_box(election, shares, "a share")
    for one in shares:
        tally.check_share_signature(election.manifest, election.total, one)


def check_share_proofs(_context: Context, election: Election) -> None:
    """V19."""
    for one in election.survey.of_type("share"):
        require(election.manifest.secret, "a share in a vote without a box")
        tally.check_parts(election.manifest, election.total, one["trustee"], one["parts"])


def check_counts(_context: Context, election: Election) -> None:
    """V20."""
    core, manifest = election.core, election.manifest
    if election.too_few:
        require(core["counts"] == [], "counts although too few were cast")
        return
    if not manifest.secret:
        require(core["counts"] == election.proofs.counts, "the ballots give other counts")
        return
    shares = {one["trustee"]: one["parts"] for one in election.survey.of_type("share")}
    counts = tally.combine(manifest, election.total, shares, election.survey.cast_weight)
    require(core["counts"] == counts, "the shares give other counts")


def check_outcome(_context: Context, election: Election) -> None:
    """V21."""
    manifest, core = election.manifest, election.core
    turnout = rules.Turnout(election.survey.cast, election.survey.cast_weight)
    require(core["quorum"] == rules.quorum_json(manifest, turnout), "another quorum")
    sizes = [] if election.too_few else [len(one.cells) for one in manifest.questions]
    require([len(row) for row in core["counts"]] == sizes, "counts do not fit the questions")
    castings = election.survey.of_type("casting")
    given = {one["question"]: one["options"] for one in castings}
    require(len(given) == len(castings), "two casting votes on one question")
    for one in castings:
        board.check_casting(manifest, election.closing_hash, one)
    outcomes = rules.evaluate(manifest, core["counts"], turnout, given)
    require(not rules.undecided(outcomes), "a tie that no casting vote decides")
    require(core["outcome"] == [one.to_json() for one in outcomes], "another outcome")


def check_tally(_context: Context, election: Election) -> None:
    """V22."""
    manifest, core, survey = election.manifest, election.core, election.survey
    intents = survey.of_type("intent")
    expected = {
        "election": manifest.election,
        "manifest": b64u(manifest.hash),
        "closing": b64u(election.closing_hash),
        "aggregate": intents[0]["aggregate"] if intents else "",
        "ballots": survey.ballots,
        "cast": survey.cast,
        "cast_weight": survey.cast_weight,
        "replacements": survey.replacements,
        "kiosk": survey.kiosk,
        "voids": survey.voids,
        "exceptions": manifest.exceptions,
    }
    for name, value in expected.items():
        require(core[name] == value, f"{name} differs")
    tally.check_halls(core["halls"])
    closing = election.closing
    times = [manifest.opened_at, closing["ended"], closing["at"], core["counted_at"], manifest.time_limit]
    require(times == sorted(times), "times are not in order")
    recorded = survey.tally["hash"] if survey.tally else ""
    require(recorded == b64u(tally.tally_hash(core)), "the board records another tally")
    tally.verify_tally_signatures(manifest, election.files.tally)


def check_evidence(_context: Context, election: Election) -> None:
    """V30."""
    rejected = election.files.rejected
    if rejected and (not election.manifest.secret or election.too_few):
        raise CheckFailed("rejected shares in a vote whose box stays shut")
    for number, one in enumerate(rejected, 1):
        good = tally.is_evidence(election.manifest, election.total, one)
        require(good, f"rejected share {number} is no evidence against its trustee")
    named = [tally.rejected_json(one) for one in rejected]
    require(election.core["rejected"] == named, "the tally names other rejected shares")


def _noted(faults: Mapping[str, str], check: str) -> None:
    """Raise what a reading of the board noted for this check."""
    if check in faults:
        raise CheckFailed(faults[check])


def _found_reading(check: str) -> Callable[[Context], None]:
    return each_election(lambda _context, election: _noted(election.survey.faults, check))


def _found_proving(check: str) -> Callable[[Context], None]:
    return each_election(lambda _context, election: _noted(election.proofs.faults, check))


CHECKS: Mapping[str, Callable[[Context], None]] = {
    "V08": each_election(check_order),
    "V09": each_election(check_electorate),
    **{check: _found_reading(check) for check in ("V10", "V29")},
    **{check: _found_proving(check) for check in ("V11", "V12", "V13", "V14", "V15")},
    "V16": each_election(check_closing),
    "V17": each_election(check_intents),
    "V18": each_election(check_share_signatures),
    "V19": each_election(check_share_proofs),
    "V20": each_election(check_counts),
    "V21": each_election(check_outcome),
    "V22": each_election(check_tally),
    "V30": each_election(check_evidence),
}
