"""HTTP: what a relay asks for all pages of its hall at once (relay.md section 2)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field
from sqlalchemy import Connection

from folkmoot_server.domain.identity import SESSION_TOUCH_S, SessionInfo
from folkmoot_server.domain.relays import Session
from folkmoot_server.queries import meetings as meeting_queries
from folkmoot_server.queries import relay_pages as queries
from folkmoot_server.storage import meetings, sessions
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.parsing import Id, Strict, read
from folkmoot_server.web.relay_access import relay_session

SNAPSHOTS_MAX: Final = 100
SESSIONS_MAX: Final = 500
Mark = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16}$")]


class SnapshotsBody(Strict):
    """POST /api/relay/snapshots."""

    sessions: Annotated[list[Mark], Field(min_length=1, max_length=SNAPSHOTS_MAX)]
    have: Annotated[str, Field(pattern=r"^([A-Za-z0-9_-]{22})?$")]


class ReadersBody(Strict):
    """POST /api/relay/readers."""

    sessions: Annotated[list[Mark], Field(min_length=1, max_length=SESSIONS_MAX)]
    paper: Id
    version: Annotated[int, Field(ge=1, le=10**9)]


class SessionsBody(Strict):
    """POST /api/relay/sessions."""

    sessions: Annotated[list[Mark], Field(min_length=1, max_length=SESSIONS_MAX)]


async def snapshots(request: web.Request) -> web.Response:
    """POST /api/relay/snapshots: the meeting for each of these sessions; in a closed one the pages ask themselves."""
    context, relay = request.app[CONTEXT], await relay_session(request)
    body = await read(request, SnapshotsBody)
    version, now = context.database.version, context.now()  # before the read, as for a page

    def look(tx: Connection) -> tuple[dict[str, Any], list[SessionInfo]]:
        meeting = meetings.get(tx, relay.meeting)
        drawn = context.pictures.of(meeting, version, now, lambda: meeting_queries.picture(tx, meeting, now))
        if drawn.closed:
            return {"own": {}}, []
        asking = _carried(relay, queries.standing(tx, body.sessions, now))
        shared = queries.common(tx, drawn, relay.site)
        own = queries.own_parts(tx, drawn, meeting, shared, asking, now)
        digest = queries.name_of(shared)
        there = {"state": shared} if digest != body.have else {}
        return {"digest": digest, **there, "own": own}, list(asking.values())

    async with context.pictures.turn:
        answer, asking = await context.database.read(look)
    await _touch(request, asking, now)
    response = web.json_response(answer)
    response.enable_compression()
    return response


async def readers(request: web.Request) -> web.Response:
    """POST /api/relay/readers: which of these sessions may read a version of a paper."""
    context, relay = request.app[CONTEXT], await relay_session(request)
    body, now = await read(request, ReadersBody), context.now()

    def look(tx: Connection) -> tuple[str, list[str]]:
        asking = _carried(relay, queries.standing(tx, body.sessions, now))
        return queries.readers(tx, relay.meeting, asking, body.paper, body.version, now)

    shown, found = await context.database.read(look)
    return web.json_response({"class": shown, "may": found})


async def standing(request: web.Request) -> web.Response:
    """POST /api/relay/sessions: which of these sessions have ended; being asked for keeps the others alive."""
    context, relay = request.app[CONTEXT], await relay_session(request)
    body, now = await read(request, SessionsBody), context.now()
    found = await context.database.read(lambda tx: queries.standing(tx, body.sessions, now))
    await _touch(request, _carried(relay, found).values(), now)
    return web.json_response({"ended": [mark for mark in body.sessions if mark not in found]})


def _carried(relay: Session, found: dict[str, SessionInfo]) -> dict[str, SessionInfo]:
    return {mark: session for mark, session in found.items() if queries.has_carried(relay, session)}


async def _touch(request: web.Request, found: Collection[SessionInfo], now: int) -> None:
    used = [one.session_hash for one in found if now - one.used_at >= SESSION_TOUCH_S]
    if used:
        await request.app[CONTEXT].database.write(lambda tx: sessions.touch(tx, used, now))


ROUTES: Final = (
    web.post("/api/relay/snapshots", snapshots),
    web.post("/api/relay/readers", readers),
    web.post("/api/relay/sessions", standing),
)
