"""What the hub tells a relay for all its pages at once: snapshots, sessions, and leases that name nobody anew."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from sqlalchemy import Connection
from tests.server.closed_support import carried, close, closed_house, relay_at
from tests.server.relay_support import Relay, open_village
from tests.server.support import House
from tests.server.test_papers import bring
from tests.server.votes_support import Hall

from folkmoot_server.demo.client import Person
from folkmoot_server.domain.identity import SESSION_IDLE_S, SESSION_TOUCH_S
from folkmoot_server.domain.ids import from_b64u, token_hash
from folkmoot_server.domain.relays import session_mark
from folkmoot_server.queries.relay_pages import difference
from folkmoot_server.queries.relays import digest
from folkmoot_server.relay.views import together
from folkmoot_server.storage import relays, seats, sessions


@pytest.fixture
async def house(tmp_path: Any) -> AsyncIterator[House]:
    async with closed_house(tmp_path) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def hash_of(person: Person) -> bytes:
    (cookie,) = [one for one in person._http.cookie_jar if one.key.endswith("folkmoot")]
    return token_hash(from_b64u(cookie.value))


def mark(person: Person) -> str:
    return session_mark(hash_of(person))


async def ask(relay: Relay, *people: Person, have: str = "") -> dict[str, Any]:
    body = {"sessions": [mark(one) for one in people], "have": have}
    return await relay.call("POST", "/api/relay/snapshots", body)


async def test_a_relay_gets_the_snapshots_of_those_whose_requests_it_has_carried(
    house: House, http: aiohttp.ClientSession
) -> None:
    _, relay = await relay_at(house, http)
    assert (await ask(relay, house.binh, house.ana))["own"] == {}
    for person in (house.binh, house.greta, house.lan):
        carried(person, relay)
        await person.get(house.path())
    answer = await ask(relay, house.binh, house.greta, house.lan, house.paul)
    plain = (house.binh, house.greta)  # Lan is the chair, whom the hub answers alone
    assert answer["own"].keys() == {mark(one) for one in plain}
    for person in plain:
        assert together(answer["state"], answer["own"][mark(person)]) == await person.get(house.path())
    again = await ask(relay, house.binh, have=answer["digest"])
    assert "state" not in again
    assert again["digest"] == answer["digest"]
    # The common part is sent once, however many ask; what is one's own is small beside it.
    own, common = len(json.dumps(answer["own"][mark(house.binh)])), len(json.dumps(answer["state"]))
    assert own < common / 4
    # Who writes at a motion is answered alone too.
    body = {"item": house.items[0], "title": "Wells", "text": "We dig two."}
    await house.binh.post(house.path("/motions"), body)
    assert (await ask(relay, *plain))["own"].keys() == {mark(house.greta)}


async def test_of_a_closed_session_and_of_ended_ones_a_relay_gets_nothing(
    house: House, http: aiohttp.ClientSession
) -> None:
    site, relay = await relay_at(house, http)
    for person in (house.binh, house.greta):
        carried(person, relay)
        await person.get(house.path())
    await house.context.database.write(lambda tx: sessions.end(tx, hash_of(house.greta)))
    assert (await ask(relay, house.binh, house.greta))["own"].keys() == {mark(house.binh)}
    await close(house)
    body = {"sessions": [mark(house.binh)], "have": ""}
    assert await relay.refused("POST", "/api/relay/snapshots", body) == (403, "closed-session.site")
    await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
    assert await ask(relay, house.binh) == {"own": {}}


async def test_who_may_read_a_paper_is_said_for_many_at_once(house: House, http: aiohttp.ClientSession) -> None:
    site, relay = await relay_at(house, http)
    paper, secret = [
        await bring(house, f"{name}.txt", b"One page.", paper_class=name) for name in ("members", "restricted")
    ]
    people = (house.binh, house.ana, house.greta, house.lan)
    for person in people[:3]:
        carried(person, relay)
        await person.get(house.path())
    body = {"sessions": [mark(one) for one in people], "paper": paper, "version": 1}

    async def may(**changes: Any) -> Any:
        return await relay.call("POST", "/api/relay/readers", {**body, **changes})

    # Greta is no elector, and of Lan it has carried nothing.
    assert await may() == {"class": "members", "may": body["sessions"][:2]}
    assert await may(paper=secret) == await may(version=2) == await may(paper="none") == {"class": "", "may": []}
    await close(house)
    assert await relay.refused("POST", "/api/relay/readers", body) == (403, "closed-session.site")
    await house.command("lan", "admit-inside", site=site, visitor="", admitted=True)
    assert await may() == {"class": "", "may": []}


@pytest.mark.parametrize(
    "body", [{"sessions": [], "have": ""}, {"sessions": ["short"], "have": ""}, {"sessions": ["A" * 16], "have": "x"}]
)
async def test_what_is_asked_for_has_its_form(
    house: House, http: aiohttp.ClientSession, body: dict[str, Any]
) -> None:
    _, relay = await relay_at(house, http)
    assert (await relay.raw("POST", "/api/relay/snapshots", body))[0] == 400
    assert (await relay.raw("POST", "/api/relay/sessions", {"sessions": body["sessions"][:0]}))[0] == 400


async def test_sessions_that_a_relay_asks_for_stay_alive_and_ended_ones_are_named(
    house: House, http: aiohttp.ClientSession
) -> None:
    _, relay = await relay_at(house, http)
    carried(house.binh, relay)
    await house.binh.get("/api/session")
    ended = hash_of(house.ana)
    await house.context.database.write(lambda tx: sessions.end(tx, ended))
    marks = [mark(house.binh), session_mark(ended), mark(house.paul)]
    for _ in range(SESSION_IDLE_S // SESSION_TOUCH_S + 1):
        house.clock.at += SESSION_TOUCH_S
        answer = await relay.call("POST", "/api/relay/sessions", {"sessions": marks})
    # Paul's session it has never carried: asking for it keeps nothing alive.
    assert answer == {"ended": marks[1:]}


async def test_a_lease_that_names_nobody_anew_renews_those_that_the_last_one_named(hall: Hall) -> None:
    async with open_village(hall) as village:
        relay, there = village.relay, village.there
        named = sorted(person.member for person in there)
        path = "/api/relay/lease"
        told: dict[str, Any] = {"here": named, "upto": relay.upto}
        assert (await relay.call("POST", path, told))["named"] is True
        same = {"same": digest(named), "upto": relay.upto}
        hall.clock.at += 4
        assert (await relay.call("POST", path, same))["named"] is True
        renewed = hall.clock.at
        assert await leases(hall, named) == {renewed}
        # Another list than the hub holds: the hall's own lease counts, and the relay hears that nobody was named.
        hall.clock.at += 4
        other = {"same": digest(named[:1]), "upto": relay.upto}
        assert (await relay.call("POST", path, other))["named"] is False
        assert (await relay.call("POST", path, {"upto": relay.upto}))["named"] is False
        assert await leases(hall, named) == {renewed}
        assert await hall.read(lambda tx: relays.lease_at(tx, relay.id)) == hall.clock.at


async def leases(hall: Hall, members: list[str]) -> set[int]:
    def look(tx: Connection) -> set[int]:
        found = [seats.find(tx, hall.meeting, member) for member in members]
        return {seat.lease_at for seat in found if seat is not None}

    return await hall.read(look)


def test_a_difference_gives_the_whole_back_whatever_of_it_is_the_same() -> None:
    shared = {"seq": 4, "motions": [1], "elections": [{"election": "a", "cast": 1}, {"election": "b", "cast": 0}]}
    mine = [{"election": "a", "cast": 1, "voted": True}, {"election": "b", "cast": 0, "voted": False}]
    for whole in (
        {**shared, "me": {"member": "m"}, "alerts": []},
        {**shared, "motions": [], "elections": mine, "me": None},
        shared,
    ):
        found = difference(shared, whole)
        assert together(shared, found) == whole
        assert "seq" not in found
