"""Votes on a line whose answers do not come, while the link is not cut: kept in the hall, and each counted once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.relay.rig import Phone, Rig, open_vote, receipt_of, rig, until
from tests.server.votes_support import NO, YES

from folkmoot_voting.ballot import Ballot, sealed_hash
from folkmoot_voting.casting import Place as Turn
from folkmoot_voting.casting import make_announcement
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.manifest import Manifest

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and waits of ten seconds, on a slow machine
VOTES = (b"/seals HTTP/1.1", b"/ballots HTTP/1.1", b"/voids HTTP/1.1")
OUTBOX = b"POST /api/relay/outbox "
PIECE = 64 * 1024


class Jam:
    """A wire on which what pages vote, or what is answered to it, is stuck, while everything else comes and goes.

    Attributes:
        up: whether votes are stuck on their way to the hub, else their answers on the way back.
        free: set while votes pass; outbox: set while the outbox passes.
        stuck: how many votes came to be stuck; late: how many of them the hub has answered since.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port, self.up = target, 0, True
        self.free, self.outbox = asyncio.Event(), asyncio.Event()
        self.free.set()
        self.outbox.set()
        self.stuck, self.late, self.votes = 0, 0, 0
        self._ways: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
        slow = asyncio.Event()
        ways = {
            asyncio.create_task(self._ask(reader, far, slow)),
            asyncio.create_task(self._answer(far_reader, writer, slow)),
        }
        self._ways |= ways
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if slow.is_set():  # whoever asked may have gone: what is stuck comes to the hub all the same
            await asyncio.wait(ways)
        for one in ways:
            one.cancel()
        self._ways -= ways
        for end in (far, writer):
            end.close()

    async def _ask(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, slow: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                if OUTBOX in data:
                    await self.outbox.wait()
                vote = any(word in data for word in VOTES)
                self.votes += vote
                if vote and not self.free.is_set():
                    self.stuck += 1
                    slow.set()
                    if self.up:
                        await self.free.wait()
                far.write(data)
                await far.drain()

    async def _answer(
        self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, slow: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await far_reader.read(PIECE):
                if slow.is_set():
                    await self.free.wait()
                    self.late += 1
                    slow.clear()
                writer.write(data)
                await writer.drain()

    def close(self) -> None:
        for way in self._ways:
            way.cancel()


@asynccontextmanager
async def jammed(made: Rig) -> AsyncIterator[Jam]:
    """Put a jam into the line of a relay, which goes on over it."""
    jam = Jam(made.link.target)
    server = await asyncio.start_server(jam.accept, "127.0.0.1", 0)
    jam.port = int(server.sockets[0].getsockname()[1])
    made.link.target = jam.port
    made.link.drop()
    made.link.restore()
    await made.until_linked(made.phones["binh"])
    try:
        yield jam
    finally:
        server.close()
        jam.close()


def announcement(manifest: Manifest, phone: Phone, ballot: JsonObject) -> JsonObject:
    return make_announcement(manifest, phone.seed, sealed_hash(ballot))


async def counted(made: Rig) -> tuple[int, int]:
    """How many ballots the hub has, and of how many voters."""
    with contextlib.closing(sqlite3.connect(f"file:{made.hall.database.path}?mode=ro", uri=True)) as raw:
        found = raw.execute('SELECT ballots, "cast" FROM election').fetchall()
    assert len(found) == 1
    return int(found[0][0]), int(found[0][1])


async def require_linked(made: Rig) -> None:
    """The link was never cut, and the room hears of no hall that caught up."""
    events = (await made.hall.chair.get(made.path("/events?after=0")))["events"]
    assert [one["type"] for one in events if one["type"] in ("RelayCaughtUp", "SiteLost")] == []
    assert not any(entry["cut"] for entry in made.relay.entries())
    assert (await made.hall.view(made.hall.chair))["alerts"] == []


async def test_a_vote_without_an_answer_waits_in_the_hall_and_counts_once(tmp_path: Path) -> None:
    async with rig(tmp_path) as made, jammed(made) as jam:
        manifest = await open_vote(made, voting_again="last-counts")
        binh, greta, mai = (made.phones[name] for name in ("binh", "greta", "mai"))
        seals, ballots = made.vote("/seals"), made.vote("/ballots")

        # Control: where answers come nothing is kept, however often somebody votes.
        first = greta.ballot(manifest, NO)
        await greta.post(seals, announcement(manifest, greta, first))
        await greta.post(ballots, {"ballot": first})
        assert (made.relay.entries(), await counted(made)) == ([], (1, 1))

        # Nothing of the votes comes to the hub, and the outbox not yet: what follows does not overtake.
        jam.free.clear()
        jam.outbox.clear()
        mine = binh.ballot(manifest, YES)
        status, sealed, headers = await binh.ask("POST", seals, announcement(manifest, binh, mine))
        assert (status, "Folkmoot-Cut" in headers) == (202, False)
        entry = receipt_of(sealed, made.relay.entries())
        assert (entry["kind"], entry["member"], entry["cut"]) == ("seal", "", False)
        seen = jam.votes
        status, kept, headers = await binh.ask("POST", ballots, {"ballot": mine})
        assert (status, "Folkmoot-Cut" in headers, jam.votes - seen) == (202, False, 0)
        assert receipt_of(kept, made.relay.entries())["body"]["ballot"] == mine
        assert await binh.post(ballots, {"ballot": mine}, 202) == kept

        # Another voter's ballot goes to the hub by itself, and is as late.
        other = mai.ballot(manifest, NO)
        assert receipt_of(await mai.post(ballots, {"ballot": other}, 202), made.relay.entries())["kind"] == "ballot"
        assert (jam.stuck, await counted(made), await made.upto()) == (2, (1, 1), 0)

        jam.outbox.set()
        await made.until_delivered(3)
        assert (made.relay.refused(), await counted(made)) == ({}, (3, 3))
        for phone, ballot in ((binh, mine), (mai, other)):
            assert (await phone.post(ballots, {"ballot": ballot}))["promise"]["manifest"] == b64u(manifest.hash)

        # What the relay gave up comes to the hub behind it after all.
        jam.free.set()

        async def answered() -> bool:
            return jam.late == 2

        await until(answered, "the hub's answers to what came late")
        assert (made.relay.refused(), await counted(made)) == ({}, (3, 3))
        await require_linked(made)
        assert len(made.relay.entries()) == 3
        second = mai.ballot(
            manifest, YES, Turn(1, 2, Ballot.from_json(other).leaf)
        )  # control: another ballot is one more
        await mai.post(ballots, {"ballot": second})
        assert (len(made.relay.entries()), await counted(made)) == (3, (4, 3))


async def test_a_vote_whose_answer_is_late_is_known_to_the_hub_already(tmp_path: Path) -> None:
    async with rig(tmp_path) as made, jammed(made) as jam:
        manifest = await open_vote(made, voting_again="once")
        binh, greta = made.phones["binh"], made.phones["greta"]
        seals, ballots = made.vote("/seals"), made.vote("/ballots")
        jam.up = False
        jam.free.clear()
        mine = binh.ballot(manifest, YES)
        await binh.post(seals, announcement(manifest, binh, mine), 202)

        async def heard() -> bool:
            rows = made.relay.rows("SELECT text FROM value WHERE name = 'acknowledged'")
            return bool(rows) and json.loads(rows[0][0])["seq"] == 1

        await until(heard, "the hub's answer to the outbox")  # until then the ballot would join it
        jam.outbox.clear()
        receipt_of(await binh.post(ballots, {"ballot": mine}, 202), made.relay.entries())

        async def there() -> bool:
            return await counted(made) == (1, 1)

        await until(there, "the ballot at the hub")
        assert (jam.stuck, await made.upto()) == (2, 1)
        jam.outbox.set()
        await made.until_delivered(2)
        assert (made.relay.refused(), await counted(made)) == ({}, (1, 1))
        assert "promise" in await binh.post(ballots, {"ballot": mine})

        # What the hall cannot take waits for the hub's own word: here that the key has not signed it.
        forged = {**greta.ballot(manifest, YES), "sig": b64u(bytes(64))}
        asking = asyncio.create_task(greta.refused(ballots, {"ballot": forged}))
        await asyncio.wait({asking}, timeout=12)
        assert not asking.done()
        jam.free.set()
        assert (await asking)[0] == 422
        assert (len(made.relay.entries()), await counted(made)) == (2, (1, 1))
        await require_linked(made)


async def test_an_older_announcement_does_not_come_behind_a_newer_one(tmp_path: Path) -> None:
    async with rig(tmp_path) as made, jammed(made) as jam:
        manifest = await open_vote(made, voting_again="last-counts")
        binh, seals, ballots = made.phones["binh"], made.vote("/seals"), made.vote("/ballots")
        jam.free.clear()
        old, new = binh.ballot(manifest, NO), binh.ballot(manifest, YES)
        first = asyncio.create_task(binh.refused(seals, announcement(manifest, binh, old)))

        async def under_way() -> bool:
            return jam.stuck == 1

        await until(under_way, "the first announcement on the line")
        newer = await binh.post(seals, announcement(manifest, binh, new), 202)
        assert await first == (503, "relay.unreachable")
        assert receipt_of(newer, made.relay.entries())["body"]["sealed"] == b64u(sealed_hash(new))
        await binh.post(ballots, {"ballot": new}, 202)
        await made.until_delivered(2)
        assert (made.relay.refused(), await counted(made)) == ({}, (1, 1))
