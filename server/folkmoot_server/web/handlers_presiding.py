"""HTTP: the chair is handed over; an open vote is broken off or timed."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import interventions, presiding
from folkmoot_server.queries.access import readable
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.handlers_notices import OptionalReason, Reason, step_up
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Strict, Time, read
from folkmoot_server.web.votes_bodies import StepUpBody


class OfferBody(StepUpBody):
    """POST handover; `to` is empty to take an offer back."""

    to: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]


class AbortBody(StepUpBody):
    """POST abort."""

    reason: Reason


class TimerBody(Strict):
    """POST timer."""

    ends_at: Time
    reason: OptionalReason


async def offer(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/handover."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, OfferBody)
    signed = step_up(request, body)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        presiding.offer(tx, meeting, session, body.to, signed, context.now())

    await context.database.write(write)
    return web.json_response({})


async def accept(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/handover/accept."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    signed = step_up(request, await read(request, StepUpBody))

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        presiding.accept(tx, meeting, session, signed, context.now())

    await context.database.write(write)
    return web.json_response({})


async def abort(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/elections/{e}/abort."""
    context, session = request.app[CONTEXT], current(request)
    meeting, election = request.match_info["m"], request.match_info["e"]
    body = await read(request, AbortBody)
    signed = step_up(request, body)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        interventions.abort(tx, meeting, election, session, body.reason, signed, context.now())

    await context.database.write(write)
    return web.json_response({})


async def set_timer(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/elections/{e}/timer."""
    context, session = request.app[CONTEXT], current(request)
    meeting, election = request.match_info["m"], request.match_info["e"]
    body = await read(request, TimerBody)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        interventions.set_timer(tx, meeting, election, session.member_id, body.ends_at, body.reason, context.now())

    await context.database.write(write)
    return web.json_response({})


ROUTES: Final = (
    web.post("/api/meetings/{m}/handover", offer),
    web.post("/api/meetings/{m}/handover/accept", accept),
    web.post("/api/meetings/{m}/elections/{e}/abort", abort),
    web.post("/api/meetings/{m}/elections/{e}/timer", set_timer),
)
