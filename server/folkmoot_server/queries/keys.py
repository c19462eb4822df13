"""What members see of key generation and cosigners."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from folkmoot_server.commands.keys import key_generation
from folkmoot_server.domain.meetings import NEXT, Act
from folkmoot_server.storage import keys, meetings, rolls
from folkmoot_voting.complaints import judge
from folkmoot_voting.encoding import unb64u
from folkmoot_voting.keygen import (
    COMPLAINT,
    MAX_ATTEMPTS,
    ROUNDS,
    TRANSCRIBED,
    KeyGeneration,
    spoken_code,
    transcript_of,
)


def key_state(tx: Connection, meeting: str) -> dict[str, Any]:
    """{"state", "trustees", "code"} as in Meeting of wire.md; the code is there once all salts are posted."""
    trustees = _trustees(tx, meeting)
    messages = keys.messages(tx, meeting)
    count, over = len(trustees), bool(messages) and messages[-1]["type"] == COMPLAINT
    done = count > 0 and len(messages) == len(ROUNDS) * count and not over
    state = "ready" if done else "running" if messages else "waiting"
    return {"state": state, "trustees": trustees, "code": "" if over else _code(messages, count)}


def keygen(tx: Connection, meeting: str) -> dict[str, Any]:
    """The answer of GET keygen in wire.md.

    Raises:
        NotFound: the roll is not frozen.
    """
    rolls.frozen(tx, meeting)
    state = key_generation(tx, meeting)
    return {
        "attempt": state.attempt,
        "complaint": _complaint(state),
        "can_restart": _can_restart(tx, meeting, state.attempt),
        "threshold": state.threshold,
        "count": state.count,
        "trustees": _trustees(tx, meeting),
        "messages": state.all_messages(),
        "code": "" if state.complaint else _code(state.all_messages(), state.count),
        "destroyed": [statement["trustee"] for statement in keys.destroyed(tx, meeting)],
    }


def _code(messages: list[dict[str, Any]], count: int) -> str:
    """The spoken code of stored messages, which need no second check; empty while salts are missing."""
    salts = messages[TRANSCRIBED * count : (TRANSCRIBED + 1) * count]
    if not count or len(salts) < count:
        return ""
    return spoken_code(transcript_of(messages[: TRANSCRIBED * count]), [unb64u(one["salt"]) for one in salts])


def _can_restart(tx: Connection, meeting: str, attempt: int) -> bool:
    in_session = (meetings.get(tx, meeting).state, Act.MAKE_KEY) in NEXT
    return in_session and attempt < MAX_ATTEMPTS and not keys.is_used(tx, meeting)


def _complaint(state: KeyGeneration) -> dict[str, Any] | None:
    if state.complaint is None:
        return None
    found = judge(state)
    return {"by": found.by, "against": found.against, "at_fault": found.at_fault}


def cosigner_states(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    """The cosigners as in Meeting of wire.md."""
    return [{"name": one.name, "member": one.member, "ready": bool(one.key)} for one in keys.cosigners(tx, meeting)]


def _trustees(tx: Connection, meeting: str) -> list[dict[str, Any]]:
    return [{"index": index, "member": member, "name": name} for index, member, name in keys.trustees(tx, meeting)]
