"""Who is out, what goes on without a quorum, and who presides: what a reader of conduct.md would try."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from icalendar import Calendar
from tests.server import votes_support
from tests.server.common import START, refusal
from tests.server.support import House, serve
from tests.server.test_review_conduct import CHAIRS, PLAIN, act, guest_of, house, signed_by, write
from tests.server.votes_support import ABSTAIN, NO, YES, Hall

from folkmoot_server.demo import votes
from folkmoot_server.domain import calendar
from folkmoot_server.domain.minutes_words import words_of
from folkmoot_server.storage import elections as election_store

__all__ = ["house"]
OUT: Final = (403, "meeting.removed")
DAY: Final = 86_400


@pytest.fixture
async def binding(tmp_path: Path) -> AsyncIterator[House]:
    """A meeting with a binding quorum that was lost, and Lan presiding."""
    async with serve(tmp_path) as running:
        await running.enrol()
        await running.draft(binding=True)
        await running.command("jonas", "convene")
        await running.begin_quietly()
        await running.check_in("lan", "ana", "paul", "binh")
        await running.command("lan", "open")
        await running.command("binh", "leave")
        assert (await running.view("lan"))["state"] == "quorum-lost"
        yield running


def wishes(house: House, own: str, submitted: str, other: str) -> list[tuple[str, dict[str, Any]]]:
    """Everything by which a member takes part; `own` is a draft of Paul's, `submitted` his motion, `other` Binh's."""
    text = {"title": "T", "text": "X."}
    place = {"base_hash": "A" * 43, "from": 0, "to": 1}
    return [
        ("/motions", {"item": house.items[0], **text}),
        (f"/motions/{own}", {"version": 1, **text}),
        (f"/motions/{own}/act", {"act": "submit"}),
        (f"/motions/{submitted}/act", {"act": "withdraw"}),
        (f"/motions/{submitted}/act", {"act": "rebase"}),
        (f"/motions/{other}/amendments", {**place, **text}),
        (f"/motions/{other}/act", {"act": "second"}),
        (f"/motions/{other}/conflict", {"declared": True}),
        ("/messages", {"kind": "chat", "text": "Hello", "to": 0}),
        ("/messages", {"kind": "question", "text": "Why?", "to": 0}),
        ("/messages/1/support", {}),
        ("/commands", {"command": "raise-hand"}),
        ("/commands", {"command": "raise-hand", "kind": "point-of-order"}),
        ("/lobby", {}),
    ]


async def test_who_is_removed_takes_no_part_until_readmitted(house: House) -> None:
    own, submitted, other = await write(house, "paul"), await write(house, "paul"), await write(house, "binh")
    await act(house, "paul", submitted, "submit")
    await act(house, "binh", other, "submit")
    await house.lan.post(house.path("/messages"), {"kind": "question", "text": "When?", "to": 0})
    tried = wishes(house, own, submitted, other)
    await house.command("lan", "remove", member=house.paul.member)
    before = (await house.events())[-1]["seq"]
    for path, body in tried:
        assert await refusal(house.paul, house.path(path), body) == OUT, (path, body)
    assert (await house.events())[-1]["seq"] == before
    assert (await house.view("paul"))["me"]["removed"] is True  # reads on
    await house.command("lan", "readmit", member=house.paul.member)
    await house.check_in("paul")
    for path, body in tried:
        house.clock.at += 5  # of messages, one in two seconds
        assert await refusal(house.paul, house.path(path), body) != OUT, (path, body)
    kinds = [event["type"] for event in await house.events() if event["seq"] > before]
    for kind in ("MotionSubmitted", "MotionSeconded", "ConflictDeclared", "MessagePosted", "HandRaised"):
        assert kind in kinds


async def test_a_removed_secretary_keeps_the_office_and_has_no_voice(house: House) -> None:
    await house.check_in("jonas")
    await house.command("lan", "remove", member=house.jonas.member)
    draft = {"item": house.items[0], "title": "T", "text": "X."}
    assert await refusal(house.jonas, house.path("/motions"), draft) == OUT
    assert await refusal(house.jonas, house.path("/messages"), {"kind": "chat", "text": "x", "to": 0}) == OUT
    item = {"title": "Elections", "parent": "", "after": "", "minutes": 0, "internal": False}
    assert (await refusal(house.jonas, house.path("/agenda"), item))[1] == "accepted"
    assert (await refusal(house.jonas, house.path("/guest-links"), {"name": "Press"}))[1] == "accepted"


# What the presiding chair is refused without a quorum; everything else goes on.
REFUSED_WITHOUT: Final = {"open", "resume", "refer"}


async def test_what_the_chair_may_do_without_a_quorum(binding: House) -> None:
    """Every command of the chair in the state quorum-lost, those that end it left for the last."""
    house = binding
    await guest_of(house, "")
    motion = await write(house, "paul")
    await act(house, "paul", motion, "submit")
    named = lambda body: str(body.get("command") or body.get("act") or "")  # noqa: E731
    ends = {"close", "adjourn", "recess"}
    for path, body in CHAIRS:
        if named(body) in ends:
            continue
        code = (await refusal(house.lan, house.path(path.format(motion=motion)), body))[1]
        assert (code == "meeting.wrong-state") is (named(body) in REFUSED_WITHOUT), (path, body, code)
    assert {named(body) for body in PLAIN} > ends | {"open", "resume"}
    assert (await house.view("lan"))["state"] == "quorum-lost"
    await house.check_in("binh")  # control: with the quorum the same motion is referred
    assert await act(house, "lan", motion, "refer") == "accepted"
    await house.command("binh", "leave")
    await house.command("lan", "recess", until=0)
    await house.command("lan", "close")


async def test_a_motion_is_referred_neither_in_a_recess_nor_between_two_days(house: House) -> None:
    motion = await write(house, "paul")
    await act(house, "paul", motion, "submit")
    await house.command("lan", "recess", until=0)
    assert await act(house, "lan", motion, "refer") == "meeting.wrong-state"
    await house.command("lan", "adjourn", continues_at=0)
    assert await act(house, "lan", motion, "refer") == "meeting.wrong-state"
    await house.command("lan", "begin-check-in")
    assert await act(house, "lan", motion, "refer") == "accepted"


async def test_what_was_voted_on_with_a_quorum_is_declared_without_one(tmp_path: Path) -> None:
    """The electorate and its presence are fixed when a vote is opened; nobody undoes a vote by leaving."""
    async with votes_support.enrolled(tmp_path) as hall:
        cosigners = await _with_quorum(hall)
        body = {"item": hall.item, "title": "Roof", "text": "Mend it."}
        motion = (await hall.tellers[0].post(hall.path("/motions"), body))["motion"]
        await hall.tellers[0].post(hall.path(f"/motions/{motion}/act"), {"act": "submit"})
        await hall.tellers[1].post(hall.path(f"/motions/{motion}/act"), {"act": "second"})
        await hall.chair.post(hall.path(f"/motions/{motion}/act"), {"act": "admit"})
        rules = {"secrecy": "open", "majority": {"kind": "simple", "of": "cast"}, "tie": "rejected"}
        election = (await hall.secretary.post(hall.path(f"/motions/{motion}/election"), rules))["election"]
        manifest = await votes.open_election(hall.chair, hall.meeting, election)
        await votes_support.cast_all(hall, manifest, [YES, YES, YES, NO, ABSTAIN])
        await hall.settle(hall.settings.publish_every_s)
        await votes_support.close(hall, election)
        for person in hall.officers[2:]:
            await person.post(hall.path("/commands"), {"command": "leave"})
        await votes_support.cosign(hall, manifest, cosigners)
        await hall.settle()
        assert (await hall.view(hall.chair))["state"] == "quorum-lost"
        await votes.declare(cosigners[0], hall.meeting, manifest)
        view = await hall.view(hall.chair)
        assert (view["state"], view["motions"][0]["state"]) == ("quorum-lost", "carried")
        assert view["elections"][0]["state"] == "declared"
        another = await votes_support.draft(hall)  # control: nothing new is put to the vote
        opening = await votes_support.act(hall, hall.chair, another, "open")
        path = hall.election_path(another, "/open")
        assert await refusal(hall.chair, path, opening) == (409, "meeting.wrong-state")


async def _with_quorum(hall: Hall) -> list[votes.Cosigner]:
    await votes_support.convene(hall, binding=True)
    await votes.freeze_roll(hall.secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})
    await votes_support.check_in(hall, hall.officers)
    await votes.make_key(hall.tellers, hall.meeting)
    cosigners = [await votes.name_cosigner(person, hall.meeting) for person in hall.officers]
    await hall.chair.post(hall.path("/commands"), {"command": "open"})
    return cosigners


async def test_the_key_is_begun_anew_by_who_presides_and_by_nobody_else(house: House) -> None:
    action = {"type": "restart-key", "meeting": house.meeting, "attempt": 1}
    path = house.path("/keygen/restart")
    for name, code in (("ana", "chair.not-presiding"), ("jonas", "role.missing"), ("paul", "role.missing")):
        body = await signed_by(house.people[name], action, reason="Lost")
        assert await refusal(house.people[name], path, body) == (403, code)
    body = await signed_by(house.lan, action, reason="Lost")
    assert (await refusal(house.lan, path, body))[1] == "accepted"
    assert [event["body"]["attempt"] for event in await house.events("KeyRestarted")] == [2]


async def entries(house: House) -> list[tuple[str, int, int, str]]:
    """(UID, SEQUENCE, start, STATUS) of every event of the calendar file."""
    status, text = await house.people["binh"].raw("GET", house.path("/meeting.ics"))
    assert status == 200, text
    found = Calendar.from_ical(text).walk("VEVENT")
    return [
        (str(one["UID"]), int(one["SEQUENCE"]), round(one["DTSTART"].dt.timestamp()), str(one["STATUS"]))
        for one in found
    ]


async def test_each_day_of_a_meeting_has_an_entry_in_the_calendar(house: House) -> None:
    first = (f"{house.meeting}@localhost", 0, START, "CONFIRMED")
    assert await entries(house) == [first]
    await house.command("lan", "adjourn", continues_at=START + DAY)
    second = (f"{house.meeting}-2@localhost", 0, START + DAY, "CONFIRMED")
    assert await entries(house) == [first, second]
    await house.command("lan", "begin-check-in")
    assert await entries(house) == [first, second]  # a day that was held stays
    await house.command("lan", "adjourn", continues_at=0)
    assert await entries(house) == [first, second]  # nobody knows yet when
    await house.command("lan", "begin-check-in")
    await house.command("lan", "adjourn", continues_at=START + 9 * DAY)
    fourth = (f"{house.meeting}-4@localhost", 0, START + 9 * DAY, "CONFIRMED")
    assert await entries(house) == [first, second, fourth]
    await house.command("lan", "close")
    dropped = (*fourth[:1], 1, fourth[2], "CANCELLED")
    assert await entries(house) == [first, second, dropped]


def test_days_follow_the_log() -> None:
    adjourned, begun, closed = calendar.ADJOURNED, "CheckInBegan", calendar.CLOSED
    assert set(calendar.DAY_EVENTS) == {adjourned, begun, closed}
    log: list[tuple[str, dict[str, Any]]] = [(begun, {}), (adjourned, {"continues_at": 7}), (begun, {}), (closed, {})]
    assert calendar.later_days(log) == [calendar.Day(2, 7, dropped=False)]
    assert calendar.later_days([*log[:2], (closed, {})]) == [calendar.Day(2, 7, dropped=True)]
    assert calendar.later_days([(begun, {}), (adjourned, {"continues_at": 0}), (closed, {})]) == []


async def test_no_text_of_the_server_is_in_one_language_only(house: House) -> None:
    """A declared conflict in the minutes of two languages and in the file for auditors; Greta never checked in."""
    greta, motion = house.people["greta"], await write(house, "paul")
    await act(house, "paul", motion, "submit")
    await act(house, "binh", motion, "second")
    await act(house, "lan", motion, "admit")
    rules = {"secrecy": "open", "majority": {"kind": "simple", "of": "cast"}, "tie": "rejected"}
    election = (await house.jonas.post(house.path(f"/motions/{motion}/election"), rules))["election"]
    await greta.post(house.path(f"/motions/{motion}/conflict"), {"declared": True})
    body = {"election": election, "member": greta.member, "name": greta.name, "excluded": True}
    assert [event["body"] for event in await house.events("ElectorExcluded")] == [body]
    stored = await house.context.database.read(lambda tx: election_store.exclusions(tx, election))
    assert stored == {greta.member: "conflict-declared"}
    for language in ("en", "vi"):
        minutes = await house.jonas.get(house.path(f"/minutes?lang={language}"))
        told = [one["text"] for section in minutes["sections"] for one in section["sentences"]]
        words = words_of(language)
        vote = (await house.view("jonas"))["elections"][0]["title"]
        assert words.say("excluded", name=greta.name, title=vote) in told
        assert not [text for text in told if "conflict-declared" in text or words.say("somebody") in text]
    assert words_of("en").say("excluded", name="X", title="Y") != words_of("vi").say("excluded", name="X", title="Y")
    names = []
    for language in ("en", "vi"):
        made = (await house.jonas.post(house.path("/rehearsal"), {"language": language}))["id"]
        view = await house.jonas.get(f"/api/meetings/{made}")
        question = view["elections"][0]["questions"][0]["text"]
        names.append((view["title"].split(":")[0], view["agenda"][0]["title"], question))
    assert names[0] == ("Rehearsal", "Practice vote", "Did everybody find their way?")
    assert names[1][0] == "Diễn tập"
    assert all(one != other for one, other in zip(*names, strict=True))
