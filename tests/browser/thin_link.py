"""A thin link on a real page's way to the media worker: a UDP relay with rate, delay, queue and losses."""

import asyncio
import socket
from collections.abc import Callable

from tests.browser.support import Person
from tests.media.support import Dice

Address = tuple[str, int]
QUEUE_S = 1.0
HEADERS = 28
_REDIRECT = """
(() => {
  const native = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function (description) {
    const sdp = description.sdp.replaceAll(" WORKER typ host", " RELAY typ host");
    return native.call(this, { type: description.type, sdp });
  };
})();
"""


class OneWay:
    """One direction: bits a second (None: as many as come), seconds of delay, share of losses."""

    def __init__(self, name: str) -> None:
        self.kbit: float | None = None
        self.delay = 0.0
        self.loss = 0.0
        self.carried = self.dropped = 0
        self._dice = Dice(name)
        self._free_at = 0.0

    def arrival(self, size: int, now: float) -> float | None:
        """Return when a datagram sent now arrives, or None when the queue or chance takes it."""
        start = max(now, self._free_at)
        if self.kbit is not None:
            if start - now > QUEUE_S:
                self.dropped += 1
                return None
            start = self._free_at = start + (size + HEADERS) * 8 / (self.kbit * 1000)
        if self._dice.below(10_000) < self.loss * 10_000:
            self.dropped += 1
            return None
        self.carried += size + HEADERS
        return start + self.delay


class ThinLink:
    """Between one page and the worker; `down` leads to the page, `up` away from it."""

    def __init__(self, worker_port: int) -> None:
        self.down, self.up = OneWay("down"), OneWay("up")
        self._worker = ("127.0.0.1", worker_port)
        self._ways: dict[Address, socket.socket] = {}
        self._front = self._open()
        self.port: int = self._front.getsockname()[1]
        self._watch(self._front, self._from_page)

    @staticmethod
    def _open() -> socket.socket:
        fresh = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        fresh.bind(("127.0.0.1", 0))
        fresh.setblocking(False)
        return fresh

    @staticmethod
    def _watch(source: socket.socket, take: Callable[[], None]) -> None:
        asyncio.get_running_loop().add_reader(source.fileno(), take)

    def _from_page(self) -> None:
        data, page = self._front.recvfrom(2048)
        way = self._ways.get(page)
        if way is None:
            way = self._ways[page] = self._open()
            way.connect(self._worker)
            self._watch(way, lambda: self._from_worker(page))
        self._carry(self.up, data, lambda: way.send(data))

    def _from_worker(self, page: Address) -> None:
        data = self._ways[page].recv(2048)
        self._carry(self.down, data, lambda: self._front.sendto(data, page))

    def _carry(self, way: OneWay, data: bytes, send: Callable[[], object]) -> None:
        loop = asyncio.get_running_loop()
        arrival = way.arrival(len(data), loop.time())
        if arrival is not None:
            loop.call_at(arrival, self._deliver, send)

    def _deliver(self, send: Callable[[], object]) -> None:
        # What was on its way when the link was closed goes nowhere.
        if self._front.fileno() >= 0:
            send()

    async def lead(self, person: Person) -> None:
        """Let the page's media take this way from its next load on."""
        script = _REDIRECT.replace("WORKER", str(self._worker[1])).replace("RELAY", str(self.port))
        await person.context.add_init_script(script)

    def close(self) -> None:
        """Close every socket."""
        loop = asyncio.get_running_loop()
        for opened in (self._front, *self._ways.values()):
            loop.remove_reader(opened.fileno())
            opened.close()
