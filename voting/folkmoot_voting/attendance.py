"""The attendance log (section 9): who came, left and was back, as a hash chain of which each vote signs the head.

The log names members and stays in the annex. Its marks, at the opening and the closing of each vote, are public and
stand in the ledger, so that nobody can tell another story later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from . import fields
from .encoding import JsonObject, b64u, h, jcs
from .errors import EncodingError
from .manifest import Manifest

OPENING: Final = "opening"
CLOSING: Final = "closing"
REASONS: Final = ("left", "lost", "removed", "adjourned", "closed", "moved", "cut")
# Whom a sign of life takes back without another check-in.
RETURNING: Final = ("lost", "cut")
MAX_MARKS: Final = 200

MARK = fields.record(
    election=fields.ident,
    when=fields.one_of(OPENING, CLOSING),
    count=fields.integer(),
    head=fields.hash32,
    present=fields.integer(),
    present_weight=fields.integer(),
    met=fields.boolean,
)
FILE = fields.record(v=fields.const(1), meeting=fields.ident, marks=fields.items(MARK, 1, MAX_MARKS))
START = fields.record(v=fields.const(1), meeting=fields.ident, salt=fields.hash32)
EVENTS: Final[Mapping[str, fields.Shape]] = {
    "arrived": fields.record(
        type=fields.const("arrived"),
        seq=fields.integer(),
        member=fields.ident,
        site=fields.ident,
        statement=fields.hash32,
    ),
    "returned": fields.record(type=fields.const("returned"), seq=fields.integer(), member=fields.ident),
    "departed": fields.record(
        type=fields.const("departed"),
        seq=fields.integer(),
        member=fields.ident,
        reason=fields.one_of(*REASONS),
    ),
}


def event(value: Any) -> Any:
    """The form of one line after the first; raises EncodingError."""
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in EVENTS:
        raise EncodingError("unknown attendance event")
    return EVENTS[kind](value)


def arrived(seq: int, member: str, site: str, statement: bytes) -> JsonObject:
    """Return the line of a check-in; `statement` is its `statement_hash`, `seq` the number of the meeting's event."""
    return {"type": "arrived", "seq": seq, "member": member, "site": site, "statement": b64u(statement)}


def returned(seq: int, member: str) -> JsonObject:
    """Return the line of a sign of life of who was lost, or silent for a while."""
    return {"type": "returned", "seq": seq, "member": member}


def departed(seq: int, member: str, reason: str) -> JsonObject:
    """Return the line of the end of an interval, with one of REASONS."""
    return {"type": "departed", "seq": seq, "member": member, "reason": reason}


def start_line(meeting: str, salt: bytes) -> JsonObject:
    """Return the first line; without its salt nobody can try out who was there against a published head."""
    return {"v": 1, "meeting": meeting, "salt": b64u(salt)}


def first_head(meeting: str, salt: bytes) -> bytes:
    """Return the head of a log of no events."""
    return h("fm1/attendance-start", meeting, salt)


def next_head(head: bytes, line: bytes) -> bytes:
    """Return the head after one more line, given as its JCS bytes."""
    return h("fm1/attendance", head, line)


def make_mark(opened: Manifest, when: str, *, count: int, head: bytes, present: int, weight: int) -> JsonObject:
    """Return what is signed of the attendance at an opening or closing; `count` events lead to `head`."""
    return {
        "election": opened.election,
        "when": when,
        "count": count,
        "head": b64u(head),
        "present": present,
        "present_weight": weight,
        "met": quorum_met(opened, present, weight),
    }


def make_file(meeting: str, marks: list[JsonObject]) -> JsonObject:
    """Return attendance.json."""
    return {"v": 1, "meeting": meeting, "marks": marks}


def mark_hash(meeting: str, mark: JsonObject) -> bytes:
    """Return the hash that the ledger has of a mark."""
    return h("fm1/attendance-mark", meeting, jcs(mark))


def quorum_met(opened: Manifest, present: int, weight: int) -> bool:
    """Say whether those present reach the fraction that the manifest's rule asks of the roll."""
    votes = opened.rules.quorum_in == "votes"
    count, base = (weight, opened.roll_weight) if votes else (present, opened.roll_size)
    return count * opened.rules.quorum_den >= opened.rules.quorum_num * base
