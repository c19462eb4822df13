"""What members see of the roll: its public statement and their own entry."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.storage import rolls


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
