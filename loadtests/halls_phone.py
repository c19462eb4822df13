"""A member's phone in loadtests/halls.py: what its pages send again, what they keep, and a socket that comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from tests.browser.serving import TEST_HOST

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import LEASE_EVERY_S, DemoError, Line, Person
from folkmoot_voting import casting, signing
from folkmoot_voting.ballot import ballot_leaf, sealed_hash
from folkmoot_voting.encoding import b64u
from folkmoot_voting.manifest import Manifest

Figures = dict[str, Any]
ORIGIN: Final = f"https://{TEST_HOST}"
INSIST_S: Final = 1800.0  # 300 ballots beside media that do not yield
PAGE_PATIENCE_S: Final = 20.0  # what web_client/src/api/call.ts gives a request
NOT_AN_ANSWER: Final = frozenset({429, 502, 503, 504})
YES: Final = [(1, 0, 0)]


async def until(
    condition: Callable[[], Awaitable[Any]], what: str, within_s: float = 120.0, every_s: float = 0.1
) -> Any:
    """Ask again and again until the answer is true; return it.

    Raises:
        DemoError: it was not in time.
    """
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        found = await condition()
        if found:
            return found
        await asyncio.sleep(every_s)
    raise DemoError(f"Waited {within_s:.0f} s in vain for {what}.")


async def alone(person: Person) -> None:
    """Wait until the relay that this person asks says that its hall is cut off.

    Raises:
        DemoError: it does not.
    """

    async def cut() -> bool:
        await person.raw("GET", "/api/session")
        return person.cut

    await until(cut, "the relay to be alone")


@dataclass(frozen=True)
class Acknowledged:
    """A relay's receipt, and what it was given for: `leaf` is that of a ballot."""

    member: str
    kind: str
    receipt: Figures
    leaf: str = ""


class Phone(Person):
    """A member's phone at a relay's address or at the hub's; its socket comes back whenever it ends."""

    def __init__(self, home: Person, origin: str, connector: aiohttp.BaseConnector, meeting: str) -> None:
        """Take over the passkey of `home`."""
        super().__init__(origin, home.name, connector)
        self.session = home.session
        self.authenticator = home.authenticator
        self.authenticator.origin = origin
        self.meeting = meeting
        self.seed = secrets.token_bytes(32)
        self.site = ""  # of the hall whose page this is
        self.heard: list[tuple[float, Figures]] = []
        self.receipts: list[Acknowledged] = []
        self.asked_again = 0
        self._life: asyncio.Task[None] | None = None

    def path(self, rest: str = "") -> str:
        """An API path of the meeting."""
        return f"/api/meetings/{self.meeting}{rest}"

    async def raw(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Send one request, and, as browsers do, again where a kept connection had just ended."""
        try:
            return await super().raw(method, path, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return await super().raw(method, path, body)

    def stay(self) -> None:
        """Begin to hold a socket with its lease."""
        self._life = asyncio.create_task(self._live())

    async def __aexit__(self, *_: object) -> None:
        """End the socket and every connection."""
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        await super().__aexit__()

    def _hear(self, text: str) -> None:
        event = json.loads(text[2:])[1]
        self.heard.append((time.time(), event))
        self.last_seq = max(self.last_seq, int(event["seq"]))

    async def _live(self) -> None:
        """Connect again and again, as a page does; who signed in during a cut signs in anew after it."""
        while True:
            line = Line(self._hear)
            try:
                auth = {"ticket": await self.ticket(self.meeting), "after": self.last_seq}
                await line.connect(self._http, self.origin, auth)
                while True:
                    await line.call("lease", {"site": self.site} if self.site else {})
                    await asyncio.sleep(LEASE_EVERY_S)
            except DemoError as error:
                if "answered 401" in str(error):
                    with contextlib.suppress(DemoError, aiohttp.ClientError, TimeoutError):
                        await self.sign_in()
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                pass
            finally:
                await line.close()
            await asyncio.sleep(0.5 + secrets.randbelow(1000) / 1000)

    async def insist(self, rest: str, body: Figures) -> tuple[int, Figures]:
        """Send the same bytes until something decides, as a page does.

        Raises:
            DemoError: nothing decided within half an hour.
        """
        end = time.monotonic() + INSIST_S
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(PAGE_PATIENCE_S):
                    status, answer = await self.raw("POST", self.path(rest), body)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                status, answer = 0, b""
            if status and status not in NOT_AN_ANSWER:
                return status, json.loads(answer)
            self.asked_again += 1
            await asyncio.sleep(0.3)
        raise DemoError(f"{self.name}: no answer to {rest}")

    def note(self, kind: str, status: int, answer: Figures, leaf: str = "") -> int:
        """Keep the receipt of what was put into an outbox; return the status.

        Raises:
            DemoError: it was refused.
        """
        if status not in (200, 202):
            raise DemoError(f"{self.name}: {kind} was refused: {answer}")
        if status == 202:
            self.receipts.append(Acknowledged(self.member, kind, answer["queued"], leaf))
        return status

    def ballot(self, manifest: Manifest) -> tuple[Figures, Figures]:
        """Seal a ballot; return its announcement and the ballot."""
        draws = casting.SeededDraws(secrets.token_bytes(32))
        sealed = casting.seal(manifest, signing.public_key(self.seed), YES, draws, casting.FIRST)
        announced = casting.make_announcement(manifest, self.seed, sealed_hash(sealed))
        return announced, casting.sign_ballot(sealed, self.seed)

    async def cast(self, manifest: Manifest) -> int:
        """Seal, announce and cast; return the status of the cast."""
        path = f"/elections/{manifest.election}"
        announced, ballot = self.ballot(manifest)
        self.note("seal", *await self.insist(f"{path}/seals", announced))
        status, answer = await self.insist(f"{path}/ballots", {"ballot": ballot})
        return self.note("ballot", status, answer, b64u(ballot_leaf(ballot)))

    async def raise_hand(self) -> int:
        """Ask to speak; return the status."""
        return self.note("hand", *await self.insist("/commands", {"command": "raise-hand"}))

    async def come(self, where: dict[str, str]) -> int:
        """Sign in and check in at a hall; return the status of the check-in.

        Raises:
            DemoError: nothing decided within half an hour.
        """
        end = time.monotonic() + INSIST_S
        member = self.session
        while time.monotonic() < end:
            try:
                await self.sign_in()
                self.session = member  # a relay alone says less of a member
                body = await votes.begin_check_in(self, self.meeting, self.seed, where)
            except (DemoError, aiohttp.ClientError, TimeoutError, ConnectionError):
                self.asked_again += 1
                await asyncio.sleep(0.3)
                continue
            return self.note("check-in", *await self.insist("/check-in/finish", body))
        raise DemoError(f"{self.name}: could not begin to check in")
