"""The kiosk of a hall that is cut off: members act beside the custodian's session, each by the own passkey."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from aiohttp import web
from sqlalchemy import Connection

from folkmoot_server.commands.kiosk import SESSIONS_MAX
from folkmoot_server.domain.errors import BadInput, Forbidden, NotSignedIn, Refused, TooMany, WrongState
from folkmoot_server.domain.identity import Purpose
from folkmoot_server.domain.ids import b64u, from_b64u, token_hash
from folkmoot_server.domain.relays import Kind
from folkmoot_server.domain.sites import KIOSK_S
from folkmoot_server.relay import chains, people, rules, store, views
from folkmoot_server.relay.asked import Asked
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.outbox_chain import Wish
from folkmoot_server.relay.people import HallSession
from folkmoot_server.web.handlers_identity import SignInFinish
from folkmoot_server.web.parsing import Empty, decode
from folkmoot_server.web.votes_bodies import CheckInBody, signed_json
from folkmoot_voting.encoding import JsonObject

QUEUED: Final = 202
_BINDING: Final = b"kiosk"  # what was asked for at the kiosk is no nonce of the custodian's own


class Kiosks:
    """Who is signed in at the hall's kiosk, in memory alone: nothing of it outlives the process.

    Also whom the hub has signed in there, so that a voter who has begun can end in a cut.
    """

    def __init__(self) -> None:
        self._open: dict[bytes, tuple[bytes, HallSession]] = {}

    def begin(self, digest: bytes, custodian: bytes, member: str, now: int) -> None:
        """Sign a member in for five minutes beside the custodian's session, both by the hashes of their tokens."""
        live = {key: one for key, one in self._open.items() if now < one[1].created_at + KIOSK_S}
        session = HallSession(digest, member, {}, now, now, local=True, follows=False)
        self._open = {**live, digest: (custodian, session)}

    def count(self, custodian: bytes, now: int) -> int:
        """Return how many are signed in beside a session."""
        live = [owner for owner, one in self._open.values() if now < one.created_at + KIOSK_S]
        return live.count(custodian)

    def find(self, token: str, custodian: HallSession | None, now: int) -> HallSession:
        """Return the session of the member who acts.

        Raises:
            NotSignedIn: the token is not of one that was begun beside this session, or it has ended.
        """
        try:
            digest = token_hash(from_b64u(token))
        except BadInput:
            digest = b""
        owner, found = self._open.get(digest, (b"", None))
        if found is None or custodian is None or owner != custodian.token_hash or now >= found.created_at + KIOSK_S:
            raise NotSignedIn("kiosk.ended", "Please sign in at the kiosk again.")
        return found

    def end(self, digest: bytes) -> None:
        """Forget a session."""
        self._open.pop(digest, None)

    def learn(self, answer: bytes, custodian: bytes, now: int) -> None:
        """Take over whom the hub has signed in: its answer to sign-in/finish."""
        found = json.loads(answer)
        self.begin(token_hash(from_b64u(found["token"])), custodian, found["member"], now)


class KioskAlone:
    """What the kiosk of one relay that is cut off asks (sites.md section 2, relay.md section 4)."""

    def __init__(self, node: Node, kiosks: Kiosks) -> None:
        self._node, self._kiosks = node, kiosks

    async def begin(self, asked: Asked) -> web.StreamResponse:
        """POST kiosk/begin: what the passkey of whoever stands there will sign."""
        decode(asked.body, Empty)
        binding, hall = await self._at(asked), self._node.hall
        if hall.roll is None or not hall.checkpoint:
            raise WrongState("roll.not-frozen", "As far as is known here the roll of this meeting is not frozen.")
        nonce = await self._node.nonce(Purpose.CHECK_IN, binding)
        site = self._node.identity.site
        answer = {"nonce": b64u(nonce), "roll": hall.statement, "checkpoint": hall.checkpoint, "site": site}
        return web.json_response(answer)

    async def finish(self, asked: Asked) -> web.StreamResponse:
        """POST kiosk/finish: the check-in of whoever's passkey has signed waits in the outbox."""
        body = decode(asked.body, CheckInBody)
        binding, site = await self._at(asked), self._node.identity.site
        member = self._node.hall.member_of(body.passkey)
        if member is None:
            raise Refused("passkey.unknown", "This passkey is not registered here.")
        fields: JsonObject = {"credential": b64u(body.credential), "site": body.site, "checkpoint": body.checkpoint}
        fields = {**fields, **signed_json(body), "kiosk": True}
        caller = _caller(asked, binding, str(member["member"]))
        raw = Wish(Kind.CHECK_IN, caller.member, fields)
        receipt = await self._node.queue(raw, lambda tx, hall: rules.check_in(tx, hall, caller, site, fields))
        answer = {"queued": receipt, "member": caller.member, "name": member["name"]}
        return web.json_response(answer, status=QUEUED)

    async def begin_sign_in(self, asked: Asked) -> web.StreamResponse:
        """POST kiosk/sign-in/begin: a nonce that only this relay knows."""
        decode(asked.body, Empty)
        binding, nonce, now = await self._at(asked), self._node.rng(32), asked.now
        await self._node.database.write(lambda tx: people.give_nonce(tx, nonce, Purpose.SIGN_IN, binding, now))
        return web.json_response({"nonce": b64u(nonce), "rp_id": self._node.identity.rp_id})

    async def finish_sign_in(self, asked: Asked) -> web.StreamResponse:
        """POST kiosk/sign-in/finish: a session of the relay's own, which means nothing to the hub."""
        body = decode(asked.body, SignInFinish)
        binding, hall, now, token = await self._at(asked), self._node.hall, asked.now, self._node.rng(32)
        custodian = asked.caller.session.token_hash

        def run(tx: Connection) -> JsonObject:
            people.take_nonce(tx, body.nonce, Purpose.SIGN_IN, binding, now)
            member = rules.signed_in(hall, self._node.identity.rp_id, body.nonce, body.credential)
            if not rules.is_here(tx, hall, member["member"]):
                raise WrongState("kiosk.not-here", "Please check in at this hall first.")
            return member

        member = await self._node.database.write(run)
        if self._kiosks.count(custodian, now) >= SESSIONS_MAX:
            raise TooMany("kiosk.too-many", "Too many members are signed in here; wait a few minutes.")
        self._kiosks.begin(token_hash(token), custodian, member["member"], now)
        answer = {"token": b64u(token), "until": now + KIOSK_S, "member": member["member"], "name": member["name"]}
        return web.json_response({**answer, "credential": hall.kiosk.get(member["member"], "")})

    async def sign_out(self, asked: Asked) -> web.StreamResponse:
        """POST kiosk/sign-out, with the member's header."""
        decode(asked.body, Empty)
        if not asked.kiosk:
            raise NotSignedIn("kiosk.ended", "Please sign in at the kiosk again.")
        self._kiosks.end(asked.caller.session.token_hash)
        return web.json_response({})

    async def manifest(self, asked: Asked) -> JsonObject | None:
        """Return the answer of GET manifest for the member at the kiosk, None where it has to wait for the line.

        That is who did not check in at the kiosk before the vote was opened, and of whom the hub has, or may have, a
        ballot, or another key than is known here.
        """
        first, hall, now, election = self._first(asked), self._node.hall, asked.now, asked.election
        member = asked.caller.member

        def run(tx: Connection) -> JsonObject | None:
            part = store.find(tx, "part.manifest")
            if part is None or part["manifest"]["election"] != election:
                return None
            if chains.must_wait(tx, election, member, first):
                return None
            return views.manifest(part, rules.place_of(tx, hall.require_vote(election, now), member, first))

        return await self._node.database.read(run) if first else None

    def _first(self, asked: Asked) -> str:
        return self._node.hall.kiosk.get(asked.caller.member, "")

    async def _at(self, asked: Asked) -> bytes:
        """Return what a nonce is bound to that is asked for at the kiosk, beside its custodian's session.

        Raises:
            NotSignedIn, Forbidden: the session is not its custodian's, or the site another one.
        """
        session, site = asked.caller.session, self._node.identity.site
        state = await self._node.database.read(store.state)
        halls = [] if state is None else [(one["site"], one["custodian"]) for one in state["sites"]]
        if asked.request.match_info["s"] != site or (site, session.member) not in halls:
            raise Forbidden("site.not-custodian", "Only the site's custodian may do this.")
        return session.token_hash + _BINDING


def _caller(asked: Asked, binding: bytes, member: str) -> rules.Caller:
    """Who has signed, with nonces of the kiosk."""
    return rules.Caller(replace(asked.caller.session, token_hash=binding, member=member), asked.now)
