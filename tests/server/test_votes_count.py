"""Opening the box, signing, declaring and downloading: by the rules or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.votes_support import ABSTAIN, NO, YES, Hall, flip, opened, refused

from folkmoot_server.commands import tallies
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_voting import challenges, merkle_log
from folkmoot_voting.encoding import unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.verify import verify_bundle


async def test_the_box_is_opened_by_its_rules_alone(hall: Hall) -> None:
    ready, manifest = await opened(hall)
    election = manifest.election
    await support.cast_all(hall, manifest, [YES, YES, NO, NO, ABSTAIN])
    await support.close(hall, election)
    total, closing = await support.own_aggregate(hall, manifest)
    digest = closing.hash()
    cosignatures = hall.election_path(election, "/cosignatures")
    intents, shares = hall.election_path(election, "/intents"), hall.election_path(election, "/shares")
    by_name = {one.name: one for one in ready.cosigners}
    one, two, three = ready.tellers

    good_intent = support.intent(one, manifest, digest, total.hash)
    answer = await refused(hall, one.person, intents, {"entry": good_intent})
    assert answer == (409, "election.wrong-state")

    def line(name: str, checkpoint: merkle_log.Checkpoint, key: str = "") -> dict[str, str]:
        return {"line": str(merkle_log.cosign(checkpoint, name, by_name[key or name].seed, hall.clock()))}

    other = merkle_log.Checkpoint(closing.origin, closing.size, bytes(32))
    for person, body, expected in [
        (hall.plain, line("chair", closing), (403, "cosigner.not-named")),
        (hall.secretary, line("chair", closing), (422, "voting.log-cosignature")),
        (hall.chair, line("chair", closing, "secretary"), (422, "voting.log-cosignature")),
        (hall.chair, line("chair", other), (422, "voting.log-cosignature")),
        (hall.chair, {"line": "— chair abc\n"}, (422, "voting.log-malformed")),
        (hall.chair, {"line": ""}, (422, "voting.log-malformed")),
    ]:
        assert await refused(hall, person, cosignatures, body) == expected
    for count, cosigner in enumerate(ready.cosigners[:3], 1):
        for _ in range(2):  # the second changes nothing
            answer = await cosigner.person.post(cosignatures, line(cosigner.name, closing))
            assert answer == {"cosignatures": count}
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "closed"
    assert (await refused(hall, one.person, intents, {"entry": good_intent}))[0] == 409
    await support.cosign(hall, manifest, ready.cosigners)
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "counting"

    await intents_and_shares(hall, ready, manifest, digest, total, intents, shares)
    tally = hall.election_path(election, "/tally")
    assert await refused(hall, hall.chair, tally, None, method="GET") == (404, "tally.not-counted")
    await one.person.post(shares, {"entry": support.share(one, manifest, total)})
    await two.person.post(shares, {"entry": support.share(two, manifest, total)})
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "counted"
    # The third share is not needed and does no harm.
    await three.person.post(intents, {"entry": support.intent(three, manifest, digest, total.hash)})
    await three.person.post(shares, {"entry": support.share(three, manifest, total)})
    await signatures(hall, ready, manifest)


async def intents_and_shares(
    hall: Hall, ready: support.Ready, manifest: Manifest, digest: bytes, total: Any, intents: str, shares: str
) -> None:
    one, two, _ = ready.tellers
    good = support.intent(one, manifest, digest, total.hash)
    for person, path, entry, expected in [
        (two.person, intents, good, (403, "count.not-your-entry")),
        (hall.plain, intents, good, (403, "count.not-your-entry")),
        (one.person, shares, good, (403, "count.not-your-entry")),
        (one.person, intents, support.intent(one, manifest, digest, bytes(32)), (422, "voting.intent-foreign")),
        (one.person, intents, support.intent(one, manifest, bytes(32), total.hash), (422, "voting.intent-foreign")),
        (one.person, intents, {**good, "sig": flip(good["sig"], 0)}, (422, "voting.intent-unsigned")),
        (one.person, intents, {**good, "more": 1}, (422, "voting.board-malformed")),
        (one.person, shares, support.share(one, manifest, total), (409, "count.no-intent")),
    ]:
        assert await refused(hall, person, path, {"entry": entry}) == expected
    for _ in range(2):
        await one.person.post(intents, {"entry": good})
    await two.person.post(intents, {"entry": support.intent(two, manifest, digest, total.hash)})
    assert len(await hall.events("IntentPosted")) == 2
    wrong = support.share(one, manifest, total)
    parts = [[{**part, "d": part["u"]} for part in row] for row in wrong["parts"]]
    resealed = votes.board.share_entry(1, manifest.hash, total.hash, parts, one.trustee.seed)
    assert await refused(hall, one.person, shares, {"entry": {**resealed, "parts": []}}) == (
        422,
        "voting.share-unsigned",
    )


async def signatures(hall: Hall, ready: support.Ready, manifest: Manifest) -> None:
    one, two, three = ready.tellers
    chair = ready.cosigners[0]
    sign = support.sign_tally
    assert await sign(hall, manifest, two.person, one.trustee.seed, 1) == (403, "tally.not-trustee")
    assert await sign(hall, manifest, one.person, two.trustee.seed, 1) == (422, "tally.signature")
    assert await sign(hall, manifest, hall.secretary, chair.seed, 0) == (403, "tally.not-chair")
    assert await sign(hall, manifest, hall.chair, one.trustee.seed, 0) == (422, "tally.signature")
    for _ in range(2):
        assert await sign(hall, manifest, hall.chair, chair.seed, 0) == (200, "accepted")
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "counted"
    assert await sign(hall, manifest, one.person, one.trustee.seed, 1) == (200, "accepted")
    assert await sign(hall, manifest, two.person, two.trustee.seed, 2) == (200, "accepted")
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "declared"
    assert len(await hall.events("TallySigned")) == 3
    assert await sign(hall, manifest, hall.chair, chair.seed, 0) == (409, "election.wrong-state")
    # A page that was on its way with one signature more is not told off; a wrong one is.
    for _ in range(2):
        assert await sign(hall, manifest, three.person, three.trustee.seed, 3) == (200, "accepted")
    assert await sign(hall, manifest, three.person, one.trustee.seed, 3) == (422, "tally.signature")
    assert len(await hall.events("TallySigned")) == 3


async def counted_by_the_first_two(hall: Hall) -> tuple[support.Ready, Manifest]:
    """A vote that tellers 1 and 2 opened; the chair has signed, and teller 1 will not."""
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES, YES, NO])
    await support.close(hall, manifest.election)
    await support.cosign(hall, manifest, ready.cosigners)
    total, closing = await support.own_aggregate(hall, manifest)
    for teller in ready.tellers[:2]:
        entry = support.intent(teller, manifest, closing.hash(), total.hash)
        await teller.person.post(hall.election_path(manifest.election, "/intents"), {"entry": entry})
        entry = support.share(teller, manifest, total)
        await teller.person.post(hall.election_path(manifest.election, "/shares"), {"entry": entry})
    chair, two = ready.cosigners[0], ready.tellers[1]
    assert await support.sign_tally(hall, manifest, hall.chair, chair.seed, 0) == (200, "accepted")
    assert await support.sign_tally(hall, manifest, two.person, two.trustee.seed, 2) == (200, "accepted")
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "counted"
    return ready, manifest


async def test_a_teller_who_gives_a_share_and_never_signs_stops_nothing(hall: Hall) -> None:
    ready, manifest = await counted_by_the_first_two(hall)
    three = ready.tellers[2]
    assert await support.sign_tally(hall, manifest, three.person, three.trustee.seed, 3) == (200, "accepted")
    view = (await hall.view(hall.chair))["elections"][0]
    assert (view["state"], view["result"]["counts"]) == ("declared", [[2, 1, 0]])
    tally = await hall.chair.get(hall.election_path(manifest.election, "/tally"))
    assert [one["trustee"] for one in tally["signatures"]["trustees"]] == [2, 3]
    _, raw = await hall.auditor.raw("GET", hall.path("/bundle.zip"))
    assert verify_bundle(raw).verdict == "ok"


async def test_were_all_who_opened_the_box_to_sign_one_could_stop_the_result(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule that was, planted: it is what the test above would notice."""

    def all_who_opened(signers: set[str], *_: Any) -> bool:
        return {"chair", "trustee-1", "trustee-2"} <= signers

    monkeypatch.setattr(tallies, "_is_enough", all_who_opened)
    ready, manifest = await counted_by_the_first_two(hall)
    three = ready.tellers[2]
    assert await support.sign_tally(hall, manifest, three.person, three.trustee.seed, 3) == (200, "accepted")
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "counted"


async def test_no_teller_signs_where_no_box_was_opened(hall: Hall) -> None:
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES, NO])
    await support.close(hall, manifest.election)
    await support.cosign(hall, manifest, ready.cosigners)
    one = ready.tellers[0]
    assert await support.sign_tally(hall, manifest, one.person, one.trustee.seed, 1) == (403, "tally.no-box")


async def test_what_is_not_counted_in_time_is_void_and_the_meeting_can_close(hall: Hall) -> None:
    ready, manifest = await opened(hall)
    await support.cast_all(hall, manifest, [YES] * 4)
    await support.close(hall, manifest.election)
    await support.cosign(hall, manifest, ready.cosigners)
    total, closing = await support.own_aggregate(hall, manifest)
    hall.clock.at = manifest.time_limit + 1
    for person in hall.officers:  # a day later everybody has to sign in again
        await sign_in(person)
    teller = ready.tellers[0]
    await hall.settle()
    assert (await hall.view(hall.chair))["elections"][0]["state"] == "void"
    assert [event["body"] for event in await hall.events("ElectionVoided")] == [{"election": manifest.election}]
    path = hall.election_path(manifest.election, "/intents")
    entry = support.intent(teller, manifest, closing.hash(), total.hash)
    assert await refused(hall, teller.person, path, {"entry": entry}) == (409, "election.wrong-state")
    await hall.chair.post(hall.path("/commands"), {"command": "close"})


async def sign_in(person: Person) -> None:
    begun = await person.post("/api/sign-in/begin")
    challenge = challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"]))
    credential = person.authenticator.authenticate(challenge)
    await person.post("/api/sign-in/finish", {"nonce": begun["nonce"], "credential": credential})


async def test_downloads_are_for_those_who_may_have_them(hall: Hall) -> None:
    ready = await support.prepare(hall)
    answer = await refused(hall, hall.auditor, hall.path("/bundle.zip"), None, method="GET")
    assert answer == (404, "export.nothing-declared")
    answer = await refused(hall, hall.auditor, hall.path("/annex.age"), None, method="GET")
    assert answer == (409, "annex.no-auditor")
    await support.hold_vote(hall, ready, [YES] * 3)
    for person in (hall.plain, hall.chair, hall.secretary):
        answer = await refused(hall, person, hall.path("/annex.age"), None, method="GET")
        assert answer == (403, "role.missing")
    stranger = Person(hall.settings.public_url, "nobody")
    hall.people.append(stranger)
    for name in ("/bundle.zip", "/annex.age", "/roll", "/keygen", "/elections/x/board", "/elections/x/tally"):
        answer = await refused(hall, stranger, hall.path(name), None, method="GET")
        assert answer == (401, "session.none"), name
