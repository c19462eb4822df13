"""The snapshot's shared part is drawn once for everybody, and never shows what is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from tests.server import votes_support as support
from tests.server.votes_support import YES, Hall

from folkmoot_server.commands import visitors
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.domain.roles import Grant, Role
from folkmoot_server.queries.meetings import PICTURE_S, Picture
from folkmoot_server.storage import members, sessions
from folkmoot_server.storage.database import Database
from folkmoot_server.web.pictures import MEETINGS_MAX, Pictures

# The session, the meeting, whether it is in closed session, the right to read it, and what is the member's own.
SNAPSHOT_STATEMENTS = 16


class Checked(Pictures):
    """Draws a fresh picture beside each one handed out, in the same transaction, and keeps the differences."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.wrong: list[tuple[str, str]] = []

    def of(self, meeting: Meeting, version: int, now: int, draw: Callable[[], Picture]) -> Picture:
        given, fresh = super().of(meeting, version, now, draw), draw()
        self.asked += 1
        if replace(given, until=0) != replace(fresh, until=0):
            self.wrong.append((given.text, fresh.text))
        return given


def watch(hall: Hall, monkeypatch: pytest.MonkeyPatch, pictures: Checked) -> Checked:
    """Let two members fetch the snapshot after every request that may have changed something."""
    object.__setattr__(hall.context, "pictures", pictures)
    raw = Person.raw

    async def watched(person: Person, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        answer = await raw(person, method, path, body)
        if method != "GET" and hall.meeting:
            for reader in (hall.chair, hall.plain):
                assert (await raw(reader, "GET", hall.path("")))[0] == 200
        return answer

    monkeypatch.setattr(Person, "raw", watched)
    return pictures


async def everything(hall: Hall) -> None:
    """A meeting with hands, floor, roles, a vote and its result."""
    ready = await support.prepare(hall)
    await support.check_in(hall, [hall.auditor])
    for person, command in (
        (hall.auditor, "raise-hand"),
        (hall.auditor, "lower-hand"),
        (hall.chair, "mute-all"),
        (hall.auditor, "leave"),
    ):
        await person.post(hall.path("/commands"), {"command": command})
    await support.check_in(hall, [hall.auditor])
    for command in ("grant-floor", "withdraw-floor", "mute", "unmute", "remove", "readmit"):
        await hall.chair.post(hall.path("/commands"), {"command": command, "member": hall.auditor.member})
    await hall.chair.post(hall.path("/commands"), {"command": "start-item", "item": hall.item})
    await hall.chair.post(hall.path("/commands"), {"command": "set-floor-mode", "mode": "chaired"})
    election = await support.draft(hall)
    for excluded, reason in ((True, "is concerned"), (False, "")):
        await hall.chair.post(
            hall.election_path(election, "/exclusions"),
            {"member": hall.tellers[0].member, "excluded": excluded, "reason": reason},
        )
    await support.hold_vote(hall, ready, [YES] * 5)
    await hall.chair.post(hall.path("/commands"), {"command": "close"})


async def test_every_picture_of_a_meeting_is_as_a_fresh_one(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = watch(hall, monkeypatch, Checked())
    await everything(hall)
    assert pictures.wrong == []
    assert pictures.asked > 2 * pictures.drawn - 5  # the second reader has the first one's


@pytest.mark.parametrize("forgotten", ["seq", "version"])
async def test_control_a_picture_that_is_kept_too_long_is_noticed(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    """Planted: the number of the last event, or the version of the store, does not count."""
    pictures = watch(hall, monkeypatch, Checked())
    holds = Pictures._holds

    def forgetful(kept: Any, meeting: Meeting, version: int, now: int) -> bool:
        if forgotten == "seq":
            return holds(kept, replace(meeting, last_seq=kept.seq), kept.version, now)
        return holds(kept, meeting, kept.version, now)

    monkeypatch.setattr(Pictures, "_holds", staticmethod(forgetful))
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    await support.check_in(hall, [hall.auditor])
    await end_a_role(hall)
    assert pictures.wrong


async def end_a_role(hall: Hall) -> None:
    """The auditor, who is present, loses a role: no event of the meeting tells it."""
    listed = {one["id"]: one for one in (await hall.secretary.get("/api/members"))["members"]}
    role = next(one for one in listed[hall.auditor.member]["roles"] if one["role"] == "auditor")
    await hall.secretary.post(f"/api/grants/{role['id']}/end")


async def roles(hall: Hall) -> list[str]:
    present = (await hall.view(hall.chair))["present"]
    return list(next(one["roles"] for one in present if one["member"] == hall.auditor.member))


async def test_a_role_that_ends_without_an_event_is_gone_at_once(hall: Hall) -> None:
    await support.prepare(hall)
    await support.check_in(hall, [hall.auditor])
    assert await roles(hall) == ["auditor", "member"]
    await end_a_role(hall)
    assert await roles(hall) == ["member"]


async def test_a_role_that_runs_out_is_gone_when_its_time_comes(hall: Hall) -> None:
    await support.prepare(hall)
    await support.check_in(hall, [hall.auditor])
    units = (await hall.secretary.get("/api/organisation"))["units"]
    ends = hall.clock.at + PICTURE_S - 2
    passing = Grant("passing", hall.auditor.member, Role.TELLER, units[0]["id"], hall.clock.at - 1, ends)
    await hall.database.write(lambda tx: members.add_grant(tx, passing, hall.secretary.member))
    assert await roles(hall) == ["auditor", "member", "teller"]
    drawn = hall.context.pictures.drawn
    hall.clock.at = ends - 1
    assert "teller" in await roles(hall)
    assert hall.context.pictures.drawn == drawn
    hall.clock.at = ends
    assert "teller" not in await roles(hall)


async def test_a_hundred_readers_and_renewed_sessions_need_one_picture(hall: Hall) -> None:
    await support.prepare(hall)
    await hall.view(hall.chair)
    drawn = hall.context.pictures.drawn
    await asyncio.gather(*(hall.view(person) for person in hall.people * 14))
    await hall.database.write(lambda tx: sessions.touch(tx, [bytes(32)], hall.clock.at))
    await hall.view(hall.plain)
    assert hall.context.pictures.drawn == drawn
    await hall.chair.post(hall.path("/commands"), {"command": "raise-hand"})
    await hall.view(hall.plain)
    assert hall.context.pictures.drawn == drawn + 1


async def test_a_snapshot_asks_the_store_for_little_beside_the_picture(hall: Hall) -> None:
    await support.prepare(hall)
    statements: list[str] = []
    event.listen(hall.database._read_engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    async def asked(person: Person, prepared: bool) -> int:
        tries = []
        for _ in range(5):
            if not prepared:
                object.__setattr__(hall.context, "pictures", Pictures())
            statements.clear()
            await hall.view(person)
            tries.append(len(statements))
        return min(tries)  # the server's own clocks read now and then

    assert await asked(hall.plain, prepared=True) <= SNAPSHOT_STATEMENTS
    assert await asked(hall.plain, prepared=False) > 2 * SNAPSHOT_STATEMENTS  # control: the picture is drawn anew


async def test_a_visitor_who_is_still_there_changes_no_picture_and_one_who_goes_does(hall: Hall) -> None:
    await support.prepare(hall)
    link = await hall.secretary.post(hall.path("/guest-links"), {"name": "Press"})
    async with Person(hall.settings.public_url, "Gwen") as guest:
        token = str(link["url"]).split("#")[1]
        visitor = (await guest.post("/api/guests/enter", {"token": token, "name": "Gwen"}))["guest"]
        await hall.chair.post(hall.path(f"/lobby/{visitor}"), {"act": "admit"})
        assert (await guest.get(hall.path("")))["me"]["visitor"] == "admitted"
        drawn = hall.context.pictures.drawn
        await hall.database.write(lambda tx: visitors.renew(tx, hall.meeting, visitor, hall.clock.at))
        assert [one["name"] for one in (await hall.view(hall.plain))["visitors"]] == ["Gwen"]
        assert hall.context.pictures.drawn == drawn
        await hall.chair.post(hall.path(f"/lobby/{visitor}"), {"act": "remove"})
        assert (await hall.view(hall.plain))["visitors"] == []
        assert (await guest.get(hall.path("")))["guest"]["state"] == "removed"


async def test_who_has_drafts_and_duties_sees_them_at_once(hall: Hall) -> None:
    await support.prepare(hall)
    (ana, *_), plain = hall.tellers, hall.plain
    for person in (ana, plain):
        assert (await hall.view(person))["me"]["drafts"] == []
    body = {"item": hall.item, "title": "Roof", "text": "Mend it."}
    motion = (await ana.post(hall.path("/motions"), body))["motion"]
    view = (await hall.view(ana))["me"]
    assert [one["motion"] for one in view["drafts"]] == [motion]
    assert (view["trustee"] > 0, view["cosigner"][:6]) == (True, "teller")
    other = (await hall.view(plain))["me"]
    assert (other["drafts"], other["trustee"], other["cosigner"]) == ([], 0, "")
    await ana.post(hall.path(f"/motions/{motion}/act"), {"act": "withdraw"})
    assert (await hall.view(ana))["me"]["drafts"] == []


async def test_each_member_sees_the_own_part(hall: Hall) -> None:
    ready = await support.prepare(hall)
    await support.hold_vote(hall, ready, [YES] * 4)
    views = [await hall.view(person) for person in (*hall.officers, hall.plain)]
    assert [view["me"]["member"] for view in views] == [one.member for one in (*hall.officers, hall.plain)]
    assert [view["elections"][0]["voted"] for view in views] == [True] * 4 + [False] * 2
    assert [view["me"]["checked_in"] for view in views] == [True] * 5 + [False]
    assert [bool(view["elections"][0]["me"]["lineage"]) for view in views] == [True] * 5 + [False]
    assert len({view["me"]["credential"] for view in views}) == 6
    shared = [{key: view[key] for key in view if key not in ("me", "elections")} for view in views]
    assert shared == [shared[0]] * 6


async def test_few_pictures_are_kept() -> None:
    pictures = Pictures()
    picture: Any = SimpleNamespace(until=10)

    class Row:
        def __init__(self, number: int) -> None:
            self.id, self.last_seq = str(number), 1

    for number in range(3 * MEETINGS_MAX):
        assert pictures.of(Row(number), 1, 5, lambda: picture) is picture  # type: ignore[arg-type]
    assert len(pictures._kept) == MEETINGS_MAX
    before = pictures.drawn
    pictures.of(Row(number), 1, 9, lambda: picture)  # type: ignore[arg-type]
    assert pictures.drawn == before
    for now in (10, 4):  # its time is over, or not come yet: the clock was set
        pictures.of(Row(number), 1, now, lambda: picture)  # type: ignore[arg-type]
    assert pictures.drawn == before + 2


async def test_the_version_counts_commits_that_may_show(hall: Hall) -> None:
    database: Database = hall.database
    before = database.version
    await database.write(lambda tx: sessions.touch(tx, [bytes(32)], hall.clock.at))
    assert database.version == before
    await support.convene(hall)
    assert database.version > before
