"""The leaf hashes of the hub's ledger, and from them the proof that its newest checkpoint continues an older one.

A phone holds the checkpoint that it saw last, of any size, and asks for this proof before it signs a check-in.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, func, select

from folkmoot_server.domain.errors import WrongState
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.relay import schema
from folkmoot_server.relay.node import Node
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.merkle_log import Checkpoint, consistency_proof, parse_note, tree_hash

LEAVES_MAX: Final = 65_536  # two megabytes; a hall of a hub with a longer ledger gets no proofs while it is cut off
HASH_BYTES: Final = 32


def _newest(node: Node) -> Checkpoint | None:
    """Return the newest checkpoint, which was checked when it came."""
    return parse_note(node.hall.checkpoint).checkpoint if node.hall.checkpoint else None


def _leaves(tx: Connection, size: int) -> list[bytes]:
    table = schema.leaf.c
    return list(tx.scalars(select(table.hash).where(table.number < size).order_by(table.number)))


async def fetch(node: Node) -> bool:
    """Fetch some of the leaves that are missing up to the newest checkpoint; True when more are.

    Raises:
        HubSilentError, HubRefusedError: the hub does not give them.
        WrongState: they are not those of the checkpoint; all are fetched again.
    """
    newest = _newest(node)
    if newest is None or newest.size > LEAVES_MAX:
        return False
    count = select(func.count()).select_from(schema.leaf)
    held = int(await node.database.read(lambda tx: tx.execute(count).scalar_one()))
    if held >= newest.size:
        return False
    answer = await node.hub.get(f"/api/relay/ledger?from={held}&to={newest.size}")
    new = [from_b64u(one) for one in answer["leaves"]][: newest.size - held]
    if not new or any(len(one) != HASH_BYTES for one in new):
        raise WrongState("relay.hub-answer", "The hub's ledger has another form.")

    def run(tx: Connection) -> bool:
        rows = [{"number": held + place, "hash": one} for place, one in enumerate(new)]
        tx.execute(schema.leaf.insert(), rows)
        if held + len(new) < newest.size or tree_hash(_leaves(tx, newest.size)) == newest.root:
            return True
        tx.execute(delete(schema.leaf))
        return False

    if await node.remember(run) is False:
        raise WrongState("relay.hub-key", "The hub's ledger is not the one of its checkpoint.")
    return held + len(new) < newest.size


def answer(tx: Connection, node: Node, old: int, new: int) -> JsonObject | None:
    """Return the answer of GET ledger for the newest checkpoint, None when the proof cannot be made here."""
    newest = _newest(node)
    if newest is None or new != newest.size or not 0 <= old <= new:
        return None
    proof: list[bytes] = []
    if old not in (0, new):
        leaves = _leaves(tx, new)
        if len(leaves) < new or tree_hash(leaves) != newest.root:
            return None
        proof = consistency_proof(leaves, old)
    return {
        "origin": node.identity.ledger_origin,
        "key": b64u(node.identity.hub_key),
        "proof": [b64u(one) for one in proof],
    }
