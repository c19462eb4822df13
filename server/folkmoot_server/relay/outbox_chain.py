"""The chain of a relay's outbox (relay.md section 4): entries, heads and receipts; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from folkmoot_server.domain.relays import Kind, chain_head, entry_hash
from folkmoot_voting import signing
from folkmoot_voting.encoding import JsonObject, b64u, h, jcs

ENTRIES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the number of its last entry and that entry's hash; 0 and empty before the first."""

    seq: int = 0
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a page asks while the link is cut, checked; `member` is empty where the entry names nobody."""

    kind: Kind
    member: str
    body: JsonObject


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs the entries of this start: relay's id, epoch of the start, 32-byte Ed25519 seed of the device."""

    relay: str
    epoch: int
    seed: bytes


def make_entry(signer: Signer, after: Head, wish: Wish, *, at: int, cut: bool, salt: bytes) -> JsonObject:
    """Return the signed entry that follows `after`; `at` is seconds UTC, `salt` 32 random bytes.

    Raises:
        EncodingError: the wish cannot be written in JCS.
    """
    entry = {
        "v": 1,
        "relay": signer.relay,
        "epoch": signer.epoch,
        "seq": after.seq + 1,
        "prev": b64u(after.digest),
        "at": at,
        "cut": cut,
        "salt": b64u(salt),
        "kind": wish.kind.value,
        "member": wish.member,
        "body": wish.body,
    }
    return {**entry, "sig": b64u(signing.sign(signer.seed, entry_hash(chain_head(entry))))}


def head_of(entry: JsonObject) -> bytes:
    """Return the 32-byte head after a signed entry."""
    return chain_head({name: value for name, value in entry.items() if name != "sig"})


def receipt(entry: JsonObject) -> JsonObject:
    """Return what the page keeps of an entry."""
    return {"relay": entry["relay"], "seq": entry["seq"], "head": b64u(head_of(entry)), "sig": entry["sig"]}


def wish_digest(wish: Wish) -> bytes:
    """Return 32 bytes that are the same for the same wish of the same member.

    Raises:
        EncodingError: the wish cannot be written in JCS.
    """
    return h("fm1/relay-wish", wish.kind, wish.member, jcs(wish.body))
