"""A generator whose draws follow from a seed, for vectors and tests."""

from __future__ import annotations

import hashlib


class SeededRng:
    """SHA-512 of seed and counter, as a stream; `drawn` keeps what was handed out."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._block = 0
        self._rest = b""
        self.drawn: list[bytes] = []

    def __call__(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._rest += hashlib.sha512(self._seed + self._block.to_bytes(8, "big")).digest()
            self._block += 1
        out, self._rest = self._rest[:size], self._rest[size:]
        self.drawn.append(out)
        return out
