"""How often one address or one passkey may try to sign in; counters live in memory and are bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from folkmoot_server.domain.errors import TooMany

# A hall of 1,000 members behind one address signs in within five minutes, with as many failures again.
ADDRESS_MAX: Final = 4000
PASSKEY_FAILURES_MAX: Final = 20
WINDOW_S: Final = 300
KEYS_MAX: Final = 100_000


class Limiter:
    """Counts events of each key in fixed windows of `window_s`; the oldest keys are forgotten first."""

    def __init__(self, most: int, window_s: int = WINDOW_S, keys_max: int = KEYS_MAX) -> None:
        self._most, self._window_s, self._keys_max = most, window_s, keys_max
        self._counts: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def count(self, key: str, now: int) -> int:
        """Return how many events the current window of `key` holds."""
        window, count = self._counts.get(key, (0, 0))
        return count if window == now // self._window_s else 0

    def add(self, key: str, now: int) -> None:
        """Note one event."""
        count = self.count(key, now) + 1
        self._counts[key] = (now // self._window_s, count)
        self._counts.move_to_end(key)
        while len(self._counts) > self._keys_max:
            self._counts.popitem(last=False)

    def check(self, key: str, now: int) -> None:
        """Refuse when the window of `key` is full.

        Raises:
            TooMany: it is.
        """
        if self.count(key, now) >= self._most:
            raise TooMany("sign-in.too-many", "Too many attempts; wait five minutes and try again.")


class SignInLimits:
    """The limits of one installation."""

    def __init__(self) -> None:
        self.addresses = Limiter(ADDRESS_MAX)
        self.failures = Limiter(PASSKEY_FAILURES_MAX)

    def count_address(self, address: str, now: int) -> None:
        """Note an attempt from an address.

        Raises:
            TooMany: it made too many.
        """
        self.addresses.check(address, now)
        self.addresses.add(address, now)
