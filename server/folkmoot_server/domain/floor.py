"""Hands, speaking turns and order in the room, as changes to a seat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from folkmoot_server.domain.attendance import Seat
from folkmoot_server.domain.errors import WrongState


class Change(StrEnum):
    """What is done about one seat."""

    RAISE = "raise-hand"
    LOWER = "lower-hand"
    GRANT = "grant-floor"
    WITHDRAW = "withdraw-floor"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The seat after a change and the types of the events that tell of it; none when nothing changed."""

    seat: Seat
    events: tuple[str, ...]


# Which seats a change alters (has a raised hand, has the floor); the others stay as they are.
_EVENTS: Final[Mapping[tuple[Change, bool, bool], tuple[str, ...]]] = MappingProxyType(
    {
        (Change.RAISE, False, False): ("HandRaised",),
        (Change.RAISE, False, True): ("HandRaised",),
        (Change.LOWER, True, False): ("HandLowered",),
        (Change.LOWER, True, True): ("HandLowered",),
        (Change.GRANT, False, False): ("FloorGranted",),
        (Change.GRANT, True, False): ("HandLowered", "FloorGranted"),
        (Change.GRANT, True, True): ("HandLowered",),
        (Change.WITHDRAW, False, True): ("FloorWithdrawn",),
        (Change.WITHDRAW, True, True): ("FloorWithdrawn",),
    }
)


def apply(seat: Seat, change: Change, now: int) -> Outcome:
    """Return what `change` makes of a seat; asking twice for the same changes nothing the second time.

    Raises:
        WrongState: the member is not in the room.
    """
    if not seat.present:
        raise WrongState("attendance.not-present", "The member is not in the room.")
    events = _EVENTS.get((change, seat.hand_at is not None, seat.floor_at > 0), ())
    if "HandRaised" in events:
        seat = replace(seat, hand_at=now)
    if "HandLowered" in events:
        seat = replace(seat, hand_at=None)
    if "FloorGranted" in events:
        seat = replace(seat, floor_at=now)
    if "FloorWithdrawn" in events:
        seat = replace(seat, floor_at=0)
    return Outcome(seat, events)
