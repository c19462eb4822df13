"""What a relay brings: check-ins, hands, seals, ballots, voids and replacements, each once, and what is refused."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest
from tests.server import votes_support
from tests.server.common import refusal
from tests.server.relay_support import Village, check_in_body, open_village
from tests.server.votes_support import NO, YES, Hall, cells

from folkmoot_server.demo import votes
from folkmoot_voting import casting, challenges, signing
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.casting import Place
from folkmoot_voting.encoding import JsonObject, b64u

AGAIN = {"voting_again": "last-counts", "kiosk": True}


@pytest.fixture
async def village(hall: Hall) -> AsyncIterator[Village]:
    async with open_village(hall, **AGAIN) as found:
        yield found


async def test_a_vote_reaches_the_box_from_a_hall_that_was_cut_off(village: Village) -> None:
    hall, relay = village.hall, village.relay
    for person in village.there:
        village.queue("ballot", ballot=village.ballot(person, YES))
    hall.clock.at += 600
    answer = await relay.send()
    assert (answer["upto"], answer["refused"]) == (len(relay.log), [])
    assert answer["head"] == b64u(relay.head)
    assert [one["seq"] for one in answer["promises"]] == [len(relay.log) - 2, len(relay.log) - 1, len(relay.log)]
    assert (await relay.send(len(relay.log), len(relay.log)))["promises"] == answer["promises"][-1:]
    for person in (hall.chair, hall.secretary):
        await votes_support.send(hall, person, village.ballot(person, NO))
    assert await village.cast() == 5
    # The page asks for its promise by sending the same bytes to the hub.
    again = relay.log[-1]["body"]["ballot"]
    promise = await votes_support.send(hall, village.there[2], again)
    assert promise["manifest"] == b64u(village.manifest.hash)
    told = answer["promises"][-1]
    assert (told["publish_by"], told["sig"]) == (promise["publish_by"], promise["sig"])
    await votes_support.close(hall, village.manifest.election)
    await votes_support.cosign(hall, village.manifest, village.ready.cosigners)
    await votes.count(village.ready.tellers[:2], hall.meeting, village.manifest)
    core = (await hall.chair.get(hall.election_path(village.manifest.election, "/tally")))["core"]
    assert (core["counts"], core["ballots"], core["halls"]) == (
        [[3, 2, 0]],
        5,
        [{"site": village.site, "name": "Upper village", "state": "unreachable", "ballots": 0}],
    )


async def test_seals_voids_replacements_and_later_ballots_speak_for_themselves(village: Village) -> None:
    hall, manifest, (first, second, third) = village.hall, village.manifest, village.there
    seed = hall.credentials[first.member]
    audited = casting.seal(manifest, signing.public_key(seed), cells(manifest, NO), secrets.token_bytes)
    village.queue("seal", **casting.make_announcement(manifest, seed, sealed_hash(audited)))
    village.queue("void", entry=casting.make_void(manifest, seed, audited))
    ballot = village.ballot(first, YES)
    village.queue("seal", **casting.make_announcement(manifest, seed, sealed_hash(ballot)))
    village.queue("ballot", ballot=ballot)
    village.queue("ballot", second, ballot=village.ballot(second, NO))  # a ballot names nobody
    new, nonce, old = secrets.token_bytes(32), village.relay.nonce(), hall.credentials[third.member]
    keys = (signing.public_key(old), signing.public_key(new))
    challenge = challenges.replacement(manifest.hash, *keys, False, nonce)
    signed = {"nonce": b64u(nonce), **third.assertion(challenge)}
    village.queue("replacement", third, old=b64u(keys[0]), new=b64u(keys[1]), kiosk=False, **signed)
    village.queue("ballot", ballot=village.ballot(third, YES))  # with the key that was replaced
    hall.credentials[third.member] = new
    mine = village.ballot(third, NO)
    village.queue("ballot", ballot=mine)
    leaf = casting.Place(1, 2, votes.ballot_leaf(mine))
    village.queue("ballot", ballot=village.ballot(third, YES, place=leaf))
    assert await village.refusals() == ["relay.entry", "ballot.replaced"]
    found = (await hall.view(hall.chair))["elections"][-1]
    assert found["cast"] == 2
    await votes_support.close(hall, manifest.election)
    await votes_support.cosign(hall, manifest, village.ready.cosigners)
    core = (await hall.chair.get(hall.path("")))["elections"][-1]["result"]
    assert (core["ballots"], core["cast"], core["voids"], core["replacements"]) == (3, 2, 1, 1)


async def test_hands_go_up_for_who_is_in_the_hall_and_for_nobody_else(village: Village) -> None:
    hall, relay, at = village.hall, village.relay, village.hall.clock()
    first, second, third = village.there
    relay.write("hand", {"command": "raise-hand"}, at, first.member)
    relay.write("speak", {"command": "raise-hand", "kind": "point-of-order", "category": 2}, at, second.member)
    relay.write("hand", {"command": "raise-hand"}, at, hall.chair.member)
    relay.write("hand", {"command": "raise-hand"}, at, third.member)
    relay.write("hand", {"command": "lower-hand"}, at, third.member)
    relay.write("hand", {"command": "mute-all"}, at, third.member)
    relay.write("hand", {"command": "raise-hand"}, at)
    assert await village.refusals() == ["relay.not-here", "relay.entry", "relay.entry"]
    queue = (await hall.view(hall.chair))["speaking"]["queue"]
    assert [(turn["person"], turn["kind"]) for turn in queue] == [
        (second.member, "point-of-order"),
        (first.member, "contribution"),
    ]


async def test_what_nothing_proves_is_refused_and_counted_as_taken(village: Village) -> None:
    hall, relay, site = village.hall, village.relay, village.site
    first, second, _ = village.there
    body, _ = await check_in_body(hall, relay, site, first)
    at = hall.clock()

    async def refused(kind: str, body: JsonObject, member: str = "") -> str:
        relay.write(kind, body, at, member)
        answer = await relay.send()
        assert answer["upto"] == len(relay.log)
        return str(answer["refused"][0]["code"]) if answer["refused"] else "taken"

    # Signed for another member, with a strange nonce, twice, for another site: nobody is checked in by a relay.
    assert await refused("check-in", body, second.member) == "check-in.passkey-not-on-roll"
    strange, _ = await check_in_body(hall, relay, site, first, secrets.token_bytes(32))
    assert await refused("check-in", strange, first.member) == "relay.nonce"
    elsewhere, _ = await check_in_body(hall, relay, "main", first)
    assert await refused("check-in", elsewhere, first.member) == "relay.not-here"
    flipped = {**body, "credential": b64u(secrets.token_bytes(32))}
    assert await refused("check-in", flipped, first.member) == "voting.assertion-challenge"
    assert await refused("check-in", body, first.member) == "taken"
    assert await refused("check-in", body, first.member) == "relay.nonce"
    # A credential of nobody, of another election's form, and a void that another one signed.
    election = village.manifest.election
    stranger = casting.make_ballot(
        village.manifest, secrets.token_bytes(32), cells(village.manifest, YES), secrets.token_bytes, Place(1, 1, b"")
    )
    assert await refused("ballot", {"election": election, "ballot": stranger}) == "ballot.foreign-credential"
    bad = {**village.ballot(second, YES), "weight": 7}
    assert await refused("ballot", {"election": election, "ballot": bad}) == "voting.ballot-signature"
    good = village.ballot(second, YES)
    assert await refused("ballot", {"election": "no-such-vote", "ballot": good}) == "election.unknown"
    assert await refused("ballot", {"election": election, "ballot": good, "more": 1}) == "relay.entry"
    assert await refused("ballot", {"election": election, "ballot": good}) == "taken"
    announced = casting.make_announcement(village.manifest, hall.credentials[second.member], b"x" * 32)
    forged = {**announced, "sealed": b64u(b"y" * 32), "election": election}
    assert await refused("seal", forged) == "ballot.announcement-unsigned"
    assert await village.cast() == 1


async def test_a_chain_is_taken_once_and_whole_or_not_at_all(village: Village) -> None:
    hall, relay = village.hall, village.relay
    start, at = relay.upto, hall.clock()
    for person in village.there:
        village.queue("ballot", ballot=village.ballot(person, YES))
    relay.write("here", {"members": []}, at)
    one, two, three, four = relay.log[start:]

    async def answered(*entries: JsonObject) -> tuple[int, str]:
        status, answer = await relay.post(*entries)
        return status, "taken" if status == 200 else answer["error"]["code"]

    assert await answered(two) == (422, "relay.gap")
    assert await answered(one, three) == (422, "relay.gap")
    assert await answered({**one, "sig": b64u(bytes(64))}) == (422, "relay.signature")
    assert await answered({**one, "at": at + 1}) == (422, "relay.signature")
    unsigned = {name: value for name, value in one.items() if name != "sig"}
    assert await answered(relay.signed({**unsigned, "prev": b64u(bytes(32))})) == (422, "relay.chain")
    assert await answered(relay.signed({**unsigned, "relay": "another"})) == (422, "relay.chain")
    assert await answered(relay.signed({**unsigned, "epoch": relay.epoch + 1})) == (422, "relay.chain")
    assert await answered(relay.signed({**unsigned, "kind": "vote"})) == (400, "input.malformed")
    assert await answered(one, {**two, "sig": three["sig"]}) == (422, "relay.signature")
    assert await village.cast() == 0
    # The answer is lost, so everything comes again, then some of it once more, then the rest.
    assert await answered(one, two) == (200, "taken")
    assert await answered(one) == (200, "taken")
    assert await answered(one, two, three) == (200, "taken")
    answer = (await relay.post(two, three, four))[1]
    assert [one["seq"] for one in answer.pop("promises")] == [two["seq"], three["seq"]]
    assert answer == {"upto": start + 4, "head": b64u(relay.head), "refused": []}
    assert await village.cast() == 3
    # Two stories under one number: nothing of it is taken, and the chair hears of it.
    other = relay.signed({**{k: v for k, v in three.items() if k != "sig"}, "at": at + 5})
    assert await answered(other) == (409, "relay.forked")
    assert [event["body"] for event in await hall.events("RelayForked")] == [{"site": village.site}]
    alerts = (await hall.view(hall.chair))["alerts"]
    assert [(one["kind"], one["site"]) for one in alerts] == [("relay-forked", village.site)]
    assert (await hall.view(hall.auditor))["alerts"] == []
    assert len(await hall.events("BallotAccepted")) == 3


async def test_a_late_hall_is_named_with_its_ballots_and_they_do_not_count(village: Village) -> None:
    hall, relay, manifest = village.hall, village.relay, village.manifest
    for person in village.there:
        village.queue("ballot", ballot=village.ballot(person, YES))
    for person in (hall.chair, hall.secretary):
        await votes_support.send(hall, person, village.ballot(person, NO))
    third = next(person for person in hall.people if person.name == "Ana Silva")
    await votes_support.send(hall, third, village.ballot(third, NO))
    hall.clock.at += 60
    await votes_support.close(hall, manifest.election)
    assert await village.refusals() == ["ballot.election-not-open"] * 3
    await relay.post(*relay.log[-3:])  # sent again, nothing is counted twice
    # Ana's own vote came by another way: hers from the hall would not have counted in time either.
    await votes_support.cosign(hall, manifest, village.ready.cosigners)
    await votes.count(village.ready.tellers[:2], hall.meeting, manifest)
    core = (await hall.chair.get(hall.election_path(manifest.election, "/tally")))["core"]
    assert core["counts"] == [[0, 3, 0]]
    assert core["halls"] == [{"site": village.site, "name": "Upper village", "state": "late", "ballots": 2}]


async def test_the_grace_of_a_vote_waits_for_its_halls_and_nothing_is_opened_before(hall: Hall) -> None:
    async with open_village(hall, grace_s=600, secrecy="open") as village:
        manifest, path = village.manifest, hall.election_path(village.manifest.election, "/close")
        assert manifest.grace_s == 600
        assert [one["grace_s"] for one in (await hall.view(hall.plain))["elections"]] == [600]
        too_long = votes_support.question(hall, grace_s=3601)
        assert await refusal(hall.chair, hall.path("/questions"), too_long) == (400, "input.malformed")
        usual = await votes_support.draft(hall)
        shown = {one["election"]: one["grace_s"] for one in (await hall.view(hall.chair))["elections"]}
        assert shown[usual] == hall.settings.closing_grace_s
        for person in village.there:
            village.queue("ballot", ballot=village.ballot(person, YES))
        await hall.chair.act(path, votes_support.step_up("close-election", hall, manifest.election))
        await hall.settle(600)
        assert await hall.events("ElectionClosed") == []
        await village.relay.lease()
        assert await village.refusals() == []  # in the grace's last second
        await hall.settle(1)
        await votes_support.cosign(hall, manifest, village.ready.cosigners)
        await hall.settle()
        core = (await hall.chair.get(hall.election_path(manifest.election, "/tally")))["core"]
        assert (core["counts"], core["halls"]) == ([[3, 0, 0]], [])
