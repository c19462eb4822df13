"""What first-time users stumble over: early taps, shared browsers, ended roles, being muted, finding the way out."""

import asyncio

from playwright.async_api import Page, Route, expect
from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.serving import Server
from tests.browser.support import Person

FOCUSED = "document.activeElement?.dataset.testid ?? document.activeElement?.tagName"


def task(page: Page, name: str) -> str:
    """Select the link of a task on the home page."""
    return f'[data-testid="task"][data-task="{name}"] a'


async def _tap_before_the_link_is_read(person: Person, link: str) -> None:
    """Hold the answer about the link back until the button was pressed; the tap must not be lost."""
    pressed = asyncio.Event()

    async def hold(route: Route) -> None:
        await pressed.wait()
        await route.continue_()

    await person.page.route("**/api/enrol/begin", hold)
    await person.page.goto(link)
    await steps.by(person.page, "enrol-button").click()
    await expect(steps.by(person.page, "enrol-button")).to_have_attribute("aria-busy", "true")
    pressed.set()
    await steps.see(person, "enrol-done")


async def _secretary_alone(secretary: Person, server: Server) -> str:
    """Find the task on the home page, be warned, be refused in plain words; return the meeting's id."""
    page = secretary.page
    await page.goto(server.url)
    await page.locator(task(page, "freeze-roll")).click()
    await page.wait_for_url("**/prepare")
    await steps.see(secretary, "without-passkey")
    await expect(steps.by(page, "confirm-passkeys")).to_have_count(0)  # nobody confirms the own passkey
    await steps.click(secretary, "look-roll")
    await steps.attribute(secretary, "error", "data-code", "roll.registrar-unconfirmed")
    await expect(steps.by(page, "error").locator("span").last).not_to_have_attribute("lang", "en")
    return page.url.split("/meetings/")[1].split("/")[0]


async def _end_a_role(secretary: Person, server: Server, name: str) -> None:
    """Ask for the end of a member's role as auditor, think better of it by Escape, then do it."""
    page = secretary.page
    await page.goto(f"{server.url}/organisation")
    line = page.get_by_test_id("member").filter(has_text=name)
    await line.locator("details", has=page.get_by_test_id("grant")).locator("summary").click()
    grant = line.locator('[data-testid="grant"][data-role="auditor"]')
    end = grant.locator("button").first
    opener = await end.get_attribute("data-testid")
    await end.click()
    await expect(steps.by(page, "confirm-yes")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(steps.by(page, "confirm-yes")).to_have_count(0)
    assert await page.evaluate(FOCUSED) == opener
    await expect(grant).to_have_count(1)
    await end.click()
    await steps.click(secretary, "confirm-yes")
    await expect(grant).to_have_count(0, timeout=steps.SLOW_MS)


async def _two_members_one_browser(assembly: steps.Assembly, shared: Person, first: set[str]) -> None:
    """The second of two members checks in, then the first, in one browser profile, each with an own voting key."""
    await steps.check_in(assembly, shared, media=False)
    await shared.page.goto(f"{assembly.server.url}/")
    await steps.click(shared, "sign-out")
    await steps.see(shared, "sign-in-button")
    for passkey in await shared.credentials():
        if passkey["credentialId"] not in first:  # so that signing in takes the first member's
            removed = {"authenticatorId": shared.authenticator, "credentialId": passkey["credentialId"]}
            await shared.cdp.send("WebAuthn.removeCredential", removed)
    await steps.sign_in(shared, assembly.server)
    await expect(shared.page.locator(task(shared.page, "check-in"))).to_be_visible(timeout=steps.SLOW_MS)
    await steps.check_in(assembly, shared, media=False)
    names = await shared.page.evaluate("async () => (await indexedDB.databases()).map((found) => found.name)")
    assert len([name for name in names if name.startswith("folkmoot.")]) == 2


async def _muted_and_back(chair: Person, member: Person) -> None:
    """The chair mutes a member, who speaks again by the microphone button."""
    await steps.click(chair, "panel-chair")
    mute = chair.page.locator('[data-testid="person"]', has_text="Greta").locator('[data-testid^="mute-"]')
    await mute.click(timeout=steps.SLOW_MS)
    person = chair.page.locator('[data-testid="person"]', has_text="Greta")
    await expect(person).to_have_attribute("data-muted", "true", timeout=steps.SLOW_MS)
    await expect(steps.by(member.page, "mic-toggle")).to_have_attribute(
        "aria-pressed", "false", timeout=steps.SLOW_MS
    )
    await steps.click(member, "mic-toggle")
    await expect(person).to_have_attribute("data-muted", "false", timeout=steps.SLOW_MS)
    await expect(steps.by(member.page, "mic-toggle")).to_have_attribute("aria-pressed", "true", timeout=steps.SLOW_MS)


async def _escape_from_the_booth(member: Person) -> None:
    """Escape leaves the booth from inside its frame, and the focus is back where it was opened."""
    await steps.click(member, "practice-vote")
    option = steps.booth_of(member).get_by_test_id("booth-option-0")
    await option.click(timeout=steps.SLOW_MS)
    await member.page.keyboard.press("Escape")
    await expect(steps.by(member.page, "booth-dialog")).to_have_count(0)
    assert await member.page.evaluate(FOCUSED) == "practice-vote"


async def test_first_time_journeys(demo_server: Server, new_person: NewPerson) -> None:
    """A meeting is begun by people who follow only what the screens say."""
    assembly = steps.Assembly(demo_server)
    secretary = await new_person(demo_server.url, "secretary", size=steps.DESKTOP)
    await _tap_before_the_link_is_read(secretary, demo_server.link("secretary"))
    assembly.meeting = await _secretary_alone(secretary, demo_server)
    chair = await new_person(demo_server.url, "chair", size=steps.DESKTOP)
    await steps.enrol(chair, demo_server.link("chair"))
    for number in range(3):
        teller = await new_person(demo_server.url, f"teller-{number + 1}")
        await steps.enrol(teller, demo_server.link("teller", number))
    shared = await new_person(demo_server.url, "shared")
    await steps.enrol(shared, demo_server.link("member", 0))
    first = {str(passkey["credentialId"]) for passkey in await shared.credentials()}
    await steps.enrol(shared, demo_server.link("member", 1))
    member = await new_person(demo_server.url, "member")
    await steps.enrol(member, demo_server.link("member", 2))
    await _end_a_role(chair, demo_server, "Karin")
    assembly.people = {"chair": chair, "secretary": secretary}
    await steps.confirm_passkeys(assembly)
    await assembly.open_page(secretary, "/prepare")
    for testid in ("convene", "look-roll", "freeze-roll", "begin-check-in"):
        await steps.click(secretary, testid)
    await steps.see(secretary, "roll-frozen")
    await chair.page.goto(demo_server.url)
    await expect(chair.page.locator(task(chair.page, "cosigner-key"))).to_be_visible(timeout=steps.SLOW_MS)
    await _two_members_one_browser(assembly, shared, first)
    await steps.check_in(assembly, chair, media=False)
    await steps.check_in(assembly, member, media=True)
    await expect(steps.by(member.page, "mic-toggle")).to_have_attribute("aria-pressed", "true", timeout=steps.SLOW_MS)
    await _muted_and_back(chair, member)
    await _escape_from_the_booth(member)
