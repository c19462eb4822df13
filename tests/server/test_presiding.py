"""One chair at a time: hand-overs signed by both, deputies within thirty seconds, and who takes the chair back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from tests.server.common import refusal
from tests.server.support import House, at_check_in, connect

from folkmoot_server.commands import attendance, presiding
from folkmoot_server.domain.presiding import Holder, deputy
from folkmoot_server.realtime.housekeeping import Housekeeping
from folkmoot_server.storage import schema_conduct
from folkmoot_voting import challenges

LOST_S = 20


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.second_chair("ana")
        await running.second_chair("paul")
        await running.realtime._housekeeping.close()  # here the tests say when the chair is looked for
        await running.check_in("lan", "paul", "ana", "binh")
        yield running


async def look(house: House, since: int = 0) -> None:
    now = house.clock.at
    await house.context.database.write(lambda tx: presiding.deputise(tx, now, LOST_S, since))


async def lease(house: House, *names: str) -> None:
    for name in names:
        member = house.people[name].member
        await house.context.database.write(
            lambda tx, member=member: attendance.take_lease(tx, house.meeting, member, house.clock.at)
        )


async def chair(house: House) -> str:
    found = (await house.view("binh"))["presiding"]
    return "" if found is None else str(found["name"]).split()[0].lower()


async def offer(house: House, name: str, to: str, **changes: Any) -> str:
    action = {"type": "hand-over", "meeting": house.meeting, "to": to, **changes}
    person = house.people[name]
    signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
    return (await refusal(person, house.path("/handover"), {"to": to, "action": action, "signed": signed}))[1]


async def accept(house: House, name: str, origin: str, **changes: Any) -> str:
    action = {"type": "accept-chair", "meeting": house.meeting, "from": house.people[origin].member, **changes}
    person = house.people[name]
    signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
    return (await refusal(person, house.path("/handover/accept"), {"action": action, "signed": signed}))[1]


@given(
    st.lists(st.tuples(st.sampled_from("cabd"), st.integers(0, 60)), unique_by=lambda one: one[0]),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_the_first_who_is_heard_steps_in_and_nobody_while_the_chair_is(
    here: list[tuple[str, int]], watching_since: int, later: int
) -> None:
    now = 60 + later
    present = [Holder(name, place, lease_at) for place, (name, lease_at) in enumerate(here)]
    heard = [one.member for one in present if now - max(one.lease_at, watching_since) < LOST_S]
    found = deputy(present, "c", now=now, lost_s=LOST_S, watching_since=watching_since)
    if "c" in heard:
        assert found is None
    else:
        assert found == (heard[0] if heard else None)


async def test_who_opens_presides_and_other_chairs_wait(house: House) -> None:
    # Before the opening any chair may lead.
    await house.command("ana", "set-floor-mode", mode="chaired")
    await house.command("lan", "set-floor-mode", mode="open")
    assert await chair(house) == ""
    await house.command("lan", "open")
    assert await chair(house) == "lan"
    assert (await house.events("ChairTaken"))[0]["body"] == {"member": house.lan.member, "name": "Lan Nguyen"}
    deputies = [one["name"] for one in (await house.view("binh"))["deputies"]]
    assert deputies == [house.people[name].name for name in sorted(("ana", "paul"), key=house_order(house))]
    item, member = house.items[0], house.binh.member
    before = await house.view("binh")
    attempts: list[dict[str, Any]] = [
        *({"command": name} for name in ("close", "mute-all", "next-speaker", "pause-turn", "close-queue")),
        *(
            {"command": name, "member": member}
            for name in ("grant-floor", "withdraw-floor", "mute", "unmute", "remove", "readmit")
        ),
        {"command": "recess", "until": 0},
        {"command": "adjourn", "continues_at": 0},
        {"command": "start-item", "item": item},
        {"command": "defer-item", "item": item},
        {"command": "set-floor-mode", "mode": "chaired"},
    ]
    for body in attempts:
        fields = {key: value for key, value in body.items() if key != "command"}
        assert await house.refused("ana", body["command"], **fields) == "chair.not-presiding", body
        assert await house.refused("jonas", body["command"], **fields) == "role.missing", body
    assert await house.refused("ana", "resume-chair") == "chair.nothing-to-resume"
    assert await offer(house, "ana", house.paul.member) == "chair.not-presiding"
    assert await house.view("binh") == before
    await house.command("lan", "start-item", item=item)  # the control


def house_order(house: House) -> Any:
    """Those who checked in in the same second stand by their ids."""
    return lambda name: house.people[name].member


async def test_the_chair_is_handed_over_by_two_signatures(house: House) -> None:
    await house.command("lan", "open")
    ana = house.ana.member
    for to, code in (
        (house.lan.member, "chair.not-available"),
        (house.binh.member, "chair.not-available"),
        ("nobody", "chair.not-available"),
        ("", "chair.no-offer"),
    ):
        assert await offer(house, "lan", to) == code, to
    assert await offer(house, "lan", ana, meeting="other") == "action.differs"
    assert await accept(house, "ana", "lan") == "chair.no-offer"
    assert await offer(house, "lan", ana) == "accepted"
    assert (await house.view("binh"))["offered_to"] == {"member": ana, "name": "Ana Silva"}
    assert await chair(house) == "lan"
    assert await accept(house, "paul", "lan") == "chair.no-offer"
    assert await accept(house, "ana", "paul") == "action.differs"
    # Taken back, and a later offer takes the place of an earlier one.
    assert await offer(house, "lan", "") == "accepted"
    assert await accept(house, "ana", "lan") == "chair.no-offer"
    assert await offer(house, "lan", ana) == "accepted"
    assert await offer(house, "lan", house.paul.member) == "accepted"
    assert await accept(house, "ana", "lan") == "chair.no-offer"
    assert await accept(house, "paul", "lan") == "accepted"
    assert await chair(house) == "paul"
    assert (await house.view("binh"))["offered_to"] is None
    told = (await house.events("ChairHandedOver"))[0]["body"]
    assert told == {"from": house.lan.member, "to": house.paul.member, "name": "Paul Martin"}
    assert await house.refused("lan", "close") == "chair.not-presiding"
    assert await house.refused("lan", "resume-chair") == "chair.nothing-to-resume"
    kept = await house.context.database.read(
        lambda tx: [
            (row.kind, row.member)
            for row in tx.execute(select(schema_conduct.signed_act).order_by(schema_conduct.signed_act.c.id))
        ]
    )
    assert kept[-2:] == [("hand-over", house.lan.member), ("accept-chair", house.paul.member)]
    await house.command("paul", "close")


async def test_a_deputy_presides_after_twenty_seconds_and_gives_the_chair_back(house: House) -> None:
    await house.command("lan", "open")
    await lease(house, "lan", "ana", "paul")
    house.clock.at += LOST_S - 1
    await lease(house, "ana", "paul")
    await look(house)
    assert await chair(house) == "lan"
    house.clock.at += 1
    await look(house)
    first = min(("ana", "paul"), key=house_order(house))
    other = "paul" if first == "ana" else "ana"
    assert await chair(house) == first
    told = (await house.events("DeputyPresides"))[0]["body"]
    assert told == {
        "from": house.lan.member,
        "to": house.people[first].member,
        "name": house.people[first].name,
    }
    await look(house)
    assert len(await house.events("DeputyPresides")) == 1
    assert await house.refused("lan", "mute-all") == "chair.not-presiding"
    assert await house.refused(other, "mute-all") == "chair.not-presiding"
    await house.command(first, "mute-all")
    assert await house.refused(other, "resume-chair") == "chair.nothing-to-resume"
    await lease(house, "lan")
    assert await chair(house) == first  # only by the own wish
    await house.command("lan", "resume-chair")
    assert await chair(house) == "lan"
    assert (await house.events("ChairResumed"))[0]["body"] == {"member": house.lan.member, "name": "Lan Nguyen"}
    assert await house.refused("lan", "resume-chair") == "chair.nothing-to-resume"


async def test_a_deputy_who_is_lost_too_is_followed_and_the_first_one_takes_it_back(house: House) -> None:
    await house.command("lan", "open")
    house.clock.at += LOST_S
    await lease(house, "ana", "paul")
    await look(house)
    first = await chair(house)
    other = "paul" if first == "ana" else "ana"
    house.clock.at += LOST_S
    await lease(house, other)
    await look(house)
    assert await chair(house) == other
    assert await house.refused(first, "resume-chair") == "chair.nothing-to-resume"
    await lease(house, "lan")
    await house.command("lan", "resume-chair")
    assert await chair(house) == "lan"


async def test_nobody_steps_in_without_being_heard_or_while_the_server_was_away(house: House) -> None:
    await house.command("lan", "open")
    house.clock.at += 10 * LOST_S
    await look(house)
    assert await chair(house) == "lan"  # the deputies are as silent
    await lease(house, "ana")
    await look(house, since=house.clock.at - LOST_S + 1)
    assert await chair(house) == "lan"
    await look(house, since=house.clock.at - LOST_S)  # the control
    assert await chair(house) == "ana"


async def test_a_chair_who_leaves_or_loses_the_role_is_followed_at_once(house: House) -> None:
    await house.command("lan", "open")
    await lease(house, "ana")
    await house.command("lan", "leave")
    await look(house)
    first = await chair(house)
    assert first in ("ana", "paul")
    assert await house.refused("lan", "resume-chair") == "chair.not-present"
    await house.check_in("lan")
    await house.command("lan", "resume-chair")
    assert await offer(house, "lan", house.ana.member) == "accepted"
    assert await accept(house, "ana", "lan") == "accepted"
    grants = await house.lan.get("/api/members")
    ana = next(one for one in grants["members"] if one["id"] == house.ana.member)
    grant = next(one["id"] for one in ana["roles"] if one["role"] == "chair")
    await house.lan.post(f"/api/grants/{grant}/end")
    assert await house.refused("ana", "mute-all") == "role.missing"
    await look(house)
    assert await chair(house) in ("lan", "paul")


async def test_a_recess_and_a_second_day_know_their_chair(house: House) -> None:
    await house.command("lan", "open")
    await house.command("lan", "recess", until=0)
    house.clock.at += LOST_S
    await lease(house, "paul")
    await look(house)
    assert await chair(house) == "paul"
    await house.command("paul", "adjourn", continues_at=0)
    assert await chair(house) == ""
    await house.command("jonas", "begin-check-in")
    await house.check_in("ana", "lan")
    house.clock.at += 10 * LOST_S
    await look(house)
    assert await chair(house) == ""
    assert await house.refused("lan", "resume-chair") == "meeting.wrong-state"
    await house.command("ana", "open")
    assert await chair(house) == "ana"


async def test_a_deputy_presides_within_thirty_seconds_of_a_lost_socket(tmp_path: Path) -> None:
    async with at_check_in(tmp_path) as house:
        await house.second_chair("ana")
        await house.check_in("lan", "ana", "binh")
        lan, ana, binh = [await connect(house, name) for name in ("lan", "ana", "binh")]
        await house.command("lan", "open")
        for heard in (lan, ana):
            await heard.client.call("lease", {})
        lost_at = house.clock.at
        await lan.client.disconnect()
        # Every page renews its lease every ten seconds; the housekeeping ticks by itself.
        while house.clock.at - lost_at < 30 and not binh.kinds().count("DeputyPresides"):
            house.clock.at += 1
            if (house.clock.at - lost_at) % 10 == 0:
                await ana.client.call("lease", {})
            await tick(house)
        await binh.until(lambda: "DeputyPresides" in binh.kinds())
        at = next(event["at"] for event in binh.events if event["type"] == "DeputyPresides")
        assert house.settings.chair_lost_s <= at - lost_at < 30
        await house.command("ana", "mute-all")
        back = await connect(house, "lan")
        await back.client.call("lease", {})
        await house.command("lan", "resume-chair")
        await binh.until(lambda: "ChairResumed" in binh.kinds())


async def tick(house: House) -> None:
    keeper: Housekeeping = house.realtime._housekeeping
    await keeper._deputise()
    await asyncio.sleep(0)
