"""Quorum, majority, seats and ties by exact integers (section 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .encoding import JsonObject
from .errors import TallyInvalid
from .manifest import CASTING_VOTE, Manifest
from .questions import Question

LEAST_CAST = 3


@dataclass(frozen=True)
class Turnout:
    """Who voted: lineages, and their weight."""

    cast: int
    weight: int


@dataclass(frozen=True)
class Outcome:
    """The outcome of one question.

    Attributes:
        kind: "too-few", "no-quorum", "carried", "rejected", "elected" or "none".
        options: indices carried or elected, ascending.
        tied: indices between which a tie stood, ascending.
        votes: of every option in order; empty without a count that may be read.
        seats_left: how many of the tied a casting vote can elect.
        undecided: whether a casting vote is due and not there.
    """

    kind: str
    options: tuple[int, ...] = ()
    tied: tuple[int, ...] = ()
    votes: tuple[int, ...] = ()
    seats_left: int = 0
    undecided: bool = False

    def to_json(self) -> JsonObject:
        """Return the tally core's form."""
        return {
            "kind": self.kind,
            "options": list(self.options),
            "tied": list(self.tied),
            "votes": list(self.votes),
        }


# kind of majority -> (votes, base) -> reached; "simple" asks nothing of the base
_REACHED: Mapping[str, Callable[[int, int], bool]] = {
    "simple": lambda _votes, _base: True,
    "absolute": lambda votes, base: 2 * votes > base,
    "two-thirds": lambda votes, base: 3 * votes >= 2 * base,
    "three-quarters": lambda votes, base: 4 * votes >= 3 * base,
}


def quorum_json(manifest: Manifest, turnout: Turnout) -> JsonObject:
    """Return the core's quorum: count * den >= num * base."""
    rules, votes = manifest.rules, manifest.rules.quorum_in == "votes"
    present = manifest.present_weight if votes else manifest.present
    cast = turnout.weight if votes else turnout.cast
    count = cast if rules.quorum_by == "cast" else present
    base = manifest.roll_weight if votes else manifest.roll_size
    return {"met": count * rules.quorum_den >= rules.quorum_num * base, "count": count, "base": base}


def votes_of(question: Question, counts: Sequence[int]) -> tuple[int, ...]:
    """Return the votes of each option from the counts of the question's cells."""
    options = range(len(question.options))
    if question.type != "borda":
        return tuple(counts[option] for option in options)
    ranks = range(question.ranks)
    return tuple(sum((question.ranks - r) * counts[o * question.ranks + r] for r in ranks) for o in options)


def too_few(manifest: Manifest, cast: int) -> bool:
    """Say whether so few voted in a secret vote that its box stays shut."""
    return manifest.secret and cast < LEAST_CAST


def evaluate(
    manifest: Manifest,
    counts: Sequence[Sequence[int]],
    turnout: Turnout,
    castings: Mapping[int, Sequence[int]] | None = None,
) -> list[Outcome]:
    """Return the outcome of every question.

    Args:
        manifest: of the election.
        counts: per question the counts of its cells; may be empty when too few voted.
        turnout: lineages that voted and their weight.
        castings: the chair's casting votes by question.

    Raises:
        TallyInvalid: "voting.casting": a casting vote where none is due, or for options that it cannot elect.
    """
    given = dict(castings or {})
    if too_few(manifest, turnout.cast) or not quorum_json(manifest, turnout)["met"]:
        kind = "too-few" if too_few(manifest, turnout.cast) else "no-quorum"
        outcomes = [Outcome(kind) for _ in manifest.questions]
    else:
        outcomes = [
            _with_casting(manifest, one, _evaluate(manifest, one, row, turnout), given.pop(index, None))
            for index, (one, row) in enumerate(zip(manifest.questions, counts, strict=True))
        ]
    if given:
        raise TallyInvalid("a casting vote on a question that has no tie", code="voting.casting")
    return outcomes


def undecided(outcomes: Sequence[Outcome]) -> list[int]:
    """Return the questions that wait for a casting vote."""
    return [index for index, one in enumerate(outcomes) if one.undecided]


def _evaluate(manifest: Manifest, question: Question, counts: Sequence[int], turnout: Turnout) -> Outcome:
    votes = votes_of(question, counts)
    left_out = counts[question.leaves_undecided] if question.leaves_undecided is not None else 0
    base = {
        "cast": turnout.weight,
        "decided": turnout.weight - left_out,
        "present": manifest.present_weight,
        "roll": manifest.roll_weight,
    }[manifest.rules.base]
    reached = _REACHED[manifest.rules.majority]
    if question.type == "yes-no-abstain":
        if votes[0] > votes[1] and reached(votes[0], base):
            return Outcome("carried", (0,), votes=votes)
        even = votes[0] == votes[1] and manifest.rules.tie == CASTING_VOTE
        return Outcome("rejected", tied=(0, 1) if even else (), votes=votes, seats_left=1)
    candidates = [option for option, number in enumerate(votes) if number > 0 and reached(number, base)]
    elected, tied = _fill(votes, candidates, question.seats)
    kind = "elected" if elected else "none"
    return Outcome(kind, elected, tied, votes, question.seats - len(elected))


def _fill(votes: Sequence[int], candidates: Sequence[int], seats: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return who is elected and who is tied for the seats left, both ascending."""
    if len(candidates) <= seats:
        return tuple(candidates), ()
    border = sorted((votes[option] for option in candidates), reverse=True)[seats - 1]
    above = [option for option in candidates if votes[option] > border]
    equal = [option for option in candidates if votes[option] == border]
    if len(equal) <= seats - len(above):
        return tuple(sorted(above + equal)), ()
    return tuple(above), tuple(equal)


def _with_casting(manifest: Manifest, question: Question, found: Outcome, casting: Sequence[int] | None) -> Outcome:
    due = bool(found.tied) and manifest.rules.tie == CASTING_VOTE
    if casting is None:
        return Outcome(**{**vars(found), "undecided": due})
    if not due:
        raise TallyInvalid("a casting vote on a question that has no tie", code="voting.casting")
    ascending = all(left < right for left, right in pairwise(casting))
    if not ascending or not set(casting) <= set(found.tied) or len(casting) not in (0, found.seats_left):
        raise TallyInvalid("the casting vote does not fill the seats left", code="voting.casting")
    if question.type == "yes-no-abstain":
        carried = 0 in casting
        return Outcome("carried" if carried else "rejected", (0,) if carried else (), found.tied, found.votes)
    options = tuple(sorted((*found.options, *casting)))
    return Outcome("elected" if options else "none", options, found.tied, found.votes)
