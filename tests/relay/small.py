"""A relay's node in this process, with its own folder, and a hub of a few lines in the real one's place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from folkmoot_server.relay import schema
from folkmoot_server.relay.app import DATABASE
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.shelf import Shelf
from folkmoot_server.relay.store import Identity
from folkmoot_server.storage.database import Database

ORIGIN = "http://hall.localhost:8443"


@asynccontextmanager
async def small_node(folder: Path, hub: Any = None) -> AsyncIterator[Node]:
    """The node of the hall "hall" of the meeting "m", as it is after its first start."""
    database = Database(folder / DATABASE, schema.metadata)
    identity = Identity("r", "m", "hall", bytes(32), "localhost", ORIGIN)
    try:
        yield Node(identity, database, hub, Shelf(folder), bytes(32), bytes)
    finally:
        database.close()
