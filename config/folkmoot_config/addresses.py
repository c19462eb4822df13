"""At which addresses media are reached, and at which they therefore listen."""

from __future__ import annotations

import ipaddress

ANY: dict[int, str] = {4: "0.0.0.0", 6: "::"}  # noqa: S104  what members are told decides whether all may come


def read_announced(text: str) -> tuple[str, ...]:
    """Return the addresses of a list with commas, best first: one of IPv4, one of IPv6, or one of each.

    Raises:
        ValueError: it is not that.
    """
    found = []
    for part in text.split(","):
        try:
            found.append(ipaddress.ip_address(part.strip()))
        except ValueError:
            raise ValueError(f"{part.strip() or 'nothing'} is no address in numbers") from None
        if found[-1].is_unspecified:
            raise ValueError(f"nobody can be told to come to {found[-1]}")
    versions = [one.version for one in found]
    if len(set(versions)) != len(versions):
        raise ValueError("one address of IPv4 and one of IPv6 can be announced, not two of a kind")
    return tuple(map(str, found))


def listening(announced: tuple[str, ...], chosen: str = "") -> str:
    """Return where to listen for what is announced: as chosen, else on this machine alone, or everywhere.

    Raises:
        ValueError: at the chosen address what comes to an announced one is not heard.
    """
    found = [ipaddress.ip_address(one) for one in announced]
    highest = max(one.version for one in found)
    if not chosen:
        if len(found) == 1 and found[0].is_loopback:
            return announced[0]
        return ANY[highest]
    try:
        wanted = ipaddress.ip_address(chosen)
    except ValueError:
        raise ValueError(f"{chosen} is no address in numbers") from None
    heard = {4, 6} if chosen == ANY[6] else {wanted.version}
    missing = sorted({one.version for one in found} - heard)
    if missing:
        raise ValueError(f"at {chosen} nothing of IPv{missing[0]} is heard, which is announced; :: hears both")
    return chosen
