"""The pages of a hall ask for the meeting after the same event, and the hub is asked once for all of them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.relay import rig as rigs
from tests.relay.rig import Phone, Rig, open_vote, rig, until
from tests.relay.test_relay_papers import bring

from folkmoot_server.demo.wire import PIECE, Wire
from folkmoot_server.storage import sessions

pytestmark = pytest.mark.timeout(400)  # processes and passkeys, on a slow machine
TOGETHER = "POST /api/relay/snapshots"
READERS = "/api/relay/readers"
HERE = ("binh", "greta", "mai")


class Tapped(Wire):
    """A line that notes what is asked over it."""

    def __init__(self, target: int = 0) -> None:
        super().__init__(target)
        self.asked: list[str] = []

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: int) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                if not counted:
                    self.asked += [line.decode() for line in re.findall(rb"(?m)^(?:GET|HEAD|POST) \S+", piece)]
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def tapped(target: int = 0) -> AsyncIterator[Wire]:
    made = Tapped(target)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def followed(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Rig, Tapped]]:
    """A hall of three pages that follow the meeting, and what their relay asks the hub."""
    patch.setattr(rigs, "wire", tapped)
    async with rig(folder) as made:
        assert isinstance(made.link, Tapped)
        for name in HERE:
            phone = made.phones[name]
            line = await phone.follow(made.hall.meeting, int((await phone.get(made.path()))["seq"]))
            assert "ok" in await line.call("lease", {})
        for name in HERE:  # their check-ins are so recent that the hub is asked for each of them
            await until(lambda name=name: served(made, name), f"the meeting of {name} from the relay")
        yield made, made.link


async def served(made: Rig, name: str) -> bool:
    """Say whether a page gets the meeting without its own request going to the hub."""
    assert isinstance(made.link, Tapped)
    made.link.asked.clear()
    await made.phones[name].get(made.path())
    return alone(made) not in made.link.asked


def alone(made: Rig) -> str:
    return f"GET {made.path()}"


async def heard(phone: Phone, kind: str) -> None:
    async def there() -> bool:
        return any(one["type"] == kind for one in phone.heard)

    await until(there, f"{kind} on a phone")


async def news(made: Rig) -> None:
    """Let something happen of which no event says all."""
    await open_vote(made)
    for name in HERE:
        await heard(made.phones[name], "ElectionOpened")


async def test_after_an_event_the_hub_is_asked_once_and_each_page_gets_its_own_meeting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(tmp_path, monkeypatch) as (made, link):
        phones = [made.phones[name] for name in HERE]
        await news(made)

        async def compared() -> bool:
            """Hold what the relay gives against what the hub gives to the same person at its own address."""
            link.asked.clear()
            given = await asyncio.gather(*(phone.get(made.path()) for phone in phones))
            asked = [line for line in link.asked if line in (TOGETHER, alone(made))]
            wanted = [await phone.person.get(made.path()) for phone in phones]
            if {one["seq"] for one in (*given, *wanted)} != {wanted[0]["seq"]}:
                return False  # something happened meanwhile
            assert given == wanted
            assert asked in ([TOGETHER], [])  # [] of what the hub has given just before
            return True

        await until(compared, "a moment in which nothing happens")
        mine = [(await phone.get(made.path()))["me"]["member"] for phone in phones]
        assert mine == [phone.member for phone in phones]
        votes = [(await phone.get(made.path()))["elections"][-1]["me"]["lineage"] for phone in phones]
        assert len(set(votes)) == 3
        # What they were given is kept for the cut, for each their own.
        made.link.drop()
        await made.until_cut(phones[0])
        assert [(await phone.get(made.path()))["me"]["credential"] for phone in phones] == votes


async def test_who_follows_nothing_or_has_just_changed_something_is_asked_for_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(tmp_path, monkeypatch) as (made, link):
        greta, mai, otto = made.phones["greta"], made.phones["mai"], made.phones["otto"]
        await otto.sign_in()
        await news(made)
        link.asked.clear()
        assert (await otto.get(made.path()))["me"]["member"] == otto.member
        assert [line for line in link.asked if line in (TOGETHER, alone(made))] == [alone(made)]
        await greta.post(made.path("/commands"), {"command": "raise-hand"})
        link.asked.clear()
        await greta.get(made.path())
        assert [line for line in link.asked if line in (TOGETHER, alone(made))] == [alone(made)]
        link.asked.clear()
        await mai.get(made.path())
        assert alone(made) not in link.asked  # the control


async def test_a_session_that_has_ended_at_the_hub_gets_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(tmp_path, monkeypatch) as (made, link):
        greta, mai = made.phones["greta"], made.phones["mai"]
        await made.hall.database.write(lambda tx: sessions.end_of_member(tx, greta.member))
        await news(made)
        assert (await greta.ask("GET", made.path()))[0] == 401
        link.asked.clear()
        assert (await mai.get(made.path()))["me"]["member"] == mai.member
        assert alone(made) not in link.asked


async def test_when_a_page_is_turned_the_hub_is_asked_once_who_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(tmp_path, monkeypatch) as (made, link):
        phones, text = [made.phones[name] for name in HERE], b"We build a hall."
        paper = (await bring(made, "hall.txt", text, "members"))["paper"]
        page = made.path(f"/papers/{paper}/1/pages/1")

        async def turned() -> bool:
            """Everybody fetches the page; once it is on the relay's disk, no bytes of it cross the line."""
            link.asked.clear()
            answers = await asyncio.gather(*(phone.fetch(page) for phone in phones))
            assert [(status, data.strip()) for status, data, _ in answers] == [(200, text)] * len(phones)
            asked = [line for line in link.asked if line.endswith((page, READERS))]
            return asked == [f"POST {READERS}"]

        await until(turned, "the page from the relay's disk")
        link.asked.clear()
        await phones[0].fetch(page)
        assert not [line for line in link.asked if line.endswith((page, READERS))]  # vouched for
        # The chair's order ends the socket of Mai, who follows nothing here then and is asked about alone.
        await made.hall.chair.post(made.path("/commands"), {"command": "remove", "member": phones[2].member})
        await heard(phones[0], "MemberRemoved")

        async def alone_asked() -> bool:
            link.asked.clear()
            return (await phones[2].fetch(page))[0] == 200 and f"HEAD {page}" in link.asked

        await until(alone_asked, "the end of the socket")
        link.asked.clear()
        assert [(await phone.fetch(page))[0] for phone in phones[:2]] == [200, 200]
        assert [line for line in link.asked if line.endswith((page, READERS))] == [f"POST {READERS}"]


async def test_in_a_closed_session_every_page_is_asked_for_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with followed(tmp_path, monkeypatch) as (made, link):
        greta = made.phones["greta"]
        await greta.get(made.path())
        body: dict[str, Any] = {"command": "begin-closed-session", "reason": "A dismissal", "sites": [made.site]}
        await made.hall.chair.post(made.path("/commands"), {**body, "visitors": []})
        await heard(greta, "ClosedSessionBegan")
        link.asked.clear()
        view = await greta.get(made.path())
        assert (view["closed_session"]["reason"], view["me"]["member"]) == ("A dismissal", greta.member)
        assert [line for line in link.asked if line in (TOGETHER, alone(made))] == [alone(made)]
        assert json.dumps(view).count("A dismissal") >= 1
