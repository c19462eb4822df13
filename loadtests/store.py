"""Durable writes: group commit against one commit for each write, in the same run.

Prints CPU per acknowledged write and writes per second for both, and the ratio. Each acknowledged write is a
ballot-sized row in SQLite with WAL and synchronous=FULL on a real disk.

    .venv/bin/python loadtests/store.py --writes 2000 --callers 64 --json FILE
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection

from folkmoot_server.storage import database, schema

ROW_BYTES = 1500


def _insert(tx: Connection) -> None:
    tx.execute(schema.setting.insert().values(name=secrets.token_hex(16), value="x" * ROW_BYTES))


async def _round(folder: Path, writes: int, callers: int, group: int) -> tuple[float, float]:
    """Return (writes a second, CPU microseconds per write) with at most `group` writes in a commit."""
    database.GROUP_MAX = group
    store = database.Database(folder / f"{secrets.token_hex(4)}.db")
    left = iter(range(writes))

    async def caller() -> None:
        for _ in left:
            await store.write(_insert)

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    store.close()
    return writes / wall, cpu / writes * 1e6


async def _measure(options: argparse.Namespace) -> dict[str, float]:
    grouped, single = [], []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for _ in range(options.rounds):
            grouped.append(await _round(Path(folder), options.writes, options.callers, 64))
            single.append(await _round(Path(folder), options.writes // 4, options.callers, 1))
    median = statistics.median
    result = {
        "group_writes_s": median(one[0] for one in grouped),
        "single_writes_s": median(one[0] for one in single),
        "group_cpu_us": median(one[1] for one in grouped),
        "single_cpu_us": median(one[1] for one in single),
    }
    result["ratio"] = result["group_writes_s"] / result["single_writes_s"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writes", type=int, default=2000)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="a folder on the disk to measure")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = asyncio.run(_measure(options))
    for name, value in result.items():
        print(f"{name:16} {value:10.1f}")
    if options.json:
        options.json.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
