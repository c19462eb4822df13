"""The line test of a hall with real media: sound and picture go to the worker and back, over links good and bad."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser import serving, steps, support, votes
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import Person
from tests.browser.thin_link import ThinLink

LOSS = 0.1
HOURS_MS = 2 * 3600 * 1000
_FAST = f"(() => {{ const real = Date.now.bind(Date); Date.now = () => real() + {HOURS_MS}; }})();"


# Chromium's test devices are granted to everybody.
_REFUSED = """
(() => {
  navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("refused", "NotAllowedError"));
})();
"""


@dataclass
class Village:
    """A meeting in check-in with a hall, whose custodian's media take a way of their own."""

    hall: votes.Hall
    link: ThinLink
    site: str

    async def page(self, name: str, rest: str, *, script: str = "") -> Person:
        """A signed-in browser of somebody on a page of the meeting."""
        person = await support.new_person(self.hall.browser, self.hall.server.url, name)
        self.hall.stack.push_async_callback(person.close)
        await votes.hand_over(self.hall.people[name], person)
        await steps.sign_in(person, self.hall.server)
        await self.link.lead(person)
        if script:
            await person.context.add_init_script(script)
        await person.page.goto(f"{self.hall.server.url}/meetings/{self.hall.meeting}{rest}")
        return person

    async def state(self) -> dict[str, object]:
        """What the meeting says of the hall."""
        listed = (await self.hall.secretary.get(self.hall.path("/sites")))["sites"]
        return next(one for one in listed if one["site"] == self.site)


@pytest_asyncio.fixture(loop_scope="session")
async def village(browser: Browser, origin: serving.Origin, tmp_path: Path) -> AsyncIterator[Village]:
    async with AsyncExitStack() as stack:
        port = serving.free_port()
        extra = ("--media-port", str(port), "--media-workers", "1")
        server = serving.Server(origin, tmp_path, settings=votes.SETTINGS, extra=extra)
        await server.start()
        stack.push_async_callback(server.stop)
        link = ThinLink(port)
        stack.callback(link.close)
        hall = votes.Hall(server, browser, stack)
        await hall.enrol_everybody()
        await hall.convene()
        wanted = {"name": "Upper village", "custodian": hall.people["Claire"].member, "expected": 12, "profile": 0}
        site = str((await hall.secretary.post(hall.path("/sites"), wanted))["site"])
        yield Village(hall, link, site)


async def measure(claire: Person) -> dict[str, int]:
    """Measure the line and return the loop's figures."""
    await click(claire, "line-measure")
    await expect(by(claire.page, "loop-figures")).to_have_count(0)
    await see(claire, "loop-picture")
    figures = by(claire.page, "loop-figures")
    await expect(figures).to_be_visible(timeout=steps.SLOW_MS)
    names = ("loss", "packets", "frames", "up", "down")
    return {name: int(await figures.get_attribute(f"data-{name}") or -1) for name in names}


async def test_the_loss_of_a_line_is_measured_and_said(village: Village) -> None:
    """A tenth lost each way is told within bounds; the control is the same page over the same way without losses."""
    claire = await village.page("Claire", f"/hall/{village.site}")
    await see(claire, "hall-keep-open")
    village.link.up.loss = village.link.down.loss = LOSS
    bad = await measure(claire)
    assert village.link.up.dropped > 10
    assert village.link.down.dropped > 10
    assert 30 <= bad["loss"] <= 250, bad
    assert bad["packets"] > 50, bad
    await see(claire, "loop-lossy")
    await expect(by(claire.page, "loop-lossy")).to_contain_text("of the sound was lost")
    await attribute(claire, "loop-sound", "data-good", "true")
    await by(claire.page, "loop-lossy").scroll_into_view_if_needed()
    await look(claire, "line-test-lossy")

    village.link.up.loss = village.link.down.loss = 0.0
    good = await measure(claire)
    assert 0 <= good["loss"] < 30, good
    assert all(good[name] > 0 for name in ("packets", "frames", "up", "down")), good
    await expect(by(claire.page, "loop-lossy")).to_have_count(0)
    await attribute(claire, "loop-seen", "data-good", "true")
    for testid in ("tone-heard", "camera-seen"):
        await by(claire.page, testid).check()
    await click(claire, "line-send")
    await expect(by(claire.page, "site-tested")).to_contain_text("sound good · picture good")
    await by(claire.page, "loop-figures").scroll_into_view_if_needed()
    await look(claire, "line-test")
    tested = (await village.state())["tested"]
    assert isinstance(tested, dict)
    assert tested["loss_permille"] == good["loss"]
    assert (tested["sound"], tested["picture"]) == (True, True)


async def test_a_wrong_clock_is_told_to_chair_and_secretary_and_no_media_are_no_loss(village: Village) -> None:
    """The page of a computer two hours fast, with no right to devices; the control is set right."""
    jonas = await village.page("secretary-0", "/sites")
    lan = await village.page("chair-0", "/room/chair")
    await village.hall.check_in(*votes.OFFICERS)
    claire = await village.page("Claire", f"/hall/{village.site}", script=_FAST + _REFUSED)
    await click(claire, "line-measure")
    await see(claire, "loop-untried")
    await expect(by(claire.page, "line-clock")).to_contain_text("2 h")
    await by(claire.page, "tone-heard").check()
    await expect(by(jonas.page, "site-clock")).to_have_count(0)
    await click(claire, "line-send")
    for person in (jonas, lan):
        await expect(by(person.page, "site-clock")).to_have_text(
            "!The clock of Upper village is 2 h fast. The main room's time is what counts."
        )
    await expect(by(jonas.page, "site-tested")).to_contain_text("loss not known")
    for person, name in ((jonas, "sites-wrong-clock"), (lan, "chair-wrong-clock")):
        await by(person.page, "site-clock").scroll_into_view_if_needed()
        await look(person, name)
    tested = (await village.state())["tested"]
    assert isinstance(tested, dict)
    assert tested["loss_permille"] is None
    assert abs(tested["clock_ms"] - HOURS_MS) < 60_000
    await village.hall.people["Claire"].post(
        village.hall.path(f"/sites/{village.site}/test"),
        {**{k: v for k, v in tested.items() if k != "at"}, "clock_ms": 900},
    )
    for person in (jonas, lan):
        await expect(by(person.page, "site-clock")).to_have_count(0)
