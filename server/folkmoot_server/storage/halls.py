"""Halls that were cut off at the end of a vote, and the ballots that came from there too late."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from folkmoot_server.storage.schema_relays import election_hall, late_ballot


def add(tx: Connection, election: str, site: str, name: str, *, ballots: int = 0) -> None:
    """Note a hall, with so many more late ballots; the name that it had first stays."""
    statement = insert(election_hall).values(election=election, site=site, name=name, ballots=ballots)
    more = {"ballots": election_hall.c.ballots + ballots}
    tx.execute(statement.on_conflict_do_update(index_elements=["election", "site"], set_=more))


def is_new(tx: Connection, election: str, leaf: bytes) -> bool:
    """Note a late ballot; False when it was noted before."""
    statement = insert(late_ballot).values(election=election, leaf=leaf).on_conflict_do_nothing()
    return tx.execute(statement).rowcount == 1


def of_election(tx: Connection, election: str) -> list[dict[str, Any]]:
    """Return the tally's `halls` (voting.md section 8)."""
    query = select(election_hall).where(election_hall.c.election == election).order_by(election_hall.c.site)
    return [
        {
            "site": row.site,
            "name": row.name,
            "state": "late" if row.ballots else "unreachable",
            "ballots": row.ballots,
        }
        for row in tx.execute(query)
    ]
