"""Who is in the hall of loadtests/clients_at_hall.py: members' pages, the wall, and seats with sound and pictures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from typing import Any, Final

import aiohttp
from loadtests.halls_net import Net, Place
from loadtests.halls_phone import Phone
from loadtests.l0_member import Member
from loadtests.seats import Seat
from tests.media.test_drain import Link

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import LEASE_EVERY_S, DemoError, Line, Person
from folkmoot_voting.manifest import Manifest

YES: Final = ((1, 0, 0),)
PATIENCE_S: Final = 60.0
OK: Final = 200


class Client(Member):
    """A member's page at the relay's address; it asks for the snapshot again by the pages' own rules."""

    def __init__(self, home: Person, origin: str, connector: aiohttp.BaseConnector, meeting: str) -> None:
        """Take over the passkey of `home`."""
        super().__init__(origin, home.name, connector, meeting)
        self.session, self.authenticator = home.session, home.authenticator
        self.authenticator.origin = origin
        self.seed = secrets.token_bytes(32)
        self._polling: asyncio.Task[None] | None = None
        self._turning: set[asyncio.Task[None]] = set()
        self.shown = 0

    async def come(self, where: dict[str, str]) -> None:
        """Sign in, open the room, and check in at the hall; return when the room shows it."""
        await self.sign_in()
        await self.enter()
        await votes.check_in(self, self.meeting, self.seed, where)
        await self.until(lambda: bool(self.heard("MemberCheckedIn", member=self.member)), "its own check-in")
        await self.quiet()

    async def raise_hand(self) -> None:
        """Ask to speak, and hear that it is so."""
        await self.post(self.path("/commands"), {"command": "raise-hand"})
        await self.until(lambda: bool(self.heard("HandRaised", member=self.member)), "its hand")

    async def cast(self, manifest: Manifest) -> None:
        """Open the booth, announce and cast."""
        await self.vote(manifest.election, self.seed, YES)

    def _take(self, text: str) -> None:
        super()._take(text)
        event = json.loads(text[2:])[1]
        if event["type"] == "PagePresented" and event["body"]["paper"]:
            task = asyncio.create_task(self._turn(event["body"]))
            self._turning.add(task)
            task.add_done_callback(self._turning.discard)

    async def _turn(self, shown: dict[str, Any]) -> None:
        """Follow to a page; of this paper none is on the device yet."""
        await asyncio.sleep(secrets.randbelow(200) / 1000)
        status, _ = await self.raw(
            "GET", self.path(f"/papers/{shown['paper']}/{shown['version']}/pages/{shown['page']}")
        )
        self.shown += status == OK

    def poll(self, every_s: float) -> None:
        """Ask for the list of sites again and again, as no page of ours does: the control."""
        self._polling = asyncio.create_task(self._poll(every_s))

    async def _poll(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s * (0.5 + secrets.randbelow(1000) / 1000))
            with contextlib.suppress(DemoError, aiohttp.ClientError, TimeoutError):
                await self.get(self.path("/sites"))

    async def poll_no_more(self) -> None:
        """End the control."""
        task, self._polling = self._polling, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def __aexit__(self, *_: object) -> None:
        """End the socket, what is being fetched, and every connection."""
        await self.poll_no_more()
        for task in self._turning:
            task.cancel()
        await asyncio.gather(*self._turning, return_exceptions=True)
        await self.disconnect()
        await super().__aexit__()


class Wall:
    """The hall's room screen: a browser that is signed in as nobody and waits for news."""

    def __init__(self, origin: str, connector: aiohttp.BaseConnector, token: str) -> None:
        self._url = f"{origin}/api/screen"
        headers = {"Authorization": f"Screen {token}"}
        self._http = aiohttp.ClientSession(
            connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
        )
        self._life: asyncio.Task[None] | None = None
        self.views = 0

    def start(self) -> None:
        """Begin to show the meeting."""
        self._life = asyncio.create_task(self._live())

    async def _live(self) -> None:
        seq = 0
        while True:
            try:
                async with self._http.get(f"{self._url}?after={seq}") as answer:
                    view = json.loads(await answer.read())
                seq, self.views = int(view["seq"]), self.views + 1
            except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
                await asyncio.sleep(1)

    async def close(self) -> None:
        """End it."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        await self._http.close()


class RoomLine:
    """A page's way to media signalling: one more socket of a phone, whose messages are `media`."""

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._line = Line(lambda _text: None)
        self._leases: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect; the page of a hall says so with its leases."""
        phone = self._phone
        auth = {"ticket": await phone.ticket(phone.meeting), "after": phone.last_seq}
        await self._line.connect(phone._http, phone.origin, auth)
        if phone.site:
            await self._line.call("lease", {"site": phone.site})
            self._leases = asyncio.create_task(self._lease())

    async def _lease(self) -> None:
        while True:
            await asyncio.sleep(LEASE_EVERY_S)
            await self._line.call("lease", {"site": self._phone.site})

    async def join(self, room_id: str, owner: str) -> None:
        """Do nothing: the server lets a page in with its first message."""

    async def handle(self, room_id: str, owner: str, method: str, data: dict[str, Any]) -> dict[str, Any]:
        """Ask one thing; room and seat are those of the socket.

        Raises:
            DemoError: it was refused.
        """
        answer = await self._line.call("media", {"method": method, "data": data})
        if "ok" not in answer:
            raise DemoError(f"{owner or room_id}: {method} was refused: {answer.get('error')}")
        return dict(answer["ok"])

    async def close(self) -> None:
        """Disconnect."""
        if self._leases is not None:
            self._leases.cancel()
            await asyncio.gather(self._leases, return_exceptions=True)
        await self._line.close()


class PlacedSeat(Seat):
    """A seat whose sockets are in a namespace of their own."""

    def __init__(self, net: Net, place: Place, line: RoomLine, room: str, owner: str) -> None:
        super().__init__(line, room, owner)
        self._net, self._place = net, place

    def connect_to(self, info: dict[str, Any]) -> Link:
        """Return the transport, whose packets leave from the place."""
        self._net.enter(self._place)
        try:
            return super().connect_to(info)
        finally:
            self._net.enter(self._net.hub)
