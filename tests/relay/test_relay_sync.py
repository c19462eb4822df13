"""What a relay writes down of what the hub says."""

import logging
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.relay.small import small_node

from folkmoot_server.domain.ids import token_hash
from folkmoot_server.domain.relays import session_mark
from folkmoot_server.relay import people, store
from folkmoot_server.relay.lan import STILL_MAX, Lan
from folkmoot_server.relay.sockets import Sockets
from folkmoot_server.relay.sync import Sync
from folkmoot_voting.encoding import JsonObject


@pytest.mark.parametrize("count", [1, 3])
async def test_the_log_tells_how_many_entries_were_refused_and_not_why(
    count: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with small_node(tmp_path) as node:
        refused = [{"seq": seq, "code": "voting.ballot-seq"} for seq in range(1, count + 1)]
        with caplog.at_level(logging.DEBUG):
            await Sync(node, tuple)._outcome({"refused": refused})
        assert f"relay.entries-refused count={count}" in caplog.text
        assert "voting" not in caplog.text


class Asked:
    """A hub that holds the list of a lease until it is started anew, and knows which sessions have ended."""

    def __init__(self) -> None:
        self.said: list[JsonObject] = []
        self.ended: list[str] = []
        self.list = ""
        self.holds = True

    async def post(self, path: str, body: JsonObject, **_: Any) -> JsonObject:
        self.said.append({"path": path, **body})
        if path == "/api/relay/sessions":
            return {"ended": [mark for mark in body["sessions"] if mark in self.ended]}
        if "here" in body:
            self.list = store.digest_of(body["here"])
        named = {"named": "here" in body or body["same"] == self.list} if self.holds else {}
        return {"upto": 0, "head": "", "now": 1, **named}


async def test_a_lease_names_members_when_others_are_here_and_when_the_hub_has_forgotten_them(tmp_path: Path) -> None:
    hub, here = Asked(), ["binh"]
    async with small_node(tmp_path, hub) as node:
        sync = Sync(node, lambda: here)

        async def said() -> list[JsonObject]:
            hub.said.clear()
            await sync._renew()
            return [one.get("here", "same") for one in hub.said]

        assert await said() == [["binh"]]
        assert await said() == ["same"]
        here.append("anh")
        assert await said() == [["anh", "binh"]]
        assert await said() == ["same"]
        hub.list = ""
        assert await said() == ["same", ["anh", "binh"]]
        assert await said() == ["same"]
        hub.holds = False  # as one of before
        assert await said() == ["same", ["anh", "binh"]]
        assert await said() == [["anh", "binh"]]


async def test_sessions_that_have_ended_at_the_hub_end_here_and_all_are_asked_for_together(tmp_path: Path) -> None:
    hub = Asked()
    async with small_node(tmp_path, hub) as node:
        lan = Lan(node, Sockets(node))
        digests = [token_hash(bytes([number // 256, number % 256])) for number in range(STILL_MAX + 1)]

        def sign_in(tx: Connection) -> None:
            for digest in digests:
                people.confirm(tx, digest, {"member": {"id": "binh"}}, 7)

        await node.database.write(sign_in)
        hub.ended = [session_mark(digests[0])]
        await lan._still(digests)
        assert [len(one["sessions"]) for one in hub.said] == [STILL_MAX, 1]
        now = node.clock()
        found = await node.database.read(lambda tx: [people.session(tx, one, 8) for one in digests])
        assert found[0] is None
        assert all(one is not None and now - 60 <= one.used_at <= now for one in found[1:])
