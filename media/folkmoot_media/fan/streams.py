"""Beside a back end for datagrams: what goes to clients that are reached over TCP connections."""

from __future__ import annotations

from typing import Any

from folkmoot_media.fan.interface import Fan, Intake, Wire
from folkmoot_media.fan.python_backend import PythonFan
from folkmoot_media.forwarding.model import Batch
from folkmoot_media.transport.endpoint import Address, Endpoint, is_stream


class StreamingFan:
    """Hands copies for streams to a `PythonFan` on the streams' wire, and everything else to the inner back end."""

    def __init__(self, inner: Fan, wire: Wire) -> None:
        """Put `inner` in front of clients on datagrams and `wire` in front of those on streams."""
        self.name = inner.name
        self.stamps, self.rules, self.waiter = inner.stamps, inner.rules, inner.waiter
        self._inner = inner
        self._outer = PythonFan(wire)
        self._streams: set[Address] = set()
        self._batches: list[Batch] = []
        self._control: list[tuple[Endpoint, bytes]] = []

    @property
    def sent(self) -> int:
        """How many datagrams left, both ways."""
        return self._inner.sent + self._outer.sent

    @property
    def dropped(self) -> int:
        """How many could not be sent, both ways."""
        return self._inner.dropped + self._outer.dropped

    def send(self, batch: Batch) -> None:
        """Queue every copy of a batch."""
        self._batches.append(batch)

    def send_control(self, endpoint: Endpoint, compound: bytes) -> None:
        """Queue an RTCP compound."""
        self._control.append((endpoint, compound))

    def flush(self, now: float) -> None:
        """Send what is queued; who is on a stream is looked up here, as addresses may have changed meanwhile."""
        control, batches = self._control, self._batches
        if control or batches:
            self._control, self._batches = [], []
            for endpoint, compound in control:
                self._way(endpoint).send_control(endpoint, compound)
            for batch in batches:
                if self._streams:
                    self._split(batch)
                else:
                    self._inner.send(batch)
        self._inner.flush(now)
        self._outer.flush(now)

    def _way(self, endpoint: Endpoint) -> Fan:
        return self._outer if endpoint.address is not None and is_stream(endpoint.address) else self._inner

    def _split(self, batch: Batch) -> None:
        inner: list[Any] = []
        outer: list[Any] = []
        for copy in batch.copies:
            sink: Any = copy[0].sink
            (inner if self._way(sink) is self._inner else outer).append(copy)
        if not outer:
            self._inner.send(batch)
            return
        # A rule would forget those on streams.
        for way, copies in ((self._inner, inner), (self._outer, outer)):
            if copies:
                way.send(batch._replace(copies=copies, place=None))

    def receive(self, intake: Intake, now: float) -> int:
        """Take datagrams from the socket; streams are read elsewhere."""
        return self._inner.receive(intake, now)

    def take_unchecked(self) -> int:
        """Return how much media was dropped since the last call because its address had not been entered."""
        return self._inner.take_unchecked()

    def entered(self, address: Address, endpoint: Endpoint) -> None:
        """A transport's check from this address has passed: its media may come from there."""
        if is_stream(address):
            self._streams.add(address)
        else:
            self._inner.entered(address, endpoint)

    def left(self, address: Address) -> None:
        """Nothing may come from this address any longer."""
        if is_stream(address):
            self._streams.discard(address)
        else:
            self._inner.left(address)

    def opened(self, endpoint: Endpoint) -> None:
        """The transport's keys are there."""
        self._inner.opened(endpoint)

    def closed(self, endpoint: Endpoint) -> None:
        """The transport is gone, with its keys."""
        self._inner.closed(endpoint)

    def unrouted(self) -> None:
        """A transport's packets take another way, or none."""
        self._inner.unrouted()

    def figures(self) -> dict[str, object]:
        """Return counters for the worker's statistics."""
        return {**self._inner.figures(), "packets_sent": self.sent, "copies_dropped": self.dropped}
