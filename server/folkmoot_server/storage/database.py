"""One writing connection with group commit, and read-only connections beside it.

Every write runs in the single writer thread, inside a savepoint of a shared transaction; the caller is
answered only after the COMMIT of its group has returned, so what is acknowledged is durable
(WAL, synchronous=FULL). If we crash before COMMIT nobody was answered and nothing is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from folkmoot_server.storage.tables import metadata

T = TypeVar("T")
Guard = Callable[[Connection], None]
# What every transaction of a request begins with, where one is set; what it raises, the transaction raises.
GUARD: Final[ContextVar[Guard | None]] = ContextVar("guard", default=None)
# What is deleted is overwritten too: a hidden message, what a hall is no longer to hold.
PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=5000",
    "secure_delete=ON",
)
GROUP_MAX = 64
QUEUE_MAX = 4096
READERS = 4
# Written without anybody's picture of a meeting changing: sessions, codes, and leases (whatever else of a seat or a
# visitor changes, an event tells).
QUIET = frozenset(
    {
        "guest_session",
        "kiosk_session",
        "nonce",
        "relay_lease",
        "seat",
        "session",
        "site_lease",
        "site_secret",
        "socket_ticket",
        "visitor",
    }
)


@dataclass(frozen=True, slots=True)
class _Job:
    run: Callable[[Connection], Any]
    done: Callable[[Any, BaseException | None], None]


class StoreClosedError(RuntimeError):
    """The store was closed, or its writer died; the outcome of a pending write is unknown."""


class StoreFailedError(RuntimeError):
    """The database could not store a group of writes, as on a full disk; nothing of it is there."""


class StoreBusyError(OSError):
    """Another process serves this database; two writers would corrupt it."""


def _lock(path: Path) -> int:
    """Hold `path`.lock until the process ends or the descriptor is closed."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreBusyError(0, "another Folkmoot server runs on this data folder", str(path.parent)) from None
    return descriptor


def read_snapshot(path: Path, run: Callable[[Connection], T]) -> T:
    """Run `run` on a read-only connection to an existing database, also beside a running server."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, hide_parameters=True)
    _configure(engine, read_only=True)
    with engine.connect() as connection:
        return run(connection)


def _configure(engine: Engine, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None  # SQLAlchemy must not let sqlite3 open transactions behind our back
        for pragma in PRAGMAS:
            if not (read_only and pragma.startswith("journal_mode")):
                raw.execute(f"PRAGMA {pragma}")
        if read_only:
            raw.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _guarded(run: Callable[[Connection], T]) -> Callable[[Connection], T]:
    guard = GUARD.get()
    if guard is None:
        return run

    def both(connection: Connection) -> T:
        guard(connection)
        return run(connection)

    return both


def _require_transaction(connection: Connection, cause: Exception | None = None) -> None:
    raw: Any = connection.connection.dbapi_connection
    if raw is None or not raw.in_transaction:
        raise StoreFailedError from cause


def _answer(group: list[_Job], error: Exception) -> None:
    for job in group:
        job.done(None, error)


class Database:
    """SQLite behind one writer thread (group commit) and a few readers."""

    def __init__(self, path: Path, tables: MetaData = metadata) -> None:
        """Open or create the database at `path` with these tables; the folder must exist.

        Raises:
            StoreBusyError: another process has it open.
        """
        self.path = path
        self._lock = _lock(path)
        url = f"sqlite:///{path}"
        self._write_engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        self._read_engine = create_engine(url, poolclass=QueuePool, pool_size=READERS, hide_parameters=True)
        _configure(self._write_engine, read_only=False)
        _configure(self._read_engine, read_only=True)
        with self._write_engine.begin() as connection:
            tables.create_all(connection)
        self._jobs: queue.Queue[_Job | None] = queue.Queue(QUEUE_MAX)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._closed = False
        self._touched = False
        self.version = 0  # grows with every commit that wrote more than QUIET tables, before its callers are answered
        self.on_commit: Callable[[], None] = lambda: None
        self._listeners: set[Callable[[], None]] = set()
        event.listen(self._write_engine, "after_execute", self._note)
        self._thread = threading.Thread(target=self._writer, name="writer", daemon=True)
        self._thread.start()

    async def write(self, run: Callable[[Connection], T]) -> T:
        """Run `run` in the writer; return its result after COMMIT, or raise what it raised with nothing changed."""
        if self._closed:
            raise StoreClosedError
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def resolve(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def done(result: Any, error: BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is waiting any more
                loop.call_soon_threadsafe(resolve, result, error)

        self._jobs.put_nowait(_Job(_guarded(run), done))
        return await future

    def listen(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call `tell` in the writer's thread after every commit, until the returned function is called."""
        self._listeners.add(tell)
        return lambda: self._listeners.discard(tell)

    @property
    def waiting(self) -> int:
        """How many writes wait for their turn."""
        return self._jobs.qsize()

    async def read(self, run: Callable[[Connection], T]) -> T:
        """Run `run` on a read-only connection that sees one consistent snapshot."""
        if self._closed:
            raise StoreClosedError
        wanted = _guarded(run)

        def work() -> T:
            with self._read_engine.connect() as connection:
                return wanted(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    def close(self) -> None:
        """Finish queued writes, checkpoint the write-ahead log and close every connection."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout=30)
        self._readers.shutdown()
        self._read_engine.dispose()
        self._write_engine.dispose()
        os.close(self._lock)

    def _note(self, _connection: Connection, statement: Any, *_: object) -> None:
        """Remember whether a statement wrote more than quiet tables; a text that we cannot read may have."""
        if statement.is_text or (statement.is_dml and statement.table.name not in QUIET):
            self._touched = True

    def _writer(self) -> None:
        connection: Connection | None = None
        running = True
        while running:
            group, running = self._next_group()
            if not group:
                continue
            try:
                connection = connection or self._write_engine.connect()
            except Exception as error:  # a full or broken disk: these are refused, the next ones try again
                _answer(group, error)
                continue
            if not self._commit_group(connection, group):
                connection.invalidate()  # its state is unknown; opening the file anew is the recovery
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _next_group(self) -> tuple[list[_Job], bool]:
        """Wait for a job, take what else is queued; the flag is False when the store is closing."""
        group: list[_Job] = []
        while len(group) < GROUP_MAX:
            try:
                job = self._jobs.get(block=not group)
            except queue.Empty:
                break
            if job is None:
                return group, False
            group.append(job)
        return group, True

    def _commit_group(self, connection: Connection, group: list[_Job]) -> bool:
        """Run and commit a group and answer its callers; False when the commit itself failed."""
        committed = True
        outcomes: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            with connection.begin():
                for job in group:
                    try:
                        with connection.begin_nested():
                            outcomes.append((job, job.run(connection), None))
                    except Exception as error:  # the job's own refusal: its savepoint is rolled back, others go on
                        # SQLite may answer a full disk by rolling the whole transaction back; a COMMIT would then
                        # succeed and store nothing of the jobs before.
                        _require_transaction(connection, error)
                        outcomes.append((job, None, error))
                _require_transaction(connection)
        except Exception as error:  # the commit itself failed: nobody in the group may be told it succeeded
            committed = False
            outcomes = [(job, None, error) for job in group]
        if self._touched:
            self._touched = False
            self.version += 1
        for job, result, problem in outcomes:
            job.done(result, problem)
        self.on_commit()
        for tell in tuple(self._listeners):
            tell()
        return committed
