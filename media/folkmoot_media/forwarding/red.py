"""Redundant audio (RFC 2198): older payloads of a voice carried along with the newest, made and stripped on pipes.

A packet holds blocks, oldest first, the newest last. Every block but the last has a header of four bytes: F=1,
payload type (7 bits), timestamp offset (14 bits), length (10 bits); the last has one of one byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

LARGEST_OFFSET = (1 << 14) - 1
LARGEST_BLOCK = (1 << 10) - 1
MOST_BLOCKS = 8
KEPT = 8


class Block(NamedTuple):
    """One payload; `offset` says how many timestamp units it is older than the packet."""

    payload_type: int
    offset: int
    payload: bytes


def pack(blocks: Sequence[Block]) -> bytes:
    """Write blocks, oldest first; the last is the packet's own (section 3).

    Raises:
        ValueError: no blocks, too many, or a number that does not fit its field.
    """
    if not 0 < len(blocks) <= MOST_BLOCKS:
        raise ValueError("a packet holds one to eight blocks")
    *older, newest = blocks
    head = bytearray()
    for block in older:
        if not 0 < block.offset <= LARGEST_OFFSET or len(block.payload) > LARGEST_BLOCK:
            raise ValueError("a redundant block is too old or too long")
        word = 1 << 31 | block.payload_type << 24 | block.offset << 10 | len(block.payload)
        head += word.to_bytes(4, "big")
    if newest.offset:
        raise ValueError("the last block is the packet's own")
    head.append(newest.payload_type)
    return bytes(head) + b"".join(block.payload for block in blocks)


def unpack(payload: bytes) -> list[Block] | None:
    """Read all blocks, oldest first, or return None when their lengths do not add up or there are too many."""
    headers: list[tuple[int, int, int]] = []
    position = 0
    while True:
        if position >= len(payload) or len(headers) >= MOST_BLOCKS:
            return None
        if not payload[position] & 0x80:
            last = payload[position] & 0x7F
            position += 1
            break
        if position + 4 > len(payload):
            return None
        word = int.from_bytes(payload[position : position + 4], "big")
        headers.append((word >> 24 & 0x7F, word >> 10 & LARGEST_OFFSET, word & LARGEST_BLOCK))
        position += 4
    blocks: list[Block] = []
    for payload_type, offset, length in headers:
        if position + length > len(payload):
            return None
        blocks.append(Block(payload_type, offset, payload[position : position + length]))
        position += length
    blocks.append(Block(last, 0, payload[position:]))
    return blocks


@dataclass(slots=True)
class Maker:
    """Makes redundant packets of one voice; `distances` says which older packets to add, in packets back.

    (1,) repeats the last one, (1, 2) the last two; (1, 4) survives runs of losses better than (1, 2) does. Where
    `older` is given, an older block has the payload type `older` + its distance, which tells its sequence number.
    """

    payload_type: int
    distances: tuple[int, ...] = (1,)
    older: int | None = None
    _sent: deque[tuple[int, int, bytes]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def make(self, position: int, timestamp: int, payload: bytes) -> bytes:
        """Return the packet at `position` (unwrapped sequence number) with its redundancy; silence is left out."""
        blocks = []
        for before, then, older in self._sent:
            offset, distance = timestamp - then & 0xFFFFFFFF, position - before
            wanted = distance in self.distances and older
            if wanted and 0 < offset <= LARGEST_OFFSET and len(older) <= LARGEST_BLOCK:
                payload_type = self.payload_type if self.older is None else self.older + distance
                blocks.append(Block(payload_type, offset, older))
        self._sent.append((position, timestamp, payload))
        return pack([*blocks, Block(self.payload_type, 0, payload)])


@dataclass(slots=True)
class Stripper:
    """Takes redundancy off again: gives each payload once, the missing ones from later packets."""

    _given: deque[int] = field(default_factory=lambda: deque(maxlen=64))

    def strip(self, timestamp: int, payload: bytes) -> list[tuple[int, bytes]]:
        """Return (timestamp, payload) of what has not been given yet, oldest first; nothing for malformed bytes.

        A timestamp older than the last 64 given counts as given.
        """
        blocks = unpack(payload)
        if blocks is None:
            return []
        fresh = []
        for block in blocks:
            then = timestamp - block.offset & 0xFFFFFFFF
            if then in self._given or (block.offset and not self._given):
                continue
            self._given.append(then)
            fresh.append((then, block.payload))
        return fresh
