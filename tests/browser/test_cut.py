"""The pages of a hall whose line is cut: what they say, what the relay keeps of them, and the way back."""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.browser import steps, support
from tests.browser.conftest import NewPerson
from tests.browser.votes import hand_over
from tests.relay.rig import Rig, open_vote, rig

pytestmark = pytest.mark.one_origin
ARRIVED = re.compile("pending|on-the-board")


async def page_of(made: Rig, new_person: NewPerson, name: str) -> support.Person:
    """A browser of a member of the hall, signed in at the relay's address."""
    person = await new_person(made.origin, name, media=False)
    await hand_over(made.phones[name].person, person)
    await person.page.goto("/")
    await steps.click(person, "sign-in-button")
    await steps.see(person, "home")
    return person


async def test_a_hall_goes_on_voting_and_says_so(tmp_path: Path, new_person: NewPerson) -> None:
    async with rig(tmp_path) as made:
        otto = await page_of(made, new_person, "otto")
        meeting = f"/meetings/{made.hall.meeting}"
        await otto.page.goto(f"{meeting}/check-in")
        await steps.click(otto, "check-in-button")
        await otto.page.wait_for_url("**/room")
        await expect(otto.page.get_by_test_id("cut-banner")).to_have_count(0)
        manifest = await open_vote(made)
        booth = await otto.context.new_page()
        await booth.goto(f"/booth#{made.hall.meeting}/{manifest.election}")
        await booth.get_by_test_id("booth-option-0").click()
        await booth.get_by_test_id("booth-review").click()

        made.link.drop()
        await steps.see(otto, "cut-banner")
        await support.assert_accessible(otto.page, "a room that is cut off")
        await support.shoot(otto.page, "cut-room")
        await booth.get_by_test_id("booth-cast").click()
        await expect(booth.get_by_test_id("booth-queued")).to_be_visible()
        await expect(booth.get_by_test_id("tracker")).to_be_visible()
        await support.assert_accessible(booth, "a booth that is cut off")
        await support.shoot(booth, "cut-booth")
        await otto.page.goto("/receipts")
        await expect(otto.page.get_by_test_id("receipt")).to_have_attribute("data-state", "queued")
        await support.assert_accessible(otto.page, "receipts in a hall that is cut off")
        await support.shoot(otto.page, "cut-receipts")
        await _checks_in_at_the_hall(made, new_person)

        made.link.restore()
        await expect(booth.get_by_test_id("booth-done")).to_be_visible()
        await otto.page.goto(f"{meeting}/room")
        await expect(otto.page.get_by_test_id("cut-banner")).to_have_count(0)
        await otto.page.goto("/receipts")
        await expect(otto.page.get_by_test_id("receipt")).to_have_attribute(
            "data-state", re.compile("pending|on-the-board")
        )
        assert made.relay.refused() == {}
        assert [one["cast"] for one in (await made.hall.view(made.hall.chair))["elections"]] == [1]


async def _checks_in_at_the_hall(made: Rig, new_person: NewPerson) -> None:
    """Somebody signs in and checks in while the hall is alone."""
    mai = await page_of(made, new_person, "mai")
    await mai.page.goto(f"/meetings/{made.hall.meeting}/check-in")
    await steps.click(mai, "check-in-button")
    await mai.page.wait_for_url("**/room")
    await steps.see(mai, "cut-waiting-check-in")
    await steps.see(mai, "room")
    await support.shoot(mai.page, "cut-check-in")
