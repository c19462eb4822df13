"""A meeting with a main room and twenty halls: each with its own custodian, tested, signed, lost and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.server import sites_support, votes_support
from tests.server.sites_support import GOOD_LINE
from tests.server.votes_support import OFFICERS, Hall

from folkmoot_server.commands import sites
from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.sites import MAIN

HALLS = 20
LOST_S = 20
CUSTODIANS = tuple(NewPerson(f"Custodian {number + 1:02}", None, ()) for number in range(HALLS))


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with votes_support.enrolled(tmp_path, OFFICERS + CUSTODIANS) as found:
        await votes_support.convene(found)
        await votes.freeze_roll(found.secretary, found.meeting)
        await found.chair.post(found.path("/commands"), {"command": "begin-check-in"})
        yield found


async def lose(hall: Hall) -> None:
    """What the server does at the end of a lease."""
    now = hall.clock()
    await hall.database.write(lambda tx: sites.lose_silent(tx, now, LOST_S, 0))


async def hear(hall: Hall, custodians: dict[str, Person], *places: str) -> None:
    for site in places:
        await sites_support.hear(hall, hall.database, custodians[site], site, hall.clock())


async def open_places(hall: Hall) -> dict[str, Person]:
    """Write down the main room and twenty halls, test their lines and let them be heard; return who has which."""
    of_main = {"name": "Town hall", "custodian": hall.secretary.member, "expected": 5, "profile": 0}
    await hall.secretary.post(hall.path(f"/sites/{MAIN}"), of_main)
    custodians = {MAIN: hall.secretary}
    for number, person in enumerate(hall.people[len(OFFICERS) :]):
        name = f"Hall {number + 1:02}"
        custodians[await sites_support.add(hall, hall.secretary, person.member, name)] = person
    for site, person in custodians.items():
        await person.post(hall.path(f"/sites/{site}/test"), GOOD_LINE)
    await hear(hall, custodians, *custodians)
    return custodians


async def sign_in_everywhere(hall: Hall, custodians: dict[str, Person]) -> None:
    """Each custodian checks in with the place's code and signs that this is who is there."""
    for site, person in custodians.items():
        await sites_support.check_in_at(hall, person, site, await sites_support.code_of(hall, person, site))
        seats = [person.member]
        action = sites_support.seats_action(hall, site, seats)
        await person.act(hall.path(f"/sites/{site}/seats"), action, seats=seats)


async def lights(hall: Hall) -> dict[str, str]:
    """The light of every place on the chair's page."""
    return {one["site"]: one["state"] for one in (await hall.view(hall.chair))["sites"]}


async def test_twenty_halls_are_tested_signed_lost_and_back_and_the_chair_sees_each(hall: Hall) -> None:
    custodians = await open_places(hall)
    await sign_in_everywhere(hall, custodians)
    never_tested = await sites_support.add(hall, hall.secretary, hall.people[-1].member, "Not tested")
    await hear(hall, {never_tested: hall.people[-1]}, never_tested)
    view = await hall.view(hall.chair)
    assert [one["site"] for one in view["sites"]] == [*custodians, never_tested, "remote"]
    for one in view["sites"][:-2]:
        person = custodians[one["site"]]
        assert (one["custodian"], one["custodian_name"], one["present"]) == (person.member, person.name, 1)
        assert (one["state"], one["tested"]["sound"], one["seats"]["count"]) == ("connected", True, 1)
    assert (view["quorum"]["present"], len(view["present"])) == (HALLS + 1, HALLS + 1)
    assert (await lights(hall))[never_tested] == "invited"  # the control: it was heard as well
    signed = [event["body"] for event in await hall.events("SeatsSigned")]
    assert {(one["site"], one["missing"], one["extra"]) for one in signed} == {(site, 0, 0) for site in custodians}

    halls = [site for site in custodians if site != MAIN]
    silent, back = halls[::4], halls[::4][:3]
    hall.clock.at += LOST_S
    await hear(hall, custodians, *(site for site in custodians if site not in silent))
    await lose(hall)
    now = await lights(hall)
    assert [site for site, state in now.items() if state == "lost"] == silent
    assert Counter(now.values()) == {"connected": HALLS + 1 - len(silent), "lost": len(silent), "invited": 2}
    await hear(hall, custodians, *back)
    now = await lights(hall)
    assert [site for site, state in now.items() if state == "rejoined"] == back
    await hear(hall, custodians, *back)
    now = await lights(hall)
    assert Counter(now.values()) == {"connected": HALLS + 1 - 2, "lost": 2, "invited": 2}
    told = {kind: [one["body"]["site"] for one in await hall.events(kind)] for kind in ("SiteLost", "SiteRejoined")}
    assert {kind: sorted(found) for kind, found in told.items()} == {
        "SiteLost": sorted(silent),
        "SiteRejoined": sorted(back),
    }
    # Who has an own device is there by it: losing a hall's page took nobody out.
    assert (await hall.view(hall.chair))["quorum"]["present"] == HALLS + 1
