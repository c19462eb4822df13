"""Statements that trustees have deleted their secrets (section 4), and destroyed.json (section 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import fields, signing
from .encoding import JsonObject, b64u, h, u32, u64
from .errors import DestructionInvalid, EncodingError
from .keygen import TrusteesKey

STATEMENT = fields.record(
    type=fields.const("destroyed"),
    meeting=fields.ident,
    attempt=fields.integer(),
    trustee=fields.index,
    at=fields.moment,
    sig=fields.signature,
)
FILE = fields.record(v=fields.const(1), meeting=fields.ident, statements=fields.items(STATEMENT))


def destroyed_hash(meeting: str, attempt: int, trustee: int, transcript: bytes, at: int) -> bytes:
    """Return the 32 bytes that a statement signs and that the ledger records."""
    return h("fm1/destroyed", meeting, u32(attempt), u32(trustee), transcript, u64(at))


def make_statement(meeting: str, attempt: int, trustee: int, transcript: bytes, at: int, seed: bytes) -> JsonObject:
    """Return the signed statement; seed is that of the trustee's sign_key, at in seconds since 1970."""
    digest = destroyed_hash(meeting, attempt, trustee, transcript, at)
    return {
        "type": "destroyed",
        "meeting": meeting,
        "attempt": attempt,
        "trustee": trustee,
        "at": at,
        "sig": b64u(signing.sign(seed, digest)),
    }


def check_statement(statement: JsonObject, meeting: str, key: TrusteesKey, *, not_before: int = 0) -> bytes:
    """Check one statement and return its destroyed_hash.

    Args:
        statement: the JSON of section 4.
        meeting: id of the meeting.
        key: the meeting's trustees' key.
        not_before: when the challenge period of the last election ends, seconds since 1970.

    Raises:
        DestructionInvalid: malformed, of another key, unsigned or too early.
    """
    try:
        parts: dict[str, Any] = STATEMENT(statement)
    except EncodingError as error:
        raise DestructionInvalid(f"statement: {error.detail}", code="voting.destroyed-malformed") from error
    index = parts["trustee"]
    if (parts["meeting"], parts["attempt"]) != (meeting, key.attempt) or index > key.count:
        raise DestructionInvalid("a statement about another key", code="voting.destroyed-foreign")
    digest = destroyed_hash(meeting, key.attempt, index, key.transcript, parts["at"])
    if not signing.is_valid(key.sign_keys[index - 1], digest, parts["sig"]):
        raise DestructionInvalid(f"trustee {index} has not signed this", code="voting.destroyed-unsigned")
    if parts["at"] < not_before:
        raise DestructionInvalid("the challenge period is not over", code="voting.destroyed-early")
    return digest


def make_file(meeting: str, statements: Iterable[JsonObject]) -> JsonObject:
    """Return destroyed.json, sorted by trustee."""
    ordered = sorted(statements, key=lambda statement: int(statement["trustee"]))
    return {"v": 1, "meeting": meeting, "statements": ordered}


def check_file(data: JsonObject, meeting: str, key: TrusteesKey, *, not_before: int = 0) -> list[bytes]:
    """Check destroyed.json and return the hashes of its statements, by trustee.

    Raises:
        DestructionInvalid: malformed, disordered, two of one trustee, or a statement that is refused.
    """
    try:
        parts = FILE(data)
    except EncodingError as error:
        raise DestructionInvalid(f"destroyed.json: {error.detail}", code="voting.destroyed-malformed") from error
    if parts["meeting"] != meeting:
        raise DestructionInvalid("destroyed.json of another meeting", code="voting.destroyed-foreign")
    indices = [statement["trustee"] for statement in parts["statements"]]
    if indices != sorted(set(indices)):
        raise DestructionInvalid("two statements of one trustee, or disorder", code="voting.destroyed-order")
    return [check_statement(one, meeting, key, not_before=not_before) for one in data["statements"]]
