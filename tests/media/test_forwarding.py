"""The forwarding core with virtual time: numbering, layers, key frames, retransmission, voices."""

import itertools
from typing import Any

import pytest
from tests.media.support import LEVEL_ID, MID_ID, REPAIRED_ID, RID_ID, Dice, rtp, vp8

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.codecs import parse_vp8
from folkmoot_media.forwarding.floor import FloorMode
from folkmoot_media.forwarding.model import (
    CodecChoice,
    EncodingSpec,
    Leg,
    Producer,
    ProducerSpec,
    SlotConsumer,
    VideoConsumer,
)
from folkmoot_media.forwarding.packets import RtpPacket
from folkmoot_media.forwarding.router import Router

VP8 = CodecChoice("video/vp8", 96, 97, 90000)
OPUS = CodecChoice("audio/opus", 111, -1, 48000)
PLI, NACK = (206, 1), (205, 1)
NTP = 3_900_000_000 << 32


class Room:
    """A router whose output is taken down instead of sent."""

    def __init__(self) -> None:
        self.router = Router("r", FloorMode.OPEN, Dice("forwarding").bytes)
        self.now = 100.0
        self.sent: dict[str, list[RtpPacket]] = {}
        self.reports: list[tuple[str, bytes]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []

    def leg(self, name: str, direction: str = "recv", owner: str | None = None) -> Leg:
        leg = self.router.add_leg(name, owner or name, direction, object())
        self.router.set_ready(leg, self.now)
        return leg

    def take(self) -> None:
        outbox = self.router.outbox
        for batch in outbox.batches:
            for leg, second, sequence, timestamp, ssrc, head in batch.copies:
                packet = RtpPacket(
                    second & 0x80,
                    second & 0x7F,
                    sequence,
                    timestamp,
                    ssrc,
                    head + batch.payload[len(head) :],
                    0,
                    b"",
                )
                self.sent.setdefault(leg.id, []).append(packet)
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


def test_a_consumer_starts_at_a_key_frame_only() -> None:
    room = Room()
    camera = Camera(room)
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame()
    assert room.sent == {}
    camera.frame(key=True)
    camera.frame()
    assert len(room.sent["cleo"]) == 2
    assert parse_vp8(room.sent["cleo"][0].payload).key_frame_start  # type: ignore[union-attr]  # asserts
    assert {packet.payload_type for packet in room.sent["cleo"]} == {101}
    assert room.sent["cleo"][0].sequence < 1 << 15


def test_layer_switches_leave_no_trace_in_the_numbers() -> None:
    room = Room()
    camera = Camera(room, ("r0", "r1", "r2"))
    camera.frame()
    consumer = watch(room, camera, "cleo", preferred=0)
    sent_by_layer = []
    for preferred in (0, 2, 1, 2, 0):
        room.router.set_preferred_layer(consumer, preferred, room.now)
        for _ in range(5):
            camera.frame()
        for _ in range(20):
            camera.frame(key=True)
        assert consumer.layer is camera.producer.layers[preferred]
        sent_by_layer.append(len(room.sent["cleo"]))
    assert sent_by_layer == sorted(set(sent_by_layer))
    assert_unbroken(room.sent["cleo"])
    assert [data["layer"] for name, data in room.events if name == "layers_changed"] == [0, 2, 1, 2, 0]


def test_the_continuity_check_itself_sees_a_hole() -> None:
    room = Room()
    camera = Camera(room)
    camera.frame()
    watch(room, camera, "cleo", preferred=0)
    for _ in range(4):
        camera.frame(key=True)
    with pytest.raises(AssertionError):
        assert_unbroken(room.sent["cleo"][:1] + room.sent["cleo"][2:])


def test_padding_is_not_forwarded_and_leaves_no_hole() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    for _ in range(10):
        camera.sequence[0] += 1
        padding = rtp(ssrc=0x1000, sequence=camera.sequence[0], payload_type=96, payload=b"", padding=200)
        room.receive(camera.leg, padding)
        camera.frame()
    assert len(room.sent["cleo"]) == 11
    assert_unbroken(room.sent["cleo"])


def test_a_late_packet_keeps_its_place_even_across_padding() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    first, late, last = (camera.packet(0)[0] for _ in range(3))
    room.receive(camera.leg, first)
    room.receive(camera.leg, last)
    camera.sequence[0] += 1
    room.receive(camera.leg, rtp(ssrc=0x1000, sequence=camera.sequence[0], payload_type=96, payload=b"", padding=9))
    camera.send(0)
    room.receive(camera.leg, late)
    assert_unbroken(sorted(room.sent["cleo"], key=lambda packet: packet.sequence))


def test_key_frame_requests_are_sent_at_most_twice_a_second_per_layer() -> None:
    room = Room()
    camera = Camera(room)
    camera.frame()
    consumers = [watch(room, camera, f"c{number}") for number in range(20)]
    for _ in range(20):
        for consumer in consumers:
            room.receive_rtcp(consumer.leg, rtcp.build_pli(9, consumer.ssrc))
        room.wait(0.05)
    assert 1 <= room.requests(PLI) <= 3


def test_a_request_held_back_is_made_up_later() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    consumer = watch(room, camera, "cleo")
    camera.frame(key=True)
    before = room.requests(PLI)
    room.receive_rtcp(consumer.leg, rtcp.build_pli(9, consumer.ssrc))
    assert room.requests(PLI) == before
    room.wait(0.6)
    assert room.requests(PLI) == before + 1


def test_a_consumer_falls_back_when_its_layer_stops_and_returns_when_it_comes_back() -> None:
    room = Room()
    camera = Camera(room)
    camera.frame()
    consumer = watch(room, camera, "cleo")
    camera.frame(key=True)
    assert consumer.layer is camera.producer.layers[1]
    for _ in range(100):
        room.now += 0.05
        camera.send(0)
        room.router.poll(room.now, NTP)
        room.take()
    camera.send(0, key=True)
    assert consumer.layer is camera.producer.layers[0]
    camera.frame()
    room.wait(0.1)
    camera.frame(key=True)
    assert consumer.layer is camera.producer.layers[1]
    assert_unbroken(room.sent["cleo"])


def test_nothing_of_a_paused_producer_is_forwarded_and_numbers_go_on_afterwards() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    room.router.set_producer_paused(camera.producer, True, room.now)
    for _ in range(10):
        camera.frame(key=True)
    assert len(room.sent["cleo"]) == 1
    room.router.set_producer_paused(camera.producer, False, room.now)
    camera.frame()
    camera.frame(key=True)
    camera.frame()
    assert len(room.sent["cleo"]) == 3
    assert_unbroken(room.sent["cleo"])


def test_lost_packets_are_sent_again_in_the_retransmission_format() -> None:
    room = Room()
    camera = Camera(room)
    camera.frame()
    consumer = watch(room, camera, "cleo", preferred=0)
    camera.frame(key=True)
    room.router.set_preferred_layer(consumer, 1, room.now)
    for _ in range(5):
        camera.frame(key=True)
    wanted = room.sent["cleo"][-2]
    room.receive_rtcp(consumer.leg, rtcp.build_nack(9, consumer.ssrc, [wanted.sequence]))
    again = room.sent["cleo"][-1]
    assert (again.payload_type, again.ssrc, again.timestamp) == (102, consumer.rtx_ssrc, wanted.timestamp)
    assert again.payload == wanted.sequence.to_bytes(2, "big") + wanted.payload


def test_a_packet_is_sent_again_at_most_three_times_and_not_within_a_round_trip() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    consumer = watch(room, camera, "cleo")
    camera.frame(key=True)
    nack = rtcp.build_nack(9, consumer.ssrc, [room.sent["cleo"][0].sequence])
    counts = []
    for _ in range(6):
        for _ in range(5):
            room.receive_rtcp(consumer.leg, nack)
        counts.append(len(room.sent["cleo"]) - 1)
        room.now += 1.0
    assert counts == [1, 2, 3, 3, 3, 3]


def test_numbers_from_before_a_switch_are_not_answered() -> None:
    room = Room()
    camera = Camera(room)
    camera.frame()
    consumer = watch(room, camera, "cleo", preferred=0)
    camera.frame(key=True)
    old = room.sent["cleo"][0].sequence
    room.router.set_preferred_layer(consumer, 1, room.now)
    camera.frame(key=True)
    sent = len(room.sent["cleo"])
    room.receive_rtcp(consumer.leg, rtcp.build_nack(9, consumer.ssrc, [old, old - 5, old + 40]))
    assert len(room.sent["cleo"]) == sent


def test_the_publisher_is_asked_again_for_lost_packets_and_its_repair_is_forwarded() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    camera.send(0, packets=4, lose=(1, 2))
    room.wait(0.1)
    asked = [rtcp.parse_compound(data) for leg, data in room.reports if (data[1], data[0] & 0x1F) == NACK]
    lost = [camera.sequence[0] - 2 & 0xFFFF, camera.sequence[0] - 1 & 0xFFFF]
    assert asked == [[rtcp.Nack(0x1000, tuple(lost))]]
    for number in lost:
        original = number.to_bytes(2, "big") + vp8(key=False, picture=camera.picture[0], start=False)
        repair = rtp(
            ssrc=0x2000,
            sequence=number - lost[0],
            timestamp=camera.clock[0],
            payload_type=97,
            payload=original,
            extensions={MID_ID: b"1", REPAIRED_ID: b"r0"},
        )
        room.receive(camera.leg, repair)
    numbers = [packet.sequence for packet in room.sent["cleo"]]
    assert sorted(numbers) == list(range(min(numbers), min(numbers) + 5))
    room.reports.clear()
    room.wait(2.0)
    assert room.requests(NACK) == 0


def test_lost_packets_are_asked_for_three_times_at_most() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.send(0, packets=3, lose=(1,))
    room.wait(5.0)
    assert room.requests(NACK) == 3


def test_publishers_get_reports_and_remb_and_consumers_get_our_clock() -> None:
    room = Room()
    camera = Camera(room)
    camera.frame()
    consumer = watch(room, camera, "cleo", preferred=0)
    camera.frame(key=True)
    room.receive_rtcp(camera.leg, rtcp.build_sender_report(rtcp.SenderReport(0x1000, 77 << 32, 123456, 1, 1)))
    room.wait(1.2)
    upstream = [rtcp.parse_compound(data) for leg, data in room.reports if leg == "anna-send" and data[1] == 201]
    blocks = upstream[0][0].blocks  # type: ignore[union-attr]  # a receiver report, as the filter says
    assert {block.ssrc for block in blocks} == {0x1000, 0x1001}
    assert any(b"REMB" in data for leg, data in room.reports if leg == "anna-send")
    downstream = [rtcp.parse_compound(data)[0] for leg, data in room.reports if leg == "cleo"]
    report = downstream[-1]
    assert isinstance(report, rtcp.SenderReport)
    assert (report.ssrc, report.ntp, report.packets) == (consumer.ssrc, NTP, 1)
    elapsed = (report.rtp - 123456 - consumer.timestamp_shift) & 0xFFFFFFFF
    assert 0 < elapsed <= 1.2 * 90000


def test_streams_are_learned_from_mid_and_rid_only() -> None:
    room = Room()
    camera = Camera(room)
    stranger = rtp(ssrc=0x9999, sequence=1, payload_type=96, payload=vp8(key=True, picture=1))
    room.receive(camera.leg, stranger)
    for values in ({MID_ID: b"2", RID_ID: b"r0"}, {MID_ID: b"1", RID_ID: b"zz"}, {RID_ID: b"r0"}):
        wrong = rtp(ssrc=0x9999, sequence=1, payload_type=96, payload=vp8(key=True, picture=1), extensions=values)
        room.receive(camera.leg, wrong)
    assert camera.leg.streams == {}
    assert room.router.counters["unknown_stream"] == 4
    camera.frame()
    assert set(camera.leg.streams) == {0x1000, 0x1001}


def test_a_layer_begun_anew_under_another_ssrc_goes_on_without_a_hole() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    camera.frame()
    room.now += 1
    for number in range(3):
        fresh = rtp(
            ssrc=0x7777,
            sequence=30_000 + number,
            timestamp=5 + 3000 * number,
            payload_type=96,
            payload=vp8(key=number == 0, picture=9000 + number, tl0=number),
            extensions={MID_ID: b"1", RID_ID: b"r0"},
        )
        room.receive(camera.leg, fresh)
    assert set(camera.leg.streams) == {0x7777}
    assert len(room.sent["cleo"]) == 5
    assert_unbroken(room.sent["cleo"])


def test_an_owner_sends_each_source_once() -> None:
    room = Room()
    camera = Camera(room)
    second = room.leg("anna-2", "send", "anna")
    with pytest.raises(MediaError) as refusal:
        room.router.add_producer("again", second, camera.producer.spec, False)
    assert refusal.value.code == "media.source-in-use"
    assert list(room.router.producers) == ["anna-camera"]


# -- voices -------------------------------------------------------------------------------------------------------


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


def test_a_slot_is_one_unbroken_stream_whoever_speaks_in_it() -> None:
    room = Room()
    microphones = [Microphone(room, owner, 10 + number) for number, owner in enumerate("abcde")]
    listen(room, "cleo")
    for round_ in range(6):
        for number, microphone in enumerate(microphones):
            microphone.level = 20 if (number + round_) % 5 < 3 else 90
        talk(room, 3, *microphones)
    per_slot = streams(room.sent["cleo"])
    assert len(per_slot) == 3
    speakers = set()
    for packets in per_slot.values():
        assert_voice_unbroken(packets)
        assert packets[0].sequence < 1 << 15
        speakers.update(packet.payload for packet in packets)
    assert speakers == {b"a", b"b", b"c", b"d", b"e"}


def test_nobody_hears_themselves_and_their_stream_still_has_no_hole() -> None:
    room = Room()
    microphones = [Microphone(room, owner, 10 + number) for number, owner in enumerate("abcd")]
    listen(room, "a-recv")
    leg = room.router.legs["a-recv"]
    leg.owner = "a"
    for round_ in range(8):
        for number, microphone in enumerate(microphones):
            microphone.level = 20 if (number + round_) % 4 < 3 else 90
        talk(room, 2, *microphones)
    received = room.sent["a-recv"]
    assert {packet.payload for packet in received} == {b"b", b"c", b"d"}
    for packets in streams(received).values():
        assert_voice_unbroken(packets)


def test_without_the_rule_one_would_hear_oneself() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    listen(room, "a-recv")
    talk(room, 1, microphone)
    assert {packet.payload for packet in room.sent["a-recv"]} == {b"a"}


def test_slot_speaker_names_who_speaks_and_none_after_closing() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    talk(room, 0.5, microphone)
    room.router.close_producer(microphone.producer)
    room.take()
    told = [(data["slot"], data["owner"]) for name, data in room.events if name == "slot_speaker"]
    assert told == [(1, "a"), (1, None)]


def test_a_muted_owners_voice_is_dropped_until_lifted() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    listen(room, "cleo")
    talk(room, 0.5, microphone)
    heard = len(room.sent["cleo"])
    assert heard == 25
    room.router.mute_owner("a", True, room.now)
    talk(room, 1, microphone)
    assert len(room.sent["cleo"]) == heard
    room.router.mute_owner("a", False, room.now)
    talk(room, 0.5, microphone)
    assert len(room.sent["cleo"]) > heard
    assert_voice_unbroken(room.sent["cleo"])


def test_mute_holds_for_a_microphone_that_comes_later() -> None:
    room = Room()
    room.router.mute_owner("a", True, room.now)
    listen(room, "cleo")
    talk(room, 1, Microphone(room, "a", 10))
    assert "cleo" not in room.sent


def test_a_chaired_floor_forwards_only_chairs_and_granted_owners() -> None:
    room = Room()
    room.router.set_floor(FloorMode.CHAIRED, ["chair"], ["guest"], room.now)
    microphones = [
        Microphone(room, owner, 10 + number, level=0 if owner == "loud" else 60)
        for number, owner in enumerate(("chair", "guest", "loud"))
    ]
    listen(room, "cleo")
    talk(room, 2, *microphones)
    assert {packet.payload for packet in room.sent["cleo"]} == {b"chair", b"guest"}


def test_a_paused_slot_consumer_gets_nothing_and_goes_on_without_a_hole() -> None:
    room = Room()
    microphone = Microphone(room, "a", 10)
    consumers = listen(room, "cleo")
    talk(room, 0.5, microphone)
    for consumer in consumers:
        room.router.set_consumer_paused(consumer, True, room.now)
    talk(room, 1, microphone)
    assert len(room.sent["cleo"]) == 25
    for consumer in consumers:
        room.router.set_consumer_paused(consumer, False, room.now)
    talk(room, 0.5, microphone)
    assert len(room.sent["cleo"]) == 50
    assert_voice_unbroken(room.sent["cleo"])
