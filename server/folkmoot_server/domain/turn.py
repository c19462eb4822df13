"""Time-limited TURN credentials, as coturn checks them (draft-uberti-behave-turn-rest-00 section 2.2)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

LIFETIME_S = 12 * 3600
SECRET_MIN = 16


@dataclass(frozen=True, slots=True)
class TurnService:
    """The TURN server's addresses and the secret that it shares with us."""

    urls: tuple[str, ...]
    secret: bytes

    def __repr__(self) -> str:
        """Name the addresses and never the secret."""
        return f"TurnService(urls={self.urls!r})"


def turn_credential(secret: bytes, seat: str, expires: int) -> tuple[str, str]:
    """Return user name and password for a seat, good until `expires` (Unix seconds).

    Raises:
        ValueError: the seat could not be told from the time, or is empty.
    """
    if not seat or ":" in seat:
        raise ValueError("a seat's id is not empty and has no colon")
    username = f"{expires}:{seat}"
    digest = hmac.new(secret, username.encode(), "sha1").digest()
    return username, base64.b64encode(digest).decode()


def ice_servers(service: TurnService | None, seat: str, now: int) -> Sequence[dict[str, object]]:
    """Return what a page hands to RTCPeerConnection as `iceServers`; empty without a TURN service."""
    if service is None:
        return []
    # A hall's own seat has a colon, which would end the time.
    username, credential = turn_credential(service.secret, seat.replace(":", "."), now + LIFETIME_S)
    return [{"urls": list(service.urls), "username": username, "credential": credential}]
