"""Guests in a real browser: the link, the lobby, the room, the floor, being sent out; links that open nothing."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import expect
from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.serving import Server
from tests.browser.steps import look
from tests.browser.support import Person
from tests.browser.test_papers import a_pdf, file


@pytest_asyncio.fixture(loop_scope="session")
async def assembly(demo_server: Server, new_person: NewPerson) -> AsyncIterator[steps.Assembly]:
    """The chair in the room with camera and microphone, the secretary there without."""
    people = await steps.gather_people(demo_server, new_person, auditor=False)
    await steps.prepare_meeting(people)
    await steps.check_in(people, people.chair, media=True)
    await steps.check_in(people, people.secretary, media=False)
    yield people


async def _link(secretary: Person) -> str:
    """The secretary makes a link for one guest."""
    await steps.click(secretary, "panel-people")
    await secretary.page.locator('[data-testid="guest-links"] > summary').click(timeout=steps.SLOW_MS)
    await steps.by(secretary.page, "guest-link-name").fill("The press")
    await steps.click(secretary, "guest-link-make")
    await steps.see(secretary, "guest-link")
    return (await steps.by(secretary.page, "guest-link").inner_text()).strip()


async def _lobby_state(guest: Person, state: str) -> None:
    await steps.attribute(guest, "guest-lobby", "data-state", state)


async def test_a_guest_waits_comes_in_speaks_and_is_sent_out(assembly: steps.Assembly, new_person: NewPerson) -> None:
    chair, secretary = assembly.chair, assembly.secretary
    link = await _link(secretary)
    await look(secretary, "guest-link")
    guest = await new_person(assembly.server.url, "guest")
    await guest.page.goto(link)
    await steps.see(guest, "guest-enter")
    await look(guest, "guest-enter")
    await expect(guest.page).to_have_url(f"{assembly.server.url}/guest")  # the token is in no history
    await steps.by(guest.page, "guest-name").fill("Gwen Guest")
    await guest.page.keyboard.press("Enter")
    await _lobby_state(guest, "waiting")
    await look(guest, "guest-waiting")
    await guest.page.reload()
    await _lobby_state(guest, "waiting")
    await guest.page.goto(f"{assembly.server.url}/meetings/{assembly.meeting}/room")
    await _lobby_state(guest, "waiting")  # no way around the lobby

    await steps.click(chair, "panel-chair")
    visitor = chair.page.locator('[data-testid="visitor"]', has_text="Gwen Guest")
    await expect(visitor).to_have_attribute("data-state", "waiting", timeout=steps.SLOW_MS)
    await steps.by(chair.page, "lobby").scroll_into_view_if_needed()
    await look(chair, "lobby")
    await visitor.locator('[data-testid^="admit-"]').click()
    await expect(visitor).to_have_attribute("data-state", "admitted", timeout=steps.SLOW_MS)
    await steps.see(guest, "room")
    await steps.sees_and_hears(guest)
    await look(guest, "guest-room")
    for testid in ("mic-toggle", "cam-toggle"):
        await expect(steps.by(guest.page, testid)).to_be_disabled()
    await expect(steps.by(guest.page, "panel-votes")).to_have_count(0)
    quorum = steps.by(chair.page, "quorum").first
    await expect(quorum).to_have_attribute("data-present", "2")

    await steps.next_step(assembly, "open")
    await steps.click(guest, "hand-toggle")
    await steps.attribute(guest, "hand-toggle", "aria-pressed", "true")
    await steps.click(guest, "panel-people")
    await look(guest, "guest-people")
    who = str(await visitor.get_attribute("data-visitor"))
    await steps.click(chair, f"grant-{who}")
    await expect(steps.by(guest.page, "mic-toggle")).to_be_enabled(timeout=steps.SLOW_MS)
    for testid in ("mic-toggle", "cam-toggle"):
        await steps.click(guest, testid)
        await steps.attribute(guest, testid, "aria-pressed", "true")
    await steps.sees_and_hears(secretary)
    await look(guest, "guest-floor")
    await steps.click(chair, f"withdraw-{who}")
    await expect(steps.by(guest.page, "mic-toggle")).to_be_disabled(timeout=steps.SLOW_MS)
    await steps.attribute(guest, "cam-toggle", "aria-pressed", "false")
    await steps.sees_and_hears(guest)  # the room again, after its media began anew

    await visitor.locator('[data-testid^="send-out-"]').click()
    await steps.click(chair, "confirm-yes")
    await _lobby_state(guest, "removed")
    await look(guest, "guest-removed")
    await expect(guest.page.locator("video")).to_have_count(0)


async def test_an_unknown_link_and_none_are_said_in_words(demo_server: Server, new_person: NewPerson) -> None:
    guest = await new_person(demo_server.url, "guest")
    await guest.page.goto(f"{demo_server.url}/guest")
    await expect(guest.page.locator(".note-warn")).to_be_visible(timeout=steps.SLOW_MS)
    await look(guest, "guest-no-link")
    other = await new_person(demo_server.url, "other")
    await other.page.goto(f"{demo_server.url}/guest#{'A' * 43}")
    await steps.by(other.page, "guest-name").fill("Gwen")
    await steps.click(other, "guest-enter-button")
    await steps.attribute(other, "error", "data-code", "guest.unknown-link")


async def test_an_observer_asks_at_the_door_and_goes(demo_server: Server, new_person: NewPerson) -> None:
    """Who enrols after the freeze is not on the roll: asks, is let in by the chair, who is told, and leaves."""
    people = await steps.gather_people(demo_server, new_person, auditor=False)
    await steps.prepare_meeting(people)
    await steps.check_in(people, people.chair, media=False)
    chair, observer = people.chair, await new_person(demo_server.url, "observer")
    await steps.enrol(observer, demo_server.link("member"))
    await people.open_page(observer)
    await steps.click(observer, "go-observe")
    await steps.attribute(observer, "observer-door", "data-state", "")
    await look(observer, "observer-door")
    await steps.click(observer, "ask-in")
    await steps.attribute(observer, "observer-door", "data-state", "waiting")
    await steps.attribute(chair, "knock", "data-waiting", "1")
    await look(chair, "knock")
    await steps.click(chair, "knock-open")
    await chair.page.locator('[data-testid^="admit-"]').click(timeout=steps.SLOW_MS)
    await steps.see(observer, "room")
    await expect(steps.by(chair.page, "quorum").first).to_have_attribute("data-present", "1")
    await steps.click(chair, "panel-papers")
    await steps.by(chair.page, "paper-file").set_input_files(file("Salaries.pdf", a_pdf(1)))
    await steps.by(chair.page, "paper-class").select_option("members")
    await steps.click(chair, "paper-add")
    await steps.by(chair.page, "paper-open").first.click(timeout=steps.SLOW_MS)
    await steps.click(chair, "viewer-present")
    await steps.see(observer, "paper-shown-to-others")
    await expect(observer.page.locator("body")).not_to_contain_text("Salaries")
    await expect(steps.by(observer.page, "paper-shown")).to_have_count(0)
    await look(observer, "paper-shown-to-others")
    await steps.click(chair, "viewer-present")
    await expect(steps.by(observer.page, "paper-shown-to-others")).to_have_count(0, timeout=steps.SLOW_MS)
    await chair.page.keyboard.press("Escape")
    await steps.click(chair, "panel-chair")
    await steps.click(observer, "panel-agenda")
    await steps.click(observer, "end-attendance")
    await steps.click(observer, "confirm-yes")
    await steps.see(observer, "go-observe")
    await expect(chair.page.locator('[data-testid="visitor"]')).to_have_count(0, timeout=steps.SLOW_MS)
