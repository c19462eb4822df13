"""Which codecs are forwarded, how key frames are found in them, and that payloads pass unchanged."""

from dataclasses import replace
from typing import Any

import pytest
from tests.media.forwarding_room import VP8, Camera, Room, watch
from tests.media.support import Dice, mutate, rtp

from folkmoot_media.errors import MediaError
from folkmoot_media.forwarding import codecs
from folkmoot_media.forwarding.dependency_descriptor import Dependencies, parse
from folkmoot_media.forwarding.model import CodecChoice, EncodingSpec, ProducerSpec
from folkmoot_media.rtp_parameters import (
    DESCRIPTOR_URI,
    ROUTER_CAPABILITIES,
    ROUTER_CODECS,
    WIDE_URI,
    RtpCapabilities,
    RtpParameters,
    checked,
    consumer_parameters,
    consumer_payload_types,
    takes_descriptors,
    takes_packet_numbers,
    to_producer_spec,
)


class BitWriter:
    """Writes fields from the most significant bit on, as the AV1 payload format's tables are read."""

    def __init__(self) -> None:
        self.bits = ""

    def put(self, *fields: tuple[int, int]) -> "BitWriter":
        for value, width in fields:
            self.bits += format(value, f"0{width}b") if width else ""
        return self

    def done(self) -> bytes:
        whole = self.bits + "0" * (-len(self.bits) % 8)
        return int(whole, 2).to_bytes(len(whole) // 8, "big")


def structure(template: int = 0, number: int = 1) -> bytes:
    """A key frame's descriptor: one spatial and two temporal layers, two decode targets, one chain, 320 x 240."""
    bits = BitWriter().put((1, 1), (1, 1), (template, 6), (number, 16))
    bits.put((1, 1), (0, 1), (0, 1), (0, 1), (0, 1), (0, 6), (1, 5))
    # Templates: key of layer 0; layer 0; layer 1.
    bits.put((0, 2), (1, 2), (3, 2))
    bits.put((2, 2), (2, 2), (2, 2), (3, 2), (0, 2), (1, 2))
    bits.put((0, 1), (1, 1), (1, 4), (0, 1), (1, 1), (0, 4), (0, 1))
    # One chain of at most two: ns(3) is one bit and, from 1 on, another.
    bits.put((1, 1), (0, 1), (0, 4), (2, 4), (1, 4))
    return bits.put((1, 1), (319, 16), (239, 16)).done()


def described(template: int, number: int, start: bool = True) -> bytes:
    return BitWriter().put((start, 1), (1, 1), (template, 6), (number, 16)).done()


# -- the dependency descriptor ----------------------------------------------------------------------------------


def test_a_key_frames_descriptor_tells_the_structure() -> None:
    frame = parse(structure(), None)
    assert frame is not None
    assert frame.structure is not None
    assert (frame.is_key, frame.number, frame.spatial, frame.temporal, frame.differences) == (True, 1, 0, 0, ())
    assert frame.structure.sizes == ((320, 240),)
    assert (frame.structure.targets, frame.structure.chain_count, frame.active_targets) == (2, 1, 3)
    assert [(item.temporal, item.differences, item.chains) for item in frame.structure.templates] == [
        (0, (), (0,)),
        (0, (2,), (2,)),
        (1, (1,), (1,)),
    ]


def test_other_frames_refer_to_it() -> None:
    first = parse(structure(), None)
    assert first is not None
    frame = parse(described(2, 2), first.structure)
    assert frame is not None
    assert (frame.is_key, frame.temporal, frame.differences) == (False, 1, (1,))
    assert parse(described(3, 2), first.structure) is None
    assert parse(described(2, 2), None) is None


def test_custom_differences_replace_the_templates() -> None:
    first = parse(structure(), None)
    assert first is not None
    bits = BitWriter().put((1, 1), (1, 1), (1, 6), (9, 16), (0, 1), (0, 1), (0, 1), (1, 1), (0, 1))
    frame = parse(bits.put((1, 2), (4, 4), (2, 2), (40, 8), (0, 2)).done(), first.structure)
    assert frame is not None
    assert frame.differences == (5, 41)


def test_a_second_packet_of_a_key_frame_starts_nothing() -> None:
    dependencies = Dependencies()
    assert dependencies.describe(structure(), codecs.PLAIN_DELTA, 0).key_frame_start
    assert not dependencies.describe(described(0, 1, start=False), codecs.PLAIN_KEY, 0).key_frame_start
    assert not dependencies.describe(described(1, 2), codecs.PLAIN_KEY, 0).key_frame_start


def test_what_cannot_be_read_leaves_the_payload_to_say() -> None:
    for otherwise in (codecs.PLAIN_KEY, codecs.PLAIN_DELTA):
        for unreadable in (b"", b"\x80", b"\x80\x01", described(1, 1)):
            found = Dependencies().describe(unreadable, otherwise, 1)
            assert found == otherwise._replace(picture=1)


def test_frame_numbers_are_told_even_without_the_structure() -> None:
    assert Dependencies().describe(described(1, 0xABCD), codecs.PLAIN_DELTA, 7).picture == 0xABCD
    assert Dependencies().describe(structure(number=0xFFFF), codecs.PLAIN_DELTA, 7).picture == 0xFFFF
    assert Dependencies().describe(b"", codecs.PLAIN_DELTA, 7).picture == 7


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_cut_structure_is_none(cut: int) -> None:
    assert parse(structure()[:-cut], None) is None


def test_ten_thousand_mutated_descriptors_raise_nothing() -> None:
    dice = Dice("descriptors")
    known = parse(structure(), None)
    assert known is not None
    dependencies = Dependencies()
    read = 0
    for number in range(10_000):
        data = mutate(structure() if number % 2 else described(number % 4, 7) + b"\x10\x55\x10", dice)
        frame = parse(data, known.structure)
        read += frame is not None
        if frame is not None and frame.structure is not None:
            assert len(frame.structure.templates) <= 64
        dependencies.describe(data, codecs.PLAIN_DELTA, 0)
    assert 500 < read < 9500


# -- payloads ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "key", "picture", "tl0"),
    [
        (b"\x8a\x81\x23xyz", True, 0x123, -1),
        (b"\xca\x81\x23xyz", False, 0x123, -1),
        (b"\x8a\x15xyz", True, 0x15, -1),
        (b"\xaa\x15\x00\x07xyz", True, 0x15, 7),
        (b"\xaa\x15\x02\x07xyz", False, 0x15, 7),
        (b"\xa2\x15\x00\x07xyz", False, 0x15, 7),
        (b"\xba\x15\x00xyz", True, 0x15, -1),
        (b"\x0axyz", True, 0, -1),
    ],
)
def test_vp9_key_frames_and_numbers(payload: bytes, key: bool, picture: int, tl0: int) -> None:
    found = codecs.parse_vp9(payload)
    assert found is not None
    assert (found.key_frame_start, found.picture) == (key, picture)
    assert (found.tl0 if found.tl0_at >= 0 else -1) == tl0
    assert codecs.patch(payload, found, 0, 0) == payload[: found.length]


@pytest.mark.parametrize(
    ("payload", "key"), [(b"\x18\x0a", True), (b"\x98\x0a", False), (b"\x10\x0a", False), (b"\x08", True)]
)
def test_av1_key_frames(payload: bytes, key: bool) -> None:
    found = codecs.parse_av1(payload)
    assert found is not None
    assert found.key_frame_start == key
    assert codecs.parse_av1(b"") is None


def test_ten_thousand_mutated_payloads_raise_nothing() -> None:
    dice = Dice("payloads")
    for _ in range(10_000):
        for reader in codecs.READERS.values():
            data = mutate(b"\xaa\x95\x15\x00\x07\x81payload", dice)
            found = reader(data)
            if found is not None:
                assert len(codecs.patch(data, found, 3, 4)) == found.length <= len(data)


# -- through a room ---------------------------------------------------------------------------------------------

BODIES = {
    "video/VP9": (b"\x8a\x81\x23key", b"\xca\x81\x24delta"),
    "video/H264": (b"\x67key", b"\x41delta"),
    "video/AV1": (b"\x18key", b"\x10delta"),
}


@pytest.mark.parametrize("mime", BODIES)
def test_other_codecs_pass_unchanged_from_their_first_key_frame_on(mime: str) -> None:
    room = Room()
    camera = Camera(room, ("r0",), "nobody")
    leg = room.leg("anna-send", "send", "anna")
    codec = CodecChoice(mime.lower(), 96, 97, 90000)
    spec = ProducerSpec("video", "camera", "2", codec, (EncodingSpec(7, None, 8),), 1, 2, 3, 0)
    camera.producer = room.router.add_producer("p", leg, spec, False)
    consumer = watch(room, camera, "cleo")
    key, delta = BODIES[mime]
    for number, payload in enumerate((delta, delta, key, delta, delta)):
        room.now += 0.03
        room.receive(leg, rtp(ssrc=7, sequence=number, timestamp=number * 3000, payload_type=96, payload=payload))
    assert [packet.payload for packet in room.sent["cleo"]] == [key, delta, delta]
    assert {packet.payload_type for packet in room.sent["cleo"]} == {consumer.payload_type}


def test_a_sealed_av1_payload_is_followed_by_its_descriptor_alone() -> None:
    room = Room()
    camera = Camera(room, ("r0",), "nobody")
    leg = room.leg("anna-send", "send", "anna")
    spec = ProducerSpec(
        "video",
        "camera",
        "2",
        replace(VP8, mime="video/av1"),
        (EncodingSpec(7, None, 8),),
        1,
        2,
        3,
        0,
        descriptor_id=12,
    )
    camera.producer = room.router.add_producer("p", leg, spec, False)
    watch(room, camera, "cleo")
    frames = (described(1, 1), structure(number=2)[:8], structure(number=2), described(2, 3))
    for number, marks in enumerate(frames):
        room.now += 0.03
        numbers = {"ssrc": 7, "sequence": number, "timestamp": number * 3000, "payload_type": 96}
        room.receive(leg, rtp(**numbers, payload=b"\xff sealed", extensions={12: marks}))
    assert len(room.sent["cleo"]) == 2


# -- parameters -------------------------------------------------------------------------------------------------


def parameters(mime: str, **values: Any) -> RtpParameters:
    codec = {"mimeType": mime, "payloadType": 96, "clockRate": 90000, "parameters": values}
    return checked(RtpParameters, {"mid": "0", "codecs": [codec], "encodings": [{"ssrc": 5}]})


@pytest.mark.parametrize(
    ("mime", "values"),
    [
        ("video/VP8", {}),
        ("video/VP9", {"profile-id": 0}),
        ("video/VP9", {}),
        ("video/AV1", {"level-idx": 5, "profile": 0, "tier": 0}),
        ("video/H264", {"packetization-mode": 1, "profile-level-id": "42e01f", "level-asymmetry-allowed": 1}),
    ],
)
def test_these_codecs_are_forwarded(mime: str, values: dict[str, Any]) -> None:
    assert to_producer_spec("video", "camera", parameters(mime, **values)).codec.mime == mime.lower()


@pytest.mark.parametrize(("mime", "read"), [("video/VP8", 0), ("video/VP9", 0), ("video/AV1", 8)])
def test_a_descriptor_is_read_where_the_payload_says_less(mime: str, read: int) -> None:
    codec = {"mimeType": mime, "payloadType": 96, "clockRate": 90000}
    extension = {"uri": DESCRIPTOR_URI, "id": 8}
    wanted = {"mid": "0", "codecs": [codec], "encodings": [{"ssrc": 5}], "headerExtensions": [extension]}
    given = checked(RtpParameters, wanted)
    assert to_producer_spec("video", "camera", given).descriptor_id == read


@pytest.mark.parametrize(
    ("mime", "values"),
    [
        ("video/H265", {}),
        ("video/VP9", {"profile-id": 2}),
        ("video/AV1", {"profile": 1}),
        ("video/H264", {"packetization-mode": 0, "profile-level-id": "42e01f"}),
        ("video/H264", {"packetization-mode": 1, "profile-level-id": "640032"}),
        ("video/H264", {"packetization-mode": 1, "profile-level-id": "4d001f"}),
        ("video/H264", {}),
    ],
)
def test_what_not_everybody_can_play_is_refused(mime: str, values: dict[str, Any]) -> None:
    with pytest.raises(MediaError) as refusal:
        to_producer_spec("video", "camera", parameters(mime, **values))
    assert refusal.value.code == "media.unsupported-codec"


def capabilities(mimes: list[str], numbered: bool = True) -> RtpCapabilities:
    feedback = [{"type": "transport-cc", "parameter": ""}]
    codec = [
        {"kind": "video", "mimeType": mime, "clockRate": 90000, "rtcpFeedback": feedback if "rtx" not in mime else []}
        for mime in mimes
    ]
    extension = [{"kind": "video", "uri": WIDE_URI, "preferredId": 5}] if numbered else []
    return checked(RtpCapabilities, {"codecs": codec, "headerExtensions": extension})


@pytest.mark.parametrize("mime", ["video/vp8", "video/h264", "video/vp9", "video/av1"])
def test_a_client_that_knows_retransmission_alone_can_consume_nothing(mime: str) -> None:
    for mimes in ([], ["video/rtx"], ["video/rtx", "video/rtx", "audio/opus"]):
        with pytest.raises(MediaError) as refusal:
            consumer_payload_types(mime, capabilities(mimes))
        assert refusal.value.code == "media.cannot-consume"
    assert consumer_payload_types(mime, capabilities([mime]))[1] == -1
    media, repair = consumer_payload_types(mime, capabilities([mime, "video/rtx"]))
    assert repair == media + 1


def test_payload_types_are_the_routers_and_none_is_used_twice() -> None:
    types = [codec["preferredPayloadType"] for codec in ROUTER_CODECS]
    assert len(set(types)) == len(types)
    for codec in ROUTER_CODECS:
        if codec["mimeType"] not in ("video/rtx", "audio/opus"):
            mime = str(codec["mimeType"]).lower()
            assert consumer_payload_types(mime, capabilities([mime])) == (codec["preferredPayloadType"], -1)


@pytest.mark.parametrize("numbered", [True, False])
def test_a_consumer_answers_with_one_kind_of_feedback(numbered: bool) -> None:
    given: Any = consumer_parameters("0", (101, 102), (7, 8), "name", numbered)
    kinds = {item["type"] for codec in given["codecs"] for item in codec["rtcpFeedback"]}
    assert ("transport-cc" in kinds, "goog-remb" in kinds) == (numbered, not numbered)
    assert [extension["uri"] for extension in given["headerExtensions"]] == ([WIDE_URI] if numbered else [])


@pytest.mark.parametrize(
    ("wish", "understood"),
    [
        ({}, True),
        ({"direction": "recvonly"}, True),
        ({"direction": "sendonly"}, False),
        ({"direction": "inactive"}, False),
        ({"kind": "audio"}, False),
        ({"uri": WIDE_URI}, False),
    ],
)
def test_descriptors_are_for_those_who_want_to_receive_them(wish: dict[str, str], understood: bool) -> None:
    extension = {"kind": "video", "uri": DESCRIPTOR_URI, "preferredId": 8, **wish}
    assert takes_descriptors(checked(RtpCapabilities, {"codecs": [], "headerExtensions": [extension]})) == understood
    assert not takes_descriptors(capabilities(["video/AV1"]))
    given: Any = consumer_parameters("0", (107, 108), (7, 8), "name", True, understood)
    named = {item["uri"]: item["id"] for item in given["headerExtensions"]}
    offered: Any = ROUTER_CAPABILITIES["headerExtensions"]
    ids = {item["uri"]: item["preferredId"] for item in offered if item["kind"] == "video"}
    assert named == {uri: ids[uri] for uri in ([WIDE_URI, DESCRIPTOR_URI] if understood else [WIDE_URI])}


def test_packets_are_numbered_for_those_who_answer() -> None:
    assert takes_packet_numbers(capabilities(["video/VP8"]))
    assert not takes_packet_numbers(capabilities(["video/VP8"], numbered=False))
    assert not takes_packet_numbers(capabilities(["video/rtx"]))
    extensions: Any = ROUTER_CAPABILITIES["headerExtensions"]
    written = {item["uri"] for item in extensions if item["direction"] == "sendrecv"}
    assert written == {WIDE_URI, DESCRIPTOR_URI}
