"""What members see of key generation and cosigners."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands.keys import key_generation
from folkmoot_server.domain.keys import ROUNDS, threshold
from folkmoot_server.storage import keys, rolls
from folkmoot_voting.encoding import unb64u
from folkmoot_voting.keygen import spoken_code


def key_state(tx: Connection, meeting: str) -> dict[str, Any]:
    """{"state", "trustees", "code"} as in Meeting of wire.md; the code is there once all shares are posted."""
    trustees = _trustees(tx, meeting)
    messages = keys.messages(tx, meeting)
    done = trustees and len(messages) == len(ROUNDS) * len(trustees)
    state = "ready" if done else "running" if messages else "waiting"
    return {"state": state, "trustees": trustees, "code": _code(tx, meeting, messages, len(trustees))}


def keygen(tx: Connection, meeting: str) -> dict[str, Any]:
    """The answer of GET keygen in wire.md.

    Raises:
        NotFound: the roll is not frozen.
    """
    rolls.frozen(tx, meeting)
    trustees = _trustees(tx, meeting)
    messages = keys.messages(tx, meeting)
    return {
        "threshold": threshold(len(trustees)),
        "count": len(trustees),
        "trustees": trustees,
        "messages": messages,
        "code": _code(tx, meeting, messages, len(trustees)),
    }


def cosigner_states(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """The cosigners as in Meeting of wire.md."""
    return [{"name": one.name, "member": one.member, "ready": bool(one.key)} for one in keys.cosigners(tx, meeting)]


def offices(tx: Connection, meeting: str, member: str) -> dict[str, Any]:
    """{"trustee": index or 0, "cosigner": name or ""} of one member."""
    return {
        "trustee": keys.trustee_index(tx, meeting, member),
        "cosigner": keys.cosigner_name(tx, meeting, member),
    }


def _trustees(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    return [{"index": index, "member": member, "name": name} for index, member, name in keys.trustees(tx, meeting)]


def _code(tx: Connection, meeting: str, messages: list[dict[str, Any]], count: int) -> str:
    certified = [one for one in messages if one["type"] == "certify"]
    if certified:
        return spoken_code(unb64u(certified[0]["transcript"]))
    if count and len(messages) == (len(ROUNDS) - 1) * count:
        return key_generation(tx, meeting).spoken_code
    return ""
