"""Rules of the forwarding core in the compiled library's table."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from struct import Struct, pack
from typing import Any

from folkmoot_media.forwarding.express import Place, Rule
from folkmoot_media.forwarding.model import Leg, VideoConsumer
from folkmoot_media.forwarding.repair import spare_octets

MOST_RULES = 1 << 16
MOST_ROWS = 4096
NUMBER_MASK = NOBODY = (1 << 32) - 1
_ASKER = Struct("=IIIIqII")


class RuleTable:
    """Keeps the library's rules; each belongs to the epoch in which it was made, and a new path begins another."""

    def __init__(self, library: ctypes.CDLL, fan: int) -> None:
        """Begin without rules in the tables of `fan`."""
        self._library, self._fan = library, fan
        self._epoch = 0
        self._epochs: dict[int, int] = {}
        self._free: list[int] = []

    def new_epoch(self) -> None:
        """A path has changed: no rule fits anything until it is made anew."""
        self._epoch = self._library.fan_new_epoch(self._fan)

    def place(self, place: Place, receivers: Callable[[Leg], int | None], lanes: Any) -> None:
        """Let a rule fit a packet, unless it has been dropped since the packet was queued.

        Args:
            place: the rule and its packet.
            receivers: returns the number under which a leg's packets come in, None when not over the socket.
            lanes: returns the lane of a transport that may be sent anything without looking, NOBODY of one that
                is reached nowhere just now, which the library skips, or None.
        """
        rule = place.rule
        if rule.dropped:
            return
        stale = rule.handle < 0 or self._epochs[rule.handle] != self._epoch
        if stale and not self._make(rule, receivers, lanes):
            return
        position = place.position & NUMBER_MASK
        self._library.fan_place_rule(self._fan, rule.handle, self._epoch, place.sequence, position)

    def _make(self, rule: Rule, receivers: Callable[[Leg], int | None], lanes: Any) -> bool:
        receiver = receivers(rule.leg)
        if receiver is None:
            return False
        fields: list[int] = []
        stamps: list[tuple[int, int]] = []
        for leg, *numbers, stamp, _, mark in rule.rows:
            lane = lanes(leg.sink)
            if lane is None:
                return False
            fields += (lane, *numbers, stamp, mark)
            if leg.wide is not None and lane != NOBODY:
                stamps.append((lane, leg.wide.next))
        if len(rule.rows) > MOST_ROWS or (rule.handle < 0 and len(self._epochs) >= MOST_RULES):
            return False
        for lane, number in stamps:
            self._library.fan_set_stamp(self._fan, lane, number)
        handle = rule.handle
        if handle < 0:
            handle = self._free.pop() if self._free else len(self._epochs)
        rows = pack(f"{len(fields)}I", *fields)
        kind = rule.payload_type | rule.numbered << 8 | rule.mid_id << 16 | rule.mark_id << 20
        problem = self._library.fan_set_rule(
            self._fan, handle, receiver, rule.ssrc, kind, rule.mid, len(rule.mid), rows, len(rule.rows)
        )
        self._epochs[handle] = self._epoch
        rule.handle, rule.release = handle, self.release
        if problem:
            return False
        if any(row.consumer is not None for row in rule.rows):
            self._let_ask(rule, receivers)
        return True

    def _let_ask(self, rule: Rule, receivers: Callable[[Leg], int | None]) -> None:
        """Let those who receive by the rule ask for lost packets."""
        askers = b"".join(_asker(row.consumer, receivers(row.leg)) for row in rule.rows)
        self._library.fan_set_askers(self._fan, rule.handle, askers, len(rule.rows))
        rule.tell_again = self._tell_again

    def _tell_again(self, handle: int, row: int, position: int, octets: int, sequence: int) -> None:
        self._library.fan_note_again(self._fan, handle, row, position & NUMBER_MASK, octets, sequence)

    def release(self, handle: int) -> None:
        """Forget a rule."""
        self._library.fan_clear_rule(self._fan, handle)
        del self._epochs[handle]
        self._free.append(handle)


def _asker(consumer: VideoConsumer | None, receiver: int | None) -> bytes:
    """Return who may ask for the packets of a row again and how they leave then, as the library takes it."""
    if consumer is None or receiver is None:
        return _ASKER.pack(NOBODY, 0, 0, 0, 0, 0, 0)
    again = consumer.rtx_payload_type if consumer.rtx_payload_type >= 0 else NOBODY
    # The library counts in quarters, so that a quarter of the media is a whole number.
    spare = int(4 * spare_octets(consumer))
    return _ASKER.pack(receiver, consumer.rtx_ssrc, again, consumer.rtx_sequence, spare, 0, 0)
