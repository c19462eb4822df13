"""Real Chromiums in the namespaces of loadtests/halls.py: the hub's passkeys at a hall's address, sound, votes.

Their passkeys are made on the hub's pages at https://folkmoot.test and carried to the browsers of the places by the
debugger, as a phone carries its own. Trust comes from a certificate store in each browser's HOME.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from loadtests.halls_cut import NOTICED_S, Course
from loadtests.halls_meeting import Assembly, Hall
from loadtests.halls_net import SHORT_S, Net, Place
from loadtests.halls_phone import ORIGIN, Figures, Phone
from playwright.async_api import Browser, Page, Playwright, expect
from playwright.async_api import Error as PlaywrightError
from tests.browser import steps, support
from tests.browser.offline import installed
from tests.browser.support import Person
from tests.browser.votes import hand_over, import_credential
from tests.chromium import ALLOW_DEVICES, FLAGS
from tools.house import find_chromium

from folkmoot_server.demo.client import DemoError
from folkmoot_server.demo.client import Person as Soft

CREDENTIAL: Final = ("credentialId", "isResidentCredential", "rpId", "privateKey", "userHandle", "signCount")
YES: Final = 0


async def launch(driver: Playwright, net: Net, place: Place) -> Browser:
    """Start a Chromium in a namespace, which trusts the run's authority.

    Raises:
        DemoError: there is no Chromium, or no tool that writes its certificate store.
    """
    chromium, home = find_chromium(), net.folder / f"home-{place.name}"
    home.mkdir()
    if chromium is None or not net.authority.trust_in(home):
        raise DemoError("Pages need the packages chromium and libnss3-tools.")
    wrapper = home / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {place.name} "{chromium}" "$@"\n')
    wrapper.chmod(0o755)
    env: dict[str, str | float | bool] = {**os.environ, "HOME": str(home)}
    return await driver.chromium.launch(executable_path=str(wrapper), args=[*FLAGS, ALLOW_DEVICES], env=env)


@dataclass
class Guest:
    """A member whose only device is a browser; `where` is the place in which it stands at last."""

    soft: Soft
    credentials: Sequence[Mapping[str, Any]]
    person: Person | None = None


@dataclass
class Pages:
    """The browsers of one run."""

    assembly: Assembly
    driver: Playwright
    out: Path
    cold: bool = False  # the member alone has not installed the application before the line is thin
    browsers: dict[str, Browser] = field(default_factory=dict)
    guests: list[Guest] = field(default_factory=list)
    shown: dict[str, Person] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    found: Figures = field(default_factory=dict)

    async def browser_in(self, place: Place) -> Browser:
        """The Chromium of a namespace."""
        if place.name not in self.browsers:
            self.browsers[place.name] = made = await launch(self.driver, self.assembly.net, place)
            self.assembly.stack.push_async_callback(made.close)
        return self.browsers[place.name]

    async def enrol(self, links: list[dict[str, str]]) -> list[Soft]:
        """Let members make their passkeys on the hub's pages; return who they are."""
        browser = await self.browser_in(self.assembly.net.hub)
        for link in links:
            person = await support.new_person(browser, ORIGIN, link["name"], media=False)
            await steps.enrol(person, link["url"])
            soft = Soft(ORIGIN, link["name"], self.assembly.net.connector(self.assembly.net.hub, SHORT_S))
            self.assembly.stack.push_async_callback(soft.__aexit__)
            soft.session = await person.page.evaluate("fetch('/api/session').then((answer) => answer.json())")
            held = [{name: one[name] for name in CREDENTIAL} for one in await person.credentials()]
            self.guests.append(Guest(soft, held))
            await person.close()
        return [one.soft for one in self.guests]

    async def page(
        self, place: Place, origin: str, name: str, *, media: bool = False, worker: bool = False
    ) -> Person:
        """A browser context at an address, in a namespace, without a passkey; with `worker` it keeps the app."""
        browser = await self.browser_in(place)
        person = await support.new_person(browser, origin, name, media=media, worker=worker)
        self.assembly.stack.push_async_callback(person.close)
        return person

    async def sit_down(
        self, guest: Guest, place: Place, origin: str, rest: str = "", *, worker: bool = False
    ) -> None:
        """Sign in and check in at an address with the passkey that was made at the hub's."""
        began = time.monotonic()
        guest.person = person = await self.page(place, origin, guest.soft.name, worker=worker)
        for one in guest.credentials:
            await import_credential(person, one)
        await person.page.goto("/")
        await steps.click(person, "sign-in-button")
        await steps.see(person, "home")
        await person.page.goto(f"/meetings/{self.assembly.meeting}/check-in{rest}")
        await steps.click(person, "check-in-button")
        await steps.see(person, "room")
        made = {one["rpId"] for one in guest.credentials}
        self.found.setdefault("checked in with a passkey of", {})[origin] = {
            "relying party": sorted(made),
            "s": round(time.monotonic() - began, 1),
        }

    async def arrive(self) -> None:
        """Bring the browsers' members into their halls and, the last one, to a place alone."""
        for guest, hall in zip(self.guests, self.assembly.halls, strict=False):
            rest = f"#hall={hall.site}.{hall.doors['code']}"
            await self.sit_down(guest, hall.place.lan, hall.place.origin, rest)
        link, place = await self.assembly.net.line()
        self.assembly.lines.append(link)
        alone = self.guests[-1]
        await self.sit_down(alone, place, ORIGIN, worker=not self.cold)
        if alone.person is not None and not self.cold:
            await installed(alone.person.page)
        self.chair = await self.page(self.assembly.net.hub, ORIGIN, "chair", media=True)
        await hand_over(self._at(self.assembly.chair, ORIGIN), self.chair)
        await self.chair.page.goto("/")
        await steps.click(self.chair, "sign-in-button")
        await steps.see(self.chair, "home")

    @staticmethod
    def _at(phone: Phone, origin: str) -> Phone:
        phone.authenticator.origin = origin
        return phone

    async def sound_and_pictures(self, hall: Hall) -> None:
        """Let the chair be seen and heard in a hall, and the hall, which gets the floor, at the hub."""
        meeting = f"/meetings/{self.assembly.meeting}"
        computer = await self.page(hall.place.lan, hall.place.origin, "hall", media=True)
        await hand_over(self._at(hall.custodian, hall.place.origin), computer)
        await computer.page.goto("/")
        await steps.click(computer, "sign-in-button")
        await steps.see(computer, "home")
        await computer.page.goto(f"{meeting}/hall/{hall.site}")
        await steps.see(computer, "hall-keep-open")
        await computer.page.goto(f"{meeting}/room")
        await self.chair.page.goto(f"{meeting}/room")
        await steps.attribute(self.chair, "room", "data-media", "joined")
        self.shown |= {"chair": self.chair, "computer": computer}
        for toggle in ("mic-toggle", "cam-toggle"):
            await steps.click(self.chair, toggle)
        await self.tried("the chair is heard in the hall", self.hears(computer))
        await self.tried("the chair is seen in the hall", self._sees(computer))
        await self.assembly.command("grant-floor", member=f"site:{hall.site}")
        await steps.by(computer.page, "mic-stays-open").set_checked(True)  # nobody is there to hold it
        await self.tried("the hall turns its microphone on", steps.click(computer, "mic-toggle"))
        await self.tried("the hall is heard at the hub with the floor", self.hears(self.chair))
        for name, page in (("chair-linked", self.chair.page), ("hall-linked", computer.page)):
            await self.picture(page, name)
        await self.assembly.command("withdraw-floor", member=f"site:{hall.site}")
        await steps.click(self.chair, "cam-toggle")
        await computer.page.goto(f"{meeting}/hall/{hall.site}")
        self.computer = computer
        await self.chair.page.goto(f"{meeting}/room/chair")

    async def hears(self, person: Person) -> None:
        """Wait for new sound; a page that nobody has touched asks for a tap first."""
        last, tap = (await person.media()).audio_energy, steps.by(person.page, "tap-to-hear")

        async def rising() -> bool:
            nonlocal last
            if await tap.count():
                await tap.click()
            before, last = last, (await person.media()).audio_energy
            return last > before

        await support.until(rising, f"{person.name} hears sound", deadline_s=60, every_s=1.0)

    async def _sees(self, person: Person) -> None:
        before = (await person.media()).frames_decoded

        async def rising() -> bool:
            return (await person.media()).frames_decoded > before

        await support.until(rising, f"{person.name} sees pictures", deadline_s=60, every_s=1.0)

    async def tried(self, what: str, work: Awaitable[None]) -> None:
        """Let something be shown; what was not becomes a figure, and the meeting goes on."""
        began = time.monotonic()
        try:
            await work
        except (AssertionError, PlaywrightError) as error:
            self.failed.append(f"{what}: {str(error).splitlines()[0]}")
            for name, person in self.shown.items():
                await self.picture(person.page, f"failed-{name}")
        else:
            self.found[f"{what}, within_s"] = round(time.monotonic() - began, 1)

    async def picture(self, page: Page, name: str) -> None:
        """Keep a picture of a page at both sizes."""
        before = page.viewport_size
        for width, height in support.SHOT_SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            await page.screenshot(path=self.out / f"{name}-{width}x{height}.png", animations="disabled")
        if before is not None:
            await page.set_viewport_size(before)

    async def during(self, course: Course) -> None:
        """Vote on the pages of both halls, which are cut off, and on that of the member alone, who is not."""
        await course.at(NOTICED_S)
        for number, guest in enumerate(self.guests[:-1], 1):
            await self.tried(f"a page votes in hall {number} during the cut", self._vote_alone(guest, number))
        await self.tried("a page votes by itself over 64 kbit/s", self._vote_linked(self.guests[-1]))
        await self.picture(self.computer.page, "hall1-computer-cut")
        line = self.chair.page.locator(f'[data-testid="site-line"][data-site="{course.hall.site}"]')

        async def lost() -> None:
            await expect(line).to_have_attribute("data-state", "lost")

        await self.tried("the chair's page shows that the hall is lost", lost())
        await self.picture(self.chair.page, "chair-cut")

    async def _vote_alone(self, guest: Guest, number: int) -> None:
        person = guest.person
        assert person is not None
        await steps.see(person, "cut-banner")
        await self.picture(person.page, f"hall{number}-cut")
        booth = await self._choose(person)
        await expect(booth.get_by_test_id("booth-queued")).to_be_visible()
        await self.picture(person.page, f"hall{number}-cut-voted")

    async def _vote_linked(self, guest: Guest) -> None:
        assert guest.person is not None
        booth = await self._choose(guest.person)
        await expect(booth.get_by_test_id("booth-done")).to_be_visible()

    async def _choose(self, person: Person) -> Any:
        await steps.choose(person, YES)
        booth = steps.booth_of(person)
        await booth.get_by_test_id("booth-review").click()
        await booth.get_by_test_id("booth-cast").click(timeout=steps.SLOW_MS)
        return booth

    async def after(self, course: Course) -> None:
        """See that the page of the hall that is back says that its ballot has arrived, and picture the chair's."""
        del course
        await self.tried("the page in the hall says that its ballot has arrived", self._arrived(self.guests[0]))
        await self.picture(self.chair.page, "chair-back")
        self.found["complaints"] = {one.soft.name: one.person.complaints for one in self.guests if one.person}
        self.found["failed"] = self.failed

    async def _arrived(self, guest: Guest) -> None:
        assert guest.person is not None
        await expect(steps.booth_of(guest.person).get_by_test_id("booth-done")).to_be_visible()
        await expect(steps.by(guest.person.page, "cut-banner")).to_have_count(0)
        await self.picture(guest.person.page, "hall1-back")
