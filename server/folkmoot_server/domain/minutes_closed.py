"""What closed sessions add to the minutes, and what they take out for who was outside (conduct.md section 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from folkmoot_server.domain.attendance import LoggedEvent
from folkmoot_server.domain.closed_sessions import ADMITTED, BEGAN, ENDED
from folkmoot_server.domain.minutes import Course, Handler, Known, Minutes, Section
from folkmoot_server.domain.minutes_sites import site_name
from folkmoot_server.domain.minutes_words import ended, words_of


def _began(course: Course, event: LoggedEvent) -> None:
    """Tell of the beginning; the reason is added to the log for those who may know it."""
    reason, time = event.body.get("reason"), course.clock(event.at)
    if reason:
        course.say("closed-began-for", [event.seq], time=time, reason=ended(reason))
    else:
        course.say("closed-began", [event.seq], time=time)
    for site in event.body["sites"]:
        course.say("closed-admitted", [event.seq], name=site_name(course, site), time=time)
    for visitor in event.body["visitors"]:
        course.say("closed-admitted", [event.seq], name=_visitor(course, visitor), time=time)


def _admitted(course: Course, event: LoggedEvent) -> None:
    body = event.body
    name = site_name(course, body["site"]) if body["site"] else _visitor(course, body["visitor"])
    key = "closed-admitted" if body["admitted"] else "closed-sent-out"
    course.say(key, [event.seq], name=name, time=course.clock(event.at))


def _ended(course: Course, event: LoggedEvent) -> None:
    course.say("closed-ended", [event.seq], time=course.clock(event.at))


def _visitor(course: Course, visitor: str) -> Known:
    return course.names.get(visitor) or Known(course.words.say("somebody"), ())


def withheld(minutes: Minutes, may_know: Callable[[int], bool]) -> Minutes:
    """Return minutes without the sentences and headings that tell of events alone of which the reader may not know.

    What was said under such a heading stands under another one.
    """
    shown = [_section(section, minutes.language, may_know) for section in minutes.sections]
    return replace(minutes, sections=tuple(one for one in shown if one.sentences or one.events))


def _section(section: Section, language: str, may_know: Callable[[int], bool]) -> Section:
    def rests(events: Iterable[int]) -> bool:
        cited = list(events)
        return not cited or any(map(may_know, cited))

    sentences = [one for one in section.sentences if rests(one.told or one.events)]
    if rests(section.events):
        return Section(section.heading, section.events, sentences)
    return Section(words_of(language).say("heading.closed"), (), sentences)


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType({BEGAN: _began, ADMITTED: _admitted, ENDED: _ended})
