"""What every API request passes: errors into answers, the origin check, the session."""

from __future__ import annotations

import logging
import queue
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from folkmoot_config.settings import Settings
from folkmoot_server.domain.errors import BadInput, Conflict, FolkmootError, Forbidden, NotSignedIn, TooMany
from folkmoot_server.domain.identity import SESSION_MAX_S, SESSION_TOUCH_S, GuestSession, SessionInfo
from folkmoot_server.domain.ids import b64u, from_b64u, token_hash
from folkmoot_server.storage import closed_sessions, sessions, visitors
from folkmoot_server.storage.database import StoreClosedError, StoreFailedError
from folkmoot_server.web import closed_gate, kiosk_access, relay_access
from folkmoot_server.web.compression import compressed
from folkmoot_server.web.context import CONTEXT
from folkmoot_server.web.errors import answer, describe
from folkmoot_server.web.limits import LIMITS, client_address
from folkmoot_server.web.relay_access import RELAY_API
from folkmoot_voting.errors import VotingError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger("folkmoot.web")

API: Final = "/api/"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION: Final = web.RequestKey("session", SessionInfo)
GUEST: Final = web.RequestKey("guest", GuestSession)
OCTETS: Final = "application/octet-stream"
# What brings bytes instead of JSON; no form can send that either.
UPLOADS: Final = frozenset(
    {
        ("PUT", "/api/meetings/{m}/papers"),
        ("PUT", "/api/meetings/{m}/papers/{p}"),
        ("POST", "/api/meetings/{m}/sites/{s}/probe"),
    }
)


@dataclass(frozen=True)
class GuestRoutes:
    """The only routes that a guest's session opens, as (method, path), and who answers there instead of the usual.

    `public` are those that need no session at all.
    """

    answers: Mapping[tuple[str, str], Handler]
    public: frozenset[tuple[str, str]]


GUEST_ROUTES: Final[web.AppKey[GuestRoutes]] = web.AppKey("guest-routes", GuestRoutes)


def cookie_name(settings: Settings) -> str:
    """Return the session cookie's name; the prefix makes browsers insist on Secure, Path=/ and no Domain."""
    return "__Host-folkmoot" if settings.secure else "folkmoot"


def set_cookie(response: web.StreamResponse, settings: Settings, token: bytes) -> None:
    """Hand the session's token to the browser."""
    response.set_cookie(
        cookie_name(settings),
        b64u(token),
        max_age=SESSION_MAX_S,
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="Lax",
    )


def clear_cookie(response: web.StreamResponse, settings: Settings) -> None:
    """Make the browser forget the session's token."""
    response.del_cookie(cookie_name(settings), path="/", secure=settings.secure, httponly=True, samesite="Lax")


def presented(request: web.Request) -> bytes | None:
    """Return the hash of the token in the request's cookie, valid or not."""
    text = request.cookies.get(cookie_name(request.app[CONTEXT].settings))
    if text is None:
        return None
    try:
        token = from_b64u(text)
    except BadInput:
        return None
    return token_hash(token) if len(token) == 32 else None


def current(request: web.Request) -> SessionInfo:
    """Return the live session behind the request.

    Raises:
        NotSignedIn: there is none.
    """
    session: SessionInfo | None = request.get(SESSION)
    if session is None:
        raise NotSignedIn("session.none", "Please sign in.")
    return session


def caller(request: web.Request) -> SessionInfo | GuestSession:
    """Return the live session behind the request, a member's or a guest's.

    Raises:
        NotSignedIn: there is none.
    """
    guest: GuestSession | None = request.get(GUEST)
    return current(request) if guest is None else guest


def _place(request: web.Request) -> tuple[str, str]:
    """Return the method and the path of the route, as it was added."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return method, "" if resource is None else resource.canonical


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every refusal into its answer and every accident into one that tells nothing but a number."""
    try:
        response = await handler(request)
    except (FolkmootError, VotingError) as error:
        status, body = describe(error)
        response = web.json_response(body, status=status)
        if isinstance(error, TooMany) and error.retry_after_s:
            response.headers["Retry-After"] = str(error.retry_after_s)
        if not request.content.is_eof():
            response.force_close()  # a body that was not read to its end cannot be told from the next request
    except web.HTTPException as error:
        if not request.path.startswith(API):
            raise
        reason = error.reason.lower().replace(" ", "-")
        response = answer(error.status, f"http.{reason}", f"{error.reason}.")
    except StoreClosedError:
        response = answer(503, "server.stopping", "The server is stopping; try again soon.")
    except queue.Full:
        response = answer(503, "server.busy", "The server is busy; try again in a moment.")
    except (StoreFailedError, OperationalError) as error:
        log.error("web.storage-failed kind=%s reason=%s", type(error).__name__, getattr(error, "orig", ""))
        response = answer(503, "server.storage", "The server cannot store anything now; perhaps its disk is full.")
    except Exception as error:  # the edge: a bug must not end the connection, nor tell its details
        number = secrets.token_hex(6)
        # The error's own text may hold values from the request, so only its kind and place are written.
        places = "; ".join(f"{f.filename}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)[-6:])
        log.error("web.accident request=%s kind=%s at=%s", number, type(error).__name__, places)
        response = answer(500, "server.accident", f"Something went wrong here; the request's number is {number}.")
    if request.path.startswith(API):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


@web.middleware
async def carried(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find the relay that passes a page's request on.

    Raises:
        Forbidden: a header says that one does, and it may not.
    """
    if request.path.startswith(API) and not request.path.startswith(RELAY_API):
        try:
            await relay_access.find_carrier(request)
        except (NotSignedIn, Conflict) as error:
            # The relay must start anew, or just has. That is no refusal of the page, which would take itself for
            # signed out, or for good for refused: it asks again.
            return answer(503, error.code, error.message)
    return await handler(request)


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let unsafe requests pass only from our own pages and only as JSON (a form cannot send that).

    Raises:
        Forbidden: Fetch Metadata or Origin names another site, or neither is there.
        BadInput: the body is not declared as JSON.
    """
    if request.method in SAFE or not request.path.startswith(API):
        return await handler(request)
    if request.path.startswith(RELAY_API):  # signed by a key or a token that no browser has; no cookie counts there
        if request.content_type != "application/json":
            raise BadInput("input.not-json", "Requests that change something are sent as application/json.")
        return await handler(request)
    origins = relay_access.origins(request)
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if (site is None and origin is None) or site not in (None, "same-origin") or origin not in (None, *origins):
        raise Forbidden("origin.refused", "The request did not come from this site's own pages.")
    if _place(request) in UPLOADS:
        if request.content_type != OCTETS:
            raise BadInput("input.not-octets", f"This is sent as {OCTETS}.")
    elif request.content_type != "application/json":
        raise BadInput("input.not-json", "Requests that change something are sent as application/json.")
    return await handler(request)


@web.middleware
async def session(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find the live session of an API request; being used keeps it alive, too many requests are refused.

    Raises:
        Forbidden: a guest's session does not open this route. Whatever a guest may do has an answer of its own, so
            that nothing made for members ever runs for a guest. Or the meeting is in closed session, and the caller
            outside.
        TooMany: too many requests.
    """
    if not request.path.startswith(API):
        return await handler(request)
    if request.path.startswith(RELAY_API):
        return await closed_gate.pass_relay_gate(request, handler, _place(request))
    found, closed = await _find(request)
    _count(request, found)
    if found is None:
        return await handler(request)
    place = _place(request)
    if isinstance(found, GuestSession):
        request[GUEST] = guest = await relay_access.note_carried(request, found)
        routes = request.app[GUEST_ROUTES]
        if place in routes.public:
            return await handler(request)
        if place not in routes.answers:
            raise Forbidden("guest.not-allowed", "Guests may not do this.")
        return await closed_gate.pass_gate(request, routes.answers[place], place, guest, closed=closed)
    custodian = await relay_access.note_carried(request, found)
    request[SESSION] = member = await kiosk_access.member_at(request, custodian, place)
    return await closed_gate.pass_gate(request, handler, place, member, closed=closed)


def _count(request: web.Request, found: SessionInfo | GuestSession | None) -> None:
    context, limits = request.app[CONTEXT], request.app[LIMITS]
    if request.method in SAFE:
        session = "" if found is None else b64u(found.session_hash)
        limits.count_read(session, client_address(request, context.settings.trust_proxy), context.now())
    elif found is not None:
        limits.count_member(found.person, context.now())


async def _find(request: web.Request) -> tuple[SessionInfo | GuestSession | None, bool]:
    """Return the live session, and whether the meeting that the request is about is in closed session."""
    session_hash = presented(request)
    if session_hash is None:
        return None, False
    context, meeting = request.app[CONTEXT], closed_gate.meeting_of(request)

    def look(tx: Connection) -> tuple[SessionInfo | GuestSession | None, bool]:
        found = sessions.get(tx, session_hash) or visitors.session(tx, session_hash)
        return found, meeting is not None and closed_sessions.history(tx, meeting).running is not None

    found, closed = await context.database.read(look)
    now = context.now()
    if found is None or not found.live(now):
        return None, closed
    if now - found.used_at >= SESSION_TOUCH_S:
        touch = sessions.touch if isinstance(found, SessionInfo) else visitors.touch
        await context.database.write(lambda tx: touch(tx, [session_hash], now))
    return found, closed


MIDDLEWARES: Final = (errors, compressed, carried, same_origin, session)
