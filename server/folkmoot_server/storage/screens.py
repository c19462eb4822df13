"""Room screens: what of them is kept is the hash of their token."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from folkmoot_server.storage.schema_sites import room_screen


def add(tx: Connection, token_hash: bytes, meeting: str, site: str, made_by: str, now: int) -> None:
    """Insert a screen."""
    values = {"token_hash": token_hash, "meeting": meeting, "site": site, "made_by": made_by, "made_at": now}
    tx.execute(room_screen.insert().values(**values))


def find(tx: Connection, token_hash: bytes) -> tuple[str, str] | None:
    """Return meeting and site of a screen, or None."""
    table = room_screen.c
    row = tx.execute(select(table.meeting, table.site).where(table.token_hash == token_hash)).first()
    return None if row is None else (row.meeting, row.site)


def count(tx: Connection, meeting: str) -> int:
    """Return how many screens a meeting has."""
    return tx.execute(select(func.count()).where(room_screen.c.meeting == meeting)).scalar_one()


def remove_of(tx: Connection, meeting: str, site: str) -> None:
    """Delete the screens of a site."""
    tx.execute(room_screen.delete().where(room_screen.c.meeting == meeting, room_screen.c.site == site))
