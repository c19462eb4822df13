"""The one writer: groups are committed together, refusals change nothing, an answer means it is on disk."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from folkmoot_server.domain.errors import Conflict, NotFound
from folkmoot_server.storage import database as database_module
from folkmoot_server.storage import events, schema
from folkmoot_server.storage.database import (
    Database,
    StoreBusyError,
    StoreClosedError,
    StoreFailedError,
    read_snapshot,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    store = Database(tmp_path / "store.db")
    yield store
    store.close()


def put(name: str, value: str = "v") -> object:
    def run(tx: Connection) -> str:
        tx.execute(schema.setting.insert().values(name=name, value=value))
        return name

    return run


def names(tx: Connection) -> set[str]:
    return set(tx.execute(select(schema.setting.c.name)).scalars())


async def test_a_refused_write_changes_nothing_and_others_of_its_group_go_on(database: Database) -> None:
    def half(tx: Connection) -> None:
        tx.execute(schema.setting.insert().values(name="half", value="x"))
        raise Conflict("test.refused", "Refused after writing.")

    results = await asyncio.gather(
        database.write(put("a")), database.write(half), database.write(put("b")), return_exceptions=True
    )
    assert results[0] == "a"
    assert isinstance(results[1], Conflict)
    assert results[2] == "b"
    assert await database.read(names) == {"a", "b"}


async def test_many_writers_share_commits(database: Database) -> None:
    commits = 0

    def count() -> None:
        nonlocal commits
        commits += 1

    database.on_commit = count
    await asyncio.gather(*(database.write(put(f"n{number}")) for number in range(200)))
    assert len(await database.read(names)) == 200
    assert commits < 200


async def test_a_failed_commit_is_told_to_everyone_in_the_group(database: Database) -> None:
    def fail(_connection: Connection) -> None:
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    event.listen(database._write_engine, "commit", fail)
    results = await asyncio.gather(database.write(put("a")), database.write(put("b")), return_exceptions=True)
    event.remove(database._write_engine, "commit", fail)
    assert all(isinstance(result, OperationalError) for result in results)
    assert await database.read(names) == set()
    assert await database.write(put("c")) == "c"


async def grouped(database: Database, *jobs: object) -> list[object]:
    """Run jobs as one group: the writer is held until all of them are queued."""
    held, gate = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(_tx: Connection) -> None:
        loop.call_soon_threadsafe(held.set)
        gate.wait(10)

    first = asyncio.create_task(database.write(hold))
    await held.wait()
    tasks = [asyncio.create_task(database.write(job)) for job in jobs]  # type: ignore[arg-type]  # jobs of any result
    await asyncio.sleep(0)
    gate.set()
    await first
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def fill(tx: Connection) -> None:
    """Let the file grow no further, as on a full disk, and write more than fits."""
    pages = tx.execute(text("PRAGMA page_count")).scalar_one()
    tx.execute(text(f"PRAGMA max_page_count={pages}"))
    tx.execute(schema.setting.insert().values(name="large", value="x" * 2_000_000))


async def test_a_full_disk_never_acknowledges_what_is_not_stored(database: Database) -> None:
    results = await grouped(database, put("a"), fill, put("b"))
    acknowledged = {result for result in results if isinstance(result, str)}
    stored = await database.read(names)
    assert isinstance(results[1], StoreFailedError)
    assert acknowledged <= stored
    assert await database.write(put("c")) == "c"  # space is back
    assert await database.read(names) == acknowledged | {"c"}


async def test_a_file_that_cannot_be_opened_for_a_while_is_told_and_recovers(database: Database) -> None:
    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    def fail(_connection: Connection) -> None:
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("disk I/O error"))

    event.listen(database._write_engine, "commit", fail)
    event.listen(database._write_engine, "do_connect", broken)
    for name in ("a", "b", "c"):  # the first fails in its commit, the others when the file is opened anew
        with pytest.raises((OperationalError, sqlite3.OperationalError)):
            await asyncio.wait_for(database.write(put(name)), 10)
    event.remove(database._write_engine, "commit", fail)
    event.remove(database._write_engine, "do_connect", broken)
    assert await asyncio.wait_for(database.write(put("d")), 10) == "d"
    assert await database.read(names) == {"d"}


async def test_errors_of_the_database_do_not_tell_what_was_stored(database: Database) -> None:
    await database.write(put("a", "secret-value"))
    with pytest.raises(IntegrityError) as caught:
        await database.write(put("a", "secret-value"))
    assert "secret-value" not in str(caught.value)


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(OperationalError):
        await database.read(put("sneaky"))


async def test_unique_rows_stay_unique_in_a_race(database: Database) -> None:
    results = await asyncio.gather(*(database.write(put("one")) for _ in range(50)), return_exceptions=True)
    assert results.count("one") == 1
    assert sum(isinstance(result, IntegrityError) for result in results) == 49


async def test_closed_means_closed(tmp_path: Path) -> None:
    store = Database(tmp_path / "store.db")
    store.close()
    with pytest.raises(StoreClosedError):
        await store.write(put("late"))


async def test_a_second_server_on_the_same_data_is_refused(database: Database) -> None:
    with pytest.raises(StoreBusyError, match="another Folkmoot server"):
        Database(database.path)
    database.close()
    Database(database.path).close()


async def test_a_snapshot_is_read_beside_a_running_server(database: Database) -> None:
    await database.write(put("a"))
    assert read_snapshot(database.path, names) == {"a"}
    with pytest.raises(OperationalError):
        read_snapshot(database.path, put("sneaky"))


async def test_events_count_per_meeting_without_gaps(database: Database) -> None:
    def meetings(tx: Connection) -> None:
        tx.execute(schema.unit.insert().values(id="u", parent=None, name="Unit"))
        for name in ("m", "n"):
            tx.execute(
                schema.meeting.insert().values(
                    id=name, unit="u", title="t", state="draft", starts_at=0, time_zone="UTC",
                    quorum_num=1, quorum_den=2, floor_mode="open",
                )
            )  # fmt: skip

    await database.write(meetings)
    await asyncio.gather(
        *(database.write(lambda tx, m=m: events.append(tx, m, "MeetingOpened", 1, {})) for m in ("m", "n") * 20)
    )
    found = await database.read(lambda tx: events.of_meeting(tx, "m", after=0))
    assert [one.seq for one in found] == list(range(1, 21))
    assert await database.read(lambda tx: [one.seq for one in events.of_meeting(tx, "m", after=18)]) == [19, 20]
    with pytest.raises(NotFound):
        await database.write(lambda tx: events.append(tx, "no-such", "MeetingOpened", 1, {}))


WRITER = """
    import asyncio, pathlib, sys
    from folkmoot_server.storage import schema
    from folkmoot_server.storage.database import Database

    async def main():
        store = Database(pathlib.Path(sys.argv[1]))
        for number in range(100000):
            name = f"n{number}"
            await store.write(lambda tx: tx.execute(schema.setting.insert().values(name=name, value="")) and None)
            print(name, flush=True)

    asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Kill the writing process; every name it printed must be stored (power loss is tested elsewhere)."""
    path = tmp_path / "store.db"
    with subprocess.Popen(  # noqa: ASYNC220  the parent has nothing else to do
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(30)]
        process.kill()
        acknowledged += process.stdout.read().split()
    store = Database(path)
    stored = await store.read(names)
    store.close()
    assert set(acknowledged) <= stored
    assert len(stored) <= len(acknowledged) + 1


@pytest.mark.parametrize("overwritten", [True, False])
async def test_what_is_deleted_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwritten: bool
) -> None:
    if not overwritten:  # control: without it the text stays in the file
        monkeypatch.setattr(database_module, "PRAGMAS", (*database_module.PRAGMAS[:-1], "secure_delete=OFF"))
    path, said = tmp_path / "store.db", "said behind closed doors"
    store = Database(path)
    try:
        await store.write(put("kept", "x" * 100))
        await store.write(put("gone", said * 5))
        await store.write(lambda tx: tx.execute(schema.setting.delete().where(schema.setting.c.name == "gone")))
    finally:
        store.close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (said.encode() in path.read_bytes()) is not overwritten
