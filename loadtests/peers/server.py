"""What the load generator asks of a server, and the kernel's account of what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from loadtests.clients import Peer


class Server(Protocol):
    """A server with one room. Clients made elsewhere are connected to it."""

    name: str

    @property
    def pid(self) -> int:
        """The process to account for."""
        ...

    async def start(self) -> None:
        """Start it with an empty room."""
        ...

    async def publish(self, peer: Peer, kind: str) -> None:
        """Connect a client that sends one stream of `kind` (audio or video)."""
        ...

    async def subscribe(self, peer: Peer, kind: str) -> None:
        """Connect a client that receives what is published."""
        ...

    async def faults(self) -> int:
        """Return how many errors of its own the server knows of."""
        ...

    async def close(self) -> None:
        """Stop it."""
        ...


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process (first field of schedstat, nanoseconds)."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue
    return total / 1e9


def thread_count(pid: int) -> int:
    """Return how many threads a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def resident_kilobytes(pid: int) -> int:
    """Return a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise OSError("the kernel told no resident memory")
