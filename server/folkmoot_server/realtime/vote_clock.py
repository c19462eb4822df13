"""The clock of the votes: publishes batches, ends and seals votes, counts what all can read, sums sealed boxes up."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from folkmoot_server.commands import counting
from folkmoot_server.commands.publishing import Due, carry_out, due_work
from folkmoot_server.domain.elections import Verb
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.realtime.ticking import Ticking
from folkmoot_server.storage.database import StoreClosedError

if TYPE_CHECKING:
    from folkmoot_server.web.context import Context

log = logging.getLogger("folkmoot.votes")
TICK_S = 0.5


class VoteScheduler(Ticking):
    """Runs `tick` every half second; all state is in the database, so a restart only delays what is due."""

    def __init__(self, context: Context) -> None:
        """Work on the context's database with its clock and randomness."""
        super().__init__("vote-scheduler", TICK_S)
        self._context = context
        self._notary = Notary(context.server_key, context.settings.rp_id)
        self._publish_at = 0

    async def tick(self) -> None:
        """Take every step that is due now, each in a transaction of its own."""
        context, settings = self._context, self._context.settings
        now = context.now()
        waiting = context.arrivals.count
        due = await context.database.read(lambda tx: due_work(tx, now, settings.publish_batch_min, waiting))
        publish = now >= self._publish_at
        if publish and any(step.verb is Verb.PUBLISH for step in due):
            self._publish_at = now + settings.publish_every_s
        for step in due:
            if publish or step.verb is not Verb.PUBLISH:
                await self._guarded(step.verb.value, self._take(step, now))
        for meeting, election in await context.database.read(counting.sums_due):
            await self._guarded("sum up", self._sum(meeting, election))
        for meeting, election in await context.database.read(counting.plain_due):
            await self._guarded("count", self._count(meeting, election))

    async def _take(self, step: Due, now: int) -> None:
        context = self._context
        await context.database.write(lambda tx: carry_out(tx, step, now, notary=self._notary, rng=context.rng))

    async def _sum(self, meeting: str, election: str) -> None:
        database = self._context.database
        total = await database.read(lambda tx: counting.aggregate(tx, meeting, election))
        await database.write(lambda tx: counting.keep_aggregate(tx, election, total))

    async def _count(self, meeting: str, election: str) -> None:
        context = self._context
        counts = await context.database.read(lambda tx: counting.plain_counts(tx, meeting, election))
        await context.database.write(
            lambda tx: counting.count_plain(tx, meeting, election, counts, notary=self._notary, now=context.now())
        )

    async def _guarded(self, step: str, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreClosedError:
            raise
        except Exception as error:  # one failing election must not stop the others' clock
            log.error("votes.step-failed step=%s kind=%s", step, type(error).__name__)
