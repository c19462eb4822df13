"""The bandwidth ladder in real browsers: the switch before joining and live, a thin link in words, who is told."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest_asyncio
from playwright.async_api import expect
from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.serving import Origin, Server, free_port
from tests.browser.steps import Assembly, by
from tests.browser.support import Person, until
from tests.browser.thin_link import ThinLink

FALL_S, RISE_S = 5.0, 60.0
THIN_KBIT = 60.0


_RECORD_SOCKETS = """
(() => {
  const Native = window.WebSocket;
  window.__sockets = [];
  window.WebSocket = class extends Native {
    constructor(...given) { super(...given); window.__sockets.push(this); }
  };
})();
"""
_RECORD_STEPS = """
(() => {
  window.__steps = [];
  const look = () => {
    const step = document.querySelector("[data-testid=link-meter]")?.dataset.step;
    if (step !== undefined && window.__steps.at(-1) !== step) window.__steps.push(step);
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
})();
"""
_MEASURED_WEAK = """
Object.defineProperty(navigator, "connection", {
  value: Object.assign(new EventTarget(), { downlink: 0.064, rtt: 600, type: "cellular" }),
});
"""


class Hall(NamedTuple):
    """People who may check in; the member's media take a way of their own."""

    assembly: Assembly
    link: ThinLink

    @property
    def chair(self) -> Person:
        return self.assembly.chair

    @property
    def member(self) -> Person:
        return self.assembly.tellers[0]


@pytest_asyncio.fixture(loop_scope="session")
async def hall(origin: Origin, new_person: NewPerson, tmp_path: Path) -> AsyncIterator[Hall]:
    port = free_port()
    server = Server(origin, tmp_path, extra=("--media-port", str(port), "--media-workers", "1"))
    await server.start()
    link = ThinLink(port)
    try:
        assembly = await steps.gather_people(server, new_person, auditor=False)
        await link.lead(assembly.tellers[0])
        await assembly.tellers[0].context.add_init_script(_RECORD_SOCKETS)
        await steps.prepare_meeting(assembly)
        yield Hall(assembly, link)
    finally:
        link.close()
        await server.stop()


async def step(person: Person) -> int:
    return int(await by(person.page, "link-meter").get_attribute("data-step") or -1)


async def open_peers(person: Person) -> int:
    """How many peer connections of the page are open."""
    count = "(window.__peers ?? []).filter((peer) => peer.connectionState !== 'closed').length"
    return int(await person.page.evaluate(count))


async def received(person: Person, kind: str) -> int:
    """Bytes of pictures or voices that have reached the page's present connections."""
    entries = (await person.media()).entries
    return sum(one["bytesReceived"] for one in entries if one["type"] == "inbound-rtp" and one["kind"] == kind)


async def choose(person: Person, number: int) -> None:
    """Set the switch in the room."""
    await steps.click(person, "link-meter")
    await by(person.page, f"link-step-{number}").check()
    await steps.click(person, "link-close")


async def reaches(person: Person, wanted: range, within: float) -> float:
    """Wait until the meter shows one of these steps; return after how many seconds it did."""
    loop = asyncio.get_running_loop()
    start = loop.time()

    async def there() -> bool:
        return await step(person) in wanted

    await until(there, f"step {wanted}", deadline_s=within)
    return loop.time() - start


async def outbound(person: Person, kind: str, name: str) -> int:
    """A figure of what the page sends, summed over its streams."""
    entries = (await person.media()).entries
    return int(sum(one.get(name, 0) for one in entries if one["type"] == "outbound-rtp" and one["kind"] == kind))


_BENEATH = """
() => {
  const { left, top, width, height } = document.querySelector("[data-testid=speaker]").getBoundingClientRect();
  const there = document.elementsFromPoint(left + width / 2, top + height / 2);
  const [first] = there;
  const through = first?.tagName === "VIDEO" && getComputedStyle(first).backgroundColor === "rgba(0, 0, 0, 0)";
  const beneath = there.find((one) => one.matches(".blank-initials"))?.textContent ?? "nothing";
  return through ? beneath : "no picture on top";
}
"""


async def grows(person: Person, kind: str, over_s: float = 1.0) -> int:
    """Bytes of a kind that arrive in the next while."""
    before = await received(person, kind)
    await asyncio.sleep(over_s)
    return await received(person, kind) - before


async def test_a_thin_link_goes_down_says_so_and_comes_back(hall: Hall) -> None:
    """Within 5 s of the link's change the level is lower and said in words; sound goes on, the own picture stops."""
    chair, member = hall.chair, hall.member
    await steps.check_in(hall.assembly, chair, media=True)
    await steps.check_in(hall.assembly, member, media=True)
    await steps.sees_and_hears(member)
    await steps.sees_and_hears(chair)
    await steps.attribute(member, "link-meter", "data-step", "4")
    await steps.click(chair, "panel-chair")
    await steps.attribute(chair, "trouble", "data-count", "0")
    hall.link.down.kbit = THIN_KBIT
    fell = await reaches(member, range(3), 30)
    assert fell <= FALL_S
    notice = by(member.page, "link-notice")
    await expect(notice).to_contain_text("Your link carries sound", timeout=steps.SLOW_MS)
    await steps.attribute(chair, "trouble", "data-count", "1")
    await expect(by(chair.page, "in-trouble").first).to_contain_text("Hears")
    await expect(by(member.page, "trouble")).to_have_count(0)
    await expect(by(chair.page, "link-notice")).to_have_count(0)
    await steps.look(member, "ladder-thin")
    await by(chair.page, "trouble").scroll_into_view_if_needed()
    await steps.look(chair, "ladder-chair")
    await steps.click(member, "link-notice-open")
    await expect(by(member.page, "link-words")).to_contain_text("Move closer to the router")
    await steps.look(member, "ladder-card")
    await steps.click(member, "link-close")
    assert await grows(member, "audio", 2.0) > 1_000
    sent = await outbound(member, "video", "packetsSent")
    await asyncio.sleep(2)
    assert await outbound(member, "video", "packetsSent") <= sent + 2, "the own picture is not sent either"
    assert await outbound(member, "audio", "targetBitrate") == 12_000
    await steps.click(member, "mic-toggle")
    await steps.attribute(member, "mic-toggle", "aria-pressed", "false")
    await steps.click(member, "mic-toggle")
    await steps.attribute(member, "mic-toggle", "aria-pressed", "true")
    voice = await outbound(member, "audio", "packetsSent")
    await asyncio.sleep(3)
    assert 40 <= await outbound(member, "audio", "packetsSent") - voice <= 60, "packets of 60 ms"
    hall.link.down.kbit = None
    rose = await reaches(member, range(4, 5), RISE_S)
    assert rose > 1, "not at once: the link must have been good for a while"
    print(f"fell after {fell:.1f} s, rose after {rose:.1f} s")
    await steps.attribute(chair, "trouble", "data-count", "0")
    await expect(notice).to_have_count(0)
    await steps.sees_and_hears(member)
    await steps.sees_and_hears(chair)


async def test_a_link_that_its_device_has_measured_as_weak_begins_low_and_is_found_to_be_wide(hall: Hall) -> None:
    """The check-in page suggests a step, the room begins without pictures and rises; the chair's never fell."""
    chair, member = hall.chair, hall.member
    for person in (chair, member):
        await person.context.add_init_script(_RECORD_STEPS)
    await member.context.add_init_script(_MEASURED_WEAK)
    await steps.check_in(hall.assembly, chair, media=True)
    await hall.assembly.open_page(member, "/check-in")
    await expect(by(member.page, "link-hint")).to_contain_text("Sound and documents", timeout=steps.SLOW_MS)
    await steps.check_in(hall.assembly, member, media=True)

    async def began_low() -> bool:
        return "2" in await member.page.evaluate("window.__steps")

    await until(began_low, "the room begins without pictures", deadline_s=RISE_S)
    await reaches(member, range(3, 5), 3 * RISE_S)
    await steps.sees_and_hears(member)
    assert "2" not in await chair.page.evaluate("window.__steps"), "control: the same link, not measured"


async def test_the_switch_works_before_joining_and_live_and_is_remembered(hall: Hall) -> None:
    """Text only: no connection for media is made, and hands go up; each further step brings what it names."""
    chair, member = hall.chair, hall.member
    await steps.check_in(hall.assembly, chair, media=True)
    await hall.assembly.open_page(member, "/check-in")
    await steps.click(member, "link-choice-open")
    await by(member.page, "link-step-0").check()
    await steps.look(member, "ladder-check-in")
    await steps.check_in(hall.assembly, member, media=True)
    await steps.attribute(member, "room", "data-media", "text")
    await steps.attribute(member, "link-meter", "data-step", "0")
    await steps.click(member, "hand-toggle")
    await steps.attribute(member, "hand-toggle", "aria-pressed", "true")
    await steps.click(chair, "panel-chair")
    await expect(by(chair.page, "in-trouble").first).to_contain_text("Reads along only", timeout=steps.SLOW_MS)
    assert await member.page.evaluate("(window.__peers ?? []).length") == 0, "not one was ever made"
    await steps.look(member, "ladder-text")
    await member.page.reload()
    await steps.attribute(member, "room", "data-media", "text")
    assert await member.page.evaluate("(window.__peers ?? []).length") == 0

    await choose(member, 1)
    await steps.attribute(member, "room", "data-media", "joined")
    await steps.attribute(chair, "trouble", "data-count", "0")

    async def hears() -> bool:
        return await grows(member, "audio") > 500

    await until(hears, "sound comes", deadline_s=40)
    assert await received(member, "video") == 0
    await choose(member, 4)
    await steps.sees_and_hears(member)
    beneath = await member.page.evaluate(_BENEATH)
    assert 1 <= len(beneath) <= 2, f"a picture without a frame lets the initials be seen, not {beneath}"

    async def full() -> bool:
        return (await member.media()).tallest_received > 180

    await until(full, "the larger layers come", deadline_s=40)
    await choose(member, 3)

    async def small() -> bool:
        return 0 < (await member.media()).tallest_received <= 180

    await until(small, "the smallest layer comes", deadline_s=40)
    await steps.sees_and_hears(member)
    await choose(member, 2)
    await asyncio.sleep(1)
    assert await grows(member, "video", 2.0) == 0, "a second after the switch not one byte of a picture arrives"
    assert await grows(member, "audio", 2.0) > 1_000
    await choose(member, 0)
    await until(lambda: _none_open(member), "every connection is closed")


async def _none_open(person: Person) -> bool:
    return await open_peers(person) == 0


async def test_a_member_who_is_heard_badly_sees_it_and_so_does_the_chair(hall: Hall) -> None:
    """A healthy way up says nothing; with every fifth packet lost on it the member and the chair read so in words."""
    chair, member = hall.chair, hall.member
    await steps.check_in(hall.assembly, chair, media=True)
    await steps.check_in(hall.assembly, member, media=True)
    await steps.sees_and_hears(member)
    await steps.sees_and_hears(chair)
    await steps.click(chair, "panel-chair")
    await asyncio.sleep(6)
    await expect(by(chair.page, "sends-badly")).to_have_count(0)
    await expect(by(member.page, "link-notice-sending")).to_have_count(0)
    hall.link.up.loss = 0.2
    said = by(member.page, "link-notice-sending")
    await expect(said).to_contain_text("Others hear you badly", timeout=steps.SLOW_MS)
    await steps.attribute(member, "link-meter", "data-level", "poor")
    await expect(by(chair.page, "sends-badly")).to_have_count(1, timeout=steps.SLOW_MS)
    await expect(by(chair.page, "sends-badly")).to_contain_text("Is heard badly")
    await expect(by(chair.page, "link-notice-sending")).to_have_count(0)
    await steps.look(member, "uplink-bad")
    await by(chair.page, "trouble").scroll_into_view_if_needed()
    await steps.look(chair, "uplink-chair")
    await steps.click(member, "link-notice-open")
    await expect(by(member.page, "sending-words")).to_contain_text("Others hear you badly")
    await expect(by(member.page, "link-words")).to_contain_text("Turn your camera off")
    await steps.look(member, "uplink-card")
    await steps.click(member, "link-close")
    hall.link.up.loss = 0.0
    await expect(by(member.page, "link-notice-sending")).to_have_count(0, timeout=steps.SLOW_MS)
    await expect(by(chair.page, "sends-badly")).to_have_count(0, timeout=steps.SLOW_MS)


async def test_a_broken_live_connection_and_a_cut_way_keep_the_same_transports(hall: Hall) -> None:
    """The page finds another way by itself and takes its room up again: no peer connection is made anew."""
    chair, member = hall.chair, hall.member
    for person in (chair, member):
        await steps.check_in(hall.assembly, person, media=True)
    await steps.sees_and_hears(member)
    await steps.sees_and_hears(chair)
    theirs = member.page.locator("video:not(.mirrored)")
    await expect(theirs).to_have_count(1)
    made, opened = await member.page.evaluate("window.__peers.length"), await open_peers(member)
    hall.link.up.loss = hall.link.down.loss = 1.0
    await until(lambda: _silent(member), "nothing comes any more", deadline_s=60)
    await member.context.route("**/socket-ticket", lambda route: route.abort())
    await member.page.evaluate("window.__sockets.forEach((socket) => socket.close())")
    await steps.attribute(member, "link-meter", "data-level", "lost")
    await steps.click(chair, "cam-toggle")
    await steps.attribute(chair, "cam-toggle", "aria-pressed", "false")
    await expect(theirs).to_have_count(1)
    hall.link.up.loss = hall.link.down.loss = 0.0
    await member.context.unroute("**/socket-ticket")
    await expect(by(member.page, "link-meter")).not_to_have_attribute("data-level", "lost", timeout=steps.SLOW_MS)
    await expect(theirs).to_have_count(0)  # closed meanwhile: the page learns it from the list
    await steps.click(chair, "cam-toggle")
    await steps.attribute(chair, "cam-toggle", "aria-pressed", "true")
    # Pictures may be long in coming: the outage looked like a thin link.
    for person in (member, chair):
        await until(partial(_hears, person), f"{person.name} hears", deadline_s=60)
    assert await member.page.evaluate("window.__peers.length") == made
    assert await open_peers(member) == opened > 0


async def _silent(person: Person) -> bool:
    return await grows(person, "audio") == 0


async def _hears(person: Person) -> bool:
    return await grows(person, "audio") > 500
