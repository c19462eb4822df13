"""What a fan-out back end does: receive and decrypt datagrams; rewrite, protect and send every copy of a batch.

What is sent to whom with which numbers is decided by the forwarding core. A back end queues what it is given and
carries it out in `flush`. The rules for addresses that have not proven themselves are in `QueueingFan`, once, for all
back ends; `PythonFan` says in the fewest words what each of them must put on the wire.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from folkmoot_media.forwarding.model import Batch
from folkmoot_media.transport.endpoint import Address, Endpoint

LARGEST_RTP = 1356
LARGEST_RTCP = 1352
"""Plain bytes; what is longer is dropped by every back end, because pylibsrtp would not take it."""
LARGEST_DATAGRAM = 2048
"""Of a longer datagram the rest is lost, and with it the datagram."""
MOST_RECEIVED = 64
"""Datagrams taken from the socket in one `receive`."""
IP_UDP_HEADER = 28


MEDIA_WAITS, OTHER_WAITS = 1, 2
Waiter = Callable[[int, float | None], int]
"""Waits for datagrams, for another descriptor, at most so many seconds (None: without end), and forwards meanwhile.

Returns `MEDIA_WAITS` when there is something to `receive`, `OTHER_WAITS` when the descriptor is readable, both or
neither.
"""


class Unavailable(Exception):
    """A back end does not work here; the message says why, for the log."""


class Wire(Protocol):
    """The worker's non-blocking UDP socket."""

    def fileno(self) -> int: ...  # noqa: D102
    def sendto(self, data: bytes, address: Address, /) -> object: ...  # noqa: D102
    def recvfrom(self, size: int, /) -> tuple[bytes, Any]: ...  # noqa: D102


class Intake(Protocol):
    """Who is given what came in; neither method may raise."""

    def take_datagram(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram as it came."""
        ...

    def take_packet(self, endpoint: Endpoint, data: bytes, control: bool, now: float) -> None:
        """Take an RTP or (`control`) RTCP packet that was decrypted with the keys of `endpoint`."""
        ...

    def take_forwarded(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """Take note of a decrypted RTP packet that a rule has forwarded (`forwarding.express`)."""
        ...

    def take_answered(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """Take note of a decrypted RTCP packet whose requests for lost packets a rule has answered."""
        ...


class Fan(Protocol):
    """A fan-out back end. All back ends send the same bytes to the same addresses for the same calls.

    `sent` and `dropped` count datagrams, RTP and RTCP. Copies for one transport leave in the order in which they were
    queued; nothing is promised about the order between transports. Only a back end with `stamps` writes stamps, and
    only one with `rules` takes the rules that batches bring. Packets given to the intake have their time of arrival.
    """

    name: str
    stamps: bool
    rules: bool
    waiter: Waiter | None

    @property
    def sent(self) -> int: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102

    def send(self, batch: Batch) -> None:
        """Queue every copy of a batch."""
        ...

    def send_control(self, endpoint: Endpoint, compound: bytes) -> None:
        """Queue an RTCP compound."""
        ...

    def flush(self, now: float) -> None:
        """Send what is queued; what cannot be sent is counted in `dropped` and forgotten."""
        ...

    def receive(self, intake: Intake, now: float) -> int:
        """Take at most `MOST_RECEIVED` datagrams from the socket; return how many there were."""
        ...

    def take_unchecked(self) -> int:
        """Return how much media was dropped since the last call because its address had not been entered."""
        ...

    def entered(self, address: Address, endpoint: Endpoint) -> None:
        """A transport's check from this address has passed: its media may come from there."""
        ...

    def left(self, address: Address) -> None:
        """Nothing may come from this address any longer."""
        ...

    def opened(self, endpoint: Endpoint) -> None:
        """The transport's keys are there."""
        ...

    def closed(self, endpoint: Endpoint) -> None:
        """The transport is gone, with its keys."""
        ...

    def unrouted(self) -> None:
        """A transport's packets take another way, or none."""
        ...

    def figures(self) -> dict[str, object]:
        """Return counters for the worker's statistics."""
        ...


class QueueingFan(ABC):
    """The queue, and the rules for where a copy may go."""

    name = ""
    stamps = True
    rules = False

    def __init__(self) -> None:
        self.waiter: Waiter | None = None
        self.sent = 0
        self.dropped = 0
        self._batches: list[Batch] = []
        self._control: list[tuple[Endpoint, bytes]] = []

    def send(self, batch: Batch) -> None:
        """Queue every copy of a batch."""
        self._batches.append(batch)

    def send_control(self, endpoint: Endpoint, compound: bytes) -> None:
        """Queue an RTCP compound."""
        self._control.append((endpoint, compound))

    def flush(self, now: float) -> None:
        """Send what is queued, RTCP first.

        Where it may go is looked up here, not when it was queued: an address may have been lost in between.
        """
        control, batches = self._control, self._batches
        if control or batches:
            self._control, self._batches = [], []
            self._carry_out(control, batches, now)

    @abstractmethod
    def _carry_out(self, control: list[tuple[Endpoint, bytes]], batches: list[Batch], now: float) -> None:
        """Send all this and count it."""

    @abstractmethod
    def _make_route(self, endpoint: Endpoint) -> Any:
        """Return what this back end needs to send to the endpoint's address; the endpoint has keys and an address."""

    def _route(self, endpoint: Endpoint, size: int, audio: bool, now: float) -> Any:
        """Return where a copy with `size` bytes of payload may go now, or None.

        The answer is kept in `endpoint.route`, which the endpoint clears when its path or keys change, unless the
        address has yet to prove itself: then every packet is judged by itself.
        """
        if endpoint.protect is None or endpoint.address is None:
            return None
        if endpoint.restricted:
            return self._make_route(endpoint) if endpoint.admit(size + IP_UDP_HEADER, audio, now) else None
        endpoint.route = self._make_route(endpoint)
        return endpoint.route

    def _control_route(self, endpoint: Endpoint) -> Any:
        """Return where an RTCP compound that `prepare_control` has let through goes."""
        return endpoint.route if endpoint.route is not None else self._make_route(endpoint)

    def figures(self) -> dict[str, object]:
        """Return counters for the worker's statistics."""
        return {"fan": self.name, "packets_sent": self.sent, "copies_dropped": self.dropped}


class ReadingFan(QueueingFan):
    """A back end that takes datagrams from the socket one by one and leaves decryption to the transports."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def take_unchecked(self) -> int:
        """Return 0: the mux judges addresses and counts by itself."""
        return 0

    def entered(self, address: Address, endpoint: Endpoint) -> None:
        """A transport's check from this address has passed: nothing to note."""

    def left(self, address: Address) -> None:
        """Nothing may come from this address any longer: nothing to note."""

    def opened(self, endpoint: Endpoint) -> None:
        """The transport's keys are there: nothing to note."""

    def closed(self, endpoint: Endpoint) -> None:
        """The transport is gone: nothing to note."""

    def unrouted(self) -> None:
        """A transport's packets take another way: nothing to note."""

    def receive(self, intake: Intake, now: float) -> int:
        """Take at most `MOST_RECEIVED` datagrams from the socket; return how many there were."""
        receive = self._wire.recvfrom
        taken = 0
        for _ in range(MOST_RECEIVED):
            try:
                data, source = receive(LARGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                continue
            taken += 1
            intake.take_datagram(data, source, now)
        return taken
