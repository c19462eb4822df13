"""A router whose subscribers sit behind virtual links, with cameras of a real size and voices, in virtual time."""

import itertools
from dataclasses import dataclass, field

from tests.media.forwarding_room import NTP, OPUS, VP8, Room
from tests.media.support import LEVEL_ID, MID_ID, REPAIRED_ID, RID_ID, Dice, rtp, vp8
from tests.media.virtual_link import Clock, VirtualLink, WideReceiver

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.model import EncodingSpec, Leg, ProducerSpec, VideoConsumer
from folkmoot_media.forwarding.packets import RtpPacket
from folkmoot_media.forwarding.video import OVERHEAD

RATES = (150_000, 500_000, 1_500_000)
FRAME_RATE = 30
PACKET = 1_000
# Temporal layers of a frame and whether a receiver may begin to take that layer there (a VP8 three-layer pattern).
PATTERN = ((0, False), (2, True), (1, True), (2, False))
KEY_FACTOR = 4


@dataclass
class Received:
    """What reached one subscriber: arrival time and packet."""

    packets: list[tuple[float, RtpPacket]] = field(default_factory=list)

    def of(self, ssrc: int) -> list[RtpPacket]:
        return [packet for _, packet in self.packets if packet.ssrc == ssrc]

    def rate(self, ssrc: int, start: float, end: float) -> float:
        """Bit/s of one stream on the wire."""
        sizes = [
            len(packet.payload) + OVERHEAD
            for when, packet in self.packets
            if packet.ssrc == ssrc and start <= when < end
        ]
        return sum(sizes) * 8 / (end - start)

    def longest_gap(self, ssrc: int, start: float, end: float) -> float:
        times = [start, *(when for when, packet in self.packets if packet.ssrc == ssrc and start <= when < end), end]
        return max(after - before for before, after in itertools.pairwise(times))


class LinkedRoom(Room):
    """A room on a clock; whoever has a link gets packets and gives feedback through it."""

    def __init__(self) -> None:
        super().__init__(stamping=True)
        self.clock = Clock()
        self.now = self.clock.now = 100.0
        self.links: dict[str, VirtualLink] = {}
        self.received: dict[str, Received] = {}
        self._receivers: dict[str, WideReceiver] = {}
        self.clock.every(0.05, self._poll)

    def _poll(self) -> None:
        self.now = self.clock.now
        self.router.poll(self.now, NTP)
        self.take()

    def run(self, seconds: float) -> None:
        self.clock.run(self.clock.now + seconds)
        self.now = self.clock.now

    def connect(self, name: str, link: VirtualLink, numbered: bool = True) -> Leg:
        leg = self.leg(name)
        if numbered:
            self.router.number_packets(leg, 5)
        leg.round_trip = 2 * link.delay
        self.links[name], self.received[name] = link, Received()
        back = VirtualLink(10e6, link.delay, loss=link.loss, seed=11)
        self._receivers[name] = WideReceiver(self.clock, back, lambda compound: self._answer(leg, compound))
        return leg

    def _answer(self, leg: Leg, compound: bytes) -> None:
        self.now = self.clock.now
        self.receive_rtcp(leg, compound)

    def on_copy(self, leg: Leg, packet: RtpPacket, stamp: int) -> None:
        link = self.links.get(leg.id)
        if link is None:
            return
        arrival = link.send(len(packet.payload) + OVERHEAD, self.now)
        if arrival is not None:
            self.clock.at(arrival, lambda: self._arrive(leg.id, packet, stamp))

    def _arrive(self, name: str, packet: RtpPacket, stamp: int) -> None:
        self.received[name].packets.append((self.clock.now, packet))
        if stamp:
            self._receivers[name].take(stamp & 0xFFFF)


class BigCamera:
    """A simulcast camera with three temporal layers whose layers have the bitrates of `RATES`."""

    def __init__(self, room: LinkedRoom, name: str = "anna", rates: tuple[int, ...] = RATES) -> None:
        self.room, self.rates = room, rates
        self.leg = room.leg(f"{name}-send", "send", name)
        rids = [f"r{layer}" for layer in range(len(rates))]
        encodings = tuple(EncodingSpec(None, rid, None) for rid in rids)
        spec = ProducerSpec("video", "camera", "1", VP8, encodings, MID_ID, RID_ID, REPAIRED_ID, 0)
        self.producer = room.router.add_producer(f"{name}-camera", self.leg, spec, False)
        self._dice = Dice(f"camera {name}")
        self._frames = [0] * len(rates)
        self._tl0 = [0] * len(rates)
        self._sequence = [30_000 * layer for layer in range(len(rates))]
        self._told = 0
        self._key = [True] * len(rates)
        room.clock.every(1 / FRAME_RATE, self._capture)

    def _obey(self) -> None:
        """Key frames for the layers that were asked for since the last frame."""
        asked = [data for name, data in self.room.reports[self._told :] if name == self.leg.id and data[1] == 206]
        self._told = len(self.room.reports)
        for data in asked:
            for part in rtcp.parse_compound(data):
                if isinstance(part, rtcp.KeyFrameRequest):
                    self._key[part.media_ssrc - 0x1000] = True

    def _capture(self) -> None:
        self.room.now = self.room.clock.now
        self._obey()
        for layer, rate in enumerate(self.rates):
            self._send_frame(layer, rate)

    def _send_frame(self, layer: int, rate: int) -> None:
        key, self._key[layer] = self._key[layer], False
        temporal, sync = (0, False) if key else PATTERN[self._frames[layer] % len(PATTERN)]
        if temporal == 0:
            self._tl0[layer] += 1
        self._frames[layer] += 1
        share = 80 + self._dice.below(41)
        left = int(rate / 8 / FRAME_RATE * share / 100) * (KEY_FACTOR if key else 1)
        start = True
        while left > 0:
            size = min(PACKET, left)
            left -= size
            self._sequence[layer] += 1
            payload = vp8(
                key=key,
                picture=self._frames[layer] & 0x7FFF,
                tl0=self._tl0[layer],
                start=start,
                body=bytes(max(1, size - OVERHEAD)),
                temporal=temporal,
                sync=sync,
            )
            packet = rtp(
                ssrc=0x1000 + layer,
                sequence=self._sequence[layer],
                timestamp=self._frames[layer] * 3000,
                payload_type=96,
                marker=left <= 0,
                payload=payload,
                extensions={MID_ID: b"1", RID_ID: f"r{layer}".encode()},
            )
            start = False
            self.room.receive(self.leg, packet)


class SteadyVoice:
    """A microphone that sends 20 ms packets of 100 bytes, over a link if one is given; `quiet`, one of twenty."""

    def __init__(self, room: LinkedRoom, owner: str, ssrc: int = 0x77, link: VirtualLink | None = None) -> None:

        self.room, self.ssrc, self.link, self.quiet = room, ssrc, link, False
        self.leg = room.leg(f"{owner}-voice", "send", owner)
        spec = ProducerSpec(
            "audio", "microphone", "0", OPUS, (EncodingSpec(ssrc, None, None),), MID_ID, 0, 0, LEVEL_ID
        )
        room.router.add_producer(f"{owner}-mic", self.leg, spec, False)
        self._sequence = self._time = self._number = 0
        room.clock.every(0.02, self._send)

    def _send(self) -> None:
        self.room.now = self.room.clock.now
        self._time += 960
        self._number += 1
        if self.quiet and self._number % 20:
            return
        self._sequence += 1
        packet = rtp(
            ssrc=self.ssrc,
            sequence=self._sequence,
            timestamp=self._time,
            payload=bytes(100 - OVERHEAD),
            extensions={LEVEL_ID: b"\x1e"},
        )
        arrival = self.room.now if self.link is None else self.link.send(100, self.room.now)
        if arrival is not None:
            self.room.clock.at(arrival, lambda: self._arrive(packet))

    def _arrive(self, packet: bytes) -> None:
        self.room.now = self.room.clock.now
        self.room.receive(self.leg, packet)


def watch_all(room: LinkedRoom, camera: BigCamera, name: str, preferred: int = 7) -> VideoConsumer:
    leg = room.router.legs[name]
    consumer = room.router.add_video_consumer(f"{name}-video-{camera.leg.id}", leg, camera.producer, (101, 102), True)
    room.router.set_preferred_layer(consumer, preferred, room.now)
    room.router.set_consumer_paused(consumer, False, room.now)
    room.take()
    return consumer
