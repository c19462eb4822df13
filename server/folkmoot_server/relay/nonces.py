"""Nonces that a relay may give out while the link is cut (relay.md section 4); pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from folkmoot_server.domain import relays
from folkmoot_server.domain.errors import TooMany


@dataclass(frozen=True, slots=True)
class Seed:
    """What the hub gave this start: 32 bytes, good until `until` (seconds UTC); `used` nonces were given out."""

    value: bytes
    until: int
    used: int = 0


def next_nonce(seed: Seed, now: int) -> tuple[bytes, Seed]:
    """Return a nonce that was not given out before, and the seed afterwards.

    Raises:
        TooMany: the seed is used up or too old.
    """
    if now >= seed.until or seed.used >= relays.NONCES:
        raise TooMany("relay.nonces-used-up", "The relay has been cut off for too long to check anybody in.")
    return relays.nonce(seed.value, seed.used), replace(seed, used=seed.used + 1)
