"""What publishers are told: arrivals of numbered packets, REMB otherwise, key frames wanted, at a bounded rate."""

import struct

import pytest
from tests.media.forwarding_room import NTP, OPUS, PLI, VP8, Camera, Room, watch
from tests.media.support import LEVEL_ID, MID_ID, rtp, vp8

from folkmoot_media.forwarding import rtcp, video
from folkmoot_media.forwarding.model import EncodingSpec, Leg, ProducerSpec

WIDE = 5


class Numbered:
    """A publisher that numbers the packets of its camera and its microphone in one row."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.leg: Leg = room.leg("anna-send", "send", "anna")
        camera = ProducerSpec("video", "camera", "1", VP8, (EncodingSpec(7, None, 8),), MID_ID, 0, 0, 0, wide_id=WIDE)
        voice = ProducerSpec(
            "audio", "microphone", "0", OPUS, (EncodingSpec(9, None, None),), MID_ID, 0, 0, LEVEL_ID, wide_id=WIDE
        )
        room.router.add_producer("camera", self.leg, camera, False)
        room.router.add_producer("voice", self.leg, voice, False)
        self.number = 65_530
        self.sequence = 0

    def send(self, lose: bool = False, payload: bytes = b"", ssrc: int = 7) -> None:
        self.number = self.number + 1 & 0xFFFF
        self.sequence += 1
        if lose:
            return
        packet = rtp(
            ssrc=ssrc,
            sequence=self.sequence,
            payload_type={7: 96, 8: 97, 9: 111}.get(ssrc, 96),
            payload=payload or vp8(key=False, picture=1),
            extensions={WIDE: self.number.to_bytes(2, "big")},
        )
        self.room.receive(self.leg, packet)

    def told(self) -> list[rtcp.TransportFeedback]:
        found = []
        for leg, data in self.room.reports:
            if leg == self.leg.id:
                found += [part for part in rtcp.parse_compound(data) if isinstance(part, rtcp.TransportFeedback)]
        return found


def test_a_publisher_that_numbers_its_packets_is_told_when_each_arrived() -> None:
    room = Room()
    anna = Numbered(room)
    began = room.now
    for number in range(20):
        room.now = began + number * 0.005
        anna.send(lose=number in (3, 4, 11), ssrc=9 if number % 5 == 0 else 7)
    room.wait(0.1)
    (told,) = anna.told()
    assert told.base == 65_531
    assert [ticks < 0 for ticks in told.arrivals] == [number in (3, 4, 11) for number in range(20)]
    first = told.arrivals[0]
    for number, ticks in enumerate(told.arrivals):
        if ticks >= 0:
            assert (ticks - first) / 4000 == pytest.approx(number * 0.005, abs=0.0006)


def test_empty_unknown_and_repeated_packets_are_told_of_too() -> None:
    room = Room()
    anna = Numbered(room)
    anna.send()
    anna.send(ssrc=4711)
    anna.send(ssrc=8, payload=(1).to_bytes(2, "big") + vp8(key=False, picture=1))
    room.wait(0.1)
    (told,) = anna.told()
    assert [ticks >= 0 for ticks in told.arrivals] == [True, True, True]


def test_it_is_told_ten_times_a_second_at_most_and_gets_no_remb() -> None:
    room = Room()
    anna = Numbered(room)
    for _ in range(100):
        room.now += 0.01
        anna.send()
        room.router.poll(room.now, NTP)
        room.take()
    assert 8 <= len(anna.told()) <= 10
    assert not any(b"REMB" in data for _, data in room.reports)
    assert sum(len(told.arrivals) for told in anna.told()) > 80


def test_a_publisher_that_does_not_number_gets_remb_and_nothing_else() -> None:
    room = Room()
    camera = Camera(room)
    for _ in range(30):
        camera.frame()
        room.router.poll(room.now, NTP)
        room.take()
    assert any(b"REMB" in data for _, data in room.reports)
    kinds = {(data[1], data[0] & 0x1F) for _, data in room.reports}
    assert (205, 15) not in kinds


def test_numbers_of_the_wrong_length_are_ignored() -> None:
    room = Room()
    anna = Numbered(room)
    for value in (b"\x01", b"\x01\x02\x03"):
        packet = rtp(ssrc=7, sequence=5, payload_type=96, payload=vp8(key=False, picture=1), extensions={WIDE: value})
        room.receive(anna.leg, packet)
    room.wait(0.2)
    assert anna.told() == []


def full_intra_request(ssrc: int) -> bytes:
    return struct.pack("!BBHLLLL", 0x84, 206, 4, 9, 0, ssrc, 1 << 24)


def test_full_intra_requests_count_with_picture_losses_against_one_limit() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    consumer = watch(room, camera, "cleo")
    camera.frame(key=True)
    room.wait(2)
    before = room.requests(PLI)
    for number in range(40):
        ask = full_intra_request(consumer.ssrc) if number % 2 else rtcp.build_pli(9, consumer.ssrc)
        room.receive_rtcp(consumer.leg, ask)
        room.wait(0.05)
    assert 4 <= room.requests(PLI) - before <= 5


def test_without_the_limit_every_request_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "KEY_REQUEST_GAP", 0.0)
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    consumer = watch(room, camera, "cleo")
    camera.frame(key=True)
    before = room.requests(PLI)
    for _ in range(40):
        room.receive_rtcp(consumer.leg, full_intra_request(consumer.ssrc))
        room.wait(0.05)
    assert room.requests(PLI) - before == 40
