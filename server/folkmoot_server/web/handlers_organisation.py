"""HTTP: units, members, enrolment links, grants."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field

from folkmoot_server.commands import organisation
from folkmoot_server.domain.ids import new_id
from folkmoot_server.domain.roles import Grant, Role
from folkmoot_server.queries import members as member_queries
from folkmoot_server.storage import members
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Empty, Id, SignedBody, Strict, Text, Time, read, relying_party

RoleName = Literal["chair", "secretary", "registrar", "teller", "observer", "member", "auditor"]


Recipient = Annotated[str, Field(max_length=100)]


class NewUnit(Strict):
    """POST /api/units."""

    parent: Id
    name: Text


class NewMember(Strict):
    """POST /api/members."""

    name: Text
    unit: Id


class GrantAction(Strict):
    """The action that the granter's passkey signs."""

    type: Literal["grant-role"]
    member: Id
    role: RoleName
    unit: Id
    until: Time


class NewGrant(Strict):
    """POST /api/grants."""

    member: Id
    role: RoleName
    unit: Id
    until: Time
    action: GrantAction
    signed: SignedBody


class WeightAction(Strict):
    """The action that a new weight signs."""

    type: Literal["set-weight"]
    member: Id
    weight: int


class NewWeight(Strict):
    """POST /api/members/{member}/weight."""

    weight: int
    action: WeightAction
    signed: SignedBody


class AuditorKeyAction(Strict):
    """The action that an auditor's key signs."""

    type: Literal["set-auditor-key"]
    recipient: Recipient


class NewAuditorKey(Strict):
    """POST /api/auditor-key."""

    recipient: Recipient
    action: AuditorKeyAction
    signed: SignedBody


async def get_organisation(request: web.Request) -> web.Response:
    """GET /api/organisation."""
    current(request)
    return web.json_response(await request.app[CONTEXT].database.read(member_queries.organisation_view))


async def add_unit(request: web.Request) -> web.Response:
    """POST /api/units."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, NewUnit)
    unit = await context.database.write(
        lambda tx: organisation.add_unit(tx, session, body.parent, body.name, now=context.now(), rng=context.rng)
    )
    return web.json_response(member_queries.unit_view(unit))


async def list_members(request: web.Request) -> web.Response:
    """GET /api/members."""
    context, session = request.app[CONTEXT], current(request)
    view = await context.database.read(lambda tx: member_queries.members_view(tx, session, context.now()))
    return web.json_response(view)


async def add_member(request: web.Request) -> web.Response:
    """POST /api/members."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, NewMember)
    member, link = await context.database.write(
        lambda tx: organisation.add_member(tx, session, body.name, body.unit, now=context.now(), rng=context.rng)
    )
    grants = await context.database.read(lambda tx: members.grants(tx, member.id))
    return web.json_response(
        {
            "member": member_queries.member_view(member, grants, 0),
            "enrolment_url": organisation.enrolment_url(context.settings.public_url, link.token),
        }
    )


async def new_link(request: web.Request) -> web.Response:
    """POST /api/members/{member}/enrolment-link."""
    context, session = request.app[CONTEXT], current(request)
    await read(request, Empty)
    member = request.match_info["member"]
    link = await context.database.write(
        lambda tx: organisation.new_link(tx, session, member, now=context.now(), rng=context.rng)
    )
    return web.json_response({"enrolment_url": organisation.enrolment_url(context.settings.public_url, link.token)})


async def new_replacement_link(request: web.Request) -> web.Response:
    """POST /api/members/{member}/replacement-link."""
    context, session = request.app[CONTEXT], current(request)
    await read(request, Empty)
    member = request.match_info["member"]
    link = await context.database.write(
        lambda tx: organisation.new_replacement_link(tx, session, member, now=context.now(), rng=context.rng)
    )
    return web.json_response({"enrolment_url": organisation.enrolment_url(context.settings.public_url, link.token)})


async def set_weight(request: web.Request) -> web.Response:
    """POST /api/members/{member}/weight."""
    context, session, member = request.app[CONTEXT], current(request), request.match_info["member"]
    body = await read(request, NewWeight)
    rp, action = relying_party(request), body.action.model_dump()
    await context.database.write(
        lambda tx: organisation.set_weight(
            tx, rp, session, member, body.weight, action, body.signed.domain(), context.now()
        )
    )
    return web.json_response({})


async def get_auditor_key(request: web.Request) -> web.Response:
    """GET /api/auditor-key: the caller's own."""
    context, session = request.app[CONTEXT], current(request)
    found = await context.database.read(lambda tx: members.auditor_key(tx, session.member_id))
    return web.json_response(None if found is None else {"recipient": found[0], "at": found[1]})


async def set_auditor_key(request: web.Request) -> web.Response:
    """POST /api/auditor-key."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, NewAuditorKey)
    rp, action = relying_party(request), body.action.model_dump()
    await context.database.write(
        lambda tx: organisation.set_auditor_key(
            tx, rp, session, body.recipient, action, body.signed.domain(), context.now()
        )
    )
    return web.json_response({})


async def grant_role(request: web.Request) -> web.Response:
    """POST /api/grants."""
    context, session = request.app[CONTEXT], current(request)
    body = await read(request, NewGrant)
    now = context.now()
    wanted = Grant(new_id(context.rng), body.member, Role(body.role), body.unit, now, body.until)
    made = await context.database.write(
        lambda tx: organisation.grant_role(
            tx,
            relying_party(request),
            session,
            wanted,
            body.action.model_dump(),
            body.signed.domain(),
            now,
        )
    )
    return web.json_response({"member": made.member, **member_queries.grant_view(made)})


async def end_grant(request: web.Request) -> web.Response:
    """POST /api/grants/{grant}/end."""
    context, session = request.app[CONTEXT], current(request)
    await read(request, Empty)
    grant = request.match_info["grant"]
    await context.database.write(lambda tx: organisation.end_grant(tx, session, grant, context.now()))
    return web.json_response({})


ROUTES: Final = (
    web.get("/api/organisation", get_organisation),
    web.post("/api/units", add_unit),
    web.get("/api/members", list_members),
    web.post("/api/members", add_member),
    web.post("/api/members/{member}/enrolment-link", new_link),
    web.post("/api/members/{member}/replacement-link", new_replacement_link),
    web.post("/api/members/{member}/weight", set_weight),
    web.get("/api/auditor-key", get_auditor_key),
    web.post("/api/auditor-key", set_auditor_key),
    web.post("/api/grants", grant_role),
    web.post("/api/grants/{grant}/end", end_grant),
)
