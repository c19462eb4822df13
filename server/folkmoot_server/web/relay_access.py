"""A relay at the door: the session behind its token, for its own requests and for those it passes on for a page."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands import relays
from folkmoot_server.domain.errors import BadInput, NotSignedIn
from folkmoot_server.domain.identity import GuestSession, SessionInfo
from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.domain.relays import Session
from folkmoot_server.storage import sessions, visitors
from folkmoot_server.web.context import CONTEXT

RELAY_API: Final = "/api/relay/"
RELAY_HEADER: Final = "Folkmoot-Relay"
RELAY: Final = web.RequestKey("relay", Session)
_SCHEME: Final = "Relay "
Anyone = TypeVar("Anyone", SessionInfo, GuestSession)


async def relay_session(request: web.Request) -> Session:
    """Return the relay whose token stands in the Authorization header.

    Raises:
        NotSignedIn: there is none, or the relay must start anew.
        Forbidden, Conflict: it was revoked or refused, or has started anew since.
    """
    return await _session(request, _token(request))


def _token(request: web.Request) -> str:
    header = request.headers.get("Authorization", "")
    if not header.startswith(_SCHEME):
        raise NotSignedIn("relay.no-session", "The relay must start anew.")
    return header.removeprefix(_SCHEME)


def session_in(tx: Connection, request: web.Request) -> Session:
    """Return the relay whose token stands in the Authorization header, in the caller's transaction.

    Raises:
        NotSignedIn, Forbidden, Conflict: as `relay_session`.
    """
    return _session_in(tx, request, _token(request))


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


async def note_carried(request: web.Request, session: Anyone) -> Anyone:
    """Write down for good that a relay has passed on a request of a session, if one has; return the session with it.

    From then on the relay knows its cookie: whatever comes with that may come from there.
    """
    relay = carrier(request)
    if relay is None or (way := f"{relay.meeting}/{relay.site}") in session.carried:
        return session
    noted = replace(session, carried=session.carried | {way})
    database = request.app[CONTEXT].database
    if isinstance(noted, SessionInfo):
        await database.write(lambda tx: sessions.set_carried(tx, noted))
    else:
        await database.write(lambda tx: visitors.set_carried(tx, noted))
    return noted


def origins(request: web.Request) -> tuple[str, ...]:
    """Return from which pages a request may have come: ours, and those of the relay that passed it on."""
    own = request.app[CONTEXT].settings.origins
    relay = carrier(request)
    return (*own, relay.origin) if relay is not None and relay.origin else own


async def _session(request: web.Request, text: str) -> Session:
    database = request.app[CONTEXT].database
    found = await database.read(lambda tx: _session_in(tx, request, text))
    if not found.used:
        await database.write(lambda tx: relays.mark_used(tx, found))
    return found


def _session_in(tx: Connection, request: web.Request, text: str) -> Session:
    try:
        token = from_b64u(text)
    except BadInput:
        token = b""
    return relays.session_of(tx, token, request.app[CONTEXT].now())
