"""A router: one room's legs, producers, consumers and voice slots, without any input or output of its own.

`receive_rtp` and `receive_rtcp` take decrypted packets, `poll` takes the time; what must be sent or told gathers
in `outbox`, which the caller empties.
"""

from __future__ import annotations

from collections.abc import Sequence

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import answers, codecs, demux, express, feedback, pipe_voices, rtcp, video, voices
from folkmoot_media.forwarding.demux import LARGEST_PAYLOAD, Count
from folkmoot_media.forwarding.downlink import Downlink, release
from folkmoot_media.forwarding.floor import SLOT_COUNT, Floor, FloorMode, SlotChange
from folkmoot_media.forwarding.ladder import Level
from folkmoot_media.forwarding.model import (
    Consumer,
    Event,
    Layer,
    Leg,
    Outbox,
    PipedVoice,
    Producer,
    ProducerSpec,
    Rng,
    Sink,
    Slot,
    SlotConsumer,
    VideoConsumer,
)
from folkmoot_media.forwarding.packets import RtpPacket, parse_rtp, read_extensions
from folkmoot_media.forwarding.pipe import LARGEST_CROSSING, Pipe
from folkmoot_media.forwarding.reception import DUPLICATE, JUMPED, RESTARTED, History, Reception
from folkmoot_media.forwarding.transport_wide import ArrivalLog, SendLog

MAXIMUM_LEGS_PER_OWNER = 6
MAXIMUM_CONSUMERS_PER_LEG = 64
MAXIMUM_LEGS = 1000
FLOOR_PERIOD = 0.1
# A member of an enumeration is looked up more slowly than a packet may cost.
RECEIVED = str(Count.RECEIVED)
NO_EXTENSIONS: dict[int, bytes] = {}
LEVEL = pipe_voices.LEVEL_ID


class Router:
    """The forwarding core of one room."""

    def __init__(
        self,
        router_id: str,
        mode: FloorMode,
        rng: Rng,
        upstream_bitrate: int = 4_000_000,
        stamping: bool = False,
        rules: bool = False,
    ) -> None:
        """Open a room; the fan-out writes stamps (`model.Copy`) if `stamping`, takes rules (`express`) if `rules`."""
        self.id = router_id
        self.floor = Floor(mode)
        self.outbox = Outbox()
        self.legs: dict[str, Leg] = {}
        self.producers: dict[str, Producer] = {}
        self.pipes: dict[str, Pipe] = {}
        self.stamping = stamping
        self.takes_rules = rules
        self.counters: dict[str, int] = {str(count): 0 for count in Count}
        self._paced: list[Leg] = []
        self._rng = rng
        self._upstream_bitrate = upstream_bitrate
        self._microphones: dict[str, Producer] = {}
        self.speaking: dict[str, Slot] = {}
        self._next_floor = 0.0
        self.slots = [self._new_slot(index) for index in range(SLOT_COUNT)]

    def _new_slot(self, index: int) -> Slot:
        start = (1 << 16) + int.from_bytes(self._rng(2), "big")
        return Slot(index, f"slot-{self._rng(8).hex()}", last_position=start)

    def new_ssrc(self) -> int:
        """Return a random SSRC that is not 0 or our feedback SSRC."""
        return int.from_bytes(self._rng(4), "big") | 0x100

    # -- legs -------------------------------------------------------------------------------------------------

    def add_leg(self, leg_id: str, owner: str, direction: str, sink: Sink, now: float = 0.0) -> Leg:
        """Add the forwarding side of a transport.

        Raises:
            MediaError: media.too-many-transports.
        """
        held = sum(1 for leg in self.legs.values() if owner and leg.owner == owner)
        if held >= MAXIMUM_LEGS_PER_OWNER or len(self.legs) >= MAXIMUM_LEGS:
            raise MediaError("media.too-many-transports", "This seat or room has too many transports open.")
        leg = self.legs[leg_id] = Leg(leg_id, owner, direction, sink)
        if direction == "recv":
            leg.downlink = Downlink(leg, now)
        return leg

    def number_packets(self, leg: Leg, extension_id: int) -> None:
        """Number every packet to `leg` in this extension, if the fan-out can; only before its first consumer."""
        if self.stamping and not leg.consumers:
            leg.wide = SendLog(extension_id)

    def set_ceiling(self, leg: Leg, ceiling: Level, now: float) -> None:
        """Take the highest level of the ladder that the leg's owner wants; it holds at the next `poll`."""
        if leg.downlink is not None:
            leg.downlink.switch(ceiling, now)

    def set_ready(self, leg: Leg, now: float) -> None:
        """The leg's handshake has finished: packets may flow."""
        leg.ready = True
        for consumer in leg.consumers.values():
            self._refresh(consumer, now)

    def path_changed(self, leg: Leg, now: float) -> None:
        """The leg's packets take another way from now on: challenge it soon, and measure its waiting time anew."""
        leg.next_feedback = now
        if leg.downlink is not None:
            leg.downlink.move(now)
        if leg.pipe is not None:
            leg.pipe.speak_up()

    def remove_leg(self, leg: Leg) -> None:
        """Take a leg away with its producers and consumers."""
        leg.ready = False
        leg.closed = True
        for producer in list(leg.producers.values()):
            self.close_producer(producer)
        for consumer in list(leg.consumers.values()):
            self.close_consumer(consumer)
        self.legs.pop(leg.id, None)
        self.pipes.pop(leg.id, None)

    # -- producers --------------------------------------------------------------------------------------------

    def add_producer(
        self, producer_id: str, leg: Leg, spec: ProducerSpec, paused: bool, owner: str | None = None
    ) -> Producer:
        """Add a producer, a mirrored one with its `owner`; an owner has at most one of each source.

        Raises:
            MediaError: media.source-in-use, media.stream-conflict.
        """
        producer = Producer(producer_id, leg, spec, paused=paused, named=owner)
        for other in self.producers.values():
            if other.owner == producer.owner and other.spec.source == spec.source:
                raise MediaError("media.source-in-use", f"This seat already sends a {spec.source}.")
        if any(other.spec.mid == spec.mid for other in leg.producers.values()):
            raise MediaError("media.stream-conflict", "This media section is already in use.")
        wanted = [number for enc in spec.encodings for number in (enc.ssrc, enc.rtx_ssrc) if number is not None]
        if len(set(wanted)) < len(wanted) or any(number in leg.streams or number in leg.repairs for number in wanted):
            raise MediaError("media.stream-conflict", "This SSRC is already in use on this transport.")
        producer.muted = spec.kind == "audio" and self.floor.is_muted(producer.owner)
        for index, encoding in enumerate(spec.encodings):
            layer = Layer(producer, index, Reception(spec.codec.clock_rate))
            layer.read = codecs.READERS.get(spec.codec.mime, codecs.parse_h264)
            producer.layers.append(layer)
            if encoding.ssrc is not None:
                demux.learn(leg, layer, encoding.ssrc)
            if encoding.rtx_ssrc is not None:
                demux.learn_repair(leg, layer, encoding.rtx_ssrc)
        if spec.wide_id and leg.arrivals is None:
            leg.wide_id, leg.arrivals = spec.wide_id, ArrivalLog()
        self.producers[producer_id] = leg.producers[producer_id] = producer
        if spec.source == "microphone":
            self._microphones[producer.owner] = producer
            self._refresh_voice(producer)
        return producer

    def set_producer_paused(self, producer: Producer, paused: bool, now: float) -> None:
        """Stop or go on forwarding a producer."""
        producer.paused = paused
        self._apply_silence(producer, now)

    def mute_owner(self, owner: str, muted: bool, now: float) -> None:
        """Silence the owner's microphone by order of the chair, present and future."""
        self.floor.set_muted(owner, muted)
        producer = self._microphones.get(owner)
        if producer is not None:
            producer.muted = muted
            self._apply_silence(producer, now)

    def _apply_silence(self, producer: Producer, now: float) -> None:
        express.drop_all(producer.layers)
        if producer.spec.source == "microphone":
            self._refresh_voice(producer)
            self._assign(now)
        for consumer in producer.consumers.values():
            self._refresh(consumer, now)

    def _refresh_voice(self, producer: Producer) -> None:
        change = self.floor.remove_voice if producer.silent else self.floor.add_voice
        change(producer.owner)

    def close_producer(self, producer: Producer) -> None:
        """Take a producer away; its consumers close with it."""
        express.drop_all(producer.layers)
        for pipe in self.pipes.values():
            pipe.forget(producer)
        for consumer in list(producer.consumers.values()):
            self.close_consumer(consumer)
        leg, owner = producer.leg, producer.owner
        for table in (leg.streams, leg.repairs):
            for ssrc in [ssrc for ssrc, layer in table.items() if layer.producer is producer]:
                del table[ssrc]
        leg.producers.pop(producer.id, None)
        if self.producers.pop(producer.id, None) is None:
            return
        if self._microphones.get(owner) is producer:
            del self._microphones[owner]
            self.floor.remove_voice(owner)
            self._apply_changes(self.floor.release(owner))
        self.outbox.events.append(
            Event("producer_closed", {"producer_id": producer.id, "owner": owner, "source": producer.spec.source})
        )

    # -- consumers --------------------------------------------------------------------------------------------

    def add_video_consumer(
        self, consumer_id: str, leg: Leg, producer: Producer, payload_types: tuple[int, int], paused: bool
    ) -> VideoConsumer:
        """Let `leg` see a video producer; `payload_types` are media and retransmission (-1: none)."""
        self._check_room(leg)
        return self.new_video_consumer(consumer_id, leg, producer, payload_types, paused)

    def new_video_consumer(
        self, consumer_id: str, leg: Leg, producer: Producer, payload_types: tuple[int, int], paused: bool
    ) -> VideoConsumer:
        """Do so however many consumers the leg has."""
        consumer = VideoConsumer(
            consumer_id,
            leg,
            producer,
            self.free_ssrc(leg),
            self.free_ssrc(leg),
            *payload_types,
            cname=producer.id,
            preferred=len(producer.layers) - 1,
            paused=paused,
            last_sequence=int.from_bytes(self._rng(2), "big") >> 1,
            rtx_sequence=int.from_bytes(self._rng(2), "big") >> 1,
        )
        if leg.wide is not None:
            # On a link that is not known yet, begin with the least: more comes within a moment if it fits.
            consumer.allowed = 0
        producer.consumers[consumer_id] = consumer
        self._admit(leg, consumer)
        return consumer

    def add_slot_consumer(
        self, consumer_id: str, leg: Leg, slot: Slot, payload_type: int, paused: bool
    ) -> SlotConsumer:
        """Let `leg` hear a voice slot."""
        self._check_room(leg)
        consumer = SlotConsumer(
            consumer_id, leg, slot, self.free_ssrc(leg), payload_type, cname=slot.producer_id, paused=paused
        )
        # SRTP wants the first sequence number in the lower half of its range (RFC 3711 section 3.3.1).
        consumer.gap = slot.last_position - (int.from_bytes(self._rng(2), "big") >> 1)
        consumer.held_at = slot.last_position
        slot.consumers[consumer_id] = consumer
        self._admit(leg, consumer)
        return consumer

    def free_ssrc(self, leg: Leg) -> int:
        """Return a random SSRC that nothing sent to `leg` has."""
        taken = {other.rtx_ssrc for other in leg.consumers.values() if isinstance(other, VideoConsumer)}
        while (ssrc := self.new_ssrc()) in leg.by_ssrc or ssrc in taken:
            pass
        return ssrc

    def _check_room(self, leg: Leg) -> None:
        if len(leg.consumers) >= MAXIMUM_CONSUMERS_PER_LEG:
            raise MediaError("media.too-many-consumers", "This transport has too many consumers.")

    def _admit(self, leg: Leg, consumer: Consumer) -> None:
        leg.consumers[consumer.id] = consumer
        leg.by_ssrc[consumer.ssrc] = consumer

    def set_consumer_paused(self, consumer: VideoConsumer | SlotConsumer, paused: bool, now: float) -> None:
        """Stop or go on sending to a consumer."""
        consumer.paused = paused
        self._refresh(consumer, now)

    def set_preferred_layer(self, consumer: VideoConsumer, layer: int, now: float) -> None:
        """Ask for a simulcast layer, 0 the smallest; the switch comes with that layer's next key frame."""
        consumer.preferred = layer
        self._refresh(consumer, now)

    def request_key_frame(self, consumer: VideoConsumer, now: float) -> None:
        """Ask the publisher for a key frame on behalf of a consumer."""
        layer = consumer.target or consumer.layer
        if layer is not None:
            video.request_key_frame(layer, now, self.outbox)

    def close_consumer(self, consumer: Consumer) -> None:
        """Take a consumer away."""
        if isinstance(consumer, PipedVoice):
            consumer.crossing = False
        elif isinstance(consumer, SlotConsumer):
            consumer.slot.consumers.pop(consumer.id, None)
            voices.refresh(consumer)
        else:
            video.release(consumer)
            if consumer.leg.pacer is not None:
                consumer.leg.pacer.forget(consumer)
            consumer.producer.consumers.pop(consumer.id, None)
        consumer.leg.consumers.pop(consumer.id, None)
        consumer.leg.by_ssrc.pop(consumer.ssrc, None)

    def _refresh(self, consumer: Consumer, now: float) -> None:
        if isinstance(consumer, SlotConsumer):
            voices.refresh(consumer)
        elif isinstance(consumer, VideoConsumer):
            video.retarget(consumer, now, self.outbox)

    # -- the floor --------------------------------------------------------------------------------------------

    def set_floor(self, mode: FloorMode, chairs: Sequence[str], granted: Sequence[str], now: float) -> None:
        """Set who may be heard and who owns the reserved slot."""
        self.floor.set_floor(mode, chairs, granted)
        self._assign(now)
        for pipe in self.pipes.values():
            pipe.follow_floor(now)

    def _assign(self, now: float) -> None:
        self._apply_changes(self.floor.assign(now))

    def _apply_changes(self, changes: list[SlotChange]) -> None:
        for change in changes:
            slot = self.slots[change.slot]
            if slot.owner is not None and self.speaking.get(slot.owner) is slot:
                del self.speaking[slot.owner]
        for change in changes:
            slot = self.slots[change.slot]
            microphone = self._microphones.get(change.owner) if change.owner is not None else None
            voices.set_speaker(slot, change.owner, microphone.layers[0] if microphone else None)
            if change.owner is not None:
                self.speaking[change.owner] = slot
            self.outbox.events.append(Event("slot_speaker", {"slot": change.slot, "owner": change.owner}))

    # -- packets ----------------------------------------------------------------------------------------------

    def receive_rtp(self, leg: Leg, data: bytes, now: float, arrived: float | None = None) -> None:
        """Take one decrypted RTP packet from `leg`, which had `arrived` a little earlier, if that is known."""
        packet = parse_rtp(data)
        if packet is None:
            self.counters[Count.MALFORMED] += 1
            return
        self.counters[RECEIVED] += 1
        if len(packet.payload) > (LARGEST_PAYLOAD if leg.pipe is None else LARGEST_CROSSING):
            self.counters[Count.OVERSIZE] += 1
            return
        values = read_extensions(packet.extension_profile, packet.extensions) if packet.extensions else NO_EXTENSIONS
        if leg.arrivals is not None:
            feedback.note_arrival(leg, values, now if arrived is None else arrived)
        if leg.pipe is not None and leg.pipe.is_probe(packet):
            return
        layer = leg.streams.get(packet.ssrc) or leg.repairs.get(packet.ssrc)
        if layer is None:
            identified = demux.identify(leg, packet, values)
            if identified is None:
                self.counters[Count.UNKNOWN_STREAM] += 1
                return
            layer, anew = identified
            if anew:
                self._restart(layer, now)
        elif values and not demux.is_of_section(layer, values):
            self.counters[Count.WRONG_SECTION] += 1
            return
        repair = packet.ssrc != layer.ssrc
        if leg.pipe is not None and leg.pipe.is_described(packet):
            parted = leg.pipe.unfold(layer, packet)
            if parted is None:
                self.counters[Count.MALFORMED] += 1
                return
            packet, values = parted
        if repair:
            repaired = demux.unwrap(layer, packet)
            if repaired is None:
                return
            packet = repaired
        if packet.payload_type != layer.producer.spec.codec.payload_type:
            self.counters[Count.UNKNOWN_STREAM] += 1
            return
        if leg.pipe is not None and layer.producer.spec.kind == "audio":
            for part, level in pipe_voices.unfold(packet):
                self._place(layer, part, {LEVEL: bytes((level,))}, now, part.sequence != packet.sequence)
        else:
            self._place(layer, packet, values, now, repair)
        if self._paced:
            self._release(now)

    def _place(self, layer: Layer, packet: RtpPacket, values: dict[int, bytes], now: float, repair: bool) -> None:
        """Give the packet its position in the layer and forward it."""
        size = len(packet.payload)
        position = layer.reception.receive(packet.sequence, packet.timestamp, size, now, repair)
        if position == RESTARTED:
            self._restart(layer, now)
            position = layer.reception.receive(packet.sequence, packet.timestamp, size, now)
        spec = layer.producer.spec
        if layer.producer.silent or position < 0:
            reason = {DUPLICATE: Count.DUPLICATE, JUMPED: Count.SEQUENCE_JUMP}.get(position, Count.SILENCED)
            self.counters[reason] += 1
        elif spec.kind == "video":
            marks = values.get(spec.descriptor_id, b"") if spec.descriptor_id else None
            video.forward(layer, packet, position, now, self.outbox, marks)
            if self.outbox.held_back:
                self.counters[Count.HELD_BACK] += self.outbox.held_back
                self.outbox.held_back = 0
        elif spec.source == "microphone":
            self._receive_voice(layer, packet, values, position, now)

    def _receive_voice(
        self, layer: Layer, packet: RtpPacket, values: dict[int, bytes], position: int, now: float
    ) -> None:
        spec, owner = layer.producer.spec, layer.producer.owner
        value = values.get(spec.level_id) if spec.level_id else None
        if self.floor.hear(owner, pipe_voices.loudness(value), now):
            self._assign(now)
        for pipe in self.pipes.values():
            pipe.hear(layer, packet, value, position, now)
        slot = self.speaking.get(owner)
        if slot is not None:
            voices.forward(slot, packet, position, now, self.outbox)

    def _restart(self, layer: Layer, now: float) -> None:
        """The publisher has begun the layer anew: its numbers have nothing to do with those of before."""
        express.drop(layer)
        for consumer in [*layer.active, *(consumer for view in layer.views for consumer in view.consumers)]:
            video.release(consumer)
        layer.reception = Reception(layer.producer.spec.codec.clock_rate)
        layer.history = History()
        for consumer in layer.producer.consumers.values():
            self._refresh(consumer, now)
        for slot in self.slots:
            slot.fresh = slot.fresh or slot.source is layer
        for pipe in self.pipes.values():
            pipe.begin_anew(layer)

    def receive_rtcp(self, leg: Leg, data: bytes, now: float, wall_ntp: int) -> list[rtcp.ReportBlock]:
        """Take one decrypted RTCP compound from `leg`; return its report blocks (they may prove a path)."""
        blocks = answers.take(self, leg, data, now, wall_ntp)
        if self._paced:
            self._release(now)
        return blocks

    # -- time -------------------------------------------------------------------------------------------------

    def poll(self, now: float, wall_ntp: int) -> None:
        """Do what is due: floor, reports, key-frame retries. Call every 50 ms or so."""
        if now >= self._next_floor:
            self._next_floor = now + FLOOR_PERIOD
            self._assign(now)
            for producer in self.producers.values():
                if producer.spec.kind == "video":
                    video.poll_producer(producer, now, self.outbox)
            for slot in self.slots:
                voices.sample(slot, now)
        for pipe in self.pipes.values():
            pipe.poll(now, wall_ntp)
        for leg in self.legs.values():
            if not leg.ready:
                continue
            if leg.producers:
                feedback.tell_arrivals(leg, now, self.outbox)
                feedback.ask_again(leg, now, self.outbox)
            if leg.downlink is not None:
                leg.downlink.poll(now, self.outbox)
            if now < leg.next_feedback:
                continue
            leg.unknown_budget = demux.UNKNOWN_BUDGET
            if leg.pipe is not None:
                leg.next_feedback = now + feedback.REPORT_PERIOD
                feedback.report_to_publisher(leg, self._upstream_bitrate, now, self.outbox)
                feedback.report_to_consumer(leg, now, wall_ntp, self.outbox)
            elif leg.producers or leg.uplink.troubled:
                leg.next_feedback = now + feedback.FEEDBACK_PERIOD
                feedback.report_to_publisher(leg, self._upstream_bitrate, now, self.outbox)
                told = leg.uplink.see(leg, now)
                if told is not None:
                    self.outbox.events.append(Event("uplink", {"owner": leg.owner, **told.describe()}))
            else:
                leg.next_feedback = now + feedback.REPORT_PERIOD
                feedback.report_to_consumer(leg, now, wall_ntp, self.outbox)
        self._paced = [leg for leg in self.legs.values() if leg.pacer is not None]
        self.choose_rules()

    def choose_rules(self) -> None:
        """Allow rules while a packet matters to its own receivers only: no pacer and no pipe waits for it."""
        allowed = self.takes_rules and not self._paced and not self.pipes
        if not allowed and self.outbox.express:
            express.drop_all([layer for producer in self.producers.values() for layer in producer.layers])
        self.outbox.express = allowed

    def _release(self, now: float) -> None:
        for leg in self._paced:
            release(leg, now, self.outbox)
