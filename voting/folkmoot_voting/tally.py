"""Aggregate, decryption shares, counts and the signed tally (section 8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import fields, group, rules, signing
from .ballot import Answer
from .board import PARTS, intent_hash, share_hash
from .encoding import JsonObject, b64u, h, h512, jcs, u32, unb64u
from .errors import EncodingError, TallyInvalid
from .group import Rng
from .lineages import Lineages
from .manifest import Manifest
from .range_proof import Pair

CORE = fields.record(
    v=fields.const(1),
    election=fields.ident,
    manifest=fields.hash32,
    closing=fields.hash32,
    aggregate=fields.empty_or(fields.hash32),
    ballots=fields.integer(),
    cast=fields.integer(),
    cast_weight=fields.integer(),
    replacements=fields.integer(),
    kiosk=fields.integer(),
    voids=fields.integer(),
    counts=fields.items(fields.items(fields.integer())),
    rejected=fields.items(fields.record(trustee=fields.index, hash=fields.hash32)),
    quorum=fields.record(met=fields.boolean, count=fields.integer(), base=fields.integer()),
    outcome=fields.items(
        fields.record(
            kind=fields.text(64),
            options=fields.items(fields.integer()),
            tied=fields.items(fields.integer()),
            votes=fields.items(fields.integer()),
        )
    ),
    exceptions=fields.integer(),
    halls=fields.items(
        fields.record(site=fields.ident, name=fields.text(low=0), state=fields.text(64), ballots=fields.integer())
    ),
    counted_at=fields.moment,
)
HALL_STATES = ("unreachable", "late")
TALLY = fields.record(
    core=CORE,
    signatures=fields.record(
        server=fields.signature,
        chair=fields.signature,
        trustees=fields.items(fields.record(trustee=fields.index, sig=fields.signature)),
    ),
)


@dataclass(frozen=True)
class Aggregate:
    """The homomorphic sums: per question and cell (sum w*alpha, sum w*beta), and their hash."""

    pairs: tuple[tuple[Pair, ...], ...]
    hash: bytes


@dataclass(frozen=True)
class BoardNumbers:
    """What the tally says of the board.

    Attributes:
        ballots: ballot entries.
        cast: lineages that voted.
        cast_weight: their weight.
        replacements: replacement entries, of which `kiosk` by a kiosk.
        voids: audited ballots.
    """

    ballots: int
    cast: int
    cast_weight: int
    replacements: int = 0
    kiosk: int = 0
    voids: int = 0

    @classmethod
    def of(cls, lineages: Lineages) -> BoardNumbers:
        """Read them off the fold of a whole board."""
        folded = (lineages.replacements, lineages.kiosk, lineages.voids)
        return cls(lineages.ballots, lineages.cast, lineages.cast_weight, *folded)

    @property
    def turnout(self) -> rules.Turnout:
        """Lineages that voted, and their weight."""
        return rules.Turnout(self.cast, self.cast_weight)


def aggregate(manifest: Manifest, ballots: Iterable[tuple[int, Sequence[Answer]]]) -> Aggregate:
    """Sum the counted ballots' (weight, decoded answers); the fast way for many ballots is `batch.BatchSums`."""
    sums = [[(group.IDENTITY, group.IDENTITY) for _ in one.cells] for one in manifest.questions]
    for weight, answers in ballots:
        factor = group.scalar_int(weight)
        for row, answer in zip(sums, answers, strict=True):
            for index, cell in enumerate(answer.cells):
                alpha, beta = cell.alpha, cell.beta
                if weight != 1:
                    alpha, beta = group.mult(factor, alpha), group.mult(factor, beta)
                row[index] = (group.add(row[index][0], alpha), group.add(row[index][1], beta))
    return make_aggregate(manifest, sums)


def make_aggregate(manifest: Manifest, sums: Sequence[Sequence[Pair]]) -> Aggregate:
    """Return the aggregate of summed pairs, per question and cell."""
    pairs = tuple(tuple(row) for row in sums)
    flat = [point for row in pairs for pair in row for point in pair]
    return Aggregate(pairs, h("fm1/aggregate", manifest.hash, *flat))


def plain_counts(manifest: Manifest, ballots: Iterable[tuple[int, Sequence[Sequence[int]]]]) -> list[list[int]]:
    """Return the weighted sums of counted plain ballots' (weight, cells), per question and cell."""
    counts = [[0] * len(one.cells) for one in manifest.questions]
    for weight, values in ballots:
        for row, cells in zip(counts, values, strict=True):
            for index, value in enumerate(cells):
                row[index] += weight * value
    return counts


def partial_decrypt(
    manifest: Manifest, total: Aggregate, trustee: int, secret: bytes, rng: Rng
) -> list[list[JsonObject]]:
    """Return a trustee's share parts; secret is x_j.

    Raises:
        TallyInvalid: the secret is not the one of this trustee's verification key.
    """
    if group.mult_base(secret) != manifest.trustees.verification_keys[trustee - 1]:
        raise TallyInvalid("this is not the trustee's share of the key", code="voting.share-key")
    parts: list[list[JsonObject]] = []
    for question, row in enumerate(total.pairs):
        parts.append([])
        for cell, (alpha, _) in enumerate(row):
            d = group.mult(secret, alpha)
            s = group.random_scalar(rng)
            u, w = group.mult_base(s), group.mult(s, alpha)
            c = _share_challenge(manifest, total, trustee, question, cell, (d, u, w))
            z = group.scalar_add(s, group.scalar_mul(c, secret))
            parts[-1].append({"d": b64u(d), "u": b64u(u), "w": b64u(w), "z": b64u(z)})
    return parts


def check_parts(manifest: Manifest, total: Aggregate, trustee: int, parts: Any) -> None:
    """Check the proofs of correct decryption (V19).

    Raises:
        TallyInvalid: malformed parts or a failing proof.
    """
    if not 1 <= trustee <= manifest.trustees.count:
        raise TallyInvalid("no such trustee", code="voting.trustee-unknown")
    try:
        decoded = PARTS(parts)
    except EncodingError as error:
        raise TallyInvalid(f"share: {error.detail}", code="voting.share-malformed") from error
    _require_shape(total, decoded)
    key = manifest.trustees.verification_keys[trustee - 1]
    for question, row in enumerate(total.pairs):
        for cell, (alpha, _) in enumerate(row):
            d, u, w, z = (decoded[question][cell][name] for name in "duwz")
            if not (all(map(group.is_point, (d, u, w))) and group.is_scalar(z)):
                raise TallyInvalid("a part of a share is not canonical", code="voting.share-proof")
            c = _share_challenge(manifest, total, trustee, question, cell, (d, u, w))
            fits_key = group.mult_base(z) == group.add(u, group.mult(c, key))
            if not fits_key or group.mult(z, alpha) != group.add(w, group.mult(c, d)):
                raise TallyInvalid(f"the share of trustee {trustee} is not proved", code="voting.share-proof")


def check_intent(manifest: Manifest, closing: bytes, total: Aggregate, intent: JsonObject) -> None:
    """Check a well-formed intent entry against what was recomputed (V17).

    Raises:
        TallyInvalid: another manifest, closing or aggregate, no such trustee, or not signed.
    """
    expected = (b64u(manifest.hash), b64u(closing), b64u(total.hash))
    if (intent["manifest"], intent["closing"], intent["aggregate"]) != expected:
        raise TallyInvalid("an intent names another ballot box", code="voting.intent-foreign")
    digest = intent_hash(manifest.hash, closing, total.hash, intent["trustee"])
    _check_trustee_signature(manifest, intent, digest)


def check_share_signature(manifest: Manifest, total: Aggregate, share: JsonObject) -> None:
    """Check a well-formed share entry's binding and signature (V18).

    Raises:
        TallyInvalid: another manifest or aggregate, no such trustee, or not signed.
    """
    if (share["manifest"], share["aggregate"]) != (b64u(manifest.hash), b64u(total.hash)):
        raise TallyInvalid("a share names another ballot box", code="voting.share-foreign")
    digest = share_hash(manifest.hash, total.hash, share["trustee"], share["parts"])
    _check_trustee_signature(manifest, share, digest)


def check_share(manifest: Manifest, total: Aggregate, share: JsonObject) -> None:
    """Run both checks of a share entry, as the server does on arrival.

    Raises:
        TallyInvalid: with the reason.
    """
    check_share_signature(manifest, total, share)
    check_parts(manifest, total, share["trustee"], share["parts"])


def is_evidence(manifest: Manifest, total: Aggregate, share: JsonObject) -> bool:
    """Say whether a well-formed share is signed by its trustee for this box and proved wrongly (V30)."""
    try:
        check_share_signature(manifest, total, share)
        _require_shape(total, share["parts"])
    except TallyInvalid:
        return False
    try:
        check_parts(manifest, total, share["trustee"], share["parts"])
    except TallyInvalid:
        return True
    return False


def rejected_json(share: JsonObject) -> JsonObject:
    """Return how the tally names a rejected share."""
    return {"trustee": share["trustee"], "hash": b64u(h("fm1/rejected", jcs(share)))}


def combine(manifest: Manifest, total: Aggregate, shares: Mapping[int, Any], cast_weight: int) -> list[list[int]]:
    """Return the counts of every cell from checked shares (trustee -> JSON parts), of which t are used.

    Any t of them give the same counts, because each is proved to be the trustee's one share of this aggregate.

    Raises:
        TallyInvalid: fewer than t shares, or no count in 0..cast_weight * highest value of the cell fits.
    """
    threshold = manifest.trustees.threshold
    indices = sorted(shares)[:threshold]
    if len(indices) < threshold:
        raise TallyInvalid("fewer shares than the threshold", code="voting.tally-shares")
    for index in indices:
        _require_shape(total, shares[index])
    coefficients = group.lagrange_at_zero(indices)
    counts: list[list[int]] = []
    for number, (question, row) in enumerate(zip(manifest.questions, total.pairs, strict=True)):
        counts.append([])
        for cell, (highest, (_, beta)) in enumerate(zip(question.cells, row, strict=True)):
            rest = beta
            for index, coefficient in zip(indices, coefficients, strict=True):
                d = unb64u(shares[index][number][cell]["d"])
                rest = group.sub(rest, group.mult(coefficient, d))
            count = group.small_log(rest, cast_weight * highest)
            if count is None:
                raise TallyInvalid("the shares do not open the box", code="voting.tally-counts")
            counts[-1].append(count)
    return counts


def make_core(
    manifest: Manifest,
    *,
    closing: bytes,
    total: Aggregate | None,
    numbers: BoardNumbers,
    counts: list[list[int]],
    counted_at: int,
    rejected: Sequence[JsonObject] = (),
    castings: Mapping[int, Sequence[int]] | None = None,
    halls: Sequence[JsonObject] = (),
) -> JsonObject:
    """Return the tally core.

    Args:
        manifest: of the election.
        closing: hash of the closing checkpoint.
        total: the aggregate; None in plain votes and when too few voted.
        numbers: what the board holds.
        counts: per question and cell; [] when too few voted.
        counted_at: Unix seconds.
        rejected: share entries kept as evidence, in order.
        castings: options of the chair's casting votes by question.
        halls: those that were cut off at the end, as section 8 has them.

    Raises:
        TallyInvalid: a casting vote is missing, surplus or elects what it cannot.
    """
    outcomes = rules.evaluate(manifest, counts, numbers.turnout, castings)
    if rules.undecided(outcomes):
        raise TallyInvalid("a casting vote is due", code="voting.casting-due")
    return {
        "v": 1,
        "election": manifest.election,
        "manifest": b64u(manifest.hash),
        "closing": b64u(closing),
        "aggregate": b64u(total.hash) if total else "",
        **vars(numbers),
        "counts": counts,
        "rejected": [rejected_json(one) for one in rejected],
        "quorum": rules.quorum_json(manifest, numbers.turnout),
        "outcome": [one.to_json() for one in outcomes],
        "exceptions": manifest.exceptions,
        "halls": list(halls),
        "counted_at": counted_at,
    }


def check_halls(halls: Sequence[JsonObject]) -> None:
    """Check the words and the order of a well-formed core's `halls`; whether they are true the server alone says.

    Raises:
        TallyInvalid: not ascending by site, another state, or ballots where there can be none.
    """
    sites = [one["site"] for one in halls]
    if sites != sorted(set(sites)):
        raise TallyInvalid("halls are not ascending", code="voting.tally-halls")
    for one in halls:
        if one["state"] not in HALL_STATES or (one["ballots"] == 0) != (one["state"] == "unreachable"):
            raise TallyInvalid("a hall is late with ballots or unreachable without", code="voting.tally-halls")


def tally_hash(core: JsonObject) -> bytes:
    """Return the hash that server, chair and trustees sign."""
    return h("fm1/tally", jcs(core))


def make_tally(core: JsonObject, *, server: bytes, chair: bytes, trustees: Mapping[int, bytes]) -> JsonObject:
    """Return tally.json from the signatures over tally_hash."""
    return {
        "core": core,
        "signatures": {
            "server": b64u(server),
            "chair": b64u(chair),
            "trustees": [{"trustee": index, "sig": b64u(trustees[index])} for index in sorted(trustees)],
        },
    }


def verify_tally_signatures(manifest: Manifest, tally: JsonObject) -> None:
    """Check all signatures of a well-formed tally: at least t trustees sign where a box was opened, else none.

    Raises:
        TallyInvalid: one is missing, surplus or does not verify.
    """
    digest, signatures = tally_hash(tally["core"]), tally["signatures"]
    signed = [("server", manifest.server_key, signatures["server"])]
    signed.append(("chair", manifest.cosigners["chair"], signatures["chair"]))
    signers = [one["trustee"] for one in signatures["trustees"]]
    if signers != sorted(set(signers)):
        raise TallyInvalid("the trustees who signed are not ascending", code="voting.tally-signatures")
    needed = manifest.trustees.threshold if tally["core"]["aggregate"] else 0
    if len(signers) < needed or (signers and not needed):
        raise TallyInvalid("other trustees sign than the rules ask for", code="voting.tally-signatures")
    for one in signatures["trustees"]:
        if one["trustee"] > manifest.trustees.count:
            raise TallyInvalid("no such trustee", code="voting.tally-signatures")
        key = manifest.trustees.sign_keys[one["trustee"] - 1]
        signed.append((f"trustee {one['trustee']}", key, one["sig"]))
    for name, key, signature in signed:
        if not signing.is_valid(key, digest, unb64u(signature)):
            raise TallyInvalid(f"the tally is not signed by the {name}", code="voting.tally-signatures")


def _require_shape(total: Aggregate, parts: Sequence[Sequence[Any]]) -> None:
    if [len(row) for row in parts] != [len(row) for row in total.pairs]:
        raise TallyInvalid("a share has a part for every cell", code="voting.share-malformed")


def _share_challenge(
    manifest: Manifest,
    total: Aggregate,
    trustee: int,
    question: int,
    cell: int,
    points: tuple[bytes, bytes, bytes],
) -> bytes:
    d, u, w = points
    place = (u32(trustee), u32(question), u32(cell))
    key = manifest.trustees.verification_keys[trustee - 1]
    alpha = total.pairs[question][cell][0]
    return group.reduce(h512("fm1/decrypt", manifest.hash, total.hash, *place, alpha, d, key, u, w))


def _check_trustee_signature(manifest: Manifest, entry: JsonObject, digest: bytes) -> None:
    index, kind = entry["trustee"], entry["type"]
    if not 1 <= index <= manifest.trustees.count:
        raise TallyInvalid("no such trustee", code="voting.trustee-unknown")
    if not signing.is_valid(manifest.trustees.sign_keys[index - 1], digest, unb64u(entry["sig"])):
        raise TallyInvalid(
            f"the {kind} of trustee {index} is not signed",
            code="voting.intent-unsigned" if kind == "intent" else "voting.share-unsigned",
        )
