"""What time does to meetings and sockets: leases, ended sessions, silent connections, leftovers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection as Tx

from folkmoot_server.commands import attendance, presence, presiding, visitors
from folkmoot_server.domain.audience import Listener
from folkmoot_server.realtime import visiting
from folkmoot_server.realtime.connections import Connection
from folkmoot_server.realtime.hall_watch import HallWatch
from folkmoot_server.realtime.ticking import Ticking

if TYPE_CHECKING:
    from folkmoot_server.realtime.sockets import Realtime
    from folkmoot_server.web.context import Context

TICK_S: Final = 1.0
SESSIONS_EVERY: Final = 2  # ticks
RIGHTS_EVERY: Final = 60
SWEEP_EVERY: Final = 60
CONNECT_S: Final = 10.0


class Housekeeping(Ticking):
    """Runs `tick` once a second; all state that matters is in the database.

    Attributes:
        halls: what watches their leases, in a loop of its own.
    """

    def __init__(self, context: Context, realtime: Realtime) -> None:
        super().__init__("housekeeping", TICK_S)
        self._context, self._realtime = context, realtime
        self.halls = HallWatch(context)
        self._watching_since = 0
        self._silent_since: dict[str, float] = {}
        self._ticks = 0

    async def start(self) -> None:
        """Begin ticking; leases run from now on."""
        self._watching_since = self._context.now()
        await self.halls.start()
        await super().start()

    async def close(self) -> None:
        """Stop at once."""
        await self.halls.close()
        await super().close()

    async def tick(self) -> None:
        """Do what is due now."""
        self._ticks += 1
        await self._expire_leases()
        await self._deputise()
        await self._tell_presence()
        await self._close_silent()
        if self._ticks % SESSIONS_EVERY == 0:
            await self._end_revoked()
        if self._ticks % RIGHTS_EVERY == 0:
            await self._follow_rights()
        if self._ticks % SWEEP_EVERY == 1:
            now = self._context.now()
            await self._context.database.write(lambda tx: visiting.sweep(tx, now))

    async def _expire_leases(self) -> None:
        database, settings, now = self._context.database, self._context.settings, self._context.now()
        away_s, lost_s, since = settings.lease_away_s, settings.lease_lost_s, self._watching_since
        if await database.read(lambda tx: attendance.silent_meetings(tx, now, away_s)):
            await database.write(lambda tx: attendance.expire_leases(tx, now, away_s, lost_s, since))
        if await database.read(lambda tx: visitors.silent(tx, now, lost_s, since)):
            await database.write(lambda tx: visitors.expire(tx, now, lost_s, since))

    async def _deputise(self) -> None:
        database, now, since = self._context.database, self._context.now(), self._watching_since
        lost_s = self._context.settings.chair_lost_s
        if await database.read(lambda tx: presiding.due(tx, now, lost_s, since)):
            await database.write(lambda tx: presiding.deputise(tx, now, lost_s, since))

    async def _tell_presence(self) -> None:
        database, now = self._context.database, self._context.now()
        if await database.read(lambda tx: presence.due(tx, now)):
            await database.write(lambda tx: presence.tell(tx, now))

    async def _close_silent(self) -> None:
        """End engine.io sessions that never sent an accepted CONNECT; the library would keep them for ever."""
        now = time.monotonic()
        engine = self._realtime.engine_sessions()
        silent = [eio_sid for eio_sid, accepted in engine.items() if not accepted]
        self._silent_since = {eio_sid: self._silent_since.get(eio_sid, now) for eio_sid in silent}
        for eio_sid, since in self._silent_since.items():
            if now - since >= CONNECT_S:
                await self._realtime.abort(eio_sid)

    async def _end_revoked(self) -> None:
        connections = self._realtime.connections
        if not connections:
            return
        hashes, now = {c.session.session_hash for c in connections}, self._context.now()
        live = await self._context.database.read(lambda tx: visiting.live(tx, hashes, now))
        for connection in connections:
            if connection.session.session_hash not in live:
                await self._realtime.dismiss(connection, "session.ended", "Your session has ended; please sign in.")

    async def _follow_rights(self) -> None:
        connections, now = self._realtime.connections, self._context.now()

        def listeners(tx: Tx) -> list[tuple[Connection, Listener | None]]:
            return [(c, visiting.listener(tx, c, now)) for c in connections]

        for connection, listener in await self._context.database.read(listeners):
            if listener is None:
                await self._realtime.dismiss(connection, "role.ended", "You may not follow this meeting any more.")
            else:
                connection.listener = listener
        for meeting in {connection.meeting for connection in connections}:
            await self._realtime.closing.follow(meeting)
