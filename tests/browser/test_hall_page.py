"""The page of a hall says whether it keeps the hall connected."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import expect
from tests.browser import serving
from tests.browser.conftest import NewPerson
from tests.browser.steps import attribute, by, look, see
from tests.browser.support import Person
from tests.browser.test_cut import page_of
from tests.relay.rig import Rig, rig
from tests.relay.test_relay_papers import a_picture, bring, cut_within


async def _looks_after(made: Rig, name: str, site: str = "", called: str = "Upper village") -> str:
    """Let somebody look after this site, or a new one; return its id."""
    body = {"name": called, "custodian": made.phones[name].member, "expected": 4, "profile": 0}
    answer = await made.hall.secretary.post(made.path(f"/sites/{site}" if site else "/sites"), body)
    return site or str(answer["site"])


async def test_a_page_whose_lease_is_refused_says_so_until_it_is_not(
    tmp_path: Path, origin: serving.Origin, new_person: NewPerson
) -> None:
    """By way of the relay of another hall nobody keeps their own connected."""
    async with rig(tmp_path, origin.authority) as made:
        other = await _looks_after(made, "otto", called="Lower village")
        await _looks_after(made, "binh", made.site)
        otto, binh = await page_of(made, new_person, "otto"), await page_of(made, new_person, "binh")
        meeting = f"/meetings/{made.hall.meeting}"
        await otto.page.goto(f"{meeting}/hall/{other}")
        await attribute(otto, "hall-refused", "data-code", "site.not-custodian")
        await expect(by(otto.page, "hall-keep-open")).to_have_count(0)
        await look(otto, "hall-refused")
        # Control: at the address of their own hall the same page is heard.
        await binh.page.goto(f"{meeting}/hall/{made.site}")
        await see(binh, "hall-keep-open")
        await expect(by(binh.page, "hall-refused")).to_have_count(0)

        await _looks_after(made, "otto", made.site)
        await otto.page.goto(f"{meeting}/hall/{made.site}")
        await see(otto, "hall-keep-open")


async def test_the_papers_that_are_here_are_counted(
    tmp_path: Path, origin: serving.Origin, new_person: NewPerson
) -> None:
    """The count rises by itself while a paper comes, stays while the line is cut, and waits for what is new."""
    async with rig(tmp_path, origin.authority) as made:
        await _looks_after(made, "binh", made.site)
        binh = await page_of(made, new_person, "binh")
        await binh.page.goto(f"/meetings/{made.hall.meeting}/hall/{made.site}")
        await see(binh, "hall-keep-open")
        await expect(by(binh.page, "hall-papers")).to_have_count(0)  # there are none
        first = await bring(made, "map.png", a_picture(60))
        await _here(binh, 1, 1)
        await look(binh, "hall-papers")
        # Control: a paper of which a third has come does not count.
        second = await bring(made, "plan.png", a_picture(500))
        await cut_within(made, made.phones["greta"], second["versions"][0]["sha256"])
        await _here(binh, 1, 2)
        await look(binh, "hall-papers-cut")
        assert first["versions"][0]["sha256"] in made.relay.papers()
        made.link.restore()
        await _here(binh, 2, 2)


async def _here(person: Person, here: int, of: int) -> None:
    await attribute(person, "hall-papers", "data-of", str(of))
    await attribute(person, "hall-papers", "data-here", str(here))
