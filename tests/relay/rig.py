"""A real hub, a real relay in a process of its own, a line between them that a test cuts, and phones in the hall."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tests.browser.serving import HALL_HOST, LINE, Authority, connector
from tests.server import votes_support
from tests.server.votes_support import Hall

from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Line, Person
from folkmoot_server.demo.wire import Wire, wire
from folkmoot_voting import challenges, signing
from folkmoot_voting.casting import FIRST, Place, SeededDraws, make_ballot, make_void, seal
from folkmoot_voting.encoding import JsonObject, b64u, jcs, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import cells_of_one
from folkmoot_voting.roll import verify_statement

WAIT_S = 60.0
START_S = 180.0  # of a process, whose modules a busy machine takes a minute to load
HALL = ("Binh Tran", "Greta Weber", "Mai Pham", "Otto Braun")
READY = re.compile(r"on port (\d+)")


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Ask again and again until the answer is true; return it."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = await condition()
        if found:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"waited {WAIT_S:.0f} s in vain for {what}")


class Phone:
    """A member's phone in the hall: the relay's pages' view of HTTP, with the member's own passkey."""

    def __init__(self, origin: str, person: Person, authority: Authority | None = None) -> None:
        self.origin, self.person = origin, person
        self.seed = secrets.token_bytes(32)
        self.line: Line | None = None
        self.heard: list[dict[str, Any]] = []
        self._http = aiohttp.ClientSession(
            connector=connector(authority),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=60),
        )

    @property
    def member(self) -> str:
        return self.person.member

    @property
    def key(self) -> bytes:
        return signing.public_key(self.seed)

    async def close(self) -> None:
        if self.line is not None:
            await self.line.close()
        await self._http.close()

    def raw(self, method: str, path: str) -> Any:
        """One request with nothing but what a script of anybody sends; yields the answer."""
        return self._http.request(method, self.origin + path)

    async def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """One request of the page; return status, answer and headers."""
        sent = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", **headers}
        async with self._http.request(method, self.origin + path, headers=sent, json=body) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw), dict(answer.headers)

    async def fetch(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Get something that is no JSON; return status, bytes and headers."""
        async with self._http.get(self.origin + path) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def get(self, path: str) -> dict[str, Any]:
        status, answer, _ = await self.ask("GET", path)
        assert status == 200, (path, status, answer)
        return answer

    async def post(self, path: str, body: object = None, status: int = 200) -> dict[str, Any]:
        found, answer, _ = await self.ask("POST", path, {} if body is None else body)
        assert found == status, (path, found, answer)
        return answer

    async def refused(self, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        """Send what must be refused; return status and code."""
        status, answer, _ = await self.ask("POST", path, {} if body is None else body, **headers)
        assert status >= 400, (path, status, answer)
        return status, str(answer["error"]["code"])

    def sign(self, challenge: bytes) -> JsonObject:
        """Sign with the member's passkey on the relay's page."""
        authenticator, before = self.person.authenticator, self.person.authenticator.origin
        authenticator.origin = self.origin
        try:
            return self.person.assertion(challenge)
        finally:
            authenticator.origin = before

    def authenticate(self, rp_id: str, nonce: bytes) -> JsonObject:
        """Sign in with the member's passkey on the relay's page."""
        authenticator, before = self.person.authenticator, self.person.authenticator.origin
        authenticator.origin = self.origin
        try:
            return authenticator.authenticate(challenges.sign_in(rp_id, nonce))
        finally:
            authenticator.origin = before

    async def sign_in(self) -> None:
        begun = await self.post("/api/sign-in/begin")
        credential = self.authenticate(begun["rp_id"], unb64u(begun["nonce"]))
        await self.post("/api/sign-in/finish", {"nonce": begun["nonce"], "credential": credential})

    async def begin_check_in(self, meeting: str, **fields: str) -> JsonObject:
        """Begin to check in and return the body that finishes it."""
        begun = await self.post(f"/api/meetings/{meeting}/check-in/begin", fields)
        core = verify_statement(begun["roll"])
        challenge = challenges.checkin(
            meeting, core.hash, begun["site"], self.key, begun["checkpoint"], unb64u(begun["nonce"])
        )
        return {
            "credential": b64u(self.key),
            "site": begun["site"],
            "checkpoint": begun["checkpoint"],
            "nonce": begun["nonce"],
            **self.sign(challenge),
        }

    async def check_in(self, meeting: str, status: int = 200, **fields: str) -> dict[str, Any]:
        body = await self.begin_check_in(meeting, **fields)
        return await self.post(f"/api/meetings/{meeting}/check-in/finish", body, status)

    async def follow(self, meeting: str, after: int) -> Line:
        """Open the phone's live connection."""
        ticket = (await self.post("/api/socket-ticket", {"meeting": meeting}))["ticket"]
        self.line = Line(lambda text: self.heard.append(json.loads(text[2:])[1]))
        await self.line.connect(self._http, self.origin, {"ticket": ticket, "after": after})
        return self.line

    def ballot(self, manifest: Manifest, choice: int, place: Place = FIRST) -> JsonObject:
        return make_ballot(
            manifest, self.seed, [cells_of_one(manifest.questions[0], choice)], secrets.token_bytes, place
        )

    def void(self, manifest: Manifest, choice: int) -> JsonObject:
        cells = [cells_of_one(manifest.questions[0], choice)]
        sealed = seal(manifest, self.key, cells, SeededDraws(secrets.token_bytes(32)), FIRST)
        return make_void(manifest, self.seed, sealed)


@dataclass
class RelayProcess:
    """`folkmoot relay` in a process of its own."""

    hub: str
    data: Path
    front: Wire
    code: str = ""
    env: dict[str, str] = field(default_factory=dict)
    certificate: tuple[Path, Path] | None = None
    process: subprocess.Popen[str] | None = None

    async def start(self) -> None:
        """Start it and wait until its port is open."""
        words = ["relay", "--hub", self.hub, "--data", str(self.data), "--listen", "127.0.0.1:0"]
        words += ["--code", self.code] if self.code else []
        if self.certificate is not None:
            words += ["--cert", str(self.certificate[0]), "--key", str(self.certificate[1])]
        self.code = ""
        await asyncio.to_thread(self._begin, words)
        async with asyncio.timeout(START_S):
            line = await asyncio.to_thread(self._first_line)
        match = READY.search(line)
        assert match, (line, self.log)
        self.front.target = int(match[1])

    def _begin(self, words: list[str]) -> None:
        with self.data.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(  # its media workers share its output and may outlive it for a minute
                [sys.executable, "-m", "folkmoot_server.cli", *words],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.env},
                text=True,
            )

    def _first_line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        with self.process.stdout as output:
            return output.readline()

    @property
    def log(self) -> str:
        return self.data.with_suffix(".log").read_text()

    async def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def stop(self) -> int:
        """Ask it to end; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        async with asyncio.timeout(WAIT_S):
            return await asyncio.to_thread(self.process.wait)

    def entries(self) -> list[JsonObject]:
        """The outbox as it is on disk."""
        return [json.loads(row[0]) for row in self.rows("SELECT text FROM entry ORDER BY seq")]

    def rows(self, query: str) -> list[Any]:
        """Read its own database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data / 'relay.db'}?mode=ro", uri=True)) as raw:
            return list(raw.execute(query))

    def change(self, statement: str) -> None:
        """Change its own database while it is not running."""
        with contextlib.closing(sqlite3.connect(self.data / "relay.db")) as raw, raw:
            raw.execute(statement)

    def papers(self) -> dict[str, int]:
        """Names and sizes of the files of papers on its disk; what is not whole ends with `.part`."""
        return {path.name: path.stat().st_size for path in (self.data / "papers").iterdir()}

    def refused(self) -> dict[int, str]:
        """Codes of the entries that the hub refused."""
        return dict(self.rows("SELECT seq, refused FROM entry WHERE refused != ''"))


@dataclass
class Rig:
    """Everything of a test with a relay."""

    hall: Hall
    link: Wire
    front: Wire
    relay: RelayProcess
    site: str
    phones: dict[str, Phone]
    ready: votes_support.Ready
    origin: str
    manifest: Manifest | None = None

    def path(self, rest: str = "") -> str:
        return self.hall.path(rest)

    def vote(self, rest: str) -> str:
        assert self.manifest is not None
        return self.hall.election_path(self.manifest.election, rest)

    async def code(self) -> str:
        custodian = self.phones["binh"].person
        return str((await custodian.get(self.path(f"/sites/{self.site}/code")))["code"])

    async def until_cut(self, phone: Phone) -> dict[str, str]:
        """Wait until the relay answers by itself; return the headers of such an answer."""

        async def cut() -> dict[str, str] | None:
            headers = (await phone.ask("GET", "/api/session"))[2]
            return headers if "Folkmoot-Cut" in headers else None

        return dict(await until(cut, "the cut"))

    async def until_linked(self, phone: Phone, path: str = "") -> None:
        async def linked() -> bool:
            status, _, headers = await phone.ask("GET", path or self.path("/sites"))
            return status == 200 and "Folkmoot-Cut" not in headers

        await until(linked, "the link")

    async def until_delivered(self, count: int) -> None:
        """Wait until the hub has so many entries of the outbox."""

        async def delivered() -> bool:
            return await self.upto() >= count

        await until(delivered, f"{count} entries at the hub")

    async def upto(self) -> int:
        """How many entries the hub has taken."""
        with contextlib.closing(sqlite3.connect(f"file:{self.hall.database.path}?mode=ro", uri=True)) as raw:
            return int(raw.execute("SELECT max(upto) FROM relay").fetchone()[0] or 0)


def independent_chain(entries: list[JsonObject], key: bytes) -> str:
    """Check a chain of entries from scratch by the words of relay.md section 4; return the last head."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    head = ""
    for number, entry in enumerate(entries, 1):
        assert entry["seq"] == number
        assert entry["prev"] == head
        unsigned = {name: value for name, value in entry.items() if name != "sig"}
        text = json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        digest = hashlib.sha256(text).digest()
        tag = b"fm1/relay-entry"
        framed = len(tag).to_bytes(4, "big") + tag + len(digest).to_bytes(4, "big") + digest
        Ed25519PublicKey.from_public_bytes(key).verify(unb64u(entry["sig"]), hashlib.sha256(framed).digest())
        head = b64u(digest)
    return head


def receipt_of(answer: dict[str, Any], entries: list[JsonObject]) -> JsonObject:
    """Return the entry that a 202 promised, after holding the receipt against it."""
    receipt = answer["queued"]
    entry = entries[receipt["seq"] - 1]
    unsigned = {name: value for name, value in entry.items() if name != "sig"}
    assert receipt["head"] == b64u(hashlib.sha256(jcs(unsigned)).digest())
    assert receipt["sig"] == entry["sig"]
    return entry


async def _sites(hall: Hall, origin: str) -> tuple[str, str]:
    """Add the hall with its custodian; return its id and a relay's code."""
    custodian = hall.people[6].member
    body = {"name": "Upper village", "custodian": custodian, "expected": 4, "profile": 64}
    site = str((await hall.secretary.post(hall.path("/sites"), body))["site"])
    code = await hall.secretary.post(hall.path(f"/sites/{site}/relay-code"), {"origin": origin})
    return site, str(code["code"])


async def _sign_seats(hall: Hall, site: str, people: list[Person]) -> None:
    seats = sorted(person.member for person in people)
    digest = b64u(hashlib.sha256(jcs(seats)).digest())
    action = {"type": "sign-seats", "meeting": hall.meeting, "site": site, "hash": digest}
    await hall.people[6].act(hall.path(f"/sites/{site}/seats"), action, seats=seats)


@asynccontextmanager
async def rig(folder: Path, authority: Authority | None = None, **settings: Any) -> AsyncIterator[Rig]:
    """A meeting in session with five officers in the main room, and a hall with its relay, linked.

    Binh, Greta and Mai have checked in at the hall through the relay; Otto is on its seat list. With an authority
    hub and relay speak https, the relay at its own name below the hub's.
    """
    people = (*votes_support.OFFICERS, NewPerson("Karin Vogel", None, ("auditor",)))
    people += tuple(NewPerson(name, None, ()) for name in HALL)
    (folder / "hub").mkdir()
    now = lambda: int(time.time())  # noqa: E731
    async with contextlib.AsyncExitStack() as stack:
        hall = await stack.enter_async_context(
            votes_support.serve(folder / "hub", now, authority=authority, **settings)
        )
        await votes_support.enrol_everybody(hall, people)
        await votes_support.convene(hall)
        port = int(hall.settings.public_url.rpartition(":")[2])
        link = await stack.enter_async_context(wire(port))
        front = await stack.enter_async_context(wire())
        hub, origin = link.url, front.url
        if authority is not None:
            hub, origin = f"https://{LINE}:{link.port}", f"https://{HALL_HOST}:{front.port}"
        site, code = await _sites(hall, origin)
        await votes.freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        phones = {}
        for person in hall.people[6:]:
            phone = phones[person.name.split()[0].lower()] = Phone(origin, person, authority)
            stack.push_async_callback(phone.close)
        relay = RelayProcess(hub, folder / "relay", front, code)
        if authority is not None:
            relay.certificate, relay.env = authority.of(HALL_HOST), {"SSL_CERT_FILE": str(authority.ca)}
        await relay.start()
        stack.push_async_callback(relay.stop)
        made = Rig(hall, link, front, relay, site, phones, votes_support.Ready([], []), origin)
        await made.until_linked(phones["binh"], "/api/info")
        await _gather(made)
        yield made


async def _gather(made: Rig) -> None:
    """Everybody checks in, three of them at the hall; the key is made and the meeting opened."""
    hall, phones = made.hall, made.phones
    await _sign_seats(hall, made.site, [phone.person for phone in phones.values()])
    await votes_support.check_in(hall, hall.officers)
    for name in ("binh", "greta", "mai"):
        await phones[name].sign_in()
        await phones[name].check_in(hall.meeting, site=made.site, code=await made.code())
    made.ready.tellers += await votes.make_key(hall.tellers, hall.meeting)
    made.ready.cosigners += [await votes.name_cosigner(person, hall.meeting) for person in hall.officers]
    await hall.chair.post(hall.path("/commands"), {"command": "open"})


async def open_vote(made: Rig, **changes: Any) -> Manifest:
    """Open a vote, and wait until the relay holds its manifest."""
    election = await votes_support.draft(made.hall, **changes)
    made.manifest = await votes.open_election(made.hall.chair, made.hall.meeting, election)

    async def held() -> bool:
        rows = made.relay.rows("SELECT text FROM value WHERE name = 'part.manifest'")
        return bool(rows) and json.loads(rows[0][0])["manifest"]["election"] == election

    await until(held, "the manifest at the relay")
    return made.manifest
