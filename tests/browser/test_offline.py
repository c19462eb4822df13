"""The pages without a network: papers after a reload, whose they are, the next build, the app on the home screen."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image, ImageChops, ImageStat
from playwright.async_api import Error, Page, expect
from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.offline import Builds, installed, stored
from tests.browser.serving import Origin, Server
from tests.browser.steps import by, see
from tests.browser.support import Person, assert_accessible, shoot, until
from tests.browser.test_papers import a_pdf, file
from tools import icons
from tools.house import find_chromium

PAGES = 3
KEPT = 2 * PAGES  # every page as a picture, and what it says


@pytest_asyncio.fixture(loop_scope="session")
async def assembly(demo_server: Server, new_person: NewPerson) -> AsyncIterator[steps.Assembly]:
    """Chair, secretary and a member in the room; the browsers of secretary and member may keep the application."""

    async def make(base_url: str, name: str = "someone", **options: Any) -> Person:
        return await new_person(base_url, name, worker=name in {"member-1", "secretary"}, **options)

    people = await steps.gather_people(demo_server, make, members=1, auditor=False)
    await steps.prepare_meeting(people)
    for name in ("chair", "secretary", "member-1"):
        await steps.check_in(people, people.people[name], media=False)
    await steps.click(people.secretary, "panel-papers")
    await bring(people.secretary, "Budget.pdf", PAGES, "open")
    yield people


async def bring(person: Person, name: str, pages: int, paper_class: str) -> None:
    """Bring a paper in and wait until it can be read."""
    await by(person.page, "paper-file").set_input_files(file(name, a_pdf(pages)))
    await by(person.page, "paper-class").select_option(paper_class)
    await steps.click(person, "paper-add")
    line = person.page.locator('[data-testid="paper"]', has_text=name)
    await expect(line).to_have_attribute("data-state", "ready", timeout=steps.SLOW_MS)


async def read(person: Person, name: str, parts: int) -> None:
    """Open a paper, look at its first page until so much of all papers is kept, close it."""
    await steps.click(person, "panel-papers")
    line = person.page.locator('[data-testid="paper"]', has_text=name)
    await line.get_by_test_id("paper-open").click(timeout=steps.SLOW_MS)
    await see(person, "paper-page")

    async def kept() -> bool:
        return len((await stored(person.page)).papers()) == parts

    await until(kept, f"{parts} parts are kept", deadline_s=60)
    await steps.click(person, "viewer-close")


async def keep(person: Person, name: str) -> None:
    """Read the first paper until the browser has all of it, and the worker all that shows it."""
    await read(person, name, KEPT)
    line = person.page.locator('[data-testid="paper"]', has_text=name)
    await expect(line.get_by_test_id("paper-kept")).to_be_visible(timeout=steps.SLOW_MS)
    await installed(person.page)


async def test_kept_papers_are_read_after_a_reload_without_a_network(assembly: steps.Assembly) -> None:
    secretary, chair, member = assembly.secretary, assembly.chair, assembly.people["member-1"]
    await bring(secretary, "Plan.pdf", 1, "members")
    await bring(secretary, "Secret.pdf", 1, "restricted")
    await keep(member, "Budget.pdf")
    assert len((await stored(member.page)).papers()) == KEPT
    # Restricted papers are read and not kept.
    await read(secretary, "Secret.pdf", 0)
    await keep(secretary, "Budget.pdf")
    assert len((await stored(secretary.page)).papers()) == KEPT
    for name, paths in (await stored(member.page)).caches.items():
        if name.startswith("folkmoot-app-"):
            assert [path for path in paths if path.startswith(("/api", "/socket.io"))] == []
            assert [path for path in paths if path.startswith("/auditor")] == [], "nobody has looked at it"
            assert "/" in paths

    await assembly.server.kill()
    await member.context.set_offline(True)
    await member.page.reload()
    await see(member, "room")
    await see(member, "offline-banner")
    await expect(by(member.page, "papers-offline")).to_contain_text(re.compile(r"fetched at .*\d\d:\d\d"))
    await expect(by(member.page, "paper")).to_have_count(2)
    await expect(member.page.locator('[data-testid="paper"]', has_text="Plan.pdf")).to_contain_text(
        "Not on this device"
    )
    await expect(by(member.page, "error")).to_have_count(0)
    await steps.look(member, "offline-papers")
    line = member.page.locator('[data-testid="paper"]', has_text="Budget.pdf")
    await line.get_by_test_id("paper-open").click()
    await see(member, "viewer-offline")
    for number in range(1, PAGES + 1):
        shown = member.page.get_by_alt_text(f"Page {number} of {PAGES} of Budget.pdf")
        await expect(shown).to_be_visible(timeout=steps.SLOW_MS)
        assert await shown.evaluate("async (one) => { await one.decode(); return one.naturalWidth }") == 1200
        await member.page.keyboard.press("PageDown")
    # Right to left, the arrow keys go the way the buttons point.
    await member.page.evaluate("document.documentElement.dir = 'rtl'")
    for key, number in (("ArrowRight", PAGES - 1), ("ArrowLeft", PAGES)):
        await member.page.keyboard.press(key)
        await steps.attribute(member, "paper-viewer", "data-page", str(number))
    await member.page.evaluate("document.documentElement.dir = 'ltr'")
    await assert_accessible(member.page, "paper viewer offline")
    await shoot(member.page, "offline-paper")
    # The other pages start too.
    await member.page.goto(f"{assembly.server.url}/")
    await see(member, "home")
    await expect(by(member.page, "error")).to_have_count(0)
    await steps.look(member, "offline-home")
    await by(member.page, "meeting-kept").get_by_role("link").click()
    await see(member, "meeting")

    # Control: a browser without the worker has nothing to show.
    with pytest.raises(Error, match="ERR_"):
        await chair.page.reload()

    await member.context.set_offline(False)
    await assembly.server.start()
    await expect(by(member.page, "offline-banner")).to_have_count(0, timeout=steps.SLOW_MS)


async def test_the_next_person_finds_nothing_of_the_one_before(assembly: steps.Assembly) -> None:
    member, server = assembly.people["member-1"], assembly.server
    await keep(member, "Budget.pdf")
    before = await stored(member.page)
    assert len(before.papers()) == KEPT
    assert f"folkmoot.cache.meeting.{assembly.meeting}" in before.values

    await steps.enrol(member, server.link("member", 1))
    after = await stored(member.page)
    assert after.papers() == []
    assert not [key for key in after.values if ".meeting." in key or ".papers." in key]
    assert after.builds() == before.builds() != [], "what everybody gets alike stays"
    await member.page.goto(f"{server.url}/meetings/{assembly.meeting}/check-in")
    for testid in ("check-in-mic", "check-in-camera"):
        await by(member.page, testid).set_checked(False, timeout=steps.SLOW_MS)
    await expect(by(member.page, "paper-kept")).to_have_count(0)


async def test_signing_out_takes_kept_papers_away_even_without_a_network(assembly: steps.Assembly) -> None:
    member = assembly.people["member-1"]
    await keep(member, "Budget.pdf")
    await member.page.goto(f"{assembly.server.url}/")
    await see(member, "home")
    await member.context.set_offline(True)
    assert len((await stored(member.page)).papers()) == KEPT
    await steps.click(member, "sign-out")
    await steps.attribute(member, "error", "data-code", "network.unreachable")
    left = await stored(member.page)
    assert (left.papers(), left.values) == ([], [])
    await member.page.reload()
    await see(member, "sign-in-button")
    await member.context.set_offline(False)


async def test_a_removed_member_loses_the_papers_of_the_meeting(assembly: steps.Assembly) -> None:
    chair, member = assembly.chair, assembly.people["member-1"]
    await keep(member, "Budget.pdf")
    answer = await member.page.evaluate("async () => (await (await fetch('/api/session')).json()).member.id")
    await steps.click(chair, "panel-chair")
    await by(chair.page, f"remove-{answer}").click(timeout=steps.SLOW_MS)
    await steps.click(chair, "confirm-yes")
    await see(member, "removed")

    async def gone() -> bool:
        return (await stored(member.page)).papers() == []

    await until(gone, "the pages are dropped", deadline_s=60)


async def _waits(page: Page) -> bool:
    """Whether a newer worker waits."""
    script = "async () => (await navigator.serviceWorker.getRegistration()).waiting !== null"
    return bool(await page.evaluate(script))


async def _alone(person: Person) -> bool:
    """Whether every worker of the browser sees one window."""
    script = "async () => (await clients.matchAll({ type: 'window', includeUncontrolled: true })).length"
    seen = [await worker.evaluate(script) for worker in person.context.service_workers]
    return seen != [] and max(seen) == 1


_ASK_WAITING = """
async () => {
  const { waiting } = await navigator.serviceWorker.getRegistration();
  const answered = new Promise((done) => navigator.serviceWorker.addEventListener("message", done, { once: true }));
  waiting.postMessage("/of-no-build");
  await answered;
}
"""


async def test_the_next_build_is_taken_at_the_next_start_and_not_under_another_window(
    origin: Origin, new_person: NewPerson, tmp_path: Path
) -> None:
    builds = Builds(origin, tmp_path)
    await builds.server.start()
    try:
        person = await new_person(builds.server.url, worker=True)
        page, first = person.page, builds.shell()["version"]
        await page.goto(f"{builds.server.url}/")
        await installed(page)
        assert (await stored(page)).builds() == [f"folkmoot-app-{first}"]

        await builds.server.stop()
        second = builds.next_build("two")
        await builds.server.start()
        await page.evaluate("async () => void (await (await navigator.serviceWorker.getRegistration()).update())")
        await see(person, "new-version")
        await assert_accessible(page, "a new version is ready")
        await shoot(page, "new-version")
        assert await _waits(page)

        # A second window, perhaps in the middle of a vote: the first may load itself anew, nothing is taken away.
        other = await person.context.new_page()
        await other.goto(f"{builds.server.url}/auditor")
        await steps.click(person, "new-version-load")
        await expect(page.locator("body[data-build=two]")).to_be_attached(timeout=steps.SLOW_MS)
        await steps.ready(person)
        await page.evaluate(_ASK_WAITING)
        assert await _waits(page)
        assert sorted((await stored(page)).builds()) == sorted([f"folkmoot-app-{first}", f"folkmoot-app-{second}"])
        await other.close()
        await until(lambda: _alone(person), "the browser knows that the other window is gone", deadline_s=60)

        await page.reload()

        async def taken() -> bool:
            return not await _waits(page)

        async def alone() -> bool:
            return (await stored(page)).builds() == [f"folkmoot-app-{second}"]

        await until(taken, "the second build is in charge", deadline_s=60)
        await page.reload()
        await until(alone, "the second build alone is kept", deadline_s=60)
        await expect(by(page, "new-version")).to_have_count(0)
        await builds.server.stop()
        await page.goto(f"{builds.server.url}/receipts")
        await expect(page.locator("body[data-build=two]")).to_be_attached(timeout=steps.SLOW_MS)
    finally:
        await builds.server.stop()


_INSTALL = """
async () => {
  const { installing } = await navigator.serviceWorker.register("/sw.js");
  if (installing === null) return "none";
  return await new Promise((done) => installing.addEventListener("statechange", () => done(installing.state)));
}
"""


async def test_a_file_that_is_not_of_the_build_is_not_kept(
    origin: Origin, new_person: NewPerson, tmp_path: Path
) -> None:
    builds = Builds(origin, tmp_path)
    builds.damage()
    await builds.server.start()
    try:
        person = await new_person(builds.server.url, worker=True)
        # A page of the same origin that installs no worker by itself.
        await person.page.goto(f"{builds.server.url}/auditor")
        assert await person.page.evaluate(_INSTALL) == "redundant"
        kept = (await stored(person.page)).caches
        assert not [paths for paths in kept.values() if "/" in paths]
    finally:
        await builds.server.stop()


async def test_the_application_can_be_put_on_the_home_screen(shared_server: Server, new_person: NewPerson) -> None:
    person = await new_person(shared_server.url, worker=True)
    await person.page.goto(f"{shared_server.url}/")
    await installed(person.page)
    found = await person.cdp.send("Page.getAppManifest")
    assert found["errors"] == []
    manifest = json.loads(found["data"])
    assert {"name", "lang", "start_url", "scope", "display", "icons"} <= manifest.keys()
    assert manifest["display"] == "standalone"
    refused = {
        error["errorId"] for error in (await person.cdp.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    }
    assert refused <= {"in-incognito"}, refused  # every context of a test is one
    for icon in manifest["icons"]:
        if icon["type"] == "image/png":
            content = await person.page.evaluate(
                """async (src) => {
                  const picture = await createImageBitmap(await (await fetch(src)).blob());
                  return `${picture.width}x${picture.height}`;
                }""",
                icon["src"],
            )
            assert content == icon["sizes"]
    # Control: a page without a manifest cannot be installed.
    await person.page.evaluate("document.querySelector('link[rel=manifest]').remove()")
    refused = {
        error["errorId"] for error in (await person.cdp.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    }
    assert "no-manifest" in refused, refused


async def test_the_icons_are_drawn_from_the_drawing() -> None:
    chromium = find_chromium()
    assert chromium is not None

    def apart(one: Image.Image, other: Image.Image) -> float:
        """How far two pictures are from each other, from 0 to 255, on the mean."""
        return max(ImageStat.Stat(ImageChops.difference(one.convert("RGBA"), other.convert("RGBA"))).mean)

    for name in icons.ICONS:
        drawn = await asyncio.to_thread(icons.draw, chromium, name)
        with Image.open(icons.PUBLIC / name) as kept:
            assert kept.size == drawn.size
            assert apart(kept, drawn) < 3, name
            assert apart(kept.transpose(Image.Transpose.FLIP_TOP_BOTTOM), drawn) > 3, "control: upside down"
