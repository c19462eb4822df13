"""Members without a phone at the computer of a hall whose line is cut: checked in, voting, and who has to wait."""

from pathlib import Path

from playwright.async_api import FrameLocator, expect
from tests.browser import serving, steps, support
from tests.browser.conftest import NewPerson
from tests.browser.test_cut import page_of
from tests.browser.test_sites import at_the_computer, kept
from tests.browser.votes import hand_over
from tests.relay.kiosk import connect, held
from tests.relay.rig import Rig, open_vote, rig, until

YES = 0


async def test_the_computer_of_a_hall_goes_on_for_members_without_a_phone(
    tmp_path: Path, origin: serving.Origin, new_person: NewPerson
) -> None:
    async with rig(tmp_path, origin.authority) as made:
        computer = await page_of(made, new_person, "binh")
        await connect(made)
        await computer.page.goto(f"/meetings/{made.hall.meeting}/hall/{made.site}")
        await steps.attribute(computer, "hall", "data-state", "connected")
        await hand_over(made.phones["otto"].person, computer)
        await steps.click(computer, "kiosk-check-in")
        await expect(steps.by(computer.page, "kiosk-welcome")).to_contain_text("Otto Braun is checked in")
        ottos = await kept(computer)
        await open_vote(made, kiosk=True)
        await held(made, 1)
        await steps.see(computer, "kiosk-vote")
        await expect(steps.by(computer.page, "kiosk-cut")).to_have_count(0)

        made.link.drop()
        await steps.see(computer, "cut-banner")
        await steps.see(computer, "kiosk-cut")
        await _a_check_in_that_waits(made, computer)
        await _who_checked_in_by_phone_is_told(computer)
        await at_the_computer(computer, ottos)
        await _a_vote_that_waits(computer)
        assert {one["kind"]: one["member"] for one in made.relay.entries() if one["member"]} == {
            "check-in": made.phones["mai"].member,
            "replacement": made.phones["otto"].member,
        }

        made.link.restore()
        await expect(steps.by(computer.page, "cut-banner")).to_have_count(0)

        async def counted() -> bool:
            return [one["cast"] for one in (await made.hall.view(made.hall.chair))["elections"]] == [1]

        await until(counted, "the vote at the hub")
        assert made.relay.refused() == {}


async def _a_check_in_that_waits(made: Rig, computer: support.Person) -> None:
    await hand_over(made.phones["mai"].person, computer)
    await steps.click(computer, "kiosk-check-in")
    await expect(steps.by(computer.page, "kiosk-welcome")).to_contain_text("The main room does not know it yet")
    # The banner's words are for whoever owns the page, and that is not who has checked in.
    await expect(steps.by(computer.page, "cut-waiting-check-in")).to_have_count(0)
    await support.assert_accessible(computer.page, "the kiosk of a hall that is cut off")
    await support.shoot(computer.page, "cut-kiosk")


async def _who_checked_in_by_phone_is_told(computer: support.Person) -> None:
    booth = await _kiosk(computer)
    await booth.get_by_test_id("kiosk-enter").click()
    await expect(booth.get_by_test_id("kiosk-cut")).to_be_visible()
    await support.shoot(computer.page, "cut-kiosk-waits")
    await booth.get_by_test_id("booth-back").click()
    await expect(booth.get_by_test_id("kiosk")).to_be_visible()
    await steps.click(computer, "kiosk-close")


async def _a_vote_that_waits(computer: support.Person) -> None:
    booth = await _kiosk(computer)
    for testid in ("kiosk-enter", "booth-replace", f"booth-option-{YES}", "booth-review"):
        await booth.get_by_test_id(testid).click()
    await expect(booth.get_by_test_id("booth-cast")).to_be_enabled()
    await booth.get_by_test_id("booth-cast").click()
    await expect(booth.get_by_test_id("booth-queued")).to_be_visible()
    await expect(booth.get_by_test_id("tracker")).to_be_visible()
    await support.shoot(computer.page, "cut-kiosk-voted")
    await booth.get_by_test_id("booth-back").click()
    await expect(booth.get_by_test_id("kiosk")).to_be_visible()
    await steps.click(computer, "kiosk-close")


async def _kiosk(computer: support.Person) -> FrameLocator:
    await steps.click(computer, "kiosk-vote")
    booth = computer.page.frame_locator('[data-testid="booth-frame"]')
    await expect(booth.get_by_test_id("kiosk")).to_be_visible()
    return booth
