"""Motions over HTTP: from the draft to the resolution, through real votes; and everything that is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server import votes_support as support
from tests.server.common import refusal
from tests.server.support import serve
from tests.server.votes_support import NO, YES, Hall, Ready, refused

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.motions import MotionState, text_hash
from folkmoot_server.storage import events as event_store
from folkmoot_server.storage import motions as motion_store
from folkmoot_voting.manifest import Manifest

TEXT = "The roof shall be mended.\n\nIt may cost 5,000 euros.\n\nThe board reports in May."
RULES = {"secrecy": "open", "majority": {"kind": "simple", "of": "cast"}, "tie": "rejected"}


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    async with support.enrolled(tmp_path) as running:
        yield running


async def view(hall: Hall, motion: str, person: Person | None = None) -> dict[str, Any]:
    return dict(await (person or hall.chair).get(hall.path(f"/motions/{motion}")))


async def write(hall: Hall, person: Person, text: str = TEXT, title: str = "Roof") -> str:
    body = {"item": hall.item, "title": title, "text": text}
    return str((await person.post(hall.path("/motions"), body))["motion"])


async def amend(hall: Hall, person: Person, base: str, first: int, to: int, text: str) -> str:
    found = await view(hall, base, person)
    body = {"base_hash": found["hash"], "from": first, "to": to, "text": text, "title": "Change"}
    return str((await person.post(hall.path(f"/motions/{base}/amendments"), body))["motion"])


async def act(hall: Hall, person: Person, motion: str, *verbs: str) -> None:
    for verb in verbs:
        await person.post(hall.path(f"/motions/{motion}/act"), {"act": verb})


async def admitted(hall: Hall, motion: str, mover: Person, seconder: Person) -> None:
    await act(hall, mover, motion, "submit")
    await act(hall, seconder, motion, "second")
    await act(hall, hall.chair, motion, "admit")


async def decide(hall: Hall, ready: Ready, motion: str, choices: list[int], **rules: Any) -> Manifest:
    """Put a motion to the vote in one step and hold that vote to the declared result."""
    path = hall.path(f"/motions/{motion}/election")
    election = (await hall.secretary.post(path, {**RULES, **rules}))["election"]
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    assert (await view(hall, motion))["state"] == "voting"
    await support.cast_all(hall, manifest, choices)
    await hall.settle(hall.settings.publish_every_s)
    await support.close(hall, election)
    await support.cosign(hall, manifest, ready.cosigners)
    await hall.settle()
    await votes.declare(ready.cosigners[0], hall.meeting, manifest)
    return manifest


async def log(hall: Hall, *kinds: str) -> list[tuple[str, dict[str, Any]]]:
    found = (await hall.chair.get(hall.path("/events?after=0")))["events"]
    return [(event["type"], event["body"]) for event in found if event["type"] in kinds]


async def test_a_motion_with_an_amendment_becomes_a_resolution(hall: Hall) -> None:
    ready = await support.prepare(hall)
    ana, paul, amira = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    change = await amend(hall, paul, motion, 1, 2, "It may cost 7,500 euros.")
    await admitted(hall, change, paul, amira)
    path = hall.path(f"/motions/{motion}/election")
    assert await refused(hall, hall.chair, path, RULES) == (409, "motion.amendments-open")
    await decide(hall, ready, change, [YES, YES, YES, NO, NO])
    found = await view(hall, motion)
    wanted = TEXT.replace("5,000", "7,500")
    assert (found["text"], found["hash"], found["state"]) == (wanted, text_hash(wanted), "admitted")
    manifest = await decide(hall, ready, motion, [YES, YES, YES, YES, NO])
    question = manifest.json["questions"][0]["text"]
    assert "M1" in question
    assert found["hash"] in question
    found = await view(hall, motion)
    assert (found["state"], found["resolution"]) == ("carried", "2026/1")
    unit = (await hall.view(hall.chair))["unit"]
    listed = (await hall.plain.get(f"/api/resolutions?unit={unit}"))["resolutions"]
    assert [(one["resolution"], one["hash"], one["election"]) for one in listed] == [
        ("2026/1", found["hash"], manifest.election)
    ]
    kept = await hall.plain.get(f"/api/resolutions/{listed[0]['id']}")
    assert kept["text"] == wanted
    kinds = [
        kind for kind, _ in await log(hall, "MotionDecided", "TextAmended", "ResolutionAdopted", "MotionPutToVote")
    ]
    assert kinds == [
        "MotionPutToVote",
        "MotionDecided",
        "TextAmended",
        "MotionPutToVote",
        "MotionDecided",
        "ResolutionAdopted",
    ]
    assert await refused(hall, ana, path, RULES) == (409, "motion.wrong-state")


async def test_a_resolution_cannot_be_changed_even_in_the_database(hall: Hall) -> None:
    ready = await support.prepare(hall)
    ana, paul, _ = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    await decide(hall, ready, motion, [YES, YES, YES, YES, NO])
    with support.connect(hall) as raw:
        for change in ("UPDATE resolution SET text = 'other'", "DELETE FROM resolution"):
            with pytest.raises(sqlite3.IntegrityError, match="never changes"):
                raw.execute(change)


async def test_a_conflict_of_interest_leaves_the_electorate(hall: Hall) -> None:
    ready = await support.prepare(hall)
    ana, paul, amira = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    await paul.post(hall.path(f"/motions/{motion}/conflict"), {"declared": True})
    election = (await hall.chair.post(hall.path(f"/motions/{motion}/election"), RULES))["election"]
    await amira.post(hall.path(f"/motions/{motion}/conflict"), {"declared": True})
    await ana.post(hall.path(f"/motions/{motion}/conflict"), {"declared": True})
    await ana.post(hall.path(f"/motions/{motion}/conflict"), {"declared": False})
    assert sorted((await view(hall, motion))["conflicts"]) == sorted([paul.member, amira.member])
    manifest = await votes.open_election(hall.chair, hall.meeting, election)
    listed = (await hall.chair.get(hall.election_path(election, "/manifest")))["electorate"]
    mine = {person.member: (await hall.view(person))["elections"][-1]["me"]["lineage"] for person in hall.officers}
    assert (manifest.present, manifest.electorate_size, len(listed)) == (5, 3, 3)
    assert {member for member, lineage in mine.items() if not lineage} == {paul.member, amira.member}
    ballot = support.seal(hall, paul, manifest, YES)
    path = hall.election_path(election, "/ballots")
    assert (await refused(hall, paul, path, {"ballot": ballot}))[0] in (403, 422)
    await hall.chair.post(path, {"ballot": support.seal(hall, hall.chair, manifest, YES)})
    assert len(ready.cosigners) == 5


async def test_a_conflict_declared_on_a_motion_counts_for_its_amendments(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, amira = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    change = await amend(hall, paul, motion, 0, 1, "The roof shall be new.")
    await admitted(hall, change, paul, amira)
    election = (await hall.chair.post(hall.path(f"/motions/{change}/election"), RULES))["election"]
    await amira.post(hall.path(f"/motions/{motion}/conflict"), {"declared": True})
    summary = next(one for one in (await hall.view(hall.chair))["elections"] if one["election"] == election)
    assert summary["excluded"] == [amira.member]


async def test_colliding_amendments_are_shown_and_set_back(hall: Hall) -> None:
    ready = await support.prepare(hall)
    ana, paul, amira = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    first = await amend(hall, paul, motion, 1, 2, "It may cost 7,500 euros.\n\nNot more.")
    second = await amend(hall, amira, motion, 1, 3, "Nothing is paid.")
    third = await amend(hall, paul, motion, 2, 3, "The board reports in June.")
    for one, mover, seconder in ((first, paul, amira), (second, amira, paul), (third, paul, amira)):
        await admitted(hall, one, mover, seconder)
    found = {one: (await view(hall, one))["collides_with"] for one in (first, second, third)}
    assert found == {first: [second], second: [first, third], third: [second]}
    await decide(hall, ready, first, [YES, YES, YES, NO, NO])
    other, moved = await view(hall, second), await view(hall, third)
    assert (other["state"], other["collides"], other["from"], other["to"]) == ("submitted", True, 1, 4)
    assert (moved["state"], moved["collides"], moved["from"], moved["to"]) == ("admitted", False, 3, 4)
    assert [body["motion"] for _, body in await log(hall, "AmendmentSetBack")] == [second]
    path = hall.path(f"/motions/{second}/act")
    assert await refused(hall, hall.chair, path, {"act": "admit"}) == (409, "motion.collides")
    difference = (await amira.get(hall.path(f"/motions/{second}/diff")))["lines"]
    assert [line["text"] for line in difference if line["op"] in ("keep", "insert", "change")] == [
        "The roof shall be mended.",
        "Nothing is paid.",
    ]
    assert difference[-1]["paragraph"] == 3
    await act(hall, amira, second, "rebase")
    assert ((await view(hall, second))["state"], (await view(hall, second))["collides"]) == ("seconded", False)
    await act(hall, hall.chair, second, "admit")
    await decide(hall, ready, third, [YES, YES, YES, NO, NO])
    assert (await view(hall, motion))["text"].endswith("Not more.\n\nThe board reports in June.")


async def test_a_draft_is_its_movers_own(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, _ = hall.tellers
    before = (await hall.view(paul))["seq"]
    motion = await write(hall, ana)
    assert [one["motion"] for one in (await hall.view(ana))["me"]["drafts"]] == [motion]
    assert ((await hall.view(paul))["me"]["drafts"], (await hall.view(paul))["motions"]) == ([], [])
    assert (await hall.view(paul))["seq"] == before
    for person in (paul, hall.chair):
        path = hall.path(f"/motions/{motion}")
        assert await refused(hall, person, path, None, "GET") == (404, "motion.unknown")
        for verb in ("second", "withdraw", "submit"):
            assert await refused(hall, person, f"{path}/act", {"act": verb}) == (404, "motion.unknown")
    await act(hall, ana, motion, "submit")
    assert [one["number"] for one in (await hall.view(paul))["motions"]] == ["M1"]
    assert (await hall.view(ana))["me"]["drafts"] == []


async def test_what_is_refused_changes_nothing(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, _ = hall.tellers
    motion = await write(hall, ana)
    path, good = hall.path(f"/motions/{motion}"), {"version": 1, "title": "Roof", "text": TEXT}

    async def code(person: Person, rest: str, body: dict[str, Any]) -> str:
        return (await refused(hall, person, f"{path}{rest}", body))[1]

    assert await code(ana, "", {**good, "version": 7}) == "motion.changed"
    assert await code(ana, "", {**good, "text": "  \n\n "}) == "motion.no-text"
    assert await code(ana, "", {**good, "text": "a\x00b"}) == "motion.bad-text"
    assert await code(ana, "", {**good, "text": "a" * 40_001}) == "motion.too-long"
    assert await code(ana, "", {**good, "text": "\n\n".join(["a"] * 201)}) == "motion.too-long"
    assert await code(ana, "", {**good, "base_hash": "A" * 43}) == "input.malformed"
    assert await code(ana, "/act", {"act": "destroy"}) == "input.malformed"
    assert await code(ana, "/act", {"act": "rebase"}) == "motion.no-amendment"
    unknown = {"item": "nothing", "title": "t", "text": "x"}
    assert await refused(hall, ana, hall.path("/motions"), unknown) == (404, "agenda.unknown-item")
    await act(hall, ana, motion, "submit")
    assert await code(ana, "/act", {"act": "second"}) == "motion.own-motion"
    assert await code(paul, "/act", {"act": "admit"}) == "role.missing"
    assert await code(paul, "/act", {"act": "withdraw"}) == "motion.not-mover"
    assert await code(hall.chair, "/act", {"act": "admit"}) == "motion.needs-seconders"
    assert await code(hall.chair, "/election", RULES) == "motion.wrong-state"
    base = await view(hall, motion)
    change = {"base_hash": base["hash"], "from": 0, "to": 1, "text": "New.", "title": "c"}
    assert await code(paul, "/amendments", {**change, "base_hash": "A" * 43}) == "motion.text-changed"
    assert await code(paul, "/amendments", {**change, "to": 9}) == "motion.bad-paragraphs"
    assert await code(paul, "/amendments", {**change, "from": 2, "to": 1}) == "motion.bad-paragraphs"
    assert (
        await code(paul, "/amendments", {**change, "text": "The roof shall be mended."}) == "motion.changes-nothing"
    )
    assert await code(paul, "/amendments", {**change, "to": 0, "text": ""}) == "motion.no-text"
    amendment = (await paul.post(f"{path}/amendments", change))["motion"]
    await act(hall, paul, amendment, "submit")
    other = hall.path(f"/motions/{amendment}/amendments")
    assert await refused(hall, ana, other, change) == (409, "motion.amends-amendment")
    assert await code(ana, "", {**good, "version": 2, "text": "Another."}) == "motion.amendments-open"
    await act(hall, paul, motion, "second")
    assert await code(paul, "/act", {"act": "second"}) == "motion.seconded-already"
    await act(hall, hall.chair, motion, "admit")
    assert await code(ana, "", {**good, "version": 4}) == "motion.wrong-state"
    assert await code(paul, "/election", RULES) in ("role.missing", "motion.amendments-open")
    await act(hall, paul, amendment, "withdraw")
    assert await code(paul, "/election", RULES) == "role.missing"
    wrong = {**RULES, "majority": {"kind": "two-thirds", "of": "cast"}, "tie": "casting-vote"}
    assert await code(hall.chair, "/election", wrong) == "question.invalid"
    await hall.chair.post(f"{path}/election", RULES)
    assert await code(hall.chair, "/election", RULES) == "motion.put-already"
    await hall.chair.post(f"{path}/election", {**RULES, "secrecy": "roll-call"})  # the control


async def test_a_text_that_was_amended_after_the_draft_of_its_vote_is_not_opened(hall: Hall) -> None:
    ready = await support.prepare(hall)
    ana, paul, amira = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    election = (await hall.chair.post(hall.path(f"/motions/{motion}/election"), RULES))["election"]
    change = await amend(hall, paul, motion, 0, 1, "The roof shall be new.")
    await admitted(hall, change, paul, amira)
    path, body = hall.election_path(election, "/open"), await support.act(hall, hall.chair, election, "open")
    assert await refused(hall, hall.chair, path, body) == (409, "motion.amendments-open")
    preview = await hall.chair.get(hall.election_path(election, "/preview"))
    assert preview["refusal"] == "motion.amendments-open"
    await decide(hall, ready, change, [YES, YES, YES, NO, NO])
    body = await support.act(hall, hall.chair, election, "open")
    assert await refused(hall, hall.chair, path, body) == (409, "motion.text-changed")
    await decide(hall, ready, motion, [YES, YES, NO, NO, NO])
    assert ((await view(hall, motion))["state"], (await view(hall, motion))["resolution"]) == ("rejected", "")


async def test_a_void_vote_leaves_the_motion_undecided(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, _ = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    election = (await hall.chair.post(hall.path(f"/motions/{motion}/election"), RULES))["election"]
    await votes.open_election(hall.chair, hall.meeting, election)
    await hall.settle(2 * 86_400)  # never counted
    stored = await hall.read(lambda tx: motion_store.get(tx, hall.meeting, motion))
    assert stored.state is MotionState.ADMITTED
    told = await hall.read(lambda tx: event_store.of_meeting(tx, hall.meeting, 0))
    assert [one.body["outcome"] for one in told if one.type == "MotionDecided"] == ["undecided"]


async def test_a_vote_without_quorum_decides_nothing(hall: Hall) -> None:
    ready = await support.prepare(hall)
    ana, paul, amira = hall.tellers
    motion = await write(hall, ana)
    await admitted(hall, motion, ana, paul)
    for person in (ana, paul, amira):
        await person.post(hall.path("/commands"), {"command": "leave"})
    await decide(hall, ready, motion, [YES, YES])
    assert (await view(hall, motion))["state"] == "admitted"
    assert [body["outcome"] for _, body in await log(hall, "MotionDecided")] == ["undecided"]
    assert await log(hall, "ResolutionAdopted") == []
    again = (await hall.chair.post(hall.path(f"/motions/{motion}/election"), RULES))["election"]
    await votes.open_election(hall.chair, hall.meeting, again)
    assert (await view(hall, motion))["state"] == "voting"


async def test_withdrawing_and_referring_take_the_amendments_along(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, amira = hall.tellers
    for verb, who, state in (("withdraw", ana, "withdrawn"), ("refer", hall.chair, "referred")):
        motion = await write(hall, ana)
        await admitted(hall, motion, ana, paul)
        change = await amend(hall, amira, motion, 0, 0, "First of all:")
        await act(hall, amira, change, "submit")
        await act(hall, who, motion, verb)
        assert {(await view(hall, one))["state"] for one in (motion, change)} == {state}


async def test_the_number_of_seconders_is_a_rule(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, _ = hall.tellers
    path = hall.path("/motion-rules")
    assert await refused(hall, ana, path, {"seconders": 0}) == (403, "role.missing")
    assert await refused(hall, hall.chair, path, {"seconders": 51}) == (400, "input.malformed")
    await hall.secretary.post(path, {"seconders": 0})
    motion = await write(hall, ana)
    await act(hall, ana, motion, "submit")
    await act(hall, hall.chair, motion, "admit")
    await hall.chair.post(path, {"seconders": 2})
    other = await write(hall, ana)
    await act(hall, ana, other, "submit")
    await act(hall, paul, other, "second")
    assert (await view(hall, other))["state"] == "submitted"
    version = (await view(hall, other))["version"]
    await ana.post(hall.path(f"/motions/{other}"), {"version": version, "title": "Roof", "text": "Another text."})
    assert (await view(hall, other))["seconders"] == []


async def test_ten_drafts_of_a_member_are_the_most(hall: Hall) -> None:
    await support.prepare(hall)
    ana = hall.tellers[0]
    made = [await write(hall, ana) for _ in range(10)]
    body = {"item": hall.item, "title": "t", "text": "x"}
    assert await refused(hall, ana, hall.path("/motions"), body) == (429, "motion.too-many-drafts")
    await act(hall, ana, made[0], "withdraw")
    await write(hall, ana)


async def test_the_difference_is_shown_by_paragraphs_and_words(hall: Hall) -> None:
    await support.prepare(hall)
    ana, paul, _ = hall.tellers
    motion = await write(hall, ana)
    await act(hall, ana, motion, "submit")
    change = await amend(hall, paul, motion, 1, 2, "It may cost 7,500 euros.")
    lines = (await paul.get(hall.path(f"/motions/{change}/diff")))["lines"]
    assert [(line["op"], line["paragraph"]) for line in lines] == [("keep", 0), ("change", 1), ("keep", 2)]
    assert [(run["op"], run["text"]) for run in lines[1]["words"]] == [
        ("keep", "It may cost "),
        ("delete", "5,000"),
        ("insert", "7,500"),
        ("keep", " euros."),
    ]
    assert await refused(hall, paul, hall.path(f"/motions/{motion}/diff"), None, "GET") == (
        409,
        "motion.no-amendment",
    )


async def test_who_may_not_vote_here_neither_writes_nor_joins(tmp_path: Path) -> None:
    async with serve(tmp_path) as house:
        await house.enrol("lan", "jonas", "ana", "karin", "binh")
        units = (await house.lan.get("/api/organisation"))["units"]
        await house.draft(unit=next(unit["id"] for unit in units if unit["name"] == "Upper village"))
        body = {"item": house.items[0], "title": "t", "text": "x"}
        assert await refusal(house.karin, house.path("/motions"), body) == (403, "role.missing")
        motion = (await house.binh.post(house.path("/motions"), body))["motion"]
        path = house.path(f"/motions/{motion}")
        await house.binh.post(f"{path}/act", {"act": "submit"})
        assert await refusal(house.karin, f"{path}/act", {"act": "second"}) == (403, "motion.not-entitled")
        assert await refusal(house.karin, f"{path}/conflict", {"declared": True}) == (403, "motion.not-entitled")
        greta = house.stranger()
        assert (await refusal(greta, path, method="GET"))[0] == 401
        await house.lan.post(house.path("/motions"), body)  # the control: a chair writes, though not entitled
