"""Redundant audio: the bytes of RFC 2198, and what it repairs."""

import pytest
from tests.media.support import Dice, mutate
from tests.media.virtual_link import VirtualLink

from folkmoot_media.forwarding import red
from folkmoot_media.forwarding.red import Block, Maker, Stripper

STEP = 2880


def test_the_headers_are_those_of_rfc_2198() -> None:
    # Section 5's packet: payload type 5 as redundancy of 15 ms at 8 kHz with 14 bytes, then payload type 7.
    blocks = [Block(7, 120, bytes(range(14))), Block(5, 0, b"primary")]
    assert red.pack(blocks) == bytes((0x87, 0x01, 0xE0, 0x0E, 0x05)) + bytes(range(14)) + b"primary"
    assert red.unpack(red.pack(blocks)) == blocks


def test_a_packet_without_redundancy_has_one_byte_of_header() -> None:
    assert red.pack([Block(100, 0, b"abc")]) == b"\x64abc"
    assert red.unpack(b"\x64abc") == [Block(100, 0, b"abc")]
    assert red.unpack(b"\x64") == [Block(100, 0, b"")]


@pytest.mark.parametrize(
    "blocks",
    [
        [],
        [Block(100, 1, b"")],
        [Block(100, 0, b""), Block(100, 0, b"")],
        [Block(100, 1 << 14, b""), Block(100, 0, b"")],
        [Block(100, 1, bytes(1024)), Block(100, 0, b"")],
        [Block(100, 9, b"x")] * 8 + [Block(100, 0, b"")],
    ],
)
def test_what_does_not_fit_is_refused(blocks: list[Block]) -> None:
    with pytest.raises(ValueError, match="block"):
        red.pack(blocks)


@pytest.mark.parametrize("cut", range(1, 14))
def test_cut_packets_are_none_or_shorter(cut: int) -> None:
    whole = red.pack([Block(100, 960, b"older"), Block(100, 0, b"new")])
    found = red.unpack(whole[:-cut])
    assert found is None or found[-1].payload == b"new"[:-cut]
    assert (found is None) == (cut > 3)


def test_ten_thousand_mutations_raise_nothing() -> None:
    dice = Dice("red")
    whole = red.pack([Block(100, 2880, b"oldest"), Block(100, 960, b"older"), Block(100, 0, b"new")])
    stripper = Stripper()
    for number in range(10_000):
        data = mutate(whole, dice)
        found = red.unpack(data)
        assert found is None or sum(len(block.payload) for block in found) <= len(data)
        stripper.strip(number * 960, data)


def deliver(distances: tuple[int, ...], loss: float, burst: float) -> float:
    """Return the share of payloads that never come out."""
    maker, stripper = Maker(100, distances), Stripper()
    link = VirtualLink(1e9, 0.0, loss=loss, burst=burst, seed=4)
    given: set[bytes] = set()
    for number in range(20_000):
        packet = maker.make(number, number * STEP & 0xFFFFFFFF, number.to_bytes(4, "big"))
        if link.send(len(packet), number * 0.06) is not None:
            fresh = [payload for _, payload in stripper.strip(number * STEP & 0xFFFFFFFF, packet)]
            assert not given & set(fresh), "nothing is given twice"
            given.update(fresh)
    return 1 - len(given) / 20_000


def test_redundancy_repairs_what_the_reference_says() -> None:
    assert deliver((), 0.1, 1) == pytest.approx(0.1, abs=0.01)
    assert deliver((1,), 0.1, 1) == pytest.approx(0.0096, abs=0.004)
    assert deliver((1, 2), 0.1, 1) < 0.003
    spaced, close = deliver((1, 4), 0.1, 3), deliver((1, 2), 0.1, 3)
    assert spaced < 0.7 * close


def test_silence_is_not_repeated() -> None:
    maker = Maker(100, (1, 2))
    maker.make(1, 960, b"a")
    maker.make(2, 1920, b"")
    assert red.unpack(maker.make(3, 2880, b"c")) == [Block(100, 1920, b"a"), Block(100, 0, b"c")]


def test_what_lies_too_far_back_is_left_out() -> None:
    maker = Maker(100, (1,))
    maker.make(1, 0, b"a")
    assert red.unpack(maker.make(2, 20_000, b"b")) == [Block(100, 0, b"b")]
    maker.make(7, 40_000, b"c")
    assert red.unpack(maker.make(9, 41_000, b"d")) == [Block(100, 0, b"d")]


def test_timestamps_wrap() -> None:
    maker, stripper = Maker(100, (1,)), Stripper()
    stripper.strip(0xFFFFFFFF - 2000, maker.make(0, 0xFFFFFFFF - 2000, b"z"))
    first = maker.make(1, 0xFFFFFF00, b"a")
    second = maker.make(2, 0x2C0, b"b")
    assert first
    assert stripper.strip(0x2C0, second) == [(0xFFFFFF00, b"a"), (0x2C0, b"b")]
