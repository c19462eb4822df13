"""HTTP: room screens, which show a meeting on a wall without anybody's login (sites.md section 1)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import screens
from folkmoot_server.commands.papers import unknown
from folkmoot_server.domain.closed_sessions import ELSEWHERE
from folkmoot_server.domain.errors import BadInput, NotSignedIn
from folkmoot_server.domain.ids import b64u, from_b64u, token_hash
from folkmoot_server.domain.papers import CONTENT_TYPES, Type
from folkmoot_server.queries import meetings as meeting_queries
from folkmoot_server.queries.screens import presented_page, screen_view
from folkmoot_server.storage import meetings
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.handlers_papers import SEALED
from folkmoot_server.web.limits import client_address
from folkmoot_server.web.middleware import current
from folkmoot_server.web.paper_service import PAPERS
from folkmoot_server.web.parsing import Id, Strict, query_number, read
from folkmoot_server.web.relay_access import carrier
from folkmoot_server.web.relay_feeds import FEEDS
from folkmoot_server.web.site_limits import SITE_LIMITS

WAIT_S: Final = 25.0
# However lively a meeting is, a wall looks no more often.
LOOK_EVERY_S: Final = 0.5
_SCHEME: Final = "Screen "


class ScreenBody(Strict):
    """POST …m/screens."""

    site: Id


async def make(request: web.Request) -> web.Response:
    """POST …m/screens."""
    context, session, meeting = request.app[CONTEXT], current(request), request.match_info["m"]
    site = (await read(request, ScreenBody)).site
    token = await context.database.write(
        lambda tx: screens.make(tx, meeting, site, session.member_id, now=context.now(), rng=context.rng)
    )
    return web.json_response({"url": f"{context.settings.public_url}/screen#{b64u(token)}"})


async def show(request: web.Request) -> web.Response:
    """GET /api/screen?after=N: as soon as the meeting's last event is not N, at the latest after 25 seconds."""
    context, after = request.app[CONTEXT], query_number(request, "after")
    token = screen_token(request)
    meeting, site = await _opened(request, token)
    request.app[SITE_LIMITS].count_screen(b64u(token_hash(token)), context.now())
    await _news(request, meeting, after)
    ways = _ways(request, meeting, site)

    def view(tx: Connection) -> dict[str, Any]:
        screens.opened_by(tx, token)  # perhaps the meeting has ended meanwhile
        found, now = meetings.get(tx, meeting), context.now()
        drawn = context.pictures.of(found, version, now, lambda: meeting_queries.picture(tx, found, now))
        return screen_view(tx, drawn, meeting, site, ways, now)

    version = context.database.version  # taken before the transaction begins: what it sees is never older
    async with context.pictures.turn:
        return web.json_response(await context.database.read(view))


async def page(request: web.Request) -> web.Response:
    """GET /api/screen/page: the page of an open paper that is shown to everybody just now."""
    context, token = request.app[CONTEXT], screen_token(request)
    meeting, site = await _opened(request, token)
    ways = _ways(request, meeting, site)
    request.app[SITE_LIMITS].count_screen(b64u(token_hash(token)), context.now())
    shown = await context.database.read(lambda tx: presented_page(tx, meeting, ways))
    if shown is None:
        raise unknown()
    try:
        file = await asyncio.to_thread(request.app[PAPERS].files.open, shown[0])
    except FileNotFoundError:
        raise unknown() from None
    # Asked once more with the file open: the paper may have been shut meanwhile.
    if await context.database.read(lambda tx: presented_page(tx, meeting, ways)) != shown:
        file.close()
        raise unknown()
    content_type = CONTENT_TYPES[Type.TEXT] if shown[1] is Type.TEXT else "image/webp"
    return web.Response(body=file, headers={"Content-Type": content_type, "Cache-Control": "no-store", **SEALED})


def _ways(request: web.Request, meeting: str, site: str) -> frozenset[str]:
    """Return the halls through which a wall gets what it shows: its own, and that of the relay between, if any."""
    relay = carrier(request)
    if relay is None:
        return frozenset({site})
    return frozenset({site, relay.site if relay.meeting == meeting else ELSEWHERE})


def screen_token(request: web.Request) -> bytes:
    """Return the token with which a room screen asks; b"" where there is none."""
    header = request.headers.get("Authorization", "")
    try:
        return from_b64u(header.removeprefix(_SCHEME)) if header.startswith(_SCHEME) else b""
    except BadInput:
        return b""


async def _opened(request: web.Request, token: bytes) -> tuple[str, str]:
    """Return meeting and site of a screen; an address that guesses is stopped, the screens in its hall go on."""
    context = request.app[CONTEXT]
    try:
        return await context.database.read(lambda tx: screens.opened_by(tx, token))
    except NotSignedIn:
        address = client_address(request, context.settings.trust_proxy)
        request.app[SITE_LIMITS].count_stranger(address, context.now())
        raise


async def _news(request: web.Request, meeting: str, after: int) -> None:
    """Wait until the meeting's last event is another one than `after`, for 25 seconds at most."""
    database = request.app[CONTEXT].database
    with contextlib.suppress(TimeoutError), request.app[FEEDS].listening() as committed:
        async with asyncio.timeout(WAIT_S):
            while True:
                committed.clear()
                looked_at = time.monotonic()
                if await database.read(lambda tx: meetings.get(tx, meeting).last_seq) != after:
                    return
                await committed.wait()
                await asyncio.sleep(max(0.0, looked_at + LOOK_EVERY_S - time.monotonic()))


ROUTES: Final = (
    web.post("/api/meetings/{m}/screens", make),
    web.get("/api/screen", show),
    web.get("/api/screen/page", page),
)
