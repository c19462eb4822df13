"""HTTP: the agenda's items, templates and series."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import agenda
from folkmoot_server.domain.agenda import MINUTES_MAX
from folkmoot_server.domain.calendar import Every
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.queries import agenda as agenda_queries
from folkmoot_server.queries.access import readable
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Empty, Id, Strict, Text, read

Place = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
Minutes = Annotated[int, Field(ge=0, le=MINUTES_MAX)]


class NewItemBody(Strict):
    """POST agenda."""

    title: Text
    parent: Place
    after: Place
    minutes: Minutes
    internal: bool


class ChangedItemBody(Strict):
    """POST agenda/{i}."""

    version: Annotated[int, Field(ge=0, lt=2**31)]
    title: Text
    minutes: Minutes
    internal: bool


class MoveBody(Strict):
    """POST agenda/{i}/move."""

    parent: Place
    after: Place


class CarryBody(Strict):
    """POST agenda/carry; `from` is a word of the language."""

    source: Annotated[Id, Field(alias="from")]


class TemplateBody(Strict):
    """POST /api/templates."""

    unit: Id
    name: Text
    meeting: Id


class SeriesBody(Strict):
    """POST series."""

    every: Literal["week", "fortnight", "month"]
    count: Annotated[int, Field(ge=1, le=agenda.SERIES_MAX)]


async def add_item(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/agenda."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, NewItemBody)
    wanted = agenda.Wanted(body.title, body.minutes, body.internal)

    def write(tx: Connection) -> str:
        now, member = context.now(), session.member_id
        readable(tx, meeting, member, now)
        return agenda.add_item(tx, meeting, member, wanted, body.parent, body.after, now=now, rng=context.rng)

    return web.json_response({"id": await context.database.write(write)})


async def change_item(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/agenda/{i}."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    item, body = request.match_info["i"], await read(request, ChangedItemBody)
    wanted = agenda.Wanted(body.title, body.minutes, body.internal)

    def write(tx: Connection) -> int:
        readable(tx, meeting, session.member_id, context.now())
        return agenda.change_item(tx, meeting, session.member_id, item, body.version, wanted, context.now())

    return web.json_response({"version": await context.database.write(write)})


async def move_item(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/agenda/{i}/move."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    item, body = request.match_info["i"], await read(request, MoveBody)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        agenda.move_item(tx, meeting, session.member_id, item, body.parent, body.after, context.now())

    await context.database.write(write)
    return web.json_response({})


async def remove_item(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/agenda/{i}/remove."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    item, _ = request.match_info["i"], await read(request, Empty)

    def write(tx: Connection) -> None:
        readable(tx, meeting, session.member_id, context.now())
        agenda.remove_item(tx, meeting, session.member_id, item, context.now())

    await context.database.write(write)
    return web.json_response({})


async def carry(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/agenda/carry."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, CarryBody)

    def write(tx: Connection) -> int:
        now, member = context.now(), session.member_id
        readable(tx, meeting, member, now)
        readable(tx, body.source, member, now)
        return agenda.carry(tx, meeting, member, body.source, now=now, rng=context.rng)

    return web.json_response({"items": await context.database.write(write)})


async def series(request: web.Request) -> web.Response:
    """POST /api/meetings/{m}/series."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, SeriesBody)

    def write(tx: Connection) -> list[str]:
        now, member, every = context.now(), session.member_id, Every(body.every)
        readable(tx, meeting, member, now)
        return agenda.make_series(tx, meeting, member, every, body.count, now=now, rng=context.rng)

    return web.json_response({"meetings": await context.database.write(write)})


async def list_templates(request: web.Request) -> web.Response:
    """GET /api/templates?unit=U."""
    context, session, unit = request.app[CONTEXT], current(request), request.query.get("unit", "")
    if not unit:
        raise BadInput("input.malformed", "The parameter unit must name a unit.")
    view: dict[str, Any] = await context.database.read(
        lambda tx: agenda_queries.templates_view(tx, unit, session.member_id, context.now())
    )
    return web.json_response(view)


async def save_template(request: web.Request) -> web.Response:
    """POST /api/templates."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, TemplateBody)

    def write(tx: Connection) -> str:
        now, member = context.now(), session.member_id
        readable(tx, body.meeting, member, now)
        return agenda.save_template(tx, member, body.unit, body.name, body.meeting, now=now, rng=context.rng)

    return web.json_response({"id": await context.database.write(write)})


async def remove_template(request: web.Request) -> web.Response:
    """POST /api/templates/{t}/remove."""
    context, session, template = request.app[CONTEXT], current(request), request.match_info["t"]
    await read(request, Empty)
    await context.database.write(lambda tx: agenda.remove_template(tx, session.member_id, template, context.now()))
    return web.json_response({})


ROUTES: Final = (
    web.post("/api/meetings/{m}/agenda", add_item),
    web.post("/api/meetings/{m}/agenda/carry", carry),
    web.post("/api/meetings/{m}/agenda/{i}", change_item),
    web.post("/api/meetings/{m}/agenda/{i}/move", move_item),
    web.post("/api/meetings/{m}/agenda/{i}/remove", remove_item),
    web.post("/api/meetings/{m}/series", series),
    web.get("/api/templates", list_templates),
    web.post("/api/templates", save_template),
    web.post("/api/templates/{t}/remove", remove_template),
)
