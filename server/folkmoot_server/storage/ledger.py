"""The installation's append-only log: leaves and signed heads, both written in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.storage import schema
from folkmoot_voting.board import ledger_entry
from folkmoot_voting.encoding import jcs
from folkmoot_voting.merkle_log import leaf_hash


@dataclass(frozen=True, slots=True)
class Leaf:
    """One ledger entry as stored; `entry` holds its JCS bytes, `election` is empty for roll and key."""

    index: int
    election: str
    type: str
    at: int
    entry: bytes


def append(
    tx: Connection, notary: Notary, *, kind: str, meeting: str, digest: bytes, now: int, election: str = ""
) -> str:
    """Append a leaf and return the new signed checkpoint; exactly once because the transaction is."""
    leaves = hashes(tx)
    data = jcs(ledger_entry(kind, now, digest))
    tx.execute(
        schema.ledger_leaf.insert().values(
            index=len(leaves),
            meeting=meeting,
            election=election,
            type=kind,
            at=now,
            entry=data,
            hash=leaf_hash(data),
        )
    )
    leaves.append(leaf_hash(data))
    text = notary.checkpoint(notary.ledger_origin, leaves).text()
    tx.execute(schema.ledger_head.insert().values(size=len(leaves), checkpoint=text))
    return text


def hashes(tx: Connection) -> list[bytes]:
    """All leaf hashes in order."""
    rows = tx.execute(select(schema.ledger_leaf.c.hash).order_by(schema.ledger_leaf.c["index"]))
    return [bytes(row.hash) for row in rows]


def latest_checkpoint(tx: Connection) -> str:
    """The newest signed checkpoint.

    Raises:
        NotFound: nothing was recorded yet.
    """
    found = tx.execute(
        select(schema.ledger_head.c.checkpoint).order_by(schema.ledger_head.c.size.desc()).limit(1)
    ).scalar()
    if found is None:
        raise NotFound("ledger.empty", "The ledger holds nothing yet.")
    return str(found)


def head(tx: Connection, size: int) -> str | None:
    """The checkpoint of this size, if one was signed."""
    found = tx.execute(select(schema.ledger_head.c.checkpoint).where(schema.ledger_head.c.size == size)).scalar()
    return None if found is None else str(found)


def appended_at(tx: Connection, index: int) -> int | None:
    """When the leaf with this index was appended, or None while there is none."""
    found = tx.execute(select(schema.ledger_leaf.c.at).where(schema.ledger_leaf.c["index"] == index)).scalar()
    return None if found is None else int(found)


def of_meeting(tx: Connection, meeting: str) -> list[Leaf]:
    """The entries of one meeting, ascending by index."""
    table = schema.ledger_leaf
    columns = (table.c["index"], table.c.election, table.c.type, table.c.at, table.c.entry)
    rows = tx.execute(select(*columns).where(table.c.meeting == meeting).order_by(table.c["index"]))
    return [Leaf(index, election, kind, at, bytes(data)) for index, election, kind, at, data in rows]
