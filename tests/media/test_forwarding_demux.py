"""Which stream a packet belongs to, and what hostile or broken publishers can and cannot do."""

import pytest
from tests.media.forwarding_room import PLI, VP8, Camera, Microphone, Room, assert_unbroken, listen, talk, watch
from tests.media.support import MID_ID, REPAIRED_ID, RID_ID, Dice, mutate, rtp, vp8

from folkmoot_media.forwarding import reception, rtcp
from folkmoot_media.forwarding.codecs import parse_vp8
from folkmoot_media.forwarding.demux import LARGEST_PAYLOAD
from folkmoot_media.forwarding.model import EncodingSpec, Leg, Producer, ProducerSpec
from folkmoot_media.forwarding.reception import DUPLICATE, JUMPED, RESTARTED, Reception


def add_video(room: Room, leg: Leg, source: str, mid: str, rids: tuple[str | None, ...]) -> Producer:
    encodings = tuple(EncodingSpec(None, rid, None) for rid in rids)
    spec = ProducerSpec("video", source, mid, VP8, encodings, MID_ID, RID_ID, REPAIRED_ID, 0)
    return room.router.add_producer(f"{leg.owner}-{source}", leg, spec, False)


def video(ssrc: int, sequence: int, mid: str | None, rid: str | None = None, picture: int = 1) -> bytes:
    extensions = {}
    if mid is not None:
        extensions[MID_ID] = mid.encode()
    if rid is not None:
        extensions[RID_ID] = rid.encode()
    return rtp(
        ssrc=ssrc,
        sequence=sequence,
        timestamp=3000 * picture,
        payload_type=96,
        marker=True,
        payload=vp8(key=True, picture=picture, tl0=picture),
        extensions=extensions or None,
    )


def counters(room: Room) -> dict[str, int]:
    return {name: value for name, value in room.router.counters.items() if value and name != "received"}


# -- two sections, one payload type -----------------------------------------------------------------------------


def test_two_video_sections_with_the_same_payload_type_are_told_apart() -> None:
    room = Room()
    leg = room.leg("anna-send", "send", "anna")
    camera = add_video(room, leg, "camera", "1", ("r0", "r1"))
    screen = add_video(room, leg, "screen", "2", (None,))
    for number, data in enumerate(
        (video(11, 1, "2"), video(12, 1, "1", "r1"), video(13, 1, "1", "r0"), video(11, 2, None), video(12, 2, None))
    ):
        room.now += 0.01 * number
        room.receive(leg, data)
    assert [layer.ssrc for layer in camera.layers] == [13, 12]
    assert [layer.ssrc for layer in screen.layers] == [11]
    assert [layer.reception.received for layer in (*camera.layers, *screen.layers)] == [1, 2, 2]
    assert counters(room) == {}


def test_their_retransmissions_are_told_apart_too() -> None:
    room = Room()
    leg = room.leg("anna-send", "send", "anna")
    camera = add_video(room, leg, "camera", "1", ("r0", "r1"))
    screen = add_video(room, leg, "screen", "2", (None,))
    for number in (1, 3):
        for data in (video(21, number, "1", "r0"), video(22, number, "1", "r1"), video(23, number, "2")):
            room.receive(leg, data)
    for ssrc, extensions in (
        (31, {MID_ID: b"1", REPAIRED_ID: b"r0"}),
        (32, {MID_ID: b"1", REPAIRED_ID: b"r1"}),
        (33, {MID_ID: b"2"}),
    ):
        payload = (2).to_bytes(2, "big") + vp8(key=False, picture=2)
        room.receive(leg, rtp(ssrc=ssrc, sequence=1, payload_type=97, payload=payload, extensions=extensions))
    layers = [*camera.layers, *screen.layers]
    assert [layer.rtx_ssrc for layer in layers] == [31, 32, 33]
    assert [layer.reception.received for layer in layers] == [3, 3, 3]
    assert all(not layer.reception.missing for layer in layers)


# -- collisions and spoofing ------------------------------------------------------------------------------------


def test_a_known_ssrc_with_another_sections_mid_reaches_neither() -> None:
    room = Room()
    leg = room.leg("anna-send", "send", "anna")
    camera = add_video(room, leg, "camera", "1", (None,))
    screen = add_video(room, leg, "screen", "2", (None,))
    room.receive(leg, video(11, 1, "1"))
    room.receive(leg, video(11, 2, "2"))
    assert (camera.layers[0].reception.received, screen.layers[0].ssrc) == (1, -1)
    assert counters(room) == {"wrong_section": 1}
    room.receive(leg, video(12, 1, "2"))
    room.receive(leg, video(11, 3, "1"))
    assert (camera.layers[0].reception.received, screen.layers[0].reception.received) == (2, 1)


def test_the_same_ssrc_on_two_transports_is_two_streams() -> None:
    room = Room()
    anna, bela = Camera(room, ("r0",), "anna"), Camera(room, ("r0",), "bela")
    anna.frame()
    bela.frame()
    watch(room, anna, "cleo")
    watch(room, bela, "dora")
    anna.frame(key=True)
    assert set(room.sent) == {"cleo"}
    bela.frame(key=True)
    assert len(room.sent["dora"]) == 1


def test_another_transports_mid_opens_nothing() -> None:
    room = Room()
    anna = Camera(room, ("r0",), "anna")
    anna.frame()
    watch(room, anna, "cleo")
    thief = room.leg("thief-send", "send", "thief")
    microphone = Microphone(room, "thief", 5)
    for leg in (thief, microphone.leg):
        for ssrc in (0x1000, 0x9999):
            room.receive(leg, video(ssrc, 1, "1", "r0"))
    assert room.sent == {}
    assert counters(room) == {"unknown_stream": 4}
    anna.frame(key=True)
    assert len(room.sent["cleo"]) == 1


def test_outgoing_streams_of_one_transport_never_share_an_ssrc() -> None:
    room = Room()
    dice = Dice("few numbers")
    # Four-byte draws that collide nearly always.
    room.router._rng = lambda size: bytes(size - 1) + bytes((dice.below(4),)) if size == 4 else dice.bytes(size)
    camera = Camera(room, ("r0",))
    consumers = [watch(room, camera, "cleo") for _ in range(1)]
    ssrcs = {number for consumer in consumers for number in (consumer.ssrc, consumer.rtx_ssrc)}
    slots = listen(room, "dora")[:3]
    assert len(ssrcs) == 2 * len(consumers)
    assert len({slot.ssrc for slot in slots}) == len(slots)


# -- replay, jumps, sizes ---------------------------------------------------------------------------------------


def test_a_packet_that_comes_twice_is_forwarded_once() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    frames = [camera.packet(0)[0] for _ in range(20)]
    for data in frames:
        room.receive(camera.leg, data)
        room.receive(camera.leg, data)
    for data in frames:
        room.receive(camera.leg, data)
    assert len(room.sent["cleo"]) == 21
    assert_unbroken(room.sent["cleo"])
    assert counters(room) == {"duplicate": 40}
    assert camera.producer.layers[0].reception.received == 22


def test_without_the_window_the_same_packets_go_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "_SEEN_MASK", 0)
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    data = camera.packet(0)[0]
    room.receive(camera.leg, data)
    room.receive(camera.leg, camera.packet(0)[0])
    room.receive(camera.leg, data)
    assert len(room.sent["cleo"]) == 4


@pytest.mark.parametrize("jump", [3001, 20_000, 40_000, -600, -20_000])
def test_a_single_jump_is_ignored(jump: int) -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    for _ in range(5):
        room.receive(camera.leg, video(0x1000, camera.sequence[0] + jump & 0xFFFF, "1", "r0"))
        camera.frame()
    assert len(room.sent["cleo"]) == 6
    assert_unbroken(room.sent["cleo"])
    assert counters(room) == {"sequence_jump": 5}


@pytest.mark.parametrize("jump", [3001, 20_000, 40_000, -600, -20_000])
def test_a_stream_that_really_jumps_goes_on_without_a_hole(jump: int) -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    before = room.requests(PLI)
    camera.sequence[0] += jump
    room.now += 1
    camera.frame()
    camera.frame()
    assert room.requests(PLI) == before + 1
    camera.frame(key=True)
    camera.frame()
    assert len(room.sent["cleo"]) == 3
    assert_unbroken(room.sent["cleo"])


def test_only_two_in_a_row_begin_a_stream_anew() -> None:
    stream = Reception(90_000)
    positions = [stream.receive(number & 0xFFFF, 0, 1, 1.0) for number in (100, 101, 30_000, 102, 30_001, 30_002)]
    assert positions[0] + 1 == positions[1]
    assert positions[2:] == [JUMPED, positions[1] + 1, JUMPED, RESTARTED]
    assert stream.receive(102, 0, 1, 1.0) == DUPLICATE


def test_a_late_repair_is_never_taken_for_a_jump() -> None:
    stream = Reception(90_000)
    for number in range(2000):
        stream.receive(number, 0, 1, 1.0)
    assert [stream.receive(number, 0, 1, 1.0, repair=True) for number in (5, 6, 7)] == [DUPLICATE] * 3
    assert stream.receive(2000, 0, 1, 1.0) > 0


@pytest.mark.parametrize("size", [0, 1, 11, 12])
def test_a_packet_without_content_is_counted_and_leaves_no_hole(size: int) -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    camera.sequence[0] += 1
    empty = rtp(ssrc=0x1000, sequence=camera.sequence[0], payload_type=96, payload=b"")[:size]
    room.receive(camera.leg, empty)
    if size < 12:
        camera.sequence[0] -= 1
    camera.frame()
    assert_unbroken(room.sent["cleo"])
    assert counters(room) == ({"malformed": 1} if size < 12 else {"silenced": 1})


def test_a_packet_that_fits_no_datagram_is_not_forwarded() -> None:
    room = Room()
    camera = Camera(room, ("r0",))
    camera.frame()
    watch(room, camera, "cleo")
    camera.frame(key=True)
    payload = vp8(key=False, picture=9, body=bytes(LARGEST_PAYLOAD))
    room.receive(camera.leg, rtp(ssrc=0x1000, sequence=camera.sequence[0] + 1, payload_type=96, payload=payload))
    assert len(room.sent["cleo"]) == 1
    assert counters(room) == {"oversize": 1}
    camera.frame()
    assert len(room.sent["cleo"]) == 2


def test_the_meeting_goes_on_through_ten_thousand_mutations() -> None:
    room = Room()
    camera = Camera(room, ("r0", "r1"))
    voice = Microphone(room, "bela", 3)
    camera.frame()
    consumer = watch(room, camera, "cleo", preferred=0)
    listen(room, "cleo")
    camera.frame(key=True)
    dice = Dice("a meeting")
    compounds = [
        rtcp.build_nack(9, consumer.ssrc, [1, 2, 3]),
        rtcp.build_pli(9, consumer.ssrc),
        rtcp.build_remb(9, 3_000_000, [consumer.ssrc]),
        rtcp.build_receiver_report(9, (rtcp.ReportBlock(consumer.ssrc, 1, 2, 3, 4, 5, 6),)),
    ]
    for number in range(10_000):
        room.now += 0.001
        layer = dice.below(2)
        room.router.receive_rtp(camera.leg, mutate(camera.packet(layer)[0], dice), room.now)
        room.router.receive_rtcp(consumer.leg, mutate(compounds[number % 4], dice), room.now, 1 << 60)
        if number % 50 == 0:
            room.router.poll(room.now, 1 << 60)
    room.router.outbox.batches.clear()
    room.sent.clear()
    for _ in range(3):
        camera.frame(key=True)
    talk(room, 0.5, voice)
    room.wait(1.2)
    for _ in range(3):
        camera.frame(key=True)
    videos = [packet for packet in room.sent["cleo"] if packet.ssrc == consumer.ssrc]
    assert len(videos) >= 3
    described = [parse_vp8(packet.payload) for packet in videos]
    assert all(found is not None and found.key_frame_start for found in described)
    assert any(packet.payload == b"bela" for packet in room.sent["cleo"])
