"""A page for members that is shown in the main room reaches members in the hall, and nobody else there."""

from pathlib import Path
from typing import Any

import pytest
from tests.relay.rig import Phone, Rig, rig, until
from tests.relay.test_relay_papers import bring

from folkmoot_server.demo.client import Person
from folkmoot_server.domain.audience import UNSEEN

pytestmark = pytest.mark.timeout(400)  # processes and passkeys, on a slow machine


async def newcomer(made: Rig) -> Phone:
    """Somebody who may read the meeting and came too late for its roll."""
    hall = made.hall
    unit = (await hall.secretary.get("/api/organisation"))["units"][0]["id"]
    link = (await hall.secretary.post("/api/members", {"name": "Late", "unit": unit}))["enrolment_url"]
    person = Person(hall.settings.public_url, "Late")
    hall.people.append(person)
    await person.enrol(link)
    return Phone(made.origin, person)


def shown(phone: Phone) -> list[dict[str, Any]]:
    """What the phone's live connection has said of pages."""
    return [one["body"] for one in phone.heard if one.get("type") == "PagePresented"]


async def test_members_in_the_hall_follow_a_page_for_members(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        binh, late = made.phones["binh"], await newcomer(made)
        officer = Phone(made.origin, made.hall.tellers[0])  # on the roll, and not on the hall's list
        try:
            for phone in (late, officer):
                await phone.sign_in()
            after = (await binh.get(made.path()))["seq"]
            for phone in (binh, late, officer):
                await phone.follow(made.hall.meeting, after)
            paper = (await bring(made, "plan.txt", b"The mill"))["paper"]
            await made.hall.chair.post(made.path("/present"), {"paper": paper, "version": 1, "page": 1})

            async def told() -> bool:
                return all(shown(phone) for phone in (binh, late, officer))

            await until(told, "the page at every phone")
            whole = {"paper": paper, "version": 1, "page": 1, "open": False}
            assert shown(binh) == shown(officer) == [whole]
            assert shown(late) == [dict(UNSEEN)]
        finally:
            for phone in (late, officer):
                await phone.close()
