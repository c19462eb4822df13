"""Which answers are compressed, that they are the same afterwards, and that none of them holds a secret."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.server.common import application
from tests.server.support import House, at_check_in, ticket_for
from tests.server.test_papers import bring

from folkmoot_server.web.compression import COMPRESSED, LEAST, compressed

PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty", "Accept-Encoding": "gzip, deflate"}
SECRET_WORDS = (
    "code",
    "copy",
    "nonce",
    "ticket",
    "enrol",
    "link",
    "screen",
    "sign-in",
    "session",
    "passkeys",
    "roll",
)
Answer = tuple[int, bytes, Mapping[str, str]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.check_in("lan", "jonas", "ana", "binh")
        await running.command("lan", "open")
        yield running


async def ask(house: House, path: str, name: str = "lan", **headers: str) -> Answer:
    """GET as a page's script does; the body as it travels."""
    http = house.people[name]._http
    session = aiohttp.ClientSession(cookie_jar=http.cookie_jar, auto_decompress=False)
    async with session as raw, raw.get(f"{house.origin}{path}", headers={**PAGE, **headers}) as answer:
        return answer.status, await answer.read(), answer.headers


async def fill(house: House) -> dict[str, str]:
    """Bring what makes the answers long; return a path for each route of the list."""
    text = "".join(f"Line {number} of the report on the year.\n" for number in range(120)).encode()
    paper = await bring(house, "Report.txt", text)
    await bring(house, "A letter.txt", b"Dear members,\n" + text)
    lines = {"item": house.items[0], "title": "A hall", "text": "We build a hall.\n\n" + "Again. " * 80}
    motion = (await house.binh.post(house.path("/motions"), lines))["motion"]
    await house.binh.post(house.path(f"/motions/{motion}/act"), {"act": "submit"})
    sites = (await house.lan.get(house.path("/sites")))["sites"]
    unit = (await house.view("lan"))["unit"]
    places = {
        "/api/meetings/{m}/motions/{x}": house.path(f"/motions/{motion}"),
        "/api/meetings/{m}/papers/{p}/{v}/pages/{n}": house.path(f"/papers/{paper}/1/pages/1"),
        "/api/meetings/{m}/papers/{p}/{v}/pages/{n}/text": house.path(f"/papers/{paper}/1/pages/1/text"),
        "/api/meetings/{m}/sites/{s}/seats": house.path(f"/sites/{sites[0]['site']}/seats"),
        "/api/resolutions": f"/api/resolutions?unit={unit}",
        "/api/templates": f"/api/templates?unit={unit}",
        "/api/meetings/{m}/minutes": house.path("/minutes?lang=en&form=json"),
        "/api/meetings/{m}/events": house.path("/events?after=0"),
        "/api/meetings/{m}/messages": house.path("/messages?after=0"),
    }
    plain = {one: one.replace("{m}", house.meeting) for one in COMPRESSED if one.count("{") - one.count("{m}") == 0}
    return {**plain, **places}


async def test_the_list_is_what_decides_for_every_route_there_is(house: House) -> None:
    """Every route of the real router, with a long answer in place of its own: compressed if and only if listed."""
    long = {"filled": "a" * 2 * LEAST}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(long)

    app = web.Application(middlewares=[compressed])
    seen: set[str] = set()
    router = application(house.context).router
    routes = [(one.method, one.resource.canonical) for one in router.routes() if one.resource]
    for method, path in routes:
        app.router.add_route(method, path, answer)
        seen |= {path} if method == "GET" else set()
    assert seen >= COMPRESSED  # no line of the list is about a route that is not there
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            for method, path in routes:
                url = f"http://127.0.0.1:{port}{re.sub('{[^}]*}', 'x', path)}"
                async with http.request(method, url, headers=PAGE) as found:
                    assert found.status == 200, f"{method} {path}"
                    packed = found.headers.get("Content-Encoding", "")
                    listed = method == "GET" and path in COMPRESSED
                    assert packed == ("gzip" if listed else ""), f"{method} {path}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("word", SECRET_WORDS)
def test_no_route_of_secrets_is_on_the_list(word: str) -> None:
    assert not [path for path in COMPRESSED if word in path.split("/")]


async def test_what_was_compressed_is_the_same_octet_for_octet(house: House) -> None:
    packed, shorter = set(), 0
    for route, path in (await fill(house)).items():
        status, body, headers = await ask(house, path)
        plain_status, plain, plain_headers = await ask(house, path, **{"Accept-Encoding": "identity"})
        assert (status, plain_status) == (200, 200), route
        assert "Content-Encoding" not in plain_headers
        assert "ETag" not in plain_headers
        assert headers["Content-Type"] == plain_headers["Content-Type"]
        if headers.get("Content-Encoding") == "gzip":
            packed.add(route)
            shorter += len(plain) - len(body)
            body = gzip.decompress(body)
        assert body == plain, route
    assert {"/api/meetings/{m}", "/api/meetings/{m}/events", "/api/meetings/{m}/papers/{p}/{v}/pages/{n}"} <= packed
    assert shorter > 10_000


async def test_what_a_page_has_already_is_not_sent_again(house: House) -> None:
    await fill(house)
    for path in (house.path(), house.path("/papers"), house.path("/events?after=0")):
        _, _, headers = await ask(house, path)
        status, body, again = await ask(house, path, **{"If-None-Match": headers["ETag"]})
        assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])
        assert (await ask(house, path, **{"If-None-Match": 'W/"AAAAAAAAAAAAAAAA"'}))[0] == 200
    _, _, mine = await ask(house, house.path())
    assert (await ask(house, house.path(), "binh", **{"If-None-Match": mine["ETag"]}))[0] == 200  # another's page
    await house.command("binh", "raise-hand")
    status, body, _ = await ask(house, house.path(), **{"If-None-Match": mine["ETag"]})
    assert status == 200
    assert json.loads(gzip.decompress(body))["speaking"]["queue"][0]["name"] == "Binh Tran"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Dest": "document"},
        {"Accept-Encoding": "br"},
    ],
    ids=["another site", "a site beside", "typed", "a page of its own", "cannot"],
)
async def test_for_nobody_but_our_own_pages_scripts(house: House, headers: dict[str, str]) -> None:
    status, _, answered = await ask(house, house.path(), **headers)
    assert (status, answered.get("Content-Encoding")) == (200, None)
    assert (await ask(house, house.path()))[2]["Content-Encoding"] == "gzip"  # control


async def test_a_restricted_paper_goes_as_it_is(house: House) -> None:
    text = b"What only two may read.\n" * 100
    secret, plain = await bring(house, "S.txt", text, "restricted"), await bring(house, "P.txt", text, "members")
    assert "Content-Encoding" not in (await ask(house, house.path(f"/papers/{secret}/1/pages/1")))[2]
    assert (await ask(house, house.path(f"/papers/{plain}/1/pages/1")))[2]["Content-Encoding"] == "gzip"


async def test_no_secret_of_the_installation_stands_in_a_compressed_answer(house: House) -> None:
    paths = await fill(house)
    sites = (await house.lan.get(house.path("/sites")))["sites"]
    hall = (await house.lan.post(house.path("/sites"), site_body(house)))["site"]
    cookies = {cookie.value for person in house.people.values() for cookie in person._http.cookie_jar}
    secrets = {
        *cookies,
        await ticket_for(house.lan, house.meeting),
        (await house.lan.post("/api/nonce", {"purpose": "action"}))["nonce"],
        (await house.lan.get(house.path("/roll")))["mine"]["salt"],
        (await house.lan.post(house.path("/guest-links"), {"name": "Guest"}))["url"].split("#")[1],
        (await house.jonas.post(house.path("/screens"), {"site": sites[0]["site"]}))["url"].split("#")[1],
        (await house.binh.get(house.path(f"/sites/{hall}/code")))["code"],
        *(house.link(link.name.split()[0].lower()).split("#")[1] for link in house.links),
    }
    assert len(secrets) > len(cookies) > 5
    assert all(len(one) > 4 for one in secrets)
    read = 0
    for name in ("lan", "jonas", "binh"):
        for path in paths.values():
            body = (await ask(house, path, name, **{"Accept-Encoding": "identity"}))[1].decode()
            read += len(body)
            assert not [one for one in secrets if one in body], path
    assert read > 20_000


def site_body(house: House) -> dict[str, object]:
    """A hall that Binh looks after."""
    return {"name": "Hall", "custodian": house.binh.member, "expected": 5, "profile": 0}
