"""Members and units as values, and the rules for their names."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from folkmoot_server.domain.errors import BadInput

TEXT_MAX: Final = 200
LONG_TEXT_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Member:
    """A person on the books; `user_handle` is the random id that passkeys carry, `weight` counts in votes."""

    id: str
    code: str
    name: str
    unit: str
    user_handle: bytes
    joined_at: int
    left_at: int | None
    weight: int = 1

    def belongs(self, at: int) -> bool:
        """Say whether the member has not left at `at`."""
        return self.left_at is None or at < self.left_at


@dataclass(frozen=True, slots=True)
class Unit:
    """A node of the organisation tree; the root has no parent."""

    id: str
    parent: str | None
    name: str


def clean_text(text: str, limit: int = TEXT_MAX, *, lines: bool = False) -> str:
    """Return `text` in NFC without outer blanks, fit for a manifest (voting.md, section 1).

    Raises:
        BadInput: empty, longer than `limit` bytes, or with control characters.
    """
    clean = unicodedata.normalize("NFC", text).strip()
    try:
        size = len(clean.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise BadInput("input.bad-text", "A text holds half a character.") from error
    if not 1 <= size <= limit:
        raise BadInput("input.bad-text", f"A text must have 1 to {limit} bytes.")
    if any(unicodedata.category(c) == "Cc" and not (lines and c == "\n") for c in clean):
        raise BadInput("input.bad-text", "A text holds control characters.")
    return clean
