"""Seeded mutations of bytes and of JSON values, and a count of what they lead to."""

from __future__ import annotations

import copy
import random  # noqa: TID251  # seeded test data, no secrets
from collections.abc import Callable
from typing import Any

from folkmoot_voting.errors import VotingError

MUTATIONS = 10_000
ODD: list[Any] = [
    None, True, -1, 0, 1, 10, 2**53 - 1, 2**64, 1.5, "", "A", "AA", "A" * 43, "A" * 86, "\ud800", "e\u0301",
    "\x00", [], [[]], {}, {"type": "ballot"}, "0" * 9000,
]  # fmt: skip


def spoil_bytes(rng: random.Random, raw: bytes) -> bytes:
    """Flip, cut, insert or repeat a few bytes."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + rng.randint(1, 40)]
            case 2:
                data[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                data[at:at] = data[max(0, at - 30) : at]
    return bytes(data)


def spoil_value(rng: random.Random, value: Any) -> Any:
    """Change one place of a JSON value."""
    root = [copy.deepcopy(value)]
    parent: Any = root
    key: Any = 0
    while rng.random() < 0.85:
        inner: Any = parent[key]
        if isinstance(inner, dict) and inner:
            parent, key = inner, rng.choice(sorted(inner, key=str))
        elif isinstance(inner, list) and inner:
            parent, key = inner, rng.randrange(len(inner))
        else:
            break
    old: Any = parent[key]
    match rng.randrange(5):
        case 0 if isinstance(parent, dict):
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent["odd"] = rng.choice(ODD)
        case 2 if isinstance(parent, list) and parent is not root:
            parent.insert(key, copy.deepcopy(old))
        case 3 if isinstance(old, str) and old:
            at = rng.randrange(len(old))
            parent[key] = old[:at] + rng.choice("AZaz09-_ .") + old[at + 1 :]
        case _:
            parent[key] = rng.choice(ODD)
    return root[0]


def outcomes(call: Callable[[random.Random], Any], count: int = MUTATIONS) -> tuple[int, int]:
    """Run a call `count` times; return how many passed and how many were refused with a typed error."""
    rng = random.Random(7)
    passed = refused = 0
    for _ in range(count):
        try:
            call(rng)
            passed += 1
        except VotingError as error:
            refused += error.code.startswith("voting.") and bool(error.detail)
    return passed, refused
