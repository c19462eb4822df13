"""Rules of the forwarding core in the compiled library's table."""

from __future__ import annotations

import ctypes
from struct import pack
from typing import Any

from folkmoot_media.forwarding.express import Place, Rule

ROW_FIELDS = 8
MOST_RULES = 1 << 16
MOST_ROWS = 4096


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

    def place(self, place: Place, receiver: int | None, lanes: Any) -> None:
        """Let a rule fit a packet.

        Args:
            place: the rule and its packet.
            receiver: whose packets they are, None when they do not come over the socket.
            lanes: returns the lane of a transport that may be sent anything without looking, or None.
        """
        rule = place.rule
        stale = rule.handle < 0 or self._epochs[rule.handle] != self._epoch
        if stale and (receiver is None or not self._make(rule, receiver, lanes)):
            return
        self._library.fan_place_rule(self._fan, rule.handle, self._epoch, place.sequence, place.delta)

    def _make(self, rule: Rule, receiver: int, lanes: Any) -> bool:
        fields: list[int] = []
        stamps: list[tuple[int, int]] = []
        for leg, *numbers, stamp in rule.rows:
            lane = lanes(leg.sink)
            if lane is None:
                return False
            fields += (lane, *numbers, stamp)
            if leg.wide is not None:
                stamps.append((lane, leg.wide.next))
        if len(rule.rows) > MOST_ROWS or (rule.handle < 0 and len(self._epochs) >= MOST_RULES):
            return False
        for lane, number in stamps:
            self._library.fan_set_stamp(self._fan, lane, number)
        handle = rule.handle
        if handle < 0:
            handle = self._free.pop() if self._free else len(self._epochs)
        rows = pack(f"{len(fields)}I", *fields)
        kind = rule.payload_type | rule.numbered << 8 | rule.mid_id << 16
        problem = self._library.fan_set_rule(
            self._fan, handle, receiver, rule.ssrc, kind, rule.mid, len(rule.mid), rows, len(rule.rows)
        )
        self._epochs[handle] = self._epoch
        rule.handle, rule.release = handle, self.release
        return not problem

    def release(self, handle: int) -> None:
        """Forget a rule."""
        self._library.fan_clear_rule(self._fan, handle)
        del self._epochs[handle]
        self._free.append(handle)
