"""On a small phone the card that asks for a signature leaves the chair the meeting's next step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from tests import drafts
from tests.browser import serving, steps, votes
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import PHONE, resize
from tests.browser.test_right_to_left import turned
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo
from folkmoot_voting.manifest import Manifest

TITLE = "Shall the roof of the old school in the upper village be renewed before the winter?"
# What cannot be pressed where it is: cut off by the screen's edge, or under something else.
_HIDDEN = """
(ids) => ids.filter((id) => {
  const one = document.querySelector(`[data-testid="${id}"]`);
  const { left, right, top, bottom } = one.getBoundingClientRect();
  const points = [[left + 4, top + 4], [right - 4, top + 4], [left + 4, bottom - 4], [right - 4, bottom - 4]];
  return !points.every(([x, y]) => document.elementFromPoint(x, y)?.closest("button") === one);
})
"""
WANTED = ("chair-next", "cosign-button")


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path: Path) -> AsyncIterator[Hall]:
    """A vote has just been closed; the chair, with a browser, has not signed its box yet."""
    async with votes.served(origin, browser, tmp_path) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        await hall.check_in(*votes.OFFICERS[1:], "Rui")
        await hall.seat("chair-0")
        hall.tellers = await demo.make_key(hall.officers[2:], hall.meeting)
        hall.cosigners = [await demo.name_cosigner(person, hall.meeting) for person in hall.officers[1:]]
        chair = hall.browsers["chair-0"]
        await click(chair, "panel-chair")
        await click(chair, "cosigner-make-key")
        await see(chair, "cosigner-ready")
        await hall.chair.post(hall.path("/commands"), {"command": "open"})
        await hall.chair.post(hall.path("/commands"), {"command": "start-item", "item": hall.item})
        await hall.secretary.post(hall.path("/questions"), drafts.question(hall.item, title=TITLE, secrecy="open"))
        await attribute(chair, "chair-next", "data-next", "open-vote")
        await click(chair, "chair-next")
        await attribute(chair, "chair-next", "data-next", "close-vote")
        (election,) = (await hall.chair.get(hall.path("")))["elections"]
        answer = await hall.chair.get(hall.path(f"/elections/{election['election']}/manifest"))
        await hall.cast(Manifest.from_json(answer["manifest"]), [[0, 1, 0]], *votes.OFFICERS[1:])
        await click(chair, "chair-next")
        await click(chair, "confirm-yes")
        yield hall


async def hidden(page: Page, *wanted: str) -> list[str]:
    """Which of these buttons cannot be pressed on a phone of 360 by 640, once the next step is scrolled to."""
    await resize(page, *PHONE)
    await by(page, "chair-next").scroll_into_view_if_needed()
    return list(await page.evaluate(_HIDDEN, list(wanted)))


async def test_the_next_step_stays_in_sight_beside_the_card(hall: Hall) -> None:
    chair = hall.browsers["chair-0"]
    await expect(by(chair.page, "cosign-button")).to_be_enabled(timeout=steps.SLOW_MS)
    await attribute(chair, "chair-next", "data-next", "wait")
    await look(chair, "sign-card")
    assert await hidden(chair.page, *WANTED) == []
    # Control: what would take the card's room is found.
    await chair.page.evaluate("document.querySelector('.room-duty').style.minBlockSize = '70vh'")
    assert await hidden(chair.page, *WANTED) != []
    await chair.page.evaluate("document.querySelector('.room-duty').style.minBlockSize = ''")
    await click(chair, "sign-more")
    await expect(by(chair.page, "task-cosign")).to_contain_text("ballots")
    await look(chair, "sign-card-more")
    assert await turned(chair, "sign-card") == []
    await chair.page.evaluate("document.documentElement.dir = 'ltr'")
    await click(chair, "cosign-button")
    await expect(by(chair.page, "cosign-button")).to_have_count(0, timeout=steps.SLOW_MS)
    await look(chair, "sign-card-signed")
    assert await hidden(chair.page, "chair-next") == []
