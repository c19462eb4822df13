"""The media loop of a hall's line test at a relay: through the relay's own worker, as the hall's media go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from folkmoot_server.domain.errors import Forbidden, NotSignedIn, WrongState
from folkmoot_server.realtime.media_loops import LOOP_S, MediaLoops
from folkmoot_server.relay import store
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.people import HallSession
from folkmoot_server.relay.sockets import Sockets
from folkmoot_server.web import kiosk_access
from folkmoot_server.web.handlers_line import LoopBody, ask
from folkmoot_server.web.parsing import Empty, read
from folkmoot_server.web.site_limits import SiteLimits

_LOOP: Final = "/api/meetings/{m}/sites/{s}/loop"
SessionOf = Callable[[web.Request], Awaitable[HallSession | None]]


class HallLine:
    """The loops of one relay's hall, for its custodian.

    Args:
        node: the relay.
        sockets: has the relay's media, once they work.
        session: finds whose request it is.
    """

    def __init__(self, node: Node, sockets: Sockets, session: SessionOf) -> None:
        self._node, self._sockets, self._session = node, sockets, session
        self._limits = SiteLimits()
        self._loops: MediaLoops | None = None

    def attach(self, app: web.Application) -> None:
        """Add the routes to the application."""
        app.router.add_post(_LOOP, self._begin)
        app.router.add_post(_LOOP + "/{l}/media", self._media)
        app.router.add_post(_LOOP + "/{l}/end", self._end)

    async def close(self) -> None:
        """End what runs."""
        if self._loops is not None:
            await self._loops.close()

    async def _allowed(self, request: web.Request) -> tuple[MediaLoops, str]:
        """Return the loops and who asks.

        Raises:
            NotSignedIn, Forbidden: a stranger, or not the custodian of this hall; a member at its kiosk.
            WrongState: the meeting is over, or this relay has no media.
        """
        if kiosk_access.token_in(request) is not None:  # beside the custodian's cookie, and never as the custodian
            raise Forbidden("kiosk.not-allowed", "This cannot be done at a kiosk.")
        session = await self._session(request)
        if session is None:
            raise NotSignedIn("session.none", "Please sign in.")
        own, wanted = self._node.identity, (request.match_info["m"], request.match_info["s"])
        state = await self._node.database.read(store.state)
        halls = [] if state is None else [(one["site"], one["custodian"]) for one in state["sites"]]
        if wanted != (own.meeting, own.site) or (own.site, session.member) not in halls:
            raise Forbidden("site.not-custodian", "Only the hall's custodian may do this.")
        if self._node.over or self._node.ended.is_set():
            raise WrongState("meeting.wrong-state", "The meeting is over.")
        if self._loops is None:
            if self._sockets.media is None:
                raise WrongState("relay.no-media", "This relay carries no sound and no picture to phones.")
            self._loops = MediaLoops(self._sockets.media)
        return self._loops, session.member

    async def _begin(self, request: web.Request) -> web.Response:
        await read(request, Empty)
        loops, member = await self._allowed(request)
        self._limits.count_loop(member, self._node.clock())
        own = self._node.identity
        return web.json_response({"loop": await loops.begin(own.meeting, own.site), "seconds": int(LOOP_S)})

    async def _media(self, request: web.Request) -> web.Response:
        body = await read(request, LoopBody)
        loops, _ = await self._allowed(request)
        own = self._node.identity
        return web.json_response(await ask(loops, own.meeting, own.site, request.match_info["l"], body))

    async def _end(self, request: web.Request) -> web.Response:
        await read(request, Empty)
        loops, _ = await self._allowed(request)
        await loops.end(self._node.identity.meeting, self._node.identity.site, request.match_info["l"])
        return web.json_response({})
