"""A closed session on real pages: who is put outside keeps nothing, who is inside goes on, and all come back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser import serving, steps, support, votes
from tests.browser.steps import attribute, by, click, look, see
from tests.browser.support import Person
from tests.browser.test_cut import page_of
from tests.browser.test_right_to_left import turned
from tests.browser.test_sites import present_a_paper
from tests.browser.votes import Hall
from tests.relay.rig import Rig, rig

REASON = "The salary of the caretaker"
SHOWN = "Budget.txt"
# What a page may still hold of a meeting: what it has kept on the device, pictures and sounds, live connections.
_HELD = """
async () => {
  const papers = (await caches.keys()).filter((name) => name.startsWith("folkmoot-papers"));
  const pages = await Promise.all(papers.map(async (name) => (await (await caches.open(name)).keys()).length));
  const plays = (one) => (one.srcObject?.getTracks() ?? []).some((track) => track.readyState === "live");
  return {
    kept: Object.keys(localStorage).filter((key) => /cache\\.(meeting|papers)\\./.test(key)),
    pages: pages.reduce((sum, count) => sum + count, 0),
    playing: [...document.querySelectorAll("video, audio")].filter(plays).length,
    pictures: document.querySelectorAll("video, [data-testid='paper-page']").length,
    peers: window.__peers.filter((peer) => peer.connectionState !== "closed").length,
  };
}
"""
NOTHING = {"kept": [], "pages": 0, "playing": 0, "pictures": 0, "peers": 0}


@dataclass
class Room:
    """A meeting in session: the chair sends sound and pictures, everybody else listens."""

    hall: Hall
    chair: Person
    member: Person
    custodian: Person
    guest: Person
    named: Person
    reader: Person
    main_wall: Person
    hall_wall: Person
    site: str
    named_id: str

    @property
    def everybody(self) -> list[Person]:
        """Everyone who hears the chair."""
        return [self.member, self.custodian, self.guest, self.named]


async def _person(hall: Hall, name: str) -> Person:
    person = await support.new_person(hall.browser, hall.server.url, name)
    hall.stack.push_async_callback(person.close)
    return person


async def _member(hall: Hall, name: str, *, media: bool) -> Person:
    """A member's browser, checked in."""
    person = await _person(hall, name)
    await votes.hand_over(hall.people[name], person)
    await steps.sign_in(person, hall.server)
    await steps.check_in(steps.Assembly(hall.server, meeting=hall.meeting), person, media=media)
    return person


async def _in_the_hall(hall: Hall, name: str, site: str) -> Person:
    """A member in the hall with a phone of their own, its sound turned on."""
    code = (await hall.secretary.get(hall.path(f"/sites/{site}/code")))["code"]
    person = await _person(hall, name)
    await votes.hand_over(hall.people[name], person)
    await steps.sign_in(person, hall.server)
    await person.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/check-in#hall={site}.{code}")
    await click(person, "check-in-button")
    await click(person, "companion-sound")
    await click(person, "confirm-yes")
    return person


async def _guest(hall: Hall, name: str) -> tuple[Person, str]:
    """A guest in the room; return the page and the visitor's id."""
    link = await hall.secretary.post(hall.path("/guest-links"), {"name": name})
    guest = await _person(hall, name)
    await guest.page.goto(str(link["url"]))
    await by(guest.page, "guest-name").fill(name)
    await click(guest, "guest-enter-button")
    await attribute(guest, "guest-lobby", "data-state", "waiting")
    lobby = (await hall.chair.get(hall.path("/lobby")))["visitors"]
    visitor = next(one["visitor"] for one in lobby if one["name"] == name)
    await hall.chair.post(hall.path(f"/lobby/{visitor}"), {"act": "admit"})
    await click(guest, "guest-room")
    await see(guest, "room")
    return guest, str(visitor)


async def _wall(hall: Hall, site: str) -> Person:
    made = await hall.secretary.post(hall.path("/screens"), {"site": site})
    wall = await _person(hall, f"wall-{site}")
    await wall.page.goto(str(made["url"]))
    await see(wall, "wall-page")
    return wall


async def _reader(hall: Hall) -> Person:
    """Somebody whose only office is to observe, on the meeting's page."""
    unit = (await hall.chair.get(hall.path("")))["unit"]
    added = await hall.secretary.post("/api/members", {"name": "Rita Reader", "unit": unit})
    wanted = {"member": added["member"]["id"], "role": "observer", "unit": unit, "until": int(time.time()) + 86_400}
    await hall.secretary.act("/api/grants", {"type": "grant-role", **wanted}, **wanted)
    reader = await _person(hall, "reader")
    await steps.enrol(reader, str(added["enrolment_url"]))
    await reader.page.goto(f"{hall.server.url}/meetings/{hall.meeting}")
    await see(reader, "go-observe")
    return reader


async def _hall_page(hall: Hall, name: str, site: str) -> Person:
    """The hall's computer: its page was opened there, and then the room in the same tab."""
    custodian = await _member(hall, name, media=False)
    await custodian.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/hall/{site}")
    await attribute(custodian, "hall", "data-state", "connected")
    await custodian.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room")
    await see(custodian, "room")
    return custodian


@pytest_asyncio.fixture(loop_scope="session")
async def room(origin: serving.Origin, browser: Browser, tmp_path: Path) -> AsyncIterator[Room]:
    async with votes.served(origin, browser, tmp_path) as hall:
        await hall.enrol_everybody()
        await hall.convene()
        custodian = str(hall.people["Claire"].member)
        body = {"name": "Upper village, school", "custodian": custodian, "expected": 12, "profile": 256}
        site = str((await hall.secretary.post(hall.path("/sites"), body))["site"])
        tested = {"rtt_ms": 40, "loss_permille": 0, "up_kbps": 900, "down_kbps": 900, "clock_ms": 3}
        await hall.people["Claire"].post(hall.path(f"/sites/{site}/test"), {**tested, "sound": True, "picture": True})
        await hall.check_in(*votes.OFFICERS)
        await hall.begin()
        await hall.chair.post(hall.path("/commands"), {"command": "start-item", "item": hall.item})
        await present_a_paper(hall)
        chair = await _member(hall, "chair-0", media=True)
        member = await _in_the_hall(hall, "Binh", site)
        guest, _ = await _guest(hall, "Gwen Guest")
        named, named_id = await _guest(hall, "Paula Press")
        computer = await _hall_page(hall, "Claire", site)
        reader = await _reader(hall)
        walls = [await _wall(hall, "main"), await _wall(hall, site)]
        made = Room(hall, chair, member, computer, guest, named, reader, walls[0], walls[1], site, named_id)
        for person in made.everybody:
            await _hears(person)
        yield made


async def _hears(person: Person) -> None:
    """Wait until new sound has energy on this page; how many pictures come depends on how busy the machine is."""
    last = (await person.media()).audio_energy

    async def rising() -> bool:
        nonlocal last
        before, last = last, (await person.media()).audio_energy
        return last > before

    await support.until(rising, f"{person.name} hears sound", every_s=1.0)


async def _held(person: Person) -> dict[str, Any]:
    held: dict[str, Any] = await person.page.evaluate(_HELD)
    return held


async def _is_put_outside(person: Person) -> None:
    """The page is one calm page, and holds nothing of what it showed."""
    await attribute(person, "outside", "data-kind", "public")
    await support.until(lambda: _holds_nothing(person), f"{person.name} holds nothing any more")
    body = person.page.locator("body")
    for text in (SHOWN, REASON, "Paula", "Binh"):
        await expect(body).not_to_contain_text(text)
    await expect(person.page.locator("h1")).to_be_focused()
    await expect(by(person.page, "alarm")).to_contain_text("closed to the public")


async def _holds_nothing(person: Person) -> bool:
    return await _held(person) == NOTHING


async def test_the_public_is_outside_and_comes_back(room: Room) -> None:
    """The chair closes the session, admits a hall, sends a visitor out and ends it."""
    await _read_ahead(room)
    await _the_chair_closes(room)
    await _is_put_outside(room.guest)
    await look(room.guest, "closed-guest")
    assert await turned(room.guest, "closed-guest") == []
    await _is_put_outside(room.reader)
    await look(room.reader, "closed-reader")
    await _inside_goes_on(room)
    await _the_hall_is_silent(room)
    await _the_hall_is_admitted(room)
    await click(room.chair, f"send-outside-{room.named_id}")
    await click(room.chair, "confirm-yes")
    await _is_put_outside(room.named)
    await _it_ends(room)
    await _a_guest_goes(room)


async def _read_ahead(room: Room) -> None:
    """The guest has the paper on the device, and a picture of the room; else nothing could be lost."""
    await click(room.guest, "panel-papers")
    await click(room.guest, "paper-open")
    await see(room.guest, "paper-text")
    await click(room.guest, "viewer-close")
    await see(room.guest, "paper-kept")
    held = await _held(room.guest)
    assert held["kept"] and held["pages"] and held["playing"] and held["peers"], held
    await click(room.guest, "panel-agenda")


async def _the_chair_closes(room: Room) -> None:
    chair = room.chair
    await click(chair, "panel-chair")
    await by(chair.page, "closed-offer").scroll_into_view_if_needed()
    await look(chair, "closed-offer")
    await click(chair, "closed-open")
    await expect(by(chair.page, "closed-site-main")).to_be_checked()
    await expect(by(chair.page, f"closed-site-{room.site}")).not_to_be_checked()
    await expect(by(chair.page, "closed-go")).to_be_disabled()
    await by(chair.page, "closed-reason").fill(REASON)
    await by(chair.page, f"closed-visitor-{room.named_id}").check()
    await look(chair, "closed-dialog")
    assert await turned(chair, "closed-dialog") == []
    await chair.page.evaluate("document.documentElement.dir = 'ltr'")
    await chair.page.set_viewport_size({"width": steps.DESKTOP[0], "height": steps.DESKTOP[1]})
    await click(chair, "closed-go")
    await look(chair, "closed-confirm")
    await click(chair, "confirm-yes")
    await see(chair, "closed-card")


async def _inside_goes_on(room: Room) -> None:
    """Members, and the visitor who was named, see, hear and read on; the chair sees who is inside."""
    for person, name in ((room.member, "closed-member"), (room.named, "closed-named")):
        await see(person, "closed-banner")
        await _hears(person)
        await see(person, "paper-shown")
        await expect(by(person.page, "outside")).to_have_count(0)
        assert (await _held(person))["peers"] > 0, "control: what is looked for outside is found inside"
        await look(person, name)
    await expect(by(room.member.page, "alarm")).to_contain_text("closed to the public")
    await expect(by(room.member.page, "closed-banner")).to_contain_text("use earphones")
    await click(room.member, "closed-details")
    await expect(by(room.member.page, "closed-why")).to_contain_text(REASON)
    await look(room.member, "closed-details")
    assert await turned(room.member, "closed-details") == []
    await room.member.page.evaluate("document.documentElement.dir = 'ltr'")
    await click(room.member, "closed-what-close")
    await by(room.chair.page, "closed-card").scroll_into_view_if_needed()
    await look(room.chair, "closed-chair")
    log = by(room.chair.page, "log")
    await log.locator("summary").click()
    await expect(log).to_contain_text("Session closed to the public")


async def _the_hall_is_silent(room: Room) -> None:
    """A hall that nobody admitted: its computer is silent, its wall says so, its page says what to do."""
    custodian = room.custodian
    await attribute(custodian, "outside", "data-kind", "hall")
    await support.until(lambda: _is_silent(custodian), "the hall's sound and pictures have stopped")
    await expect(custodian.page.locator("body")).not_to_contain_text(SHOWN)
    await look(custodian, "closed-hall-room")
    await see(room.hall_wall, "wall-closed")
    await expect(by(room.hall_wall.page, "wall-quorum")).to_be_visible()
    await expect(room.hall_wall.page.locator("body")).not_to_contain_text("Budget")
    await look(room.hall_wall, "closed-wall")
    await see(room.main_wall, "wall-page")  # control: the main room's stays, as the chair has ticked it
    await click(custodian, "outside-hall")
    await see(custodian, "hall-outside")
    await look(custodian, "closed-hall-page")
    await custodian.page.goto(f"{room.hall.server.url}/meetings/{room.hall.meeting}/room")
    await attribute(custodian, "outside", "data-kind", "hall")


async def _is_silent(person: Person) -> bool:
    held = await _held(person)
    return bool(held["playing"] == 0 and held["pictures"] == 0 and held["peers"] == 0)


async def _the_hall_is_admitted(room: Room) -> None:
    await click(room.chair, f"admit-inside-{room.site}")
    await click(room.chair, "confirm-yes")
    await see(room.custodian, "room")
    await _hears(room.custodian)
    await see(room.hall_wall, "wall-page")


async def _it_ends(room: Room) -> None:
    await click(room.chair, "closed-end")
    await click(room.chair, "confirm-yes")
    for person in (room.guest, room.named):
        await see(person, "room")
        await expect(person.page.locator("h1")).to_be_focused()
        await expect(by(person.page, "announcer")).to_contain_text("back in the session")
        await _hears(person)
        await see(person, "paper-shown")
    await see(room.reader, "go-observe")
    for person in (room.chair, room.member, room.named):
        await expect(by(person.page, "closed-banner")).to_have_count(0)
    await see(room.chair, "closed-offer")


async def _a_guest_goes(room: Room) -> None:
    """Who does not want to wait outside leaves; asked once, for nothing brings them back by itself."""
    hall, named = room.hall, room.named
    closing = {"command": "begin-closed-session", "reason": REASON, "sites": ["main"], "visitors": []}
    await hall.chair.post(hall.path("/commands"), closing)
    await attribute(named, "outside", "data-kind", "public")
    await click(named, "outside-leave")
    await look(named, "closed-guest-leaves")
    await click(named, "confirm-no")
    await attribute(named, "outside", "data-kind", "public")
    assert room.named_id in await _visitors(hall)  # control: so far the guest is a visitor
    await click(named, "outside-leave")
    await click(named, "confirm-yes")
    await named.page.wait_for_url("**/guest")
    await expect(by(named.page, "outside")).to_have_count(0)
    assert room.named_id not in await _visitors(hall)


async def _visitors(hall: Hall) -> set[str]:
    return {one["visitor"] for one in (await hall.chair.get(hall.path("")))["visitors"]}


async def _soft(made: Rig, **command: Any) -> None:
    await made.hall.chair.post(made.path("/commands"), command)


async def test_a_phone_of_a_hall_is_told_where_it_is_inside(tmp_path: Path, new_person: Any) -> None:
    """By way of a relay a member is outside, at the server's own address inside; the hall's page stays connected."""
    async with rig(tmp_path) as made:
        meeting = f"/meetings/{made.hall.meeting}"
        phone = await page_of(made, new_person, "greta")
        await phone.page.goto(f"{meeting}/room")
        await see(phone, "room")
        computer = await page_of(made, new_person, "binh")
        await computer.page.goto(f"{meeting}/hall/{made.site}")
        await see(computer, "hall")
        await _soft(made, command="begin-closed-session", reason=REASON, sites=["main"], visitors=[])
        await attribute(phone, "outside", "data-kind", "relay")
        await attribute(computer, "outside", "data-kind", "hall")
        for person, name in ((phone, "closed-relay-phone"), (computer, "closed-relay-hall")):
            # The papers on the device stay their reader's; the view of the meeting goes.
            assert [key for key in (await _held(person))["kept"] if ".meeting." in key] == []
            assert await _is_silent(person)
            await expect(person.page.locator("body")).not_to_contain_text(REASON)
            await look(person, name)
            assert await turned(person, name) == []
        assert {one["member"] for one in (await made.hall.chair.get(made.path()))["present"]} >= {
            made.phones[name].member for name in ("greta", "binh")
        }
        await _is_inside_at_the_server(made, phone)
        await _soft(made, command="admit-inside", site=made.site, visitor="", admitted=True)
        for person, testid in ((phone, "room"), (computer, "hall")):
            await see(person, testid)
            await see(person, "closed-banner")
        await _soft(made, command="end-closed-session")
        await expect(by(phone.page, "closed-banner")).to_have_count(0)


async def _is_inside_at_the_server(made: Rig, phone: Person) -> None:
    """The page names the server's own address; a session that no relay has carried is inside there."""
    address = str(await by(phone.page, "outside-address").get_attribute("href"))
    assert address == f"{made.hall.settings.public_url}/meetings/{made.hall.meeting}/room"
    inside = await made.phones["greta"].person.get(made.path())
    assert inside["closed_session"]["reason"] == REASON
