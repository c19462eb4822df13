"""The pure parts of a relay: chain, link, nonces, and what it shows of the meeting while it is alone."""

import dataclasses

import pytest
from sqlalchemy import create_engine, func, select
from tests.relay.rig import independent_chain

from folkmoot_server.domain import relays
from folkmoot_server.domain.errors import TooMany
from folkmoot_server.domain.relays import Kind
from folkmoot_server.relay import kept, schema, views
from folkmoot_server.relay.link_state import CUT_AFTER_S, NEXT, Link, LinkState, Sign
from folkmoot_server.relay.nonces import Seed, next_nonce
from folkmoot_server.relay.outbox_chain import Head, Signer, Wish, head_of, make_entry, receipt, wish_digest
from folkmoot_voting import signing
from folkmoot_voting.encoding import JsonObject, b64u

SEED = bytes(range(32))
SIGNER = Signer("relay-1", 3, SEED)


def chain(count: int) -> list[JsonObject]:
    entries: list[JsonObject] = []
    head = Head()
    for number in range(count):
        wish = Wish(Kind.HAND, f"member-{number}", {"command": "raise-hand"})
        entry = make_entry(SIGNER, head, wish, at=100 + number, cut=True, salt=bytes([number]) * 32)
        head = Head(entry["seq"], head_of(entry))
        entries.append(entry)
    return entries


def test_the_hub_and_a_check_from_scratch_take_the_chain() -> None:
    entries, key = chain(4), signing.public_key(SEED)
    assert independent_chain(entries, key) == b64u(head_of(entries[-1]))
    taken = relays.fresh("relay-1", key, relays.Cursor(0, b""), {}, [relays.read_entry(one) for one in entries])
    assert [one.seq for one in taken] == [1, 2, 3, 4]
    assert receipt(entries[1]) == {
        "relay": "relay-1",
        "seq": 2,
        "head": b64u(head_of(entries[1])),
        "sig": entries[1]["sig"],
    }


@pytest.mark.parametrize("change", ["drop", "swap", "body", "prev"])
def test_control_a_chain_that_was_changed_is_noticed(change: str) -> None:
    entries, key = chain(4), signing.public_key(SEED)
    if change == "drop":
        del entries[1]
    elif change == "swap":
        entries[1], entries[2] = entries[2], entries[1]
    elif change == "body":
        entries[2] = {**entries[2], "body": {"command": "lower-hand"}}
    else:
        entries[3] = {**entries[3], "prev": entries[2]["prev"]}
    with pytest.raises(Exception):  # noqa: B017  whichever of its checks
        independent_chain(entries, key)


def test_the_same_wish_is_known_again_and_no_other() -> None:
    wish = Wish(Kind.HAND, "m", {"command": "raise-hand"})
    assert wish_digest(wish) == wish_digest(Wish(Kind.HAND, "m", {"command": "raise-hand"}))
    others = [
        dataclasses.replace(wish, member="n"),
        dataclasses.replace(wish, kind=Kind.SPEAK),
        dataclasses.replace(wish, body={"command": "lower-hand"}),
    ]
    assert wish_digest(wish) not in {wish_digest(other) for other in others}


def test_the_link_is_cut_after_eight_silent_seconds_and_back_with_an_answer() -> None:
    link = LinkState(since=1000)
    assert link.cut
    assert link.since == 1000
    assert link.answered(50.0, 2000)
    assert not link.cut
    assert not link.tick(50.0 + CUT_AFTER_S - 0.01)
    assert not link.answered(55.0, 2005)
    assert not link.tick(55.0 + CUT_AFTER_S - 0.01)
    assert link.tick(55.0 + CUT_AFTER_S)
    assert link.cut
    assert link.since == 2005
    assert not link.tick(55.0 + 2 * CUT_AFTER_S)
    assert link.since == 2005
    assert link.answered(90.0, 2040)


def test_the_table_of_the_link_names_every_state_and_sign() -> None:
    assert set(NEXT) == {(state, sign) for state in Link for sign in Sign}
    assert set(NEXT.values()) == set(Link)


def test_nonces_are_the_hubs_each_once_and_end_with_their_seed() -> None:
    seed = Seed(SEED, until=500)
    given = []
    for _ in range(3):
        nonce, seed = next_nonce(seed, 499)
        given.append(nonce)
    assert given == [relays.nonce(SEED, index) for index in range(3)]
    assert set(given) < relays.nonces(SEED)
    with pytest.raises(TooMany):
        next_nonce(seed, 500)
    last, spent = next_nonce(Seed(SEED, 500, relays.NONCES - 1), 0)
    assert last in relays.nonces(SEED)
    with pytest.raises(TooMany):
        next_nonce(spent, 0)


def test_a_hall_alone_shows_the_newest_meeting_with_the_members_own_part() -> None:
    state = {"seq": 9, "elections": [{"election": "e", "state": "open"}], "removed": []}
    before = {
        "seq": 4,
        "elections": [{"election": "e", "state": "draft", "voted": True, "me": {"lineage": "k"}}],
        "me": {**views.own_part("m", entitled=True), "roles": ["chair"]},
    }
    shown = views.snapshot(state, before, before["me"], frozenset(), queued=False)
    assert shown["seq"] == 9
    assert shown["elections"] == [{"election": "e", "state": "open", "voted": True, "me": {"lineage": "k"}}]
    assert (shown["me"]["roles"], shown["me"]["checked_in"], shown["me"]["waiting"]) == (["chair"], False, False)
    new = views.snapshot(state, None, views.own_part("m", entitled=True), frozenset(), queued=True)
    assert new["elections"][0]["voted"] is False
    assert (new["me"]["checked_in"], new["me"]["waiting"], new["me"]["removed"]) == (True, True, False)
    out = {**state, "removed": [{"member": "m", "name": "M"}]}
    assert views.snapshot(out, None, views.own_part("m", entitled=True), {"m"}, queued=False)["me"]["removed"] is True


def test_what_is_kept_is_its_members_own_and_goes_when_the_hub_gives_it_no_more() -> None:
    path = "/api/meetings/m1/papers"
    assert kept.owner(path, "m1", "ann") == "ann"
    assert kept.owner("/api/info", "m1", "") == kept.EVERYBODY
    assert [kept.owner(other, "m1", "ann") for other in ("/api/meetings/m2/papers", f"{path}/x/reads")] == [
        None,
        None,
    ]
    assert kept.owner(path, "m1", "") is None
    engine = create_engine("sqlite://")
    schema.metadata.create_all(engine)
    paper, other = kept.Kept("text/plain", b"paper"), kept.Kept("text/plain", b"another")
    with engine.begin() as tx:
        assert kept.keep(tx, "ann", path, paper)
        assert kept.keep(tx, "ben", path, paper)
        assert (kept.find(tx, "ann", path), kept.find(tx, "cid", path)) == (paper, None)
        assert kept.keep(tx, "ann", path, other)
        assert (kept.find(tx, "ann", path), kept.find(tx, "ben", path)) == (other, paper)
        kept.drop(tx, "ben", path)
        assert (kept.find(tx, "ann", path), kept.find(tx, "ben", path)) == (other, None)
        assert tx.execute(select(func.count()).select_from(schema.blob)).scalar() == 1
        assert not kept.keep(tx, "ann", path, kept.Kept("text/plain", bytes(kept.ANSWER_MAX + 1)))
