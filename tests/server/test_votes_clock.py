"""The vote's clock: what it does when, alone and beside a broken election; and the limits of the check pool."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from pathlib import Path

import pytest
from tests.server import votes_support as support
from tests.server.votes_support import Hall

from folkmoot_server.commands.publishing import due_work
from folkmoot_server.demo import votes
from folkmoot_server.domain.elections import Verb
from folkmoot_server.domain.errors import TooMany
from folkmoot_server.web.proof_pool import MEMBER_CHECKS_MAX, ProofPool


async def due(hall: Hall, now: int) -> list[Verb]:
    waiting = hall.context.arrivals.count
    steps = await hall.read(lambda tx: due_work(tx, now, hall.settings.publish_batch_min, waiting))
    return [step.verb for step in steps]


async def published(hall: Hall, election: str) -> int:
    return int((await support.whole_board(hall, election))["size"])


async def test_a_batch_waits_for_its_size_and_its_turn(hall: Hall) -> None:
    _, manifest = await support.opened(hall)
    election = manifest.election
    now = hall.clock()
    for person, expected in zip(hall.officers[:3], ([], [], [Verb.PUBLISH]), strict=True):
        await hall.settle()
        await support.send(hall, person, support.seal(hall, person, manifest, 0))
        assert await due(hall, now) == expected
    assert await published(hall, election) == 1
    await hall.settle()
    assert await published(hall, election) == 4
    for person in hall.officers[3:]:
        await support.send(hall, person, support.seal(hall, person, manifest, 0))
    await hall.settle(hall.settings.publish_every_s)
    assert await published(hall, election) == 4  # two are no batch
    await support.close(hall, election)
    assert await published(hall, election) == 7


async def test_the_next_batch_waits_for_the_next_period(tmp_path: Path) -> None:
    async with support.enrolled(tmp_path, publish_batch_min=1) as hall:
        _, manifest = await support.opened(hall)
        sizes = []
        for person in hall.officers[:2]:
            await support.send(hall, person, support.seal(hall, person, manifest, 0))
            await hall.settle()
            sizes.append(await published(hall, manifest.election))
        await hall.settle(hall.settings.publish_every_s)
        assert [*sizes, await published(hall, manifest.election)] == [2, 2, 3]


async def test_a_broken_election_does_not_stop_the_others(hall: Hall, caplog: pytest.LogCaptureFixture) -> None:
    _, first = await support.opened(hall)
    await support.cast_all(hall, first, [0, 0, 0])
    first_meeting = hall.meeting
    _, second = await support.opened(hall)
    await support.cast_all(hall, second, [0, 0, 0])
    with support.connect(hall) as raw:  # an entry in the place where the next batch belongs
        raw.execute(
            "INSERT INTO board_entry SELECT election, 2, type, entry, leaf FROM board_entry WHERE election = ?",
            (first.election,),
        )
    with caplog.at_level(logging.ERROR):
        await hall.settle()
    assert "votes.step-failed step=publish kind=IntegrityError" in caplog.text
    assert await published(hall, second.election) == 4
    hall.meeting = first_meeting
    assert (await hall.view(hall.chair))["elections"][0]["cast"] == 3  # still waiting, none lost


async def test_the_clock_runs_by_itself_and_stops(hall: Hall) -> None:
    _, manifest = await support.opened(hall)
    await support.cast_all(hall, manifest, [0, 0, 0])
    await hall.scheduler.start()
    async with asyncio.timeout(20):
        await votes._until(hall.chair, hall.meeting, manifest.election, lambda view: view["size"] == 4, "the batch")
    await hall.scheduler.close()
    await hall.scheduler.close()


async def test_one_member_cannot_fill_the_check_pool() -> None:
    pool = ProofPool(secrets.token_bytes)
    gate = threading.Event()
    try:
        waiting = [asyncio.create_task(pool.run("mallory", gate.wait)) for _ in range(MEMBER_CHECKS_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(TooMany):
            await pool.run("mallory", gate.wait)
        other = asyncio.create_task(pool.run("ana", lambda: 7))
        await asyncio.sleep(0)
        gate.set()
        assert await other == 7
        assert all(await asyncio.gather(*waiting))
        assert await pool.run("mallory", lambda: 8) == 8
        assert not pool._waiting
    finally:
        gate.set()
        await pool.close()
