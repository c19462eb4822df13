"""The screen of a hall behind a relay: opened by the custodian, and standing in a cut, also when loaded anew."""

from pathlib import Path

from playwright.async_api import expect
from tests.browser import serving, steps, support
from tests.browser.conftest import NewPerson
from tests.browser.test_cut import page_of
from tests.relay.rig import rig


async def test_the_screen_of_a_hall_stands_in_a_cut(
    tmp_path: Path, origin: serving.Origin, new_person: NewPerson
) -> None:
    async with rig(tmp_path, origin.authority) as made:
        computer = await page_of(made, new_person, "binh")
        await computer.page.goto(f"/meetings/{made.hall.meeting}/hall/{made.site}")
        await steps.click(computer, f"screen-make-{made.site}")
        address = str(await steps.by(computer.page, "screen-url").inner_text())
        assert address.startswith(f"{made.origin}/screen#"), "the relay's address, which goes on in a cut"
        await support.assert_accessible(computer.page, "the hall's page with its screen's address")
        await steps.by(computer.page, "hall-screen").scroll_into_view_if_needed()
        await support.shoot(computer.page, "hall-screen")

        wall = await new_person(made.origin, "wall", media=False)
        await wall.page.goto(address)
        await steps.see(wall, "projector")
        await expect(steps.by(wall.page, "wall-cut")).to_have_count(0)

        made.link.drop()
        await steps.see(wall, "wall-cut")
        await expect(steps.by(wall.page, "cut-banner")).to_have_count(0)  # it says so once, in its own words
        await wall.page.reload()
        await steps.see(wall, "wall-cut")
        await steps.see(wall, "wall-quorum")
        await expect(steps.by(wall.page, "wall-away")).to_have_count(0)
        await support.assert_accessible(wall.page, "the screen of a hall that is cut off")
        await support.shoot(wall.page, "cut-wall")

        made.link.restore()
        await expect(steps.by(wall.page, "wall-cut")).to_have_count(0)
        await steps.see(wall, "projector")
