"""Papers in real browsers: brought in, read by key, shown to all, read on without a network; messages beside."""

import io
from collections.abc import AsyncIterator

import pypdfium2
import pytest_asyncio
from PIL import Image, ImageDraw
from playwright.async_api import FilePayload, expect
from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.offline import stored
from tests.browser.serving import Server
from tests.browser.steps import look
from tests.browser.support import Person, assert_accessible, shoot, until
from tests.server.test_paper_rendering import RICH


def a_pdf(pages: int) -> bytes:
    """A paper with a large number on each page."""
    drawn = []
    for number in range(1, pages + 1):
        page = Image.new("RGB", (620, 877), "white")
        ImageDraw.Draw(page).text((80, 100), f"Budget, page {number}", fill="black", font_size=48)
        drawn.append(page)
    out = io.BytesIO()
    drawn[0].save(out, "PDF", save_all=True, append_images=drawn[1:])
    assert len(pypdfium2.PdfDocument(out.getvalue())) == pages
    return out.getvalue()


def file(name: str, content: bytes) -> FilePayload:
    return FilePayload(name=name, mimeType="application/octet-stream", buffer=content)


@pytest_asyncio.fixture(loop_scope="session")
async def assembly(demo_server: Server, new_person: NewPerson) -> AsyncIterator[steps.Assembly]:
    """Chair, secretary and a member in the room of a meeting that has begun check-in."""
    people = await steps.gather_people(demo_server, new_person, members=1, auditor=False)
    await steps.prepare_meeting(people)
    for name in ("chair", "secretary", "member-1"):
        await steps.check_in(people, people.people[name], media=False)
    yield people


async def _bring(person: Person, name: str, content: bytes, paper_class: str) -> None:
    await steps.by(person.page, "paper-file").set_input_files(file(name, content))
    await steps.by(person.page, "paper-class").select_option(paper_class)
    await steps.click(person, "paper-add")
    line = person.page.locator('[data-testid="paper"]', has_text=name)
    await expect(line).to_have_attribute("data-state", "ready", timeout=steps.SLOW_MS)


async def _at_page(person: Person, number: int) -> None:
    await steps.attribute(person, "paper-viewer", "data-page", str(number))


async def test_papers_are_read_shown_and_kept(assembly: steps.Assembly) -> None:
    secretary, chair, member = assembly.secretary, assembly.chair, assembly.people["member-1"]
    for person in (secretary, chair, member):
        await steps.click(person, "panel-papers")
    await look(member, "papers-none")
    await _bring(secretary, "Budget.pdf", a_pdf(4), "open")
    await _bring(secretary, "Notes.txt", "Xin chào\n".encode() * 90, "members")
    await _bring(secretary, "Secret.pdf", a_pdf(1), "restricted")
    await steps.by(secretary.page, "paper-file").set_input_files(file("Letter.pdf", b"GIF89a" + bytes(99)))
    await steps.click(secretary, "paper-add")
    await steps.attribute(secretary, "error", "data-code", "paper.wrong-type")
    await look(secretary, "papers-office")
    papers = steps.by(member.page, "paper")
    await member.page.reload()
    await expect(papers).to_have_count(2, timeout=steps.SLOW_MS)
    await look(member, "papers")

    await papers.filter(has_text="Budget.pdf").get_by_test_id("paper-open").click()
    await _at_page(member, 1)
    await expect(steps.by(member.page, "paper-page")).to_be_visible(timeout=steps.SLOW_MS)
    for key, page in (("PageDown", 2), ("ArrowRight", 3), ("End", 4), ("ArrowRight", 4), ("PageUp", 3), ("Home", 1)):
        await member.page.keyboard.press(key)
        await _at_page(member, page)
    await member.page.keyboard.press("+")
    await expect(member.page.locator(".paper-sheet")).to_have_attribute("data-zoom", "1.5")
    await member.page.keyboard.press("-")
    await assert_accessible(member.page, "paper viewer")
    await shoot(member.page, "paper-viewer")

    async def kept() -> bool:
        return len((await stored(member.page)).papers()) >= 8

    await until(kept, "all pages and what they say are kept in the browser")
    await member.context.set_offline(True)
    for page in (2, 3, 4):
        await member.page.keyboard.press("PageDown")
        await _at_page(member, page)
        await expect(steps.by(member.page, "paper-page")).to_have_attribute("alt", f"Page {page} of 4 of Budget.pdf")
        await expect(steps.by(member.page, "error")).to_have_count(0)
    await shoot(member.page, "paper-viewer-offline")
    await member.context.set_offline(False)
    await member.page.keyboard.press("Escape")
    await expect(steps.by(member.page, "paper-viewer")).to_have_count(0)


async def test_what_a_page_says_is_read_out_and_shown_in_place_of_the_picture(assembly: steps.Assembly) -> None:
    secretary, member = assembly.secretary, assembly.people["member-1"]
    for person in (secretary, member):
        await steps.click(person, "panel-papers")
    await _bring(secretary, "Words.pdf", RICH, "open")
    await _bring(secretary, "Scan.pdf", a_pdf(1), "open")
    papers = steps.by(member.page, "paper")
    await papers.filter(has_text="Words.pdf").get_by_test_id("paper-open").click(timeout=steps.SLOW_MS)
    words = member.page.get_by_role("region", name="What page 1 says")
    # Beside the picture, for who hears it.
    await expect(words).to_have_text("Budget of the year", timeout=steps.SLOW_MS)
    await expect(steps.by(member.page, "paper-page")).to_be_visible()
    await member.page.set_viewport_size({"width": 360, "height": 640})
    await shoot(member.page, "paper-with-words")
    await steps.click(member, "viewer-words")
    await steps.attribute(member, "viewer-words", "aria-pressed", "true")
    await expect(steps.by(member.page, "paper-page")).to_have_count(0)
    await expect(words.locator("pre")).to_be_visible()
    await assert_accessible(member.page, "paper as text")
    await shoot(member.page, "paper-as-words")
    await member.page.set_viewport_size({"width": 1280, "height": 800})
    await shoot(member.page, "paper-as-words-wide")
    await member.page.keyboard.press("Escape")
    await papers.filter(has_text="Scan.pdf").get_by_test_id("paper-open").click()
    await expect(steps.by(member.page, "paper-words")).to_contain_text("Nothing on this page", timeout=steps.SLOW_MS)


async def test_everybody_follows_the_page_that_the_chair_shows(assembly: steps.Assembly) -> None:
    secretary, chair, member = assembly.secretary, assembly.chair, assembly.people["member-1"]
    for person in (secretary, chair):
        await steps.click(person, "panel-papers")
    await _bring(secretary, "Budget.pdf", a_pdf(4), "open")
    await steps.by(chair.page, "paper-open").first.click(timeout=steps.SLOW_MS)
    await steps.click(chair, "viewer-present")
    await steps.attribute(chair, "viewer-present", "aria-pressed", "true")
    await steps.see(member, "paper-shown")
    await look(member, "paper-shown")
    await steps.click(member, "paper-look")
    await _at_page(member, 1)
    await chair.page.keyboard.press("PageDown")
    await _at_page(member, 2)
    await member.page.keyboard.press("End")  # reads on alone
    await _at_page(member, 4)
    await chair.page.keyboard.press("PageDown")
    await steps.attribute(member, "paper-viewer", "data-page", "4")
    await shoot(member.page, "paper-on-own")
    await steps.click(member, "viewer-follow")
    await _at_page(member, 3)
    await steps.click(chair, "viewer-present")
    await expect(steps.by(member.page, "viewer-follow")).to_have_count(0)
    await expect(member.page.locator(".paper-follow")).to_have_count(0, timeout=steps.SLOW_MS)
    await member.page.keyboard.press("Escape")
    await expect(steps.by(member.page, "paper-shown")).to_have_count(0, timeout=steps.SLOW_MS)


async def test_chat_questions_support_and_hiding(assembly: steps.Assembly) -> None:
    chair, member = assembly.chair, assembly.people["member-1"]
    for person in (chair, member):
        await steps.click(person, "panel-messages")
    await look(member, "messages-none")
    await steps.by(member.page, "write-chat").fill("Hello everybody")
    await steps.click(member, "send-chat")
    line = chair.page.locator('[data-testid="message"]', has_text="Hello everybody")
    await expect(line).to_be_visible(timeout=steps.SLOW_MS)
    for person in (chair, member):
        await steps.click(person, "talk-questions")
    await steps.by(chair.page, "write-question").fill("Who pays for the roof?")
    await steps.click(chair, "send-question")
    support = member.page.locator('[data-testid^="support-"]').first
    await support.click(timeout=steps.SLOW_MS)
    await steps.attribute(member, "votes", "data-votes", "1")
    await chair.page.locator('[data-testid^="answer-"]').first.click()
    await steps.by(chair.page, "write-answer").fill("The insurance.")
    await steps.click(chair, "send-answer")
    await expect(member.page.locator(".talk-answer")).to_contain_text("The insurance.", timeout=steps.SLOW_MS)
    await look(member, "messages-questions")
    await steps.click(chair, "talk-chat")
    await steps.click(member, "talk-chat")
    await line.locator('[data-testid^="hide-"]').click()
    await steps.by(chair.page, "hide-reason").fill("by mistake")
    await look(chair, "messages-hide")
    await steps.click(chair, "hide-yes")
    await steps.attribute(member, "message", "data-hidden", "true")
    await expect(member.page.locator("body")).not_to_contain_text("Hello everybody")
    await look(member, "messages-hidden")
