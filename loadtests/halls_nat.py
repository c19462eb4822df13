"""What a hall's router does to the hall: who gets in unasked, and how soon voices are back when it has forgotten.

Both ends of the pipe have somebody who speaks fifty times a second and hears the other; times are those of arrival.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from loadtests.emulator import ip
from loadtests.halls_meeting import OFFICERS, Assembly, Hall
from loadtests.halls_net import HUB_ADDRESS, HallPlace, Net, Place
from loadtests.halls_phone import Figures, Phone, until
from loadtests.router import within

from folkmoot_server.demo.webrtc import MediaPeer, Microphone

FRAME_S: Final = 0.02
LEVEL_DBOV: Final = 30
KNOCK_PORT: Final = 4000
KNOCK_S: Final = 2.0
ASK_EVERY_S: Final = 0.25
STEADY: Final = 25  # packets in half a second: the voice is there
SHORT_LIFE_S: Final = 2
LIVES_S: Final = (30, 5, SHORT_LIFE_S)
QUIET_S: Final = 6.0
CUT_S: Final = 14.0
HAND_S: Final = 10.0  # a relay is alone after 8 s
HEARD: Final = ("hub", "hall")


# -- who gets in ------------------------------------------------------------------------------------------------


async def _arrives(inside: Place, address: str, target: str) -> bool:
    """Send datagrams from the hub to a socket in a place; say whether one comes there."""
    with within(inside.name):
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sink, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        sink.bind((address, KNOCK_PORT))
        sink.setblocking(False)
        end = time.monotonic() + KNOCK_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError):  # no way there
                source.sendto(b"anybody there?", (target, KNOCK_PORT))
            await asyncio.sleep(0.1)
            with contextlib.suppress(BlockingIOError):
                return bool(sink.recv(100))
    return False


async def _knock(net: Net, place: HallPlace) -> Figures:
    """Say what of the hub's gets to the relay by itself: to its pages, and to a port towards the router."""
    lan, inner = place.addresses
    outer = place.link.emulator.home_address
    pages, datagram, mapped = await asyncio.gather(
        net.reaches(net.hub, lan, KNOCK_S),
        _arrives(place.inside, inner, inner),
        net.reaches(net.hub, outer, KNOCK_S),
    )
    return {"connection": pages, "datagram": datagram, "connection to the router": mapped}


async def unasked(net: Net, place: HallPlace) -> Figures:
    """Return what gets from the hub to a relay by itself, with and without a way to it, and whom the hub hears.

    The control is the router's door, opened on purpose: then the same gets in.
    """
    router, watch = place.router, place.watch
    if router is None or watch is None:
        return {}
    await net.reaches(place.inside, HUB_ADDRESS)
    found: Figures = {"hub to relay": await _knock(net, place)}
    before, device = router.dropped(), place.link.emulator.hub_device
    ways = [f"{address}/32 dev {device}" for address in place.addresses]
    for way in ways:
        ip(f"-n {net.hub.name} route add {way}")
    try:
        found["hub to relay, by a route"] = await _knock(net, place)
        found["unasked packets dropped"] = router.dropped()["unasked"] - before["unasked"]
        heard = {address for _, address, _ in watch.heard()}
        found["hub hears the router alone"] = heard == {place.link.emulator.home_address}
        with router.door(*place.addresses):
            found["control: the router's door is open"] = await _knock(net, place)
    finally:
        for way in ways:
            ip(f"-n {net.hub.name} route del {way}")
        watch.forget()
    return found


def closed_problems(reach: Figures) -> list[str]:
    """Return what of `unasked` is not as it must be."""
    found = []
    for name, one in reach.items():
        if "hub to relay" not in one:
            continue
        for what in ("hub to relay", "hub to relay, by a route"):
            found += [f"{name}: {what}: {kind}" for kind, got_in in one[what].items() if got_in]
        control = one["control: the router's door is open"]
        if not (control["connection"] and control["datagram"]):
            found.append(f"{name}: nothing gets in by the open door either")
        if not one["unasked packets dropped"]:
            found.append(f"{name}: the router has dropped nothing")
        if not one["hub hears the router alone"]:
            found.append(f"{name}: the hub hears others than the router")
    return found


# -- voices -----------------------------------------------------------------------------------------------------


class Ear(MediaPeer):
    """Hears; `came` are the times of all packets of voices."""

    def __init__(self, person: Phone) -> None:
        super().__init__(person.media)
        self.came: list[float] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Note when a packet of a voice came."""
        before = sum(self.received.values())
        super().datagram_received(data, addr)
        if sum(self.received.values()) > before:
            self.came.append(time.monotonic())


def _socket_in(place: Place, address: tuple[str, int]) -> socket.socket:
    with within(place.name):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.connect(address)
    return made


class Voices:
    """The chair at the hub and the hall's own seat, who both speak and listen."""

    def __init__(self, assembly: Assembly, hall: Hall, stack: AsyncExitStack) -> None:
        self.assembly, self.hall, self._stack = assembly, hall, stack
        self.ears: dict[str, Ear] = {}
        self.silent = False
        self._microphones: list[Microphone] = []

    async def begin(self) -> None:
        """Let both speak and hear; the hall has the floor."""
        await self.assembly.command("grant-floor", member=f"site:{self.hall.site}")
        hub, hall = self.assembly.net.hub, self.hall.place.lan
        for name, person, place in zip(HEARD, (self.assembly.chair, self.hall.custodian), (hub, hall), strict=True):
            can = (await person.media("capabilities", {}))["rtpCapabilities"]
            await self._speak(person, place)
            self.ears[name] = await self._listen(person, place, can)
        task = asyncio.create_task(self._go_on())
        self._stack.callback(task.cancel)
        await self.flowing("both voices at the beginning")

    async def _peer(self, peer: MediaPeer, direction: str, place: Place) -> MediaPeer:
        self._stack.push_async_callback(peer.close)
        await peer.connect(direction, partial(_socket_in, place))
        return peer

    async def _speak(self, person: Phone, place: Place) -> None:
        peer = await self._peer(MediaPeer(person.media), "send", place)
        microphone = Microphone(peer, LEVEL_DBOV)
        wanted = {"kind": "audio", "source": "microphone", "paused": False}
        parameters = {"rtpParameters": microphone.parameters(), "transport_id": peer.transport_id}
        await person.media("produce", {**wanted, **parameters})
        self._microphones.append(microphone)

    async def _listen(self, person: Phone, place: Place, can: Figures) -> Ear:
        ear = Ear(person)
        await self._peer(ear, "recv", place)
        for slot in (await person.media("list", {}))["slots"]:
            about = {"transport_id": ear.transport_id, "producer_id": slot["producer_id"], "rtpCapabilities": can}
            consumer = await person.media("consume", about)
            await person.media("resume_consumer", {"consumer_id": consumer["id"]})
        return ear

    async def _go_on(self) -> None:
        due = time.monotonic()
        while True:
            due += FRAME_S
            for microphone in () if self.silent else self._microphones:
                microphone.frame()
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def flowing(self, what: str, since: float | None = None) -> None:
        """Wait until both are heard, half a second long, from a moment on."""
        begin = time.monotonic() if since is None else since

        async def both() -> bool:
            return all(sum(at > begin for at in ear.came[-2 * STEADY :]) > STEADY for ear in self.ears.values())

        await until(both, what, every_s=0.05)

    def gaps(self, began: float, done: float, end: float) -> Figures:
        """Return for both ends how long at most nothing came during a change, and when it came again after that."""
        found: Figures = {}
        for name, ear in self.ears.items():
            times = [at for at in ear.came if began - 1 < at <= end]
            widest = max(itertools.pairwise(times), key=lambda pair: pair[1] - pair[0])
            found[f"longest gap at the {name}_s"] = round(widest[1] - widest[0], 2)
            found[f"voice back at the {name} after_s"] = round(max(0.0, widest[1] - done), 2)
        return found


# -- what the router does ---------------------------------------------------------------------------------------


class Course:
    """One hall whose router does this and that while both ends speak."""

    def __init__(self, voices: Voices, options: argparse.Namespace) -> None:
        self.voices, self._rest_s = voices, float(options.rest_s)
        self.place = voices.hall.place
        assert self.place.router is not None
        assert self.place.watch is not None
        self.router, self.watch = self.place.router, self.place.watch

    def ports(self) -> set[tuple[str, int]]:
        """From where the hub has had datagrams of this hall."""
        return {(address, port) for protocol, address, port in self.watch.heard() if protocol == "udp"}

    async def change(self, what: str, work: Callable[[], Awaitable[None]]) -> Figures:
        """Change something; return when both voices were back, from how many new ports, and that they stay."""
        before, began, alone = self.ports(), time.monotonic(), asyncio.create_task(self._alone())
        await work()
        done = time.monotonic()

        async def elsewhere() -> bool:
            return self.ports() > before

        await until(elsewhere, f"another mapping: {what}", every_s=0.05)
        await self.voices.flowing(f"voices: {what}", time.monotonic())
        await asyncio.sleep(self._rest_s)
        end = time.monotonic()
        alone.cancel()
        found = {"change took_s": round(done - began, 2), **self.voices.gaps(began, done, end)}
        found["pages said that the hall is cut off for_s"] = round(await alone, 1)
        await self.voices.flowing(f"voices that stay: {what}", end)
        return {**found, "new mappings": len(self.ports() - before)}

    async def _alone(self) -> float:
        """Ask as a page in the hall until this is cancelled; return for how long the relay answered by itself."""
        phone, last, total = self.voices.hall.phones[1], time.monotonic(), 0.0
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                async with phone._http.get(f"{phone.origin}/api/session") as answer:
                    now = time.monotonic()
                    total += now - last if "Folkmoot-Cut" in answer.headers else 0.0
                    last = now
                await asyncio.sleep(ASK_EVERY_S)
        return total

    async def forget(self) -> None:
        """The router is started anew."""
        self.router.forget()

    async def move(self) -> None:
        """The router gets another address, and with it other mappings."""
        emulator = self.place.link.emulator
        network, _, last = emulator.home_address.rpartition(".")
        before, emulator.home_address = emulator.home_address, f"{network}.{int(last) + 1}"
        self.router.move(before, emulator.home_address)

    async def cut(self) -> None:
        """The line is cut for long enough that the hall goes on alone, and the router forgets meanwhile."""
        emulator = self.place.link.emulator
        await emulator.both(cut=True)
        await asyncio.sleep(CUT_S)
        self.router.forget()
        await emulator.both(cut=False)

    async def life(self, seconds: int) -> Figures:
        """Be silent while mappings live so long, then speak: how soon the other end hears, and what changed."""
        self.router.keep_for(seconds)
        self.router.forget()
        await self.voices.flowing("voices with a shorter life of mappings", time.monotonic() + 3)
        self.voices.silent, before = True, self.ports()
        changed = await self._silent_socket()
        during, began = self.ports() - changed, time.monotonic()
        self.voices.silent = False
        await self.voices.flowing("voices after a silence", began)
        first = {
            f"first at the {name} after_s": round(min(at for at in ear.came if at > began) - began, 2)
            for name, ear in self.voices.ears.items()
        }
        return {"new mappings in the silence": len(during - before), "a silent socket's ports": len(changed), **first}

    async def _silent_socket(self) -> set[tuple[str, int]]:
        """The control of a mapping's life: from where the hub hears a socket that is silent in between."""
        with within(self.place.inside.name):
            source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        heard = set()
        with source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
            sink.bind((HUB_ADDRESS, KNOCK_PORT))
            sink.setblocking(False)
            for silence in (QUIET_S, 0.0):
                source.sendto(b"it is me", (HUB_ADDRESS, KNOCK_PORT))
                _, address = await asyncio.wait_for(asyncio.get_running_loop().sock_recvfrom(sink, 100), KNOCK_S)
                heard.add((str(address[0]), int(address[1])))
                await asyncio.sleep(silence)
        return heard


async def _found(net: Net, stack: AsyncExitStack) -> Assembly:
    """Make a meeting with one hall, in which two have checked in."""
    assembly = Assembly(net, stack)
    await assembly.found(OFFICERS + 2, {})
    await assembly.enrol(assembly.links)
    await assembly.convene((2,), 0)
    await assembly.arrive()
    await assembly.command("open")
    return assembly


async def hold(net: Net, stack: AsyncExitStack, options: argparse.Namespace) -> Figures:
    """Let a hall's router do what routers do; return the figures."""
    assembly = await _found(net, stack)
    (hall,) = assembly.halls
    result: Figures = {"reach": {hall.place.origin: await unasked(net, hall.place)}}
    wide = {"kbit": 4000, "delay_ms": options.rtt_ms / 2, "loss": 0.0}
    await hall.place.link.emulator.both(**wide)
    voices = Voices(assembly, hall, stack)
    await voices.begin()
    course = Course(voices, options)
    result["mappings forgotten"] = [await course.change("forgotten", course.forget) for _ in range(options.times)]
    result["another address"] = [await course.change("moved", course.move) for _ in range(options.times)]
    result["life of a mapping"] = {f"{life} s": await course.life(life) for life in LIVES_S[-options.lives :]}
    course.router.keep_for(LIVES_S[0])
    hands = asyncio.create_task(_hand(hall))
    result["cut and forgotten"] = await course.change("cut", course.cut)
    result["hand in the cut"] = await hands
    await until(hall.place.delivered, "the outbox at the hub")
    result["entries at the hub"] = assembly.relay_row(hall)[1]
    result["hub hears"] = sorted({address for _, address, _ in course.watch.heard()})
    return result


async def _hand(hall: Hall) -> Figures:
    """Somebody in the hall asks to speak while the line is cut; return the status and when it was given."""
    began = time.monotonic()
    await asyncio.sleep(HAND_S)
    status = await hall.phones[1].raise_hand()
    return {"status": status, "after_s": round(time.monotonic() - began, 1)}


def problems(result: Figures) -> list[str]:
    """Return what of the figures is not as it must be; those of time are for whoever reads them."""
    found = closed_problems(result["reach"])
    if result["hand in the cut"]["status"] != 202 or result["entries at the hub"] < 1:
        found.append(f"the outbox did not come across: {result['hand in the cut']}")
    found += [
        f"a mapping that lives {name} was not forgotten in {QUIET_S:g} s"
        for name, one in result["life of a mapping"].items()
        if (one["a silent socket's ports"] == 1) == (int(name.split()[0]) < QUIET_S)
    ]
    inner = [one for one in result["hub hears"] if not one.startswith("10.79.")]
    if inner:
        found.append(f"the hub has heard {inner}")
    return found
