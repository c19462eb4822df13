"""Slow clients are closed; the control shows that aiohttp alone leaves them open."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from folkmoot_server.web.watchdog import Watchdog

IDLE_S = 0.4
SLOWEST = 2_000_000.0
LARGE = 16_000_000  # more than the kernel's buffers hold
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


async def _serve(watchdog: Watchdog | None) -> tuple[web.AppRunner, int]:
    app = web.Application(middlewares=[watchdog.middleware] if watchdog else [])

    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(IDLE_S * 4)
        return web.Response(text="done")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(LARGE))

    async def file(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(__file__)

    app.router.add_get("/file", file)
    app.router.add_get("/slow", slow)
    app.router.add_get("/large", large)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    if watchdog:
        watchdog.start(runner)
    return runner, runner.addresses[0][1]


@pytest.fixture
async def guarded() -> AsyncIterator[int]:
    watchdog = Watchdog(IDLE_S, SLOWEST, rest_s=IDLE_S)
    runner, port = await _serve(watchdog)
    yield port
    await watchdog.close()
    await runner.cleanup()


async def _closed_within(port: int, first: bytes, seconds: float) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    try:
        return await asyncio.wait_for(reader.read(), seconds) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.close()


@pytest.mark.parametrize("first", [b"", HALF_HEAD], ids=["silent", "half a head"])
async def test_a_connection_that_sends_no_request_is_closed(guarded: int, first: bytes) -> None:
    assert await _closed_within(guarded, first, 5)


@pytest.mark.parametrize("first", [b"", HALF_HEAD], ids=["silent", "half a head"])
async def test_control_without_the_watchdog_it_stays_open(first: bytes) -> None:
    runner, port = await _serve(None)
    assert not await _closed_within(port, first, 3)
    await runner.cleanup()


async def test_a_running_request_is_left_alone(guarded: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", guarded)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    assert b"200 OK" in answer
    assert answer.endswith(b"done")
    writer.close()


async def _ask_large(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return reader, writer


async def test_who_takes_a_large_answer_slowly_gets_all_of_it(guarded: int) -> None:
    """It takes several times the idle time, at a rate that is allowed."""
    reader, writer = await _ask_large(guarded)
    got = 0
    while part := await asyncio.wait_for(reader.read(LARGE // 20), 10):
        got += len(part)
        await asyncio.sleep(len(part) / LARGE * IDLE_S * 8)
    assert got > LARGE
    writer.close()


async def test_who_does_not_take_an_answer_is_closed() -> None:
    watchdog = Watchdog(IDLE_S, slowest=LARGE)
    runner, port = await _serve(watchdog)
    watchdog.start(runner)
    reader, writer = await _ask_large(port)
    async with asyncio.timeout(10):
        while not watchdog.closed:  # noqa: ASYNC110  it counts, and tells nobody
            await asyncio.sleep(0.05)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(LARGE)
    writer.close()
    await watchdog.close()
    await runner.cleanup()


@pytest.mark.parametrize("path", ["/file", "/large", "/nothing"])
async def test_a_connection_serves_more_than_one_request(guarded: int, path: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as browser:
        ports = set()
        for method in ("GET", "POST", "GET", "HEAD"):
            async with browser.request(method, f"http://localhost:{guarded}{path}") as answer:
                assert answer.connection is None or answer.connection.transport is not None
                if answer.connection is not None and answer.connection.transport is not None:
                    ports.add(answer.connection.transport.get_extra_info("sockname"))
                await answer.read()
    assert len(ports) <= 1


@pytest.mark.parametrize(("rest_s", "stays"), [(60.0, True), (IDLE_S, False)], ids=["a long rest", "control: none"])
async def test_after_an_answer_a_connection_may_rest(rest_s: float, stays: bool) -> None:
    runner, port = await _serve(Watchdog(IDLE_S, SLOWEST, rest_s))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in await asyncio.wait_for(reader.readuntil(b"done"), 10)
    assert await _closed_within(port, HALF_HEAD, 10)  # by then the other one has been silent for longer than this one
    closed = reader.at_eof() or writer.is_closing()
    if not closed:
        try:
            closed = await asyncio.wait_for(reader.read(), 1 if stays else 10) == b""
        except TimeoutError:
            closed = False
        except ConnectionResetError:
            closed = True
    assert closed is not stays
    writer.close()
    await runner.cleanup()
