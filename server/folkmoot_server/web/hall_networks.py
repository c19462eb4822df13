"""From which network a hall's own page asks for its code, to notice when the code is used from another one."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp import web

from folkmoot_server.domain.sites import CODE_S

HALLS_MAX: Final = 10_000
KNOWN_S: Final = 2 * CODE_S  # as long as a code is taken; the page asks for the next one before
HOME_BITS: Final = 64  # of an IPv6 address are the network's, the rest each phone's own


class HallNetworks:
    """The addresses of halls' pages, in memory alone: they are written down nowhere."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], tuple[str, int]] = OrderedDict()

    def note(self, meeting: str, site: str, address: str, now: int) -> None:
        """Note from where the page of a hall asked for the hall's code."""
        self._seen[meeting, site] = address, now
        self._seen.move_to_end((meeting, site))
        while len(self._seen) > HALLS_MAX:
            self._seen.popitem(last=False)

    def is_elsewhere(self, meeting: str, site: str, address: str, now: int) -> bool:
        """Say whether an address is of another network than the hall's page; False where nobody can say.

        Nobody can before the page has asked, 20 minutes after it did, and of an IPv4 and an IPv6 address.
        """
        known, at = self._seen.get((meeting, site), ("", 0))
        if not known or now - at >= KNOWN_S:
            return False
        try:
            here, there = _network(known), _network(address)
        except ValueError:
            return False
        return type(here) is type(there) and here != there


def _network(address: str) -> IPv4Address | IPv6Network:
    """Return what devices of one network share: the address that their router has, or their part of IPv6."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed if isinstance(parsed, IPv4Address) else IPv6Network((parsed, HOME_BITS), strict=False)


HALL_NETWORKS: Final[web.AppKey[HallNetworks]] = web.AppKey("hall-networks", HallNetworks)
