"""The board of an election and the entries that wait for their batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


@dataclass(frozen=True, slots=True)
class Pending:
    """An accepted entry that waits: its lineage's first credential, and its step within the lineage."""

    type: str
    leaf: bytes
    entry: bytes
    lineage: str
    step: int


def append(tx: Connection, election: str, entries: Iterable[tuple[str, bytes, bytes]]) -> int:
    """Append (type, JCS bytes, leaf hash) in order and return the board's new size."""
    start = size(tx, election)
    rows = [
        {"election": election, "index": start + number, "type": kind, "entry": data, "leaf": leaf}
        for number, (kind, data, leaf) in enumerate(entries)
    ]
    if rows:
        tx.execute(schema.board_entry.insert(), rows)
    return start + len(rows)


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


def entries(
    tx: Connection, election: str, start: int = 0, limit: int | None = None, bytes_max: int | None = None
) -> list[BoardEntry]:
    """Published entries from index `start` on; the first of them, and then as many as fit into `bytes_max`."""
    table = schema.board_entry
    query = (
        select(table.c["index"], table.c.type, table.c.entry, table.c.leaf)
        .where(schema.board_entry.c.election == election, schema.board_entry.c["index"] >= start)
        .order_by(schema.board_entry.c["index"])
    )
    if limit is not None:
        query = query.limit(limit)
    found: list[BoardEntry] = []
    room = bytes_max
    for index, kind, data, leaf in tx.execute(query.execution_options(yield_per=50)):
        if room is not None:
            room -= len(data)
            if room < 0 and found:
                break
        found.append(BoardEntry(index, kind, bytes(data), bytes(leaf)))
    return found


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


def add_promise(tx: Connection, election: str, leaf: bytes, promise_text: str) -> None:
    """Store the promise given for a ballot."""
    tx.execute(schema.promise.insert().values(election=election, leaf=leaf, promise=promise_text))


def add_pending(tx: Connection, election: str, entry: Pending) -> None:
    """Store an accepted entry that waits for its batch."""
    tx.execute(
        schema.pending_entry.insert().values(
            election=election,
            leaf=entry.leaf,
            type=entry.type,
            entry=entry.entry,
            lineage=entry.lineage,
            step=entry.step,
        )
    )


def add_points(tx: Connection, election: str, points: Iterable[bytes]) -> bool:
    """Record a ballot's points; False when one of them is in an earlier ballot (the caller must then refuse)."""
    rows = [{"election": election, "point": point} for point in set(points)]
    if not rows:
        return True
    try:
        tx.execute(schema.ballot_point.insert(), rows)
    except IntegrityError:
        return False
    return True


def pending_count(tx: Connection, election: str) -> int:
    """How many lineages have accepted entries that wait for publication.

    Entries themselves would not do: one voter's voids and ballots would make a batch around a single other one's.
    """
    table = schema.pending_entry.c
    query = select(func.count(table.lineage.distinct())).where(table.election == election)
    return int(tx.execute(query).scalar_one())


def take_pending(tx: Connection, election: str) -> list[Pending]:
    """Remove every waiting entry and return them ordered by leaf hash."""
    table = schema.pending_entry
    rows = tx.execute(select(table).where(table.c.election == election).order_by(table.c.leaf)).all()
    tx.execute(delete(table).where(table.c.election == election))
    return [Pending(row.type, bytes(row.leaf), bytes(row.entry), row.lineage, row.step) for row in rows]


def counted(tx: Connection, election: str) -> Iterator[bytes]:
    """The JCS bytes of the ballot entries that count: the last of each lineage; few at a time in memory."""
    entry, seat = schema.board_entry.c, schema.electorate_seat.c
    query = (
        select(entry.entry)
        .join(schema.electorate_seat, (seat.election == entry.election) & (seat.prev == entry.leaf))
        .where(entry.election == election, entry.type == "ballot")
        .order_by(entry["index"])
        .execution_options(yield_per=500)
    )
    for row in tx.execute(query):
        yield bytes(row.entry)
