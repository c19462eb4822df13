"""What a receiver knows of a stream: its numbers, what it misses, what it asks for again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from folkmoot_media.forwarding import rtcp
from folkmoot_media.forwarding.packets import parse_rtp

NACK_RETRY = 0.05
NACK_TRIES = 6
LARGEST_GAP = 1000
_RTCP_NAMES = {200: "SR", 201: "RR", 202: "SDES", 203: "BYE", 207: "XR"}
_FEEDBACK_NAMES = {(205, 1): "NACK", (205, 15): "TWCC", (206, 1): "PLI", (206, 4): "FIR", (206, 15): "REMB"}


def rtcp_names(compound: bytes) -> Iterator[tuple[str, int]]:
    """Yield the kind and the offset of every packet of a plain compound."""
    at = 0
    while at + 4 <= len(compound):
        kind, form = compound[at + 1], compound[at] & 0x1F
        yield _RTCP_NAMES.get(kind) or _FEEDBACK_NAMES.get((kind, form), f"{kind}/{form}"), at
        at += 4 + 4 * int.from_bytes(compound[at + 2 : at + 4], "big")


@dataclass(slots=True)
class Lost:
    """A number that a receiver misses."""

    tries: int
    due: float


class Stream:
    """One received stream and its numbers; `arrived` counts originals that reached the socket, wanted or not."""

    __slots__ = (
        "arrived",
        "checked",
        "delays",
        "discarded",
        "expected",
        "extended",
        "first",
        "forged",
        "gaps",
        "highest",
        "kind",
        "last_arrival",
        "missing",
        "received",
        "repaired",
        "reported",
        "resent",
        "rtx_ssrc",
        "ssrc",
        "unprotect",
    )

    def __init__(self, unprotect: Callable[[bytes], bytes | None], kind: str, ssrc: int, rtx_ssrc: int) -> None:
        self.unprotect = unprotect
        self.kind = kind
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.expected = -1
        self.first = 0
        self.highest = 0
        self.arrived = self.received = self.discarded = self.resent = self.repaired = 0
        self.checked = self.forged = self.extended = 0
        self.missing: dict[int, Lost] = {}
        self.reported = (0, 0)
        self.delays: list[int] | None = None
        self.gaps: list[tuple[int, int]] | None = None
        self.last_arrival = 0

    @property
    def lost(self) -> int:
        """Return how many packets between the first and the newest have not reached the socket."""
        return self.highest - self.first - self.arrived

    def take(self, sequence: int, keep: bool) -> bool:
        """Count a packet; False when it is a retransmission in the stream itself, an old or a repeated one."""
        ahead = (sequence - self.expected) & 0xFFFF
        if ahead:
            if self.expected < 0:
                self.first = self.highest = sequence - 1
            elif ahead >= 1 << 15:
                self._again(sequence, keep)
                return False
            else:
                for lost in range(min(ahead, LARGEST_GAP)):
                    self.missing[(self.expected + lost) & 0xFFFF] = Lost(0, 0.0)
                self.highest += ahead
        self.highest += 1
        self.expected = (sequence + 1) & 0xFFFF
        self.arrived += 1
        if keep:
            self.received += 1
        else:
            self.discarded += 1
            self.missing[sequence] = Lost(0, 0.0)
        return True

    def _again(self, sequence: int, keep: bool) -> None:
        self.resent += 1
        if keep and self.missing.pop(sequence, None) is not None:
            self.repaired += 1

    def take_rtx(self, packet: bytes, keep: bool) -> None:
        """Count a retransmission in the format of RFC 4588."""
        self.resent += 1
        if not keep:
            return
        plain = self.unprotect(packet)
        parsed = parse_rtp(plain) if plain is not None else None
        if parsed is not None and self.missing.pop(int.from_bytes(parsed.payload[:2], "big"), None) is not None:
            self.repaired += 1

    def due_nacks(self, now: float) -> list[int]:
        """Return the numbers to ask for now, and give up on those asked for often enough."""
        due: list[int] = []
        for sequence, lost in list(self.missing.items()):
            if lost.tries >= NACK_TRIES:
                if now >= lost.due:
                    del self.missing[sequence]
            elif now >= lost.due:
                lost.tries += 1
                lost.due = now + NACK_RETRY
                due.append(sequence)
        return sorted(due)

    def report(self, sender_report: tuple[int, float], now: float) -> rtcp.ReportBlock:
        """Return the report block since the last one (RFC 3550 A.3)."""
        expected, received = self.highest - self.first, self.received
        part, got = expected - self.reported[0], received - self.reported[1]
        self.reported = (expected, received)
        fraction = max(0, min(255, 256 * (part - got) // part)) if part > 0 else 0
        short, heard = sender_report
        delay = int((now - heard) * 65536) & 0xFFFFFFFF if short else 0
        return rtcp.ReportBlock(
            self.ssrc, fraction, max(0, expected - received), self.highest & 0xFFFFFFFF, 0, short, delay
        )
