"""A router in a namespace: it puts its own address in the place of those behind it, and lets nothing in unasked.

Rules are those of nftables. `Router` can be told to forget its mappings, as routers do that are restarted, to keep
them for a short time alone, and to let out nothing but TLS; `Watch` says whom a namespace has heard on one device.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.emulator import CLONE_NEWNET, LIBC, enter, ip
from loadtests.link_check import PROBE_PORT

TLS_PORT: Final = 443
NETFILTER: Final = 12
FORGET_ALL: Final = struct.pack("=IHHIIBBH", 20, 1 << 8 | 2, 5, 1, 0, 0, 0, 0)  # IPCTNL_MSG_CT_DELETE, of everything
TIMES: Final = Path("/proc/sys/net/netfilter")
FORWARD: Final = Path("/proc/sys/net/ipv4/ip_forward")
IPV6: Final = Path("/proc/sys/net/ipv6/conf")

_RULES: Final = """
table ip router {{
  counter unasked {{ }}
  counter udp_out {{ }}
  counter tcp_out {{ }}
  set open {{ type ipv4_addr; }}
  chain translate {{
    type nat hook postrouting priority srcnat;
    oifname "{outside}" masquerade fully-random
  }}
  chain through {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "{inside}" {let_out} accept
    iifname "{inside}" meta l4proto udp counter name udp_out drop
    iifname "{inside}" meta l4proto tcp counter name tcp_out drop
    ip daddr @open accept
    iifname "{outside}" counter name unasked drop
  }}
  chain own {{
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    iifname "{outside}" udp dport {probe} accept
    iifname "{outside}" counter name unasked drop
  }}
}}
"""
_HEARD: Final = """
table ip {table} {{
  set heard {{ type inet_proto . ipv4_addr . inet_service; flags dynamic; size 65535; }}
  chain take {{
    type filter hook input priority filter;
    iifname "{device}" meta l4proto {{ tcp, udp }} add @heard {{ meta l4proto . ip saddr . th sport }}
  }}
}}
"""


class NoTranslationError(RuntimeError):
    """This system translates no addresses in namespaces: the kernel cannot, or the command nft is missing."""


def nft(namespace: str, *words: str, text: str | None = None) -> str:
    """Run nft in a namespace and return what it prints.

    Raises:
        NoTranslationError: it is missing, or was refused.
    """
    command = ["ip", "netns", "exec", namespace, "nft", *words]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoTranslationError(done.stderr.strip() or "the command nft is missing (Debian package nftables)")
    return done.stdout


@contextmanager
def within(namespace: str) -> Iterator[None]:
    """Be in a namespace with this thread."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        enter(namespace)
        try:
            yield
        finally:
            LIBC.setns(before, CLONE_NEWNET)
    finally:
        os.close(before)


def silence_all_ipv6(namespace: str) -> None:
    """Let no device have addresses of IPv6: browsers take each one that comes late for another network."""
    with within(namespace):
        for name in ("all", "default"):
            if IPV6.exists():
                (IPV6 / name / "disable_ipv6").write_text("1")


@dataclass
class Router:
    """A namespace with a device to the outside and one to what is behind it."""

    name: str
    outside: str
    inside: str

    def open(self, *, tls_alone: bool = False) -> None:
        """Begin to forward and to translate; with `tls_alone` only TCP to port 443 gets out.

        Each mapping gets a port at random, so whatever is forgotten comes back from another one.

        Raises:
            NoTranslationError: not to be had here.
        """
        let_out = f"tcp dport {TLS_PORT}" if tls_alone else ""
        text = _RULES.format(outside=self.outside, inside=self.inside, let_out=let_out, probe=PROBE_PORT)
        nft(self.name, "-f", "-", text="flush ruleset\n" + text)
        with within(self.name):
            FORWARD.write_text("1")

    def dropped(self) -> dict[str, int]:
        """Return how many packets were dropped: unasked ones from outside, and of what may not get out."""
        listed = json.loads(nft(self.name, "-j", "list", "counters", "table", "ip", "router"))["nftables"]
        counters = [one["counter"] for one in listed if "counter" in one]
        return {str(one["name"]): int(one["packets"]) for one in counters}

    @contextmanager
    def door(self, *addresses: str) -> Iterator[None]:
        """Let everybody in to these addresses for a while: the control of whatever says that nobody gets in."""
        which = f"{{ {', '.join(addresses)} }}"
        nft(self.name, "add", "element", "ip", "router", "open", which)
        try:
            yield
        finally:
            nft(self.name, "delete", "element", "ip", "router", "open", which)

    def forget(self) -> None:
        """Forget all mappings, as at a restart; what is sent from behind gets others.

        Raises:
            NoTranslationError: the kernel did not.
        """
        with within(self.name), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER) as kernel:
            kernel.send(FORGET_ALL)
            (code,) = struct.unpack_from("=i", kernel.recv(4096), 16)
        if code:
            raise NoTranslationError(os.strerror(-code))

    def keep_for(self, seconds: int) -> None:
        """Forget a mapping of UDP so many seconds after its last packet."""
        with within(self.name):
            for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
                (TIMES / name).write_text(str(seconds))

    def move(self, before: str, after: str) -> None:
        """Take another address outside, as after the provider's reconnection; the old one's mappings are gone."""
        ip(f"-n {self.name} addr del {before}/24 dev {self.outside}")
        ip(f"-n {self.name} addr add {after}/24 dev {self.outside}")
        ip(f"-n {self.name} route replace default dev {self.outside}")


@dataclass
class Watch:
    """Who has sent packets to a namespace on one of its devices."""

    name: str
    device: str

    @property
    def _table(self) -> str:
        return f"watch_{self.device.replace('-', '_')}"

    def open(self) -> None:
        """Begin to listen.

        Raises:
            NoTranslationError: not to be had here.
        """
        nft(self.name, "-f", "-", text=_HEARD.format(table=self._table, device=self.device))

    def heard(self) -> set[tuple[str, str, int]]:
        """Return protocol, address and port of everybody since the beginning."""
        listed: list[dict[str, Any]] = json.loads(nft(self.name, "-j", "list", "set", "ip", self._table, "heard"))[
            "nftables"
        ]
        (found,) = [one["set"] for one in listed if "set" in one]
        entries = [one.get("elem", {}).get("val", one)["concat"] for one in found.get("elem", [])]
        return {(str(protocol), str(address), int(port)) for protocol, address, port in entries}

    def forget(self) -> None:
        """Begin anew."""
        nft(self.name, "flush", "set", "ip", self._table, "heard")
