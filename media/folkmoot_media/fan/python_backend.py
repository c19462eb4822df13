"""The fan-out back end in pure Python: one SRTP call and one `sendto` per copy. The reference for the others."""

from __future__ import annotations

from typing import Any

from pylibsrtp import Error as SrtpError

from folkmoot_media.fan.interface import ReadingFan
from folkmoot_media.forwarding.model import Batch
from folkmoot_media.forwarding.packets import RTP_HEADER, WITH_WORDS, WORDS_AT, stamp_block, words_block
from folkmoot_media.transport.endpoint import Endpoint

VERSION_2 = 0x80
WITH_EXTENSION = 0x90


class PythonFan(ReadingFan):
    """Sends copies one by one through the worker's socket's `sendto`."""

    name = "python"

    def _make_route(self, endpoint: Endpoint) -> Any:
        return endpoint.protect, endpoint.address

    def _carry_out(self, control: list[tuple[Endpoint, bytes]], batches: list[Batch], now: float) -> None:
        for endpoint, compound in control:
            self._send_compound(endpoint, compound, now)
        for batch in batches:
            self._send_copies(batch, now)

    def _send_compound(self, endpoint: Endpoint, compound: bytes, now: float) -> None:
        prepared = endpoint.prepare_control(compound, now)
        keys, address = endpoint.keys, endpoint.address
        if prepared is None or keys is None or address is None:
            return
        try:
            self._wire.sendto(keys.send.protect_rtcp(prepared), address)
        except (OSError, SrtpError, ValueError):
            self.dropped += 1
        else:
            self.sent += 1

    def _send_copies(self, batch: Batch, now: float) -> None:
        payload, audio, copies, _ = batch
        sendto, pack, size = self._wire.sendto, RTP_HEADER.pack, len(payload)
        sent = 0
        for leg, second, sequence, timestamp, ssrc, head, stamp in copies:
            sink: Any = leg.sink
            route = sink.route or self._route(sink, size, audio, now)
            if route is None:
                continue
            protect, address = route
            if second >= WITH_WORDS:
                words = second >> WORDS_AT
                if 4 * words > max(size, len(head)):
                    continue
                header = pack(WITH_EXTENSION, second & 0xFF, sequence, timestamp, ssrc) + words_block(words, stamp)
            elif stamp:
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
