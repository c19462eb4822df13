"""The floor across halls without a relay: whose microphone is open, on real sockets, real UDP and real SRTP."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.media.support import LEVEL_ID, MID_ID, rtp
from tests.media.test_drain import Page, until
from tests.server import sites_support as support
from tests.server.support import PEOPLE, House, Socket, at_check_in, connect

from folkmoot_media.forwarding.packets import parse_rtp
from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.realtime.media_rooms import Room

PACKETS = 30
"""So many packets later whoever is let through has long been heard."""
STEP_S = 15
"""Whoever renews the lease so often is not lost."""
TWELVE = tuple(NewPerson(f"M{number:02d} Kiosk", None, ()) for number in range(1, 13))


class Seat(Page):
    """A page with a socket of its own: a phone, a laptop, or a hall's computer. Its packets name it."""

    def __init__(self, carrier: Socket, owner: str, speaks: bool) -> None:
        super().__init__(None, owner, speaks)  # type: ignore[arg-type]
        self.carrier = carrier
        self.from_owner: Counter[str] = Counter()

    def _on_rtp(self, data: bytes) -> None:
        self.heard += 1
        packet = parse_rtp(data)
        assert packet is not None
        self.from_owner[packet.payload.decode()] += 1

    async def ask(self, method: str, **data: Any) -> dict[str, Any]:
        answer = await self.carrier.call("media", {"method": method, "data": data})
        assert "ok" in answer, answer
        return dict(answer["ok"])

    async def begin(self) -> Seat:
        assert (await self.ask("capabilities"))["owner"] == self.owner
        await self.build()
        if self.speaks:
            self.start(self.speak())
        return self

    async def speak(self) -> None:
        while True:
            self._sequence += 1
            packet = rtp(
                ssrc=5000,
                sequence=self._sequence,
                timestamp=960 * self._sequence,
                payload=self.owner.encode(),
                extensions={MID_ID: b"0", LEVEL_ID: bytes((20,))},
            )
            self.links[-1].active.send_rtp(packet)
            await asyncio.sleep(0.02)

    @property
    def silenced(self) -> bool | None:
        """What the page was told last: silent at the server or not; None when it was told nothing since it began."""
        told = [one["data"]["muted"] for one in self.carrier.media if one["event"] == "muted"]
        return told[-1] if told else None

    async def sends(self, packets: int = PACKETS) -> None:
        """Wait until it has sent so many more."""
        before = self._sequence
        await until(lambda: self._sequence >= before + packets)


@dataclass
class Floor:
    """A meeting in session; Lan presides and listens by herself."""

    house: House
    ear: Seat
    seats: list[Seat] = field(default_factory=list)

    async def hall(self, custodian: str, name: str) -> Seat:
        """A hall whose page sends its microphone."""
        house = self.house
        person = house.people[custodian]
        site = await support.add(house, house.jonas, person.member, name)
        await person.post(house.path(f"/sites/{site}/test"), support.GOOD_LINE)
        page = await connect(house, custodian)
        assert "ok" in await page.call("lease", {"site": site})
        return await self.begin(page, f"site:{site}")

    async def phone(self, name: str, hall: Seat | None = None) -> Seat:
        """A member's own device that sends, checked in at a hall or nowhere in particular."""
        house = self.house
        if hall is None:
            await house.check_in(name)
        else:
            site = hall.owner.removeprefix("site:")
            code = await support.code_of(house, house.jonas, site)
            await support.check_in_at(house, house.people[name], site, code)
        carrier = await connect(house, name)
        assert "ok" in await carrier.call("lease", {})
        return await self.begin(carrier, house.people[name].member)

    async def begin(self, carrier: Socket, owner: str) -> Seat:
        seat = await Seat(carrier, owner, speaks=True).begin()
        self.seats.append(seat)
        return seat

    async def grant(self, seat: Seat) -> None:
        await self.house.command("lan", "grant-floor", member=seat.owner)

    async def withdraw(self, seat: Seat) -> None:
        await self.house.command("lan", "withdraw-floor", member=seat.owner)

    async def heard(self, *owners: str) -> None:
        """Wait until each of these is heard anew."""
        before = Counter(self.ear.from_owner)
        await until(lambda: all(self.ear.from_owner[owner] >= before[owner] + PACKETS // 3 for owner in owners))

    async def hears_only(self, *wanted: Seat) -> None:
        """These are heard, and no other seat, though everybody sends; what was on its way before is let come."""
        for _ in range(10):
            before = Counter(self.ear.from_owner)
            await asyncio.gather(*(seat.sends() for seat in self.seats))
            await self.heard(*(seat.owner for seat in wanted))
            found = {seat.owner for seat in self.seats if self.ear.from_owner[seat.owner] > before[seat.owner]}
            if found == {seat.owner for seat in wanted}:
                return
        raise AssertionError(f"heard {found}, not {[seat.owner for seat in wanted]}")


@pytest_asyncio.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    async with at_check_in(tmp_path, media_worker=True) as house:
        await house.check_in("lan", "jonas")
        await house.command("lan", "open")
        made = Floor(house, await Seat(await connect(house, "lan"), house.lan.member, speaks=False).begin())
        try:
            yield made
        finally:
            for seat in (*made.seats, made.ear):
                await seat.leave()


async def test_the_floor_opens_exactly_the_microphone_of_the_hall_that_has_it(floor: Floor) -> None:
    upper, lower = await floor.hall("paul", "Upper hall"), await floor.hall("amira", "Lower hall")
    for mode in ("open", "chaired"):
        await floor.house.command("lan", "set-floor-mode", mode=mode)
        await floor.hears_only()
        for granted, other in ((lower, upper), (upper, lower)):
            await floor.grant(granted)
            await floor.hears_only(granted)
            await until(lambda one=granted: one.silenced is False)
            assert (await other.ask("list"))["muted"] is True
            await floor.withdraw(granted)
            await floor.hears_only()


async def test_a_member_in_a_hall_with_the_floor_is_heard_by_that_halls_microphone_alone(floor: Floor) -> None:
    house = floor.house
    upper, lower = await floor.hall("paul", "Upper hall"), await floor.hall("amira", "Lower hall")
    await support.check_in_at_kiosk(house, house.amira, house.binh, lower.owner.removeprefix("site:"))
    await house.command("lan", "grant-floor", member=house.binh.member)
    await floor.hears_only(lower)
    await house.command("lan", "withdraw-floor", member=house.binh.member)
    await floor.hears_only()
    await floor.grant(upper)
    await floor.hears_only(upper)


async def test_of_a_hall_without_a_relay_one_microphone_is_open_at_a_time(floor: Floor) -> None:
    hall = await floor.hall("paul", "Upper hall")
    greta, binh = await floor.phone("greta", hall), await floor.phone("binh", hall)
    ana = await floor.phone("ana")
    await floor.hears_only(ana)  # the room is open: who is alone is heard
    for seat in (hall, greta, binh):
        assert (await seat.ask("list"))["muted"] is True
    for granted in (greta, hall, binh):
        await floor.grant(granted)
        await floor.hears_only(ana, granted)
        await until(lambda one=granted: one.silenced is False)
        muted = {seat for seat in floor.seats if (await seat.ask("list"))["muted"]}
        assert muted == {hall, greta, binh} - {granted}
    # Who has the floor closes the own microphone: the hall's is open.
    (mine,) = [one for one in (await binh.ask("list"))["producers"] if one["owner"] == binh.owner]
    await binh.ask("close_producer", producer_id=mine["producer_id"])
    await floor.hears_only(ana, hall)


async def test_whoever_leaves_the_hall_or_comes_to_it_is_heard_as_where_they_are(floor: Floor) -> None:
    house = floor.house
    hall = await floor.hall("paul", "Upper hall")
    greta = await floor.phone("greta", hall)
    await floor.hears_only()
    await house.check_in("greta")  # by herself, without leaving first
    await floor.hears_only(greta)
    code = await support.code_of(house, house.jonas, hall.owner.removeprefix("site:"))
    await support.check_in_at(house, house.greta, hall.owner.removeprefix("site:"), code)
    await floor.hears_only()
    await house.command("greta", "leave")
    floor.seats.remove(greta)
    await greta.leave()
    again = await floor.phone("greta")
    await floor.hears_only(again)


async def test_a_member_who_was_lost_is_of_the_hall_again_by_the_next_lease(floor: Floor) -> None:
    house = floor.house
    hall = await floor.hall("paul", "Upper hall")
    greta = await floor.phone("greta", hall)
    room = house.context.media._rooms[house.meeting]
    site = hall.owner.removeprefix("site:")
    for _ in range(house.settings.lease_lost_s // STEP_S):
        house.clock.at += STEP_S
        for carrier, lease in ((floor.ear.carrier, {}), (hall.carrier, {"site": site})):
            assert "ok" in await carrier.call("lease", lease)
    await until(lambda: greta.owner not in room.members and greta.owner not in room.halls[hall.owner])
    assert "ok" in await greta.carrier.call("lease", {})
    await greta.build()
    assert greta.owner in room.members
    await floor.hears_only()
    await floor.grant(greta)
    await floor.hears_only(greta)


async def test_without_the_rule_every_microphone_of_the_halls_is_heard(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests above: what keeps the others silent is this rule, and the ear would hear them."""
    hall, lower = await floor.hall("paul", "Upper hall"), await floor.hall("amira", "Lower hall")
    greta = await floor.phone("greta", hall)
    await floor.grant(lower)
    await floor.hears_only(lower)
    monkeypatch.setattr(Room, "silenced", property(lambda room: set(room.muted)))
    await floor.grant(lower)
    await floor.hears_only(lower, hall, greta)


async def test_twelve_members_at_one_device_are_one_stream(tmp_path: Path) -> None:
    async with at_check_in(tmp_path, media_worker=True, people=PEOPLE + TWELVE) as house:
        await house.check_in("lan", "jonas")
        await house.command("lan", "open")
        floor = Floor(house, await Seat(await connect(house, "lan"), house.lan.member, speaks=False).begin())
        try:
            await one_stream(floor, lambda: house.context.media.figures()[0])
        finally:
            for seat in (*floor.seats, floor.ear):
                await seat.leave()


async def one_stream(floor: Floor, figures: Callable[[], dict[str, Any]]) -> None:
    house = floor.house
    hall = await floor.hall("paul", "Upper hall")
    site = hall.owner.removeprefix("site:")
    twelve = [house.people[person.name.split()[0].lower()] for person in TWELVE]
    for member in twelve:
        await support.check_in_at_kiosk(house, house.paul, member, site)
    lines = (await house.lan.get(house.path("/attendance")))["lines"]
    assert sorted(line["member"] for line in lines if line["site"] == site) == sorted(one.member for one in twelve)
    for member in (twelve[0], twelve[11]):  # whoever of them speaks, it is this stream
        await house.command("lan", "grant-floor", member=member.member)
        await floor.hears_only(hall)
    pool = house.context.media.sites.pool
    (worker,) = await pool.stats()
    assert (figures()["members"], figures()["transports"], figures()["producers"]) == (2, 2, 1)
    assert worker["transports"] == 2  # the hall sends, Lan listens
    # The control: a phone of one of them is a stream of its own.
    await floor.phone("greta", hall)
    assert (figures()["members"], figures()["producers"]) == (3, 2)
    (worker,) = await pool.stats()
    assert worker["transports"] == 3
