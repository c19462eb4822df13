"""Proofs are checked in threads, those of ballots in batches: many together cost far less than one by one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from aiohttp import web

from folkmoot_server.commands.ballots import Arrival, Verdict, check_batch
from folkmoot_server.domain.errors import TooMany
from folkmoot_server.web.context import CONTEXT, Rng

T = TypeVar("T")
CHECK_THREADS: Final = 2
CHECKS_MAX: Final = 512
MEMBER_CHECKS_MAX: Final = 4
BATCH_MAX: Final = 64
BATCH_S: Final = 0.05


class ProofPool:
    """Threads for proofs; the libraries release the interpreter lock, so the loop stays free."""

    def __init__(self, rng: Rng) -> None:
        """Make the threads lazily; `rng` draws the weights of batch checks."""
        self._rng = rng
        self._threads = ThreadPoolExecutor(CHECK_THREADS, thread_name_prefix="proofs")
        self._waiting: Counter[str] = Counter()
        self._batch: list[tuple[Arrival, asyncio.Future[Verdict]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, member: str, work: Callable[[], T]) -> T:
        """Run `work` for a member in a thread.

        Raises:
            TooMany: more checks wait than one member, or all together, may have.
        """
        with self._turn(member):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def check(self, member: str, arrival: Arrival) -> Verdict:
        """Check a member's ballot together with others that arrive within a twentieth of a second.

        Raises:
            TooMany: more checks wait than one member, or all together, may have.
        """
        with self._turn(member):
            loop = asyncio.get_running_loop()
            future: asyncio.Future[Verdict] = loop.create_future()
            self._batch.append((arrival, future))
            if len(self._batch) >= BATCH_MAX:
                self._start()
            elif self._timer is None:
                self._timer = loop.call_later(BATCH_S, self._start)
            return await future

    async def check_all(self, who: str, arrivals: Sequence[Arrival]) -> list[Verdict]:
        """Check ballots that came together, in one turn of whoever brought them.

        Raises:
            TooMany: more checks wait than one bringer, or all together, may have.
        """
        if not arrivals:
            return []
        return await self.run(who, lambda: check_batch(arrivals, self._rng))

    async def close(self) -> None:
        """Finish the work under way and stop the threads."""
        self._start()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._threads.shutdown()

    @contextmanager
    def _turn(self, member: str) -> Iterator[None]:
        if self._waiting[member] >= MEMBER_CHECKS_MAX or self._waiting.total() >= CHECKS_MAX:
            raise TooMany("ballot.busy", "Too many ballots are being checked; send yours again in a moment.")
        self._waiting[member] += 1
        try:
            yield
        finally:
            self._waiting[member] -= 1
            self._waiting += Counter()  # forgets members with nothing waiting

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._batch = self._batch, []
        if batch:
            task = asyncio.ensure_future(self._check(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _check(self, batch: list[tuple[Arrival, asyncio.Future[Verdict]]]) -> None:
        loop = asyncio.get_running_loop()
        arrivals = [arrival for arrival, _ in batch]
        try:
            verdicts = await loop.run_in_executor(self._threads, check_batch, arrivals, self._rng)
        except Exception as error:  # whoever waits must hear of it, whatever it is
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), verdict in zip(batch, verdicts, strict=True):
            if not future.done():
                future.set_result(verdict)


POOL: Final[web.AppKey[ProofPool]] = web.AppKey("proof-pool", ProofPool)


async def proof_pool(app: web.Application) -> AsyncIterator[None]:
    """Own the pool for the application's life."""
    app[POOL] = ProofPool(app[CONTEXT].rng)
    yield
    await app[POOL].close()
