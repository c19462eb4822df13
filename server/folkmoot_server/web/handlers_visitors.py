"""HTTP: guests, the lobby, and everything that a guest's session opens (conduct.md, section 8)."""

from __future__ import annotations

import contextlib
import json
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_media.errors import MediaError
from folkmoot_server.commands import closed_sessions, floor, guests, identity
from folkmoot_server.commands import visitors as commands
from folkmoot_server.domain.errors import Conflict, Forbidden, NotFound
from folkmoot_server.domain.identity import GuestSession
from folkmoot_server.domain.ids import b64u, token_hash
from folkmoot_server.domain.members import clean_text
from folkmoot_server.domain.speaking import Kind, Wish
from folkmoot_server.domain.visitors import NAME_MAX, Act
from folkmoot_server.queries import meetings as meeting_queries
from folkmoot_server.queries import visitors as queries
from folkmoot_server.storage import events, meetings
from folkmoot_server.web import handlers_messages, handlers_papers
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.handlers_meetings import Command, RaiseHand
from folkmoot_server.web.limits import LIMITS, client_address
from folkmoot_server.web.middleware import GUEST, SESSION, GuestRoutes, clear_cookie, current, set_cookie
from folkmoot_server.web.parsing import Bytes32, Empty, Id, Strict, query_number, read
from folkmoot_server.web.relay_access import note_carried

EVENTS_MAX: Final = 500


class NewLink(Strict):
    """POST …/guest-links."""

    name: Annotated[str, Field(max_length=NAME_MAX)]


class Enter(Strict):
    """POST /api/guests/enter."""

    token: Bytes32
    name: Annotated[str, Field(max_length=NAME_MAX)]


class Decision(Strict):
    """POST …/lobby/{v}."""

    act: Literal["admit", "refuse", "remove"]


class TicketWanted(Strict):
    """POST /api/socket-ticket."""

    meeting: Id


def _guest(request: web.Request) -> GuestSession:
    return request[GUEST]


async def new_link(request: web.Request) -> web.Response:
    """POST …/guest-links."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    body = await read(request, NewLink)
    name = clean_text(body.name) if body.name.strip() else ""

    def write(tx: Connection) -> tuple[str, bytes]:
        now = context.now()
        commands.presence(tx, meeting, session, now)
        return guests.make_link(tx, meeting, session.member_id, name, now=now, rng=context.rng)

    link, token = await context.database.write(write)
    return web.json_response({"url": f"{context.settings.public_url}/guest#{b64u(token)}", "id": link})


async def enter(request: web.Request) -> web.Response:
    """POST /api/guests/enter."""
    context = request.app[CONTEXT]
    request.app[LIMITS].count_address(client_address(request, context.settings.trust_proxy), context.now())
    body = await read(request, Enter)
    name = clean_text(body.name)
    if request.get(SESSION) is not None:
        raise Conflict("guest.signed-in", "You are signed in as a member; members do not come in as guests.")
    request.app[LIMITS].count_entry(b64u(token_hash(body.token)), context.now())
    token, session = await context.database.write(
        lambda tx: guests.enter(tx, body.token, name, now=context.now(), rng=context.rng)
    )
    await note_carried(request, session)
    view = await context.database.read(lambda tx: queries.guest_session_view(tx, session))
    response = web.json_response(view)
    set_cookie(response, context.settings, token)
    return response


async def ask(request: web.Request) -> web.Response:
    """POST …/lobby."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    await read(request, Empty)
    visitor = await context.database.write(lambda tx: commands.ask(tx, meeting, session, context.now()))
    return web.json_response({"visitor": visitor})


async def list_lobby(request: web.Request) -> web.Response:
    """GET …/lobby."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    view = await context.database.read(lambda tx: queries.lobby_view(tx, meeting, session, context.now()))
    return web.json_response(view)


async def decide(request: web.Request) -> web.Response:
    """POST …/lobby/{v}; who is removed is out of the room when this is answered."""
    context, session = request.app[CONTEXT], current(request)
    meeting, visitor = request.match_info["m"], request.match_info["v"]
    act = Act((await read(request, Decision)).act)

    def write(tx: Connection) -> None:
        commands.presence(tx, meeting, session, context.now())
        commands.decide(tx, meeting, session.member_id, visitor, act, context.now())

    await context.database.write(write)
    if act is Act.REMOVE:
        with contextlib.suppress(MediaError):  # a worker that is gone holds nothing of the visitor
            await context.media.remove(meeting, visitor)
    return web.json_response({})


async def guest_session(request: web.Request) -> web.Response:
    """GET /api/session of a guest."""
    session = _guest(request)
    view = await request.app[CONTEXT].database.read(lambda tx: queries.guest_session_view(tx, session))
    return web.json_response(view)


async def guest_sign_out(request: web.Request) -> web.Response:
    """POST /api/sign-out of a guest."""
    context, session = request.app[CONTEXT], _guest(request)
    await read(request, Empty)
    await context.database.write(lambda tx: guests.sign_out(tx, session, context.now()))
    response = web.json_response({})
    clear_cookie(response, context.settings)
    return response


async def guest_ask(request: web.Request) -> web.Response:
    """POST …/lobby of a guest who left."""
    context, session = request.app[CONTEXT], _guest(request)
    await read(request, Empty)
    if request.match_info["m"] != session.meeting:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    await context.database.write(lambda tx: guests.ask_again(tx, session, context.now()))
    return web.json_response({"visitor": session.visitor})


async def guest_ticket(request: web.Request) -> web.Response:
    """POST /api/socket-ticket of a guest."""
    context, session = request.app[CONTEXT], _guest(request)
    body = await read(request, TicketWanted)

    def write(tx: Connection) -> bytes:
        guests.require_follow(tx, session, body.meeting)
        return identity.new_ticket(tx, session, body.meeting, now=context.now(), rng=context.rng)

    return web.json_response({"ticket": b64u(await context.database.write(write))})


async def guest_meeting(request: web.Request) -> web.Response:
    """GET …m of a guest."""
    context, session, meeting = request.app[CONTEXT], _guest(request), request.match_info["m"]
    version = context.database.version  # taken before the transaction begins: what it sees is never older
    now, address = context.now(), context.settings.public_url
    if meeting != session.meeting:
        raise NotFound("meeting.unknown", "There is no such meeting.")

    def load(tx: Connection) -> web.Response:
        found = meetings.get(tx, meeting)
        drawn = context.pictures.of(found, version, now, lambda: meeting_queries.picture(tx, found, now))
        whole = json.loads(meeting_queries.snapshot(tx, drawn, found, session, address, now))
        return web.json_response(queries.guest_view(tx, session, whole))

    async with context.pictures.turn:
        return await context.database.read(load)


async def guest_events(request: web.Request) -> web.Response:
    """GET …m/events of a guest: from the admission on."""
    context, session, meeting = request.app[CONTEXT], _guest(request), request.match_info["m"]
    after = query_number(request, "after")

    def load(tx: Connection) -> web.Response:
        since = guests.require_follow(tx, session, meeting)
        listener = closed_sessions.listener(tx, meetings.get(tx, meeting), session, context.now())
        found = events.of_meeting(tx, meeting, max(after, since - 1), EVENTS_MAX)
        return web.json_response({"events": [event.wire(listener) for event in found]})

    return await context.database.read(load)


async def guest_command(request: web.Request) -> web.Response:
    """POST …m/commands of a guest: asking to speak, and going."""
    context, session, meeting = request.app[CONTEXT], _guest(request), request.match_info["m"]
    wanted = (await read(request, Command)).root
    if meeting != session.meeting:
        raise NotFound("meeting.unknown", "There is no such meeting.")
    visitor = session.visitor

    def write(tx: Connection) -> int:
        guests.require_follow(tx, session, meeting)
        now = context.now()
        if wanted.command != "leave":
            closed_sessions.require_inside(tx, meeting, session, now)
        if isinstance(wanted, RaiseHand):
            return floor.raise_hand(tx, meeting, visitor, now, Wish(Kind(wanted.kind), wanted.category))
        if wanted.command == "lower-hand":
            return floor.lower_hand(tx, meeting, visitor, now)
        if wanted.command == "yield-floor":
            return floor.yield_floor(tx, meeting, visitor, now)
        if wanted.command == "leave":
            return commands.leave(tx, meeting, visitor, now)
        raise Forbidden("guest.not-allowed", "Guests may not do this.")

    return web.json_response({"seq": await context.database.write(write)})


_LOBBY: Final = "/api/meetings/{m}/lobby"
ROUTES: Final = (
    web.post("/api/meetings/{m}/guest-links", new_link),
    web.post("/api/guests/enter", enter),
    web.post(_LOBBY, ask),
    web.get(_LOBBY, list_lobby),
    web.post(_LOBBY + "/{v}", decide),
)
GUESTS: Final = GuestRoutes(
    answers={
        ("GET", "/api/session"): guest_session,
        ("POST", "/api/sign-out"): guest_sign_out,
        ("POST", "/api/socket-ticket"): guest_ticket,
        ("POST", _LOBBY): guest_ask,
        ("GET", "/api/meetings/{m}"): guest_meeting,
        ("GET", "/api/meetings/{m}/events"): guest_events,
        ("POST", "/api/meetings/{m}/commands"): guest_command,
        **handlers_papers.FOR_GUESTS,
        **handlers_messages.FOR_GUESTS,
    },
    public=frozenset(
        {
            ("GET", "/api/info"),
            ("POST", "/api/guests/enter"),
            ("GET", "/api/ledger"),
            ("GET", "/api/screen"),
            ("GET", "/api/screen/page"),
            ("GET", "/api/manifests/{manifest}"),
            ("GET", "/api/manifests/{manifest}/voids/{sealed}"),
            *(("POST", f"/api/{name}/{step}") for name in ("enrol", "sign-in") for step in ("begin", "finish")),
        }
    ),
)
