"""What a fan-out back end does: rewrite, protect and send every copy of a batch."""

from __future__ import annotations

from typing import Protocol

from folkmoot_media.forwarding.model import Batch


class Fan(Protocol):
    """A fan-out back end. All back ends send the same bytes for the same batch."""

    name: str
    sent: int
    dropped: int

    def send(self, batch: Batch, now: float) -> None:
        """Send every copy; a copy that cannot be sent is counted in `dropped` and forgotten."""
        ...
