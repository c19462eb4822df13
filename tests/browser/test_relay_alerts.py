"""What a hall's relay cannot clear up by itself stands on the chair's page until the chair has seen to it."""

import time
from pathlib import Path

import aiohttp
from playwright.async_api import Browser, expect
from tests import drafts
from tests.browser import serving, votes
from tests.browser.steps import by, look
from tests.browser.support import Person, until
from tests.server.common import refusal
from tests.server.relay_support import Relay

from folkmoot_server.demo.votes import freeze_roll

SETTINGS = {**votes.SETTINGS, "FOLKMOOT_SITE_LOST_S": "12"}
CLOCK_OFF_S = 7200


async def new_relay(hall: votes.Hall, name: str, http: aiohttp.ClientSession) -> tuple[Relay, str]:
    """A hall with a relay that has pages of its own; return it with the hall's id."""
    body = {"name": name, "custodian": "", "expected": 10, "profile": 64}
    site = str((await hall.secretary.post(hall.path("/sites"), body))["site"])
    origin = f"http://{name.partition(' ')[0].lower()}.localhost:1"
    code = await hall.chair.post(hall.path(f"/sites/{site}/relay-code"), {"origin": origin})
    relay = Relay(hall.server.url, http)
    await relay.enrol(code["code"])
    await relay.start(int(time.time()))
    await relay.lease()
    return relay, site


async def shows(chair: Person, kind: str, name: str) -> None:
    """The chair's page shows one alert of this kind, about this hall."""
    alert = chair.page.locator(f'[data-testid="site-alert"][data-kind="{kind}"]')
    await expect(alert).to_have_count(1)
    await expect(alert).to_contain_text(name)


async def test_the_chair_sees_what_a_relay_cannot_clear_up(
    origin: serving.Origin, browser: Browser, tmp_path: Path
) -> None:
    async with (
        votes.served(origin, browser, tmp_path, SETTINGS) as hall,
        aiohttp.ClientSession(connector=serving.connector(origin.authority)) as http,
    ):
        await hall.enrol_everybody()
        hall.meeting = await drafts.meeting(hall.secretary, ("Votes",))
        await hall.secretary.post(hall.path("/commands"), {"command": "convene"})
        upper, site = await new_relay(hall, "Upper village", http)
        lower, _ = await new_relay(hall, "Lower village", http)
        harbour, _ = await new_relay(hall, "Harbour", http)
        await freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        chair = await hall.browser_of("chair-0")
        await hall.check_in_browser(chair)
        await chair.page.goto(f"{hall.server.url}/meetings/{hall.meeting}/room/chair")
        await expect(by(chair.page, "sites-card")).to_be_visible()
        await expect(by(chair.page, "site-alert")).to_have_count(0)

        await _a_code_is_photographed(hall, upper, site)
        await shows(chair, "code-elsewhere", "Upper village")
        await _two_stories(lower)
        await shows(chair, "relay-clock", "Lower village")
        await shows(chair, "relay-forked", "Lower village")
        await _two_computers(harbour, http)
        await shows(chair, "relay-twice", "Harbour")
        await shows(chair, "relay-rewound", "Harbour")
        await by(chair.page, "site-alert").first.scroll_into_view_if_needed()
        await look(chair, "chair-relay-alerts")

        # The chair has asked who it was: that one goes, on every page, and the others stay.
        first = chair.page.locator('[data-testid="site-alert"][data-kind="code-elsewhere"]')
        await first.locator('[data-testid="alert-dismiss"]').click()
        await expect(first).to_have_count(0)
        await expect(by(chair.page, "site-alert")).to_have_count(4)
        alerts = (await hall.secretary.get(hall.path("")))["alerts"]
        assert {one["kind"] for one in alerts} == {"relay-clock", "relay-forked", "relay-twice", "relay-rewound"}


async def _a_code_is_photographed(hall: votes.Hall, relay: Relay, site: str) -> None:
    """Somebody at home uses the code of a hall: refused while its relay is there, let in and told when it is not."""
    at_home, begin = hall.people["Binh"], hall.path("/check-in/begin")

    async def body() -> dict[str, str]:
        return {"site": site, "code": (await hall.chair.get(hall.path(f"/sites/{site}/code")))["code"]}

    await relay.lease()
    assert await refusal(at_home, begin, await body()) == (403, "relay.elsewhere")
    assert (await hall.chair.get(hall.path("")))["alerts"] == []

    async def let_in() -> bool:
        return await refusal(at_home, begin, await body()) == (200, "accepted")

    await until(let_in, "the end of the relay's lease", every_s=1.0)


async def _two_stories(relay: Relay) -> None:
    """The relay's clock is hours late, and it sends another entry under a number that was taken."""
    now = int(time.time())
    await relay.start(now - CLOCK_OFF_S)
    relay.write("here", {"members": []}, now)
    assert (await relay.send())["refused"] == []
    unsigned = {name: value for name, value in relay.log[0].items() if name != "sig"}
    status, answer = await relay.post(relay.signed({**unsigned, "at": now + 5}))
    assert (status, answer["error"]["code"]) == (409, "relay.forked")


async def _two_computers(relay: Relay, http: aiohttp.ClientSession) -> None:
    """Another computer has the relay's key; and the relay knows of more than the server has."""
    copy = Relay(relay.origin, http, relay.seed, relay.id)
    await copy.start(int(time.time()))
    copy.upto = 5
    await copy.start(int(time.time()))
