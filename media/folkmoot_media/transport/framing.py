"""Datagrams on a stream: a 16-bit length before each (RFC 4571)."""

from __future__ import annotations

LARGEST_FRAME = 2048
_LENGTH = 2


def frame(data: bytes) -> bytes:
    """Return a datagram of at most `LARGEST_FRAME` bytes as it goes on a stream."""
    return len(data).to_bytes(_LENGTH, "big") + data


class Frames:
    """Cuts what arrives on one stream into datagrams; keeps less than one frame."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes of any number and return the datagrams that they complete; empty frames mean nothing.

        Raises:
            ValueError: a frame claims more than `LARGEST_FRAME` bytes; nothing can be read from the stream any more.
        """
        whole = self._rest + data
        found: list[bytes] = []
        start = 0
        while len(whole) - start >= _LENGTH:
            length = int.from_bytes(whole[start : start + _LENGTH], "big")
            if length > LARGEST_FRAME:
                raise ValueError("a frame is too long")
            end = start + _LENGTH + length
            if end > len(whole):
                break
            if length:
                found.append(whole[start + _LENGTH : end])
            start = end
        self._rest = whole[start:]
        return found
