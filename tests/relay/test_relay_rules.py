"""Votes at a relay alone: of members' words those about their own keys, joined with what the hub took at a kiosk."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, create_engine
from tests.vectors.read import published

from folkmoot_server.domain.elections import REPLACEMENTS_MAX
from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.domain.identity import Purpose
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import chains, outbox, passed_votes, people, rules, schema
from folkmoot_server.relay.hall import Hall, OpenVote
from folkmoot_server.relay.outbox import Moment, Place
from folkmoot_server.relay.outbox_chain import Signer, Wish
from folkmoot_server.relay.people import HallSession
from folkmoot_voting import casting, signing
from folkmoot_voting.ballot import Ballot, CheckedBallot
from folkmoot_voting.electorate import Elector
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.questions import cells_of_one

NOW = 100
SIGNER = Signer("relay-1", 3, bytes(32))
FOREIGN = "0" * 22


class Key:
    """A voting key."""

    def __init__(self) -> None:
        self.seed = secrets.token_bytes(32)
        self.public = signing.public_key(self.seed)
        self.name = b64u(self.public)


@dataclass
class Box:
    """The outbox of a hall that is cut off; Vera and Max are members of it, each with a key in the electorate."""

    tx: Connection
    manifest: Manifest
    keys: dict[str, Key] = field(default_factory=lambda: {"vera": Key(), "max": Key()})

    @property
    def election(self) -> str:
        return self.manifest.election

    @property
    def hall(self) -> Hall:
        electorate = {key.public: Elector(key.public) for key in self.keys.values()}
        members: dict[str, JsonObject] = {name: {"member": name, "passkeys": []} for name in self.keys}
        roll = cast("Any", SimpleNamespace(rp=None))
        return Hall(members=members, roll=roll, checkpoint="c", vote=OpenVote(self.manifest, electorate))

    def caller(self, member: str) -> rules.Caller:
        return rules.Caller(HallSession(member.encode(), member, {}, NOW, NOW, local=False, follows=True), NOW)

    def put(self, judged: tuple[Wish, Place]) -> int:
        """Let what was judged wait; return its number."""
        wish, place = judged
        return int(outbox.append(self.tx, SIGNER, wish, place, Moment(NOW, True, secrets.token_bytes(32)))["seq"])

    def replace(self, member: str, old: Key, new: Key, *, kiosk: bool = True) -> int:
        caller, nonce = self.caller(member), secrets.token_bytes(32)
        people.give_nonce(self.tx, nonce, Purpose.REPLACE, caller.session.token_hash, NOW)
        body = {"old": old.name, "new": new.name, "kiosk": kiosk, "nonce": b64u(nonce)}
        body |= {"passkey": "AAAA", "assertion": {}}
        return self.put(rules.replacement(self.tx, self.hall, caller, self.election, body))

    def made(self, key: Key, seq: int = 1, prev: bytes = b"") -> JsonObject:
        cells = [cells_of_one(self.manifest.questions[0], 0)]
        return casting.make_ballot(self.manifest, key.seed, cells, secrets.token_bytes, casting.Place(1, seq, prev))

    def cast(self, member: str, ballot: JsonObject) -> int:
        caller = self.caller(member)
        rules.receive(self.tx, self.hall, caller, self.election, ballot)
        checked = cast("CheckedBallot", SimpleNamespace(ballot=Ballot.from_json(ballot), points=[]))
        return self.put(rules.cast(self.tx, self.hall, caller, self.election, checked))

    def seal(self, member: str, key: Key, sealed: bytes) -> int:
        body = casting.make_announcement(self.manifest, key.seed, sealed)
        return self.put(rules.seal(self.tx, self.hall, self.caller(member), self.election, body))

    def place(self, member: str, key: Key) -> JsonObject:
        vote = self.hall.require_vote(self.election, NOW)
        return rules.place_of(self.tx, vote, member, key.name)

    def chain(self, member: str, key: Key) -> list[str]:
        return chains.chain(self.tx, self.election, member, key.name)


def a_manifest(again: str) -> Manifest:
    """Of an open vote with one question, and a kiosk."""
    found = published("manifest")["good"][14]["manifest"]
    return Manifest.from_json({**found, "questions": found["questions"][:1], "voting_again": again, "kiosk": True})


@pytest.fixture(params=["once"])
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Box]:
    """A box; passkeys hold here, whoever signs."""
    monkeypatch.setattr(rules, "verify_assertion", lambda *_: None)
    monkeypatch.setattr(rules, "passkey_of", lambda *_: None)
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    with engine.begin() as tx:
        yield Box(tx, a_manifest(request.param))


def refused(run: Any, *args: Any) -> str:
    with pytest.raises(FolkmootError) as caught:
        run(*args)
    return caught.value.code


def test_whoever_names_another_members_key_locks_nobody_out(box: Box) -> None:
    vera, thief = box.keys["vera"], Key()
    box.replace("max", vera, thief)  # the hub refuses it; here nobody can know whose key it is
    box.put((Wish(Kind.CHECK_IN, "max", {"credential": vera.name}), Place(credential=vera.name)))
    assert box.place("vera", vera)["credential"] == vera.name
    fresh = Key()
    sealed = box.made(vera)
    box.seal("vera", vera, Ballot.from_json(sealed).sealed)
    box.replace("vera", vera, fresh)
    assert box.chain("vera", vera) == [vera.name, fresh.name]
    ballot = box.made(fresh)
    box.seal("vera", fresh, Ballot.from_json(ballot).sealed)
    assert box.cast("vera", ballot)
    # Control: the own replacement and the own ballot count as ever.
    assert refused(box.cast, "vera", box.made(vera)) == "ballot.replaced"
    assert refused(box.cast, "vera", box.made(fresh)) == "ballot.already-cast"
    assert refused(box.replace, "vera", fresh, Key()) == "voting.replacement-voted"


def test_a_ballot_of_ones_own_needs_no_other_word(box: Box) -> None:
    vera = box.keys["vera"]
    box.replace("max", vera, Key())
    assert box.cast("vera", box.made(vera))


def test_what_a_key_signs_after_its_time_changes_nothing_for_its_member(box: Box) -> None:
    """Who found a lost phone, and sends what it signs as somebody else, is refused by the hub; so much for here."""
    vera, fresh = box.keys["vera"], Key()
    box.replace("vera", vera, fresh)
    box.cast("max", box.made(vera))
    assert box.cast("vera", box.made(fresh))


def test_nobody_without_the_key_hears_what_waits_here_of_it(box: Box) -> None:
    vera = box.keys["vera"]
    box.cast("vera", box.made(vera))
    forged = {**box.made(vera), "sig": box.made(box.keys["max"])["sig"]}
    assert refused(box.cast, "max", forged) == "voting.ballot-signature"
    announced = casting.make_announcement(box.manifest, box.keys["max"].seed, bytes(32))
    forged = {**announced, "credential": vera.name}
    judge = rules.seal
    assert refused(judge, box.tx, box.hall, box.caller("max"), box.election, forged) == "ballot.announcement-unsigned"


def test_a_member_can_fill_no_outbox_with_other_peoples_keys(box: Box) -> None:
    for number in range(REPLACEMENTS_MAX + 1):
        box.keys[f"member-{number}"] = Key()
    names = [name for name in box.keys if name.startswith("member-")]
    for name in names[:-1]:
        box.replace("max", box.keys[name], Key())
    assert refused(box.replace, "max", box.keys[names[-1]], Key()) == "replacement.too-many"
    box.replace("vera", box.keys["vera"], Key())  # control: the others have as many


def test_a_new_key_is_new_whoever_named_it(box: Box) -> None:
    fresh, taken = Key(), Key()
    box.replace("vera", box.keys["vera"], fresh)
    passed_votes.note_replaced(box.tx, box.election, Key().name, taken.name)
    for key in (fresh, taken, box.keys["vera"]):
        assert refused(box.replace, "max", box.keys["max"], key) == "voting.replacement-new"


def test_what_waits_here_and_what_the_hub_took_are_one_line(box: Box) -> None:
    """Begun in a cut, gone on with while linked, and back in the next cut."""
    first, second, third = box.keys["vera"], Key(), Key()
    box.replace("vera", first, second)
    box.seal("vera", second, bytes(32))
    passed_votes.note_replaced(box.tx, box.election, second.name, third.name)
    assert box.chain("vera", first) == box.chain("vera", third) == [first.name, second.name, third.name]
    assert box.place("vera", first)["credential"] == third.name
    passed_votes.learn(box.tx, box.election, "vera", {"lineage": first.name, "credential": third.name, "seq": 0})
    found = box.chain("vera", first)
    assert found == [first.name, second.name, third.name]
    assert not chains.is_cast(box.tx, box.election, found)
    ballot = box.made(third)  # what the key before it had announced is no more
    assert box.cast("vera", ballot)
    passed_votes.note_cast(box.tx, box.election, third.name)
    assert chains.is_cast(box.tx, box.election, found)


def test_a_ballot_the_hub_took_of_any_of_the_keys_is_one(box: Box) -> None:
    first, second = box.keys["vera"], Key()
    passed_votes.note_cast(box.tx, box.election, first.name)
    passed_votes.note_replaced(box.tx, box.election, first.name, second.name)
    assert chains.is_cast(box.tx, box.election, box.chain("vera", second))
    assert refused(box.replace, "vera", second, Key()) == "voting.replacement-voted"
    box.replace("max", box.keys["max"], Key())  # control


def test_a_replacement_that_the_hub_refused_is_none(box: Box) -> None:
    first, second, third = box.keys["vera"], Key(), Key()
    seq = box.replace("vera", first, second)
    assert box.place("vera", first)["credential"] == second.name  # control
    outbox.refuse(box.tx, [(seq, "relay.nonce")])
    assert box.place("vera", first)["credential"] == first.name
    passed_votes.note_replaced(box.tx, box.election, first.name, third.name)
    assert box.place("vera", first)["credential"] == third.name
    assert box.cast("vera", box.made(third))


def test_the_hubs_word_goes_before_what_waits_here(box: Box) -> None:
    """The hub took one key in the place of the first before the entry that names another one reached it."""
    first, waits, taken = box.keys["vera"], Key(), Key()
    box.replace("vera", first, waits)
    passed_votes.note_replaced(box.tx, box.election, first.name, taken.name)
    assert box.place("vera", first)["credential"] == taken.name


def test_each_vote_has_its_own_line(box: Box) -> None:
    first, second = box.keys["vera"], Key()
    passed_votes.note_replaced(box.tx, FOREIGN, first.name, second.name)
    passed_votes.note_cast(box.tx, FOREIGN, second.name)
    assert chains.chain(box.tx, FOREIGN, "vera", first.name) == [first.name, second.name]  # control
    assert box.place("vera", first)["credential"] == first.name
    assert not chains.is_cast(box.tx, box.election, box.chain("vera", first))


@pytest.mark.parametrize("box", ["last-counts"], indirect=True)
def test_where_the_last_counts_the_line_goes_on_from_its_last_ballot(box: Box) -> None:
    first, second, third = box.keys["vera"], Key(), Key()
    box.replace("vera", first, second)
    ballot = box.made(second)
    box.cast("vera", ballot)
    passed_votes.note_replaced(box.tx, box.election, second.name, third.name)
    place = box.place("vera", first)
    assert (place["credential"], place["seq"]) == (third.name, 1)
    assert unb64u(place["prev"]) == Ballot.from_json(ballot).leaf
    assert box.cast("vera", box.made(third, 2, unb64u(place["prev"])))
