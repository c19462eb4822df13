"""HTTP: notice periods waived, receipts, excuses, the calendar file."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import AfterValidator, Field
from sqlalchemy import Connection

from folkmoot_server.commands import notices
from folkmoot_server.commands.identity import StepUp
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.members import clean_text
from folkmoot_server.domain.notices import REASON_MAX, Receipt
from folkmoot_server.queries import notices as notice_queries
from folkmoot_server.queries.access import readable
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Id, Strict, read, relying_party
from folkmoot_server.web.votes_bodies import StepUpBody


def _reason(value: str) -> str:
    try:
        return clean_text(value, REASON_MAX)
    except BadInput as error:
        raise ValueError(error.message) from error


def _no_reason(value: str) -> str:
    return _reason(value) if value.strip() else ""


Reason = Annotated[str, Field(max_length=REASON_MAX), AfterValidator(_reason)]
OptionalReason = Annotated[str, Field(max_length=REASON_MAX), AfterValidator(_no_reason)]


class WaiverBody(StepUpBody):
    """POST waiver."""

    reason: Reason


class ReceiptBody(Strict):
    """POST receipts."""

    receipt: Literal["delivered", "read"]


class ExcuseBody(Strict):
    """POST excuse."""

    excused: bool
    reason: OptionalReason
    member: Id


def step_up(request: web.Request, body: StepUpBody) -> StepUp:
    """Return the signed action of a body for this installation's relying party."""
    return StepUp(relying_party(request), body.action, body.signed.domain())


async def waive(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/waiver."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, WaiverBody)
    signed = step_up(request, body)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        notices.waive(tx, meeting, session, body.reason, signed, context.now())

    await context.database.write(write)
    return web.json_response({})


async def confirm(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/receipts."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, ReceiptBody)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        notices.confirm(tx, meeting, session.member_id, Receipt(body.receipt), context.now())

    await context.database.write(write)
    return web.json_response({})


async def list_notices(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/notices."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    view: dict[str, Any] = await context.database.read(
        lambda tx: notice_queries.notices_view(tx, meeting, session.member_id, context.now())
    )
    return web.json_response(view)


async def excuse(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/excuse."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, ExcuseBody)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        notices.excuse(tx, meeting, session.member_id, body.member, body.excused, body.reason, context.now())

    await context.database.write(write)
    return web.json_response({})


async def calendar(request: web.Request) -> web.Response:
    """GET /api/meetings/{m}/meeting.ics."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    settings = context.settings
    body = await context.database.read(
        lambda tx: notice_queries.calendar_file(
            tx, meeting, session.member_id, origin=settings.public_url, host=settings.rp_id, now=context.now()
        )
    )
    headers = {"Content-Disposition": 'attachment; filename="meeting.ics"'}
    return web.Response(body=body, content_type="text/calendar", charset="utf-8", headers=headers)


ROUTES: Final = (
    web.post("/api/meetings/{m}/waiver", waive),
    web.post("/api/meetings/{m}/receipts", confirm),
    web.get("/api/meetings/{m}/notices", list_notices),
    web.post("/api/meetings/{m}/excuse", excuse),
    web.get("/api/meetings/{m}/meeting.ics", calendar),
)
