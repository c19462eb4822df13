"""Many ballots at once: the proofs of all of them as one random linear combination, and their weighted sums.

The verdict on each ballot is that of `ballot.check_ballot`. With the compiled library of `multiexp` a batch whose
combination is the identity holds but for a chance of 2^-128, and halving finds those that do not; without it every
ballot is checked by itself. Only public data comes here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from . import ballot as ballots
from . import group, multiexp
from .ballot import Answer, Ballot, CheckedBallot
from .encoding import lp, u32
from .errors import BallotBytesInvalid, BallotRejected, GroupError
from .group import Rng
from .layout import Layout, layout_of
from .manifest import Manifest
from .multiexp import Decoded
from .range_proof import Pair
from .tally import Aggregate, make_aggregate

WEIGHT_BYTES: Final = 16


@dataclass(frozen=True)
class Opened:
    """A sealed ballot whose bytes are good (V12).

    Attributes:
        points: decoded by the compiled library, None without it.
    """

    ballot: Ballot
    manifest: Manifest
    points: Decoded | None

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """The choices taken apart."""
        return ballots.split_answers(self.manifest, self.ballot)

    @cached_property
    def encodings(self) -> tuple[bytes, ...]:
        """Every point, in the order of the challenge."""
        return layout_of(self.manifest.questions).encodings(b"".join(self.ballot.choices))


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
    if hints is None or not (fast and is_fast()):
        (found,) = open_many(manifest, [ballot], fast=fast)
        if isinstance(found, BallotBytesInvalid):
            raise found
        return found
    ballots.check_scalars(ballots.split_answers(manifest, ballot))
    found = Opened(ballot, manifest, None)
    try:
        return Opened(ballot, manifest, multiexp.decode(b"".join(found.encodings), hints))
    except GroupError as error:
        raise BallotBytesInvalid("a point is not canonical") from error


def open_many(manifest: Manifest, batch: Sequence[Ballot], *, fast: bool = True) -> list[Opened | BallotBytesInvalid]:
    """Decode sealed ballots (V12) and return for each what `open_ballot` would return or raise."""
    layout = layout_of(manifest.questions)
    points: dict[int, Decoded] = {}
    if fast and is_fast():
        fitting = [index for index, one in enumerate(batch) if tuple(map(len, one.choices)) == layout.sizes]
        if fitting:
            raw = b"".join(choice for index in fitting for choice in batch[index].choices)
            decoded, good = multiexp.decode_ballots(raw, len(fitting), layout.points, layout.items)
            starts = range(0, len(decoded), layout.points)
            points = {
                index: decoded[start : start + layout.points]
                for index, start, fine in zip(fitting, starts, good, strict=True)
                if fine
            }
    return [
        Opened(one, manifest, points[index]) if index in points else _open_slowly(manifest, one)
        for index, one in enumerate(batch)
    ]


def _open_slowly(manifest: Manifest, ballot: Ballot) -> Opened | BallotBytesInvalid:
    """Decode through libsodium, which also says what is wrong."""
    try:
        ballots.decode_answers(manifest, ballot)
    except BallotBytesInvalid as error:
        return error
    return Opened(ballot, manifest, None)


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
    if any(one.points is None for one in batch):
        return [start + index for index, one in enumerate(batch) if _fault(manifest, one) is not None]
    if not batch or _holds(manifest, batch, rng):
        return []
    if len(batch) == 1:
        return [start] if _fault(manifest, batch[0]) is not None else []
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
    signed: list[int] = []
    for index, one in enumerate(batch):
        try:
            if not manifest.secret:
                results[index] = ballots.check_ballot(manifest, one)
                continue
            ballots.check_manifest(manifest, one)
            ballots.check_signature(one)
            signed.append(index)
        except BallotRejected as error:
            results[index] = error
    opened: list[tuple[int, Opened]] = []
    for index, found in zip(signed, open_many(manifest, [batch[index] for index in signed]), strict=True):
        if isinstance(found, Opened):
            opened.append((index, found))
        else:
            results[index] = found
    bad = set(all_bad(manifest, [one for _, one in opened], rng))
    for number, (index, decoded) in enumerate(opened):
        fault = _fault(manifest, decoded) if number in bad else None
        results[index] = fault if fault is not None else _checked(decoded, seen_points)
    return [one for one in results if one is not None]


def _checked(one: Opened, seen_points: Collection[bytes]) -> CheckedBallot | BallotRejected:
    points = frozenset(one.encodings)
    try:
        ballots.check_copies(points, seen_points)
    except BallotRejected as error:
        return error
    return CheckedBallot(one.ballot, one.manifest, (), one.ballot.leaf, points)


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
    """Say whether the combination of all equations of a batch is the identity, with weights of 128 bits each."""
    layout = layout_of(manifest.questions)
    points = [one.points for one in batch if one.points is not None]
    if any(max(one.ballot.weight, one.ballot.seq) >= 1 << 32 for one in batch) or len(points) != len(batch):
        return False
    raw = b"".join(choice for one in batch for choice in one.ballot.choices)
    challenges = b"".join(_challenges(manifest, layout, batch))
    weights = rng(2 * WEIGHT_BYTES * layout.branches * len(batch))
    fixed = multiexp.decode(group.BASE + manifest.key)
    try:
        return multiexp.ballots_hold(raw, multiexp.join(points), fixed, layout.items, challenges, weights)
    except GroupError:
        return False


def _challenges(manifest: Manifest, layout: Layout, batch: Sequence[Opened]) -> Iterator[bytes]:
    """Yield the SHA-512 of which `ballot.challenge` is the remainder."""
    head = lp("fm1/ballot") + lp(manifest.hash) + lp(manifest.key)
    for one in batch:
        own = one.ballot
        place = lp(own.credential) + lp(u32(own.weight)) + lp(u32(own.seq)) + lp(own.prev)
        yield hashlib.sha512(head + place + layout.hashed(one.encodings)).digest()


class BatchSums:
    """The aggregate of counted ballots, a few at a time in memory that does not grow."""

    def __init__(self, manifest: Manifest, *, fast: bool = True) -> None:
        """Begin with nothing; `fast` as for `open_ballot`."""
        self._manifest = manifest
        self._fast = fast and is_fast()
        layout = layout_of(manifest.questions)
        self._offsets, self._width = layout.cells, layout.points
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
        return multiexp.decode(b"".join(one.encodings), native=self._fast)
