"""A hub that is killed between the arrival of a hall's entries and its answer: every entry counts once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from contextlib import closing

import aiohttp
import pytest
from tests.server.relay_support import Relay, Village, head, open_village
from tests.server.test_votes_crash import Server, running
from tests.server.votes_support import NO, YES, Hall, seal

from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.casting import FIRST, Place
from folkmoot_voting.encoding import b64u

__all__ = ["running"]
VOTES = 10
MOMENTS_S = (0.0, 0.02, 0.05, 0.1, 0.2)


async def send(relay: Relay, server: Server, moment_s: float) -> None:
    """Send what is left, kill the hub after a moment and ask the next one how far it got."""
    entries = relay.log[relay.upto : relay.upto + 12]
    posting = asyncio.create_task(relay.post(*entries))
    await asyncio.sleep(moment_s)
    await server.kill()
    with contextlib.suppress(aiohttp.ClientError):
        status, answer = await posting
        assert status == 200
        relay.upto = answer["upto"]
    await server.start()
    told = await relay.lease()
    assert told["upto"] >= relay.upto, "an answered entry was lost"
    assert told["head"] == b64u(head(relay.log[told["upto"] - 1]))
    relay.upto = told["upto"]


def queue(village: Village) -> list[bytes]:
    """Ten rounds of three voters who vote again and again, and raise and lower their hands; return the leaves."""
    leaves = []
    for number in range(VOTES):
        for person in village.there:
            place = FIRST if number == 0 else Place(1, number + 1, leaves[-3])
            ballot = seal(village.hall, person, village.manifest, YES if number % 2 else NO, place)
            village.queue("ballot", ballot=ballot)
            leaves.append(ballot_leaf(ballot))
        command = "lower-hand" if number % 2 else "raise-hand"
        village.relay.write("hand", {"command": command}, village.hall.clock(), village.there[0].member)
    return leaves


async def test_a_killed_hub_takes_each_entry_once(running: tuple[Hall, Server]) -> None:
    hall, server = running
    async with open_village(hall, voting_again="last-counts") as village:
        relay, before = village.relay, len(village.relay.log)
        leaves = queue(village)
        for moment_s in MOMENTS_S:
            await send(relay, server, moment_s)
        while relay.upto < len(relay.log):
            assert (await relay.send(relay.upto + 1, min(len(relay.log), relay.upto + 20)))["refused"] == []
        told = [event["type"] for event in (await hall.chair.get(hall.path("/events?after=0")))["events"]]
        assert (told.count("HandRaised"), told.count("HandLowered")) == (5, 5)
        assert told.count("BallotAccepted") == 3
        await server.kill()
    with closing(sqlite3.connect(hall.database.path)) as raw:
        kept = {bytes(leaf) for (leaf,) in raw.execute("SELECT leaf FROM promise")}
        assert kept == set(leaves)
        assert raw.execute('SELECT ballots, "cast" FROM election').fetchall() == [(len(leaves), 3)]
        rows = raw.execute("SELECT seq, head, refused FROM relay_entry ORDER BY seq").fetchall()
    assert rows == [(number, head(entry), "") for number, entry in enumerate(relay.log, 1)]
    assert len(rows) == before + 4 * VOTES


@pytest.mark.parametrize("forged", [-1, 1])
async def test_control_a_hub_that_forgets_or_invents_an_entry_is_seen(
    running: tuple[Hall, Server], forged: int
) -> None:
    """The cursor is moved by hand while the hub is down; what the relay hears does not fit its chain."""
    hall, server = running
    async with open_village(hall, voting_again="last-counts") as village:
        queue(village)
        await village.relay.send(village.relay.upto + 1, village.relay.upto + 8)
        await server.kill()
        with closing(sqlite3.connect(hall.database.path)) as raw, raw:
            raw.execute("UPDATE relay SET upto = upto + ?", (forged,))
        await server.start()
        with pytest.raises(AssertionError):
            await send(village.relay, server, 0.0)
