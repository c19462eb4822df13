"""A running server without media, members with software authenticators, and the steps of a vote."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import socket
import sqlite3
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from sqlalchemy import Connection
from tests import drafts
from tests.browser.serving import Authority, Origin, connector
from tests.server.common import Clock, PersonState, application, mould, refusal

from folkmoot_config.settings import Settings
from folkmoot_server.commands.organisation import EnrolmentLink, NewPerson, bootstrap_organisation
from folkmoot_server.demo import officers, votes
from folkmoot_server.demo.client import Person
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.realtime.vote_clock import VoteScheduler
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_server.storage.database import Database
from folkmoot_server.web.context import Context
from folkmoot_voting import board, challenges, merkle_log, signing, tally
from folkmoot_voting.casting import FIRST, Place, make_ballot
from folkmoot_voting.encoding import JsonObject, b64u, h, jcs, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import cells_of_one
from folkmoot_voting.roll import verify_statement
from folkmoot_voting.trustee import Trustee

YES, NO, ABSTAIN = 0, 1, 2
OFFICERS = (
    NewPerson("Lan Nguyen", None, ("chair",)),
    NewPerson("Jonas Keller", None, ("secretary", "registrar")),
    NewPerson("Ana Silva", None, ("teller",)),
    NewPerson("Paul Martin", None, ("teller",)),
    NewPerson("Amira Haddad", None, ("teller",)),
)
OTHERS = (NewPerson("Karin Vogel", None, ("auditor",)), NewPerson("Binh Tran", None, ()))


@dataclass
class Hall:
    """One installation with its people; `open_server` makes it."""

    settings: Settings
    clock: Any
    seed: bytes
    database: Database
    context: Context
    scheduler: VoteScheduler
    people: list[Person] = field(default_factory=list)
    credentials: dict[str, bytes] = field(default_factory=dict)
    meeting: str = ""
    item: str = ""
    authority: Authority | None = None

    @property
    def chair(self) -> Person:
        return self.people[0]

    @property
    def secretary(self) -> Person:
        return self.people[1]

    @property
    def tellers(self) -> list[Person]:
        return self.people[2:5]

    @property
    def officers(self) -> list[Person]:
        return self.people[:5]

    @property
    def auditor(self) -> Person:
        return self.people[5]

    @property
    def plain(self) -> Person:
        """A member without an office who has not checked in."""
        return self.people[6]

    def path(self, rest: str) -> str:
        return f"/api/meetings/{self.meeting}{rest}"

    def election_path(self, election: str, rest: str) -> str:
        return self.path(f"/elections/{election}{rest}")

    async def read(self, run: Callable[[Connection], Any]) -> Any:
        return await self.database.read(run)

    async def settle(self, seconds: int = 0) -> None:
        """Let time pass and the scheduler do what is due."""
        self.clock.at += seconds
        await self.scheduler.tick()

    async def view(self, person: Person) -> dict[str, Any]:
        return dict(await person.get(self.path("")))

    async def events(self, kind: str) -> list[dict[str, Any]]:
        found = (await self.chair.get(self.path("/events?after=0")))["events"]
        return [event for event in found if event["type"] == kind]


@asynccontextmanager
async def serve(
    folder: Path,
    clock: Callable[[], int] | None = None,
    seed: bytes | None = None,
    port: int = 0,
    authority: Authority | None = None,
    **changes: Any,
) -> AsyncIterator[Hall]:
    """Run the HTTP interface on a loopback port (a free one for 0) over the database in `folder`.

    With an authority it is https, at the test host.
    """
    listener = socket.create_server(("127.0.0.1", port))
    origin = Origin("https" if authority else "http", authority).url(listener.getsockname()[1])
    defaults = {"data": folder, "public_url": origin, "closing_grace_s": 2, "publish_batch_min": 3}
    settings = Settings(**{**defaults, **changes})
    database = Database(folder / "folkmoot.db")
    pool = MediaPool(MediaPoolSettings(folder))
    media = MediaSignalling(pool, lambda *_: None)
    seed = seed or secrets.token_bytes(32)
    clock = clock or Clock()
    context = Context(settings, database, media, seed, clock, secrets.token_bytes)
    runner = web.AppRunner(application(context), access_log=None)
    await runner.setup()
    tls = None
    if authority is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(authority.certificate, authority.key)
    await web.SockSite(runner, listener, ssl_context=tls).start()
    hall = Hall(settings, clock, seed, database, context, VoteScheduler(context), authority=authority)
    try:
        yield hall
    finally:
        for person in hall.people:
            await person.__aexit__(None, None, None)
        await runner.cleanup()
        database.close()


async def found(database: Database, now: int, people: Sequence[NewPerson] = OFFICERS + OTHERS) -> list[EnrolmentLink]:
    """Found the organisation; return a link for everyone."""
    return await database.write(
        lambda tx: bootstrap_organisation(
            tx, name="Valley Cooperative", units=(), people=people, now=now, rng=secrets.token_bytes
        )
    )


async def enrol(hall: Hall, links: Sequence[EnrolmentLink]) -> None:
    """Enrol a software passkey for everyone."""
    for link in links:
        person = Person(hall.settings.public_url, link.name, connector(hall.authority))
        hall.people.append(person)
        await person.enrol(f"{hall.settings.public_url}/enrol#{link.token}")


async def enrol_everybody(hall: Hall, people: Sequence[NewPerson] = OFFICERS + OTHERS) -> None:
    """Found the organisation, enrol everyone and have second officers confirm that."""
    await enrol(hall, await found(hall.database, hall.clock(), people))
    await officers.confirm_everybody(hall.chair, hall.secretary)


_MOULDS: dict[tuple[NewPerson, ...], tuple[Path, bytes, list[PersonState]]] = {}


@asynccontextmanager
async def enrolled(
    folder: Path, people: Sequence[NewPerson] = OFFICERS + OTHERS, **changes: Any
) -> AsyncIterator[Hall]:
    """A running server on which everybody has enrolled: made once by real requests, then copied."""
    key = tuple(people)
    if key not in _MOULDS:
        seed = secrets.token_bytes(32)
        async with serve(folder, seed=seed, **changes) as hall:
            await enrol_everybody(hall, people)
            _MOULDS[key] = mould(folder / "folkmoot.db"), seed, [PersonState.of(one) for one in hall.people]
            yield hall
        return
    database, seed, states = _MOULDS[key]
    shutil.copyfile(database, folder / "folkmoot.db")
    async with serve(folder, seed=seed, **changes) as hall:
        hall.people = [state.person(hall.settings.public_url) for state in states]
        yield hall


async def convene(hall: Hall, **changes: Any) -> None:
    """Write down and convene a meeting."""
    ours = {"title": "Annual general meeting", "starts_at": hall.clock(), **changes}
    hall.meeting = await drafts.meeting(hall.secretary, ("Budget", "Any other business"), **ours)
    hall.item = (await hall.view(hall.secretary))["agenda"][0]["id"]
    await hall.secretary.post(hall.path("/commands"), {"command": "convene"})


def question(hall: Hall, **changes: Any) -> dict[str, Any]:
    """The body of POST questions."""
    return drafts.question(hall.item, **changes)


async def draft(hall: Hall, **changes: Any) -> str:
    return str((await hall.secretary.post(hall.path("/questions"), question(hall, **changes)))["election"])


async def check_in(hall: Hall, people: Sequence[Person]) -> None:
    for person in people:
        hall.credentials[person.member] = await votes.check_in(person, hall.meeting)


@dataclass
class Ready:
    """A meeting in which votes can be opened."""

    tellers: list[votes.Teller]
    cosigners: list[votes.Cosigner]


async def prepare(hall: Hall) -> Ready:
    """Everything up to the opened meeting: roll, check-in of the five officers, key, cosigners."""
    await convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    await check_in(hall, hall.officers)
    tellers = await votes.make_key(hall.tellers, hall.meeting)
    cosigners = [await votes.name_cosigner(person, hall.meeting) for person in hall.officers]
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    return Ready(tellers, cosigners)


def cells(manifest: Manifest, choice: int | Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
    """The cells of a choice; a number is one option of the only question."""
    return [cells_of_one(manifest.questions[0], choice)] if isinstance(choice, int) else choice


def seal(
    hall: Hall, person: Person, manifest: Manifest, choice: int | Sequence[Sequence[int]], place: Place = FIRST
) -> JsonObject:
    """A sealed ballot of a checked-in member."""
    seed = hall.credentials[person.member]
    return make_ballot(manifest, seed, cells(manifest, choice), secrets.token_bytes, place)


async def send(hall: Hall, person: Person, ballot: JsonObject) -> JsonObject:
    election = (await hall.view(person))["elections"][-1]["election"]
    path = hall.election_path(election, "/ballots")
    return dict((await person.post(path, {"ballot": ballot}))["promise"])


async def cast_all(hall: Hall, manifest: Manifest, choices: Sequence[Any]) -> list[JsonObject]:
    """The officers cast in order, one choice each; return the ballots."""
    ballots = []
    for person, choice in zip(hall.officers, choices, strict=False):
        ballot = seal(hall, person, manifest, choice)
        await person.post(hall.election_path(manifest.election, "/ballots"), {"ballot": ballot})
        ballots.append(ballot)
    return ballots


def step_up(kind: str, hall: Hall, election: str) -> dict[str, Any]:
    action: dict[str, Any] = {"type": kind, "meeting": hall.meeting, "election": election}
    return {**action, "repeats": []} if kind == "open-election" else action


async def close(hall: Hall, election: str) -> None:
    """The chair closes, the grace passes, the board is sealed."""
    await hall.chair.act(hall.election_path(election, "/close"), step_up("close-election", hall, election))
    await hall.settle(hall.settings.closing_grace_s + 1)


async def whole_board(hall: Hall, election: str) -> dict[str, Any]:
    return dict(await hall.chair.get(hall.election_path(election, "/board?from=0")))


async def cosign(hall: Hall, manifest: Manifest, cosigners: Sequence[votes.Cosigner]) -> None:
    await votes.cosign(cosigners, hall.meeting, manifest)


async def own_aggregate(hall: Hall, manifest: Manifest) -> tuple[tally.Aggregate, merkle_log.Checkpoint]:
    """The sum of the published ballots and the closing checkpoint."""
    view = await whole_board(hall, manifest.election)
    entries = [json.loads(entry) for entry in view["entries"]]
    electorate = (await hall.chair.get(hall.election_path(manifest.election, "/manifest")))["electorate"]
    total = votes.counted_sum(manifest, electorate, entries)
    return total, merkle_log.parse_note(view["closing"]).checkpoint


def intent(teller: votes.Teller, manifest: Manifest, closing: bytes, aggregate: bytes) -> JsonObject:
    return board.intent_entry(teller.trustee.index, manifest.hash, closing, aggregate, teller.trustee.seed)


def share(teller: votes.Teller, manifest: Manifest, total: tally.Aggregate) -> JsonObject:
    index, seed = teller.trustee.index, teller.trustee.seed
    secret = teller.trustee.secret_share(teller.state)
    parts = tally.partial_decrypt(manifest, total, index, secret, secrets.token_bytes)
    return board.share_entry(index, manifest.hash, total.hash, parts, seed)


async def sign_tally(hall: Hall, manifest: Manifest, person: Person, seed: bytes, trustee: int) -> tuple[int, str]:
    """Sign the stored core as chair (trustee 0) or trustee; return status and code."""
    path = hall.election_path(manifest.election, "/tally")
    core = (await person.get(path))["core"]
    body = {
        "signer": "trustee" if trustee else "chair",
        "trustee": trustee,
        "sig": b64u(signing.sign(seed, tally.tally_hash(core))),
    }
    return await refusal(person, f"{path}/signatures", body)


async def hold_vote(hall: Hall, ready: Ready, choices: Sequence[Any], **changes: Any) -> Manifest:
    """Open, cast, close, cosign, count with two tellers, declare."""
    election = await draft(hall, **changes)
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    await cast_all(hall, manifest, choices)
    await hall.settle(hall.settings.publish_every_s)
    await close(hall, election)
    await cosign(hall, manifest, ready.cosigners)
    if not manifest.secret:
        await hall.settle()
    elif len(choices) >= 3:
        await votes.count(ready.tellers[:2], hall.meeting, manifest)
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    return manifest


def connect(hall: Hall) -> sqlite3.Connection:
    """A connection of our own to the database file."""
    return sqlite3.connect(hall.database.path)


def rows(hall: Hall) -> dict[str, list[Any]]:
    """Every row of every table."""
    with sqlite3.connect(f"file:{hall.database.path}?mode=ro", uri=True) as raw:
        tables = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: list(raw.execute(f'SELECT * FROM "{table}"')) for table in tables}  # noqa: S608  our own names


def fingerprint(hall: Hall) -> dict[str, str]:
    """A hash of every table but `nonce`."""
    return {
        table: hashlib.sha256(repr(sorted(map(repr, content))).encode()).hexdigest()
        for table, content in rows(hall).items()
        if table != "nonce"
    }


async def refused(hall: Hall, person: Person, path: str, body: object, method: str = "POST") -> tuple[int, str]:
    """Send what must be refused, see that nothing at all has changed, return status and code."""
    before = fingerprint(hall)
    status, code = await refusal(person, path, body, method)
    assert status != 200, f"{path} was accepted"
    assert fingerprint(hall) == before
    return status, code


async def opened(hall: Hall, **changes: Any) -> tuple[Ready, Manifest]:
    """A meeting with an open election."""
    ready = await prepare(hall)
    election = await draft(hall, **changes)
    return ready, await votes.open_election(hall.chair, hall.meeting, election)


async def roll_hash(hall: Hall) -> bytes:
    """The hash of the meeting's frozen roll."""
    return verify_statement((await hall.chair.get(hall.path("/roll")))["statement"]).hash


async def trustee_statement(person: Person, trustee: Trustee) -> dict[str, Any]:
    """A trustee's passkey over the keys of a register message."""
    return await person.signed("trustee", trustee.challenge)


async def act(hall: Hall, person: Person, election: str, verb: str) -> dict[str, Any]:
    """The body of POST open or close, signed."""
    action = step_up(f"{verb}-election", hall, election)
    return {"action": action, "signed": await person.signed("action", lambda nonce: challenges.action(action, nonce))}


def statement_hash(salt: bytes, statement: JsonObject) -> bytes:
    """The salted hash of a statement (voting.md sections 6 and 9)."""
    return h("fm1/statement", salt, jcs(statement))


def flip(text: str, position: int) -> str:
    """A byte string with one bit changed."""
    raw = bytearray(unb64u(text))
    raw[position] ^= 1
    return b64u(bytes(raw))
