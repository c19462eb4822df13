"""`folkmoot demo --script full-meeting`: two motions, an amendment, a recess, a lost quorum, a hand-over, a guest.

Everything goes over the real interfaces; what is left are the minutes, the attendance list and the votes' record.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from folkmoot_server import app
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import DemoError, Person
from folkmoot_server.demo.officers import confirm_everybody
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.verify import verify_bundle

Progress = Callable[[str], None]
MEMBERS_MIN: Final = 11
STEPS: Final = 13
SIMPLE: Final = {"kind": "simple", "of": "cast"}
BASE_TEXT: Final = "The roof of the hall is renewed.\n\nThe work costs at most 40,000.\n\nIt begins in spring."
AMENDED: Final = "The work costs at most 36,000."
SECOND_TEXT: Final = "The annual fee is raised to 24."
YES, NO = (1, 0, 0), (0, 1, 0)
LATE_S: Final = 86_400


@dataclass
class Course:
    """What the steps of the script share."""

    origin: str
    persons: list[Person]
    meeting: str = ""
    items: dict[str, str] = field(default_factory=dict)
    seeds: dict[str, bytes] = field(default_factory=dict)
    trustees: list[votes.Teller] = field(default_factory=list)
    cosigners: list[votes.Cosigner] = field(default_factory=list)

    @property
    def chair(self) -> Person:
        """The first person opens the meeting."""
        return self.persons[0]

    @property
    def secretary(self) -> Person:
        """Secretary and registrar."""
        return self.persons[1]

    @property
    def vice(self) -> Person:
        """The second holder of the role chair."""
        return self.persons[-2]

    def path(self, rest: str = "") -> str:
        """An API path of the meeting."""
        return f"/api/meetings/{self.meeting}{rest}"

    async def command(self, person: Person, command: str, **fields: Any) -> None:
        """Send one command of the meeting."""
        await person.post(self.path("/commands"), {"command": command, **fields})

    async def act(self, person: Person, rest: str, action: dict[str, Any], **fields: Any) -> Any:
        """Send an action that the passkey signs."""
        return await person.act(self.path(rest), action, **fields)


async def hold(origin: str, persons: list[Person], tellers: int, out: Path, bar: Progress) -> int:
    """Hold the meeting with enrolled persons and return 0 when all of it verified.

    Raises:
        DemoError: the server refused a step.
    """
    course = Course(origin, persons)
    steps: tuple[tuple[str, Callable[[], Awaitable[None]]], ...] = (
        ("confirming passkeys, convening the meeting, freezing the roll", lambda: _convene(course)),
        ("checking in by passkey", lambda: _check_in(course)),
        ("making the tellers' and cosigners' keys", lambda: _keys(course, tellers)),
        ("opening; the first reports and speakers", lambda: _reports(course)),
        ("a guest comes and is sent out", lambda: _guest(course)),
        ("a recess; the quorum is lost and comes back", lambda: _recess(course)),
        ("a motion, its amendment, and two votes", lambda: _first_motion(course)),
        ("the chair is handed over", lambda: _hand_over(course)),
        ("a second motion, by roll call", lambda: _second_motion(course)),
        ("closing", lambda: course.command(course.vice, "close")),
    )
    for text, step in steps:
        bar(text)
        await step()
    bar("downloading minutes and record, verifying offline")
    return await _finish(course, out)


async def _convene(course: Course) -> None:
    await confirm_everybody(course.chair, course.secretary)
    units = (await course.secretary.get("/api/organisation"))["units"]
    body = {
        "title": "Annual general meeting",
        "unit": next(unit["id"] for unit in units if unit["parent"] is None),
        "starts_at": app.now_s() + LATE_S,
        "time_zone": "Europe/Berlin",
        "agenda": [{"title": "Reports"}, {"title": "Roof of the hall"}, {"title": "Annual fee"}],
        "quorum": {"num": 1, "den": 2},
        "binding": True,
        "notice_days": 7,
    }
    course.meeting = (await course.secretary.post("/api/meetings", body))["id"]
    await course.secretary.post(
        course.path("/agenda"), {"title": "Salaries", "parent": "", "after": "", "minutes": 5, "internal": True}
    )
    listed = (await course.secretary.get(course.path()))["agenda"]
    course.items = {item["title"]: item["id"] for item in listed}
    reason = "The roof leaks."
    action = {"type": "waive-notice", "meeting": course.meeting, "reason": reason}
    await course.act(course.secretary, "/waiver", action, reason=reason)
    await course.command(course.secretary, "convene")
    for person in course.persons[:5]:
        await person.post(course.path("/receipts"), {"receipt": "read"})
    excused = course.persons[-1]
    await excused.post(course.path("/excuse"), {"excused": True, "reason": "ill", "member": excused.member})
    await votes.freeze_roll(course.secretary, course.meeting)
    await course.command(course.chair, "begin-check-in")


async def _check_in(course: Course) -> None:
    for person in course.persons[:-1]:
        course.seeds[person.member] = await votes.check_in(person, course.meeting)
        await person.join_socket(course.meeting)


async def _keys(course: Course, tellers: int) -> None:
    course.trustees = await votes.make_key(course.persons[2 : 2 + tellers], course.meeting)
    for person in course.persons[:-1]:
        if (await person.get(course.path()))["me"]["cosigner"]:
            course.cosigners.append(await votes.name_cosigner(person, course.meeting))


async def _speak(course: Course, person: Person, kind: str) -> None:
    await course.command(person, "raise-hand", kind=kind)
    await course.command(course.chair, "next-speaker")


async def _reports(course: Course) -> None:
    await course.command(course.chair, "open")
    await course.chair.post(course.path("/speaking"), {"turn_s": 180, "group_s": 0, "order_s": 60})
    await course.command(course.chair, "start-item", item=course.items["Reports"])
    await _speak(course, course.secretary, "contribution")
    await course.command(course.persons[3], "raise-hand", kind="contribution")
    await course.command(course.persons[4], "raise-hand", kind="point-of-order", category=0)
    await course.command(course.chair, "next-speaker")
    await course.command(course.chair, "pause-turn")
    await course.command(course.chair, "resume-turn")
    await course.command(course.chair, "next-speaker")
    await course.command(course.persons[3], "yield-floor")


async def _guest(course: Course) -> None:
    made = await course.secretary.post(course.path("/guest-links"), {"name": "Mayor"})
    async with Person(course.origin, "Mayor") as guest:
        token = made["url"].split("#", 1)[1]
        await guest.post("/api/guests/enter", {"token": token, "name": "The mayor"})
        waiting = (await course.chair.get(course.path("/lobby")))["visitors"]
        visitor = waiting[0]["visitor"]
        await course.chair.post(course.path(f"/lobby/{visitor}"), {"act": "admit"})
        await guest.get(course.path())
        await course.chair.post(course.path(f"/lobby/{visitor}"), {"act": "remove"})


async def _recess(course: Course) -> None:
    await course.command(course.chair, "recess", until=0)
    await course.command(course.chair, "resume")
    staying = {person.member for person in (course.chair, course.secretary, *course.persons[2:4])}
    leaving = [person for person in course.persons[:-1] if person.member not in staying]
    for person in leaving:
        await person.leave_socket()
        await course.command(person, "leave")
    if (await course.chair.get(course.path()))["state"] != "quorum-lost":
        raise DemoError("The meeting went on although the quorum was lost.")
    for person in leaving:
        course.seeds[person.member] = await votes.check_in(person, course.meeting)
        await person.join_socket(course.meeting)


async def _motion(course: Course, mover: Person, item: str, title: str, text: str) -> str:
    made = await mover.post(course.path("/motions"), {"item": course.items[item], "title": title, "text": text})
    motion = str(made["motion"])
    await mover.post(course.path(f"/motions/{motion}/act"), {"act": "submit"})
    return motion


async def _admit(course: Course, motion: str, chair: Person) -> None:
    view = await chair.get(course.path(f"/motions/{motion}"))
    for person in course.persons[5 : 5 + view["seconders_needed"]]:
        await person.post(course.path(f"/motions/{motion}/act"), {"act": "second"})
    await chair.post(course.path(f"/motions/{motion}/act"), {"act": "admit"})


async def _first_motion(course: Course) -> None:
    await course.command(course.chair, "start-item", item=course.items["Roof of the hall"])
    base = await _motion(course, course.persons[2], "Roof of the hall", "Renew the roof", BASE_TEXT)
    await _admit(course, base, course.chair)
    view = await course.chair.get(course.path(f"/motions/{base}"))
    body = {"base_hash": view["hash"], "from": 1, "to": 2, "text": AMENDED, "title": "Cheaper"}
    made = await course.persons[3].post(course.path(f"/motions/{base}/amendments"), body)
    amendment = str(made["motion"])
    await course.persons[3].post(course.path(f"/motions/{amendment}/act"), {"act": "submit"})
    await _admit(course, amendment, course.chair)
    await _speak(course, course.persons[5], "pro")
    await _speak(course, course.persons[6], "contra")
    await course.command(course.persons[6], "yield-floor")
    await course.persons[6].post(course.path(f"/motions/{base}/conflict"), {"declared": True})
    await _decide(course, amendment, "open", course.chair, no=1)
    await _decide(course, base, "trustees", course.chair, no=2)
    adopted = await course.chair.get(course.path(f"/motions/{base}"))
    if adopted["state"] != "carried" or AMENDED not in adopted["text"] or not adopted["resolution"]:
        raise DemoError("The amended motion is no resolution.")


async def _decide(course: Course, motion: str, secrecy: str, chair: Person, no: int) -> None:
    """Put a motion to the vote; all but `no` of the electors vote for it."""
    body = {"secrecy": secrecy, "majority": SIMPLE, "tie": "rejected"}
    made = await chair.post(course.path(f"/motions/{motion}/election"), body)
    election = str(made["election"])
    manifest = await votes.open_election(chair, course.meeting, election)
    electors = await _electors(course, manifest)
    for number, person in enumerate(electors):
        choice = NO if number < no else YES
        await votes.cast(person, course.meeting, manifest, course.seeds[person.member], [choice])
    await votes.close_election(chair, course.meeting, election)
    await votes.cosign(course.cosigners, course.meeting, manifest)
    if manifest.secret:
        await votes.count(course.trustees[: manifest.trustees.threshold], course.meeting, manifest)
    else:
        await votes.wait_for_count(chair, course.meeting, manifest)
    # Whoever presides, the cosigner called chair declares: of two chairs it is the one with the lower member code.
    declaring = next(cosigner for cosigner in course.cosigners if cosigner.name == "chair")
    await votes.declare(declaring, course.meeting, manifest)


async def _electors(course: Course, manifest: Manifest) -> list[Person]:
    found = []
    for person in course.persons[:-1]:
        view = await person.get(course.path(f"/elections/{manifest.election}/manifest"))
        if view["me"]["credential"]:
            found.append(person)
    return found


async def _hand_over(course: Course) -> None:
    to = course.vice.member
    await course.act(course.chair, "/handover", {"type": "hand-over", "meeting": course.meeting, "to": to}, to=to)
    action = {"type": "accept-chair", "meeting": course.meeting, "from": course.chair.member}
    await course.act(course.vice, "/handover/accept", action)


async def _second_motion(course: Course) -> None:
    await course.command(course.vice, "start-item", item=course.items["Annual fee"])
    motion = await _motion(course, course.persons[4], "Annual fee", "Raise the fee", SECOND_TEXT)
    await _admit(course, motion, course.vice)
    await _decide(course, motion, "roll-call", course.vice, no=len(course.persons))
    await course.command(course.vice, "defer-item", item=course.items["Salaries"])


async def _finish(course: Course, out: Path) -> int:
    reader = course.secretary
    names = {f"minutes-{language}.{ending}": (language, form) for language in ("en", "vi") for ending, form in _FORMS}
    for name, (language, form) in names.items():
        await _save(reader, course.path(f"/minutes?lang={language}&form={form}"), out / name)
    await _save(reader, course.path("/attendance.csv"), out / "attendance.csv")
    bundle = await _save(reader, course.path("/bundle.zip"), out / "bundle.zip")
    report = await asyncio.to_thread(verify_bundle, bundle)
    resolutions = [one for one in (await reader.get(course.path()))["motions"] if one["resolution"]]
    print(f"Minutes: {out}/minutes-en.txt. Resolutions: {', '.join(one['resolution'] for one in resolutions)}.")
    print(f"Verdict: {report.verdict}, {len(report.elections)} votes.")
    missed = [person.name for person in course.persons if person.missed]
    for name in missed:
        print(f"Failed: {name} missed events.", file=sys.stderr)
    return 0 if report.verdict == "ok" and not missed else 1


_FORMS: Final = (("txt", "text"), ("html", "html"), ("json", "json"))


async def _save(person: Person, path: str, to: Path) -> bytes:
    status, body = await person.raw("GET", path)
    if status != 200:
        raise DemoError(f"{person.name}: GET {path} answered {status}: {body[:200].decode(errors='replace')}")
    await asyncio.to_thread(to.write_bytes, body)
    return body
