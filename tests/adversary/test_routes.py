"""Ways into the electorate through the real server: what it refuses, and what auditors see when it does not."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.test_votes_flow import downloads
from tests.server.test_votes_setup import check_in_body
from tests.server.votes_support import NO, YES, Hall, refused

from folkmoot_server.commands import check_in, lineages
from folkmoot_server.demo import votes
from folkmoot_server.demo.authenticator import SoftwareAuthenticator
from folkmoot_server.demo.client import Person
from folkmoot_voting import casting, challenges, merkle_log, signing
from folkmoot_voting.ballot import ballot_leaf
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.verify import verify_bundle

CHALLENGE = (422, "voting.assertion-challenge")


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with support.serve(tmp_path) as running:
        await support.enrol_everybody(running)
        yield running


async def checking_in(hall: Hall) -> str:
    """Convene, freeze the roll and begin check-in; return the path that takes check-ins."""
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    return hall.path("/check-in/finish")


async def passed_off(hall: Hall, person: Person, seed: bytes, kind: str) -> dict[str, Any]:
    """A check-in of an absent member with an assertion that was made for something else."""
    key = signing.public_key(seed)
    if kind == "other meeting":
        return await check_in_body(hall, person, credential=key, meeting="elsewhere")
    body = await check_in_body(hall, person, credential=key)
    if kind == "honest":
        return body
    return {**body, **person.assertion(challenges.sign_in(hall.settings.rp_id, unb64u(body["nonce"])))}


async def add_passkey(person: Person) -> SoftwareAuthenticator:
    """Whoever can use the member's passkey once adds one of their own."""
    begun = await person.act("/api/passkeys/begin", {"type": "add-passkey"})
    handle, nonce = unb64u(begun["user"]["id"]), unb64u(begun["nonce"])
    device = SoftwareAuthenticator(person.origin)
    made = device.register(begun["rp"]["id"], handle, challenges.enrol(begun["rp"]["id"], handle, nonce))
    await person.post("/api/passkeys/finish", {"nonce": begun["nonce"], "credential": made})
    return device


async def test_a03_a_sign_in_is_no_check_in(hall: Hall) -> None:
    path = await checking_in(hall)
    for kind in ("sign-in", "other meeting"):
        body = await passed_off(hall, hall.plain, secrets.token_bytes(32), kind)
        assert await refused(hall, hall.plain, path, body) == CHALLENGE
    await hall.plain.post(path, await passed_off(hall, hall.plain, secrets.token_bytes(32), "honest"))


async def elected_absentee(hall: Hall, kind: str, *, casts: bool) -> list[str]:
    """Let the server take the check-in and vote with it, or only list it; return the checks that fail."""
    ready = await support.prepare(hall)
    seed = hall.credentials[hall.plain.member] = secrets.token_bytes(32)
    await hall.plain.post(hall.path("/check-in/finish"), await passed_off(hall, hall.plain, seed, kind))
    manifest = await votes.open_election(hall.chair, hall.meeting, await support.draft(hall))
    await support.cast_all(hall, manifest, [YES, YES, NO, NO, NO])
    if casts:
        await support.send(hall, hall.plain, support.seal(hall, hall.plain, manifest, YES))
    await hall.settle(hall.settings.publish_every_s)
    await support.close(hall, manifest.election)
    await support.cosign(hall, manifest, ready.cosigners)
    await votes.count(ready.tellers[:2], hall.meeting, manifest)
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    return [check.id for check in verify_bundle(*await downloads(hall)).checks if check.ok is False]


@pytest.mark.parametrize(
    ("kind", "casts", "caught"),
    [
        ("sign-in", True, ["V24"]),
        ("sign-in", False, ["V25"]),
        ("other meeting", True, ["V24"]),
        ("other meeting", False, ["V25"]),
        ("honest", True, []),
    ],
)
async def test_a04_a_server_that_takes_it_fails_with_the_auditors(
    hall: Hall, kind: str, casts: bool, caught: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above: where the server does not look, the annex tells."""
    monkeypatch.setattr(check_in, "verify_assertion", lambda *_: None)
    assert await elected_absentee(hall, kind, casts=casts) == caught


async def test_a05_a_replayed_check_in_makes_no_second_voter(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await checking_in(hall)
    body = await check_in_body(hall, hall.chair)
    await hall.chair.post(path, body)
    assert await refused(hall, hall.chair, path, body) == (422, "nonce.invalid")
    assert await refused(hall, hall.secretary, path, body) == (422, "nonce.invalid")
    # Without the rule that a nonce is used once: the same credential of the same member, still one voter.
    monkeypatch.setattr(check_in, "take_nonce", lambda *_: None)
    await hall.chair.post(path, body)
    assert len(support.rows(hall)["annex_check_in"]) == 1
    assert await refused(hall, hall.secretary, path, body) == (422, "check-in.passkey-not-on-roll")


async def test_a06_a_passkey_enrolled_after_the_freeze_does_not_check_in(hall: Hall) -> None:
    path = await checking_in(hall)
    hall.plain.authenticator, own = await add_passkey(hall.plain), hall.plain.authenticator
    body = await check_in_body(hall, hall.plain)
    assert await refused(hall, hall.plain, path, body) == (422, "check-in.passkey-not-on-roll")
    hall.plain.authenticator = own
    await hall.plain.post(path, await check_in_body(hall, hall.plain))  # control: the passkey of the roll


async def test_a06_a_person_sees_the_passkey_that_was_added_in_their_name(hall: Hall) -> None:
    """Before the freeze: it is listed at once, and again at check-in, where the roll's own entry is shown."""
    before = [one["id"] for one in (await hall.plain.get("/api/passkeys"))["passkeys"]]
    device = await add_passkey(hall.plain)
    listed = [one["id"] for one in (await hall.plain.get("/api/passkeys"))["passkeys"]]
    assert set(listed) - set(before) == {b64u(device.credential_id)}
    await checking_in(hall)
    mine = (await hall.plain.post(hall.path("/check-in/begin")))["mine"]
    assert {one["id"] for one in mine["passkeys"]} == set(listed)


async def test_a08_nobody_replaces_the_phone_of_another(hall: Hall) -> None:
    _, manifest = await support.opened(hall)
    keys = (signing.public_key(hall.credentials[hall.chair.member]), signing.public_key(secrets.token_bytes(32)))
    path = hall.election_path(manifest.election, "/replacements")
    names = {"old": b64u(keys[0]), "new": b64u(keys[1]), "kiosk": False}

    async def body(person: Person) -> dict[str, Any]:
        signed = await person.signed(
            "replace", lambda nonce: challenges.replacement(manifest.hash, *keys, False, nonce)
        )
        return {**names, **signed}

    status, _ = await refused(hall, hall.secretary, path, await body(hall.secretary))
    assert status == 403
    await hall.chair.post(path, await body(hall.chair))  # control: the member's own passkey


async def test_a14_a_checkpoint_of_a_fork_or_before_the_roll_is_not_signed_for(hall: Hall) -> None:
    path = await checking_in(hall)
    origin = f"{hall.settings.rp_id}/ledger"
    head = merkle_log.Checkpoint(origin, 1, bytes(32))
    for seed, code in ((hall.seed, "check-in.checkpoint-foreign"), (secrets.token_bytes(32), "voting.log-signature")):
        forked = merkle_log.sign_checkpoint(head, seed).text()
        body = await check_in_body(hall, hall.chair, checkpoint=forked)
        assert await refused(hall, hall.chair, path, body) == (422, code)
    await hall.chair.post(path, await check_in_body(hall, hall.chair))


async def test_a13_after_the_count_a_ballot_is_proved_in_the_box_that_was_cosigned(hall: Hall) -> None:
    ready = await support.prepare(hall)
    manifest = await votes.open_election(hall.chair, hall.meeting, await support.draft(hall))
    ballots = await support.cast_all(hall, manifest, [YES, YES, NO, NO, NO])
    await hall.settle(hall.settings.publish_every_s)
    leaf = ballot_leaf(ballots[0])
    path = hall.election_path(manifest.election, f"/inclusion?leaf={b64u(leaf)}")
    found = []
    for step in ("open", "closed", "counted"):
        if step == "closed":
            await support.close(hall, manifest.election)
        elif step == "counted":
            await support.cosign(hall, manifest, ready.cosigners)
            await votes.count(ready.tellers[:2], hall.meeting, manifest)
            await votes.declare(ready.cosigners[0], hall.meeting, manifest)
        proof = await hall.chair.get(path)
        note = merkle_log.verify_note(proof["checkpoint"], manifest.board_origin, manifest.server_key)
        hashes = [unb64u(one) for one in proof["proof"]]
        assert merkle_log.verify_inclusion(leaf, proof["index"], proof["size"], hashes, note.checkpoint.root)
        found.append((proof["size"] == note.checkpoint.size, len(note.signatures) - 1))
    assert found == [(True, 0), (True, 0), (True, manifest.cosign_quorum)]


async def test_a35_a_stolen_session_announces_nothing(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thief has the chair's session and no voting key; the control is a server that does not look."""
    _, manifest = await support.opened(hall)
    seals, ballots = (hall.election_path(manifest.election, rest) for rest in ("/seals", "/ballots"))
    credential = b64u(signing.public_key(hall.credentials[hall.chair.member]))
    forged = casting.make_announcement(manifest, secrets.token_bytes(32), b"x" * 32)
    theirs = {**forged, "credential": credential}
    assert await refused(hall, hall.chair, seals, theirs) == (422, "ballot.announcement-unsigned")
    monkeypatch.setattr(lineages.signing, "is_valid", lambda *_: True)
    await hall.chair.post(seals, theirs)
    monkeypatch.undo()
    mine = {"ballot": support.seal(hall, hall.chair, manifest, YES)}
    assert await refused(hall, hall.chair, ballots, mine) == (409, "ballot.not-announced")
    await hall.secretary.post(ballots, {"ballot": support.seal(hall, hall.secretary, manifest, YES)})
