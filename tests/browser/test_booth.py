"""The booth in real browsers: every kind of question by keyboard alone, narrow and right-to-left; who sees what;
voting again; the test of the sealing; another device; the kiosk; a promise that the server breaks.

One meeting for all of it: officers and other voters are software, the ballots are counted for real.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from tests.browser import serving, steps, votes
from tests.browser.support import Person
from tests.browser.votes import Hall

from folkmoot_voting.questions import approval, borda, m_of_n, multi_seat, one_of_n, score, yes_no_abstain

WEIGHT = 3
YES, NO, ABSTAIN = 0, 1, 2
ARABIC = "أمينة حداد، رئيسة لجنة المالية والتدقيق"
PEOPLE = ("Greta Weber", "Rui Costa", "Claire Dubois", ARABIC)
EVERY_TYPE = (
    yes_no_abstain("Shall the budget for 2027 be adopted as presented?"),
    one_of_n("Who shall be treasurer?", PEOPLE),
    m_of_n("Where shall playgrounds be built?", ("North park", "South park", "Station", "Market"), 2, 3, blank=True),
    multi_seat("Who shall sit on the board?", PEOPLE, 2, blank=True),
    approval("Which days suit you?", ("Monday", "Wednesday", "Friday")),
    score("How good is each design?", ("Orchard", "ساحة السوق القديمة"), 5),
    borda("Your three best names for the hall, in order?", ("Linden", "Harbour", "Mill", "دار الضيافة"), 3),
)
TOO_MANY, TOO_FEW = 2, 0
# What the keyboard types for each kind of question, and the cells it stands for.
TYPED = (
    (("booth-option-0", "ArrowDown"),),
    (("booth-option-1-0", "ArrowDown", "ArrowDown", "ArrowDown"),),
    tuple((f"booth-option-2-{option}", "Space") for option in range(3)),
    (("booth-option-3-4", "Space"),),
    (("booth-option-4-0", "Space"), ("booth-option-4-2", "Space")),
    (("booth-option-5-0-points-0", *["ArrowDown"] * 4), ("booth-option-5-1-points-0", "ArrowDown")),
    (
        ("booth-option-6-0", "Enter"),
        ("booth-option-6-2", "Space"),
        ("booth-option-6-2-up", "Enter"),
        ("booth-option-6-3", "Enter"),
    ),
)
RANKED = [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
CELLS = [[0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1], [4, 1], RANKED]
OTHERS = [[1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1, 0, 0], [0, 0, 0], [0, 5], RANKED]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """A meeting with its key made. Binh votes in a browser, Greta and Claire come to theirs later."""
    server = serving.Server(origin, tmp_path_factory.mktemp("booth"), settings=votes.SETTINGS)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        hall = Hall(server, browser, stack)
        await hall.enrol_everybody()
        await hall.weigh(WEIGHT, *votes.MEMBERS)
        await hall.convene()
        await hall.check_in(*votes.OFFICERS, "Greta", "Rui")
        for name in ("Binh", "Claire"):
            hall.browsers[name] = await hall.browser_of(name)
            await hall.check_in_browser(hall.browsers[name])
        await hall.begin()
        yield hall


class Keyboard:
    """Moves by the Tab key alone."""

    def __init__(self, page: Page) -> None:
        """Type on this page."""
        self.page = page

    async def focused(self) -> str:
        """The hook of the element that has the focus."""
        return str(await self.page.evaluate("document.activeElement?.dataset.testid ?? ''"))

    async def press(self, testid: str, *keys: str) -> None:
        """Go forward to the element and press keys there."""
        for _ in range(90):
            if await self.focused() == testid:
                break
            await self.page.keyboard.press("Tab")
        else:
            raise AssertionError(f"{testid} cannot be reached with the Tab key")
        for key in keys:
            await self.page.keyboard.press(key)

    async def fill_in(self) -> None:
        """Answer every question of the ballot."""
        for question in TYPED:
            for testid, *keys in question:
                await self.press(testid, *keys)


async def refused_at(person: Person, question: int) -> None:
    """The page stays, says what is wrong in words at this question, and has put the focus into it."""
    field = steps.by(person.page, f"booth-question-{question}")
    await expect(field.get_by_role("alert")).not_to_be_empty(timeout=steps.SLOW_MS)
    assert await field.evaluate("field => field.contains(document.activeElement)"), "the focus is elsewhere"
    await votes.at_step(person, "choose")


async def test_every_kind_of_question_by_keyboard_narrow_and_right_to_left(hall: Hall) -> None:
    """Binh fills in and casts one ballot twice, once in each direction of writing; the last is counted as typed."""
    manifest = await hall.open_vote(
        title="Everything", questions=[one.to_json() for one in EVERY_TYPE], voting_again="last-counts"
    )
    await hall.cast(manifest, OTHERS, *votes.OFFICERS[:3])
    binh = hall.browsers["Binh"]
    await binh.page.set_viewport_size({"width": steps.NARROW_PX, "height": 640})
    await hall.open_booth(binh, manifest)
    await votes.at_step(binh, "choose")
    keys = Keyboard(binh.page)
    await keys.press("booth-review", "Enter")
    await refused_at(binh, TOO_FEW)
    await keys.fill_in()
    await steps.by(binh.page, "booth-option-2-3").focus()
    await keys.press("booth-option-2-3", "Space")
    await keys.press("booth-review", "Enter")
    await refused_at(binh, TOO_MANY)
    await keys.press("booth-option-2-3", "Space")
    await steps.look(binh, "booth-every-type-choose")
    for direction in ("ltr", "rtl"):
        await keys.press("booth-review", "Enter")
        await votes.at_step(binh, "review")
        await expect(steps.by(binh.page, "booth-cast")).to_be_enabled(timeout=steps.SLOW_MS)
        await expect(steps.by(binh.page, "booth-chosen-1")).to_contain_text(ARABIC)
        await steps.look(binh, f"booth-every-type-review-{direction}")
        await keys.press("booth-cast", "Enter")
        await steps.see(binh, "booth-done")
        await steps.look(binh, f"booth-every-type-done-{direction}")
        if direction == "ltr":
            await keys.press("booth-again", "Enter")
            await votes.at_step(binh, "choose")
            await binh.page.evaluate("document.documentElement.dir = 'rtl'")
            await keys.fill_in()
            await steps.look(binh, "booth-every-type-choose-rtl")
    core = await hall.finish(manifest)
    expected = [[3 * b + WEIGHT * a for a, b in zip(*rows, strict=True)] for rows in zip(CELLS, OTHERS, strict=True)]
    assert core["counts"] == expected
    assert (core["ballots"], core["cast"]) == (5, 4)
