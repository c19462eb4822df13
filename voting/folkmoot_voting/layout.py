"""Where points and scalars stand in the sealed ballots of an election (section 7), for the compiled library."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from .encoding import lp, u32
from .questions import Question
from .range_proof import proof_bytes

_LENGTH = u32(32)


@dataclass(frozen=True)
class Layout:
    """The order of all words of a ballot, the answers joined.

    Attributes:
        sizes: bytes of each answer.
        items: as native/multiexp.h describes them, 32-bit integers of this machine.
        points: number of points.
        branches: number of branches of all proofs.
        cells: place among the points of alpha and beta of every cell.
    """

    sizes: tuple[int, ...]
    items: bytes
    points: int
    branches: int
    cells: tuple[int, ...]
    _cut: struct.Struct
    _questions: tuple[tuple[bytes, int], ...]

    def encodings(self, raw: bytes) -> tuple[bytes, ...]:
        """Return every point of a ballot whose joined answers have these sizes, in the order of the challenge."""
        return self._cut.unpack(raw)

    def hashed(self, encodings: Sequence[bytes]) -> bytes:
        """Return what the challenge hashes of the questions and points, each with its length before it."""
        parts, start = [], 0
        for head, count in self._questions:
            parts += [head, _LENGTH.join((b"", *encodings[start : start + count]))]
            start += count
        return b"".join(parts)


@lru_cache(maxsize=16)
def layout_of(questions: tuple[Question, ...]) -> Layout:
    """Return the layout of the ballots of an election."""
    items, cut = array("I"), ["="]
    sizes: list[int] = []
    heads: list[tuple[bytes, int]] = []
    places: list[int] = []
    points = branches = 0
    for index, question in enumerate(questions):
        before, size, first = points, 0, len(places) // 2
        proofs = [(0, highest, ()) for highest in question.cells]
        for low, high, terms in (*proofs, *((one.low, one.high, one.terms) for one in question.constraints)):
            own = 0 if terms else 2
            places += [points, points + 1] if own else []
            count = high - low + 1
            items.extend((len(terms), count, low))
            items.extend(number for cell, factor in terms for number in (first + cell, factor))
            cut += ["32s" * (own + 2 * count), f"{32 * (2 * count - 1)}x"]
            points, branches = points + own + 2 * count, branches + count
            size += 32 * own + proof_bytes(low, high)
        sizes.append(size)
        heads.append((lp(u32(index)) + lp(u32(len(question.cells))), points - before))
    packed = struct.Struct("".join(cut))
    return Layout(tuple(sizes), items.tobytes(), points, branches, tuple(places), packed, tuple(heads))
