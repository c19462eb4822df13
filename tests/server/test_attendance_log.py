"""Who was present at a vote's opening and at its closing is signed, and both verifiers compute it anew."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import sites_support as support
from tests.server import votes_support
from tests.server.sites_support import check_in_at_kiosk
from tests.server.test_votes_flow import downloads
from tests.server.votes_support import OFFICERS, OTHERS, Hall
from tests.voting.test_two_verifiers import run_node

from folkmoot_server.commands import sites
from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import votes
from folkmoot_voting.verify import verify_bundle

VILLAGERS = tuple(NewPerson(f"Villager {number}", None, ()) for number in range(1, 5))
LOST_S = 20
# Open votes: what is counted is not what these tests are about.
OPEN = {"secrecy": "open"}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Hall]:
    """A meeting of eleven in check-in, four of them in a village hall."""
    async with votes_support.enrolled(tmp_path, OFFICERS + OTHERS + VILLAGERS) as hall:
        await votes_support.convene(hall)
        await votes.freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        yield hall


async def lose_silent(hall: Hall, site: str) -> None:
    """Let time pass in which the hall's page is not heard, and the server notice."""
    hall.clock.at += LOST_S
    await hall.database.write(lambda tx: sites.lose_silent(tx, hall.clock(), LOST_S, 0))
    assert {one["site"]: one["state"] for one in (await hall.view(hall.chair))["sites"]}[site] == "lost"


async def finish(hall: Hall, ready: votes_support.Ready, election: str, manifest: Any) -> None:
    """Close, cosign, count and declare."""
    await votes_support.close(hall, election)
    await votes_support.cosign(hall, manifest, ready.cosigners)
    await hall.settle()
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)


async def told(hall: Hall, folder: Path) -> tuple[str, list[str], list[Any]]:
    """Return what both verifiers say: the verdict, what fails, and who was present at each closing."""
    paths = [folder / "bundle.zip", folder / "annex.zip"]
    for path, content in zip(paths, await downloads(hall), strict=True):
        path.write_bytes(content)
    ours = verify_bundle(paths[0].read_bytes(), paths[1].read_bytes()).to_json()
    theirs = json.loads(run_node(paths[0], "--annex", paths[1], "--json").stdout)
    both = []
    for report in (ours, theirs):
        failing = [one["id"] for one in report["checks"] if one["ok"] is not True]
        both.append((report["verdict"], failing, [one["at_closing"] for one in report["elections"]]))
    assert both[0] == both[1]
    return both[0]


async def two_votes(hall: Hall) -> None:
    """Hold two votes: in the first the village hall is lost before the closing; in the second it is back."""
    custodian, village = hall.people[7], hall.people[7:]
    site = await support.open_hall(hall, hall.database, hall.secretary, custodian, hall.clock())
    for member in village:
        await check_in_at_kiosk(hall, custodian, member, site)
    await votes_support.check_in(hall, hall.officers)
    tellers = await votes.make_key(hall.tellers, hall.meeting)
    cosigners = [await votes.name_cosigner(person, hall.meeting) for person in hall.officers]
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    ready = votes_support.Ready(tellers, cosigners)

    first = await votes_support.draft(hall, **OPEN)
    manifest = await votes.open_election(hall.chair, hall.meeting, first)
    assert manifest.present == 9
    await votes_support.cast_all(hall, manifest, [0, 0, 1])
    await lose_silent(hall, site)
    await finish(hall, ready, first, manifest)

    await support.hear(hall, hall.database, custodian, site, hall.clock())
    second = await votes_support.draft(hall, **OPEN)
    manifest = await votes.open_election(hall.chair, hall.meeting, second)
    assert manifest.present == 9
    await votes_support.cast_all(hall, manifest, [0, 1, 1])
    await finish(hall, ready, second, manifest)


async def test_a_hall_lost_between_opening_and_closing_is_in_the_record(place: Hall, tmp_path: Path) -> None:
    await two_votes(place)
    closed = [one["body"] for one in await place.events("ElectionClosed")]
    assert [(one["present"], one["met"]) for one in closed] == [(5, False), (9, True)]
    points = (await place.chair.get(place.path("/quorum-curve")))["points"]
    for event in await place.events("ElectionClosed"):
        then = [point for point in points if point["seq"] <= event["seq"]][-1]
        assert event["body"]["present"] == then["present"]
    lost, back = [{"met": one["met"], "present": one["present"], "present_weight": one["present"]} for one in closed]
    assert await told(place, tmp_path) == ("ok", [], [lost, back])
    raw, annex = await downloads(place)
    with zipfile.ZipFile(io.BytesIO(annex)) as packed:
        log = [json.loads(line) for line in packed.read("attendance.jsonl").splitlines()]
    kinds = [line["type"] for line in log[1:]]
    assert (kinds.count("arrived"), kinds.count("departed"), kinds.count("returned")) == (9, 4, 4)
    assert not any("at" in line for line in log)  # the annex has no times beside the order
    with zipfile.ZipFile(io.BytesIO(raw)) as packed:
        public = b"".join(packed.read(name) for name in packed.namelist())
    assert [person.member for person in place.people if person.member.encode() in public] == []


TAMPERED = {
    "a departure never happened": "DELETE FROM event WHERE id = (SELECT id FROM event WHERE type = 'MemberDeparted')",
    "another was lost": (
        "UPDATE event SET body = replace(body, '\"lost\"', '\"cut\"') WHERE type = 'MemberDeparted'"
    ),
    "returns under other numbers": "UPDATE event SET seq = seq + 100000 WHERE type = 'MemberReturned'",
    "more present at a closing": (
        "UPDATE attendance_mark SET mark = replace(mark, '\"present\": 5', '\"present\": 9') WHERE moment = 'closing'"
    ),
}


@pytest.mark.parametrize("story", TAMPERED)
async def test_another_story_told_afterwards_is_noticed(place: Hall, tmp_path: Path, story: str) -> None:
    await two_votes(place)
    with votes_support.connect(place) as database:
        assert database.execute(TAMPERED[story]).rowcount > 0
    expected = "V04" if "closing" in story else "V34"
    verdict, failing, _ = await told(place, tmp_path)
    assert (verdict, failing[0]) == ("failed", expected)
