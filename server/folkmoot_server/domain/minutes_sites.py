"""What halls, their seats and askings add to the minutes (sites.md)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from folkmoot_server.domain.attendance import LoggedEvent
from folkmoot_server.domain.minutes import Asked, Course, Handler, Known, Sentence
from folkmoot_server.domain.sites import MAIN


def _named(course: Course, event: LoggedEvent) -> None:
    course.titles[_key(event.body["site"])] = Known(event.body["name"], (event.seq,))


def _key(site: str) -> str:
    return f"site {site}"


def site_name(course: Course, site: str) -> Known:
    """Return the name of a site as it was said last."""
    known = course.titles.get(_key(site))
    if known is None and site == MAIN:
        return Known(course.words.say("site.main"), ())
    return known or course.title(_key(site))


def _tells(key: str) -> Handler:
    """Return a handler for a sentence about one site."""

    def handle(course: Course, event: LoggedEvent) -> None:
        course.say(key, [event.seq], site=site_name(course, event.body["site"]), time=course.clock(event.at))

    return handle


def _connected(course: Course, event: LoggedEvent) -> None:
    # That a thin link is better again, or a hall steady after it was back, is not worth a sentence.
    if event.body["site"] not in course.joined:
        course.joined.add(event.body["site"])
        _tells("site-joined")(course, event)


def _seats_signed(course: Course, event: LoggedEvent) -> None:
    body = event.body
    numbers = {"n": body["count"], "missing": body["missing"], "extra": body["extra"]}
    course.say("seats-signed", [event.seq], site=site_name(course, body["site"]), **numbers)


def _disputed(course: Course, event: LoggedEvent) -> None:
    course.titles[event.body["dispute"]] = Known(event.body["name"], (event.seq,))


def _decided(course: Course, event: LoggedEvent) -> None:
    name = course.titles.get(event.body["dispute"]) or Known(course.words.say("somebody"), ())
    course.say(f"dispute.{event.body['decision']}", [event.seq], name=name, time=course.clock(event.at))


def _asked(course: Course, event: LoggedEvent) -> None:
    section = course.sections[-1]
    asked = Asked(section, len(section.sentences), event.seq, event.at, event.body["asked"])
    course.asked[event.body["presence"]] = asked
    section.sentences.append(_outcome(course, asked))


def _confirmed(course: Course, event: LoggedEvent) -> None:
    asked = course.asked.get(event.body["presence"])
    if asked is not None:
        asked.confirmed = (event.body["confirmed"], event.seq)
        asked.section.sentences[asked.place] = _outcome(course, asked)


def _missed(course: Course, event: LoggedEvent) -> None:
    asked = course.asked.get(event.body["presence"])
    if asked is not None:
        asked.missed = (event.body["missed"], event.seq)
        asked.section.sentences[asked.place] = _outcome(course, asked)


def _outcome(course: Course, asked: Asked) -> Sentence:
    """Return the one sentence about an asking, as far as its outcome is known."""
    (confirmed, said), (missed, over) = asked.confirmed, asked.missed
    cites = {asked.seq, said, over} - {0}
    time = course.clock(asked.at)
    return course.sentence("presence", cites, n=asked.number, time=time, confirmed=confirmed, missed=missed)


def _caught_up(course: Course, event: LoggedEvent) -> None:
    body = event.body
    said = {"n": body["entries"], "refused": body["refused"], "time": course.clock(body["from"])}
    course.say("caught-up", [event.seq], site=site_name(course, body["site"]), **said)


def tell_hall(course: Course, seq: int, hall: Mapping[str, Any]) -> None:
    """Tell of a hall that a vote did not reach at its end, by the name in the record."""
    name = hall["name"] or (course.words.say("site.main") if hall["site"] == MAIN else hall["site"])
    course.say("hall-late" if hall["ballots"] else "hall-unreachable", [seq], hall=name, n=hall["ballots"])


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "SiteAdded": _named,
        "SiteChanged": _named,
        "SiteConnected": _connected,
        "SiteLost": _tells("site-lost"),
        "SiteRejoined": _tells("site-back"),
        "RelayCaughtUp": _caught_up,
        "SeatsSigned": _seats_signed,
        "SeatDisputed": _disputed,
        "DisputeDecided": _decided,
        "PresenceAsked": _asked,
        "PresenceConfirmed": _confirmed,
        "PresenceMissed": _missed,
    }
)
# Told by the attendance, or of no account once the meeting is over.
SILENT: Final = frozenset(
    {
        "CodeElsewhere",
        "HallConfirmed",
        "RelayClock",
        "RelayEnrolled",
        "RelayForked",
        "RelayRevoked",
        "RelayRewound",
        "RelayTwice",
        "SeatMoved",
        "SiteDegraded",
        "SiteRemoved",
        "SiteTested",
    }
)
