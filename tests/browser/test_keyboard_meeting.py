"""A whole small meeting by keyboard alone: Tab, Shift+Tab, Enter, Space and arrows; the focus is always visible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Frame, Page, Route, ViewportSize, expect
from tests import drafts
from tests.browser import serving, steps, votes
from tests.browser.steps import attribute, by, look, see
from tests.browser.support import Person, until
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo
from folkmoot_voting.manifest import Manifest

pytestmark = pytest.mark.one_origin

DESK = ViewportSize(width=1280, height=800)
TABS_MAX = 160
TEXT = "The roof is renewed.\n\nThe work begins in May."
# What has the focus: null for the page itself, else its test id and what is wrong with showing that it has it.
_FOCUSED = """
() => {
  const at = document.activeElement;
  if (at === null || at === document.body || at === document.documentElement) return null;
  at.__byKeyboard = true;
  const id = at.dataset.testid ?? at.id ?? "";
  const name = `${at.tagName.toLowerCase()} ${id || at.textContent.trim().slice(0, 40)}`;
  if (at.tagName === "IFRAME") return { id, name, wrong: "" };
  const drawn = (one) => {
    const style = getComputedStyle(one);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  };
  const box = at.getBoundingClientRect();
  const inside = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  const shown = drawn(at) || (at.closest("label") !== null && drawn(at.closest("label")));
  return { id, name, wrong: !shown ? "has no outline" : inside ? "" : "is off the screen" };
}
"""
# Controls that can be used and that the Tab key did not come by; of radio buttons one of a group is enough.
_MISSED = """
() => {
  const scope = document.querySelector("dialog[open]") ?? document;
  const all = [...scope.querySelectorAll("button, a[href], input, select, textarea, summary")];
  const shown = all.filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled);
  const groups = new Set(shown.filter((one) => one.type === "radio" && one.__byKeyboard).map((one) => one.name));
  return shown
    .filter((one) => !one.__byKeyboard && !(one.type === "radio" && groups.has(one.name)))
    .map((one) => one.dataset.testid || one.textContent.trim().slice(0, 40));
}
"""


class Keys:
    """Somebody without a pointer."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.page: Page = person.page

    def _frame(self) -> Frame:
        booth = [frame for frame in self.page.frames if "booth.html" in frame.url]
        return booth[0] if booth else self.page.main_frame

    async def focused(self) -> dict[str, str] | None:
        """What has the focus, in the booth's frame when it is there; its focus must be visible."""
        found: dict[str, str] | None = await self.page.evaluate(_FOCUSED)
        if found is not None and found["name"].startswith("iframe"):
            found = await self._frame().evaluate(_FOCUSED)
        assert found is None or not found["wrong"] or found["name"].startswith("h"), found
        return found

    async def tab(self, key: str = "Tab") -> dict[str, str] | None:
        """Go on by one; the focus must be visible where it lands."""
        await self.page.keyboard.press(key)
        return await self.focused()

    async def reach(self, testid: str) -> None:
        """Press Tab until the element has the focus."""
        path = []
        for _ in range(TABS_MAX):
            now = await self.focused()
            if now is not None and now["id"] == testid:
                return
            path.append((await self.tab() or {"name": "page"})["name"])
        raise AssertionError(f"{testid} cannot be reached with the Tab key: {path[-12:]}")

    async def press(self, testid: str, key: str = "Enter") -> None:
        """Wait until the element is there and free, go to it and press a key."""
        free = f'[data-testid="{testid}"]:not([aria-busy="true"]):not([disabled])'
        await expect(self._frame().locator(free).first).to_be_visible(timeout=steps.SLOW_MS)
        await self.reach(testid)
        await self.page.keyboard.press(key)

    async def tour(self) -> list[str]:
        """Press Tab once around the screen, then some steps back; return what was passed by."""
        passed: list[str] = []
        for _ in range(TABS_MAX):
            now = await self.tab()
            name = "page" if now is None else now["name"]
            if len(passed) > 2 and name == passed[0] and not await self.page.evaluate(_MISSED):
                break
            passed.append(name)
        assert len(set(passed[-6:])) > 1, f"the focus is trapped at {passed[-1]}"
        back = [str((await self.tab("Shift+Tab") or {"name": "page"})["name"]) for _ in range(6)]
        assert len(set(back)) > 1, f"Shift+Tab is trapped at {back[-1]}"
        return list(await self.page.evaluate(_MISSED))


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """A meeting at check-in with a motion and a drafted vote; all officers but the chair have a cosigner's key."""
    async with votes.served(origin, browser, tmp_path_factory.mktemp("keyboard")) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        await hall.check_in(*votes.OFFICERS[1:], "Rui")
        rui = hall.people["Rui"]
        made = await rui.post(hall.path("/motions"), {"item": hall.item, "title": "Renew the roof", "text": TEXT})
        await rui.post(hall.path(f"/motions/{made['motion']}/act"), {"act": "submit"})
        await hall.secretary.post(hall.path("/questions"), drafts.question(hall.item, secrecy="open"))
        await hall.seat("chair-0", "Binh")
        await hall.browsers["chair-0"].page.set_viewport_size(DESK)
        hall.tellers = await demo.make_key(hall.officers[2:], hall.meeting)
        hall.cosigners = [await demo.name_cosigner(person, hall.meeting) for person in hall.officers[1:]]
        yield hall


async def next_step(chair: Keys, step: str, *, asked: bool = False) -> None:
    """The chair takes the one next step, which must be this one."""
    await attribute(chair.person, "chair-next", "data-next", step)
    await chair.press("chair-next")
    if asked:
        await chair.press("confirm-yes")


async def the_console_is_late(chair: Keys) -> None:
    """Until the console is there, nothing stands in its place that it would push off the screen with the focus."""
    come = asyncio.Event()

    async def late(route: Route) -> None:
        await come.wait()
        await route.continue_()

    await chair.page.route("**/assets/chair-*.js", late)
    await expect(by(chair.page, "cosigner-make-key")).to_have_count(1)  # control: the other panels show it at once
    await chair.press("panel-chair")
    await expect(chair.page.locator(".room-panel .loading").first).to_be_visible()
    await expect(by(chair.page, "cosigner-make-key")).to_have_count(0)
    come.set()


async def opened(hall: Hall, chair: Keys) -> None:
    """The chair makes the cosigner's key, opens the meeting and takes up its item."""
    await the_console_is_late(chair)
    await chair.press("cosigner-make-key")
    await see(chair.person, "cosigner-ready")
    await next_step(chair, "open")
    await attribute(chair.person, "room", "data-state", "opened")
    await next_step(chair, "start-item")
    await look(chair.person, "keyboard-chair")
    assert await chair.tour() == []
    assert (await hall.chair.get(hall.path("")))["agenda"][0]["state"] == "current"


async def spoken(hall: Hall, chair: Keys, member: Keys) -> None:
    """The member asks to speak, is given the floor from the queue, and finishes."""
    await member.press("ask-to-speak")
    await attribute(member.person, "my-turn", "data-place", "1")
    await chair.press(f"grant-{hall.people['Binh'].member}")
    await attribute(member.person, "my-turn", "data-speaking", "true")
    await look(member.person, "keyboard-member-speaks")
    await member.press("yield-floor")
    await see(member.person, "ask-to-speak")
    assert await member.tour() == []


async def read(hall: Hall, member: Keys) -> None:
    """The member finds the motion and reads it."""
    (motion,) = (await hall.people["Binh"].get(hall.path("")))["motions"]
    await member.press("panel-motions")
    await member.press(f"motion-open-{motion['motion']}")
    await see(member.person, "motion-reading")
    await expect(by(member.page, "motion-text")).to_contain_text("begins in May", timeout=steps.SLOW_MS)
    await look(member.person, "keyboard-motion")
    assert await member.tour() == []
    await member.press("motions-back")


async def voted(hall: Hall, chair: Keys, member: Keys) -> None:
    """The chair opens the vote, the member votes in the booth, the chair closes and declares."""
    await next_step(chair, "open-vote")  # no warning: what is open can tell nothing that it hides
    await member.press("vote-open")
    booth = steps.booth_of(member.person)
    await expect(booth.get_by_test_id("booth-option-0")).to_be_visible(timeout=steps.SLOW_MS)
    await look(member.person, "keyboard-booth")
    await member.press("booth-option-0", "Space")
    await member.press("booth-review")
    await expect(booth.get_by_test_id("booth-cast")).to_be_enabled(timeout=steps.SLOW_MS)
    await member.press("booth-cast")
    await expect(booth.get_by_test_id("booth-done")).to_be_visible(timeout=steps.SLOW_MS)
    await look(member.person, "keyboard-booth-done")
    await leave_booth(member)
    (election,) = (await hall.chair.get(hall.path("")))["elections"]
    answer = await hall.chair.get(hall.path(f"/elections/{election['election']}/manifest"))
    manifest = Manifest.from_json(answer["manifest"])
    await hall.cast(manifest, [[0, 1, 0]], *votes.OFFICERS[1:])
    await next_step(chair, "close-vote", asked=True)
    await chair.press("cosign-button")
    await expect(by(chair.page, "cosign-button")).to_have_count(0, timeout=steps.SLOW_MS)
    await look(chair.person, "keyboard-chair-closes")
    await demo.cosign(hall.cosigners[: manifest.cosign_quorum - 1], hall.meeting, manifest)
    await next_step(chair, "declare")
    await until(lambda: declared(hall), "the result is declared", deadline_s=steps.SLOW_MS / 1000)


async def leave_booth(member: Keys) -> None:
    """Back to the room from inside the frame: the way out stands before it."""
    close = by(member.page, "booth-close")
    for _ in range(TABS_MAX):
        if await close.evaluate("element => element === document.activeElement"):
            await member.page.keyboard.press("Enter")
            await expect(by(member.page, "booth-dialog")).to_have_count(0, timeout=steps.SLOW_MS)
            return
        await member.tab("Shift+Tab")
    raise AssertionError("the booth cannot be left with the keyboard")


async def declared(hall: Hall) -> bool:
    """Whether the one vote has its result."""
    (election,) = (await hall.chair.get(hall.path("")))["elections"]
    return bool(election["state"] == "declared")


async def test_a_meeting_from_opening_to_close(hall: Hall) -> None:
    chair, member = Keys(hall.browsers["chair-0"]), Keys(hall.browsers["Binh"])
    await opened(hall, chair)
    await spoken(hall, chair, member)
    await read(hall, member)
    await voted(hall, chair, member)
    await next_step(chair, "close", asked=True)
    await attribute(chair.person, "room", "data-state", "closed")
    await attribute(member.person, "room", "data-state", "closed")
    await look(member.person, "keyboard-closed")
    assert await member.tour() == []


async def test_control_a_button_without_the_tab_key_and_one_without_outline_are_found(hall: Hall) -> None:
    member = Keys(hall.browsers["Binh"])
    await member.page.evaluate("document.querySelector('[data-testid=ask-to-speak]').tabIndex = -1")
    assert await member.tour() == ["ask-to-speak"]
    with pytest.raises(AssertionError, match="cannot be reached"):
        await member.reach("ask-to-speak")
    await member.page.evaluate("document.querySelector('[data-testid=panel-people]').style.outline = 'none'")
    with pytest.raises(AssertionError, match="has no outline"):
        await member.reach("panel-people")
