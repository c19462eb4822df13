"""A server that is killed loses no acknowledged ballot and finishes what it had begun."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.server import votes_support as support
from tests.server.common import free_port
from tests.server.test_votes_flow import opened_annex
from tests.server.votes_child import SETTINGS
from tests.server.votes_support import Hall

from folkmoot_config.settings import Settings
from folkmoot_server.demo import officers, votes
from folkmoot_server.storage.database import Database
from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.encoding import JsonObject, b64u
from folkmoot_voting.verify import verify_bundle

ROOT = Path(__file__).resolve().parents[2]
YES, NO = 0, 1


class Server:
    """A child process that serves one data folder on one port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.server.votes_child",
            str(self.folder),
            str(self.port),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert await asyncio.wait_for(self._process.stdout.readline(), 60) == b"ready\n"

    async def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[Hall, Server]]:
    """A meeting with its key made, served by a process of its own."""
    (tmp_path / "server.key").write_bytes(secrets.token_bytes(32))
    port = free_port()
    server = Server(tmp_path, port)
    settings = Settings(data=tmp_path, public_url=f"http://localhost:{port}", **SETTINGS)
    database = Database(tmp_path / "folkmoot.db")
    links = await support.found(database, int(time.time()))
    database.close()  # only one process may have it
    hall = Hall(settings, lambda: int(time.time()), b"", database, None, None)  # type: ignore[arg-type]  the child has them
    await server.start()
    try:
        await support.enrol(hall, links)
        await officers.confirm_everybody(hall.chair, hall.secretary)
        yield hall, server
    finally:
        for person in hall.people:
            await person.__aexit__(None, None, None)
        await server.kill()


async def try_to_cast(hall: Hall, index: int, path: str, ballot: JsonObject) -> JsonObject | None:
    """Cast; None when the server died before it answered."""
    with contextlib.suppress(aiohttp.ClientError):
        return dict((await hall.officers[index].post(path, {"ballot": ballot}))["promise"])
    return None


@pytest.mark.parametrize("moment_s", [None, 0.02, 0.05])
async def test_no_acknowledged_ballot_is_lost(running: tuple[Hall, Server], moment_s: float | None) -> None:
    """Kill after two answers (fewer than a batch, so they still wait), or in the middle of five casts at once."""
    hall, server = running
    ready = await support.prepare(hall)
    election = await support.draft(hall)
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    path = hall.election_path(election, "/ballots")
    ballots = [support.seal(hall, person, manifest, YES) for person in hall.officers]
    promises: list[JsonObject | None] = [None] * 5
    if moment_s is None:
        for index in (0, 1):
            promises[index] = await try_to_cast(hall, index, path, ballots[index])
        assert len((await support.whole_board(hall, election))["entries"]) == 1
        await server.kill()
    else:
        casting = [asyncio.create_task(try_to_cast(hall, index, path, ballots[index])) for index in range(5)]
        await asyncio.sleep(moment_s)
        await server.kill()
        promises = list(await asyncio.gather(*casting))
    await server.start()

    for index, ballot in enumerate(ballots):
        answer = await hall.officers[index].post(path, {"ballot": ballot})
        if promises[index] is not None:
            assert answer["promise"] == promises[index]
    await hall.chair.act(hall.election_path(election, "/close"), support.step_up("close-election", hall, election))
    # Killed again in the middle of closing: the restarted clock seals the board.
    await server.kill()
    await server.start()
    await votes._until(hall.chair, hall.meeting, election, closed, "the closing checkpoint")
    entries = [json.loads(entry) for entry in (await support.whole_board(hall, election))["entries"]]
    cast = [ballot_leaf(entry["ballot"]) for entry in entries if entry["type"] == "ballot"]
    assert sorted(cast) == sorted(map(ballot_leaf, ballots))
    assert entries[-1]["cast"] == 5

    await support.cosign(hall, manifest, ready.cosigners)
    await votes.count(ready.tellers[1:], hall.meeting, manifest)
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    _, bundle = await hall.chair.raw("GET", hall.path("/bundle.zip"))
    assert verify_bundle(bundle, await opened_annex(hall)).verdict == "ok"


def closed(view: dict[str, Any]) -> bool:
    return bool(view["closing"])


async def test_control_a_ballot_that_is_not_in_the_database_is_missed(running: tuple[Hall, Server]) -> None:
    """If the writer answered before the commit, the check above would see it: drop the ballot by hand."""
    hall, server = running
    await support.prepare(hall)
    election = await support.draft(hall)
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    ballot = support.seal(hall, hall.chair, manifest, NO)
    promise = await support.send(hall, hall.chair, ballot)
    await server.kill()
    with contextlib.closing(support.connect(hall)) as raw:
        for table in ("pending_entry", "promise", "ballot_point", "used_seal"):
            raw.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
        raw.execute("UPDATE electorate_seat SET seq = 0, prev = NULL")
        raw.execute('UPDATE election SET ballots = 0, "cast" = 0, cast_weight = 0')
        raw.commit()
    await server.start()
    await hall.chair.act(hall.election_path(election, "/close"), support.step_up("close-election", hall, election))
    view = await votes._until(hall.chair, hall.meeting, election, closed, "the closing checkpoint")
    assert view["entries"][-1]["cast"] == 0
    answer = await support.refusal(
        hall.chair, hall.election_path(election, f"/inclusion?leaf={promise['leaf']}"), method="GET"
    )
    assert answer == (404, "board.not-published")
    assert promise["leaf"] == b64u(ballot_leaf(ballot))
