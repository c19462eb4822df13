"""A meeting in many places over cut lines: a hub, two halls with relays, members alone; every place a namespace.

    python loadtests/halls.py --json out.json               # as root: namespaces and TUN devices are made
    python loadtests/halls.py --cut-s 25 --hall1 9 --hall2 3 --late 2 --burst 3 --kills 1 --no-browsers
    python loadtests/halls.py --scenario votes              # 300 members, who cast within ten seconds
    python loadtests/halls.py --scenario nat                # the hall's router forgets its mappings and moves

Names are https://folkmoot.test and https://hall1.folkmoot.test, with certificates of an authority made for the run.
Members are passkeys in software, and with browsers some real Chromiums. Names of figures: M14, M16, M17.
Each relay is behind a router that translates addresses and lets nothing in unasked. Where no namespaces are to be had
it says so and ends with 2, and so it does where the kernel translates nothing, unless `--no-nat` is given.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
from loadtests import halls_cut, halls_nat, halls_proof, halls_restore, halls_votes
from loadtests.halls_meeting import OFFICERS, Assembly
from loadtests.halls_net import HUB_ADDRESS, Net
from loadtests.halls_pages import Pages
from loadtests.halls_phone import Figures
from loadtests.l0_link import check
from loadtests.router import NoTranslationError
from playwright.async_api import async_playwright

from folkmoot_server.demo.client import DemoError, Person
from folkmoot_server.serving import raise_file_limit

WIDE: Final = {"kbit": 4000, "delay_ms": 20, "loss": 0.0}
SINGLES: Final = 2
NO_NAMESPACES: Final = "network namespaces and TUN devices are not to be had here: {}"
NO_NAT: Final = "no router can translate addresses here: {}\n--no-nat lets the relays stand in the open instead"


class NotHereError(Exception):
    """This system gives no namespaces, no TUN devices or no translation of addresses."""


async def gather(
    net: Net, stack: AsyncExitStack, options: argparse.Namespace
) -> tuple[Assembly, Pages | None, Figures]:
    """Make the network and the meeting with everybody checked in, over lines that are wide for that time."""
    assembly = Assembly(net, stack)
    sizes = (options.hall1, options.hall2)
    browsing = 0 if options.no_browsers else len(sizes) + 1
    await assembly.found(OFFICERS + sum(sizes) + SINGLES + browsing, {})
    await assembly.enrol(assembly.links[: len(assembly.links) - browsing])
    pages = None
    guests: list[Person] = []
    if browsing:
        driver = await stack.enter_async_context(async_playwright())
        pages = Pages(assembly, driver, options.out or net.folder, options.cold)
        guests = await pages.enrol(assembly.links[-browsing:])
        assembly.pages_alone = 1
    await assembly.convene(sizes, SINGLES)
    for hall, guest in zip(assembly.halls, guests, strict=False):
        hall.on_pages.append(guest)
    found: Figures = {"reach": await reach(assembly)}
    if options.check_s:
        wanted = argparse.Namespace(kbit=64, rtt_ms=600, loss=0.05, check_s=options.check_s)
        found["link"] = await check(assembly.halls[0].place.link, wanted)
    for hall in assembly.halls:
        await hall.place.link.emulator.both(**WIDE)
    first = assembly.halls[0]
    here = len(first.phones) - options.late
    first.late, first.phones = first.phones[here:], first.phones[:here]
    found["arrival"] = await assembly.arrive()
    if pages is not None:
        await pages.arrive()
    await assembly.begin()
    if pages is not None:
        await pages.sound_and_pictures(first)
    return assembly, pages, found


async def reach(assembly: Assembly) -> Figures:
    """Say who reaches whom: no LAN the hub, and the hub no relay, which are the controls of all that follows."""
    return {
        hall.place.origin: {
            "relay to hub": await assembly.net.reaches(hall.place.inside, HUB_ADDRESS),
            "LAN to hub": await assembly.net.reaches(hall.place.lan, HUB_ADDRESS),
            **await halls_nat.unasked(assembly.net, hall.place),
        }
        for hall in assembly.halls
    }


async def across_a_cut(options: argparse.Namespace, stack: AsyncExitStack, net: Net) -> Figures:
    """Hold the meeting with a long cut; return the figures, with what is wrong under "problems"."""
    assembly, pages, result = await gather(net, stack, options)
    print(json.dumps(result, indent=1), flush=True)
    beside = () if pages is None else (pages.during, pages.after)
    result["cut"] = await halls_cut.hold(assembly, options, *beside)
    if pages is not None:
        result["pages"] = pages.found
        print(json.dumps({"pages": pages.found}, indent=1), flush=True)
    print(json.dumps({"cut": result["cut"]}, indent=1), flush=True)
    result["restored"] = await halls_restore.hold(assembly)
    print(json.dumps({"restored": result["restored"]}, indent=1), flush=True)
    await assembly.command("close")
    result["record"] = await halls_proof.record(assembly, options.out or net.folder)
    result["problems"] = halls_cut.problems(result["cut"]) + halls_restore.problems(result["restored"])
    result["problems"] += halls_proof.problems(result["record"]) + halls_nat.closed_problems(result["reach"])
    result["problems"] += [] if pages is None else pages.failed
    return result


async def salvos(options: argparse.Namespace, stack: AsyncExitStack, net: Net) -> Figures:
    """Hold the votes of M17; return the figures, with what is wrong under "problems"."""
    options.hall1, options.hall2, options.late, options.no_browsers = options.voters, 1, 0, True
    assembly, _, result = await gather(net, stack, options)
    print(json.dumps(result, indent=1), flush=True)
    result["votes"] = await halls_votes.hold(assembly)
    result["problems"] = halls_votes.problems(result["votes"]) + halls_nat.closed_problems(result["reach"])
    return result


async def translation(options: argparse.Namespace, stack: AsyncExitStack, net: Net) -> Figures:
    """Let a hall's router forget and move; return the figures, with what is wrong under "problems"."""
    if options.no_nat:
        raise NotHereError("the scenario nat is about the router")
    result = await halls_nat.hold(net, stack, options)
    result["problems"] = halls_nat.problems(result)
    return result


SCENARIOS: Final = {"cut": across_a_cut, "votes": salvos, "nat": translation}


async def run(options: argparse.Namespace) -> Figures:
    """Play a scenario in a network of its own."""
    began = time.monotonic()
    raise_file_limit()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="folkmoot-halls-")))
        net = Net(folder, 2, translates=not options.no_nat)
        try:
            await net.open(stack)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NotHereError(NO_NAMESPACES.format(error)) from error
        try:
            net.try_router()
        except NoTranslationError as error:
            raise NotHereError(NO_NAT.format(error)) from error
        result = await SCENARIOS[options.scenario](options, stack, net)
    result["minutes"] = round((time.monotonic() - began) / 60, 1)
    result["load_average"] = round(os.getloadavg()[0], 2)
    return result


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A meeting in many places over cut lines")
    parser.add_argument("--scenario", choices=SCENARIOS, default="cut")
    parser.add_argument("--voters", type=int, default=300, help="who cast within ten seconds, in the scenario votes")
    parser.add_argument("--cut-s", type=float, default=600.0, help="how long the first hall is cut off")
    parser.add_argument("--grace-after", type=float, default=90.0, help="seconds of grace left when its line is back")
    parser.add_argument("--hall1", type=int, default=40, help="members in the hall that comes back in time")
    parser.add_argument("--hall2", type=int, default=8, help="members in the hall that comes too late")
    parser.add_argument("--late", type=int, default=10, help="of the first hall, who check in during the cut")
    parser.add_argument("--before-cut", type=int, default=4, help="of the first hall, who vote before the cut")
    parser.add_argument("--burst", type=int, default=12, help="who cast at once when the relay is killed")
    parser.add_argument("--kills", type=int, default=3, help="of the relay, one of them in the burst")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--check-s", type=float, default=6.0, help="seconds of each check of the link; 0: none")
    parser.add_argument("--no-browsers", action="store_true", help="members in software alone")
    parser.add_argument("--cold", action="store_true", help="the page of the member alone does not keep the app")
    parser.add_argument("--no-nat", action="store_true", help="relays stand in the open: nothing is translated")
    parser.add_argument("--rtt-ms", type=float, default=40.0, help="in the scenario nat: round trip of the line")
    parser.add_argument("--times", type=int, default=3, help="in the scenario nat: of each change")
    parser.add_argument("--lives", type=int, default=3, help="in the scenario nat: how many lifetimes of mappings")
    parser.add_argument("--rest-s", type=float, default=12.0, help="in the scenario nat, after each change")
    parser.add_argument("--out", type=Path, help="keep record and pictures in this folder")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(arguments)
    if options.hall1 < options.late + options.before_cut + options.burst or options.hall2 < 1 or options.kills < 1:
        parser.error("--hall1 is at least --late, --before-cut and --burst together; --hall2, --kills at least 1")
    return options


def main() -> int:
    """Hold the meeting, print and write the figures; return the exit status."""
    options = parse()
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    try:
        result = asyncio.run(run(options))
    except NotHereError as error:
        print(error, file=sys.stderr)
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
