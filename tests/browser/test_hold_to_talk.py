"""A hall's microphone is held to speak: heard while it is held, silent on release, or open where that was chosen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser import serving, support, votes
from tests.browser.conftest import NewPerson
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import Person

SO_MANY = 40
"""So many packets of the chair's voice later, the hall's microphone has had its time."""


@dataclass
class Village:
    """A meeting with a hall without a relay: the room on its computer, and the chair elsewhere, microphone open."""

    hall: votes.Hall
    site: str
    computer: Person
    chair: Person


@pytest_asyncio.fixture(loop_scope="session")
async def village(
    browser: Browser, origin: serving.Origin, tmp_path: Path, new_person: NewPerson
) -> AsyncIterator[Village]:
    """Binh looks after the hall, is checked in there and has the floor; the microphone was never touched."""
    async with votes.served(origin, browser, tmp_path) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        wanted = {"name": "Upper village", "custodian": hall.people["Binh"].member, "expected": 12, "profile": 0}
        site = str((await hall.secretary.post(hall.path("/sites"), wanted))["site"])
        chair = await page_of(hall, new_person, "chair-0", "/check-in")
        await by(chair.page, "check-in-mic").set_checked(True)
        await click(chair, "check-in-button")
        await attribute(chair, "room", "data-media", "joined")
        code = str((await hall.people["Binh"].get(hall.path(f"/sites/{site}/code")))["code"])
        computer = await page_of(hall, new_person, "Binh", f"/check-in#hall={site}.{code}")
        await click(computer, "check-in-button")
        await see(computer, "room")
        await computer.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/hall/{site}")
        await see(computer, "hall-keep-open")
        await click(computer, "hall-go-room")
        await attribute(computer, "room", "data-media", "joined")
        member = hall.people["Binh"].member
        await hall.chair.post(hall.path("/commands"), {"command": "grant-floor", "member": member})
        yield Village(hall, site, computer, chair)


async def page_of(hall: votes.Hall, new_person: NewPerson, name: str, rest: str) -> Person:
    """A signed-in browser with camera and microphone on a page of the meeting."""
    person = await new_person(hall.server.url, name)
    await votes.hand_over(hall.people[name], person)
    await person.page.goto("/")
    await click(person, "sign-in-button")
    await see(person, "home")
    await person.page.goto(f"{hall.server.url}/meetings/{hall.meeting}{rest}")
    return person


async def total(person: Person, figure: str, kind: str, direction: str) -> float:
    """One figure of the page's streams of a kind, added up."""
    entries: tuple[dict[str, Any], ...] = (await person.media()).entries
    wanted = [one for one in entries if (one["kind"], one["type"]) == (kind, f"{direction}-rtp")]
    return float(sum(one.get(figure, 0) for one in wanted))


async def heard(village: Village) -> None:
    """The hall says that its microphone is open, and the chair's page gets its packets and hears its sound."""
    await attribute(village.computer, "mic-toggle", "aria-pressed", "true")
    for figure in ("packetsReceived", "totalAudioEnergy"):
        before = await total(village.chair, figure, "audio", "inbound")

        async def more(figure: str = figure, before: float = before) -> bool:
            return await total(village.chair, figure, "audio", "inbound") > before

        await support.until(more, f"the chair gets more {figure}")


async def silent(village: Village) -> None:
    """The hall says that its microphone is silent; while it hears the chair it sends no sound, and none arrives."""
    await attribute(village.computer, "mic-toggle", "aria-pressed", "false")
    computer, chair = village.computer, village.chair

    async def sound() -> tuple[float, float]:
        sent = await total(computer, "packetsSent", "audio", "outbound")
        return sent, await total(chair, "packetsReceived", "audio", "inbound")

    async def nothing_comes() -> bool:
        before, seen = await sound(), await total(computer, "packetsReceived", "audio", "inbound")

        async def goes_on() -> bool:
            return await total(computer, "packetsReceived", "audio", "inbound") > seen + SO_MANY

        await support.until(goes_on, "the chair's voice goes on in the hall")
        return await sound() == before

    await support.until(nothing_comes, "what was on its way has come, and then nothing")


async def middle(person: Person) -> tuple[float, float]:
    """Where the microphone's button is."""
    box = await by(person.page, "mic-toggle").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def test_a_halls_microphone_sounds_while_its_button_is_held(village: Village) -> None:
    computer = village.computer
    page = computer.page
    await silent(village)
    await expect(by(page, "mic-word")).to_have_attribute("data-open", "false")
    await look(computer, "hold-to-talk")
    await by_pointer(village)
    await by_finger(village)
    await by_key(village)
    # A reading aid's click holds nothing; it is told how to speak.
    before = await by(page, "announcer").inner_text()
    await by(page, "mic-toggle").evaluate("(button) => button.click()")
    await expect(by(page, "announcer")).not_to_have_text(before)
    await silent(village)
    # Without the floor what is held is not heard either.
    member = village.hall.people["Binh"].member
    await village.hall.chair.post(village.hall.path("/commands"), {"command": "withdraw-floor", "member": member})
    await page.mouse.move(*await middle(computer))
    await page.mouse.down()
    await see(computer, "hall-unheard")
    await page.mouse.up()
    await expect(by(page, "hall-unheard")).to_have_count(0)


async def by_pointer(village: Village) -> None:
    """The mouse, also where it wanders off; the control is the same button, held."""
    page = village.computer.page
    for _ in range(2):
        await page.mouse.move(*await middle(village.computer))
        await page.mouse.down()
        await heard(village)
        await page.mouse.move(5, 5)
        await heard(village)
        await page.mouse.up()
        await silent(village)


async def by_finger(village: Village) -> None:
    """A finger on the glass, and one that the system takes away."""
    computer = village.computer
    for end in ("touchEnd", "touchCancel"):
        x, y = await middle(computer)
        await computer.cdp.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        await heard(village)
        await computer.cdp.send("Input.dispatchTouchEvent", {"type": end, "touchPoints": []})
        await silent(village)


async def by_key(village: Village) -> None:
    """The space bar and the enter key; focus that goes away, and a window, silence too."""
    computer = village.computer
    page, button = computer.page, by(computer.page, "mic-toggle")
    for key in ("Space", "Enter"):
        await button.focus()
        await page.keyboard.down(key)
        await heard(village)
        await expect(by(page, "mic-word")).to_have_attribute("data-open", "true")
        await page.keyboard.down(key)  # as a key that is held says again and again
        await heard(village)
        if key == "Space":
            await support.assert_accessible(page, "hold-to-talk-held")
            await support.shoot(page, "hold-to-talk-held")
            await heard(village)
        await page.keyboard.up(key)
        await silent(village)
    for away in ("document.activeElement.blur()", "window.dispatchEvent(new Event('blur'))"):
        await button.focus()
        await page.keyboard.down("Space")
        await heard(village)
        await page.evaluate(away)
        await silent(village)
        await page.keyboard.up("Space")


async def test_where_nobody_can_hold_the_microphone_stays_open_after_a_press(village: Village) -> None:
    computer = village.computer
    page = computer.page
    await by(page, "mic-stays-open").set_checked(True)
    await click(computer, "mic-toggle")
    await heard(village)
    await support.shoot(page, "hold-to-talk-stays-open")
    for away in ("document.activeElement.blur()", "window.dispatchEvent(new Event('blur'))"):
        await page.evaluate(away)
        await heard(village)  # the control: nothing is held, and the sound goes on
    await click(computer, "mic-toggle")
    await silent(village)
    # This device remembers it; another browser of the same person does not know of it.
    await page.reload()
    await attribute(computer, "room", "data-media", "joined")
    await expect(by(page, "mic-stays-open")).to_be_checked()
    await click(computer, "mic-toggle")
    await heard(village)
    await by(page, "mic-stays-open").set_checked(False)
    await silent(village)  # from now on it is held again
    await page.mouse.move(*await middle(computer))
    await page.mouse.down()
    await heard(village)
    await page.mouse.up()
    await silent(village)
    await page.reload()
    await attribute(computer, "room", "data-media", "joined")
    await expect(by(page, "mic-stays-open")).not_to_be_checked()
    await silent(village)
