"""How a batch of ballots is checked with `multiexp`: one random linear combination, and bisection for the bad one.

An example and a yardstick; the tests and `loadtests.points` use it. A ballot says, for each branch of each range
proof (section 7), z*G = A + c*alpha and z*Y = B + c*(beta - v*G). All that, of all ballots, becomes one sum that
must be the identity, each equation times 128 random bits. G and Y occur once for the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from folkmoot_voting import ballot, group, multiexp
from folkmoot_voting.ballot import Answer, Ballot
from folkmoot_voting.errors import GroupError
from folkmoot_voting.group import Rng
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.range_proof import RangeProof


@dataclass(frozen=True)
class Arrived:
    """A ballot with its points decoded once, for this check and for the sum of all ballots."""

    ballot: Ballot
    answers: tuple[Answer, ...]
    points: multiexp.Decoded


def arrive(manifest: Manifest, one: Ballot, hints: bytes | None = None, *, native: bool = True) -> Arrived:
    """Take a ballot apart and decode its points; raises BallotBytesInvalid or PointRefused."""
    answers = ballot.split_answers(manifest, one)
    ballot.check_scalars(answers)
    encodings = b"".join(point for answer in answers for point in answer.points())
    return Arrived(one, answers, multiexp.decode(encodings, hints, native=native))


class Combination:
    """The equations of one ballot as scalars: of G, of Y, and of its points in their order."""

    def __init__(self, manifest: Manifest, one: Arrived, rng: Rng) -> None:
        self.g = self.y = 0
        self.points: list[int] = []
        self._rng = rng
        self._e = int.from_bytes(ballot.ballot_challenge(manifest, one.ballot, one.answers), "little")
        for question, answer in zip(manifest.questions, one.answers, strict=True):
            self._pairs = [[0, 0] for _ in answer.cells]
            inner = [self._proof(cell.proof, [(index, 1)], 0) for index, cell in enumerate(answer.cells)]
            sums = [
                self._proof(proof, constraint.terms, constraint.low)
                for constraint, proof in zip(question.constraints, answer.sums, strict=True)
            ]
            for pair, commitments in zip(self._pairs, inner, strict=True):
                self.points += [*pair, *commitments]
            for commitments in sums:
                self.points += commitments

    def _proof(self, proof: RangeProof, terms: Sequence[tuple[int, int]], low: int) -> list[int]:
        """Add the equations about the sum of terms (cell, factor); return the scalars of the commitments."""
        splits = [int.from_bytes(c, "little") for c in proof.challenges]
        splits.append(self._e - sum(splits))
        weights = []
        on_alpha = on_beta = 0
        for v, (c, response) in enumerate(zip(splits, proof.responses, strict=True), low):
            z, drawn = int.from_bytes(response, "little"), self._rng(32)
            first, second = (int.from_bytes(half, "little") for half in (drawn[:16], drawn[16:]))
            weights += [first, second]
            on_alpha += first * c
            on_beta += second * c
            self.g -= first * z + second * c * v
            self.y -= second * z
        for cell, factor in terms:
            self._pairs[cell][0] += factor * on_alpha
            self._pairs[cell][1] += factor * on_beta
        return weights


def holds(manifest: Manifest, batch: Sequence[Arrived], rng: Rng) -> bool:
    """Say whether every proof of every ballot holds; wrong with a chance of at most 2^-128.

    Args:
        manifest: of the election.
        batch: decoded by one back end.
        rng: draws 32 bytes per branch, which nobody could foresee when the ballots were made.
    """
    if not batch:
        return True
    g = y = 0
    scalars = []
    for one in batch:
        combination = Combination(manifest, one, rng)
        g, y = g + combination.g, y + combination.y
        scalars += combination.points
    fixed = multiexp.decode(group.BASE + manifest.key, native=batch[0].points.backend == "native")
    spelled = b"".join((number % group.ORDER).to_bytes(32, "little") for number in (g, y, *scalars))
    return multiexp.is_identity(spelled, multiexp.join([fixed, *(one.points for one in batch)]))


def find_bad(manifest: Manifest, batch: Sequence[Arrived], rng: Rng) -> list[int]:
    """Return the places of the ballots whose proofs do not hold, by halving."""
    if holds(manifest, batch, rng):
        return []
    if len(batch) == 1:
        return [0]
    half = len(batch) // 2
    later = find_bad(manifest, batch[half:], rng)
    return find_bad(manifest, batch[:half], rng) + [half + place for place in later]


def refused(manifest: Manifest, one: Ballot, *, native: bool) -> bool:
    """Say whether a ballot's bytes are refused before any proof is looked at."""
    try:
        arrive(manifest, one, native=native)
    except (ballot.BallotBytesInvalid, GroupError):
        return True
    return False
