"""The tellers' ceremony in real browsers: a lost phone, a copy of the share by code, a teller who vanishes.

The other tellers, the officers and the voters are software; the box is opened for real.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser import serving, steps, votes
from tests.browser.support import Person
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo
from folkmoot_voting import challenges

WRONG_CODE = "0000-0000-0000-0000"
PAGE = "teller-0"
"""The teller whose pages these are."""


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path: Path) -> AsyncIterator[Hall]:
    """A meeting at check-in, everybody present, its key not yet made; one teller has a browser."""
    server = serving.Server(origin, tmp_path, settings=votes.SETTINGS)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.push_async_callback(server.stop)
        hall = Hall(server, browser, stack)
        await hall.enrol_everybody()
        await hall.convene()
        await hall.check_in(*votes.OFFICERS)
        hall.browsers[PAGE] = await hall.browser_of(PAGE)
        await open_teller_page(hall, hall.browsers[PAGE])
        yield hall


async def open_teller_page(hall: Hall, person: Person) -> None:
    """Go to the teller's own page."""
    await person.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/teller")
    await steps.ready(person)


async def make_key(hall: Hall) -> None:
    """The page and two tellers in software make the key; the page shows the code that software computes."""
    person = hall.browsers[PAGE]
    parts = [
        asyncio.create_task(votes.make_part(hall.people[name], hall.meeting)) for name in ("teller-1", "teller-2")
    ]
    try:
        await steps.click(person, "teller-make-key")
        await steps.see(person, "teller-code")
        code = (await steps.by(person.page, "teller-code").inner_text()).strip()
        await steps.look(person, "teller-code")
        await steps.click(person, "teller-confirm-code")
        hall.tellers = list(await asyncio.gather(*parts))
    finally:
        for part in parts:
            part.cancel()
    assert {teller.state.spoken_code for teller in hall.tellers} == {code}
    await steps.see(person, "teller-key-ready")


async def test_a_share_survives_the_tellers_phone(hall: Hall, tmp_path: Path) -> None:
    """A new phone with the same passkey has no share, refuses a wrong code in words, restores, and opens the box."""
    phone = hall.browsers[PAGE]
    await make_key(hall)
    await steps.attribute(phone, "share", "data-held", "true")
    await steps.by(phone.page, "share").locator("details summary").click()
    await steps.click(phone, "share-file")
    await steps.see(phone, "share-code")
    code = (await steps.by(phone.page, "share-code").inner_text()).strip()
    await steps.look(phone, "teller-share-code")
    copy = await steps.download(phone, "share-file-link", tmp_path, ".json")
    credentials = await phone.credentials()
    await phone.close()

    fresh = await hall.browser_of(PAGE, "-new-phone", passkey=False)
    for credential in credentials:
        await votes.import_credential(fresh, credential)
    await steps.sign_in(fresh, hall.server)
    await open_teller_page(hall, fresh)
    await steps.attribute(fresh, "share", "data-held", "false")
    await steps.look(fresh, "teller-share-missing")
    await fresh.page.get_by_test_id("share").locator("details summary").click()
    await steps.by(fresh.page, "share-restore-input").set_input_files(copy)
    for typed, held in ((WRONG_CODE, "false"), (code.lower(), "true")):
        await steps.by(fresh.page, "share-restore-code").fill(typed)
        await steps.click(fresh, "share-restore-file")
        if held == "false":
            error = fresh.page.get_by_test_id("share").get_by_test_id("error")
            await expect(error).to_have_attribute("data-code", "voting.copy", timeout=steps.SLOW_MS)
            await expect(error).to_contain_text("code")
            await steps.look(fresh, "teller-share-wrong-code")
        await steps.attribute(fresh, "share", "data-held", held)

    await hall.open_meeting()
    manifest = await hall.open_vote()
    await hall.cast(manifest, [[1, 0, 0]], *votes.OFFICERS[:3])
    await hall.close_vote(manifest)
    await steps.click(fresh, f"teller-count-{manifest.election}")
    await demo.count(hall.tellers[:1], hall.meeting, manifest)
    await steps.see(fresh, "teller-signed")
    core = await hall.declare(manifest)
    assert core["counts"] == [[3, 0, 0]]
    mine = next(one["index"] for one in await hall.trustees() if one["member"] == hall.people[PAGE].member)
    assert mine in core["trustees"]


async def test_the_key_is_made_anew_when_a_teller_vanishes(hall: Hall) -> None:
    """One registers and is not seen again; the chair starts another attempt, and its codes are compared."""
    person = hall.browsers[PAGE]
    vanished = asyncio.create_task(votes.make_part(hall.people["teller-1"], hall.meeting))
    await steps.click(person, "teller-make-key")
    await steps.see(person, "teller-waiting")
    vanished.cancel()
    await asyncio.gather(vanished, return_exceptions=True)
    await steps.look(person, "teller-waiting")
    action = {"type": "restart-key", "meeting": hall.meeting, "attempt": 1}
    signed = await hall.chair.signed("action", lambda nonce: challenges.action(action, nonce))
    body = {"reason": "A teller left", "action": action, "signed": signed}
    await hall.chair.post(hall.path("/keygen/restart"), body)
    await steps.see(person, "teller-make-key")
    await make_key(hall)
    assert (await hall.chair.get(hall.path("/keygen")))["attempt"] == 2
