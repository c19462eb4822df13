"""HTTP: the draft of the minutes."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from folkmoot_server.queries.minutes import TYPES, minutes_file
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current


async def get_minutes(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/minutes."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    language, form = request.query.get("lang", "en"), request.query.get("form", "json")
    async with context.pictures.log:
        body = await context.database.read(
            lambda tx: minutes_file(tx, meeting, session, language, form, context.now())
        )
    # The page needs nothing from anywhere and runs nothing; opened by itself it must not be able to.
    headers = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"}
    return web.Response(body=body, content_type=TYPES[form], charset="utf-8", headers=headers)


ROUTES: Final = (web.get("/api/meetings/{m}/minutes", get_minutes),)
