"""A relay in software that speaks docs/spec/relay.md to a running hub, and the steps of its hall."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tests.server import votes_support
from tests.server.votes_support import Hall, seal

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_voting import challenges, signing
from folkmoot_voting.encoding import JsonObject, b64u, h, jcs, u32, u64, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.roll import verify_statement


@dataclass
class Relay:
    """One relay; everything below `seed` is what it keeps on disk.

    `log` holds every entry that it ever wrote.
    """

    origin: str
    http: aiohttp.ClientSession
    seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    id: str = ""
    epoch: int = 0
    token: str = ""
    nonce_seed: bytes = b""
    nonces: int = 0
    heard: int = 0
    upto: int = 0
    log: list[JsonObject] = field(default_factory=list)

    @property
    def key(self) -> bytes:
        return signing.public_key(self.seed)

    @property
    def head(self) -> bytes:
        return head(self.log[-1]) if self.log else b""

    async def raw(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """One request with the token; return status and answer."""
        shown = self.token if token is None else token
        headers = {"Authorization": f"Relay {shown}"} if shown else {}
        async with self.http.request(method, self.origin + path, json=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text)

    async def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request that must be answered."""
        status, answer = await self.raw(method, path, body)
        assert status == 200, (path, status, answer)
        return answer

    async def refused(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """One request that must be refused; return status and code."""
        status, answer = await self.raw(method, path, body)
        return status, answer["error"]["code"] if status != 200 else "accepted"

    def enrolment(self, code: str) -> dict[str, Any]:
        plain = code.replace("-", "").upper()
        sig = signing.sign(self.seed, h("fm1/relay-enrol", plain, self.key))
        return {"code": code, "key": b64u(self.key), "sig": b64u(sig)}

    async def enrol(self, code: str) -> dict[str, Any]:
        answer = await self.call("POST", "/api/relay/enrol", self.enrolment(code))
        self.id = answer["relay"]
        return answer

    def start_body(self, at: int) -> dict[str, Any]:
        nonce = secrets.token_bytes(32)
        upto = self.upto
        digest = h("fm1/relay-start", self.id, u64(at), nonce, u64(self.epoch), u64(upto))
        body = {"relay": self.id, "at": at, "nonce": b64u(nonce), "epoch": self.epoch, "upto": upto}
        return {**body, "sig": b64u(signing.sign(self.seed, digest))}

    async def start(self, at: int) -> dict[str, Any]:
        return self.started(await self.call("POST", "/api/relay/start", self.start_body(at)))

    def started(self, answer: dict[str, Any]) -> dict[str, Any]:
        self.epoch, self.token, self.nonces = answer["epoch"], answer["token"], 0
        self.nonce_seed = unb64u(answer["seed"])
        self.upto = max(self.upto, answer["upto"])
        return answer

    async def lease(self, *here: Person) -> dict[str, Any]:
        body = {"here": [person.member for person in here], "upto": self.upto}
        answer = await self.call("POST", "/api/relay/lease", body)
        self.upto = max(self.upto, answer["upto"])
        return answer

    def nonce(self) -> bytes:
        self.nonces += 1
        return h("fm1/relay-nonce", self.nonce_seed, u32(self.nonces - 1))

    def write(self, kind: str, body: JsonObject, at: int, member: str = "", *, cut: bool = True) -> JsonObject:
        """Put an entry into the outbox."""
        entry = self.entry(kind, body, at, member, cut=cut)
        self.log.append(entry)
        return entry

    def entry(
        self, kind: str, body: JsonObject, at: int, member: str = "", *, cut: bool = True, **changes: Any
    ) -> JsonObject:
        """The next entry, signed after `changes`."""
        unsigned: JsonObject = {
            "v": 1,
            "relay": self.id,
            "epoch": self.epoch,
            "seq": len(self.log) + 1,
            "prev": b64u(self.head),
            "at": at,
            "cut": cut,
            "salt": b64u(secrets.token_bytes(32)),
            "kind": kind,
            "member": member,
            "body": body,
            **changes,
        }
        return self.signed(unsigned)

    def signed(self, unsigned: JsonObject) -> JsonObject:
        digest = hashlib.sha256(jcs(unsigned)).digest()
        return {**unsigned, "sig": b64u(signing.sign(self.seed, h("fm1/relay-entry", digest)))}

    async def send(self, first: int | None = None, last: int | None = None) -> dict[str, Any]:
        """Send entries `first` to `last`: from the hub's upto to the end when not said."""
        begin = self.upto + 1 if first is None else first
        end = len(self.log) if last is None else last
        body = {"entries": self.log[begin - 1 : end], "left": len(self.log) - end}
        answer = await self.call("POST", "/api/relay/outbox", body)
        self.upto = answer["upto"]
        return answer

    async def post(self, *entries: JsonObject, left: int = 0) -> tuple[int, dict[str, Any]]:
        """Send any entries; return status and answer."""
        return await self.raw("POST", "/api/relay/outbox", {"entries": list(entries), "left": left})

    async def feed(self, after: int = 0, wait: int = 0, have: Sequence[str] = (), at: int = 0) -> dict[str, Any]:
        return await self.call("GET", f"/api/relay/feed?after={after}&at={at}&wait={wait}&have={','.join(have)}")


def head(entry: JsonObject) -> bytes:
    """The head after an entry."""
    return hashlib.sha256(jcs({name: value for name, value in entry.items() if name != "sig"})).digest()


async def add_site(hall: Hall, name: str = "Upper village", custodian: str = "") -> str:
    """A hall of the meeting."""
    body = {"name": name, "custodian": custodian, "expected": 10, "profile": 64}
    return str((await hall.secretary.post(hall.path("/sites"), body))["site"])


async def code_for(hall: Hall, site: str, origin: str = "") -> str:
    answer = await hall.chair.post(hall.path(f"/sites/{site}/relay-code"), {"origin": origin})
    return str(answer["code"])


async def new_relay(hall: Hall, site: str, http: aiohttp.ClientSession, origin: str = "") -> Relay:
    """A relay of a site, enrolled and started."""
    relay = Relay(hall.settings.public_url, http)
    await relay.enrol(await code_for(hall, site, origin))
    await relay.start(hall.clock())
    return relay


async def check_in_body(
    hall: Hall, relay: Relay, site: str, person: Person, nonce: bytes | None = None, checkpoint: str = ""
) -> tuple[JsonObject, bytes]:
    """What a phone sends to the relay for a check-in, and the seed of its credential."""
    statement = (await hall.chair.get(hall.path("/roll")))["statement"]
    checkpoint = checkpoint or (await relay.feed())["checkpoint"]
    seed = secrets.token_bytes(32)
    credential = signing.public_key(seed)
    nonce = relay.nonce() if nonce is None else nonce
    core = verify_statement(statement)
    challenge = challenges.checkin(hall.meeting, core.hash, site, credential, checkpoint, nonce)
    body: JsonObject = {
        "credential": b64u(credential),
        "site": site,
        "checkpoint": checkpoint,
        "nonce": b64u(nonce),
        **person.assertion(challenge),
    }
    return body, seed


async def check_in_by_relay(
    hall: Hall, relay: Relay, site: str, person: Person, at: int, *, cut: bool = True
) -> JsonObject:
    """Queue a check-in; its credential is the person's from now on."""
    body, seed = await check_in_body(hall, relay, site, person)
    hall.credentials[person.member] = seed
    return relay.write("check-in", body, at, person.member, cut=cut)


@dataclass
class Village:
    """A meeting with a hall whose relay has just been cut off, the tellers in it, and an open vote."""

    hall: Hall
    relay: Relay
    site: str
    ready: votes_support.Ready
    manifest: Manifest

    @property
    def there(self) -> list[Person]:
        return self.hall.tellers

    def ballot(self, person: Person, choice: int, **place: Any) -> JsonObject:
        return seal(self.hall, person, self.manifest, choice, **place)

    def queue(self, kind: str, person: Person | None = None, **body: Any) -> JsonObject:
        """An entry about the open vote."""
        member = "" if person is None else person.member
        return self.relay.write(kind, {"election": self.manifest.election, **body}, self.hall.clock(), member)

    async def refusals(self) -> list[str]:
        return [one["code"] for one in (await self.relay.send())["refused"]]

    async def cast(self) -> int:
        found = (await self.hall.view(self.hall.chair))["elections"]
        return next(int(one["cast"]) for one in found if one["election"] == self.manifest.election)


async def in_hall(hall: Hall, relay: Relay, site: str) -> None:
    """The tellers check in at the hall while the link is there."""
    for person in hall.tellers:
        await check_in_by_relay(hall, relay, site, person, hall.clock(), cut=False)
    assert (await relay.send())["refused"] == []
    await relay.lease(*hall.tellers)


@asynccontextmanager
async def open_village(hall: Hall, **changes: Any) -> AsyncIterator[Village]:
    """Open a vote with these `changes` in a meeting with a village hall."""
    # A connection of its own for each request: a hub that died leaves none that look open.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        ready = await votes_support.prepare(hall)
        site = await add_site(hall)
        relay = await new_relay(hall, site, http)
        await in_hall(hall, relay, site)
        election = await votes_support.draft(hall, **changes)
        manifest = await votes.open_election(hall.chair, hall.meeting, election)
        yield Village(hall, relay, site, ready, manifest)
