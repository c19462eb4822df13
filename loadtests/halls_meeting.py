"""The meeting of loadtests/halls.py: its server, its people with passkeys, and their phones, wherever they are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random  # noqa: TID251  seeded names; never keys
from typing import Any, Final

import aiohttp
from loadtests.halls_net import SHORT_S, HallPlace, Net
from loadtests.halls_phone import ORIGIN, Acknowledged, Figures, Phone, until
from loadtests.l0_link import Link

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.commands.organisation import bootstrap_organisation
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.demo.officers import confirm_everybody
from folkmoot_server.demo.organisation import DEMO_NAME, DEMO_UNITS, people
from folkmoot_server.demo.questions import BUDGET, Asked
from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.encoding import b64u, jcs
from folkmoot_voting.manifest import Manifest

TELLERS: Final = 3
OFFICERS: Final = 2 + TELLERS
TOGETHER: Final = 10
FIRST: Final = {"chair": 0, "secretary": 1, "teller": 2}
PROBE: Final = 16_384


@dataclass
class Hall:
    """A hall with the phones of its members; those in `late` are on its seat list and come during the cut."""

    place: HallPlace
    homes: list[Person]
    site: str = ""
    code: str = ""
    doors: dict[str, str] = field(default_factory=dict)
    on_pages: list[Person] = field(default_factory=list)
    phones: list[Phone] = field(default_factory=list)
    late: list[Phone] = field(default_factory=list)

    @property
    def custodian(self) -> Phone:
        """The first of its members looks after it."""
        return self.phones[0]

    @property
    def everybody(self) -> list[Phone]:
        """All phones."""
        return [*self.phones, *self.late]

    def receipts(self) -> list[Acknowledged]:
        """What its relay has acknowledged."""
        return [one for phone in self.everybody for one in phone.receipts]


@dataclass
class Assembly:
    """The meeting with everybody in it."""

    net: Net
    stack: AsyncExitStack
    halls: list[Hall] = field(default_factory=list)
    alone: list[Phone] = field(default_factory=list)
    officers: list[Phone] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)
    links: list[dict[str, str]] = field(default_factory=list)
    lines: list[Link] = field(default_factory=list)
    tellers: list[votes.Teller] = field(default_factory=list)
    cosigners: list[votes.Cosigner] = field(default_factory=list)
    pages_alone: int = 0
    meeting: str = ""
    item: str = ""

    @property
    def chair(self) -> Phone:
        """The chair."""
        return self.officers[0]

    @property
    def secretary(self) -> Phone:
        """Secretary and registrar."""
        return self.officers[1]

    def path(self, rest: str = "") -> str:
        """An API path of the meeting."""
        return f"/api/meetings/{self.meeting}{rest}"

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Read the hub's database beside the hub."""
        name = self.net.folder / "data" / "folkmoot.db"
        with contextlib.closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True)) as raw:
            return list(raw.execute(query, values))

    def relay_row(self, hall: Hall) -> tuple[str, int]:
        """Return the id of a hall's relay and how many of its entries the hub has."""
        (found,) = self.rows("SELECT id, upto FROM relay WHERE site = ?", hall.site)
        return str(found[0]), int(found[1])

    async def command(self, command: str, **fields: Any) -> None:
        """Let the chair send a command."""
        await self.chair.post(self.path("/commands"), {"command": command, **fields})

    async def found(self, members: int, settings: dict[str, str]) -> None:
        """Make the organisation and start the hub."""
        data = self.net.folder / "data"
        database = app.open_database(Settings(data=data, public_url=ORIGIN))
        roster = people(members, TELLERS, Random(1))
        await database.write(
            lambda tx: bootstrap_organisation(
                tx, name=DEMO_NAME, units=DEMO_UNITS, people=roster, now=app.now_s(), rng=secrets.token_bytes
            )
        )
        database.close()
        self.hub = self.net.server(settings)
        await self.hub.start()
        said = self.net.folder / "links.json"

        async def there() -> bool:
            return said.exists()

        await until(there, "the links")
        links = json.loads(said.read_text())["links"]
        self.links = sorted(links, key=lambda link: FIRST.get(link["role"], len(FIRST)))

    async def enrol(self, links: Sequence[dict[str, str]]) -> None:
        """Let people make their passkeys in software, at the hub's address, before they go where they sit."""
        for link in links:
            person = Person(ORIGIN, link["name"], self.net.connector(self.net.hub, SHORT_S))
            self.stack.push_async_callback(person.__aexit__)
            await person.enrol(link["url"])
            self.persons.append(person)

    async def convene(self, sizes: Sequence[int], singles: int) -> None:
        """Write the meeting down with its halls, freeze the roll and begin to check in."""
        chair, secretary = self.persons[:2]
        await confirm_everybody(chair, secretary)
        units = (await secretary.get("/api/organisation"))["units"]
        body = {
            "title": "Assembly in many places",
            "unit": next(unit["id"] for unit in units if unit["parent"] is None),
            "starts_at": app.now_s(),
            "time_zone": "Europe/Berlin",
            "agenda": [{"title": "Budget"}],
            "quorum": {"num": 1, "den": 2},
        }
        self.meeting = (await secretary.post("/api/meetings", body))["id"]
        self.item = (await secretary.get(self.path()))["agenda"][0]["id"]
        others = self.persons[OFFICERS:]
        for number, size in enumerate(sizes):
            hall = Hall(await self.net.hall(), others[:size])
            others = others[size:]
            self.halls.append(hall)
            wanted: Figures = {"name": f"Hall {number + 1}", "custodian": hall.homes[0].member}
            hall.site = (await secretary.post(self.path("/sites"), {**wanted, "expected": size, "profile": 64}))[
                "site"
            ]
            path = self.path(f"/sites/{hall.site}/relay-code")
            hall.code = str((await secretary.post(path, {"origin": hall.place.origin}))["code"])
        await secretary.post(self.path("/commands"), {"command": "convene"})
        await votes.freeze_roll(secretary, self.meeting)
        await chair.post(self.path("/commands"), {"command": "begin-check-in"})
        await self._spread(others[:singles])

    async def _spread(self, singles: Sequence[Person]) -> None:
        """Give everybody a phone where they sit, and start the relays."""
        for person in self.persons[:OFFICERS]:
            self.officers.append(self._phone(person, ORIGIN, self.net.connector(self.net.hub)))
        for person in singles:
            link, place = await self.net.line()
            self.lines.append(link)
            self.alone.append(self._phone(person, ORIGIN, self.net.connector(place)))
        for hall in self.halls:
            await hall.place.relay.start("--code", hall.code)
            for person in hall.homes:
                connector = self.net.connector(hall.place.lan)
                hall.phones.append(self._phone(person, hall.place.origin, connector))

    def _phone(self, home: Person, origin: str, connector: aiohttp.BaseConnector) -> Phone:
        phone = Phone(home, origin, connector, self.meeting)
        self.stack.push_async_callback(phone.__aexit__)
        return phone

    # -- coming in ----------------------------------------------------------------------------------------------

    async def arrive(self) -> Figures:
        """Test the lines, sign the seats and check everybody in but those who come late; return what it took."""
        began = time.monotonic()
        for phone in self.officers:
            await phone.sign_in()
            await self._enter(phone, None)
        found: Figures = {"officers_s": round(time.monotonic() - began, 1)}
        for hall in self.halls:
            began = time.monotonic()
            found[hall.place.origin] = await self._fill(hall)
            found[hall.place.origin]["s"] = round(time.monotonic() - began, 1)
        found["alone_s"] = []
        for phone in self.alone:
            began = time.monotonic()
            await phone.sign_in()
            await self._enter(phone, None)
            found["alone_s"].append(round(time.monotonic() - began, 1))
        return found

    async def _enter(self, phone: Phone, where: dict[str, str] | None) -> None:
        phone.seed = await votes.check_in(phone, self.meeting, phone.seed, where)
        phone.last_seq = int((await phone.get(self.path()))["seq"])
        phone.stay()

    async def _fill(self, hall: Hall) -> Figures:
        custodian = hall.custodian
        await custodian.sign_in()
        found: Figures = {"line": await self.test_line(hall)}
        code = (await custodian.get(self.path(f"/sites/{hall.site}/code")))["code"]
        custodian.site = hall.site
        hall.doors = where = {"site": hall.site, "code": code}
        await self._enter(custodian, where)

        async def come(phone: Phone) -> None:
            await phone.sign_in()
            await self._enter(phone, where)

        here = hall.phones[1:]
        for start in range(0, len(here), TOGETHER):
            await asyncio.gather(*(come(phone) for phone in here[start : start + TOGETHER]))
        found["signed"] = await self.sign_seats(hall)
        return found

    async def test_line(self, hall: Hall) -> Figures:
        """Measure the line as the hall's page does, and tell the hub."""
        custodian, path = hall.custodian, self.path(f"/sites/{hall.site}/probe")
        began = time.monotonic()
        await custodian.raw("GET", f"{path}?bytes=1")
        rtt = time.monotonic() - began
        began = time.monotonic()
        await custodian.raw("GET", f"{path}?bytes={PROBE}")
        down = time.monotonic() - began
        headers = {"Origin": custodian.origin, "Sec-Fetch-Site": "same-origin"}
        headers["Content-Type"] = "application/octet-stream"
        began = time.monotonic()
        async with custodian._http.post(custodian.origin + path, data=bytes(PROBE), headers=headers) as answer:
            now_ms = int((await answer.json())["now_ms"])
        up = time.monotonic() - began
        found = {
            "rtt_ms": round(rtt * 1000),
            "loss_permille": None,
            "up_kbps": round(PROBE * 8 / 1000 / max(0.001, up - rtt)),
            "down_kbps": round(PROBE * 8 / 1000 / max(0.001, down - rtt)),
            "clock_ms": round(now_ms - time.time() * 1000),
            "sound": True,
            "picture": True,
        }
        await custodian.post(self.path(f"/sites/{hall.site}/test"), found)
        return found

    async def sign_seats(self, hall: Hall) -> int:
        """Let the custodian sign who belongs to the hall; return how many."""
        seats = sorted(person.member for person in (*hall.everybody, *hall.on_pages))
        digest = b64u(hashlib.sha256(jcs(seats)).digest())
        action = {"type": "sign-seats", "meeting": self.meeting, "site": hall.site, "hash": digest}
        await hall.custodian.act(self.path(f"/sites/{hall.site}/seats"), action, seats=seats)
        return len(seats)

    async def begin(self) -> None:
        """Make the tellers' and cosigners' keys and open the meeting."""
        self.tellers = await votes.make_key(self.officers[2:], self.meeting)
        self.cosigners = [await votes.name_cosigner(person, self.meeting) for person in self.officers]
        await self.command("open")
        await self.command("start-item", item=self.item)

    # -- votes --------------------------------------------------------------------------------------------------

    async def open_vote(self, title: str, grace_s: int) -> Manifest:
        """Open a secret vote, and wait until every relay that is linked holds it."""
        body = Asked(title, BUDGET).draft(self.item, grace_s=grace_s)
        election = (await self.secretary.post(self.path("/questions"), body))["election"]
        manifest = await votes.open_election(self.chair, self.meeting, election)
        for hall in self.halls:

            async def held(hall: Hall = hall) -> bool:
                return await hall.place.holds(election)

            await until(held, f"the manifest in {hall.place.origin}")
        return manifest

    async def close_vote(self, manifest: Manifest) -> None:
        """Close it and wait for the closing checkpoint, which comes after its grace."""
        await votes.close_election(self.chair, self.meeting, manifest.election)

    async def count(self, manifest: Manifest) -> Figures:
        """Cosign, open the box and declare; return the tally's core."""
        await votes.cosign(self.cosigners, self.meeting, manifest)
        await votes.count(self.tellers[: manifest.trustees.threshold], self.meeting, manifest)
        return await votes.declare(self.cosigners[0], self.meeting, manifest)

    async def leaves(self, manifest: Manifest) -> list[str]:
        """Return the leaves of all ballots on the board, in their order."""
        entries = (await votes.whole_board(self.chair, self.meeting, manifest.election))["entries"]
        return [b64u(ballot_leaf(one["ballot"])) for one in entries if one["type"] == "ballot"]

    async def events(self) -> list[Figures]:
        """Return all events of the meeting."""
        found: list[Figures] = []
        while True:
            after = found[-1]["seq"] if found else 0
            more = (await self.secretary.get(self.path(f"/events?after={after}")))["events"]
            if not more:
                return found
            found += more
