"""Attempts at the key, complaints, sealed copies of shares, and their destruction on record, over HTTP."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.common import refusal
from tests.server.support import sign_in
from tests.server.votes_support import Hall, refused

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.storage import keys, ledger
from folkmoot_voting import boxes, challenges, copies, group, keygen
from folkmoot_voting.encoding import b64u, unb64u
from folkmoot_voting.keygen import KeyGeneration
from folkmoot_voting.trustee import Trustee
from folkmoot_voting.verify import verify_bundle

REASON = "Ana's phone is lost"


async def begin(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})


async def restart_body(hall: Hall, person: Person, attempt: int) -> dict[str, Any]:
    action = {"type": "restart-key", "meeting": hall.meeting, "attempt": attempt}
    signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
    return {"reason": REASON, "action": action, "signed": signed}


async def keygen_view(hall: Hall) -> dict[str, Any]:
    return dict(await hall.chair.get(hall.path("/keygen")))


class Ceremony:
    """Three software trustees who post their messages round by round."""

    def __init__(self, hall: Hall, people: list[Person], trustees: list[Trustee]) -> None:
        self.hall, self.people, self.trustees = hall, people, trustees
        one = trustees[0]
        self.state = KeyGeneration(one.meeting, one.roll_hash, one.attempt, one.threshold, one.count)

    @classmethod
    async def start(cls, hall: Hall) -> Ceremony:
        view, roll_hash = await keygen_view(hall), await support.roll_hash(hall)
        by_member = {person.member: person for person in hall.people}
        trustees = [
            Trustee.create(
                meeting=hall.meeting,
                roll_hash=roll_hash,
                attempt=view["attempt"],
                index=one["index"],
                threshold=view["threshold"],
                count=view["count"],
                rng=secrets.token_bytes,
            )
            for one in view["trustees"]
        ]
        return cls(hall, [by_member[one["member"]] for one in view["trustees"]], trustees)

    async def post(self, index: int, message: dict[str, Any]) -> None:
        body: dict[str, Any] = {"message": message}
        person, trustee = self.people[index - 1], self.trustees[index - 1]
        if message["type"] == "register":
            body["statement"] = await support.trustee_statement(person, trustee)
        await person.post(self.hall.path("/keygen/messages"), body)
        self.state = self.state.accept(message)

    async def run(self, *rounds: str) -> None:
        for kind in rounds:
            before = self.state
            for one in self.trustees:
                await self.post(one.index, one.message(kind, before))


async def test_the_code_is_shown_after_the_salts_and_not_before(hall: Hall) -> None:
    await begin(hall)
    ceremony = await Ceremony.start(hall)
    await ceremony.run(*keygen.ROUNDS[:4])
    assert (await keygen_view(hall))["code"] == ""
    before = ceremony.state
    for one in ceremony.trustees[:2]:
        await ceremony.post(one.index, one.reveal_salt(before))
    assert (await hall.view(hall.chair))["key"]["code"] == ""
    await ceremony.post(3, ceremony.trustees[2].reveal_salt(before))
    code = ceremony.state.spoken_code
    assert ((await keygen_view(hall))["code"], (await hall.view(hall.chair))["key"]["code"]) == (code, code)
    assert (await hall.view(hall.chair))["key"]["state"] == "running"
    await ceremony.run("certify")
    assert (await hall.view(hall.chair))["key"]["state"] == "ready"
    assert (await hall.events("KeyGenerated"))[0]["body"]["code"] == code


async def test_a_complaint_is_judged_and_the_chair_begins_again(hall: Hall) -> None:
    await begin(hall)
    ceremony = await Ceremony.start(hall)
    await ceremony.run("register", "commit", "reveal")
    liar, before = ceremony.trustees[0], ceremony.state
    good = liar.shares(before)
    key = boxes.box_key(liar.box_private, before.box_key(2), hall.meeting, liar.attempt, 1, 2)
    lie = ["", b64u(boxes.seal(key, group.ONE, before.reveals_hash)), good["boxes"][2]]
    body = {name: value for name, value in good.items() if name != "sig"}
    await ceremony.post(1, keygen.sign_message({**body, "boxes": lie}, liar.seed))
    for one in ceremony.trustees[1:]:
        await ceremony.post(one.index, one.shares(before))
    with pytest.raises(Exception, match="trustee 1 is wrong"):
        ceremony.trustees[1].reveal_salt(ceremony.state)
    path = hall.path("/keygen/messages")
    complaint = ceremony.trustees[1].complain(1)
    answer = await refused(hall, ceremony.people[2], path, {"message": complaint})
    assert answer == (403, "keygen.not-your-message")
    await ceremony.post(2, complaint)
    view = await keygen_view(hall)
    assert view["complaint"] == {"by": 2, "against": 1, "at_fault": 1}
    assert (view["attempt"], view["can_restart"], view["code"]) == (1, True, "")
    assert view["messages"][-1] == complaint
    late = ceremony.trustees[2].reveal_salt(replace(ceremony.state, complaint=None))
    answer = await refused(hall, ceremony.people[2], path, {"message": late})
    assert answer == (422, "voting.keygen-over")

    restart = hall.path("/keygen/restart")
    answer = await refused(hall, hall.secretary, restart, await restart_body(hall, hall.secretary, 1))
    assert answer == (403, "role.missing")
    answer = await refused(hall, hall.chair, restart, await restart_body(hall, hall.chair, 2))
    assert answer == (409, "keygen.other-attempt")
    changed = await restart_body(hall, hall.chair, 1)
    changed["action"] = {**changed["action"], "meeting": "another"}
    assert await refused(hall, hall.chair, restart, changed) == (422, "action.differs")
    await hall.chair.post(restart, await restart_body(hall, hall.chair, 1))
    assert (await hall.events("KeyRestarted"))[0]["body"] == {"attempt": 2, "reason": REASON}
    view = await keygen_view(hall)
    assert (view["attempt"], view["complaint"], view["messages"]) == (2, None, [])

    # The old attempt's messages stay as evidence and count for nothing.
    ended = await hall.read(lambda tx: keys.ended_attempts(tx, hall.meeting))
    assert [(one["attempt"], one["reason"]) for one in ended] == [(1, REASON)]
    assert ended[0]["messages"] == ceremony.state.all_messages()
    assert len(ended[0]["messages"]) == 13
    kinds = {row[1] for row in support.rows(hall)["annex_statement"]}
    assert kinds == {"trustee 1"}
    old = {"message": ceremony.trustees[0].register()}
    old["statement"] = await support.trustee_statement(ceremony.people[0], ceremony.trustees[0])
    assert await refused(hall, ceremony.people[0], path, old) == (422, "voting.keygen-foreign")
    tellers = await votes.make_key(hall.tellers, hall.meeting)
    assert {one.trustee.attempt for one in tellers} == {2}
    assert (await hall.view(hall.chair))["key"]["state"] == "ready"


async def test_an_unfounded_complaint_names_who_complained(hall: Hall) -> None:
    await begin(hall)
    ceremony = await Ceremony.start(hall)
    await ceremony.run("register", "commit", "reveal", "shares")
    await ceremony.post(3, ceremony.trustees[2].complain(1))
    assert (await keygen_view(hall))["complaint"] == {"by": 3, "against": 1, "at_fault": 3}


async def test_a_key_is_tried_twenty_times_and_not_outside_a_meeting_in_session(hall: Hall) -> None:
    await support.convene(hall)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    restart = hall.path("/keygen/restart")
    assert (await keygen_view(hall))["can_restart"] is False
    answer = await refused(hall, hall.chair, restart, await restart_body(hall, hall.chair, 1))
    assert answer == (409, "meeting.wrong-state")
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    for attempt in range(1, 20):
        await hall.chair.post(restart, await restart_body(hall, hall.chair, attempt))
    view = await keygen_view(hall)
    assert (view["attempt"], view["can_restart"]) == (20, False)
    answer = await refused(hall, hall.chair, restart, await restart_body(hall, hall.chair, 20))
    assert answer == (409, "keygen.too-many-attempts")
    assert len(await votes.make_key(hall.tellers, hall.meeting)) == 3


async def test_a_finished_key_is_made_again_until_a_vote_was_opened_with_it(hall: Hall) -> None:
    ready = await support.prepare(hall)
    restart = hall.path("/keygen/restart")
    await hall.chair.post(restart, await restart_body(hall, hall.chair, 1))
    assert (await hall.view(hall.chair))["key"]["state"] == "waiting"
    again = await votes.make_key(hall.tellers, hall.meeting)
    ready = replace(ready, tellers=again)
    manifest = await support.hold_vote(hall, ready, [support.YES] * 5)
    assert manifest.trustees.attempt == 2
    # The ledger holds both keys, the record the one that was used.
    leaves = await hall.read(lambda tx: ledger.of_meeting(tx, hall.meeting))
    assert [leaf.type for leaf in leaves][:3] == ["roll", "key", "key"]
    assert await failing(hall) == []
    assert (await keygen_view(hall))["can_restart"] is False
    answer = await refused(hall, hall.chair, restart, await restart_body(hall, hall.chair, 2))
    assert answer == (409, "keygen.used")


async def failing(hall: Hall) -> list[str]:
    """The checks that the meeting's record does not pass."""
    status, raw = await hall.chair.raw("GET", hall.path("/bundle.zip"))
    assert status == 200
    report = verify_bundle(raw)
    assert {check.id: check.ok for check in report.checks}["V31"] is True
    return [check.id for check in report.checks if check.ok is False]


def sealed(hall: Hall, teller: votes.Teller, ikm: bytes, kind: str = "passkey") -> dict[str, Any]:
    return teller.trustee.copy(teller.state, kind, ikm, secrets.token_bytes)


async def test_a_trustee_keeps_a_sealed_copy_that_only_the_passkey_opens(hall: Hall) -> None:
    await begin(hall)
    tellers = await votes.make_key(hall.tellers, hall.meeting)
    teller, other = tellers[0], tellers[1]
    path, ikm = hall.path("/keygen/copy"), secrets.token_bytes(32)
    assert await teller.person.get(path) == {"copy": None}
    good = sealed(hall, teller, ikm)
    for person, copy, expected in (
        (hall.chair, good, (403, "keygen.not-a-trustee")),
        (other.person, good, (422, "keygen.copy-foreign")),
        (teller.person, {**good, "attempt": 2}, (422, "keygen.copy-foreign")),
        (teller.person, {**good, "meeting": "another"}, (422, "keygen.copy-foreign")),
        (teller.person, {**good, "note": ""}, (422, "voting.copy-malformed")),
        (teller.person, {**good, "data": b64u(bytes(1025))}, (422, "voting.copy-malformed")),
        (teller.person, sealed(hall, teller, ikm, "code"), (422, "keygen.copy-kind")),
    ):
        assert await refused(hall, person, path, {"copy": copy}, "PUT") == expected
    too_long = {"copy": {**good, "data": "A" * 9000}}
    assert (await refused(hall, teller.person, path, too_long, "PUT"))[1] == "input.too-large"
    for copy in (sealed(hall, teller, secrets.token_bytes(32)), good):
        status, _ = await teller.person.raw("PUT", path, {"copy": copy})
        assert status == 200
    kept = (await teller.person.get(path))["copy"]
    assert kept == good
    assert copies.open_copy(kept, ikm).share == teller.trustee.secret_share(teller.state)
    assert await refusal(hall.chair, path, method="GET") == (403, "keygen.not-a-trustee")
    assert await other.person.get(path) == {"copy": None}
    # A new attempt makes the copy worthless.
    await hall.chair.post(hall.path("/keygen/restart"), await restart_body(hall, hall.chair, 1))
    assert await teller.person.get(path) == {"copy": None}


async def close(hall: Hall) -> None:
    for command in ("open", "close"):
        await hall.chair.post(hall.path("/commands"), {"command": command})


async def test_shares_are_destroyed_on_record_after_the_meeting(hall: Hall) -> None:
    await begin(hall)
    tellers = await votes.make_key(hall.tellers, hall.meeting)
    teller, path = tellers[0], hall.path("/keygen/destroyed")
    await teller.person.raw("PUT", hall.path("/keygen/copy"), {"copy": sealed(hall, teller, bytes(32))})
    transcript = teller.state.transcript
    good = teller.trustee.destroyed(transcript, hall.clock())
    answer = await refused(hall, teller.person, path, {"statement": good})
    assert answer == (409, "keygen.still-needed")
    await close(hall)
    forged = tellers[1].trustee.destroyed(transcript, hall.clock())
    for person, statement, expected in (
        (hall.chair, good, (403, "keygen.not-a-trustee")),
        (tellers[1].person, good, (403, "keygen.not-your-message")),
        (teller.person, {**good, "at": good["at"] - 1}, (422, "voting.destroyed-unsigned")),
        (teller.person, {**forged, "trustee": 1}, (422, "voting.destroyed-unsigned")),
        (teller.person, {**good, "meeting": "another"}, (422, "voting.destroyed-foreign")),
        (teller.person, {**good, "note": ""}, (422, "voting.destroyed-malformed")),
        (
            teller.person,
            teller.trustee.destroyed(transcript, hall.clock() + 301),
            (422, "keygen.destroyed-later"),
        ),
    ):
        assert await refused(hall, person, path, {"statement": statement}) == expected
    await teller.person.post(path, {"statement": good})
    before = support.fingerprint(hall)
    await teller.person.post(path, {"statement": good})
    assert support.fingerprint(hall) == before
    again = teller.trustee.destroyed(transcript, hall.clock() - 1)
    answer = await refused(hall, teller.person, path, {"statement": again})
    assert answer == (409, "keygen.share-destroyed")
    assert support.rows(hall)["share_copy"] == []
    copy = {"copy": sealed(hall, teller, bytes(32))}
    assert await refused(hall, teller.person, hall.path("/keygen/copy"), copy, "PUT") == (
        409,
        "keygen.share-destroyed",
    )
    assert await hall.read(lambda tx: keys.destroyed(tx, hall.meeting)) == [good]
    assert [event["body"] for event in await hall.events("ShareDestroyed")] == [{"trustee": 1}]
    leaves = await hall.read(lambda tx: ledger.of_meeting(tx, hall.meeting))
    assert [leaf.type for leaf in leaves] == ["roll", "key", "destroyed"]
    assert unb64u(json.loads(leaves[-1].entry)["hash"]) != bytes(32)


async def test_shares_outlast_the_challenge_period_of_the_last_tally(hall: Hall) -> None:
    ready = await support.prepare(hall)
    manifest = await support.hold_vote(hall, ready, [support.YES] * 5)
    await hall.chair.post(hall.path("/commands"), {"command": "close"})
    teller, path = ready.tellers[0], hall.path("/keygen/destroyed")
    ends = hall.clock() + manifest.challenge_s
    early = teller.trustee.destroyed(teller.state.transcript, ends - 1)
    hall.clock.at = ends
    answer = await refused(hall, teller.person, path, {"statement": early})
    assert answer == (401, "session.none")
    await sign_in(teller.person)
    answer = await refused(hall, teller.person, path, {"statement": early})
    assert answer == (422, "voting.destroyed-early")
    good = teller.trustee.destroyed(teller.state.transcript, ends)
    await teller.person.post(path, {"statement": good})
    await sign_in(hall.chair)
    assert await failing(hall) == []
