"""The newest picture of each meeting, drawn once for all who ask for the same state of it."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from folkmoot_server.domain.meetings import Meeting
from folkmoot_server.queries.meetings import Picture

MEETINGS_MAX: Final = 16
TOGETHER: Final = 2


@dataclass(frozen=True, slots=True)
class _Kept:
    seq: int
    version: int
    since: int
    picture: Picture


class Pictures:
    """Keeps pictures by the number of the meeting's last event and the version of the store.

    The number alone is not enough: members get roles without an event of the meeting. A picture is drawn in the
    reader's thread; others who need the same one wait for it. `turn` lets few read at a time: when every page
    fetches its snapshot at once, commands and events must find a reader and the processor free. `log` lets one at a
    time read a whole log, for the same reason.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(TOGETHER)
        self.log = asyncio.Semaphore(1)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.drawn = 0

    def of(self, meeting: Meeting, version: int, now: int, draw: Callable[[], Picture]) -> Picture:
        """Return the picture of a meeting as its row and the store's version say; `draw` makes a new one."""
        with self._lock:
            kept = self._kept.get(meeting.id)
            if kept is None or not self._holds(kept, meeting, version, now):
                self.drawn += 1
                kept = _Kept(meeting.last_seq, version, now, draw())
                self._kept[meeting.id] = kept
                if len(self._kept) > MEETINGS_MAX:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(meeting.id)
            return kept.picture

    @staticmethod
    def _holds(kept: _Kept, meeting: Meeting, version: int, now: int) -> bool:
        same = (kept.seq, kept.version) == (meeting.last_seq, version)
        return same and kept.since <= now < kept.picture.until
