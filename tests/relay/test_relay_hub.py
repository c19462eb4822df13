"""Which hub a relay trusts, when it stops by itself, and what reaches phones while it is linked."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from tests.relay.rig import RelayProcess, Rig, open_vote, rig, until
from tests.server import votes_support
from tests.server.certificates import write_certificate
from tests.server.votes_support import YES

from folkmoot_server.demo.wire import Wire
from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.relay.app import RelaySettings, start
from folkmoot_server.relay.hub import Hub, HubSilentError

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine


async def test_a_hub_with_another_key_gets_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        binh = made.phones["binh"]
        (tmp_path / "other").mkdir()
        async with votes_support.serve(tmp_path / "other", lambda: int(time.time())) as other:
            await made.relay.stop()
            right, made.link.target = made.link.target, int(other.settings.public_url.rpartition(":")[2])
            made.link.drop()
            made.link.restore()
            await made.relay.start()

            async def noticed() -> bool:
                return "relay.hub-key" in made.relay.log

            await until(noticed, "the other key")
            status, _, headers = await binh.ask("GET", "/api/session")
            assert (status, "Folkmoot-Cut" in headers) == (200, True)
            await binh.post(made.path("/commands"), {"command": "raise-hand"}, 202)
            assert await other.read(lambda tx: tx.exec_driver_sql("SELECT count(*) FROM relay").scalar()) == 0
        # Control: the same relay goes on with its own hub.
        made.link.target = right
        await made.until_linked(binh)
        await made.until_delivered(1)


async def test_a_hub_whose_certificate_nobody_vouches_for_is_not_spoken_to(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path)
    async with _tls_hub(cert, key) as (port, asked):
        assert await _enrol(port, tmp_path / "first") == "start.hub-silent"
        assert asked == []
        # Control: the same hub under a certificate that this machine trusts is asked, and says no to the code.
        trusted = {"SSL_CERT_FILE": str(cert)}
        relay = RelayProcess(f"https://localhost:{port}", tmp_path / "second", Wire(), "ABCD-EFGH-JKMN-PQRS", trusted)
        relay.data.mkdir()
        with contextlib.suppress(AssertionError):  # it ends before it says that it is ready
            await relay.start()
        assert relay.process is not None
        assert await asyncio.to_thread(relay.process.wait) == 1
        assert asked == ["/api/relay/enrol"]
        assert "Ask for another code" in relay.log


async def test_a_relay_whose_right_has_ended_stops_by_itself(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        assert made.relay.process is not None
        assert made.relay.process.poll() is None
        await made.hall.secretary.post(made.path(f"/sites/{made.site}/relay-revoke"))
        async with asyncio.timeout(60):
            assert await asyncio.to_thread(made.relay.process.wait) == 3
        assert "ended this relay's right" in made.relay.log
        personal = [text for phone in made.phones.values() for text in (phone.person.name, phone.member)]
        assert not [text for text in personal if text in made.relay.log]


async def test_phones_hear_everything_in_order_over_one_feed_and_go_on_after_a_cut(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        binh = made.phones["binh"]
        after = (await binh.get(made.path()))["seq"]
        line = await binh.follow(made.hall.meeting, after)
        lease = await line.call("lease", {})
        assert lease["ok"]["epoch"] == 1
        manifest = await open_vote(made)
        await binh.post(made.vote("/ballots"), {"ballot": binh.ballot(manifest, YES)})
        await _heard(made, "BallotAccepted")
        numbers = [event["seq"] for event in binh.heard]
        assert numbers == list(range(after + 1, after + 1 + len(numbers)))
        assert (await binh.refused("/api/socket-ticket", {"meeting": "another"})) == (409, "relay.other-meeting")

        made.link.drop()
        await made.until_cut(binh)
        assert (await line.call("lease", {}))["ok"]["seq"] == numbers[-1]

        async def recorded() -> bool:
            here = [entry["body"]["members"] for entry in made.relay.entries() if entry["kind"] == "here"]
            return here[:1] == [[binh.member]]

        await until(recorded, "the relay's word on who is here")
        await made.hall.chair.post(made.path("/commands"), {"command": "raise-hand"})
        made.link.restore()
        await _heard(made, "HandRaised")
        everything = [event["seq"] for event in binh.heard]
        assert everything == list(range(after + 1, everything[-1] + 1))

        # A phone that was away hears what it missed, once.
        await line.close()
        binh.heard.clear()
        await binh.follow(made.hall.meeting, after)
        await _heard(made, "HandRaised")
        assert [event["seq"] for event in binh.heard][: len(everything)] == everything


async def test_an_answer_is_read_to_its_end_however_many_pieces_it_comes_in() -> None:
    long = {"text": "x" * 2_000_000}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(long)

    async with _plain_hub("/long", answer) as (hub, answered):
        assert await hub.get("/long", of_anybody=True) == long
        assert answered == []  # it has not shown yet that it is the hub
        hub.trusted = True
        assert await hub.get("/long") == long
        assert answered == [True]
        with pytest.raises(HubSilentError):  # not in JSON: something else answers in the hub's place
            await hub.get("/nothing-here")
        assert answered == [True]


async def _asks_everything(hub: Hub, path: str) -> list[str]:
    """Ask in each way; return those in which nothing was asked, for want of trust."""

    async def piece() -> None:
        async with contextlib.aclosing(hub.piece(path, 0, 1)) as parts:
            assert [part async for part in parts] == [(2, b"{}")]

    async def page() -> None:
        (await hub.page("POST", path, {"Cookie": "folkmoot=secret"}, b"{}")).release()

    ways = {"get": lambda: hub.get(path), "post": lambda: hub.post(path, {}), "piece": piece, "page": page}
    silent = []
    for name, ask in ways.items():
        try:
            await ask()
        except HubSilentError:
            silent.append(name)
    return silent


async def test_nothing_goes_to_a_hub_that_has_not_shown_its_key() -> None:
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(dict(request.headers))
        if "Range" in request.headers:
            return web.Response(status=206, body=b"{}", headers={"Content-Range": "bytes 0-1/2"})
        return web.json_response({})

    async with _plain_hub("/x", answer) as (hub, answered):
        hub.token = "token"
        assert await _asks_everything(hub, "/x") == ["get", "post", "piece", "page"]
        assert (asked, answered) == ([], [])
        assert await hub.get("/x", of_anybody=True) == {}  # by which it shows it
        assert await hub.post("/x", {}, to_anybody=True) == {}
        assert not [one for one in asked if "token" in str(one)]
        # Control: once it has shown its key, everything goes there, with the token.
        hub.trusted = True
        asked.clear()
        assert await _asks_everything(hub, "/x") == []
        assert [one.get("Authorization") or one["Folkmoot-Relay"] for one in asked] == ["Relay token"] * 3 + ["token"]


@asynccontextmanager
async def _plain_hub(
    path: str, answer: Callable[[web.Request], Awaitable[web.Response]]
) -> AsyncIterator[tuple[Hub, list[bool]]]:
    """A hub of one answer, and how often it counted as heard."""
    app, answered = web.Application(), list[bool]()
    app.router.add_route("*", path, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hub = Hub(f"http://127.0.0.1:{runner.addresses[0][1]}", lambda: answered.append(True))
    try:
        yield hub, answered
    finally:
        await hub.close()
        await runner.cleanup()


async def _heard(made: Rig, kind: str) -> None:
    async def heard() -> bool:
        return kind in {event["type"] for event in made.phones["binh"].heard}

    await until(heard, kind)


@asynccontextmanager
async def _tls_hub(cert: Path, key: Path) -> AsyncIterator[tuple[int, list[str]]]:
    """Something with a certificate that refuses every request; yield its port and what it was asked."""
    asked: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(request.path)
        body = {"error": {"code": "relay.code", "message": "The code is wrong. Ask for another code."}}
        return web.Response(status=403, body=json.dumps(body), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", refuse)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1], asked
    finally:
        await runner.cleanup()


async def _enrol(port: int, data: Path) -> str:
    """Try to enrol; return the code of the refusal, which may hold no part of a URL."""
    with pytest.raises(FolkmootError) as refused:
        await start(RelaySettings(f"https://localhost:{port}", data, "ABCD-EFGH-JKMN-PQRS"))
    assert "certificate is not trusted" in refused.value.message
    return refused.value.code
