"""What dishonest senders change in the vectors of sections 3 and 4: each fault by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from folkmoot_voting import encoding, group
from folkmoot_voting.encoding import JsonObject, b64u

Change = Callable[[Any], Any]
OFFICERS = ("Hồ Chủ Toạ", "Thư Ký")


def _entry_with(index: int, name: str, to: Any) -> Change:
    return lambda entries: [{**one, name: to} if place == index else one for place, one in enumerate(entries)]


def _exception(kind: str, method: str = "", officers: tuple[str, ...] = ()) -> JsonObject:
    return {"kind": kind, "method": method, "officers": list(officers)}


ENTRY_FAULTS: dict[str, Change] = {
    "disorder": lambda entries: entries[::-1],
    "member twice": lambda entries: [entries[0], *entries],
    "passkey twice": lambda entries: _entry_with(0, "passkeys", entries[1]["passkeys"])(entries),
    "weight 0": _entry_with(0, "weight", 0),
    "weight 10^6 + 1": _entry_with(0, "weight", 10**6 + 1),
    "weight true": _entry_with(0, "weight", True),
    "exception as text": _entry_with(0, "exception", ""),
    "unknown exception": _entry_with(0, "exception", _exception("lost")),
    "three officers": _entry_with(2, "exception", _exception("first", "known", ("a", "b", "c"))),
    "first without method": _entry_with(2, "exception", _exception("first", "", OFFICERS)),
    "first with one officer": _entry_with(2, "exception", _exception("first", "known", OFFICERS[:1])),
    "one officer twice": _entry_with(2, "exception", _exception("first", "known", (OFFICERS[0],) * 2)),
    "replaced without officers": _entry_with(3, "exception", _exception("replaced", "known")),
    "added with officers": _entry_with(4, "exception", _exception("added", "", OFFICERS)),
    "none with method": _entry_with(0, "exception", _exception("none", "known")),
    "unknown field": _entry_with(0, "note", "x"),
    "21 passkeys": _entry_with(5, "passkeys", [{"id": b64u(bytes([n])), "key": b64u(b"k")} for n in range(21)]),
}
CORE_FAULTS: dict[str, JsonObject] = {
    "weight beyond 10^8": {"weight": 10**8 + 1},
    "another weight": {"weight": 24},
    "another number of exceptions": {"exceptions": 2},
    "another root": {"root": b64u(bytes(32))},
}


def _set(name: str, to: Change) -> Change:
    return lambda message: {**message, name: to(message[name])}


def bend(text: str) -> str:
    """Return the b64u string with one bit of its fourth byte changed."""
    raw = bytearray(encoding.unb64u(text))
    raw[3] ^= 1
    return b64u(bytes(raw))


# Round, name, what a dishonest sender changes before signing, and whether the signature is made anew.
MESSAGE_FAULTS: list[tuple[str, str, Change, bool]] = [
    ("register", "other meeting", _set("meeting", lambda _: "x"), True),
    ("register", "other attempt", _set("attempt", lambda n: n + 1), True),
    ("register", "no such trustee", _set("trustee", lambda _: 4), True),
    ("register", "other roll", _set("roll", bend), True),
    ("register", "no salt hash", lambda m: {k: v for k, v in m.items() if k != "salt_hash"}, True),
    ("commit", "attempt before", _set("attempt", lambda n: n - 1), True),
    ("commit", "as another trustee", _set("trustee", lambda _: 2), True),
    ("commit", "signature", _set("sig", bend), False),
    ("commit", "unknown field", lambda m: {**m, "note": 1}, True),
    ("commit", "unknown type", _set("type", lambda _: "vote"), True),
    ("commit", "trustee as text", _set("trustee", lambda _: "1"), True),
    ("reveal", "other points", _set("points", lambda p: p[::-1]), True),
    ("reveal", "one point", _set("points", lambda p: p[:1]), True),
    ("reveal", "no points", _set("points", lambda _: []), True),
    ("reveal", "response", _set("pop", lambda p: {**p, "z": b64u(bytes(32))}), True),
    ("reveal", "commitment", _set("pop", lambda p: {**p, "r": b64u(group.BASE)}), True),
    ("reveal", "no point", _set("pop", lambda p: {**p, "r": b64u(b"\x01" * 32)}), True),
    ("reveal", "no scalar", _set("pop", lambda p: {**p, "z": b64u(b"\xff" * 32)}), True),
    ("shares", "short box", _set("boxes", lambda b: [b[0], b[1][:-4], b[2]]), True),
    ("shares", "box for oneself", _set("boxes", lambda b: [b[1], b[1], b[2]]), True),
    ("shares", "two boxes", _set("boxes", lambda b: b[:2]), True),
    ("salt", "other salt", _set("salt", bend), True),
    ("salt", "as another trustee", _set("trustee", lambda _: 2), True),
    ("certify", "other transcript", _set("transcript", bend), True),
    ("certify", "other key", _set("key", lambda _: b64u(group.BASE)), True),
    ("certify", "keys reversed", _set("verification_keys", lambda k: k[::-1]), True),
    ("certify", "two keys", _set("verification_keys", lambda k: k[:2]), True),
    ("complaint", "against oneself", _set("against", lambda _: 1), True),
    ("complaint", "against nobody", _set("against", lambda _: 4), True),
    ("complaint", "other private key", _set("box_secret", bend), True),
    ("complaint", "signature", _set("sig", bend), False),
]
