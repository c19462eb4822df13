"""Chat, questions and answers through the real server: who writes, what events tell, what hiding takes away."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.support import House, at_check_in, connect
from tests.server.test_visitors import admitted

from folkmoot_server.domain import messages as domain
from folkmoot_server.storage import messages


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path, "lan", "jonas", "ana", "paul", "amira", "karin", "binh") as running:
        await running.check_in("lan", "binh")
        yield running


async def say(house: House, name: str, text: str, kind: str = "chat", to: int = 0) -> Any:
    """Write after a pause; return the number, or the code of the refusal."""
    house.clock.at += 2
    return await at_once(house, name, text, kind, to)


async def at_once(house: House, name: str, text: str, kind: str = "chat", to: int = 0) -> Any:
    body = {"kind": kind, "text": text, "to": to}
    status, answer = await house.people[name].raw("POST", house.path("/messages"), body)
    found = json.loads(answer)
    return found["id"] if status == 200 else found["error"]["code"]


async def read(house: House, name: str = "binh", after: int = 0) -> list[dict[str, Any]]:
    return list((await house.people[name].get(house.path(f"/messages?after={after}")))["messages"])


async def act(house: House, name: str, rest: str, body: Any = None) -> str:
    status, answer = await house.people[name].raw("POST", house.path(rest), body or {})
    return "" if status == 200 else str(json.loads(answer)["error"]["code"])


async def test_what_is_written_is_read_by_all_and_events_carry_numbers_only(house: House) -> None:
    heard = await connect(house, "binh")
    secret = "Chào\nmọi người, a text that no event holds"
    assert await say(house, "binh", secret) == 1
    assert await say(house, "binh", "Why so dear?", "question") == 2
    assert await say(house, "jonas", "Because.", "answer", 2) == 3
    await heard.until(lambda: heard.kinds().count("MessagePosted") == 3)
    bodies = [event["body"] for event in heard.events if event["type"] == "MessagePosted"]
    assert bodies == [{"id": 1, "kind": "chat"}, {"id": 2, "kind": "question"}, {"id": 3, "kind": "answer"}]
    rows = await read(house, "karin")
    assert [(row["name"], row["kind"], row["text"], row["to"]) for row in rows] == [
        ("Binh Tran", "chat", secret, 0),
        ("Binh Tran", "question", "Why so dear?", 0),
        ("Jonas Keller", "answer", "Because.", 2),
    ]
    assert [row["id"] for row in await read(house, after=2)] == [3]
    assert "no event holds" not in json.dumps(await house.events())
    assert (await house.view("lan"))["messages"] == {"chat": True, "questions": True, "visitors": False, "last": 3}


@pytest.mark.parametrize(
    ("name", "kind", "to", "code"),
    [
        ("karin", "chat", 0, "message.not-in-room"),
        ("binh", "answer", 1, "message.officers-answer"),
        ("jonas", "answer", 0, "message.bad-target"),
        ("jonas", "answer", 2, "message.bad-target"),
        ("jonas", "answer", 99, "message.bad-target"),
        ("binh", "chat", 1, "message.bad-target"),
        ("jonas", "chat", 0, 3),
        ("jonas", "answer", 1, 3),
    ],
)
async def test_who_may_write_what(house: House, name: str, kind: str, to: int, code: object) -> None:
    await say(house, "binh", "A question", "question")
    await say(house, "binh", "Chat")
    assert await say(house, name, "Text", kind, to) == code


async def test_the_pace_is_limited_by_person(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await at_once(house, "binh", "One") == 1
    assert await at_once(house, "binh", "Two") == "message.too-fast"
    house.clock.at += 1
    assert await at_once(house, "binh", "Two") == "message.too-fast"
    assert await at_once(house, "lan", "Other") == 2
    house.clock.at += 1
    assert await at_once(house, "binh", "Two") == 3
    monkeypatch.setattr(domain, "PERSON_MAX", 2)
    assert await say(house, "binh", "Three") == "message.too-many"


@pytest.mark.parametrize("text", ["", "  \n", "x" * 2001, "with \u0000", "a\u0007bell"])
async def test_bad_texts_are_refused_and_store_nothing(house: House, text: str) -> None:
    assert str(await say(house, "binh", text)).startswith("input.")
    assert await read(house) == []


async def test_a_hidden_text_is_gone_from_answers_and_from_the_database(house: House) -> None:
    secret = "an insult that nobody should read"
    await say(house, "binh", secret, "question")
    assert secret.encode() in dump(house)  # control
    assert await act(house, "binh", "/messages/1/hide", {"reason": "rude"}) == "role.missing"
    assert await act(house, "jonas", "/messages/9/hide", {"reason": "rude"}) == "message.unknown"
    assert await act(house, "jonas", "/messages/1/hide", {"reason": "rude"}) == ""
    assert await act(house, "jonas", "/messages/1/hide", {"reason": "rude"}) == "message.hidden-already"
    (row,) = await read(house)
    assert (row["hidden"], row["text"], row["reason"], row["name"]) == (True, "", "rude", "Binh Tran")
    assert secret.encode() not in dump(house)
    assert (await house.events("MessageHidden"))[0]["body"] == {"id": 1, "reason": "rude"}
    assert await act(house, "lan", "/messages/1/support") == "message.unknown"
    assert await say(house, "jonas", "Answer", "answer", 1) == "message.bad-target"


def dump(house: House) -> bytes:
    """Every row of the database as text."""
    with sqlite3.connect(house.context.database.path) as connection:
        return "\n".join(connection.iterdump()).encode()


async def test_support_counts_once_each(house: House) -> None:
    await say(house, "binh", "A question", "question")
    await say(house, "binh", "Chat")
    for _ in range(2):
        assert await act(house, "lan", "/messages/1/support") == ""
    assert await act(house, "binh", "/messages/1/support") == ""
    assert await act(house, "karin", "/messages/1/support") == "message.not-in-room"
    assert await act(house, "lan", "/messages/2/support") == "message.unknown"
    support = (await house.lan.get(house.path("/messages")))["support"]
    assert support == [{"id": 1, "votes": 2, "mine": True}]
    assert (await house.karin.get(house.path("/messages")))["support"][0]["mine"] is False
    assert (await read(house))[0]["votes"] == 2


async def test_the_chair_opens_and_closes(house: House) -> None:
    guest = await admitted(house)
    rules = {"chat": False, "questions": True, "visitors": False}
    assert await act(house, "jonas", "/message-rules", rules) == "role.missing"
    assert await act(house, "lan", "/message-rules", rules) == ""
    assert await act(house, "lan", "/message-rules", rules) == ""
    assert [event["body"] for event in await house.events("MessageRulesSet")] == [rules]
    assert await say(house, "binh", "Chat") == "message.closed"
    assert await say(house, "gwen", "Q", "question") == "message.closed"
    await act(house, "lan", "/message-rules", {"chat": True, "questions": True, "visitors": True})
    assert await say(house, "gwen", "Chat") == "message.visitors-ask"
    number = await say(house, "gwen", "Who pays?", "question")
    assert [(row["id"], row["name"]) for row in await read(house)] == [(number, "Gwen Guest")]
    assert (await guest.get(house.path("/messages")))["messages"][0]["text"] == "Who pays?"


async def test_nothing_is_written_out_of_session(house: House) -> None:
    await house.command("lan", "open")
    await say(house, "binh", "Before")
    await house.command("lan", "close")
    assert await say(house, "binh", "After") == "meeting.wrong-state"
    assert await say(house, "jonas", "After") == "meeting.wrong-state"
    assert [row["text"] for row in await read(house)] == ["Before"]


async def test_pages_of_200_in_order(house: House) -> None:
    def write(tx: Any) -> None:
        for number in range(1, 251):
            messages.add(
                tx, domain.Message(house.meeting, number, "p", "P", domain.Kind.CHAT, 0, f"{number}", number)
            )

    await house.context.database.write(write)
    first = await read(house)
    assert [row["id"] for row in first] == list(range(1, 201))
    assert [row["id"] for row in await read(house, after=200)] == list(range(201, 251))
