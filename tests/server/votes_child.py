"""A server process that a test may kill: the HTTP interface and the vote's clock over an existing database."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from tests.server.votes_support import serve

SETTINGS = {"closing_grace_s": 0, "publish_every_s": 1, "publish_batch_min": 3}


async def main(folder: Path, port: int) -> None:
    """Serve until killed; say `ready` once the port is open."""
    seed = (folder / "server.key").read_bytes()
    async with serve(folder, lambda: int(time.time()), seed, port, **SETTINGS) as hall:
        await hall.scheduler.start()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
