"""Minutes drafted from the event log: sections of sentences, each citing the events it rests on.

A pure function of log, language and time zone: the same log gives the same bytes. See conduct.md section 9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final

from folkmoot_server.domain.attendance import Line, LoggedEvent, fold
from folkmoot_server.domain.minutes_words import Words

Cites = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and the numbers of the events it rests on, ascending.

    `told` are those of them that it tells of; the others only name its people and subjects.
    """

    text: str
    events: Cites
    told: Cites = ()


@dataclass(slots=True)
class Section:
    """A heading and its sentences; `events` are those the heading rests on."""

    heading: str
    events: Cites = ()
    sentences: list[Sentence] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Minutes:
    """The whole draft in one language."""

    title: str
    language: str
    sections: tuple[Section, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form of conduct.md section 9."""
        return {
            "title": self.title,
            "language": self.language,
            "sections": [
                {
                    "heading": section.heading,
                    "events": list(section.events),
                    "sentences": [{"text": one.text, "events": list(one.events)} for one in section.sentences],
                }
                for section in self.sections
            ],
        }


@dataclass(frozen=True, slots=True)
class Known:
    """A text of the log with the events it comes from."""

    text: str
    events: Cites


@dataclass(slots=True)
class Turn:
    """A speaking turn that has the floor."""

    person: str
    kind: str
    began: int


@dataclass(slots=True)
class Asked:
    """An asking whose sentence is written anew with its outcome: numbers with the events that say so, 0 for none."""

    section: Section
    place: int
    seq: int
    at: int
    number: int
    confirmed: tuple[int, int] = (0, 0)
    missed: tuple[int, int] = (0, 0)


class Course:
    """What has been told so far; the handlers of `minutes_course` add to it, event by event."""

    def __init__(self, words: Words, zone: tzinfo) -> None:
        """Write in the language of `words`, with times in `zone`."""
        self.words, self.zone = words, zone
        self.before = Section(words.say("heading.before"))
        self.opening = Section(words.say("heading.opening"))
        self.resolutions = Section(words.say("heading.resolutions"))
        self.sections: list[Section] = [self.before]
        self.names: dict[str, Known] = {}
        self.titles: dict[str, Known] = {}  # of the meeting (""), of items, motions, votes, papers, by their ids
        self.turns: dict[str, Turn] = {}
        self.excused: dict[str, Known] = {}
        self.started: set[str] = set()
        self.internal: set[str] = set()
        self.joined: set[str] = set()  # sites
        self.asked: dict[str, Asked] = {}

    def say(self, key: str, events: Iterable[int], **given: Any) -> None:
        """Add a sentence to the section that is being written."""
        self.sections[-1].sentences.append(self.sentence(key, events, **given))

    def sentence(self, key: str, events: Iterable[int], **given: Any) -> Sentence:
        """Return a sentence; values that are Known bring their events with them."""
        told = tuple(sorted(set(events)))
        cites = set(told)
        texts: dict[str, Any] = {}
        for name, value in given.items():
            if isinstance(value, Known):
                cites |= set(value.events)
                texts[name] = value.text
            else:
                texts[name] = value
        return Sentence(self.words.say(key, **texts), tuple(sorted(cites)), told)

    def begin(self, section: Section) -> None:
        """Write into another section from now on."""
        self.sections.append(section)

    def name(self, event: LoggedEvent, key: str = "member") -> Known:
        """Return the name of the person that an event is about: as it says, else as said before."""
        told = event.body.get("name")
        if isinstance(told, str) and told:
            return Known(told, (event.seq,))
        return self.names.get(str(event.body.get(key, "")), Known(self.words.say("somebody"), (event.seq,)))

    def title(self, what: str) -> Known:
        """Return the title of an item, motion, vote or paper as it was said last."""
        return self.titles.get(what) or Known(self.words.say("untitled"), ())

    def clock(self, at: int) -> str:
        """Return the time of day in the meeting's time zone."""
        return datetime.fromtimestamp(at, self.zone).strftime("%H:%M")

    def day(self, at: int) -> str:
        """Return the date in the meeting's time zone."""
        return self.words.day(datetime.fromtimestamp(at, self.zone))

    def moment(self, at: int) -> str:
        """Return date and time in the meeting's time zone."""
        return self.words.say("moment", day=self.day(at), time=self.clock(at))


Handler = Callable[[Course, LoggedEvent], None]


def draft(events: Iterable[LoggedEvent], words: Words, zone: tzinfo, handlers: Mapping[str, Handler]) -> Minutes:
    """Return the minutes of a log; events without a handler are not told."""
    log = list(events)
    course = Course(words, zone)
    for event in log:
        _remember(course, event)
        handler = handlers.get(event.type)
        if handler is not None:
            handler(course, event)
    attendance = _attendance(course, fold(log))
    told = [course.sections[0], attendance, *course.sections[1:], course.resolutions]
    title = course.titles.get("")
    return Minutes(
        words.say("title", title=title.text if title else words.say("untitled")),
        words.language,
        tuple(section for section in told if section.sentences or section.events),
    )


_NAMING: Final = {"MemberCheckedIn": "member", "VisitorAdmitted": "visitor"}


def _remember(course: Course, event: LoggedEvent) -> None:
    key = _NAMING.get(event.type)
    if key is not None:
        course.names[event.body[key]] = Known(event.body["name"], (event.seq,))


def _attendance(course: Course, lines: list[Line]) -> Section:
    """Return who was there from when to when, one sentence for each member, and who was excused."""
    section = Section(course.words.say("heading.attendance"))
    people: dict[str, list[Line]] = {}
    for line in lines:
        people.setdefault(line.member, []).append(line)
    for own in sorted(people.values(), key=lambda found: (found[0].name, found[0].member)):
        section.sentences.append(_presence(course, own))
    for _, excuse in sorted(course.excused.items(), key=lambda found: (found[1].text, found[0])):
        section.sentences.append(course.sentence("excused", (), name=excuse))
    return section


def _presence(course: Course, own: list[Line]) -> Sentence:
    spans = []
    for line in own:
        new_day = line is own[0] or course.day(line.from_at) != course.day(own[0].from_at)
        first = (course.moment if new_day else course.clock)(line.from_at)
        if line.until_at is None:
            spans.append(course.words.say("span.open", since=first))
        else:
            ended = course.words.say(f"departure.{line.reason}")
            same_day = course.day(line.from_at) == course.day(line.until_at)
            until = (course.clock if same_day else course.moment)(line.until_at)
            spans.append(course.words.say("span", since=first, until=until, reason=ended))
    cites = [seq for line in own for seq in line.events]
    return course.sentence("present", cites, name=Known(own[0].name, ()), spans=course.words.listed(spans))
