"""RTP, RTCP and payload descriptors: what goes in comes out, and cut bytes are refused."""

import pytest
from tests.media.support import Dice, mutate, one_byte_extensions, rtp, vp8

from folkmoot_media.forwarding import codecs, rtcp
from folkmoot_media.forwarding.packets import extend, parse_rtp, read_extensions

BLOCK = rtcp.ReportBlock(7, 12, -3, 70000, 44, 0x01020304, 6553)


def test_rtp_fields_and_extensions_are_read() -> None:
    packet = parse_rtp(
        rtp(
            ssrc=9,
            sequence=65535,
            timestamp=77,
            payload=b"abc",
            marker=True,
            extensions={1: b"0", 10: b"\x85"},
            padding=3,
        )
    )
    assert packet is not None
    assert (packet.marker, packet.payload_type, packet.sequence, packet.timestamp) == (0x80, 111, 65535, 77)
    assert (packet.ssrc, packet.payload) == (9, b"abc")
    assert read_extensions(packet.extension_profile, packet.extensions) == {1: b"0", 10: b"\x85"}


def test_two_byte_extensions_are_read() -> None:
    assert read_extensions(0x1000, b"\x01\x010\x00\x14\x00\x02\x03abc") == {1: b"0", 20: b"", 2: b"abc"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(11),
        rtp(ssrc=1, sequence=1, extensions={1: b"x"})[:14],
        rtp(ssrc=1, sequence=1, payload=b"", padding=4)[:-1] + b"\xff",
        b"\xa0" + bytes(11),
    ],
)
def test_malformed_rtp_is_none(data: bytes) -> None:
    assert parse_rtp(data) is None


def test_extensions_stop_at_a_malformed_element() -> None:
    good = one_byte_extensions({1: b"ab"})[4:]
    assert read_extensions(0xBEDE, good + b"\x4f\x01") == {1: b"ab"}
    assert read_extensions(0x1234, good) == {}


@pytest.mark.parametrize(("number", "reference", "expected"), [(0, 65535, 65536), (65535, 65536, 65535), (5, 5, 5)])
def test_extend_takes_the_nearest(number: int, reference: int, expected: int) -> None:
    assert extend(number, reference) == expected


def test_reports_come_back_as_they_were_built() -> None:
    report = rtcp.SenderReport(5, 0x1122334455667788, 99, 3, 400)
    compound = rtcp.build_sender_report(report) + rtcp.build_source_description(5, "seat")
    compound += rtcp.build_receiver_report(1, (BLOCK,))
    assert rtcp.parse_compound(compound) == [report, rtcp.ReceiverReport(1, (BLOCK,))]


def test_feedback_comes_back_as_it_was_built() -> None:
    compound = rtcp.build_pli(1, 42) + rtcp.build_nack(1, 43, [65534, 65535, 0, 40])
    assert rtcp.parse_compound(compound) == [rtcp.KeyFrameRequest(42), rtcp.Nack(43, (65534, 65535, 0, 40))]


def test_remb_has_the_bitrate_and_streams() -> None:
    packet = rtcp.build_remb(1, 4_000_000, [7, 8])
    word = int.from_bytes(packet[16:20], "big")
    assert packet[12:16] == b"REMB"
    assert word >> 24 == 2
    assert (word & 0x3FFFF) << (word >> 18 & 0x3F) == 4_000_000
    assert packet[20:] == (7).to_bytes(4, "big") + (8).to_bytes(4, "big")


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\xc9\x00",
        b"\x80\xc9\x00\x05" + bytes(4),
        b"\x81\xc9\x00\x01" + bytes(4),
        b"\x80\xc8\x00\x01" + bytes(4),
        b"\x00\xc9\x00\x01" + bytes(4),
        b"\xa0\xc9\x00\x01" + bytes(4),
        b"\x81\xce\x00\x00",
    ],
)
def test_impossible_rtcp_is_refused_whole(data: bytes) -> None:
    good = rtcp.build_receiver_report(1, (BLOCK,))
    with pytest.raises(rtcp.MalformedRtcpError):
        rtcp.parse_compound(good + data)


def test_vp8_numbers_are_read_and_shifted_in_place() -> None:
    payload = vp8(key=True, picture=0x7FFF, tl0=255)
    descriptor = codecs.parse_vp8(payload)
    assert descriptor is not None
    assert (descriptor.key_frame_start, descriptor.picture, descriptor.tl0, descriptor.length) == (
        True,
        0x7FFF,
        255,
        6,
    )
    patched = codecs.patch(payload, descriptor, 2, 2)
    again = codecs.parse_vp8(patched + payload[len(patched) :])
    assert again is not None
    assert (again.picture, again.tl0, len(patched)) == (1, 1, descriptor.length)


def test_vp8_short_picture_id_keeps_its_width() -> None:
    payload = bytes((0x90, 0x80, 0x7F, 0x01))
    descriptor = codecs.parse_vp8(payload)
    assert descriptor is not None
    assert not descriptor.picture_wide
    assert codecs.patch(payload, descriptor, 1, 0) == bytes((0x90, 0x80, 0x00))


@pytest.mark.parametrize("key", [True, False])
@pytest.mark.parametrize("start", [True, False])
def test_a_vp8_key_frame_starts_with_its_first_packet(key: bool, start: bool) -> None:
    descriptor = codecs.parse_vp8(vp8(key=key, picture=1, start=start))
    assert descriptor is not None
    assert descriptor.key_frame_start == (key and start)


@pytest.mark.parametrize("size", range(7))
def test_cut_vp8_is_none_or_shorter(size: int) -> None:
    whole = vp8(key=True, picture=1)
    assert (codecs.parse_vp8(whole[:size]) is None) == (size < 7)


@pytest.mark.parametrize(
    ("payload", "key"),
    [
        (b"\x67\x42", True),
        (b"\x65\x00", True),
        (b"\x41\x00", False),
        (b"\x7c\x85", True),
        (b"\x7c\x05", False),
        (b"\x78\x00\x02\x67\x42\x00\x01\x68", True),
        (b"\x78\x00\x02\x41\x42", False),
        (b"\x78\xff", False),
        (b"", False),
    ],
)
def test_h264_key_frames(payload: bytes, key: bool) -> None:
    assert codecs.is_h264_key_frame(payload) == key


def test_ten_thousand_mutations_of_every_parser_raise_nothing_unexpected() -> None:
    dice = Dice("parsers")
    whole_rtp = rtp(ssrc=1, sequence=2, payload=vp8(key=True, picture=3), extensions={1: b"0", 2: b"r1"}, padding=4)
    whole_rtcp = rtcp.build_sender_report(rtcp.SenderReport(5, 1 << 40, 99, 3, 400, (BLOCK,)))
    whole_rtcp += rtcp.build_nack(1, 2, [3, 5, 90]) + rtcp.build_pli(1, 2) + rtcp.build_remb(1, 10**6, [2])
    refused = parsed = 0
    for _ in range(10_000):
        packet = parse_rtp(mutate(whole_rtp, dice))
        if packet is not None:
            read_extensions(packet.extension_profile, packet.extensions)
            descriptor = codecs.parse_vp8(packet.payload)
            if descriptor is not None:
                assert len(codecs.patch(packet.payload, descriptor, 5, 7)) == descriptor.length
            codecs.is_h264_key_frame(packet.payload)
        try:
            rtcp.parse_compound(mutate(whole_rtcp, dice))
            parsed += 1
        except rtcp.MalformedRtcpError:
            refused += 1
    assert refused > 1000
    assert parsed > 1000
