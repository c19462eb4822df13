"""Sound and pictures between a hall and its hub in real browsers, through the one pipe of the hall's relay."""

from __future__ import annotations

import asyncio
import hashlib
import re
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, expect
from tests import drafts
from tests.browser import serving, support, votes
from tests.browser.conftest import NewPerson
from tests.browser.steps import attribute, by, click, see
from tests.browser.support import Person
from tests.relay.rig import RelayProcess

from folkmoot_server.demo.votes import freeze_roll
from folkmoot_server.demo.wire import Wire, wire
from folkmoot_voting.encoding import b64u, jcs

# On a busy machine a relay may start anew so late that its hall counts as lost, and who speaks there loses the floor.
SETTINGS = {**votes.SETTINGS, "FOLKMOOT_SITE_LOST_S": "600"}
GATHERED = ("Binh", "Greta", "Rui")
FIGURE = re.compile(r'^folkmoot_media_pipe_(\w+)\{worker="\d+"\} (\S+)$', re.MULTILINE)


@dataclass
class Valley:
    """A meeting at a hub, and a hall with a relay and pages of its own."""

    hall: votes.Hall
    relay: RelayProcess
    front: Wire
    metrics: int
    new_person: NewPerson
    site: str = ""
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def room(self) -> str:
        return f"/meetings/{self.hall.meeting}/room"

    async def figures(self) -> dict[str, float]:
        """What the hub's worker says of the pipe to this hall."""

        def read() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
                return str(answer.read().decode())

        return {name: float(value) for name, value in FIGURE.findall(await asyncio.to_thread(read))}

    async def at_the_hub(self, name: str) -> Person:
        """A page at the hub with camera and microphone on."""
        person = self.people[name] = await self._page(self.hall.server.url, name)
        await person.page.goto(f"/meetings/{self.hall.meeting}/check-in")
        for testid in ("check-in-mic", "check-in-camera"):
            await by(person.page, testid).set_checked(True)
        await click(person, "check-in-button")
        await attribute(person, "room", "data-media", "joined")
        return person

    async def in_the_hall(self, name: str) -> Person:
        """A page at the relay of somebody who has checked in at the hall; a phone stays silent."""
        code = str((await self.hall.people["Binh"].get(self.hall.path(f"/sites/{self.site}/code")))["code"])
        person = self.people[name] = await self._page(self.front.url, name)
        await person.page.goto(f"/meetings/{self.hall.meeting}/check-in#hall={self.site}.{code}")
        await attribute(person, "hall-choice", "data-site", self.site)
        await click(person, "check-in-button")
        await see(person, "room")
        return person

    async def _page(self, url: str, name: str) -> Person:
        person = await self.new_person(url, name)
        await votes.hand_over(self.hall.people[name], person)
        await person.page.goto("/")
        await click(person, "sign-in-button")
        await see(person, "home")
        return person


@pytest_asyncio.fixture(loop_scope="session")
async def valley(
    browser: Browser, origin: serving.Origin, tmp_path: Path, new_person: NewPerson
) -> AsyncIterator[Valley]:
    """A meeting whose check-in has begun; the relay of its hall runs, nobody is there."""
    async with AsyncExitStack() as stack:
        metrics = serving.free_port()
        server = serving.Server(origin, tmp_path, settings=SETTINGS, extra=("--metrics-port", str(metrics)))
        await server.start()
        stack.push_async_callback(server.stop)
        front = await stack.enter_async_context(wire())
        hall = votes.Hall(server, browser, stack)
        await hall.enrol_everybody()
        made = Valley(hall, RelayProcess(server.url, tmp_path / "relay", front), front, metrics, new_person)
        await convene(made)
        await made.relay.start()
        stack.push_async_callback(made.relay.stop)
        yield made


async def convene(made: Valley) -> None:
    """A meeting with a hall whose custodian is Binh, who has signed the list of those who sit there."""
    hall, custodian = made.hall, made.hall.people["Binh"]
    hall.meeting = await drafts.meeting(hall.secretary, ("Roof",))
    await hall.secretary.post(hall.path("/commands"), {"command": "convene"})
    wanted = {"name": "Upper village", "custodian": custodian.member, "expected": 12, "profile": 0}
    made.site = str((await hall.secretary.post(hall.path("/sites"), wanted))["site"])
    code = await hall.secretary.post(hall.path(f"/sites/{made.site}/relay-code"), {"origin": made.front.url})
    made.relay.code = str(code["code"])
    await freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    seats = sorted(hall.people[name].member for name in GATHERED)
    digest = b64u(hashlib.sha256(jcs(seats)).digest())
    action = {"type": "sign-seats", "meeting": hall.meeting, "site": made.site, "hash": digest}
    await custodian.act(hall.path(f"/sites/{made.site}/seats"), action, seats=seats)


async def sound_on(person: Person) -> None:
    """A phone in the hall begins to hear and see."""
    await click(person, "companion-sound")
    await click(person, "confirm-yes")
    await attribute(person, "room", "data-media", "joined")


async def gets_on(person: Person, what: str, rising: Callable[[support.MediaStats], float]) -> None:
    """Wait until a figure of the page rises from look to look; one that begins anew with a connection falls first."""
    last, rises = rising(await person.media()), 0

    async def goes_on() -> bool:
        nonlocal last, rises
        found = rising(await person.media())
        rises, last = rises + (found > last), found
        return rises > 2

    await support.until(goes_on, f"{person.name}: {what}")


async def connections(person: Person) -> int:
    """How many connections for media the page has made so far."""
    return int(await person.page.evaluate("window.__peers.length"))


async def begins_anew(person: Person, before: int) -> None:
    """Wait until the page has made other connections than those."""

    async def more() -> bool:
        return await connections(person) > before

    await support.until(more, f"{person.name} connects anew")


async def hears_and_sees(*people: Person) -> None:
    """Wait until new frames are decoded and new sound is heard on each of these pages."""
    for person in people:
        await gets_on(person, "frames decoded", lambda found: found.frames_decoded)
        await gets_on(person, "sound heard", lambda found: found.audio_energy)


async def pipe_is(made: Valley, **wanted: float) -> None:
    """Wait until the hub's worker says this of the pipe."""
    found: dict[str, float] = {}

    async def so() -> bool:
        found.update(await made.figures())
        return {name: found.get(name) for name in wanted} == wanted

    try:
        await support.until(so, f"the pipe has {wanted}")
    except AssertionError as late:
        late.add_note(f"It has {found}.")
        raise


async def grant(made: Valley, name: str) -> None:
    """The chair gives somebody the floor."""
    member = made.hall.people[name].member
    await made.hall.chair.post(made.hall.path("/commands"), {"command": "grant-floor", "member": member})


async def the_halls_own_page(made: Valley) -> Person:
    """The hall's computer: its custodian checks in, opens the hall's page, and from there the room."""
    binh = await made.in_the_hall("Binh")
    await binh.page.goto(f"/meetings/{made.hall.meeting}/hall/{made.site}")
    await see(binh, "hall-keep-open")
    await support.shoot(binh.page, "hall-media-page")
    await click(binh, "hall-go-room")
    await see(binh, "hall-note")
    await attribute(binh, "room", "data-media", "joined")
    await by(binh.page, "mic-stays-open").set_checked(True)  # nobody is there to hold it
    for device in ("mic-toggle", "cam-toggle"):
        await attribute(binh, device, "aria-pressed", "false")
        await click(binh, device)
        await attribute(binh, device, "aria-pressed", "true")
    return binh


async def test_a_hall_and_the_hub_hear_and_see_each_other_through_one_pipe(valley: Valley) -> None:
    lan = await valley.at_the_hub("chair-0")
    greta = await valley.in_the_hall("Greta")
    await grant(valley, "chair-0")
    assert await connections(greta) == 0  # a phone in a hall is silent
    await sound_on(greta)
    await hears_and_sees(greta)
    await attribute(greta, "cam-toggle", "aria-pressed", "false")
    await support.shoot(greta.page, "hall-media-phone")

    binh = await the_halls_own_page(valley)
    await see(binh, "hall-unheard")  # nobody there has the floor
    await grant(valley, "Binh")
    await expect(by(binh.page, "hall-unheard")).to_have_count(0)
    await hears_and_sees(binh, lan)
    await expect(by(lan.page, "speaker")).to_contain_text("Upper village")
    await support.shoot(lan.page, "hall-media-hub")
    await support.shoot(binh.page, "hall-media-hall")

    await pipe_is(valley, voices_crossing=1, videos_offered=1, mirrored=2)
    rui = await valley.in_the_hall("Rui")
    await sound_on(rui)
    await hears_and_sees(rui, greta)
    await pipe_is(valley, voices_crossing=1, videos_offered=1, mirrored=2)

    phones = [(person, await connections(person)) for person in (greta, rui, binh)]
    await valley.relay.kill()
    await valley.relay.start()
    for person, made in phones:
        await begins_anew(person, made)
    await hears_and_sees(greta, rui, lan)

    # The control: nothing of this comes by another way than the relay's right.
    await valley.hall.secretary.post(valley.hall.path(f"/sites/{valley.site}/relay-revoke"), {})
    await pipe_is(valley, voices_offered=0, videos_offered=0, mirrored=0)

    async def still() -> bool:
        before = await greta.media()
        await gets_on(lan, "packets sent", lambda found: found.packets_sent)
        return (await greta.media()).frames_decoded == before.frames_decoded

    await support.until(still, "Greta has shown what was on its way, and gets no more")
