"""A running server with real sockets and SQLite, members with software passkeys, and a clock that tests move."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import socketio
from aiohttp import web
from tests.server.common import START, Clock, PersonState, application, free_port, mould, refusal

from folkmoot_config.settings import Settings
from folkmoot_server import sfu_client
from folkmoot_server.commands.organisation import EnrolmentLink, NewPerson, bootstrap_organisation, enrolment_url
from folkmoot_server.demo import officers, votes
from folkmoot_server.demo.client import Person
from folkmoot_server.realtime.media_signalling import MediaSignalling
from folkmoot_server.realtime.sockets import Realtime
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_server.storage.database import Database
from folkmoot_server.web.context import Context
from folkmoot_voting import challenges
from folkmoot_voting.encoding import unb64u

PEOPLE = (
    NewPerson("Lan Nguyen", None, ("chair",)),
    NewPerson("Jonas Keller", None, ("secretary", "registrar")),
    NewPerson("Ana Silva", None, ("teller",)),
    NewPerson("Paul Martin", None, ("teller",)),
    NewPerson("Amira Haddad", None, ("teller",)),
    NewPerson("Karin Vogel", None, ("auditor",)),
    NewPerson("Binh Tran", "Upper village", ()),
    NewPerson("Greta Weber", "Lower village", ()),
)


LOCAL = "127.0.0.1"
CONNECT_S = 60
"""How long a socket may take to be let in, and a worker to start, on a machine with other work."""


@dataclass
class House:
    """One installation with its people."""

    settings: Settings
    clock: Clock
    context: Context
    realtime: Realtime
    links: list[EnrolmentLink]
    people: dict[str, Person] = field(default_factory=dict)
    strangers: list[Person] = field(default_factory=list)
    meeting: str = ""
    items: list[str] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)

    def __getattr__(self, name: str) -> Person:
        """People by first name in small letters, and by their office."""
        office = {"chair": "lan", "secretary": "jonas", "auditor": "karin"}.get(name, name)
        if office not in self.people:
            raise AttributeError(name)
        return self.people[office]

    @property
    def origin(self) -> str:
        return self.settings.public_url

    def path(self, rest: str = "") -> str:
        return f"/api/meetings/{self.meeting}{rest}"

    def stranger(self, name: str = "stranger") -> Person:
        """Somebody with a browser and no session."""
        person = Person(self.origin, name)
        self.strangers.append(person)
        return person

    def link(self, name: str) -> str:
        found = next(link for link in self.links if link.name.lower().startswith(name))
        return enrolment_url(self.origin, found.token)

    async def enrol(self, *names: str) -> None:
        """Enrol people by first name, or everybody."""
        for link in self.links:
            first = link.name.split()[0].lower()
            if first in self.people or (names and first not in names):
                continue
            person = self.people[first] = Person(self.origin, link.name)
            await person.enrol(enrolment_url(self.origin, link.token))

    async def draft(self, **changes: Any) -> str:
        """Write down a meeting of the whole organisation."""
        units = (await self.people["jonas"].get("/api/organisation"))["units"]
        body = {
            "title": "Annual general meeting",
            "unit": units[0]["id"],
            "starts_at": START,
            "time_zone": "Europe/Berlin",
            "agenda": [{"title": "Budget"}, {"title": "Any other business"}],
            "quorum": {"num": 1, "den": 2},
            **changes,
        }
        self.meeting = (await self.people["jonas"].post("/api/meetings", body))["id"]
        self.items = [item["id"] for item in (await self.view("jonas"))["agenda"]]
        return self.meeting

    async def confirm(self) -> None:
        """Let the chair and the secretary be everybody's second officers."""
        await officers.confirm_everybody(self.people["lan"], self.people["jonas"])

    async def begin(self) -> None:
        """Confirm passkeys, draft, convene, freeze the roll and begin check-in."""
        await self.confirm()
        await self.draft()
        await self.command("jonas", "convene")
        await votes.freeze_roll(self.people["jonas"], self.meeting)
        await self.command("lan", "begin-check-in")

    async def begin_quietly(self) -> None:
        """Freeze the roll and begin check-in of a meeting that is convened."""
        await self.confirm()
        await votes.freeze_roll(self.people["jonas"], self.meeting)
        await self.command("lan", "begin-check-in")

    async def second_chair(self, name: str) -> None:
        """Give somebody the role of chair beside the first one."""
        lan, member = self.people["lan"], self.people[name].member
        unit = (await lan.get("/api/organisation"))["units"][0]["id"]
        wanted = {"member": member, "role": "chair", "unit": unit, "until": self.clock.at + 10**7}
        await lan.act("/api/grants", {"type": "grant-role", **wanted}, **wanted)

    async def check_in(self, *names: str) -> None:
        for name in names:
            await votes.check_in(self.people[name], self.meeting)

    async def view(self, name: str) -> dict[str, Any]:
        return dict(await self.people[name].get(self.path()))

    async def command(self, name: str, command: str, **fields: Any) -> int:
        answer = await self.people[name].post(self.path("/commands"), {"command": command, **fields})
        return int(answer["seq"])

    async def refused(self, name: str, command: str, **fields: Any) -> str:
        """Send a command that must be refused; return its code."""
        return (await refusal(self.people[name], self.path("/commands"), {"command": command, **fields}))[1]

    async def events(self, kind: str = "") -> list[dict[str, Any]]:
        found = (await self.people["lan"].get(self.path("/events?after=0")))["events"]
        return [event for event in found if kind in ("", event["type"])]

    async def close(self) -> None:
        for heard in self.sockets:
            await heard.client.disconnect()
        for person in (*self.people.values(), *self.strangers):
            await person.__aexit__()


class Socket:
    """A real Socket.IO client that keeps what it was told."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: list[dict[str, Any]] = []
        self.counters: list[dict[str, Any]] = []
        self.goodbyes: list[dict[str, Any]] = []
        self.media: list[dict[str, Any]] = []
        self.gone = False
        self._changed = asyncio.Event()
        for name, kept in (
            ("event", self.events),
            ("counter", self.counters),
            ("goodbye", self.goodbyes),
            ("media", self.media),
        ):
            self.client.on(name, self._keeper(kept))
        self.client.on("disconnect", self._ended)

    def _keeper(self, kept: list[dict[str, Any]]) -> Callable[[dict[str, Any]], None]:
        def keep(told: dict[str, Any]) -> None:
            kept.append(told)
            self._changed.set()

        return keep

    def _ended(self, *_: object) -> None:
        self.gone = True
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` holds after something was heard."""
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def call(self, event: str, data: object) -> dict[str, Any]:
        return dict(await self.client.call(event, data, timeout=20))

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


async def ticket_for(person: Person, meeting: str) -> str:
    return str((await person.post("/api/socket-ticket", {"meeting": meeting}))["ticket"])


async def connect(house: House, name: str, after: int = 0) -> Socket:
    """Connect one of the people to the house's meeting."""
    heard = Socket()
    ticket = await ticket_for(house.people[name], house.meeting)
    await heard.client.connect(
        house.origin,
        headers={"Origin": house.origin},
        auth={"ticket": ticket, "after": after},
        transports=["websocket"],
        wait_timeout=CONNECT_S,
    )
    house.sockets.append(heard)
    return heard


async def sign_in(person: Person) -> dict[str, Any]:
    """Sign in with the person's passkey; the cookie lands in the person's jar."""
    begun = await person.post("/api/sign-in/begin")
    credential = person.authenticator.authenticate(challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"])))
    body = {"nonce": begun["nonce"], "credential": credential}
    person.session = await person.post("/api/sign-in/finish", body)
    return dict(person.session)


_HELD: dict[int, socket.socket] = {}
"""Ports that are ours for the whole run: nobody else is given them, and our own servers share them by turns."""


def held_port() -> int:
    """A port to which one test server after the other can be bound."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind((LOCAL, 0))  # it never listens
    port = int(holder.getsockname()[1])
    _HELD[port] = holder
    return port


@asynccontextmanager
async def serve(
    folder: Path,
    *,
    port: int = 0,
    media_worker: bool = False,
    address: str = LOCAL,
    seed: bytes | None = None,
    people: Sequence[NewPerson] = PEOPLE,
    **changes: Any,
) -> AsyncIterator[House]:
    """Run the application on a free port with the demonstration roster, or these people; nobody has enrolled yet.

    It is reached on this machine, and its media and a second port of the same number at `address`.
    """
    port, clock = port or free_port(), Clock()
    settings = Settings(data=folder, port=port, public_url=f"http://localhost:{port}", **changes)
    database = Database(folder / "folkmoot.db")
    links = await database.write(
        lambda tx: bootstrap_organisation(
            tx,
            name="Valley Cooperative",
            units=("Upper village", "Lower village"),
            people=people,
            now=clock.at,
            rng=secrets.token_bytes,
            only_if_empty=True,
        )
    )
    # A pool that was not started refuses rooms, as when every media worker is down.
    pool = MediaPool(MediaPoolSettings(folder / "run", address, (address,), workers=1))
    if media_worker:
        with mock.patch.object(sfu_client, "START_TIMEOUT", CONNECT_S):
            await pool.start()
    holder: list[Realtime] = []
    media = MediaSignalling(pool, lambda *told: holder[0].notify_media(*told))
    context = Context(settings, database, media, seed or secrets.token_bytes(32), clock, secrets.token_bytes)
    realtime = Realtime(context)
    holder.append(realtime)
    app = application(context)
    realtime.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, lingering_time=1)
    await runner.setup()
    for place in {LOCAL, address}:
        await web.TCPSite(runner, place, port, reuse_port=port in _HELD).start()
    await realtime.start()
    house = House(settings, clock, context, realtime, links)
    try:
        yield house
    finally:
        await house.close()
        await realtime.close()
        await runner.cleanup()
        await media.close()
        await pool.close()
        database.close()


# -- a house at check-in: made once by real requests, then copied --------------------------------------------------


@dataclass(frozen=True)
class _Mould:
    """What a house was when its check-in had begun; the roll names the port, so that every copy keeps it."""

    database: Path
    port: int
    seed: bytes
    meeting: str
    items: list[str]
    links: list[EnrolmentLink]
    people: dict[str, PersonState]


_MOULDS: dict[tuple[Any, ...], _Mould] = {}


def _mould(house: House, seed: bytes) -> _Mould:
    people = {first: PersonState.of(person) for first, person in house.people.items()}
    database, port = mould(house.settings.data / "folkmoot.db"), house.settings.port
    return _Mould(database, port, seed, house.meeting, list(house.items), house.links, people)


def _copy(database: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copyfile(database, folder / "folkmoot.db")


@asynccontextmanager
async def at_check_in(folder: Path, *names: str, media_worker: bool = False, **changes: Any) -> AsyncIterator[House]:
    """A house whose people (all, or these) have enrolled and whose meeting is at check-in."""
    key = (names, *sorted(changes.items()))
    kept = _MOULDS.get(key)
    if kept is None:
        seed = secrets.token_bytes(32)
        async with serve(folder, port=held_port(), media_worker=media_worker, seed=seed, **changes) as house:
            await house.enrol(*names)
            await house.begin()
            _MOULDS[key] = _mould(house, seed)
            yield house
        return
    _copy(kept.database, folder)
    async with serve(folder, port=kept.port, media_worker=media_worker, seed=kept.seed, **changes) as house:
        house.links = list(kept.links)
        house.people = {first: state.person(house.origin) for first, state in kept.people.items()}
        house.meeting, house.items = kept.meeting, list(kept.items)
        yield house
