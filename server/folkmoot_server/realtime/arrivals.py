"""Ballots between their arrival and their record: what a box must wait for before it is sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Arrivals:
    """Counts, for each election, the ballots that have arrived and are neither recorded nor refused yet."""

    def __init__(self) -> None:
        self._under_way: Counter[tuple[str, int]] = Counter()

    def count(self, election: str, until: int) -> int:
        """Return how many ballots of an election that arrived at `until` (Unix seconds) or before are on the way.

        Those that came later must not hold up the end of a vote.
        """
        under_way = tuple(self._under_way.items())
        return sum(number for (one, at), number in under_way if one == election and at <= until)

    @contextmanager
    def one(self, election: str, arrived_at: int) -> Iterator[None]:
        """Hold one ballot of an election on the way."""
        key = (election, arrived_at)
        self._under_way[key] += 1
        try:
            yield
        finally:
            self._under_way[key] -= 1
            if not self._under_way[key]:
                del self._under_way[key]
