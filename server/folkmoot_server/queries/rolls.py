"""What members see of the roll: its public statement and their own entry."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.storage import rolls
from folkmoot_voting.encoding import b64u


def roll(tx: Connection, meeting: str, member: str) -> dict[str, Any]:
    """{"statement", "mine", "size"} of a frozen roll.

    Raises:
        NotFound: it is not frozen.
    """
    found = rolls.frozen(tx, meeting)
    return {
        "statement": found.statement,
        "mine": rolls.entry(tx, meeting, member),
        "size": found.core["size"],
    }


def roll_state(tx: Connection, meeting: str) -> dict[str, Any]:
    """{"frozen", "hash", "size"} as in Meeting of wire.md; empty and 0 before the freeze."""
    found = rolls.find(tx, meeting)
    if found is None or found.statement is None:
        return {"frozen": False, "hash": "", "size": 0}
    return {"frozen": True, "hash": b64u(found.roll_hash), "size": found.core["size"]}


def own_credential(tx: Connection, meeting: str, member: str) -> str | None:
    """The credential of the member's newest check-in."""
    return rolls.newest_credential(tx, meeting, member)
