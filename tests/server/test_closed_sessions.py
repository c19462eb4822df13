"""Closed sessions through the real server: who is outside gets nothing of them, by no request and no socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.server.closed_support import close, closed_house, code
from tests.server.support import House
from tests.server.test_papers import a_png, send
from tests.server.test_visitors import ALLOWED as FOR_GUESTS
from tests.server.test_visitors import UPLOADS, every_route, filled

from folkmoot_server.web import closed_gate

# What goes on outside. The list stands here a second time on purpose.
OUTSIDE: Final = {
    ("GET", "/api/meetings/{m}"),
    ("GET", "/api/meetings/{m}/events"),
    ("POST", "/api/meetings/{m}/commands"),
    ("POST", "/api/meetings/{m}/lobby"),
    ("POST", "/api/meetings/{meeting}/elections/{election}/cosignatures"),
    ("POST", "/api/meetings/{meeting}/elections/{election}/tally/signatures"),
}
SNAPSHOT: Final = {
    "id",
    "title",
    "organisation",
    "unit",
    "state",
    "starts_at",
    "time_zone",
    "closed_session",
    "me",
    "seq",
    "sites",
    "quorum",
}
COMMANDS: Final[list[dict[str, Any]]] = [
    {"command": "raise-hand"},
    {"command": "lower-hand"},
    {"command": "yield-floor"},
    {"command": "next-speaker"},
    {"command": "mute-all"},
    {"command": "open"},
    {"command": "close"},
    {"command": "end-closed-session"},
    {"command": "resume"},
]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with closed_house(tmp_path) as running:
        yield running


async def ask(house: House, name: str, method: str, path: str) -> str:
    """The code with which a person is refused on a route."""
    if (method, path) in UPLOADS:
        sent = filled(path, house.meeting) + "?name=a.png"
        status, answer = await send(house.people[name], sent, a_png(), method)
        return "" if status == 200 else str(answer["error"]["code"])
    return await code(house.people[name], filled(path, house.meeting), None if method == "GET" else {}, method)


async def test_every_route_of_the_meeting_is_shut_to_who_is_outside_but_a_short_list(house: House) -> None:
    assert OUTSIDE == closed_gate.OUTSIDE
    routes = {one for one in every_route() if "{m}" in one[1] or "{meeting}" in one[1]}
    assert len(routes) > 70
    assert not OUTSIDE - routes
    await close(house, "ned")
    for method, path in sorted(routes - OUTSIDE):
        assert await ask(house, "greta", method, path) == "closed-session.outside", (method, path)
        wanted = "closed-session.outside" if (method, path) in FOR_GUESTS else "guest.not-allowed"
        assert await ask(house, "gwen", method, path) == wanted, (method, path)
    for method, path in sorted(routes):  # control
        assert not (await ask(house, "binh", method, path)).startswith("closed-session"), (method, path)
        assert not (await ask(house, "ned", method, path)).startswith("closed-session"), (method, path)


async def test_control_a_gate_that_is_left_open_is_noticed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed_gate, "OUTSIDE", {*OUTSIDE, ("GET", "/api/meetings/{m}/messages")})
    await close(house)
    assert await code(house.greta, house.path("/messages"), method="GET") == ""
    assert await code(house.greta, house.path("/papers"), method="GET") == "closed-session.outside"


async def test_a_session_that_begins_behind_the_gate_shuts_out_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever passed the gate a moment before is asked again in each transaction."""
    gate = closed_gate.pass_gate
    monkeypatch.setattr(closed_gate, "pass_gate", lambda *args, **_: gate(*args, closed=False))
    await close(house)
    path = house.path("/messages")
    assert await code(house.greta, path, method="GET") == "closed-session.outside"
    question = {"kind": "question", "text": "?", "to": 0}
    assert await code(house.people["gwen"], path, question) == "closed-session.outside"
    monkeypatch.setattr(closed_gate, "_guarded", lambda request, handler, _check: handler(request))
    assert await code(house.greta, path, method="GET") == ""  # control


@pytest.mark.parametrize("wanted", COMMANDS, ids=lambda one: one["command"])
async def test_outside_no_command_is_taken_but_leave(house: House, wanted: dict[str, Any]) -> None:
    await close(house)
    assert await code(house.greta, house.path("/commands"), wanted) == "closed-session.outside"
    assert await code(house.people["gwen"], house.path("/commands"), wanted) == "closed-session.outside"
    if wanted["command"] == "resume":
        for name in ("greta", "gwen"):
            assert await code(house.people[name], house.path("/commands"), {"command": "leave"}) == ""


async def test_the_snapshot_outside_has_what_is_listed_and_nothing_of_the_session(house: House) -> None:
    assert (await house.view("binh"))["closed_session"] is None
    assert (await house.view("gwen"))["closed_session"] is None
    await close(house, "ned", sites=("main",))
    inside = {
        "since": house.clock.at,
        "reason": "A dismissal",
        "sites": ["main"],
        "visitors": [house.people["ned"].member],
    }
    for name in ("lan", "binh", "karin", "ned"):
        view = await house.view(name)
        assert view["closed_session"] == inside, name
        assert "agenda" in view
    for name in ("greta", "gwen"):
        view = await house.view(name)
        assert view.keys() - {"guest"} == SNAPSHOT
        shown = {**inside, "reason": "", "visitors": [], "address": ""}
        assert view["closed_session"] == shown
        assert view["me"]["visitor"] == "admitted"
        assert "dismissal" not in json.dumps(view)
    await house.command("lan", "end-closed-session")
    for name in ("greta", "gwen", "binh"):
        view = await house.view(name)
        assert view["closed_session"] is None
        assert "agenda" in view
