"""Proofs that the newest ledger checkpoint continues older ones: phones ask for them before they sign a check-in."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from folkmoot_server.relay import store
from folkmoot_server.relay.node import Node
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.merkle_log import parse_note

SIZES_MAX: Final = 16


def size_of(checkpoint: str) -> int:
    """Return the size of the ledger at a checkpoint that was checked when it came."""
    return int(parse_note(checkpoint).checkpoint.size)


def note_size(tx: Connection, size: int) -> None:
    """Remember a size of the ledger that a phone of this hall may hold."""
    sizes = store.find(tx, "ledger-sizes") or []
    if size > 0 and size not in sizes:
        store.put(tx, "ledger-sizes", [*sizes, size][-SIZES_MAX:])


async def fetch(node: Node, checkpoint: str) -> None:
    """Fetch the proofs from every size that phones here may hold to a new checkpoint.

    Raises:
        HubSilentError, HubRefusedError: the hub does not give one.
    """
    newest = size_of(checkpoint)
    sizes = await node.database.read(lambda tx: store.find(tx, "ledger-sizes") or [])
    proofs: dict[str, list[str]] = {}
    for size in sizes:
        if size < newest:
            answer = await node.hub.get(f"/api/ledger?from={size}&to={newest}")
            proofs[str(size)] = answer["proof"]

    def run(tx: Connection) -> None:
        store.put(tx, "ledger-proofs", {"to": newest, "from": proofs})
        note_size(tx, newest)

    await node.database.write(run)


def answer(tx: Connection, node: Node, old: int, new: int) -> JsonObject | None:
    """Return the answer of GET ledger for the newest checkpoint, None when the proof is not held."""
    if not node.hall.checkpoint or new != size_of(node.hall.checkpoint):
        return None
    held = store.find(tx, "ledger-proofs") or {"to": 0, "from": {}}
    proof = [] if old in (0, new) else held["from"].get(str(old)) if held["to"] == new else None
    if proof is None:
        return None
    return {"origin": node.identity.ledger_origin, "key": b64u(node.identity.hub_key), "proof": proof}
