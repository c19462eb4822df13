"""What guests, and observers who neither vote here nor hold an office, never learn from events and snapshots."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests import drafts
from tests.server.support import House, at_check_in, connect
from tests.server.test_papers import a_png, bring
from tests.server.test_review_conduct import act, guest_of, write

from folkmoot_server.domain.audience import FOR_GUESTS, FOR_MEMBERS, WITHHELD, Audience, project

SPEC: Final = Path(__file__).resolve().parents[2] / "docs" / "spec"
# What guests hear of. The list stands here a second time on purpose.
ALLOWED: Final = frozenset(
    {
        "AgendaItemAdded",
        "AgendaItemChanged",
        "AgendaItemDeferred",
        "AgendaItemMoved",
        "AgendaItemRemoved",
        "AgendaItemStarted",
        "AllMuted",
        "AmendmentSetBack",
        "BallotAccepted",
        "BoardPublished",
        "ChairHandedOver",
        "ChairResumed",
        "ChairTaken",
        "ClosedSessionAdmitted",
        "ClosedSessionBegan",
        "ClosedSessionEnded",
        "DeputyPresides",
        "ElectionAborted",
        "ElectionClosed",
        "ElectionDrafted",
        "ElectionOpened",
        "ElectionVoided",
        "FloorGranted",
        "FloorModeSet",
        "FloorWithdrawn",
        "HandLowered",
        "HandRaised",
        "MeetingAdjourned",
        "MeetingCancelled",
        "MeetingClosed",
        "MeetingContinued",
        "MeetingOpened",
        "MeetingRescheduled",
        "MeetingResumed",
        "MemberAway",
        "MemberCheckedIn",
        "MemberDeparted",
        "MemberMuted",
        "MemberReturned",
        "MessageHidden",
        "MessagePosted",
        "MessageRulesSet",
        "MotionAdmitted",
        "MotionChanged",
        "MotionDecided",
        "MotionPutToVote",
        "MotionReferred",
        "MotionSeconded",
        "MotionSubmitted",
        "MotionWithdrawn",
        "PagePresented",
        "PaperAdded",
        "PaperChanged",
        "PaperRemoved",
        "QueueClosed",
        "QueueOpened",
        "QuorumLost",
        "QuorumReached",
        "RecessBegan",
        "ResolutionAdopted",
        "ResultDeclared",
        "SpeakingRulesSet",
        "TallyComputed",
        "TextAmended",
        "TurnExtended",
        "TurnPaused",
        "TurnResumed",
        "VisitorAdmitted",
        "VisitorLeft",
        "VisitorRemoved",
        "VoteTimerSet",
    }
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """An opened meeting with a guest, Gwen, and an observer, Greta, who is not on the roll."""
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "karin", "binh") as running:
        await running.check_in("lan", "paul", "binh")
        await running.command("lan", "open")
        await running.enrol("greta")
        running.people["gwen"] = await guest_of(running)
        yield running


def every_type() -> set[str]:
    """Every event that the documents list."""
    wire = (SPEC / "wire.md").read_text().split("Types and bodies:", 1)[1].split("\n## ", 1)[0]
    conduct = (SPEC / "conduct.md").read_text().split("beside those of wire.md:", 1)[1].split("\n\n", 1)[0]
    closed = (SPEC / "conduct.md").read_text().split("or null. Events: ", 1)[1].split("\n", 1)[0]
    return set(re.findall(r"([A-Z]\w+)\{", wire + conduct + closed))


def test_every_type_is_withheld_from_guests_that_is_not_listed() -> None:
    kinds = every_type()
    assert len(kinds) > 90
    given = {kind for kind in kinds if project(kind, {"open": True}, Audience.GUESTS)[0] == kind} - {WITHHELD}
    assert given == ALLOWED == FOR_GUESTS
    assert not ALLOWED & {"ElectorExcluded", "ConflictDeclared", "RollFrozen", "KeyGenerated", "MemberExcused"}
    seen = {kind for kind in kinds if project(kind, {"open": True}, Audience.OBSERVERS)[0] == kind}
    assert kinds - seen == {"ElectorExcluded", "ConflictDeclared"} == FOR_MEMBERS
    assert project("MeetingMoved", {"x": 1}, Audience.GUESTS) == (WITHHELD, {})
    for kind in kinds:  # control
        assert project(kind, {"x": 1}, Audience.MEMBERS) == (kind, {"x": 1})


async def conflicts(house: House) -> str:
    """Let Paul declare a conflict and the secretary leave Binh out of a vote; return the motion."""
    motion = await write(house, "lan")
    await act(house, "lan", motion, "submit")
    await house.paul.post(house.path(f"/motions/{motion}/conflict"), {"declared": True})
    election = (await house.jonas.post(house.path("/questions"), drafts.question(house.items[0])))["election"]
    body = {"member": house.binh.member, "excluded": True, "reason": "a cousin"}
    await house.jonas.post(house.path(f"/elections/{election}/exclusions"), body)
    return motion


async def heard_by(house: House, name: str) -> list[dict[str, Any]]:
    """What a person reads, which is what the person's socket hears too."""
    read = (await house.people[name].get(house.path("/events?after=0")))["events"]
    socket = await connect(house, name)
    await socket.until(lambda: len(socket.events) >= len(read))
    shown = [event["body"] for event in socket.events if event["type"] == "PagePresented"]
    for body in shown:  # wire.md: over a socket a page that is shown is open unless the event denies it
        body.setdefault("open", True)
    assert socket.events[: len(read)] == read
    return list(read)


async def test_names_of_conflicts_reach_who_votes_and_nobody_else(house: House) -> None:
    live = {name: await connect(house, name) for name in ("gwen", "greta", "binh")}
    motion = await conflicts(house)
    last = (await house.events())[-1]["seq"]
    for name, told in (("gwen", False), ("greta", False), ("binh", True), ("karin", True), ("jonas", True)):
        events = await heard_by(house, name)
        assert [event["seq"] for event in events] == list(range(events[0]["seq"], last + 1)), name
        assert ({event["type"] for event in events} >= FOR_MEMBERS) is told, name
        assert any(event["type"] == WITHHELD for event in events) is not told, name
        if name == "gwen":
            assert {event["type"] for event in events} <= ALLOWED | {WITHHELD}
        view = await house.view(name)
        assert (view["motions"][0]["conflicts"] == [house.paul.member]) is told, name
        if name != "gwen":
            assert (view["elections"][0]["excluded"] == [house.binh.member]) is told, name
            shown = await house.people[name].get(house.path(f"/motions/{motion}"))
            assert (shown["conflicts"] == [house.paul.member]) is told, name
        assert ("cousin" in json.dumps([events, view])) is False
    for name, socket in live.items():  # those who listened while it happened heard the same
        await socket.until(lambda socket=socket: socket.events and socket.events[-1]["seq"] >= last)
        assert (set(socket.kinds()) >= FOR_MEMBERS) is (name == "binh"), name
        assert (WITHHELD in socket.kinds()) is (name != "binh"), name


async def test_an_open_socket_follows_a_change_of_rights(house: House) -> None:
    socket = await connect(house, "greta")
    wanted = {
        "member": house.greta.member,
        "role": "teller",
        "unit": (await house.lan.get("/api/organisation"))["units"][0]["id"],
        "until": house.clock.at + 10**6,
    }
    await house.lan.act("/api/grants", {"type": "grant-role", **wanted}, **wanted)
    await house.confirm()
    await house.realtime._housekeeping._follow_rights()
    await conflicts(house)
    await socket.until(lambda: "ElectorExcluded" in socket.kinds())
    assert "ConflictDeclared" in socket.kinds()


SOMETHING: Final = {"paper": "", "version": 0, "page": 0, "open": False}
NOTHING: Final = {"paper": "", "version": 0, "page": 0, "open": True}


async def test_a_paper_for_members_that_is_shown_has_neither_name_nor_id_for_others(house: House) -> None:
    paper = await bring(house, "Salaries.png", a_png(), "members")
    page = {"paper": paper, "version": 1, "page": 1}
    await house.lan.post(house.path("/present"), page)
    for name in ("gwen", "greta"):
        events = await heard_by(house, name)
        assert [event["body"] for event in events if event["type"] == "PagePresented"] == [SOMETHING]
        listed = await house.people[name].get(house.path("/papers"))
        assert listed == {"papers": [], "presenting": SOMETHING}
        view = await house.view(name)
        for secret in (paper, "Salaries"):
            assert secret not in json.dumps([events, listed, view])
    assert (await house.binh.get(house.path("/papers")))["presenting"] == {**page, "open": False}  # control
    changed = {"class": "open", "item": "", "name": "Salaries.png"}
    await house.jonas.post(house.path(f"/papers/{paper}"), changed)
    assert (await house.people["gwen"].get(house.path("/papers")))["presenting"] == {**page, "open": True}
    await house.jonas.post(house.path(f"/papers/{paper}"), {**changed, "class": "members"})
    await house.lan.post(house.path("/present"), {"paper": "", "version": 0, "page": 0})
    bodies = [event["body"] for event in await heard_by(house, "gwen") if event["type"] == "PagePresented"]
    assert bodies == [SOMETHING, {**page, "open": True}, SOMETHING, NOTHING]
    assert (await house.people["gwen"].get(house.path("/papers")))["presenting"] is None
