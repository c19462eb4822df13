"""A member without a browser: the real HTTP and Socket.IO interfaces and a software authenticator."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Self

import aiohttp
import socketio

from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_voting import challenges
from folkmoot_voting.encoding import unb64u

LEASE_EVERY_S = 10.0


class DemoError(Exception):
    """The server refused a step of the script; the message holds its code and sentence."""


class Person:
    """One member with an authenticator, a session and, in a meeting, a socket."""

    def __init__(self, origin: str, name: str, connector: aiohttp.BaseConnector | None = None) -> None:
        """Act as `name` against the server at `origin`; `connector` knows how to reach it."""
        self.origin = origin
        self.name = name
        self.authenticator = SoftwareAuthenticator(origin)
        self.session: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.media_events: list[dict[str, Any]] = []
        self._http = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=60)
        )
        self._socket: socketio.AsyncClient | None = None
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

    async def join_socket(self, meeting: str) -> None:
        """Connect Socket.IO for `meeting` and keep the attendance lease alive."""
        ticket = (await self.post("/api/socket-ticket", {"meeting": meeting}))["ticket"]
        socket = socketio.AsyncClient(reconnection=False)
        socket.on("event", self.events.append)
        socket.on("media", self.media_events.append)
        await socket.connect(
            self.origin,
            headers={"Origin": self.origin},
            auth={"ticket": ticket, "after": 0},
            transports=["websocket"],
        )
        self._socket = socket
        await self.call("lease", {})
        self._lease = asyncio.create_task(self._keep_lease())

    async def leave_socket(self) -> None:
        """Disconnect."""
        if self._lease is not None:
            self._lease.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._lease
            self._lease = None
        if self._socket is not None:
            await self._socket.disconnect()
            self._socket = None

    async def call(self, event: str, data: dict[str, Any]) -> dict[str, Any]:
        """Emit `event` and return the "ok" part of the acknowledgement.

        Raises:
            DemoError: the server refused, or there is no socket.
        """
        if self._socket is None:
            raise DemoError(f"{self.name} is not connected.")
        answer = await self._socket.call(event, data, timeout=20)
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
                await self.call("lease", {})
