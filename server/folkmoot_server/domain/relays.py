"""The relay of a hall as rules: its code, its starts, the nonces of a cut and the chain of its outbox (relay.md)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from folkmoot_server.domain.errors import Conflict, Refused, WrongState
from folkmoot_server.domain.ids import Rng, from_b64u
from folkmoot_voting import signing
from folkmoot_voting.encoding import CROCKFORD, JsonObject, b64u, crockford, h, jcs, u32, u64

CODE_S: Final = 24 * 3600
SESSION_S: Final = 12 * 3600
MARK_OCTETS: Final = 12
RELAYS_MAX: Final = 7  # with an origin, in a meeting: a roll lists eight origins, ours among them
CLOCK_OFF_S: Final = 120
TWICE_WITHIN_S: Final = 600
TWICE_MAX: Final = 3
NONCES: Final = 10_000  # of a start
DEGRADED_S: Final = 8
ENTRIES_MAX: Final = 100
SITE_SEAT: Final = "site:"  # no member's id has a colon

_CODE: Final = re.compile(f"[{CROCKFORD}]{{16}}")
_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?::([1-9][0-9]{0,4}))?")


class State(StrEnum):
    """Whether a relay may still speak for its hall."""

    ENROLLED = "enrolled"
    REVOKED = "revoked"
    TWICE = "twice"
    REPLACED = "replaced"


class Verb(StrEnum):
    """What can happen to a relay."""

    REVOKE = "revoke"
    FIND_TWICE = "find twice"
    REPLACE = "replace"


NEXT: Final[Mapping[tuple[State, Verb], State]] = MappingProxyType(
    {
        (State.ENROLLED, Verb.REVOKE): State.REVOKED,
        (State.ENROLLED, Verb.FIND_TWICE): State.TWICE,
        (State.ENROLLED, Verb.REPLACE): State.REPLACED,
        # A key that is no good for one reason may be named no good for a better one, never good again.
        (State.TWICE, Verb.REVOKE): State.REVOKED,
        (State.TWICE, Verb.REPLACE): State.REPLACED,
        (State.REVOKED, Verb.REPLACE): State.REPLACED,
    }
)


class Alert(StrEnum):
    """What stands on the chair's page until somebody puts it aside (sites.md section 5)."""

    TWICE = "relay-twice"
    CLOCK = "relay-clock"
    FORKED = "relay-forked"
    REWOUND = "relay-rewound"


class Kind(StrEnum):
    """What an entry of the outbox says."""

    CHECK_IN = "check-in"
    HAND = "hand"
    SPEAK = "speak"
    SEAL = "seal"
    BALLOT = "ballot"
    VOID = "void"
    REPLACEMENT = "replacement"
    HERE = "here"


# Who asks is named where a passkey or the hall answers for it; a credential says itself whose it is.
NAMED: Final = frozenset({Kind.CHECK_IN, Kind.HAND, Kind.SPEAK, Kind.REPLACEMENT})


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the hub has taken an outbox: the last number, its head (empty before the first), and its time."""

    upto: int
    head: bytes
    last_at: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an outbox, of the right form."""

    json: JsonObject  # without the signature
    sig: bytes
    head: bytes

    @property
    def relay(self) -> str:
        """The relay that says so."""
        return str(self.json["relay"])

    @property
    def epoch(self) -> int:
        """The start under which it was written."""
        return int(self.json["epoch"])

    @property
    def seq(self) -> int:
        """Its number, from 1."""
        return int(self.json["seq"])

    @property
    def at(self) -> int:
        """When it was written, by the relay's time."""
        return int(self.json["at"])

    @property
    def cut(self) -> bool:
        """Whether the link was cut."""
        return bool(self.json["cut"])

    @property
    def kind(self) -> Kind:
        """What it says."""
        return Kind(self.json["kind"])

    @property
    def member(self) -> str:
        """Who asked, or empty."""
        return str(self.json["member"])

    @property
    def body(self) -> Mapping[str, Any]:
        """The particulars."""
        return dict(self.json["body"])


def follow(state: State, verb: Verb) -> State:
    """Return the state after `verb`.

    Raises:
        WrongState: the table has no such step.
    """
    following = NEXT.get((state, verb))
    if following is None:
        raise WrongState("relay.wrong-state", f"Nobody can {verb} a relay that is {state}.")
    return following


def new_code(rng: Rng) -> str:
    """Draw a code of 80 bits: 16 Crockford characters without separators."""
    return crockford(rng(10), 80)


def shown_code(code: str) -> str:
    """Return a code in groups of four, as people read it."""
    return "-".join(code[place : place + 4] for place in range(0, 16, 4))


def plain_code(text: str) -> str:
    """Return what was typed without separators and in capitals; empty when it is no code."""
    plain = text.replace("-", "").replace(" ", "").upper()
    return plain if _CODE.fullmatch(plain) else ""


def check_origin(origin: str, rp_id: str) -> str:
    """Return an origin under which the relay of a hall may serve pages; empty stays empty.

    Raises:
        Refused: not an origin, not https (http for localhost alone), or a host that is not the relying party's.
    """
    if not origin:
        return ""
    match = _ORIGIN.fullmatch(origin)
    if match is None or int(match[3] or 1) > 65535:
        raise Refused("relay.origin", "A relay's address looks like https://hall7.example.org, without a path.")
    scheme, host = match[1], match[2]
    if host != rp_id and not host.endswith("." + rp_id):
        raise Refused("relay.origin", f"A relay's address must be {rp_id} or end in .{rp_id}.")
    if scheme == "http" and host != "localhost" and not host.endswith(".localhost"):
        raise Refused("relay.origin", "Browsers give passkeys only to addresses with https.")
    return origin


def enrol_hash(code: str, key: bytes) -> bytes:
    """Return what a new relay signs with its key."""
    return h("fm1/relay-enrol", code, key)


def start_hash(relay: str, at: int, nonce: bytes, epoch: int, upto: int) -> bytes:
    """Return what a relay signs when it starts."""
    return h("fm1/relay-start", relay, u64(at), nonce, u64(epoch), u64(upto))


def pipe_hash(relay: str, epoch: int, fingerprints: Sequence[JsonObject]) -> bytes:
    """Return what a relay signs of the certificate with which it dials; `fingerprints` as pipe.create gives them.

    Raises:
        EncodingError: they cannot be written in JCS.
    """
    return h("fm1/relay-pipe", relay, u64(epoch), jcs(list(fingerprints)))


def session_mark(token_hash: bytes) -> str:
    """Return by which name hub and relay speak of a session that both know: the beginning of its token's hash."""
    return b64u(token_hash[:MARK_OCTETS])


def site_seat(site: str) -> str:
    """Return the seat of a hall itself: who sends its camera and its microphone."""
    return f"{SITE_SEAT}{site}"


def site_of_seat(seat: str) -> str | None:
    """Return the hall whose own seat this is, or None."""
    return seat.removeprefix(SITE_SEAT) if seat.startswith(SITE_SEAT) else None


def entry_hash(head: bytes) -> bytes:
    """Return what a relay signs of an entry."""
    return h("fm1/relay-entry", head)


def seed(secret: bytes, relay: str, epoch: int) -> bytes:
    """Return the seed of a start's nonces.

    Nobody but the hub can make it, and the hub makes it anew from a backup: what a hall queued under a start that the
    backup has not seen still counts.
    """
    return hmac.digest(secret, h("fm1/relay-seed", relay, u64(epoch)), "sha256")


def nonce(start_seed: bytes, index: int) -> bytes:
    """Return the nonce of a start with this index."""
    return h("fm1/relay-nonce", start_seed, u32(index))


@lru_cache(maxsize=16)
def nonces(start_seed: bytes) -> frozenset[bytes]:
    """Return every nonce of a start."""
    return frozenset(nonce(start_seed, index) for index in range(NONCES))


def is_twice(named: int, newest_used: int) -> bool:
    """Say whether a start that names `named` as its last epoch comes from a second computer with the key.

    One that never heard the answer to its last start names an older epoch too; then nobody has used that one's token.
    """
    return named < newest_used


def clock_off(at: int, now: int) -> int:
    """Return by how many seconds a clock is ahead, or 0 where that is tolerable."""
    return at - now if abs(at - now) > CLOCK_OFF_S else 0


def effective(at: int, floor: int, now: int) -> int:
    """Return the time that counts for an entry: never before `floor`, never after its receipt."""
    return max(min(at, now), min(floor, now))


def read_entry(raw: JsonObject) -> Entry:
    """Return an entry whose fields are as relay.md says."""
    unsigned = {name: value for name, value in raw.items() if name != "sig"}
    return Entry(unsigned, from_b64u(str(raw["sig"])), chain_head(unsigned))


def chain_head(unsigned: JsonObject) -> bytes:
    """Return the head after an entry: SHA-256 of its JCS without the signature."""
    return hashlib.sha256(jcs(unsigned)).digest()


def fresh(
    relay: str, key: bytes, cursor: Cursor, known: Mapping[int, bytes], entries: Sequence[Entry]
) -> list[Entry]:
    """Return the entries that the hub has not taken yet; those sent again are left out.

    Args:
        relay: whose outbox it is.
        key: with which it signs.
        cursor: what was taken.
        known: head of each number up to the cursor that is among the entries.
        entries: as they came.

    Raises:
        Refused: another relay's, a gap, a head before that is not the one before, or a wrong signature.
        Conflict: another entry was taken under the same number.
    """
    upto, head = cursor.upto, cursor.head
    new: list[Entry] = []
    last = entries[0].seq - 1 if entries else 0
    for entry in entries:
        if entry.relay != relay:
            raise Refused("relay.chain", "The entry is another relay's.")
        if entry.seq != last + 1:
            raise Refused("relay.gap", "The entries do not follow each other.", {"upto": cursor.upto})
        last = entry.seq
        if not signing.is_valid(key, entry_hash(entry.head), entry.sig):
            raise Refused("relay.signature", "An entry is not signed by the relay's key.")
        if entry.seq <= cursor.upto:
            if known.get(entry.seq) != entry.head:
                raise Conflict("relay.forked", "Another entry was taken under this number.")
            continue
        if entry.seq != upto + 1:
            raise Refused("relay.gap", f"The next entry is number {upto + 1}.", {"upto": cursor.upto})
        if entry.json["prev"] != b64u(head):
            raise Refused("relay.chain", "The entry does not follow the one before it.")
        new.append(entry)
        upto, head = entry.seq, entry.head
    return new


@dataclass(frozen=True, slots=True)
class Session:
    """A relay that has shown its token: which, of what hall, and under which start; times in seconds UTC.

    Attributes:
        origin: where it serves pages, or empty.
        used: whether the token had come back before.
    """

    relay: str
    meeting: str
    site: str
    key: bytes
    origin: str
    epoch: int
    started_at: int
    used: bool


def kiosk_outside(part: JsonObject) -> JsonObject:
    """Return the part "kiosk" as a hall gets it that is outside of a closed session: who is there, nothing of votes.

    The relay says in a cut that they are still there, whatever is spoken of elsewhere.
    """
    return {"members": [{**one, "credential": ""} for one in part["members"]]}
