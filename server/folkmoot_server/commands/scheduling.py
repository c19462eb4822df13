"""The clock of the votes: publishes batches and seals boards whose grace is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from folkmoot_server.commands.publishing import expire, publish_batches, seal_closing, work_is_due
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.storage.database import StoreClosedError

if TYPE_CHECKING:
    from folkmoot_server.web.context import Context

log = logging.getLogger("folkmoot.votes")
TICK_S = 0.5


class VoteScheduler:
    """Runs `tick` every half second; all state is in the database, so a restart only delays what is due."""

    def __init__(self, context: Context) -> None:
        """Work on the context's database with its clock and randomness."""
        self._context = context
        self._notary = Notary(context.server_key, context.settings.rp_id)
        self._publish_at = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin ticking."""
        self._task = asyncio.create_task(self._run(), name="vote-scheduler")

    async def close(self) -> None:
        """Stop after the step under way; nothing is lost."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def tick(self) -> None:
        """Publish what is due by the clock and seal what may be sealed now."""
        context, settings = self._context, self._context.settings
        now = context.now()
        batch_min = settings.publish_batch_min
        if not await context.database.read(lambda tx: work_is_due(tx, now, batch_min)):
            return
        await context.database.write(lambda tx: expire(tx, now))
        if now >= self._publish_at:
            self._publish_at = now + settings.publish_every_s
            await context.database.write(
                lambda tx: publish_batches(tx, now, batch_min=batch_min, notary=self._notary, rng=context.rng)
            )
        await context.database.write(lambda tx: seal_closing(tx, now, notary=self._notary, rng=context.rng))

    async def _run(self) -> None:
        while True:
            try:
                await self.tick()
            except StoreClosedError:
                return
            except Exception as error:  # the loop's edge: one failing election must not stop the others' clock
                log.error("votes.tick-failed kind=%s", type(error).__name__)
            await asyncio.sleep(TICK_S)
