"""Points that occur in two ballots (V15), found in little memory.

Of every point its first eight bytes are kept, in runs by the first byte. Only when two ballots share such a key are
whole points compared, in another reading of the board: keys may meet by chance or by design, points may not.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

_KEY = 8


class PointKeys:
    """The keys of all points of the ballots so far."""

    def __init__(self) -> None:
        self._runs = [bytearray() for _ in range(256)]

    def add(self, points: Iterable[bytes]) -> None:
        """Take a ballot's points; one that occurs twice in it counts once."""
        for key in {point[:_KEY] for point in points}:
            self._runs[key[0]] += key

    def shared(self) -> frozenset[bytes]:
        """Return the keys that more than one ballot has."""
        found: set[bytes] = set()
        for run in self._runs:
            keys = memoryview(run).cast("Q")
            if len(set(keys)) != len(keys):
                found.update(key.to_bytes(_KEY, sys.byteorder) for key, times in Counter(keys).items() if times > 1)
        return frozenset(found)


class SharedPoints:
    """Compares the whole points behind shared keys."""

    def __init__(self, keys: frozenset[bytes]) -> None:
        self._keys = keys
        self._first: dict[bytes, int] = {}

    def add(self, number: int, points: Iterable[bytes]) -> bool:
        """Say whether the ballot of this number has a point of an earlier one."""
        mine = {point for point in points if point[:_KEY] in self._keys}
        copied = any(self._first.get(point, number) != number for point in mine)
        self._first.update(dict.fromkeys(mine, number))
        return copied
