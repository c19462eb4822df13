"""What the HTTP library may write to the log: the kind of a fault, at most once a second.

By itself it writes a traceback for every malformed request, with the request's own bytes, cookies among them.
"""

from __future__ import annotations

import logging
import time
from typing import Final

EVERY_S: Final = 1.0


class _Brief(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self._next = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + EVERY_S
        kind = record.exc_info[0] if record.exc_info else None
        record.msg, record.args = "http.fault kind=%s", (kind.__name__ if kind else "other",)
        record.exc_info = record.exc_text = None
        return True


def http_log() -> logging.Logger:
    """Return the logger to give to the HTTP library."""
    logger = logging.getLogger("folkmoot.http")
    if not logger.filters:
        logger.addFilter(_Brief())
    return logger
