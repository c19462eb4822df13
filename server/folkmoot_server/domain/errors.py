"""Refusals with stable codes.

FolkmootError
├── NotSignedIn      the caller has no valid session
├── Forbidden        the caller may not do this
├── NotFound         no such object, or the caller may not know of it
├── BadInput         the message is malformed
├── WrongState       the object is not in a state that allows the command
├── Conflict         someone else was first, or the thing exists already
├── TooMany          a limit was reached
└── Refused          a protocol check failed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class FolkmootError(Exception):
    """A command was refused and changed nothing.

    Attributes:
        code: stable.
        message: a sentence for people.
        details: what a page needs to go on, for the few refusals that wire.md gives some.
    """

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.details = details


class NotSignedIn(FolkmootError):
    """There is no valid session behind the request."""


class Forbidden(FolkmootError):
    """The actor lacks the right."""


class NotFound(FolkmootError):
    """The object does not exist for this actor."""


class BadInput(FolkmootError):
    """The message is malformed or outside a limit."""


class WrongState(FolkmootError):
    """The object's state does not allow the command."""


class Conflict(FolkmootError):
    """The thing exists already or somebody else was first."""


class TooMany(FolkmootError):
    """A limit was reached; trying again later may help, after `retry_after_s` seconds when that is known (else 0)."""

    def __init__(
        self, code: str, message: str, details: Mapping[str, Any] | None = None, *, retry_after_s: int = 0
    ) -> None:
        super().__init__(code, message, details)
        self.retry_after_s = retry_after_s


class Refused(FolkmootError):
    """A signature, proof or protocol rule failed."""
