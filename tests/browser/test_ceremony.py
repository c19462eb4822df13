"""The tellers' ceremony in real browsers: a lost phone, copies of the share by passkey and by code, a teller who
vanishes, another attempt at the key, the end of a share.

The other tellers, the officers and the voters are software; the box is opened for real.
"""

import asyncio
import json
import time
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect
from tests.browser import serving, steps, votes
from tests.browser.support import Person, until
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo
from folkmoot_server.demo.client import DemoError
from folkmoot_voting.manifest import Manifest

WRONG_CODE = "0000-0000-0000-0000"
PAGE = "teller-0"
"""The teller whose pages these are."""


@asynccontextmanager
async def gathered(
    origin: serving.Origin, browser: Browser, folder: Path, *, prf: bool = False, **meeting: Any
) -> AsyncIterator[Hall]:
    """A meeting at check-in, its key not yet made; one teller has a browser, with or without the PRF."""
    async with votes.served(origin, browser, folder) as hall:
        await hall.enrol_everybody(PAGE if prf else "")
        await hall.convene(**meeting)
        await hall.check_in(*(name for name in votes.OFFICERS if name in hall.people))
        if not prf:
            hall.browsers[PAGE] = await hall.browser_of(PAGE)
        await open_teller_page(hall, hall.browsers[PAGE])
        yield hall


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path: Path) -> AsyncIterator[Hall]:
    """A meeting whose teller on the page has a passkey without the PRF."""
    async with gathered(origin, browser, tmp_path) as hall:
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


async def vote_and_close(hall: Hall) -> Manifest:
    """Three officers vote in favour; the chair closes, the officers cosign."""
    await hall.open_meeting()
    manifest = await hall.open_vote()
    await hall.cast(manifest, [[1, 0, 0]], *votes.OFFICERS[:2], votes.OFFICERS[3])
    await hall.close_vote(manifest)
    return manifest


async def refused(person: Person, testid: str, code: str) -> str:
    """Wait until the element shows this problem; return its words."""
    error = steps.by(person.page, testid).get_by_test_id("error")
    await expect(error).to_have_attribute("data-code", code, timeout=steps.SLOW_MS)
    return await error.inner_text()


async def test_a_copy_that_only_the_passkey_opens(origin: serving.Origin, browser: Browser, tmp_path: Path) -> None:
    """The page seals a copy with the passkey's PRF, loses all it keeps, opens the copy again and counts.

    The control: the copy with one byte changed on its way is refused, and nothing is restored.
    """
    async with gathered(origin, browser, tmp_path, prf=True) as hall:
        phone = hall.browsers[PAGE]
        await make_key(hall)
        await steps.click(phone, "share-copy")
        await steps.attribute(phone, "share", "data-copied", "true")
        await steps.look(phone, "teller-share-copied")
        await phone.forget(hall.server.url)
        await open_teller_page(hall, phone)
        await steps.attribute(phone, "share", "data-held", "false")

        path = hall.path("/keygen/copy")
        copy = (await phone.page.evaluate("path => fetch(path).then((answer) => answer.json())", path))["copy"]

        async def changed(route: Route) -> None:
            data = copy["data"][:-2] + ("A" if copy["data"][-2] != "A" else "B") + copy["data"][-1]
            await route.fulfill(json={"copy": {**copy, "data": data}})

        await phone.page.route("**/keygen/copy", changed)
        await steps.click(phone, "share-restore")
        assert "file and its code" in await refused(phone, "share", "copy.other-passkey")
        await steps.attribute(phone, "share", "data-held", "false")
        await steps.look(phone, "teller-share-passkey-refused")
        await phone.page.unroute("**/keygen/copy")
        await steps.click(phone, "share-restore")
        await steps.attribute(phone, "share", "data-held", "true")

        manifest = await vote_and_close(hall)
        await steps.click(phone, f"teller-count-{manifest.election}")
        await demo.count(hall.tellers[:1], hall.meeting, manifest)
        await steps.see(phone, "teller-signed")
        assert (await hall.declare(manifest))["counts"] == [[3, 0, 0]]


async def test_a_share_survives_the_tellers_phone(hall: Hall, tmp_path: Path) -> None:
    """A passkey without the PRF leads to a file and a code. A new phone with the same passkey has no share, refuses a
    wrong code in words, restores, and opens the box.
    """
    phone = hall.browsers[PAGE]
    await make_key(hall)
    await steps.attribute(phone, "share", "data-held", "true")
    await expect(steps.by(phone.page, "share-file")).to_be_hidden()
    await steps.click(phone, "share-copy")
    assert "file and a written code" in await refused(phone, "share", "passkey.no-prf")
    await expect(steps.by(phone.page, "share-copy")).to_have_count(0)
    await steps.look(phone, "teller-share-no-prf")
    await steps.attribute(phone, "share", "data-copied", "false")
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

    manifest = await vote_and_close(hall)
    await steps.click(fresh, f"teller-count-{manifest.election}")
    await demo.count(hall.tellers[:1], hall.meeting, manifest)
    await steps.see(fresh, "teller-signed")
    core = await hall.declare(manifest)
    assert core["counts"] == [[3, 0, 0]]
    mine = next(one["index"] for one in await hall.trustees() if one["member"] == hall.people[PAGE].member)
    signatures = (await hall.chair.get(hall.path(f"/elections/{manifest.election}/tally")))["signatures"]
    assert mine in [one["trustee"] for one in signatures["trustees"]]


async def restart_key(chair: Person, reason: str) -> None:
    """The chair presses the button for another attempt at the key, with this reason."""
    more = steps.by(chair.page, "restart-key-more")
    if await more.get_attribute("open") is None:
        await more.locator("summary").click()
    await steps.by(chair.page, "restart-key-reason").fill(reason)
    await steps.click(chair, "restart-key")


async def test_the_key_is_made_anew_when_a_teller_vanishes(hall: Hall) -> None:
    """One registers and is not seen again; the chair gives the reason and begins another attempt, which the tellers'
    page follows; a key that is ready can be given up in the same way.

    The controls: without a reason nothing happens, and what the vanished teller sends afterwards is refused.
    """
    person = hall.browsers[PAGE]
    chair = await hall.browser_of("chair-0")
    await hall.check_in_browser(chair)
    await steps.click(chair, "panel-chair")
    vanished = asyncio.create_task(votes.make_part(hall.people["teller-1"], hall.meeting))
    await steps.click(person, "teller-make-key")
    await steps.see(person, "teller-waiting")
    await until(lambda: registered(hall, 2), "both have registered")
    vanished.cancel()
    await asyncio.gather(vanished, return_exceptions=True)
    await steps.look(person, "teller-waiting")
    old = (await hall.chair.get(hall.path("/keygen")))["messages"]

    await restart_key(chair, "")
    await expect(chair.page.locator('[data-testid="restart-key-reason"]:invalid')).to_be_visible()
    assert (await hall.chair.get(hall.path("/keygen")))["attempt"] == 1
    await steps.look(chair, "chair-restart-key")
    await restart_key(chair, "A teller left")
    await steps.see(person, "teller-make-key")
    with pytest.raises(DemoError):
        await hall.people["teller-1"].post(hall.path("/keygen/messages"), {"message": old[0]})
    await make_key(hall)
    assert (await hall.chair.get(hall.path("/keygen")))["attempt"] == 2

    await steps.see(person, "share")
    await restart_key(chair, "A phone was stolen")
    await steps.see(person, "teller-make-key")
    await expect(steps.by(person.page, "share")).to_have_count(0)
    await make_key(hall)
    assert (await hall.chair.get(hall.path("/keygen")))["attempt"] == 3
    await steps.see(person, "share")
    log = steps.by(chair.page, "log")
    await log.locator("summary").click()
    for reason in ("A teller left", "A phone was stolen"):
        await expect(log).to_contain_text(reason)


async def registered(hall: Hall, count: int) -> bool:
    """Whether so many tellers have registered in the running attempt."""
    messages = (await hall.chair.get(hall.path("/keygen")))["messages"]
    return len([one for one in messages if one["type"] == "register"]) == count


async def test_a_share_is_destroyed_on_record(origin: serving.Origin, browser: Browser, tmp_path: Path) -> None:
    """After the challenge period, here none, the page deletes the share; the record proves the teller's word.

    The controls: neither before the meeting is over nor by a clock an hour behind does the page offer it.
    """
    async with gathered(origin, browser, tmp_path, challenge_days=0) as hall:
        person = hall.browsers[PAGE]
        await make_key(hall)
        manifest = await vote_and_close(hall)
        await demo.count(hall.tellers, hall.meeting, manifest)
        await hall.declare(manifest)
        await steps.attribute(person, "share", "data-held", "true")
        await expect(steps.by(person.page, "share-destroy")).to_have_count(0)
        await hall.chair.post(hall.path("/commands"), {"command": "close"})
        await person.page.clock.set_system_time(time.time() - 3600)
        await open_teller_page(hall, person)
        await steps.see(person, "share-keep")
        await expect(steps.by(person.page, "share-destroy")).to_have_count(0)
        await steps.look(person, "teller-share-keep")

        await person.page.clock.set_system_time(time.time())
        await person.page.goto(f"{hall.server.url}/meetings/{hall.meeting}")
        await steps.click(person, "go-teller")
        await steps.click(person, "share-destroy")
        await steps.look(person, "teller-share-destroy")
        await steps.click(person, "confirm-yes")
        await steps.attribute(person, "share", "data-destroyed", "true")
        await open_teller_page(hall, person)
        await steps.attribute(person, "share", "data-destroyed", "true")
        await steps.attribute(person, "share", "data-held", "false")
        await steps.look(person, "teller-share-destroyed")

        bundle = tmp_path / "bundle.zip"
        bundle.write_bytes((await hall.secretary.raw("GET", hall.path("/bundle.zip")))[1])
        mine = next(one["index"] for one in await hall.trustees() if one["member"] == hall.people[PAGE].member)
        with zipfile.ZipFile(bundle) as record:
            statements = json.loads(record.read("destroyed.json"))["statements"]
        assert [one["trustee"] for one in statements] == [mine]
        assert (await asyncio.to_thread(steps.verify, bundle))["verdict"] == "ok"
