"""What a hall takes of a thin link, and whether its votes come first: a real hub, a real relay, an emulated link.

    python loadtests/relay.py --json out.json               # as root: namespaces and TUN devices are made
    python loadtests/relay.py --only copies --phones 40

The hub with its speakers stands in one network namespace; in another one, across the link, are the relay's media with
the hall's phones, and voters, whose ballots go to the hub over the same link. All bytes on it are counted there.
Names are those of the acceptance figures: M13 (copies), M17 (votes).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import socket
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
from loadtests.emulator import HOME, HUB, Emulator
from loadtests.seats import PATIENCE_S, Seat, until
from tests import drafts
from tests.server.support import House, serve
from tests.server.test_relay_media import begin_epoch, enrol

from folkmoot_server.commands import sites
from folkmoot_server.demo import votes
from folkmoot_server.domain.relays import site_seat
from folkmoot_server.relay.hub import Hub
from folkmoot_server.relay.media import HUB as HUB_NODE
from folkmoot_server.relay.media import Device, RelayMedia
from folkmoot_server.sfu_client import MediaPool, MediaPoolSettings
from folkmoot_voting import casting, signing
from folkmoot_voting.ballot import sealed_hash
from folkmoot_voting.encoding import unb64u
from folkmoot_voting.manifest import Manifest

Figures = dict[str, Any]
ROUND_TRIP_S = 0.6
MOST_DIFFERENCE = 0.05
VOTE_LIMIT_S = 2.0
SMALL_FRAMES = 4.0
FLOOD_KBIT = 128.0
VOTERS = ("lan", "jonas", "ana", "paul", "amira", "binh", "greta")


async def flood(target: str, seconds: float, kbit: float) -> None:
    """Send datagrams of 1000 bytes at a rate that yields to nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        source.setblocking(False)
        end = due = time.monotonic()
        end += seconds
        while due < end:
            with contextlib.suppress(OSError):
                source.sendto(bytes(1000), (target, 9))
            due += 1028 * 8 / 1000 / kbit
            await asyncio.sleep(max(0.0, due - time.monotonic()))


# -- the hall, in a process of its own --------------------------------------------------------------------------


class Hall:
    """The relay's media, the hall's phones, and voters who use the link beside them."""

    def __init__(self, told: Figures, folder: Path) -> None:
        self.told = told
        self.phones: list[Seat] = []
        self.hub = Hub(told["hub"], lambda: None)
        self.hub.token, self.hub.trusted = told["token"], True
        pool = MediaPool(MediaPoolSettings(folder / "run", workers=1))
        device = Device(told["relay"], told["epoch"], bytes.fromhex(told["seed"]))
        self.media = RelayMedia(pool, lambda *_: None, self.hub, told["meeting"], lambda: device)
        self._floods: list[asyncio.Task[None]] = []
        self.voters = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())

    async def join(self, phones: int) -> Figures:
        """Let so many phones more hear and see."""
        room = self.told["meeting"]
        here = [Seat(self.media.signalling, room, f"phone-{len(self.phones) + index}") for index in range(phones)]
        self.phones += here
        for start in range(0, len(here), 5):
            await asyncio.gather(*(phone.listen() for phone in here[start : start + 5]))
        await until(lambda: all(phone.heard for phone in here))
        return {"phones": len(self.phones)}

    async def count(self) -> Figures:
        """Return how many packets the phones have had so far."""
        return {"heard": sum(phone.heard for phone in self.phones)}

    async def speak(self, frames: float) -> Figures:
        """Let the hall's own microphone and camera send."""
        seat = Seat(self.media.signalling, self.told["meeting"], self.told["seat"])
        self.phones.append(seat)
        await seat.speak(6001)
        await seat.show(frames)
        return {}

    async def flood(self, seconds: float, kbit: float) -> Figures:
        """Send so much to the hub, whatever comes of it."""
        self._floods.append(asyncio.create_task(flood(HUB, seconds, kbit)))
        return {}

    async def _send(self, method: str, path: str, cookie: str, body: Figures | None = None) -> Figures:
        headers = {"Origin": self.told["origin"], "Sec-Fetch-Site": "same-origin", "Cookie": cookie}
        url = self.told["hub"] + path
        async with self.voters.request(method, url, json=body, headers=headers) as answer:
            found: Figures = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"{path.rsplit('/', 1)[-1]}: {found}")
            return found

    async def vote(self, seconds: float, every: float) -> Figures:
        """Let a voter cast every so often; return how long casts and whole votes took, in seconds."""
        manifest = Manifest.from_json(self.told["manifest"])
        path = f"/api/meetings/{self.told['meeting']}/elections/{manifest.election}"
        casts, whole, tasks = [], [], []

        async def one(voter: Figures) -> None:
            seed, cookie, begun = bytes.fromhex(voter["seed"]), voter["cookie"], time.monotonic()
            me = (await self._send("GET", f"{path}/manifest", cookie))["me"]
            place = casting.Place(me["weight"], me["seq"] + 1, unb64u(me["prev"]))
            draws = casting.SeededDraws(secrets.token_bytes(32))
            sealed = casting.seal(manifest, signing.public_key(seed), [[1, 0, 0]], draws, place)
            announced = casting.make_announcement(manifest, seed, sealed_hash(sealed))
            await self._send("POST", f"{path}/seals", cookie, announced)
            cast = time.monotonic()
            await self._send("POST", f"{path}/ballots", cookie, {"ballot": casting.sign_ballot(sealed, seed)})
            casts.append(time.monotonic() - cast)
            whole.append(time.monotonic() - begun)

        end, turn = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            tasks.append(asyncio.create_task(one(self.told["voters"][turn % len(self.told["voters"])])))
            turn += 1
            await asyncio.sleep(every)
        await asyncio.gather(*tasks)
        return {"casts": [round(one, 3) for one in casts], "whole": [round(one, 3) for one in whole]}

    async def run(self) -> None:
        """Take orders from standard input until it ends."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await self.media.start()
        room = self.told["meeting"]
        try:
            await until(lambda: self.media.signalling.sites.pipe_of(room, HUB_NODE))
            print(json.dumps({"piped": True}), flush=True)
            while line := await reader.readline():
                order = json.loads(line)
                answer = await getattr(self, order.pop("do"))(**order)
                print(json.dumps(answer), flush=True)
        finally:
            for phone in self.phones:
                await phone.leave()
            await self.media.close()
            await self.hub.close()
            await self.voters.close()


# -- the hub ----------------------------------------------------------------------------------------------------


async def open_vote(house: House) -> tuple[Figures, dict[str, bytes]]:
    """Open a vote in which everyone may vote again and again; return its manifest and the credentials' seeds."""
    seeds = {name: await votes.check_in(house.people[name], house.meeting) for name in VOTERS}
    await votes.make_key([house.ana, house.paul, house.amira], house.meeting)
    for name in VOTERS[:5]:
        await votes.name_cosigner(house.people[name], house.meeting)
    await house.command("lan", "open")
    body = drafts.question(house.items[0], voting_again="last-counts")
    election = (await house.jonas.post(house.path("/questions"), body))["election"]
    await votes.open_election(house.lan, house.meeting, election)
    return (await house.lan.get(house.path(f"/elections/{election}/manifest")))["manifest"], seeds


class Bench:
    """The link, the hub, and the orders to the hall."""

    def __init__(self, link: Emulator, house: House, hall: asyncio.subprocess.Process, seat: str) -> None:
        self.link, self.house, self._hall, self.seat = link, house, hall, seat
        self.seats: list[Seat] = []

    async def order(self, do: str, **data: Any) -> Figures:
        """Let the hall do something and return its answer."""
        assert self._hall.stdin is not None
        self._hall.stdin.write(json.dumps({"do": do, **data}).encode() + b"\n")
        await self._hall.stdin.drain()
        return await self.answer()

    async def answer(self) -> Figures:
        """Return the next line of the hall.

        Raises:
            RuntimeError: it has ended.
        """
        assert self._hall.stdout is not None
        line = await self._hall.stdout.readline()
        if not line:
            raise RuntimeError("the hall's process has ended")
        found: Figures = json.loads(line)
        return found

    async def speakers(self, count: int, frames_per_s: float) -> None:
        """Let so many people at the hub speak at once, the first with a camera."""
        for index, name in enumerate(VOTERS[:count]):
            seat = Seat(self.house.context.media, self.house.meeting, self.house.people[name].member)
            self.seats.append(seat)
            await seat.speak(5001 + index)
            if index == 0:
                await seat.show(frames_per_s)

    async def watch(self) -> None:
        """Let somebody at the hub hear and see the hall, whose microphone and camera cross for nobody else."""
        seat = Seat(self.house.context.media, self.house.meeting, self.house.greta.member)
        self.seats.append(seat)
        await self.house.context.media.join(self.house.meeting, seat.owner)
        there: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while there.count(self.seat) < 2:
                there = [one["owner"] for one in (await seat.ask("list"))["producers"]]
                await asyncio.sleep(0.1)
        await seat.listen()

    async def pipe(self) -> Figures:
        """Return what the hub's end of the pipe says of its link."""
        (stats,) = await self.house.context.media.sites.pool.stats()
        (end,) = stats["pipes"]
        names = (
            "packets_sent",
            "octets_sent",
            "estimate",
            "loss",
            "voices_crossing",
            "layers_crossing",
            "redundancy",
        )
        return {name: end[name] for name in names}

    @property
    def sent(self) -> int:
        """How many packets everybody at the hub has sent so far."""
        return sum(seat.sent for seat in self.seats)

    async def carried(self, seconds: float) -> Figures:
        """Return what crosses the link in some seconds."""
        hall_before = await self.order("count")
        before, pipe_before, sent = await self.link.order(), await self.pipe(), self.sent
        await asyncio.sleep(seconds)
        after, pipe, sent = await self.link.order(), await self.pipe(), self.sent - sent
        hall = await self.order("count")
        octets = {way: after[way]["octets"] - before[way]["octets"] for way in ("down", "up")}
        return {
            **{f"{way}_kbit": round(octets[way] * 8 / seconds / 1000, 1) for way in octets},
            "octets": sum(octets.values()),
            "published": sent,
            "octets_per_published": round(sum(octets.values()) / max(1, sent), 2),
            "in_pipe": {name: pipe[name] - pipe_before[name] for name in ("packets_sent", "octets_sent")},
            "heard": hall["heard"] - hall_before["heard"],
            "dropped_by_queue": sum(after[way]["overflowed"] - before[way]["overflowed"] for way in octets),
            "longest_queue_ms": round(1000 * max(after[way]["longest"] for way in octets)),
            "pipe": {name: value for name, value in pipe.items() if not name.endswith("_sent")},
        }


async def copies(bench: Bench, options: argparse.Namespace) -> Figures:
    """M13: what crosses with one phone in the hall, and with many."""
    await bench.link.both(kbit=options.kbit, delay_ms=1000 * ROUND_TRIP_S / 2)
    await bench.order("join", phones=1)
    await asyncio.sleep(options.settle)
    one = await bench.carried(options.seconds)
    await bench.order("join", phones=options.phones - 1)
    await asyncio.sleep(options.settle)
    many = await bench.carried(options.seconds)
    return {
        "kbit": options.kbit,
        "one": one,
        "many": {"phones": options.phones, **many},
        "difference": round(many["octets_per_published"] / one["octets_per_published"] - 1, 4),
    }


def spread(found: list[float]) -> Figures:
    """Return how many there are, with their quantiles in seconds."""
    ordered = sorted(found)
    return {
        "votes": len(ordered),
        "p50_s": round(statistics.median(ordered), 2),
        "p95_s": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 2),
        "longest_s": round(ordered[-1], 2),
    }


async def ballots(bench: Bench, options: argparse.Namespace) -> Figures:
    """M17: how long a cast takes over 64 kbit/s: alone, with media both ways, and beside what never yields."""
    result: Figures = {}
    await bench.link.both(kbit=64, delay_ms=1000 * ROUND_TRIP_S / 2)
    result["without media"] = await cast(bench, options, options.votes)
    await bench.house.command("lan", "grant-floor", member=bench.seat)
    await bench.order("join", phones=2)
    await bench.order("speak", frames=SMALL_FRAMES)
    await bench.watch()
    await asyncio.sleep(options.settle)
    result["media alone"] = await bench.carried(options.seconds)
    result["with media"] = await cast(bench, options, options.votes)
    few = max(2, options.votes // 4)
    seconds = few * options.every + 15
    await bench.order("flood", seconds=seconds, kbit=FLOOD_KBIT)
    task = asyncio.create_task(flood(HOME, seconds, FLOOD_KBIT))
    result["control alone"] = await bench.carried(5)
    result["control: with a stream that does not yield"] = await cast(bench, options, few)
    await task
    return result


async def cast(bench: Bench, options: argparse.Namespace, count: int) -> Figures:
    """Let so many votes be cast; return how long they took, and what crossed the link meanwhile."""
    before, begun = await bench.link.order(), time.monotonic()
    found = await bench.order("vote", seconds=count * options.every, every=options.every)
    after, seconds = await bench.link.order(), time.monotonic() - begun
    rates = {
        f"{way}_kbit": round((after[way]["octets"] - before[way]["octets"]) * 8 / 1000 / seconds, 1)
        for way in ("down", "up")
    }
    queue = {f"longest_queue_{way}_ms": round(1000 * after[way]["longest"]) for way in ("down", "up")}
    late = {"link_late_ms": round(max(after[way]["late_ms"] for way in ("down", "up")), 1)}
    return {"cast": spread(found["casts"]), "look, seal and cast": spread(found["whole"]), **rates, **queue, **late}


SCENARIOS = {"copies": copies, "votes": ballots}


async def measure(options: argparse.Namespace, name: str) -> Figures:
    """Build hub, link and hall, and run one scenario."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="folkmoot-relay-")))
        link = Emulator()
        await link.start()
        stack.push_async_callback(link.stop)
        link.enter(link.hub)
        (folder / "hub").mkdir()
        house = await stack.enter_async_context(serve(folder / "hub", media_worker=True, address=HUB))
        await house.enrol()
        await house.begin()
        manifest, seeds = await open_vote(house)
        wanted = sites.Wanted("Upper hall", "", 40, 64)
        site = await house.context.database.write(
            lambda tx: sites.add(
                tx, house.meeting, house.lan.member, wanted, now=house.clock.at, rng=secrets.token_bytes
            )
        )
        device = secrets.token_bytes(32)
        relay = await enrol(house, site, device)
        started = await begin_epoch(house, relay, device)
        told = {
            "hub": f"http://{HUB}:{house.settings.port}",
            "origin": house.origin,
            "meeting": house.meeting,
            "seat": site_seat(site),
            "relay": relay,
            "seed": device.hex(),
            "epoch": started["epoch"],
            "token": started["token"],
            "manifest": manifest,
            "voters": [{"seed": seeds[name].hex(), "cookie": cookie_of(house, name)} for name in VOTERS],
        }
        path = folder / "hall.json"
        path.write_text(json.dumps(told))
        hall = await asyncio.create_subprocess_exec(
            *("ip", "netns", "exec", link.home, sys.executable, __file__, "--hall", str(path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
        bench = Bench(link, house, hall, site_seat(site))
        try:
            await bench.answer()
            await bench.speakers(options.voices, options.frames)
            return await SCENARIOS[name](bench, options)
        finally:
            for seat in bench.seats:
                await seat.leave()
            assert hall.stdin is not None
            hall.stdin.close()
            await hall.wait()


def cookie_of(house: House, name: str) -> str:
    """Return the session cookie of somebody, for a voter on the other side of the link."""
    jar = house.people[name]._http.cookie_jar
    return "; ".join(f"{one.key}={one.value}" for one in jar)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A hall behind a thin link")
    parser.add_argument("--only", nargs="*", choices=SCENARIOS, help="only these scenarios")
    parser.add_argument("--phones", type=int, default=40, help="in the hall, at last")
    parser.add_argument("--kbit", type=float, default=512.0, help="of the link where copies are counted")
    parser.add_argument("--voices", type=int, default=3, help="who speak at the hub at once")
    parser.add_argument("--frames", type=float, default=12.0, help="of the camera, 1000 bytes each, in a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    parser.add_argument("--settle", type=float, default=20.0, help="seconds before each measurement")
    parser.add_argument("--votes", type=int, default=40, help="in each part of the votes")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two votes")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--hall", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


async def hold_hall(told: Figures, folder: Path) -> None:
    """Be the hall, in the namespace on the other side of the link."""
    await Hall(told, folder).run()


def main() -> int:
    """Measure, print and write the figures."""
    options = parse()
    if options.hall is not None:
        asyncio.run(hold_hall(json.loads(options.hall.read_text()), options.hall.parent))
        return 0
    if os.getuid() != 0:
        raise SystemExit("namespaces and TUN devices need root")
    found: Figures = {}
    for name in options.only or SCENARIOS:
        found[name] = asyncio.run(measure(options, name))
        print(json.dumps({name: found[name]}, indent=1), flush=True)
    found["load_average"] = round(os.getloadavg()[0], 2)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    over = abs(found.get("copies", {}).get("difference", 0.0)) > MOST_DIFFERENCE
    late = (
        found.get("votes", {}).get("with media", {}).get("cast", {}).get("p95_s", 0.0) > VOTE_LIMIT_S + ROUND_TRIP_S
    )
    return 1 if over or late else 0


if __name__ == "__main__":
    sys.exit(main())
