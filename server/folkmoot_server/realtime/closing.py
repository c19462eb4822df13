"""What a closed session ends in the room: everything of seats and halls that are outside of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from folkmoot_server.domain.closed_sessions import Admission, hall, is_inside
from folkmoot_server.domain.relays import site_of_seat
from folkmoot_server.realtime.connections import Connection
from folkmoot_server.storage import closed_sessions

if TYPE_CHECKING:
    from folkmoot_server.web.context import Context


def is_in(connection: Connection, admission: Admission | None) -> bool:
    """Say whether a socket's seat is inside: a hall's by its name, else that of whose it is; None: all are."""
    party = hall(connection.site) if connection.site else connection.listener.party
    return admission is None or is_inside(party, admission)


class Closing:
    """Follows closed sessions of meetings.

    Args:
        at: returns the sockets of a meeting.
        leave: lets a socket's seat leave the room.
        let_go: lets a seat leave the room, as (meeting, seat), whose socket is away.
    """

    def __init__(
        self,
        context: Context,
        at: Callable[[str], list[Connection]],
        leave: Callable[[Connection], Awaitable[None]],
        let_go: Callable[[tuple[str, str]], Awaitable[None]],
    ) -> None:
        self._context, self._at, self._leave, self._let_go = context, at, leave, let_go

    async def follow(self, meeting: str) -> None:
        """Let go of every seat and every hall's pipe that is outside now; they come back by themselves."""
        admission = await self._context.database.read(lambda tx: closed_sessions.history(tx, meeting).running)
        if admission is None:
            return
        here, media = self._at(meeting), self._context.media
        outside = [connection for connection in here if not is_in(connection, admission)]
        await asyncio.gather(*map(self._send_out, outside))
        for seat in media.sites.seats(meeting) - {connection.seat for connection in here}:
            await self._let_go((meeting, seat))  # who it is cannot be told while it is away
        for name in media.sites.names(meeting):
            site = site_of_seat(name)
            if site is None or not is_inside(hall(site), admission):
                await media.sites.leave(meeting, name)

    async def _send_out(self, connection: Connection) -> None:
        async with connection.room_lock:  # whoever is coming in just now is in, and goes
            await self._leave(connection)
