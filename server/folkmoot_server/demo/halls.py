"""`folkmoot demo --sites N`: halls with relays of their own; with `--cut-link` their lines fail while a vote is open.

Of the halls whose line is cut the first has its relay killed and comes back in time; the last comes back too late.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random  # noqa: TID251  seeded choices of the script; never keys
from typing import Any, Final

from folkmoot_server import app
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import DemoError, Person
from folkmoot_server.demo.officers import confirm_everybody
from folkmoot_server.demo.questions import QUESTIONS, choose
from folkmoot_server.demo.relay_folder import RelayFolder
from folkmoot_server.demo.wire import Wire
from folkmoot_voting import casting, signing
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.manifest import Manifest
from folkmoot_voting.verify import verify_bundle

Progress = Callable[[str], None]
Download = Callable[[str], Awaitable[tuple[bytes, bytes, bytes]]]
SITES_MAX: Final = 7
PER_SITE: Final = 2
CUT_MIN: Final = 2
STEPS: Final = 12
GRACE_S: Final = 45
WAIT_S: Final = 120.0
ASKED: Final = QUESTIONS["yes-no-abstain"]


async def _until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found = await condition()
        if found:
            return found
        await asyncio.sleep(0.2)
    raise DemoError(f"Waited {WAIT_S:.0f} s in vain for {what}.")


@dataclass
class Hall(RelayFolder):
    """One hall: its line, its relay in a process of its own, and the phones of its members."""

    name: str
    port: int
    folder: Path
    wire: Wire
    members: list[Person]
    site: str = ""
    phones: list[Person] = field(default_factory=list)
    seeds: list[bytes] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    kept: int = 0
    refused: int = 0

    @property
    def origin(self) -> str:
        """The address of the relay's pages."""
        return f"http://localhost:{self.port}"

    @property
    def custodian(self) -> Person:
        """The first of its members looks after it."""
        return self.members[0]

    async def start(self, code: str = "") -> None:
        """Start the relay and wait until it serves."""
        words = ["relay", "--hub", self.wire.url, "--data", str(self.folder), "--listen", f"127.0.0.1:{self.port}"]
        words += ["--code", code] if code else []
        with self.folder.with_suffix(".log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "folkmoot_server.cli", *words, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        output = self.process.stdout
        line = b"" if output is None else await asyncio.wait_for(output.readline(), WAIT_S)
        if b"on port" not in line:
            raise DemoError(f"The relay of {self.name} did not start; see {self.folder.with_suffix('.log').name}.")

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the relay, by SIGKILL as a power cut would."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            await self.process.wait()

    async def is_alone(self) -> bool:
        """Whether the relay answers by itself."""
        status, body = await self.phones[0].raw("GET", "/api/meetings")
        return status == 503 and json.loads(body)["error"]["code"] == "relay.cut"


@dataclass
class Course:
    """What the steps share."""

    origin: str
    persons: list[Person]
    tellers: int
    halls: list[Hall]
    rng: Random
    meeting: str = ""
    election: str = ""
    seeds: list[bytes] = field(default_factory=list)
    trustees: list[votes.Teller] = field(default_factory=list)
    cosigners: list[votes.Cosigner] = field(default_factory=list)

    @property
    def chair(self) -> Person:
        """The first person."""
        return self.persons[0]

    @property
    def secretary(self) -> Person:
        """Secretary and registrar."""
        return self.persons[1]

    @property
    def officers(self) -> list[Person]:
        """Those in the main room."""
        return self.persons[: 2 + self.tellers]

    def path(self, rest: str = "") -> str:
        """An API path of the meeting."""
        return f"/api/meetings/{self.meeting}{rest}"

    def vote(self, rest: str) -> str:
        """An API path of the vote."""
        return self.path(f"/elections/{self.election}/{rest}")


def make_halls(persons: list[Person], tellers: int, folder: Path, hub_port: int, ports: list[int]) -> list[Hall]:
    """Spread everybody but chair, secretary and tellers over halls whose relays get these ports."""
    others = persons[2 + tellers :]
    return [
        Hall(f"Hall {number}", port, folder / f"relay-{number}", Wire(hub_port), others[number - 1 :: len(ports)])
        for number, port in enumerate(ports, 1)
    ]


async def hold(course: Course, download: Download, *, cut: bool, bar: Progress) -> int:
    """Hold the meeting with enrolled persons; return 0 when all of it verified.

    Raises:
        DemoError: the server or a relay refused a step.
    """
    try:
        bar("confirming, convening the meeting, naming its halls and freezing the roll")
        codes = await _convene(course)
        bar("starting the halls' relays")
        for hall, code in zip(course.halls, codes, strict=True):
            await hall.wire.start()
            await hall.start(code)
        bar("checking in: officers in the main room, everybody else through the relay of their hall")
        await _arrive(course)
        bar("making the tellers' and cosigners' keys, opening the meeting and a vote")
        manifest = await _open(course)
        bar("casting ballots")
        for person, seed in zip(course.officers, course.seeds, strict=True):
            await votes.cast(person, course.meeting, manifest, seed, [choose(ASKED.question, course.rng)])
        counted, late = await _halls_vote(course, manifest, cut=cut, bar=bar)
        bar("closing, cosigning and opening the box")
        core = await _count(course, manifest, late, bar)
        await course.chair.post(course.path("/commands"), {"command": "close"})
        bar("downloading bundle and annex")
        for person in course.persons:
            person.authenticator.origin = course.origin
        bundle, annex, attendance = await download(course.meeting)
        bar("verifying offline")
        report = verify_bundle(bundle, annex)
        problems = [f"{check.id} {check.title}" for check in report.checks if check.ok is not True]
        problems += _problems(course, core, counted, late)
        _print(course, core, report, attendance, problems)
        return 1 if problems else 0
    finally:
        for hall in course.halls:
            for phone in hall.phones:
                await phone.__aexit__()
            await hall.end()
            await hall.wire.close()


async def _convene(course: Course) -> list[str]:
    """Write the meeting down with its halls and freeze the roll; return the relays' codes."""
    secretary = course.secretary
    await confirm_everybody(course.chair, secretary)
    units = (await secretary.get("/api/organisation"))["units"]
    body = {
        "title": "Assembly in many places",
        "unit": next(unit["id"] for unit in units if unit["parent"] is None),
        "starts_at": app.now_s(),
        "time_zone": "Europe/Berlin",
        "agenda": [{"title": "Budget"}],
        "quorum": {"num": 1, "den": 2},
    }
    course.meeting = (await secretary.post("/api/meetings", body))["id"]
    item = (await secretary.get(course.path()))["agenda"][0]["id"]
    question = ASKED.draft(item, grace_s=GRACE_S)
    course.election = (await secretary.post(course.path("/questions"), question))["election"]
    codes = []
    for hall in course.halls:
        wanted = {"name": hall.name, "custodian": hall.custodian.member, "expected": len(hall.members), "profile": 64}
        hall.site = (await secretary.post(course.path("/sites"), wanted))["site"]
        path = course.path(f"/sites/{hall.site}/relay-code")
        codes.append(str((await secretary.post(path, {"origin": hall.origin}))["code"]))
    await secretary.post(course.path("/commands"), {"command": "convene"})
    await votes.freeze_roll(secretary, course.meeting)
    await course.chair.post(course.path("/commands"), {"command": "begin-check-in"})
    return codes


async def _arrive(course: Course) -> None:
    code = (await course.chair.get(course.path("/sites/main/code")))["code"]
    for person in course.officers:
        course.seeds.append(await votes.check_in(person, course.meeting, where={"site": "main", "code": code}))
        await person.join_socket(course.meeting, int((await person.get(course.path()))["seq"]))
    for hall in course.halls:
        code = (await hall.custodian.get(course.path(f"/sites/{hall.site}/code")))["code"]
        for person in hall.members:
            person.authenticator.origin = hall.origin
            phone = Person(hall.origin, person.name)
            hall.phones.append(phone)
            phone.authenticator = person.authenticator
            await phone.sign_in()
            hall.seeds.append(await votes.check_in(phone, course.meeting, where={"site": hall.site, "code": code}))
            await phone.join_socket(course.meeting, int((await phone.get(course.path()))["seq"]))


async def _open(course: Course) -> Manifest:
    course.trustees = await votes.make_key(course.officers[2:], course.meeting)
    course.cosigners = [await votes.name_cosigner(person, course.meeting) for person in course.officers]
    await course.chair.post(course.path("/commands"), {"command": "open"})
    item = (await course.chair.get(course.path()))["agenda"][0]["id"]
    await course.chair.post(course.path("/commands"), {"command": "start-item", "item": item})
    return await votes.open_election(course.chair, course.meeting, course.election)


async def _halls_vote(course: Course, manifest: Manifest, *, cut: bool, bar: Progress) -> tuple[int, Hall | None]:
    """Let the halls vote; return how many of their ballots count, and the hall that comes too late."""
    linked, gone = (course.halls[:1], course.halls[1:]) if cut else (course.halls, [])
    for hall in linked:
        for phone, seed in zip(hall.phones, hall.seeds, strict=True):
            await votes.cast(phone, course.meeting, manifest, seed, [choose(ASKED.question, course.rng)])
    if not gone:
        return sum(len(hall.phones) for hall in linked), None
    bar(f"cutting the lines of {', '.join(hall.name for hall in gone)}; they vote all the same")
    for hall in gone:
        await _until(partial(hall.holds, manifest.election), f"the manifest in {hall.name}")
    for hall in gone:
        hall.wire.drop()
    for hall in gone:
        await _until(hall.is_alone, f"the relay of {hall.name} to see that it is alone")
        for phone, seed in zip(hall.phones, hall.seeds, strict=True):
            await _cast_alone(course, phone, manifest, seed)
    first, late = gone[0], gone[-1] if len(gone) > 1 else None
    bar(f"cutting the power of the relay of {first.name}, and starting it again")
    kept = first.entries()
    await first.end(signal.SIGKILL)
    await first.start()
    if first.entries() < kept:
        raise DemoError(f"The relay of {first.name} lost what it had taken.")
    in_time = [hall for hall in gone if hall is not late]
    return sum(len(hall.phones) for hall in [*linked, *in_time]), late


async def _cast_alone(course: Course, phone: Person, manifest: Manifest, seed: bytes) -> None:
    """Vote while the hall is cut off: what the relay signs for is on its disk."""
    draws = casting.SeededDraws(secrets.token_bytes(32))
    choice = [choose(ASKED.question, course.rng)]
    sealed = casting.seal(manifest, signing.public_key(seed), choice, draws, casting.FIRST)
    steps = (
        ("seals", casting.make_announcement(manifest, seed, sealed_hash(sealed))),
        ("ballots", {"ballot": casting.sign_ballot(sealed, seed)}),
    )
    for rest, body in steps:
        status, answer = await phone.raw("POST", course.vote(rest), body)
        if status != 202:
            raise DemoError(f"{phone.name}: POST {rest} in a cut-off hall answered {status}: {answer.decode()[:200]}")


async def _count(course: Course, manifest: Manifest, late: Hall | None, bar: Progress) -> dict[str, Any]:
    closing = asyncio.create_task(votes.close_election(course.chair, course.meeting, course.election))
    for hall in course.halls:
        if hall is not late:
            hall.wire.restore()
            await _until(hall.delivered, f"what {hall.name} kept to reach the hub")
    bar("waiting for the end of the grace")
    await closing
    if late is not None:
        late.wire.restore()
        await _until(late.delivered, f"what {late.name} kept to reach the hub")
    for hall in course.halls:  # a relay forgets them with the meeting
        hall.kept = hall.entries()
        hall.refused = len(hall.rows("SELECT 1 FROM entry WHERE refused != ''"))
    await votes.cosign(course.cosigners, course.meeting, manifest)
    await votes.count(course.trustees[: manifest.trustees.threshold], course.meeting, manifest)
    return await votes.declare(course.cosigners[0], course.meeting, manifest)


def _problems(course: Course, core: dict[str, Any], counted: int, late: Hall | None) -> list[str]:
    expected = len(course.officers) + counted
    problems = [] if core["cast"] == expected else [f"{core['cast']} voted where {expected} should have"]
    named = [(one["site"], one["state"], one["ballots"]) for one in core["halls"]]
    wanted = [] if late is None else [(late.site, "late", len(late.phones))]
    if named != wanted:
        problems.append(f"the tally names the halls {named}, not {wanted}")
    wrong = [hall for hall in course.halls if (hall.refused > 0) is not (hall is late)]
    return problems + [f"{hall.refused} entries of {hall.name} were refused" for hall in wrong]


def _print(course: Course, core: dict[str, Any], report: Any, attendance: bytes, problems: list[str]) -> None:
    print(f"Result: {core['outcome'][0]['kind']}, counts {core['counts'][0]}, cast {core['cast']}")
    for hall in course.halls:
        print(f"{hall.name}: {len(hall.phones)} members, {hall.kept} entries in its outbox, {hall.refused} refused.")
    for one in core["halls"]:
        print(f"Named in the tally: {one['name']}, {one['state']}, {one['ballots']} ballots.")
    print(f"Attendance: {len(attendance.splitlines()) - 1} lines.")
    print(f"Verdict: {report.verdict}, {sum(check.ok is True for check in report.checks)} checks passed.")
    for problem in problems:
        print(f"Failed: {problem}", file=sys.stderr)
