"""What the load generator asks of a server, and the kernel's account of what it costs."""

from __future__ import annotations

import os
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


def deferred_pids() -> list[int]:
    """Return the kernel threads that on an overloaded machine do network work for whoever should have paid for it."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text().startswith("ksoftirqd/"):
                found.append(int(comm.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def raise_priority(nice: int) -> None:
    """Let this process and its later children, the servers, run before others; `nice` below 0 needs root.

    Where the kernel schedules sessions as groups (sched(7), autogroup) the group is raised too, in a session of its
    own unless a shell has made this process a group leader.
    """
    if os.getpid() != os.getpgrp():
        os.setsid()
    group = Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(str(nice))
    os.setpriority(os.PRIO_PROCESS, 0, nice)


def thread_count(pid: int) -> int:
    """Return how many threads a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def resident_kilobytes(pid: int) -> int:
    """Return a process's resident memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise OSError("the kernel told no resident memory")
