"""The worker's routers and transports: joins the forwarding core to the mux and the fan-out back end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from folkmoot_media.errors import MediaError
from folkmoot_media.fan.interface import Fan, Intake
from folkmoot_media.forwarding import feedback
from folkmoot_media.forwarding.floor import FloorMode
from folkmoot_media.forwarding.model import Leg
from folkmoot_media.forwarding.router import Router
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity
from folkmoot_media.transport.endpoint import Endpoint, Send
from folkmoot_media.transport.mux import Mux

MAXIMUM_ROUTERS = 2000
NTP_EPOCH_OFFSET = 2_208_988_800

Notify = Callable[[str, str, dict[str, object]], None]


@dataclass(slots=True)
class Attached:
    """A transport with its router."""

    router: Router
    leg: Leg
    endpoint: Endpoint


class Rooms:
    """All state of a worker; every method runs on the worker's loop and none does input or output by itself."""

    def __init__(
        self,
        identity: DtlsIdentity,
        send: Send,
        fan: Fan,
        notify: Notify,
        rng: Callable[[int], bytes],
        wall_offset: float,
    ) -> None:
        self.mux = Mux(identity, send, self, rng, fan)
        self.routers: dict[str, Router] = {}
        self.transports: dict[str, Attached] = {}
        self.rng = rng
        self._fan = fan
        self._gathering = False
        self._notify = notify
        self._wall_offset = wall_offset

    def wall_ntp(self, now: float) -> int:
        """Return NTP time (32.32 fixed point) at `now` on the worker's monotonic clock."""
        return int((now + self._wall_offset + NTP_EPOCH_OFFSET) * (1 << 32))

    # -- routers and transports -------------------------------------------------------------------------------

    def create_router(self, router_id: str, mode: FloorMode) -> Router:
        """Open a router.

        Raises:
            MediaError: media.router-exists, media.too-many-routers.
        """
        if router_id in self.routers:
            raise MediaError("media.router-exists", "A router with this id exists.")
        if len(self.routers) >= MAXIMUM_ROUTERS:
            raise MediaError("media.too-many-routers", "This worker has too many routers.")
        router = self.routers[router_id] = Router(router_id, mode, self.rng, stamping=self._fan.stamps)
        return router

    def router(self, router_id: str) -> Router:
        """Return a router.

        Raises:
            MediaError: media.no-such-router.
        """
        router = self.routers.get(router_id)
        if router is None:
            raise MediaError("media.no-such-router", "There is no such router.")
        return router

    def close_router(self, router: Router) -> None:
        """Close a router and all its transports."""
        for attached in [held for held in self.transports.values() if held.router is router]:
            self.close_transport(attached, "router-closed")
        del self.routers[router.id]

    def create_transport(self, router: Router, owner: str, direction: str, now: float) -> Attached:
        """Open a transport for `owner`.

        Raises:
            MediaError: media.too-many-transports.
        """
        transport_id = self.rng(16).hex()
        endpoint = self.mux.add(transport_id, now)
        try:
            leg = router.add_leg(transport_id, owner, direction, endpoint, now)
        except MediaError:
            self.mux.close(endpoint)
            raise
        attached = self.transports[transport_id] = Attached(router, leg, endpoint)
        return attached

    def transport(self, transport_id: str) -> Attached:
        """Return a transport.

        Raises:
            MediaError: media.no-such-transport.
        """
        attached = self.transports.get(transport_id)
        if attached is None:
            raise MediaError("media.no-such-transport", "There is no such transport.")
        return attached

    def close_transport(self, attached: Attached, reason: str) -> None:
        """Close a transport with its producers and consumers."""
        self.mux.close(attached.endpoint)
        self._forget(attached, reason)

    def _forget(self, attached: Attached, reason: str) -> None:
        if self.transports.pop(attached.leg.id, None) is None:
            return
        attached.router.remove_leg(attached.leg)
        self._notify(
            attached.router.id,
            "transport_closed",
            {"transport_id": attached.leg.id, "owner": attached.leg.owner, "reason": reason},
        )

    # -- what the mux tells -----------------------------------------------------------------------------------

    def on_ready(self, endpoint: Endpoint, now: float) -> None:
        """The handshake of a transport has finished."""
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            if endpoint.round_trip is not None:
                attached.leg.round_trip = feedback.clamp_round_trip(endpoint.round_trip)
            attached.router.set_ready(attached.leg, now)
            self.flush(attached.router, now)

    def on_rtp(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """A decrypted RTP packet has arrived."""
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            attached.router.receive_rtp(attached.leg, data, now)
            self.flush(attached.router, now)

    def on_rtcp(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """A decrypted RTCP packet has arrived."""
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            blocks = attached.router.receive_rtcp(attached.leg, data, now, self.wall_ntp(now))
            if endpoint.restricted:
                endpoint.prove([block.last_sender_report for block in blocks])
            self.flush(attached.router, now)

    def on_moved(self, endpoint: Endpoint, now: float) -> None:
        """A finished transport now sends to an address that is not proven: challenge it soon."""
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            attached.router.path_changed(attached.leg, now)

    def on_closed(self, endpoint: Endpoint, reason: str, now: float) -> None:
        """The mux has closed a transport by itself."""
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            self._forget(attached, reason)
            self.flush(attached.router, now)

    # -- input and output -------------------------------------------------------------------------------------

    def receive(self, intake: Intake, now: float) -> int:
        """Take what has come in, then send what it leads to in one go; return the number of datagrams."""
        self._gathering = True
        try:
            return self._fan.receive(intake, now)
        finally:
            self._gathering = False
            self.mux.counters["unchecked_source"] += self._fan.take_unchecked()
            self._fan.flush(now)

    def poll(self, now: float) -> None:
        """Run every timer."""
        self._gathering = True
        try:
            self.mux.poll(now)
            wall = self.wall_ntp(now)
            for router in list(self.routers.values()):
                router.poll(now, wall)
                self.flush(router, now)
        finally:
            self._gathering = False
            self._fan.flush(now)

    def flush(self, router: Router, now: float) -> None:
        """Carry out what the core has put into its outbox; while gathering, sending waits."""
        outbox = router.outbox
        if outbox.batches:
            for batch in outbox.batches:
                self._fan.send(batch)
            outbox.batches.clear()
        if outbox.reports:
            for leg, compound in outbox.reports:
                attached = self.transports.get(leg.id)
                if attached is not None:
                    self._fan.send_control(attached.endpoint, compound)
            outbox.reports.clear()
        if outbox.events:
            for event in outbox.events:
                self._notify(router.id, event.name, event.data)
            outbox.events.clear()
        if not self._gathering:
            self._fan.flush(now)
