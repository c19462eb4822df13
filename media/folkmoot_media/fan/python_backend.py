"""The fan-out back end in pure Python: one SRTP call and one `sendto` per copy."""

from __future__ import annotations

from collections.abc import Callable

from pylibsrtp import Error as SrtpError

from folkmoot_media.forwarding.model import Batch
from folkmoot_media.forwarding.packets import RTP_HEADER, stamp_block
from folkmoot_media.transport.endpoint import Address, Endpoint

VERSION_2 = 0x80
WITH_EXTENSION = 0x90


class PythonFan:
    """Sends copies one by one through the worker's socket's `sendto`."""

    name = "python"
    stamps = True

    def __init__(self, sendto: Callable[[bytes, Address], object]) -> None:
        self.sent = 0
        self.dropped = 0
        self._sendto = sendto

    def send(self, batch: Batch, now: float) -> None:
        """Send every copy; EAGAIN, a missing key or an unproven path drop it."""
        payload, audio, copies = batch
        sendto, pack = self._sendto, RTP_HEADER.pack
        sent = 0
        for leg, second, sequence, timestamp, ssrc, head, stamp in copies:
            sink = leg.sink
            assert isinstance(sink, Endpoint)  # noqa: S101 - the worker makes no other sinks
            protect, address = sink.protect, sink.address
            if protect is None or address is None:
                continue
            if sink.restricted and not sink.admit(len(payload) + 28, audio, now):
                continue
            if stamp:
                header = pack(WITH_EXTENSION, second, sequence, timestamp, ssrc) + stamp_block(stamp)
            else:
                header = pack(VERSION_2, second, sequence, timestamp, ssrc)
            body = head + payload[len(head) :] if head else payload
            try:
                sendto(protect(header + body), address)
            except (OSError, SrtpError, ValueError):
                continue
            sent += 1
        self.sent += sent
        self.dropped += len(copies) - sent
