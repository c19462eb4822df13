"""A meeting of 300 members: from a command to its event at every socket, and the storms of snapshots.

    .venv/bin/python loadtests/sockets.py --sockets 300 --events 200 --rate 5 --refetch --json FILE

The server is a process of its own, started as users start it; this process is everybody else: each member has a
passkey, has checked in, holds one Socket.IO WebSocket that offers compression as browsers do, and renews the lease.
Events come from real commands (hands and the floor) at even intervals, whether earlier ones have been answered or
not. An event's time runs from before its command is sent until the text has been received at a socket, so the
generator's own work for all sockets is in it. With `--refetch` the chair also changes who may vote in a draft, which
no event tells completely: every page then fetches the whole snapshot, as ours do, while the other events go on.

`--beside FOLDER` measures another checkout's server in turn with this one, on the same data and members.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251  seeded names and moments; never keys
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests.peers.server import cpu_seconds, resident_kilobytes

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.commands.organisation import bootstrap_organisation
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import LEASE_EVERY_S, DemoError, Line, Person
from folkmoot_server.demo.officers import confirm_everybody
from folkmoot_server.demo.organisation import DEMO_NAME, DEMO_UNITS, people
from folkmoot_server.demo.questions import BUDGET, Asked

ROOT = Path(__file__).resolve().parent.parent
TELLERS = 3
FIRST = {"chair": 0, "secretary": 1}
FLOOR_EVERY = 5  # every fifth command is the chair's
REFETCH_DELAY_S = 0.12  # the least that pages wait; those of 300 spread their requests over 1.5 s more
JOIN_TOGETHER = 20
SETTLE_S = 90.0


def spread(seconds: list[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the largest, in milliseconds; zeros when there is none."""
    ordered = sorted(seconds) or [0.0]
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3, 1)
        for name, share in shares.items()
    }


class Page:
    """One member's open page: a socket with its lease, and when each event came."""

    def __init__(self, person: Person, meeting: str) -> None:
        self.person = person
        self.meeting = meeting
        self.heard: dict[int, float] = {}
        self.last = 0
        self.wrong = 0
        self.snapshots: list[tuple[int, float, bytes]] = []
        self.refetches = False
        self._line = Line(self._hear)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = False

    async def open(self, after: int) -> None:
        """Connect behind event number `after` and begin to renew the lease."""
        self.last = after
        auth = {"ticket": await self.person.ticket(self.meeting), "after": after}
        await self._line.connect(self.person._http, self.person.origin, auth, deflate=True)
        await self._line.call("lease", {})
        self._spawn(self._renew())

    async def close(self) -> None:
        """End the lease's task and the socket."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self) -> None:
        await asyncio.sleep(LEASE_EVERY_S * Random(self.person.member).random())
        while True:
            await self._line.call("lease", {})
            await asyncio.sleep(LEASE_EVERY_S)

    def _hear(self, text: str) -> None:
        now = time.monotonic()
        event = json.loads(text[2:])[1]
        seq = event["seq"]
        if seq != self.last + 1:
            self.wrong += 1
        self.last = seq
        self.heard[seq] = now
        if self.refetches and event["type"] == "ElectorExcluded" and not self._waiting:
            self._waiting = True
            self._spawn(self._refetch(seq))

    async def _refetch(self, seq: int) -> None:
        await asyncio.sleep(REFETCH_DELAY_S)
        self._waiting = False
        began = time.monotonic()
        status, body = await self.person.raw("GET", f"/api/meetings/{self.meeting}")
        self.snapshots.append((seq if status == 200 else -1, time.monotonic() - began, body))


@dataclass
class Hall:
    """The organisation and its meeting, across restarts of the server."""

    folder: Path
    port: int
    links: list[dict[str, str]] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)
    meeting: str = ""
    drafts: list[str] = field(default_factory=list)
    raised: set[int] = field(default_factory=set)
    excluded: bool = False
    granted: int | None = None

    @property
    def origin(self) -> str:
        """Where the server is."""
        return f"http://localhost:{self.port}"

    @property
    def chair(self) -> Person:
        """The first person."""
        return self.persons[0]

    def path(self, rest: str = "") -> str:
        """An API path of the meeting."""
        return f"/api/meetings/{self.meeting}{rest}"


@asynccontextmanager
async def server(hall: Hall, checkout: Path) -> AsyncIterator[int]:
    """Run `folkmoot serve` of a checkout on the hall's data; yield its process id."""
    paths = os.pathsep.join(str(checkout / one) for one in ("server", "voting", "media", "config"))
    ready = hall.folder / f"ready-{secrets.token_hex(4)}.json"
    command = [sys.executable, "-m", "folkmoot_server.cli", "serve", "--data", str(hall.folder / "data")]
    command += ["--port", str(hall.port), "--public-url", hall.origin, "--media-workers", "1"]
    command += ["--print-links-json", str(ready)]
    with (hall.folder / "server.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        async with asyncio.timeout(60):
            while not ready.exists():
                if process.returncode is not None:
                    raise RuntimeError((hall.folder / "server.log").read_text()[-2000:])
                await asyncio.sleep(0.1)
        hall.links = json.loads(ready.read_text())["links"]
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def prepare(folder: Path, options: argparse.Namespace) -> Hall:
    """Make the organisation, enrol everybody, and open a meeting with everybody checked in."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        hall = Hall(folder, int(probe.getsockname()[1]))
    settings = Settings(data=folder / "data", port=hall.port, public_url=hall.origin)
    database = app.open_database(settings)
    roster = people(options.sockets, TELLERS, Random(1))
    await database.write(
        lambda tx: bootstrap_organisation(
            tx, name=DEMO_NAME, units=DEMO_UNITS, people=roster, now=app.now_s(), rng=secrets.token_bytes
        )
    )
    database.close()
    async with server(hall, ROOT):
        for link in sorted(hall.links, key=lambda link: FIRST.get(link["role"], len(FIRST))):
            person = Person(hall.origin, link["name"])
            hall.persons.append(person)
            await person.enrol(link["url"])
        secretary = hall.persons[1]
        await confirm_everybody(hall.chair, secretary)
        await convene(hall, secretary, options)
        for person in hall.persons:
            await votes.check_in(person, hall.meeting)
        await hall.chair.post(hall.path("/commands"), {"command": "open"})
    return hall


async def convene(hall: Hall, secretary: Person, options: argparse.Namespace) -> None:
    units = (await secretary.get("/api/organisation"))["units"]
    made = await secretary.post(
        "/api/meetings",
        {
            "title": "Annual general meeting",
            "unit": next(unit["id"] for unit in units if unit["parent"] is None),
            "starts_at": app.now_s(),
            "time_zone": "Europe/Berlin",
            "agenda": [{"title": f"Item {number}"} for number in range(1, options.items + 1)],
            "quorum": {"num": 1, "den": 2},
        },
    )
    hall.meeting = made["id"]
    item = (await secretary.get(hall.path()))["agenda"][0]["id"]
    for number in range(1, options.elections + 1):
        body = Asked(f"Vote {number}", BUDGET).draft(item)
        drafted = await secretary.post(hall.path("/questions"), body)
        hall.drafts.append(drafted["election"])
    await secretary.post(hall.path("/commands"), {"command": "convene"})
    await votes.freeze_roll(secretary, hall.meeting)
    await hall.chair.post(hall.path("/commands"), {"command": "begin-check-in"})


class Commands:
    """Sends commands at even intervals; `sent` has the number of each one's event and when it was sent."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self.sent: dict[int, float] = {}
        self.answered: list[float] = []
        self._next = 0

    async def run(self, count: int, rate: float) -> None:
        """Send `count` commands, `rate` a second, and wait for their answers."""
        start, tasks = time.monotonic(), []
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(number)))
        await asyncio.gather(*tasks)

    async def _one(self, number: int) -> None:
        hall = self._hall
        if number % FLOOR_EVERY == 0:
            person, body = hall.chair, self._floor()
        else:
            self._next = self._next % (len(hall.persons) - 1) + 1
            person, raised = hall.persons[self._next], self._next in hall.raised
            body = {"command": "lower-hand" if raised else "raise-hand"}
            hall.raised ^= {self._next}
        began = time.monotonic()
        try:
            answer = await person.post(hall.path("/commands"), body)
        except aiohttp.ClientOSError:  # an idle connection that the server was just closing: nothing was sent
            answer = await person.post(hall.path("/commands"), body)
        self.answered.append(time.monotonic() - began)
        self.sent[int(answer["seq"])] = began

    def _floor(self) -> dict[str, str]:
        hall = self._hall
        if hall.granted is not None:
            who, hall.granted = hall.granted, None
            return {"command": "withdraw-floor", "member": hall.persons[who].member}
        hall.granted = len(hall.persons) - 1
        hall.raised.discard(hall.granted)
        return {"command": "grant-floor", "member": hall.persons[hall.granted].member}


async def toggle_exclusion(hall: Hall) -> None:
    """Cause an event that makes every page fetch the snapshot."""
    hall.excluded = not hall.excluded
    reason = "is concerned" if hall.excluded else ""
    body = {"member": hall.persons[-1].member, "excluded": hall.excluded, "reason": reason}
    await hall.chair.post(hall.path(f"/elections/{hall.drafts[0]}/exclusions"), body)


async def settled(pages: list[Page], seq: int) -> int:
    """Wait until every page has heard event number `seq`; return how many have not."""
    end = time.monotonic() + SETTLE_S
    while (missing := sum(page.last < seq for page in pages)) and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return missing


def figures(pages: list[Page], commands: Commands) -> dict[str, Any]:
    """Return what the deliveries of these commands' events took, and how many never came."""
    taken, slowest, missing = [], [], 0
    for seq, began in commands.sent.items():
        times = [page.heard[seq] - began for page in pages if seq in page.heard]
        missing += len(pages) - len(times)
        taken += times
        slowest.append(max(times, default=SETTLE_S))
    return {
        "events": len(commands.sent),
        "deliveries": len(taken),
        "missing": missing,
        "out_of_order": sum(page.wrong for page in pages),
        "delivery_ms": spread(taken),
        "slowest_socket_ms": spread(slowest),
        "answer_ms": spread(commands.answered),
    }


async def measure(hall: Hall, checkout: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Start a server, join everybody, and measure events and refetches."""
    async with server(hall, checkout) as pid:
        before_kb = resident_kilobytes(pid)
        seq = int((await hall.chair.get(hall.path()))["seq"])
        pages = [Page(person, hall.meeting) for person in hall.persons]
        joined, joining_cpu = time.monotonic(), cpu_seconds(pid)
        for first in range(0, len(pages), JOIN_TOGETHER):
            await asyncio.gather(*(page.open(seq) for page in pages[first : first + JOIN_TOGETHER]))
        result: dict[str, Any] = {
            "join_s": round(time.monotonic() - joined, 1),
            "join_cpu_ms": round((cpu_seconds(pid) - joining_cpu) / len(pages) * 1e3, 2),
            "memory_kb_per_socket": round((resident_kilobytes(pid) - before_kb) / len(pages), 1),
        }
        try:
            result |= await events_phase(hall, pages, pid, options)
            if options.refetch:
                result["refetch"] = await refetch_phase(hall, pages, pid, options)
        finally:
            for page in pages:
                await page.close()
    return result


async def events_phase(hall: Hall, pages: list[Page], pid: int, options: argparse.Namespace) -> dict[str, Any]:
    cpu, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(options.idle)
    idle = (cpu_seconds(pid) - cpu) / (time.monotonic() - began)
    commands = Commands(hall)
    own, cpu, began = time.process_time(), cpu_seconds(pid), time.monotonic()
    await commands.run(options.events, options.rate)
    await settled(pages, max(commands.sent))
    cpu, seconds = cpu_seconds(pid) - cpu, time.monotonic() - began
    found = figures(pages, commands)
    return {
        **found,
        "seconds": round(seconds, 1),
        "idle_cores": round(idle, 3),
        "cores": round(cpu / seconds, 3),
        "cpu_us_per_delivery": round(cpu / max(1, found["deliveries"]) * 1e6, 1),
        "cpu_us_per_delivery_above_idle": round((cpu - idle * seconds) / max(1, found["deliveries"]) * 1e6, 1),
        "generator_cores": round((time.process_time() - own) / seconds, 3),
    }


async def refetch_phase(hall: Hall, pages: list[Page], pid: int, options: argparse.Namespace) -> dict[str, Any]:
    """Storms of snapshots, one after the other, with other events going on."""
    for page in pages:
        page.refetches = True
    commands, storms = Commands(hall), []
    cpu = cpu_seconds(pid)
    going_on = asyncio.create_task(commands.run(int(options.storms * options.storm_s * options.rate), options.rate))
    for number in range(options.storms):
        began = time.monotonic()
        await toggle_exclusion(hall)
        end = began + SETTLE_S
        wanted = (number + 1) * len(pages)
        while sum(len(page.snapshots) for page in pages) < wanted and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        storms.append(time.monotonic() - began)
        await asyncio.sleep(max(0.0, began + options.storm_s - time.monotonic()))
    await going_on
    await settled(pages, max(commands.sent))
    cpu = cpu_seconds(pid) - cpu
    fetched = [one for page in pages for one in page.snapshots]
    found = figures(pages, commands)
    return {
        "storms": options.storms,
        "snapshots": len(fetched),
        "wrong": sum(wrong(seq, body, len(pages)) for seq, _, body in fetched),
        "bytes": round(statistics.median(len(body) for _, _, body in fetched)),
        "snapshot_ms": spread([took for _, took, _ in fetched]),
        "storm_s": round(statistics.median(storms), 2),
        "cpu_ms_per_snapshot_with_events": round(cpu / len(fetched) * 1e3, 2),
        "events_meanwhile_ms": found["delivery_ms"],
        "events_meanwhile_missing": found["missing"],
    }


def wrong(seq: int, body: bytes, members: int) -> bool:
    """Whether a snapshot was refused, is older than the event that asked for it, or lacks somebody."""
    if seq < 0:
        return True
    snapshot = json.loads(body)
    return bool(snapshot["seq"] < seq or len(snapshot["present"]) != members or not snapshot["me"]["checked_in"])


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepare once, then measure each checkout in turn."""
    app.raise_file_limit()
    checkouts = {"this": ROOT, **({"beside": options.beside.resolve()} if options.beside else {})}
    rounds: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="folkmoot-sockets-", dir=options.folder) as folder:
        began = time.monotonic()
        hall = await prepare(Path(folder), options)
        print(f"{len(hall.persons)} members checked in after {time.monotonic() - began:.0f} s", file=sys.stderr)
        try:
            for number in range(options.rounds):
                for name in list(checkouts)[:: 1 if number % 2 else -1]:
                    found = await measure(hall, checkouts[name], options)
                    rounds.append({"server": name, **found, "load_average": round(os.getloadavg()[0], 2)})
                    print(json.dumps(rounds[-1]), file=sys.stderr)
        finally:
            for person in hall.persons:
                await person.__aexit__()
    shape = {name: getattr(options, name) for name in ("sockets", "rate", "items", "elections")}
    return {**shape, "rounds": rounds, "medians": {name: medians(rounds, name) for name in checkouts}}


def medians(rounds: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the median of every number over a server's rounds."""

    def middle(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: middle([one[key] for one in values]) for key in values[0]}
        return round(statistics.median(values), 3)

    return dict(middle([{k: v for k, v in one.items() if k != "server"} for one in rounds if one["server"] == name]))


def describe(result: dict[str, Any]) -> list[str]:
    """Return the lines to print."""
    lines, count = [], result["sockets"]
    for name, found in result["medians"].items():
        took = found["delivery_ms"]
        lines.append(
            f"{name}: {count} sockets: p50 {took['p50']} ms, p95 {took['p95']} ms, p99 {took['p99']} ms; "
            f"{found['cpu_us_per_delivery']} us CPU per delivery ({found['cpu_us_per_delivery_above_idle']} above "
            f"idle); {found['missing']:.0f} missing"
        )
        if "refetch" in found:
            storm = found["refetch"]
            lines.append(
                f"{name}: a storm of {count} snapshots takes {storm['storm_s']} s; events meanwhile p95 "
                f"{storm['events_meanwhile_ms']['p95']} ms"
            )
    return lines


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Events and snapshots of a large meeting")
    parser.add_argument("--sockets", type=int, default=300)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5.0, help="commands a second")
    parser.add_argument("--items", type=int, default=25)
    parser.add_argument("--elections", type=int, default=12, help="drafted votes")
    parser.add_argument("--idle", type=float, default=10.0, help="seconds of leases alone, whose cost is told apart")
    parser.add_argument("--refetch", action="store_true", help="measure storms of snapshots too")
    parser.add_argument("--storms", type=int, default=5)
    parser.add_argument("--storm-s", type=float, default=4.0, help="seconds from one storm to the next")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--beside", type=Path, help="another checkout, measured in turn")
    parser.add_argument("--folder", type=Path, help="where the data lie; a real disk")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args(arguments)
    if options.sockets < TELLERS + 3 or min(options.events, options.rate, options.elections, options.rounds) <= 0:
        parser.error(f"--sockets is at least {TELLERS + 3}, and counts are more than 0")
    return options


def main() -> int:
    """Measure, print and write the JSON."""
    options = parse()
    try:
        result = asyncio.run(run(options))
    except (DemoError, RuntimeError, TimeoutError, ConnectionError) as error:
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    print("\n".join(describe(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
