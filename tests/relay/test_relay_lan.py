"""Answers of the hub that cross news: what a relay keeps of them, and what holds up the papers."""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from tests.relay.small import small_node

from folkmoot_server.domain.closed_sessions import BEGAN
from folkmoot_server.domain.ids import b64u, token_hash
from folkmoot_server.relay import closed, kept, passing, people, walls
from folkmoot_server.relay.catalogue import Catalogue
from folkmoot_server.relay.kept import Kept
from folkmoot_server.relay.lan import Lan
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.passing import Passed
from folkmoot_server.relay.sockets import Sockets
from folkmoot_voting.encoding import JsonObject

TOKEN = bytes(range(32))
ANSWER = json.dumps({"seq": 1, "presented": None, "of": "the session"}).encode()
MEETING, PAGE = "/api/meetings/m", "/api/meetings/m/papers/p/1/pages/2"
NEWS: JsonObject = {"seq": 1, "type": BEGAN, "at": 7, "body": {"sites": [], "visitors": []}}
Meanwhile = Callable[[], Awaitable[object]]


def asked(path: str) -> web.Request:
    """What a member's phone, or a room screen, asks the relay."""
    who = {"Authorization": f"Screen {b64u(TOKEN)}"} if path.startswith(walls.VIEW) else {}
    return make_mocked_request("GET", path, headers={"Cookie": f"folkmoot={b64u(TOKEN)}", **who})


def owner(path: str) -> str:
    return walls.owner(asked(path)) or "binh"


async def lan_of(node: Node) -> Lan:
    """The pages of a hall that is linked, where Binh has signed in."""
    node.answered()
    digest, now = token_hash(TOKEN), node.clock()
    await node.database.write(lambda tx: people.confirm(tx, digest, {"member": {"id": "binh"}}, now))
    return Lan(node, Sockets(node))


def answering(meanwhile: Meanwhile) -> Callable[..., Awaitable[Passed]]:
    """A hub that answers everything, while something happens."""

    async def pass_on(_node: Node, _request: web.Request, _data: bytes, *, keep: bool, **_: object) -> Passed:
        await meanwhile()
        response = web.Response(body=ANSWER)
        return Passed(response, response.status, Kept("application/json", ANSWER) if keep else None)

    return pass_on


@pytest.mark.parametrize("path", [MEETING, walls.VIEW])
@pytest.mark.parametrize("closes", [True, False])
async def test_an_answer_from_inside_is_not_written_behind_the_news_that_the_hall_is_outside(
    path: str, closes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_node(tmp_path) as node:
        lan = await lan_of(node)

        async def news() -> None:
            """It is on disk, and the loop has not been told of it yet."""
            if closes:
                await node.database.write(lambda tx: closed.follow(tx, "hall", None, [NEWS]))

        monkeypatch.setattr(passing, "pass_on", answering(news))
        assert (await lan._api(asked(path))).status == 200
        found = await node.database.read(lambda tx: kept.find(tx, owner(path), path))
        assert (found is None) == closes


@pytest.mark.parametrize(("path", "counts"), [(f"{walls.VIEW}?after=3", 0), (walls.PAGE, 1), (MEETING, 1)])
async def test_papers_give_way_to_what_pages_ask_and_not_to_a_wall_that_waits_for_news(
    path: str, counts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_node(tmp_path) as node:
        lan, seen = await lan_of(node), list[int]()

        async def look() -> None:
            seen.append(node.passing)

        monkeypatch.setattr(passing, "pass_on", answering(look))
        await lan._api(asked(path))
        assert seen == [counts]
        assert node.passing == 0


@pytest.mark.parametrize("happens", ["event", "snapshot", "nothing"])
async def test_what_the_hub_vouched_for_before_the_news_does_not_hold_behind_it(
    happens: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with small_node(tmp_path) as node:
        version = {"version": 1, "sha256": "a" * 64, "type": "pdf"}
        paper = {"paper": "p", "class": "members", "name": "p.pdf", "versions": [version]}
        node.catalogue = Catalogue([paper], {"p/1": [{"sha256": "a" * 64, "text": ""}] * 2})
        lan, heads = await lan_of(node), list[str]()

        async def head(_node: Node, _request: web.Request, path: str) -> tuple[int, Mapping[str, str]]:
            heads.append(path)
            if happens == "event":
                node.hear([{"seq": node.cursor + 1, "type": "PaperChanged", "at": 7, "body": {}}])
            elif happens == "snapshot":
                node.skip(node.cursor + 5)
            return 200, {}

        monkeypatch.setattr(passing, "ask_head", head)
        for _ in range(2):
            assert (await lan._api(asked(f"{PAGE}/text"))).status == 200
        first = "/api/meetings/m/papers/p/1/pages/1"
        assert heads == ([first] if happens == "nothing" else [first] * 2)
        node.skip(node.cursor + 5)
        await lan._api(asked(f"{PAGE}/text"))
        assert heads[-2:] == [first] * 2
