"""A network namespace for a load test: nothing else is in it, and every address of 10.77.0.0/16 is the machine's own.

Janus takes no loopback address and its sockets stick to one interface, so clients need addresses of that interface.
Packets between such addresses never leave the machine: the kernel delivers them over loopback.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
_CLIENTS_EACH = 250


@dataclass(frozen=True)
class Network:
    """Addresses for a server and its clients: `prefix` is the first half of all of them."""

    prefix: str

    @property
    def server(self) -> str:
        """The server's address."""
        return f"{self.prefix}.0.1"

    def client(self, index: int) -> str:
        """Return the address of client `index` (0 to 62,000)."""
        return f"{self.prefix}.{1 + index // _CLIENTS_EACH}.{1 + index % _CLIENTS_EACH}"


LOOPBACK = Network("127.0")
"""Good for our own worker wherever no namespace can be had."""


class NamespaceError(RuntimeError):
    """The kernel or the system does not let this user have a network of its own."""


def enter() -> Network:
    """Move this process, before it has threads, and its later children into a network namespace of their own.

    Raises:
        NamespaceError: that is not allowed here, or iproute2 is missing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNET if user == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        raise NamespaceError(f"no network namespace here: {os.strerror(ctypes.get_errno())}")
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _ip("link set lo up")
    try:
        _ip("link add load0 type veth peer name load1")
        _ip("link set load1 up")
    except NamespaceError:
        _ip("link add load0 type dummy")
    _ip("link set load0 up")
    network = Network("10.77")
    _ip(f"addr add {network.server}/16 dev load0")
    _ip(f"route add local {network.prefix}.0.0/16 dev load0 table local")
    return network


def enter_or_loopback() -> Network:
    """Return a namespace's network, or the loopback network, saying so, where there is none to be had."""
    try:
        return enter()
    except NamespaceError as error:
        print(f"{error}; using loopback addresses among whatever else is there", flush=True)
        return LOOPBACK


def _ip(arguments: str) -> None:
    try:
        done = subprocess.run(["ip", *arguments.split()], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NamespaceError("the command ip is missing (Debian package iproute2)") from None
    if done.returncode:
        raise NamespaceError(f"ip {arguments}: {done.stderr.strip()}")
