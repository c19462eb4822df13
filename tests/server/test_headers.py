"""Security headers on every page and every error answer of the real installation, over http and https; cookies."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.server.certificates import write_certificate

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.web.middleware import clear_cookie, set_cookie

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = "Strict-Transport-Security"
API = "default-src 'none'; frame-ancestors 'none'"
WORKER = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"
REQUESTS = [
    ("GET", "/", 200),
    ("GET", "/booth", 200),
    ("GET", "/auditor", 200),
    ("GET", "/enrol", 200),
    ("GET", "/sw.js", 200),
    ("GET", "/no/such/page", 200),
    ("POST", "/", 405),
    ("GET", "/assets/nothing.js", 404),
    ("GET", "/assets/../../pyproject.toml", 200),
    ("GET", "/healthz", 200),
    ("GET", "/api/info", 404),
    ("GET", "/api/session", 401),
    ("GET", "/api/nothing", 404),
    ("DELETE", "/api/session", 403),
    ("POST", "/api/sign-in/begin", 403),
    ("GET", "/api/meetings/none/bundle.zip", 401),
    ("GET", "/socket.io/?EIO=4&transport=polling", 400),
    ("GET", "/socket.io/?EIO=4&transport=websocket", 400),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["http", "https"])
async def site(
    request: pytest.FixtureRequest, tmp_path: Path, certificate: tuple[Path, Path]
) -> AsyncIterator[tuple[str, ssl.SSLContext | bool]]:
    secure = request.param == "https"
    cert, key = certificate if secure else (None, None)
    settings = Settings(
        data=tmp_path / "data", port=0, public_url=f"{request.param}://localhost", cert=cert, key=key, media_workers=1
    )
    running = await app.start(settings, app.open_database(settings))
    trust = ssl.create_default_context(cafile=str(certificate[0])) if secure else True
    yield f"{request.param}://localhost:{running.port}", trust
    await running.stop()


async def test_every_answer_has_its_headers(site: tuple[str, ssl.SSLContext | bool]) -> None:
    url, trust = site
    async with aiohttp.ClientSession() as browser:
        for method, path, status in REQUESTS:
            async with browser.request(method, url + path, ssl=trust) as answer:
                assert answer.status == status, f"{method} {path} {answer.status}"
                require_headers(answer, path)


def require_headers(answer: aiohttp.ClientResponse, path: str) -> None:
    """Hold an answer's headers against what every answer to this path has, over http or https."""
    place = f"{answer.method} {path} {answer.status}"
    assert EVERYWHERE.items() <= dict(answer.headers).items(), place
    assert "geolocation=()" in answer.headers["Permissions-Policy"], place
    assert (HSTS in answer.headers) is (answer.url.scheme == "https"), place
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, place
    assert "unsafe" not in policy, place
    if path.startswith(("/api", "/socket.io")):
        assert policy == API, place
        assert answer.headers["Cache-Control"] == "no-store", place
    elif path == "/sw.js":
        assert policy == WORKER, place
        assert answer.headers["Cache-Control"] == "no-cache", place
        assert answer.headers["Content-Type"].endswith("/javascript"), place
    else:
        framed = "'self'" if path in ("/booth", "/auditor") else "'none'"
        assert f"frame-ancestors {framed}" in policy, place
    assert "Set-Cookie" not in answer.headers, place


async def test_an_answer_to_a_script_says_nothing_of_pages(site: tuple[str, ssl.SSLContext | bool]) -> None:
    url, trust = site
    kept = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
    async with aiohttp.ClientSession() as browser:
        lengths = {}
        for dest in ("empty", "document"):
            asking = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": "same-origin"}
            async with browser.get(f"{url}/api/session", headers=asking, ssl=trust) as answer:
                assert {**kept, "Cache-Control": "no-store"}.items() <= dict(answer.headers).items()
                assert "Server" not in answer.headers
                lengths[dest] = sum(len(name) + len(value) + 4 for name, value in answer.headers.items())
        assert lengths["empty"] + 300 < lengths["document"]


async def test_control_a_bare_application_has_none() -> None:
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://localhost:{runner.addresses[0][1]}/"
    async with aiohttp.ClientSession() as browser, browser.get(url) as answer:
        assert not EVERYWHERE.keys() & dict(answer.headers).keys()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("url", "name", "secure"),
    [("http://localhost", "folkmoot", False), ("https://meet.example", "__Host-folkmoot", True)],
)
def test_the_cookie_is_for_this_host_and_no_script(url: str, name: str, secure: bool) -> None:
    """Browsers take a __Host- cookie only with Secure, Path=/ and no Domain (RFC 6265bis, section 4.1.3.2)."""
    settings = Settings(public_url=url)
    for change in (lambda answer: set_cookie(answer, settings, bytes(32)), lambda a: clear_cookie(a, settings)):
        answer = web.Response()
        change(answer)
        cookie = SimpleCookie(answer.cookies.output(header=""))[name]
        assert (bool(cookie["secure"]), bool(cookie["httponly"])) == (secure, True)
        assert (cookie["path"], cookie["domain"], cookie["samesite"]) == ("/", "", "Lax")
