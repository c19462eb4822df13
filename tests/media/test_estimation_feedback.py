"""Transport-wide feedback: bytes, logs of what was sent and what arrived, and hostile bytes."""

import pytest
from tests.media.support import Dice, mutate

from folkmoot_media.forwarding import rtcp, transport_wide
from folkmoot_media.forwarding.packets import read_extensions, stamp_block
from folkmoot_media.forwarding.transport_wide import ArrivalLog, Outcomes, SendLog, Sent

NOTHING = Outcomes([], [], [])


def test_the_bytes_of_the_draft_are_read() -> None:
    # Base 5, seven packets, reference 4 (1024 ticks), a run of two small ones, a vector of two-bit symbols.
    control = bytes.fromhex("00050007 00000403 2002 c900 04 08 fff0 10".replace(" ", ""))
    assert transport_wide.parse_feedback(control) == (5, (1028, 1036, -1, 1020, 1036, -1, -1))


def test_a_stamp_is_a_one_byte_header_extension() -> None:
    block = stamp_block(5 << 16 | 0xABCD)
    assert read_extensions(int.from_bytes(block[:2], "big"), block[4:]) == {5: b"\xab\xcd"}
    assert len(block) == 4 + 4 * int.from_bytes(block[2:4], "big")


@pytest.mark.parametrize("seed", range(20))
def test_feedback_comes_back_as_it_was_built(seed: int) -> None:
    dice = Dice(f"feedback {seed}")
    ticks = dice.below(1 << 20)
    arrivals = []
    for _ in range(1 + dice.below(400)):
        ticks += (0, 1, 40, 255, 256, 3000, -90)[dice.below(7)]
        arrivals.append(max(ticks, 0) if dice.below(100) < (5, 50, 99)[dice.below(3)] else -1)
    arrivals.append(max(ticks, 0))
    compound = rtcp.build_transport_feedback(1, 2, transport_wide.build_feedback(65500, arrivals, 7))
    assert len(compound) % 4 == 0
    assert rtcp.parse_compound(compound + rtcp.build_pli(1, 2)) == [
        rtcp.TransportFeedback(65500, tuple(arrivals)),
        rtcp.KeyFrameRequest(2),
    ]


@pytest.mark.parametrize("cut", range(1, 20))
def test_cut_feedback_is_none(cut: int) -> None:
    whole = transport_wide.build_feedback(1, [10, -1, 500, 20_000, 20_001, -1, 20_002, 20_100], 1)
    assert transport_wide.parse_feedback(whole) is not None
    assert transport_wide.parse_feedback(whole[:-cut]) is None


def test_a_datagram_cannot_tell_of_more_packets_than_are_worth_reading() -> None:
    # Twenty bytes that tell of 600 missing packets and one that arrived.
    body = transport_wide.build_feedback(1, [-1] * 600 + [9], 1)
    one = rtcp.build_transport_feedback(1, 2, body)
    assert len(one) < 32
    assert len(rtcp.parse_compound(one)) == 1
    with pytest.raises(rtcp.MalformedRtcpError):
        rtcp.parse_compound(one * 2)
    assert transport_wide.parse_feedback(transport_wide.build_feedback(1, [-1] * 1024 + [9], 1)) is None


def test_a_run_of_nothing_ends_the_reading() -> None:
    assert transport_wide.parse_feedback(bytes.fromhex("0001 0800 00000400".replace(" ", "")) + bytes(400)) is None


def test_ten_thousand_mutations_raise_nothing_unexpected() -> None:
    dice = Dice("transport-wide")
    body = transport_wide.build_feedback(9, [10, -1, 500, 20_000, -1, 20_002], 1)
    whole = rtcp.build_transport_feedback(1, 2, body)
    log = SendLog(5)
    refused = 0
    for number in range(10_000):
        log.stamp(Sent(number * 0.001, 100))
        try:
            for part in rtcp.parse_compound(mutate(whole, dice)):
                if isinstance(part, rtcp.TransportFeedback):
                    assert len(part.arrivals) <= transport_wide.MAXIMUM_STATUSES
                    log.resolve(part.base, part.arrivals)
        except rtcp.MalformedRtcpError:
            refused += 1
    assert 1000 < refused < 9900


def test_remb_is_read_as_it_was_built() -> None:
    assert rtcp.parse_compound(rtcp.build_remb(1, 4_000_000, [7, 8])) == [rtcp.BitrateLimit(4_000_000)]


# -- the logs ---------------------------------------------------------------------------------------------------


def told(log: ArrivalLog) -> tuple[int, tuple[int, ...]]:
    body = log.build()
    assert body is not None
    parsed = transport_wide.parse_feedback(body)
    assert parsed is not None
    return parsed


def test_feedback_tells_of_everything_once_and_of_the_gaps() -> None:
    log = ArrivalLog()
    for number in (65534, 65535, 1):
        log.note(number, 10.0 + (number & 3) * 0.001)
    base, arrivals = told(log)
    assert (base, [ticks >= 0 for ticks in arrivals]) == (65534, [True, True, False, True])
    assert log.build() is None
    log.note(4, 10.2)
    base, arrivals = told(log)
    assert (base, [ticks >= 0 for ticks in arrivals]) == (2, [False, False, True])


def test_a_late_packet_is_told_of_later() -> None:
    log = ArrivalLog()
    for number in (10, 12):
        log.note(number, 1.0)
    told(log)
    log.note(11, 1.1)
    base, arrivals = told(log)
    assert (base, arrivals[0] >= 0) == (11, True)


def test_what_was_sent_is_matched_with_what_arrived() -> None:
    log = SendLog(5)
    sent = [Sent(100 + number * 0.01, 1000 + number) for number in range(4)]
    assert [log.stamp(packet) for packet in sent] == [5 << 16 | number for number in range(4)]
    assert log.resolve(0, (400, -1, 480)) == Outcomes([(sent[0], 0.1), (sent[2], 0.12)], [sent[1]], [])
    assert log.resolve(0, (400, 401, 480)) == NOTHING
    assert log.resolve(4, (480, 481)) == Outcomes([], [], [sent[3]])


def test_numbers_never_given_out_are_ignored() -> None:
    log = SendLog(5)
    log.stamp(Sent(1.0, 100))
    assert log.resolve(30_000, (1, 2, 3)) == NOTHING
    assert log.resolve(65_535, (1,)) == NOTHING


def test_the_numbers_wrap() -> None:
    log = SendLog(5)
    for number in range(70_000):
        log.stamp(Sent(float(number), 1))
    newest = 69_999 & 0xFFFF
    assert log.resolve(newest, (40,)).arrived == [(Sent(69_999.0, 1), 0.01)]


def test_lost_feedback_is_not_lost_media() -> None:
    log = SendLog(5)
    for number in range(30):
        log.stamp(Sent(float(number), 1))
    log.resolve(0, tuple(range(10)))
    found = log.resolve(20, tuple(range(10)))
    assert [sent.time for sent in found.untold] == list(range(10, 20))
    assert [sent.time for sent, _ in found.arrived] == list(range(20, 30))
