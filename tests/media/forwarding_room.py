"""A router whose output is taken down, with publishers and receivers of video and voice, in virtual time."""

import itertools
from typing import Any

from tests.media.support import LEVEL_ID, MID_ID, REPAIRED_ID, RID_ID, Dice, rtp, vp8

from folkmoot_media.forwarding.codecs import parse_vp8
from folkmoot_media.forwarding.floor import FloorMode
from folkmoot_media.forwarding.model import (
    CodecChoice,
    Copy,
    EncodingSpec,
    Leg,
    Producer,
    ProducerSpec,
    SlotConsumer,
    VideoConsumer,
)
from folkmoot_media.forwarding.packets import WORDS_AT, RtpPacket, words_block
from folkmoot_media.forwarding.router import Router

VP8 = CodecChoice("video/vp8", 96, 97, 90000)
OPUS = CodecChoice("audio/opus", 111, -1, 48000)
PLI, NACK = (206, 1), (205, 1)
NTP = 3_900_000_000 << 32


class Room:
    """A router whose output is taken down instead of sent."""

    def __init__(self, stamping: bool = False) -> None:
        self.router = Router("r", FloorMode.OPEN, Dice("forwarding").bytes, stamping=stamping)
        self.now = 100.0
        self.sent: dict[str, list[RtpPacket]] = {}
        self.reports: list[tuple[str, bytes]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def leg(self, name: str, direction: str = "recv", owner: str | None = None) -> Leg:
        leg = self.router.add_leg(name, owner or name, direction, object(), self.now)
        self.router.set_ready(leg, self.now)
        return leg

    def on_copy(self, leg: Leg, packet: RtpPacket, stamp: int) -> None:
        """Called for every packet that leaves; there is no network."""

    def take(self) -> None:
        outbox = self.router.outbox
        for batch in outbox.batches:
            for copy in batch.copies:
                packet = as_sent(batch.payload, copy)
                self.sent.setdefault(copy[0].id, []).append(packet)
                self.on_copy(copy[0], packet, copy[6])
        self.reports.extend((leg.id, compound) for leg, compound in outbox.reports)
        self.events.extend((event.name, event.data) for event in outbox.events)
        for list_ in (outbox.batches, outbox.reports, outbox.events):
            list_.clear()

    def receive(self, leg: Leg, packet: bytes) -> None:
        self.router.receive_rtp(leg, packet, self.now)
        self.take()

    def receive_rtcp(self, leg: Leg, compound: bytes) -> None:
        self.router.receive_rtcp(leg, compound, self.now, NTP)
        self.take()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += 0.05
            self.router.poll(self.now, NTP)
            self.take()

    def requests(self, kind: tuple[int, int]) -> int:
        return sum(1 for _, data in self.reports if (data[1], data[0] & 0x1F) == kind)


def as_sent(payload: bytes, copy: Copy) -> RtpPacket:
    """Return a copy as a packet; of its header extension only what its payload begins with."""
    _, second, sequence, timestamp, ssrc, head, _ = copy
    end, body = 4 * (second >> WORDS_AT), head + payload[len(head) :]
    profile = int.from_bytes(words_block(end // 4, 0)[:2], "big") if end else 0
    return RtpPacket(second & 0x80, second & 0x7F, sequence, timestamp, ssrc, body[end:], profile, body[:end])


class Camera:
    """A simulcast publisher with one SSRC, clock and picture counter per layer."""

    def __init__(self, room: Room, rids: tuple[str, ...] = ("r0", "r1"), name: str = "anna") -> None:
        self.room = room
        self.leg = room.leg(f"{name}-send", "send", name)
        self.rids = rids
        spec = ProducerSpec(
            "video",
            "camera",
            "1",
            VP8,
            tuple(EncodingSpec(None, rid, None) for rid in rids),
            MID_ID,
            RID_ID,
            REPAIRED_ID,
            0,
        )
        self.producer: Producer = room.router.add_producer(f"{name}-camera", self.leg, spec, False)
        self.sequence = [60000 + 100 * layer for layer in range(len(rids))]
        self.picture = [0x7FF0 + 3 * layer for layer in range(len(rids))]
        self.clock = [1_000_000 * layer for layer in range(len(rids))]

    def packet(self, layer: int, key: bool = False, packets: int = 1, lose: tuple[int, ...] = ()) -> list[bytes]:
        """Return one frame of a layer, `packets` long, without the packets named in `lose`."""
        self.picture[layer] += 1
        self.clock[layer] += 3000
        frame = []
        for number in range(packets):
            self.sequence[layer] += 1
            if number not in lose:
                frame.append(
                    rtp(
                        ssrc=0x1000 + layer,
                        sequence=self.sequence[layer],
                        timestamp=self.clock[layer],
                        payload_type=96,
                        marker=number == packets - 1,
                        payload=vp8(key=key, picture=self.picture[layer], tl0=self.picture[layer], start=number == 0),
                        extensions={MID_ID: b"1", RID_ID: self.rids[layer].encode()},
                    )
                )
        return frame

    def send(self, layer: int, **how: Any) -> None:
        for data in self.packet(layer, **how):
            self.room.receive(self.leg, data)

    def frame(self, key: bool = False) -> None:
        """Send one frame of every layer, 1/30 s after the last."""
        self.room.now += 1 / 30
        for layer in range(len(self.rids)):
            self.send(layer, key=key)


def watch(room: Room, camera: Camera, name: str, preferred: int = 7, rtx: int = 102) -> VideoConsumer:
    leg = room.router.legs.get(name) or room.leg(name)
    consumer = room.router.add_video_consumer(f"{name}-consumer", leg, camera.producer, (101, rtx), True)
    consumer.preferred = preferred
    room.router.set_consumer_paused(consumer, False, room.now)
    room.take()
    return consumer


def assert_unbroken(packets: list[RtpPacket]) -> None:
    """No hole in sequence numbers, picture ids or TL0PICIDX, and time never stands still or runs back."""
    pictures = [parse_vp8(packet.payload) for packet in packets]
    for before, after, old, new in zip(packets, packets[1:], pictures, pictures[1:], strict=False):
        assert old is not None
        assert new is not None
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert (new.picture - old.picture) & 0x7FFF <= 1
        assert (new.tl0 - old.tl0) & 0xFF <= 1
        step = (after.timestamp - before.timestamp) & 0xFFFFFFFF
        assert (step == 0) == (new.picture == old.picture)
        assert step < 6 * 90000


class Microphone:
    """A microphone that sends 20 ms packets at a level."""

    def __init__(self, room: Room, owner: str, ssrc: int, level: int = 30) -> None:
        self.room, self.owner, self.ssrc, self.level = room, owner, ssrc, level
        self.leg = room.leg(f"{owner}-send", "send", owner)
        spec = ProducerSpec(
            "audio", "microphone", "0", OPUS, (EncodingSpec(ssrc, None, None),), MID_ID, 0, 0, LEVEL_ID
        )
        self.producer = room.router.add_producer(f"{owner}-mic", self.leg, spec, False)
        self.sequence, self.clock = ssrc * 7, ssrc * 100

    def send(self) -> None:
        self.sequence += 1
        self.clock += 960
        level = {LEVEL_ID: bytes((self.level,))}
        packet = rtp(
            ssrc=self.ssrc,
            sequence=self.sequence,
            timestamp=self.clock,
            payload=self.owner.encode(),
            extensions=level,
        )
        self.room.receive(self.leg, packet)


def listen(room: Room, name: str) -> list[SlotConsumer]:
    leg = room.router.legs.get(name) or room.leg(name)
    consumers = []
    for slot in room.router.slots:
        consumer = room.router.add_slot_consumer(f"{name}-{slot.index}", leg, slot, 100, True)
        room.router.set_consumer_paused(consumer, False, room.now)
        consumers.append(consumer)
    return consumers


def talk(room: Room, seconds: float, *microphones: Microphone) -> None:
    for _ in range(round(seconds * 50)):
        room.now += 0.02
        for microphone in microphones:
            microphone.send()
        room.router.poll(room.now, NTP)
        room.take()


def streams(packets: list[RtpPacket]) -> dict[int, list[RtpPacket]]:
    found: dict[int, list[RtpPacket]] = {}
    for packet in packets:
        found.setdefault(packet.ssrc, []).append(packet)
    return found


def assert_voice_unbroken(packets: list[RtpPacket]) -> None:
    for before, after in itertools.pairwise(packets):
        assert (after.sequence - before.sequence) & 0xFFFF == 1
        assert 0 < (after.timestamp - before.timestamp) & 0xFFFFFFFF < 1 << 31
