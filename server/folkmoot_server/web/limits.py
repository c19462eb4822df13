"""How often one address, passkey or member may ask; counters live in memory and are bounded."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from folkmoot_server.domain.errors import TooMany

# A hall of 1,000 members behind one address signs in within five minutes, with as many failures again.
ADDRESS_MAX: Final = 4000
PASSKEY_FAILURES_MAX: Final = 20
# Ten a second for five minutes: far more than a busy chair, far less than what fills a disk with raised hands.
MEMBER_MAX: Final = 3000
# A teller's page reads 100,000 ballots in 200 pages; a voter's asks a few times a minute where the ballot is.
READER_MAX: Final = 3000
# A guest comes in again when a phone is turned off; each time is told to the whole meeting and kept.
ENTRIES_MAX: Final = 30
WINDOW_S: Final = 300
# Twenty a second for a minute: a page that opens a paper of 300 pages asks for 600, and a crawler asks for more.
SESSION_READS_MAX: Final = 1200
# A hall of 1,000 members behind one address opens its pages within a minute, with as many questions again.
ADDRESS_READS_MAX: Final = 12_000
READS_WINDOW_S: Final = 60
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
        if self.is_full(key, now):
            raise TooMany(
                "sign-in.too-many",
                "Too many attempts; wait five minutes and try again.",
                retry_after_s=self.rest_s(now),
            )

    def is_full(self, key: str, now: int) -> bool:
        """Say whether the window of `key` takes no more."""
        return self.count(key, now) >= self._most

    def rest_s(self, now: int) -> int:
        """Return in how many seconds the next window begins."""
        return self._window_s - now % self._window_s


class SignInLimits:
    """The limits of one installation."""

    def __init__(self) -> None:
        self.addresses = Limiter(ADDRESS_MAX)
        self.failures = Limiter(PASSKEY_FAILURES_MAX)
        self.members = Limiter(MEMBER_MAX)
        self.readers = Limiter(READER_MAX)
        self.strangers = Limiter(ADDRESS_MAX)
        self.entries = Limiter(ENTRIES_MAX)
        self.session_reads = Limiter(SESSION_READS_MAX, READS_WINDOW_S)
        self.address_reads = Limiter(ADDRESS_READS_MAX, READS_WINDOW_S)

    def count_address(self, address: str, now: int) -> None:
        """Note an attempt from an address.

        Raises:
            TooMany: it made too many.
        """
        self.addresses.check(address, now)
        self.addresses.add(address, now)

    def count_entry(self, link: str, now: int) -> None:
        """Note that somebody comes in by a guest link.

        Raises:
            TooMany: it was used too often.
        """
        self.entries.check(link, now)
        self.entries.add(link, now)

    def count_stranger(self, address: str, now: int) -> None:
        """Note a question of an address that needs no session.

        Raises:
            TooMany: it asked too many.
        """
        _take(self.strangers, address, now, "Too many requests came from this address; wait five minutes.")

    def count_member(self, member: str, now: int) -> None:
        """Note a request of a member that may change something.

        Raises:
            TooMany: the member made too many.
        """
        _take(self.members, member, now, "You have sent too many requests; wait five minutes.")

    def count_reader(self, member: str, now: int) -> None:
        """Note a member's question about an election's manifest, board, tally or an entry's place.

        Raises:
            TooMany: the member asked too many.
        """
        _take(self.readers, member, now, "You have sent too many requests; wait five minutes.")

    def count_read(self, session: str, address: str, now: int) -> None:
        """Note a request that changes nothing, of a session or, when that is empty, of an address.

        Raises:
            TooMany: it asked too often.
        """
        if session:
            _take(self.session_reads, session, now, "You have asked for too much at once; wait a minute.")
        else:
            _take(self.address_reads, address, now, "Too many requests came from this address; wait a minute.")


def _take(limiter: Limiter, key: str, now: int, sentence: str) -> None:
    if limiter.is_full(key, now):
        raise TooMany("request.too-many", sentence, retry_after_s=limiter.rest_s(now))
    limiter.add(key, now)


LIMITS: Final[web.AppKey[SignInLimits]] = web.AppKey("sign-in-limits", SignInLimits)


def client_address(request: web.Request, trust_proxy: bool) -> str:
    """Return the address that a request came from.

    With `trust_proxy` a reverse proxy on this machine is believed: it appends the client's address to
    X-Forwarded-For, so the last one is its own word and any before it are the client's.
    """
    remote = request.remote or "unknown"
    if not trust_proxy or not _is_loopback(remote):
        return remote
    last = ",".join(request.headers.getall("X-Forwarded-For", [])).rsplit(",", 1)[-1].strip()
    try:
        return str(ip_address(last))
    except ValueError:
        return remote


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False
