"""A thin link for one pipe between real workers: a UDP relay with rate, delay, queue and seeded loss both ways."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from tests.media.virtual_link import VirtualLink

Address = tuple[str, int]
IP_UDP = 28


class ShapedRelay:
    """Whoever dials `port` gets a way of its own to the answering worker; must be made in a running event loop.

    `octets` counts what was sent into the link, headers included: to the worker that dials (`down`), from it (`up`).
    """

    def __init__(
        self, worker: Address, kbit: float, round_trip_ms: float, loss: float = 0.0, burst: float = 1.0
    ) -> None:
        """Open the relay; `loss` is a share from 0 to 1, `burst` the mean length of a run of losses."""
        delay = round_trip_ms / 2000
        self.up = VirtualLink(kbit * 1000, delay, loss=loss, burst=burst, seed=21)
        self.down = VirtualLink(kbit * 1000, delay, loss=loss, burst=burst, seed=22)
        self.octets = {"up": 0, "down": 0}
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._ways: dict[Address, socket.socket] = {}
        self._front = self._open()
        self.port: int = self._front.getsockname()[1]
        self._loop.add_reader(self._front.fileno(), self._from_dialling)

    def set_loss(self, loss: float, burst: float) -> None:
        """Lose so much from now on, both ways."""
        for link in (self.up, self.down):
            link.loss, link.burst = loss, burst

    def _open(self) -> socket.socket:
        fresh = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        fresh.bind((self._worker[0], 0))
        fresh.setblocking(False)
        return fresh

    def _from_dialling(self) -> None:
        data, client = self._front.recvfrom(2048)
        way = self._ways.get(client)
        if way is None:
            way = self._ways[client] = self._open()
            way.connect(self._worker)
            self._loop.add_reader(way.fileno(), self._from_answering, client, way)
        self._carry("up", self.up, data, way.send)

    def _from_answering(self, client: Address, way: socket.socket) -> None:
        try:
            data = way.recv(2048)
        except OSError:
            return
        self._carry("down", self.down, data, lambda sent: self._front.sendto(sent, client))

    def _carry(self, way: str, link: VirtualLink, data: bytes, send: Callable[[bytes], object]) -> None:
        self.octets[way] += len(data) + IP_UDP
        now = self._loop.time()
        arrival = link.send(len(data) + IP_UDP, now)
        if arrival is not None:
            self._loop.call_at(arrival, self._deliver, send, data)

    @staticmethod
    def _deliver(send: Callable[[bytes], object], data: bytes) -> None:
        try:
            send(data)
        except OSError:
            # The other end has gone, or the relay is closed.
            return

    def close(self) -> None:
        """Close every socket."""
        for opened in (self._front, *self._ways.values()):
            self._loop.remove_reader(opened.fileno())
            opened.close()
