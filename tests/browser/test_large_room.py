"""The room of 300 people puts few elements on the page; what is folded away is not there until it is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect
from tests import drafts
from tests.browser import serving, steps, votes
from tests.browser.steps import by
from tests.browser.votes import Hall

pytestmark = pytest.mark.one_origin

PEOPLE = 300
VOTES = 12
NODES_MAX = 1200
COUNT = "() => document.querySelectorAll('*').length"


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """An opened meeting with twelve drafted votes; chair and Binh have browsers."""
    async with votes.served(origin, browser, tmp_path_factory.mktemp("large")) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        await hall.check_in(*votes.OFFICERS[1:], "Rui")
        for number in range(VOTES):
            await hall.secretary.post(hall.path("/questions"), drafts.question(hall.item, title=f"Vote {number}"))
        await hall.seat("chair-0", "Binh")
        await hall.open_meeting()
        yield hall


async def crowd(hall: Hall, page: Page) -> None:
    """Let the server's answer tell of 300 people who are present."""

    async def more(route: Route) -> None:
        answer = await route.fetch()
        view = await answer.json()
        some = view["present"][-1]
        names = [f"Person {number:03}" for number in range(PEOPLE - len(view["present"]))]
        view["present"] += [{**some, "member": name.replace(" ", ""), "name": name, "roles": []} for name in names]
        await route.fulfill(response=answer, json=view)

    await page.route(f"**/api/meetings/{hall.meeting}", more)


async def test_the_lists_of_a_large_room_are_short(hall: Hall) -> None:
    binh = hall.browsers["Binh"]
    await crowd(hall, binh.page)
    await binh.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/people")
    people = by(binh.page, "person")
    await expect(people).to_have_count(50, timeout=steps.SLOW_MS)
    assert await binh.page.evaluate(COUNT) < NODES_MAX
    # Whoever is not among the first is found by name.
    await by(binh.page, "people-find").fill("person 29")
    await expect(people).to_have_count(len([n for n in range(PEOPLE - 7) if f"{n:03}".startswith("29")]))
    await by(binh.page, "people-find").fill("")
    # Control: the count sees every row that is asked for.
    for shown in (100, 150, 200, 250, 300):
        await binh.page.get_by_role("button", name="Show more").click()
        await expect(people).to_have_count(shown)
    assert await binh.page.evaluate(COUNT) > NODES_MAX


async def test_the_chairs_console_makes_what_is_folded_when_it_is_opened(hall: Hall) -> None:
    chair = hall.browsers["chair-0"]
    await crowd(hall, chair.page)
    await chair.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/chair")
    await expect(by(chair.page, "person")).to_have_count(20, timeout=steps.SLOW_MS)
    assert await chair.page.evaluate(COUNT) < NODES_MAX
    # Control: opened, each of the twelve votes offers all 300 people.
    await by(chair.page, "other-steps").locator("summary").first.click()
    folds = chair.page.locator('[data-testid^="exclusions-"]')
    await expect(folds).to_have_count(VOTES)
    for number in range(VOTES):
        await folds.nth(number).locator("summary").click()
    await expect(by(chair.page, "exclude-member")).to_have_count(VOTES)
    assert await chair.page.evaluate(COUNT) > VOTES * PEOPLE
    await folds.first.locator("summary").click()
    await expect(by(chair.page, "exclude-member")).to_have_count(VOTES - 1)
