"""A member without a browser: the real HTTP and Socket.IO interfaces and a software authenticator."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any, Final, Self

import aiohttp

from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_voting import challenges
from folkmoot_voting.encoding import unb64u

LEASE_EVERY_S = 10.0
# engine.io's packet kinds, with those of Socket.IO behind the 4 of a message.
PING, PONG, CONNECTED, REFUSED, EVENT, ACK = "2", "3", "40", "44", "42", "43"
CUT_HEADER: Final = "Folkmoot-Cut"
EVENT_TOLD: Final = '42["event",'


class DemoError(Exception):
    """The server refused a step of the script; the message holds its code and sentence."""


class Line:
    """One Socket.IO connection over a WebSocket, small enough that a thousand of them fit into a process.

    `on_event` gets the text of every message of the server that is an event of the meeting.
    """

    def __init__(self, on_event: Callable[[str], None]) -> None:
        self._on_event = on_event
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._numbers = itertools.count()
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def connect(
        self, http: aiohttp.ClientSession, origin: str, auth: dict[str, Any], *, deflate: bool = False
    ) -> None:
        """Connect with a ticket; `deflate` offers compression as browsers do.

        Raises:
            DemoError: the server refused.
        """
        url = f"{origin}/socket.io/?EIO=4&transport=websocket"
        headers = {"Origin": origin}
        socket = await http.ws_connect(url, headers=headers, compress=15 if deflate else 0)
        self._socket = socket
        opened = await socket.receive_str()
        await socket.send_str(CONNECTED + json.dumps(auth))
        answer = await socket.receive_str()
        while answer == PING:
            await socket.send_str(PONG)
            answer = await socket.receive_str()
        if not opened.startswith("0") or not answer.startswith(CONNECTED):
            await socket.close()
            raise DemoError(f"The socket was refused: {answer[:300]}")
        self._reader = asyncio.create_task(self._read(socket))

    async def call(self, event: str, data: dict[str, Any], within_s: float = 60.0) -> dict[str, Any]:
        """Emit `event` and return its acknowledgement.

        Raises:
            DemoError: the connection has ended.
            TimeoutError: no answer in time.
        """
        if self._socket is None or self._reader is None or self._reader.done():
            raise DemoError("The socket is not connected.")
        number = str(next(self._numbers))
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            await self._socket.send_str(f"{EVENT}{number}{json.dumps([event, data])}")
            async with asyncio.timeout(within_s):
                return await future
        except ConnectionError as error:
            raise DemoError("The socket is not connected.") from error
        finally:
            del self._asked[number]

    async def close(self) -> None:
        """Disconnect; closing again does nothing."""
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._socket is not None:
            await self._socket.close()
        self._socket = self._reader = None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for message in socket:
                text = message.data
                if text.startswith(EVENT_TOLD):
                    self._on_event(text)
                elif text == PING:
                    await socket.send_str(PONG)
                elif text.startswith(ACK):
                    number, answer = text[2:].split("[", 1)
                    waiting = self._asked.get(number)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(json.loads("[" + answer)[0])
        except ConnectionError:
            pass
        finally:
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(DemoError("The socket has ended."))


class Person:
    """One member with an authenticator, a session and, in a meeting, a socket."""

    def __init__(self, origin: str, name: str, connector: aiohttp.BaseConnector | None = None) -> None:
        """Act as `name` against the server at `origin`; `connector` knows how to reach it."""
        self.origin = origin
        self.name = name
        self.authenticator = SoftwareAuthenticator(origin)
        self.session: dict[str, Any] = {}
        self.last_seq = 0
        self.cut = False  # a relay's last answer said that its hall is cut off
        self.missed: list[int] = []
        self._http = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=60)
        )
        self._line: Line | None = None
        self._lease: asyncio.Task[None] | None = None

    @property
    def member(self) -> str:
        """The member's id."""
        return str(self.session["member"]["id"])

    async def __aenter__(self) -> Self:
        """Nothing to open: connections are made when needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close socket and HTTP session."""
        await self.leave_socket()
        await self._http.close()

    async def raw(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """One HTTP request; return status and body."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"}
        async with self._http.request(method, f"{self.origin}{path}", headers=headers, json=body) as answer:
            self.cut = CUT_HEADER in answer.headers
            return answer.status, await answer.read()

    async def get(self, path: str) -> Any:
        """GET `path` and decode JSON.

        Raises:
            DemoError: the server refused.
        """
        return self._decode("GET", path, *await self.raw("GET", path))

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """POST JSON to `path` and decode the answer.

        Raises:
            DemoError: the server refused.
        """
        return self._decode("POST", path, *await self.raw("POST", path, body or {}))

    def _decode(self, method: str, path: str, status: int, body: bytes) -> Any:
        if status != 200:
            raise DemoError(f"{self.name}: {method} {path} answered {status}: {body.decode(errors='replace')[:300]}")
        return json.loads(body)

    async def enrol(self, link: str) -> None:
        """Enrol a passkey with a one-time link."""
        token = link.split("#", 1)[1]
        begin = await self.post("/api/enrol/begin", {"token": token})
        handle = unb64u(begin["user"]["id"])
        challenge = challenges.enrol(begin["rp"]["id"], handle, unb64u(begin["nonce"]))
        credential = self.authenticator.register(begin["rp"]["id"], handle, challenge)
        self.session = await self.post(
            "/api/enrol/finish", {"token": token, "nonce": begin["nonce"], "credential": credential}
        )

    async def sign_in(self) -> None:
        """Sign in with the passkey.

        Raises:
            DemoError: the server refused.
        """
        begun = await self.post("/api/sign-in/begin")
        challenge = challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"]))
        body = {"nonce": begun["nonce"], "credential": self.authenticator.authenticate(challenge)}
        self.session = await self.post("/api/sign-in/finish", body)

    async def signed(self, purpose: str, make_challenge: Any) -> dict[str, Any]:
        """A `Signed` object for the challenge that `make_challenge(nonce bytes)` computes."""
        nonce = (await self.post("/api/nonce", {"purpose": purpose}))["nonce"]
        return {"nonce": nonce, **self.assertion(make_challenge(unb64u(nonce)))}

    def assertion(self, challenge: bytes) -> dict[str, Any]:
        """{"passkey", "assertion"} over `challenge`."""
        response = self.authenticator.authenticate(challenge)
        return {
            "passkey": response["id"],
            "assertion": {
                "authenticator_data": response["response"]["authenticatorData"],
                "client_data_json": response["response"]["clientDataJSON"],
                "signature": response["response"]["signature"],
            },
        }

    async def act(self, path: str, action: dict[str, Any], **fields: Any) -> Any:
        """POST an action that the passkey signs, with further fields."""
        signed = await self.signed("action", lambda nonce: challenges.action(action, nonce))
        return await self.post(path, {**fields, "action": action, "signed": signed})

    async def ticket(self, meeting: str) -> str:
        """A ticket for one connection to `meeting`."""
        return str((await self.post("/api/socket-ticket", {"meeting": meeting}))["ticket"])

    async def join_socket(self, meeting: str, after: int = 0) -> None:
        """Connect Socket.IO for `meeting`, hear what follows event number `after`, and keep the attendance lease."""
        auth = {"ticket": await self.ticket(meeting), "after": after}
        self.last_seq = after
        self._line = Line(self._hear)
        await self._line.connect(self._http, self.origin, auth)
        await self.call("lease", {})
        self._lease = asyncio.create_task(self._keep_lease())

    def _hear(self, text: str) -> None:
        seq = json.loads(text[2:])[1]["seq"]
        if seq != self.last_seq + 1:
            self.missed.append(seq)
        self.last_seq = seq

    async def leave_socket(self) -> None:
        """Disconnect."""
        if self._lease is not None:
            self._lease.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._lease
            self._lease = None
        if self._line is not None:
            await self._line.close()
            self._line = None

    async def call(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """Emit `event` and return the "ok" part of the acknowledgement.

        Raises:
            DemoError: the server refused, or there is no socket.
        """
        if self._line is None:
            raise DemoError(f"{self.name} is not connected.")
        answer = await self._line.call(event, data)
        if "ok" not in answer:
            raise DemoError(f"{self.name}: {event} was refused: {answer.get('error')}")
        return dict(answer["ok"])

    async def media(self, method: str, data: dict[str, Any]) -> dict[str, Any]:
        """One media signalling request."""
        return await self.call("media", {"method": method, "data": data})

    async def _keep_lease(self) -> None:
        with contextlib.suppress(DemoError):  # refused once the meeting is closed: nothing is left to renew
            while True:
                await asyncio.sleep(LEASE_EVERY_S)
                with contextlib.suppress(TimeoutError):  # a busy server gets the next one
                    await self.call("lease", {})
