"""The demonstration's meeting on every screen of its conduct, right to left: nothing is wider than a small phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser import serving, steps, votes
from tests.browser.steps import see
from tests.browser.support import Person, shoot, sideways_overflow
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo

pytestmark = pytest.mark.one_origin

OFFICE = ("", "/agenda", "/notice", "/prepare", "/motions", "/minutes", "/screen")
ROOM = ("agenda", "people", "papers", "messages", "motions", "votes", "chair")
# Rows that are meant to be moved sideways.
SLIDING = ".room-tabs, .thumbs, .code-block, pre, select, input, textarea"
# What sticks out of the page on either side, and what inside the page has to be moved sideways to be read.
_STICKS_OUT = """
(sliding) => {
  const cut = (one) => getComputedStyle(one).overflowX !== "visible";
  const cutAbove = (one) => one.parentElement !== null && (cut(one.parentElement) || cutAbove(one.parentElement));
  const moves = (one) => one.scrollWidth > one.clientWidth + 1;
  const out = ({ left, right }) => left < -1 || right > innerWidth + 1;
  return [...document.querySelectorAll("body, body *")]
    .filter((one) => one.checkVisibility() && one.closest(".visually-hidden, .skip-link, [hidden]") === null)
    .filter((one) => one.clientWidth > 1 && one.closest(sliding) === null)
    .filter((one) => (cut(one) && moves(one)) || (out(one.getBoundingClientRect()) && !cutAbove(one)))
    .map((one) => `${one.tagName.toLowerCase()}.${one.className}: ${one.textContent.trim().slice(0, 30)}`);
}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """The demonstration's own meeting, opened; secretary and chair have browsers."""
    server = serving.Server(origin, tmp_path_factory.mktemp("sides"), settings=votes.SETTINGS)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        hall = Hall(server, browser, stack)
        await hall.enrol_everybody()
        hall.meeting = (await hall.chair.get("/api/meetings"))["meetings"][0]["id"]
        await hall.secretary.post(hall.path("/commands"), {"command": "convene"})
        await demo.freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        await hall.check_in(*votes.OFFICERS[1:], "Rui", "Greta")
        for name in ("secretary-0", "chair-0"):
            hall.browsers[name] = await hall.browser_of(name)
        await hall.check_in_browser(hall.browsers["chair-0"])
        await hall.open_meeting()
        yield hall


async def turned(person: Person, name: str) -> list[str]:
    """Turn the page right to left, picture it, and return what does not fit a small phone."""
    await steps.ready(person)
    await expect(person.page.locator(".loading")).to_have_count(0, timeout=steps.SLOW_MS)
    await person.page.evaluate("document.documentElement.dir = 'rtl'")
    await shoot(person.page, f"{name}-rtl")
    wide = await sideways_overflow(person.page, width=steps.NARROW_PX)
    await person.page.set_viewport_size({"width": steps.NARROW_PX, "height": 640})
    out = list(await person.page.evaluate(_STICKS_OUT, SLIDING))
    return [f"{name}: {wide} px too wide", *out] if wide > 0 else [f"{name}: {one}" for one in out]


async def test_no_screen_of_a_meeting_is_too_wide_right_to_left(hall: Hall) -> None:
    chair, secretary = hall.browsers["chair-0"], hall.browsers["secretary-0"]
    found: list[str] = []
    for rest in OFFICE:
        await secretary.page.goto(f"{hall.server.url}/meetings/{hall.meeting}{rest}")
        found += await turned(secretary, f"conduct{rest.replace('/', '-') or '-meeting'}")
    for panel in ROOM:
        await chair.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/{panel}")
        await see(chair, f"panel-{panel}")
        found += await turned(chair, f"conduct-room-{panel}")
    assert not found, "\n".join(found)
    # What the demonstration has written down is there.
    await chair.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/papers")
    await expect(chair.page.get_by_text("Accounts of 2026.pdf").first).to_be_visible(timeout=steps.SLOW_MS)
    # Control: what is moved out of its place is found, in what scrolls and in what does not.
    for person, what in ((chair, ".room-panel .card"), (secretary, "h1")):
        await person.page.evaluate("what => (document.querySelector(what).style.marginInlineEnd = '-300px')", what)
        assert await turned(person, "control")
