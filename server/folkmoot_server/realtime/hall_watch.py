"""When halls are lost: looked for at the very end of a lease, and once a second."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from folkmoot_server.commands import relays, sites
from folkmoot_server.domain.relays import DEGRADED_S, site_seat
from folkmoot_server.domain.sites import SiteState
from folkmoot_server.realtime.steady_clock import split
from folkmoot_server.realtime.ticking import Ticking

if TYPE_CHECKING:
    from folkmoot_server.web.context import Context

TICK_S: Final = 1.0


class HallWatch(Ticking):
    """Lets halls be lost of which nothing is heard, and tells whose link is thin.

    It has a loop of its own: what else time brings about must not make a quorum wait. No later lease can end before
    the next look, so that a look a second finds the end of every one.

    Attributes:
        watching_since: since when this server listens, in seconds; no lease ran before.
    """

    def __init__(self, context: Context) -> None:
        super().__init__("halls", TICK_S)
        self._context = context
        self.watching_since = 0

    async def start(self) -> None:
        """Begin to watch; leases run from now on."""
        self.watching_since = self._context.now()
        await super().start()

    async def tick(self) -> None:
        """Do what is due now."""
        database, since, lost_s = self._context.database, self.watching_since, self._context.settings.site_lost_s
        now, ms = split(self._context.now)
        if await database.read(lambda tx: relays.some_lost(tx, now, lost_s, since, ms)):
            await database.write(lambda tx: relays.lose(tx, now, lost_s, since, ms))
        if await database.read(lambda tx: sites.silent(tx, now, lost_s, since, ms)):
            await database.write(lambda tx: sites.lose_silent(tx, now, lost_s, since, ms))
        halls, quiet = await database.read(lambda tx: (sites.live(tx), relays.quiet(tx, now, since, ms)))
        for site in halls:
            thin = self._context.media.is_thin(site.meeting, site_seat(site.id)) or (site.meeting, site.id) in quiet
            if thin != (site.state is SiteState.DEGRADED):
                await database.write(
                    partial(sites.note_link, meeting_id=site.meeting, site_id=site.id, thin=thin, now=now)
                )

    async def pause(self) -> float:
        """Return the seconds until the next lease ends, a second at most."""
        since, lost_s = self.watching_since, self._context.settings.site_lost_s

        def ends(tx: Connection) -> list[int]:
            of_relays = [*relays.lease_ends(tx, lost_s, since), *relays.lease_ends(tx, DEGRADED_S, since)]
            return [end for _, end in (*sites.lease_ends(tx, lost_s, since), *of_relays)]

        found = await self._context.database.read(ends)
        now, ms = split(self._context.now)
        left = [end - now * 1000 - ms for end in found]
        return min([TICK_S, *(one / 1000 for one in left if one > 0)])
