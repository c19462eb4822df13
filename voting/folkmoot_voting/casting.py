"""Making ballots (section 7): the voter's side in software, and the second device's check of an audited ballot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import fields, group, signing
from .ballot import Answer, Cell, challenge, sealed_hash, signed_hash, spoken_code, weighted_sum
from .encoding import JsonObject, b64u, h, h512, jcs, strict_json, u32, unb64u
from .errors import BallotMalformed, EncodingError
from .group import Rng
from .manifest import Manifest
from .questions import Question, check_values
from .range_proof import Draft, Pair

MAX_VOIDS = 5

OPENING = fields.record(
    manifest=fields.hash32,
    credential=fields.key32,
    weight=fields.integer(1, 10**6),
    seq=fields.integer(1, 2**32 - 1),
    prev=fields.empty_or(fields.hash32),
    seed=fields.hash32,
    choices=fields.items(fields.items(fields.integer(0, 10), 0, 128), 0, 8),
)


class SeededDraws:
    """The generator of a page: the i-th 64 bytes are H512("fm1/draw", seed, u32(i))."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._next = seed, 0

    def __call__(self, size: int) -> bytes:
        """Return the next 64 bytes; raises EncodingError for another size."""
        if size != 64:
            raise EncodingError("a page draws 64 bytes at a time")
        self._next += 1
        return draw(self._seed, self._next - 1)


def draw(seed: bytes, index: int) -> bytes:
    """Return the 64 bytes of one draw, counted from 0."""
    return h512("fm1/draw", seed, u32(index))


@dataclass(frozen=True)
class Place:
    """Where a ballot stands in its lineage: weight, seq from 1, and the leaf of the ballot before or b""."""

    weight: int = 1
    seq: int = 1
    prev: bytes = b""


FIRST = Place()


def seal(
    manifest: Manifest, credential: bytes, choices: Sequence[Sequence[int]], rng: Rng, place: Place = FIRST
) -> JsonObject:
    """Return a ballot without its signature.

    Args:
        manifest: of the election; open and roll-call votes give a plain ballot and draw nothing.
        credential: Ed25519 public key of the voter.
        choices: per question the value of each cell.
        rng: draws 64 bytes per scalar, in the order of section 7; `SeededDraws` for one that can be audited.
        place: in the credential's lineage.

    Raises:
        BallotRejected: "voting.choice": not one list per question, or values that the question does not allow.
    """
    if len(choices) != len(manifest.questions):
        raise BallotMalformed("every question must be answered", code="voting.choice")
    for question, values in zip(manifest.questions, choices, strict=True):
        check_values(question, values)
    return {
        "v": 1,
        "manifest": b64u(manifest.hash),
        "credential": b64u(credential),
        "weight": place.weight,
        "seq": place.seq,
        "prev": b64u(place.prev),
        "choices": [b64u(raw) for raw in _contents(manifest, credential, choices, rng, place)],
    }


def sign_ballot(unsigned: JsonObject, seed: bytes) -> JsonObject:
    """Return the ballot with its signature by the credential's Ed25519 seed."""
    return {**unsigned, "sig": b64u(signing.sign(seed, signed_hash(unsigned)))}


def make_ballot(
    manifest: Manifest, seed: bytes, choices: Sequence[Sequence[int]], rng: Rng, place: Place = FIRST
) -> JsonObject:
    """Build and sign a ballot; `seed` is the credential's Ed25519 seed, the rest and errors are those of `seal`."""
    return sign_ballot(seal(manifest, signing.public_key(seed), choices, rng, place), seed)


def audit_code(sealed: bytes) -> str:
    """Return what the page shows before the voter chooses to cast or audit."""
    return spoken_code(sealed)


def make_opening(unsigned: JsonObject, seed: bytes, choices: Sequence[Sequence[int]]) -> JsonObject:
    """Return what a second device needs to build an audited ballot anew; `seed` is that of `SeededDraws`."""
    kept = ("manifest", "credential", "weight", "seq", "prev")
    values = [list(one) for one in choices]
    return {**{name: unsigned[name] for name in kept}, "seed": b64u(seed), "choices": values}


def opening_fragment(opening: JsonObject) -> str:
    """Return the URL fragment that carries an opening, without the "#"."""
    return "a=" + b64u(jcs(opening))


def read_fragment(fragment: str) -> JsonObject:
    """Return the opening in a URL fragment.

    Raises:
        BallotMalformed: it does not hold exactly the fields of section 7.
    """
    try:
        if not fragment.startswith("a="):
            raise EncodingError("no opening")
        opening = strict_json(unb64u(fragment[2:]))
        OPENING(opening)
    except EncodingError as error:
        raise BallotMalformed(f"opening: {error.detail}") from error
    return dict(opening)


def rebuild(manifest: Manifest, opening: JsonObject) -> JsonObject:
    """Return the unsigned ballot that an opening of this manifest describes.

    Raises:
        BallotMalformed: wrong fields, or of another manifest.
        BallotRejected: choices that the questions do not allow.
    """
    try:
        parts = OPENING(opening)
    except EncodingError as error:
        raise BallotMalformed(f"opening: {error.detail}") from error
    if parts["manifest"] != manifest.hash:
        raise BallotMalformed("the opening is of another election")
    place = Place(parts["weight"], parts["seq"], parts["prev"] or b"")
    return seal(manifest, parts["credential"], parts["choices"], SeededDraws(parts["seed"]), place)


def announcement_hash(manifest_hash: bytes, sealed: bytes) -> bytes:
    """Return the 32 bytes that the announcement of a sealed ballot signs."""
    return h("fm1/announce", manifest_hash, sealed)


def make_announcement(manifest: Manifest, seed: bytes, sealed: bytes) -> JsonObject:
    """Return the announcement of a sealed ballot, signed by the credential's Ed25519 seed."""
    return {
        "credential": b64u(signing.public_key(seed)),
        "sealed": b64u(sealed),
        "sig": b64u(signing.sign(seed, announcement_hash(manifest.hash, sealed))),
    }


def void_hash(manifest_hash: bytes, sealed: bytes) -> bytes:
    """Return the 32 bytes that a void entry signs."""
    return h("fm1/void", manifest_hash, sealed)


def make_void(manifest: Manifest, seed: bytes, unsigned: JsonObject) -> JsonObject:
    """Return the void entry of an audited ballot, signed by the credential's Ed25519 seed."""
    sealed = sealed_hash(unsigned)
    return {
        "type": "void",
        "credential": b64u(signing.public_key(seed)),
        "sealed": b64u(sealed),
        "sig": b64u(signing.sign(seed, void_hash(manifest.hash, sealed))),
    }


def _contents(
    manifest: Manifest, credential: bytes, choices: Sequence[Sequence[int]], rng: Rng, place: Place
) -> list[bytes]:
    if not manifest.secret:
        return [bytes(values) for values in choices]
    drafts = [
        _Draft(manifest.key, question, values, rng)
        for question, values in zip(manifest.questions, choices, strict=True)
    ]
    points = [draft.points() for draft in drafts]
    e = challenge(manifest, credential, (place.weight, place.seq, place.prev), points)
    return [draft.answer(e).encode() for draft in drafts]


class _Draft:
    """One question while it is being sealed: commitments first, responses once e is known."""

    def __init__(self, key: bytes, question: Question, values: Sequence[int], rng: Rng) -> None:
        self._pairs: list[Pair] = []
        self._cells: list[Draft] = []
        randomness = []
        for value, highest in zip(values, question.cells, strict=True):
            r = group.random_scalar(rng)
            shared, sealed = group.mult(r, key), group.mult_base(group.scalar_int(value))
            pair = (group.mult_base(r), group.add(shared, sealed))
            self._pairs.append(pair)
            self._cells.append(Draft.commit(key, pair, (0, highest), value, r, rng))
            randomness.append(r)
        self._sums: list[Draft] = []
        for one in question.constraints:
            r, value = group.ZERO, 0
            for cell, factor in one.terms:
                r = group.scalar_add(r, group.scalar_mul(group.scalar_int(factor), randomness[cell]))
                value += factor * values[cell]
            pair = weighted_sum(one, self._pairs)
            self._sums.append(Draft.commit(key, pair, (one.low, one.high), value, r, rng))

    def points(self) -> list[bytes]:
        """Return the points in the order of the challenge."""
        cells = [
            point for pair, draft in zip(self._pairs, self._cells, strict=True) for point in (*pair, *draft.points())
        ]
        return cells + [point for draft in self._sums for point in draft.points()]

    def answer(self, e: bytes) -> Answer:
        """Return the finished answer for the challenge."""
        cells = tuple(Cell(*pair, draft.respond(e)) for pair, draft in zip(self._pairs, self._cells, strict=True))
        return Answer(cells, tuple(draft.respond(e) for draft in self._sums))
