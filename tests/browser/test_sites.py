"""Halls on real pages: set up, tested, connected, checked in by code and at the kiosk, asked, on a wall, lost."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FrameLocator, Locator, expect
from tests.browser import serving, steps, support, votes
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import Person
from tests.browser.votes import Hall

YES = 0
IDLE_MS = 120_000  # after which the kiosk forgets a voter who has walked away (sites.md section 2)
# Everything that the browser keeps for this origin, by where it is; of databases with what stands in them.
KEPT = """async () => {
  const found = { local: { ...localStorage }, session: { ...sessionStorage }, caches: {}, databases: {} };
  for (const name of await caches.keys()) {
    found.caches[name] = (await (await caches.open(name)).keys()).map((one) => one.url).sort();
  }
  for (const { name } of await indexedDB.databases()) {
    const opening = indexedDB.open(name);
    await new Promise((done) => (opening.onsuccess = done));
    for (const store of opening.result.objectStoreNames) {
      const all = opening.result.transaction(store).objectStore(store).getAll();
      await new Promise((done) => (all.onsuccess = done));
      found.databases[`${name}/${store}`] = all.result.map((one) => JSON.stringify(one)).sort();
    }
    opening.result.close();
  }
  return found;
}"""
SETTINGS = {**votes.SETTINGS, "FOLKMOOT_SITE_LOST_S": "12"}


@pytest_asyncio.fixture(loop_scope="session")
async def hall(browser: Browser, origin: serving.Origin, tmp_path: Path) -> AsyncIterator[Hall]:
    """A meeting in check-in; officers in software, nobody checked in."""
    async with votes.served(origin, browser, tmp_path, SETTINGS) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        yield hall


async def page_of(hall: Hall, name: str, rest: str, device: str = "") -> Person:
    """A signed-in browser of somebody on a page of the meeting."""
    person = await hall.browser_of(name, device)
    await person.page.goto(f"{hall.server.url}/meetings/{hall.meeting}{rest}")
    return person


async def present(hall: Hall) -> dict[str, str]:
    """Who is present, and where, by name."""
    view = await hall.chair.get(hall.path(""))
    return {one["name"].split()[0]: one["site"] for one in view["present"]}


async def test_a_hall_from_its_set_up_to_the_loss_of_its_line(hall: Hall) -> None:
    """One hall with a custodian, a phone with the hall's code, and a member at the kiosk, who votes there."""
    jonas, site = await set_up(hall)
    claire, code = await the_line_is_tested(hall, jonas, site)
    binh = await a_phone_in_the_hall(hall, site, code)
    gretas = await a_member_without_a_phone(hall, claire, site)
    lan, line = await asked_by_the_chair(hall, binh, site)
    await a_vote_at_the_kiosk(hall, claire, gretas)
    wall = await on_the_wall(hall, jonas, site)
    await the_line_is_lost(hall, (claire, lan, wall), line, site)
    await somebody_at_two_places(hall, lan)


async def set_up(hall: Hall) -> tuple[Person, str]:
    """The secretary adds a hall on the page; return the page and the hall's id."""
    jonas = await page_of(hall, "secretary-0", "/sites")
    await see(jonas, "sites")
    await by(jonas.page, "site-name").fill("Upper village, school")
    custodian = hall.people["Claire"]
    await by(jonas.page, "site-custodian").select_option(value=str(custodian.member))
    await by(jonas.page, "site-expected").fill("12")
    await by(jonas.page, "site-profile").select_option(value="256")
    await look(jonas, "sites-add")
    await click(jonas, "site-add")
    card = jonas.page.locator('[data-testid="site"]:has([data-testid="site-light"])')
    await expect(card).to_have_count(1)
    site = str(await card.get_attribute("data-site"))
    await expect(card).to_have_attribute("data-state", "invited")
    return jonas, site


async def the_line_is_tested(hall: Hall, jonas: Person, site: str) -> tuple[Person, str]:
    """The custodian tests the line twice and connects; return the hall's page and its code."""
    claire = await page_of(hall, "Claire", f"/hall/{site}")
    await claire.context.grant_permissions(["microphone", "camera"], origin=hall.server.url)
    await see(claire, "hall-keep-open")
    await click(claire, "line-measure")
    await see(claire, "line-figures")
    await see(claire, "loop-figures")
    for name in ("packets", "frames", "up", "down"):
        assert int(await by(claire.page, "loop-figures").get_attribute(f"data-{name}") or 0) > 0
    await see(claire, "mic-heard")
    await by(claire.page, "camera-seen").check()
    await click(claire, "line-send")
    await see(claire, "line-failed")  # nobody has said that the loudspeakers are heard
    await click(jonas, f"site-accept-{site}")
    await attribute(claire, "hall", "data-state", "connected")
    await by(claire.page, "tone-heard").check()
    await click(claire, "camera-test")
    await see(claire, "camera-own")
    await click(claire, "line-send")
    await expect(by(claire.page, "site-tested")).to_contain_text("sound good · picture good")
    await click(claire, "camera-test")
    await attribute(claire, "hall", "data-state", "connected")
    code = str(await by(claire.page, "hall-code").inner_text())
    assert len(code) == 10
    await look(claire, "hall-page")
    return claire, code


async def a_phone_in_the_hall(hall: Hall, site: str, code: str) -> Person:
    """The square code opens check-in with the hall's code filled in; the phone stays silent."""
    binh = await page_of(hall, "Binh", f"/check-in#hall={site}.{code}")
    await attribute(binh, "hall-choice", "data-site", site)
    await see(binh, "check-in-companion")
    await look(binh, "check-in-hall")
    await click(binh, "check-in-button")
    await see(binh, "companion")
    await attribute(binh, "room", "data-media", "text")
    await look(binh, "room-companion")
    assert await binh.page.evaluate("window.__peers.length") == 0
    # The control: a made-up code is refused and checks nobody in.
    greta = await page_of(hall, "Greta", f"/check-in#hall={site}.{code[::-1]}")
    await click(greta, "check-in-button")
    await attribute(greta, "error", "data-code", "site.bad-code")
    assert await present(hall) == {"Binh": site}
    await greta.page.goto("about:blank")  # a device of her own would keep her present
    return binh


async def a_member_without_a_phone(hall: Hall, claire: Person, site: str) -> dict[str, object]:
    """Greta checks in on the hall's computer, then the custodian signs the seats; return Greta's passkey."""
    own = await kept(claire)
    await votes.hand_over(hall.people["Greta"], claire)
    await click(claire, "kiosk-check-in")
    await see(claire, "kiosk-welcome")
    assert await present(hall) == {"Binh": site, "Greta": site}
    await expect(by(claire.page, "hall-present")).to_contain_text("2")

    gretas = await kept(claire)
    await at_the_computer(claire, own)
    await click(claire, "seats-here")
    await expect(by(claire.page, "seats-count")).to_contain_text("2")
    await click(claire, "seats-sign")
    await look(claire, "hall-sign-seats")
    await click(claire, "confirm-yes")
    await expect(by(claire.page, "hall-seats")).to_contain_text("2, signed at")
    return gretas


async def asked_by_the_chair(hall: Hall, binh: Person, site: str) -> tuple[Person, Locator]:
    """The chair's console shows the light and asks who is here; return it and the hall's line on it."""
    await hall.check_in(*votes.OFFICERS)
    await hall.begin()
    await hall.open_vote(title="New roof", kiosk=True)
    lan = await page_of(hall, "chair-0", "/room/chair")
    line = lan.page.locator(f'[data-testid="site-line"][data-site="{site}"]')
    await expect(line).to_have_attribute("data-state", "connected")
    await by(lan.page, "presence-tool").locator("summary").click()
    await by(lan.page, "presence-site").select_option(value=site)
    await click(lan, "presence-ask")
    await see(lan, "presence-running")
    await see(binh, "presence-card")
    await look(binh, "room-presence")
    await click(binh, "presence-confirm")
    await expect(by(binh.page, "presence-card")).to_have_count(0)
    await attribute(lan, "presence-running", "data-confirmed", "1")
    await look(lan, "chair-places")
    return lan, line


async def a_vote_at_the_kiosk(hall: Hall, claire: Person, gretas: dict[str, object]) -> None:
    """The member at the kiosk votes on the hall's computer, while its page goes on; nothing of hers stays there."""
    await at_the_computer(claire, gretas)
    await claire.page.clock.install()
    await click(claire, "kiosk-vote")
    booth = claire.page.frame_locator('[data-testid="booth-frame"]')
    await expect(booth.get_by_test_id("kiosk")).to_be_visible()
    await look(claire, "hall-kiosk")
    before = await everything_kept(claire)
    await a_voter_walks_away(claire, booth)
    assert await everything_kept(claire) == before
    hers = await she_signs_in(claire, booth)
    for testid in (f"booth-option-{YES}", "booth-review"):
        await booth.get_by_test_id(testid).click()
    await expect(booth.get_by_test_id("booth-cast")).to_be_enabled()
    await booth.get_by_test_id("booth-cast").click()
    await expect(booth.get_by_test_id("booth-done")).to_be_visible()
    await look(claire, "hall-kiosk-done")
    hers.append(str(await booth.get_by_test_id("tracker").inner_text()))
    await booth.get_by_test_id("booth-back").click()
    await expect(booth.get_by_test_id("kiosk")).to_be_visible()  # for the next one
    assert await everything_kept(claire, *hers) == before
    await booth.locator("body").evaluate("(_, code) => sessionStorage.setItem('tracker', code)", hers[-1])
    assert await everything_kept(claire) != before, "the control: what the frame keeps is seen"
    with pytest.raises(AssertionError, match="nothing of hers"):
        await everything_kept(claire, *hers)
    await booth.locator("body").evaluate("() => sessionStorage.removeItem('tracker')")
    await click(claire, "kiosk-close")
    assert await everything_kept(claire, *hers) == before
    await attribute(claire, "hall", "data-state", "connected")
    (election,) = (await hall.chair.get(hall.path("")))["elections"]
    assert election["cast"] == 1


async def a_voter_walks_away(claire: Person, booth: FrameLocator) -> None:
    """Two minutes after the last touch the kiosk signs her out and is there for the next one."""
    await booth.get_by_test_id("kiosk-enter").click()
    await expect(booth.get_by_test_id("booth-replace")).to_be_visible()
    await claire.page.clock.fast_forward(IDLE_MS - 20_000)
    await booth.get_by_test_id("booth-replace").press("Shift")  # she is still there
    await claire.page.clock.fast_forward(IDLE_MS - 20_000)
    await expect(booth.get_by_test_id("booth-replace")).to_be_visible()
    async with claire.page.expect_response("**/kiosk/sign-out") as answer:
        await claire.page.clock.fast_forward(20_000)
    assert (await answer.value).status == 200
    await expect(booth.get_by_test_id("kiosk")).to_be_visible()
    await expect(booth.get_by_test_id("booth")).to_have_count(0)


async def she_signs_in(claire: Person, booth: FrameLocator) -> list[str]:
    """The member begins to vote; return what is hers alone: the kiosk's token for her and her fresh key."""
    async with claire.page.expect_response("**/kiosk/sign-in/finish") as signed_in:
        await booth.get_by_test_id("kiosk-enter").click()
    async with claire.page.expect_request("**/replacements") as named:
        await booth.get_by_test_id("booth-replace").click()
    token = (await (await signed_in.value).json())["token"]
    return [str(token), str(((await named.value).post_data_json or {})["new"])]


async def everything_kept(person: Person, *nowhere: str) -> dict[str, object]:
    """All that the browser keeps: storage, caches and databases of the origin, and cookies.

    Of what the page has of the meeting, which changes with it, the names alone; none of `nowhere` is anywhere.
    """
    kept = dict(await person.page.evaluate(KEPT))
    kept["cookies"] = [(cookie["name"], cookie["value"]) for cookie in await person.context.cookies()]
    text = json.dumps(kept)
    assert not [one for one in nowhere if one in text], "nothing of hers is kept"
    local = {name: "" if name.startswith("folkmoot.cache.") else value for name, value in kept["local"].items()}
    return {**kept, "local": local}


async def on_the_wall(hall: Hall, jonas: Person, site: str) -> Person:
    """The wall of the hall, without anybody signed in."""
    await by(jonas.page, f"site-codes-{site}").locator("summary").click()
    await click(jonas, f"screen-make-{site}")
    address = str(await by(jonas.page, "screen-url").inner_text())
    wall = await support.new_person(hall.browser, hall.server.url, "wall", media=False)
    hall.stack.push_async_callback(wall.close)
    await wall.page.goto(address)
    await see(wall, "projector")
    await present_a_paper(hall)
    await see(wall, "wall-page")
    await expect(by(wall.page, "wall-sites").locator('[data-state="connected"]')).to_have_count(1)
    await look(wall, "wall-screen")
    return wall


async def the_line_is_lost(hall: Hall, pages: tuple[Person, Person, Person], line: Locator, site: str) -> None:
    """The hall's computer goes away: its light turns, the member at the kiosk leaves the quorum, the phone stays."""
    claire, lan, wall = pages
    await claire.page.goto("about:blank")
    await expect(line).to_have_attribute("data-state", "lost", timeout=steps.SLOW_MS)
    await look(lan, "chair-hall-lost")
    await expect(by(wall.page, "wall-sites").locator('[data-state="lost"]')).to_have_count(1)
    await support.until(lambda: _gone(hall, "Greta"), "the member at the kiosk has left the quorum")
    assert (await present(hall))["Binh"] == site
    await claire.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/hall/{site}")
    await expect(line).to_have_attribute("data-state", "connected", timeout=steps.SLOW_MS)
    await lan.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/attendance")
    await see(lan, "quorum-curve")
    await look(lan, "attendance")


async def somebody_at_two_places(hall: Hall, lan: Person) -> None:
    """The phone in the hall is there, and somebody checks in elsewhere with the same member's passkey."""
    await lan.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/chair")
    await see(lan, "sites-card")
    await expect(by(lan.page, "dispute")).to_have_count(0)
    await hall.check_in("Binh")
    card = by(lan.page, "dispute")
    await expect(card).to_have_count(1)
    await expect(card).to_contain_text("Upper village, school")
    await expect(card).to_contain_text("By themselves")
    await attribute(lan, "dispute-counted", "data-site", "remote")
    assert (await present(hall))["Binh"] == "remote"
    await card.scroll_into_view_if_needed()
    await look(lan, "chair-dispute")
    await click(lan, "dispute-keep")
    await expect(card).to_have_count(0)
    heard = (await hall.chair.get(hall.path("/events?after=0")))["events"]
    assert [one["body"]["decision"] for one in heard if one["type"] == "DisputeDecided"] == ["keep"]


async def present_a_paper(hall: Hall) -> None:
    """The secretary brings a text that everybody may read; the chair shows its page to all."""
    path = f"/papers?item={hall.item}&name=Budget.txt&class=open"
    headers = {"Origin": hall.server.url, "Content-Type": "application/octet-stream"}
    data = b"Budget of 2027\n\nRoof of the hall: 36,000\nBooks of the school: 1,200\n"
    async with hall.secretary._http.put(hall.server.url + hall.path(path), data=data, headers=headers) as answer:
        paper = (await answer.json())["paper"]

    async def ready() -> bool:
        papers = (await hall.secretary.get(hall.path("/papers")))["papers"]
        return all(one["state"] == "ready" for one in papers)

    await support.until(ready, "the paper is rendered")
    await hall.chair.post(hall.path("/present"), {"paper": paper, "version": 1, "page": 1})


async def kept(person: Person) -> dict[str, object]:
    """The passkey in the person's authenticator, with its counter as it stands."""
    held = await person.cdp.send("WebAuthn.getCredentials", {"authenticatorId": person.authenticator})
    (credential,) = held["credentials"]
    return dict(credential)


async def at_the_computer(person: Person, credential: dict[str, object]) -> None:
    """Somebody else steps up with their own passkey."""
    await person.new_authenticator()
    await votes.import_credential(person, credential)


async def _gone(hall: Hall, name: str) -> bool:
    return name not in await present(hall)
