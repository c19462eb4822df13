"""Opening the room of a meeting of 300 on a phone-class processor, and 50 events while it is open.

    .venv/bin/python -m loadtests.room_open [--members 300] [--rounds 3] [--beside FOLDER] [--json FILE]

A real server with a meeting that real commands have filled: everybody has checked in, 25 agenda items, 12 drafted
votes, a queue of 30, motions with amendments. One Chromium opens the room as a member (agenda, people, motions) and
as the chair (the console), each time anew, and takes 50 events while it stands there. Two figures for each:

- `wall`: the longest task that the page's own observer of long tasks saw, with Chromium's CPU throttling at `--slow`.
  It has in it the time in which the machine's other tasks ran, so it is an upper bound on a busy machine.
- `cpu`: `--slow` times the processor time of the longest task of the page's thread without throttling, as Chromium's
  trace accounts it. This is the figure that is held against the aim: no task over 200 ms.

`--beside FOLDER` opens the pages of another checkout in turn with this one's, on the same data.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from loadtests.browser_ballot import slowdown, throttle
from loadtests.sockets import ROOT, Hall, prepare, server
from playwright.async_api import Browser, async_playwright
from tests.browser import serving, steps, support, votes
from tests.browser.support import Person

from folkmoot_server.demo.client import Person as Soft

AIM_MS = 200
LONG_MS = 50
QUIET_S = 2.0
SETTLE_S = 90.0
QUEUE = 30
MOTIONS = 6
EVENTS = 50
EVENTS_A_SECOND = 10
TASKS = {"RunTask", "ThreadControllerImpl::RunTask"}
CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline", "__metadata"]
TEXT = "\n\n".join(f"Paragraph {number} says what is to be done, by whom and until when." for number in range(1, 9))
SCREENS = (("member", "agenda"), ("member", "people"), ("member", "motions"), ("chair", "chair"))
# Members in software hold no socket: their check-in alone keeps them present.
LEASES = {name: votes.SETTINGS[name] for name in ("FOLKMOOT_LEASE_AWAY_S", "FOLKMOOT_LEASE_LOST_S")}
_WATCH = """
(() => {
  window.__long = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.__long.push([entry.startTime, entry.duration]);
  }).observe({ type: "longtask", buffered: true });
})();
"""


async def fill(hall: Hall) -> None:
    """Start an item, queue 30 members up, submit motions, the first with two amendments."""
    items = [item["id"] for item in (await hall.chair.get(hall.path()))["agenda"]]
    await hall.chair.post(hall.path("/commands"), {"command": "start-item", "item": items[0]})
    for person in hall.persons[10 : 10 + QUEUE]:
        await person.post(hall.path("/commands"), {"command": "raise-hand"})
    for number in range(MOTIONS):
        mover = hall.persons[5 + number]
        body = {"item": items[number], "title": f"Motion {number + 1}", "text": TEXT}
        motion = str((await mover.post(hall.path("/motions"), body))["motion"])
        await act(hall, mover, motion)
        if number > 0:
            continue
        view = await hall.chair.get(hall.path(f"/motions/{motion}"))
        for start in (1, 4):
            span = {"base_hash": view["hash"], "from": start, "to": start + 1}
            change = {**span, "title": f"Paragraph {start}", "text": "The board does it within a year."}
            made = await mover.post(hall.path(f"/motions/{motion}/amendments"), change)
            await act(hall, mover, str(made["motion"]))


async def act(hall: Hall, mover: Soft, motion: str) -> None:
    """Submit a draft."""
    await mover.post(hall.path(f"/motions/{motion}/act"), {"act": "submit"})


async def events(hall: Hall) -> None:
    """50 events at even intervals: hands up and down again, and every tenth a muting by the chair."""
    people = hall.persons[60 : 60 + EVENTS]
    start = time.monotonic()
    for number in range(EVENTS):
        await asyncio.sleep(max(0.0, start + number / EVENTS_A_SECOND - time.monotonic()))
        person = people[number // 2]
        if number % 10 == 9:
            word = "mute" if number % 20 == 9 else "unmute"
            await hall.chair.post(hall.path("/commands"), {"command": word, "member": people[0].member})
        else:
            word = "raise-hand" if number % 2 == 0 else "lower-hand"
            await person.post(hall.path("/commands"), {"command": word})
    for person in people:  # whoever's lowering was the chair's turn
        state = await hall.chair.get(hall.path())
        waiting = {turn["person"] for turn in state["speaking"]["queue"]}
        if not waiting & {one.member for one in people}:
            return
        if person.member in waiting:
            await person.post(hall.path("/commands"), {"command": "lower-hand"})


async def settle(person: Person) -> None:
    """Wait until the page is painted and has had no long task for two seconds."""
    await steps.ready(person)
    last, quiet, end = -1, time.monotonic(), time.monotonic() + SETTLE_S
    while time.monotonic() - quiet < QUIET_S and time.monotonic() < end:
        now = len(await person.page.evaluate("window.__long"))
        if now != last:
            last, quiet = now, time.monotonic()
        await asyncio.sleep(0.2)


async def longest(person: Person) -> float:
    """Take the long tasks seen so far; return the longest in ms, 0 when there was none."""
    seen = await person.page.evaluate("window.__long.splice(0)")
    return max((duration for _, duration in seen), default=0.0)


def main_threads(trace: list[dict[str, Any]]) -> set[tuple[int, int]]:
    """Name the main threads of pages in a trace."""
    named = (event for event in trace if event.get("name") == "thread_name")
    return {(event["pid"], event["tid"]) for event in named if event["args"]["name"] == "CrRendererMain"}


def cpu_of_tasks(trace: list[dict[str, Any]]) -> list[float]:
    """Return the processor time of each task of the pages' main threads, in ms, the longest first.

    Raises:
        RuntimeError: the trace has no task with its processor time.
    """
    threads = main_threads(trace)
    tasks = [event for event in trace if event.get("name") in TASKS and (event["pid"], event["tid"]) in threads]
    times = sorted((event["tdur"] / 1000 for event in tasks if "tdur" in event), reverse=True)
    if not times:
        raise RuntimeError("the trace tells no processor time")
    return times


@dataclass(frozen=True)
class Screen:
    """A page of the room, opened by somebody."""

    who: str
    panel: str

    @property
    def name(self) -> str:
        """What it is called in the results."""
        return f"{self.who}: {self.panel}"


async def visit(hall: Hall, person: Person, screen: Screen, slow: float) -> dict[str, float]:
    """Open the screen and take 50 events, throttled; return the longest tasks in ms."""
    await person.page.goto("about:blank")
    await throttle(person.cdp, slow)
    await person.page.goto(f"{hall.origin}/meetings/{hall.meeting}/room/{screen.panel}")
    await settle(person)
    opened = await longest(person)
    await events(hall)
    await settle(person)
    found = {"open": opened, "events": await longest(person)}
    await throttle(person.cdp, 1)
    return found


async def traced(person: Person, work: Any) -> float:
    """Return the processor time of the longest task of the page's thread while `work` was done, in ms."""
    browser = person.context.browser
    if browser is None:
        raise RuntimeError("the page has no browser")
    await browser.start_tracing(page=person.page, categories=CATEGORIES)
    await work
    return cpu_of_tasks(json.loads(await browser.stop_tracing())["traceEvents"])[0]


async def visit_traced(hall: Hall, person: Person, screen: Screen) -> dict[str, float]:
    """Open the screen and take 50 events without throttling; return the longest tasks' processor times in ms."""
    await person.page.goto("about:blank")

    async def opening() -> None:
        await person.page.goto(f"{hall.origin}/meetings/{hall.meeting}/room/{screen.panel}")
        await settle(person)

    async def hearing() -> None:
        await events(hall)
        await settle(person)

    return {
        "open": await traced(person, opening()),
        "events": await traced(person, hearing()),
        "nodes": float(await person.page.evaluate("document.querySelectorAll('*').length")),
    }


async def browse(hall: Hall, browser: Browser, stack: AsyncExitStack) -> dict[str, Person]:
    """Give a member and the chair a browser each, signed in."""
    people = {}
    for name, soft in (("member", hall.persons[-1]), ("chair", hall.chair)):
        person = await support.new_person(browser, hall.origin, name, media=False)
        stack.push_async_callback(person.close)
        await person.context.add_init_script(_WATCH)
        await votes.hand_over(soft, person)
        await steps.sign_in(person, SimpleNamespace(url=hall.origin))  # type: ignore[arg-type]
        people[name] = person
    return people


async def measure(hall: Hall, people: dict[str, Person], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Open every screen once at each speed."""
    rows = []
    for screen in (Screen(*one) for one in SCREENS if not options.only or options.only in one):
        person = people[screen.who]
        wall = await visit(hall, person, screen, options.slow)
        plain = await visit_traced(hall, person, screen)
        await person.page.goto("about:blank")
        cpu = {what: round(plain[what] * options.slow, 1) for what in ("open", "events")}
        row = {"screen": screen.name, "wall": wall, "cpu": cpu, "nodes": plain["nodes"]}
        rows.append({**row, "load_average": round(os.getloadavg()[0], 1)})
        print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fill the meeting once, then open the pages of each checkout in turn."""
    checkouts = {"this": ROOT, **({"beside": options.beside.resolve()} if options.beside else {})}
    async with async_playwright() as playwright, AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="folkmoot-room-")))
        browser = await support.launch_browser(playwright, serving.Origin("http"), folder)
        stack.push_async_callback(browser.close)
        shape = argparse.Namespace(sockets=options.members, items=options.items, elections=options.elections)
        hall = await prepare(folder, shape)
        for soft in hall.persons:
            stack.push_async_exit(soft.__aexit__)
        async with server(hall, ROOT):
            await fill(hall)
            people = await browse(hall, browser, stack)
        print(f"{len(hall.persons)} members are in the room", file=sys.stderr)
        factors = [await slowdown(browser, options.slow)]
        rounds: list[dict[str, Any]] = []
        for _ in range(options.rounds):
            for name, checkout in checkouts.items():
                async with server(hall, checkout):
                    rounds += [{"pages": name, **row} for row in await measure(hall, people, options)]
        factors.append(await slowdown(browser, options.slow))
        return {"members": options.members, "slow": options.slow, "factors": factors, "rounds": rounds}


def show(found: dict[str, Any]) -> int:
    """Print medians; return 1 when a task of these pages is over the aim."""
    factors = ", ".join(f"{one['page']:.1f}" for one in found["factors"])
    print(f"asked for {found['slow']:g}: a fixed piece of work on the page's thread was slower by {factors}")
    worst = 0.0
    for pages, name in dict.fromkeys((row["pages"], row["screen"]) for row in found["rounds"]):
        rows = [row for row in found["rounds"] if (row["pages"], row["screen"]) == (pages, name)]
        for what in ("open", "events"):
            cpu, wall = ([row[kind][what] for row in rows] for kind in ("cpu", "wall"))
            middle = statistics.median(cpu)
            worst = max(worst, middle) if pages == "this" else worst
            span = f"({min(cpu):.0f} to {max(cpu):.0f})"
            print(f"{pages}, {name}, {what}: cpu {middle:.0f} ms {span}, wall {statistics.median(wall):.0f} ms")
    print(f"the longest task, {found['slow']:g} times slower: {worst:.0f} ms; the aim is {AIM_MS} ms")
    return int(worst > AIM_MS)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--members", type=int, default=300)
    parser.add_argument("--items", type=int, default=25)
    parser.add_argument("--elections", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow", type=float, default=6.0)
    parser.add_argument("--only", help="open screens of this person or panel alone")
    parser.add_argument("--beside", type=Path, help="another checkout, whose pages are opened in turn")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.members < 60 + EVENTS or options.rounds < 1 or options.slow <= 1:
        parser.error(f"at least {60 + EVENTS} members, one round, and a slowdown of more than 1")
    os.environ.update(LEASES)
    found = asyncio.run(run(options))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return show(found)


if __name__ == "__main__":
    sys.exit(main())
