"""A member copies the support report: server's and browser's figures in one JSON, without addresses."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import expect
from tests.browser import steps
from tests.browser.conftest import NewPerson
from tests.browser.serving import Server
from tests.browser.steps import Assembly, by
from tests.browser.support import Person

ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+:|127\.0\.0\.1|\.local\b|typ host")
KEEP = "void (navigator.clipboard.writeText = (text) => { window.__copied = text; return Promise.resolve(); })"
REFUSE = "void (navigator.clipboard.writeText = () => Promise.reject(new Error('refused')))"


@pytest_asyncio.fixture(loop_scope="session")
async def assembly(demo_server: Server, new_person: NewPerson) -> AsyncIterator[Assembly]:
    gathered = await steps.gather_people(demo_server, new_person, auditor=False)
    await steps.prepare_meeting(gathered)
    yield gathered


async def copied(person: Person) -> dict[str, Any]:
    await person.page.evaluate(KEEP)
    await steps.click(person, "support-report")
    await expect(by(person.page, "support-done")).to_have_attribute("data-done", "copied", timeout=steps.SLOW_MS)
    return dict(json.loads(str(await person.page.evaluate("window.__copied"))))


async def test_a_member_copies_a_report_of_the_own_link(assembly: Assembly) -> None:
    chair, member = assembly.chair, assembly.tellers[0]
    await steps.check_in(assembly, chair, media=True)
    await steps.check_in(assembly, member, media=True)
    await steps.sees_and_hears(member)
    await steps.click(member, "link-meter")
    report = await copied(member)
    server, page = report["server"], report["page"]
    assert (report["format"], report["online"], server["problem"]) == (1, True, None)
    told = {one["direction"]: one for one in server["media"]["transports"]}
    assert set(told) == {"send", "recv"}
    assert all((one["ice"], one["dtls"]) == ("checked", "connected") for one in told.values())
    assert {one["source"] for one in told["send"]["producers"]} == {"microphone", "camera"}
    # What the browser says it received is what the server says it sent.
    pictures = [one for one in page["receive"] if one["type"] == "inbound-rtp" and one.get("kind") == "video"]
    videos = [one for one in told["recv"]["consumers"] if one["kind"] == "video"]
    assert sum(one["packetsReceived"] for one in pictures) > 0
    assert sum(one["packets"] for one in videos) > 0
    assert {"candidate-pair", "outbound-rtp"} <= {one["type"] for one in page["send"]}
    text = json.dumps({**report, "browser": ""})
    assert not ADDRESS.search(text)
    assert chair.name not in text
    # Control: the browser's own statistics do name addresses.
    whole = "(async () => JSON.stringify([...(await window.__peers.at(-1).getStats()).values()]))()"
    assert ADDRESS.search(str(await member.page.evaluate(whole)))
    await member.page.evaluate(REFUSE)
    async with member.page.expect_download() as begun:
        await steps.click(member, "support-report")
    assert json.loads((await (await begun.value).path()).read_text())["format"] == 1
    await steps.look(member, "support-report")
