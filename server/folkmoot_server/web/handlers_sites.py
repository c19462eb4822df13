"""HTTP: sites, their line tests, codes, seat lists and alerts, and what the chair decides (sites.md section 1)."""

from __future__ import annotations

import time
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import sites
from folkmoot_server.commands.identity import StepUp
from folkmoot_server.domain.errors import BadInput
from folkmoot_server.domain.sites import EXPECTED_MAX, LineTest
from folkmoot_server.queries import sites as queries
from folkmoot_server.queries.access import readable
from folkmoot_server.realtime.room import apply_to_room
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.hall_networks import HALL_NETWORKS
from folkmoot_server.web.limits import client_address
from folkmoot_server.web.middleware import OCTETS, current
from folkmoot_server.web.parsing import (
    Empty,
    Id,
    SignedBody,
    Strict,
    Text,
    query_number,
    raw_body,
    read,
    relying_party,
)
from folkmoot_server.web.relay_access import carrier
from folkmoot_server.web.site_limits import SITE_LIMITS
from folkmoot_server.web.votes_bodies import Object

PROBE_MAX: Final = 262_144
Count = Annotated[int, Field(ge=0, le=10**7)]


class SiteBody(Strict):
    """POST …m/sites and POST …m/sites/{s}."""

    name: Text
    custodian: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")]
    expected: Annotated[int, Field(ge=0, le=EXPECTED_MAX)]
    profile: Literal[0, 64, 128, 256, 512]

    def domain(self) -> sites.Wanted:
        """Return it as a value of the commands."""
        return sites.Wanted(self.name, self.custodian, self.expected, self.profile)


class TestBody(Strict):
    """POST …m/sites/{s}/test."""

    rtt_ms: Annotated[int, Field(ge=0, le=600_000)]
    loss_permille: Annotated[int, Field(ge=0, le=1000)] | None
    up_kbps: Count
    down_kbps: Count
    clock_ms: Annotated[int, Field(ge=-(10**13), le=10**13)]
    sound: bool
    picture: bool


class SeatsBody(Strict):
    """POST …m/sites/{s}/seats."""

    seats: Annotated[list[Id], Field(max_length=4000)]
    action: Object
    signed: SignedBody


class DismissBody(Strict):
    """POST …m/sites/{s}/alerts/dismiss."""

    kind: Annotated[str, Field(pattern=r"^[a-z-]{1,40}$")]


class DecisionBody(Strict):
    """POST …m/disputes/{d}."""

    decision: Literal["keep", "remove"]


async def list_sites(request: web.Request) -> web.Response:
    """GET …m/sites."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    view = await context.database.read(lambda tx: queries.sites_view(tx, meeting, session.member_id, context.now()))
    return web.json_response(view)


async def add(request: web.Request) -> web.Response:
    """POST …m/sites."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    wanted = (await read(request, SiteBody)).domain()
    site = await context.database.write(
        lambda tx: sites.add(tx, meeting, session.member_id, wanted, now=context.now(), rng=context.rng)
    )
    return web.json_response({"site": site})


async def change(request: web.Request) -> web.Response:
    """POST …m/sites/{s}."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    wanted = (await read(request, SiteBody)).domain()
    await context.database.write(lambda tx: sites.change(tx, meeting, site, session.member_id, wanted, context.now()))
    return web.json_response({})


async def remove(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/remove."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    await read(request, Empty)
    await context.database.write(lambda tx: sites.remove(tx, meeting, site, session.member_id, context.now()))
    return web.json_response({})


async def test(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/test."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    body = await read(request, TestBody)
    measured = LineTest(at=context.now(), **body.model_dump())
    await context.database.write(
        lambda tx: sites.keep_test(tx, meeting, site, session.member_id, measured, context.now())
    )
    return web.json_response({})


async def accept(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/accept."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    await read(request, Empty)
    await context.database.write(lambda tx: sites.accept_test(tx, meeting, site, session.member_id, context.now()))
    return web.json_response({})


async def probe_down(request: web.Request) -> web.Response:
    """GET …m/sites/{s}/probe?bytes=N."""
    size = query_number(request, "bytes")
    if not 1 <= size <= PROBE_MAX:
        raise BadInput("input.malformed", f"bytes must be from 1 to {PROBE_MAX}.")
    await _may_probe(request)
    body = request.app[CONTEXT].rng(size)
    return web.Response(body=body, content_type=OCTETS, headers={"Content-Encoding": "identity"})


async def probe_up(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/probe."""
    await _may_probe(request)
    received = len(await raw_body(request, PROBE_MAX))
    return web.json_response({"received": received, "now_ms": time.time_ns() // 1_000_000})


async def _may_probe(request: web.Request) -> None:
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    now, member = context.now(), session.member_id
    await context.database.read(lambda tx: sites.require_looks_after(tx, meeting, site, member, now))
    request.app[SITE_LIMITS].count_probe(member, now)


async def show_code(request: web.Request) -> web.Response:
    """GET …m/sites/{s}/code; the first time it is asked for, what codes are made from is made."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    now = context.now()

    def shown(tx: Connection) -> tuple[tuple[str, int], bool]:
        answer = sites.show_code(tx, meeting, site, session.member_id, now=now, rng=context.rng)
        return answer, sites.is_custodian(tx, meeting, site, session.member_id)

    (code, until), in_hall = await context.database.write(shown)
    if in_hall and carrier(request) is None:
        address = client_address(request, context.settings.trust_proxy)
        request.app[HALL_NETWORKS].note(meeting, site, address, now)
    return web.json_response({"code": code, "until": until})


async def show_seats(request: web.Request) -> web.Response:
    """GET …m/sites/{s}/seats."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    view = await context.database.read(
        lambda tx: queries.seats_view(tx, meeting, site, session.member_id, context.now())
    )
    return web.json_response(view)


async def sign_seats(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/seats."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    body = await read(request, SeatsBody)
    step_up = StepUp(relying_party(request), body.action, body.signed.domain())
    await context.database.write(
        lambda tx: sites.sign_seats(tx, meeting, site, session, body.seats, step_up, context.now())
    )
    return web.json_response({})


async def dismiss(request: web.Request) -> web.Response:
    """POST …m/sites/{s}/alerts/dismiss."""
    context, session = request.app[CONTEXT], current(request)
    meeting, site = request.match_info["m"], request.match_info["s"]
    kind = (await read(request, DismissBody)).kind
    await context.database.write(
        lambda tx: sites.dismiss_alert(tx, meeting, site, session.member_id, kind, context.now())
    )
    return web.json_response({})


async def decide(request: web.Request) -> web.Response:
    """POST …m/disputes/{d}; who is sent out is out of the room when this is answered."""
    context, session = request.app[CONTEXT], current(request)
    meeting, dispute = request.match_info["m"], request.match_info["d"]
    decision = (await read(request, DecisionBody)).decision
    now = context.now()

    def write(tx: Connection) -> str:
        readable(tx, meeting, session.member_id, now)
        return sites.decide_dispute(tx, meeting, dispute, session.member_id, decision, now)

    member = await context.database.write(write)
    if decision == sites.REMOVE:
        await apply_to_room(context, meeting, {"command": "remove", "member": member}, session.member_id)
    return web.json_response({})


_SITES: Final = "/api/meetings/{m}/sites"
_SITE: Final = _SITES + "/{s}"
ROUTES: Final = (
    web.get(_SITES, list_sites),
    web.post(_SITES, add),
    web.post(_SITE, change),
    web.post(_SITE + "/remove", remove),
    web.post(_SITE + "/test", test),
    web.post(_SITE + "/accept", accept),
    web.get(_SITE + "/probe", probe_down),
    web.post(_SITE + "/probe", probe_up),
    web.get(_SITE + "/code", show_code),
    web.get(_SITE + "/seats", show_seats),
    web.post(_SITE + "/seats", sign_seats),
    web.post(_SITE + "/alerts/dismiss", dismiss),
    web.post("/api/meetings/{m}/disputes/{d}", decide),
)
