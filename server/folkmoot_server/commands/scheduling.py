"""The clock of the votes: publishes batches and seals boards whose grace is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from folkmoot_server.commands.publishing import Due, carry_out, due_work
from folkmoot_server.domain.elections import Verb
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
        """Take every step that is due now, each in a transaction of its own."""
        context, settings = self._context, self._context.settings
        now = context.now()
        due = await context.database.read(lambda tx: due_work(tx, now, settings.publish_batch_min))
        publish = now >= self._publish_at
        if publish and any(step.verb is Verb.PUBLISH for step in due):
            self._publish_at = now + settings.publish_every_s
        for step in due:
            if publish or step.verb is not Verb.PUBLISH:
                await self._take(step, now)

    async def _take(self, step: Due, now: int) -> None:
        context = self._context
        try:
            await context.database.write(lambda tx: carry_out(tx, step, now, notary=self._notary, rng=context.rng))
        except StoreClosedError:
            raise
        except Exception as error:  # one failing election must not stop the others' clock
            log.error("votes.step-failed step=%s kind=%s", step.verb.value, type(error).__name__)

    async def _run(self) -> None:
        while True:
            try:
                await self.tick()
            except StoreClosedError:
                return
            except Exception as error:  # the loop's edge: a failing read is tried again at the next tick
                log.error("votes.tick-failed kind=%s", type(error).__name__)
            await asyncio.sleep(TICK_S)
