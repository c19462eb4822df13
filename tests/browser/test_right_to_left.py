"""The demonstration's meeting on every screen of its conduct, right to left: nothing is wider than a small phone."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
SLIDING = ".thumbs, .code-block, pre, select, input, textarea"
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


# Signs that point along the line of writing and are not, or in left to right are, turned round.
_SIGNS = "\u2190\u2192\u2194\u21b6-\u21bb\u21d0\u21d2\u25b6-\u25bb\u25c0-\u25c5\u2039\u203a\u276c-\u2771\xab\xbb"
_POINTS_WRONG = """
([turned, signs]) => {
  const sign = new RegExp(`[${signs}]`);
  const flips = (style) => style.display !== "inline" && new DOMMatrix(style.transform).a < 0;
  const flipped = (one) => one !== null && (flips(getComputedStyle(one)) || flipped(one.parentElement));
  const wrong = [];
  for (const one of document.querySelectorAll("body, body *")) {
    if (!one.checkVisibility()) continue;
    const texts = [...one.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const own = texts.map((node) => node.data).join("");
    if (sign.test(own) && flipped(one) !== turned) wrong.push(own.trim());
    for (const part of ["::before", "::after"]) {
      const style = getComputedStyle(one, part);
      if (sign.test(style.content) && (flips(style) || flipped(one)) !== turned) wrong.push(`${one.tagName} ${part}`);
    }
  }
  return wrong;
}
"""
_TABS = """
() => [...document.querySelectorAll(".room-tabs button")].map((tab) => {
  const { left, right, top, bottom } = tab.getBoundingClientRect();
  const inside = left >= -1 && right <= innerWidth + 1 && tab.scrollWidth <= tab.clientWidth + 1;
  const seen = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const place = [Math.round(top), Math.round(left)];
  return { name: tab.dataset.testid, place, reached: inside && tab.contains(seen) };
})
"""


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """The demonstration's own meeting, opened; secretary and chair have browsers."""
    async with votes.served(origin, browser, tmp_path_factory.mktemp("sides")) as hall:
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


async def _points_wrong(person: Person, *, turned: bool) -> list[str]:
    """Return the texts with a sign that does not point along the line of writing."""
    return list(await person.page.evaluate(_POINTS_WRONG, [turned, _SIGNS]))


async def turned(person: Person, name: str) -> list[str]:
    """Turn the page right to left, picture it, and return what does not fit a small phone."""
    await steps.ready(person)
    await expect(person.page.locator(".loading")).to_have_count(0, timeout=steps.SLOW_MS)
    await person.page.evaluate("document.documentElement.dir = 'rtl'")
    await shoot(person.page, f"{name}-rtl")
    pointing = [f"{name}: {one} points the wrong way" for one in await _points_wrong(person, turned=True)]
    wide = await sideways_overflow(person.page, width=steps.NARROW_PX)
    await person.page.set_viewport_size({"width": steps.NARROW_PX, "height": 640})
    out = list(await person.page.evaluate(_STICKS_OUT, SLIDING))
    broad = [f"{name}: {wide} px too wide", *out] if wide > 0 else [f"{name}: {one}" for one in out]
    return broad + pointing


async def tabs_of(person: Person) -> list[dict[str, Any]]:
    """Name, place and whether it can be reached at once, of each of the room's tabs, in the order of the keyboard."""
    tabs: list[dict[str, Any]] = await person.page.evaluate(_TABS)
    await person.page.get_by_test_id(tabs[0]["name"]).focus()
    for tab in tabs[1:]:
        await person.page.keyboard.press("Tab")
        await expect(person.page.get_by_test_id(tab["name"])).to_be_focused()
    return tabs


async def tabs_are_reached(chair: Person) -> None:
    """On a small phone and on a desk every tab is there at once, in the order of the keyboard."""
    for language in ("en", "vi"):
        await chair.page.evaluate("language => localStorage.setItem('folkmoot.language', language)", language)
        for size in ((steps.NARROW_PX, 640), (360, 640), (1280, 800)):
            await chair.page.set_viewport_size({"width": size[0], "height": size[1]})
            await chair.page.reload()
            await see(chair, "panel-chair")
            tabs = await tabs_of(chair)
            assert len(tabs) >= 7
            assert [tab["name"] for tab in tabs if not tab["reached"]] == [], (language, size)
            assert [tab["place"] for tab in tabs] == sorted(tab["place"] for tab in tabs), (language, size)
        await shoot(chair.page, f"room-tabs-{language}")
    # Control: in one row that slides, as it was, the last ones are out of reach.
    row = "document.querySelector('.room-tabs')"
    await chair.page.set_viewport_size({"width": 360, "height": 640})
    await chair.page.evaluate(f"{row}.style.cssText = 'display: flex; flex-wrap: nowrap; overflow-x: auto'")
    assert not all(tab["reached"] for tab in await chair.page.evaluate(_TABS))
    await chair.page.evaluate("localStorage.removeItem('folkmoot.language')")


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
    await tabs_are_reached(chair)
    # What the demonstration has written down is there.
    await chair.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/papers")
    await expect(chair.page.get_by_text("Accounts of 2026.pdf").first).to_be_visible(timeout=steps.SLOW_MS)
    # Control: what is moved out of its place is found, in what scrolls and in what does not.
    for person, what in ((chair, ".room-panel .card"), (secretary, "h1")):
        await person.page.evaluate("what => (document.querySelector(what).style.marginInlineEnd = '-300px')", what)
        assert await turned(person, "control")
    # Control: a sign that is not turned is found, and one that is turned where it should not be.
    await secretary.page.evaluate("document.querySelector('h1').style.marginInlineEnd = '0'")
    assert await turned(secretary, "control") == []
    await secretary.page.evaluate("document.querySelector('h1').append(' \u2192')")
    (wrong,) = await turned(secretary, "control")
    assert wrong.endswith("\u2192 points the wrong way")
    await secretary.page.evaluate("document.documentElement.dir = 'ltr'")
    assert await _points_wrong(secretary, turned=False) == []
