"""HTTP: the media loop of a hall's line test (sites.md section 1), at the hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field

from folkmoot_media.errors import MediaError
from folkmoot_server.commands import sites
from folkmoot_server.domain.errors import Conflict
from folkmoot_server.realtime.media_loops import LOOP_S, MediaLoops
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Empty, Strict, read
from folkmoot_server.web.site_limits import SITE_LIMITS

LOOPS: Final[web.AppKey[MediaLoops]] = web.AppKey("media-loops", MediaLoops)


class LoopBody(Strict):
    """POST …m/sites/{s}/loop/{l}/media."""

    side: Literal["out", "back"]
    method: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    data: dict[str, Any]


async def media_loops(app: web.Application) -> AsyncIterator[None]:
    """Own the loops for the application's life."""
    app[LOOPS] = MediaLoops(app[CONTEXT].media)
    yield
    await app[LOOPS].close()


async def ask(loops: MediaLoops, meeting: str, site: str, loop: str, body: LoopBody) -> dict[str, Any]:
    """Answer a page's media method.

    Raises:
        Conflict: this loop has ended, or media signalling refuses, with its code.
    """
    try:
        return await loops.ask(meeting, site, loop, body.side, body.method, body.data)
    except MediaError as error:
        raise Conflict(error.code, error.message) from error


async def _tester(request: web.Request) -> tuple[str, str]:
    """Return meeting and site of a request of whoever may test the line.

    Raises:
        NotFound, Forbidden, WrongState: as commands.sites.require_tester says.
    """
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    await context.database.read(lambda tx: sites.require_tester(tx, meeting, site, session.member_id))
    return meeting, site


async def begin(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/loop."""
    await read(request, Empty)
    meeting, site = await _tester(request)
    request.app[SITE_LIMITS].count_loop(current(request).member_id, request.app[CONTEXT].now())
    loop = await request.app[LOOPS].begin(meeting, site)
    return web.json_response({"loop": loop, "seconds": int(LOOP_S)})


async def media(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/loop/{l}/media."""
    body = await read(request, LoopBody)
    meeting, site = await _tester(request)
    return web.json_response(await ask(request.app[LOOPS], meeting, site, request.match_info["l"], body))


async def end(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/loop/{l}/end."""
    await read(request, Empty)
    meeting, site = await _tester(request)
    await request.app[LOOPS].end(meeting, site, request.match_info["l"])
    return web.json_response({})


_LOOP: Final = "/api/meetings/{m}/sites/{s}/loop"
ROUTES: Final = (
    web.post(_LOOP, begin),
    web.post(_LOOP + "/{l}/media", media),
    web.post(_LOOP + "/{l}/end", end),
)
