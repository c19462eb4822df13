"""Papers whose class changes while they are fetched, what their pages say, and how often anybody may ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import pytest
from tests.server.support import House, at_check_in, serve
from tests.server.test_paper_rendering import RICH
from tests.server.test_papers import a_png, bring, fetch
from tests.server.test_review_conduct import guest_of

from folkmoot_server.demo.client import Person
from folkmoot_server.storage.paper_files import PaperFiles
from folkmoot_server.web import limits
from folkmoot_server.web.limits import ADDRESS_READS_MAX, READS_WINDOW_S, SESSION_READS_MAX, SignInLimits

FETCHED: Final = ("/file", "/pages/1", "/pages/1/text")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """An opened meeting with a guest, Gwen."""
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "karin", "binh") as running:
        await running.check_in("lan", "binh")
        await running.command("lan", "open")
        running.people["gwen"] = await guest_of(running)
        yield running


class Meanwhile:
    """Lets something happen when a file of a paper is open and nothing of it was given out yet."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paper = ""
        self.happens = ""
        self.happened = 0
        self._house, self._loop, self._open = house, asyncio.get_running_loop(), PaperFiles.open
        meanwhile = self

        def opening(files: PaperFiles, sha256: str) -> BinaryIO:
            file = meanwhile._open(files, sha256)
            if meanwhile.happens:  # the reader's thread waits until the change is committed
                asyncio.run_coroutine_threadsafe(meanwhile.change(), meanwhile._loop).result(60)
            return file

        monkeypatch.setattr(PaperFiles, "open", opening)

    async def change(self) -> None:
        wanted, self.happens = self.happens, ""
        self.happened += 1
        await self.put(wanted)

    async def put(self, wanted: str) -> None:
        body = {"class": wanted, "item": "", "name": "Plan.pdf"}
        await self._house.jonas.post(self._house.path(f"/papers/{self.paper}"), body)


async def test_a_paper_that_changes_its_class_meanwhile_is_served_by_the_new_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile = Meanwhile(house, monkeypatch)
    meanwhile.paper = await bring(house, "Plan.pdf", RICH, "open")
    cases = (
        ("gwen", "open", "members", 404),
        ("gwen", "open", "restricted", 404),
        ("binh", "members", "restricted", 404),
        ("binh", "open", "restricted", 404),
        ("binh", "open", "members", 200),
        ("lan", "members", "restricted", 200),
    )
    for rest in FETCHED:
        path = house.path(f"/papers/{meanwhile.paper}/1{rest}")
        for name, before, after, status in cases:
            await meanwhile.put(before)
            control = await fetch(house.people[name], path)
            assert control[0] == 200, (name, before)
            meanwhile.happens = after
            found, body, headers = await fetch(house.people[name], path)
            assert (found, meanwhile.happens) == (status, ""), (rest, name, before, after)
            assert (body == control[1]) is (status == 200)
            if status == 404:
                assert b"paper.unknown" in body
            elif after == "restricted":
                assert headers["Cache-Control"] == "no-store"
    assert meanwhile.happened == len(FETCHED) * len(cases)
    reads = (await house.jonas.get(house.path(f"/papers/{meanwhile.paper}/reads")))["reads"]
    assert [one["name"] for one in reads] == ["Lan Nguyen"]  # what became restricted in between was noted


async def test_a_paper_that_was_removed_meanwhile_is_gone(house: House) -> None:
    paper = await bring(house, "Plan.pdf", RICH, "open")
    path = house.path(f"/papers/{paper}/1/pages/1")
    assert (await fetch(house.binh, path))[0] == 200
    folder = house.settings.data / "papers"
    files = await asyncio.to_thread(lambda: list(folder.iterdir()))
    assert len(files) == 3  # the paper, its page and what that says
    await house.jonas.post(house.path(f"/papers/{paper}/remove"))
    assert (await fetch(house.binh, path))[0] == 404
    assert await asyncio.to_thread(lambda: list(folder.iterdir())) == []


async def test_what_a_page_says_is_for_who_may_see_the_page(house: House) -> None:
    plan = await bring(house, "Plan.pdf", RICH, "members")
    photo = await bring(house, "Photo.png", a_png(), "open")
    text = await bring(house, "Rules.txt", b"First rule.\n", "open")

    async def says(person: Person, paper: str, page: int = 1) -> tuple[int, str, dict[str, str]]:
        status, body, headers = await fetch(person, house.path(f"/papers/{paper}/1/pages/{page}/text"))
        return status, body.decode(), headers

    status, words, headers = await says(house.binh, plan)
    assert (status, words) == (200, "Budget of the year")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "immutable" in headers["Cache-Control"]
    gwen = house.people["gwen"]
    assert (await says(gwen, plan))[0] == 404
    assert (await says(gwen, photo))[:2] == (200, "")
    assert (await says(gwen, text))[1].strip() == "First rule."
    assert (await says(house.binh, plan, 2))[0] == 404
    assert (await says(house.stranger(), plan))[0] == 401
    hidden = await bring(house, "Secret.pdf", RICH, "restricted")
    assert (await says(house.binh, hidden))[0] == 404
    status, words, headers = await says(house.lan, hidden)
    assert (status, words, headers["Cache-Control"]) == (200, "Budget of the year", "no-store")
    reads = (await house.jonas.get(house.path(f"/papers/{hidden}/reads")))["reads"]
    assert [one["name"] for one in reads] == ["Lan Nguyen"]


async def test_a_session_asks_twelve_hundred_times_a_minute(house: House) -> None:
    async def ask(person: Person, times: int) -> list[int]:
        return [(await fetch(person, "/api/session"))[0] for _ in range(times)]

    counts: dict[int, int] = {}
    for status in await ask(house.binh, SESSION_READS_MAX + 3):
        counts[status] = counts.get(status, 0) + 1
    assert counts[429] >= 3
    assert counts[200] >= SESSION_READS_MAX - 100  # the fixture has asked for some
    status, body, headers = await fetch(house.binh, house.path("/papers"))
    assert (status, b"request.too-many" in body) == (429, True)
    assert 1 <= int(headers["Retry-After"]) <= READS_WINDOW_S
    assert await ask(house.lan, 1) == [200]
    assert await ask(house.people["gwen"], 1) == [200]
    assert (await fetch(house.binh, "/"))[0] != 429  # pages and their parts are not counted
    house.clock.at += int(headers["Retry-After"])
    assert await ask(house.binh, 1) == [200]


async def test_an_address_without_a_session_has_a_limit_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (SESSION_READS_MAX, ADDRESS_READS_MAX, READS_WINDOW_S) == (1200, 12_000, 60)
    monkeypatch.setattr(limits, "ADDRESS_READS_MAX", 50)
    async with serve(tmp_path) as house:
        await house.enrol("lan")
        answers = [(await fetch(house.stranger(), "/api/info"))[0] for _ in range(60)]
        assert answers.count(429) >= 10
        assert answers[0] == 200
        assert (await fetch(house.lan, "/api/session"))[0] == 200
        house.clock.at += READS_WINDOW_S
        assert (await fetch(house.stranger(), "/api/info"))[0] == 200


def test_reading_takes_nothing_from_what_changes() -> None:
    counted: Any = SignInLimits()
    for _ in range(SESSION_READS_MAX):
        counted.count_read("s", "192.0.2.1", 0)
    counted.count_member("s", 0)
    counted.count_read("t", "192.0.2.1", 0)
    counted.count_read("", "192.0.2.1", 0)
    with pytest.raises(limits.TooMany) as refused:
        counted.count_read("s", "192.0.2.1", 59)
    assert refused.value.retry_after_s == 1
    counted.count_read("s", "192.0.2.1", 60)
