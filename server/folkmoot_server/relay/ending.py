"""What becomes of a relay's memory when its meeting is over and the hub has everything (relay.md section 4).

One transaction deletes all but who the relay is, its start, how far the hub has its outbox, and the sessions, which
end by themselves. If we crash before its commit nothing is deleted and the next look does it; if we crash after it,
the next start takes the deleted bytes out of the files.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete

from folkmoot_server.domain.meetings import FINAL
from folkmoot_server.relay import outbox, schema, store
from folkmoot_server.relay.node import Node
from folkmoot_voting.encoding import JsonObject

ENDS: Final = frozenset({"MeetingClosed", "MeetingCancelled"})
TABLES: Final = (
    schema.blob,
    schema.entry,
    schema.event,
    schema.kept,
    schema.leaf,
    schema.nonce,
    schema.point,
    schema.promise,
)
KEPT: Final = ("identity", "start", "acknowledged", "heard", "over")
BUSY_S: Final = 30.0


def is_end(events: list[JsonObject], state: JsonObject | None) -> bool:
    """Say whether news tell that the meeting is over for good."""
    return any(event["type"] in ENDS for event in events) or (state is not None and state["state"] in FINAL)


def wipe(tx: Connection) -> bool:
    """Delete what the hall needed for the meeting; False while the hub does not have all of the outbox."""
    head = outbox.head(tx)
    if store.acknowledged(tx) != head:
        return False
    store.set_over(tx, store.cursor(tx), head)
    for table in TABLES:
        tx.execute(delete(table))
    tx.execute(delete(schema.value).where(schema.value.c.name.not_in(KEPT)))
    return True


async def clean(node: Node) -> None:
    """Take deleted rows and papers out of the files; doing it again changes nothing."""
    await asyncio.to_thread(node.shelf.keep_only, ())
    await asyncio.to_thread(_rewrite, node.database.path)


def _rewrite(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as raw:
        raw.execute("VACUUM")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
