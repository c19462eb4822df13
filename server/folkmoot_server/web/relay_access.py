"""A relay at the door: the session behind its token, for its own requests and for those it passes on for a page."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from folkmoot_server.commands import relays
from folkmoot_server.domain.errors import BadInput, NotSignedIn
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.domain.relays import Session
from folkmoot_server.web.context import CONTEXT

RELAY_API: Final = "/api/relay/"
RELAY_HEADER: Final = "Folkmoot-Relay"
RELAY: Final = web.RequestKey("relay", Session)
_SCHEME: Final = "Relay "


async def relay_session(request: web.Request) -> Session:
    """Return the relay whose token stands in the Authorization header.

    Raises:
        NotSignedIn: there is none, or the relay must start anew.
        Forbidden, Conflict: it was revoked or refused, or has started anew since.
    """
    header = request.headers.get("Authorization", "")
    if not header.startswith(_SCHEME):
        raise NotSignedIn("relay.no-session", "The relay must start anew.")
    return await _session(request, header.removeprefix(_SCHEME))


async def find_carrier(request: web.Request) -> None:
    """Note the relay that passes a page's request on, if its header says that one does.

    Raises:
        NotSignedIn, Forbidden, Conflict: as `relay_session`: a header that is there must be good.
    """
    token = request.headers.get(RELAY_HEADER)
    if token is not None:
        request[RELAY] = await _session(request, token)


def carrier(request: web.Request) -> Session | None:
    """Return the relay that passed this request on, or None."""
    found: Session | None = request.get(RELAY)
    return found


def origins(request: web.Request) -> tuple[str, ...]:
    """Return from which pages a request may have come: ours, and those of the relay that passed it on."""
    own = request.app[CONTEXT].settings.origins
    relay = carrier(request)
    return (*own, relay.origin) if relay is not None and relay.origin else own


async def _session(request: web.Request, text: str) -> Session:
    context = request.app[CONTEXT]
    try:
        token = from_b64u(text)
    except BadInput:
        token = b""
    found = await context.database.read(lambda tx: relays.session_of(tx, token, context.now()))
    if not found.used:
        await context.database.write(lambda tx: relays.mark_used(tx, found))
    return found
