"""The network of a meeting in many places: a hub, halls with LANs of their own, and members alone, behind links.

Everything has its namespace. A hall is three of them: the router at the end of the link, which translates addresses,
the relay behind it, and the LAN, which reaches the relay and nothing else. The hub has no way to the last two. The
names https://folkmoot.test and https://hallN.folkmoot.test mean another address in each, as they do for people:
/etc/netns/NAME/hosts says it to programs, `Net.connector` to this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from loadtests.emulator import Emulator, enter, ip
from loadtests.l0_link import Link, silence_ipv6
from loadtests.router import Router, Watch, silence_all_ipv6
from tests.browser.serving import TEST_HOST, Authority

from folkmoot_server.demo.relay_folder import RelayFolder

HUB_ADDRESS: Final = "10.80.0.1"
PORT: Final = 443
START_S: Final = 60.0
BROWSER_KEEPS_S: Final = 300.0
SHORT_S: Final = 3.0
NETNS: Final = Path("/etc/netns")
ROOT: Final = Path(__file__).resolve().parent.parent


class Names(AbstractResolver):
    """What names mean in one namespace."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = hosts

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the address that the name has here.

        Raises:
            OSError: it has none.
        """
        if host not in self._hosts:
            raise OSError(f"{host} has no address here")
        flags = socket.AI_NUMERICHOST
        return [ResolveResult(hostname=host, host=self._hosts[host], port=port, family=family, proto=0, flags=flags)]

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Place:
    """One namespace and what names mean in it."""

    name: str
    hosts: dict[str, str]


class Program:
    """A program of ours in a namespace; it says a certain word on standard output when it is ready."""

    def __init__(self, place: Place, words: Sequence[str], log: Path, ready: str, env: Mapping[str, str]) -> None:
        self._place, self._words, self._log, self._ready, self._env = place, words, log, ready, env
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, *more: str) -> None:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it ended, or was not ready in time.
        """
        said = self._log.with_suffix(".out")
        self._process = process = self._spawn(said, more)
        end = time.monotonic() + START_S
        while self._ready not in said.read_text():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self._words[0]} did not start: {self._log.read_text()[-2000:]}")
            await asyncio.sleep(0.05)

    def _spawn(self, said: Path, more: Sequence[str]) -> subprocess.Popen[bytes]:
        command = ["ip", "netns", "exec", self._place.name, sys.executable, "-m", "folkmoot_server.cli"]
        with self._log.open("ab") as log, said.open("wb") as output:
            return subprocess.Popen(
                [*command, *self._words, *more],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env={**os.environ, **self._env},
                start_new_session=True,
            )

    async def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, by SIGKILL as a power cut would, and what it has started, and wait."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        await asyncio.to_thread(process.wait)
        with contextlib.suppress(ProcessLookupError):  # a power cut leaves no media worker either
            os.killpg(process.pid, signal.SIGKILL)


@dataclass
class HallPlace(RelayFolder):
    """A hall: its link, the relay's namespace and its LAN, the relay itself, and the router, where there is one."""

    number: int
    link: Link
    folder: Path
    inside: Place
    lan: Place
    relay: Program
    router: Router | None
    watch: Watch | None

    @property
    def addresses(self) -> tuple[str, str]:
        """The relay's addresses: in its LAN, where its pages are, and towards the router."""
        return lan_address(self.number), relay_address(self.number)

    @property
    def origin(self) -> str:
        """The address of the relay's pages."""
        return f"https://{hall_host(self.number)}"


def hall_host(number: int) -> str:
    """Return the name of a hall's relay."""
    return f"hall{number}.{TEST_HOST}"


def lan_address(number: int) -> str:
    """Return the address of a hall's relay in the hall's LAN."""
    return f"192.168.{number}.1"


def relay_address(number: int) -> str:
    """Return the address of a hall's relay behind its router."""
    return f"172.16.{number}.2"


@dataclass
class Net:
    """All namespaces of one run; `open` makes the hub's, and the other places follow.

    Without `translates` the relays stand at the ends of their links, and the hub has a way to each. `others` are
    further hosts that need a certificate.
    """

    folder: Path
    halls_most: int
    translates: bool = True
    others: Sequence[str] = ()
    mark: int = field(default_factory=lambda: os.getpid() % 100_000)
    places: list[Place] = field(default_factory=list)
    links: int = 0

    async def open(self, stack: AsyncExitStack) -> None:
        """Make the hub's namespace and move this process into it.

        Raises:
            OSError, RuntimeError, subprocess.CalledProcessError: not to be had here.
        """
        self._stack = stack
        halls = [hall_host(number + 1) for number in range(self.halls_most)]
        self.authority = Authority.make(self.folder, [*halls, *self.others])
        self.trust = ssl.create_default_context(cafile=str(self.authority.ca))
        self.hub = self._place("hub", {TEST_HOST: HUB_ADDRESS})
        ip(f"-n {self.hub.name} addr add {HUB_ADDRESS}/32 dev lo")
        self.online(self.hub.name)
        self.enter(self.hub)

    def try_router(self) -> None:
        """See that addresses can be translated, where that is wanted.

        Raises:
            NoTranslationError: they cannot.
        """
        if self.translates:
            place = self._place("try", {})
            Router(place.name, "lo", "lo").open()

    def enter(self, place: Place) -> None:
        """Move this thread, and the sockets that it makes from now on, into a namespace."""
        enter(place.name)

    @staticmethod
    def online(name: str) -> None:
        """Give a place whose only device is a tunnel another one: Chromium takes it for offline otherwise."""
        ip(f"-n {name} link add online0 type veth peer name online1")
        for device in ("online0", "online1"):
            ip(f"-n {name} link set {device} up")
        ip(f"-n {name} addr add 192.0.2.1/32 dev online0")

    def _place(self, what: str, hosts: dict[str, str]) -> Place:
        name = f"{what}-{self.mark}"
        ip(f"netns add {name}")
        self._stack.callback(ip, f"netns del {name}")
        ip(f"-n {name} link set lo up")
        return self._named(name, hosts)

    def _named(self, name: str, hosts: dict[str, str]) -> Place:
        """Say what names mean in a namespace, where `ip netns exec` looks for it."""
        silence_all_ipv6(name)
        place = Place(name, hosts)
        folder = NETNS / name
        folder.mkdir(parents=True)
        self._stack.callback(shutil.rmtree, folder)
        self._say(place)
        self.places.append(place)
        return place

    @staticmethod
    def _say(place: Place) -> None:
        lines = ["127.0.0.1 localhost", *(f"{address} {host}" for host, address in place.hosts.items())]
        (NETNS / place.name / "hosts").write_text("\n".join(lines) + "\n")

    async def line(self) -> tuple[Link, Place]:
        """Lay a link from the hub to a new place behind it."""
        self.links += 1
        emulator = Emulator(self.hub.name, self.links)
        self._stack.push_async_callback(emulator.stop)
        await emulator.start()
        silence_ipv6(emulator)
        ip(f"-n {emulator.home} route add default dev {emulator.home_device}")
        self.online(emulator.home)
        return Link(emulator), self._named(emulator.home, {TEST_HOST: HUB_ADDRESS})

    def behind(self, outside: Place, number: int, what: str, hosts: dict[str, str]) -> tuple[Place, str]:
        """Make a place behind the end of a link; return it, and the device towards it."""
        inside = self._place(f"{what}{number}", hosts)
        near, far = f"nat{number}a-{self.mark}"[:15], f"nat{number}b-{self.mark}"[:15]
        self._cable((outside, near, f"172.16.{number}.1"), (inside, far, relay_address(number)))
        ip(f"-n {inside.name} route add default via 172.16.{number}.1")
        return inside, near

    def beside(self, host: str, near: str, address: str) -> Place:
        """Make a host next to the hub, which everybody reaches by way of it and the hub by name."""
        place = self._place(host.partition(".")[0], {TEST_HOST: HUB_ADDRESS})
        self._cable((self.hub, f"{place.name}a"[:15], near), (place, f"{place.name}b"[:15], address))
        ip(f"-n {place.name} route add default via {near}")
        self.hub.hosts[host] = address
        self._say(self.hub)
        return place

    @staticmethod
    def ask_router(place: Place, number: int) -> str:
        """Let a place behind a router ask it for names; return the router's address there."""
        address = f"172.16.{number}.1"
        (NETNS / place.name / "resolv.conf").write_text(f"nameserver {address}\n")
        return address

    @staticmethod
    def _cable(*ends: tuple[Place, str, str]) -> None:
        (one, near, _), (other, far, _) = ends
        ip(f"link add {near} netns {one.name} type veth peer name {far} netns {other.name}")
        for place, device, own in ends:
            ip(f"-n {place.name} addr add {own}/24 dev {device}")
            ip(f"-n {place.name} link set {device} up")

    async def hall(self) -> HallPlace:
        """Make a hall behind a link of its own, its relay not started yet.

        Raises:
            NoTranslationError: this system translates no addresses.
        """
        link, inside = await self.line()
        number, host = self.links, hall_host(self.links)
        address, router, watch = lan_address(number), None, None
        if self.translates:
            end, (inside, device) = inside, self.behind(inside, number, "relay", {TEST_HOST: HUB_ADDRESS})
            ip(f"-n {end.name} route add {address}/32 via {relay_address(number)}")
            router = Router(end.name, link.emulator.home_device, device)
            router.open()
            watch = Watch(self.hub.name, link.emulator.hub_device)
            watch.open()
        else:
            ip(f"-n {self.hub.name} route add {address}/32 dev {link.emulator.hub_device}")
        lan = self._place(f"lan{number}", {host: address})
        near, far = f"lan{number}a-{self.mark}"[:15], f"lan{number}b-{self.mark}"[:15]
        self._cable((inside, near, address), (lan, far, f"192.168.{number}.2"))
        folder = self.folder / f"relay-{number}"
        words = ["relay", "--hub", f"https://{TEST_HOST}", "--data", str(folder), "--listen", f"{address}:{PORT}"]
        words += ["--cert", str(self.folder / f"{host}.pem"), "--key", str(self.folder / f"{host}.key")]
        env = {"SSL_CERT_FILE": str(self.authority.ca)}
        relay = Program(inside, words, self.folder / f"relay-{number}.log", "on port", env)
        self._stack.push_async_callback(relay.end)
        return HallPlace(number, link, folder, inside, lan, relay, router, watch)

    def server(self, settings: Mapping[str, str]) -> Program:
        """Return the hub's server, not started yet; its links are in links.json when it is ready."""
        words = ["serve", "--host", HUB_ADDRESS, "--port", str(PORT), "--data", str(self.folder / "data")]
        words += ["--public-url", f"https://{TEST_HOST}", "--announce-ip", HUB_ADDRESS]
        words += ["--media-listen-ip", HUB_ADDRESS, "--media-workers", "1"]
        words += ["--cert", str(self.authority.certificate), "--key", str(self.authority.key)]
        words += ["--print-links-json", str(self.folder / "links.json")]
        program = Program(self.hub, words, self.folder / "hub.log", "is ready", settings)
        self._stack.push_async_callback(program.end)
        return program

    def connector(self, place: Place, keep_s: float = BROWSER_KEEPS_S) -> aiohttp.TCPConnector:
        """Return what opens connections from a namespace; whoever keeps them as long as browsers sends again."""

        def make(found: Any) -> socket.socket:
            self.enter(place)
            try:
                return socket.socket(family=found[0], type=found[1], proto=found[2])
            finally:
                self.enter(self.hub)

        return aiohttp.TCPConnector(
            resolver=Names(place.hosts),
            socket_factory=make,
            ssl=self.trust,
            keepalive_timeout=keep_s,
            limit_per_host=6,
        )

    async def reaches(self, place: Place, address: str, within_s: float = 5.0) -> bool:
        """Say whether the hub's or a relay's port can be reached from a namespace by its address."""
        self.enter(place)
        try:
            probe = socket.socket()
        finally:
            self.enter(self.hub)
        probe.setblocking(False)
        with probe:
            try:
                async with asyncio.timeout(within_s):
                    await asyncio.get_running_loop().sock_connect(probe, (address, PORT))
            except OSError:
                return False
        return True
