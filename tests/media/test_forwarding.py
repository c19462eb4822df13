"""Forwarding of video with virtual time: numbering, layers, key frames, retransmission."""

import pytest
from tests.media.forwarding_room import NACK, NTP, PLI, Camera, Room, assert_unbroken, watch
from tests.media.support import MID_ID, REPAIRED_ID, RID_ID, rtp, vp8

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.codecs import parse_vp8


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
