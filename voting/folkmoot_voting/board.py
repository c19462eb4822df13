"""The board of one election and the ledger (section 6): entries, their order, leaves, promises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import ballot as ballots
from . import fields, manifest, signing
from .encoding import JsonObject, b64u, h, jcs, u32, u64, unb64u
from .errors import BoardInvalid, EncodingError
from .merkle_log import leaf_hash

PART = fields.record(d=fields.hash32, u=fields.hash32, w=fields.hash32, z=fields.hash32)
PARTS = fields.items(fields.items(PART))

ENTRIES: Mapping[str, fields.Shape] = {
    "opening": fields.record(type=fields.const("opening"), manifest=manifest.SHAPE),
    "ballot": fields.record(type=fields.const("ballot"), ballot=ballots.SHAPE),
    "replacement": fields.record(
        type=fields.const("replacement"),
        old=fields.key32,
        new=fields.key32,
        kiosk=fields.boolean,
        statement=fields.hash32,
    ),
    "void": fields.record(
        type=fields.const("void"),
        credential=fields.key32,
        sealed=fields.hash32,
        sig=fields.signature,
    ),
    "closing": fields.record(
        type=fields.const("closing"),
        ballots=fields.integer(),
        cast=fields.integer(),
        ended=fields.moment,
        at=fields.moment,
    ),
    "intent": fields.record(
        type=fields.const("intent"),
        trustee=fields.index,
        manifest=fields.hash32,
        closing=fields.hash32,
        aggregate=fields.hash32,
        sig=fields.signature,
    ),
    "share": fields.record(
        type=fields.const("share"),
        trustee=fields.index,
        manifest=fields.hash32,
        aggregate=fields.hash32,
        parts=PARTS,
        sig=fields.signature,
    ),
    "casting": fields.record(
        type=fields.const("casting"),
        question=fields.integer(),
        options=fields.items(fields.integer()),
        sig=fields.signature,
    ),
    "tally": fields.record(type=fields.const("tally"), hash=fields.hash32),
}

# state -> entry type -> next state
ORDER: Mapping[str, Mapping[str, str]] = {
    "empty": {"opening": "open"},
    "open": {"ballot": "open", "replacement": "open", "void": "open", "closing": "closed"},
    "closed": {"intent": "closed", "share": "closed", "casting": "closed", "tally": "done"},
    "done": {},
}

LEDGER_TYPES = ("roll", "key", "opened", "closed", "tally", "destroyed", "attendance")
LEDGER_ENTRY = fields.record(
    v=fields.const(1),
    type=fields.one_of(*LEDGER_TYPES),
    at=fields.moment,
    hash=fields.hash32,
)
PROMISE = fields.record(manifest=fields.hash32, leaf=fields.hash32, publish_by=fields.moment, sig=fields.signature)


@dataclass(frozen=True)
class BoardState:
    """What may come next on a board; `accept` returns the next state.

    Attributes:
        phase: "empty", "open", "closed" or "done".
        size: entries so far.
        ballots: ballots so far.
    """

    phase: str = "empty"
    size: int = 0
    ballots: int = 0
    intents: frozenset[int] = field(default=frozenset())
    shares: frozenset[int] = field(default=frozenset())
    castings: frozenset[int] = field(default=frozenset())

    def accept(self, entry: JsonObject) -> BoardState:
        """Return the state after one more entry; looks at type, trustee and question only.

        Raises:
            BoardInvalid: the entry may not come now.
        """
        kind = str(entry.get("type"))
        phase = ORDER[self.phase].get(kind)
        if phase is None:
            raise BoardInvalid(f"{kind} may not follow in an {self.phase} board", code="voting.board-order")
        state = replace(self, phase=phase, size=self.size + 1)
        if kind == "ballot":
            return replace(state, ballots=self.ballots + 1)
        if kind == "intent":
            return replace(state, intents=_once(self.intents, entry["trustee"]))
        if kind == "share":
            if entry["trustee"] not in self.intents:
                raise BoardInvalid("a share comes after its trustee's intent", code="voting.board-order")
            return replace(state, shares=_once(self.shares, entry["trustee"]))
        if kind == "casting":
            return replace(state, castings=_once(self.castings, entry["question"]))
        return state


def _once(known: frozenset[int], index: int) -> frozenset[int]:
    if index in known:
        raise BoardInvalid("one intent and share per trustee, one casting per question", code="voting.board-second")
    return known | {index}


def check_entry(entry: Any) -> dict[str, Any]:
    """Check the form of a board entry and return it with byte strings decoded.

    Raises:
        BoardInvalid: unknown type or wrong fields.
    """
    kind = entry.get("type") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in ENTRIES:
        raise BoardInvalid("unknown board entry", code="voting.board-malformed")
    try:
        parts: dict[str, Any] = ENTRIES[kind](entry)
    except EncodingError as error:
        raise BoardInvalid(f"{kind}: {error.detail}", code="voting.board-malformed") from error
    return parts


def entry_leaf(entry: JsonObject) -> bytes:
    """Return the leaf hash of a board or ledger entry."""
    return leaf_hash(jcs(entry))


def opening_entry(manifest_json: JsonObject) -> JsonObject:
    """Return the opening entry."""
    return {"type": "opening", "manifest": manifest_json}


def ballot_entry(ballot_json: JsonObject) -> JsonObject:
    """Return the entry of one ballot."""
    return {"type": "ballot", "ballot": ballot_json}


def replacement_entry(old: bytes, new: bytes, statement: bytes, *, kiosk: bool) -> JsonObject:
    """Return the entry by which `new` takes the place of `old`; statement is a `statement_hash`."""
    return {"type": "replacement", "old": b64u(old), "new": b64u(new), "kiosk": kiosk, "statement": b64u(statement)}


def statement_hash(salt: bytes, statement: JsonObject) -> bytes:
    """Return the salted hash by which board and events cite a member's statement in the annex (sections 6, 9)."""
    return h("fm1/statement", salt, jcs(statement))


def closing_entry(*, ballots: int, cast: int, ended: int, at: int) -> JsonObject:
    """Return the closing entry; ended and at are Unix seconds."""
    return {"type": "closing", "ballots": ballots, "cast": cast, "ended": ended, "at": at}


def check_closing_times(opened: manifest.Manifest, entry: JsonObject) -> None:
    """Check the closing entry's times against the manifest (part of V16).

    Raises:
        BoardInvalid: earlier than the grace or closes_at allow.
    """
    everybody = entry["cast"] == opened.electorate_size and opened.voting_again == manifest.ONCE
    if everybody:
        return
    if entry["at"] < entry["ended"] + opened.grace_s or entry["ended"] < opened.closes_at:
        raise BoardInvalid("the vote was closed too early", code="voting.board-closing")


def casting_hash(manifest_hash: bytes, closing: bytes, question: int, options: Sequence[int]) -> bytes:
    """Return the 32 bytes that a casting vote signs."""
    return h("fm1/casting", manifest_hash, closing, u32(question), jcs(list(options)))


def casting_entry(
    manifest_hash: bytes, closing: bytes, question: int, options: Sequence[int], seed: bytes
) -> JsonObject:
    """Return a casting vote signed by the chair's cosigner seed; closing is the closing checkpoint's hash."""
    digest = casting_hash(manifest_hash, closing, question, options)
    return {
        "type": "casting",
        "question": question,
        "options": list(options),
        "sig": b64u(signing.sign(seed, digest)),
    }


def check_casting(opened: manifest.Manifest, closing: bytes, entry: JsonObject) -> None:
    """Check the signature and question of a well-formed casting entry (part of V21).

    Raises:
        BoardInvalid: no such question, or not signed by the chair.
    """
    if entry["question"] >= len(opened.questions):
        raise BoardInvalid("no such question", code="voting.casting-question")
    digest = casting_hash(opened.hash, closing, entry["question"], entry["options"])
    if not signing.is_valid(opened.cosigners["chair"], digest, unb64u(entry["sig"])):
        raise BoardInvalid("the casting vote is not signed by the chair", code="voting.casting-unsigned")


def intent_hash(manifest_hash: bytes, closing: bytes, aggregate: bytes, trustee: int) -> bytes:
    """Return the 32 bytes that a trustee's intent signs."""
    return h("fm1/intent", manifest_hash, closing, aggregate, u32(trustee))


def intent_entry(trustee: int, manifest_hash: bytes, closing: bytes, aggregate: bytes, seed: bytes) -> JsonObject:
    """Return a signed intent; closing is the closing checkpoint's hash."""
    return {
        "type": "intent",
        "trustee": trustee,
        "manifest": b64u(manifest_hash),
        "closing": b64u(closing),
        "aggregate": b64u(aggregate),
        "sig": b64u(signing.sign(seed, intent_hash(manifest_hash, closing, aggregate, trustee))),
    }


def share_hash(manifest_hash: bytes, aggregate: bytes, trustee: int, parts: Any) -> bytes:
    """Return the 32 bytes that a trustee's share signs; parts is the JSON list."""
    return h("fm1/share", manifest_hash, aggregate, u32(trustee), jcs(parts))


def share_entry(trustee: int, manifest_hash: bytes, aggregate: bytes, parts: Any, seed: bytes) -> JsonObject:
    """Return a signed share entry; parts is the JSON list of section 8."""
    return {
        "type": "share",
        "trustee": trustee,
        "manifest": b64u(manifest_hash),
        "aggregate": b64u(aggregate),
        "parts": parts,
        "sig": b64u(signing.sign(seed, share_hash(manifest_hash, aggregate, trustee, parts))),
    }


def tally_entry(tally_hash: bytes) -> JsonObject:
    """Return the last entry."""
    return {"type": "tally", "hash": b64u(tally_hash)}


def ledger_entry(kind: str, at: int, digest: bytes) -> JsonObject:
    """Return a ledger entry of one of LEDGER_TYPES.

    Raises:
        BoardInvalid: unknown type or not a 32-byte hash.
    """
    entry: JsonObject = {"v": 1, "type": kind, "at": at, "hash": b64u(digest)}
    try:
        LEDGER_ENTRY(entry)
    except EncodingError as error:
        raise BoardInvalid(f"ledger: {error.detail}", code="voting.ledger-malformed") from error
    return entry


def entry_leaves(entries: Iterable[JsonObject]) -> list[bytes]:
    """Return the leaf hashes of entries in order."""
    return [entry_leaf(entry) for entry in entries]


def make_promise(manifest_hash: bytes, leaf: bytes, publish_by: int, seed: bytes) -> JsonObject:
    """Return the server's signed promise to publish a ballot."""
    digest = h("fm1/promise", manifest_hash, leaf, u64(publish_by))
    return {
        "manifest": b64u(manifest_hash),
        "leaf": b64u(leaf),
        "publish_by": publish_by,
        "sig": b64u(signing.sign(seed, digest)),
    }


def verify_promise(promise: JsonObject, board_key: bytes) -> None:
    """Check a promise's signature.

    Raises:
        BoardInvalid: malformed or not signed by the board's key.
    """
    try:
        parts = PROMISE(promise)
    except EncodingError as error:
        raise BoardInvalid(f"promise: {error.detail}", code="voting.promise") from error
    digest = h("fm1/promise", parts["manifest"], parts["leaf"], u64(parts["publish_by"]))
    if not signing.is_valid(board_key, digest, parts["sig"]):
        raise BoardInvalid("the promise is not signed by the board", code="voting.promise")
