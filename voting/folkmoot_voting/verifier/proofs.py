"""The second reading of a board: signatures, bytes, proofs, copies, and the sums of the ballots that count."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from folkmoot_voting import ballot as ballots
from folkmoot_voting import batch, tally
from folkmoot_voting.ballot import Ballot
from folkmoot_voting.errors import VotingError
from folkmoot_voting.manifest import Manifest

from .copies import PointKeys, SharedPoints
from .entries import read_ballots
from .survey import Survey

CHUNK: Final = 1024

Lines = Callable[[], Iterator[bytes]]
Progress = Callable[[int], None]
# The ballot's number from 1, the ballot, and whether an earlier run has checked it.
Numbered = tuple[int, Ballot, bool]
T = TypeVar("T")


@dataclass
class Proofs:
    """What the second reading found.

    Attributes:
        faults: first fault of V11 to V15 by id.
        total: the sums of the counted ballots of a secret vote; None in others and when bytes are wrong.
        counts: those of the counted ballots of another vote.
        skipped: ballots that an earlier run had checked.
    """

    faults: dict[str, str] = field(default_factory=dict)
    total: tally.Aggregate | None = None
    counts: list[list[int]] | None = None
    skipped: int = 0


def prove(manifest: Manifest, survey: Survey, lines: Lines, *, strict: bool, skip: int, progress: Progress) -> Proofs:
    """Read a board whose form is known to be right.

    Args:
        manifest: of the election.
        survey: what the first reading found.
        lines: begins another reading.
        strict: check every equation alone.
        skip: signatures, bytes and proofs of ballots among the first `skip` entries hold already.
        progress: told the number of ballots after each chunk.
    """
    reading = _Plain(manifest, survey) if not manifest.secret else _Sealed(manifest, survey, strict)
    found = read_ballots(lines())
    done = 0
    while part := list(islice(found, CHUNK)):
        chunk = [(done + index, ballot, place < skip) for index, (place, ballot) in enumerate(part, 1)]
        for number, ballot, known in chunk:
            reading.proofs.skipped += known
            if not known:
                _noted(reading.proofs, "V11", number, partial(ballots.check_signature, ballot))
        reading.take(chunk)
        done += len(chunk)
        progress(done)
    return reading.finish(lines)


def _noted(proofs: Proofs, check: str, number: int, what: Callable[[], T]) -> T | None:
    """Run a check of one ballot and return what it gives; note why it fails, and return None."""
    try:
        return what()
    except VotingError as error:
        proofs.faults.setdefault(check, f"ballot {number}: {error.detail}")
        return None


class _Plain:
    """Open and roll-call ballots."""

    def __init__(self, manifest: Manifest, survey: Survey) -> None:
        self.proofs = Proofs()
        self._manifest, self._counted = manifest, survey.counted
        self._counts = tally.plain_counts(manifest, ())

    def take(self, chunk: list[Numbered]) -> None:
        """Check values and sums and add up what counts."""
        counted = []
        for number, ballot, _known in chunk:
            decode = partial(ballots.decode_values, self._manifest, ballot)
            values = _noted(self.proofs, "V12", number, decode)
            if values is None:
                return
            _noted(self.proofs, "V14", number, partial(ballots.check_value_sums, self._manifest, values))
            if ballot.leaf in self._counted:
                counted.append((ballot.weight, values))
        more = tally.plain_counts(self._manifest, counted)
        for row, added in zip(self._counts, more, strict=True):
            row[:] = [a + b for a, b in zip(row, added, strict=True)]

    def finish(self, _lines: Lines) -> Proofs:
        """Return what was found."""
        self.proofs.counts = self._counts
        return self.proofs


class _Sealed:
    """Secret ballots."""

    def __init__(self, manifest: Manifest, survey: Survey, strict: bool) -> None:
        self.proofs = Proofs()
        self._manifest, self._counted, self._fast = manifest, survey.counted, not strict
        self._keys = PointKeys()
        self._sums = batch.BatchSums(manifest, fast=self._fast)

    def take(self, chunk: list[Numbered]) -> None:
        """Check bytes and proofs, keep the points' keys, and add up what counts."""
        if "V12" in self.proofs.faults:
            return
        opened = []
        found = batch.open_many(self._manifest, [ballot for _, ballot, _ in chunk], fast=self._fast)
        for (number, _, known), one in zip(chunk, found, strict=True):
            if not isinstance(one, batch.Opened):
                self.proofs.faults.setdefault("V12", f"ballot {number}: {one.detail}")
                return
            self._keys.add(one.encodings)
            opened.append((number, one, known))
        unproved = [(number, one) for number, one, known in opened if not known]
        for index in self._bad([one for _, one in unproved]):
            self._blame(*unproved[index])
        self._sums.add([one for _, one, _ in opened if one.ballot.leaf in self._counted])

    def _bad(self, unproved: list[batch.Opened]) -> list[int]:
        if {"V13", "V14"} <= self.proofs.faults.keys():
            return []
        return batch.all_bad(self._manifest, unproved, _Weights(one.ballot.leaf for one in unproved))

    def _blame(self, number: int, one: batch.Opened) -> None:
        """Say which of its proofs fail."""
        e = ballots.ballot_challenge(self._manifest, one.ballot, one.answers)
        _noted(self.proofs, "V13", number, partial(ballots.check_cells, self._manifest, e, one.answers))
        _noted(self.proofs, "V14", number, partial(ballots.check_constraints, self._manifest, e, one.answers))

    def finish(self, lines: Lines) -> Proofs:
        """Compare whole points where keys are shared, and return what was found."""
        if "V12" in self.proofs.faults:
            return self.proofs
        shared = self._keys.shared()
        if shared:
            compare = SharedPoints(shared)
            for number, (_, ballot) in enumerate(read_ballots(lines()), 1):
                points = ballots.ballot_points(ballots.split_answers(self._manifest, ballot))
                if compare.add(number, points):
                    self.proofs.faults["V15"] = f"ballot {number}: a point of an earlier ballot"
                    break
        self.proofs.total = self._sums.result()
        return self.proofs


class _Weights:
    """The weights of a batch, drawn from the hash of all its ballots.

    Nobody can know them before the ballots are fixed, and every run draws the same. Who tries ballot after ballot
    until wrong equations cancel needs some 2^128 trials.
    """

    def __init__(self, leaves: Iterable[bytes]) -> None:
        self._seed = hashlib.sha512(b"".join(leaves)).digest()
        self._next = 0

    def __call__(self, size: int) -> bytes:
        """Return the next bytes."""
        self._next += 1
        return hashlib.shake_256(self._seed + self._next.to_bytes(8, "big")).digest(size)
