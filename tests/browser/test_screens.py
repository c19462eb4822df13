"""Every screen: axe finds nothing serious, nothing is wider than a small phone, pictures at two sizes.

On the way: hands, floor, mute and removal; a one-of-n vote, by keyboard alone for one member and in Vietnamese for
another; result, receipts and the auditor's page.
"""

from playwright.async_api import expect
from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.serving import Server
from tests.browser.steps import look
from tests.browser.support import Person

HAS_FOCUS = "element => element === document.activeElement || element.contains(document.activeElement)"


async def test_screens_before_a_meeting(demo_server: Server, new_person: NewPerson) -> None:
    """Sign-in, enrolment, home, organisation, new meeting, preparation; adding a member with a one-time link."""
    secretary = await new_person(demo_server.url, "secretary")
    await secretary.page.goto(demo_server.url)
    await steps.see(secretary, "sign-in-button")
    await look(secretary, "sign-in")
    await secretary.page.goto(demo_server.link("secretary"))
    await steps.see(secretary, "enrol-button")
    await look(secretary, "enrol")
    await steps.click(secretary, "enrol-button")
    await steps.see(secretary, "enrol-done")
    await look(secretary, "enrol-done")
    await secretary.page.goto(demo_server.url)
    await steps.see(secretary, "meeting-card")
    await look(secretary, "home")
    await secretary.page.goto(f"{demo_server.url}/organisation")
    await steps.by(secretary.page, "member-name-input").fill("Mai Pham")
    await steps.click(secretary, "member-add")
    await steps.see(secretary, "enrolment-link")
    link = await steps.by(secretary.page, "enrolment-link").first.inner_text()
    await look(secretary, "organisation")
    newcomer = await new_person(demo_server.url, "newcomer")
    await steps.enrol(newcomer, link.strip())
    again = await new_person(demo_server.url, "thief")
    await again.page.goto(link.strip())
    await steps.see(again, "error")
    await look(again, "enrol-spent-link")
    await secretary.page.goto(f"{demo_server.url}/meetings/new")
    await steps.see(secretary, "meeting-create")
    await look(secretary, "new-meeting")
    await secretary.page.goto(demo_server.url)
    meeting = await steps.by(secretary.page, "meeting-card").first.get_attribute("data-meeting")
    await secretary.page.goto(f"{demo_server.url}/meetings/{meeting}/prepare")
    await steps.see(secretary, "convene")
    await look(secretary, "prepare")


async def _begin(assembly: steps.Assembly) -> None:
    """Take the meeting that the demonstration has written down, up to check-in."""
    secretary = assembly.secretary
    await secretary.page.goto(assembly.server.url)
    assembly.meeting = str(await steps.by(secretary.page, "meeting-card").first.get_attribute("data-meeting"))
    await assembly.open_page(secretary, "/prepare")
    elections = steps.by(secretary.page, "question")
    await expect(elections).to_have_count(2, timeout=steps.SLOW_MS)
    assembly.election = str(await elections.last.get_attribute("data-election"))
    await steps.click(secretary, "convene")
    await look(assembly.secretary, "prepare-confirm")
    await steps.confirm_passkeys(assembly)
    await steps.click(secretary, "look-roll")
    await steps.see(secretary, "roll-exceptions")
    await look(secretary, "prepare-roll")
    for testid in ("freeze-roll", "begin-check-in"):
        await steps.click(secretary, testid)
    await expect(steps.by(secretary.page, "begin-check-in")).to_have_count(0, timeout=steps.SLOW_MS)
    await assembly.open_page(secretary)
    await steps.attribute(secretary, "meeting", "data-state", "checking-in")
    await look(secretary, "meeting")


async def _hands_and_floor(assembly: steps.Assembly) -> None:
    """A member asks to speak, is given the floor, is muted, removed and let in again."""
    chair, member = assembly.chair, assembly.people["member-1"]
    await steps.click(member, "hand-toggle")
    await steps.attribute(member, "hand-toggle", "aria-pressed", "true")
    await steps.click(chair, "panel-chair")
    grant = chair.page.locator('[data-testid^="grant-"]').first
    await expect(grant).to_be_visible(timeout=steps.SLOW_MS)
    await look(chair, "room-chair")
    who = str(await grant.get_attribute("data-testid")).removeprefix("grant-")
    await grant.click()
    await steps.see(chair, f"withdraw-{who}")
    await steps.click(chair, "panel-people")
    await look(chair, "room-people")
    await steps.click(chair, "panel-chair")
    await steps.click(chair, f"mute-{who}")
    muted = chair.page.locator(f'[data-testid="person"][data-member="{who}"]')
    await expect(muted).to_have_attribute("data-muted", "true", timeout=steps.SLOW_MS)
    await steps.click(chair, f"remove-{who}")
    await steps.click(chair, "confirm-yes")
    await steps.see(member, "removed")
    await look(member, "removed")
    await steps.click(chair, f"readmit-{who}")
    await expect(steps.by(chair.page, f"readmit-{who}")).to_have_count(0, timeout=steps.SLOW_MS)
    await assembly.open_page(member, "/room")
    await steps.see(member, "room")


async def _practise(person: Person) -> None:
    """Try the booth with a key of the page's own; the box shows the one ballot."""
    await steps.click(person, "panel-agenda")
    await steps.click(person, "practice-vote")
    booth = steps.booth_of(person)
    await booth.get_by_test_id("booth-option-0").click(timeout=steps.SLOW_MS)
    await booth.get_by_test_id("booth-review").click()
    await booth.get_by_test_id("booth-cast").click(timeout=steps.SLOW_MS)
    await booth.get_by_test_id("booth-open-practice").click(timeout=steps.SLOW_MS)
    counted = booth.get_by_test_id("practice-counts").locator("li")
    await expect(counted.first).to_have_attribute("data-count", "1", timeout=steps.SLOW_MS)
    await look(person, "booth-practice")
    await steps.click(person, "booth-close")


async def _vote_by_keyboard(person: Person) -> None:
    """Choose the second option, review and cast without a pointer."""
    page, booth = person.page, steps.booth_of(person)
    await steps.by(page, "vote-open").first.focus()
    await page.keyboard.press("Enter")
    await expect(booth.get_by_test_id("booth-option-1")).to_be_visible(timeout=steps.SLOW_MS)
    await look(person, "booth-choose")

    async def press_until(testid: str, key: str) -> None:
        target = booth.get_by_test_id(testid)
        for _ in range(30):
            if await target.evaluate(HAS_FOCUS):
                await page.keyboard.press(key)
                return
            await page.keyboard.press("Tab")
        raise AssertionError(f"{testid} cannot be reached with the Tab key")

    await press_until("booth-option-0", "ArrowDown")
    await press_until("booth-review", "Enter")
    await expect(booth.get_by_test_id("booth-cast")).to_be_enabled(timeout=steps.SLOW_MS)
    await look(person, "booth-review")
    await press_until("booth-cast", "Enter")
    await expect(booth.get_by_test_id("booth-done")).to_be_visible(timeout=steps.SLOW_MS)
    await look(person, "booth-done")
    await steps.click(person, "booth-close")


async def test_screens_of_a_meeting_and_a_vote_by_keyboard(demo_server: Server, new_person: NewPerson) -> None:
    """Seven people, one of them in Vietnamese, hold the demonstration's meeting and elect by one of three."""
    assembly = await steps.gather_people(demo_server, new_person, members=2)
    await _begin(assembly)
    voters = assembly.voters
    for number, person in enumerate(voters):
        if number == 0:
            await assembly.open_page(person, "/check-in")
            await steps.see(person, "check-in-button")
            await look(person, "check-in")
        if person.name == "member-2":
            await person.page.goto(demo_server.url)
            await steps.by(person.page, "language").select_option("vi")
            await expect(person.page.locator("html")).to_have_attribute("lang", "vi", timeout=steps.SLOW_MS)
        await steps.check_in(assembly, person, media=number == 0)
    await look(voters[-1], "room-agenda")
    await _practise(assembly.people["member-1"])
    await _hands_and_floor(assembly)
    await steps.click(assembly.tellers[0], "panel-teller")
    await look(assembly.tellers[0], "room-teller")
    await steps.make_key(assembly)
    await steps.next_step(assembly, "open")
    await _start_last_item(assembly)
    await steps.next_step(assembly, "open-vote")
    await look(assembly.people["member-2"], "room-vote-open-vi")
    await _vote_by_keyboard(assembly.people["member-1"])
    for number, person in enumerate(voters):
        if person.name != "member-1":
            await steps.vote(person, 1 if number % 2 else 0)
    await steps.next_step(assembly, "close-vote")
    await look(assembly.secretary, "room-cosign")
    await steps.cosign(assembly, assembly.officers[:4])
    await steps.click(assembly.tellers[0], "panel-teller")
    await look(assembly.tellers[0], "room-teller-count")
    await steps.open_box(assembly, assembly.tellers[:2])
    await steps.next_step(assembly, "declare")
    member = assembly.people["member-1"]
    await steps.click(member, "panel-votes")
    await steps.see(member, "result-outcome")
    await steps.click(member, "check-counted")
    await steps.attribute(member, "counted", "data-status", "confirmed")
    await look(member, "room-result")
    await member.page.goto(f"{demo_server.url}/receipts")
    await steps.see(member, "receipt-tracker")
    await look(member, "receipts")
    auditor = assembly.people["auditor"]
    await assembly.open_page(auditor, "/audit")
    await steps.see(auditor, "download-bundle")
    await look(auditor, "audit")


async def _start_last_item(assembly: steps.Assembly) -> None:
    """The chair goes straight to the last item, under "Other steps"."""
    page = assembly.chair.page
    await steps.attribute(assembly.chair, "room", "data-state", "opened")
    await steps.click(assembly.chair, "panel-chair")
    await steps.by(page, "other-steps").locator("summary").first.click()
    await page.locator('[data-testid^="start-item-"]:not([aria-busy="true"])').last.click(timeout=steps.SLOW_MS)
