"""What the hub has taken of votes at the kiosk through this relay: where a voter stands when the line is cut then.

A kiosk forgets its voter, so nobody else in the hall knows. Credentials alone, each vote apart, as one of a
check-in may vote in several; wiped with everything of the meeting.
"""

from __future__ import annotations

from sqlalchemy import Connection

from folkmoot_server.relay import store


def note_replaced(tx: Connection, election: str, old: str, new: str) -> None:
    """Note that the hub lets `new` act in the place of `old`."""
    store.put(tx, _replaced(election), {**replaced(tx, election), new: old})


def note_cast(tx: Connection, election: str, credential: str) -> None:
    """Note that the hub has a ballot of a credential."""
    store.put(tx, _cast(election), sorted({*(store.find(tx, _cast(election)) or []), credential}))


def replaced(tx: Connection, election: str) -> dict[str, str]:
    """Return the credentials that took the place of others, each with the one that it replaced."""
    return store.find(tx, _replaced(election)) or {}


def is_cast(tx: Connection, election: str, credential: str) -> bool:
    """Say whether the hub has a ballot of a credential, as far as this relay knows."""
    return credential in (store.find(tx, _cast(election)) or [])


def _replaced(election: str) -> str:
    return f"kiosk.replaced.{election}"


def _cast(election: str) -> str:
    return f"kiosk.cast.{election}"
