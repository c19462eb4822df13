"""What a hall's phones reach over the local network: the pages, the hub's interface through the relay, events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from aiohttp import web

from folkmoot_server.domain.audience import WITHHELD
from folkmoot_server.domain.errors import BadInput, Conflict, Forbidden, NotSignedIn
from folkmoot_server.domain.identity import SESSION_TOUCH_S
from folkmoot_server.domain.ids import b64u, from_b64u, token_hash
from folkmoot_server.domain.relays import session_mark
from folkmoot_server.relay import kept, passed_votes, passing, people, repeats, walls
from folkmoot_server.relay.alone import ANSWERS, MANIFEST, REPLACEMENTS, Alone
from folkmoot_server.relay.asked import Asked
from folkmoot_server.relay.hub import HubSilentError
from folkmoot_server.relay.kiosk import Kiosks
from folkmoot_server.relay.line import HallLine
from folkmoot_server.relay.node import Node, Told, Unavailable
from folkmoot_server.relay.people import HallSession
from folkmoot_server.relay.phones import Admitted, Right
from folkmoot_server.relay.reading import Reading
from folkmoot_server.relay.slow import Slow
from folkmoot_server.relay.snapshots import Snapshots
from folkmoot_server.relay.sockets import Sockets
from folkmoot_server.web import kiosk_access
from folkmoot_server.web.errors import problem
from folkmoot_server.web.handlers_identity import TicketWanted
from folkmoot_server.web.limits import SignInLimits
from folkmoot_server.web.middleware import API, OCTETS, SAFE, Handler, errors
from folkmoot_server.web.parsing import decode, raw_body
from folkmoot_server.web.proof_pool import ProofPool
from folkmoot_server.web.static import DIST, add_static
from folkmoot_server.web.watchdog import Watchdog

BODY_MAX: Final = 256 * 1024
SESSION: Final = "/api/session"
SIGNS_IN: Final = frozenset({"/api/sign-in/finish", "/api/enrol/finish"})
KIOSK_SIGNS_IN: Final = "/kiosk/sign-in/finish"
TICKET: Final = "/api/socket-ticket"
CUT: Final = "Folkmoot-Cut"
OK: Final = 200
UNAUTHORISED: Final = 401
GONE: Final = frozenset({403, 404})
BROKEN: Final = 500
STILL_MAX: Final = 500
UNAVAILABLE: Final = 503


class Lan:
    """The pages' side of one relay."""

    def __init__(self, node: Node, sockets: Sockets) -> None:
        self._node, self._sockets = node, sockets
        sockets.still, sockets.knows = self._still, self._knows
        self._reading, self._kiosks = Reading(node, sockets.following), Kiosks()
        self._snapshots = Snapshots(node, sockets.following)
        self._slow = Slow(node, self._answer)
        node.on_news, node.on_unheard = self._hear, self._unheard
        self._limits = SignInLimits()
        self._line = HallLine(node, sockets, self._session)
        self._pool: ProofPool | None = None
        self._alone: Alone | None = None

    def application(self, watchdog: Watchdog, dist: Path = DIST) -> web.Application:
        """Return the aiohttp application with every route and header."""
        inner = [self._says_cut, errors, _unavailable, self._same_origin]
        app = web.Application(client_max_size=BODY_MAX, middlewares=[watchdog.middleware, *inner])
        app.cleanup_ctx.append(self._life)
        app.router.add_post(TICKET, self._ticket)
        self._line.attach(app)
        for method, path in ANSWERS:
            app.router.add_route(method, path, self._api)
        app.router.add_route("*", "/api/relay{tail:(/.*)?}", _hidden)
        app.router.add_route("*", "/api/{tail:.*}", self._api)
        app.router.add_get("/healthz", _health)
        self._sockets.attach(app)
        add_static(app, dist, secure=self._node.identity.secure)
        return app

    def _hear(self, new: Sequence[Told]) -> None:
        self._reading.hear(new)
        self._snapshots.hear(new)

    def _unheard(self) -> None:
        self._reading.forget()
        self._snapshots.forget()

    async def _life(self, _app: web.Application) -> AsyncIterator[None]:
        self._pool = ProofPool(self._node.rng)
        self._alone = Alone(self._node, self._pool, self._reading, self._kiosks)
        yield
        await self._line.close()
        await self._pool.close()

    @web.middleware
    async def _says_cut(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Say with every answer since when the hall is cut off: to a page one that does not says that it is over."""
        response = await handler(request)
        if self._node.link.cut and request.path.startswith(API):
            response.headers[CUT] = str(self._node.link.since)
        return response

    @web.middleware
    async def _same_origin(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let unsafe requests pass only from the relay's own pages, as the hub does."""
        if request.method in SAFE or not request.path.startswith(API):
            return await handler(request)
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        own = self._node.identity.origin
        if (site is None and origin is None) or site not in (None, "same-origin") or origin not in (None, own):
            raise Forbidden("origin.refused", "The request did not come from this site's own pages.")
        if request.content_type not in ("application/json", OCTETS):
            raise BadInput("input.not-json", "Requests that change something are sent as application/json.")
        return await handler(request)

    # -- every request ------------------------------------------------------------------------------------------

    def _digest(self, request: web.Request) -> bytes | None:
        text = request.cookies.get(passing.cookie_of(self._node.identity.secure))
        if text is None:
            return None
        try:
            return token_hash(from_b64u(text))
        except BadInput:
            return None

    async def _session(self, request: web.Request) -> HallSession | None:
        digest, now = self._digest(request), self._node.clock()
        if digest is None:
            return None
        return await self._node.database.read(lambda tx: people.session(tx, digest, now))

    async def _api(self, request: web.Request) -> web.StreamResponse:
        if not request.path_qs.startswith(API):  # what stands behind the hub's address is nothing but a path
            raise web.HTTPNotFound
        body = b"" if passing.is_upload(request) or not request.can_read_body else await raw_body(request)
        if not self._node.link.cut:
            waits = request.path == walls.VIEW  # at the hub, for news, and is asked again at once: no line is busy so
            self._node.passing += not waits
            try:
                return await self._slow.pass_on(request, body, lambda late: self._pass_on(request, body, late))
            except HubSilentError as error:
                if not self._node.link.cut:
                    raise _unreachable() from error
            finally:
                self._node.passing -= not waits
        return await self._answer(request, body)

    async def _answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self._alone is None:
            raise _unreachable()
        session, now = await self._session(request), self._node.clock()
        token = kiosk_access.token_in(request)
        if token is not None:
            session = self._kiosks.find(token, session, now)
        if session is not None and request.method not in SAFE:
            self._limits.count_member(session.member, now)
        elif request.method not in SAFE:
            self._limits.count_address(request.remote or "unknown", now)
        return await self._alone.answer(Asked(request, body, session, now, kiosk=token is not None))

    async def _pass_on(self, request: web.Request, body: bytes, late: passing.Late | None) -> web.StreamResponse:
        node, session = self._node, await self._session(request)
        if kiosk_access.token_in(request) is not None:
            return await self._pass_kiosk(request, body, session, late)
        screen = walls.owner(request)
        if screen is not None:
            return await self._pass_screen(request, screen)
        member = "" if session is None or session.local else session.member
        if request.method == "GET":
            read = await self._reading.linked(request, session)
            drawn = await self._snapshot(request, session) if read is None else read
            if drawn is not None:
                return drawn
        elif session is not None:
            again = await repeats.linked(node, request, body)
            if again is not None:
                self._limits.count_member(session.member, node.clock())
                return again
        owner = kept.owner(request.path, node.identity.meeting, member) if request.method == "GET" else None
        known = node.closed
        signs = request.path in SIGNS_IN or (request.path == SESSION and request.method == "GET")
        kiosk = request.path == f"/api/meetings/{node.identity.meeting}/sites/{node.identity.site}{KIOSK_SIGNS_IN}"
        try:
            passed = await passing.pass_on(node, request, body, keep=signs or kiosk or owner is not None, late=late)
        finally:
            if session is not None and request.method not in SAFE:
                self._snapshots.acted(session.token_hash)
        if passed.status == OK:
            if kiosk and passed.kept is not None and session is not None:
                self._kiosks.learn(passed.kept.data, session.token_hash, node.clock())
            if passed.kept is not None and owner is not None:
                answer = passed.kept
                await node.keep(known, lambda tx: kept.keep(tx, owner, request.path_qs, answer))
            await self._learn(request, passed, session)
        elif passed.status in GONE and owner is not None:
            await node.database.write(lambda tx: kept.drop(tx, owner, request.path_qs))
        if request.path == "/api/sign-out" or passed.code.startswith("session."):
            await self._forget(request)
        return passed.response

    async def _snapshot(self, request: web.Request, session: HallSession | None) -> web.Response | None:
        """Answer with the meeting from what was fetched for the whole hall; None where the hub must answer."""
        node = self._node
        known, found = node.closed, await self._snapshots.linked(request, session)
        if found is None or session is None:
            return None
        member, path = session.member, request.path_qs
        self._limits.count_read(b64u(session.token_hash), "", node.clock())
        await node.keep(known, lambda tx: kept.keep(tx, member, path, found))
        await self._touch(session)
        return web.Response(body=found.data, content_type=found.type, charset="utf-8")

    async def _pass_kiosk(
        self, request: web.Request, body: bytes, custodian: HallSession | None, late: passing.Late | None
    ) -> web.StreamResponse:
        """Pass on what a member does at the kiosk; nothing of it is kept, or known of, as the custodian's."""
        node = self._node
        again = None if custodian is None else await repeats.linked(node, request, body)
        if again is not None:
            return again
        vote = self._vote_in(request, body, custodian)
        if vote is not None:  # on disk before the hub hears of it: its answer may be lost, and this process end
            await node.remember(lambda tx: passed_votes.begin(tx, vote))
        shows = request.method == "GET" and _route(request) == MANIFEST
        try:
            passed = await passing.pass_on(node, request, body, keep=shows or vote is not None, late=late)
        except HubSilentError:
            if vote is not None:  # whatever another answer has said meanwhile
                await node.remember(lambda tx: passed_votes.begin(tx, vote))
            raise
        if shows and passed.status == OK and passed.kept is not None:
            await self._learn_place(request, passed.kept.data, custodian)
        if vote is not None and passed.status < BROKEN:
            taken = passed.status == OK
            await node.remember(lambda tx: passed_votes.settle(tx, vote, taken=taken))
        if passed.code.startswith("session."):  # the custodian's has ended
            await self._forget(request)
        return passed.response

    async def _pass_screen(self, request: web.Request, screen: str) -> web.StreamResponse:
        """Pass on what a room screen asks; the answer is kept for it, in the place of the one before."""
        node, known = self._node, self._node.closed
        passed = await passing.pass_on(node, request, b"", keep=True)
        answer, path = passed.kept, request.path
        if passed.status == OK and answer is not None:
            await node.keep(known, lambda tx: walls.keep(tx, screen, path, answer))
        elif passed.status in (UNAUTHORISED, *GONE):
            await node.database.write(lambda tx: walls.drop(tx, screen, path))
        return passed.response

    def _vote_in(
        self, request: web.Request, body: bytes, custodian: HallSession | None
    ) -> passed_votes.Request | None:
        """Return what a member at the kiosk asks the hub to take, from which the voter goes on in a cut."""
        read = _VOTES.get(_route(request))
        if read is None or request.method != "POST":
            return None
        try:
            credential, new = read(json.loads(body))
        except (ValueError, LookupError, TypeError, RecursionError):  # the hub says what is wrong
            return None
        who = self._at_kiosk(request, custodian) or credential
        number = b64u(self._node.rng(16))
        return passed_votes.Request(request.match_info["election"], number, who, credential, new)

    def _at_kiosk(self, request: web.Request, custodian: HallSession | None) -> str:
        """Return the member who acts at the kiosk, "" when nobody has signed in so since this process began."""
        try:
            return self._kiosks.find(kiosk_access.token_in(request) or "", custodian, self._node.clock()).member
        except NotSignedIn:
            return ""

    async def _learn_place(self, request: web.Request, answer: bytes, custodian: HallSession | None) -> None:
        """Remember where the hub says that a member at the kiosk stands."""
        place, member = json.loads(answer).get("me"), self._at_kiosk(request, custodian)
        if isinstance(place, dict) and place.get("lineage"):
            election = request.match_info["election"]
            await self._node.remember(lambda tx: passed_votes.learn(tx, election, member, place))

    async def _learn(self, request: web.Request, passed: passing.Passed, session: HallSession | None) -> None:
        """Note from an answer who it is."""
        if passed.kept is not None and (request.path in SIGNS_IN or request.path == SESSION):
            await self._confirm(request, passed)
        if session is not None:
            await self._touch(session)

    # -- who it is ----------------------------------------------------------------------------------------------

    async def _confirm(self, request: web.Request, passed: passing.Passed) -> None:
        """Note that the hub knows the session: the one of the request, or the one that begins with the answer."""
        digest = self._digest(request)
        for value in passed.response.headers.getall("Set-Cookie", []):
            name, _, rest = value.partition("=")
            if name == passing.cookie_of(self._node.identity.secure):
                digest = token_hash(from_b64u(rest.partition(";")[0].strip('"')))
        if digest is None or passed.kept is None:
            return
        view, now = json.loads(passed.kept.data), self._node.clock()
        if isinstance(view, dict) and isinstance(view.get("member"), dict) and "guest" not in view:
            found = digest
            await self._node.database.write(lambda tx: people.confirm(tx, found, view, now))

    async def _touch(self, session: HallSession) -> None:
        now = self._node.clock()
        if now - session.used_at >= SESSION_TOUCH_S:
            await self._node.database.write(lambda tx: people.use(tx, session.token_hash, now))

    async def _still(self, digests: Collection[bytes]) -> None:
        """Ask the hub whether sessions that follow by a socket still stand; being asked for keeps them alive."""
        node, marks = self._node, {session_mark(digest): digest for digest in digests}
        asked, ended = sorted(marks), set[str]()
        for start in range(0, len(asked), STILL_MAX):
            body = {"sessions": asked[start : start + STILL_MAX]}
            ended |= set((await node.hub.post("/api/relay/sessions", body))["ended"])
        now, over = node.clock(), [marks[mark] for mark in asked if mark in ended]
        stand = [marks[mark] for mark in asked if mark not in ended]
        await node.database.write(lambda tx: people.settle(tx, stand, over, now))
        for digest in over:
            await self._sockets.end(digest)

    async def _knows(self, cookie: str, seq: int, right: Right) -> bool:
        """Ask the hub what the owner of a cookie gets of an event: one of a closed session, or a page for members.

        Raises:
            HubSilentError: it did not say.
        """
        name, meeting = passing.cookie_of(self._node.identity.secure), self._node.identity.meeting
        path = f"/api/meetings/{meeting}/events?after={seq - 1}"
        answer = await passing.ask_json(self._node, {"Cookie": f"{name}={cookie}"}, path)
        found = [one for one in (answer or {}).get("events", []) if one["seq"] == seq]
        if not found or found[0]["type"] == WITHHELD:
            return False
        return right is Right.INSIDE or found[0]["body"]["paper"] != ""

    async def _forget(self, request: web.Request) -> None:
        digest = self._digest(request)
        if digest is not None:
            await self._node.database.write(lambda tx: people.end(tx, digest))
            await self._sockets.end(digest)

    async def _ticket(self, request: web.Request) -> web.StreamResponse:
        """POST socket-ticket: the hub's ticket proves the right to follow, the relay gives its own."""
        body = await raw_body(request)
        if kiosk_access.token_in(request) is not None:
            raise Forbidden("kiosk.not-allowed", "This cannot be done at a kiosk.")
        if decode(body, TicketWanted).meeting != self._node.identity.meeting:
            raise Conflict("relay.other-meeting", "This is the relay of another meeting.")
        if not self._node.link.cut:
            try:
                refused = await self._ask_ticket(request, body)
            except HubSilentError as error:
                if not self._node.link.cut:
                    raise _unreachable() from error
            else:
                if refused is not None:
                    return refused
        return await self._give_ticket(request)

    async def _ask_ticket(self, request: web.Request, body: bytes) -> web.Response | None:
        """Ask the hub for a ticket in the page's name; return its refusal, None when it gave one."""
        digest = self._digest(request)
        status, raw = await passing.ask(self._node, "POST", TICKET, request, body)
        if status != OK or digest is None:
            if status == UNAUTHORISED:
                await self._forget(request)
            elif digest is not None and status in GONE:
                await self._node.database.write(lambda tx: people.follow(tx, digest, follows=False))
            return web.Response(body=raw, status=status, content_type="application/json")
        if await self._session(request) is None:
            status, raw = await passing.ask(self._node, "GET", SESSION, request, None)
            if status != OK:
                return web.Response(body=raw, status=status, content_type="application/json")
            view, now = json.loads(raw), self._node.clock()
            if "guest" in view or not isinstance(view.get("member"), dict):
                raise Forbidden("guest.not-allowed", "Guests may not do this.")
            await self._node.database.write(lambda tx: people.confirm(tx, digest, view, now))
        await self._node.database.write(lambda tx: people.follow(tx, digest, follows=True))
        return None

    async def _give_ticket(self, request: web.Request) -> web.Response:
        session = await self._session(request)
        if session is None or not session.follows:
            since = {"since": self._node.link.since}
            raise Unavailable("relay.cut", "The hall is cut off from the main room; this has to wait.", since)
        cookie = request.cookies.get(passing.cookie_of(self._node.identity.secure), "")
        ticket = self._sockets.tickets.give(self._node.rng(32), Admitted(session, cookie))
        return web.json_response({"ticket": ticket})


_VOTES: Final[Mapping[str, Callable[[Any], tuple[str, str]]]] = MappingProxyType(
    {
        REPLACEMENTS: lambda given: (str(given["old"]), str(given["new"])),
        repeats.BALLOTS: lambda given: (str(given["ballot"]["credential"]), ""),
    }
)


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _unreachable() -> Unavailable:
    return Unavailable("relay.unreachable", "The main room does not answer; try again soon.")


@web.middleware
async def _unavailable(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 503 to what has to wait."""
    try:
        return await handler(request)
    except Unavailable as error:
        body = problem(error.code, error.message)
        if error.details is not None:
            body["error"]["details"] = dict(error.details)
        return web.json_response(body, status=UNAVAILABLE)


async def _hidden(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})
