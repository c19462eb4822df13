"""HTTP: what is known of one seat's media, for whoever has to help a member."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_media.errors import MediaError
from folkmoot_server.commands.presiding import require_chair
from folkmoot_server.queries.access import readable
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current

FORMAT: Final = 1


async def get_support(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/support: the own seat's report, and for the chair anybody's.

    A room without a worker is what such a report may be about: the answer then says so instead of refusing.
    """
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    member = request.query.get("member", session.member_id)

    def check(tx: Connection) -> None:
        found = readable(tx, meeting, session.member_id, context.now())
        if member != session.member_id:
            require_chair(tx, found, session.member_id, context.now())

    await context.database.read(check)
    try:
        media, problem = await context.media.report(meeting, member), None
    except MediaError as error:
        media, problem = None, error.code
    told = {"format": FORMAT, "meeting": meeting, "member": member, "at": context.now()}
    return web.json_response({**told, "media": media, "problem": problem})


ROUTES: Final = (web.get("/api/meetings/{m}/support", get_support),)
