"""Ballots between their arrival and their record: what a box must wait for before it is sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Arrivals:
    """Counts, for each election, the ballots that have arrived and are neither recorded nor refused yet."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()

    def count(self, election: str) -> int:
        """Return how many ballots of an election are on the way."""
        return self._under_way[election]

    @contextmanager
    def one(self, election: str) -> Iterator[None]:
        """Hold one ballot of an election on the way."""
        self._under_way[election] += 1
        try:
            yield
        finally:
            self._under_way[election] -= 1
            if not self._under_way[election]:
                del self._under_way[election]
