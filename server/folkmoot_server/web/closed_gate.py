"""The one gate before every request about a meeting while it is in closed session (conduct.md section 11)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import closed_sessions
from folkmoot_server.commands.closed_sessions import Caller
from folkmoot_server.storage.database import GUARD, Guard
from folkmoot_server.web import relay_access
from folkmoot_server.web.context import CONTEXT

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_MEETING: Final = "/api/meetings/{m}"
_ELECTION: Final = "/api/meetings/{meeting}/elections/{election}"
# What goes on outside: each of these answers, or refuses, by itself what a closed session does not let out.
OUTSIDE: Final = frozenset(
    {
        ("GET", _MEETING),
        ("GET", _MEETING + "/events"),
        ("POST", _MEETING + "/commands"),
        ("POST", _MEETING + "/lobby"),
        ("POST", _ELECTION + "/cosignatures"),
        ("POST", _ELECTION + "/tally/signatures"),
    }
)


# What a relay goes on with while its hall is outside.
RELAY_OUTSIDE: Final = frozenset(
    {
        ("POST", "/api/relay/enrol"),
        ("POST", "/api/relay/start"),
        ("POST", "/api/relay/lease"),
        ("POST", "/api/relay/sessions"),
        ("POST", "/api/relay/outbox"),
        ("GET", "/api/relay/feed"),
        ("GET", "/api/relay/ledger"),
    }
)


def meeting_of(request: web.Request) -> str | None:
    """Return the meeting in the path of a request, None where there is none."""
    return request.match_info.get("m") or request.match_info.get("meeting")


async def pass_gate(
    request: web.Request, handler: Handler, place: tuple[str, str], caller: Caller, *, closed: bool
) -> web.StreamResponse:
    """Run the handler of a request of a caller with a session, unless a closed session shuts them out.

    `place` is method and path of the route, `closed` whether a closed session of the meeting ran a moment ago. It may
    begin at any time until the handler looks: each of its transactions asks again.

    Raises:
        Forbidden: the caller is outside.
    """
    meeting, context = meeting_of(request), request.app[CONTEXT]
    if meeting is None or place in OUTSIDE:
        return await handler(request)

    def check(tx: Connection) -> None:
        closed_sessions.require_inside(tx, meeting, caller, context.now())

    if closed:
        await context.database.read(check)
    return await _guarded(request, handler, check)


async def pass_relay_gate(request: web.Request, handler: Handler, place: tuple[str, str]) -> web.StreamResponse:
    """Run the handler of a relay's own request, unless a closed session shuts its hall out.

    Raises:
        Forbidden: the hall is outside.
        NotSignedIn, Conflict: its token is not good.
    """
    if place in RELAY_OUTSIDE or not place[1]:
        return await handler(request)

    def check(tx: Connection) -> None:
        relay = relay_access.session_in(tx, request)
        closed_sessions.require_hall_inside(tx, relay.meeting, relay.site)

    return await _guarded(request, handler, check)


async def _guarded(request: web.Request, handler: Handler, check: Guard) -> web.StreamResponse:
    token = GUARD.set(check)
    try:
        return await handler(request)
    finally:
        GUARD.reset(token)
