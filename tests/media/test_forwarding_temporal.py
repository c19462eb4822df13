"""Temporal layers left out for some consumers, without holes in their numbers."""

import pytest
from tests.media.forwarding_room import NACK, NTP, Camera, Room, assert_unbroken, watch
from tests.media.support import MID_ID, RID_ID, rtp, vp8

from folkmoot_media.forwarding import rtcp, video
from folkmoot_media.forwarding.codecs import parse_vp8
from folkmoot_media.forwarding.model import VideoConsumer
from folkmoot_media.forwarding.packets import RtpPacket, parse_rtp
from folkmoot_media.forwarding.temporal import EVERYTHING, TemporalView

PATTERN = ((0, False), (2, True), (1, True), (2, False))


class Layered(Camera):
    """A camera with one layer of three temporal layers, `packets` packets a frame."""

    def __init__(self, room: Room) -> None:
        super().__init__(room, ("r0",))
        self.number = 0
        self.tl0 = 0

    def frames(self, count: int, packets: int = 2, key: bool = False) -> list[bytes]:
        made = []
        for _ in range(count):
            temporal, sync = (0, False) if key else PATTERN[self.number % 4]
            self.number = 1 if key else self.number + 1
            self.tl0 += temporal == 0
            self.picture[0] += 1
            self.clock[0] += 3000
            for number in range(packets):
                self.sequence[0] += 1
                made.append(
                    rtp(
                        ssrc=0x1000,
                        sequence=self.sequence[0],
                        timestamp=self.clock[0],
                        payload_type=96,
                        marker=number == packets - 1,
                        payload=vp8(
                            key=key,
                            picture=self.picture[0] & 0x7FFF,
                            tl0=self.tl0,
                            start=number == 0,
                            temporal=temporal,
                            sync=sync,
                        ),
                        extensions={MID_ID: b"1", RID_ID: b"r0"},
                    )
                )
            key = False
        return made

    def run(self, count: int, **how: bool) -> None:
        for data in self.frames(count, **how):
            self.room.now += 1 / 60
            self.room.receive(self.leg, data)


def start(room: Room) -> tuple[Layered, VideoConsumer]:
    camera = Layered(room)
    camera.run(4)
    consumer = watch(room, camera, "cleo")
    camera.run(5, key=True)
    return camera, consumer


def temporals(packets: list[RtpPacket]) -> set[int]:
    described = [parse_vp8(packet.payload) for packet in packets]
    return {found.temporal for found in described if found is not None}


@pytest.mark.parametrize("most", [0, 1])
def test_upper_temporal_layers_are_left_out_without_a_hole(most: int) -> None:
    room = Room()
    camera, consumer = start(room)
    full = watch(room, camera, "dora")
    camera.run(1, key=True)
    before = len(room.sent["cleo"])
    video.set_temporal(consumer, most)
    camera.run(80)
    assert_unbroken(room.sent["cleo"])
    assert_unbroken(room.sent["dora"])
    assert temporals(room.sent["cleo"][before + 2 :]) == set(range(most + 1))
    assert temporals(room.sent["dora"]) == {0, 1, 2}
    assert full.view is None
    assert len(room.sent["cleo"]) - before == pytest.approx(2 * 80 * (most + 1) / 4, abs=4)


def test_going_up_waits_for_a_frame_made_for_it() -> None:
    room = Room()
    camera, consumer = start(room)
    video.set_temporal(consumer, 0)
    camera.run(12)
    while camera.number % 4 != 3:
        camera.run(1)
    before = len(room.sent["cleo"])
    video.set_temporal(consumer, 2)
    camera.run(1)
    assert len(room.sent["cleo"]) == before, "a frame that refers to one left out before must not be let through"
    camera.run(1)
    assert temporals(room.sent["cleo"][before:]) == {0}
    camera.run(1)
    assert temporals(room.sent["cleo"][before:]) == {0, 2}, "the frame with Y set is the first of its layer"
    camera.run(40)
    assert_unbroken(room.sent["cleo"])
    assert consumer.view is None
    assert camera.producer.layers[0].views == []


def test_views_are_shared_and_many_changes_leave_no_hole() -> None:
    room = Room()
    camera, consumer = start(room)
    others = [watch(room, camera, name) for name in ("dora", "emil")]
    camera.run(1, key=True)
    for most in (1, 0, 7, 0, 1, 0, 7, 1):
        for watching in (consumer, *others):
            video.set_temporal(watching, most)
            camera.run(13)
        assert len(camera.producer.layers[0].views) == (most < 2)
    for name in ("cleo", "dora", "emil"):
        assert_unbroken(room.sent[name])


def test_a_lost_packet_of_a_thinned_stream_is_sent_again_with_its_own_numbers() -> None:
    room = Room()
    camera, consumer = start(room)
    video.set_temporal(consumer, 1)
    camera.run(40)
    for wanted in room.sent["cleo"][-12:]:
        room.receive_rtcp(consumer.leg, rtcp.build_nack(9, consumer.ssrc, [wanted.sequence]))
        again = room.sent["cleo"][-1]
        assert again.payload == wanted.sequence.to_bytes(2, "big") + wanted.payload
        assert again.timestamp == wanted.timestamp
    assert room.requests(NACK) == 0


def test_a_packet_that_comes_late_keeps_its_place_in_a_thinned_stream() -> None:
    room = Room()
    camera, consumer = start(room)
    video.set_temporal(consumer, 0)
    camera.run(8)
    before = len(room.sent["cleo"])
    packets = camera.frames(12)
    parsed = [parse_rtp(data) for data in packets]
    kept = [number for number, packet in enumerate(parsed) if packet and temporals([packet]) == {0}]
    held = packets.pop(kept[1])
    for data in (*packets, held):
        room.receive(camera.leg, data)
    assert len(room.sent["cleo"]) - before == len(kept)
    assert_unbroken(sorted(room.sent["cleo"][before:], key=lambda packet: packet.sequence))


def test_layers_switch_while_thinned() -> None:
    room = Room()
    camera = Camera(room, ("r0", "r1"))
    camera.frame()
    consumer = watch(room, camera, "cleo", preferred=0)
    camera.producer.layers[0].top_temporal = camera.producer.layers[1].top_temporal = 2
    camera.frame(key=True)
    video.set_temporal(consumer, 0)
    for layer in (1, 0, 1):
        for _ in range(5):
            camera.frame()
        room.router.set_preferred_layer(consumer, layer, room.now)
        room.wait(1.0)
        camera.frame(key=True)
        assert consumer.layer is camera.producer.layers[layer]
        assert consumer.view is not None
    assert_unbroken(room.sent["cleo"])


def test_sender_reports_count_what_was_sent() -> None:
    room = Room()
    camera, consumer = start(room)
    for most in (1, 0, EVERYTHING, 1):
        video.set_temporal(consumer, most)
        camera.run(16)
    room.router.poll(room.now + 5, NTP)
    room.take()
    report = rtcp.parse_compound([data for leg, data in room.reports if leg == "cleo"][-1])[0]
    assert isinstance(report, rtcp.SenderReport)
    assert report.packets == len(room.sent["cleo"])
    assert report.octets == sum(len(packet.payload) for packet in room.sent["cleo"])


def test_a_view_that_forgot_says_so() -> None:
    view = TemporalView(0)
    described = parse_vp8(vp8(key=False, picture=1))
    assert described is not None
    for position in range(2000):
        view.place(position, described, True)
    assert view.position_of(3) == -1
    assert view.position_of(1999) == 1999
