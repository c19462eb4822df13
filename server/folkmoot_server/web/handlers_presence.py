"""HTTP: asking those present whether they are still there, and the quorum curve (sites.md section 3)."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import presence
from folkmoot_server.domain.presence import WITHIN_MAX_S, WITHIN_MIN_S
from folkmoot_server.queries.access import readable
from folkmoot_server.queries.attendance import curve_view
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Id, SignedBody, Strict, read, relying_party


class AskBody(Strict):
    """POST …m/presence."""

    members: Annotated[list[Id], Field(max_length=4000)]
    site: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
    within_s: Annotated[int, Field(ge=WITHIN_MIN_S, le=WITHIN_MAX_S)]


async def ask(request: web.Request) -> web.Response:
    """POST …m/presence."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body, now = await read(request, AskBody), context.now()

    def write(tx: Connection) -> str:
        readable(tx, meeting, session.member_id, now)
        return presence.ask(
            tx, meeting, session.member_id, body.members, body.site, body.within_s, now=now, rng=context.rng
        )

    return web.json_response({"presence": await context.database.write(write)})


async def confirm(request: web.Request) -> web.Response:
    """POST …m/presence/{p}/confirm."""
    context, session = request.app[CONTEXT], current(request)
    meeting, asking = request.match_info["m"], request.match_info["p"]
    signed, rp, now = (await read(request, SignedBody)).domain(), relying_party(request), context.now()

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, now)
        presence.confirm(tx, rp, meeting, asking, session, signed, now)

    await context.database.write(write)
    return web.json_response({})


async def show_curve(request: web.Request) -> web.Response:
    """GET …m/quorum-curve."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    async with context.pictures.log:
        view = await context.database.read(lambda tx: curve_view(tx, meeting, session.member_id, context.now()))
    return web.json_response(view)


ROUTES: Final = (
    web.post("/api/meetings/{m}/presence", ask),
    web.post("/api/meetings/{m}/presence/{p}/confirm", confirm),
    web.get("/api/meetings/{m}/quorum-curve", show_curve),
)
