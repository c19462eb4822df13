"""Every POST route against bodies that cannot be right: a code, no accident, and nothing stored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import Connection, select
from tests.server.support import House, at_check_in

from folkmoot_server.storage import schema
from folkmoot_server.web import routes, routes_votes

BODIES: list[Any] = [
    [],
    None,
    7,
    "text",
    {"unknown": 1},
    {"command": "open", "unknown": 1},
    {"command": ["open"]},
    {"purpose": {"a": 1}},
    {"token": "x" * 5000, "nonce": None},
    {"name": "\u0000", "unit": "../..", "parent": "a b"},
    {"meeting": {"$ne": 1}},
    {"ballot": "x" * 70_000},
    {"ballot": {"v": 1e999}},
    {"entry": [[[[[[]]]]]], "line": "x\ny"},
    {"signed": {"nonce": "AA", "passkey": "", "assertion": {}}},
    {"signer": "chair", "trustee": -1, "sig": "="},
    {"roll_hash": "A", "signed": None},
    {"message": {"type": "register", "trustee": 2**70}},
]
VOLATILE = {"nonce", "session", "socket_ticket"}


def post_routes() -> list[str]:
    app = web.Application()
    routes.add_routes(app)
    routes_votes.add_routes(app)
    return sorted(
        route.resource.canonical
        for route in app.router.routes()
        if route.method == "POST" and route.resource is not None
    )


def everything(tx: Connection) -> dict[str, list[Any]]:
    tables = [table for name, table in schema.metadata.tables.items() if name not in VOLATILE]
    return {table.name: sorted(map(repr, tx.execute(select(table)))) for table in tables}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "binh") as running:
        await running.check_in("lan", "binh")
        await running.realtime._housekeeping.close()
        yield running


def fill(path: str, house: House) -> str:
    for name, value in (("m", house.meeting), ("meeting", house.meeting)):
        path = path.replace(f"{{{name}}}", value)
    return path.replace("{", "no-").replace("}", "")


@pytest.mark.parametrize("name", ["lan", "binh"])
async def test_impossible_bodies_are_refused_everywhere_and_store_nothing(house: House, name: str) -> None:
    paths = [path for path in post_routes() if path not in ("/api/sign-out",)]
    assert len(paths) > 25
    before = await house.context.database.read(everything)
    for path in paths:
        for body in BODIES:
            status, answer = await house.people[name].raw("POST", fill(path, house), body)
            error = json.loads(answer).get("error", {})
            assert 400 <= status < 500, (path, body, status)
            assert set(error) == {"code", "message"}, (path, body)
            assert "." in error["code"]
            assert error["message"].endswith((".", "?", "!")), error
    assert await house.context.database.read(everything) == before


async def test_foreign_ids_are_refused(house: House) -> None:
    other = await house.draft()
    house.meeting = other
    for command in ("grant-floor", "mute", "remove"):
        assert await house.refused("lan", command, member=house.binh.member) == "meeting.wrong-state"
    item = (await house.view("lan"))["agenda"][0]["id"]
    await house.begin()
    await house.check_in("lan", "ana", "paul")
    await house.command("lan", "open")
    assert await house.refused("lan", "start-item", item=item) == "agenda.unknown-item"
    assert await house.refused("lan", "mute", member=house.binh.member) == "attendance.not-checked-in"
