"""Ballots that only a weak Fiat-Shamir challenge would let pass: commitments are chosen after the challenge."""

from __future__ import annotations

from collections.abc import Sequence

from tests.voting.seeded import SeededRng
from tests.voting.spoiling import Spoil
from tests.voting.votes import Vote

from folkmoot_voting import ballot, board, casting, group, signing
from folkmoot_voting.ballot import Answer, Ballot, Cell
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.range_proof import Pair, RangeProof

# Two votes for yes and minus one for no: the sum is 1, every total stays plausible.
DOUBLED = (group.scalar_int(2), group.scalar_sub(group.ZERO, group.ONE), group.ZERO)


def weak_challenge(manifest: Manifest, one: Ballot, answers: Sequence[Answer]) -> bytes:
    """Return a challenge that covers the ciphertexts and forgets every commitment."""
    pairs = [[point for cell in answer.cells for point in (cell.alpha, cell.beta)] for answer in answers]
    return ballot.challenge(manifest, one.credential, (one.weight, one.seq, one.prev), pairs)


def backwards(key: bytes, pair: Pair, low: int, high: int, e: bytes, rng: SeededRng) -> RangeProof:
    """Return a proof for a known challenge: responses first, then the commitments that fit them."""
    splits = [group.random_scalar(rng) for _ in range(high - low)]
    last = e
    for split in splits:
        last = group.scalar_sub(last, split)
    commitments, responses = [], []
    for value, c in zip(range(low, high + 1), [*splits, last], strict=True):
        z = group.random_scalar(rng)
        target = group.sub(pair[1], group.mult_base(group.scalar_int(value)))
        a = group.sub(group.mult_base(z), group.mult(c, pair[0]))
        commitments.append((a, group.sub(group.mult(z, key), group.mult(c, target))))
        responses.append(z)
    return RangeProof(tuple(commitments), tuple(splits), tuple(responses))


def doubled(vote: Vote) -> Spoil:
    """The first voter's ballot seals 2, -1 and 0 and proves it backwards."""
    manifest, person, rng = vote.manifest, vote.meeting.persons[0], SeededRng("weak")
    pairs: list[Pair] = []
    for value in DOUBLED:
        r = group.random_scalar(rng)
        pairs.append((group.mult_base(r), group.add(group.mult(r, manifest.key), group.mult_base(value))))
    credential = signing.public_key(person.credential)
    points = [[point for pair in pairs for point in pair]]
    e = ballot.challenge(manifest, credential, (1, 1, b""), points)
    cells = tuple(Cell(*pair, backwards(manifest.key, pair, 0, 1, e, rng)) for pair in pairs)
    whole = (group.total(pair[0] for pair in pairs), group.total(pair[1] for pair in pairs))
    answer = Answer(cells, (backwards(manifest.key, whole, 1, 1, e, rng),))
    unsigned: JsonObject = {
        "v": 1, "manifest": b64u(manifest.hash), "credential": b64u(credential), "weight": 1, "seq": 1, "prev": "",
        "choices": [b64u(answer.encode())],
    }  # fmt: skip
    entry = board.ballot_entry(casting.sign_ballot(unsigned, person.credential))
    vote.entries[0] = entry
    return {}
