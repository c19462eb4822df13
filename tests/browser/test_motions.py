"""A motion from the first word to the register of resolutions, on the pages of two members and the chair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser import serving, steps, votes
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import Person
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo_votes
from folkmoot_voting.questions import cells_of_one

TEXT = "The roof of the mill shall be mended this year.\n\nIt may cost 5,000 euros.\n\nThe board reports in May."
PEOPLE = ("chair-0", "Binh", "Greta")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """An opened meeting; chair, Binh and Greta have browsers, the others take part in software."""
    async with votes.served(origin, browser, tmp_path_factory.mktemp("motions")) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        await hall.check_in(*votes.OFFICERS, "Rui", "Claire")
        await hall.seat("Binh", "Greta")
        await hall.open_meeting()
        await hall.chair.post(hall.path("/commands"), {"command": "start-item", "item": hall.item})
        hall.browsers["chair-0"] = await hall.browser_of("chair-0")
        hall.chair.authenticator.sign_count += 100  # the page has signed in with the same passkey meanwhile
        yield hall


async def to_motions(hall: Hall, person: Person) -> None:
    """Go to the page of the motions."""
    await person.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/motions")
    await see(person, "motions")


async def open_motion(person: Person, number: str) -> None:
    """Open a motion by its number from the list."""
    if await by(person.page, "motions").get_attribute("data-view") != "list":
        await click(person, "motions-back")
    row = person.page.locator(f'[data-testid="motion"][data-number="{number}"] button')
    await row.click(timeout=steps.SLOW_MS)
    await see(person, "motion-reading")


async def state(person: Person, wanted: str) -> None:
    """Wait until the motion that is read is in this state; it changes by events."""
    await attribute(person, "motion-reading", "data-state", wanted)


async def vote_in_software(hall: Hall, *choices: tuple[str, int]) -> None:
    """Open the drafted vote, cast, close, count and declare it in software."""
    election = next(
        one["election"] for one in (await hall.chair.get(hall.path("")))["elections"] if one["state"] == "draft"
    )
    manifest = await demo_votes.open_election(hall.chair, hall.meeting, election)
    for name, option in choices:
        cells = [cells_of_one(manifest.questions[0], option)]
        await demo_votes.cast(hall.people[name], hall.meeting, manifest, hall.seeds[name], cells)
    await hall.finish(manifest)


async def test_from_the_first_word_to_the_resolution(hall: Hall) -> None:
    chair, binh, greta = (hall.browsers[name] for name in PEOPLE)
    for person in (chair, binh, greta):
        await to_motions(hall, person)
    await see(binh, "motions-empty")
    await look(binh, "motions-empty")
    await click(binh, "motion-new")
    await by(binh.page, "motion-title").fill("Roof of the mill")
    await by(binh.page, "motion-text-input").fill(TEXT)
    await look(binh, "motions-write")
    await click(binh, "motion-save")
    await state(binh, "draft")
    await expect(by(greta.page, "motion")).to_have_count(0)
    await click(binh, "motion-submit")
    await state(binh, "submitted")
    await open_motion(greta, "M1")
    await look(greta, "motions-read")
    await click(greta, "motion-second")
    await state(greta, "seconded")
    await open_motion(chair, "M1")
    await click(chair, "motion-admit")
    await state(greta, "admitted")
    await amend_and_admit(hall)
    await carry_both(hall)


async def amend_and_admit(hall: Hall) -> None:
    """Greta chooses a paragraph and changes a number; Binh seconds; the chair sees that it comes first."""
    chair, binh, greta = (hall.browsers[name] for name in PEOPLE)
    await click(greta, "motion-amend")
    await click(greta, "paragraph-1")
    await expect(by(greta.page, "amend-text")).to_have_value("It may cost 5,000 euros.")
    await by(greta.page, "amend-text").fill("It may cost at most 7,500 euros.")
    await by(greta.page, "amend-title").fill("More money")
    await look(greta, "motions-amend")
    await click(greta, "amend-save")
    await click(greta, "motion-edit")
    await expect(by(greta.page, "amend-text")).to_have_value(
        "It may cost at most 7,500 euros.", timeout=steps.SLOW_MS
    )
    await expect(by(greta.page, "paragraph-1")).to_be_checked()
    await by(greta.page, "amend-title").fill("More money for the roof")
    await click(greta, "amend-save")
    await click(greta, "motion-submit")
    await state(greta, "submitted")
    await open_motion(binh, "M1-A1")
    changed = by(binh.page, "diff-line").and_(binh.page.locator('[data-op="change"]'))
    await expect(changed).to_have_count(1)
    assert await changed.locator("del").inner_text() != ""
    await look(binh, "motions-diff")
    await click(binh, "motion-second")
    await see(chair, "amendments-first")
    await open_motion(chair, "M1-A1")
    await click(chair, "motion-admit")
    await by(chair.page, "motion-secrecy").select_option("open")
    await look(chair, "motions-put")
    await click(chair, "motion-put")
    await expect(by(chair.page, "put-to-vote")).not_to_have_attribute("data-election", "", timeout=steps.SLOW_MS)


async def carry_both(hall: Hall) -> None:
    """The amendment is carried, then the motion, without Greta who has declared an interest."""
    chair, binh, greta = (hall.browsers[name] for name in PEOPLE)
    yes = [(name, 0) for name in (*votes.OFFICERS, "Rui")]
    await vote_in_software(hall, *yes)
    await state(chair, "carried")
    await open_motion(binh, "M1")
    text = by(binh.page, "motion-text")
    await expect(text).to_contain_text("at most 7,500 euros", timeout=steps.SLOW_MS)
    await open_motion(greta, "M1")
    await by(greta.page, "motion-conflict").check()
    await see(binh, "conflicts")
    await open_motion(chair, "M1")
    await by(chair.page, "motion-secrecy").select_option("roll-call")
    await by(chair.page, "motion-majority").select_option("two-thirds")
    await click(chair, "motion-put")
    await expect(by(chair.page, "put-to-vote")).not_to_have_attribute("data-election", "", timeout=steps.SLOW_MS)
    await vote_in_software(hall, *yes)
    await state(binh, "carried")
    await see(binh, "motion-resolution")
    await look(binh, "motions-carried")
    last = (await hall.chair.get(hall.path("")))["elections"][-1]
    assert last["electorate_size"] == 8  # nine are present
    await click(binh, "motions-back")
    await click(binh, "go-resolutions")
    await see(binh, "resolution")
    await binh.page.locator('[data-testid^="resolution-open-"]').first.click()
    await expect(by(binh.page, "motion-text")).to_contain_text("at most 7,500 euros", timeout=steps.SLOW_MS)
    await look(binh, "resolutions")


async def test_the_chairs_card_and_the_panel_in_the_room(hall: Hall) -> None:
    chair, binh = hall.browsers["chair-0"], hall.browsers["Binh"]
    rui, claire = hall.people["Rui"], hall.people["Claire"]
    body = {"item": hall.item, "title": "A bench", "text": "A bench is put up at the mill."}
    motion = (await rui.post(hall.path("/motions"), body))["motion"]
    await rui.post(hall.path(f"/motions/{motion}/act"), {"act": "submit"})
    await chair.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/chair")
    await see(chair, "motion-waits")
    await look(chair, "motions-chair")
    await claire.post(hall.path(f"/motions/{motion}/act"), {"act": "second"})
    await click(chair, f"admit-{motion}")
    await click(chair, f"put-{motion}")
    await by(chair.page, "motion-secrecy").select_option("open")
    await click(chair, "motion-put")
    await expect(by(chair.page, "put-to-vote")).not_to_have_attribute("data-election", "", timeout=steps.SLOW_MS)
    await attribute(chair, "chair-next", "data-next", "open-vote")
    await binh.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room")
    await click(binh, "panel-motions")
    await see(binh, "motion")
    await look(binh, "motions-room")
