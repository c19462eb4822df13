"""How often codes of halls, kiosks, line tests and room screens may be tried."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from folkmoot_server.domain.errors import TooMany
from folkmoot_server.web.limits import Limiter

CODES_MAX: Final = 20
KIOSK_MAX: Final = 20
PROBES_MAX: Final = 60
LOOPS_MAX: Final = 20
# A wall asks again with every event of a lively meeting; tokens that are not known are counted by address.
SCREEN_MAX: Final = 3000
STRANGERS_MAX: Final = 60


class SiteLimits:
    """The limits of one installation; every window is five minutes."""

    def __init__(self) -> None:
        self.codes = Limiter(CODES_MAX)
        self.kiosks = Limiter(KIOSK_MAX)
        self.probes = Limiter(PROBES_MAX)
        self.loops = Limiter(LOOPS_MAX)
        self.screens = Limiter(SCREEN_MAX)
        self.strangers = Limiter(STRANGERS_MAX)

    def check_codes(self, member: str, now: int) -> None:
        """Refuse a member who gave too many wrong codes.

        Raises:
            TooMany: it is so.
        """
        if self.codes.count(member, now) >= CODES_MAX:
            raise TooMany("site.too-many-codes", "Too many wrong codes; wait five minutes and try again.")

    def check_kiosk(self, site: str, now: int) -> None:
        """Refuse a kiosk at which too much was refused.

        Raises:
            TooMany: it is so.
        """
        if self.kiosks.count(site, now) >= KIOSK_MAX:
            raise TooMany("site.kiosk-too-many", "Too many attempts were refused here; wait five minutes.")

    def count_probe(self, member: str, now: int) -> None:
        """Note a request of a line test.

        Raises:
            TooMany: there were too many.
        """
        if self.probes.count(member, now) >= PROBES_MAX:
            raise TooMany("site.too-many-probes", "The line was tested too often; wait five minutes.")
        self.probes.add(member, now)

    def count_loop(self, member: str, now: int) -> None:
        """Note that a line test lets sound and picture go round.

        Raises:
            TooMany: there were too many.
        """
        if self.loops.count(member, now) >= LOOPS_MAX:
            raise TooMany("site.too-many-loops", "Sound and picture were tested too often; wait five minutes.")
        self.loops.add(member, now)

    def count_screen(self, screen: str, now: int) -> None:
        """Note a request of a room screen.

        Raises:
            TooMany: there were too many.
        """
        if self.screens.count(screen, now) >= SCREEN_MAX:
            raise TooMany("request.too-many", "This room screen has asked too often; wait five minutes.")
        self.screens.add(screen, now)

    def count_stranger(self, address: str, now: int) -> None:
        """Note that an address came with an unknown token of a screen.

        Raises:
            TooMany: it came with too many.
        """
        if self.strangers.count(address, now) >= STRANGERS_MAX:
            raise TooMany("request.too-many", "Too many requests came from this address; wait five minutes.")
        self.strangers.add(address, now)


SITE_LIMITS: Final[web.AppKey[SiteLimits]] = web.AppKey("site-limits", SiteLimits)
