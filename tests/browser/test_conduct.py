"""Notice, agenda, chair and interruptions on the pages: members in software, those who look and act in browsers."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from icalendar import Calendar
from playwright.async_api import Browser, expect
from tests import drafts
from tests.browser import serving, steps, votes
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import Person
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo
from folkmoot_voting.manifest import Manifest

DAY = 86_400
DESK = {"width": 1280, "height": 800}


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """Everybody enrolled; the first teller is a chair as well; a chair counts as lost after eleven seconds."""
    settings = {**votes.SETTINGS, "FOLKMOOT_CHAIR_LOST_S": "11"}
    async with votes.served(origin, browser, tmp_path_factory.mktemp("conduct"), settings) as hall:
        await hall.enrol_everybody()
        wanted = {
            "member": hall.people["teller-0"].member,
            "role": "chair",
            "unit": await drafts.root_unit(hall.chair),
            "until": int(time.time()) + 30 * DAY,
        }
        await hall.chair.act("/api/grants", {"type": "grant-role", **wanted}, **wanted)
        yield hall


async def page_of(hall: Hall, name: str, rest: str) -> Person:
    """A signed-in browser of somebody on a page of the meeting."""
    person = await hall.browser_of(name)
    await person.page.goto(f"{hall.server.url}/meetings/{hall.meeting}{rest}")
    return person


async def numbers(person: Person) -> list[str]:
    """The agenda in the editor, as "1 Budget"."""
    rows = by(person.page, "edit-item")
    found = []
    for index in range(await rows.count()):
        row = rows.nth(index)
        title = await row.locator(".strong").first.inner_text()
        found.append(f"{await row.get_attribute('data-number')} {title}")
    return found


async def shows(person: Person, expected: list[str]) -> None:
    """Wait until the editor shows this agenda."""
    rows = by(person.page, "edit-item")
    await expect(rows).to_have_count(len(expected), timeout=steps.SLOW_MS)
    for index, line in enumerate(expected):
        await expect(rows.nth(index)).to_contain_text(line.replace(" ", "", 0), timeout=steps.SLOW_MS)
    assert await numbers(person) == expected


async def test_two_officers_write_one_agenda(hall: Hall) -> None:
    """By pointer and by keyboard; a title that both change is shown to the second, who loses nothing."""
    hall.meeting = await drafts.meeting(hall.secretary, ("Welcome", "Budget", "Any other business"))
    jonas = await page_of(hall, "secretary-0", "/agenda")
    lan = await page_of(hall, "chair-0", "/agenda")
    for person in (jonas, lan):
        await shows(person, ["1 Welcome", "2 Budget", "3 Any other business"])
    await by(jonas.page, "new-item-title").fill("Report of the auditors")
    await by(jonas.page, "new-item-minutes").fill("20")
    await click(jonas, "item-add")
    # A new item goes behind the last one that its writer sees.
    await expect(by(lan.page, "edit-item")).to_have_count(4, timeout=steps.SLOW_MS)
    await by(lan.page, "new-item-title").fill("Salaries")
    await by(lan.page, "new-item-internal").set_checked(True)
    await click(lan, "item-add")
    everything = ["1 Welcome", "2 Budget", "3 Any other business", "4 Report of the auditors", "5 Salaries"]
    for person in (jonas, lan):
        await shows(person, everything)
    # The report goes below the budget: up, then in, by keyboard alone; the focus stays on what was pressed.
    for testid in ("item-up", "item-in"):
        button = by(lan.page, "edit-item").filter(has_text="Report").get_by_test_id(testid)
        await button.focus()
        await lan.page.keyboard.press("Enter")
        await expect(by(lan.page, "announcer")).to_contain_text("Report", timeout=steps.SLOW_MS)
        await expect(lan.page.locator("[data-testid=edit-item]:has(:focus)")).to_contain_text("Report")
    expected = ["1 Welcome", "2 Budget", "2.1 Report of the auditors", "3 Any other business", "4 Salaries"]
    for person in (jonas, lan):
        await shows(person, expected)
    await look(lan, "agenda-editor")
    # Both change one item; the second is shown both texts.
    for person in (jonas, lan):
        await by(person.page, "edit-item").filter(has_text="Budget").first.get_by_test_id("item-edit").click()
    await by(jonas.page, "edit-item-title").fill("Budget 2027")
    await by(lan.page, "edit-item-title").fill("The budget of 2027")
    await click(jonas, "item-save")
    await expect(by(jonas.page, "item-form")).to_have_count(0, timeout=steps.SLOW_MS)
    assert await by(lan.page, "edit-item-title").input_value() == "The budget of 2027"
    await click(lan, "item-save")
    await see(lan, "item-conflict")
    await expect(by(lan.page, "item-theirs")).to_contain_text("Budget 2027")
    await look(lan, "agenda-conflict")
    await click(lan, "save-mine")
    expected[1] = "2 The budget of 2027"
    for person in (jonas, lan):
        await shows(person, expected)
    await by(lan.page, "edit-item").filter(has_text="Any other").get_by_test_id("item-remove").click()
    await click(lan, "confirm-yes")
    await shows(jonas, [*expected[:3], "3 Salaries"])
    # Members see no internal item and no hole.
    binh = await page_of(hall, "Binh", "")
    await expect(by(binh.page, "agenda-item")).to_have_count(3, timeout=steps.SLOW_MS)
    await expect(binh.page.get_by_text("Salaries")).to_have_count(0)


async def test_templates_series_and_carrying_over(hall: Hall) -> None:
    """A template becomes the agenda of a new meeting; a series is drafted; what was left over is taken along."""
    hall.meeting = await drafts.meeting(hall.secretary, ("Opening", "Report"))
    jonas = await page_of(hall, "secretary-0", "/agenda")
    await by(jonas.page, "templates").locator("summary").click()
    await by(jonas.page, "template-name").fill("Every quarter")
    await click(jonas, "template-save")
    await see(jonas, "template")
    await by(jonas.page, "series").locator("summary").click()
    await by(jonas.page, "series-count").fill("2")
    await click(jonas, "series-make")
    await see(jonas, "series-made")
    await look(jonas, "agenda-templates")
    await jonas.page.goto(f"{hall.server.url}/meetings/new")
    await by(jonas.page, "meeting-title").fill("Second quarter")
    await by(jonas.page, "meeting-template").select_option(label="Every quarter (2 items)")
    await by(jonas.page, "notice-days").fill("0")
    await by(jonas.page, "quorum-binding").set_checked(True)
    await look(jonas, "new-meeting-template")
    await click(jonas, "meeting-create")
    await jonas.page.wait_for_url("**/meetings/*/prepare", timeout=steps.SLOW_MS)
    await expect(by(jonas.page, "agenda-item")).to_have_count(2, timeout=steps.SLOW_MS)
    await click(jonas, "go-agenda")
    await by(jonas.page, "carry").locator("summary").click()
    choice = by(jonas.page, "carry-from").locator(f'option[value="{hall.meeting}"]')
    await expect(choice).to_be_attached(timeout=steps.SLOW_MS)
    await by(jonas.page, "carry-from").select_option(hall.meeting)
    await click(jonas, "carry-items")
    await see(jonas, "carried")
    await shows(jonas, ["1 Opening", "2 Report", "3 Opening", "4 Report"])


async def test_notice_receipts_excuses_and_calling_off(hall: Hall) -> None:
    """Too late for the notice period until it is waived; receipts come by themselves; moved, then called off."""
    starts_at = int(time.time()) // 3600 * 3600 + 3 * DAY
    hall.meeting = await drafts.meeting(hall.secretary, ("Votes",), starts_at=starts_at, notice_days=7)
    jonas = await page_of(hall, "secretary-0", "/prepare")
    await see(jonas, "notice-latest")
    await expect(by(jonas.page, "convene")).to_be_disabled(timeout=steps.SLOW_MS)
    await look(jonas, "prepare-notice-too-late")
    await click(jonas, "go-notice")
    await by(jonas.page, "waiver").locator("summary").click()
    await by(jonas.page, "waive-reason").fill("The dam has to be decided on this week.")
    await click(jonas, "waive")
    await see(jonas, "waived")
    await jonas.page.go_back()
    await click(jonas, "convene")
    await expect(by(jonas.page, "convene")).to_have_count(0, timeout=steps.SLOW_MS)
    binh = await hall.browser_of("Binh")  # home: the notice is delivered
    await see(binh, "meeting-card")
    greta = await page_of(hall, "Greta", "")  # the meeting's page: it is read
    await see(greta, "notice")
    await by(greta.page, "excuse").locator("summary").click()
    await by(greta.page, "excuse-reason").fill("In hospital")
    await look(greta, "meeting-excuse")
    await click(greta, "excuse-send")
    await see(greta, "excused")
    async with greta.page.expect_download() as downloaded:
        await click(greta, "add-to-calendar")
    path = await (await downloaded.value).path()
    event = Calendar.from_ical(path.read_bytes()).walk("VEVENT")[0]
    assert (str(event["UID"]).split("@")[0], int(event["SEQUENCE"])) == (hall.meeting, 0)
    await click(jonas, "go-notice")
    figures = by(jonas.page, "receipt-figures")
    await expect(figures).to_contain_text("2 delivered, 1 read, 1 excused", timeout=steps.SLOW_MS)
    await expect(jonas.page.get_by_text("In hospital")).to_be_visible()
    await click(jonas, "receipts-excused")
    await expect(by(jonas.page, "notice-line")).to_have_count(1)
    await look(jonas, "notice-office")
    await by(jonas.page, "reschedule-start").fill("2027-05-03T18:30")
    await click(jonas, "reschedule")
    await click(jonas, "confirm-yes")
    await expect(figures).to_contain_text("0 delivered, 0 read, 1 excused", timeout=steps.SLOW_MS)
    await by(jonas.page, "cancelling").locator("summary").click()
    await by(jonas.page, "cancel-reason").fill("The hall is under water.")
    await click(jonas, "cancel")
    await click(jonas, "confirm-yes")
    await attribute(jonas, "notice-office", "data-state", "cancelled")
    await see(greta, "banner-cancelled")
    await expect(by(greta.page, "banner-cancelled")).to_contain_text("under water")
    await look(greta, "meeting-cancelled")


async def enter(hall: Hall, name: str, panel: str) -> Person:
    """A browser of somebody who checks in and goes to a panel of the room."""
    person = await hall.browser_of(name)
    await hall.check_in_browser(person)
    await click(person, f"panel-{panel}")
    return person


async def test_recess_handover_and_another_day(hall: Hall) -> None:
    """A binding quorum, a recess in plain words, a hand-over signed by two, another day."""
    await hall.convene(binding=True, quorum={"num": 4, "den": 10})
    await hall.check_in("secretary-0", "Rui")
    lan = await enter(hall, "chair-0", "chair")
    await attribute(lan, "chair-next", "data-next", "open")
    await expect(by(lan.page, "chair-next")).to_be_disabled()
    await expect(by(lan.page, "chair-next-why")).to_contain_text("quorum")
    await look(lan, "chair-no-quorum")
    ana = await enter(hall, "teller-0", "chair")
    binh = await enter(hall, "Binh", "agenda")
    await click(lan, "chair-next")
    await attribute(lan, "chair-next", "data-next", "start-item")
    await click(lan, "chair-next")
    await see(ana, "other-presides")
    await expect(by(ana.page, "chair-next")).to_be_disabled()
    await look(ana, "chair-not-presiding")
    # A recess: everybody reads what it means.
    await by(lan.page, "break").locator("summary").click()
    await by(lan.page, "recess-minutes").select_option("15")
    await click(lan, "recess")
    for person in (lan, ana, binh):
        await see(person, "banner-recess")
    await attribute(lan, "chair-next", "data-next", "resume")
    await look(binh, "room-recess")
    await look(lan, "chair-recess")
    await click(lan, "chair-next")
    await expect(by(binh.page, "banner-recess")).to_have_count(0, timeout=steps.SLOW_MS)
    # The quorum is lost and regained.
    for name in ("secretary-0", "Rui"):
        await hall.people[name].post(hall.path("/commands"), {"command": "leave"})
    await see(binh, "banner-quorum-lost")
    await look(lan, "chair-quorum-lost")
    await hall.check_in("secretary-0", "Rui")
    await expect(by(binh.page, "banner-quorum-lost")).to_have_count(0, timeout=steps.SLOW_MS)
    # Handed over by two signatures.
    await click(lan, "handover-offer")
    await see(lan, "handover-waits")
    await see(ana, "chair-offered")
    await look(ana, "chair-offered")
    await click(ana, "accept-chair")
    await see(lan, "other-presides")
    await attribute(ana, "presiding", "data-mine", "true")
    # Until another day.
    await by(ana.page, "break").locator("summary").click()
    await click(ana, "adjourn")
    await click(ana, "confirm-yes")
    await see(binh, "banner-adjourned")
    await look(binh, "room-adjourned")
    await lan.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/prepare")
    await see(lan, "close-adjourned")
    await look(lan, "prepare-adjourned")
    await click(lan, "begin-check-in")
    await hall.check_in_browser(binh)
    await attribute(binh, "room", "data-state", "checking-in")


async def test_a_deputy_presides_when_the_chairs_link_is_lost(hall: Hall) -> None:
    """The other chair's page says so aloud; the one who lost it takes it back with one press."""
    await hall.convene()
    await hall.check_in("secretary-0", "Rui")
    lan = await enter(hall, "chair-0", "chair")
    ana = await enter(hall, "teller-0", "chair")
    await click(lan, "chair-next")
    await see(ana, "other-presides")
    await lan.context.set_offline(True)
    begun = time.monotonic()
    await see(ana, "you-preside")
    assert time.monotonic() - begun < 30
    await expect(by(ana.page, "alarm")).to_contain_text("You preside now")
    await look(ana, "chair-deputy")
    await lan.context.set_offline(False)
    await see(lan, "resume-chair")
    await look(lan, "chair-resume")
    await click(lan, "resume-chair")
    await see(ana, "other-presides")


async def test_an_open_vote_is_extended_and_broken_off_and_the_wall_shows_it(hall: Hall) -> None:
    """An announced time bars closing; a later one needs its reason; breaking off is signed with one, too."""
    await hall.convene()
    await hall.check_in(*(name for name in votes.OFFICERS if name != "chair-0"), "Rui")
    lan = await enter(hall, "chair-0", "chair")
    hall.tellers = await demo.make_key(hall.officers[2:], hall.meeting)
    hall.cosigners = [await demo.name_cosigner(person, hall.meeting) for person in hall.officers]
    await click(lan, "chair-next")
    await attribute(lan, "chair-next", "data-next", "start-item")
    await click(lan, "chair-next")
    drafted = await hall.secretary.post(hall.path("/questions"), drafts.question(hall.item))
    election = str(drafted["election"])
    await demo.open_election(hall.chair, hall.meeting, election)
    wall = await page_of(hall, "Greta", "/screen")
    await see(wall, "wall-vote")
    await by(lan.page, "vote-timer").locator("summary").click()
    await by(lan.page, "vote-timer-minutes").select_option("2")
    await click(lan, "vote-timer-set")
    await see(lan, "vote-remaining")
    await expect(by(lan.page, "chair-next")).to_be_disabled(timeout=steps.SLOW_MS)
    await expect(by(lan.page, "chair-next-why")).to_contain_text("stays open until")
    await look(wall, "wall-vote")
    await by(lan.page, "vote-timer-reason").fill("The lift is stuck with nine members in it.")
    await click(lan, "vote-timer-set")
    await look(lan, "chair-vote")
    await by(lan.page, "vote-abort").locator("summary").click()
    await by(lan.page, "vote-abort-reason").fill("The question was misprinted.")
    await click(lan, "vote-abort-ask")
    await click(lan, "confirm-yes")
    await expect(by(lan.page, "chair-vote")).to_have_count(0, timeout=steps.SLOW_MS)
    log = [event["type"] for event in (await hall.chair.get(hall.path("/events?after=0")))["events"]]
    assert log.count("VoteTimerSet") == 2
    assert log[-1] == "ElectionAborted"
    await expect(by(wall.page, "wall-vote")).to_have_count(0, timeout=steps.SLOW_MS)
    await hall.people["Rui"].post(hall.path("/commands"), {"command": "raise-hand"})
    await hall.chair.post(hall.path("/commands"), {"command": "grant-floor", "member": hall.people["Rui"].member})
    await expect(by(wall.page, "wall-speakers")).to_contain_text("Rui Costa", timeout=steps.SLOW_MS)
    await see(wall, "wall-turn")
    await attribute(wall, "wall-quorum", "data-met", "true")
    await look(wall, "wall")
    # The next vote is held to its end; its result takes the place of the speakers.
    drafted = await hall.secretary.post(hall.path("/questions"), drafts.question(hall.item))
    for step in ("open-vote", "close-vote"):
        await attribute(lan, "chair-next", "data-next", step)
        await click(lan, "chair-next")
        await click(lan, "confirm-yes")
        if step == "open-vote":
            await see(wall, "wall-vote")
            path = hall.path(f"/elections/{drafted['election']}/manifest")
            again = Manifest.from_json((await hall.chair.get(path))["manifest"])
            await hall.cast(again, [[1, 0, 0]], *(name for name in votes.OFFICERS if name != "chair-0"))
    await attribute(lan, "chair-vote", "data-state", "closed")
    await demo.cosign(hall.cosigners, hall.meeting, again)
    await demo.count(hall.tellers[:2], hall.meeting, again)
    await hall.declare(again)
    await see(wall, "wall-result")
    await attribute(wall, "result-outcome", "data-kind", "carried")
    await look(wall, "wall-result")
