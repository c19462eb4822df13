"""Key generation and cosigners over HTTP (wire.md, "Roll, check-in, key")."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import cosigners, keys
from folkmoot_server.domain.ids import b64u
from folkmoot_server.queries import keys as key_queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import read, relying_party
from folkmoot_server.web.votes_bodies import (
    CopyBody,
    CosignerBody,
    KeyMessageBody,
    RestartBody,
    StatementBody,
    notary,
    require_reader,
    signed_json,
)

COPY_BODY_MAX = 8 * 1024


async def show(request: web.Request) -> web.Response:
    """GET keygen: trustees and every message so far."""
    context, meeting = request.app[CONTEXT], request.match_info["meeting"]

    def run(tx: Connection) -> dict[str, Any]:
        require_reader(tx, meeting, request)
        return key_queries.keygen(tx, meeting)

    return web.json_response(await context.database.read(run))


async def post_message(request: web.Request) -> web.Response:
    """POST keygen/messages: one trustee's message, with a passkey statement when it registers."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, KeyMessageBody)
    statement = None if body.statement is None else signed_json(body.statement)
    await context.database.write(
        lambda tx: keys.post_message(tx, meeting, session, body.message, statement, notary(request), context.now())
    )
    return web.json_response({})


async def restart(request: web.Request) -> web.Response:
    """POST keygen/restart: the chair ends the current attempt."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, RestartBody)
    rp = relying_party(request)
    await context.database.write(
        lambda tx: keys.restart(
            tx, rp, meeting, session, body.reason, body.action, body.signed.domain(), context.now()
        )
    )
    return web.json_response({})


async def put_copy(request: web.Request) -> web.Response:
    """PUT keygen/copy: a trustee's secrets, sealed for the own passkey."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, CopyBody, COPY_BODY_MAX)
    await context.database.write(lambda tx: keys.keep_copy(tx, meeting, session, body.copy_))
    return web.json_response({})


async def show_copy(request: web.Request) -> web.Response:
    """GET keygen/copy: the caller's own."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    copy = await context.database.read(lambda tx: keys.own_copy(tx, meeting, session))
    return web.json_response({"copy": copy})


async def destroy(request: web.Request) -> web.Response:
    """POST keygen/destroyed: a trustee has deleted the own secrets."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, StatementBody)
    await context.database.write(
        lambda tx: keys.destroy_share(tx, meeting, session, body.statement, notary(request), context.now())
    )
    return web.json_response({})


async def register_cosigner(request: web.Request) -> web.Response:
    """POST cosigners: the key with which an officer will sign closing checkpoints."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, CosignerBody)
    fields = {"name": body.name, "key": b64u(body.key), **signed_json(body)}
    await context.database.write(lambda tx: cosigners.register_cosigner(tx, meeting, session, fields, context.now()))
    return web.json_response({})
