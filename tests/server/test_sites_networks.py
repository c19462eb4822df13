"""A hall code that somebody photographed, in a hall without a relay: let in, and told when it is another network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server import sites_support as support
from tests.server.common import START, refusal
from tests.server.sites_support import hall_of
from tests.server.support import House, at_check_in

from folkmoot_server.demo.client import Person
from folkmoot_server.web.hall_networks import HALLS_MAX, KNOWN_S, HallNetworks

HALL, MOBILE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, trust_proxy=True) as running:
        await running.realtime._housekeeping.close()  # no hall is lost here
        yield running


def be_at(person: Person, address: str) -> None:
    """Let the person's requests come from an address, as a proxy on this machine tells it."""
    person._http.headers["X-Forwarded-For"] = address


async def alerts(house: House) -> list[tuple[str, str]]:
    return [(one["kind"], one["site"]) for one in (await house.view("lan"))["alerts"]]


async def test_a_code_used_from_another_network_lets_in_and_is_told_to_the_chair(house: House) -> None:
    site = await hall_of(house)
    be_at(house.paul, HALL)
    be_at(house.binh, HALL)
    be_at(house.greta, MOBILE)
    code = await support.code_of(house, house.paul, site)
    await support.check_in_at(house, house.binh, site, code)
    assert await alerts(house) == []  # the control: a phone in the hall
    await support.check_in_at(house, house.greta, site, code)
    assert await alerts(house) == [("code-elsewhere", site)]
    assert [one["body"] for one in await house.events("CodeElsewhere")] == [{"site": site}]
    here = {one["name"]: one["site"] for one in (await house.view("lan"))["present"]}
    assert here == {"Binh Tran": site, "Greta Weber": site}
    # Put aside, it comes again with the next one.
    await house.lan.post(house.path(f"/sites/{site}/alerts/dismiss"), {"kind": "code-elsewhere"})
    be_at(house.ana, MOBILE)
    await support.check_in_at(house, house.ana, site, code)
    assert await alerts(house) == [("code-elsewhere", site)]


async def test_nothing_is_told_where_the_hub_cannot_say(house: House) -> None:
    site = await hall_of(house)
    be_at(house.paul, HALL)
    be_at(house.greta, MOBILE)
    be_at(house.jonas, MOBILE)
    be_at(house.binh, "2001:db8::1")
    # An officer at home has seen the code, and the hall's page has not asked yet.
    await support.check_in_at(house, house.greta, site, await support.code_of(house, house.jonas, site))
    code = await support.code_of(house, house.paul, site)
    await support.check_in_at(house, house.binh, site, code)  # IPv6 there, IPv4 here
    begin = house.path("/check-in/begin")
    assert await refusal(house.greta, begin, {}) == (200, "accepted")  # a member alone, wherever
    assert await refusal(house.greta, begin, {"site": site, "code": "aaaaaaaaaa"}) == (403, "site.bad-code")
    assert await alerts(house) == []
    assert await refusal(house.greta, begin, {"site": site, "code": code}) == (200, "accepted")
    assert await alerts(house) == [("code-elsewhere", site)]  # the control


def test_networks_are_told_apart_by_what_devices_of_one_share() -> None:
    seen = HallNetworks()
    assert not seen.is_elsewhere("m", "s", MOBILE, START)
    seen.note("m", "s", HALL, START)
    asked = {HALL: False, f"::ffff:{HALL}": False, MOBILE: True, "2001:db8::1": False, "unknown": False}
    assert {one: seen.is_elsewhere("m", "s", one, START + KNOWN_S - 1) for one in asked} == asked
    assert not seen.is_elsewhere("m", "s", MOBILE, START + KNOWN_S)
    assert not seen.is_elsewhere("m", "other", MOBILE, START)
    seen.note("m", "s", "2001:db8:0:7::1", START)
    asked = {"2001:db8:0:7:a:b:c:d": False, "2001:db8:0:8::1": True, HALL: False}
    assert {one: seen.is_elsewhere("m", "s", one, START) for one in asked} == asked
    for number in range(HALLS_MAX):
        seen.note("m", str(number), HALL, START)
    assert not seen.is_elsewhere("m", "s", "2001:db8:0:8::1", START), "the oldest is forgotten"
    assert seen.is_elsewhere("m", "0", MOBILE, START)
