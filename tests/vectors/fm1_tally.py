"""The vectors of sections 6 and 8: lineages, closing, the opened box, casting votes, rules and tallies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from tests.vectors.fm1_votes import changed, code_of
from tests.voting import votes
from tests.voting.scenario import FIRST, Meeting
from tests.voting.seeded import SeededRng

from folkmoot_voting import ballot, board, casting, group, merkle_log, rules, signing, tally
from folkmoot_voting.electorate import parse_electorate
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.lineages import Lineages, Voids, take
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import Question, approval, borda, m_of_n, multi_seat, one_of_n, score, yes_no_abstain
from folkmoot_voting.rules import Turnout

YES, NO = [[1, 0, 0]], [[0, 1, 0]]


class Steps:
    """A board's entries before closing, each with the code that the fold gives it; refused ones change nothing."""

    def __init__(self, name: str, meeting: Meeting, vote: votes.Vote) -> None:
        self.name, self.meeting, self.vote = name, meeting, vote
        self.entries: list[JsonObject] = []
        self.lineages = Lineages(vote.manifest, parse_electorate(vote.electorate))
        self.voids = Voids(vote.manifest)

    def ballot(self, seed: bytes, weight: int, seq: int, prev: bytes = b"", choices: votes.Choices = YES) -> bytes:
        """Offer a ballot and return its leaf."""
        draws = SeededRng(f"{self.name} {len(self.entries)}")
        made = casting.make_ballot(self.vote.manifest, seed, choices, draws, casting.Place(weight, seq, prev))
        return self.offer(board.ballot_entry(made))

    def replace(self, old: bytes, new: bytes, *, kiosk: bool = False) -> None:
        """Offer a replacement between two seeds."""
        keys = (signing.public_key(old), signing.public_key(new))
        self.offer(board.replacement_entry(*keys, SeededRng(f"{self.name} {len(self.entries)}")(32), kiosk=kiosk))

    def void(self, seed: bytes, sealed: bytes) -> None:
        """Offer a void."""
        sig = signing.sign(seed, casting.void_hash(self.vote.manifest.hash, sealed))
        entry = {"type": "void", "credential": b64u(signing.public_key(seed)), "sealed": b64u(sealed)}
        self.offer({**entry, "sig": b64u(sig)})

    def offer(self, entry: JsonObject) -> bytes:
        """Offer any entry."""
        leaf = board.entry_leaf(entry)
        code = code_of(take, self.lineages, self.voids, entry, leaf)
        self.entries.append({"entry": entry, "leaf": b64u(leaf), "code": code})
        return leaf

    def to_json(self) -> JsonObject:
        """Return the case with what the fold comes to."""
        folded = self.lineages
        return {
            "name": self.name,
            "manifest": self.vote.manifest.json,
            "electorate": self.vote.electorate,
            "steps": self.entries,
            "ballots": folded.ballots,
            "cast": folded.cast,
            "cast_weight": folded.cast_weight,
            "replacements": folded.replacements,
            "kiosk": folded.kiosk,
            "voids": folded.voids,
            "counted": sorted(b64u(leaf) for leaf in folded.counted()),
        }


def lineage_vectors() -> list[JsonObject]:
    """Sections 6 and 7: who may cast, replace and audit, and when."""
    meeting = Meeting("lineages", members=6, weights=(1, 1, 1, 3, 3, 3))
    meeting.check_in_all(6)
    once = votes.open_vote(meeting, "once", [yes_no_abstain("?")], least_electorate=3, kiosk=True)
    again = votes.open_vote(
        meeting, "again", [yes_no_abstain("?")], at=FIRST + 1200, least_electorate=3, voting_again="last-counts"
    )
    return [_once(meeting, once), _again(meeting, again), _audits(meeting, again)]


def _once(meeting: Meeting, vote: votes.Vote) -> JsonObject:
    one, two, three, four = (person.credential for person in meeting.persons[:4])
    new, newer, stranger = (SeededRng(f"key {n}")(32) for n in range(3))
    steps = Steps("once", meeting, vote)
    first = steps.ballot(one, 1, 1)
    steps.ballot(one, 1, 1, choices=NO)
    steps.ballot(one, 1, 2, first)
    steps.replace(one, new)
    steps.ballot(stranger, 1, 1)
    steps.ballot(two, 3, 1)
    steps.ballot(four, 1, 1)
    steps.ballot(two, 1, 2)
    steps.ballot(two, 1, 1, first)
    steps.replace(two, four)
    steps.replace(two, new, kiosk=True)
    steps.replace(two, newer)
    steps.ballot(two, 1, 1)
    steps.replace(new, two)
    steps.replace(new, new)
    steps.replace(stranger, newer)
    steps.replace(new, newer)
    steps.ballot(new, 1, 1)
    steps.ballot(newer, 1, 1, choices=NO)
    steps.replace(three, newer)
    steps.ballot(four, 3, 1)
    return steps.to_json()


def _again(meeting: Meeting, vote: votes.Vote) -> JsonObject:
    one, two, _, four = (person.credential for person in meeting.persons[:4])
    new = SeededRng("key again")(32)
    steps = Steps("last-counts", meeting, vote)
    first = steps.ballot(one, 1, 1)
    steps.ballot(one, 1, 1, choices=NO)
    steps.ballot(one, 1, 2)
    steps.ballot(one, 1, 3, first)
    second = steps.ballot(one, 1, 2, first, choices=NO)
    steps.ballot(one, 1, 3, first)
    steps.replace(one, new, kiosk=True)
    steps.replace(one, new)
    steps.ballot(one, 1, 3, second)
    steps.ballot(new, 1, 1)
    steps.ballot(new, 1, 3, second)
    steps.ballot(four, 3, 1)
    steps.ballot(two, 1, 1, bytes(32))
    return steps.to_json()


def _audits(meeting: Meeting, vote: votes.Vote) -> JsonObject:
    one, two = (person.credential for person in meeting.persons[:2])
    new, stranger = SeededRng("key audit")(32), SeededRng("stranger")(32)
    steps = Steps("audits", meeting, vote)
    draws, opened = SeededRng("audited"), vote.manifest
    audited = casting.seal(opened, signing.public_key(one), YES, draws)
    steps.void(one, ballot.sealed_hash(audited))
    steps.offer(board.ballot_entry(casting.sign_ballot(audited, one)))
    steps.void(one, ballot.sealed_hash(audited))
    steps.void(two, ballot.sealed_hash(audited))
    steps.void(stranger, SeededRng("0")(32))
    good = {**steps.entries[0]["entry"], "sealed": b64u(SeededRng("1")(32))}
    steps.offer(good)
    for number in range(2, 5):
        steps.void(one, SeededRng(str(number))(32))
    steps.replace(one, new)
    steps.void(one, SeededRng("5")(32))
    steps.void(new, SeededRng("5")(32))
    steps.void(new, SeededRng("6")(32))
    first = steps.ballot(new, 1, 1)
    cast = steps.entries[-1]["entry"]["ballot"]
    steps.void(new, ballot.sealed_hash(cast))
    steps.void(two, ballot.sealed_hash(cast))
    steps.ballot(new, 1, 2, first)
    return steps.to_json()


def closing_vectors() -> JsonObject:
    """Section 6: which closing entries come too early."""
    meeting = Meeting("closing")
    meeting.check_in_all(5)
    timed = votes.open_vote(meeting, "timed", [yes_no_abstain("?")], closes_at=FIRST + 1200)
    again = votes.open_vote(meeting, "again", [yes_no_abstain("?")], voting_again="last-counts")
    out = []
    for vote, cast, ended, at in itertools.product(
        (timed, again), (4, 5), (FIRST + 1199, FIRST + 1200), (0, 14, 15, 16)
    ):
        entry = board.closing_entry(ballots=cast, cast=cast, ended=ended, at=ended + at)
        code = code_of(board.check_closing_times, vote.manifest, entry)
        out.append({"manifest": b64u(vote.manifest.hash), "entry": entry, "code": code})
    return {"manifests": [timed.manifest.json, again.manifest.json], "cases": out}


def box_vectors() -> JsonObject:
    """Section 8: the aggregate, one trustee's share with its draws, evidence, casting votes and every tally."""
    meeting = votes.full_meeting()
    election, one = meeting.elections[0], meeting.trustees[1]
    opened, total = election.manifest, election.aggregate
    assert total is not None
    assert meeting.keygen is not None
    rng = SeededRng("share")
    secret = one.secret_share(meeting.keygen)
    parts = tally.partial_decrypt(opened, total, one.index, secret, rng)
    closing = merkle_log.parse_note(election.closing).checkpoint.hash()
    return {
        "elections": [
            {
                "manifest": made.manifest.json,
                "electorate": made.electorate,
                "board": made.entries,
                "rejected": made.rejected,
                "opening": made.opening,
                "closing": made.closing,
                "final": made.final,
                "tally": made.tally,
                "tally_hash": b64u(tally.tally_hash(made.tally["core"])),
                "aggregate": b64u(made.aggregate.hash) if made.aggregate else "",
                "sums": [[[b64u(point) for point in pair] for pair in row] for row in made.aggregate.pairs]
                if made.aggregate
                else [],
            }
            for made in meeting.elections
        ],
        "share": {
            "election": 0,
            "trustee": one.index,
            "key_seed": b64u(one.seed),
            "secret": b64u(secret),
            "draws": [b64u(draw) for draw in rng.drawn],
            "intent": board.intent_entry(one.index, opened.hash, closing, total.hash, one.seed),
            "share": board.share_entry(one.index, opened.hash, total.hash, parts, one.seed),
        },
        "logs": [_log(limit, count) for limit in (0, 1, 24, 25, 26) for count in (0, 1, 24, 25)],
    }


def _log(limit: int, count: int) -> JsonObject:
    found = group.small_log(group.mult_base(group.scalar_int(count)), limit)
    return {"limit": limit, "count": count, "found": -1 if found is None else found}


_YES_NO, _THREE = yes_no_abstain("?"), one_of_n("?", ["a", "b", "c"])
_MANY = m_of_n("?", ["a", "b", "c", "d"], 0, 2, blank=True, seats=2)
_BOARD, _DATES = multi_seat("?", ["a", "b", "c", "d"], 2), approval("?", ["a", "b", "c"], seats=1)
_POINTS, _ORDER = score("?", ["a", "b", "c"], 5, seats=2), borda("?", ["a", "b", "c"], 2, seats=1)

COUNTS: Sequence[tuple[Question, Sequence[Sequence[int]]]] = (
    (_YES_NO, ([3, 2, 1], [2, 2, 2], [4, 2, 0], [4, 0, 2], [3, 1, 2], [6, 0, 0], [0, 0, 6], [5, 1, 0], [3, 3, 0])),
    (_THREE, ([3, 2, 1], [3, 3, 0], [4, 1, 1], [6, 0, 0], [2, 2, 2], [5, 0, 1])),
    (_MANY, ([4, 3, 2, 1, 0], [3, 3, 3, 0, 1], [4, 2, 2, 1, 2], [4, 4, 1, 1, 0], [0, 0, 0, 0, 6], [4, 0, 0, 0, 2])),
    (_BOARD, ([4, 3, 2, 1], [3, 3, 3, 3], [6, 2, 2, 2], [6, 6, 0, 0], [5, 0, 0, 0], [0, 0, 0, 0])),
    (_DATES, ([6, 5, 4], [4, 4, 1], [0, 0, 0])),
    (_POINTS, ([30, 20, 10], [20, 20, 20], [30, 5, 5], [0, 0, 0])),
    (_ORDER, ([3, 3, 2, 1, 1, 2], [2, 2, 2, 2, 2, 2], [6, 0, 0, 6, 0, 0])),
)
CASTINGS: Sequence[tuple[Question, Sequence[int], Sequence[Sequence[int]]]] = (
    (_YES_NO, [2, 2, 2], ([], [0], [1], [2], [0, 1])),
    (_YES_NO, [3, 2, 1], ([0], [])),
    (_YES_NO, [0, 0, 6], ([], [0])),
    (_THREE, [3, 3, 0], ([], [0], [1], [2], [0, 1])),
    (_MANY, [4, 2, 2, 2, 0], ([], [1], [3], [0], [1, 2])),
    (_BOARD, [3, 3, 3, 3], ([], [0, 1], [1, 3], [3, 1], [1, 1], [0])),
    (_ORDER, [2, 2, 2, 2, 2, 2], ([], [2], [0, 1])),
)


def rule_vectors() -> list[JsonObject]:
    """Section 8: outcomes by exact integers, of a roll of 9 members with 9 votes, 7 of them present."""
    meeting = Meeting("rules", members=9)
    meeting.check_in_all(7)
    good = votes.open_vote(meeting, "rules", [_YES_NO]).manifest
    kinds = ("simple", "absolute", "two-thirds", "three-quarters")
    bases = ("cast", "decided", "present", "roll")
    out = []
    for question, rows in COUNTS:
        simple = question.type in ("score", "borda")
        for counts, kind, base in itertools.product(rows, kinds[:1] if simple else kinds, bases):
            out.append(_rule(good, [question], [counts], 6, 6, {"rules.majority": {"kind": kind, "of": base}}))
    for question, counts, given in CASTINGS:
        tie = {"rules.tie": "casting-vote"}
        out += [_rule(good, [question], [counts], 6, 6, tie, {0: options}) for options in given]
        out.append(_rule(good, [question], [counts], 6, 6, tie))
    for by, unit, num, den in itertools.product(("present", "cast"), ("members", "votes"), (6, 7), (9,)):
        quorum = {"num": num, "den": den, "by": by, "in": unit}
        out.append(_rule(good, [_YES_NO], [[6, 0, 0]], 6, 6, {"rules.quorum": quorum}))
        out.append(_rule(good, [_YES_NO], [[7, 0, 0]], 5, 7, {"rules.quorum": quorum}))
    half = {"rules.quorum": {"num": 9, "den": 9, "by": "present", "in": "members"}}
    out.append(_rule(good, [_YES_NO, _THREE], [], 2, 2, {}))
    out.append(_rule(good, [_YES_NO], [], 2, 2, half))
    out.append(_rule(good, [_YES_NO], [], 2, 2, {"rules.tie": "casting-vote"}, {0: [0]}))
    out.append(_rule(good, [_YES_NO], [[3, 3, 0]], 6, 6, {"rules.tie": "casting-vote", **half}, {0: [0]}))
    out.append(_rule(good, [_YES_NO], [[2, 0, 0]], 2, 2, _PLAIN))
    out.append(_rule(good, [_YES_NO], [[0, 0, 0]], 0, 0, _PLAIN))
    return out


_PLAIN: JsonObject = {
    "secrecy": "open",
    "least_electorate": 1,
    "trustees": {
        "attempt": 0,
        "threshold": 0,
        "count": 0,
        "transcript": "",
        "key": "",
        "verification_keys": [],
        "sign_keys": [],
    },
}


def _rule(
    good: Manifest,
    questions: Sequence[Question],
    counts: Sequence[Sequence[int]],
    cast: int,
    weight: int,
    changes: JsonObject,
    castings: dict[int, Sequence[int]] | None = None,
) -> JsonObject:
    asked = [one.to_json() for one in questions]
    opened = Manifest.from_json(changed(good.json, {"questions": asked, **changes}))
    turnout = Turnout(cast, weight)
    made: Any = None
    code = code_of(rules.evaluate, opened, counts, turnout, castings)
    if code == "ok":
        made = rules.evaluate(opened, counts, turnout, castings)
    return {
        "secrecy": opened.secrecy,
        "questions": asked,
        "rules": opened.rules.to_json(),
        "present": opened.present,
        "present_weight": opened.present_weight,
        "roll_size": opened.roll_size,
        "roll_weight": opened.roll_weight,
        "cast": cast,
        "cast_weight": weight,
        "counts": [list(row) for row in counts],
        "castings": [{"question": index, "options": list(row)} for index, row in (castings or {}).items()],
        "code": code,
        "quorum": rules.quorum_json(opened, turnout),
        "outcome": [one.to_json() for one in made] if made else [],
        "casting_due": rules.undecided(made) if made else [],
    }
