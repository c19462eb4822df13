"""How long what was fetched for all pages is given, and to whom: beside a hub of a few lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiohttp.test_utils import make_mocked_request
from tests.relay.small import small_node

from folkmoot_server.domain.ids import token_hash
from folkmoot_server.domain.relays import session_mark
from folkmoot_server.relay.hub import HubRefusedError
from folkmoot_server.relay.node import Node
from folkmoot_server.relay.people import HallSession
from folkmoot_server.relay.snapshots import ONCE_MAX, REMEMBERED_S, Snapshots
from folkmoot_voting.encoding import JsonObject

DIGESTS = [token_hash(bytes([number])) for number in range(ONCE_MAX + 1)]


class Meeting:
    """A hub in whose meeting something has happened between any two requests."""

    def __init__(self) -> None:
        self.seq = 0
        self.asked: list[int] = []
        self.refuses = False

    async def post(self, _path: str, body: JsonObject, **_: Any) -> JsonObject:
        self.asked.append(len(body["sessions"]))
        if self.refuses:
            raise HubRefusedError(401, "relay.no-session", "Start anew.")
        self.seq += 1
        state = {"seq": self.seq, "title": "Budget", "elections": []}
        return {"digest": f"d{self.seq}", "state": state, "own": {mark: {"me": mark} for mark in body["sessions"]}}


def session(digest: bytes, *, local: bool = False) -> HallSession:
    return HallSession(digest, "binh", {}, 0, 0, local=local, follows=True)


async def given(
    snapshots: Snapshots, digest: bytes, path: str = "/api/meetings/m", *, local: bool = False
) -> JsonObject | None:
    found = await snapshots.linked(make_mocked_request("GET", path), session(digest, local=local))
    return None if found is None else dict(json.loads(found.data))


def happens(node: Node, kind: str) -> None:
    node.hear([{"seq": node.cursor + 1, "type": kind, "at": 7, "body": {}}])


async def test_one_answer_serves_all_until_an_event_says_too_little(tmp_path: Path) -> None:
    hub, first, last = Meeting(), DIGESTS[0], DIGESTS[-1]
    async with small_node(tmp_path, hub) as node:
        snapshots = Snapshots(node, lambda: DIGESTS)
        node.on_news, node.on_unheard = snapshots.hear, snapshots.forget
        node.answered()
        for digest in DIGESTS:
            found = await given(snapshots, digest)
            # More than go into a request are asked for in two, each with the common part that belongs to it.
            assert found is not None
            assert (found["me"], found["title"]) == (session_mark(digest), "Budget")
            assert found["seq"] in (1, 2)
        assert sorted(hub.asked) == [1, ONCE_MAX]
        happens(node, "HandRaised")
        await given(snapshots, first)
        assert len(hub.asked) == 2
        node.skip(2)  # a snapshot of the hub that nobody here has heard the events of
        await given(snapshots, first)
        assert len(hub.asked) == 4
        happens(node, "ElectionOpened")  # number 3, which the first of the two answers knows of
        await given(snapshots, last)
        assert len(hub.asked) == 4
        happens(node, "ElectionOpened")
        assert (await given(snapshots, last) or {})["seq"] >= 4
        assert len(hub.asked) == 6


async def test_who_is_not_served_together_is_left_to_the_hub(tmp_path: Path) -> None:
    hub, mine = Meeting(), DIGESTS[0]
    async with small_node(tmp_path, hub) as node:
        snapshots = Snapshots(node, lambda: DIGESTS[:2])
        node.answered()
        assert await given(snapshots, DIGESTS[2]) is None  # follows nothing here
        assert await given(snapshots, mine, local=True) is None
        assert await given(snapshots, mine, "/api/meetings/m?x=1") is None
        assert await given(snapshots, mine, "/api/meetings/other") is None
        assert hub.asked == []
        assert await given(snapshots, mine) is not None
        snapshots.acted(mine)
        assert await given(snapshots, mine) is None
        assert await given(snapshots, DIGESTS[1]) is not None
        assert hub.asked == [2]
        # What was asked for before the change does not show it, however long the answer took to come.
        snapshots._acted[mine] -= REMEMBERED_S / 2
        assert await given(snapshots, mine) is not None
        hub.refuses = True
        snapshots.forget()
        assert await given(snapshots, mine) is None


async def test_an_answer_that_is_older_than_the_last_event_is_asked_for_again_and_then_given_up(
    tmp_path: Path,
) -> None:
    hub = Meeting()
    async with small_node(tmp_path, hub) as node:
        snapshots = Snapshots(node, lambda: DIGESTS[:1])
        node.on_news = snapshots.hear
        node.answered()
        for _ in range(9):
            happens(node, "ElectionOpened")
        assert await given(snapshots, DIGESTS[0]) is None
        assert hub.asked == [1, 1]
        hub.seq = 8
        assert await given(snapshots, DIGESTS[0]) is not None
