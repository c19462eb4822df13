"""What a relay answers itself while the link is cut (relay.md section 4)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field, RootModel
from sqlalchemy import Connection

from folkmoot_server.commands.ballots import accepted
from folkmoot_server.domain.closed_sessions import from_outside
from folkmoot_server.domain.errors import Forbidden, Refused
from folkmoot_server.domain.identity import NONCE_S, SESSION_MAX_S, Purpose
from folkmoot_server.domain.ids import b64u, token_hash
from folkmoot_server.domain.ledger import protocol_checked
from folkmoot_server.domain.papers import PaperClass
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import chains, closed, kept, ledger_proofs, outbox, people, repeats, rules, store, views
from folkmoot_server.relay.asked import Asked
from folkmoot_server.relay.hall import Hall
from folkmoot_server.relay.kiosk import KioskAlone, Kiosks
from folkmoot_server.relay.node import Node, Unavailable
from folkmoot_server.relay.outbox import Place
from folkmoot_server.relay.outbox_chain import Wish
from folkmoot_server.relay.passing import cookie_of
from folkmoot_server.relay.people import STRANGER
from folkmoot_server.relay.reading import Reading
from folkmoot_server.relay.walls import PAGE, VIEW, WallsAlone
from folkmoot_server.web.closed_gate import meeting_of
from folkmoot_server.web.handlers_identity import NonceWanted, SignInFinish
from folkmoot_server.web.handlers_meetings import RaiseHand
from folkmoot_server.web.kiosk_access import OPENED
from folkmoot_server.web.parsing import Empty, Id, Strict, decode, query_number
from folkmoot_server.web.proof_pool import ProofPool
from folkmoot_server.web.votes_bodies import (
    BallotBody,
    CheckInBody,
    EntryBody,
    ReplacementBody,
    SealBody,
    assertion_json,
)
from folkmoot_voting.encoding import JsonObject


class BeginBody(Strict):
    """POST check-in/begin; which site it is the relay knows."""

    site: Id | None = None
    code: Annotated[str | None, Field(max_length=32)] = None


class LowerHand(Strict):
    """The command that takes a hand down."""

    command: Literal["lower-hand"]


class HallCommand(RootModel[Annotated[RaiseHand | LowerHand, Field(discriminator="command")]]):
    """The commands that wait in an outbox."""


Answer = Callable[["Alone", Asked], Awaitable[web.StreamResponse]]


class Alone:
    """The answers of one relay that is cut off."""

    def __init__(self, node: Node, pool: ProofPool, reading: Reading, kiosks: Kiosks) -> None:
        self._node, self._pool, self._reading = node, pool, reading
        self.kiosk = KioskAlone(node, kiosks)
        self._walls = WallsAlone(node)

    async def answer(self, asked: Asked) -> web.StreamResponse:
        """Answer a page's request.

        Raises:
            Unavailable: it is nothing that a relay can do alone.
            FolkmootError: it is refused.
        """
        method = "GET" if asked.request.method == "HEAD" else asked.request.method
        resource = asked.request.match_info.route.resource
        path = "" if resource is None else resource.canonical
        run = ANSWERS.get((method, path))
        if self._node.over and run not in (Alone.session, Alone.sign_out):  # nothing of the meeting is here any more
            raise self.unavailable()
        if asked.kiosk and run is not None and (method, path) not in OPENED:
            raise Forbidden("kiosk.not-allowed", "This cannot be done at a kiosk.")
        meeting = meeting_of(asked.request)
        if run is not None and meeting in (None, self._node.identity.meeting):
            return await run(self, asked)
        if method == "GET" and not asked.kiosk:
            return await self._kept(asked)
        raise self.unavailable()

    def unavailable(self) -> Unavailable:
        """Return the refusal of what needs the hub."""
        since = {"since": self._node.link.since}
        return Unavailable("relay.cut", "The hall is cut off from the main room; this has to wait.", since)

    async def _kept(self, asked: Asked) -> web.StreamResponse:
        read = await self._reading.alone(asked.request.path, asked.session)
        if read is not None:
            return read
        member = "" if asked.session is None else asked.session.member
        owner = kept.owner(asked.request.path, self._node.identity.meeting, member)
        path = asked.request.path_qs
        found = None
        if owner is not None:
            found = await self._node.database.read(lambda tx: kept.find(tx, owner, path))
        if found is None:
            raise self.unavailable()
        return web.Response(body=found.data, headers={"Content-Type": found.type, "Cache-Control": "no-store"})

    async def screen(self, asked: Asked) -> web.StreamResponse:
        """GET screen and its page."""
        shown = await (self._walls.page(asked) if asked.request.path == PAGE else self._walls.view(asked))
        if shown is None:
            raise self.unavailable()
        return shown

    # -- who it is ----------------------------------------------------------------------------------------------

    async def session(self, asked: Asked) -> web.StreamResponse:
        """GET session."""
        return web.json_response(asked.caller.session.view)

    async def sign_in_begin(self, asked: Asked) -> web.StreamResponse:
        """POST sign-in/begin: a nonce that only this relay knows."""
        decode(asked.body, Empty)
        nonce, now = self._node.rng(32), asked.now
        await self._node.database.write(lambda tx: people.give_nonce(tx, nonce, Purpose.SIGN_IN, STRANGER, now))
        return web.json_response({"nonce": b64u(nonce), "rp_id": self._node.identity.rp_id})

    async def sign_in_finish(self, asked: Asked) -> web.StreamResponse:
        """POST sign-in/finish: a session of the relay's own, for a passkey on the list of the hall."""
        body = decode(asked.body, SignInFinish)
        token, hall, now = self._node.rng(32), self._node.hall, asked.now

        def run(tx: Connection) -> JsonObject:
            people.take_nonce(tx, body.nonce, Purpose.SIGN_IN, STRANGER, now)
            member = rules.signed_in(hall, self._node.identity.rp_id, body.nonce, body.credential)
            info = kept.find(tx, kept.EVERYBODY, "/api/info")
            organisation = json.loads(info.data)["organisation"] if info else {"id": "", "name": ""}
            view: JsonObject = {
                "member": {"id": member["member"], "name": member["name"], "code": "", "unit": ""},
                "organisation": organisation,
                "roles": [],
                "expires_at": now + SESSION_MAX_S,
            }
            people.begin_local(tx, token_hash(token), view, now)
            return view

        answer = web.json_response(await self._node.database.write(run))
        secure = self._node.identity.secure
        answer.set_cookie(
            cookie_of(secure),
            b64u(token),
            max_age=SESSION_MAX_S,
            path="/",
            secure=secure,
            httponly=True,
            samesite="Lax",
        )
        return answer

    async def sign_out(self, asked: Asked) -> web.StreamResponse:
        """POST sign-out: the relay forgets the session, the browser its cookie."""
        decode(asked.body, Empty)
        session, secure = asked.session, self._node.identity.secure
        if session is not None:
            await self._node.database.write(lambda tx: people.end(tx, session.token_hash))
        answer = web.json_response({})
        answer.del_cookie(cookie_of(secure), path="/", secure=secure, httponly=True, samesite="Lax")
        return answer

    async def nonce(self, asked: Asked) -> web.StreamResponse:
        """POST nonce: of those that a page asks for itself, a hall alone needs the one for another device."""
        body = decode(asked.body, NonceWanted)
        if body.purpose != Purpose.REPLACE.value:
            raise self.unavailable()
        nonce = await self._node.nonce(Purpose.REPLACE, asked.caller.session.token_hash)
        return web.json_response({"nonce": b64u(nonce), "expires_at": asked.now + NONCE_S})

    # -- what the hall shows ------------------------------------------------------------------------------------

    async def meeting(self, asked: Asked) -> web.StreamResponse:
        """GET the meeting: the newest common snapshot, for whoever is on the hall's list or was given one before."""
        member, hall, path = asked.caller.member, self._node.hall, asked.request.path

        def run(tx: Connection) -> JsonObject | None:
            before = kept.find(tx, member, path)
            snapshot = None if before is None else json.loads(before.data)
            state = store.state(tx)
            if state is None or (snapshot is None and member not in hall.members):
                return snapshot
            if state.get("closed_session") is not None and member not in hall.members:
                state = from_outside(state)  # who else is inside only the hub knows
            me = views.own_part(member, entitled=True) if snapshot is None else snapshot["me"]
            queued = outbox.count(tx, member, (Kind.CHECK_IN,)) > 0 and member not in hall.present
            return views.snapshot(state, snapshot, me, hall.present, queued=queued)

        found = await self._node.database.read(run)
        if found is None:
            raise self.unavailable()
        return web.json_response(found)

    async def events(self, asked: Asked) -> web.StreamResponse:
        """GET events: those that are kept."""
        after = query_number(asked.request, "after")
        if not asked.caller.session.follows:
            raise self.unavailable()
        found = await self._node.database.read(lambda tx: store.events_after(tx, after))
        if asked.caller.member not in self._node.hall.members:
            history = self._node.closed
            open_to_all = [one if history.at(one["seq"]) is None else closed.withheld(one) for one in found]
            found = [views.unseen(one) or one for one in open_to_all]
        return web.json_response({"events": found})

    async def manifest(self, asked: Asked) -> web.StreamResponse:
        """GET manifest: what the member was given, or what the relay held before the cut."""
        if asked.kiosk:
            shown = await self.kiosk.manifest(asked)
            if shown is None:
                raise self.unavailable()
            return web.json_response(shown)
        member, path = asked.caller.member, asked.request.path
        before = await self._node.database.read(lambda tx: kept.find(tx, member, path))
        if before is not None:
            return web.Response(body=before.data, headers={"Content-Type": before.type})
        part = await self._node.database.read(lambda tx: store.find(tx, "part.manifest"))
        if member not in self._node.hall.members or part is None or part["manifest"]["election"] != asked.election:
            raise self.unavailable()
        return web.json_response(views.manifest(part))

    async def papers(self, asked: Asked) -> web.StreamResponse:
        """GET papers: the list that the member was given, or the papers that every member may read."""
        session, path = asked.caller.session, asked.request.path
        before = await self._node.database.read(lambda tx: kept.find(tx, session.member, path))
        if before is not None:
            return web.Response(body=before.data, headers={"Content-Type": before.type})
        if not await self._reading.may_alone(session, PaperClass.MEMBERS):
            raise self.unavailable()
        return web.json_response({"papers": self._node.catalogue.papers, "presenting": None})

    async def ledger(self, asked: Asked) -> web.StreamResponse:
        """GET ledger: the proof that the newest checkpoint continues the one that a phone holds."""
        old, new = query_number(asked.request, "from"), query_number(asked.request, "to")
        found = await self._node.database.read(lambda tx: ledger_proofs.answer(tx, self._node, old, new))
        if found is None:
            raise self.unavailable()
        return web.json_response(found)

    # -- what waits in the outbox -------------------------------------------------------------------------------

    async def begin_check_in(self, asked: Asked) -> web.StreamResponse:
        """POST check-in/begin: what the member's passkey will sign."""
        decode(asked.body, BeginBody)
        caller, hall = asked.caller, self._node.hall
        _, member = rules.require_member(hall, caller.member)
        nonce = await self._node.nonce(Purpose.CHECK_IN, caller.session.token_hash)
        return web.json_response(
            {
                "nonce": b64u(nonce),
                "roll": hall.statement,
                "checkpoint": hall.checkpoint,
                "site": self._node.identity.site,
                "mine": member,
            }
        )

    async def finish_check_in(self, asked: Asked) -> web.StreamResponse:
        """POST check-in/finish."""
        body = decode(asked.body, CheckInBody)
        caller, site = asked.caller, self._node.identity.site
        fields = {
            "credential": b64u(body.credential),
            "site": body.site,
            "checkpoint": body.checkpoint,
            "nonce": b64u(body.nonce),
            "passkey": body.passkey,
            "assertion": assertion_json(body.assertion),
        }
        raw = Wish(Kind.CHECK_IN, caller.member, fields)
        return await self._queue(raw, lambda tx, hall: rules.check_in(tx, hall, caller, site, fields))

    async def command(self, asked: Asked) -> web.StreamResponse:
        """POST commands: hands and wishes to speak; everything else has to wait."""
        caller, text = asked.caller, asked.body
        try:
            named = json.loads(text).get("command")
        except (ValueError, AttributeError):
            named = None
        if named not in ("raise-hand", "lower-hand"):
            raise self.unavailable()
        wanted = decode(text, HallCommand).root
        body: JsonObject = {"command": wanted.command}
        if isinstance(wanted, RaiseHand) and "kind" in wanted.model_fields_set:
            body = {"command": wanted.command, "kind": wanted.kind, "category": wanted.category}
        raw = Wish(Kind.SPEAK if "kind" in body else Kind.HAND, caller.member, body)
        return await self._queue(raw, lambda tx, hall: rules.hand(tx, hall, caller, body))

    async def seal(self, asked: Asked) -> web.StreamResponse:
        """POST seals."""
        body = decode(asked.body, SealBody)
        caller, election = asked.caller, asked.election
        fields = {"credential": b64u(body.credential), "sealed": b64u(body.sealed), "sig": b64u(body.sig)}
        raw = Wish(Kind.SEAL, "", {"election": election, **fields})

        def judge(tx: Connection, hall: Hall) -> tuple[Wish, Place]:
            self._require_place_known(tx, asked, fields["credential"])
            return rules.seal(tx, hall, caller, election, fields)

        return await self._queue(raw, judge)

    async def cast(self, asked: Asked) -> web.StreamResponse:
        """POST ballots: the proofs are checked as at the hub, in a thread and many at once."""
        body = decode(asked.body, BallotBody)
        caller, election, hall = asked.caller, asked.election, self._node.hall
        raw = repeats.wish(election, body.ballot)
        with protocol_checked():
            before = await self._node.database.read(lambda tx: outbox.find(tx, raw))
        if before is not None:
            return repeats.shown(before)
        arrival = await self._node.database.read(lambda tx: rules.receive(tx, hall, caller, election, body.ballot))
        checked = accepted(await self._pool.check(caller.member, arrival))
        return await self._queue(raw, lambda tx, hall: rules.cast(tx, hall, caller, election, checked))

    async def void(self, asked: Asked) -> web.StreamResponse:
        """POST voids."""
        body = decode(asked.body, EntryBody)
        caller, election = asked.caller, asked.election
        raw = Wish(Kind.VOID, "", {"election": election, "entry": body.entry})
        return await self._queue(raw, lambda tx, hall: rules.void(tx, hall, caller, election, body.entry))

    async def replace(self, asked: Asked) -> web.StreamResponse:
        """POST replacements."""
        body = decode(asked.body, ReplacementBody)
        if asked.kiosk and not body.kiosk:
            raise Refused("kiosk.unnamed", "What is signed at a kiosk says that it was.")
        caller, election = asked.caller, asked.election
        fields = {
            "old": b64u(body.old),
            "new": b64u(body.new),
            "kiosk": body.kiosk,
            "nonce": b64u(body.nonce),
            "passkey": body.passkey,
            "assertion": assertion_json(body.assertion),
        }
        raw = Wish(Kind.REPLACEMENT, caller.member, {"election": election, **fields})

        def judge(tx: Connection, hall: Hall) -> tuple[Wish, Place]:
            self._require_place_known(tx, asked, b64u(body.old))
            return rules.replacement(tx, hall, caller, election, fields)

        return await self._queue(raw, judge)

    def _require_place_known(self, tx: Connection, asked: Asked, credential: str) -> None:
        """Let who begins at the kiosk wait where the hub has a ballot of theirs, or may have taken something."""
        if asked.kiosk and chains.must_wait(tx, asked.election, asked.caller.member, credential):
            raise self.unavailable()

    async def _queue(self, raw: Wish, judge: Callable[[Connection, Hall], Any]) -> web.StreamResponse:
        with protocol_checked():
            return _queued(await self._node.queue(raw, judge))


def _queued(receipt: JsonObject) -> web.Response:
    return web.json_response({"queued": receipt}, status=202)


_M: Final = "/api/meetings/{meeting}"
_E: Final = _M + "/elections/{election}"
REPLACEMENTS: Final = _E + "/replacements"
SEALS: Final = _E + "/seals"
VOIDS: Final = _E + "/voids"
MANIFEST: Final = _E + "/manifest"
_KIOSK: Final = "/api/meetings/{m}/sites/{s}/kiosk"
ANSWERS: Final[Mapping[tuple[str, str], Answer]] = MappingProxyType(
    {
        ("GET", "/api/session"): Alone.session,
        ("POST", "/api/sign-in/begin"): Alone.sign_in_begin,
        ("POST", "/api/sign-in/finish"): Alone.sign_in_finish,
        ("POST", "/api/sign-out"): Alone.sign_out,
        ("POST", "/api/nonce"): Alone.nonce,
        ("GET", "/api/ledger"): Alone.ledger,
        ("GET", VIEW): Alone.screen,
        ("GET", PAGE): Alone.screen,
        ("GET", _M): Alone.meeting,
        ("GET", _M + "/events"): Alone.events,
        ("GET", _M + "/papers"): Alone.papers,
        ("GET", MANIFEST): Alone.manifest,
        ("POST", _M + "/check-in/begin"): Alone.begin_check_in,
        ("POST", _M + "/check-in/finish"): Alone.finish_check_in,
        ("POST", _M + "/commands"): Alone.command,
        ("POST", SEALS): Alone.seal,
        ("POST", repeats.BALLOTS): Alone.cast,
        ("POST", VOIDS): Alone.void,
        ("POST", REPLACEMENTS): Alone.replace,
        ("POST", _KIOSK + "/begin"): lambda alone, asked: alone.kiosk.begin(asked),
        ("POST", _KIOSK + "/finish"): lambda alone, asked: alone.kiosk.finish(asked),
        ("POST", _KIOSK + "/sign-in/begin"): lambda alone, asked: alone.kiosk.begin_sign_in(asked),
        ("POST", _KIOSK + "/sign-in/finish"): lambda alone, asked: alone.kiosk.finish_sign_in(asked),
        ("POST", _KIOSK + "/sign-out"): lambda alone, asked: alone.kiosk.sign_out(asked),
    }
)
