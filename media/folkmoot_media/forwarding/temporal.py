"""A layer with its upper temporal layers left out, numbered without holes, shared by all consumers that take it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from folkmoot_media.forwarding.codecs import Descriptor

if TYPE_CHECKING:
    from folkmoot_media.forwarding.model import VideoConsumer

EVERYTHING = 7
KEPT = 512


class Drop(NamedTuple):
    """Up to and with `position`, so many packets and pictures had been left out."""

    position: int
    packets: int
    pictures: int


class TemporalView:
    """Frames of temporal layers up to `most`. A place is a position less the packets left out before it."""

    __slots__ = (
        "_drops",
        "_last_picture",
        "_positions",
        "consumers",
        "forwarded_octets",
        "forwarded_packets",
        "most",
        "packets_left_out",
        "pictures_left_out",
    )

    def __init__(self, most: int) -> None:
        self.most = most
        self.consumers: list[VideoConsumer] = []
        self.forwarded_packets = 0
        self.forwarded_octets = 0
        self.packets_left_out = 0
        self.pictures_left_out = 0
        self._drops: deque[Drop] = deque(maxlen=KEPT)
        self._positions = [-1] * KEPT
        self._last_picture = -1

    def place(self, position: int, descriptor: Descriptor, newest: bool) -> tuple[int, int] | None:
        """Return a packet's place and how many pictures were left out before it; None leaves the packet out."""
        if descriptor.temporal > self.most:
            if newest:
                self.packets_left_out += 1
                if descriptor.picture != self._last_picture:
                    self._last_picture = descriptor.picture
                    self.pictures_left_out += 1
                self._drops.append(Drop(position, self.packets_left_out, self.pictures_left_out))
            return None
        packets, pictures = self.packets_left_out, self.pictures_left_out
        if not newest:
            packets, pictures = self._before(position)
        place = position - packets
        self._positions[place % KEPT] = position
        return place, pictures

    def _before(self, position: int) -> tuple[int, int]:
        packets, pictures = self.packets_left_out, self.pictures_left_out
        for drop in reversed(self._drops):
            if drop.position < position:
                return drop.packets, drop.pictures
            packets, pictures = drop.packets - 1, drop.pictures - 1
        return packets, pictures

    def pictures_before(self, position: int) -> int:
        """Return how many pictures were left out before a packet that was sent."""
        return self._before(position)[1]

    def position_of(self, place: int) -> int:
        """Return the position of the packet that was sent at `place`, or -1 when it is forgotten."""
        position = self._positions[place % KEPT]
        return position if position >= 0 and position - self._before(position)[0] == place else -1
