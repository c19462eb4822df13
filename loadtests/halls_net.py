"""The network of a meeting in many places: a hub, halls with LANs of their own, and members alone, behind links.

Everything has its namespace. A hall is two of them: in one the relay with the link to the hub, in the other its LAN,
which reaches the relay and nothing else. The names https://folkmoot.test and https://hallN.folkmoot.test mean another
address in each, as they do for people: /etc/netns/NAME/hosts says it to programs, `Net.connector` to this process.
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
    """A hall: its link, the relay's namespace and its LAN, and the relay itself."""

    number: int
    link: Link
    folder: Path
    inside: Place
    lan: Place
    relay: Program

    @property
    def origin(self) -> str:
        """The address of the relay's pages."""
        return f"https://{hall_host(self.number)}"


def hall_host(number: int) -> str:
    """Return the name of a hall's relay."""
    return f"hall{number}.{TEST_HOST}"


@dataclass
class Net:
    """All namespaces of one run; `open` makes the hub's, and the other places follow."""

    folder: Path
    halls_most: int
    mark: int = field(default_factory=lambda: os.getpid() % 100_000)
    places: list[Place] = field(default_factory=list)
    links: int = 0

    async def open(self, stack: AsyncExitStack) -> None:
        """Make the hub's namespace and move this process into it.

        Raises:
            OSError, RuntimeError, subprocess.CalledProcessError: not to be had here.
        """
        self._stack = stack
        self.authority = Authority.make(self.folder, [hall_host(number + 1) for number in range(self.halls_most)])
        self.trust = ssl.create_default_context(cafile=str(self.authority.ca))
        self.hub = self._place("hub", {TEST_HOST: HUB_ADDRESS})
        ip(f"-n {self.hub.name} addr add {HUB_ADDRESS}/32 dev lo")
        self._online(self.hub.name)
        self.enter(self.hub)

    def enter(self, place: Place) -> None:
        """Move this thread, and the sockets that it makes from now on, into a namespace."""
        enter(place.name)

    @staticmethod
    def _online(name: str) -> None:
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
        place = Place(name, hosts)
        folder = NETNS / name
        folder.mkdir(parents=True)
        self._stack.callback(shutil.rmtree, folder)
        lines = ["127.0.0.1 localhost", *(f"{address} {host}" for host, address in hosts.items())]
        (folder / "hosts").write_text("\n".join(lines) + "\n")
        self.places.append(place)
        return place

    async def line(self) -> tuple[Link, Place]:
        """Lay a link from the hub to a new place behind it."""
        self.links += 1
        emulator = Emulator(self.hub.name, self.links)
        self._stack.push_async_callback(emulator.stop)
        await emulator.start()
        silence_ipv6(emulator)
        ip(f"-n {emulator.home} route add default dev {emulator.home_device}")
        self._online(emulator.home)
        return Link(emulator), self._named(emulator.home, {TEST_HOST: HUB_ADDRESS})

    async def hall(self) -> HallPlace:
        """Make a hall behind a link of its own, its relay not started yet."""
        link, inside = await self.line()
        number, address = self.links, f"192.168.{self.links}.1"
        host = hall_host(number)
        # In place of the translation of addresses that a hall's router does for what the relay sends.
        ip(f"-n {self.hub.name} route add {address}/32 dev {link.emulator.hub_device}")
        lan = self._place(f"lan{number}", {host: address})
        near, far = f"lan{number}a-{self.mark}"[:15], f"lan{number}b-{self.mark}"[:15]
        ip(f"link add {near} netns {inside.name} type veth peer name {far} netns {lan.name}")
        for place, device, own in ((inside, near, address), (lan, far, f"192.168.{number}.2")):
            ip(f"-n {place.name} addr add {own}/24 dev {device}")
            ip(f"-n {place.name} link set {device} up")
        folder = self.folder / f"relay-{number}"
        words = ["relay", "--hub", f"https://{TEST_HOST}", "--data", str(folder), "--listen", f"{address}:{PORT}"]
        words += ["--cert", str(self.folder / f"{host}.pem"), "--key", str(self.folder / f"{host}.key")]
        env = {"SSL_CERT_FILE": str(self.authority.ca)}
        relay = Program(inside, words, self.folder / f"relay-{number}.log", "on port", env)
        self._stack.push_async_callback(relay.end)
        return HallPlace(number, link, folder, inside, lan, relay)

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

    async def reaches(self, place: Place, address: str) -> bool:
        """Say whether the hub's or a relay's port can be reached from a namespace by its address."""
        self.enter(place)
        try:
            probe = socket.socket()
        finally:
            self.enter(self.hub)
        probe.setblocking(False)
        with probe:
            try:
                async with asyncio.timeout(5):
                    await asyncio.get_running_loop().sock_connect(probe, (address, PORT))
            except OSError:
                return False
        return True
