"""What the hub has taken of votes at the kiosk through this relay: where a voter stands when the line is cut then.

A kiosk forgets its voter, so nobody else in the hall knows. Credentials alone; wiped with everything of the meeting.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from folkmoot_server.relay import store

_REPLACED: Final = "kiosk.replaced"  # a credential by the one that took its place
_CAST: Final = "kiosk.cast"


def note_replaced(tx: Connection, old: str, new: str) -> None:
    """Note that the hub lets `new` act in the place of `old`."""
    store.put(tx, _REPLACED, {**(store.find(tx, _REPLACED) or {}), new: old})


def note_cast(tx: Connection, credential: str) -> None:
    """Note that the hub has a ballot of a credential."""
    store.put(tx, _CAST, sorted({*(store.find(tx, _CAST) or []), credential}))


def first(tx: Connection, credential: str) -> str:
    """Return the credential of the electorate in whose place this one acts: itself, where none was replaced."""
    replaced: dict[str, str] = store.find(tx, _REPLACED) or {}
    while credential in replaced:
        credential = replaced.pop(credential)
    return credential


def last(tx: Connection, credential: str) -> str:
    """Return the credential that acts in the place of this one, as the hub was told through this relay."""
    following = {old: new for new, old in (store.find(tx, _REPLACED) or {}).items()}
    while credential in following:
        credential = following.pop(credential)
    return credential


def is_cast(tx: Connection, credential: str) -> bool:
    """Say whether the hub has a ballot of a credential, as far as this relay knows."""
    return credential in (store.find(tx, _CAST) or [])
