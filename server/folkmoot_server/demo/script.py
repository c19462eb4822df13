"""`folkmoot demo`: a whole meeting without a browser, over the real interfaces, verified at the end."""

from __future__ import annotations

import asyncio
import csv
import io
import resource
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251  seeded names and choices of the script; never keys
from typing import Any

from pyrage import decrypt, x25519

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.commands.organisation import NewPerson, bootstrap_organisation
from folkmoot_server.demo import full_meeting, halls, votes
from folkmoot_server.demo.client import DemoError, Person
from folkmoot_server.demo.officers import confirm_everybody
from folkmoot_server.demo.organisation import DEMO_NAME, DEMO_UNITS, people
from folkmoot_server.demo.questions import QUESTIONS, Asked, choose
from folkmoot_server.demo.webrtc import MediaPeer, Microphone
from folkmoot_voting.manifest import SECRET
from folkmoot_voting.verify import verify_bundle

FRAMES = 100
FRAME_S = 0.02
SPEAKERS = 3
MEMBERS_MAX = 1000
ARRIVE_TOGETHER = 10
FILES_PER_MEMBER = 4  # both ends of a WebSocket and of an HTTP connection
FILES_BESIDES = 200
VOTE, FULL_MEETING = "vote", "full-meeting"
SCRIPTS = (VOTE, FULL_MEETING)
Progress = Callable[[str], None]


@dataclass
class Meeting:
    """What the steps of the script share."""

    origin: str
    rng: Random
    asked: Asked
    persons: list[Person] = field(default_factory=list)
    id: str = ""
    election: str = ""

    @property
    def chair(self) -> Person:
        """The chair is the first person, the secretary and registrar the second."""
        return self.persons[0]

    @property
    def secretary(self) -> Person:
        """Secretary and registrar."""
        return self.persons[1]

    def path(self, rest: str) -> str:
        """An API path of this meeting."""
        return f"/api/meetings/{self.id}{rest}"


class Bar:
    """A progress bar on standard error; silent when told so."""

    def __init__(self, steps: int, *, quiet: bool) -> None:
        """Count up to `steps`."""
        self._steps, self._done, self._quiet = steps, 0, quiet

    def __call__(self, text: str) -> None:
        """Begin the step called `text`."""
        self._done += 1
        if self._quiet:
            return
        filled = 24 * self._done // self._steps
        line = f"[{'#' * filled}{'.' * (24 - filled)}] {self._done}/{self._steps} {text}"
        print(line, file=sys.stderr, flush=True)


def run_demo(
    members: int,
    tellers: int,
    seed: int,
    out: Path,
    *,
    question: str = "yes-no-abstain",
    script: str = VOTE,
    sites: int = 0,
    cut_link: bool = False,
    quiet: bool,
) -> int:
    """Hold the meeting and return 0 when all of it verified.

    Writes to `out`: bundle.zip, annex.age with auditor-key.txt that opens it, annex.zip in clear, attendance.csv;
    a full meeting: bundle.zip, attendance.csv, and the minutes in two languages.
    """
    if script == FULL_MEETING and members < full_meeting.MEMBERS_MIN:
        print(f"folkmoot demo: a full meeting needs {full_meeting.MEMBERS_MIN} members.", file=sys.stderr)
        return 2
    if sites and (sites > halls.SITES_MAX or members < 2 + tellers + halls.PER_SITE * sites or script != VOTE):
        least = 2 + tellers + halls.PER_SITE * sites
        limits = f"at most {halls.SITES_MAX} sites, the plain vote"
        print(f"folkmoot demo: --sites {sites} needs {least} members ({limits}).", file=sys.stderr)
        return 2
    if cut_link and sites < halls.CUT_MIN:
        print(f"folkmoot demo: --cut-link needs --sites {halls.CUT_MIN} or more.", file=sys.stderr)
        return 2
    if not 5 <= members <= MEMBERS_MAX or not 3 <= tellers <= min(9, members - 2):
        print(f"folkmoot demo: needs 5 to {MEMBERS_MAX} members and 3 to 9 tellers among them.", file=sys.stderr)
        return 2
    app.raise_file_limit()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files != resource.RLIM_INFINITY and files < members * FILES_PER_MEMBER + FILES_BESIDES:
        most = (files - FILES_BESIDES) // FILES_PER_MEMBER
        print(
            f"folkmoot demo: this system lets a process open {files} files, which is enough for {most} members.",
            file=sys.stderr,
        )
        return 2
    out.mkdir(parents=True, exist_ok=True)
    steps = halls.STEPS + 2 * cut_link if sites else full_meeting.STEPS if script == FULL_MEETING else 11
    bar = Bar(steps, quiet=quiet)
    try:
        with tempfile.TemporaryDirectory(prefix="folkmoot-demo-") as folder:
            asked, rng = QUESTIONS[question], Random(seed)  # noqa: S311
            held = _Held(members, tellers, script, out, sites, cut_link)
            return asyncio.run(_run(held, rng, asked, Path(folder), bar))
    except DemoError as error:
        print(f"folkmoot demo: {error}", file=sys.stderr)
        return 1


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class _Held:
    """Which meeting is held, and where its record goes."""

    members: int
    tellers: int
    script: str
    out: Path
    sites: int
    cut_link: bool

    def roster(self, rng: Random) -> list[NewPerson]:
        """Return who comes; a full meeting has a second holder of the role chair, the last but one."""
        roster = list(people(self.members, self.tellers, rng))
        if self.script == FULL_MEETING:
            vice = roster[-2]
            roster[-2] = NewPerson(name=vice.name, unit=vice.unit, roles=(*vice.roles, "chair"))
        return roster


async def _run(held: _Held, rng: Random, asked: Asked, folder: Path, bar: Progress) -> int:
    port = _free_port()
    origin = f"http://localhost:{port}"
    settings = Settings(data=folder / "data", port=port, public_url=origin, closing_grace_s=1, publish_every_s=1)
    database = app.open_database(settings)
    roster = held.roster(rng)
    links = await database.write(
        lambda tx: bootstrap_organisation(
            tx, name=DEMO_NAME, units=DEMO_UNITS, people=roster, now=app.now_s(), rng=secrets.token_bytes
        )
    )
    bar("starting server and media worker")
    installation = await app.start(settings, database)
    try:
        async with AsyncExitStack() as stack:
            meeting = Meeting(origin, rng, asked)
            bar(f"enrolling {held.members} passkeys")
            for link in links:
                person = await stack.enter_async_context(Person(origin, link.name))
                await person.enrol(f"{origin}/enrol#{link.token}")
                meeting.persons.append(person)
            if held.script == FULL_MEETING:
                return await full_meeting.hold(origin, meeting.persons, held.tellers, held.out, bar)
            if held.sites:
                return await _hold_in_halls(meeting, held, folder, port, bar)
            return await _hold(meeting, held.tellers, held.out, bar)
    finally:
        await installation.stop()


async def _hold_in_halls(meeting: Meeting, held: _Held, folder: Path, port: int, bar: Progress) -> int:
    ports = [_free_port() for _ in range(held.sites)]
    places = halls.make_halls(meeting.persons, held.tellers, folder, port, ports)
    course = halls.Course(meeting.origin, meeting.persons, held.tellers, places, meeting.rng)

    async def download(found: str) -> tuple[bytes, bytes, bytes]:
        meeting.id = found
        return await _download(meeting, held.out)

    return await halls.hold(course, download, cut=held.cut_link, bar=bar)


async def _hold(meeting: Meeting, tellers: int, out: Path, bar: Progress) -> int:
    bar("confirming, convening the meeting and freezing the roll")
    await confirm_everybody(meeting.chair, meeting.secretary)
    await _convene(meeting)
    bar("checking in by passkey and joining by socket")
    credentials = await _arrive(meeting)
    bar("sending sound through the media worker")
    heard = await _speak(meeting)
    bar("making the tellers' and cosigners' keys")
    officers = meeting.persons[2 : 2 + tellers]
    secret = meeting.asked.secrecy == SECRET
    trustees = await votes.make_key(officers, meeting.id) if secret else []
    cosigners = [await votes.name_cosigner(person, meeting.id) for person in meeting.persons[: 2 + tellers]]
    bar("opening the meeting and a vote")
    await meeting.chair.post(meeting.path("/commands"), {"command": "open"})
    await _start_first_item(meeting)
    manifest = await votes.open_election(meeting.chair, meeting.id, meeting.election)
    bar("casting ballots")
    for person, credential in zip(meeting.persons, credentials, strict=True):
        await votes.cast(person, meeting.id, manifest, credential, [choose(meeting.asked.question, meeting.rng)])
    bar("closing, cosigning and opening the box")
    await votes.close_election(meeting.chair, meeting.id, meeting.election)
    await votes.cosign(cosigners, meeting.id, manifest)
    if secret:
        await votes.count(trustees[: manifest.trustees.threshold], meeting.id, manifest)
    else:
        await votes.wait_for_count(meeting.chair, meeting.id, manifest)
    core = await votes.declare(cosigners[0], meeting.id, manifest)
    await meeting.chair.post(meeting.path("/commands"), {"command": "close"})
    bar("downloading bundle and annex")
    bundle, annex, attendance = await _download(meeting, out)
    bar("verifying offline")
    report = verify_bundle(bundle, annex)
    lines = list(csv.reader(io.StringIO(attendance.decode())))
    problems = _problems(report, heard, lines, len(meeting.persons))
    missed = sum(bool(person.missed) for person in meeting.persons)
    if missed:
        problems.append(f"{missed} members missed events or heard them out of order")
    print(f"Result: {core['outcome'][0]['kind']}, counts {core['counts'][0]}, cast {core['cast']}")
    print(f"Sound: {heard} packets heard. Attendance: {len(lines) - 1} lines.")
    print(f"Verdict: {report.verdict}, {sum(check.ok is True for check in report.checks)} checks passed.")
    for problem in problems:
        print(f"Failed: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _problems(report: Any, heard: int, lines: list[list[str]], members: int) -> list[str]:
    problems = [f"{check.id} {check.title}" for check in report.checks if check.ok is not True]
    if report.verdict != "ok":
        problems.append(f"the verdict is {report.verdict}")
    if heard < FRAMES // 2:
        problems.append(f"only {heard} of about {FRAMES} audio packets arrived")
    if len(lines) - 1 < members:
        problems.append(f"the attendance list has {len(lines) - 1} lines for {members} members")
    return problems


async def _convene(meeting: Meeting) -> None:
    secretary = meeting.secretary
    units = (await secretary.get("/api/organisation"))["units"]
    top = next(unit["id"] for unit in units if unit["parent"] is None)
    made = await secretary.post(
        "/api/meetings",
        {
            "title": "Annual general meeting",
            "unit": top,
            "starts_at": app.now_s(),
            "time_zone": "Europe/Berlin",
            "agenda": [{"title": "Budget"}, {"title": "Any other business"}],
            "quorum": {"num": 1, "den": 2},
        },
    )
    meeting.id = made["id"]
    item = (await secretary.get(meeting.path("")))["agenda"][0]["id"]
    drafted = await secretary.post(meeting.path("/questions"), meeting.asked.draft(item))
    meeting.election = drafted["election"]
    await secretary.post(meeting.path("/commands"), {"command": "convene"})
    await votes.freeze_roll(secretary, meeting.id)
    await meeting.chair.post(meeting.path("/commands"), {"command": "begin-check-in"})


async def _arrive(meeting: Meeting) -> list[bytes]:
    """Let people check in and join, few at a time, before anybody's lease runs out; return the credentials' seeds."""
    seeds: list[bytes] = []
    for first in range(0, len(meeting.persons), ARRIVE_TOGETHER):
        together = meeting.persons[first : first + ARRIVE_TOGETHER]
        seeds += await asyncio.gather(*(votes.check_in(person, meeting.id) for person in together))
        seq = int((await together[0].get(meeting.path("")))["seq"])
        await asyncio.gather(*(person.join_socket(meeting.id, seq) for person in together))
    return seeds


async def _start_first_item(meeting: Meeting) -> None:
    snapshot = await meeting.chair.get(meeting.path(""))
    await meeting.chair.post(
        meeting.path("/commands"), {"command": "start-item", "item": snapshot["agenda"][0]["id"]}
    )


async def _speak(meeting: Meeting) -> int:
    """Three members speak for two seconds, a fourth listens; return the packets that the listener received."""
    async with AsyncExitStack() as stack:
        microphones = []
        for number, person in enumerate(meeting.persons[:SPEAKERS]):
            peer = MediaPeer(person.media)
            stack.push_async_callback(peer.close)
            await peer.connect("send")
            microphone = Microphone(peer, level_dbov=30 + 5 * number)
            await person.media(
                "produce",
                {
                    "transport_id": peer.transport_id,
                    "kind": "audio",
                    "rtpParameters": microphone.parameters(),
                    "source": "microphone",
                    "paused": False,
                },
            )
            microphones.append(microphone)
        capabilities = await meeting.persons[SPEAKERS].media("capabilities", {})
        listener = MediaPeer(meeting.persons[SPEAKERS].media)
        stack.push_async_callback(listener.close)
        await listener.connect("recv")
        listed = await meeting.persons[SPEAKERS].media("list", {})
        for slot in listed["slots"]:
            request = {
                "transport_id": listener.transport_id,
                "producer_id": slot["producer_id"],
                "rtpCapabilities": capabilities["rtpCapabilities"],
            }
            consumer = await meeting.persons[SPEAKERS].media("consume", request)
            await meeting.persons[SPEAKERS].media("resume_consumer", {"consumer_id": consumer["id"]})
        for _ in range(FRAMES):
            for microphone in microphones:
                microphone.frame()
            await asyncio.sleep(FRAME_S)
        return max(listener.received.values(), default=0)


async def _download(meeting: Meeting, out: Path) -> tuple[bytes, bytes, bytes]:
    """Fetch the record as the auditor does, and open the annex with the auditor's key."""
    auditor, identity = meeting.persons[-1], x25519.Identity.generate()
    recipient = str(identity.to_public())
    action = {"type": "set-auditor-key", "recipient": recipient}
    await auditor.act("/api/auditor-key", action, recipient=recipient)
    files = []
    for name in ("bundle.zip", "annex.age", "attendance.csv"):
        path = meeting.path(f"/{name}")
        status, body = await auditor.raw("GET", path)
        if status != 200:
            raise DemoError(f"{auditor.name}: GET {path} answered {status}")
        (out / name).write_bytes(body)
        files.append(body)
    annex = bytes(decrypt(files[1], [identity]))
    (out / "annex.zip").write_bytes(annex)
    (out / "auditor-key.txt").write_text(f"{identity}\n", encoding="ascii")
    return files[0], annex, files[2]
