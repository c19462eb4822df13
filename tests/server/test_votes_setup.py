"""Roll, check-in, key, cosigners, questions and opening: what is refused, and that it changes nothing."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from tests.server import votes_support as support
from tests.server.votes_support import Hall, act, refused

from folkmoot_server.commands.organisation import NewPerson
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_voting import challenges, merkle_log, signing
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.roll import RollCore


async def freeze_body(person: Person, core: RollCore) -> dict[str, Any]:
    signed = await person.signed("roll", lambda nonce: challenges.registrar(core.hash, nonce))
    return {"roll_hash": b64u(core.hash), "signed": signed}


async def test_the_roll_is_frozen_once_by_its_registrar(hall: Hall) -> None:
    await support.convene(hall)
    path = hall.path("/roll/freeze")
    assert await refused(hall, hall.chair, hall.path("/roll/prepare"), {}) == (403, "role.missing")
    first = RollCore.from_json((await hall.secretary.post(hall.path("/roll/prepare")))["core"])
    assert await refused(hall, hall.chair, path, await freeze_body(hall.chair, first)) == (403, "role.missing")
    second = RollCore.from_json((await hall.secretary.post(hall.path("/roll/prepare")))["core"])
    assert first.root != second.root  # fresh salts

    assert await refused(hall, hall.secretary, path, await freeze_body(hall.secretary, first)) == (
        409,
        "roll.changed",
    )
    body = await freeze_body(hall.secretary, second)
    foreign = {**body, "signed": {**body["signed"], "passkey": b64u(hall.chair.authenticator.credential_id)}}
    assert await refused(hall, hall.secretary, path, foreign) == (403, "roll.other-passkey")
    unsigned = {**body, "signed": {**body["signed"], "nonce": b64u(secrets.token_bytes(32))}}
    assert await refused(hall, hall.secretary, path, unsigned) == (422, "nonce.invalid")
    wrong = await hall.secretary.signed("roll", lambda nonce: challenges.registrar(first.hash, nonce))
    assert await refused(hall, hall.secretary, path, {**body, "signed": wrong}) == (422, "voting.roll-unsigned")

    await hall.secretary.post(path, body)
    assert await refused(hall, hall.secretary, path, body) == (409, "roll.frozen")
    assert await refused(hall, hall.secretary, hall.path("/roll/prepare"), {}) == (409, "roll.frozen")


async def test_a_roll_without_its_officers_is_not_frozen(tmp_path: Path) -> None:
    people = [*support.OFFICERS[:4], NewPerson("Amira Haddad", None, ())]
    async with support.enrolled(tmp_path, people) as hall:
        await support.convene(hall)
        core = RollCore.from_json((await hall.secretary.post(hall.path("/roll/prepare")))["core"])
        body = await freeze_body(hall.secretary, core)
        answer = await refused(hall, hall.secretary, hall.path("/roll/freeze"), body)
        assert answer == (422, "roll.too-few-tellers")


async def check_in_body(hall: Hall, person: Person, **changes: Any) -> dict[str, Any]:
    begun = await person.post(hall.path("/check-in/begin"))
    roll = RollCore.from_json(begun["roll"]["core"])
    parts = {
        "meeting": hall.meeting,
        "site": begun["site"],
        "credential": signing.public_key(secrets.token_bytes(32)),
        "checkpoint": begun["checkpoint"],
        "nonce": unb64u(begun["nonce"]),
        **changes,
    }
    challenge = challenges.checkin(
        parts["meeting"], roll.hash, parts["site"], parts["credential"], parts["checkpoint"], parts["nonce"]
    )
    return {
        "credential": b64u(parts["credential"]),
        "site": parts["site"],
        "checkpoint": parts["checkpoint"],
        "nonce": b64u(parts["nonce"]),
        **person.assertion(challenge),
    }


async def test_a_check_in_binds_member_meeting_credential_site_checkpoint_and_nonce(hall: Hall) -> None:
    await support.convene(hall)
    path = hall.path("/check-in/finish")
    assert await refused(hall, hall.chair, hall.path("/check-in/begin"), {}) == (409, "meeting.wrong-state")
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})

    good = await check_in_body(hall, hall.chair)
    for field, value in {
        "credential": b64u(secrets.token_bytes(32)),
        "nonce": (await check_in_body(hall, hall.chair))["nonce"],
    }.items():
        answer = await refused(hall, hall.chair, path, {**good, field: value})
        assert answer == (422, "voting.assertion-challenge"), field
    assert await refused(hall, hall.chair, path, {**good, "site": "barn"}) == (422, "nonce.invalid")
    other_meeting = await check_in_body(hall, hall.chair, meeting="elsewhere")
    assert await refused(hall, hall.chair, path, other_meeting) == (422, "voting.assertion-challenge")
    # Another member's passkey, and another member's session with the chair's own statement.
    foreign = await check_in_body(hall, hall.chair)
    challenge = secrets.token_bytes(32)
    stolen = {**foreign, **hall.secretary.assertion(challenge)}
    assert await refused(hall, hall.chair, path, stolen) == (422, "check-in.passkey-not-on-roll")
    assert await refused(hall, hall.secretary, path, good) == (422, "nonce.invalid")

    await hall.chair.post(path, good)
    assert await refused(hall, hall.chair, path, good) == (422, "nonce.invalid")
    taken = await check_in_body(hall, hall.secretary, credential=unb64u(good["credential"]))
    assert await refused(hall, hall.secretary, path, taken) == (409, "check-in.credential-known")


async def test_a_member_who_left_checks_in_again_with_the_credential_of_the_same_device(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    path = hall.path("/check-in/finish")
    first, second = await check_in_body(hall, hall.chair), await check_in_body(hall, hall.chair)
    for body in (first, second):
        await hall.chair.post(path, body)
    assert (await hall.chair.get(hall.path("")))["me"]["credential"] == second["credential"]
    await hall.chair.post(hall.path("/commands"), {"command": "leave"})
    again = await check_in_body(hall, hall.chair, credential=unb64u(first["credential"]))
    await hall.chair.post(path, again)
    me = (await hall.chair.get(hall.path("")))["me"]
    assert (me["checked_in"], me["credential"]) == (True, first["credential"])


async def test_a_check_in_needs_a_checkpoint_of_this_ledger_that_is_not_too_old(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    path = hall.path("/check-in/finish")
    begun = await hall.chair.post(hall.path("/check-in/begin"))
    origin = f"{hall.settings.rp_id}/ledger"
    forged = merkle_log.sign_checkpoint(merkle_log.Checkpoint(origin, 1, bytes(32)), secrets.token_bytes(32))
    body = await check_in_body(hall, hall.chair, checkpoint=forged.text())
    assert await refused(hall, hall.chair, path, body) == (422, "voting.log-signature")
    split = merkle_log.sign_checkpoint(merkle_log.Checkpoint(origin, 1, bytes(32)), hall.seed)
    body = await check_in_body(hall, hall.chair, checkpoint=split.text())
    assert await refused(hall, hall.chair, path, body) == (422, "check-in.checkpoint-foreign")

    # A second meeting's roll makes the first checkpoint an old one, and one without that roll.
    first_meeting, old = hall.meeting, begun["checkpoint"]
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    body = await check_in_body(hall, hall.chair, checkpoint=old)
    answer = await refused(hall, hall.chair, hall.path("/check-in/finish"), body)
    assert answer == (422, "check-in.checkpoint-before-roll")

    hall.meeting = first_meeting
    hall.clock.at += 600
    await hall.secretary.post(path, await check_in_body(hall, hall.secretary, checkpoint=old))
    hall.clock.at += 1
    body = await check_in_body(hall, hall.chair, checkpoint=old)
    assert await refused(hall, hall.chair, path, body) == (422, "check-in.old-checkpoint")
    await hall.chair.post(path, await check_in_body(hall, hall.chair))


async def test_who_joined_after_the_freeze_cannot_check_in(tmp_path: Path) -> None:
    async with support.enrolled(tmp_path) as hall:
        await support.convene(hall)
        await votes.freeze_roll(hall.secretary, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
        unit = (await hall.secretary.get("/api/organisation"))["units"][0]["id"]
        link = (await hall.secretary.post("/api/members", {"name": "Late", "unit": unit}))["enrolment_url"]
        late = Person(hall.settings.public_url, "Late")
        hall.people.append(late)
        await late.enrol(link)
        answer = await refused(hall, late, hall.path("/check-in/begin"), {})
        assert answer == (403, "check-in.not-on-roll")


async def test_key_generation_takes_each_trustees_own_messages_in_order(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    roll_hash = await support.roll_hash(hall)
    view = await hall.chair.get(hall.path("/keygen"))
    people = {person.member: person for person in hall.people}
    first, second = (people[one["member"]] for one in view["trustees"][:2])
    path = hall.path("/keygen/messages")

    def trustee(index: int) -> votes.Trustee:
        return votes.Trustee.create(
            meeting=hall.meeting, roll_hash=roll_hash, index=index, threshold=2, count=3, rng=secrets.token_bytes
        )

    mine, other = trustee(1), trustee(1)
    register = {"message": mine.register(), "statement": await support.trustee_statement(first, mine)}
    assert await refused(hall, hall.chair, path, register) == (403, "keygen.not-your-message")
    assert await refused(hall, second, path, register) == (403, "keygen.not-your-message")
    assert await refused(hall, first, path, {"message": mine.register()}) == (400, "keygen.statement")
    swapped = {**register, "statement": await support.trustee_statement(first, other)}
    assert await refused(hall, first, path, swapped) == (422, "voting.assertion-challenge")
    assert await refused(hall, first, path, {"message": mine.commit()}) == (422, "voting.keygen-order")
    tampered = {**register, "message": {**mine.register(), "box_key": mine.register()["sign_key"]}}
    assert await refused(hall, first, path, tampered) == (422, "voting.keygen-unsigned")

    await first.post(path, register)
    before = support.fingerprint(hall)
    await first.post(path, {"message": mine.register()})  # the same again, after a lost answer
    assert support.fingerprint(hall) == before
    second_try = {"message": other.register(), "statement": await support.trustee_statement(first, other)}
    assert await refused(hall, first, path, second_try) == (422, "voting.keygen-second")


async def test_cosigners_register_their_own_name_and_distinct_keys(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    roll_hash = await support.roll_hash(hall)
    path = hall.path("/cosigners")

    async def body(person: Person, name: str, key: bytes) -> dict[str, Any]:
        signed = await person.signed(
            "cosign", lambda nonce: challenges.cosign(hall.meeting, roll_hash, name, key, nonce)
        )
        return {"name": name, "key": b64u(key), **signed}

    key = signing.public_key(secrets.token_bytes(32))
    good = await body(hall.chair, "chair", key)
    for person, name in ((hall.plain, "chair"), (hall.chair, "secretary"), (hall.chair, "teller-9")):
        answer = await refused(hall, person, path, await body(person, name, key))
        assert answer == (403, "cosigner.not-you")
    other = {**good, "key": b64u(secrets.token_bytes(32))}
    assert await refused(hall, hall.chair, path, other) == (422, "voting.assertion-challenge")
    await hall.chair.post(path, good)
    await hall.chair.post(path, good)
    assert await refused(hall, hall.secretary, path, await body(hall.secretary, "secretary", key)) == (
        409,
        "cosigner.key-taken",
    )


async def test_questions_are_written_by_officers_and_checked(hall: Hall) -> None:
    await support.convene(hall)
    path = hall.path("/questions")
    body = support.question(hall)
    one = body["questions"][0]
    assert await refused(hall, hall.plain, path, body) == (403, "role.missing")
    for changes, code in [
        ({"agenda_item": "nothing"}, (404, "agenda.unknown-item")),
        ({"questions": [{**one, "options": ["yes", "no"]}]}, (400, "question.invalid")),
        ({"questions": [{**one, "type": "one-of-n", "options": ["a", "a"]}]}, (400, "question.invalid")),
        ({"questions": [{**one, "type": "ranked"}]}, (400, "input.malformed")),
        ({"questions": [{**one, "text": ""}]}, (400, "input.malformed")),
        ({"questions": [{**one, "text": "\x00"}]}, (400, "input.malformed")),
        ({"questions": [one] * 9}, (400, "input.malformed")),
        ({"questions": []}, (400, "input.malformed")),
        ({"majority": {"kind": "simple", "of": "cast", "more": 1}}, (400, "input.malformed")),
        ({"secret": True}, (400, "input.malformed")),
    ]:
        assert await refused(hall, hall.secretary, path, {**body, **changes}) == code, changes


async def test_opening_needs_chair_signature_key_cosigners_and_five_present(hall: Hall) -> None:
    await support.convene(hall)
    election = await support.draft(hall)
    path = hall.election_path(election, "/open")
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    answer = await refused(hall, hall.chair, path, await act(hall, hall.chair, election, "open"))
    assert answer == (409, "meeting.wrong-state")
    await support.check_in(hall, hall.officers[:4])
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    answer = await refused(hall, hall.chair, path, await act(hall, hall.chair, election, "open"))
    assert answer == (409, "election.no-key")
    await votes.make_key(hall.tellers, hall.meeting)
    for person in hall.officers[:3]:
        await votes.name_cosigner(person, hall.meeting)
    answer = await refused(hall, hall.chair, path, await act(hall, hall.chair, election, "open"))
    assert answer == (409, "election.too-few-cosigners")
    await votes.name_cosigner(hall.officers[3], hall.meeting)
    answer = await refused(hall, hall.chair, path, await act(hall, hall.chair, election, "open"))
    assert answer == (422, "voting.electorate-too-small")
    await support.check_in(hall, hall.officers[4:])

    body = await act(hall, hall.secretary, election, "open")
    assert await refused(hall, hall.secretary, path, body) == (403, "role.missing")
    body = await act(hall, hall.chair, "other", "open")
    assert await refused(hall, hall.chair, path, body) == (422, "action.differs")
    body = await act(hall, hall.chair, election, "open")
    forged = {**body, "signed": (await act(hall, hall.chair, "other", "open"))["signed"]}
    status, code = await refused(hall, hall.chair, path, forged)
    assert (status, code) == (422, "passkey.wrong-challenge")
    await hall.chair.post(path, body)
    assert await refused(hall, hall.chair, path, body) == (409, "election.wrong-state")
    another = await support.draft(hall)
    answer = await refused(
        hall, hall.chair, hall.election_path(another, "/open"), await act(hall, hall.chair, another, "open")
    )
    assert answer == (409, "election.another-open")
    assert await refused(hall, hall.chair, hall.path("/commands"), {"command": "close"}) == (
        409,
        "meeting.election-running",
    )


async def test_the_ledgers_growth_is_proved_to_anybody(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    first = merkle_log.parse_note((await begin_anywhere(hall))["checkpoint"]).checkpoint
    await support.check_in(hall, hall.officers)
    await votes.make_key(hall.tellers, hall.meeting)
    begun = await hall.plain.post(hall.path("/check-in/begin"))
    stranger = Person(hall.settings.public_url, "nobody")
    hall.people.append(stranger)
    second = merkle_log.parse_note(begun["checkpoint"]).checkpoint
    answer = await stranger.get(f"/api/ledger?from={first.size}&to={second.size}")
    assert unb64u(answer["key"]) == signing.public_key(hall.seed)
    proof = [unb64u(one) for one in answer["proof"]]
    assert merkle_log.verify_consistency(first.size, second.size, first.root, second.root, proof)
    assert not merkle_log.verify_consistency(first.size, second.size, bytes(32), second.root, proof)
    assert await stranger.get("/api/ledger?from=0&to=0") == {**answer, "proof": []}  # the key alone
    path = f"/api/ledger?from={second.size}&to={second.size + 1}"
    assert await refused(hall, stranger, path, None, method="GET") == (404, "ledger.no-such-size")


async def begin_anywhere(hall: Hall) -> dict[str, Any]:
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    return dict(await hall.chair.post(hall.path("/check-in/begin")))
