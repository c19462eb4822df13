"""Askings whether those present are still there, and the quorum curve that auditors compute anew."""

from __future__ import annotations

import csv
import io
import random  # noqa: TID251  # histories that can be had again
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.server import sites_support as halls
from tests.server import votes_support
from tests.server.common import START, refusal
from tests.server.support import House, at_check_in

from folkmoot_server.demo import votes
from folkmoot_server.demo.client import Person
from folkmoot_server.domain.attendance import Line, fold, write_csv
from folkmoot_server.domain.presence import Answer, Ask, confirmed, count_missed
from folkmoot_server.domain.quorum_curve import Point, curve
from folkmoot_server.storage.events import StoredEvent
from folkmoot_voting import challenges
from folkmoot_voting.encoding import unb64u


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with at_check_in(tmp_path) as running:
        await running.realtime._housekeeping.close()  # here the tests say when an asking is over
        yield running


async def ask(house: House, *members: str, site: str = "", within_s: int = 60) -> str:
    body = {"members": list(members), "site": site, "within_s": within_s}
    return str((await house.lan.post(house.path("/presence"), body))["presence"])


async def answer(house: House, person: Person, presence: str, **changes: Any) -> tuple[int, str]:
    """Let a member's passkey confirm; changed parts go into the challenge."""
    credential = (await person.get(house.path("")))["me"]["credential"] or ""
    parts = {"meeting": house.meeting, "asking": presence, "credential": unb64u(credential), **changes}
    signed = await person.signed(
        "presence",
        lambda nonce: challenges.presence(parts["meeting"], parts["asking"], parts["credential"], nonce),
    )
    return await refusal(person, house.path(f"/presence/{presence}/confirm"), signed)


async def tick(house: House) -> None:
    await house.realtime._housekeeping._tell_presence()


async def marks(house: House) -> dict[str, str]:
    lines = (await house.lan.get(house.path("/attendance")))["lines"]
    return {line["name"].split()[0]: line["confirmed"] for line in lines}


async def test_those_present_confirm_by_passkey_and_a_miss_marks_and_never_expels(house: House) -> None:
    await house.check_in("lan", "ana", "binh", "greta")
    presence = await ask(house)
    told = (await house.events("PresenceAsked"))[0]["body"]
    assert told == {"presence": presence, "site": "", "asked": 4, "until": START + 60}
    running = {"presence": presence, "at": START, "until": START + 60, "asked": 4, "confirmed": 0}
    assert (await house.view("ana"))["presence"] == {**running, "me": "asked"}
    assert (await house.view("paul"))["presence"] == {**running, "me": ""}
    assert await marks(house) == {"Lan": "", "Ana": "", "Binh": "", "Greta": ""}
    house.clock.at += 10
    assert await answer(house, house.ana, presence) == (200, "accepted")
    assert await answer(house, house.ana, presence) == (200, "accepted")  # twice is once
    await tick(house)
    await tick(house)
    assert await answer(house, house.lan, presence) == (200, "accepted")
    await tick(house)
    counts = [event["body"]["confirmed"] for event in await house.events("PresenceConfirmed")]
    assert counts == [1, 2]
    assert (await house.view("ana"))["presence"] == {**running, "confirmed": 2, "me": "confirmed"}
    await house.command("greta", "leave")  # who leaves before the end has missed nothing
    house.clock.at = START + 60
    assert await answer(house, house.binh, presence) == (409, "presence.over")
    await tick(house)
    missed = await house.events("PresenceMissed")
    assert [event["body"] for event in missed] == [{"presence": presence, "missed": 1}]
    assert await marks(house) == {"Lan": "yes", "Ana": "yes", "Binh": "no", "Greta": ""}
    view = await house.view("binh")
    assert {one["name"] for one in view["present"]} == {"Lan Nguyen", "Ana Silva", "Binh Tran"}
    assert view["presence"]["me"] == "missed"
    house.clock.at += 600
    assert (await house.view("binh"))["presence"] is None
    again = await ask(house, house.binh.member)
    assert await answer(house, house.binh, again) == (200, "accepted")
    await tick(house)  # all have confirmed: it is over before its time
    assert (await marks(house))["Binh"] == "yes"
    assert len(await house.events("PresenceMissed")) == 1
    assert await ask(house) != again


async def test_an_answer_is_the_members_own_for_this_asking(house: House) -> None:
    await house.check_in("lan", "ana", "binh")
    presence = await ask(house, house.ana.member)
    assert await answer(house, house.binh, presence) == (403, "presence.not-asked")
    assert await answer(house, house.ana, "nothing") == (404, "presence.unknown")
    for wrong in ({"asking": "other"}, {"meeting": "other"}, {"credential": bytes(32)}):
        assert await answer(house, house.ana, presence, **wrong) == (422, "passkey.wrong-challenge")
    path = house.path(f"/presence/{presence}/confirm")
    other_purpose = await house.ana.signed("action", lambda nonce: challenges.action({"type": "x"}, nonce))
    assert await refusal(house.ana, path, other_purpose) == (422, "nonce.invalid")
    credential = unb64u((await house.view("ana"))["me"]["credential"])
    challenge = lambda nonce: challenges.presence(house.meeting, presence, credential, nonce)  # noqa: E731
    by_binh = await house.binh.signed("presence", challenge)
    assert await refusal(house.ana, path, by_binh) == (422, "nonce.invalid")
    nonce = (await house.ana.post("/api/nonce", {"purpose": "presence"}))["nonce"]
    forged = {"nonce": nonce, **house.binh.assertion(challenge(unb64u(nonce)))}
    assert await refusal(house.ana, path, forged) == (422, "passkey.not-yours")
    assert (await house.view("lan"))["presence"]["confirmed"] == 0
    assert await answer(house, house.ana, presence) == (200, "accepted")


async def test_the_chair_asks_who_is_present_one_asking_at_a_time(house: House) -> None:
    path = house.path("/presence")
    body = {"members": [], "site": "", "within_s": 60}
    assert await refusal(house.lan, path, body) == (409, "presence.nobody")
    await house.check_in("lan", "ana")
    assert await refusal(house.ana, path, body) == (403, "role.missing")
    assert await refusal(house.lan, path, {**body, "within_s": 59}) == (400, "input.malformed")
    assert await refusal(house.lan, path, {**body, "within_s": 601}) == (400, "input.malformed")
    both = {**body, "members": [house.ana.member], "site": "remote"}
    assert await refusal(house.lan, path, both) == (400, "presence.members-and-site")
    absent = {**body, "members": [house.ana.member, house.paul.member]}
    assert await refusal(house.lan, path, absent) == (409, "presence.not-present")
    assert await refusal(house.lan, path, {**body, "site": "nowhere"}) == (404, "site.unknown")
    assert await refusal(house.lan, path, {**body, "site": "main"}) == (409, "presence.nobody")
    await ask(house, site="remote")
    assert (await house.events("PresenceAsked"))[0]["body"]["asked"] == 2
    assert await refusal(house.lan, path, body) == (409, "presence.running")


async def test_members_of_a_hall_confirm_at_its_kiosk(house: House) -> None:
    site = await halls.open_hall(house, house.context.database, house.jonas, house.paul, house.clock.at)
    for name in ("binh", "greta"):
        await halls.check_in_at_kiosk(house, house.paul, house.people[name], site)
    presence = await ask(house, site=site)
    signed_in = await halls.sign_in_at_kiosk(house, house.paul, house.binh, site)
    token, credential = signed_in["token"], unb64u(signed_in["credential"])
    given = await halls.at_kiosk(house.paul, token, "POST", "/api/nonce", {"purpose": "presence"})
    nonce = given[1]["nonce"]
    signed = house.binh.assertion(challenges.presence(house.meeting, presence, credential, unb64u(nonce)))
    path = house.path(f"/presence/{presence}/confirm")
    assert (await halls.at_kiosk(house.paul, token, "POST", path, {"nonce": nonce, **signed}))[0] == 200
    house.clock.at += 60
    await tick(house)
    assert await marks(house) == {"Binh": "yes", "Greta": "no"}
    assert len((await house.view("lan"))["present"]) == 2


async def test_nobody_misses_an_asking_that_the_end_of_the_meeting_cuts_short(house: House) -> None:
    await house.check_in("lan", "ana")
    await house.command("lan", "open")
    await ask(house)
    await house.command("lan", "close")
    house.clock.at += 60
    await tick(house)
    assert await house.events("PresenceMissed") == []
    assert await marks(house) == {"Lan": "", "Ana": ""}


def test_the_newest_asking_that_was_answered_or_missed_decides() -> None:
    line = Line("a", "A", "hall", 100, 500, "left")
    answered = Ask("1", "m", "", 150, 210, 210, 0, {"a": 160})
    skipped = Ask("2", "m", "", 250, 310, 310, 0, {"a": 0})
    running = Ask("3", "m", "", 350, 410, 0, 0, {"a": 0})
    assert confirmed(line, []) == ""
    assert confirmed(line, [answered]) == "yes"
    assert confirmed(line, [answered, skipped]) == "no"
    assert confirmed(line, [skipped, answered, running]) == "no"
    assert confirmed(line, [skipped, replace(running, answers={"a": 360})]) == "yes"
    assert confirmed(replace(line, until_at=300), [skipped]) == ""  # left before its end
    assert confirmed(replace(line, from_at=260), [skipped]) == ""  # came after it began
    assert confirmed(replace(line, member="b"), [answered, skipped]) == ""
    assert count_missed(skipped, [line, replace(line, from_at=260), replace(line, member="b")]) == 1
    assert [ask.of("a") for ask in (answered, skipped, running)] == [Answer.CONFIRMED, Answer.MISSED, Answer.ASKED]


# -- the curve ------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Members who come, go, fall silent and move, told as a log; what is true is counted beside it."""

    chance: random.Random
    num: int
    den: int
    size: int

    def __post_init__(self) -> None:
        self.log: list[StoredEvent] = []
        self.here: dict[str, str] = {}
        self.lost: dict[str, str] = {}
        self.truth: list[tuple[int, dict[str, int]]] = []

    def tell(self, kind: str, **body: Any) -> None:
        seq = len(self.log) + 1
        self.log.append(StoredEvent(seq, "m", seq, kind, 1000 + 7 * seq, body))

    def note(self) -> None:
        self.truth.append((len(self.log), dict(Counter(self.here.values()))))

    def arrive(self, member: str, site: str) -> None:
        if member in self.here and self.here[member] != site:
            self.tell("MemberDeparted", member=member, reason="moved", until=0)
        self.lost.pop(member, None)
        self.here[member] = site
        self.tell("MemberCheckedIn", member=member, name=member, site=site)
        self.note()

    def go(self, member: str, reason: str) -> None:
        if member in self.here:
            site = self.here.pop(member)
            if reason in ("lost", "cut"):
                self.lost[member] = site
            self.tell("MemberDeparted", member=member, reason=reason, until=0)
            self.note()

    def back(self, member: str) -> None:
        if member in self.lost:
            self.here[member] = self.lost.pop(member)
        elif member not in self.here:
            return
        self.tell("MemberReturned", member=member)
        self.note()

    def step(self) -> None:
        member = f"member{self.chance.randrange(6)}"
        what = self.chance.randrange(5)
        if what <= 1:
            self.arrive(member, self.chance.choice(["main", "remote", "hall"]))
        elif what == 2:
            self.go(member, self.chance.choice(["left", "lost", "cut", "removed"]))
        elif what == 3:
            self.back(member)
        else:
            self.tell(self.chance.choice(["HandRaised", "MemberAway", "SiteLost"]), member=member)
            self.note()


def history(seed: int) -> World:
    """A random history of up to forty steps."""
    chance = random.Random(seed)
    world = World(chance, chance.randrange(4), chance.randrange(3, 6), chance.randrange(1, 9))
    world.tell("MeetingDrafted", quorum={"num": world.num, "den": world.den})
    world.tell("RollFrozen", size=world.size)
    world.note()
    for _ in range(chance.randrange(5, 40)):
        world.step()
    return world


def audited(table: bytes, seq: int) -> dict[str, int]:
    """What an auditor computes from attendance.csv alone: who counts after an event, by site (sites.md section 3)."""
    found: Counter[str] = Counter()
    for row in csv.DictReader(io.StringIO(table.decode())):
        for counted in row["counted"].split():
            first, _, last = counted.partition("-")
            if int(first) <= seq and (last == "" or seq < int(last)):
                found[row["site"]] += 1
    return dict(found)


def mistakes(world: World, points: Sequence[Point]) -> list[int]:
    """Return the events after which the curve, the auditor's table and what is true do not agree."""
    table = write_csv(fold(world.log), {}, lambda _: "")
    needed = -(-world.num * world.size // world.den)
    wrong = []
    for seq, by_site in world.truth:
        point = [one for one in points if one.seq <= seq][-1]
        told = (point.by_site, point.present, point.needed)
        if told != (by_site, sum(by_site.values()), needed) or audited(table, seq) != by_site:
            wrong.append(seq)
    return wrong


def test_the_curve_the_auditors_table_and_the_truth_agree_in_a_thousand_histories() -> None:
    worlds = [history(seed) for seed in range(1000)]
    assert [seed for seed, world in enumerate(worlds) if mistakes(world, curve(world.log))] == []
    assert sum(len(world.log) for world in worlds) > 15_000
    assert sum("moved" in str(world.log) for world in worlds) > 300


def test_control_a_planted_error_is_found_in_most_histories() -> None:
    def careless(log: Sequence[StoredEvent]) -> list[Point]:
        """Who is lost stays counted: the mistake of a curve that believes in check-ins alone."""
        kept = [event for event in log if event.body.get("reason") not in ("lost", "cut")]
        return curve(kept)

    noticed = sum(bool(mistakes(world, careless(world.log))) for world in map(history, range(1000)))
    assert noticed > 500


def test_control_a_member_counted_twice_in_the_table_is_noticed() -> None:
    world = history(3)
    world.arrive("member0", "hall")
    doubled = write_csv([*fold(world.log), fold(world.log)[-1]], {}, lambda _: "")
    assert audited(doubled, len(world.log)) != world.truth[-1][1]


def test_a_move_is_one_point_and_never_a_dip() -> None:
    world = World(random.Random(0), 1, 2, 4)
    world.tell("MeetingDrafted", quorum={"num": 1, "den": 2})
    world.tell("RollFrozen", size=4)
    world.arrive("a", "remote")
    world.arrive("a", "hall")
    found = [(point.present, point.needed, point.by_site) for point in curve(world.log)]
    assert found == [(0, 2, {}), (1, 2, {"remote": 1}), (1, 2, {"hall": 1})]


async def test_the_curve_at_a_votes_opening_is_what_its_manifest_says(hall: votes_support.Hall) -> None:
    await votes_support.prepare(hall)
    first = await votes_support.draft(hall)
    manifest = await votes.open_election(hall.chair, hall.meeting, first)
    await hall.tellers[2].post(hall.path("/commands"), {"command": "leave"})
    await votes_support.check_in(hall, [hall.plain, hall.auditor])
    opened = (await hall.events("ElectionOpened"))[0]
    points = (await hall.plain.get(hall.path("/quorum-curve")))["points"]
    then = [point for point in points if point["seq"] <= opened["seq"]][-1]
    assert then["present"] == manifest.present == 5
    assert points[-1]["present"] == 6
    status, table = await hall.auditor.raw("GET", hall.path("/attendance.csv"))
    assert status == 200
    assert sum(audited(table, opened["seq"]).values()) == manifest.present
    assert audited(table, points[-1]["seq"]) == points[-1]["by_site"] == {"remote": 6}
    quorum = (await hall.view(hall.chair))["quorum"]
    assert points[-1]["needed"] == quorum["needed"]
