"""The pacer of one subscriber: what video may leave when, after RTCP and voices have taken what they need.

RTCP and voices never wait; they only take from the same budget. Nothing that has a number is ever lost here: a frame
is left out before it is numbered, or taken back whole while none of it has left.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from folkmoot_media.forwarding.model import Copy, VideoConsumer

QUEUE_LIMIT = 0.3
BURST = 0.02
SMALLEST_BURST = 1500.0
DEEPEST_DEBT = 0.5
HEADROOM = 1.15


class Queued(NamedTuple):
    """A packet that waits, with the numbers that its frame was given; `size` is its bytes on the wire."""

    consumer: VideoConsumer
    copy: Copy
    payload: bytes
    size: int
    picture: int
    tl0: int
    since: float


class Pacer:
    """A token bucket over the estimate (bit/s) with a queue of video packets."""

    __slots__ = ("_leaving", "_level", "_queue", "_rate", "_updated", "octets")

    def __init__(self, bitrate: float, now: float) -> None:
        self._rate = bitrate * HEADROOM / 8
        self._queue: deque[Queued] = deque()
        self._level = SMALLEST_BURST
        self._updated = now
        self._leaving: dict[VideoConsumer, int] = {}
        self.octets = 0

    def __len__(self) -> int:
        return len(self._queue)

    def set_bitrate(self, bitrate: float) -> None:
        """Follow the estimate."""
        self._rate = bitrate * HEADROOM / 8

    def spend(self, size: int) -> None:
        """RTCP, a voice or a retransmission has left: video waits so much longer, but at most half a second."""
        self._level = max(self._level - size, -DEEPEST_DEBT * self._rate)

    @property
    def waiting(self) -> float:
        """How long the queue takes to leave, in seconds."""
        return (self.octets - min(0.0, self._level)) / self._rate

    @property
    def overdue(self) -> bool:
        """True when a new frame would wait too long: it must be left out."""
        return self.waiting > QUEUE_LIMIT

    def push(self, packet: Queued) -> None:
        """Queue one video packet."""
        self._queue.append(packet)
        self.octets += packet.size

    def release(self, now: float) -> list[Queued]:
        """Return the packets that may leave at `now`, oldest first."""
        most = max(SMALLEST_BURST, self._rate * BURST)
        self._level = min(most, self._level + max(0.0, now - self._updated) * self._rate)
        self._updated = now
        leaving: list[Queued] = []
        while self._queue and self._level > 0:
            packet = self._queue.popleft()
            self._level -= packet.size
            self.octets -= packet.size
            self._leaving[packet.consumer] = packet.copy[3]
            leaving.append(packet)
        return leaving

    def take_back(self, consumer: VideoConsumer) -> list[Queued]:
        """Remove a consumer's frames of which no packet has left, and return their packets, oldest first."""
        begun = self._leaving.get(consumer)
        kept: deque[Queued] = deque()
        taken: list[Queued] = []
        for packet in self._queue:
            if packet.consumer is consumer and packet.copy[3] != begun:
                taken.append(packet)
                self.octets -= packet.size
            else:
                kept.append(packet)
        self._queue = kept
        return taken

    def forget(self, consumer: VideoConsumer) -> None:
        """Drop whatever waits for a consumer that is gone."""
        self._leaving.pop(consumer, None)
        kept = deque(packet for packet in self._queue if packet.consumer is not consumer)
        self.octets = sum(packet.size for packet in kept)
        self._queue = kept
