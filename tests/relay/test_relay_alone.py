"""What a relay takes and refuses while the link is cut: everything that a hub would refuse, as far as it can know."""

import asyncio
import secrets
from pathlib import Path

import pytest
from tests.relay.rig import Phone, Rig, open_vote, rig
from tests.server.votes_support import NO, YES

from folkmoot_voting import challenges, signing
from folkmoot_voting.ballot import Ballot, sealed_hash
from folkmoot_voting.casting import FIRST, Place, make_announcement
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.manifest import Manifest

pytestmark = pytest.mark.timeout(400)  # processes, passkeys and a cut of eight seconds, on a slow machine


async def test_a_hall_alone_takes_what_can_count_and_nothing_else(tmp_path: Path) -> None:
    async with rig(tmp_path) as made:
        manifest = await open_vote(made, voting_again="last-counts")
        phones = made.phones
        for phone in (phones["binh"], phones["greta"], phones["mai"]):
            await phone.get(made.path())
        await phones["binh"].post("/api/socket-ticket", {"meeting": made.hall.meeting})  # follows in the cut too
        made.link.pause()  # gone without a word: what is under way is answered by the relay too
        under_way = asyncio.create_task(phones["mai"].ask("POST", made.path("/commands"), {"command": "raise-hand"}))
        status, answer, headers = await under_way
        assert (status, "queued" in answer, int(headers["Folkmoot-Cut"]) > 0) == (202, True, True)

        await _what_has_to_wait(made)
        await _sessions(made)
        await _check_ins(made)
        await _hands(made)
        await _votes(made, manifest)
        count = len(made.relay.entries())

        made.link.restore()
        await made.until_linked(phones["binh"])
        await made.until_delivered(count)
        assert made.relay.refused() == {}
        view = await made.hall.view(made.hall.chair)
        assert [one["cast"] for one in view["elections"]] == [2]
        assert phones["otto"].member in {one["member"] for one in view["present"]}
        # The session that began in the cut means nothing to the hub.
        assert (await phones["otto"].ask("GET", "/api/session"))[0] == 401


async def _what_has_to_wait(made: Rig) -> None:
    binh = made.phones["binh"]
    for path, body in (
        ("/api/meetings", {}),
        (made.path("/commands"), {"command": "leave"}),
        (made.path("/commands"), {"command": "close"}),
        (made.path("/motions"), {}),
        ("/api/nonce", {"purpose": "action"}),
    ):
        assert await binh.refused(path, body) == (503, "relay.cut"), path
    status, answer, headers = await binh.ask("GET", made.path("/attendance"))
    assert (status, answer["error"]["code"]) == (503, "relay.cut")
    assert answer["error"]["details"]["since"] == int(headers["Folkmoot-Cut"])
    assert (await binh.ask("GET", "/api/relay/feed"))[0] == 404
    assert await binh.refused(made.path("/commands"), {}, Origin="http://elsewhere.test") == (403, "origin.refused")
    # An answer without the word would tell the page that the cut is over.
    told = [
        ("POST", "/api/socket-ticket", {"meeting": made.hall.meeting}, 200),
        ("POST", "/api/socket-ticket", {"meeting": "another"}, 409),
        ("POST", made.path("/commands"), {"command": "raise-hand", "more": 1}, 400),
        ("GET", "/api/relay/feed", None, 404),
    ]
    for method, path, more, wanted in told:
        status, _, headers = await binh.ask(method, path, more)
        assert (status, "Folkmoot-Cut" in headers) == (wanted, True), path
    kept = await binh.get(made.path())
    assert kept["me"]["checked_in"] is True
    assert kept["me"]["member"] == binh.member


async def _sessions(made: Rig) -> None:
    otto, stranger = made.phones["otto"], Phone(made.origin, made.hall.chair)
    try:
        assert await otto.refused(made.path("/commands"), {"command": "raise-hand"}) == (401, "session.none")
        begun = await otto.post("/api/sign-in/begin")
        credential = otto.person.authenticator.authenticate(
            challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"]))
        )  # signed on a page of the hub, for a nonce of the relay
        finish = {"nonce": begun["nonce"], "credential": {**credential, "id": "AAAA", "rawId": "AAAA"}}
        assert await otto.refused("/api/sign-in/finish", finish) == (422, "passkey.unknown")
        finish = {"nonce": b64u(bytes(32)), "credential": credential}
        assert await otto.refused("/api/sign-in/finish", finish) == (422, "nonce.invalid")
        await otto.sign_in()
        assert (await otto.get("/api/session"))["member"]["id"] == otto.member
        # The chair is not on the list of this hall.
        begun = await stranger.post("/api/sign-in/begin")
        credential = made.hall.chair.authenticator.authenticate(
            challenges.sign_in(begun["rp_id"], unb64u(begun["nonce"]))
        )
        finish = {"nonce": begun["nonce"], "credential": credential}
        assert await stranger.refused("/api/sign-in/finish", finish) == (422, "passkey.unknown")
    finally:
        await stranger.close()


async def _check_ins(made: Rig) -> None:
    otto, mai, meeting = made.phones["otto"], made.phones["mai"], made.hall.meeting
    path = made.path("/check-in/finish")
    body = await otto.begin_check_in(meeting)
    assert await otto.refused(path, {**body, "site": "main"}) == (422, "check-in.site")
    assert await otto.refused(path, {**body, "checkpoint": "older"}) == (422, "check-in.old-checkpoint")
    assert await otto.refused(path, {**body, "nonce": b64u(bytes(32))}) == (422, "nonce.invalid")
    wrong = await otto.refused(path, {**body, "credential": b64u(mai.key)})
    assert wrong[0] == 422
    assert await mai.refused(path, body) == (422, "nonce.invalid")
    taken = await otto.check_in(meeting, 202)
    before = len(made.relay.entries())
    finished = made.relay.entries()[taken["queued"]["seq"] - 1]["body"]
    assert await otto.post(path, finished, 202) == taken
    assert len(made.relay.entries()) == before
    view = await otto.get(made.path())
    assert (view["me"]["checked_in"], view["me"]["waiting"]) == (True, True)


async def _hands(made: Rig) -> None:
    greta, path = made.phones["greta"], made.path("/commands")
    first = await greta.post(path, {"command": "raise-hand", "kind": "pro", "category": 0}, 202)
    assert await greta.post(path, {"command": "raise-hand", "kind": "pro", "category": 0}, 202) == first
    lowered = await greta.post(path, {"command": "lower-hand"}, 202)
    again = await greta.post(path, {"command": "raise-hand"}, 202)
    assert again["queued"]["seq"] > lowered["queued"]["seq"] > first["queued"]["seq"]
    kinds = [made.relay.entries()[one["queued"]["seq"] - 1]["kind"] for one in (first, lowered, again)]
    assert kinds == ["speak", "hand", "hand"]
    assert (await greta.refused(path, {"command": "raise-hand", "kind": "shout"}))[0] == 400


async def _votes(made: Rig, manifest: Manifest) -> None:
    binh, greta, mai, otto = (made.phones[name] for name in ("binh", "greta", "mai", "otto"))
    ballots = made.vote("/ballots")
    good = binh.ballot(manifest, YES)
    # Otto came after the vote was opened; nobody votes with a key of another manifest or a changed ballot.
    assert await otto.refused(ballots, {"ballot": otto.ballot(manifest, YES)}) == (422, "ballot.not-elector")
    assert (await binh.refused(ballots, {"ballot": {**good, "weight": 2}}))[0] == 422
    assert (await binh.refused(ballots, {"ballot": {**good, "sig": b64u(bytes(64))}}))[0] == 422
    elsewhere = ballots.replace(manifest.election, "another")
    assert await binh.refused(elsewhere, {"ballot": good}) == (409, "ballot.election-not-open")
    proofs = bytearray(unb64u(good["choices"][0]))
    proofs[-1] ^= 1
    forged = {**good, "choices": [b64u(bytes(proofs))]}
    assert (await binh.refused(ballots, {"ballot": forged}))[0] == 422

    # Announced, audited, announced anew and cast.
    void = binh.void(manifest, NO)
    announced = make_announcement(manifest, binh.seed, unb64u(void["sealed"]))
    await binh.post(made.vote("/seals"), announced, 202)
    assert await binh.refused(ballots, {"ballot": good}) == (409, "ballot.not-announced")
    stolen = make_announcement(manifest, mai.seed, sealed_hash(good))
    assert await binh.refused(made.vote("/seals"), {**stolen, "credential": b64u(binh.key)}) == (
        422,
        "ballot.announcement-unsigned",
    )
    await binh.post(made.vote("/voids"), {"entry": void}, 202)
    await binh.post(made.vote("/seals"), make_announcement(manifest, binh.seed, sealed_hash(good)), 202)
    cast = await binh.post(ballots, {"ballot": good}, 202)
    entry = made.relay.entries()[cast["queued"]["seq"] - 1]
    assert (entry["kind"], entry["member"], entry["body"]["ballot"]) == ("ballot", "", good)

    # The last counts: the second follows the first, a third out of turn does not.
    second = binh.ballot(manifest, NO, Place(1, 2, Ballot.from_json(good).leaf))
    assert (await binh.refused(ballots, {"ballot": binh.ballot(manifest, NO, FIRST)}))[0] == 422
    await binh.post(ballots, {"ballot": second}, 202)

    # Another device of Greta's takes over with a nonce of the relay, and the first one is refused then.
    nonce = unb64u((await greta.post("/api/nonce", {"purpose": "replace"}))["nonce"])
    old, greta.seed = greta.seed, secrets.token_bytes(32)
    keys = (signing.public_key(old), greta.key)
    challenge = challenges.replacement(manifest.hash, *keys, False, nonce)
    signed = {"nonce": b64u(nonce), **greta.sign(challenge)}
    body = {"old": b64u(keys[0]), "new": b64u(keys[1]), "kiosk": False, **signed}
    await greta.post(made.vote("/replacements"), body, 202)
    newer, greta.seed = greta.seed, old
    assert await greta.refused(ballots, {"ballot": greta.ballot(manifest, YES)}) == (422, "ballot.replaced")
    greta.seed = newer
    await greta.post(ballots, {"ballot": greta.ballot(manifest, YES)}, 202)
