"""Transport-wide feedback is read in leaps where it can be, and as bit by bit says the same."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.media.support import Dice, mutate

from folkmoot_media.forwarding import transport_wide
from folkmoot_media.forwarding.transport_wide import build_feedback, parse_feedback

INPUTS = 2000
Read = Callable[[bytes], tuple[int, tuple[int, ...]] | None]


def bit_by_bit(control: bytes) -> tuple[int, tuple[int, ...]] | None:
    """Read feedback one symbol after the other, as section 3.1 of the draft has it."""
    count = int.from_bytes(control[2:4], "big")
    if len(control) < 8 or not 0 < count <= 1024:
        return None
    symbols: list[int] = []
    at = 8
    while len(symbols) < count:
        if at + 2 > len(control):
            return None
        bits = f"{int.from_bytes(control[at : at + 2], 'big'):016b}"
        at += 2
        if bits[0] == "0":
            run = int(bits[3:], 2)
            if run == 0:
                return None
            symbols += [int(bits[1:3], 2)] * run
        elif bits[1] == "1":
            symbols += [int(bits[place : place + 2], 2) for place in range(2, 16, 2)]
        else:
            symbols += [int(bit) for bit in bits[2:]]
    ticks = int.from_bytes(control[4:7], "big") * 256
    arrivals = []
    for symbol in symbols[:count]:
        size = symbol if symbol < 3 else 0
        if at + size > len(control):
            return None
        if size:
            ticks += int.from_bytes(control[at : at + size], "big", signed=size == 2)
        at += size
        arrivals.append(max(0, ticks) if size else -1)
    return int.from_bytes(control[:2], "big"), tuple(arrivals)


def made(dice: Dice) -> bytes:
    """Return feedback: mostly on packets of which few or none are missing, or on none that came near another."""
    ticks, arrivals = 256 * dice.below(1000), []
    spread, missing = (20, 300, 40_000)[dice.below(3)], (0, 0, 3, 20)[dice.below(4)]
    for _ in range(1 + dice.below(60)):
        ticks = max(0, ticks + dice.below(spread) - (spread // 2 if spread > 20 else 0))
        arrivals.append(-1 if dice.below(100) < missing else ticks)
    if max(arrivals) < 0 or any(abs(a - b) > 32_000 for a in arrivals for b in arrivals if a >= 0 and b >= 0):
        return made(dice)
    body = build_feedback(dice.below(1 << 16), arrivals, dice.below(256))
    if dice.below(3) == 0:
        # Symbols of one bit, which we read and do not write.
        rows = b"".join(bytes((0x80 | dice.below(64), dice.below(256))) for _ in range(5))
        body = body[:2] + bytes((0, 1 + dice.below(70))) + body[4:8] + rows + dice.bytes(70)
    return body + bytes(dice.below(4))


def differing(read: Read) -> int:
    """Return how many inputs are read otherwise than bit by bit."""
    dice, wrong = Dice("wide"), 0
    for number in range(INPUTS):
        control = made(dice)
        if number % 2:
            control = mutate(control, dice) if number % 4 == 1 else control[: dice.below(len(control) + 1)]
        wrong += read(control) != bit_by_bit(control)
    return wrong


def test_feedback_is_read_as_bit_by_bit() -> None:
    assert differing(parse_feedback) == 0
    dice = Dice("leaps")
    whole = [parsed for _ in range(200) if (parsed := parse_feedback(made(dice)))]
    assert sum(1 for _, arrivals in whole if -1 not in arrivals) > 50
    assert sum(1 for _, arrivals in whole if -1 in arrivals) > 50


MISTAKES: dict[str, Any] = {
    "_SINGLES": [tuple(reversed(row)) for row in transport_wide._SINGLES],
    "_PAIRS": [tuple(reversed(row)) for row in transport_wide._PAIRS],
    "SMALL": 2,
    "REFERENCE_TICKS": 255,
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_reading_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_wide, name, MISTAKES[name])
    assert differing(parse_feedback) > 0
