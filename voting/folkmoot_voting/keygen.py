"""The trustees' key (section 4): a fold over public messages that accepts them in order or refuses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import fields, group, signing
from .encoding import JsonObject, b64u, crockford, h, h512, jcs, u32, unb64u
from .errors import EncodingError, KeyGenerationError

ROUNDS = ("register", "commit", "reveal", "shares", "certify")
BOX_BYTES = 48

_HEADER: dict[str, fields.Shape] = {"meeting": fields.ident, "trustee": fields.index, "sig": fields.signature}
_SHAPES: dict[str, fields.Shape] = {
    "register": fields.record(
        type=fields.const("register"),
        roll=fields.hash32,
        sign_key=fields.key32,
        box_key=fields.key32,
        **_HEADER,
    ),
    "commit": fields.record(type=fields.const("commit"), hash=fields.hash32, **_HEADER),
    "reveal": fields.record(
        type=fields.const("reveal"),
        points=fields.items(fields.hash32, 1, 9),
        pop=fields.record(r=fields.hash32, z=fields.hash32),
        **_HEADER,
    ),
    "shares": fields.record(
        type=fields.const("shares"),
        boxes=fields.items(fields.empty_or(fields.binary(1, 256)), 1, 9),
        **_HEADER,
    ),
    "certify": fields.record(
        type=fields.const("certify"),
        transcript=fields.hash32,
        key=fields.hash32,
        verification_keys=fields.items(fields.hash32, 1, 9),
        **_HEADER,
    ),
}


def message_shape(value: Any) -> dict[str, Any]:
    """Check the form of one message and return it with byte strings decoded.

    Raises:
        EncodingError: not one of the five messages.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise EncodingError("unknown key generation message")
    decoded: dict[str, Any] = _SHAPES[kind](value)
    return decoded


KEYGEN = fields.record(
    v=fields.const(1),
    meeting=fields.ident,
    threshold=fields.integer(),
    count=fields.integer(),
    messages=fields.items(message_shape, 0, 45),
)


@dataclass(frozen=True)
class TrusteesKey:
    """The finished key: what manifests carry of it."""

    threshold: int
    count: int
    transcript: bytes
    key: bytes
    verification_keys: tuple[bytes, ...]
    sign_keys: tuple[bytes, ...]

    def to_json(self) -> JsonObject:
        """Return the manifest's `trustees` field."""
        return {
            "threshold": self.threshold,
            "count": self.count,
            "transcript": b64u(self.transcript),
            "key": b64u(self.key),
            "verification_keys": [b64u(key) for key in self.verification_keys],
            "sign_keys": [b64u(key) for key in self.sign_keys],
        }


def sign_message(message: JsonObject, seed: bytes) -> JsonObject:
    """Return the message with its "sig" by a trustee's signing seed."""
    return {**message, "sig": b64u(signing.sign(seed, message_hash(message)))}


def message_hash(message: JsonObject) -> bytes:
    """Return the 32 bytes that a key generation message signs."""
    return h("fm1/dkg", jcs({name: value for name, value in message.items() if name != "sig"}))


def commitment(meeting: str, index: int, sign_key: bytes, points: list[bytes]) -> bytes:
    """Return the hash that a trustee commits to before points are revealed."""
    return h("fm1/dkg-commit", meeting, u32(index), sign_key, *points)


def pop_challenge(meeting: str, index: int, first: bytes, r: bytes) -> bytes:
    """Return the challenge scalar of a proof of possession."""
    return group.reduce(h512("fm1/dkg-pop", meeting, u32(index), first, r))


_Received = tuple[Mapping[int, JsonObject], ...]


@dataclass(frozen=True)
class KeyGeneration:
    """The public state of one key generation; `accept` returns the next state."""

    meeting: str
    roll_hash: bytes
    threshold: int
    count: int
    received: _Received = field(default=({}, {}, {}, {}, {}))

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.count <= 9:
            raise KeyGenerationError("2 <= threshold <= count <= 9", code="voting.keygen-numbers")

    @classmethod
    def from_json(cls, data: JsonObject, roll_hash: bytes, *, form_only: bool = False) -> KeyGeneration:
        """Replay keygen.json, in its order; `form_only` leaves out points and proofs (V06 without V07).

        Raises:
            KeyGenerationError: at the first message that is refused, or when messages are missing.
        """
        try:
            KEYGEN(data)
        except EncodingError as error:
            raise KeyGenerationError(error.detail, code="voting.keygen-malformed") from error
        state = cls(data["meeting"], roll_hash, data["threshold"], data["count"])
        wanted = [(kind, index) for kind in ROUNDS for index in range(1, state.count + 1)]
        if [(message["type"], message["trustee"]) for message in data["messages"]] != wanted:
            raise KeyGenerationError("messages are not complete and in order", code="voting.keygen-order")
        for message in data["messages"]:
            state = state.accept(message, form_only=form_only)
        return state

    @property
    def round(self) -> str | None:
        """The round whose messages are awaited, None when all are present."""
        for kind, messages in zip(ROUNDS, self.received, strict=True):
            if len(messages) < self.count:
                return kind
        return None

    def messages(self, kind: str) -> list[JsonObject]:
        """Return the messages of a round so far, by index."""
        found = self.received[ROUNDS.index(kind)]
        return [found[index] for index in sorted(found)]

    def accept(self, message: JsonObject, *, form_only: bool = False) -> KeyGeneration:
        """Return the state with one message more; the same message again changes nothing.

        Raises:
            KeyGenerationError: malformed, out of order, unsigned, a different second one, or wrong.
        """
        try:
            parts = message_shape(message)
            signed = message_hash(message)
        except EncodingError as error:
            raise KeyGenerationError(error.detail, code="voting.keygen-malformed") from error
        kind, index = parts["type"], parts["trustee"]
        position = ROUNDS.index(kind)
        if parts["meeting"] != self.meeting or index > self.count:
            raise KeyGenerationError("message of another key generation", code="voting.keygen-foreign")
        known = self.received[position].get(index)
        if known is not None:
            if known == message:
                return self
            raise KeyGenerationError("a different second message", code="voting.keygen-second")
        if self.round != kind:
            raise KeyGenerationError(f"{kind} is not awaited now", code="voting.keygen-order")
        sign_key = parts["sign_key"] if kind == "register" else self.sign_key(index)
        if not signing.is_valid(sign_key, signed, parts["sig"]):
            raise KeyGenerationError(f"{kind} of trustee {index} is not signed", code="voting.keygen-unsigned")
        _FORM[kind](self, parts)
        if not form_only and kind in _POINTS:
            _POINTS[kind](self, parts)
        received = list(self.received)
        received[position] = {**received[position], index: message}
        return replace(self, received=tuple(received))

    def sign_key(self, index: int) -> bytes:
        """Return a registered trustee's signing key."""
        return unb64u(self.received[0][index]["sign_key"])

    def box_key(self, index: int) -> bytes:
        """Return a registered trustee's X25519 key."""
        return unb64u(self.received[0][index]["box_key"])

    def points(self, index: int) -> list[bytes]:
        """Return a trustee's revealed coefficient points."""
        return [unb64u(point) for point in self.received[2][index]["points"]]

    @property
    def reveals_hash(self) -> bytes:
        """The associated data of the boxes, over all reveals."""
        return h("fm1/dkg-reveals", jcs(self.messages("reveal")))

    @property
    def transcript(self) -> bytes:
        """The hash that trustees certify, over the first four rounds."""
        rounds = [message for kind in ROUNDS[:4] for message in self.messages(kind)]
        return h("fm1/dkg-transcript", jcs(rounds))

    @property
    def spoken_code(self) -> str:
        """The short code of the transcript that trustees compare aloud."""
        return spoken_code(self.transcript)

    def public_key(self) -> TrusteesKey:
        """Return Y and the verification keys from the reveals (and shares, for the transcript).

        Raises:
            KeyGenerationError: a round is missing or a key is the identity.
        """
        if len(self.received[3]) < self.count:
            raise KeyGenerationError("shares are missing", code="voting.keygen-order")
        indices = range(1, self.count + 1)
        columns = [group.total(self.points(i)[k] for i in indices) for k in range(self.threshold)]
        keys = tuple(group.evaluate_points(columns, j) for j in indices)
        if group.IDENTITY in (columns[0], *keys):
            raise KeyGenerationError("a key is the identity", code="voting.keygen-points", about_points=True)
        sign_keys = tuple(self.sign_key(index) for index in indices)
        return TrusteesKey(self.threshold, self.count, self.transcript, columns[0], keys, sign_keys)

    @property
    def result(self) -> TrusteesKey | None:
        """The certified key, None until every trustee has certified."""
        return self.public_key() if self.round is None else None

    def to_json(self) -> JsonObject:
        """Return keygen.json of the messages so far."""
        return {
            "v": 1,
            "meeting": self.meeting,
            "threshold": self.threshold,
            "count": self.count,
            "messages": [message for kind in ROUNDS for message in self.messages(kind)],
        }


def spoken_code(transcript: bytes) -> str:
    """Return the first 30 bits as ABC-DEF in Crockford base32."""
    code = crockford(transcript, 30)
    return f"{code[:3]}-{code[3:]}"


def _check_register(state: KeyGeneration, parts: dict[str, Any]) -> None:
    if parts["roll"] != state.roll_hash:
        raise KeyGenerationError("a trustee names another roll", code="voting.keygen-roll")
    for other in state.received[0]:
        if parts["sign_key"] == state.sign_key(other) or parts["box_key"] == state.box_key(other):
            raise KeyGenerationError("two trustees share a key", code="voting.keygen-same-key")


def _accept_form(_state: KeyGeneration, _parts: dict[str, Any]) -> None:
    """Nothing to compare with beyond the shape."""


def _check_commitment(state: KeyGeneration, parts: dict[str, Any]) -> None:
    index, points = parts["trustee"], parts["points"]
    if len(points) != state.threshold:
        raise KeyGenerationError("wrong number of points", code="voting.keygen-commitment")
    promised = unb64u(state.received[1][index]["hash"])
    if commitment(state.meeting, index, state.sign_key(index), points) != promised:
        raise KeyGenerationError("points differ from the commitment", code="voting.keygen-commitment")


def _check_points(state: KeyGeneration, parts: dict[str, Any]) -> None:
    index, points = parts["trustee"], parts["points"]
    r, z = parts["pop"]["r"], parts["pop"]["z"]
    bad_point = not all(group.is_point(point) and point != group.IDENTITY for point in points)
    if bad_point or not group.is_point(r) or not group.is_scalar(z):
        raise KeyGenerationError("a point or scalar is refused", code="voting.keygen-points", about_points=True)
    if any(points[0] == state.points(other)[0] for other in state.received[2]):
        raise KeyGenerationError("two trustees share a point", code="voting.keygen-points", about_points=True)
    c = pop_challenge(state.meeting, index, points[0], r)
    if group.mult_base(z) != group.add(r, group.mult(c, points[0])):
        raise KeyGenerationError("proof of possession fails", code="voting.keygen-pop", about_points=True)


def _check_shares(state: KeyGeneration, parts: dict[str, Any]) -> None:
    sizes = [0 if j == parts["trustee"] else BOX_BYTES for j in range(1, state.count + 1)]
    if [len(box) for box in parts["boxes"]] != sizes:
        raise KeyGenerationError("wrong number or length of boxes", code="voting.keygen-boxes")


def _check_certify(state: KeyGeneration, parts: dict[str, Any]) -> None:
    key = state.public_key()
    claimed = (parts["transcript"], parts["key"], tuple(parts["verification_keys"]))
    if claimed != (key.transcript, key.key, key.verification_keys):
        raise KeyGenerationError("a trustee certifies another key", code="voting.keygen-certify", about_points=True)


_Check = Callable[[KeyGeneration, dict[str, Any]], None]
_FORM: dict[str, _Check] = {
    "register": _check_register,
    "commit": _accept_form,
    "reveal": _check_commitment,
    "shares": _check_shares,
    "certify": _accept_form,
}
_POINTS: dict[str, _Check] = {"reveal": _check_points, "certify": _check_certify}
