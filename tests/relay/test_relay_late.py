"""The parts of taking a vote over that is late: what ends at once on the line, what waits, and what is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy import create_engine
from tests.relay.small import small_node
from tests.server.certificates import write_certificate

from folkmoot_server.domain.errors import Conflict, Refused
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import outbox, page_line, repeats, schema
from folkmoot_server.relay.alone import SEALS
from folkmoot_server.relay.hub import Hub, HubRefusedError, HubSilentError
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.outbox import Moment, Place
from folkmoot_server.relay.outbox_chain import Signer, Wish
from folkmoot_server.relay.passing import HubLateError, Late
from folkmoot_server.relay.slow import Slow
from folkmoot_server.relay.sync import Sync
from folkmoot_server.storage.database import StoreFailedError
from folkmoot_voting.encoding import JsonObject

SIGNER, MOMENT = Signer("r", 1, bytes(32)), Moment(1, False, bytes(32))
BALLOT: JsonObject = {"ballot": {"credential": "key"}}
BODY = 64 * 1024


class Mute:
    """A hub that reads nothing of a request until it is let go, and counts what comes then."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls, self._listener = tls, socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)  # as a line that takes little at a time
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._listener.settimeout(60)
        self.port = int(self._listener.getsockname()[1])
        self.asked, self.go = threading.Event(), threading.Event()

    def serve(self) -> int:
        """Take one call; return how many bytes came."""
        came = 0
        with self._listener, contextlib.suppress(OSError):
            call, _ = self._listener.accept()
            call.settimeout(60)
            with call if self._tls is None else self._tls.wrap_socket(call, server_side=True) as end:
                self.asked.set()
                self.go.wait(60)
                while data := end.recv(4096):
                    came += len(data)
        return came


@pytest.mark.parametrize("plain", [False, True], ids=["relay", "control"])
@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
async def test_what_was_given_up_is_not_sent_any_more(
    plain: bool, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = None
    if secure:
        certificate = write_certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    if plain:  # control: of any other client the system goes on sending what it has taken
        monkeypatch.setattr(page_line, "connector", lambda _count, trust, _s: aiohttp.TCPConnector(ssl=trust))
        monkeypatch.setattr(page_line, "ending_at_once", contextlib.nullcontext)
    mute = Mute(context)
    serving = asyncio.create_task(asyncio.to_thread(mute.serve))
    hub = Hub(f"{'https' if secure else 'http'}://localhost:{mute.port}", lambda: None)
    hub.trusted = True
    asking = asyncio.create_task(hub.page("POST", "/x", {}, bytes(BODY)))
    assert await asyncio.to_thread(mute.asked.wait, 60)
    for _ in range(50):  # turns of the loop in which the client hands all of it to the system
        await asyncio.sleep(0.01)
    assert not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    mute.go.set()
    assert (await serving >= BODY) is plain
    await hub.close()


def seal(credential: str) -> Wish:
    return Wish(Kind.SEAL, "", {"election": "e", "credential": credential, "sealed": "s", "sig": "x"})


def test_a_voter_waits_behind_own_entries_alone_and_those_that_the_hub_does_not_have() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        outbox.append(tx, SIGNER, seal("key"), Place("e", "key"), MOMENT)
        replaced = Wish(Kind.REPLACEMENT, "m", {"election": "e", "old": "first", "new": "second"})
        outbox.append(tx, SIGNER, replaced, Place("e", "first"), MOMENT)
        for credential, waits in (("key", True), ("first", True), ("second", True), ("other", False)):
            assert outbox.waits(tx, 0, "e", credential) is waits
            assert not outbox.waits(tx, 0, "another", credential)
            assert not outbox.waits(tx, 2, "e", credential)
        assert not outbox.waits(tx, 1, "e", "key")


def request(path: str = repeats.BALLOTS, meeting: str = "m", cookie: str = "") -> Any:
    class Match(dict[str, str]):
        route = SimpleNamespace(resource=SimpleNamespace(canonical=path))

    headers = {"Cookie": cookie}
    return SimpleNamespace(method="POST", headers=headers, match_info=Match(meeting=meeting, election="e"))


class Line:
    """A request that is passed on and late: what the relay makes of it, and what the hub says in the end."""

    def __init__(self, node: Node, outcome: Exception | None = None) -> None:
        self.outcome, self.alone = outcome, 0
        self.slow = Slow(node, self.answer)

    async def answer(self, _request: web.Request, _body: bytes) -> web.StreamResponse:
        self.alone += 1
        if self.outcome is not None:
            raise self.outcome
        return web.Response(status=202)

    async def run(self, late: Late | None) -> web.StreamResponse:
        taken = None if late is None else await late()
        if taken is not None:
            raise HubLateError(taken)
        return web.Response(status=299)

    async def ask(self, body: JsonObject = BALLOT, **changes: str) -> int:
        found = await self.slow.pass_on(request(**changes), json.dumps(body).encode(), self.run)
        return found.status


@pytest.mark.parametrize(("other", "status"), [("max", 202), ("ann", 503)])
async def test_only_who_has_sealed_another_ballot_gives_an_announcement_up(
    other: str, status: int, tmp_path: Path
) -> None:
    async with small_node(tmp_path) as node:
        slow, first, second = Slow(node, Line(node).answer), asyncio.Event(), asyncio.Event()

        async def run(late: Late | None, moment: asyncio.Event) -> web.StreamResponse:
            assert late is not None
            begun.set()
            await moment.wait()
            taken = await late()
            assert taken is not None
            raise HubLateError(taken)

        async def ask(cookie: str, sealed: str, moment: asyncio.Event) -> int:
            body = json.dumps({"credential": "key", "sealed": sealed, "sig": "x"}).encode()
            try:
                return (
                    await slow.pass_on(request(SEALS, cookie=cookie), body, lambda late: run(late, moment))
                ).status
            except HubSilentError:
                return 503

        asking = []
        for cookie, moment in (("ann", first), (other, second)):
            begun = asyncio.Event()
            asking.append(asyncio.create_task(ask(cookie, cookie, moment)))
            await begun.wait()
        first.set()
        assert await asking[0] == status
        second.set()
        assert await asking[1] == 202


@pytest.mark.parametrize("outcome", [Conflict("ballot.already-cast", ""), StoreFailedError("full")])
async def test_what_the_hall_cannot_take_stays_the_hubs_to_answer(outcome: Exception, tmp_path: Path) -> None:
    async with small_node(tmp_path) as node:
        assert await Line(node).ask() == 202  # control
        refusing = Line(node, outcome)
        assert (await refusing.ask(), refusing.alone) == (299, 1)
        with pytest.raises(Refused):  # an opened ballot is never passed on
            await Line(node, Refused("ballot.void", "")).ask()


@pytest.mark.parametrize("body", [[], {}, {"ballot": 1}, {"ballot": {}}, {"ballot": {"credential": "key", "x": 0.5}}])
async def test_what_is_no_vote_is_the_hubs_to_refuse(body: Any, tmp_path: Path) -> None:
    async with small_node(tmp_path) as node:
        line = Line(node)
        assert (await line.ask(body), line.alone) == (299, 0)
        assert (await line.ask(path="/api/session"), line.alone) == (299, 0)
        assert (await line.ask(meeting="another"), line.alone) == (299, 0)


async def test_what_the_hub_has_refused_is_not_taken_again(tmp_path: Path) -> None:
    async with small_node(tmp_path) as node:
        wish = repeats.wish("e", BALLOT["ballot"])
        await node.database.write(lambda tx: outbox.append(tx, SIGNER, wish, Place("e", "key"), MOMENT))
        assert await Line(node).ask() == 202  # control: while it waits it joins what is there
        await node.database.write(lambda tx: outbox.refuse(tx, [(1, "ballot.replaced")]))
        assert await Line(node).ask() == 299


class Refusing:
    """A hub that answers an outbox with errors."""

    def __init__(self) -> None:
        self.error: Exception = HubSilentError("")

    async def post(self, *_: Any, **__: Any) -> JsonObject:
        raise self.error


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [("relay.chain", True), ("relay.forked", True), ("ballot.busy", False), ("relay.no-session", False), ("", False)],
)
async def test_nothing_is_taken_while_the_hub_refuses_the_outbox_itself(
    code: str, unwanted: bool, tmp_path: Path
) -> None:
    hub = Refusing()
    async with small_node(tmp_path, hub) as node:
        await node.database.write(lambda tx: outbox.append(tx, SIGNER, seal("other"), Place("e", "other"), MOMENT))
        if code:
            hub.error = HubRefusedError(409, code, "")
        with pytest.raises((HubRefusedError, HubSilentError)):
            await Sync(node, tuple)._send_piece()
        assert node.unwanted is unwanted
        assert await Line(node).ask() == (299 if unwanted else 202)
