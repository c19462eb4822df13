"""Ballots, seals, voids and replacements over HTTP, and what a second device may ask (wire.md, "Elections")."""

from __future__ import annotations

from aiohttp import web

from folkmoot_server.commands import ballots, lineages
from folkmoot_server.domain.errors import BadInput, Refused
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.queries import elections as election_queries
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.kiosk_access import KIOSK
from folkmoot_server.web.limits import LIMITS, client_address
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import read
from folkmoot_server.web.proof_pool import POOL
from folkmoot_server.web.votes_bodies import (
    BallotBody,
    EntryBody,
    ReplacementBody,
    SealBody,
    assertion_json,
    notary,
    place,
)


async def cast(request: web.Request) -> web.Response:
    """POST ballots: check the proofs in a thread, record the ballot in the writer, answer with the promise.

    What counts for the end of the vote is when the ballot had arrived: the box waits for those on the way.
    """
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, BallotBody)
    arrived_at = context.now()
    with context.arrivals.one(election, arrived_at):
        arrival = await context.database.read(
            lambda tx: ballots.receive(tx, meeting, election, session, body.ballot, arrived_at)
        )
        if arrival.promise is not None:
            return web.json_response({"promise": arrival.promise})
        checked = ballots.accepted(await request.app[POOL].check(session.member_id, arrival))
        promise = await context.database.write(
            lambda tx: ballots.cast(
                tx,
                meeting,
                election,
                session,
                checked,
                notary=notary(request),
                arrived_at=arrived_at,
                now=context.now(),
            )
        )
    return web.json_response({"promise": promise})


async def announce(request: web.Request) -> web.Response:
    """POST seals: a sealed ballot's hash, before the voter casts or audits it."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, SealBody)
    announced = lineages.Announcement(body.credential, body.sealed, body.sig)
    seals = await context.database.write(
        lambda tx: lineages.announce(tx, meeting, election, session, announced, context.now())
    )
    return web.json_response({"seals": seals})


async def make_void(request: web.Request) -> web.Response:
    """POST voids: an audited ballot can never be cast."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, EntryBody)
    await context.database.write(
        lambda tx: lineages.make_void(tx, meeting, election, session, body.entry, context.now())
    )
    return web.json_response({})


async def replace_credential(request: web.Request) -> web.Response:
    """POST replacements: another device votes for the member."""
    context, session, (meeting, election) = request.app[CONTEXT], current(request), place(request)
    body = await read(request, ReplacementBody)
    if request.get(KIOSK) is not None and not body.kiosk:
        raise Refused("kiosk.unnamed", "What is signed at a kiosk says that it was.")
    wanted = lineages.Replacement(
        body.old, body.new, body.kiosk, body.nonce, body.passkey, assertion_json(body.assertion)
    )
    await context.database.write(
        lambda tx: lineages.replace_credential(tx, meeting, election, session, wanted, context.now(), context.rng)
    )
    return web.json_response({})


async def show_manifest(request: web.Request) -> web.Response:
    """GET manifests/{mh}: for a second device that checks an audited ballot; needs no session."""
    _count(request)
    mh = _hash(request, "manifest")
    found = await request.app[CONTEXT].database.read(lambda tx: election_queries.by_hash(tx, mh))
    return web.json_response(found)


async def show_void(request: web.Request) -> web.Response:
    """GET manifests/{mh}/voids/{sealed}: whether the void of an audited ballot is recorded; needs no session."""
    _count(request)
    mh, sealed = _hash(request, "manifest"), _hash(request, "sealed")
    found = await request.app[CONTEXT].database.read(lambda tx: election_queries.void_state(tx, mh, sealed))
    return web.json_response(found)


def _count(request: web.Request) -> None:
    context = request.app[CONTEXT]
    address = client_address(request, context.settings.trust_proxy)
    request.app[LIMITS].count_stranger(address, context.now())


def _hash(request: web.Request, name: str) -> bytes:
    found = from_b64u(request.match_info[name])
    if len(found) != 32:
        raise BadInput("input.malformed", f"The {name} in the address must be a hash of 32 bytes.")
    return found
