"""A link between two network namespaces through two TUN devices: rate, delay, queue, losses in runs, cuts.

Many kernels lack netem; namespaces and TUN they have. `Emulator` starts this file as a process of its own, which
moves packets from one device to the other, takes settings as JSON lines and answers each with what it has carried.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import heapq
import json
import os
import select
import struct
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.media.support import Dice

TUNSETIFF = 0x400454CA
TUN_WITHOUT_HEADER = 0x1001
CLONE_NEWNET = 0x40000000


def addresses(number: int) -> tuple[str, str]:
    """Return the addresses of hub and home on link `number` (0 to 255)."""
    return f"10.79.{number}.1", f"10.79.{number}.2"


def device_of(namespace: str, number: int) -> str:
    """Return the name of the device of link `number` in a namespace.

    Chromium does not count a device called tun… as a network: it would never see that one's address change.
    """
    return f"way{number or ''}{namespace}"[:15]


def enter(name: str) -> None:
    """Move this thread, and what it starts from now on, into a namespace.

    Raises:
        OSError: there is none of this name, or it may not be entered.
    """
    with Path(f"/var/run/netns/{name}").open() as place:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(place.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {name}")


HUB, HOME = addresses(0)
LARGEST = 2000
QUEUE_S = 1.0
TCP, UDP = 6, 17
WAIT_S = 0.05


@dataclass
class Settings:
    """One direction; `loss` is a share, `burst` the mean length of a run of losses (1: independent)."""

    kbit: float = 10_000.0
    delay_ms: float = 0.0
    loss: float = 0.0
    burst: float = 1.0
    cut: bool = False


@dataclass
class Carried:
    """What one direction has carried since it began; waiting times are seconds, `longest` since the last answer.

    `tcp` are those of the octets that TCP took.
    `streams` holds for each RTP stream, by SSRC, how many of its packets came to the link, were lost there, and
    ended a picture (those with the marker bit).
    """

    streams: dict[int, list[int]] = field(default_factory=dict)
    packets: int = 0
    octets: int = 0
    tcp: int = 0
    lost: int = 0
    overflowed: int = 0
    cut_off: int = 0
    waiting: float = 0.0
    longest: float = 0.0
    late_ms: float = 0.0


class Way:
    """One direction: a queue before the bottleneck, losses behind it."""

    def __init__(self, name: str) -> None:
        self.settings = Settings()
        self.carried = Carried()
        self._dice = Dice(f"link {name}")
        self._free = 0.0
        self._losing = False

    def _share(self) -> float:
        return self._dice.below(1 << 30) / (1 << 30)

    def _unlucky(self) -> bool:
        loss, burst = self.settings.loss, self.settings.burst
        if burst <= 1:
            return self._share() < loss
        enter = loss / burst / (1 - loss)
        self._losing = self._share() >= 1 / burst if self._losing else self._share() < enter
        return self._losing

    def put(self, size: int, now: float) -> float | None:
        """Return when a packet that comes now arrives, or None."""
        carried = self.carried
        if self.settings.cut:
            carried.cut_off += 1
            return None
        waiting = max(0.0, self._free - now)
        if waiting > QUEUE_S:
            carried.overflowed += 1
            return None
        carried.longest = max(carried.longest, waiting)
        self._free = now + waiting + size * 8 / (self.settings.kbit * 1000)
        if self._unlucky():
            carried.lost += 1
            return None
        carried.packets += 1
        carried.octets += size
        return self._free + self.settings.delay_ms / 1000

    def answer(self, now: float) -> dict[str, Any]:
        """Return what was carried, and begin to look for the longest wait anew."""
        self.carried.waiting = max(0.0, self._free - now)
        said = asdict(self.carried)
        self.carried.longest = self.carried.late_ms = 0.0
        return said


def stream_of(data: bytes) -> int | None:
    """Return the SSRC of an IPv4 packet that carries RTP over UDP; it is not encrypted."""
    head = (data[0] & 15) * 4
    if data[0] >> 4 != 4 or data[9] != UDP or len(data) < head + 20:
        return None
    first, second = data[head + 8], data[head + 9]
    if first >> 6 != 2 or 192 <= second <= 223:
        return None
    return int.from_bytes(data[head + 16 : head + 20], "big")


def ends_a_picture(data: bytes) -> bool:
    """Say whether an RTP packet as `stream_of` knows them has the marker bit."""
    return bool(data[(data[0] & 15) * 4 + 9] & 0x80)


def open_tun(name: str) -> int:
    """Make a TUN device; it lives as long as the descriptor."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), TUN_WITHOUT_HEADER))
    return descriptor


def ip(arguments: str) -> None:
    """Run the command ip.

    Raises:
        subprocess.CalledProcessError: it refused.
    """
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)


class Mover:
    """The process that moves packets between two descriptors."""

    def __init__(self, hub: int, home: int) -> None:
        self.hub, self.home = hub, home
        self.ways = {hub: Way("down"), home: Way("up")}
        self._due: list[tuple[float, int, int, bytes, Way]] = []
        self._number = 0

    def _deliver(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            when, _, target, data, way = heapq.heappop(self._due)
            way.carried.late_ms = max(way.carried.late_ms, (now - when) * 1000)
            with contextlib.suppress(OSError):
                os.write(target, data)

    def _take(self, source: int) -> None:
        target = self.home if source == self.hub else self.hub
        way = self.ways[source]
        while True:
            try:
                data = os.read(source, LARGEST)
            except BlockingIOError:
                return
            arrival = way.put(len(data), time.monotonic())
            stream = stream_of(data)
            if stream is not None:
                seen = way.carried.streams.setdefault(stream, [0, 0, 0])
                seen[0] += 1
                seen[1] += arrival is None
                seen[2] += ends_a_picture(data)
            if arrival is not None:
                way.carried.tcp += len(data) if data[0] >> 4 == 4 and data[9] == TCP else 0
                self._number += 1
                heapq.heappush(self._due, (arrival, self._number, target, data, way))

    def _obey(self, line: str) -> None:
        order = json.loads(line)
        names = {"down": self.ways[self.hub], "up": self.ways[self.home]}
        for name, way in names.items():
            for key, value in order.get(name, {}).items():
                setattr(way.settings, key, value)
        now = time.monotonic()
        print(json.dumps({name: way.answer(now) for name, way in names.items()}), flush=True)

    def run(self) -> None:
        """Move packets until standard input ends."""
        os.set_blocking(sys.stdin.fileno(), False)
        pending = ""
        while True:
            wait = min(WAIT_S, max(0.0, self._due[0][0] - time.monotonic())) if self._due else WAIT_S
            ready, _, _ = select.select([self.hub, self.home, sys.stdin], [], [], wait)
            self._deliver(time.monotonic())
            for source in (self.hub, self.home):
                if source in ready:
                    self._take(source)
            if sys.stdin in ready:
                heard = os.read(sys.stdin.fileno(), 65536).decode()
                if not heard:
                    return
                pending += heard
                *lines, pending = pending.split("\n")
                for line in lines:
                    self._obey(line)


class Emulator:
    """Two namespaces, `hub` and `home`, joined by the emulated link; "down" leads home."""

    def __init__(self, shared: str = "", number: int = 0) -> None:
        """Join a new home to a hub of its own, or, as link `number`, to the namespace `shared`, which is there."""
        mark = os.getpid() % 100_000
        self.hub, self.home = shared or f"hub{mark}", f"home{number}-{mark}" if number else f"home{mark}"
        self.number = number
        self.hub_address, self.home_address = addresses(number)
        self.hub_device, self.home_device = (device_of(name, number) for name in (self.hub, self.home))
        self._own = (self.home,) if shared else (self.hub, self.home)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Make the namespaces and start to move packets; needs root.

        Raises:
            RuntimeError: the process did not come up.
        """
        for name in self._own:
            ip(f"netns add {name}")
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, self.hub, self.home, str(self.number)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        if (await self._process.stdout.readline()).strip() != b"up":
            raise RuntimeError("the link emulator did not start")

    async def order(self, **ways: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Change settings of `down` and `up`; return what both have carried so far."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(ways).encode() + b"\n")
        await self._process.stdin.drain()
        answer: dict[str, dict[str, Any]] = json.loads(await self._process.stdout.readline())
        return answer

    async def both(self, **settings: Any) -> dict[str, dict[str, Any]]:
        """Change the same settings of both directions."""
        return await self.order(down=settings, up=settings)

    async def move_home(self, seconds: float) -> None:
        """Take home's address away and, after some seconds without any, give it the next one."""
        network, _, last = self.home_address.rpartition(".")
        ip(f"-n {self.home} addr del {self.home_address}/24 dev {self.home_device}")
        await asyncio.sleep(seconds)
        self.home_address = f"{network}.{int(last) + 1}"
        ip(f"-n {self.home} addr add {self.home_address}/24 dev {self.home_device}")

    def enter(self, name: str) -> None:
        """Move this thread, and what it starts from now on, into a namespace."""
        enter(name)

    async def stop(self) -> None:
        """End the process and take the namespaces away."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
        for name in self._own:
            ip(f"netns del {name}")


def main() -> None:
    """Move packets between the namespaces named on the command line, before whatever else the machine does."""
    os.nice(-15)
    tuns = []
    number = int(sys.argv[3])
    for name, address in zip(sys.argv[1:3], addresses(number), strict=True):
        end = device_of(name, number)
        tuns.append(open_tun(end))
        ip(f"link set {end} netns {name}")
        ip(f"-n {name} addr add {address}/24 dev {end}")
        ip(f"-n {name} link set {end} up mtu 1400")
        ip(f"-n {name} link set lo up")
    print("up", flush=True)
    hub, home = tuns
    Mover(hub, home).run()


if __name__ == "__main__":
    main()
