"""Who was there and when: seats and their leases as rules, the attendance list as a fold over events."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol

REMOTE: Final = "remote"


class Departure(StrEnum):
    """Why an attendance interval ended."""

    LEFT = "left"
    LOST = "lost"
    REMOVED = "removed"
    ADJOURNED = "adjourned"
    CLOSED = "closed"
    MOVED = "moved"
    CUT = "cut"


# Whom a sign of life takes back without another check-in.
RETURNING: Final = (Departure.LOST, Departure.CUT)


class Presence(StrEnum):
    """What a lease says about a member with an open interval."""

    PRESENT = "present"
    AWAY = "away"
    LOST = "lost"


def judge_lease(renewed_at: int, watching_since: int, now: int, away_s: int, lost_s: int) -> Presence:
    """Say what a lease last renewed at `renewed_at` means at `now`.

    No lease runs while the server is down: silence counts from `watching_since` at the earliest.
    """
    silent_s = now - max(renewed_at, watching_since)
    if silent_s >= lost_s:
        return Presence.LOST
    return Presence.AWAY if silent_s >= away_s else Presence.PRESENT


@dataclass(frozen=True, slots=True)
class Seat:
    """A member at a site of a meeting; `departed` is empty while an interval is open.

    With `kiosk` the member checked in at the hall's own browser and is there as long as the hall is.
    """

    meeting: str
    member: str
    site: str
    removed: bool = False
    muted: bool = False
    lease_epoch: int = 0
    lease_at: int = 0
    away: bool = False
    departed: str = ""
    kiosk: bool = False

    @property
    def present(self) -> bool:
        """Whether an attendance interval is open."""
        return not self.departed


class LoggedEvent(Protocol):
    """An event as the log keeps it."""

    @property
    def seq(self) -> int:
        """Number in the meeting, from 1."""

    @property
    def type(self) -> str:
        """What happened."""

    @property
    def at(self) -> int:
        """When it was written, seconds UTC."""

    @property
    def body(self) -> dict[str, Any]:
        """The particulars."""


@dataclass(slots=True)
class Line:
    """One attendance interval, with the numbers of the events that say so; `until_at` is None while it is open.

    `counted` are the ranges of events over which it counted for the quorum, each from one event to just before
    another, or to the end: what a hall proves later has counted for nothing then.
    """

    member: str
    name: str
    site: str
    from_at: int
    until_at: int | None = None
    reason: str = ""
    events: list[int] = field(default_factory=list)
    cut: bool = False
    counted: list[tuple[int, int | None]] = field(default_factory=list)


def fold(events: Iterable[LoggedEvent]) -> list[Line]:
    """Return the attendance intervals in the order in which they began; the same log gives the same lines.

    What a hall proves of the time of a cut moves, joins and adds intervals, which are marked (relay.md section 4).
    """
    mine: dict[str, list[Line]] = {}
    for event in events:
        member = event.body.get("member", "")
        own = mine.setdefault(member, [])
        line = own[-1] if own and own[-1].until_at is None else None
        if event.type in ("MemberCheckedIn", "MemberReturned"):
            if line is None:
                line = _begin(event, member, own[-1] if own else None)
                if own and _is_one_stay(own[-1], line):
                    line = own[-1]
                    line.until_at, line.reason = None, ""
                else:
                    own.append(line)
                line.counted.append((event.seq, None))
            line.events.append(event.seq)
        elif event.type == "MemberDeparted" and line is not None:
            line.until_at = event.body["until"]
            line.reason = event.body["reason"]
            line.events.append(event.seq)
            line.counted[-1] = (line.counted[-1][0], event.seq)
        elif event.type == "HallConfirmed":
            for one in event.body["members"]:
                _prove(mine.setdefault(one, []), event.body["site"], event.body["at"], event.seq)
    return sorted((line for own in mine.values() for line in own), key=lambda line: line.events[0])


def _begin(event: LoggedEvent, member: str, before: Line | None) -> Line:
    # Who returns has been here before: name and site are those of the last interval.
    name = event.body.get("name", before.name if before else "")
    site = event.body.get("site", before.site if before else REMOTE)
    since = event.body.get("since", event.at)
    return Line(member, name, site, since, cut=since != event.at)


def _is_one_stay(before: Line, line: Line) -> bool:
    """Say whether an interval goes on that a cut ended and of which the hall has proved more."""
    proved = before.cut and before.reason == Departure.CUT and before.site == line.site
    return proved and before.until_at is not None and line.from_at - before.until_at <= JOIN_S


def _prove(own: list[Line], site: str, at: int, seq: int) -> None:
    """Take up that a hall proves a member's presence at `at`, some time after a cut ended an interval there."""
    ended = [place for place, line in enumerate(own) if line.site == site and line.reason == Departure.CUT]
    earlier = [place for place in ended if own[place].from_at <= at]
    if not earlier:
        return
    place = earlier[-1]
    line, following = own[place], own[place + 1 : place + 2]
    if at <= (line.until_at or at) or (following and at >= following[0].from_at):
        return
    if line.until_at is not None and at - line.until_at > JOIN_S:  # nothing proves the time between
        line = Line(line.member, line.name, site, at, at, Departure.CUT)
        place += 1
        own.insert(place, line)
    line.until_at, line.cut = at, True
    line.events.append(seq)
    if following and _is_one_stay(line, following[0]):
        line.until_at, line.reason = following[0].until_at, following[0].reason
        line.events += following[0].events
        line.counted += following[0].counted
        del own[place + 1]


JOIN_S: Final = 90  # two signs of life of a hall that are one stay; it writes down who is there once a minute
HEADER: Final = ("member_code", "name", "site", "from", "until", "reason", "confirmed", "cut", "events", "counted")


def write_csv(lines: Iterable[Line], codes: Mapping[str, str], confirmed: Callable[[Line], str]) -> bytes:
    """Return the list as UTF-8 CSV, times in UTC, one line per interval.

    `codes` maps members to their codes, `confirmed` says what the askings make of an interval.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADER)
    for line in lines:
        until = "" if line.until_at is None else _iso(line.until_at)
        events = " ".join(map(str, line.events))
        code = codes.get(line.member, "")
        place, began = _plain(line.site), _iso(line.from_at)
        cut = "yes" if line.cut else ""
        counted = " ".join(f"{first}-{'' if last is None else last}" for first, last in line.counted)
        row = (code, _plain(line.name), place, began, until, line.reason, confirmed(line), cut, events, counted)
        writer.writerow(row)
    return out.getvalue().encode("utf-8")


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(text: str) -> str:
    # A spreadsheet runs a cell that begins like a formula.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
