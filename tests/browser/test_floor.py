"""Asking to speak on a phone, the chair's list on a desktop, the clock for all: by pointer and by keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser import serving, steps, votes
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import Person
from tests.browser.votes import Hall


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """An opened meeting; chair, Binh and Greta have browsers, Rui takes part in software."""
    async with votes.served(origin, browser, tmp_path_factory.mktemp("floor")) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        await hall.check_in(*votes.OFFICERS[1:], "Rui", "Claire")
        await hall.seat("chair-0", "Binh", "Greta")
        await hall.open_meeting()
        await hall.chair.post(hall.path("/commands"), {"command": "start-item", "item": hall.item})
        yield hall


async def ask(person: Person, kind: str, category: int = 0) -> None:
    """Choose what to speak for and press the one big button."""
    await by(person.page, "speak-kind").select_option(kind, timeout=steps.SLOW_MS)
    if kind == "point-of-order":
        await by(person.page, "speak-category").select_option(str(category))
    await click(person, "ask-to-speak")


async def test_the_list_of_speakers_on_the_screens(hall: Hall) -> None:
    chair, binh, greta = (hall.browsers[name] for name in ("chair-0", "Binh", "Greta"))
    await see(binh, "ask-to-speak")
    await look(binh, "floor-member-empty")
    await click(chair, "panel-chair")
    await see(chair, "next-speaker")
    await expect(by(chair.page, "next-speaker")).to_be_disabled()
    await look(chair, "floor-chair-empty")
    await by(chair.page, "speaking-rules").locator("summary").click()
    await by(chair.page, "rule-turn").fill("120")
    await click(chair, "speaking-rules-save")
    await ask(binh, "pro")
    await attribute(binh, "my-turn", "data-place", "1")
    await ask(greta, "point-of-order", 1)
    await attribute(greta, "my-turn", "data-place", "1")
    await attribute(binh, "my-turn", "data-place", "2")  # told by an event, not by asking again
    await hall.people["Rui"].post(hall.path("/commands"), {"command": "raise-hand", "kind": "contra"})
    await expect(by(chair.page, "waits")).to_have_count(3, timeout=steps.SLOW_MS)
    kinds = [await one.get_attribute("data-kind") for one in await by(chair.page, "waits").all()]
    assert kinds == ["point-of-order", "pro", "contra"]
    await look(chair, "floor-chair-queue")
    await look(binh, "floor-member-waits")
    await click(chair, "next-speaker")
    await attribute(greta, "my-turn", "data-speaking", "true")
    await see(binh, "speaker-timer")
    await look(greta, "floor-member-speaks")
    await click(chair, "next-speaker")
    await attribute(binh, "my-turn", "data-speaking", "true")
    await click(chair, "pause-turn")
    await attribute(chair, "speaks", "data-state", "paused")
    await click(chair, "extend-turn")
    await attribute(binh, "turn-clock", "data-limit", "180")
    await look(chair, "floor-chair-speaks")
    await click(binh, "yield-floor")
    await see(binh, "ask-to-speak")
    await click(chair, "queue-toggle")
    await see(binh, "queue-closed")
    await look(binh, "floor-member-closed")
    await click(chair, "queue-toggle")
    spoken = [
        one["body"]["spoken_s"]
        for one in (await hall.chair.get(hall.path("/events?after=0")))["events"]
        if one["type"] == "FloorWithdrawn"
    ]
    assert len(spoken) == 2
    assert all(0 <= seconds < 120 for seconds in spoken)


async def test_the_clock_runs_on_every_screen_alike(hall: Hall) -> None:
    binh, greta = hall.browsers["Binh"], hall.browsers["Greta"]
    await hall.chair.post(hall.path("/commands"), {"command": "grant-floor", "member": hall.people["Claire"].member})
    for person in (binh, greta):
        clock = person.page.locator('[data-testid="speaker-timer"] [data-testid="turn-clock"]')
        await expect(clock).not_to_have_attribute("data-spoken", "0", timeout=steps.SLOW_MS)
    shown = [
        int(str(await person.page.locator('[data-testid="turn-clock"]').first.get_attribute("data-spoken")))
        for person in (binh, greta)
    ]
    assert abs(shown[0] - shown[1]) <= 2
    await hall.people["Claire"].post(hall.path("/commands"), {"command": "yield-floor"})
    await expect(by(binh.page, "speaker-timer")).to_have_count(0, timeout=steps.SLOW_MS)


async def test_asking_and_finishing_by_keyboard_alone(hall: Hall) -> None:
    binh = hall.browsers["Binh"]
    page = binh.page

    async def press(testid: str) -> None:
        focused = f'[data-testid="{testid}"]:focus'
        await see(binh, testid)
        for _ in range(60):
            if await page.locator(focused).count():
                await page.keyboard.press("Enter")
                return
            await page.keyboard.press("Tab")
        raise AssertionError(f"{testid} cannot be reached with the Tab key")

    await hall.people["Rui"].post(hall.path("/commands"), {"command": "lower-hand"})
    await press("ask-to-speak")
    await attribute(binh, "my-turn", "data-place", "1")
    await hall.chair.post(hall.path("/commands"), {"command": "next-speaker"})
    await press("yield-floor")
    await see(binh, "ask-to-speak")
