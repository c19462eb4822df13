"""Ballots that pages send again after a cut: what crosses the line, and whose word the answer is."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from tests.relay.rig import Phone, Rig, open_vote, rig, until
from tests.server.votes_support import NO, YES

from folkmoot_server.domain.ids import from_b64u
from folkmoot_server.relay import outbox, repeats, schema
from folkmoot_server.relay.outbox import Moment, Place
from folkmoot_server.relay.outbox_chain import Signer
from folkmoot_voting import signing
from folkmoot_voting.ballot import Ballot, ballot_leaf
from folkmoot_voting.board import make_promise, verify_promise
from folkmoot_voting.casting import Place as Turn
from folkmoot_voting.encoding import JsonObject, b64u

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine
OUTBOX = b"POST /api/relay/outbox "
PIECE = 64 * 1024


class Tap:
    """A wire that notes every byte on its way to the hub, and can hold the outbox back while it carries the rest.

    Attributes:
        up: all that went up.
        released: set while the outbox may pass.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.up = bytearray()
        self.released = asyncio.Event()
        self.held = asyncio.Event()
        self._ways: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection("127.0.0.1", self.target)
        ways = {
            asyncio.create_task(self._carry(reader, far, noted=True)),
            asyncio.create_task(self._carry(far_reader, writer)),
        }
        self._ways |= ways
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in ways:
            one.cancel()
        self._ways -= ways
        for end in (far, writer):
            end.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, noted: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                if noted and OUTBOX in data:
                    self.held.set()
                    await self.released.wait()
                if noted:
                    self.up += data
                writer.write(data)
                await writer.drain()

    def close(self) -> None:
        for way in self._ways:
            way.cancel()

    def casts(self) -> int:
        """How many requests of pages with a ballot went up."""
        return self.up.count(b"/ballots HTTP/1.1")


@asynccontextmanager
async def tap(target: int) -> AsyncIterator[Tap]:
    made = Tap(target)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.port = int(server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        server.close()
        made.close()


async def repeat(made: Rig, ballots: dict[str, JsonObject]) -> list[tuple[int, JsonObject]]:
    """Let every page send its ballot again; return status and answer of each."""
    found = []
    for name, ballot in ballots.items():
        status, answer, _ = await made.phones[name].ask("POST", made.vote("/ballots"), {"ballot": ballot})
        found.append((status, answer))
    return found


def key_of_hub(made: Rig) -> bytes:
    identity = json.loads(made.relay.rows("SELECT text FROM value WHERE name = 'identity'")[0][0])
    return from_b64u(identity["hub_key"])


def require_promises(made: Rig, answers: list[tuple[int, JsonObject]], ballots: dict[str, JsonObject]) -> None:
    """Hold each answer against the key that the relay was shown when it enrolled, as a page does."""
    assert [status for status, _ in answers] == [200] * len(ballots)
    for (_, answer), ballot in zip(answers, ballots.values(), strict=True):
        verify_promise(answer["promise"], key_of_hub(made))
        assert answer["promise"]["leaf"] == b64u(ballot_leaf(ballot))
        assert answer["promise"]["manifest"] == ballot["manifest"]


async def test_a_ballot_crosses_the_line_once(tmp_path: Path) -> None:
    async with rig(tmp_path) as made, tap(made.link.target) as line:
        manifest = await open_vote(made, voting_again="last-counts")
        ballots = {name: made.phones[name].ballot(manifest, YES) for name in ("binh", "greta", "mai")}
        made.link.drop()
        await made.until_cut(made.phones["binh"])
        receipts = await repeat(made, ballots)
        assert [status for status, _ in receipts] == [202, 202, 202]

        # The line is back and the outbox on its way: pages hear what they heard before, and nothing more goes up.
        made.link.target = line.port
        made.link.restore()
        await asyncio.wait_for(line.held.wait(), 60)
        await made.until_linked(made.phones["binh"])
        assert await repeat(made, ballots) == receipts
        assert line.casts() == 0
        assert await made.upto() == 0
        line.released.set()

        # Once the hub has answered, they get its promise, which it has signed, and still nothing more goes up.
        async def promised() -> bool:
            return len(made.relay.rows("SELECT 1 FROM promise")) == len(ballots)

        await until(promised, "the promises at the relay")
        require_promises(made, await repeat(made, ballots), ballots)
        assert line.casts() == 0
        assert line.up.count(OUTBOX) == 1
        await _other_requests_go_to_the_hub(made, line, ballots)
        await _control_a_relay_that_does_not_know(made, line, ballots)


async def _other_requests_go_to_the_hub(made: Rig, line: Tap, ballots: dict[str, JsonObject]) -> None:
    """Nobody without a session is answered here, and a later ballot is the hub's as ever."""
    assert made.manifest is not None
    stranger = Phone(made.origin, made.hall.chair)
    refused = await stranger.refused(made.vote("/ballots"), {"ballot": ballots["binh"]})
    await stranger.close()
    assert (refused, line.casts()) == ((401, "session.none"), 1)
    binh = made.phones["binh"]
    later = binh.ballot(made.manifest, NO, Turn(1, 2, Ballot.from_json(ballots["binh"]).leaf))
    answer = await binh.post(made.vote("/ballots"), {"ballot": later})
    verify_promise(answer["promise"], key_of_hub(made))
    assert line.casts() == 2
    assert (await binh.refused(made.vote("/ballots"), {"ballot": {}}))[0] == 422
    assert line.casts() == 3


async def _control_a_relay_that_does_not_know(made: Rig, line: Tap, ballots: dict[str, JsonObject]) -> None:
    """Without what the outbox brought back each ballot crosses again, as one whose promise was lost on the way."""
    await made.relay.stop()
    made.relay.change("DELETE FROM promise")
    await made.relay.start()
    await made.until_linked(made.phones["binh"])
    casts, before = line.casts(), len(line.up)
    del ballots["binh"]  # who has cast another one since
    require_promises(made, await repeat(made, ballots), ballots)
    assert line.casts() == casts + len(ballots)
    assert len(line.up) - before >= sum(len(json.dumps(one)) for one in ballots.values())


async def test_a_refused_ballot_hears_so_from_the_hub(tmp_path: Path) -> None:
    async with rig(tmp_path) as made, tap(made.link.target) as line:
        line.released.set()
        manifest = await open_vote(made, grace_s=0)
        ballots = {"binh": made.phones["binh"].ballot(manifest, YES)}
        made.link.drop()
        await made.until_cut(made.phones["binh"])
        assert [status for status, _ in await repeat(made, ballots)] == [202]
        action = {"type": "close-election", "meeting": made.hall.meeting, "election": manifest.election}
        await made.hall.chair.act(made.vote("/close"), action)
        await asyncio.sleep(2)  # what comes within the second of the end is in time
        made.link.target = line.port
        made.link.restore()

        async def told() -> bool:
            return made.relay.refused() != {}

        await until(told, "the hub's refusal at the relay")
        assert [status for status, _ in await repeat(made, ballots)] == [409]
        assert line.casts() >= 1
        assert made.relay.refused() == {1: "ballot.election-not-open"}


def test_a_promise_is_kept_only_for_its_ballot_and_from_the_hubs_key() -> None:
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    hub, ballot = bytes(range(32)), {"manifest": b64u(bytes(32)), "choices": []}
    wish = repeats.wish("vote-1", ballot)
    signer, moment = Signer("relay-1", 1, bytes(32)), Moment(1, True, bytes(32))
    promise = make_promise(bytes(32), ballot_leaf(ballot), 7, hub)
    given = {"seq": 1, "publish_by": 7, "sig": promise["sig"]}
    forged = {**given, "sig": make_promise(bytes(32), ballot_leaf(ballot), 7, bytes(32))["sig"]}
    key = signing.public_key(hub)
    with engine.begin() as tx:
        assert outbox.find(tx, wish) is None
        outbox.append(tx, signer, wish, Place(), moment)
        assert outbox.keep_promises(tx, [forged, {**given, "publish_by": 8}], key) == 2
        found = outbox.find(tx, wish)
        assert found is not None
        assert (found.seq, found.refused, found.promise) == (1, "", None)
        assert outbox.keep_promises(tx, [given, {**given, "seq": 2}], key) == 0  # the second is not here any more
        found = outbox.find(tx, wish)
        assert found is not None
        assert found.promise == promise
