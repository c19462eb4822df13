"""Range proofs (section 7): that an ElGamal pair seals one of lo..hi, as one disjunction over all values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from . import group
from .group import Rng

Pair = tuple[bytes, bytes]


@dataclass(frozen=True)
class RangeProof:
    """A proof with a branch for each value: commitments, split challenges (all but the last) and responses."""

    commitments: tuple[Pair, ...]
    challenges: tuple[bytes, ...]
    responses: tuple[bytes, ...]

    def points(self) -> Iterator[bytes]:
        """Return the commitments in the order that the ballot's challenge hashes them."""
        return (point for pair in self.commitments for point in pair)

    def encode(self) -> bytes:
        """Return the bytes of section 7."""
        return b"".join((*self.points(), *self.challenges, *self.responses))

    @classmethod
    def decode(cls, words: Iterator[bytes], count: int) -> RangeProof:
        """Take the words of a proof over `count` values; looks at nothing but their number."""
        points = [next(words) for _ in range(2 * count)]
        pairs = tuple(zip(points[::2], points[1::2], strict=True))
        splits = tuple(next(words) for _ in range(count - 1))
        return cls(pairs, splits, tuple(next(words) for _ in range(count)))

    def all_challenges(self, e: bytes) -> tuple[bytes, ...]:
        """Return the challenges with the last, so that they add up to e."""
        last = e
        for c in self.challenges:
            last = group.scalar_sub(last, c)
        return (*self.challenges, last)


def proof_bytes(low: int, high: int) -> int:
    """Return the length of a proof for low..high."""
    count = high - low + 1
    return 128 * count - 32


def verify(key: bytes, pair: Pair, low: int, proof: RangeProof, e: bytes) -> bool:
    """Say whether every branch holds: z*G = A + c*alpha and z*Y = B + c*(beta - v*G).

    Args:
        key: the trustees' key Y.
        pair: (alpha, beta), canonical points.
        low: the value of the first branch.
        proof: with canonical points and scalars.
        e: the ballot's challenge.
    """
    alpha, beta = pair
    target = group.sub(beta, group.mult_base(group.scalar_int(low)))
    branches = zip(proof.commitments, proof.all_challenges(e), proof.responses, strict=True)
    for (a, b), c, z in branches:
        if group.mult_base(z) != group.add(a, group.mult(c, alpha)):
            return False
        if group.mult(z, key) != group.add(b, group.mult(c, target)):
            return False
        target = group.sub(target, group.BASE)
    return True


@dataclass(frozen=True)
class Draft:
    """A proof between commitment and response; it holds secrets and lives only while a ballot is made."""

    low: int
    value: int
    randomness: bytes
    nonce: bytes
    simulated: dict[int, tuple[bytes, bytes]]
    commitments: tuple[Pair, ...]

    @classmethod
    def commit(
        cls, key: bytes, pair: Pair, bounds: tuple[int, int], value: int, randomness: bytes, rng: Rng
    ) -> Draft:
        """Draw w, then c and z of every other value ascending, and commit.

        Args:
            key: the trustees' key Y.
            pair: (alpha, beta) that seals `value` with `randomness`.
            bounds: lowest and highest value.
            value: the true one, within the bounds.
            randomness: the r of the pair.
            rng: draws 64 bytes per scalar.
        """
        low, high = bounds
        nonce = group.random_scalar(rng)
        simulated = {
            other: (group.random_scalar(rng), group.random_scalar(rng))
            for other in range(low, high + 1)
            if other != value
        }
        commitments = []
        for v in range(low, high + 1):
            if v == value:
                commitments.append((group.mult_base(nonce), group.mult(nonce, key)))
                continue
            c, z = simulated[v]
            target = group.sub(pair[1], group.mult_base(group.scalar_int(v)))
            a = group.sub(group.mult_base(z), group.mult(c, pair[0]))
            commitments.append((a, group.sub(group.mult(z, key), group.mult(c, target))))
        return cls(low, value, randomness, nonce, simulated, tuple(commitments))

    def points(self) -> Iterable[bytes]:
        """Return the commitments in the order that the ballot's challenge hashes them."""
        return (point for pair in self.commitments for point in pair)

    def respond(self, e: bytes) -> RangeProof:
        """Return the finished proof for the ballot's challenge."""
        real = e
        for c, _ in self.simulated.values():
            real = group.scalar_sub(real, c)
        response = group.scalar_add(self.nonce, group.scalar_mul(real, self.randomness))
        values = range(self.low, self.low + len(self.commitments))
        branches = [(real, response) if v == self.value else self.simulated[v] for v in values]
        return RangeProof(self.commitments, tuple(c for c, _ in branches[:-1]), tuple(z for _, z in branches))
