"""Room screens: a link without a login that shows what is on the wall, soon after it happens, and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests import drafts
from tests.server import sites_support as halls
from tests.server import votes_support
from tests.server.common import refusal
from tests.server.support import House, at_check_in

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.sites import SCREENS_MAX
from folkmoot_voting.encoding import b64u, unb64u

KEYS = {
    "seq",
    "now",
    "title",
    "state",
    "until",
    "time_zone",
    "site",
    "item",
    "next",
    "speaking",
    "floor",
    "queue",
    "quorum",
    "vote",
    "result",
    "sites",
    "presented",
    "closed",
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        yield running


async def make(house: House, person: Person, site: str = "main") -> str:
    """Return a screen's token."""
    url = str((await person.post(house.path("/screens"), {"site": site}))["url"])
    assert url.startswith(f"{house.origin}/screen#")
    return url.partition("#")[2]


async def look(
    house: House | votes_support.Hall,
    token: str,
    after: int = 0,
    person: Person | None = None,
    scheme: str = "Screen",
) -> tuple[int, dict[str, Any]]:
    """Ask as a wall does, from a browser that is signed in as nobody."""
    origin = house.settings.public_url
    wall = person or Person(origin, "wall")
    headers = {"Authorization": f"{scheme} {token}"} if token else {}
    try:
        async with wall._http.get(f"{origin}/api/screen?after={after}", headers=headers) as answer:
            return answer.status, json.loads(await answer.read())
    finally:
        if person is None:
            await wall.__aexit__()


async def test_a_wall_shows_the_meeting_without_a_login_and_without_ids_of_people(house: House) -> None:
    site = await halls.open_hall(house, house.context.database, house.jonas, house.paul, house.clock.at)
    token = await make(house, house.paul, site)
    await house.check_in("lan", "jonas", "ana", "binh", "greta")
    await house.command("lan", "open")
    secret = {"title": "Dismissal", "parent": "", "after": house.items[0], "minutes": 0, "internal": True}
    internal = (await house.jonas.post(house.path("/agenda"), secret))["id"]
    await house.jonas.post(house.path("/questions"), drafts.question(internal, title="Dismissal of N."))
    await house.command("lan", "start-item", item=house.items[0])
    await house.command("ana", "raise-hand")
    await house.command("binh", "raise-hand")
    await house.command("lan", "grant-floor", member=house.ana.member)
    status, shown = await look(house, token)
    assert status == 200
    assert set(shown) == KEYS
    assert shown["site"] == "Hall 7"
    assert shown["item"] == {"number": "1", "title": "Budget"}
    following = [item for item in (await house.view("ana"))["agenda"] if item["state"] == "waiting"]
    assert shown["next"] == [{"number": item["number"], "title": item["title"]} for item in following[:5]] != []
    assert shown["speaking"]["name"] == "Ana Silva"
    assert (shown["floor"], shown["queue"]) == (["Ana Silva"], ["Binh Tran"])
    assert shown["quorum"] == (await house.view("lan"))["quorum"]
    assert [one["state"] for one in shown["sites"]] == ["invited", "connected", "invited"]
    assert (shown["vote"], shown["result"], shown["presented"]) == (None, None, None)
    text = json.dumps(shown)
    ids = [person.member for person in house.people.values()]
    assert not [one for one in ids if one in text]
    assert "Dismissal" not in text
    await house.command("lan", "start-item", item=internal)
    assert (await look(house, token))[1]["item"] is None


async def test_a_wall_hears_of_an_event_at_once_and_else_after_a_while(house: House) -> None:
    token = await make(house, house.lan)
    seq = (await look(house, token))[1]["seq"]
    waiting = asyncio.create_task(look(house, token, after=seq))
    await house.check_in("lan")
    async with asyncio.timeout(60):
        status, shown = await waiting
    assert status == 200
    assert shown["seq"] > seq
    assert shown["quorum"]["present"] == 1
    ahead = await look(house, token, after=shown["seq"] + 5)  # a number that is not the last
    assert ahead[1]["seq"] == shown["seq"]


async def test_a_wall_shows_the_vote_that_runs_and_the_result_of_the_item(hall: votes_support.Hall) -> None:
    ready = await votes_support.prepare(hall)
    await hall.chair.post(hall.path("/commands"), {"command": "start-item", "item": hall.item})
    url = (await hall.chair.post(hall.path("/screens"), {"site": "main"}))["url"]
    token = url.partition("#")[2]
    election = await votes_support.draft(hall, title="Roof")
    assert (await look(hall, token))[1]["vote"] is None
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    await votes_support.cast_all(hall, manifest, [0, 0, 1])
    vote = (await look(hall, token))[1]["vote"]
    assert vote == {"title": "Roof", "state": "open", "cast": 3, "electorate_size": 5, "ends_at": 0}
    await hall.settle(hall.settings.publish_every_s)
    await votes_support.close(hall, election)
    await votes_support.cosign(hall, manifest, ready.cosigners)
    await votes.count(ready.tellers[:2], hall.meeting, manifest)
    assert (await look(hall, token))[1]["result"] is None  # counted, not declared
    core = await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    shown = (await look(hall, token))[1]
    assert shown["vote"] is None
    assert shown["result"]["core"] == core
    assert (shown["result"]["title"], shown["result"]["electorate_size"]) == ("Roof", 5)


async def test_a_screen_is_made_by_who_looks_after_its_site(house: House) -> None:
    site = await halls.add(house, house.jonas, house.paul.member)
    path = house.path("/screens")
    assert await refusal(house.binh, path, {"site": site}) == (403, "site.not-yours")
    assert await refusal(house.paul, path, {"site": "main"}) == (403, "site.not-yours")
    assert await refusal(house.lan, path, {"site": "nowhere"}) == (404, "site.unknown")
    for _ in range(SCREENS_MAX):
        await make(house, house.paul, site)
    assert await refusal(house.jonas, path, {"site": "main"}) == (429, "screen.too-many")


async def test_a_screen_ends_with_its_meeting_and_with_its_site(house: House) -> None:
    site = await halls.add(house, house.jonas, "")
    gone, kept = await make(house, house.jonas, site), await make(house, house.jonas)
    await house.jonas.post(house.path(f"/sites/{site}/remove"))
    assert (await look(house, gone))[1]["error"]["code"] == "screen.unknown"
    await house.check_in("lan")
    await house.command("lan", "open")
    seq = (await look(house, kept))[1]["seq"]
    waiting = asyncio.create_task(look(house, kept, after=seq))
    await house.command("lan", "close")
    async with asyncio.timeout(60):
        assert (await waiting)[0] in (200, 403)
    status, answer = await look(house, kept)
    assert (status, answer["error"]["code"]) == (403, "screen.over")


async def test_a_token_opens_one_thing_and_stands_in_the_header_alone(house: House) -> None:
    token = await make(house, house.lan)
    for path in ("/api/meetings", house.path(""), house.path("/events"), "/api/session"):
        wall = house.stranger()
        async with wall._http.get(house.origin + path, headers={"Authorization": f"Screen {token}"}) as answer:
            assert answer.status == 401, path
    for given, scheme in (("", "Screen"), (token, "Bearer"), ("~", "Screen"), (b64u(bytes(32)), "Screen")):
        status, answer_text = await look(house, given, scheme=scheme)
        assert (status, answer_text["error"]["code"]) == (401, "screen.unknown")
    async with house.stranger()._http.get(f"{house.origin}/api/screen?token={token}") as answer:
        assert answer.status == 401
    # Who is signed in as a member, or is a guest, sees the same wall and no more.
    assert (await look(house, token, person=house.binh))[1]["title"] == "Annual general meeting"


async def test_guessing_is_stopped_and_a_known_screen_goes_on(house: House) -> None:
    token = await make(house, house.lan)
    assert (await look(house, token))[0] == 200
    codes = [(await look(house, b64u(bytes([number]) * 32)))[1]["error"]["code"] for number in range(61)]
    assert codes == ["screen.unknown"] * 60 + ["request.too-many"]
    assert (await look(house, token))[0] == 200  # from the same address


async def test_only_the_hash_of_a_token_is_kept_and_none_is_logged(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = await make(house, house.lan)
    await look(house, token)
    await look(house, token[:-1] + "A")
    assert token not in caplog.text
    assert token[:-1] not in caplog.text
    with sqlite3.connect(f"file:{house.context.database.path}?mode=ro", uri=True) as raw:
        rows = raw.execute("SELECT * FROM room_screen").fetchall()
    assert [row[0] for row in rows] == [sha256(unb64u(token)).digest()]
    folder = house.context.database.path.parent
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert unb64u(token) not in everything
    assert token.encode() not in everything
    assert sha256(unb64u(token)).digest() in everything  # the control: the search would find it
