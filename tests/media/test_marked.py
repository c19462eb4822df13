"""AV1's dependency descriptors at consumers: the publisher's bytes, with frame numbers that go on without a break."""

import itertools
from dataclasses import replace
from struct import pack
from typing import Any

import pytest
from tests.media.forwarding_room import VP8, Room, as_sent
from tests.media.support import Dice, mutate, rtp
from tests.media.test_codecs import described, structure

from folkmoot_media.fan.interface import LARGEST_RTP
from folkmoot_media.forwarding import marked, rtcp
from folkmoot_media.forwarding.demux import LARGEST_PAYLOAD
from folkmoot_media.forwarding.downlink import release
from folkmoot_media.forwarding.model import EncodingSpec, ProducerSpec, VideoConsumer
from folkmoot_media.forwarding.pacing import Pacer
from folkmoot_media.forwarding.packets import RTP_HEADER_LENGTH, RtpPacket, read_extensions, stamp_block
from folkmoot_media.forwarding.repair import find_probe, send_probe

AT_PUBLISHER = 12
AV1 = replace(VP8, mime="video/av1")
MEDIA, REPAIR = 107, 108


def packet_with(marks: bytes | None, **numbers: Any) -> bytes:
    """Return a publisher's packet with a descriptor of any length, in extensions of two bytes."""
    plain = rtp(**numbers)
    if marks is None:
        return plain
    element = bytes((AT_PUBLISHER, len(marks))) + marks
    element += bytes(-len(element) % 4)
    block = pack("!HH", 0x1000, len(element) // 4) + element
    return bytes((plain[0] | 0x10,)) + plain[1:RTP_HEADER_LENGTH] + block + plain[RTP_HEADER_LENGTH:]


class Film:
    """A publisher of AV1 with the frame numbers that it is told; `marks` are by payload."""

    def __init__(self, room: Room, layers: int = 2, numbers: tuple[int, ...] = (65_515, 40_000)) -> None:
        self.room = room
        self.leg = room.leg("anna-send", "send", "anna")
        encodings = tuple(EncodingSpec(0x1000 + layer, None, 0x2000 + layer) for layer in range(layers))
        spec = ProducerSpec("video", "camera", "1", AV1, encodings, 1, 2, 3, 0, descriptor_id=AT_PUBLISHER)
        self.producer = room.router.add_producer("anna-camera", self.leg, spec, False)
        self.number, self.sequence = list(numbers), [60_000, 200]
        self.marks: dict[bytes, bytes] = {}
        self.frames = 0
        self.body = b""

    def send(self, layer: int, marks: bytes | None, body: bytes = b"", step: int = 0) -> None:
        """Send one packet, of the next frame after `step`."""
        self.frames += 1
        self.sequence[layer] += 1
        self.number[layer] += step
        payload = b"\xff" + f"layer {layer} {self.frames} ".encode() + body
        if marks is not None:
            self.marks[payload] = marks
        numbers = {"ssrc": 0x1000 + layer, "sequence": self.sequence[layer], "timestamp": 3000 * self.frames}
        self.room.receive(self.leg, packet_with(marks, **numbers, payload_type=96, payload=payload, marker=True))

    def frame(self, layer: int, *, key: bool = False, step: int = 1) -> None:
        number = (self.number[layer] + step) & 0xFFFF
        self.send(layer, structure(number=number) if key else described(1 + number % 2, number), self.body, step)

    def all(self, *, key: bool = False, step: int = 1) -> None:
        self.room.now += 1 / 30
        for layer in range(len(self.producer.layers)):
            self.frame(layer, key=key, step=step)


def watch(room: Room, film: Film, name: str, *, wants: bool = True, rtx: int = REPAIR) -> VideoConsumer:
    leg = room.router.legs.get(name) or room.leg(name)
    consumer = room.router.add_video_consumer(f"{name}-consumer", leg, film.producer, (MEDIA, rtx), True)
    consumer.marked, consumer.preferred = wants, 1
    room.router.set_consumer_paused(consumer, False, room.now)
    room.take()
    return consumer


def shown(packet: RtpPacket) -> bytes | None:
    """Return the descriptor that a packet brings to a consumer."""
    return read_extensions(packet.extension_profile, packet.extensions).get(marked.EXTENSION_ID)


def number_of(marks: bytes) -> int:
    return int.from_bytes(marks[1:3], "big")


def without_number(marks: bytes) -> bytes:
    return marks[:1] + marks[3:]


def check(film: Film, packets: list[RtpPacket]) -> list[int]:
    """Every packet has its publisher's descriptor but for the number; return how the numbers go on."""
    found = []
    for packet in packets:
        marks = shown(packet)
        assert marks is not None
        assert without_number(marks) == without_number(film.marks[packet.payload])
        found.append(number_of(marks))
    return [(after - before) & 0xFFFF for before, after in itertools.pairwise(found)]


# -- bytes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 4, 14, 15, 16, 17, 254, 255])
def test_a_descriptor_of_any_length_comes_as_it_was_sent(size: int) -> None:
    room = Room(stamping=True)
    film = Film(room, layers=1)
    watch(room, film, "cleo")
    watch(room, film, "dora", wants=False)
    film.frame(0, key=True)
    marks = described(1, 7) + Dice(f"descriptor {size}").bytes(size - 3)
    film.send(0, marks)
    sent = room.sent["cleo"]
    assert [shown(packet) for packet in sent] == [*film.marks.values()]
    assert [packet.payload for packet in sent] == [packet.payload for packet in room.sent["dora"]] == [*film.marks]
    assert [shown(packet) for packet in room.sent["dora"]] == [None, None]
    assert sent[1].extension_profile == (0xBEDE if size <= 15 else 0x1000)
    # Control: whoever looks at another id, or for other bytes, finds nothing.
    assert read_extensions(sent[1].extension_profile, sent[1].extensions).keys() == {marked.EXTENSION_ID}
    film.marks[sent[1].payload] = mutate(marks, Dice("other"))
    with pytest.raises(AssertionError):
        check(film, sent)


@pytest.mark.parametrize("marks", [None, b"", b"\x80", b"\x80\x00"])
def test_without_a_descriptor_or_with_a_cut_one_a_packet_comes_as_it_is(marks: bytes | None) -> None:
    room = Room(stamping=True)
    film = Film(room, layers=1)
    watch(room, film, "cleo")
    film.frame(0, key=True)
    film.send(0, marks)
    film.frame(0)
    assert [shown(packet) is None for packet in room.sent["cleo"]] == [False, True, False]
    assert check(film, [room.sent["cleo"][0], room.sent["cleo"][2]]) == [1]


def test_what_there_is_no_room_for_is_left_out_and_the_largest_packet_fits() -> None:
    for size in range(3, 256):
        most = marked.ROOM - len(marked.extension(bytes(size), 0))
        assert marked.extension(bytes(size), most)
        assert marked.extension(bytes(size), most + 1) == b""
    assert len(marked.extension(bytes(3), LARGEST_PAYLOAD)) == 4
    assert RTP_HEADER_LENGTH + len(stamp_block(5 << 16)) + marked.ROOM + 2 == LARGEST_RTP
    room = Room(stamping=True)
    film = Film(room, layers=1)
    watch(room, film, "cleo")
    film.frame(0, key=True)
    for size in (1000, 1300):
        film.send(0, described(1, 7) + bytes(80), body=bytes(size))
    assert [shown(packet) is None for packet in room.sent["cleo"]] == [False, False, True]


def test_mutated_descriptors_pass_or_are_left_out() -> None:
    room, dice = Room(stamping=True), Dice("marks")
    film = Film(room, layers=1)
    watch(room, film, "cleo")
    film.frame(0, key=True)
    for number in range(2000):
        film.send(0, mutate(structure(number=number) if number % 2 else described(1, number), dice)[:255])
    for packet in room.sent["cleo"]:
        marks = shown(packet)
        original = film.marks[packet.payload]
        assert (marks is None) == (len(original) < 3)
        assert marks is None or without_number(marks) == without_number(original)
    assert sum(shown(packet) is None for packet in room.sent["cleo"]) > 10


# -- numbers ----------------------------------------------------------------------------------------------------


def switched() -> tuple[Film, list[RtpPacket]]:
    """Follow a film that leaves out numbers, with unlike numbers in its layers, through both of them and a wrap."""
    room = Room(stamping=True)
    film = Film(room)
    consumer = watch(room, film, "cleo")
    for layer in (0, 1, 0):
        room.router.set_preferred_layer(consumer, layer, room.now)
        for number in range(12):
            film.all(key=number == 3, step=1 + number % 3)
    return film, room.sent["cleo"]


def layers_of(packets: list[RtpPacket]) -> list[int]:
    return [int(packet.payload.split()[1]) for packet in packets]


def test_frame_numbers_go_on_across_switches_and_a_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    film, packets = switched()
    layers = layers_of(packets)
    assert [layer for layer, _ in itertools.groupby(layers)] == [0, 1, 0]
    steps = check(film, packets)
    for packet, before, after, step in zip(packets[1:], layers, layers[1:], steps, strict=False):
        frame = number_of(film.marks[packet.payload])
        earlier = [number_of(marks) for payload, marks in film.marks.items() if int(payload.split()[1]) == after]
        at = earlier.index(frame)
        assert step == (1 if before != after else (frame - earlier[at - 1]) & 0xFFFF)
    numbers = [number_of(shown(packet) or b"") for packet in packets]
    assert min(numbers) < 1000 < 65_000 < max(numbers)
    # Control: with the publisher's own numbers they jump.
    monkeypatch.setattr(marked, "renumber", lambda payload, descriptor, *_: payload[: descriptor.length])
    film, packets = switched()
    assert max(check(film, packets)) > 3


def test_consumers_of_one_layer_each_have_their_own_numbers() -> None:
    room = Room(stamping=True)
    film = Film(room)
    mover, stayer, plain = (watch(room, film, name, wants=name != "bela") for name in ("cleo", "dora", "bela"))
    for consumer, layer in ((mover, 0), (stayer, 1), (plain, 1)):
        room.router.set_preferred_layer(consumer, layer, room.now)
    film.all(key=True)
    film.all()
    room.router.set_preferred_layer(mover, 1, room.now)
    film.all(key=True)
    film.all()
    assert check(film, room.sent["cleo"]) == [1, *check(film, room.sent["dora"])] == [1, 1, 1, 1]
    last = [room.sent[name][-1] for name in ("cleo", "dora", "bela")]
    assert len({packet.payload for packet in last}) == 1
    assert [number_of(shown(packet) or bytes(3)) for packet in last] == [65_520, 40_004, 0]


@pytest.mark.parametrize("back", [1, 1000, 32_768])
def test_a_publisher_whose_numbers_run_back_at_a_key_frame_is_followed(
    back: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow() -> list[int]:
        room = Room(stamping=True)
        film = Film(room, layers=1)
        watch(room, film, "cleo")
        film.all(key=True)
        film.all()
        film.all(key=True, step=-back)
        film.all()
        return check(film, room.sent["cleo"])

    assert follow() == [1, 1, 1]
    monkeypatch.setattr(marked, "keep_ahead", lambda *_: None)
    assert follow() == [1, -back & 0xFFFF, 1]


def test_a_publisher_that_begins_anew_is_followed() -> None:
    room = Room(stamping=True)
    film = Film(room, layers=1)
    watch(room, film, "cleo")
    film.all(key=True)
    film.all()
    film.sequence[0], film.number[0] = 20_000, 100
    film.all()
    for _ in range(3):
        film.all(key=True)
    assert len(room.sent["cleo"]) >= 4
    assert set(check(film, room.sent["cleo"])) == {1}


def test_frames_that_a_narrow_link_leaves_out_leave_no_number_behind() -> None:
    room = Room(stamping=True)
    film = Film(room, layers=1)
    consumer = watch(room, film, "cleo")
    film.all(key=True)
    pacer = consumer.leg.pacer = Pacer(100_000, room.now)
    film.body = bytes(600)
    for number in range(200):
        film.all(key=number % 20 == 10)
        release(consumer.leg, room.now, room.router.outbox)
        room.take()
    packets = room.sent["cleo"]
    assert consumer.held_back > 1
    assert 100 < len(packets) < 180
    # Within a run the publisher's own steps, each run behind the last.
    assert set(check(film, packets)) == {1}
    assert {(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(packets)} == {1}
    # What a sender report tells is payload alone; of a frame left out its first packet counts.
    payloads = [len(packet.payload) for packet in packets]
    payloads += [len(as_sent(one.payload, one.copy).payload) for one in pacer._queue]
    layer = film.producer.layers[0]
    forwarded = consumer.octets_before + (layer.forwarded_octets if consumer.layer is layer else 0)
    assert 609 < (forwarded - sum(payloads)) / consumer.held_back < 613


# -- again ------------------------------------------------------------------------------------------------------


def ask(room: Room, consumer: VideoConsumer, packets: list[RtpPacket]) -> list[RtpPacket]:
    """Ask for packets again; return what comes."""
    before = len(room.sent[consumer.leg.id])
    nack = rtcp.build_nack(1, consumer.ssrc, [packet.sequence for packet in packets])
    room.receive_rtcp(consumer.leg, rtcp.build_receiver_report(1, ()) + nack)
    return room.sent[consumer.leg.id][before:]


@pytest.mark.parametrize("rtx", [REPAIR, -1])
def test_what_is_sent_again_has_the_descriptor_that_it_had(rtx: int, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(stamping=True)
    film = Film(room)
    consumer, plain = watch(room, film, "cleo", rtx=rtx), watch(room, film, "bela", wants=False, rtx=rtx)
    for one in (consumer, plain):
        room.router.set_preferred_layer(one, 0, room.now)
    film.all(key=True)
    for one in (consumer, plain):
        room.router.set_preferred_layer(one, 1, room.now)
    film.all(key=True)
    film.all()
    film.all()
    asked = room.sent["cleo"][-3:]
    again = ask(room, consumer, asked)
    skipped = 0 if rtx < 0 else 2
    assert [packet.payload[skipped:] for packet in again] == [packet.payload for packet in asked]
    assert [shown(packet) for packet in again] == [shown(packet) for packet in asked]
    assert {packet.payload_type for packet in again} == {MEDIA if rtx < 0 else rtx}
    if skipped:
        assert [packet.payload[:2] for packet in again] == [packet.sequence.to_bytes(2, "big") for packet in asked]
    assert [shown(packet) for packet in ask(room, plain, room.sent["bela"][-3:])] == [None] * 3
    # Control: with the publisher's own numbers they would not be the same.
    monkeypatch.setattr(marked, "renumber", lambda payload, descriptor, *_: payload[: descriptor.length])
    room.now += 1
    wrong = ask(room, consumer, asked)
    assert len(wrong) == 3
    assert not {shown(packet) for packet in wrong} & {shown(packet) for packet in asked}


def test_what_a_link_is_tried_with_keeps_its_numbers_when_the_layer_has_changed() -> None:
    room = Room(stamping=True)
    film = Film(room)
    consumer = watch(room, film, "cleo")
    room.router.set_preferred_layer(consumer, 0, room.now)
    film.all(key=True)
    film.all()
    first = list(room.sent["cleo"])
    kept = find_probe(consumer, 10, 1000)
    room.router.set_preferred_layer(consumer, 1, room.now)
    film.all(key=True)
    before = len(room.sent["cleo"])
    send_probe(consumer, kept, room.now, room.router.outbox)
    room.take()
    tried = room.sent["cleo"][before:]
    assert {(packet.payload[2:], packet.timestamp, shown(packet)) for packet in tried} == {
        (packet.payload, packet.timestamp, shown(packet)) for packet in first
    }
    assert shown(room.sent["cleo"][before - 1]) != film.marks[room.sent["cleo"][before - 1].payload]
