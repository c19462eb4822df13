"""Quorum and outcome by exact integers (section 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .encoding import JsonObject
from .manifest import Manifest

LEAST_CAST = 3


@dataclass(frozen=True)
class Outcome:
    """The outcome of one question: its kind, and the option's index or -1."""

    kind: str
    option: int

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        return {"kind": self.kind, "option": self.option}


# kind of majority -> (votes, base) -> reached; "simple" asks only for more than the others
_REACHED: Mapping[str, Callable[[int, int], bool]] = {
    "simple": lambda _votes, _base: True,
    "absolute": lambda votes, base: 2 * votes > base,
    "two-thirds": lambda votes, base: 3 * votes >= 2 * base,
    "three-quarters": lambda votes, base: 4 * votes >= 3 * base,
}


def quorum_met(manifest: Manifest) -> bool:
    """Say whether present * den >= num * roll."""
    rules = manifest.rules
    return manifest.present * rules.quorum_den >= rules.quorum_num * manifest.roll_size


def evaluate(manifest: Manifest, counts: Sequence[Sequence[int]], cast: int) -> list[Outcome]:
    """Return the outcome of every question; counts may be empty when too few were cast."""
    if cast < LEAST_CAST:
        return [Outcome("too-few", -1) for _ in manifest.questions]
    if not quorum_met(manifest):
        return [Outcome("no-quorum", -1) for _ in manifest.questions]
    base = {"cast": cast, "present": manifest.present, "roll": manifest.roll_size}[manifest.rules.base]
    reached = _REACHED[manifest.rules.majority]
    outcomes = []
    for question, votes in zip(manifest.questions, counts, strict=True):
        if question.type == "yes-no-abstain":
            carried = votes[0] > votes[1] and reached(votes[0], base)
            outcomes.append(Outcome("carried", 0) if carried else Outcome("rejected", -1))
        else:
            outcomes.append(_elected(votes, base, reached))
    return outcomes


def _elected(votes: Sequence[int], base: int, reached: Callable[[int, int], bool]) -> Outcome:
    most = max(votes)
    if list(votes).count(most) == 1 and reached(most, base):
        return Outcome("elected", list(votes).index(most))
    return Outcome("none", -1)
