"""HTTP: the relay of a hall is enrolled, starts, asks for news, holds its lease and brings its outbox (relay.md)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.commands import outbox, relays
from folkmoot_server.domain.errors import BadInput, FolkmootError
from folkmoot_server.domain.ids import b64u
from folkmoot_server.domain.relays import Session
from folkmoot_server.queries import meetings as meeting_queries
from folkmoot_server.queries import relays as queries
from folkmoot_server.queries.access import readable
from folkmoot_server.realtime.steady_clock import split
from folkmoot_server.storage import meetings
from folkmoot_server.web import handlers_relay_pages, handlers_relay_papers
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.limits import LIMITS, client_address
from folkmoot_server.web.middleware import current
from folkmoot_server.web.parsing import Bytes, Bytes32, Empty, Id, Strict, Time, query_number, read
from folkmoot_server.web.proof_pool import POOL
from folkmoot_server.web.relay_access import relay_session
from folkmoot_server.web.relay_bodies import OutboxBody, queued
from folkmoot_server.web.relay_feeds import FEEDS, RelayFeeds, follow_commits
from folkmoot_server.web.votes_bodies import notary
from folkmoot_voting import signing

WAIT_MAX: Final = 25
OUTBOX_MAX: Final = 1024 * 1024
OUTBOX_S: Final = 60.0  # on a line of 64 kbit/s that carries voices too
HAVE_MAX: Final = 16
# Whom each relay has named last in its leases, with the name of that list: until this process ends.
LISTS: Final[web.AppKey[dict[str, tuple[str, list[str]]]]] = web.AppKey("relay-lists", dict)
PACKED: Final = frozenset({"now", "events", "state"})
_HAVE: Final = re.compile(r"[A-Za-z0-9_-]{22}")
Signature = Annotated[Bytes, Field(min_length=64, max_length=64)]
Number = Annotated[int, Field(ge=0, le=2**40)]


class CodeBody(Strict):
    """POST relay-code."""

    origin: Annotated[str, Field(max_length=300)]


class EnrolBody(Strict):
    """POST /api/relay/enrol."""

    code: Annotated[str, Field(max_length=40)]
    key: Bytes32
    sig: Signature


class StartBody(Strict):
    """POST /api/relay/start."""

    relay: Id
    at: Time
    nonce: Bytes32
    epoch: Number
    upto: Number
    sig: Signature


class LeaseBody(Strict):
    """POST /api/relay/lease."""

    here: Annotated[list[Id], Field(max_length=10_000)] | None = None
    same: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{22}$")] = ""
    upto: Number


async def make_code(request: web.Request) -> web.Response:
    """POST …/sites/{s}/relay-code: a code that a relay enrols with."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body, settings = await read(request, CodeBody), context.settings

    def write(tx: Connection) -> tuple[str, int]:
        now = context.now()
        readable(tx, meeting, session.member_id, now)
        place = (request.match_info["s"], session.member_id, body.origin)
        return relays.make_code(tx, meeting, *place, settings.origins, settings.rp_id, now=now, rng=context.rng)

    code, until = await context.database.write(write)
    return web.json_response({"code": code, "until": until})


async def revoke(request: web.Request) -> web.Response:
    """POST …/sites/{s}/relay-revoke: the site's relay is refused from now on."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    await read(request, Empty)

    def write(tx: Connection) -> None:
        now = context.now()
        readable(tx, meeting, session.member_id, now)
        relays.revoke(tx, meeting, request.match_info["s"], session.member_id, now)

    await context.database.write(write)
    return web.json_response({})


async def enrol(request: web.Request) -> web.Response:
    """POST /api/relay/enrol: a key becomes the relay of a site."""
    context = request.app[CONTEXT]
    _count(request)
    body = await read(request, EnrolBody)
    made = await context.database.write(
        lambda tx: relays.enrol(tx, body.code, body.key, body.sig, now=context.now(), rng=context.rng)
    )
    answer = {"relay": made.relay, "meeting": made.meeting, "site": made.site, "origin": made.origin}
    hub_key = b64u(signing.public_key(context.server_key))
    return web.json_response({**answer, "hub_key": hub_key, "rp_id": context.settings.rp_id})


async def start(request: web.Request) -> web.Response:
    """POST /api/relay/start: a new epoch with its token and seed."""
    context = request.app[CONTEXT]
    _count(request)
    body = await read(request, StartBody)
    wanted = relays.StartRequest(body.relay, body.at, body.nonce, body.epoch, body.upto, body.sig)
    answer = await context.database.write(
        lambda tx: relays.start(tx, wanted, context.server_key, now=context.now(), rng=context.rng)
    )
    if isinstance(answer, FolkmootError):
        raise answer
    return web.json_response(answer)


async def lease(request: web.Request) -> web.Response:
    """POST /api/relay/lease: the hall is there, and who is in it."""
    context, session = request.app[CONTEXT], await relay_session(request)
    body, lists = await read(request, LeaseBody), request.app[LISTS]
    digest, known = lists.get(session.relay, ("", []))
    here = body.here if body.here is not None else known if body.same == digest else None
    # The clock is read in the writer: a lease holds from when it is noted.
    answer = await context.database.write(
        lambda tx: relays.lease(tx, session, here or [], body.upto, *split(context.now))
    )
    if body.here is not None:
        lists[session.relay] = (queries.digest(body.here), body.here)
    return web.json_response({**answer, "named": here is not None})


async def feed(request: web.Request) -> web.Response:
    """GET /api/relay/feed: what is new, as soon as there is something or when `wait` seconds have passed."""
    after, wait = query_number(request, "after"), query_number(request, "wait")
    have = _have(request)
    if await _is_put_back(request, after, query_number(request, "at")):
        after = 0
    until = asyncio.get_running_loop().time() + min(wait, WAIT_MAX)
    feeds = request.app[FEEDS]
    while True:
        session = await relay_session(request)  # again each time: it may have been revoked meanwhile
        with feeds.listening() as news:
            answer = await _news(request, session, after, have)
            left = until - asyncio.get_running_loop().time()
            if len(answer) > 2 or answer["events"] or left <= 0:
                return _packed(answer)
            try:
                async with asyncio.timeout(left):
                    await news.wait()
            except TimeoutError:
                return _packed(answer)


def _packed(answer: dict[str, Any]) -> web.Response:
    """Compress what every member may know; parts, of which one says whose a credential is, go as they are."""
    response = web.json_response(answer)
    if answer.keys() <= PACKED and (len(answer["events"]) > 1 or "state" in answer):
        response.enable_compression()
    return response


async def _is_put_back(request: web.Request, after: int, at: int) -> bool:
    """Say whether the relay has heard of other events than there are here, and tell the chair."""
    if not (after and at):
        return False
    context, session = request.app[CONTEXT], await relay_session(request)
    other = await context.database.read(lambda tx: relays.is_put_back(tx, session, after, at))
    if other:
        await context.database.write(lambda tx: relays.tell_put_back(tx, session, context.now()))
    return other


async def _news(request: web.Request, session: Session, after: int, have: frozenset[str]) -> dict[str, Any]:
    context, now = request.app[CONTEXT], request.app[CONTEXT].now()
    version = context.database.version  # before the read, so that a picture is never taken for a newer one

    def look(tx: Connection) -> dict[str, Any]:
        meeting = meetings.get(tx, session.meeting)
        found: dict[str, Any] = {"now": now}
        since = after
        if queries.needs_state(after, meeting.last_seq):
            drawn = context.pictures.of(meeting, version, now, lambda: meeting_queries.picture(tx, meeting, now))
            found["state"] = queries.state(tx, drawn, session.site)
            since = found["state"]["seq"]
        found["events"] = queries.events_after(tx, meeting.id, session.site, since)
        return {**found, **queries.parts(tx, meeting.id, session.site, have)}

    return await context.database.read(look)


def _have(request: web.Request) -> frozenset[str]:
    names = [name for name in request.query.get("have", "").split(",") if name]
    if len(names) > HAVE_MAX or not all(map(_HAVE.fullmatch, names)):
        raise BadInput("input.malformed", "The parameter have lists digests of 22 characters.")
    return frozenset(names)


async def take(request: web.Request) -> web.Response:
    """POST /api/relay/outbox: entries in order; their effects, the cursor and its head are stored together.

    Proofs of ballots are checked in a thread, and a box waits for ballots on the way as it does for direct ones.
    """
    context, session = request.app[CONTEXT], await relay_session(request)
    body = await read(request, OutboxBody, OUTBOX_MAX, OUTBOX_S)
    arrived_at = context.now()
    entries = [queued(raw) for raw in body.entries]
    elections = {one.what.election for one in entries if isinstance(one.what, outbox.About)}
    with contextlib.ExitStack() as on_the_way:
        for election in elections:
            on_the_way.enter_context(context.arrivals.one(election, arrived_at))
        arrivals = await context.database.read(lambda tx: outbox.look(tx, session, entries))
        checked = await request.app[POOL].check_all(f"relay {session.relay}", list(arrivals.values()))
        answer = await context.database.write(
            lambda tx: outbox.take(
                tx,
                session,
                entries,
                dict(zip(arrivals, checked, strict=True)),
                body.left,
                secret=context.server_key,
                notary=notary(request),
                arrived_at=arrived_at,
                now=context.now(),
                rng=context.rng,
            )
        )
    if isinstance(answer, FolkmootError):
        raise answer
    return web.json_response(answer)


def _count(request: web.Request) -> None:
    context = request.app[CONTEXT]
    address = client_address(request, context.settings.trust_proxy)
    request.app[LIMITS].count_stranger(address, context.now())


def add_routes(app: web.Application) -> None:
    """Add the routes of relays, and what wakes their feeds."""
    app[FEEDS], app[LISTS] = RelayFeeds(), {}
    app.cleanup_ctx.append(follow_commits)
    app.add_routes(ROUTES)


SITE: Final = "/api/meetings/{m}/sites/{s}"
ROUTES: Final = (
    web.post(SITE + "/relay-code", make_code),
    web.post(SITE + "/relay-revoke", revoke),
    web.post("/api/relay/enrol", enrol),
    web.post("/api/relay/start", start),
    web.get("/api/relay/feed", feed),
    web.post("/api/relay/lease", lease),
    web.post("/api/relay/outbox", take),
    *handlers_relay_pages.ROUTES,
    *handlers_relay_papers.ROUTES,
)
