"""Slow clients of the real installation, over http and https, are closed within fifteen seconds.

A connection that rests after an answer may do so for longer; here it may not.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.server.certificates import write_certificate

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.web import watchdog

PATIENCE_S = 15.0
REST_S = 5.0
HOST = b"Host: localhost\r\n"
HALF_HEAD = b"GET /api/info HTTP/1.1\r\n" + HOST + b"X-Slow: "
HALF_BODY = (
    b"POST /api/sign-in/begin HTTP/1.1\r\n" + HOST + b"Sec-Fetch-Site: same-origin\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)
UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SLOW = {
    "silent": b"",
    "half a head": HALF_HEAD,
    "half a body": HALF_BODY,
    "half a body for nobody": HALF_BODY.replace(b"/api/sign-in/begin", b"/nowhere"),
    "an answered request": b"GET /api/info HTTP/1.1\r\n" + HOST + b"\r\n",
    "engine.io without CONNECT": UPGRADE,
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("tls"))


async def _installation(folder: Path, tls: tuple[Path, Path] | None) -> app.Installation:
    cert, key = tls or (None, None)
    url = "https://localhost" if tls else "http://localhost"
    settings = Settings(data=folder, port=0, public_url=url, cert=cert, key=key, media_workers=1)
    return await app.start(settings, app.open_database(settings))


@pytest.fixture(autouse=True)
def short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    assert watchdog.REST_S <= 75
    for module in (app, watchdog):
        monkeypatch.setattr(module, "REST_S", REST_S)


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[int]:
    running = await _installation(tmp_path / "data", None)
    yield running.port
    await running.stop()


@pytest.fixture
async def https(tmp_path: Path, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    running = await _installation(tmp_path / "data", certificate)
    yield running.port
    await running.stop()


async def _closed(port: int, first: bytes, trust: ssl.SSLContext | None = None) -> bool:
    """Send `first`, then nothing; say whether the server ends the connection in time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    writer.write(first)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await reader.read(65536):
                pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.transport.abort()
    return True


async def _all_closed(port: int, trust: ssl.SSLContext | None = None) -> dict[str, bool]:
    found = await asyncio.gather(*(_closed(port, first, trust) for first in SLOW.values()))
    return dict(zip(SLOW, found, strict=True))


async def test_every_kind_of_slow_client_is_closed(http: int) -> None:
    assert await _all_closed(http) == dict.fromkeys(SLOW, True)


async def test_and_over_https_the_handshake_too(https: int, certificate: tuple[Path, Path]) -> None:
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    trust.check_hostname = False
    closed, *bare = await asyncio.gather(
        _all_closed(https, trust), _closed(https, b""), _closed(https, b"\x16\x03\x01\x02\x00\x01")
    )
    assert closed == dict.fromkeys(SLOW, True)
    assert bare == [True, True]


async def test_control_the_library_alone_leaves_them_open() -> None:
    """The same clients at a bare aiohttp application."""
    plain = web.Application()

    async def whole(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    plain.router.add_route("*", "/{path:.*}", whole)
    runner = web.AppRunner(plain, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    found = await asyncio.gather(*(_closed(port, first) for first in (b"", HALF_HEAD, HALF_BODY)))
    await runner.cleanup()
    assert found == [False, False, False]
