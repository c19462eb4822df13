"""HTTP: the rules of speaking (conduct.md section 5); hands and turns are commands of the meeting."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import floor
from folkmoot_server.domain.speaking import GROUP_MAX_S, TURN_MAX_S, Rules
from folkmoot_server.queries.access import readable
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Strict, read


class RulesBody(Strict):
    """POST speaking."""

    turn_s: Annotated[int, Field(ge=0, le=TURN_MAX_S)]
    group_s: Annotated[int, Field(ge=0, le=GROUP_MAX_S)]
    order_s: Annotated[int, Field(ge=0, le=TURN_MAX_S)]


async def set_rules(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/speaking."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, RulesBody)
    wanted = Rules(body.turn_s, body.group_s, body.order_s)

    def write(tx: Connection) -> int:
        readable(tx, meeting, session.member_id, context.now())
        return floor.set_speaking_rules(tx, meeting, session.member_id, wanted, context.now())

    await context.database.write(write)
    return web.json_response({})


ROUTES: Final = (web.post("/api/meetings/{m}/speaking", set_rules),)
