"""The agenda over HTTP: two officers lose nothing, internal items stay internal, templates, series, carrying over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.common import START, refusal
from tests.server.support import House, serve

from folkmoot_server.domain.agenda import ItemState
from folkmoot_voting.questions import yes_no_abstain

W = ItemState.WAITING


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with serve(tmp_path) as running:
        await running.enrol()
        await running.draft(agenda=[{"title": name} for name in ("A", "B", "C")])
        yield running


async def view(house: House, name: str = "jonas") -> list[dict[str, Any]]:
    return list((await house.view(name))["agenda"])


async def shape(house: House, name: str = "jonas") -> list[str]:
    return [f"{item['number']} {item['title']}" for item in await view(house, name)]


async def add(house: House, title: str, *, name: str = "jonas", **fields: Any) -> str:
    body = {"title": title, "parent": "", "after": "", "minutes": 0, "internal": False, **fields}
    return str((await house.people[name].post(house.path("/agenda"), body))["id"])


async def test_officers_write_the_agenda_and_everybody_sees_it(house: House) -> None:
    a, b, c = house.items
    x = await add(house, "X", parent=b, minutes=15)
    y = await add(house, "Y", parent=b, after=x, name="lan")
    assert await shape(house, "binh") == ["1 A", "2 B", "2.1 X", "2.2 Y", "3 C"]
    await house.lan.post(house.path(f"/agenda/{c}/move"), {"parent": "", "after": ""})
    await house.jonas.post(house.path(f"/agenda/{y}/move"), {"parent": "", "after": a})
    assert await shape(house, "binh") == ["1 C", "2 A", "3 Y", "4 B", "4.1 X"]
    body = {"version": 0, "title": "Exit", "minutes": 20, "internal": False}
    assert await house.jonas.post(house.path(f"/agenda/{x}"), body) == {"version": 1}
    assert (await house.lan.raw("POST", house.path(f"/agenda/{x}"), {**body, "title": "Otto"}))[0] == 409
    status, text = await house.lan.raw("POST", house.path(f"/agenda/{x}"), {**body, "title": "Otto"})
    told = json.loads(text)["error"]
    assert (status, told["code"], told["details"]["item"]["title"]) == (409, "agenda.changed", "Exit")
    await house.jonas.post(house.path(f"/agenda/{y}/remove"))
    found = (await view(house, "greta"))[-1]
    assert {name: found[name] for name in ("title", "minutes", "parent", "version", "number", "state")} == {
        "title": "Exit",
        "minutes": 20,
        "parent": b,
        "version": 1,
        "number": "3.1",
        "state": "waiting",
    }
    kinds = [event["type"] for event in await house.events()]
    assert kinds == [
        "MeetingDrafted",
        *["AgendaItemAdded"] * 2,
        *["AgendaItemMoved"] * 2,
        "AgendaItemChanged",
        "AgendaItemRemoved",
    ]
    assert (await house.events("AgendaItemAdded"))[1]["body"] == {
        "item": y,
        "parent": b,
        "after": x,
        "title": "Y",
        "minutes": 0,
        "internal": False,
        "carried_from": "",
    }


async def test_bad_agenda_input_is_refused_and_changes_nothing(house: House) -> None:
    a, b, _ = house.items
    good = {"title": "N", "parent": "", "after": "", "minutes": 0, "internal": False}
    changed = {"version": 0, "title": "N", "minutes": 0, "internal": False}
    attempts: list[tuple[str, str, Any, str]] = [
        ("ana", "/agenda", good, "role.missing"),
        ("jonas", "/agenda", {**good, "title": ""}, "input.malformed"),
        ("jonas", "/agenda", {**good, "title": "x" * 201}, "input.malformed"),
        ("jonas", "/agenda", {**good, "minutes": -1}, "input.malformed"),
        ("jonas", "/agenda", {**good, "minutes": 1441}, "input.malformed"),
        ("jonas", "/agenda", {**good, "more": 1}, "input.malformed"),
        ("jonas", "/agenda", {**good, "parent": "nothing"}, "agenda.unknown-item"),
        ("jonas", "/agenda", {**good, "after": "nothing"}, "agenda.unknown-item"),
        ("jonas", "/agenda", {**good, "parent": a, "after": b}, "agenda.unknown-place"),
        ("ana", f"/agenda/{a}", changed, "role.missing"),
        ("jonas", "/agenda/nothing", changed, "agenda.unknown-item"),
        ("jonas", f"/agenda/{a}", {**changed, "version": 1}, "agenda.changed"),
        ("jonas", f"/agenda/{a}", {**changed, "version": -1}, "input.malformed"),
        ("ana", f"/agenda/{a}/move", {"parent": "", "after": b}, "role.missing"),
        ("jonas", f"/agenda/{a}/move", {"parent": a, "after": ""}, "agenda.cycle"),
        ("jonas", f"/agenda/{a}/move", {"parent": "", "after": "nothing"}, "agenda.unknown-item"),
        ("ana", f"/agenda/{a}/remove", {}, "role.missing"),
        ("jonas", "/agenda/nothing/remove", {}, "agenda.unknown-item"),
        ("jonas", "/agenda/carry", {"from": "nothing"}, "meeting.unknown"),
        ("jonas", "/agenda/carry", {"from": house.meeting}, "agenda.own-items"),
        ("ana", "/series", {"every": "week", "count": 2}, "role.missing"),
        ("jonas", "/series", {"every": "day", "count": 2}, "input.malformed"),
        ("jonas", "/series", {"every": "week", "count": 0}, "input.malformed"),
        ("jonas", "/series", {"every": "week", "count": 53}, "input.malformed"),
    ]
    before = await house.view("jonas"), await house.jonas.get("/api/meetings")
    for name, path, body, code in attempts:
        assert (await refusal(house.people[name], house.path(path), body))[1] == code, (path, body)
    assert (await house.view("jonas"), await house.jonas.get("/api/meetings")) == before


async def test_internal_items_are_for_officers_alone(house: House) -> None:
    b = house.items[1]
    secret = await add(house, "Salaries of the board", after=b, internal=True)
    await add(house, "The chair's own salary", parent=secret)
    await add(house, "Public", after=secret)
    assert await shape(house, "lan") == [
        "1 A",
        "2 B",
        "3 Salaries of the board",
        "3.1 The chair's own salary",
        "4 Public",
        "5 C",
    ]
    assert await shape(house, "binh") == ["1 A", "2 B", "3 Public", "4 C"]
    body = {"version": 0, "title": "Pay of the board", "minutes": 5, "internal": True}
    await house.jonas.post(house.path(f"/agenda/{secret}"), body)
    for path in (house.path(), house.path("/events?after=0")):
        status, text = await house.binh.raw("GET", path)
        assert status == 200
        assert b"alar" not in text
        assert b"Pay of" not in text
    assert [event["body"]["title"] for event in await house.events("AgendaItemAdded")] == ["", "", "Public"]
    # Once it is public its title is told, and is there for all.
    await house.jonas.post(house.path(f"/agenda/{secret}"), {**body, "version": 1, "internal": False})
    assert "3 Pay of the board" in await shape(house, "binh")
    assert (await house.events("AgendaItemChanged"))[-1]["body"]["title"] == "Pay of the board"
    assert (await refusal(house.binh, house.path("/agenda/carry"), {"from": house.meeting}))[1] == "role.missing"


async def test_taking_up_an_internal_item_does_not_say_its_title(house: House) -> None:
    await house.begin()
    await house.command("lan", "open")
    secret = await add(house, "Salaries", internal=True)
    await house.command("lan", "start-item", item=secret)
    await house.command("lan", "defer-item", item=secret)
    await house.command("lan", "start-item", item=house.items[0])
    assert [event["body"] for event in await house.events("AgendaItemStarted")] == [
        {"item": secret, "title": ""},
        {"item": house.items[0], "title": "Budget"},
    ]
    assert (await house.events("AgendaItemDeferred"))[0]["body"] == {"item": secret, "title": ""}
    for path in (house.path(), house.path("/events?after=0")):
        assert b"Salaries" not in (await house.binh.raw("GET", path))[1]
        assert (b"Salaries" in (await house.lan.raw("GET", path))[1]) == (path == house.path())  # the control


async def test_two_officers_at_the_same_moment_lose_nothing(house: House) -> None:
    a, b, c = house.items
    await asyncio.gather(
        *(add(house, f"J{number}", after=a) for number in range(8)),
        *(add(house, f"L{number}", parent=b, name="lan") for number in range(8)),
        house.lan.post(house.path(f"/agenda/{a}/move"), {"parent": "", "after": c}),
        house.jonas.post(house.path(f"/agenda/{b}/move"), {"parent": c, "after": ""}),
    )
    titles = sorted(item["title"] for item in await view(house))
    assert titles == sorted(["A", "B", "C", *(f"{who}{n}" for who in "JL" for n in range(8))])
    numbers = [item["number"] for item in await view(house)]
    assert len(set(numbers)) == len(numbers)


async def test_what_is_in_use_is_not_removed(house: House) -> None:
    a, b, c = house.items
    x = await add(house, "X", parent=b)
    question = {
        "agenda_item": c,
        "title": "Budget",
        "questions": [yes_no_abstain("Yes?").to_json()],
        "secrecy": "open",
        "voting_again": "once",
        "majority": {"kind": "simple", "of": "cast"},
        "tie": "rejected",
        "closes_after_s": 0,
        "kiosk": False,
    }
    status, text = await house.jonas.raw("POST", house.path("/questions"), question)
    assert status == 200, text
    for item in (b, c):
        assert await refusal(house.jonas, house.path(f"/agenda/{item}/remove")) == (409, "agenda.in-use")
    await house.jonas.post(house.path(f"/agenda/{x}/remove"))
    for item in (a, b):
        await house.jonas.post(house.path(f"/agenda/{item}/remove"))  # the control
    assert await shape(house) == ["1 C"]


async def test_the_agenda_is_fixed_when_the_meeting_is_over(house: House) -> None:
    await house.command("jonas", "cancel", reason="no")
    good = {"title": "N", "parent": "", "after": "", "minutes": 0, "internal": False}
    assert await refusal(house.jonas, house.path("/agenda"), good) == (409, "meeting.wrong-state")


async def test_waiting_and_deferred_items_are_carried_over_once(house: House) -> None:
    await house.begin()
    await house.jonas.post(house.path(f"/agenda/{house.items[1]}/move"), {"parent": house.items[0], "after": ""})
    await house.command("lan", "open")
    secret = await add(house, "Secret", internal=True)
    a, b = house.items
    await house.command("lan", "start-item", item=a)
    await house.command("lan", "defer-item", item=b)
    assert await house.refused("lan", "defer-item", item=b) == "agenda.not-open"
    assert (await house.events("AgendaItemDeferred"))[0]["body"] == {"item": b, "title": "Any other business"}
    await house.command("lan", "close")
    old = house.meeting
    await house.draft(title="Next one", agenda=[{"title": "First"}])
    assert await house.jonas.post(house.path("/agenda/carry"), {"from": old}) == {"items": 2}
    assert await house.jonas.post(house.path("/agenda/carry"), {"from": old}) == {"items": 0}
    items = await view(house)
    assert [(one["number"], one["title"], one["internal"]) for one in items] == [
        ("1", "First", False),
        ("2", "Secret", True),
        ("3", "Any other business", False),
    ]
    assert {one["carried_from"] for one in items[1:]} == {"Annual general meeting"}
    assert {one["state"] for one in items} == {"waiting"}
    assert secret not in {one["id"] for one in items}
    told = [event["body"] for event in await house.events("AgendaItemAdded")]
    assert [(one["title"], one["carried_from"]) for one in told] == [
        ("", ""),
        ("Any other business", "Annual general meeting"),
    ]


async def test_templates_belong_to_a_unit_and_those_below(house: House) -> None:
    units = {unit["name"]: unit["id"] for unit in (await house.lan.get("/api/organisation"))["units"]}
    upper = units["Upper village"]
    root = next(iter(units.values()))
    b = house.items[1]
    x = await add(house, "X", parent=b, minutes=5)
    await add(house, "Y", parent=x, internal=True)
    body = {"unit": root, "name": "Every year", "meeting": house.meeting}
    for name, change, code in (
        ("ana", {}, "role.missing"),
        ("jonas", {"unit": "nothing"}, "unit.unknown"),
        ("jonas", {"meeting": "nothing"}, "meeting.unknown"),
        ("jonas", {"name": ""}, "input.malformed"),
    ):
        assert (await refusal(house.people[name], "/api/templates", {**body, **change}))[1] == code
    template = (await house.jonas.post("/api/templates", body))["id"]
    listed = {"templates": [{"id": template, "name": "Every year", "items": 5}]}
    for unit in (root, upper):
        assert await house.lan.get(f"/api/templates?unit={unit}") == listed
    assert (await refusal(house.binh, f"/api/templates?unit={upper}", method="GET"))[1] == "role.missing"
    assert (await refusal(house.lan, "/api/templates", method="GET"))[1] == "input.malformed"
    await house.draft(unit=upper, agenda=[], template=template)
    assert await shape(house) == ["1 A", "2 B", "2.1 X", "2.1.1 Y", "3 C"]
    assert await shape(house, "binh") == ["1 A", "2 B", "2.1 X", "3 C"]
    lower = (await house.jonas.post("/api/templates", {**body, "unit": upper, "name": "Village"}))["id"]
    assert (await house.lan.get(f"/api/templates?unit={root}")) == listed
    with pytest.raises(Exception, match="unknown"):
        await house.draft(agenda=[], template=lower)
    assert (await refusal(house.ana, f"/api/templates/{template}/remove"))[1] == "role.missing"
    await house.jonas.post(f"/api/templates/{template}/remove")
    assert (await refusal(house.jonas, f"/api/templates/{template}/remove"))[1] == "template.unknown"
    assert [one["id"] for one in (await house.lan.get(f"/api/templates?unit={upper}"))["templates"]] == [lower]


async def test_a_series_drafts_meetings_like_the_first(house: House) -> None:
    await house.draft(
        starts_at=START, notice_days=5, binding=True, challenge_days=3, agenda=[{"title": "P"}, {"title": "Q"}]
    )
    await add(house, "P1", parent=house.items[0], internal=True)
    made = (await house.jonas.post(house.path("/series"), {"every": "fortnight", "count": 3}))["meetings"]
    first = await house.view("jonas")
    assert len(set(made)) == 3
    same = ("title", "unit", "time_zone", "notice_days", "binding", "challenge_s", "state")
    for number, meeting in enumerate(made, 1):
        one = await house.jonas.get(f"/api/meetings/{meeting}")
        assert {name: one[name] for name in same} == {name: first[name] for name in same}
        assert [(item["number"], item["title"], item["internal"]) for item in one["agenda"]] == [
            ("1", "P", False),
            ("1.1", "P1", True),
            ("2", "Q", False),
        ]
        hours = (one["starts_at"] - START) / 3600 - number * 14 * 24
        assert hours in (0, 1)  # clocks go back on 25 October 2026
        assert not {item["id"] for item in one["agenda"]} & {item["id"] for item in first["agenda"]}
    drafted = (await house.jonas.get(f"/api/meetings/{made[0]}/events?after=0"))["events"]
    assert [event["type"] for event in drafted] == ["MeetingDrafted"]
    assert drafted[0]["body"] == {
        "title": "Annual general meeting",
        "organisation": "Valley Cooperative",
        "unit": "Valley Cooperative",
        "starts_at": START + 14 * 86_400,
        "time_zone": "Europe/Berlin",
        "quorum": {"num": 1, "den": 2},
        "notice_days": 5,
    }
