"""HTTP: a member's own passkeys, and second officers."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from folkmoot_server.commands import passkeys
from folkmoot_server.queries import passkeys as passkey_queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.handlers_identity import RegistrationJSON, creation_options
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Bytes32, PasskeyId, SignedBody, Strict, read, relying_party

Ids = Annotated[list[PasskeyId], Field(min_length=1, max_length=passkeys.CONFIRM_MAX)]


class AddAction(Strict):
    """The action that the wish for another passkey signs."""

    type: Literal["add-passkey"]


class AddBegin(Strict):
    """POST /api/passkeys/begin."""

    action: AddAction
    signed: SignedBody


class AddFinish(Strict):
    """POST /api/passkeys/finish."""

    nonce: Bytes32
    credential: RegistrationJSON


class RemoveAction(Strict):
    """The action that a removal signs."""

    type: Literal["remove-passkey"]
    passkey: PasskeyId


class Remove(Strict):
    """POST /api/passkeys/{passkey}/remove."""

    action: RemoveAction
    signed: SignedBody


class ConfirmAction(Strict):
    """The action that a second officer signs."""

    type: Literal["confirm-passkeys"]
    passkeys: Ids


class Confirm(Strict):
    """POST /api/passkeys/confirm."""

    passkeys: Ids
    action: ConfirmAction
    signed: SignedBody


async def list_own(request: web.Request) -> web.Response:
    """GET /api/passkeys."""
    context, session = request.app[CONTEXT], current(request)
    return web.json_response(await context.database.read(lambda tx: passkey_queries.own(tx, session.member_id)))


async def begin(request: web.Request) -> web.Response:
    """POST /api/passkeys/begin."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, AddBegin)
    rp, action, signed = relying_party(request), body.action.model_dump(), body.signed.domain()
    begun = await context.database.write(
        lambda tx: passkeys.begin_adding(tx, rp, session, action, signed, now=context.now(), rng=context.rng)
    )
    return web.json_response(await creation_options(context, begun))


async def finish(request: web.Request) -> web.Response:
    """POST /api/passkeys/finish."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, AddFinish)
    answer, rp = body.credential.domain(), relying_party(request)
    made = await context.database.write(
        lambda tx: passkeys.finish_adding(tx, rp, session, body.nonce, answer, context.now())
    )
    return web.json_response({"id": made})


async def remove(request: web.Request) -> web.Response:
    """POST /api/passkeys/{passkey}/remove."""
    context, session, passkey = request.app[CONTEXT], current(request), request.match_info["passkey"]
    body = await read(request, Remove)
    rp, action = relying_party(request), body.action.model_dump()
    await context.database.write(
        lambda tx: passkeys.remove(tx, rp, session, passkey, action, body.signed.domain(), context.now())
    )
    return web.json_response({})


async def list_unconfirmed(request: web.Request) -> web.Response:
    """GET /api/passkeys/unconfirmed?unit=."""
    context, session, unit = request.app[CONTEXT], current(request), request.query.get("unit", "")
    view = await context.database.read(
        lambda tx: passkey_queries.unconfirmed(tx, session.member_id, unit, context.now())
    )
    return web.json_response(view)


async def confirm(request: web.Request) -> web.Response:
    """POST /api/passkeys/confirm."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, Confirm)
    rp, action = relying_party(request), body.action.model_dump()
    await context.database.write(
        lambda tx: passkeys.confirm(tx, rp, session, body.passkeys, action, body.signed.domain(), context.now())
    )
    return web.json_response({})


ROUTES: Final = (
    web.get("/api/passkeys", list_own),
    web.post("/api/passkeys/begin", begin),
    web.post("/api/passkeys/finish", finish),
    web.get("/api/passkeys/unconfirmed", list_unconfirmed),
    web.post("/api/passkeys/confirm", confirm),
    web.post("/api/passkeys/{passkey}/remove", remove),
)
