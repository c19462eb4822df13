"""Socket.IO packets as we accept them: small ones."""

from __future__ import annotations

from typing import Any, Final

from socketio.packet import Packet

ATTACHMENTS_MAX: Final = 4


class SmallPacket(Packet):  # type: ignore[misc]  # the library has no types
    """A packet with few binary attachments: the library would keep ten thousand million of them for a client."""

    def decode(self, encoded_packet: Any) -> int:
        """Decode one packet and return how many attachments follow.

        Raises:
            ValueError: it announces more than `ATTACHMENTS_MAX`.
        """
        attachments = int(super().decode(encoded_packet))
        if attachments > ATTACHMENTS_MAX:
            raise ValueError("too many attachments")
        return attachments
