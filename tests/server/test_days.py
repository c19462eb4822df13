"""Recess, a quorum that is lost, and a meeting of two days with one record of attendance; with real check-ins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.common import START, refusal
from tests.server.support import House, at_check_in, connect, serve, sign_in
from tests.server.votes_support import Hall

from folkmoot_server.commands import attendance
from folkmoot_server.demo import votes

DAY = 86_400


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A meeting of eight members with a binding quorum of one half, in check-in."""
    async with serve(tmp_path) as running:
        await running.enrol()
        await running.confirm()
        await running.draft(binding=True)
        await running.command("jonas", "convene")
        await votes.freeze_roll(running.jonas, running.meeting)
        await running.command("lan", "begin-check-in")
        await running.realtime._housekeeping.close()
        yield running


async def state(house: House) -> str:
    return str((await house.view("binh"))["state"])


async def kinds(house: House, after: int) -> list[str]:
    return [event["type"] for event in await house.events() if event["seq"] > after]


async def seq(house: House) -> int:
    return int((await house.view("lan"))["seq"])


async def test_without_its_quorum_a_meeting_with_a_binding_one_is_not_opened(house: House) -> None:
    await house.check_in("lan", "ana", "binh")
    assert await house.refused("lan", "open") == "meeting.no-quorum"
    await house.check_in("paul")
    await house.command("lan", "open")
    assert (await house.events("MeetingOpened"))[0]["body"] == {"present": 4, "roll": 8}


async def test_a_hall_that_never_fills_is_sent_home(house: House) -> None:
    await house.check_in("lan", "ana")
    assert await house.refused("jonas", "adjourn", continues_at=0) == "role.missing"
    assert await house.refused("lan", "adjourn", continues_at=START) == "meeting.time-past"
    await house.command("lan", "adjourn", continues_at=START + DAY)
    view = await house.view("binh")
    assert (view["state"], view["until"], view["present"]) == ("adjourned", START + DAY, [])
    await house.command("lan", "close")
    assert await state(house) == "closed"


async def test_a_binding_quorum_takes_the_meeting_along_at_once_and_back(house: House) -> None:
    await house.check_in("lan", "ana", "binh", "paul")
    await house.command("lan", "open")
    before = await seq(house)
    await house.command("binh", "leave")
    assert await state(house) == "quorum-lost"
    assert await kinds(house, before) == ["MemberDeparted", "QuorumLost"]
    # Talk goes on.
    await house.command("ana", "raise-hand")
    await house.command("lan", "grant-floor", member=house.ana.member)
    await house.command("lan", "start-item", item=house.items[0])
    await house.check_in("binh")
    assert await state(house) == "opened"
    # A lost connection is found by the clock; the state follows in the same step.
    house.clock.at += 120
    now = house.clock.at
    for name in ("lan", "ana", "binh"):
        member = house.people[name].member
        await house.context.database.write(
            lambda tx, member=member: attendance.take_lease(tx, house.meeting, member, now)
        )
    await house.context.database.write(lambda tx: attendance.expire_leases(tx, now, 45, 120, 0))
    assert await state(house) == "quorum-lost"
    member = house.paul.member
    await house.context.database.write(lambda tx: attendance.take_lease(tx, house.meeting, member, now))
    assert await state(house) == "opened"
    await house.command("lan", "remove", member=house.paul.member)
    assert await state(house) == "quorum-lost"
    await house.command("lan", "close")
    assert (await kinds(house, 0)).count("QuorumLost") == 3


async def test_where_the_quorum_does_not_bind_the_state_stays(tmp_path: Path) -> None:
    async with at_check_in(tmp_path) as house:
        await house.check_in("lan")
        await house.command("lan", "open")
        assert (await house.view("lan"))["quorum"]["met"] is False
        await house.check_in("ana", "binh", "paul")
        await house.command("ana", "leave")
        assert await state(house) == "opened"
        assert (await kinds(house, 0)).count("QuorumLost") == 1


async def test_in_a_recess_nobody_has_the_floor_and_members_come_and_go(house: House) -> None:
    await house.check_in("lan", "ana", "binh", "paul")
    await house.command("lan", "open")
    await house.command("ana", "raise-hand")
    await house.command("binh", "raise-hand")
    await house.command("lan", "grant-floor", member=house.ana.member)
    for name, code in (("ana", "role.missing"), ("jonas", "role.missing")):
        assert await house.refused(name, "recess", until=0) == code
    assert await house.refused("lan", "recess", until=START) == "meeting.time-past"
    before = await seq(house)
    await house.command("lan", "recess", until=START + 900)
    assert await kinds(house, before) == ["FloorWithdrawn", "RecessBegan"]
    view = await house.view("binh")
    assert (view["state"], view["until"]) == ("recess", START + 900)
    assert not any(one["floor"] for one in view["present"])
    for command, fields in (
        ("grant-floor", {"member": house.binh.member}),
        ("start-item", {"item": house.items[0]}),
        ("recess", {"until": 0}),
        ("open", {}),
    ):
        assert await house.refused("lan", command, **fields) == "meeting.wrong-state"
    await house.command("paul", "leave")
    assert await state(house) == "recess"
    await house.check_in("amira", "paul")
    house.clock.at += 1000  # what was announced does nothing by itself
    assert await state(house) == "recess"
    await house.command("lan", "resume")
    view = await house.view("binh")
    assert (view["state"], view["until"], len(view["present"])) == ("opened", 0, 5)


async def test_a_quorum_lost_in_a_recess_is_lost_after_it(house: House) -> None:
    await house.check_in("lan", "ana", "binh", "paul")
    await house.command("lan", "open")
    await house.command("lan", "recess", until=0)
    await house.command("paul", "leave")
    await house.command("lan", "resume")
    assert await state(house) == "quorum-lost"
    await house.command("lan", "recess", until=0)  # a break until more have come
    await house.check_in("paul")
    await house.command("lan", "resume")
    assert await state(house) == "opened"


async def test_a_second_day_has_the_same_roll_and_record_and_seats_that_work(house: House) -> None:
    await house.check_in("lan", "ana", "binh", "paul")
    heard = await connect(house, "ana")
    assert "ok" in await heard.client.call("lease", {})
    await house.command("lan", "open")
    await house.command("lan", "start-item", item=house.items[0])
    await house.command("lan", "remove", member=house.paul.member)
    await house.check_in("greta")
    house.clock.at = START + 1000
    before = await seq(house)
    await house.command("lan", "adjourn", continues_at=START + DAY)
    assert await kinds(house, before) == [*["MemberDeparted"] * 4, "MeetingAdjourned"]
    assert (await heard.client.call("lease", {}))["error"]["code"] == "meeting.wrong-state"
    with pytest.raises(Exception, match="wrong-state"):
        await house.check_in("ana")
    for name, command in (("lan", "open"), ("lan", "resume"), ("ana", "raise-hand"), ("ana", "leave")):
        assert await house.refused(name, command) == "meeting.wrong-state"
    house.clock.at = START + DAY
    for person in house.people.values():
        await sign_in(person)  # nobody was here for a night
    heard = await connect(house, "ana")
    await house.command("jonas", "begin-check-in")
    roll = (await house.view("lan"))["roll"]
    # Who was there yesterday checks in again; a page that is open already makes nobody present.
    assert (await heard.client.call("lease", {}))["error"]["code"] == "attendance.not-present"
    assert await house.refused("lan", "open") == "meeting.no-quorum"
    before = await seq(house)
    await house.check_in("lan", "ana", "binh", "greta")
    assert (await kinds(house, before))[-1] == "QuorumReached"
    assert "QuorumLost" not in await kinds(house, before)
    epoch = (await heard.client.call("lease", {}))["ok"]["epoch"]
    assert epoch == 2
    assert (await house.view("paul"))["me"]["removed"] is True  # who was removed stays so
    before = await seq(house)
    await house.command("lan", "open")
    assert await kinds(house, before) == ["MeetingContinued", "ChairTaken"]
    view = await house.view("binh")
    assert (view["opened_at"], view["until"]) == (START, 0)
    assert [item["state"] for item in view["agenda"]] == ["current", "waiting"]
    assert view["roll"] == roll
    house.clock.at += 60
    await house.command("lan", "close")
    lines = (await house.lan.get(house.path("/attendance")))["lines"]
    record: dict[str, Any] = {}
    for line in lines:
        record.setdefault(line["name"], []).append((line["from"], line["until"]))
    both = [(START, START + 1000), (START + DAY, START + DAY + 60)]
    assert record == {
        **dict.fromkeys(("Lan Nguyen", "Ana Silva", "Binh Tran", "Greta Weber"), both),
        "Paul Martin": [(START, START)],
    }
    status, text = await house.lan.raw("GET", house.path("/attendance.csv"))
    assert status == 200
    assert text.count(b",adjourned,") == 4
    assert text.count(b",closed,") == 4


async def test_credentials_of_the_first_day_vote_on_the_second(hall: Hall) -> None:
    ready = await support.prepare(hall)
    await support.hold_vote(hall, ready, [0] * 5)
    command = hall.path("/commands")
    await hall.chair.post(command, {"command": "adjourn", "continues_at": 0})
    hall.clock.at += DAY
    for person in hall.people:
        await sign_in(person)
    await hall.secretary.post(command, {"command": "begin-check-in"})
    for person in hall.officers:
        # The page on the same device signs the credential that it keeps.
        await votes.check_in(person, hall.meeting, hall.credentials[person.member])
    await hall.chair.post(command, {"command": "open"})
    manifest = await support.hold_vote(hall, ready, [0, 0, 0, 1, 2])
    core = (await hall.chair.get(hall.election_path(manifest.election, "/tally")))["core"]
    assert core["counts"] == [[3, 1, 1]]
    assert {one["name"] for one in (await hall.view(hall.chair))["present"]} == {p.name for p in hall.officers}
    await hall.chair.post(command, {"command": "close"})
    status, _ = await hall.chair.raw("GET", hall.path("/bundle.zip"))
    assert status == 200


async def test_no_vote_is_opened_without_a_binding_quorum_and_an_open_one_goes_on(hall: Hall) -> None:
    await support.convene(hall, binding=True)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    await support.check_in(hall, hall.officers)
    await votes.make_key(hall.tellers, hall.meeting)
    for person in hall.officers:
        await votes.name_cosigner(person, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    open_one, later = await support.draft(hall), await support.draft(hall)
    manifest = await votes.open_election(hall.chair, hall.meeting, open_one)
    for person in hall.officers[3:]:
        await person.post(hall.path("/commands"), {"command": "leave"})
    assert (await hall.view(hall.chair))["state"] == "quorum-lost"
    ballot = support.seal(hall, hall.officers[1], manifest, 0)
    await hall.officers[1].post(hall.election_path(open_one, "/ballots"), {"ballot": ballot})
    await support.close(hall, open_one)
    body = await support.act(hall, hall.chair, later, "open")
    path = hall.election_path(later, "/open")
    assert await support.refused(hall, hall.chair, path, body) == (409, "meeting.wrong-state")
    await support.check_in(hall, hall.officers[3:])
    assert (await hall.view(hall.chair))["state"] == "opened"
    assert await refusal(hall.chair, path, await support.act(hall, hall.chair, later, "open")) != (
        409,
        "meeting.wrong-state",
    )
