"""Ballots (section 7): form, signatures, decoding and proofs; `casting` makes them, `lineages` knows their order."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from . import fields, group, range_proof, signing
from .encoding import JsonObject, crockford, h, h512, jcs, strict_json, u32
from .errors import (
    BallotBytesInvalid,
    BallotForeign,
    BallotMalformed,
    BallotOptionProofInvalid,
    BallotPointRepeated,
    BallotSignatureInvalid,
    BallotSumProofInvalid,
    EncodingError,
)
from .manifest import Manifest
from .merkle_log import leaf_hash
from .questions import Constraint, Question, check_ranges, check_sums
from .range_proof import Pair, RangeProof

_ANY_BYTES = fields.binary(0, 256 * 1024)

SHAPE = fields.record(
    v=fields.const(1),
    manifest=fields.hash32,
    credential=fields.key32,
    weight=fields.integer(),
    seq=fields.integer(),
    prev=_ANY_BYTES,
    choices=fields.items(_ANY_BYTES),
    sig=fields.signature,
)


@dataclass(frozen=True)
class Cell:
    """One sealed number with the proof of its range."""

    alpha: bytes
    beta: bytes
    proof: RangeProof


@dataclass(frozen=True)
class Answer:
    """One sealed question: its cells, and a proof for each constraint."""

    cells: tuple[Cell, ...]
    sums: tuple[RangeProof, ...]

    def points(self) -> tuple[bytes, ...]:
        """Return every point, in the order that the challenge hashes them."""
        inner = (point for cell in self.cells for point in (cell.alpha, cell.beta, *cell.proof.points()))
        return (*inner, *(point for proof in self.sums for point in proof.points()))

    def scalars(self) -> tuple[bytes, ...]:
        """Return every scalar."""
        proofs = (*(cell.proof for cell in self.cells), *self.sums)
        return tuple(scalar for proof in proofs for scalar in (*proof.challenges, *proof.responses))

    def encode(self) -> bytes:
        """Return the bytes of section 7."""
        cells = (cell.alpha + cell.beta + cell.proof.encode() for cell in self.cells)
        return b"".join((*cells, *(proof.encode() for proof in self.sums)))


@dataclass(frozen=True)
class Ballot:
    """A ballot whose fields have the right form; nothing about it is proved yet."""

    json: JsonObject
    manifest: bytes
    credential: bytes
    weight: int
    seq: int
    prev: bytes
    choices: tuple[bytes, ...]
    sig: bytes

    @classmethod
    def from_json(cls, data: Any) -> Ballot:
        """Check the form of a ballot.

        Raises:
            BallotMalformed: unknown, missing or wrong fields.
        """
        try:
            parts = SHAPE(data)
        except EncodingError as error:
            raise BallotMalformed(f"ballot: {error.detail}") from error
        parts.pop("v")
        return cls(json=data, **{**parts, "choices": tuple(parts["choices"])})

    @classmethod
    def from_bytes(cls, raw: bytes) -> Ballot:
        """Parse the JCS bytes of a ballot.

        Raises:
            BallotMalformed: not strict JSON of at most 256 KiB with exactly the fields of section 7.
        """
        try:
            made = cls.from_json(strict_json(raw))
        except EncodingError as error:
            raise BallotMalformed(f"ballot: {error.detail}") from error
        return made.with_raw(raw)

    def with_raw(self, raw: bytes) -> Ballot:
        """Remember the JCS bytes, which the caller knows to be this ballot's, and return it."""
        self.__dict__["raw"] = raw
        return self

    @cached_property
    def raw(self) -> bytes:
        """The JCS bytes."""
        return jcs(self.json)

    @cached_property
    def leaf(self) -> bytes:
        """Leaf hash of the board entry."""
        # The JCS form of {"ballot", "type"}, without spelling the ballot once more.
        return leaf_hash(b'{"ballot":' + self.raw + b',"type":"ballot"}')

    @cached_property
    def _body_hash(self) -> bytes:
        # No string of a well-formed ballot holds a quotation mark, so this is the one place of its signature.
        signature = b'"sig":"' + self.json["sig"].encode() + b'",'
        return hashlib.sha256(self.raw.replace(signature, b"", 1)).digest()

    @property
    def signed_hash(self) -> bytes:
        """The 32 bytes that the credential signs."""
        return h("fm1/ballot-sig", self.manifest, self._body_hash)

    @property
    def sealed(self) -> bytes:
        """The hash that is announced before a ballot is cast or audited."""
        return h("fm1/sealed", self.manifest, self._body_hash)


@dataclass(frozen=True)
class CheckedBallot:
    """A ballot whose signature, bytes and proofs hold; whether it may come now is for `lineages` to say.

    Attributes:
        values: the cells of a plain ballot, one list per question; empty in a sealed one.
        leaf: leaf hash of its board entry.
        points: every point in it, for the check against other ballots.
    """

    ballot: Ballot
    manifest: Manifest = field(repr=False)
    values: tuple[tuple[int, ...], ...]
    leaf: bytes
    points: frozenset[bytes] = field(repr=False)

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """Decoded choices of a sealed ballot, one per question; empty in a plain one."""
        return split_answers(self.manifest, self.ballot) if self.manifest.secret else ()

    @property
    def tracker(self) -> str:
        """The voter's tracker."""
        return spoken_code(self.leaf)


def ballot_leaf(ballot: JsonObject) -> bytes:
    """Return the leaf hash of the board entry of a ballot."""
    return leaf_hash(jcs({"ballot": ballot, "type": "ballot"}))


def spoken_code(digest: bytes) -> str:
    """Return the first 100 bits as 20 Crockford characters in groups of five: a tracker or an audit code."""
    code = crockford(digest, 100)
    return "-".join(code[start : start + 5] for start in range(0, 20, 5))


def _body_hash(ballot: JsonObject) -> bytes:
    body = {name: value for name, value in ballot.items() if name != "sig"}
    return hashlib.sha256(jcs(body)).digest()


def signed_hash(ballot: JsonObject) -> bytes:
    """Return the 32 bytes that the credential signs; takes the manifest hash from the ballot."""
    return h("fm1/ballot-sig", fields.hash32(ballot["manifest"]), _body_hash(ballot))


def sealed_hash(ballot: JsonObject) -> bytes:
    """Return `sealed`, which is announced before a ballot is cast or audited; "sig" may be missing."""
    return h("fm1/sealed", fields.hash32(ballot["manifest"]), _body_hash(ballot))


def check_ballot(
    manifest: Manifest, ballot: Ballot, *, seen_points: Collection[bytes] = frozenset()
) -> CheckedBallot:
    """Run every check of a ballot that needs no other board entry but `seen_points`.

    Args:
        manifest: of the election.
        ballot: with the right form.
        seen_points: points present in other ballots of the election.

    Raises:
        BallotRejected: a subclass names the reason.
    """
    check_manifest(manifest, ballot)
    check_signature(ballot)
    if not manifest.secret:
        values = decode_values(manifest, ballot)
        check_value_sums(manifest, values)
        return CheckedBallot(ballot, manifest, values, ballot.leaf, frozenset())
    answers = decode_answers(manifest, ballot)
    e = ballot_challenge(manifest, ballot, answers)
    check_cells(manifest, e, answers)
    check_constraints(manifest, e, answers)
    points = ballot_points(answers)
    check_copies(points, seen_points)
    return CheckedBallot(ballot, manifest, (), ballot.leaf, points)


def check_manifest(manifest: Manifest, ballot: Ballot) -> None:
    """Check that the ballot names this manifest (part of V10).

    Raises:
        BallotForeign: it does not.
    """
    if ballot.manifest != manifest.hash:
        raise BallotForeign("the ballot belongs to another election")


def check_signature(ballot: Ballot) -> None:
    """Check the credential's signature (V11).

    Raises:
        BallotSignatureInvalid: it does not verify.
    """
    if not signing.is_valid(ballot.credential, ballot.signed_hash, ballot.sig):
        raise BallotSignatureInvalid("the ballot's signature does not verify")


def answer_bytes(question: Question) -> int:
    """Return the length of a sealed answer."""
    cells = sum(64 + range_proof.proof_bytes(0, highest) for highest in question.cells)
    return cells + sum(range_proof.proof_bytes(one.low, one.high) for one in question.constraints)


def split_answers(manifest: Manifest, ballot: Ballot) -> tuple[Answer, ...]:
    """Cut the sealed choices into points and scalars and look at lengths alone (part of V12).

    Raises:
        BallotBytesInvalid: another number of answers, or a wrong length.
    """
    _check_count(manifest, ballot)
    answers = []
    for raw, question in zip(ballot.choices, manifest.questions, strict=True):
        if len(raw) != answer_bytes(question):
            raise BallotBytesInvalid("wrong length of an answer")
        words = iter([raw[start : start + 32] for start in range(0, len(raw), 32)])
        cells = tuple(
            Cell(next(words), next(words), RangeProof.decode(words, highest + 1)) for highest in question.cells
        )
        sums = tuple(RangeProof.decode(words, one.high - one.low + 1) for one in question.constraints)
        answers.append(Answer(cells, sums))
    return tuple(answers)


def check_scalars(answers: Sequence[Answer]) -> None:
    """Check that no point is the identity and every scalar canonical (part of V12).

    Raises:
        BallotBytesInvalid: one is not.
    """
    for answer in answers:
        if any(point == group.IDENTITY for point in answer.points()):
            raise BallotBytesInvalid("a point is the identity")
        if not all(map(group.is_scalar, answer.scalars())):
            raise BallotBytesInvalid("a scalar is not canonical")


def decode_answers(manifest: Manifest, ballot: Ballot) -> tuple[Answer, ...]:
    """Decode the sealed choices (V12).

    Raises:
        BallotBytesInvalid: wrong length, a point or scalar that is not canonical, or the identity.
    """
    answers = split_answers(manifest, ballot)
    check_scalars(answers)
    if not all(group.is_point(point) for answer in answers for point in answer.points()):
        raise BallotBytesInvalid("a point is not canonical")
    return answers


def decode_values(manifest: Manifest, ballot: Ballot) -> tuple[tuple[int, ...], ...]:
    """Decode the cells of a plain ballot (V12).

    Raises:
        BallotBytesInvalid: another number of answers or cells, or a value outside its range.
    """
    _check_count(manifest, ballot)
    for raw, question in zip(ballot.choices, manifest.questions, strict=True):
        check_ranges(question, raw, BallotBytesInvalid)
    return tuple(tuple(raw) for raw in ballot.choices)


def check_value_sums(manifest: Manifest, values: Sequence[Sequence[int]]) -> None:
    """Check every constraint of a plain ballot (V14).

    Raises:
        BallotSumProofInvalid: a sum lies outside its range.
    """
    for question, cells in zip(manifest.questions, values, strict=True):
        check_sums(question, cells, BallotSumProofInvalid)


def ballot_challenge(manifest: Manifest, ballot: Ballot, answers: Sequence[Answer]) -> bytes:
    """Return the challenge scalar e of a ballot.

    Raises:
        BallotForeign: weight or seq has no 4-byte form.
    """
    points = [answer.points() for answer in answers]
    return challenge(manifest, ballot.credential, (ballot.weight, ballot.seq, ballot.prev), points)


def challenge(
    manifest: Manifest, credential: bytes, place: tuple[int, int, bytes], points: Sequence[Sequence[bytes]]
) -> bytes:
    """Return e over the points of every question in order; place is (weight, seq, prev).

    Raises:
        BallotForeign: weight or seq has no 4-byte form.
    """
    weight, seq, prev = place
    if max(weight, seq) >= 1 << 32:
        raise BallotForeign("weight or seq has more than four bytes")
    parts: list[bytes] = []
    for index, (question, found) in enumerate(zip(manifest.questions, points, strict=True)):
        parts += [u32(index), u32(len(question.cells)), *found]
    head = (manifest.hash, manifest.key, credential, u32(weight), u32(seq), prev)
    return group.reduce(h512("fm1/ballot", *head, *parts))


def check_cells(manifest: Manifest, e: bytes, answers: Sequence[Answer]) -> None:
    """Check that every cell is in its range (V13).

    Raises:
        BallotOptionProofInvalid: an equation fails.
    """
    for answer in answers:
        for cell in answer.cells:
            if not range_proof.verify(manifest.key, (cell.alpha, cell.beta), 0, cell.proof, e):
                raise BallotOptionProofInvalid("the proof that every option's number is in its range fails")


def check_constraints(manifest: Manifest, e: bytes, answers: Sequence[Answer]) -> None:
    """Check that every constrained sum is in its range (V14).

    Raises:
        BallotSumProofInvalid: an equation fails.
    """
    for question, answer in zip(manifest.questions, answers, strict=True):
        pairs = [(cell.alpha, cell.beta) for cell in answer.cells]
        for one, proof in zip(question.constraints, answer.sums, strict=True):
            if not range_proof.verify(manifest.key, weighted_sum(one, pairs), one.low, proof, e):
                raise BallotSumProofInvalid("the proof that as many options are marked as may be fails")


def check_copies(points: Collection[bytes], seen_points: Collection[bytes]) -> None:
    """Check that no point is in another ballot (V15).

    Raises:
        BallotPointRepeated: one is.
    """
    if any(point in seen_points for point in points):
        raise BallotPointRepeated("a part of this ballot is copied from another ballot")


def weighted_sum(constraint: Constraint, pairs: Sequence[Pair]) -> Pair:
    """Return the pair that seals the constrained sum."""
    alpha = beta = group.IDENTITY
    for cell, factor in constraint.terms:
        a, b = pairs[cell]
        if factor != 1:
            a, b = group.mult(group.scalar_int(factor), a), group.mult(group.scalar_int(factor), b)
        alpha, beta = group.add(alpha, a), group.add(beta, b)
    return alpha, beta


def ballot_points(answers: Sequence[Answer]) -> frozenset[bytes]:
    """Return every point of a ballot."""
    return frozenset(point for answer in answers for point in answer.points())


def _check_count(manifest: Manifest, ballot: Ballot) -> None:
    if len(ballot.choices) != len(manifest.questions):
        raise BallotBytesInvalid("one answer per question")
