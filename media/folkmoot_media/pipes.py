"""The ends of pipes in a worker: a forwarding pipe with the link that it has, dialled or answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from folkmoot_media.forwarding.model import Batch, Leg, Outbox
from folkmoot_media.forwarding.pipe import Pipe
from folkmoot_media.forwarding.router import Router
from folkmoot_media.transport.dialling import Arrived, DialledLink, LinkState, Outlet
from folkmoot_media.transport.endpoint import Endpoint

Dial = Callable[[list[tuple[str, int]], Callable[[list[Arrived], float], None]], Outlet]
"""Opens a socket to the first of the addresses that answers; what comes from there is given on, with the time."""


@dataclass(slots=True)
class PipeEnd:
    """One end: `link` when it dials, `endpoint` when it answers."""

    router: Router
    pipe: Pipe
    link: DialledLink | None = None
    endpoint: Endpoint | None = None
    told: LinkState = LinkState.NEW
    sent: int = 0
    octets: int = 0
    received: int = 0

    @property
    def leg(self) -> Leg:
        """The forwarding side."""
        return self.pipe.leg

    @property
    def state(self) -> LinkState:
        """Where the link stands."""
        if self.link is not None:
            return self.link.state
        return self.told

    def figures(self) -> dict[str, object]:
        """Return what is known of the link and counters of this direction, in packets and bytes."""
        return {
            "pipe_id": self.pipe.id,
            "router_id": self.router.id,
            "side": "answer" if self.link is None else "offer",
            "state": str(self.told),
            "packets_sent": self.sent,
            "octets_sent": self.octets,
            "packets_received": self.received,
            **self.pipe.figures(),
        }


def take_copies(outbox: Outbox, ends: dict[str, PipeEnd]) -> list[Batch]:
    """Count the copies that go through pipes, send those of dialled links, and return what the fan-out must send."""
    kept: list[Batch] = []
    for batch in outbox.batches:
        left = []
        for copy in batch.copies:
            leg = copy[0]
            end = ends.get(leg.id) if leg.pipe is not None else None
            if end is not None:
                end.sent += 1
                end.octets += len(batch.payload)
                if end.link is not None:
                    end.link.send_copy(batch.payload, copy)
                    continue
            left.append(copy)
        if left:
            kept.append(batch if len(left) == len(batch.copies) else batch._replace(copies=left, place=None))
    return kept
