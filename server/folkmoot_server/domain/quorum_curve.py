"""How many were present and how many were needed, after every event that changed it: a fold over the log.

The same numbers follow from attendance.csv alone (docs/spec/sites.md section 3), and from the attendance log at the
openings and closings of votes (docs/spec/voting.md section 9).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from folkmoot_server.domain.attendance import REMOTE, Departure, LoggedEvent

_ARRIVING: Final = ("MemberCheckedIn", "MemberReturned")


@dataclass(frozen=True, slots=True)
class Point:
    """What held from the event of this number on; `at` in seconds UTC, `by_site` names sites where somebody is."""

    seq: int
    at: int
    present: int
    needed: int
    by_site: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the form of the wire."""
        return {
            "seq": self.seq,
            "at": self.at,
            "present": self.present,
            "needed": self.needed,
            "by_site": self.by_site,
        }


def curve(events: Iterable[LoggedEvent]) -> list[Point]:
    """Return the points of a log, ascending; nobody is needed before the roll is frozen.

    A member who moves is counted once: the two events of a move make one point.
    """
    here: dict[str, str] = {}
    last_site: dict[str, str] = {}
    counts: Counter[str] = Counter()  # by site; under "" stands who came from nowhere, which is never shown
    num, den, needed = 0, 1, 0
    points: list[Point] = []
    for event in events:
        member = event.body.get("member", "")
        if event.type == "MeetingDrafted":
            num, den = event.body["quorum"]["num"], event.body["quorum"]["den"]
        elif event.type == "RollFrozen":
            needed = -(-num * event.body["size"] // den)
        elif event.type in _ARRIVING:
            if member in here and event.type == "MemberReturned":
                continue
            counts[here.pop(member, "")] -= 1
            here[member] = last_site[member] = event.body.get("site", last_site.get(member, REMOTE))
            counts[here[member]] += 1
        elif event.type == "MemberDeparted":
            counts[here.pop(member, "")] -= 1
        moving = event.type == "MemberDeparted" and event.body["reason"] == Departure.MOVED
        if event.type in ("RollFrozen", "MemberDeparted", *_ARRIVING) and not moving:
            by_site = {site: counts[site] for site in sorted(counts) if counts[site] > 0}
            _add(points, Point(event.seq, event.at, len(here), needed, by_site))
    return points


def _add(points: list[Point], point: Point) -> None:
    """Add a point unless nothing has changed."""
    if points:
        last = points[-1]
        if (last.present, last.needed, last.by_site) == (point.present, point.needed, point.by_site):
            return
    points.append(point)
