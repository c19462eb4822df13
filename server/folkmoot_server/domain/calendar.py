"""Times on the wall across clock changes: the last moment for a notice, the days of a series; and calendar files."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from icalendar import Calendar, Event

HOUR_S: Final = 3600
ADJOURNED: Final = "MeetingAdjourned"
CLOSED: Final = "MeetingClosed"
DAY_EVENTS: Final = (ADJOURNED, CLOSED, "CheckInBegan")  # what later_days follows
_PRODUCT: Final = "-//Folkmoot//Meetings//EN"


class Every(StrEnum):
    """How far the meetings of a series lie apart."""

    WEEK = "week"
    FORTNIGHT = "fortnight"
    MONTH = "month"


def latest_notice(starts_at: int, time_zone: str, days: int) -> int:
    """Return until when a notice is in time: the same time on the wall, `days` calendar days before the meeting."""
    zone = _zone(time_zone)
    return _on_the_clock(datetime.fromtimestamp(starts_at, zone).replace(tzinfo=None) - timedelta(days), zone)


def series(starts_at: int, time_zone: str, every: Every, count: int) -> list[int]:
    """Return the starts of the next `count` meetings at the same time on the wall.

    Every month means the same day, or the last one of a month that is too short.
    """
    zone = _zone(time_zone)
    first = datetime.fromtimestamp(starts_at, zone).replace(tzinfo=None)
    return [_on_the_clock(_later(first, every, number), zone) for number in range(1, count + 1)]


def _later(first: datetime, every: Every, number: int) -> datetime:
    if every is not Every.MONTH:
        return first + timedelta(weeks=number if every is Every.WEEK else 2 * number)
    years, month = divmod(first.month - 1 + number, 12)
    year = first.year + years
    return first.replace(year=year, month=month + 1, day=min(first.day, monthrange(year, month + 1)[1]))


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        # A machine without a time zone database; parsing has let the name through.
        return UTC


def _on_the_clock(wall: datetime, zone: tzinfo) -> int:
    """Return when a clock in the zone first shows a time, or the first moment after it where a change skips it."""
    at = round(wall.replace(tzinfo=zone).timestamp())
    if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == wall:
        return at
    before = wall.replace(tzinfo=zone).utcoffset()
    after = wall.replace(tzinfo=zone, fold=1).utcoffset()
    if before is None or after is None:
        raise RuntimeError("a time zone without an offset")
    utc = round(wall.replace(tzinfo=UTC).timestamp())
    # The change lies between the two readings of the skipped time.
    low, high = utc - round(after.total_seconds()), utc - round(before.total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    return high


@dataclass(frozen=True, slots=True)
class Entry:
    """A day of a meeting as it stands in a calendar; times in seconds UTC."""

    uid: str
    sequence: int
    title: str
    organisation: str
    url: str
    starts_at: int
    minutes: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A later day of a meeting, as it was announced when the meeting was adjourned; the second day has number 2."""

    number: int
    starts_at: int
    dropped: bool  # the meeting was closed without it


def later_days(log: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Day]:
    """Return the days to which a meeting was adjourned, by the types and bodies of its DAY_EVENTS in order.

    An adjournment without a time has no day; it keeps its number.
    """
    days: list[Day] = []
    number, waits = 1, False
    for kind, body in log:
        if kind == ADJOURNED:
            number += 1
            waits = body["continues_at"] > 0
            if waits:
                days.append(Day(number, body["continues_at"], dropped=False))
        elif kind == CLOSED and waits:
            days[-1] = replace(days[-1], dropped=True)
        else:
            waits = False
    return days


def with_later_days(first: Entry, days: Iterable[Day]) -> list[Entry]:
    """Return the entries of a meeting of several days.

    A day that was held has not moved, so each later one is an event of its own (RFC 5546 section 2.1.4 lets SEQUENCE
    rise when the time of the same event changes).
    """
    name, _, host = first.uid.partition("@")
    later = [
        replace(
            first,
            uid=f"{name}-{day.number}@{host}",
            sequence=int(day.dropped),
            starts_at=day.starts_at,
            minutes=0,
            cancelled=day.dropped,
        )
        for day in days
    ]
    return [first, *later]


def write(entries: Iterable[Entry], now: int) -> bytes:
    """Return an RFC 5545 calendar of a VEVENT for each entry; one without minutes is given an hour."""
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for entry in entries:
        calendar.add_component(_event(entry, now))
    return bytes(calendar.to_ical())


def _event(entry: Entry, now: int) -> Event:
    event = Event()
    event.add("uid", entry.uid)
    event.add("sequence", entry.sequence)
    event.add("dtstamp", datetime.fromtimestamp(now, UTC))
    event.add("dtstart", datetime.fromtimestamp(entry.starts_at, UTC))
    length = entry.minutes * 60 or HOUR_S
    event.add("dtend", datetime.fromtimestamp(entry.starts_at + length, UTC))
    event.add("summary", entry.title)
    event.add("description", entry.organisation)
    event.add("url", entry.url)
    event.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    return event
