"""The one error family of the media worker."""

from __future__ import annotations


class MediaError(Exception):
    """A refused request: `code` is stable and read by programs, `message` is a sentence for people.

    A method that raises it has changed nothing.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
