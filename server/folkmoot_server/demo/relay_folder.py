"""What a relay has written into its folder, for those who watch it from outside."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any


class RelayFolder:
    """A relay's folder, read beside the relay."""

    folder: Path

    def rows(self, query: str) -> list[Any]:
        """Read the relay's own database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.folder / 'relay.db'}?mode=ro", uri=True)) as raw:
            return list(raw.execute(query))

    def entries(self) -> int:
        """How many entries its outbox holds."""
        return int(self.rows("SELECT count(*) FROM entry")[0][0])

    async def delivered(self) -> bool:
        """Whether the hub has acknowledged every entry of the outbox."""
        rows = self.rows("SELECT text FROM value WHERE name = 'acknowledged'")
        return (int(json.loads(rows[0][0])["seq"]) if rows else 0) >= self.entries()

    async def holds(self, election: str) -> bool:
        """Whether the relay has the manifest of this vote."""
        rows = self.rows("SELECT text FROM value WHERE name = 'part.manifest'")
        return bool(rows) and json.loads(rows[0][0])["manifest"]["election"] == election
