"""A vote at the kiosk whose answer from the hub is lost: what the relay knows then, and on disk before it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from multidict import CIMultiDict
from sqlalchemy import Connection, create_engine
from tests.relay.test_relay_rules import a_manifest

from folkmoot_server.domain.ids import token_hash
from folkmoot_server.relay import chains, passed_votes, passing, repeats, rules, schema, store
from folkmoot_server.relay.alone import MANIFEST as MANIFEST_PATH
from folkmoot_server.relay.alone import REPLACEMENTS, Alone
from folkmoot_server.relay.asked import Asked
from folkmoot_server.relay.hall import Hall, OpenVote
from folkmoot_server.relay.hub import HubSilentError
from folkmoot_server.relay.kept import Kept
from folkmoot_server.relay.kiosk import KioskAlone, Kiosks
from folkmoot_server.relay.lan import Lan
from folkmoot_server.relay.node import Unavailable
from folkmoot_server.relay.passing import Passed
from folkmoot_server.relay.people import HallSession
from folkmoot_voting.electorate import Elector
from folkmoot_voting.encoding import JsonObject, b64u

NOW = 100
MANIFEST = a_manifest("last-counts")
FIRST, SECOND, THIRD = (b64u(bytes([number]) * 32) for number in (1, 2, 3))
TOKEN = bytes(32)
CUSTODIAN = HallSession(b"cookie", "binh", {}, NOW, NOW, local=False, follows=True)
REPLACE: JsonObject = {"old": FIRST, "new": SECOND}
BALLOT: JsonObject = {"ballot": {"credential": SECOND}}


@dataclass
class Relay:
    """A relay whose disk is in memory, and a hub that answers what it is told to."""

    tx: Connection
    status: int = 200
    code: str = ""
    kept: bool = False
    shown: JsonObject = field(default_factory=dict)
    kiosks: Kiosks = field(default_factory=Kiosks)

    @property
    def node(self) -> Any:
        async def run(work: Callable[[Connection], Any]) -> Any:
            return work(self.tx)

        member: JsonObject = {"member": "otto", "passkeys": []}
        electorate = {bytes([1]) * 32: Elector(bytes([1]) * 32)}
        hall = Hall(members={"otto": member}, kiosk={"otto": FIRST}, vote=OpenVote(MANIFEST, electorate))
        database = SimpleNamespace(read=run, write=run)
        link = SimpleNamespace(since=7)
        return SimpleNamespace(
            remember=run, database=database, clock=lambda: NOW, rng=bytes, hall=hall, link=link, queue=self.queue
        )

    async def queue(self, _raw: Any, judge: Callable[[Connection, Hall], Any]) -> JsonObject:
        judge(self.tx, self.node.hall)
        return {}

    async def answer(self, _node: Any, _request: Any, _data: bytes, *, keep: bool, **_: Any) -> Passed:
        """What the hub answers; before that the request is noted."""
        self.kept = keep
        if self.shown:
            return Passed(web.Response(), 200, Kept("application/json", json.dumps({"me": self.shown}).encode()))
        assert passed_votes.in_doubt(self.tx, MANIFEST.election, ["otto", "max", FIRST, SECOND])
        if self.status == 0:
            raise HubSilentError("the link was cut")
        error = {"error": {"code": self.code}}
        return Passed(web.Response(), self.status, Kept("application/json", json.dumps(error).encode()))

    async def post(self, path: str, body: JsonObject) -> None:
        made = object.__new__(Lan)
        made._node, made._kiosks = self.node, self.kiosks
        await made._pass_kiosk(request(path), json.dumps(body).encode(), CUSTODIAN, None)

    async def show(self, place: JsonObject) -> None:
        """While linked the hub shows Otto the manifest, with this place in the vote."""
        made = object.__new__(Lan)
        made._node, made._kiosks, self.shown = self.node, self.kiosks, place
        await made._pass_kiosk(request(MANIFEST_PATH, "GET"), b"", CUSTODIAN, None)
        self.shown = {}

    def asked(self, path: str, body: JsonObject) -> Asked:
        member = HallSession(token_hash(TOKEN), "otto", {}, NOW, NOW, local=True, follows=False)
        return Asked(request(path), json.dumps(body).encode(), member, NOW, kiosk=True)

    async def manifest(self) -> JsonObject | None:
        """What the kiosk shows Otto in a cut."""
        return await KioskAlone(self.node, self.kiosks).manifest(self.asked("", {}))


def request(path: str, method: str = "POST") -> Any:
    class Match(dict[str, str]):
        route = SimpleNamespace(resource=SimpleNamespace(canonical=path))

    match = Match(meeting="m", election=MANIFEST.election)
    headers = CIMultiDict({"Authorization": f"Kiosk {b64u(TOKEN)}"})
    return SimpleNamespace(method=method, match_info=match, headers=headers)


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    async def unknown(*_: Any) -> None:
        return None

    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    monkeypatch.setattr(repeats, "linked", unknown)
    with engine.begin() as tx:
        store.set_parts(tx, {"manifest": {"manifest": MANIFEST.json, "electorate": []}})
        made = Relay(tx)
        made.kiosks.begin(token_hash(TOKEN), CUSTODIAN.token_hash, "otto", NOW)
        monkeypatch.setattr(passing, "pass_on", made.answer)
        yield made


def acting(shown: JsonObject | None) -> str:
    return "" if shown is None else str(shown["me"]["credential"])


@pytest.mark.parametrize("path", [REPLACEMENTS, repeats.BALLOTS])
async def test_a_lost_answer_makes_the_voter_wait_for_the_line(relay: Relay, path: str) -> None:
    assert acting(await relay.manifest()) == FIRST  # control
    relay.status = 0
    with pytest.raises(HubSilentError):
        await relay.post(path, REPLACE if path == REPLACEMENTS else BALLOT)
    assert await relay.manifest() is None
    # Nobody else waits, and the next vote is another one.
    assert not chains.must_wait(relay.tx, MANIFEST.election, "greta", THIRD)
    assert not chains.must_wait(relay.tx, "0" * 22, "otto", FIRST)


@pytest.mark.parametrize("known", [True, False])
async def test_the_hubs_own_word_ends_the_doubt(relay: Relay, known: bool) -> None:
    if not known:
        relay.kiosks = Kiosks()
    relay.status = 0
    with pytest.raises(HubSilentError):
        await relay.post(REPLACEMENTS, REPLACE)
    relay.status = 200
    assert await relay.manifest() is None  # control
    place: JsonObject = {"lineage": FIRST, "credential": FIRST, "weight": 1, "seq": 0, "prev": ""}
    await relay.show(place)
    assert acting(await relay.manifest()) == FIRST
    await relay.show({**place, "credential": SECOND})  # it came after all, or by another way
    assert acting(await relay.manifest()) == SECOND
    await relay.post(REPLACEMENTS, {"old": SECOND, "new": THIRD})
    assert acting(await relay.manifest()) == THIRD
    await relay.show({**place, "credential": SECOND})  # an answer of before
    assert acting(await relay.manifest()) == THIRD
    await relay.show({**place, "credential": THIRD, "seq": 1})
    assert await relay.manifest() is None


async def test_what_the_hub_has_taken_is_on_disk_before_the_page_is_told(relay: Relay) -> None:
    await relay.post(REPLACEMENTS, REPLACE)
    assert relay.kept  # no byte of the answer has gone to the page
    assert acting(await relay.manifest()) == SECOND
    await relay.post(repeats.BALLOTS, BALLOT)
    assert relay.kept
    assert await relay.manifest() is None
    assert not passed_votes.in_doubt(relay.tx, MANIFEST.election, ["otto", FIRST, SECOND])


@pytest.mark.parametrize(("status", "waits"), [(409, False), (422, False), (502, True), (503, True)])
async def test_a_refusal_leaves_no_doubt_and_no_answer_of_the_hub_does(
    relay: Relay, status: int, waits: bool
) -> None:
    relay.status = status
    await relay.post(REPLACEMENTS, REPLACE)
    assert acting(await relay.manifest()) == ("" if waits else FIRST)


async def test_whoever_names_another_voters_key_puts_nobody_else_in_doubt(relay: Relay) -> None:
    relay.kiosks.begin(token_hash(TOKEN), CUSTODIAN.token_hash, "max", NOW)
    relay.status = 0
    with pytest.raises(HubSilentError):
        await relay.post(REPLACEMENTS, REPLACE)
    assert acting(await relay.manifest()) == FIRST
    assert chains.must_wait(relay.tx, MANIFEST.election, "max", THIRD)  # control


async def test_after_a_start_of_the_process_the_key_stands_for_its_voter(relay: Relay) -> None:
    relay.kiosks = Kiosks()
    relay.status = 0
    with pytest.raises(HubSilentError):
        await relay.post(REPLACEMENTS, REPLACE)
    assert await relay.manifest() is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"ballot": 1}', b"[" * 100_000])
async def test_what_is_no_vote_is_the_hubs_to_refuse(
    relay: Relay, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(*_: Any, keep: bool, **__: Any) -> Passed:
        assert not keep
        return Passed(web.Response(), 422, None)

    monkeypatch.setattr(passing, "pass_on", answer)
    made = object.__new__(Lan)
    made._node, made._kiosks = relay.node, relay.kiosks
    await made._pass_kiosk(request(repeats.BALLOTS), body, CUSTODIAN, None)


@pytest.mark.parametrize("route", ["replace", "seal"])
async def test_nothing_of_a_voter_in_doubt_is_begun_in_the_cut(
    relay: Relay, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[str] = []
    for name in ("replacement", "seal"):
        monkeypatch.setattr(rules, name, lambda *_: judged.append(route))
    alone = object.__new__(Alone)
    alone._node = relay.node
    key = b64u(bytes(32))
    signed = {"authenticator_data": b64u(bytes(37)), "client_data_json": b64u(bytes(40)), "signature": b64u(bytes(8))}
    replacement = {**REPLACE, "kiosk": True, "nonce": key, "passkey": "AAAA", "assertion": signed}
    seal = {"credential": FIRST, "sealed": key, "sig": b64u(bytes(64))}
    asked = relay.asked(REPLACEMENTS, replacement if route == "replace" else seal)
    await getattr(alone, route)(asked)
    assert judged == [route]  # control
    passed_votes.begin(relay.tx, passed_votes.Request(MANIFEST.election, "n", "otto", FIRST, SECOND))
    with pytest.raises(Unavailable):
        await getattr(alone, route)(asked)
    assert judged == [route]
