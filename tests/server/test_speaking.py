"""Speakers over HTTP: the queue, the clock by the server's time, the one microphone, and every way a turn ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.common import refusal
from tests.server.support import House, at_check_in, connect


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.check_in("lan", "ana", "paul", "amira", "binh", "greta")
        await running.command("lan", "open")
        yield running


async def speaking(house: House) -> dict[str, Any]:
    return dict((await house.view("lan"))["speaking"])


async def queue(house: House) -> list[str]:
    return [turn["name"].split()[0].lower() for turn in (await speaking(house))["queue"]]


async def speaks(house: House) -> str:
    now = (await speaking(house))["now"]
    return "" if now is None else str(now["name"].split()[0].lower())


def heard(house: House) -> list[str]:
    """Who has the microphone besides the chair, as the media room was told."""
    return house.context.media._rooms[house.meeting].granted


async def rules(house: House, **changes: int) -> None:
    body = {"turn_s": 0, "group_s": 0, "order_s": 0, **changes}
    await house.lan.post(house.path("/speaking"), body)


async def test_the_queue_is_called_in_order(house: House) -> None:
    await house.command("ana", "raise-hand", kind="pro")
    await house.command("paul", "raise-hand", kind="pro")
    await house.command("amira", "raise-hand", kind="contra")
    await house.command("binh", "raise-hand", kind="point-of-order", category=2)
    await house.command("greta", "raise-hand", kind="point-of-order", category=1)
    called = ["greta", "binh", "ana", "amira", "paul"]
    assert await queue(house) == called
    for place, name in enumerate(called):
        await house.command("lan", "next-speaker")
        assert (await speaks(house), await queue(house)) == (name, called[place + 1 :])
        assert heard(house) == [house.people[name].member]
    assert await house.refused("lan", "next-speaker") == "floor.queue-empty"
    assert await speaks(house) == "paul"
    await house.command("paul", "yield-floor")
    assert ((await speaking(house))["now"], heard(house)) == (None, [])
    ended = [event["body"]["member"] for event in await house.events("FloorWithdrawn")]
    assert ended == [house.people[name].member for name in called]


async def test_a_member_is_in_one_queue(house: House) -> None:
    await house.command("ana", "raise-hand", kind="pro")
    seq = (await house.view("lan"))["seq"]
    assert await house.command("ana", "raise-hand", kind="pro") == seq
    for fields in ({}, {"kind": "contra"}, {"kind": "point-of-order"}):
        assert await house.refused("ana", "raise-hand", **fields) == "floor.queued-already"
    assert await house.refused("ana", "raise-hand", kind="pro", category=1) == "floor.bad-category"
    assert await house.refused("ana", "raise-hand", kind="song") == "input.malformed"
    assert await house.refused("ana", "raise-hand", kind="point-of-order", category=6) == "input.malformed"
    assert (await house.view("lan"))["seq"] == seq
    await house.command("ana", "lower-hand")
    await house.command("ana", "raise-hand", kind="contra")  # the control
    await house.command("lan", "grant-floor", member=house.ana.member)
    assert await house.refused("ana", "raise-hand", kind="pro") == "floor.queued-already"


async def test_talk_time_is_the_servers_without_pauses_and_groups_add_up(house: House) -> None:
    await rules(house, turn_s=60, group_s=50)
    await house.command("lan", "start-item", item=house.items[0])
    await house.command("binh", "raise-hand")
    house.clock.at += 5
    await house.command("lan", "next-speaker")
    begun = house.clock.at
    house.clock.at += 20
    await house.command("lan", "pause-turn")
    assert (await speaking(house))["now"]["spoken_s"] == 20
    house.clock.at += 10
    await house.command("lan", "resume-turn")
    await house.command("lan", "extend-turn", seconds=30)
    house.clock.at += 15
    assert (await speaking(house))["now"] | {"group": ""} == {
        "turn": "1",
        "person": house.binh.member,
        "name": "Binh Tran",
        "kind": "contribution",
        "category": 0,
        "group": "",
        "state": "speaking",
        "asked_at": begun - 5,
        "begun_at": begun,
        "limit_s": 80,
        "spoken_s": 20,
        "resumed_at": begun + 30,
    }
    await house.command("lan", "withdraw-floor", member=house.binh.member)
    ended = (await house.events("FloorWithdrawn"))[0]
    assert (ended["body"]["spoken_s"], ended["at"]) == (35, house.clock.at)
    assert [event["at"] for event in await house.events("FloorGranted")] == [begun]
    units = {unit["name"]: unit["id"] for unit in (await house.lan.get("/api/organisation"))["units"]}
    assert (await speaking(house))["groups"] == [
        {"group": units["Upper village"], "name": "Upper village", "spoken_s": 35}
    ]
    await house.command("lan", "grant-floor", member=house.binh.member)
    assert (await speaking(house))["now"]["limit_s"] == 15  # what the group has left
    house.clock.at += 20
    await house.command("binh", "yield-floor")
    for name in ("binh", "greta"):
        await house.command(name, "raise-hand")
    assert await queue(house) == ["greta", "binh"]


async def test_a_paused_speaker_is_silent_and_goes_on_when_granted_again(house: House) -> None:
    await house.command("lan", "set-floor-mode", mode="chaired")
    await house.command("lan", "grant-floor", member=house.ana.member)
    assert heard(house) == [house.ana.member]
    await house.command("lan", "pause-turn")
    assert heard(house) == []
    assert await house.refused("lan", "pause-turn") == "floor.wrong-state"
    await house.command("lan", "grant-floor", member=house.ana.member)
    assert (heard(house), len(await house.events("FloorGranted"))) == ([house.ana.member], 1)


async def test_granting_ends_the_other_turn(house: House) -> None:
    for name in ("ana", "paul"):
        await house.command("lan", "grant-floor", member=house.people[name].member)
    assert (await speaks(house), heard(house)) == ("paul", [house.paul.member])
    floor = [person["name"] for person in (await house.view("lan"))["present"] if person["floor"]]
    assert floor == ["Paul Martin"]


async def test_the_next_speaker_is_not_muted(house: House) -> None:
    await house.command("ana", "raise-hand")
    await house.command("lan", "mute-all")
    await house.command("lan", "next-speaker")
    assert [one["name"] for one in (await house.view("lan"))["present"] if not one["muted"]] == [
        one["name"] for one in (await house.view("lan"))["present"] if one["name"] in ("Ana Silva", "Lan Nguyen")
    ]
    assert house.ana.member not in house.context.media._rooms[house.meeting].muted


async def test_a_closed_queue_takes_points_of_order_only(house: House) -> None:
    await house.command("ana", "raise-hand")
    await house.command("lan", "close-queue")
    assert (await speaking(house))["open"] is False
    for kind in ("contribution", "pro", "contra", "reply"):
        assert await house.refused("paul", "raise-hand", kind=kind) == "floor.queue-closed"
    await house.command("paul", "raise-hand", kind="point-of-order")
    seq = await house.command("lan", "close-queue")
    assert seq == (await house.view("lan"))["seq"]
    await rules(house, turn_s=30)
    assert (await speaking(house))["open"] is False
    await house.command("lan", "open-queue")
    await house.command("amira", "raise-hand")
    assert await queue(house) == ["paul", "ana", "amira"]


async def leave(house: House) -> None:
    await house.command("ana", "leave")


async def remove(house: House) -> None:
    await house.command("lan", "remove", member=house.ana.member)


async def next_item(house: House) -> None:
    await house.command("lan", "start-item", item=house.items[1])


async def recess(house: House) -> None:
    await house.command("lan", "recess", until=0)


@pytest.mark.parametrize("ending", [leave, remove, next_item, recess])
async def test_every_way_to_end_a_turn_tells_it(house: House, ending: Any) -> None:
    await house.command("lan", "start-item", item=house.items[0])
    await house.command("lan", "grant-floor", member=house.ana.member)
    await house.command("paul", "raise-hand")
    house.clock.at += 33
    await ending(house)
    ended = [event["body"] for event in await house.events("FloorWithdrawn")]
    assert ended == [{"member": house.ana.member, "turn": "1", "spoken_s": 33}]
    assert (await speaking(house))["now"] is None
    waits = await queue(house)
    if ending is next_item:
        assert waits == []
        assert [event["body"]["turn"] for event in await house.events("HandLowered")] == ["2"]
    else:
        assert waits == ["paul"]


async def test_a_lost_link_ends_the_turn_when_it_was_last_heard(house: House) -> None:
    socket = await connect(house, "ana")
    assert "ok" in await socket.call("lease", {})
    await house.command("lan", "grant-floor", member=house.ana.member)
    house.clock.at += 30
    assert "ok" in await socket.call("lease", {})
    heard_last = house.clock.at
    await socket.client.disconnect()
    watcher = await connect(house, "binh")
    house.clock.at += house.settings.lease_lost_s + 1
    await watcher.until(lambda: "FloorWithdrawn" in watcher.kinds())
    told = next(event for event in watcher.events if event["type"] == "FloorWithdrawn")
    assert told["body"]["spoken_s"] == 30
    gone = {one["body"]["member"]: one["body"]["until"] for one in await house.events("MemberDeparted")}
    assert gone[house.ana.member] == heard_last


async def test_who_asked_before_the_first_item_stays(house: House) -> None:
    await house.command("ana", "raise-hand")
    await house.command("lan", "start-item", item=house.items[0])
    assert await queue(house) == ["ana"]


async def test_commands_of_the_floor_are_the_chairs(house: House) -> None:
    await house.command("lan", "grant-floor", member=house.ana.member)
    before = await house.view("binh")
    for command in ("next-speaker", "pause-turn", "resume-turn", "close-queue", "open-queue"):
        assert await house.refused("paul", command) == "role.missing"
    assert await house.refused("paul", "extend-turn", seconds=60) == "role.missing"
    assert await house.refused("lan", "extend-turn", seconds=60) == "floor.no-limit"
    for seconds in (14, 601, "60"):
        assert await house.refused("lan", "extend-turn", seconds=seconds) == "input.malformed"
    body = {"turn_s": 60, "group_s": 0, "order_s": 0}
    assert await refusal(house.paul, house.path("/speaking"), body) == (403, "role.missing")
    assert await refusal(house.lan, house.path("/speaking"), {**body, "turn_s": 3601}) == (400, "input.malformed")
    assert await house.view("binh") == before
    await house.command("ana", "yield-floor")
    for command in ("pause-turn", "resume-turn"):
        assert await house.refused("lan", command) == "floor.nobody-speaks"
    seq = (await house.view("lan"))["seq"]
    assert await house.command("paul", "yield-floor") == seq
    assert await refusal(house.lan, house.path("/speaking"), body) == (200, "accepted")
    told = (await house.events("SpeakingRulesSet"))[0]["body"]
    assert told == body
