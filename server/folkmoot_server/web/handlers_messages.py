"""HTTP: messages (conduct.md, section 8)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from folkmoot_server.commands import messages as commands
from folkmoot_server.domain.errors import NotFound
from folkmoot_server.domain.messages import Kind, Rules
from folkmoot_server.queries import messages as queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import caller, current
from folkmoot_server.web.parsing import Empty, LongText, Strict, Text, query_number, read


class NewMessage(Strict):
    """POST …/messages."""

    kind: Literal["chat", "question", "answer"]
    text: LongText
    to: Annotated[int, Field(ge=0, le=2**53)]


class Hide(Strict):
    """POST …/messages/{n}/hide."""

    reason: Text


class MessageRules(Strict):
    """POST …/message-rules."""

    chat: bool
    questions: bool
    visitors: bool


def _number(request: web.Request) -> int:
    text = request.match_info["n"]
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise NotFound("message.unknown", "There is no such message.")
    return int(text)


async def post(request: web.Request) -> web.Response:
    """POST …/messages."""
    context, who, meeting = request.app[CONTEXT], caller(request), request.match_info["m"]
    body = await read(request, NewMessage)
    kind, now = Kind(body.kind), context.now()
    number = await context.database.write(lambda tx: commands.post(tx, meeting, who, kind, body.text, body.to, now))
    return web.json_response({"id": number})


async def list_messages(request: web.Request) -> web.Response:
    """GET …/messages?after=N."""
    context, who, meeting = request.app[CONTEXT], caller(request), request.match_info["m"]
    after = query_number(request, "after")
    view = await context.database.read(lambda tx: queries.messages_view(tx, meeting, who, after, context.now()))
    return web.json_response(view)


async def hide(request: web.Request) -> web.Response:
    """POST …/messages/{n}/hide."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    number, body = _number(request), await read(request, Hide)
    now = context.now()
    await context.database.write(lambda tx: commands.hide(tx, meeting, session, number, body.reason, now))
    return web.json_response({})


async def support(request: web.Request) -> web.Response:
    """POST …/messages/{n}/support."""
    context, who, meeting = request.app[CONTEXT], caller(request), request.match_info["m"]
    number = _number(request)
    await read(request, Empty)
    await context.database.write(lambda tx: commands.support(tx, meeting, who, number, context.now()))
    return web.json_response({})


async def set_rules(request: web.Request) -> web.Response:
    """POST …/message-rules."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, MessageRules)
    wanted = Rules(body.chat, body.questions, body.visitors)
    await context.database.write(lambda tx: commands.set_rules(tx, meeting, session, wanted, context.now()))
    return web.json_response({})


_MESSAGES: Final = "/api/meetings/{m}/messages"
ROUTES: Final = (
    web.post(_MESSAGES, post),
    web.get(_MESSAGES, list_messages),
    web.post(_MESSAGES + "/{n}/hide", hide),
    web.post(_MESSAGES + "/{n}/support", support),
    web.post("/api/meetings/{m}/message-rules", set_rules),
)
FOR_GUESTS: Final = {
    ("POST", _MESSAGES): post,
    ("GET", _MESSAGES): list_messages,
    ("POST", _MESSAGES + "/{n}/support"): support,
}
