"""Ballots (section 7): building, and every check from the bytes to the proofs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import fields, group, signing
from .encoding import JsonObject, b64u, crockford, h, h512, jcs, strict_json, u32
from .errors import (
    BallotAlreadyCast,
    BallotBytesInvalid,
    BallotForeign,
    BallotMalformed,
    BallotNotElector,
    BallotOptionProofInvalid,
    BallotPointRepeated,
    BallotRejected,
    BallotSignatureInvalid,
    BallotSumProofInvalid,
    EncodingError,
)
from .group import Rng
from .manifest import Manifest
from .merkle_log import leaf_hash

OPTION_BYTES, SUM_BYTES = 288, 96

SHAPE = fields.record(
    v=fields.const(1),
    manifest=fields.hash32,
    credential=fields.key32,
    weight=fields.integer(),
    seq=fields.integer(),
    prev=fields.binary(0, 64),
    choices=fields.items(fields.binary(0, 16_384), 0, 100),
    sig=fields.signature,
)


@dataclass(frozen=True)
class Option:
    """One sealed option: ElGamal pair, commitments of both branches, split challenge and responses."""

    alpha: bytes
    beta: bytes
    a0: bytes
    b0: bytes
    a1: bytes
    b1: bytes
    c0: bytes
    z0: bytes
    z1: bytes


@dataclass(frozen=True)
class Answer:
    """One sealed question: its options and the proof that they sum to one."""

    options: tuple[Option, ...]
    a_sum: bytes
    b_sum: bytes
    z_sum: bytes

    def points(self) -> tuple[bytes, ...]:
        """Return every point, in the order that the challenge hashes them."""
        inner = (point for o in self.options for point in (o.alpha, o.beta, o.a0, o.b0, o.a1, o.b1))
        return (*inner, self.a_sum, self.b_sum)

    def encode(self) -> bytes:
        """Return the bytes of section 7."""
        inner = b"".join(b"".join((o.alpha, o.beta, o.a0, o.b0, o.a1, o.b1, o.c0, o.z0, o.z1)) for o in self.options)
        return inner + self.a_sum + self.b_sum + self.z_sum


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
        return cls(
            json=data,
            manifest=parts["manifest"],
            credential=parts["credential"],
            weight=parts["weight"],
            seq=parts["seq"],
            prev=parts["prev"],
            choices=tuple(parts["choices"]),
            sig=parts["sig"],
        )

    @classmethod
    def from_bytes(cls, raw: bytes) -> Ballot:
        """Parse the JCS bytes of a ballot.

        Raises:
            BallotMalformed: not strict JSON of at most 256 KiB with exactly the fields of section 7.
        """
        try:
            return cls.from_json(strict_json(raw))
        except EncodingError as error:
            raise BallotMalformed(f"ballot: {error.detail}") from error


@dataclass(frozen=True)
class CheckedBallot:
    """A ballot that passed every check.

    Attributes:
        answers: decoded choices, one per question.
        leaf: leaf hash of its board entry.
        points: every point in it, for the check against other ballots.
    """

    ballot: Ballot
    answers: tuple[Answer, ...]
    leaf: bytes
    points: frozenset[bytes] = field(repr=False)

    @property
    def tracker(self) -> str:
        """The voter's tracker."""
        return tracker(self.leaf)


def ballot_leaf(ballot: JsonObject) -> bytes:
    """Return the leaf hash of the board entry of a ballot."""
    return leaf_hash(jcs({"ballot": ballot, "type": "ballot"}))


def tracker(leaf: bytes) -> str:
    """Return the first 100 bits of a leaf as 20 Crockford characters in groups of five."""
    code = crockford(leaf, 100)
    return "-".join(code[start : start + 5] for start in range(0, 20, 5))


def signed_hash(ballot: JsonObject) -> bytes:
    """Return the 32 bytes that the credential signs; takes the manifest hash from the ballot."""
    body = {name: value for name, value in ballot.items() if name != "sig"}
    parts = fields.hash32(ballot["manifest"])
    return h("fm1/ballot-sig", parts, hashlib.sha256(jcs(body)).digest())


def make_ballot(manifest: Manifest, seed: bytes, choices: Sequence[int], rng: Rng) -> JsonObject:
    """Build and sign a ballot.

    Args:
        manifest: of the election.
        seed: Ed25519 seed of the credential, 32 bytes.
        choices: per question the index of the chosen option.
        rng: draws 64 bytes per scalar, in the order of section 7.

    Raises:
        BallotRejected: not one choice per question, or no such option.
    """
    if len(choices) != len(manifest.questions) or not all(
        0 <= choice < len(question.options) for choice, question in zip(choices, manifest.questions, strict=True)
    ):
        raise BallotRejected("one option must be chosen in every question", code="voting.choice")
    credential = signing.public_key(seed)
    drafts = [
        _Draft(manifest.key, [int(index == choice) for index in range(len(question.options))], rng)
        for choice, question in zip(choices, manifest.questions, strict=True)
    ]
    e = challenge(manifest, credential, 1, 1, b"", [draft.points() for draft in drafts])
    ballot: JsonObject = {
        "v": 1,
        "manifest": b64u(manifest.hash),
        "credential": b64u(credential),
        "weight": 1,
        "seq": 1,
        "prev": "",
        "choices": [b64u(draft.answer(e).encode()) for draft in drafts],
    }
    ballot["sig"] = b64u(signing.sign(seed, signed_hash(ballot)))
    return ballot


def check_ballot(
    manifest: Manifest,
    electorate: Container[bytes],
    ballot: Ballot,
    *,
    voted: Container[bytes] = frozenset(),
    seen_points: Collection[bytes] = frozenset(),
) -> CheckedBallot:
    """Run every check of an arriving ballot.

    Args:
        manifest: of the election.
        electorate: credentials that may vote.
        ballot: with the right form.
        voted: credentials that have cast.
        seen_points: points present in other ballots of the election.

    Raises:
        BallotRejected: a subclass names the reason.
    """
    check_binding(manifest, ballot)
    if ballot.credential not in electorate:
        raise BallotNotElector("this credential may not vote in this election")
    if ballot.credential in voted:
        raise BallotAlreadyCast("this credential has already cast a ballot")
    check_signature(ballot)
    answers = decode_answers(manifest, ballot)
    e = ballot_challenge(manifest, ballot, answers)
    check_options(manifest, e, answers)
    check_sums(manifest, e, answers)
    points = ballot_points(answers)
    if not points.isdisjoint(seen_points):
        raise BallotPointRepeated("a part of this ballot is copied from another ballot")
    return CheckedBallot(ballot, answers, ballot_leaf(ballot.json), points)


def check_binding(manifest: Manifest, ballot: Ballot) -> None:
    """Check manifest, weight, seq and prev (V10).

    Raises:
        BallotForeign: one of them differs.
    """
    if ballot.manifest != manifest.hash:
        raise BallotForeign("the ballot belongs to another election")
    if (ballot.weight, ballot.seq, ballot.prev) != (1, 1, b""):
        raise BallotForeign("weight and seq are 1 and prev is empty in this version")


def check_signature(ballot: Ballot) -> None:
    """Check the credential's signature (V11).

    Raises:
        BallotSignatureInvalid: it does not verify.
    """
    if not signing.is_valid(ballot.credential, signed_hash(ballot.json), ballot.sig):
        raise BallotSignatureInvalid("the ballot's signature does not verify")


def decode_answers(manifest: Manifest, ballot: Ballot) -> tuple[Answer, ...]:
    """Decode the sealed choices (V12).

    Raises:
        BallotBytesInvalid: wrong length, a point or scalar that is not canonical, or the identity.
    """
    if len(ballot.choices) != len(manifest.questions):
        raise BallotBytesInvalid("one answer per question")
    return tuple(
        _decode_answer(raw, len(question.options))
        for raw, question in zip(ballot.choices, manifest.questions, strict=True)
    )


def ballot_challenge(manifest: Manifest, ballot: Ballot, answers: Sequence[Answer]) -> bytes:
    """Return the challenge scalar e of a ballot."""
    points = [answer.points() for answer in answers]
    return challenge(manifest, ballot.credential, ballot.weight, ballot.seq, ballot.prev, points)


def challenge(
    manifest: Manifest,
    credential: bytes,
    weight: int,
    seq: int,
    prev: bytes,
    points: Sequence[Sequence[bytes]],
) -> bytes:
    """Return e over the points of every question in order."""
    parts: list[bytes] = []
    for index, (question, group_points) in enumerate(zip(manifest.questions, points, strict=True)):
        parts += [u32(index), u32(len(question.options)), *group_points]
    head = (manifest.hash, manifest.key, credential, u32(weight), u32(seq), prev)
    return group.reduce(h512("fm1/ballot", *head, *parts))


def check_options(manifest: Manifest, e: bytes, answers: Sequence[Answer]) -> None:
    """Check that every option is 0 or 1 (V13).

    Raises:
        BallotOptionProofInvalid: an equation fails.
    """
    for answer in answers:
        for o in answer.options:
            c1 = group.scalar_sub(e, o.c0)
            beta_less_g = group.sub(o.beta, group.BASE)
            if not (
                _holds(o.z0, group.BASE, o.a0, o.c0, o.alpha)
                and _holds(o.z0, manifest.key, o.b0, o.c0, o.beta)
                and _holds(o.z1, group.BASE, o.a1, c1, o.alpha)
                and _holds(o.z1, manifest.key, o.b1, c1, beta_less_g)
            ):
                raise BallotOptionProofInvalid("the proof that every option is 0 or 1 fails")


def check_sums(manifest: Manifest, e: bytes, answers: Sequence[Answer]) -> None:
    """Check that exactly one option per question is chosen (V14).

    Raises:
        BallotSumProofInvalid: an equation fails.
    """
    for answer in answers:
        alpha = group.total(o.alpha for o in answer.options)
        beta = group.sub(group.total(o.beta for o in answer.options), group.BASE)
        if not (
            _holds(answer.z_sum, group.BASE, answer.a_sum, e, alpha)
            and _holds(answer.z_sum, manifest.key, answer.b_sum, e, beta)
        ):
            raise BallotSumProofInvalid("the proof that exactly one option is chosen fails")


def ballot_points(answers: Sequence[Answer]) -> frozenset[bytes]:
    """Return every point of a ballot."""
    return frozenset(point for answer in answers for point in answer.points())


def _holds(z: bytes, base: bytes, commitment: bytes, c: bytes, point: bytes) -> bool:
    """Say whether z * base = commitment + c * point."""
    left = group.mult_base(z) if base is group.BASE else group.mult(z, base)
    return left == group.add(commitment, group.mult(c, point))


def _decode_answer(raw: bytes, count: int) -> Answer:
    if len(raw) != count * OPTION_BYTES + SUM_BYTES:
        raise BallotBytesInvalid("wrong length of an answer")
    words = [raw[start : start + 32] for start in range(0, len(raw), 32)]
    options = tuple(Option(*words[9 * index : 9 * index + 9]) for index in range(count))
    answer = Answer(options, *words[-3:])
    for point in answer.points():
        if point == group.IDENTITY or not group.is_point(point):
            raise BallotBytesInvalid("a point is not canonical")
    scalars = [scalar for o in options for scalar in (o.c0, o.z0, o.z1)]
    if not all(group.is_scalar(scalar) for scalar in (*scalars, answer.z_sum)):
        raise BallotBytesInvalid("a scalar is not canonical")
    return answer


class _Draft:
    """One question while it is being sealed: commitments first, responses once e is known."""

    def __init__(self, key: bytes, values: Sequence[int], rng: Rng) -> None:
        self._values = values
        self._secrets = []
        self._rows: list[tuple[bytes, ...]] = []
        for value in values:
            r, w, c, z = (group.random_scalar(rng) for _ in range(4))
            self._secrets.append((r, w, c, z))
            self._rows.append(_commit_option(key, value, r, w, c, z))
        self._w_sum = group.random_scalar(rng)
        self._a_sum, self._b_sum = group.mult_base(self._w_sum), group.mult(self._w_sum, key)

    def points(self) -> list[bytes]:
        """Return the points in the order of the challenge."""
        return [point for row in self._rows for point in row] + [self._a_sum, self._b_sum]

    def answer(self, e: bytes) -> Answer:
        """Return the finished answer for the challenge."""
        options = []
        r_sum = group.ZERO
        for value, (r, w, c, z), row in zip(self._values, self._secrets, self._rows, strict=True):
            real = group.scalar_sub(e, c)
            response = group.scalar_add(w, group.scalar_mul(real, r))
            tail = (c, z, response) if value else (real, response, z)
            alpha, beta, a0, b0, a1, b1 = row
            options.append(Option(alpha, beta, a0, b0, a1, b1, *tail))
            r_sum = group.scalar_add(r_sum, r)
        z_sum = group.scalar_add(self._w_sum, group.scalar_mul(e, r_sum))
        return Answer(tuple(options), self._a_sum, self._b_sum, z_sum)


def _commit_option(key: bytes, value: int, r: bytes, w: bytes, c: bytes, z: bytes) -> tuple[bytes, ...]:
    """Return alpha, beta, A0, B0, A1, B1: the branch of `value` is real, the other simulated from c, z."""
    alpha, shared = group.mult_base(r), group.mult(r, key)
    beta = group.add(shared, group.BASE) if value else shared
    real = (group.mult_base(w), group.mult(w, key))
    target = beta if value else group.sub(beta, group.BASE)
    fake = (
        group.sub(group.mult_base(z), group.mult(c, alpha)),
        group.sub(group.mult(z, key), group.mult(c, target)),
    )
    return (alpha, beta, *fake, *real) if value else (alpha, beta, *real, *fake)
