"""The pages of a hall whose line is cut: what they say, what the relay keeps of them, and the way back."""

import re
import time
from pathlib import Path

from playwright.async_api import expect
from tests.browser import serving, steps, support
from tests.browser.conftest import NewPerson
from tests.browser.votes import hand_over
from tests.relay.rig import Rig, open_vote, rig, until

from folkmoot_server.commands import hall_presence, relays

ARRIVED = re.compile("pending|on-the-board")
LINKED = re.compile("invited|tested|connected|rejoined")


async def page_of(made: Rig, new_person: NewPerson, name: str) -> support.Person:
    """A browser of a member of the hall, signed in at the relay's address."""
    person = await new_person(made.origin, name, media=False)
    await hand_over(made.phones[name].person, person)
    await person.page.goto("/")
    await steps.click(person, "sign-in-button")
    await steps.see(person, "home")
    return person


async def test_a_hall_goes_on_voting_and_says_so(
    tmp_path: Path, origin: serving.Origin, new_person: NewPerson
) -> None:
    async with rig(tmp_path, origin.authority) as made:
        otto = await page_of(made, new_person, "otto")
        await _has_a_cookie_of_this_host(otto, origin)
        meeting = f"/meetings/{made.hall.meeting}"
        computer = await page_of(made, new_person, "binh")
        await computer.page.goto(f"{meeting}/hall/{made.site}")
        light = computer.page.get_by_test_id("site-light")
        await expect(light).to_have_attribute("data-state", LINKED)
        await otto.page.goto(f"{meeting}/check-in")
        await steps.click(otto, "check-in-button")
        await otto.page.wait_for_url("**/room")
        await expect(otto.page.get_by_test_id("cut-banner")).to_have_count(0)
        manifest = await open_vote(made)
        booth = await otto.context.new_page()
        await booth.goto(f"/booth#{made.hall.meeting}/{manifest.election}")
        await booth.get_by_test_id("booth-option-0").click()
        await booth.get_by_test_id("booth-review").click()

        made.link.drop()
        await steps.see(otto, "cut-banner")
        await support.assert_accessible(otto.page, "a room that is cut off")
        await support.shoot(otto.page, "cut-room")
        await expect(light).to_have_attribute("data-state", "lost")
        await support.shoot(computer.page, "cut-hall")
        await booth.get_by_test_id("booth-cast").click()
        await expect(booth.get_by_test_id("booth-queued")).to_be_visible()
        await expect(booth.get_by_test_id("tracker")).to_be_visible()
        await support.assert_accessible(booth, "a booth that is cut off")
        await support.shoot(booth, "cut-booth")
        await otto.page.goto("/receipts")
        await expect(otto.page.get_by_test_id("receipt")).to_have_attribute("data-state", "queued")
        await support.assert_accessible(otto.page, "receipts in a hall that is cut off")
        await support.shoot(otto.page, "cut-receipts")
        mai = await _checks_in_at_the_hall(made, new_person)
        await _has_a_cookie_of_this_host(mai, origin)

        made.link.restore()
        await expect(booth.get_by_test_id("booth-done")).to_be_visible()
        await expect(light).to_have_attribute("data-state", LINKED)
        await otto.page.goto(f"{meeting}/room")
        await expect(otto.page.get_by_test_id("cut-banner")).to_have_count(0)
        await otto.page.goto("/receipts")
        await expect(otto.page.get_by_test_id("receipt")).to_have_attribute("data-state", ARRIVED)
        assert made.relay.refused() == {}
        assert [one["cast"] for one in (await made.hall.view(made.hall.chair))["elections"]] == [1]


async def _checks_in_at_the_hall(made: Rig, new_person: NewPerson) -> support.Person:
    """Somebody signs in and checks in while the hall is alone."""
    mai = await page_of(made, new_person, "mai")
    await mai.page.goto(f"/meetings/{made.hall.meeting}/check-in")
    await steps.click(mai, "check-in-button")
    await mai.page.wait_for_url("**/room")
    await steps.see(mai, "cut-waiting-check-in")
    await steps.see(mai, "room")
    await support.shoot(mai.page, "cut-check-in")
    return mai


async def _has_a_cookie_of_this_host(person: support.Person, origin: serving.Origin) -> None:
    """The session is the relay's host's alone, out of reach of scripts, and over https of nothing else."""
    (cookie,) = await person.context.cookies()
    secure = origin.authority is not None
    host = serving.HALL_HOST if secure else "localhost"
    assert (cookie["name"], cookie["domain"]) == ("__Host-folkmoot" if secure else "folkmoot", host)
    assert (cookie["path"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == ("/", secure, True, "Lax")


async def test_a_booth_stays_open_while_the_relay_is_killed_and_the_hall_is_lost(
    tmp_path: Path, origin: serving.Origin, new_person: NewPerson
) -> None:
    async with rig(tmp_path, origin.authority) as made:
        otto = await page_of(made, new_person, "otto")
        await otto.page.goto(f"/meetings/{made.hall.meeting}/check-in#hall={made.site}.{await made.code()}")
        await steps.click(otto, "check-in-button")
        await steps.see(otto, "room")
        await open_vote(made)
        await steps.choose(otto, 0)
        booth = steps.booth_of(otto)
        await booth.get_by_test_id("booth-review").click()
        await _the_relay_is_heard_after(made, otto)

        made.link.drop()
        await steps.see(otto, "cut-banner")
        await booth.get_by_test_id("booth-cast").click()
        await expect(booth.get_by_test_id("booth-queued")).to_be_visible()
        await made.relay.kill()
        await made.relay.start()
        await _the_hall_is_lost(made, otto)

        made.link.restore()
        await expect(booth.get_by_test_id("booth-done")).to_be_visible()
        await expect(otto.page.get_by_test_id("cut-banner")).to_have_count(0)
        await otto.page.get_by_test_id("booth-close").click()
        await steps.see(otto, "room")
        assert made.relay.refused() == {}


async def _the_relay_is_heard_after(made: Rig, person: support.Person) -> None:
    """A cut ends the presence of those alone of whom nothing was heard after their relay."""
    now, member = int(time.time()) + 3600, made.phones[person.name].member

    async def heard() -> bool:
        ((relay, heard_at),) = await made.hall.read(lambda tx: relays.silent(tx, now, 1, 0))
        gone = await made.hall.read(lambda tx: hall_presence.lost_with(tx, relay.meeting, relay.site, heard_at))
        return member in {seat.member for seat in gone}

    await until(heard, "the relay's next lease")


async def _the_hall_is_lost(made: Rig, person: support.Person) -> None:
    """The hub has heard nothing of the hall for as long as it waits; its members are out of the quorum."""
    await made.hall.database.write(lambda tx: relays.lose(tx, int(time.time()), 1, 0))
    departed = [event["body"] for event in await made.hall.events("MemberDeparted")]
    assert (made.phones[person.name].member, "cut") in {(body["member"], body["reason"]) for body in departed}
