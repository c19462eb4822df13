"""The worker's routers and transports: joins the forwarding core to the mux and the fan-out back end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from folkmoot_media.errors import MediaError
from folkmoot_media.fan.interface import Fan, Intake
from folkmoot_media.forwarding import afterwards, feedback
from folkmoot_media.forwarding.floor import FloorMode
from folkmoot_media.forwarding.model import Leg
from folkmoot_media.forwarding.pipe import open_pipe
from folkmoot_media.forwarding.router import Router
from folkmoot_media.pipes import Dial, PipeEnd, take_copies
from folkmoot_media.rtp_parameters import WIDE_ID
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity, Fingerprint
from folkmoot_media.transport.dialling import Arrived, DialledLink, LinkState
from folkmoot_media.transport.endpoint import Endpoint, Send
from folkmoot_media.transport.mux import Mux

MAXIMUM_ROUTERS = 2000
MAXIMUM_PIPES = 100
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
        dial: Dial | None = None,
    ) -> None:
        self.mux = Mux(identity, send, self, rng, fan)
        self.routers: dict[str, Router] = {}
        self.transports: dict[str, Attached] = {}
        self.pipe_ends: dict[str, PipeEnd] = {}
        self.rng = rng
        self._dial = dial
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
        fan = self._fan
        router = self.routers[router_id] = Router(router_id, mode, self.rng, stamping=fan.stamps, rules=fan.rules)
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
        for end in [held for held in self.pipe_ends.values() if held.router is router]:
            self.close_pipe(end, "router-closed")
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

    # -- pipes ------------------------------------------------------------------------------------------------

    def create_pipe(
        self,
        router: Router,
        pipe_id: str,
        side: Literal["offer", "answer"],
        patience: float,
        redundancy: tuple[int, ...] | None,
        now: float,
    ) -> PipeEnd:
        """Open one end of a pipe; the offering side dials.

        Raises:
            MediaError: media.pipe-exists, media.too-many-pipes, media.too-many-transports, media.cannot-dial.
        """
        if pipe_id in self.pipe_ends or pipe_id in self.transports:
            raise MediaError("media.pipe-exists", "A pipe with this id exists.")
        if len(router.pipes) >= MAXIMUM_PIPES:
            raise MediaError("media.too-many-pipes", "This room has too many pipes.")
        if side == "offer":
            if self._dial is None:
                raise MediaError("media.cannot-dial", "This worker cannot dial.")
            link = DialledLink(
                self.mux.identity,
                self.rng,
                lambda data, control, at, arrived: self._take_dialled(pipe_id, data, control, at, arrived),
                patience,
                now,
            )
            pipe = open_pipe(router, pipe_id, link, redundancy, WIDE_ID, now)
            end = PipeEnd(router, pipe, link=link)
        else:
            endpoint = self.mux.add(pipe_id, now)
            endpoint.patience = patience
            try:
                pipe = open_pipe(router, pipe_id, endpoint, redundancy, WIDE_ID, now)
            except MediaError:
                self.mux.close(endpoint)
                raise
            end = PipeEnd(router, pipe, endpoint=endpoint)
        self.pipe_ends[pipe_id] = end
        return end

    def pipe_end(self, pipe_id: str) -> PipeEnd:
        """Return this worker's end of a pipe.

        Raises:
            MediaError: media.no-such-pipe.
        """
        end = self.pipe_ends.get(pipe_id)
        if end is None:
            raise MediaError("media.no-such-pipe", "There is no such pipe.")
        return end

    def dial_pipe(
        self,
        end: PipeEnd,
        credentials: tuple[str, str],
        fingerprints: Sequence[Fingerprint],
        addresses: list[tuple[str, int]],
        now: float,
    ) -> None:
        """Let the offering side dial the answering one at the first of the addresses that answers.

        Raises:
            MediaError: media.cannot-dial.
        """
        link, pipe_id = end.link, end.pipe.id
        if link is None or self._dial is None:
            raise MediaError("media.cannot-dial", "The answering side of a pipe does not dial.")
        try:
            outlet = self._dial(addresses, lambda datagrams, at: self.receive_dialled(pipe_id, datagrams, at))
        except OSError as error:
            raise MediaError("media.cannot-dial", "No socket to this address can be opened.") from error
        link.dial(*credentials, fingerprints, outlet, now)
        self._tell_state(end, LinkState.CONNECTING)

    def close_pipe(self, end: PipeEnd, reason: str) -> None:
        """Close an end; what it mirrored closes with it."""
        if end.endpoint is not None:
            self.mux.close(end.endpoint)
        if end.link is not None:
            end.link.close()
        self._forget_pipe(end, "closed", reason)

    def close_pipes(self) -> None:
        """Close every end, so that the others know at once."""
        for end in list(self.pipe_ends.values()):
            self.close_pipe(end, "closed")

    def _forget_pipe(self, end: PipeEnd, state: str, reason: str) -> None:
        if self.pipe_ends.pop(end.pipe.id, None) is None:
            return
        end.router.remove_leg(end.leg)
        self._tell_events(end.router)
        self._notify(end.router.id, "pipe_state", {"pipe_id": end.pipe.id, "state": state, "reason": reason})

    def tell_connecting(self, end: PipeEnd) -> None:
        """The answering side knows whom to expect."""
        self._tell_state(end, LinkState.CONNECTING)

    def _tell_state(self, end: PipeEnd, state: LinkState) -> None:
        if end.told is not state:
            end.told = state
            self._notify(end.router.id, "pipe_state", {"pipe_id": end.pipe.id, "state": str(state), "reason": None})

    def _set_pipe_ready(self, end: PipeEnd, round_trip: float | None, now: float) -> None:
        if round_trip is not None:
            end.leg.round_trip = feedback.clamp_round_trip(round_trip)
        end.router.set_ready(end.leg, now)
        self._tell_state(end, LinkState.CONNECTED)
        self.flush(end.router, now)

    def receive_dialled(self, pipe_id: str, datagrams: list[Arrived], now: float) -> None:
        """Take what has come from the other end of a dialled pipe."""
        gathering, self._gathering = self._gathering, True
        try:
            for data, arrived in datagrams:
                end = self.pipe_ends.get(pipe_id)
                if end is None or end.link is None:
                    return
                end.link.receive(data, now, arrived)
                self._follow_link(end, now)
        finally:
            self._gathering = gathering
            self._fan.flush(now)

    def _follow_link(self, end: PipeEnd, now: float) -> None:
        link = end.link
        if link is None:
            return
        if link.state is LinkState.CONNECTED and end.told is not LinkState.CONNECTED:
            self._set_pipe_ready(end, link.take_round_trip(), now)
        elif link.state is LinkState.LOST:
            link.close()
            self._forget_pipe(end, "lost", link.reason)
        elif link.state is LinkState.CONNECTED and (measured := link.take_round_trip()) is not None:
            feedback.take_round_trip(end.leg, measured)

    def _take_dialled(self, pipe_id: str, data: bytes, control: bool, now: float, arrived: float) -> None:
        end = self.pipe_ends.get(pipe_id)
        if end is None:
            return
        if control:
            end.router.receive_rtcp(end.leg, data, now, self.wall_ntp(now))
        else:
            end.received += 1
            end.router.receive_rtp(end.leg, data, now, arrived)
        self.flush(end.router, now)

    # -- what the mux tells -----------------------------------------------------------------------------------

    def on_ready(self, endpoint: Endpoint, now: float) -> None:
        """The handshake of a transport has finished."""
        attached = self.transports.get(endpoint.id)
        end = self.pipe_ends.get(endpoint.id)
        if end is not None:
            self._set_pipe_ready(end, endpoint.round_trip, now)
        if attached is not None:
            if endpoint.round_trip is not None:
                attached.leg.round_trip = feedback.clamp_round_trip(endpoint.round_trip)
            attached.router.set_ready(attached.leg, now)
            self.flush(attached.router, now)

    def on_rtp(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """A decrypted RTP packet has arrived."""
        attached = self.transports.get(endpoint.id) or self._answered(endpoint)
        if attached is not None:
            attached.router.receive_rtp(attached.leg, data, now)
            self.flush(attached.router, now)

    def note_forwarded(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """A decrypted RTP packet has arrived and was forwarded by a rule."""
        endpoint.packets_in += 1
        endpoint.octets_in += len(data)
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            afterwards.note_forwarded(attached.router, attached.leg, data, now)

    def note_answered(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """A decrypted RTCP packet has arrived, and what it asks for was sent again by a rule."""
        endpoint.packets_in += 1
        endpoint.octets_in += len(data)
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            afterwards.note_answered(attached.router, attached.leg, data, now, self.wall_ntp(now))

    def on_rtcp(self, endpoint: Endpoint, data: bytes, now: float) -> None:
        """A decrypted RTCP packet has arrived."""
        attached = self.transports.get(endpoint.id) or self.pipe_ends.get(endpoint.id)
        if attached is not None:
            blocks = attached.router.receive_rtcp(attached.leg, data, now, self.wall_ntp(now))
            if endpoint.restricted:
                endpoint.prove([block.last_sender_report for block in blocks])
            self.flush(attached.router, now)

    def on_moved(self, endpoint: Endpoint, now: float) -> None:
        """A finished transport now sends to an address that is not proven: challenge it soon."""
        attached = self.transports.get(endpoint.id) or self.pipe_ends.get(endpoint.id)
        if attached is not None:
            attached.router.path_changed(attached.leg, now)

    def on_closed(self, endpoint: Endpoint, reason: str, now: float) -> None:
        """The mux has closed a transport by itself."""
        attached = self.transports.get(endpoint.id)
        if attached is not None:
            self._forget(attached, reason)
            self.flush(attached.router, now)
        end = self.pipe_ends.get(endpoint.id)
        if end is not None:
            self._forget_pipe(end, "lost", reason)
            self.flush(end.router, now)

    def _answered(self, endpoint: Endpoint) -> PipeEnd | None:
        end = self.pipe_ends.get(endpoint.id)
        if end is not None:
            end.received += 1
        return end

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
            for end in list(self.pipe_ends.values()):
                if end.link is not None:
                    end.link.poll(now)
                    self._follow_link(end, now)
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
            for batch in take_copies(outbox, self.pipe_ends) if router.pipes else outbox.batches:
                self._fan.send(batch)
            outbox.batches.clear()
        if outbox.reports:
            for leg, compound in outbox.reports:
                self._send_report(leg, compound)
            outbox.reports.clear()
        self._tell_events(router)
        if not self._gathering:
            self._fan.flush(now)

    def _send_report(self, leg: Leg, compound: bytes) -> None:
        attached = self.transports.get(leg.id) or self.pipe_ends.get(leg.id)
        if isinstance(attached, PipeEnd) and attached.link is not None:
            attached.link.send_control(compound)
        elif attached is not None and attached.endpoint is not None:
            self._fan.send_control(attached.endpoint, compound)

    def _tell_events(self, router: Router) -> None:
        events, router.outbox.events = router.outbox.events, []
        for event in events:
            self._notify(router.id, event.name, event.data)
