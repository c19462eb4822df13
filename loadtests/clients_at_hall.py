"""What a hall's line carries with one member's phone at its relay and with forty: the same media, the same events.

    python loadtests/clients_at_hall.py --json out.json               # as root: namespaces and TUN devices are made
    python loadtests/clients_at_hall.py --clients 6 --seconds 40 --frames-up 4

The network is that of loadtests/halls.py with one hall: a hub, the hall's relay (`folkmoot relay`) behind an emulated
line, and a LAN. In the hall are its computer with camera and microphone, which hears and sees the meeting, its room
screen, and members who signed in and checked in at the relay by passkeys in software, each with a page that asks for
what the application's pages ask for. In each part the same happens at the hub: an item is taken up, two pages of a
paper are shown, hands are raised and lowered, and a vote is drafted, opened, closed, counted and declared, in which
nobody in the hall votes.

What a member does of the own accord (coming in, a hand, a ballot) is counted apart. The control lets every page ask
for something every few seconds, as ours do not. Names of figures: M13.
Exit status 1: more than 5 % more with all of them than with one, up or down, or the control is not above that.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
from loadtests.hall_clients import Client, PlacedSeat, RoomLine, Wall
from loadtests.halls import WIDE, NotHereError
from loadtests.halls_meeting import OFFICERS, TOGETHER, Assembly
from loadtests.halls_net import Net
from loadtests.halls_phone import Figures, Phone
from loadtests.halls_phone import until as there
from loadtests.seats import Seat, until

from folkmoot_server.demo.client import DemoError, Person
from folkmoot_server.domain.relays import site_seat
from folkmoot_server.serving import raise_file_limit
from folkmoot_voting.manifest import Manifest

MOST_MORE: Final = 0.05
WAYS: Final = ("up", "down")
POLL_S: Final = 5.0
ACTING: Final = 5
CONTROL: Final = "control: all, and each asks every few seconds"
VOICE_SSRC: Final = 5001
LINES: Final = 600


# -- the arithmetic ---------------------------------------------------------------------------------------------


def between(before: Figures, after: Figures, seconds: float) -> Figures:
    """Return what both ways have carried between two answers of the emulator: all of it, and what TCP took."""
    found: Figures = {"s": round(seconds, 1)}
    for way in WAYS:
        octets, tcp = (after[way][name] - before[way][name] for name in ("octets", "tcp"))
        found |= {f"{way}_octets": octets, f"{way}_tcp": tcp, f"{way}_kbit": round(octets * 8 / 1000 / seconds, 1)}
        found[f"{way}_overflowed"] = after[way]["overflowed"] - before[way]["overflowed"]
    return found


def more(one: Figures, many: Figures) -> Figures:
    """Return by which share more crossed by the second with many clients than with one, each way.

    First of all that crossed; then what TCP took more, as a share of all that crossed with one: media give way to
    requests on a thin line, which hides them in the sum.
    """

    def rate(part: Figures, name: str) -> float:
        return float(part[name] / part["s"])

    found = {}
    for way in WAYS:
        whole, tcp = f"{way}_octets", f"{way}_tcp"
        found[way] = round(rate(many, whole) / rate(one, whole) - 1, 4)
        found[f"{way}, requests"] = round((rate(many, tcp) - rate(one, tcp)) / rate(one, whole), 4)
    return found


def each(found: Figures, count: int, beside: Figures) -> Figures:
    """Return the octets of TCP for each of so many who did something, without what goes over the line anyway."""
    own = {way: found[f"{way}_tcp"] - beside[f"{way}_tcp"] * found["s"] / beside["s"] for way in WAYS}
    return {way: round(octets / count) for way, octets in own.items()}


def problems(result: Figures) -> list[str]:
    """Return what of the figures is not as it must be."""
    shares = result["more"]
    found = [
        f"{100 * share:.1f} % more goes {way} with all clients than with one, not 5 % at most"
        for way, share in shares["all"].items()
        if share > MOST_MORE
    ]
    if shares[CONTROL]["up, requests"] <= MOST_MORE:
        found.append("pages that ask every few seconds were not noticed")
    for name, part in result["parts"].items():
        silent = [who for who, packets in part.get("heard", {}).items() if packets == 0]
        found += [f"{name}: no sound or picture came to {who}" for who in silent]
    return found


# -- the hall ---------------------------------------------------------------------------------------------------


class Course:
    """The meeting and its hall, and what is counted of its line."""

    def __init__(self, assembly: Assembly, options: argparse.Namespace) -> None:
        self.assembly, self.options = assembly, options
        self.hall = assembly.halls[0]
        self.items: list[str] = []
        self.paper, self.page = "", 0
        self.clients: list[Client] = []
        self.seats: dict[str, Seat] = {}
        self.parts: Figures = {}

    async def prepare(self, homes: list[Person]) -> None:
        """Put items on the agenda, start the wall and the media, and make everybody's page."""
        assembly, hall = self.assembly, self.hall
        for number in range(6):
            body = {"title": f"Item {number + 2}", "parent": "", "after": "", "minutes": 0, "internal": False}
            self.items.append((await assembly.secretary.post(assembly.path("/agenda"), body))["id"])
        await self.bring()
        url = str((await assembly.chair.post(assembly.path("/screens"), {"site": hall.site}))["url"])
        connector = assembly.net.connector(hall.place.lan)
        self.wall = Wall(hall.place.origin, connector, url.partition("#")[2])
        assembly.stack.push_async_callback(self.wall.close)
        self.wall.start()
        for home in homes:
            connector = assembly.net.connector(hall.place.lan)
            client = Client(home, hall.place.origin, connector, assembly.meeting)
            assembly.stack.push_async_callback(client.__aexit__)
            self.clients.append(client)
        await self.media()

    async def bring(self) -> None:
        """Bring a paper of some pages and wait until all of them are on the relay's disk."""
        assembly, text = (
            self.assembly,
            "".join(f"Line {number} of the report on the year.\n" for number in range(LINES)),
        )
        secretary, path = assembly.secretary, assembly.path("/papers?item=&name=Report.txt&class=members")
        headers = {"Origin": secretary.origin, "Content-Type": "application/octet-stream"}
        async with secretary._http.put(secretary.origin + path, data=text.encode(), headers=headers) as answer:
            self.paper = str((await answer.json())["paper"])

        async def here() -> bool:
            """The paper itself comes behind its pages."""
            files = self.hall.place.folder / "papers"
            return files.is_dir() and (files / hashlib.sha256(text.encode()).hexdigest()).exists()

        await there(here, "the paper at the relay", 300.0)

    async def turn(self) -> None:
        """Show everybody the next page."""
        self.page += 1
        shown = {"paper": self.paper, "version": 1, "page": self.page}
        await self.assembly.chair.post(self.assembly.path("/present"), shown)

    async def _seat(self, phone: Phone, place: str, owner: str) -> PlacedSeat:
        line = RoomLine(phone)
        self.assembly.stack.push_async_callback(line.close)
        await line.open()
        net = self.assembly.net
        seat = PlacedSeat(net, net.hub if place == "hub" else self.hall.place.lan, line, phone.meeting, owner)
        self.assembly.stack.push_async_callback(seat.leave)
        return seat

    async def media(self) -> None:
        """Let voices and a picture at the hub cross to the hall's computer, and the hall's, with the floor, back."""
        options, assembly = self.options, self.assembly
        speakers = assembly.officers[: options.voices]
        for number, phone in enumerate(speakers):
            seat = await self._seat(phone, "hub", phone.member)
            await seat.speak(VOICE_SSRC + number)
            if number == 0:
                await seat.show(options.frames_down)
                self.seats["the hub"] = seat
        owner = site_seat(self.hall.site)
        await assembly.command("grant-floor", member=owner)
        computer = self.seats["the hall"] = await self._seat(self.hall.custodian, "hall", owner)
        await computer.speak(VOICE_SSRC + 1000)
        await computer.show(options.frames_up)
        listener = self.seats["the hub"]
        await self._sees(listener, owner)
        await self._sees(computer, speakers[0].member)
        for seat in (listener, computer):
            await seat.listen()
        await until(lambda: all(seat.heard for seat in self.seats.values()))

    @staticmethod
    async def _sees(seat: Seat, owner: str) -> None:
        """Wait until a camera is offered across the pipe."""
        async with asyncio.timeout(60):
            while True:
                there = (await seat.ask("list"))["producers"]
                if any(one["owner"] == owner and one["kind"] == "video" for one in there):
                    return
                await asyncio.sleep(0.2)

    async def come(self, clients: list[Client]) -> None:
        """Let members come in, some at a time."""
        for start in range(0, len(clients), TOGETHER):
            await asyncio.gather(*(one.come(self.hall.doors) for one in clients[start : start + TOGETHER]))

    # -- what is counted ----------------------------------------------------------------------------------------

    async def count(self, name: str, work: Callable[[], Awaitable[None]], seconds: float) -> Figures:
        """Count what crosses from now until something is done and so many seconds have passed at least."""
        emulator, began = self.hall.place.link.emulator, time.monotonic()
        before, heard = await emulator.order(), {who: seat.heard for who, seat in self.seats.items()}
        asked, views = sum(client.snapshots for client in self.clients), self.wall.views
        shown = sum(client.shown for client in self.clients)
        await work()
        took = time.monotonic() - began
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        after, ended = await emulator.order(), time.monotonic()
        part = self.parts[name] = between(before, after, ended - began)
        part["work_s"] = round(took, 1)
        part["heard"] = {who: seat.heard - heard[who] for who, seat in self.seats.items()}
        part["snapshots"] = sum(client.snapshots for client in self.clients) - asked
        part["wall"] = self.wall.views - views
        part["pages"] = sum(client.shown for client in self.clients) - shown
        print(json.dumps({name: part}), file=sys.stderr, flush=True)
        return part

    async def steady(self, name: str) -> Figures:
        """Count while the same happens as in every other such part."""
        item = self.items.pop(0)
        return await self.count(name, lambda: self._happen(item), self.options.seconds)

    async def _happen(self, item: str) -> None:
        assembly, step = self.assembly, self.options.seconds / 12
        await assembly.command("start-item", item=item)
        assembly.item = item
        await assembly.command("grant-floor", member=site_seat(self.hall.site))  # a new item has taken it
        await self.turn()
        for phone in assembly.officers[1:4]:
            await asyncio.sleep(step / 3)
            await phone.post(assembly.path("/commands"), {"command": "raise-hand"})
        await self.turn()
        for phone in assembly.officers[1:4]:
            await asyncio.sleep(step / 3)
            await phone.post(assembly.path("/commands"), {"command": "lower-hand"})
        manifest = await assembly.open_vote("Budget", 0)
        await asyncio.sleep(step)
        await self.finish(manifest, step)

    async def finish(self, manifest: Manifest, step: float) -> None:
        """Let the officers vote, and close, count and declare."""
        for phone in self.assembly.officers:
            await phone.cast(manifest)
        await self.assembly.close_vote(manifest)
        await asyncio.sleep(step)
        await self.assembly.count(manifest)

    async def idle(self, name: str) -> Figures:
        """Count while nothing happens: media, leases and sockets alone."""
        return await self.count(name, lambda: asyncio.sleep(0), self.options.idle)

    async def apart(self) -> Figures:
        """Count what members in the hall do of their own accord."""
        acting, settle = self.clients[-ACTING:], self.options.settle
        beside = self.parts["idle, all"]

        async def hands() -> None:
            await asyncio.gather(*(one.raise_hand() for one in acting))

        found = {"a hand": each(await self.count("hands", hands, settle), len(acting), beside)}
        manifest = await self.assembly.open_vote("By-laws", 0)
        await asyncio.sleep(settle)

        async def ballots() -> None:
            await asyncio.gather(*(one.cast(manifest) for one in acting))

        found["a ballot, with booth and announcement"] = each(
            await self.count("ballots", ballots, settle), len(acting), beside
        )
        await self.finish(manifest, 0)
        await asyncio.sleep(settle)
        return found


async def hold(course: Course) -> Figures:
    """Hold the meeting with one client, with all, and with all as the control; return shares and what came apart."""
    options, first, others = course.options, course.clients[:1], course.clients[1:]
    coming = {"the first": each_first(await course.count("first comes", lambda: course.come(first), options.settle))}
    await course.idle("idle, one")
    one = await course.steady("one")
    came = await course.count("others come", lambda: course.come(others), options.settle)
    coming["each of the others"] = each(came, len(others), course.parts["idle, one"])
    await asyncio.sleep(options.settle)
    await course.idle("idle, all")
    many = await course.steady("all")
    shares = {"all": more(one, many), "idle": more(course.parts["idle, one"], course.parts["idle, all"])}
    apart = await course.apart()
    for client in course.clients:
        client.poll(POLL_S)
    shares[CONTROL] = more(one, await course.steady(CONTROL))
    for client in course.clients:
        await client.poll_no_more()
    return {"more": shares, "apart": {"coming in": coming, **apart}, "parts": course.parts}


def each_first(found: Figures) -> Figures:
    """Return the octets of TCP of the first client's coming in; nothing was counted before it to take away."""
    return {way: found[f"{way}_tcp"] for way in WAYS}


async def play(options: argparse.Namespace, stack: AsyncExitStack, net: Net) -> Figures:
    """Make the meeting and hold it; return the figures, with what is wrong under "problems"."""
    assembly = Assembly(net, stack)
    await assembly.found(OFFICERS + 1 + options.clients, {})
    await assembly.enrol(assembly.links)
    await assembly.convene((1,), 0)
    homes = assembly.persons[OFFICERS + 1 :]
    assembly.halls[0].on_pages = homes
    emulator = assembly.halls[0].place.link.emulator
    await emulator.both(**WIDE)
    await assembly.arrive()
    await assembly.begin()
    course = Course(assembly, options)
    await emulator.both(kbit=options.kbit, delay_ms=options.rtt_ms / 2, loss=0.0)
    await course.prepare(homes)
    await asyncio.sleep(options.settle)
    result = await hold(course)
    result["line"] = {"kbit": options.kbit, "rtt_ms": options.rtt_ms}
    result["clients"] = options.clients
    result["problems"] = problems(result)
    return result


async def run(options: argparse.Namespace) -> Figures:
    """Play it in a network of its own."""
    began = time.monotonic()
    raise_file_limit()
    async with AsyncExitStack() as stack:
        net = Net(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="folkmoot-clients-"))), 1)
        try:
            await net.open(stack)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotHereError(str(error)) from error
        result = await play(options, stack, net)
    result["minutes"] = round((time.monotonic() - began) / 60, 1)
    result["load_average"] = round(os.getloadavg()[0], 2)
    return result


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A hall's line with one member's phone and with many")
    parser.add_argument("--clients", type=int, default=40, help="members' phones in the hall, at last")
    parser.add_argument("--seconds", type=float, default=90.0, help="of each part that is compared")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of each part without events")
    parser.add_argument("--settle", type=float, default=10.0, help="seconds after whatever was done")
    parser.add_argument("--kbit", type=float, default=512.0, help="of the line, each way")
    parser.add_argument("--rtt-ms", type=float, default=600.0, help="of the line")
    parser.add_argument("--voices", type=int, default=2, help="who speak at the hub; with more the hall is not heard")
    parser.add_argument("--frames-down", type=float, default=12.0, help="of 1000 bytes, of the hub's camera a second")
    parser.add_argument("--frames-up", type=float, default=4.0, help="of the hall's camera a second")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    if options.clients <= ACTING or not 1 <= options.voices <= OFFICERS:
        parser.error(f"--clients is more than {ACTING}, --voices from 1 to {OFFICERS}")
    return options


def main() -> int:
    """Measure, print and write the figures; return the exit status."""
    options = parse()
    try:
        result = asyncio.run(run(options))
    except NotHereError as error:
        print(f"network namespaces and TUN devices are not to be had here: {error}", file=sys.stderr)
        return 2
    except (DemoError, RuntimeError, TimeoutError, aiohttp.ClientError) as error:
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
