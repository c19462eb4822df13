"""A UDP relay that loses packets on the way to the clients, so that a real browser has something to repair."""

import asyncio
import socket
from collections.abc import Callable

from tests.media.support import Dice

Address = tuple[str, int]


class LossyRelay:
    """Clients send to `port`; each gets a socket of its own towards the worker.

    Of what looks like SRTP on its way to a client, `percent` is lost; ICE, DTLS and RTCP always arrive. `media` is
    all of it, lost or not: headers with their extensions are not encrypted.
    """

    def __init__(self, worker_port: int, percent: int, host: str = "127.0.0.1") -> None:
        self.dropped = 0
        self.media: list[bytes] = []
        self._percent = percent
        self._host = host
        self._worker = (host, worker_port)
        self._dice = Dice("relay")
        self._ways: dict[Address, socket.socket] = {}
        self._front = self._new_socket()
        self.port: int = self._front.getsockname()[1]
        self._watch(self._front, self._from_clients)

    def _new_socket(self) -> socket.socket:
        fresh = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        fresh.bind((self._host, 0))
        fresh.setblocking(False)
        return fresh

    @staticmethod
    def _watch(source: socket.socket, take: Callable[[], None]) -> None:
        asyncio.get_running_loop().add_reader(source.fileno(), take)

    def _from_clients(self) -> None:
        self.pass_up(*self._front.recvfrom(2048))

    def pass_up(self, data: bytes, client: Address) -> None:
        """Send one datagram of a client to the worker."""
        way = self._ways.get(client)
        if way is None:
            way = self._ways[client] = self._new_socket()
            way.connect(self._worker)
            self._watch(way, lambda: self._from_worker(client))
        way.send(data)

    def _from_worker(self, client: Address) -> None:
        data = self._ways[client].recv(2048)
        media = 127 < data[0] < 192 and not 192 <= data[1] <= 223
        if media:
            self.media.append(data)
        if media and self._dice.below(100) < self._percent:
            self.dropped += 1
            return
        self._front.sendto(data, client)

    def close(self) -> None:
        loop = asyncio.get_running_loop()
        for opened in (self._front, *self._ways.values()):
            loop.remove_reader(opened.fileno())
            opened.close()
