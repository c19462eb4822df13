"""Voting again, announcing, auditing and replacing: by the rules of lineages, and verified in the record."""

from __future__ import annotations

import json
import secrets
from typing import Any

from tests.server import votes_support as support
from tests.server.test_votes_flow import downloads
from tests.server.votes_support import NO, YES, Hall, opened, refused

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_voting import casting, signing
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.encoding import JsonObject, b64u, unb64u
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.verify import verify_bundle

AGAIN = {"voting_again": "last-counts", "kiosk": True}


async def place(hall: Hall, person: Person, manifest: Manifest) -> casting.Place:
    return await votes.place(person, hall.meeting, manifest)


async def me(hall: Hall, person: Person) -> dict[str, Any]:
    return dict((await hall.view(person))["elections"][-1]["me"])


def sealed(hall: Hall, person: Person, manifest: Manifest, standing: casting.Place = casting.FIRST) -> JsonObject:
    key = signing.public_key(hall.credentials[person.member])
    return casting.seal(manifest, key, support.cells(manifest, YES), secrets.token_bytes, standing)


async def finish(hall: Hall, ready: support.Ready, manifest: Manifest) -> dict[str, Any]:
    """Close, count, declare, verify the record; return the tally core."""
    await hall.settle(hall.settings.publish_every_s)
    await support.close(hall, manifest.election)
    await support.cosign(hall, manifest, ready.cosigners)
    await votes.count(ready.tellers[:2], hall.meeting, manifest)
    core = await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    report = verify_bundle(*await downloads(hall))
    assert report.verdict == "ok", [check for check in report.checks if check.ok is False]
    return core


async def test_the_last_ballot_of_each_voter_counts(hall: Hall) -> None:
    ready, manifest = await opened(hall, **AGAIN)
    path = hall.election_path(manifest.election, "/ballots")
    ballots = await support.cast_all(hall, manifest, [YES] * 4)
    for choice in (YES, NO):
        again = support.seal(hall, hall.chair, manifest, choice, await place(hall, hall.chair, manifest))
        await hall.chair.post(path, {"ballot": again})
    assert await me(hall, hall.chair) == {
        "lineage": ballots[0]["credential"], "credential": ballots[0]["credential"], "weight": 1, "seq": 3,
    }  # fmt: skip
    stale = support.seal(hall, hall.chair, manifest, YES, casting.Place(1, 3, bytes(32)))
    assert await refused(hall, hall.chair, path, {"ballot": stale}) == (422, "voting.ballot-seq")
    early = support.seal(hall, hall.secretary, manifest, NO, casting.Place(1, 1))
    assert await refused(hall, hall.secretary, path, {"ballot": early}) == (422, "voting.ballot-seq")
    # Voting again is not told to the room.
    assert [event["body"]["count"] for event in await hall.events("BallotAccepted")] == [1, 2, 3, 4]
    core = await finish(hall, ready, manifest)
    assert (core["ballots"], core["cast"], core["counts"]) == (6, 4, [[3, 1, 0]])
    entries = [json.loads(one) for one in (await support.whole_board(hall, manifest.election))["entries"]]
    mine = [
        e["ballot"]["seq"]
        for e in entries
        if e["type"] == "ballot" and e["ballot"]["credential"] == ballots[0]["credential"]
    ]
    assert mine == [1, 2, 3], "shuffled batches keep the order of a lineage"


async def test_after_an_announcement_only_the_ballot_announced_last_is_taken(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path, seals = (hall.election_path(manifest.election, rest) for rest in ("/ballots", "/seals"))
    first, second = (sealed(hall, hall.chair, manifest) for _ in range(2))
    seed = hall.credentials[hall.chair.member]
    for number, one in ((1, first), (2, second), (2, second)):
        body = casting.make_announcement(manifest, seed, sealed_hash(one))
        assert await hall.chair.post(seals, body) == {"seals": number}
    foreign = casting.make_announcement(manifest, seed, sealed_hash(first))
    assert await refused(hall, hall.secretary, seals, foreign) == (403, "ballot.foreign-credential")
    thief = hall.credentials[hall.secretary.member]
    body = casting.make_announcement(manifest, thief, sealed_hash(second))
    assert await refused(hall, hall.secretary, seals, body) == (409, "ballot.sealed-foreign")
    wrong = {"ballot": casting.sign_ballot(first, seed)}
    assert await refused(hall, hall.chair, path, wrong) == (409, "ballot.not-announced")
    assert "promise" in await hall.chair.post(path, {"ballot": casting.sign_ballot(second, seed)})
    again = casting.make_announcement(manifest, seed, bytes(32))
    assert await refused(hall, hall.chair, seals, again) == (409, "ballot.already-cast")
    # Who announced nothing casts as before.
    await hall.secretary.post(path, {"ballot": support.seal(hall, hall.secretary, manifest, YES)})


async def test_at_most_twenty_seals(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/seals")
    seed = hall.credentials[hall.chair.member]
    for number in range(20):
        await hall.chair.post(path, casting.make_announcement(manifest, seed, bytes([number]) * 32))
    more = casting.make_announcement(manifest, seed, b"x" * 32)
    assert await refused(hall, hall.chair, path, more) == (429, "ballot.too-many-seals")


async def test_a_stolen_session_announces_nothing_and_shuts_nobody_out(hall: Hall) -> None:
    """Whoever has the member's session but not the voting key; the control is the voter's own announcement."""
    _, manifest = await opened(hall)
    ballots, seals = (hall.election_path(manifest.election, rest) for rest in ("/ballots", "/seals"))
    seed = hall.credentials[hall.chair.member]
    mine = casting.make_announcement(manifest, seed, sealed_hash(sealed(hall, hall.chair, manifest)))
    theirs = b64u(b"x" * 32)
    unsigned = (422, "ballot.announcement-unsigned")
    for forged in (
        {**mine, "sealed": theirs},
        {**mine, "sig": support.flip(mine["sig"], 3)},
        {**casting.make_announcement(manifest, secrets.token_bytes(32), b"x" * 32), "credential": mine["credential"]},
        {**mine, "sig": b64u(signing.sign(seed, casting.void_hash(manifest.hash, unb64u(mine["sealed"]))))},
    ):
        assert await refused(hall, hall.chair, seals, forged) == unsigned
    await hall.chair.post(ballots, {"ballot": support.seal(hall, hall.chair, manifest, YES)})
    assert (await hall.view(hall.chair))["elections"][0]["cast"] == 1


async def test_an_audited_ballot_is_void_for_ever_and_a_second_device_sees_it(hall: Hall) -> None:
    ready, manifest = await opened(hall)
    paths = {rest: hall.election_path(manifest.election, "/" + rest) for rest in ("ballots", "seals", "voids")}
    seed = hall.credentials[hall.chair.member]
    page_seed = secrets.token_bytes(32)
    draws, cells = casting.SeededDraws(page_seed), support.cells(manifest, NO)
    audited = casting.seal(manifest, signing.public_key(seed), cells, draws)
    digest = b64u(sealed_hash(audited))
    announcement = casting.make_announcement(manifest, seed, sealed_hash(audited))
    await hall.chair.post(paths["seals"], announcement)
    void = casting.make_void(manifest, seed, audited)
    # The second device has no session: it fetches the manifest by its hash and builds the ballot anew.
    stranger = Person(hall.settings.public_url, "second device")
    hall.people.append(stranger)
    opening = casting.read_fragment(casting.opening_fragment(casting.make_opening(audited, page_seed, cells)))
    found = Manifest.from_json((await stranger.get(f"/api/manifests/{opening['manifest']}"))["manifest"])
    assert found.hash == manifest.hash
    assert casting.rebuild(found, opening) == audited
    state = f"/api/manifests/{opening['manifest']}/voids/{digest}"
    assert await stranger.get(state) == {"recorded": False, "published": False}

    forged = {**void, "sig": support.flip(void["sig"], 3)}
    assert await refused(hall, hall.chair, paths["voids"], {"entry": forged}) == (422, "voting.void-unsigned")
    others = hall.credentials[hall.secretary.member]
    theirs = casting.make_void(manifest, others, audited)
    assert await refused(hall, hall.secretary, paths["voids"], {"entry": theirs}) == (409, "ballot.sealed-foreign")
    for _ in range(2):  # the second is the retry of a lost answer
        await hall.chair.post(paths["voids"], {"entry": void})
    assert await stranger.get(state) == {"recorded": True, "published": False}
    cast = {"ballot": casting.sign_ballot(audited, seed)}
    assert await refused(hall, hall.chair, paths["ballots"], cast) == (422, "ballot.void")
    assert await hall.chair.post(paths["seals"], announcement) == {"seals": 1}

    await votes.cast(hall.chair, hall.meeting, manifest, seed, support.cells(manifest, YES))
    for person in hall.officers[1:4]:
        seed = hall.credentials[person.member]
        await votes.cast(person, hall.meeting, manifest, seed, support.cells(manifest, YES))
    core = await finish(hall, ready, manifest)
    assert (core["voids"], core["cast"], core["counts"]) == (1, 4, [[4, 0, 0]])
    assert await stranger.get(state) == {"recorded": True, "published": True}


async def test_at_most_five_voids_and_none_of_a_cast_ballot(hall: Hall) -> None:
    _, manifest = await opened(hall, **AGAIN)
    path = hall.election_path(manifest.election, "/voids")
    seed = hall.credentials[hall.chair.member]
    ballot = support.seal(hall, hall.chair, manifest, YES)
    await hall.chair.post(hall.election_path(manifest.election, "/ballots"), {"ballot": ballot})
    cast = {name: value for name, value in ballot.items() if name != "sig"}
    entry = casting.make_void(manifest, seed, cast)
    assert await refused(hall, hall.chair, path, {"entry": entry}) == (409, "ballot.sealed-used")
    # Another voter cannot make it void either, although everybody can compute its hash from the board.
    entry = casting.make_void(manifest, hall.credentials[hall.secretary.member], cast)
    assert await refused(hall, hall.secretary, path, {"entry": entry}) == (409, "ballot.sealed-used")
    for number in range(6):
        audited = sealed(hall, hall.chair, manifest, casting.Place(1, 2, bytes([number]) * 32))
        entry = casting.make_void(manifest, seed, audited)
        if number < 5:
            await hall.chair.post(path, {"entry": entry})
    assert await refused(hall, hall.chair, path, {"entry": entry}) == (429, "ballot.too-many-voids")


async def test_a_new_device_takes_over_with_a_passkey_and_the_old_one_is_out(hall: Hall) -> None:
    ready, manifest = await opened(hall, **AGAIN)
    ballots = hall.election_path(manifest.election, "/ballots")
    old = hall.credentials[hall.chair.member]
    await votes.cast(hall.chair, hall.meeting, manifest, old, support.cells(manifest, NO))
    new = await votes.replace_credential(hall.chair, hall.meeting, manifest, old)
    standing = await place(hall, hall.chair, manifest)
    assert standing.seq == 2
    assert (await me(hall, hall.chair))["credential"] == b64u(signing.public_key(new))
    assert (await me(hall, hall.chair))["lineage"] == b64u(signing.public_key(old))
    late = casting.make_ballot(manifest, old, support.cells(manifest, YES), secrets.token_bytes, standing)
    assert await refused(hall, hall.chair, ballots, {"ballot": late}) == (422, "ballot.replaced")
    await votes.cast(hall.chair, hall.meeting, manifest, new, support.cells(manifest, YES))
    kiosk = await votes.replace_credential(
        hall.secretary, hall.meeting, manifest, hall.credentials[hall.secretary.member], kiosk=True
    )
    await votes.cast(hall.secretary, hall.meeting, manifest, kiosk, support.cells(manifest, YES))
    for person in hall.tellers:
        await votes.cast(person, hall.meeting, manifest, hall.credentials[person.member], support.cells(manifest, NO))
    core = await finish(hall, ready, manifest)
    assert (core["replacements"], core["kiosk"], core["cast"], core["ballots"]) == (2, 1, 5, 6)
    assert core["counts"] == [[2, 3, 0]]


async def test_replacements_that_nobody_may_make_are_refused(hall: Hall) -> None:
    _, manifest = await opened(hall)
    path = hall.election_path(manifest.election, "/replacements")
    chair, secretary = hall.credentials[hall.chair.member], hall.credentials[hall.secretary.member]

    async def body(
        signer: Person, old: bytes, fresh: bytes, *, kiosk: bool = False, **changes: Any
    ) -> dict[str, Any]:
        keys = (signing.public_key(old), signing.public_key(fresh))
        signed = await signer.signed(
            "replace", lambda nonce: votes.challenges.replacement(manifest.hash, *keys, kiosk, nonce)
        )
        return {"old": b64u(keys[0]), "new": b64u(keys[1]), "kiosk": kiosk, **signed, **changes}

    new = secrets.token_bytes(32)
    attempts: list[tuple[Person, dict[str, Any], tuple[int, str]]] = [
        (hall.secretary, await body(hall.secretary, chair, new), (403, "ballot.foreign-credential")),
        (hall.chair, await body(hall.secretary, chair, new), (422, "nonce.invalid")),
        (hall.chair, await body(hall.chair, chair, new, kiosk=True), (409, "voting.replacement-kiosk")),
        (hall.chair, await body(hall.chair, chair, secretary), (409, "voting.replacement-new")),
        (hall.chair, await body(hall.chair, chair, chair), (409, "voting.replacement-new")),
        (hall.chair, await body(hall.chair, chair, new, new=b64u(bytes(32))), (422, "voting.assertion-challenge")),
        (hall.chair, await body(hall.chair, chair, new, passkey="AAAA"), (403, "replacement.passkey")),
        (hall.chair, await body(hall.chair, new, chair), (403, "ballot.foreign-credential")),
    ]
    for person, sent, expected in attempts:
        assert await refused(hall, person, path, sent) == expected
    sent = await body(hall.chair, chair, new)
    for _ in range(2):  # the second is the retry of a lost answer
        assert await hall.chair.post(path, sent) == {}
    elsewhere = {**sent, "old": b64u(signing.public_key(secretary))}  # no retry: it names another voter
    assert await refused(hall, hall.chair, path, elsewhere) == (403, "ballot.foreign-credential")
    hall.credentials[hall.chair.member] = new
    ballot = support.seal(hall, hall.chair, manifest, YES)
    await hall.chair.post(hall.election_path(manifest.election, "/ballots"), {"ballot": ballot})
    after = await body(hall.chair, new, secrets.token_bytes(32))
    assert await refused(hall, hall.chair, path, after) == (409, "voting.replacement-voted")


async def test_the_annex_alone_knows_who_replaced_what(hall: Hall) -> None:
    _, manifest = await opened(hall)
    new = await votes.replace_credential(hall.chair, hall.meeting, manifest, hall.credentials[hall.chair.member])
    key = b64u(signing.public_key(new))
    lines = [(table, str(row)) for table, content in support.rows(hall).items() for row in content]
    assert {table for table, row in lines if key in row and hall.chair.member in row} == {"annex_replacement"}
    holding = {table for table, row in lines if key in row}
    assert holding >= {"annex_replacement", "seat_credential", "electorate_seat", "pending_entry"}
