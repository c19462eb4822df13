"""Many ballots at once: the proofs of all of them as one random linear combination, and their weighted sums.

The verdict on each ballot is that of `ballot.check_ballot`. With the compiled library of `multiexp` a batch whose
combination is the identity holds but for a chance of 2^-128, and halving finds those that do not; without it every
ballot is checked by itself. Only public data comes here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from . import ballot as ballots
from . import group, multiexp
from .ballot import Answer, Ballot, CheckedBallot
from .errors import BallotBytesInvalid, BallotRejected, GroupError
from .group import Rng
from .manifest import Manifest
from .multiexp import Decoded
from .questions import Question
from .range_proof import Pair, RangeProof
from .tally import Aggregate, make_aggregate

WEIGHT_BYTES: Final = 16


@dataclass(frozen=True)
class Opened:
    """A sealed ballot whose bytes are good (V12).

    Attributes:
        points: decoded by the compiled library, None without it.
    """

    ballot: Ballot
    answers: tuple[Answer, ...]
    points: Decoded | None


def is_fast() -> bool:
    """Say whether the compiled library does the work."""
    return multiexp.backend_name() == "native"


def open_ballot(manifest: Manifest, ballot: Ballot, hints: bytes | None = None, *, fast: bool = True) -> Opened:
    """Decode a sealed ballot (V12).

    Args:
        manifest: of the election.
        ballot: with the right form.
        hints: what `multiexp.decode_with_hints` gave for its points; never trusted.
        fast: false to leave the compiled library out.

    Raises:
        BallotBytesInvalid: as `ballot.decode_answers`.
    """
    if not (fast and is_fast()):
        return Opened(ballot, ballots.decode_answers(manifest, ballot), None)
    answers = ballots.split_answers(manifest, ballot)
    ballots.check_scalars(answers)
    encodings = b"".join(point for answer in answers for point in answer.points())
    try:
        return Opened(ballot, answers, multiexp.decode(encodings, hints))
    except GroupError as error:
        raise BallotBytesInvalid("a point is not canonical") from error


def first_bad(manifest: Manifest, batch: Sequence[Opened], rng: Rng) -> int | None:
    """Return the index of the first ballot whose proofs fail (V13, V14), None when all hold.

    Args:
        manifest: of the election.
        batch: opened ballots.
        rng: fresh random bytes that nobody could foresee when the ballots were made.
    """
    found = all_bad(manifest, batch, rng)
    return found[0] if found else None


def all_bad(manifest: Manifest, batch: Sequence[Opened], rng: Rng) -> list[int]:
    """Return the indices of the ballots whose proofs fail, ascending; arguments as for `first_bad`."""
    return _bad_within(manifest, batch, rng, 0)


def _bad_within(manifest: Manifest, batch: Sequence[Opened], rng: Rng, start: int) -> list[int]:
    if len(batch) <= 1 or any(one.points is None for one in batch):
        return [start + index for index, one in enumerate(batch) if _fault(manifest, one) is not None]
    if _holds(manifest, batch, rng):
        return []
    middle = len(batch) // 2
    left = _bad_within(manifest, batch[:middle], rng, start)
    return left + _bad_within(manifest, batch[middle:], rng, start + middle)


def check_many(
    manifest: Manifest, batch: Sequence[Ballot], rng: Rng, *, seen_points: Collection[bytes] = frozenset()
) -> list[CheckedBallot | BallotRejected]:
    """Check ballots as `ballot.check_ballot` does and return for each the checked ballot or the refusal.

    Args:
        manifest: of the election.
        batch: ballots with the right form, of any voters; that two of one batch share a point is for the caller.
        rng: fresh random bytes.
        seen_points: points of other ballots of the election.
    """
    results: list[CheckedBallot | BallotRejected | None] = [None] * len(batch)
    opened: list[tuple[int, Opened]] = []
    for index, one in enumerate(batch):
        try:
            if not manifest.secret:
                results[index] = ballots.check_ballot(manifest, one)
                continue
            ballots.check_manifest(manifest, one)
            ballots.check_signature(one)
            opened.append((index, open_ballot(manifest, one)))
        except BallotRejected as error:
            results[index] = error
    bad = set(all_bad(manifest, [one for _, one in opened], rng))
    for number, (index, decoded) in enumerate(opened):
        fault = _fault(manifest, decoded) if number in bad else None
        results[index] = fault if fault is not None else _checked(decoded, seen_points)
    return [one for one in results if one is not None]


def _checked(one: Opened, seen_points: Collection[bytes]) -> CheckedBallot | BallotRejected:
    points = ballots.ballot_points(one.answers)
    try:
        ballots.check_copies(points, seen_points)
    except BallotRejected as error:
        return error
    return CheckedBallot(one.ballot, one.answers, (), one.ballot.leaf, points)


def _fault(manifest: Manifest, one: Opened) -> BallotRejected | None:
    """Check the proofs of one ballot through libsodium."""
    try:
        e = ballots.ballot_challenge(manifest, one.ballot, one.answers)
        ballots.check_cells(manifest, e, one.answers)
        ballots.check_constraints(manifest, e, one.answers)
    except BallotRejected as error:
        return error
    return None


def _holds(manifest: Manifest, batch: Sequence[Opened], rng: Rng) -> bool:
    """Say whether the combination of all equations of a batch is the identity."""
    on_base = on_key = 0
    scalars: list[int] = []
    parts = [multiexp.decode(group.BASE + manifest.key)]
    for one in batch:
        if one.points is None:
            return False
        try:
            made = _Combination(manifest, one, rng)
        except BallotRejected:
            return False
        on_base, on_key = on_base + made.on_base, on_key + made.on_key
        scalars += made.scalars
        parts.append(one.points)
    order = group.ORDER
    raw = b"".join((scalar % order).to_bytes(32, "little") for scalar in (on_base, on_key, *scalars))
    return multiexp.is_identity(raw, multiexp.join(parts))


class _Combination:
    """The equations of one ballot, each times 128 random bits, as scalars of G, of Y and of the ballot's points.

    For each branch v of each proof, with weights f and s: f*(A + c*alpha - z*G) + s*(B + c*(beta - v*G) - z*Y).
    """

    def __init__(self, manifest: Manifest, one: Opened, rng: Rng) -> None:
        self.on_base = self.on_key = 0
        self.scalars: list[int] = []
        self._e = int.from_bytes(ballots.ballot_challenge(manifest, one.ballot, one.answers), "little")
        branches = sum(len(answer.points()) // 2 - len(answer.cells) for answer in one.answers)
        drawn = rng(2 * WEIGHT_BYTES * branches)
        self._weights = iter(
            [
                int.from_bytes(drawn[start : start + WEIGHT_BYTES], "little")
                for start in range(0, len(drawn), WEIGHT_BYTES)
            ]
        )
        for question, answer in zip(manifest.questions, one.answers, strict=True):
            self._add_answer(question, answer)

    def _add_answer(self, question: Question, answer: Answer) -> None:
        pairs = [[0, 0] for _ in answer.cells]
        inner = []
        for pair, cell in zip(pairs, answer.cells, strict=True):
            commitments, alpha, beta = self._add_proof(cell.proof, 0)
            inner.append(commitments)
            pair[0], pair[1] = alpha, beta
        sums: list[int] = []
        for one, proof in zip(question.constraints, answer.sums, strict=True):
            commitments, alpha, beta = self._add_proof(proof, one.low)
            sums += commitments
            for cell_index, factor in one.terms:
                pairs[cell_index][0] += factor * alpha
                pairs[cell_index][1] += factor * beta
        for pair, commitments in zip(pairs, inner, strict=True):
            self.scalars += pair
            self.scalars += commitments
        self.scalars += sums

    def _add_proof(self, proof: RangeProof, low: int) -> tuple[list[int], int, int]:
        """Return the scalars of the commitments, of alpha and of beta; add to those of G and Y."""
        splits = [int.from_bytes(c, "little") for c in proof.challenges]
        splits.append((self._e - sum(splits)) % group.ORDER)
        commitments: list[int] = []
        on_alpha = on_beta = 0
        for v, (c, response) in enumerate(zip(splits, proof.responses, strict=True), low):
            z = int.from_bytes(response, "little")
            first, second = next(self._weights), next(self._weights)
            commitments += (first, second)
            on_alpha += first * c
            on_beta += second * c
            self.on_base -= first * z + second * c * v
            self.on_key -= second * z
        return commitments, on_alpha, on_beta


class BatchSums:
    """The aggregate of counted ballots, a few at a time in memory that does not grow."""

    def __init__(self, manifest: Manifest, *, fast: bool = True) -> None:
        """Begin with nothing; `fast` as for `open_ballot`."""
        self._manifest = manifest
        self._fast = fast and is_fast()
        self._offsets: list[int] = []
        self._width = 0
        for question in manifest.questions:
            for highest in question.cells:
                self._offsets += [self._width, self._width + 1]
                self._width += 2 + 2 * (highest + 1)
            self._width += sum(2 * (one.high - one.low + 1) for one in question.constraints)
        self._sums = multiexp.Sums(len(self._offsets), native=self._fast)

    def add(self, batch: Sequence[Opened]) -> None:
        """Add ballots, each with its weight."""
        if not batch:
            return
        rows = [self._points(one) for one in batch]
        weights = [one.ballot.weight for one in batch]
        self._sums.add(multiexp.join(rows), stride=self._width, offsets=self._offsets, weights=weights)

    def result(self) -> Aggregate:
        """Return the aggregate of everything added so far."""
        flat = self._sums.result()
        pairs: list[Pair] = list(zip(flat[::2], flat[1::2], strict=True))
        rows, start = [], 0
        for question in self._manifest.questions:
            rows.append(pairs[start : start + len(question.cells)])
            start += len(question.cells)
        return make_aggregate(self._manifest, rows)

    def _points(self, one: Opened) -> Decoded:
        if one.points is not None and self._fast:
            return one.points
        encodings = b"".join(point for answer in one.answers for point in answer.points())
        return multiexp.decode(encodings, native=self._fast)
