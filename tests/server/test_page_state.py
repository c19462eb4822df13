"""A page that applies events shows what a fresh snapshot says, over random histories of a real server."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random  # noqa: TID251  histories; never keys
from typing import Any

import pytest
from tests.server import votes_support
from tests.server.votes_support import Hall

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import DemoError, Person

WEB = Path(__file__).resolve().parents[2] / "web_client"
Act = Callable[[], Awaitable[Any]]
KINDS = ("contribution", "pro", "contra", "point-of-order", "reply")
# What happens often while a meeting is in session; a page must not fetch anything for it.
FREQUENT = {
    "AgendaItemStarted",
    "BallotAccepted",
    "BoardPublished",
    "FloorGranted",
    "FloorWithdrawn",
    "HandLowered",
    "HandRaised",
    "MemberDeparted",
    "MessagePosted",
    "QuorumLost",
    "QuorumReached",
    "TurnExtended",
    "TurnPaused",
    "TurnResumed",
}


class History:
    """What some members' pages would hear and fetch."""

    def __init__(self, hall: Hall, viewers: dict[str, Person]) -> None:
        self.hall, self.viewers = hall, viewers
        self.steps: dict[str, list[dict[str, Any]]] = {name: [] for name in viewers}

    async def note(self) -> None:
        """Fetch what is new for every viewer."""
        self.hall.clock.at += 20
        await asyncio.gather(*(self._note(name, person) for name, person in self.viewers.items()))

    async def _note(self, name: str, person: Person) -> None:
        steps = self.steps[name]
        seen = steps[-1]["snapshot"]["seq"] if steps else 0
        events = (await person.get(self.hall.path(f"/events?after={seen}")))["events"] if steps else []
        steps.append({"events": events, "snapshot": await person.get(self.hall.path(""))})

    async def do(self, act: Act) -> bool:
        """Try something and note what came of it; False when it was refused."""
        try:
            await act()
        except DemoError:
            return False
        await self.note()
        return True

    async def replayed(self, folder: Path) -> dict[str, Any]:
        """Let a page's own rules replay it."""
        file = folder / "history.json"
        file.write_text(json.dumps(self.steps))
        node = shutil.which("node")
        assert node is not None, "Node runs the page's rules"
        hooks = WEB / "tools" / "register.mjs"
        running = await asyncio.create_subprocess_exec(
            *(node, "--no-warnings", "--import", hooks.as_uri(), str(WEB / "test" / "replay.ts"), str(file)),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await running.communicate()
        assert running.returncode == 0
        return dict(json.loads(out))


@asynccontextmanager
async def history(folder: Path) -> AsyncIterator[tuple[History, votes_support.Ready]]:
    async with votes_support.serve(folder) as hall:
        await votes_support.enrol_everybody(hall)
        ready = await votes_support.prepare(hall)
        viewers = {"chair": hall.chair, "teller": hall.tellers[0], "auditor": hall.auditor}
        found = History(hall, viewers)
        await found.note()
        yield found, ready


def command(hall: Hall, person: Person, name: str, **fields: Any) -> Act:
    return lambda: person.post(hall.path("/commands"), {"command": name, **fields})


async def something(past: History, draw: Random) -> bool:
    """Do one thing out of those that happen in a room."""
    hall = past.hall
    chair, somebody, other = hall.chair, draw.choice([*hall.officers, hall.plain]), draw.choice(hall.officers[1:])
    agenda = (await chair.get(hall.path("")))["agenda"]

    async def ask() -> None:
        wish = draw.choice(KINDS)
        category = draw.randrange(6) if wish == "point-of-order" else 0
        await command(hall, somebody, "raise-hand", kind=wish, category=category)()

    chat = {"kind": "chat", "text": "Good day", "to": 0}
    times = {"turn_s": draw.randrange(300), "group_s": draw.randrange(40), "order_s": 30}

    async def move() -> None:
        body = {"item": agenda[0]["id"], "title": "A hall", "text": "We build a hall.\n\nSoon."}
        motion = (await somebody.post(hall.path("/motions"), body))["motion"]
        await somebody.post(hall.path(f"/motions/{motion}/act"), {"act": "submit"})

    async def second() -> None:
        motions = (await chair.get(hall.path("")))["motions"]
        if not motions:
            raise DemoError("none")
        act = draw.choice(("second", "second", "admit", "withdraw"))
        await somebody.post(hall.path(f"/motions/{draw.choice(motions)['motion']}/act"), {"act": act})

    async def site() -> None:
        body = {"name": f"Hall {draw.randrange(1000)}", "custodian": other.member, "expected": 3, "profile": 128}
        await hall.secretary.post(hall.path("/sites"), body)

    async def new_item() -> None:
        body = {
            "title": "More",
            "parent": "",
            "after": agenda[-1]["id"],
            "minutes": 5,
            "internal": draw.random() < 0.4,
        }
        await hall.secretary.post(hall.path("/agenda"), body)

    acts: list[Act] = [
        *[ask] * 4,
        *[lambda: votes_support.check_in(hall, [somebody])] * 3,
        *[lambda: somebody.post(hall.path("/messages"), chat)] * 2,
        command(hall, somebody, "lower-hand"),
        *[command(hall, chair, name) for name in ("next-speaker", "next-speaker", "next-speaker", "pause-turn")],
        *[command(hall, chair, name) for name in ("resume-turn", "close-queue", "open-queue", "mute-all", "resume")],
        command(hall, somebody, "yield-floor"),
        *[command(hall, somebody, "leave")] * 2,
        command(hall, chair, "extend-turn", seconds=30),
        command(hall, chair, "grant-floor", member=somebody.member),
        command(hall, chair, "withdraw-floor", member=somebody.member),
        command(hall, chair, draw.choice(("mute", "unmute")), member=somebody.member),
        command(hall, chair, draw.choice(("remove", "readmit", "readmit")), member=other.member),
        command(hall, chair, "set-floor-mode", mode=draw.choice(("open", "chaired"))),
        command(hall, chair, "start-item", item=draw.choice(agenda)["id"]),
        command(hall, chair, "defer-item", item=draw.choice(agenda)["id"]),
        command(hall, chair, "recess", until=0),
        lambda: chair.post(
            hall.path("/message-rules"), {"chat": True, "questions": draw.random() < 0.5, "visitors": False}
        ),
        lambda: chair.post(hall.path("/speaking"), times),
        move,
        second,
        second,
        site,
        new_item,
    ]
    return await past.do(draw.choice(acts))


async def vote(past: History, ready: votes_support.Ready) -> None:
    """Hold one secret vote, step by step."""
    hall = past.hall
    election = await votes_support.draft(hall)
    await past.note()
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    await past.note()
    for person in hall.officers:
        await votes.cast(person, hall.meeting, manifest, hall.credentials[person.member], [(1, 0, 0)])
        await past.note()
        await hall.settle(2)
        await past.note()
    closing = votes_support.step_up("close-election", hall, election)
    await hall.chair.act(hall.election_path(election, "/close"), closing)
    await past.note()
    await hall.settle(5)
    await past.note()
    for cosigner in ready.cosigners:
        await votes.cosign([cosigner], hall.meeting, manifest)
        await past.note()
    await votes.count(ready.tellers[: manifest.trustees.threshold], hall.meeting, manifest)
    await past.note()
    await votes.declare(next(one for one in ready.cosigners if one.name == "chair"), hall.meeting, manifest)
    await past.note()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
async def test_events_lead_to_what_the_snapshot_says(tmp_path: Path, seed: int) -> None:
    draw = Random(seed)
    async with history(tmp_path) as (past, ready):
        if seed == 0:
            await vote(past, ready)
        done = 0
        for _ in range(70):
            done += await something(past, draw)
        assert done > 20
        found = await past.replayed(tmp_path)
    assert found["wrong"] == []
    assert not FREQUENT & set(found["fetched"])
    assert set(found["alone"]) >= {"HandRaised", "MemberDeparted", "MemberCheckedIn"}
    # Of the three who look on at most one fetches: whose own check-in it is.
    assert found["alone"]["MemberCheckedIn"] >= 2 * found["fetched"].get("MemberCheckedIn", 0)
    if seed == 0:
        assert set(found["alone"]) >= {"BallotAccepted", "BoardPublished", "ClosingCosigned", "ResultDeclared"}
    # control: a page that misses an event of its own accord would be found out
    for steps in past.steps.values():
        for step in steps:
            step["events"] = [
                {**event, "body": {**event["body"], "turn": "0"}} if event["type"] == "HandRaised" else event
                for event in step["events"]
            ]
    assert (await past.replayed(tmp_path))["wrong"]
