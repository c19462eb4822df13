"""The hub comes back from an older copy of its database: relays send again, nothing is doubled, the chair is told."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from pathlib import Path
from typing import Final

from loadtests import halls_proof as proof
from loadtests.halls_cut import PLANTED, THIN
from loadtests.halls_meeting import Assembly, Hall
from loadtests.halls_phone import Figures, alone, until

GRACE_S: Final = 5
REWOUND: Final = "relay-rewound"


def copy(source: Path, target: Path) -> None:
    """Copy a database that is in use."""
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)


def put_back(saved: Path, place: Path) -> None:
    """Put a copy in the place of a database that nobody has open."""
    for ending in ("-wal", "-shm"):
        place.with_name(place.name + ending).unlink(missing_ok=True)
    place.write_bytes(saved.read_bytes())


async def delivered(assembly: Assembly, hall: Hall) -> None:
    """Wait until the hub has the whole outbox."""

    async def there() -> bool:
        return assembly.relay_row(hall)[1] == hall.place.entries()

    await until(there, "the whole outbox at the hub", 300)


async def hold(assembly: Assembly) -> Figures:
    """Hold a vote in which the hub forgets what it had acknowledged."""
    hall, database = assembly.halls[0], assembly.net.folder / "data" / "folkmoot.db"
    saved = assembly.net.folder / "saved.db"
    already = hall.receipts()
    manifest = await assembly.open_vote("Roof", GRACE_S)
    emulator = hall.place.link.emulator
    await emulator.both(cut=True)
    await alone(hall.custodian)
    for phone in hall.phones:
        await phone.cast(manifest)
    copy(database, saved)
    had = assembly.relay_row(hall)[1]
    await emulator.both(**THIN)
    # A relay that has not heard what the hub acknowledged misses nothing when the hub forgets it.
    await until(hall.place.delivered, "the hub's acknowledgement of the whole outbox", 300)
    before = assembly.relay_row(hall)[1]
    await assembly.hub.end(signal.SIGKILL)
    put_back(saved, database)
    after = assembly.relay_row(hall)[1]
    began = time.monotonic()
    await assembly.hub.start()
    await delivered(assembly, hall)
    took = time.monotonic() - began

    async def told() -> bool:
        alerts = (await assembly.chair.get(assembly.path()))["alerts"]
        return any(one["kind"] == REWOUND and one["site"] == hall.site for one in alerts)

    await until(told, "the flag on the chair's page")
    receipts = [one for one in hall.receipts() if one not in already]
    await assembly.close_vote(manifest)
    core = await assembly.count(manifest)
    return {
        "entries at the hub when copied": had,
        "before the kill": before,
        "in the copy": after,
        "at the hub again after_s": round(took, 1),
        "flag": REWOUND,
        "cast": core["cast"],
        "voters": len(hall.phones),
        "outbox": await proof.outbox(assembly, hall),
        "board": await proof.board(assembly, manifest, receipts),
    }


def problems(result: Figures) -> list[str]:
    """Return what of the figures is not as it must be."""
    found = [f"restored: {name}: {result['board'][name]}" for name in ("lost", "doubled") if result["board"][name]]
    found += [f"restored: {name}: {result['outbox'][name]}" for name in ("lost", "doubled") if result["outbox"][name]]
    if not result["outbox"]["chain at the hub as in the relay"]:
        found.append("restored: the chain at the hub is not the relay's")
    if len(result["outbox"]["control, receipts never given"]) != PLANTED:
        found.append("restored: receipts that were never given were not noticed")
    if result["in the copy"] >= result["before the kill"]:
        found.append("the copy was not older")
    if result["cast"] != result["voters"]:
        found.append(f"{result['cast']} votes counted of {result['voters']}")
    return found
