"""The board of an election and the ballots that wait for their batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.exc import IntegrityError

from folkmoot_server.storage import schema


@dataclass(frozen=True, slots=True)
class BoardEntry:
    """One published entry: its JCS bytes and their leaf hash."""

    index: int
    type: str
    entry: bytes
    leaf: bytes


def append(tx: Connection, election: str, entries: Iterable[tuple[str, bytes, bytes]]) -> int:
    """Append (type, JCS bytes, leaf hash) in order and return the board's new size."""
    index = size(tx, election)
    for kind, data, leaf in entries:
        tx.execute(
            schema.board_entry.insert().values(election=election, index=index, type=kind, entry=data, leaf=leaf)
        )
        index += 1
    return index


def size(tx: Connection, election: str) -> int:
    """How many entries are published."""
    return int(
        tx.execute(
            select(func.count()).select_from(schema.board_entry).where(schema.board_entry.c.election == election)
        ).scalar_one()
    )


def leaves(tx: Connection, election: str) -> list[bytes]:
    """The leaf hashes in order."""
    rows = tx.execute(
        select(schema.board_entry.c.leaf)
        .where(schema.board_entry.c.election == election)
        .order_by(schema.board_entry.c["index"])
    )
    return [bytes(row.leaf) for row in rows]


def entries(tx: Connection, election: str, start: int = 0, limit: int | None = None) -> list[BoardEntry]:
    """Published entries from index `start` on."""
    table = schema.board_entry
    query = (
        select(table.c["index"], table.c.type, table.c.entry, table.c.leaf)
        .where(schema.board_entry.c.election == election, schema.board_entry.c["index"] >= start)
        .order_by(schema.board_entry.c["index"])
    )
    if limit is not None:
        query = query.limit(limit)
    return [BoardEntry(index, kind, bytes(data), bytes(leaf)) for index, kind, data, leaf in tx.execute(query)]


def of_types(tx: Connection, election: str, *types: str) -> list[bytes]:
    """The JCS bytes of the entries of these types, in order."""
    table = schema.board_entry
    rows = tx.execute(
        select(table.c.entry).where(table.c.election == election, table.c.type.in_(types)).order_by(table.c["index"])
    )
    return [bytes(row.entry) for row in rows]


def find(tx: Connection, election: str, leaf: bytes) -> int | None:
    """The index of the entry with this leaf hash."""
    found = tx.execute(
        select(schema.board_entry.c["index"]).where(
            schema.board_entry.c.election == election, schema.board_entry.c.leaf == leaf
        )
    ).scalar()
    return None if found is None else int(found)


def promise(tx: Connection, election: str, leaf: bytes) -> str | None:
    """The promise given for a ballot, as JSON text."""
    found = tx.execute(
        select(schema.promise.c.promise).where(schema.promise.c.election == election, schema.promise.c.leaf == leaf)
    ).scalar()
    return None if found is None else str(found)


def add_pending(tx: Connection, election: str, leaf: bytes, entry: bytes, promise_text: str) -> None:
    """Store an accepted ballot and the promise given for it."""
    tx.execute(schema.pending_ballot.insert().values(election=election, leaf=leaf, entry=entry))
    tx.execute(schema.promise.insert().values(election=election, leaf=leaf, promise=promise_text))


def add_points(tx: Connection, election: str, points: Iterable[bytes]) -> bool:
    """Record a ballot's points; False when one of them is in an earlier ballot (the caller must then refuse)."""
    rows = [{"election": election, "point": point} for point in set(points)]
    try:
        tx.execute(schema.ballot_point.insert(), rows)
    except IntegrityError:
        return False
    return True


def pending_count(tx: Connection, election: str) -> int:
    """How many accepted ballots wait for publication."""
    table = schema.pending_ballot
    return int(tx.execute(select(func.count()).select_from(table).where(table.c.election == election)).scalar_one())


def take_pending(tx: Connection, election: str) -> list[tuple[bytes, bytes]]:
    """Remove every waiting ballot and return (leaf hash, JCS bytes of the entry), ordered by leaf hash."""
    table = schema.pending_ballot
    rows = tx.execute(
        select(table.c.leaf, table.c.entry).where(table.c.election == election).order_by(table.c.leaf)
    ).all()
    tx.execute(delete(table).where(table.c.election == election))
    return [(bytes(row.leaf), bytes(row.entry)) for row in rows]
