"""Meetings over HTTP, and the table of states against all commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.server.common import START, refusal
from tests.server.support import House, serve

from folkmoot_server.demo import votes
from folkmoot_server.domain import agenda
from folkmoot_server.domain.agenda import Item, ItemState
from folkmoot_server.domain.elections import Phase
from folkmoot_server.domain.errors import NotFound, WrongState
from folkmoot_server.domain.meetings import NEXT, Act, State, advance
from folkmoot_server.domain.quorum import Quorum
from folkmoot_server.storage import schema
from folkmoot_voting.questions import yes_no_abstain


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with serve(tmp_path) as running:
        yield running


MOVES = {
    "draft": {"convene": "convened", "cancel": "cancelled"},
    "convened": {"begin-check-in": "checking-in", "cancel": "cancelled"},
    "checking-in": {"open": "opened", "adjourn": "adjourned"},
    "opened": {"recess": "recess", "lose-quorum": "quorum-lost", "adjourn": "adjourned", "close": "closed"},
    "quorum-lost": {"regain-quorum": "opened", "recess": "recess", "adjourn": "adjourned", "close": "closed"},
    "recess": {"resume": "opened", "adjourn": "adjourned", "close": "closed"},
    "adjourned": {"begin-check-in": "checking-in", "close": "closed"},
    "closed": {},
    "cancelled": {},
}
ROOM = {
    *("check-in", "leave", "make-key", "set-floor-mode", "lower-hand", "withdraw-floor"),
    *("mute", "unmute", "mute-all", "remove", "readmit"),
}
TALK = {"raise-hand", "grant-floor"}
CHAIR = {"change-chair", "close-election", "abort-election", "set-vote-timer"}
ITEMS = {"start-item", "defer-item"}
WRITE = {"edit-agenda", "write-question"}
CALLED = {"confirm-receipt", "excuse"} | WRITE
BEFORE = {"waive-notice", "reschedule", "freeze-roll"}
STAYS = {
    "draft": BEFORE | WRITE,
    "convened": BEFORE | CALLED,
    "checking-in": CALLED | ROOM | TALK,
    "opened": CALLED | ROOM | TALK | CHAIR | ITEMS | {"open-election"},
    "quorum-lost": CALLED | ROOM | TALK | CHAIR | ITEMS,
    "recess": CALLED | ROOM | CHAIR,
    "adjourned": CALLED | {"abort-election"},
    "closed": set(),
    "cancelled": set(),
}


# The acts of the speakers' queue, of motions and of messages have tests of their own.
OURS = [act for act in Act if any(act.value in kinds for table in (MOVES, STAYS) for kinds in table.values())]


def test_every_state_meets_every_act() -> None:
    refused = 0
    for state in State:
        for act in OURS:
            if act.value in MOVES[state.value]:
                assert advance(state, act).value == MOVES[state.value][act.value]
            elif act.value in STAYS[state.value]:
                assert advance(state, act) is state
            else:
                refused += 1
                with pytest.raises(WrongState):
                    advance(state, act)
    assert refused > 150
    assert set(MOVES) == set(STAYS) == {state.value for state in State}


def test_every_act_is_possible_somewhere_and_nothing_follows_the_end() -> None:
    assert {act for _, act in NEXT} == set(Act)
    assert not [pair for pair in NEXT if pair[0] in (State.CLOSED, State.CANCELLED)]
    # From everywhere a meeting can come to an end.
    ending = {State.CLOSED, State.CANCELLED}
    for _ in State:
        ending |= {state for (state, _), after in NEXT.items() if after in ending}
    assert ending == set(State)


def test_agenda_items_take_turns() -> None:
    items = [Item("a", "A", ItemState.WAITING), Item("b", "B", ItemState.WAITING)]
    first = agenda.start(items, "a")
    second = agenda.start(first, "b")
    assert [item.state for item in second] == [ItemState.DONE, ItemState.CURRENT]
    assert [item.state for item in agenda.start(second, "a")] == [ItemState.CURRENT, ItemState.DONE]
    assert [item.state for item in agenda.finish(second)] == [ItemState.DONE, ItemState.DONE]
    with pytest.raises(WrongState):
        agenda.start(first, "a")
    with pytest.raises(NotFound):
        agenda.start(items, "c")


@pytest.mark.parametrize(
    ("num", "den", "present", "roll", "needed", "met"),
    [
        (1, 2, 2, 5, 3, False),
        (1, 2, 3, 5, 3, True),
        (1, 2, 2, 4, 2, True),
        (2, 3, 6, 10, 7, False),
        (2, 3, 7, 10, 7, True),
        (0, 1, 0, 5, 0, True),
        (0, 1, 0, 0, 0, False),
        (1, 1, 4, 5, 5, False),
        (333_333, 10**6, 1, 3, 1, True),
    ],
)
def test_quorum_is_exact(num: int, den: int, present: int, roll: int, needed: int, met: bool) -> None:
    figures = Quorum(num, den, present, roll)
    assert (figures.needed, figures.met) == (needed, met)


async def test_a_meeting_goes_from_draft_to_close(house: House) -> None:
    await house.enrol()
    await house.confirm()
    await house.draft()
    drafted = await house.view("jonas")
    assert drafted["state"] == "draft"
    assert drafted["quorum"] == {"num": 1, "den": 2, "present": 0, "roll": 0, "needed": 0, "met": False}
    assert drafted["roll"]["frozen"] is False
    assert drafted["seq"] == 1
    assert await house.command("jonas", "convene") == 2
    assert await house.refused("lan", "begin-check-in") == "roll.not-frozen"
    await votes.freeze_roll(house.jonas, house.meeting)
    await house.command("lan", "begin-check-in")
    await house.check_in("lan", "ana", "paul", "binh")
    await house.command("lan", "open")
    await house.command("lan", "start-item", item=house.items[0])
    house.clock.at += 60
    await house.command("lan", "start-item", item=house.items[1])
    opened = await house.view("binh")
    assert opened["state"] == "opened"
    assert opened["opened_at"] == START
    assert [item["state"] for item in opened["agenda"]] == ["done", "current"]
    assert opened["quorum"] == {"num": 1, "den": 2, "present": 4, "roll": 8, "needed": 4, "met": True}
    assert {one["name"] for one in opened["present"]} == {"Lan Nguyen", "Ana Silva", "Paul Martin", "Binh Tran"}
    lan = next(one for one in opened["present"] if one["name"] == "Lan Nguyen")
    assert lan == {
        "member": house.lan.member,
        "name": "Lan Nguyen",
        "site": "remote",
        "state": "present",
        "hand": None,
        "floor": False,
        "muted": False,
        "roles": ["chair", "member"],
    }
    assert opened["me"]["checked_in"] is True
    assert opened["me"]["roles"] == []
    assert opened["me"]["credential"]
    await house.command("lan", "close")
    closed = await house.view("binh")
    assert closed["state"] == "closed"
    assert closed["closed_at"] == START + 60
    assert closed["present"] == []
    assert [item["state"] for item in closed["agenda"]] == ["done", "done"]
    kinds = [event["type"] for event in await house.events()]
    assert kinds == [
        "MeetingDrafted",
        "MeetingConvened",
        "RollFrozen",
        "CheckInBegan",
        *["MemberCheckedIn"] * 4,
        "QuorumReached",
        "MeetingOpened",
        "ChairTaken",
        *["AgendaItemStarted"] * 2,
        *["MemberDeparted"] * 4,
        "MeetingClosed",
    ]
    assert [event["seq"] for event in await house.events()] == list(range(1, len(kinds) + 1))


async def test_commands_are_refused_in_the_wrong_state_or_role_and_change_nothing(house: House) -> None:
    await house.enrol()
    await house.confirm()
    await house.draft()
    item, ana = house.items[0], house.ana.member
    everything: list[dict[str, Any]] = [
        *[{"command": name} for name in ("open", "close", "raise-hand", "lower-hand", "mute-all", "leave")],
        *[
            {"command": name, "member": ana}
            for name in ("grant-floor", "withdraw-floor", "mute", "unmute", "remove", "readmit")
        ],
        {"command": "start-item", "item": item},
        {"command": "set-floor-mode", "mode": "chaired"},
        {"command": "begin-check-in"},
    ]
    for body in everything:
        assert await house.refused("lan", body["command"], **{k: v for k, v in body.items() if k != "command"}) == (
            "meeting.wrong-state"
        )
    await house.command("lan", "convene")
    assert await house.refused("lan", "convene") == "meeting.wrong-state"
    await votes.freeze_roll(house.jonas, house.meeting)
    await house.command("lan", "begin-check-in")
    await house.check_in("lan", "ana", "jonas")
    await house.command("lan", "open")
    before = await house.view("ana")
    for name in ("ana", "jonas", "karin"):  # a teller, the secretary, an auditor: none of them leads the meeting
        for body in everything:
            if body["command"] in ("raise-hand", "lower-hand", "leave", "begin-check-in"):
                continue
            if name == "ana" and body["command"] == "unmute":
                continue  # one's own
            fields = {k: v for k, v in body.items() if k != "command"}
            assert await house.refused(name, body["command"], **fields) == "role.missing", (name, body)
    assert await house.refused("karin", "raise-hand") == "attendance.not-checked-in"
    assert await house.refused("karin", "leave") == "attendance.not-checked-in"
    assert await house.refused("lan", "grant-floor", member="nobody") == "attendance.not-checked-in"
    assert await house.refused("lan", "grant-floor", member=house.karin.member) == "attendance.not-checked-in"
    assert await house.refused("lan", "start-item", item="nothing") == "agenda.unknown-item"
    assert await house.view("ana") == before


async def test_malformed_commands_and_meetings_are_refused(house: House) -> None:
    await house.enrol("lan", "jonas")
    await house.draft()
    bad: list[Any] = [
        {},
        {"command": "destroy"},
        {"command": "open", "more": 1},
        {"command": "mute"},
        {"command": "mute", "member": 7},
        {"command": "mute", "member": "a b"},
        {"command": "start-item", "item": None},
        {"command": "set-floor-mode", "mode": "loud"},
        ["open"],
    ]
    for body in bad:
        assert await refusal(house.lan, house.path("/commands"), body) == (400, "input.malformed"), body
    good = {
        "title": "t",
        "unit": (await house.lan.get("/api/organisation"))["units"][0]["id"],
        "starts_at": START,
        "time_zone": "Europe/Berlin",
        "agenda": [{"title": "a"}],
        "quorum": {"num": 1, "den": 2},
    }
    changes: list[tuple[dict[str, Any], str]] = [
        ({"title": ""}, "input.malformed"),
        ({"title": "x" * 201}, "input.malformed"),
        ({"unit": "nowhere"}, "unit.unknown"),
        ({"starts_at": "soon"}, "input.malformed"),
        ({"starts_at": -1}, "input.malformed"),
        ({"starts_at": True}, "input.malformed"),
        ({"time_zone": "Mars/Olympus"}, "input.malformed"),
        ({"time_zone": "../../etc/passwd"}, "input.malformed"),
        ({"agenda": []}, "meeting.bad-agenda"),
        ({"agenda": [{"title": "a", "x": 1}]}, "input.malformed"),
        ({"agenda": [{"title": "a"}] * 201}, "input.malformed"),
        ({"quorum": {"num": 3, "den": 2}}, "meeting.bad-quorum"),
        ({"quorum": {"num": 0, "den": 0}}, "input.malformed"),
        ({"quorum": {"num": 0.5, "den": 1}}, "input.malformed"),
        ({"more": 1}, "input.malformed"),
    ]
    before = await house.lan.get("/api/meetings")
    for change, code in changes:
        assert (await refusal(house.lan, "/api/meetings", {**good, **change}))[1] == code, change
    assert await house.lan.get("/api/meetings") == before
    await house.lan.post("/api/meetings", good)  # the control


async def test_meetings_are_seen_by_those_they_are_for(house: House) -> None:
    await house.enrol("lan", "jonas", "binh", "greta")
    units = (await house.lan.get("/api/organisation"))["units"]
    upper = next(unit["id"] for unit in units if unit["name"] == "Upper village")
    branch = await house.draft(unit=upper, title="Upper branch")
    whole = await house.draft()
    for name, expected in (("lan", {branch, whole}), ("binh", {branch, whole}), ("greta", {whole})):
        listed = (await house.people[name].get("/api/meetings"))["meetings"]
        assert {one["id"] for one in listed} == expected, name
    for rest in ("", "/events?after=0", "/attendance"):
        assert await refusal(house.greta, f"/api/meetings/{branch}{rest}", method="GET") == (404, "meeting.unknown")
        await house.binh.get(f"/api/meetings/{branch}{rest}")
    command = {"command": "raise-hand"}
    assert await refusal(house.greta, f"/api/meetings/{branch}/commands", command) == (404, "meeting.unknown")
    assert await refusal(house.greta, "/api/socket-ticket", {"meeting": branch}) == (404, "meeting.unknown")
    assert await refusal(house.lan, "/api/meetings/nothing", method="GET") == (404, "meeting.unknown")
    stranger = house.stranger()
    for path in ("/api/meetings", f"/api/meetings/{branch}", "/api/organisation", "/api/members"):
        assert await refusal(stranger, path, method="GET") == (401, "session.none")
    for path in (
        "/api/meetings",
        f"/api/meetings/{branch}/commands",
        "/api/socket-ticket",
        "/api/nonce",
        "/api/grants",
    ):
        assert await refusal(stranger, path) == (401, "session.none")


async def test_events_are_paged_and_resumable(house: House) -> None:
    await house.enrol("lan", "jonas")
    await house.draft()
    await house.command("jonas", "convene")
    events = (await house.lan.get(house.path("/events?after=1")))["events"]
    assert [event["type"] for event in events] == ["MeetingConvened"]
    assert (await house.lan.get(house.path("/events?after=2")))["events"] == []
    for bad in ("-1", "x", "1.5", "9" * 16, ""):
        assert (await refusal(house.lan, house.path(f"/events?after={bad}"), method="GET"))[1] == "input.malformed"


async def test_a_command_raced_for_happens_once(house: House) -> None:
    await house.enrol("lan", "jonas")
    await house.draft()
    command = {"command": "convene"}
    results = await asyncio.gather(*(refusal(house.lan, house.path("/commands"), command) for _ in range(10)))
    assert sorted(code for _, code in results) == ["accepted", *["meeting.wrong-state"] * 9]
    assert len(await house.events("MeetingConvened")) == 1


async def test_a_meeting_does_not_close_over_a_running_election(house: House) -> None:
    await house.enrol()
    await house.begin()
    await house.command("lan", "open")
    question = {
        "agenda_item": house.items[0],
        "title": "Budget",
        "questions": [yes_no_abstain("Shall the budget be adopted?").to_json()],
        "secrecy": "trustees",
        "voting_again": "once",
        "majority": {"kind": "simple", "of": "cast"},
        "tie": "rejected",
        "closes_after_s": 0,
        "kiosk": False,
    }
    election = (await house.jonas.post(house.path("/questions"), question))["election"]

    async def put(phase: Phase) -> None:
        change = update(schema.election).where(schema.election.c.id == election).values(state=phase.value)
        await house.context.database.write(lambda tx: tx.execute(change) and None)

    for phase in (Phase.OPEN, Phase.CLOSING, Phase.CLOSED, Phase.COUNTING, Phase.COUNTED):
        await put(phase)
        assert await house.refused("lan", "close") == "meeting.election-running", phase
    assert (await house.view("lan"))["state"] == "opened"
    await put(Phase.DRAFT)
    await house.command("lan", "close")  # the control: a question that was never put hinders nobody
