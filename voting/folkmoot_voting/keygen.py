"""The trustees' key (section 4): a fold over public messages that accepts them in order or refuses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import boxes, fields, group, signing
from .encoding import MAX_MESSAGE, JsonObject, b64u, crockford, h, h512, jcs, u32, unb64u
from .errors import EncodingError, KeyGenerationError

ROUNDS = ("register", "commit", "reveal", "shares", "salt", "certify")
TRANSCRIBED = 4  # the rounds before the salts
COMPLAINT = "complaint"
MAX_TRUSTEES, MAX_ATTEMPTS = 9, 20

_HEADER: dict[str, fields.Shape] = {
    "meeting": fields.ident,
    "attempt": fields.integer(),
    "trustee": fields.index,
    "sig": fields.signature,
}
_ANY_BYTES = fields.binary(0, MAX_MESSAGE)
_SHAPES: dict[str, fields.Shape] = {
    "register": fields.record(
        type=fields.const("register"),
        roll=fields.hash32,
        sign_key=fields.key32,
        box_key=fields.key32,
        salt_hash=fields.hash32,
        **_HEADER,
    ),
    "commit": fields.record(type=fields.const("commit"), hash=fields.hash32, **_HEADER),
    "reveal": fields.record(
        type=fields.const("reveal"),
        points=fields.items(fields.hash32),
        pop=fields.record(r=fields.hash32, z=fields.hash32),
        **_HEADER,
    ),
    "shares": fields.record(
        type=fields.const("shares"),
        boxes=fields.items(_ANY_BYTES),
        **_HEADER,
    ),
    "salt": fields.record(type=fields.const("salt"), salt=fields.hash32, **_HEADER),
    "certify": fields.record(
        type=fields.const("certify"),
        transcript=fields.hash32,
        key=fields.hash32,
        verification_keys=fields.items(fields.hash32),
        **_HEADER,
    ),
    COMPLAINT: fields.record(
        type=fields.const(COMPLAINT),
        against=fields.index,
        box_secret=fields.key32,
        **_HEADER,
    ),
}


def message_shape(value: Any) -> dict[str, Any]:
    """Check the form of one message and return it with byte strings decoded.

    Raises:
        EncodingError: not one of the seven messages.
    """
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise EncodingError("unknown key generation message")
    decoded: dict[str, Any] = _SHAPES[kind](value)
    return decoded


KEYGEN = fields.record(
    v=fields.const(1),
    meeting=fields.ident,
    attempt=fields.integer(),
    threshold=fields.integer(),
    count=fields.integer(),
    messages=fields.items(message_shape),
)


@dataclass(frozen=True)
class TrusteesKey:
    """The finished key: what manifests carry of it; NO_KEY for votes without one."""

    attempt: int
    threshold: int
    count: int
    transcript: bytes
    key: bytes
    verification_keys: tuple[bytes, ...]
    sign_keys: tuple[bytes, ...]

    def to_json(self) -> JsonObject:
        """Return the manifest's `trustees` field."""
        return {
            "attempt": self.attempt,
            "threshold": self.threshold,
            "count": self.count,
            "transcript": b64u(self.transcript),
            "key": b64u(self.key),
            "verification_keys": [b64u(key) for key in self.verification_keys],
            "sign_keys": [b64u(key) for key in self.sign_keys],
        }


NO_KEY = TrusteesKey(0, 0, 0, b"", b"", (), ())


def empty_json(meeting: str) -> JsonObject:
    """Return keygen.json of a meeting without a key."""
    return {"v": 1, "meeting": meeting, "attempt": 0, "threshold": 0, "count": 0, "messages": []}


def is_empty(data: JsonObject) -> bool:
    """Say whether a well-formed keygen.json is that of a meeting without a key.

    Raises:
        KeyGenerationError: it is neither empty nor full: some of attempt, threshold, count and messages are.
    """
    parts = [bool(data[name]) for name in ("attempt", "threshold", "count", "messages")]
    if any(parts) != all(parts):
        raise KeyGenerationError("keygen.json is half empty", code="voting.keygen-numbers")
    return not any(parts)


def sign_message(message: JsonObject, seed: bytes) -> JsonObject:
    """Return the message with its "sig" by a trustee's signing seed."""
    return {**message, "sig": b64u(signing.sign(seed, message_hash(message)))}


def message_hash(message: JsonObject) -> bytes:
    """Return the 32 bytes that a key generation message signs."""
    return h("fm1/dkg", jcs({name: value for name, value in message.items() if name != "sig"}))


def commitment(meeting: str, attempt: int, index: int, sign_key: bytes, points: list[bytes]) -> bytes:
    """Return the hash that a trustee commits to before points are revealed."""
    return h("fm1/dkg-commit", meeting, u32(attempt), u32(index), sign_key, *points)


def salt_hash(meeting: str, attempt: int, index: int, salt: bytes) -> bytes:
    """Return the hash of a trustee's salt, which stands in the register message."""
    return h("fm1/dkg-salt", meeting, u32(attempt), u32(index), salt)


def pop_challenge(meeting: str, attempt: int, index: int, first: bytes, r: bytes) -> bytes:
    """Return the challenge scalar of a proof of possession."""
    return group.reduce(h512("fm1/dkg-pop", meeting, u32(attempt), u32(index), first, r))


_Received = tuple[Mapping[int, JsonObject], ...]


@dataclass(frozen=True)
class KeyGeneration:
    """The public state of one attempt at key generation; `accept` returns the next state.

    A complaint ends the attempt: nothing but what is known is accepted after it.
    """

    meeting: str
    roll_hash: bytes
    attempt: int
    threshold: int
    count: int
    received: _Received = field(default=({}, {}, {}, {}, {}, {}))
    complaint: JsonObject | None = None

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.count <= MAX_TRUSTEES:
            raise KeyGenerationError("2 <= threshold <= count <= 9", code="voting.keygen-numbers")
        if not 1 <= self.attempt <= MAX_ATTEMPTS:
            raise KeyGenerationError("a key is tried in attempts 1 to 20", code="voting.keygen-numbers")

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
        state = cls(data["meeting"], roll_hash, data["attempt"], data["threshold"], data["count"])
        wanted = [(kind, index) for kind in ROUNDS for index in range(1, state.count + 1)]
        if [(message["type"], message["trustee"]) for message in data["messages"]] != wanted:
            raise KeyGenerationError("messages are not complete and in order", code="voting.keygen-order")
        for message in data["messages"]:
            state = state.accept(message, form_only=form_only)
        return state

    @property
    def round(self) -> str | None:
        """The round whose messages are awaited, None when all are present or a complaint ended the attempt."""
        if self.complaint is not None:
            return None
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
        index = parts["trustee"]
        if (parts["meeting"], parts["attempt"]) != (self.meeting, self.attempt) or index > self.count:
            raise KeyGenerationError("message of another key generation", code="voting.keygen-foreign")
        known = self._known(parts["type"], index)
        if known is not None:
            if known == message:
                return self
            raise KeyGenerationError("a different second message", code="voting.keygen-second")
        self._check_order(parts["type"], index)
        sign_key = parts["sign_key"] if parts["type"] == "register" else self.sign_key(index)
        if not signing.is_valid(sign_key, signed, parts["sig"]):
            raise KeyGenerationError(
                f"{parts['type']} of trustee {index} is not signed", code="voting.keygen-unsigned"
            )
        _FORM[parts["type"]](self, parts)
        if not form_only and parts["type"] in _POINTS:
            _POINTS[parts["type"]](self, parts)
        if parts["type"] == COMPLAINT:
            return replace(self, complaint=message)
        received = list(self.received)
        position = ROUNDS.index(parts["type"])
        received[position] = {**received[position], index: message}
        return replace(self, received=tuple(received))

    def _known(self, kind: str, index: int) -> JsonObject | None:
        if kind == COMPLAINT:
            mine = self.complaint is not None and self.complaint["trustee"] == index
            return self.complaint if mine else None
        return self.received[ROUNDS.index(kind)].get(index)

    def _check_order(self, kind: str, index: int) -> None:
        if self.complaint is not None:
            raise KeyGenerationError("a complaint has ended this attempt", code="voting.keygen-over")
        if kind == COMPLAINT:
            all_shares = len(self.received[3]) == self.count
            if not all_shares or index in self.received[5]:
                raise KeyGenerationError("a complaint comes after the shares and before one's certification",
                                         code="voting.keygen-order")  # fmt: skip
        elif self.round != kind:
            raise KeyGenerationError(f"{kind} is not awaited now", code="voting.keygen-order")

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
        return transcript_of([message for kind in ROUNDS[:TRANSCRIBED] for message in self.messages(kind)])

    @property
    def spoken_code(self) -> str:
        """The short code that trustees compare aloud, over transcript and salts.

        Raises:
            KeyGenerationError: salts are missing.
        """
        if len(self.received[4]) < self.count:
            raise KeyGenerationError("salts are missing", code="voting.keygen-order")
        return spoken_code(self.transcript, [unb64u(message["salt"]) for message in self.messages("salt")])

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
        return TrusteesKey(self.attempt, self.threshold, self.count, self.transcript, columns[0], keys, sign_keys)

    @property
    def result(self) -> TrusteesKey | None:
        """The certified key, None until every trustee has certified, and after a complaint."""
        return self.public_key() if self.round is None and self.complaint is None else None

    def all_messages(self) -> list[JsonObject]:
        """Return every message so far: rounds in order, each by index, and a complaint last."""
        messages = [message for kind in ROUNDS for message in self.messages(kind)]
        return messages if self.complaint is None else [*messages, self.complaint]

    def to_json(self) -> JsonObject:
        """Return keygen.json of the messages so far."""
        return {
            "v": 1,
            "meeting": self.meeting,
            "attempt": self.attempt,
            "threshold": self.threshold,
            "count": self.count,
            "messages": self.all_messages(),
        }


def transcript_of(messages: list[JsonObject]) -> bytes:
    """Return the hash over all messages of the first TRANSCRIBED rounds, each round by index."""
    return h("fm1/dkg-transcript", jcs(messages))


def spoken_code(transcript: bytes, salts: list[bytes]) -> str:
    """Return 30 bits as ABC-DEF in Crockford base32; salts by index."""
    code = crockford(h("fm1/dkg-code", transcript, *salts), 30)
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
    if commitment(state.meeting, state.attempt, index, state.sign_key(index), points) != promised:
        raise KeyGenerationError("points differ from the commitment", code="voting.keygen-commitment")


def _check_points(state: KeyGeneration, parts: dict[str, Any]) -> None:
    index, points = parts["trustee"], parts["points"]
    r, z = parts["pop"]["r"], parts["pop"]["z"]
    bad_point = not all(group.is_point(point) and point != group.IDENTITY for point in points)
    if bad_point or not group.is_point(r) or not group.is_scalar(z):
        raise KeyGenerationError("a point or scalar is refused", code="voting.keygen-points", about_points=True)
    if any(points[0] == state.points(other)[0] for other in state.received[2]):
        raise KeyGenerationError("two trustees share a point", code="voting.keygen-points", about_points=True)
    c = pop_challenge(state.meeting, state.attempt, index, points[0], r)
    if group.mult_base(z) != group.add(r, group.mult(c, points[0])):
        raise KeyGenerationError("proof of possession fails", code="voting.keygen-pop", about_points=True)


def _check_shares(state: KeyGeneration, parts: dict[str, Any]) -> None:
    sizes = [0 if j == parts["trustee"] else boxes.BOX_BYTES for j in range(1, state.count + 1)]
    if [len(box) for box in parts["boxes"]] != sizes:
        raise KeyGenerationError("wrong number or length of boxes", code="voting.keygen-boxes")


def _check_salt(state: KeyGeneration, parts: dict[str, Any]) -> None:
    promised = unb64u(state.received[0][parts["trustee"]]["salt_hash"])
    if salt_hash(state.meeting, state.attempt, parts["trustee"], parts["salt"]) != promised:
        raise KeyGenerationError("the salt differs from its hash", code="voting.keygen-salt")


def _check_complaint(state: KeyGeneration, parts: dict[str, Any]) -> None:
    index, against = parts["trustee"], parts["against"]
    if against == index or against > state.count:
        raise KeyGenerationError("nobody to complain against", code="voting.keygen-complaint")
    if boxes.public_key(parts["box_secret"]) != state.box_key(index):
        raise KeyGenerationError("the private key is not that of the register", code="voting.keygen-complaint")


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
    "salt": _check_salt,
    "certify": _accept_form,
    COMPLAINT: _check_complaint,
}
_POINTS: dict[str, _Check] = {"reveal": _check_points, "certify": _check_certify}
