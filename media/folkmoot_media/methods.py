"""The control methods: one pydantic model and one function each; a refused request changes nothing."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding.floor import FloorMode
from folkmoot_media.forwarding.ladder import Level, Sample
from folkmoot_media.forwarding.model import Leg, PipedVoice, Producer, SlotConsumer, VideoConsumer
from folkmoot_media.forwarding.report import describe
from folkmoot_media.forwarding.router import Router
from folkmoot_media.pipe_methods import PipeMethods
from folkmoot_media.rooms import Attached, Rooms
from folkmoot_media.rtp_parameters import (
    AUDIO_PAYLOAD_TYPE,
    ROUTER_CAPABILITIES,
    WIDE_ID,
    DtlsParameters,
    Id,
    Kind,
    RtpCapabilities,
    RtpParameters,
    Source,
    Strict,
    checked,
    consumer_parameters,
    consumer_payload_types,
    takes_descriptors,
    takes_packet_numbers,
    to_producer_spec,
)
from folkmoot_media.transport.aiortc_adapter import SUPPORTED_DIGESTS, Fingerprint
from folkmoot_media.transport.endpoint import Credentials

# A control message has room for them.
MOST_PIPES_TOLD = 100
# What a worker that is on its way out no longer takes on.
REFUSED_WHILE_DRAINING = frozenset({"router.create", "router.create_transport", "pipe.create"})
Owners = Annotated[list[Id], Field(max_length=64)]


class Nothing(Strict):
    """No parameters."""


class RouterCreate(Strict):
    """router.create."""

    router_id: Id
    floor_mode: Literal["open", "chaired"]


class RouterRef(Strict):
    """router.close, router.slots."""

    router_id: Id


class SetFloor(Strict):
    """router.set_floor."""

    router_id: Id
    mode: Literal["open", "chaired"]
    chairs: Owners
    granted: Owners


class MuteOwner(Strict):
    """router.mute_owner."""

    router_id: Id
    owner: Id
    muted: bool


class OwnerRef(Strict):
    """router.remove_owner, router.report."""

    router_id: Id
    owner: Id


Ceiling = Annotated[int, Field(ge=0, le=4)]


class FirstLook(Strict):
    """What a page has measured of its link before joining."""

    kbps: Annotated[int, Field(ge=1, le=10_000_000)]
    rtt_ms: Annotated[int, Field(ge=0, le=60_000)]


class CreateTransport(Strict):
    """router.create_transport."""

    router_id: Id
    owner: Id
    direction: Literal["send", "recv"]
    ceiling: Ceiling = 4
    link: FirstLook | None = None


class SetLadder(Strict):
    """router.set_ladder."""

    router_id: Id
    owner: Id
    ceiling: Ceiling


class TransportRef(Strict):
    """transport.restart_ice, transport.close."""

    transport_id: Id


class Connect(Strict):
    """transport.connect."""

    transport_id: Id
    dtlsParameters: DtlsParameters  # noqa: N815 - the wire's spelling


class Produce(Strict):
    """transport.produce."""

    transport_id: Id
    kind: Kind
    rtpParameters: RtpParameters  # noqa: N815
    source: Source
    paused: bool = False


class ProducerRef(Strict):
    """producer.pause, producer.resume, producer.close."""

    router_id: Id
    producer_id: Id


class Consume(Strict):
    """transport.consume."""

    transport_id: Id
    producer_id: Id
    rtpCapabilities: RtpCapabilities  # noqa: N815
    paused: bool = True


class ConsumerRef(Strict):
    """consumer.pause, consumer.resume, consumer.close, consumer.request_key_frame."""

    transport_id: Id
    consumer_id: Id


class PreferredLayers(Strict):
    """consumer.set_preferred_layers."""

    transport_id: Id
    consumer_id: Id
    layer: Annotated[int, Field(ge=0, le=7)]


class Methods:
    """Dispatches control requests onto the worker's rooms."""

    def __init__(self, rooms: Rooms, candidates: list[dict[str, object]]) -> None:
        self._rooms = rooms
        self._candidates = candidates
        self.extra_stats: Callable[[], dict[str, object]] = dict
        self.draining = False
        self._table: dict[str, tuple[type[Strict], Callable[[Any, float], dict[str, object]]]] = {
            "router.create": (RouterCreate, self._router_create),
            "router.close": (RouterRef, self._router_close),
            "router.slots": (RouterRef, self._router_slots),
            "router.set_floor": (SetFloor, self._set_floor),
            "router.mute_owner": (MuteOwner, self._mute_owner),
            "router.remove_owner": (OwnerRef, self._remove_owner),
            "router.create_transport": (CreateTransport, self._create_transport),
            "router.set_ladder": (SetLadder, self._set_ladder),
            "router.report": (OwnerRef, self._report),
            "transport.connect": (Connect, self._connect),
            "transport.restart_ice": (TransportRef, self._restart_ice),
            "transport.close": (TransportRef, self._close_transport),
            "transport.produce": (Produce, self._produce),
            "transport.consume": (Consume, self._consume),
            "producer.pause": (ProducerRef, self._pause_producer),
            "producer.resume": (ProducerRef, self._resume_producer),
            "producer.close": (ProducerRef, self._close_producer),
            "consumer.pause": (ConsumerRef, self._pause_consumer),
            "consumer.resume": (ConsumerRef, self._resume_consumer),
            "consumer.close": (ConsumerRef, self._close_consumer),
            "consumer.request_key_frame": (ConsumerRef, self._request_key_frame),
            "consumer.set_preferred_layers": (PreferredLayers, self._set_preferred_layers),
            "worker.stats": (Nothing, self._stats),
            **PipeMethods(rooms, [one for one in candidates if one["protocol"] == "udp"]).table,
        }

    def call(self, method: str, data: dict[str, Any], now: float) -> dict[str, object]:
        """Carry out one request.

        Raises:
            MediaError: media.unknown-method, media.bad-request, media.draining, or the method's own.
        """
        entry = self._table.get(method)
        if entry is None:
            raise MediaError("media.unknown-method", "There is no such control method.")
        model, function = entry
        parsed = checked(model, data)
        if self.draining and method in REFUSED_WHILE_DRAINING:
            raise MediaError("media.draining", "This worker is about to end and takes on nothing new.")
        return function(parsed, now)

    # -- routers ----------------------------------------------------------------------------------------------

    def _router_create(self, data: RouterCreate, _now: float) -> dict[str, object]:
        self._rooms.create_router(data.router_id, FloorMode(data.floor_mode))
        return {"rtp_capabilities": ROUTER_CAPABILITIES}

    def _router_close(self, data: RouterRef, _now: float) -> dict[str, object]:
        self._rooms.close_router(self._rooms.router(data.router_id))
        return {}

    def _router_slots(self, data: RouterRef, _now: float) -> dict[str, object]:
        slots = self._rooms.router(data.router_id).slots
        return {
            "slots": [{"slot": slot.index, "producer_id": slot.producer_id, "owner": slot.owner} for slot in slots]
        }

    def _set_floor(self, data: SetFloor, now: float) -> dict[str, object]:
        router = self._rooms.router(data.router_id)
        router.set_floor(FloorMode(data.mode), data.chairs, data.granted, now)
        self._rooms.flush(router, now)
        return {}

    def _mute_owner(self, data: MuteOwner, now: float) -> dict[str, object]:
        router = self._rooms.router(data.router_id)
        router.mute_owner(data.owner, data.muted, now)
        self._rooms.flush(router, now)
        return {}

    def _remove_owner(self, data: OwnerRef, now: float) -> dict[str, object]:
        router = self._rooms.router(data.router_id)
        for attached in list(self._rooms.transports.values()):
            if attached.router is router and attached.leg.owner == data.owner:
                self._rooms.close_transport(attached, "owner-removed")
        for producer in list(router.producers.values()):
            if producer.mirrored and producer.owner == data.owner:
                router.close_producer(producer)
        self._rooms.flush(router, now)
        return {}

    def _set_ladder(self, data: SetLadder, now: float) -> dict[str, object]:
        router = self._rooms.router(data.router_id)
        for leg in router.legs.values():
            if leg.owner == data.owner:
                router.set_ceiling(leg, Level(data.ceiling), now)
        self._rooms.flush(router, now)
        return {}

    # -- transports -------------------------------------------------------------------------------------------

    def _create_transport(self, data: CreateTransport, now: float) -> dict[str, object]:
        router = self._rooms.router(data.router_id)
        attached = self._rooms.create_transport(router, data.owner, data.direction, now)
        attached.router.set_ceiling(attached.leg, Level(data.ceiling), now)
        if data.link is not None and attached.leg.downlink is not None:
            first = Sample(data.link.kbps, 0.0, data.link.rtt_ms / 1000)
            attached.leg.downlink.begin(first, now, attached.router.outbox)
            self._rooms.flush(attached.router, now)
        fingerprints = [
            {"algorithm": found.algorithm, "value": found.value} for found in self._rooms.mux.identity.fingerprints
        ]
        return {
            "id": attached.leg.id,
            "iceParameters": self._ice(attached.endpoint.credentials[-1]),
            "spareIceParameters": self._ice(self._rooms.mux.add_credentials(attached.endpoint)),
            "iceCandidates": self._candidates,
            "dtlsParameters": {"role": "auto", "fingerprints": fingerprints},
        }

    @staticmethod
    def _ice(pair: Credentials) -> dict[str, object]:
        return {"usernameFragment": pair.fragment, "password": pair.password, "iceLite": True}

    def _connect(self, data: Connect, _now: float) -> dict[str, object]:
        endpoint = self._rooms.transport(data.transport_id).endpoint
        if data.dtlsParameters.role == "server":
            raise MediaError("media.bad-dtls-role", "The client must take the active DTLS role.")
        if endpoint.dtls.expected:
            raise MediaError("media.already-connected", "This transport has been connected already.")
        fingerprints = [Fingerprint(item.algorithm, item.value) for item in data.dtlsParameters.fingerprints]
        if not any(item.algorithm.lower() in SUPPORTED_DIGESTS for item in fingerprints):
            raise MediaError("media.bad-fingerprint", "No fingerprint algorithm is supported.")
        endpoint.dtls.expect(fingerprints)
        return {}

    def _restart_ice(self, data: TransportRef, _now: float) -> dict[str, object]:
        first, spare = self._rooms.mux.offer_pairs(self._rooms.transport(data.transport_id).endpoint)
        return {"iceParameters": self._ice(first), "spareIceParameters": self._ice(spare)}

    def _close_transport(self, data: TransportRef, now: float) -> dict[str, object]:
        attached = self._rooms.transport(data.transport_id)
        self._rooms.close_transport(attached, "closed")
        self._rooms.flush(attached.router, now)
        return {}

    # -- producers --------------------------------------------------------------------------------------------

    def _produce(self, data: Produce, now: float) -> dict[str, object]:
        attached = self._rooms.transport(data.transport_id)
        if attached.leg.direction != "send":
            raise MediaError("media.wrong-direction", "This transport only receives.")
        spec = to_producer_spec(data.kind, data.source, data.rtpParameters)
        producer_id = self._rooms.rng(16).hex()
        attached.router.add_producer(producer_id, attached.leg, spec, data.paused)
        self._rooms.flush(attached.router, now)
        return {"id": producer_id}

    def _producer(self, data: ProducerRef) -> tuple[Router, Producer]:
        router = self._rooms.router(data.router_id)
        producer = router.producers.get(data.producer_id)
        if producer is None:
            raise MediaError("media.no-such-producer", "There is no such producer.")
        return router, producer

    def _pause_producer(self, data: ProducerRef, now: float) -> dict[str, object]:
        return self._set_producer_paused(data, True, now)

    def _resume_producer(self, data: ProducerRef, now: float) -> dict[str, object]:
        return self._set_producer_paused(data, False, now)

    def _set_producer_paused(self, data: ProducerRef, paused: bool, now: float) -> dict[str, object]:
        router, producer = self._producer(data)
        router.set_producer_paused(producer, paused, now)
        self._rooms.flush(router, now)
        return {}

    def _close_producer(self, data: ProducerRef, now: float) -> dict[str, object]:
        router, producer = self._producer(data)
        router.close_producer(producer)
        self._rooms.flush(router, now)
        return {}

    # -- consumers --------------------------------------------------------------------------------------------

    def _consume(self, data: Consume, now: float) -> dict[str, object]:
        attached = self._rooms.transport(data.transport_id)
        router, leg = attached.router, attached.leg
        if leg.direction != "recv":
            raise MediaError("media.wrong-direction", "This transport only sends.")
        consumer_id = self._rooms.rng(16).hex()
        slot = next((slot for slot in router.slots if slot.producer_id == data.producer_id), None)
        consumer: VideoConsumer | SlotConsumer
        described = False
        if slot is not None:
            payload_types = consumer_payload_types("audio/opus", data.rtpCapabilities)
            self._number(router, leg, data.rtpCapabilities)
            consumer = router.add_slot_consumer(consumer_id, leg, slot, AUDIO_PAYLOAD_TYPE, data.paused)
            kind, form, ssrcs = "audio", "simple", (consumer.ssrc, 0)
        else:
            producer = router.producers.get(data.producer_id)
            if producer is None:
                raise MediaError("media.no-such-producer", "There is no such producer.")
            if producer.spec.kind != "video":
                raise MediaError("media.not-consumable", "Voices are heard through the slots only.")
            payload_types = consumer_payload_types(producer.spec.codec.mime, data.rtpCapabilities)
            self._number(router, leg, data.rtpCapabilities)
            consumer = router.add_video_consumer(consumer_id, leg, producer, payload_types, data.paused)
            described = bool(producer.spec.descriptor_id) and router.stamping
            described = consumer.marked = described and takes_descriptors(data.rtpCapabilities)
            kind, ssrcs = "video", (consumer.ssrc, consumer.rtx_ssrc)
            form = "simulcast" if len(producer.layers) > 1 else "simple"
        mid = str(leg.next_mid)
        leg.next_mid += 1
        if not data.paused:
            router.set_consumer_paused(consumer, False, now)
        self._rooms.flush(router, now)
        numbered = leg.wide is not None
        parameters = consumer_parameters(mid, payload_types, ssrcs, consumer.cname, numbered, described)
        return {
            "id": consumer_id,
            "producerId": data.producer_id,
            "kind": kind,
            "rtpParameters": parameters,
            "type": form,
            "paused": data.paused,
        }

    @staticmethod
    def _number(router: Router, leg: Leg, capabilities: RtpCapabilities) -> None:
        if takes_packet_numbers(capabilities):
            router.number_packets(leg, WIDE_ID)

    def _consumer(self, data: ConsumerRef | PreferredLayers) -> tuple[Attached, VideoConsumer | SlotConsumer]:
        attached = self._rooms.transport(data.transport_id)
        consumer = attached.leg.consumers.get(data.consumer_id)
        if consumer is None or isinstance(consumer, PipedVoice):
            raise MediaError("media.no-such-consumer", "There is no such consumer.")
        return attached, consumer

    def _pause_consumer(self, data: ConsumerRef, now: float) -> dict[str, object]:
        return self._set_consumer_paused(data, True, now)

    def _resume_consumer(self, data: ConsumerRef, now: float) -> dict[str, object]:
        return self._set_consumer_paused(data, False, now)

    def _set_consumer_paused(self, data: ConsumerRef, paused: bool, now: float) -> dict[str, object]:
        attached, consumer = self._consumer(data)
        attached.router.set_consumer_paused(consumer, paused, now)
        self._rooms.flush(attached.router, now)
        return {}

    def _close_consumer(self, data: ConsumerRef, now: float) -> dict[str, object]:
        attached, consumer = self._consumer(data)
        attached.router.close_consumer(consumer)
        self._rooms.flush(attached.router, now)
        return {}

    def _video_consumer(self, data: ConsumerRef | PreferredLayers) -> tuple[Attached, VideoConsumer]:
        attached, consumer = self._consumer(data)
        if not isinstance(consumer, VideoConsumer):
            raise MediaError("media.not-video", "A voice slot has no layers and no key frames.")
        return attached, consumer

    def _request_key_frame(self, data: ConsumerRef, now: float) -> dict[str, object]:
        attached, consumer = self._video_consumer(data)
        attached.router.request_key_frame(consumer, now)
        self._rooms.flush(attached.router, now)
        return {}

    def _set_preferred_layers(self, data: PreferredLayers, now: float) -> dict[str, object]:
        attached, consumer = self._video_consumer(data)
        attached.router.set_preferred_layer(consumer, data.layer, now)
        self._rooms.flush(attached.router, now)
        return {}

    # -- figures ----------------------------------------------------------------------------------------------

    def _report(self, data: OwnerRef, now: float) -> dict[str, object]:
        router = self._rooms.router(data.router_id)
        own = [
            held for held in self._rooms.transports.values() if held.router is router and held.leg.owner == data.owner
        ]
        return {"transports": [{**held.endpoint.figures(now), **describe(held.leg, now)} for held in own]}

    def _stats(self, _data: Nothing, _now: float) -> dict[str, object]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        totals: dict[str, int] = dict(self._rooms.mux.counters)
        for router in self._rooms.routers.values():
            for name, value in router.counters.items():
                totals[name] = totals.get(name, 0) + value
        return {
            "pid": os.getpid(),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "routers": len(self._rooms.routers),
            "transports": len(self._rooms.transports),
            "pipes": [end.figures() for end in islice(self._rooms.pipe_ends.values(), MOST_PIPES_TOLD)],
            "counters": totals,
            **self.extra_stats(),
        }
