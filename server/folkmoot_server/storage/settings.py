"""Facts about the installation itself, by name."""

from __future__ import annotations

from sqlalchemy import Connection, select

from folkmoot_server.storage import schema

ORGANISATION_ID = "organisation_id"
ORGANISATION_NAME = "organisation_name"


def get(tx: Connection, name: str) -> str | None:
    """Return a stored fact, or None."""
    return tx.execute(select(schema.setting.c.value).where(schema.setting.c.name == name)).scalar()


def put(tx: Connection, name: str, value: str) -> None:
    """Store a fact that is not there yet."""
    tx.execute(schema.setting.insert().values(name=name, value=value))
