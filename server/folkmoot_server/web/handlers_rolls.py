"""Roll and check-in over HTTP (wire.md, "Roll, check-in, key")."""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import check_in, relays, rolls, sites
from folkmoot_server.domain.attendance import REMOTE
from folkmoot_server.domain.errors import Forbidden
from folkmoot_server.domain.ids import b64u
from folkmoot_server.queries import ledger
from folkmoot_server.queries import rolls as roll_queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.hall_networks import HALL_NETWORKS
from folkmoot_server.web.limits import client_address
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Empty, query_number, read
from folkmoot_server.web.relay_access import carrier
from folkmoot_server.web.site_limits import SITE_LIMITS
from folkmoot_server.web.votes_bodies import (
    CheckInBegin,
    CheckInBody,
    FreezeBody,
    notary,
    require_reader,
    signed_json,
)
from folkmoot_voting.assertion import RelyingParty
from folkmoot_voting.encoding import JsonObject


async def prepare(request: web.Request) -> web.Response:
    """POST roll/prepare: the draft that the registrar will sign."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    await read(request, Empty)
    rp = RelyingParty(context.settings.rp_id, context.settings.origins)
    answer = await context.database.write(
        lambda tx: rolls.prepare_roll(tx, meeting, session, rp, context.now(), context.rng)
    )
    return web.json_response(answer)


async def freeze(request: web.Request) -> web.Response:
    """POST roll/freeze: the registrar's signature ends the draft."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, FreezeBody)
    statement = await context.database.write(
        lambda tx: rolls.freeze_roll(
            tx, meeting, session, body.roll_hash, signed_json(body.signed), notary(request), context.now()
        )
    )
    return web.json_response({"statement": statement})


async def show(request: web.Request) -> web.Response:
    """GET roll: the public statement and the caller's own entry."""
    context, meeting = request.app[CONTEXT], request.match_info["meeting"]
    answer = await context.database.read(
        lambda tx: roll_queries.roll(tx, meeting, require_reader(tx, meeting, request))
    )
    return web.json_response(answer)


async def show_ledger(request: web.Request) -> web.Response:
    """GET ledger?from=N&to=M: the server key and the proof that the larger log continues the smaller."""
    old, new = query_number(request, "from"), query_number(request, "to")
    proof = await request.app[CONTEXT].database.read(lambda tx: ledger.consistency(tx, old, new))
    owner = notary(request)
    return web.json_response({"origin": owner.ledger_origin, "key": b64u(owner.key), "proof": proof})


async def begin(request: web.Request) -> web.Response:
    """POST check-in/begin: what the member's passkey will sign."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body, limits, now = await read(request, CheckInBegin), request.app[SITE_LIMITS], context.now()
    member, site, code = session.member_id, body.site, body.code
    lost_s, relay = context.settings.site_lost_s, carrier(request)

    def begun(tx: Connection) -> JsonObject:
        answer = check_in.begin_check_in(tx, meeting, session, now, context.rng, site=site, code=code)
        relays.require_from_hall(tx, meeting, site, relay, now, lost_s)
        return answer

    limits.check_codes(member, now)
    try:
        answer = await context.database.write(begun)
    except Forbidden as error:
        if error.code == "site.bad-code":
            limits.codes.add(member, now)
            await context.database.write(lambda tx: sites.note_stray_code(tx, meeting, site, code, now))
        raise
    address = client_address(request, context.settings.trust_proxy)
    if site != REMOTE and relay is None and request.app[HALL_NETWORKS].is_elsewhere(meeting, site, address, now):
        await context.database.write(lambda tx: sites.tell_stray_code(tx, meeting, site, now))
    return web.json_response(answer)


async def finish(request: web.Request) -> web.Response:
    """POST check-in/finish: the credential is the member's, and the member is present."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["meeting"]
    body = await read(request, CheckInBody)
    credential = b64u(body.credential)
    fields = {"credential": credential, "site": body.site, "checkpoint": body.checkpoint, **signed_json(body)}
    seq = await context.database.write(
        lambda tx: check_in.finish_check_in(tx, meeting, session, fields, notary(request), context.now(), context.rng)
    )
    return web.json_response({"credential": credential, "seq": seq})
