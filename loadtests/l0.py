"""A whole meeting at the step "text only" for one member over a poor link, and what it costs in bytes.

    python loadtests/l0.py --json out.json                  # as root: namespaces and a TUN link are made
    python loadtests/l0.py --kbit 16 --rtt-ms 800 --loss 0.1 --turns 20 --idle-s 120

The hub (`folkmoot serve`, a process of its own) and everybody else stand in one network namespace; one member's TCP
connections come from another, across the emulated link. The app is installed, so nothing of it is loaded. Bytes are
those of the kernel's counters of the link's two devices: whole IP packets, both ways, with everything sent again;
*sent* has what the link lost, *arrived* has not. The hub speaks TLS 1.3 with a self-signed certificate of P-256 (an
authority's chain is 1 to 3 kB longer, once for each connection that resumes nothing; none here resumes); `--plain`
leaves TLS out.
Where no namespaces are to be had it says so and ends with 2.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random  # noqa: TID251  seeded names; never keys
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
from loadtests.l0_cold import cold_load
from loadtests.l0_link import Link, Meter, check, make_link, media
from loadtests.l0_member import NOT_MODIFIED, PAGE_PATIENCE_S, Member
from loadtests.sockets import FIRST, ROOT, TELLERS, Hall, convene, server
from tests.server.certificates import write_certificate

from folkmoot_config.settings import Settings
from folkmoot_server import app
from folkmoot_server.commands.organisation import bootstrap_organisation
from folkmoot_server.demo import votes
from folkmoot_server.demo.client import DemoError, Person
from folkmoot_server.demo.officers import confirm_everybody
from folkmoot_server.demo.organisation import DEMO_NAME, DEMO_UNITS, people
from folkmoot_server.demo.questions import BUDGET, Asked
from folkmoot_voting.manifest import Manifest

Figures = dict[str, Any]
WAYS: Final = ("down", "up")
PAGE_TURN_LIMIT: Final = 200
MEDIA_SHARE: Final = 0.8  # what the worker gives to media of 64 kbit/s, measured as M17
HOUR: Final = {"page turns": 60, "requests to speak": 3, "votes": 4}
LEAST_MEMBERS: Final = TELLERS + 6


# -- the meeting ------------------------------------------------------------------------------------------------


@dataclass
class LinkHall(Hall):
    """A hall whose server may speak TLS."""

    scheme: str = "https"

    @property
    def origin(self) -> str:
        """Where the server is."""
        return f"{self.scheme}://localhost:{self.port}"


class Course:
    """The meeting with everybody in the room but the member across the link."""

    def __init__(self, hall: Hall, options: argparse.Namespace, trust: ssl.SSLContext | bool) -> None:
        self.hall, self.options = hall, options
        self.trust: ssl.SSLContext | bool = trust
        self.others: list[Person] = []
        self.elections: list[str] = []
        self.paper = ""
        self.seeds: dict[str, bytes] = {}
        self.tellers: list[votes.Teller] = []
        self.cosigners: list[votes.Cosigner] = []

    async def command(self, command: str, **fields: Any) -> None:
        """Let the chair send a command."""
        await self.hall.chair.post(self.hall.path("/commands"), {"command": command, **fields})

    async def prepare(self) -> Person:
        """Enrol everybody, convene, check the others in, make the keys; return who is not there yet."""
        hall = self.hall
        for link in sorted(hall.links, key=lambda link: FIRST.get(link["role"], len(FIRST))):
            person = Person(hall.origin, link["name"], aiohttp.TCPConnector(ssl=self.trust))
            hall.persons.append(person)
            await person.enrol(link["url"])
        absent, secretary = hall.persons[-2], hall.persons[1]
        self.others = [person for person in hall.persons if person is not absent]
        await confirm_everybody(hall.chair, secretary)
        await convene(hall, secretary, argparse.Namespace(items=5, elections=0))
        await self._draft(secretary)
        await self._bring(secretary)
        for person in self.others:
            self.seeds[person.member] = await votes.check_in(person, hall.meeting)
            await person.join_socket(hall.meeting, int((await person.get(hall.path()))["seq"]))
        tellers = [person for person in self.others if "teller" in {r["role"] for r in person.session["roles"]}]
        self.tellers = await votes.make_key(tellers, hall.meeting)
        self.cosigners = [
            await votes.name_cosigner(person, hall.meeting) for person in (hall.chair, secretary, *tellers)
        ]
        return absent

    async def _draft(self, secretary: Person) -> None:
        item = (await secretary.get(self.hall.path()))["agenda"][0]["id"]
        body = Asked("Budget", BUDGET).draft(item, voting_again="last-counts")
        made = await secretary.post(self.hall.path("/questions"), body)
        self.elections.append(made["election"])

    async def _bring(self, secretary: Person) -> None:
        """Bring a paper of five pages of text and wait until it can be read."""
        await self._put(secretary, "/papers?item=&name=Report.txt&class=open")

    async def change_a_page(self) -> None:
        """Bring another version of the paper, of which one line of the third page is another one."""
        await self._put(self.hall.persons[1], f"/papers/{self.paper}?name=Report.txt", changed=150)

    async def _put(self, secretary: Person, path: str, changed: int = -1) -> None:
        lines = (
            f"Line {number} of the report on the {'month' if number == changed else 'year'}.\n"
            for number in range(300)
        )
        headers = {"Origin": secretary.origin, "Content-Type": "application/octet-stream"}
        url = f"{secretary.origin}{self.hall.path(path)}"
        async with secretary._http.put(url, data="".join(lines).encode(), headers=headers) as answer:
            self.paper = (await answer.json()).get("paper", self.paper)
        async with asyncio.timeout(60):
            # The renderer is another process: only asking shows that it is done.
            while (await self.pages(secretary))[1] != "ready":  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def pages(self, person: Person) -> tuple[int, str]:
        """Return how many pages the paper has and its state."""
        listed = (await person.get(self.hall.path("/papers")))["papers"]
        newest = listed[0]["versions"][-1]
        return int(newest["pages"]), str(newest["state"])

    async def others_vote(self, manifest: Manifest) -> None:
        """Let everybody else vote for it."""
        for person in self.others[: max(3, len(self.others) // 2)]:
            await votes.cast(person, self.hall.meeting, manifest, self.seeds[person.member], [(1, 0, 0)])

    async def finish(self, manifest: Manifest) -> None:
        """Close the vote, count and declare."""
        await votes.close_election(self.hall.chair, self.hall.meeting, manifest.election)
        await votes.cosign(self.cosigners, self.hall.meeting, manifest)
        await votes.count(self.tellers[: manifest.trustees.threshold], self.hall.meeting, manifest)
        declaring = next(one for one in self.cosigners if one.name == "chair")
        await votes.declare(declaring, self.hall.meeting, manifest)


async def attend(course: Course, member: Member, meter: Meter, options: argparse.Namespace, link: Link) -> Figures:
    """Be at the meeting from signing in to leaving; return what the steps took."""
    settle = 2 * options.rtt_ms / 1000 + 0.3
    result: Figures = {}
    async with meter.part("sign in and open the room", settle):
        await member.sign_in()
        await member.enter()
    async with meter.part("check in", settle):
        seed = await member.check_in()
        await member.until(lambda: bool(member.heard("MemberCheckedIn", member=member.member)), "its own check-in")
    async with meter.part("fetch the paper once", settle):
        await course.pages(member)
        _, _, octets = await member.fetch_pages(course.paper, 1)
    result["second_version"] = {"first": octets, **await second_version(course, member, meter, settle)}
    async with meter.part("opening", settle):
        await course.command("open")
        await member.until(lambda: bool(member.heard("MeetingOpened")), "the opening")
    async with meter.part("idle", 0):
        await asyncio.sleep(options.idle_s)
    result["page_turns"] = await turn_pages(course, member, meter, options, settle)
    async with meter.part("request to speak", settle):
        await member.post(member.path("/commands"), {"command": "raise-hand"})
        await course.command("next-speaker")
        await member.until(lambda: bool(member.heard("FloorGranted", member=member.member)), "the floor")
        await member.post(member.path("/commands"), {"command": "yield-floor"})
    result["presence"] = await answer_presence(course, member, meter, settle)
    result["vote"], manifest = await vote(course, member, meter, seed, settle)
    if options.saturated:
        result["saturated"] = await saturated(link, member, manifest, seed, options)
    async with meter.part("counting and result", settle):
        await course.finish(manifest)
        await member.until(lambda: bool(member.heard("ResultDeclared")), "the result")
    async with media(link, options.media_kbit), meter.part("idle beside a voice (control)", 0):
        await asyncio.sleep(options.idle_s)
    await member.get("/api/session")  # what the voice left in the queues comes first
    async with meter.part("leave", settle):
        await member.leave()
    return result


async def second_version(course: Course, member: Member, meter: Meter, settle: float) -> Figures:
    """Have one page of the paper change; the member fetches what no version before it had, by its hash."""
    await course.change_a_page()
    await member.until(lambda: bool(member.heard("PaperAdded", paper=course.paper, version=2)), "the second version")
    async with meter.part("a page of the paper changes", settle):
        pages, fetched, octets = await member.fetch_pages(course.paper, 2)
    return {"pages": pages, "fetched": fetched, "octets": octets}


async def answer_presence(course: Course, member: Member, meter: Meter, settle: float) -> Figures:
    """Ask everybody who is still there; the member answers by passkey."""
    async with meter.part("asked for presence, and answered", settle):
        asked = {"members": [], "site": "", "within_s": 600}
        presence = (await course.hall.chair.post(course.hall.path("/presence"), asked))["presence"]
        await member.until(lambda: bool(member.heard("PresenceAsked", presence=presence)), "the asking")
        began = time.monotonic()
        await member.confirm_presence(presence)
        took = round(time.monotonic() - began, 2)
        await member.until(lambda: bool(member.heard("PresenceConfirmed", presence=presence)), "its own answer")
    confirmed = member.heard("PresenceConfirmed", presence=presence)[-1]["body"]["confirmed"]
    return {"confirmed": confirmed, "answer_s": took}


async def turn_pages(
    course: Course, member: Member, meter: Meter, options: argparse.Namespace, settle: float
) -> Figures:
    """Turn the pages of the paper that the member has; return what an event of it is on the link."""
    frames, packets = [], []
    for turn in range(options.turns):
        shown = {"paper": course.paper, "version": 2, "page": turn % 5 + 1}
        known, name = len(member.events), f"page turn {turn + 1}"

        def came(known: int = known, page: int = shown["page"]) -> bool:
            return any(
                one["type"] == "PagePresented" and one["body"]["page"] == page for one in member.events[known:]
            )

        async with meter.part(name, settle):
            await course.hall.chair.post(course.hall.path("/present"), shown)
            await member.until(came, "a page turn")
        packets.append(meter.parts.pop(name))
        frames += [member.frames[one["seq"]] for one in member.events[known:] if one["type"] == "PagePresented"]
    return {
        "turns": len(packets),
        "frame_octets": statistics.median(frames),
        # The least is a turn during which no lease or repair happened to cross the link.
        "least_down": min(one["down_sent"] for one in packets),
        "least_both_ways": min(one["sent"] for one in packets),
        "sent_mean_with_leases_meanwhile": round(statistics.mean(one["sent"] for one in packets)),
        "counted_s": round(sum(one["counted_s"] for one in packets), 1),
        "sent": sum(one["sent"] for one in packets),
        "s_median": round(statistics.median(one["s"] for one in packets), 2),
        "s_max": max(one["s"] for one in packets),
    }


async def vote(course: Course, member: Member, meter: Meter, seed: bytes, settle: float) -> tuple[Figures, Manifest]:
    """Vote once in secret and look for the proof."""
    hall, election = course.hall, course.elections[0]
    async with meter.part("a vote opens", settle):
        await votes.open_election(hall.chair, hall.meeting, election)
        await member.until(lambda: bool(member.heard("ElectionOpened", election=election)), "the vote")
    async with meter.part("vote", settle):
        found = await member.vote(election, seed, [(1, 0, 0)])
    manifest = found.pop("manifest")
    async with meter.part("others vote", settle):
        await course.others_vote(manifest)
    async with meter.part("proof", settle):
        began = time.monotonic()
        found["proof_requests"] = await member.find_proof(manifest, found.pop("leaf"))
        found["proof_s"] = round(time.monotonic() - began, 2)
    return found, manifest


async def saturated(
    link: Link, member: Member, manifest: Manifest, seed: bytes, options: argparse.Namespace
) -> Figures:
    """Vote again and again over 64 kbit/s and 600 ms, alone and beside voices that fill what media is given of it."""
    found: Figures = {}
    await link.emulator.both(kbit=64, delay_ms=300, loss=0.0, burst=1)
    count = options.saturated
    for share in (0.0, MEDIA_SHARE):
        async with media(link, 64 * share) if share else contextlib.nullcontext():
            await asyncio.sleep(2)
            cast = [await member.vote(manifest.election, seed, [(0, 1, 0)]) for _ in range(count)]
        times = {key: sorted(one[key] for one in cast) for key in ("cast_s", "whole_s")}
        found[f"media at {share:.0%} of the link"] = {
            "votes": count,
            **{f"{key}_p50": statistics.median(values) for key, values in times.items()},
            **{f"{key}_p95": values[min(count - 1, int(count * 0.95))] for key, values in times.items()},
        }
    await link.emulator.both(kbit=options.kbit, delay_ms=options.rtt_ms / 2, loss=options.loss, burst=1)
    return found


# -- sums -------------------------------------------------------------------------------------------------------


def hour(parts: Figures, turns: Figures) -> Figures:
    """Return the bytes of an hour's meeting: what happened once, what runs all the time, and the usual acts."""
    each_second = parts["idle"]["sent"] / parts["idle"]["counted_s"]

    def above_idle(*names: str) -> float:
        return sum(max(0.0, parts[name]["sent"] - each_second * parts[name]["counted_s"]) for name in names)

    turn = max(0.0, turns["sent"] - each_second * turns["counted_s"]) / turns["turns"]
    sums = {
        "sign in, open the room, check in, opening, leave": above_idle(
            "sign in and open the room", "check in", "opening", "leave"
        ),
        "the paper, fetched once": above_idle("fetch the paper once"),
        "an hour of leases and pings": each_second * 3600,
        f"{HOUR['page turns']} page turns": turn * HOUR["page turns"],
        f"{HOUR['requests to speak']} requests to speak": above_idle("request to speak") * HOUR["requests to speak"],
        f"{HOUR['votes']} secret votes with proof and result": HOUR["votes"]
        * above_idle("a vote opens", "vote", "others vote", "proof", "counting and result"),
    }
    return {**{name: round(value) for name, value in sums.items()}, "together": round(sum(sums.values()))}


def requests(member: Member) -> Figures:
    """Return what the requests took; a page gives one up after 20 s."""
    slowest = max(member.asked, key=lambda one: float(one["s"]))
    largest = max(member.asked, key=lambda one: int(one["octets"]))
    return {
        "count": len(member.asked),
        "median_s": statistics.median(one["s"] for one in member.asked),
        "slowest": slowest,
        "largest_answer": largest,
        "slower_than_a_page_waits": sum(one["s"] > PAGE_PATIENCE_S for one in member.asked),
        "answers_octets": sum(one["octets"] for one in member.asked),
        "bodies_octets": sum(one["body"] for one in member.asked),
        "not_sent_again": sum(one["status"] == NOT_MODIFIED for one in member.asked),
        "compressed_answers": sum(bool(one["encoding"]) for one in member.asked),
        "snapshots": member.snapshots,
        "connections": member.connections,
    }


async def run(options: argparse.Namespace, stack: AsyncExitStack, link: Link) -> Figures:
    """Check the link, hold the meeting, and return what it cost."""
    result: Figures = {name: getattr(options, name) for name in ("kbit", "rtt_ms", "loss", "members")}
    if options.check_s:
        result["check"] = await check(link, options)
        print(json.dumps({"check": result["check"]}), file=sys.stderr, flush=True)
    await link.emulator.both(kbit=options.kbit, delay_ms=options.rtt_ms / 2, loss=options.loss, burst=1)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="folkmoot-l0-")))
    trust: ssl.SSLContext | bool = True
    if not options.plain:
        cert, key = write_certificate(folder)
        trust = ssl.create_default_context(cafile=str(cert))
        os.environ |= {"FOLKMOOT_CERT": str(cert), "FOLKMOOT_KEY": str(key)}
    hall = await make_organisation(folder, options.members, "http" if options.plain else "https")
    os.environ["FOLKMOOT_HOST"] = "0.0.0.0"  # noqa: S104  a namespace that holds nothing else
    await stack.enter_async_context(server(hall, ROOT))
    course, meter = Course(hall, options, trust), Meter(link)
    stack.push_async_callback(part_ways, hall)
    absent = await course.prepare()
    async with meter.part("nobody there (control)", 2):
        pass
    member = Member(hall.origin, absent.name, link.connector(trust), hall.meeting)
    stack.push_async_callback(member.disconnect)
    hall.persons.append(member)
    meter.quiet = member.quiet
    member.authenticator = absent.authenticator
    before, began = link.octets(), time.monotonic()
    carried = await link.emulator.order()
    async with meter.part("the cold load, apart", 2):
        result["cold"] = await cold_load(link, hall.origin, trust)
    result |= await attend(course, member, meter, options, link)
    after, carried_then = link.octets(), await link.emulator.order()
    result["parts"] = meter.parts
    result["whole"] = {
        "minutes": round((time.monotonic() - began) / 60, 2),
        **{key: after[key] - before[key] for key in after},
        "lost_packets": sum(carried_then[way]["lost"] - carried[way]["lost"] for way in WAYS),
        "overflowed_packets": sum(carried_then[way]["overflowed"] - carried[way]["overflowed"] for way in WAYS),
    }
    result["hour"] = hour(meter.parts, result["page_turns"])
    result["requests"] = requests(member)
    result["page_turn_within_limit"] = result["page_turns"]["least_down"] < PAGE_TURN_LIMIT
    return result


async def part_ways(hall: Hall) -> None:
    """End everybody's connections."""
    for person in hall.persons:
        await person.__aexit__()


async def make_organisation(folder: Path, members: int, scheme: str) -> Hall:
    """Make the organisation's data for a server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        hall = LinkHall(folder, int(free.getsockname()[1]), scheme=scheme)
    database = app.open_database(Settings(data=folder / "data", port=hall.port, public_url=hall.origin))
    roster = people(members, TELLERS, Random(1))
    await database.write(
        lambda tx: bootstrap_organisation(
            tx, name=DEMO_NAME, units=DEMO_UNITS, people=roster, now=app.now_s(), rng=secrets.token_bytes
        )
    )
    database.close()
    return hall


def describe(result: Figures) -> list[str]:
    """Return the table to print."""
    lines = [
        f"{result['kbit']:g} kbit/s, {result['rtt_ms']:g} ms, {result['loss']:.0%} lost; {result['members']} members"
    ]
    for way, found in result.get("check", {}).items():
        free = found["control_without"]
        lines.append(
            f"link {way}: {found['kbit']} kbit/s, {found['delay_ms']} ms, {found['loss']:.1%} lost; "
            f"control without: {free['delay_ms']} ms, {free['loss']:.1%} lost"
        )
    lines.append(
        f"{'part':<28}{'seconds':>9}{'down':>9}{'up':>9}{'arrived':>9}   (bytes sent, and arrived both ways)"
    )
    for name, part in result["parts"].items():
        row = "".join(f"{part[key]:>9}" for key in ("s", "down_sent", "up_sent", "arrived"))
        lines.append(f"{name:<28}{row}")
    turns, vote_found, asked = result["page_turns"], result["vote"], result["requests"]
    lines.append(
        f"page turn: {turns['frame_octets']:g} bytes of WebSocket, {turns['least_down']} down on the link by itself "
        f"and {turns['least_both_ways']} with its acknowledgement (of {turns['turns']} the least), "
        f"{turns['s_median']} s; "
        f"{'under' if result['page_turn_within_limit'] else 'NOT under'} {PAGE_TURN_LIMIT} bytes"
    )
    lines.append(", ".join(f"{key} {value}" for key, value in vote_found.items()))
    lines.append(f"cold load: {', '.join(f'{key} {value}' for key, value in result['cold'].items())}")
    lines.append(f"second version: {result['second_version']}, presence: {result['presence']}")
    lines += [f"64 kbit/s, {name}: {figures}" for name, figures in result.get("saturated", {}).items()]
    lines += [f"hour: {name}: {octets / 1000:.1f} kB" for name, octets in result["hour"].items()]
    lines.append(
        f"{asked['count']} requests, median {asked['median_s']:.1f} s, slowest {asked['slowest']['s']} s "
        f"({asked['slowest']['path']}); {asked['slower_than_a_page_waits']} slower than the {PAGE_PATIENCE_S:g} s "
        f"that a page waits at first; {asked['compressed_answers']} answers compressed, "
        f"{asked['not_sent_again']} not sent again: {asked['answers_octets']} bytes in {asked['bodies_octets']}; "
        f"{asked['snapshots']} snapshots, {asked['connections']} connections"
    )
    return lines


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A meeting with text alone over a poor link")
    parser.add_argument("--kbit", type=float, default=16.0)
    parser.add_argument("--rtt-ms", type=float, default=800.0)
    parser.add_argument("--loss", type=float, default=0.1)
    parser.add_argument("--members", type=int, default=12)
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--turns", type=int, default=10, help="page turns")
    parser.add_argument("--idle-s", type=float, default=60.0, help="seconds in which nothing happens")
    parser.add_argument("--media-kbit", type=float, default=14.0, help="the control's voice each way")
    parser.add_argument("--check-s", type=float, default=6.0, help="seconds of each check of the link; 0: none")
    parser.add_argument("--saturated", type=int, default=0, help="votes over 64 kbit/s beside media (at most 8)")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args(arguments)
    if options.members < LEAST_MEMBERS or options.turns < 1 or options.idle_s <= 0 or not 0 <= options.saturated <= 8:
        parser.error(f"--members is at least {LEAST_MEMBERS}, --turns at least 1, --saturated at most 8")
    return options


async def hold(options: argparse.Namespace) -> int:
    """Make the link, hold the meeting, print; return the exit status."""
    async with AsyncExitStack() as stack:
        try:
            link = await make_link(stack)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            print(f"network namespaces and TUN devices are not to be had here: {error}", file=sys.stderr)
            return 2
        try:
            result = await run(options, stack, link)
        except (DemoError, RuntimeError, TimeoutError, aiohttp.ClientError) as error:
            print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
            return 1
    print("\n".join(describe(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(hold(parse())))
