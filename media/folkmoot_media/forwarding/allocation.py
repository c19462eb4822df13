"""Who gets which layer when a subscriber's link does not carry everything.

First everybody gets the least there is, in order of importance; whoever does not fit gets nothing. Then all are
raised a step at a time, in the same order, while the budget lasts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

RAISE_MARGIN = 1.15
NOTHING = -1


class Option(NamedTuple):
    """One way to send a stream: layer, highest temporal layer, and the bit/s that it takes on the wire."""

    layer: int
    temporal: int
    bitrate: float


class Demand(NamedTuple):
    """What one consumer could get, least first, and the option that it has now (-1: nothing).

    `may_rise` is false for a while after a fall: then it keeps at most what it has.
    """

    options: Sequence[Option]
    current: int
    may_rise: bool


def allocate(demands: Sequence[Demand], budget: float) -> list[int]:
    """Return the index of the option for each demand, in order of importance; -1 is nothing.

    A larger budget never takes anything from the most important demand. `budget` is bit/s.
    """
    given = [NOTHING] * len(demands)
    left = budget
    for number, demand in enumerate(demands):
        if demand.options and _fits(demand, 0, left):
            given[number] = 0
            left -= demand.options[0].bitrate
    rising = True
    while rising:
        rising = False
        for number, demand in enumerate(demands):
            step = given[number] + 1
            if given[number] == NOTHING or step >= len(demand.options):
                continue
            extra = demand.options[step].bitrate - demand.options[given[number]].bitrate
            if _fits(demand, step, left, extra):
                given[number] = step
                left -= extra
                rising = True
    return given


def _fits(demand: Demand, step: int, left: float, extra: float | None = None) -> bool:
    cost = demand.options[step].bitrate if extra is None else extra
    if step <= demand.current:
        return cost <= left
    return demand.may_rise and cost * RAISE_MARGIN <= left
