"""An open vote is broken off with a reason, or stays open as long as was announced."""

from __future__ import annotations

import json
from typing import Any

from tests.server import votes_support as support
from tests.server.votes_support import Hall

from folkmoot_server.demo import votes
from folkmoot_server.storage import notices
from folkmoot_voting import challenges
from folkmoot_voting.manifest import Manifest


async def abort_body(hall: Hall, election: str, reason: str, who: Any = None, **changes: Any) -> dict[str, Any]:
    action = {"type": "abort-election", "meeting": hall.meeting, "election": election, "reason": reason, **changes}
    person = who or hall.chair
    signed = await person.signed("action", lambda nonce: challenges.action(action, nonce))
    return {"reason": reason, "action": action, "signed": signed}


async def abort(hall: Hall, manifest: Manifest, reason: str = "A question was misprinted.") -> None:
    path = hall.election_path(manifest.election, "/abort")
    await hall.chair.post(path, await abort_body(hall, manifest.election, reason))


async def state(hall: Hall, election: str) -> str:
    listed = (await hall.view(hall.secretary))["elections"]
    return str(next(one["state"] for one in listed if one["election"] == election))


async def test_an_aborted_vote_is_void_with_its_reason_and_signature(hall: Hall) -> None:
    ready, manifest = await support.opened(hall)
    await support.cast_all(hall, manifest, [0] * 4)
    path = hall.election_path(manifest.election, "/abort")
    for person, body, code in (
        (hall.secretary, await abort_body(hall, manifest.election, "No", hall.secretary), "role.missing"),
        (hall.chair, {**await abort_body(hall, manifest.election, "No"), "reason": "Other"}, "action.differs"),
        (hall.chair, {**await abort_body(hall, manifest.election, "No"), "reason": ""}, "input.malformed"),
        (hall.chair, {**await abort_body(hall, manifest.election, "No"), "reason": "x" * 501}, "input.malformed"),
    ):
        assert (await support.refused(hall, person, path, body))[1] == code
    assert await state(hall, manifest.election) == "open"
    await abort(hall, manifest)
    assert await state(hall, manifest.election) == "void"
    told = (await hall.events("ElectionAborted"))[0]["body"]
    assert told == {"election": manifest.election, "reason": "A question was misprinted."}
    kind, member, evidence = (await hall.read(lambda tx: notices.signed(tx, hall.meeting)))[0]
    assert (kind, member) == ("abort-election", hall.chair.member)
    assert json.loads(evidence)["action"]["reason"] == "A question was misprinted."
    # Nothing of it goes on: no ballot, no close, no second abort; the box stays shut, and time changes nothing.
    ballot = support.seal(hall, hall.officers[4], manifest, 0)
    ballots = hall.election_path(manifest.election, "/ballots")
    assert (await support.refused(hall, hall.officers[4], ballots, {"ballot": ballot}))[
        1
    ] == "ballot.election-not-open"
    close = await support.act(hall, hall.chair, manifest.election, "close")
    close_path = hall.election_path(manifest.election, "/close")
    assert (await support.refused(hall, hall.chair, close_path, close))[1] == "election.wrong-state"
    again = await abort_body(hall, manifest.election, "Twice")
    assert (await support.refused(hall, hall.chair, path, again))[1] == "election.wrong-state"
    await hall.settle(100)
    assert (await support.whole_board(hall, manifest.election))["closing"] == ""
    assert not await hall.events("ElectionClosed")
    # The next vote opens, and the meeting closes.
    await support.hold_vote(hall, ready, [0] * 5)
    await hall.chair.post(hall.path("/commands"), {"command": "close"})


async def test_a_vote_in_its_grace_is_broken_off_and_one_that_is_closed_is_not(hall: Hall) -> None:
    ready, manifest = await support.opened(hall)
    await support.cast_all(hall, manifest, [0] * 5)
    await hall.chair.act(
        hall.election_path(manifest.election, "/close"), support.step_up("close-election", hall, manifest.election)
    )
    assert await state(hall, manifest.election) == "closing"
    await abort(hall, manifest)
    assert await state(hall, manifest.election) == "void"
    await hall.settle(hall.settings.closing_grace_s + 1)
    assert await state(hall, manifest.election) == "void"
    second = await support.draft(hall)
    opened = await votes.open_election(hall.chair, hall.meeting, second)
    await support.cast_all(hall, opened, [0] * 5)
    await support.close(hall, second)
    body = await abort_body(hall, second, "Too late")
    path = hall.election_path(second, "/abort")
    assert (await support.refused(hall, hall.chair, path, body))[1] == "election.wrong-state"
    await support.cosign(hall, opened, ready.cosigners)


async def timer(hall: Hall, election: str, ends_at: int, reason: str = "") -> None:
    path = hall.election_path(election, "/timer")
    await hall.chair.post(path, {"ends_at": ends_at, "reason": reason})


async def test_a_vote_stays_open_as_long_as_announced(hall: Hall) -> None:
    _, manifest = await support.opened(hall)
    election, now = manifest.election, hall.clock.at
    path = hall.election_path(election, "/timer")

    async def no(ends_at: Any, reason: str = "", who: Any = None) -> str:
        body = {"ends_at": ends_at, "reason": reason}
        return (await support.refused(hall, who or hall.chair, path, body))[1]

    async def ends_at() -> int:
        return int((await hall.view(hall.secretary))["elections"][0]["ends_at"])

    assert await ends_at() == 0
    assert await no(now + 60, who=hall.secretary) == "role.missing"
    assert await no(now) == "election.bad-end"
    assert await no(manifest.time_limit) == "election.bad-end"
    assert await no("soon") == "input.malformed"
    await timer(hall, election, now + 60)
    assert await ends_at() == now + 60
    hall.clock.at = now + 59
    close_path = hall.election_path(election, "/close")
    close = await support.act(hall, hall.chair, election, "close")
    assert (await support.refused(hall, hall.chair, close_path, close))[1] == "election.timer-running"
    assert await no(0) == "election.timer-running"
    assert await no(now + 59 + 0) == "election.bad-end"
    hall.clock.at = now + 40
    assert await no(now + 50) == "election.timer-running"
    assert await no(now + 120) == "election.no-reason"
    await timer(hall, election, now + 120, "The lift is stuck.")
    await timer(hall, election, now + 120, "Said twice")  # changes nothing
    told = [event["body"] for event in await hall.events("VoteTimerSet")]
    assert told == [
        {"election": election, "ends_at": now + 60, "reason": ""},
        {"election": election, "ends_at": now + 120, "reason": "The lift is stuck."},
    ]
    hall.clock.at = now + 119
    close = await support.act(hall, hall.chair, election, "close")
    assert (await support.refused(hall, hall.chair, close_path, close))[1] == "election.timer-running"
    hall.clock.at = now + 120
    await hall.settle()
    assert await state(hall, election) == "open"  # it is the chair who closes
    await support.close(hall, election)
    assert await no(now + 900) == "election.not-open"


async def test_an_end_that_a_manifest_fixed_is_not_moved(hall: Hall) -> None:
    await support.prepare(hall)
    election = await support.draft(hall, closes_after_s=600)
    await votes.open_election(hall.chair, hall.meeting, election)
    body = {"ends_at": hall.clock.at + 900, "reason": "More time"}
    path = hall.election_path(election, "/timer")
    assert await support.refused(hall, hall.chair, path, body) == (409, "election.end-fixed")


async def test_a_vote_that_the_chair_has_to_close_stands_in_the_way_of_a_recess(hall: Hall) -> None:
    _, manifest = await support.opened(hall)
    path = hall.path("/commands")
    for body in ({"command": "recess", "until": 0}, {"command": "adjourn", "continues_at": 0}):
        assert await support.refused(hall, hall.chair, path, body) == (409, "meeting.election-open")
    await abort(hall, manifest)
    election = await support.draft(hall, closes_after_s=600)
    await votes.open_election(hall.chair, hall.meeting, election)
    await hall.chair.post(path, {"command": "recess", "until": hall.clock.at + 60})
    # One that closes by itself goes on in the recess, and through the night.
    await hall.chair.post(path, {"command": "adjourn", "continues_at": 0})
    await hall.settle(600)
    await hall.settle(hall.settings.closing_grace_s + 1)
    assert await state(hall, election) == "closed"


async def test_the_log_says_of_a_vote_what_the_minutes_need(hall: Hall) -> None:
    ready = await support.prepare(hall)
    manifest = await support.hold_vote(hall, ready, [0, 0, 0, 1, 2])
    drafted = (await hall.events("ElectionDrafted"))[0]["body"]
    assert drafted == {"election": manifest.election, "title": "Budget", "item": hall.item, "motion": ""}
    declared = (await hall.events("ResultDeclared"))[0]["body"]
    asked = [{"type": "yes-no-abstain", "text": "Shall the budget be adopted?", "options": ["yes", "no", "abstain"]}]
    assert declared["title"] == "Budget"
    assert declared["questions"] == asked
    assert declared["majority"] == {"kind": "simple", "of": "cast"}
    assert declared["counts"] == [[3, 1, 1]]
    assert (await hall.events("MeetingOpened"))[0]["body"] == {"present": 5, "roll": 7}


async def test_the_motion_of_a_vote_that_is_broken_off_waits_for_another_one(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, _ = hall.tellers
    body = {"item": hall.item, "title": "Roof", "text": "The roof shall be mended."}
    motion = (await ana.post(hall.path("/motions"), body))["motion"]
    for person, verb in ((ana, "submit"), (paul, "second"), (hall.chair, "admit")):
        await person.post(hall.path(f"/motions/{motion}/act"), {"act": verb})
    rules = {"secrecy": "open", "majority": {"kind": "simple", "of": "cast"}, "tie": "rejected"}
    election = (await hall.chair.post(hall.path(f"/motions/{motion}/election"), rules))["election"]
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    assert (await hall.chair.get(hall.path(f"/motions/{motion}")))["state"] == "voting"
    await abort(hall, manifest)
    assert (await hall.chair.get(hall.path(f"/motions/{motion}")))["state"] == "admitted"
    assert [event["body"]["outcome"] for event in await hall.events("MotionDecided")] == ["undecided"]
