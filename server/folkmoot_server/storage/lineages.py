"""Lineages of an election: who may cast, which credential acts now, what was announced, cast and made void."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from folkmoot_server.storage import schema
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.lineages import Lineage


@dataclass(frozen=True, slots=True)
class Seat:
    """A lineage as stored.

    Attributes:
        lineage: the protocol's view of it.
        seals: sealed ballots announced so far.
        sealed: the last announced one that is not cast yet, or empty.
        voids: audited ballots so far.
    """

    lineage: Lineage
    seals: int
    sealed: bytes
    voids: int

    @property
    def first(self) -> str:
        """The first credential as text."""
        return b64u(self.lineage.first)


def add_electorate(tx: Connection, election: str, electorate: Iterable[dict[str, Any]]) -> None:
    """Make a seat for each entry of an electorate list."""
    listed = [(entry["credential"], entry["weight"]) for entry in electorate]
    tx.execute(
        schema.electorate_seat.insert(),
        [{"election": election, "first": one, "current": one, "weight": weight} for one, weight in listed],
    )
    tx.execute(
        schema.seat_credential.insert(),
        [{"election": election, "credential": one, "first": one} for one, _ in listed],
    )


def find(tx: Connection, election: str, credential: str) -> Seat | None:
    """The seat that this is or was a credential of."""
    seat, known = schema.electorate_seat, schema.seat_credential
    row = tx.execute(
        select(seat)
        .join(known, (known.c.election == seat.c.election) & (known.c.first == seat.c.first))
        .where(known.c.election == election, known.c.credential == credential)
    ).first()
    return None if row is None else _seat(row)


def _seat(row: Row[Any]) -> Seat:
    lineage = Lineage(unb64u(row.first), unb64u(row.current), row.weight, row.seq, bytes(row.prev or b""))
    return Seat(lineage, row.seals, bytes(row.sealed or b""), row.voids)


def of_owner(tx: Connection, meeting: str, owned: list[str]) -> dict[str, Seat]:
    """The seat of each election of a meeting whose first credential is among `owned`; the first of them counts."""
    if not owned:
        return {}
    seat, election = schema.electorate_seat, schema.election.c
    rows = tx.execute(
        select(seat)
        .join(schema.election, election.id == seat.c.election)
        .where(election.meeting == meeting, seat.c.first.in_(owned))
    )
    found: dict[str, Seat] = {}
    for row in sorted(rows, key=lambda row: owned.index(row.first)):
        found.setdefault(row.election, _seat(row))
    return found


def save(tx: Connection, election: str, seat: Seat) -> int:
    """Store a seat after one more entry and return the entry's step within its lineage."""
    table, lineage = schema.electorate_seat, seat.lineage
    here = (table.c.election == election, table.c.first == seat.first)
    tx.execute(
        update(table)
        .where(*here)
        .values(
            current=b64u(lineage.current),
            seq=lineage.seq,
            prev=lineage.prev or None,
            sealed=seat.sealed or None,
            voids=seat.voids,
            steps=table.c.steps + 1,
        )
    )
    return int(tx.execute(select(table.c.steps).where(*here)).scalar_one())


def announce(tx: Connection, election: str, seat: Seat, sealed: bytes) -> None:
    """Note a sealed ballot that will be cast or audited."""
    table = schema.electorate_seat
    tx.execute(
        update(table)
        .where(table.c.election == election, table.c.first == seat.first)
        .values(sealed=sealed, seals=table.c.seals + 1)
    )


def announced_by_other(tx: Connection, election: str, sealed: bytes, first: str) -> bool:
    """Whether another lineage has announced this sealed ballot last."""
    table = schema.electorate_seat.c
    query = select(table.first).where(table.election == election, table.sealed == sealed, table.first != first)
    return tx.execute(query.limit(1)).first() is not None


def use_seal(tx: Connection, election: str, sealed: bytes, leaf: bytes, *, void: bool) -> None:
    """Note that a sealed ballot was cast or made void."""
    tx.execute(schema.used_seal.insert().values(election=election, sealed=sealed, leaf=leaf, void=int(void)))


def seal_use(tx: Connection, election: str, sealed: bytes) -> tuple[bool, bytes] | None:
    """Whether a sealed ballot is void, and the leaf of its entry; None when it was neither cast nor made void."""
    table = schema.used_seal.c
    row = tx.execute(select(table.void, table.leaf).where(table.election == election, table.sealed == sealed)).first()
    return None if row is None else (bool(row.void), bytes(row.leaf))


def add_credential(tx: Connection, election: str, seat: Seat, credential: str) -> bool:
    """Let a credential belong to a seat; False when it is or was one of the election already."""
    table = schema.seat_credential
    known = select(table.c.first).where(table.c.election == election, table.c.credential == credential)
    if tx.execute(known).first() is not None:
        return False
    tx.execute(table.insert().values(election=election, credential=credential, first=seat.first))
    return True


def credentials(tx: Connection, election: str, seat: Seat) -> int:
    """How many credentials a seat has or had."""
    table = schema.seat_credential.c
    query = select(func.count()).select_from(schema.seat_credential)
    return int(tx.execute(query.where(table.election == election, table.first == seat.first)).scalar_one())


def add_replacement(tx: Connection, election: str, credential: str, member: str, statement: dict[str, Any]) -> None:
    """Keep a member's statement for the annex."""
    tx.execute(
        schema.annex_replacement.insert().values(
            election=election,
            credential=credential,
            member=member,
            statement=json.dumps(statement, sort_keys=True, ensure_ascii=False),
        )
    )


def replacements(tx: Connection, election: str) -> list[dict[str, Any]]:
    """The statements of an election as the annex has them, by new credential."""
    table = schema.annex_replacement.c
    rows = tx.execute(select(table.statement).where(table.election == election).order_by(table.credential))
    return [{"election": election, **json.loads(row.statement)} for row in rows]


def replacement_of(tx: Connection, election: str, credential: str) -> str | None:
    """The member whose statement made this credential one of the election."""
    table = schema.annex_replacement.c
    found = tx.execute(
        select(table.member).where(table.election == election, table.credential == credential)
    ).scalar()
    return None if found is None else str(found)


def taken_over_by(tx: Connection, meeting: str, credential: str) -> str | None:
    """The member whose statement made this credential one of an election of the meeting."""
    table, election = schema.annex_replacement.c, schema.election.c
    query = select(table.member).join(schema.election, election.id == table.election)
    found = tx.execute(query.where(election.meeting == meeting, table.credential == credential).limit(1)).scalar()
    return None if found is None else str(found)


def firsts(tx: Connection, election: str) -> list[bytes]:
    """The first credentials of an election."""
    table = schema.electorate_seat.c
    return [unb64u(one) for one in tx.scalars(select(table.first).where(table.election == election))]


def weights(tx: Connection, election: str) -> dict[int, int]:
    """How many lineages have each weight."""
    table = schema.electorate_seat.c
    rows = tx.execute(select(table.weight, func.count()).where(table.election == election).group_by(table.weight))
    return {int(weight): int(count) for weight, count in rows}
