"""The booth in real browsers: every kind of question by keyboard alone, narrow and right-to-left; who sees what;
voting again; the test of the sealing; another device; the kiosk; a promise that the server breaks.

One meeting for all of it: officers and other voters are software, the ballots are counted for real.
"""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect
from tests.browser import serving, steps, support, votes
from tests.browser.conftest import NewPerson
from tests.browser.support import Person
from tests.browser.votes import Hall

from folkmoot_server.demo import votes as demo
from folkmoot_voting import board, casting, encoding
from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import approval, borda, m_of_n, multi_seat, one_of_n, score, yes_no_abstain

WEIGHT = 3
YES, NO, ABSTAIN = 0, 1, 2
ARABIC = "أمينة حداد، رئيسة لجنة المالية والتدقيق"
PEOPLE = ("Greta Weber", "Rui Costa", "Claire Dubois", ARABIC)
EVERY_TYPE = (
    yes_no_abstain("Shall the budget for 2027 be adopted as presented?"),
    one_of_n("Who shall be treasurer?", PEOPLE),
    m_of_n("Where shall playgrounds be built?", ("North park", "South park", "Station", "Market"), 2, 3, blank=True),
    multi_seat("Who shall sit on the board?", PEOPLE, 2, blank=True),
    approval("Which days suit you?", ("Monday", "Wednesday", "Friday")),
    score("How good is each design?", ("Orchard", "ساحة السوق القديمة"), 5),
    borda("Your three best names for the hall, in order?", ("Linden", "Harbour", "Mill", "دار الضيافة"), 3),
)
TOO_MANY, TOO_FEW = 2, 0
# What the keyboard types for each kind of question, and the cells it stands for.
TYPED = (
    (("booth-option-0", "ArrowDown"),),
    (("booth-option-1-0", "ArrowDown", "ArrowDown", "ArrowDown"),),
    tuple((f"booth-option-2-{option}", "Space") for option in range(3)),
    (("booth-option-3-4", "Space"),),
    (("booth-option-4-0", "Space"), ("booth-option-4-2", "Space")),
    (("booth-option-5-0-points-0", *["ArrowDown"] * 4), ("booth-option-5-1-points-0", "ArrowDown")),
    (
        ("booth-option-6-0", "Enter"),
        ("booth-option-6-2", "Space"),
        ("booth-option-6-2-up", "Enter"),
        ("booth-option-6-3", "Enter"),
    ),
)
RANKED = [0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
CELLS = [[0, 1, 0], [0, 0, 0, 1], [1, 1, 1, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1], [4, 1], RANKED]
OTHERS = [[1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1, 0, 0], [0, 0, 0], [0, 5], RANKED]
# Hit in its middle, the focused element answers itself, or its label does (WCAG 2.2, 2.4.11).
FOCUS_IS_SEEN = """() => {
  const { left, top, width, height } = document.activeElement.getBoundingClientRect();
  const hit = document.elementFromPoint(left + width / 2, top + height / 2);
  return hit !== null && (document.activeElement.contains(hit) || hit.contains(document.activeElement));
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hall(origin: serving.Origin, browser: Browser, tmp_path_factory: Any) -> AsyncIterator[Hall]:
    """A meeting with its key made. Binh votes in a browser, Greta and Claire come to theirs later."""
    async with votes.served(origin, browser, tmp_path_factory.mktemp("booth")) as hall:
        await hall.enrol_everybody()
        await hall.weigh(WEIGHT, *votes.MEMBERS)
        await hall.convene()
        await hall.check_in(*votes.OFFICERS, "Greta", "Rui")
        await hall.seat("Binh", "Claire")
        await hall.begin()
        yield hall


class Keyboard:
    """Moves by the Tab key alone."""

    def __init__(self, page: Page) -> None:
        """Type on this page."""
        self.page = page

    async def focused(self) -> str:
        """The hook of the element that has the focus."""
        return str(await self.page.evaluate("document.activeElement?.dataset.testid ?? ''"))

    async def press(self, testid: str, *keys: str) -> None:
        """Go forward to the element and press keys there."""
        for _ in range(90):
            if await self.focused() == testid:
                break
            await self.page.keyboard.press("Tab")
        else:
            raise AssertionError(f"{testid} cannot be reached with the Tab key")
        for key in keys:
            await self.page.keyboard.press(key)
        await support.until(lambda: self.page.evaluate(FOCUS_IS_SEEN), f"{testid} has the focus and is in sight")

    async def fill_in(self) -> None:
        """Answer every question of the ballot."""
        for question in TYPED:
            for testid, *keys in question:
                await self.press(testid, *keys)


async def refused_at(person: Person, question: int) -> None:
    """The page stays, says what is wrong in words at this question, and has put the focus into it."""
    field = steps.by(person.page, f"booth-question-{question}")
    await expect(field.get_by_role("alert")).not_to_be_empty(timeout=steps.SLOW_MS)
    assert await field.evaluate("field => field.contains(document.activeElement)"), "the focus is elsewhere"
    await votes.at_step(person, "choose")


async def test_every_kind_of_question_by_keyboard_narrow_and_right_to_left(hall: Hall) -> None:
    """Binh fills in and casts one ballot twice, once in each direction of writing; the last is counted as typed."""
    manifest = await hall.open_vote(
        title="Everything", questions=[one.to_json() for one in EVERY_TYPE], voting_again="last-counts"
    )
    await hall.cast(manifest, OTHERS, *votes.OFFICERS[:3])
    binh = hall.browsers["Binh"]
    await binh.page.set_viewport_size({"width": steps.NARROW_PX, "height": 640})
    await hall.open_booth(binh, manifest)
    await votes.at_step(binh, "choose")
    keys = Keyboard(binh.page)
    await keys.press("booth-review", "Enter")
    await refused_at(binh, TOO_FEW)
    await keys.fill_in()
    await steps.by(binh.page, "booth-option-2-3").focus()
    await keys.press("booth-option-2-3", "Space")
    await keys.press("booth-review", "Enter")
    await refused_at(binh, TOO_MANY)
    await keys.press("booth-option-2-3", "Space")
    await steps.look(binh, "booth-every-type-choose")
    for direction in ("ltr", "rtl"):
        await keys.press("booth-review", "Enter")
        await votes.at_step(binh, "review")
        await expect(steps.by(binh.page, "booth-cast")).to_be_enabled(timeout=steps.SLOW_MS)
        await expect(steps.by(binh.page, "booth-chosen-1")).to_contain_text(ARABIC)
        await steps.look(binh, f"booth-every-type-review-{direction}")
        await keys.press("booth-cast", "Enter")
        await steps.see(binh, "booth-done")
        await steps.look(binh, f"booth-every-type-done-{direction}")
        if direction == "ltr":
            await keys.press("booth-again", "Enter")
            await votes.at_step(binh, "choose")
            await binh.page.evaluate("document.documentElement.dir = 'rtl'")
            await keys.fill_in()
            await steps.look(binh, "booth-every-type-choose-rtl")
    core = await hall.finish(manifest)
    expected = [[3 * b + WEIGHT * a for a, b in zip(*rows, strict=True)] for rows in zip(CELLS, OTHERS, strict=True)]
    assert core["counts"] == expected
    assert (core["ballots"], core["cast"]) == (5, 4)


async def test_open_votes_say_who_sees_the_choice_and_what_it_weighs(hall: Hall) -> None:
    """An open vote and a roll call say so before anything is chosen; three votes in one hand count three."""
    binh = hall.browsers["Binh"]
    for secrecy, words in (
        ("open", "stands in the record"),
        ("roll-call", "your name and your choice are published"),
    ):
        manifest = await hall.open_vote(title=f"Vote {secrecy}", secrecy=secrecy)
        await hall.open_booth(binh, manifest)
        secret = steps.by(binh.page, "booth-secrecy")
        await expect(secret).to_have_attribute("data-secrecy", secrecy, timeout=steps.SLOW_MS)
        await expect(secret).to_contain_text(words)
        await expect(steps.by(binh.page, "booth-weight")).to_contain_text(str(WEIGHT))
        await steps.look(binh, f"booth-{secrecy}-choose")
        await steps.click(binh, f"booth-option-{NO}")
        await votes.review(binh)
        await expect(steps.by(binh.page, "booth-audit-more")).to_have_count(0)  # nothing is sealed, nothing to test
        await steps.look(binh, f"booth-{secrecy}-review")
        await votes.cast(binh)
        await expect(steps.by(binh.page, "booth-again")).to_have_count(0)
        await hall.cast(manifest, [[1, 0, 0]], *votes.OFFICERS[:2])
        core = await hall.finish(manifest)
        assert core["counts"] == [[2, WEIGHT, 0]]


async def test_the_sealing_is_tested_on_a_second_device(hall: Hall, new_person: NewPerson) -> None:
    """The opened vote is void and shows the same code and choice elsewhere; a changed opening does not."""
    manifest = await hall.open_vote(title="Tested")
    binh = hall.browsers["Binh"]
    await hall.open_booth(binh, manifest)
    await steps.click(binh, f"booth-option-{NO}")
    await votes.review(binh)
    await steps.by(binh.page, "booth-audit-more").click()
    await steps.see(binh, "seal-code")
    code = await steps.by(binh.page, "seal-code").inner_text()
    await steps.click(binh, "booth-audit")
    await steps.see(binh, "audit-qr")
    await steps.look(binh, "booth-audit")
    assert await steps.by(binh.page, "seal-code").inner_text() == code
    address = str(await steps.by(binh.page, "audit-address").text_content())
    other = await new_person(hall.server.url, "second device", media=False)
    await other.page.goto(address)
    await steps.attribute(other, "audit-check", "data-state", "opened")
    await expect(steps.by(other.page, "check-void")).to_have_attribute("data-recorded", "true")
    await expect(steps.by(other.page, "seal-code")).to_have_text(code)
    await expect(steps.by(other.page, "booth-chosen-0")).to_contain_text("Against")
    await steps.look(other, "booth-audit-second-device")
    base, _, fragment = address.partition("#")
    opening = casting.read_fragment(fragment)
    for choices in ([[1, 0, 0]], [[0, 2, 0]]):
        await other.page.goto("about:blank")
        await other.page.goto(f"{base}#{casting.opening_fragment({**opening, 'choices': choices})}")
        await other.page.locator('[data-testid="audit-check"]:not([data-state="loading"])').wait_for()
        if choices[0] == [1, 0, 0]:
            await expect(steps.by(other.page, "check-void")).to_have_attribute("data-recorded", "false")
            await expect(steps.by(other.page, "seal-code")).not_to_have_text(code)
        else:
            await steps.attribute(other, "audit-check", "data-state", "failed")
            await steps.see(other, "error")
    await steps.look(other, "booth-audit-changed")
    await steps.click(binh, "booth-audit-next")
    await votes.vote(binh, YES)
    await hall.cast(manifest, [[0, 0, 1]], *votes.OFFICERS[:3])
    core = await hall.finish(manifest)
    assert (core["voids"], core["counts"]) == (1, [[WEIGHT, 0, 3]])


async def test_another_device_takes_over(hall: Hall) -> None:
    """Claire's second phone votes in place of her first, which is then refused in words."""
    manifest = await hall.open_vote(title="Two phones")
    first = hall.browsers["Claire"]
    await hall.open_booth(first, manifest)
    await votes.at_step(first, "choose")
    second = await hall.browser_of("Claire", "-second-phone", passkey=False)
    for credential in await first.credentials():
        await votes.import_credential(second, credential)
    await steps.sign_in(second, hall.server)
    await hall.check_in_browser(second)
    await hall.open_booth(second, manifest)
    await votes.at_step(second, "replace")
    await steps.look(second, "booth-replace")
    await steps.click(second, "booth-replace")
    await votes.at_step(second, "choose")
    await votes.vote(second, YES)
    await steps.click(first, f"booth-option-{NO}")
    await steps.click(first, "booth-review")
    await expect(steps.by(first.page, "error")).to_contain_text("Another of your devices", timeout=steps.SLOW_MS)
    await expect(steps.by(first.page, "booth-cast")).to_have_count(0)
    await steps.look(first, "booth-first-device-refused")
    await hall.cast(manifest, [[0, 0, 1]], *votes.OFFICERS[:3])
    core = await hall.finish(manifest)
    assert (core["replacements"], core["kiosk"], core["counts"]) == (1, 0, [[WEIGHT, 0, 3]])


async def test_two_members_vote_at_a_kiosk_which_forgets_them(hall: Hall) -> None:
    """Greta and Rui vote on one page one after the other; after each nothing of them is left in the browser."""
    manifest = await hall.open_vote(title="At the kiosk", kiosk=True)
    kiosk = await hall.browser_of("kiosk", passkey=False)
    await hall.open_booth(kiosk, manifest, kiosk=True)
    for name in ("Greta", "Rui"):
        await steps.see(kiosk, "kiosk-enter")
        await votes.hand_over(hall.people[name], kiosk)
        if name == "Greta":
            await steps.look(kiosk, "booth-kiosk")
        await steps.click(kiosk, "kiosk-enter")
        await votes.at_step(kiosk, "replace")
        await steps.look(kiosk, "booth-kiosk-replace")
        await steps.click(kiosk, "booth-replace")
        await votes.at_step(kiosk, "choose")
        await votes.vote(kiosk, YES)
        await steps.look(kiosk, "booth-kiosk-done")
        assert any("folkmoot" in cookie["name"] for cookie in await kiosk.context.cookies()), "the control"
        await steps.click(kiosk, "booth-back")
        await steps.see(kiosk, "kiosk-enter")
        assert await left_behind(kiosk) == []
    await hall.cast(manifest, [[0, 0, 1]], *votes.OFFICERS[:3])
    core = await hall.finish(manifest)
    assert (core["kiosk"], core["counts"]) == (2, [[2 * WEIGHT, 0, 3]])


async def left_behind(person: Person) -> list[str]:
    """What the browser keeps of this origin: names of stored values, of databases with rows, and of cookies."""
    stored = await person.page.evaluate(
        """async () => {
          const found = [...Object.keys(localStorage), ...Object.keys(sessionStorage)];
          for (const { name } of await indexedDB.databases()) {
            const opening = indexedDB.open(name);
            await new Promise((done) => (opening.onsuccess = done));
            const database = opening.result;
            for (const store of database.objectStoreNames) {
              const counting = database.transaction(store).objectStore(store).count();
              await new Promise((done) => (counting.onsuccess = done));
              if (counting.result > 0) found.push(`${name}/${store}: ${counting.result}`);
            }
            database.close();
          }
          return found;
        }"""
    )
    return [*stored, *(cookie["name"] for cookie in await person.context.cookies())]


async def at_receipt(hall: Hall, person: Person, manifest: Manifest, state: str, name: str = "") -> None:
    """Open My receipts, where this vote's receipt looks by itself and comes to this state."""
    await person.page.goto(f"{hall.server.url}/receipts")
    receipt = person.page.locator(f'[data-testid="receipt"][data-election="{manifest.election}"]')
    await expect(receipt).to_have_attribute("data-state", state, timeout=steps.SLOW_MS)
    await expect(receipt).to_have_attribute("aria-busy", "false", timeout=steps.SLOW_MS)
    await expect(receipt).to_have_attribute("data-state", state)
    if name:
        await steps.look(person, name)


async def test_confirmed_is_said_of_the_cosigned_box_alone(hall: Hall) -> None:
    """On the board by the server's word, also after closing; confirmed once the quorum of officers has signed.

    The control: the same server with the cosignatures left out of the closing is refused, on all three pages.
    """
    manifest = await hall.open_vote(title="Signed by whom")
    binh = hall.browsers["Binh"]
    await hall.open_booth(binh, manifest)
    await votes.vote(binh, YES)
    await steps.attribute(binh, "booth", "data-delivery", "on-the-board")
    await steps.look(binh, "booth-on-the-board")
    await at_receipt(hall, binh, manifest, "on-the-board", "receipts-on-the-board")
    await hall.cast(manifest, [[0, 0, 1]], *votes.OFFICERS[:3])
    await demo.close_election(hall.chair, hall.meeting, manifest.election)
    await demo.cosign(hall.cosigners[: manifest.cosign_quorum - 1], hall.meeting, manifest)
    await at_receipt(hall, binh, manifest, "on-the-board")

    async def uncosigned(route: Route) -> None:
        shown = await hall.chair.get(route.request.url.removeprefix(hall.server.url))
        body, _, lines = shown["checkpoint"].partition("\n\n")
        await route.fulfill(json={**shown, "checkpoint": f"{body}\n\n{lines.split(chr(10))[0]}\n"})

    # Before the last signatures: the page looks by itself now and then, and would keep what it has seen confirmed.
    await binh.page.route("**/inclusion?*", uncosigned)
    await demo.cosign(hall.cosigners[manifest.cosign_quorum - 1 :], hall.meeting, manifest)
    await demo.count(hall.tellers[:2], hall.meeting, manifest)
    await hall.declare(manifest)
    await at_receipt(hall, binh, manifest, "disputed", "receipts-disputed")
    await steps.see(binh, "receipt-evidence")
    await hall.open_booth(binh, manifest)
    await steps.attribute(binh, "booth", "data-delivery", "disputed")
    await steps.see(binh, "booth-evidence")
    await steps.look(binh, "booth-disputed")
    await binh.page.goto(f"{hall.server.url}/meetings/{hall.meeting}")
    card = steps.by(binh.page, f"result-{manifest.election}")
    await card.get_by_test_id("check-counted").click(timeout=steps.SLOW_MS)
    await expect(card.get_by_test_id("error")).to_have_attribute("data-code", "voting.cosignatures")
    await expect(card.get_by_test_id("counted")).to_have_count(0)

    await binh.page.unroute("**/inclusion?*")
    await card.get_by_test_id("check-counted").click()
    await expect(card.get_by_test_id("counted")).to_have_attribute("data-status", "confirmed", timeout=steps.SLOW_MS)
    await at_receipt(hall, binh, manifest, "confirmed", "receipts-confirmed")
    await hall.open_booth(binh, manifest)
    await steps.attribute(binh, "booth", "data-delivery", "confirmed")
    await steps.look(binh, "booth-confirmed")


async def test_a_broken_promise_is_shown_and_found_by_a_teller(hall: Hall) -> None:
    """A server that promises and forgets: the voter's page holds the proof, a teller's page finds it true."""
    manifest = await hall.open_vote(title="Forgotten")
    binh = hall.browsers["Binh"]
    seed = (hall.server.data / "server.key").read_bytes()

    async def promise_and_forget(route: Route) -> None:
        ballot = json.loads(route.request.post_data or "{}")["ballot"]
        promise = board.make_promise(manifest.hash, ballot_leaf(ballot), int(time.time()) + 60, seed)
        await route.fulfill(json={"promise": promise})

    await binh.page.route("**/ballots", promise_and_forget)
    await hall.open_booth(binh, manifest)
    await votes.vote(binh, YES)
    kept = encoding.jcs((await hall.cast(manifest, [[0, 0, 1]], *votes.OFFICERS[:3]))[0]).decode()
    await hall.close_vote(manifest)
    await steps.attribute(binh, "booth", "data-delivery", "missing")
    await steps.look(binh, "booth-missing")
    await at_receipt(hall, binh, manifest, "missing", "receipts-missing")
    receipt = binh.page.locator(f'[data-testid="receipt"][data-election="{manifest.election}"]')
    shown = await receipt.get_by_test_id("receipt-evidence").text_content()
    await hall.open_booth(binh, manifest)
    await steps.attribute(binh, "booth", "data-delivery", "missing")
    evidence = str(await steps.by(binh.page, "booth-evidence").text_content())
    assert evidence == shown
    await binh.page.unroute("**/ballots")
    teller = await hall.browser_of("teller-0")
    await teller.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/teller")
    card = teller.page.locator(f'[data-testid="teller-election"][data-election="{manifest.election}"]')
    await card.locator("details summary").click(timeout=steps.SLOW_MS)
    for text, found in ((evidence, "broken"), (kept, "kept")):
        await card.get_by_test_id("promise-text").fill(text)
        await card.get_by_test_id("promise-check").click()
        await expect(card.get_by_test_id("promise-found")).to_have_attribute(
            "data-found", found, timeout=steps.SLOW_MS
        )
        await steps.look(teller, f"teller-promise-{found}")
        # Once a promise was found broken, the box is not opened at a tap.
        await steps.click(teller, f"teller-count-{manifest.election}")
        await steps.see(teller, "confirm-no")
        if found == "broken":
            await steps.look(teller, "teller-open-all-the-same")
        await steps.click(teller, "confirm-no")
        await expect(steps.by(teller.page, f"teller-count-{manifest.election}")).to_be_enabled()
