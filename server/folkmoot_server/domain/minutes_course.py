"""What each event adds to the minutes: a table from the type of an event to the sentence it makes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from folkmoot_server.domain import minutes_closed, minutes_sites
from folkmoot_server.domain.attendance import LoggedEvent
from folkmoot_server.domain.minutes import Course, Handler, Known, Section, Turn
from folkmoot_server.domain.minutes_words import ended

_HASH_SHOWN: Final = 16
_OPTION_KEYS: Final = ("option.yes", "option.no", "option.abstain")


def _short(digest: str) -> str:
    return f"{digest[:_HASH_SHOWN]}…"


def _says(key: str, *texts: str) -> Handler:
    """Return a handler for a sentence that needs the time and the named fields of the body, reasons among them."""

    def handle(course: Course, event: LoggedEvent) -> None:
        given = {text: event.body[text] for text in texts}
        if "reason" in given:
            given["reason"] = ended(given["reason"])
        course.say(key, [event.seq], time=course.clock(event.at), moment=course.moment(event.at), **given)

    return handle


def _names(key: str) -> Handler:
    """Return a handler for a sentence about one person."""

    def handle(course: Course, event: LoggedEvent) -> None:
        who = course.name(event, "visitor" if "visitor" in event.body else "member")
        course.say(key, [event.seq], name=who, time=course.clock(event.at))

    return handle


def _about(key: str, field: str = "motion") -> Handler:
    """Return a handler for a sentence about a motion or a vote."""

    def handle(course: Course, event: LoggedEvent) -> None:
        subject = course.title(event.body[field])
        named = {"motion": subject} if field == "motion" else {"title": subject}
        extra = {"reason": ended(event.body["reason"])} if "reason" in event.body else {}
        course.say(key, [event.seq], time=course.clock(event.at), **named, **extra)

    return handle


def _drafted(course: Course, event: LoggedEvent) -> None:
    body = event.body
    course.titles[""] = Known(body["title"], (event.seq,))
    key = "drafted-whole" if body["unit"] == body["organisation"] else "drafted"
    course.say(key, [event.seq], **{name: body[name] for name in ("unit", "organisation", "title")})
    course.say("called-for", [event.seq], moment=course.moment(body["starts_at"]))
    course.say("quorum-rule", [event.seq], num=body["quorum"]["num"], den=body["quorum"]["den"])


def _rescheduled(course: Course, event: LoggedEvent) -> None:
    course.say("rescheduled", [event.seq], moment=course.moment(event.body["starts_at"]))


def _convened(course: Course, event: LoggedEvent) -> None:
    course.say("convened", [event.seq], n=event.body["recipients"], moment=course.moment(event.at))


def _roll(course: Course, event: LoggedEvent) -> None:
    course.say("roll", [event.seq], n=event.body["size"], exceptions=event.body["exceptions"])


def _opened(course: Course, event: LoggedEvent) -> None:
    course.begin(course.opening)
    _says("opened", "present", "roll")(course, event)


def _recess(course: Course, event: LoggedEvent) -> None:
    until = event.body["until"]
    key = "recess-until" if until else "recess"
    course.say(key, [event.seq], time=course.clock(event.at), until=course.clock(until))


def _adjourned(course: Course, event: LoggedEvent) -> None:
    until = event.body["continues_at"]
    key = "adjourned-to" if until else "adjourned"
    course.say(key, [event.seq], time=course.clock(event.at), moment=course.moment(until))


def _excused(course: Course, event: LoggedEvent) -> None:
    course.excused[event.body["member"]] = Known(event.body["name"], (event.seq,))


def _excuse_withdrawn(course: Course, event: LoggedEvent) -> None:
    course.excused.pop(event.body["member"], None)


def _item_added(course: Course, event: LoggedEvent) -> None:
    body = event.body
    course.titles[body["item"]] = Known(body["title"], (event.seq,))
    (course.internal.discard if body["title"] else course.internal.add)(body["item"])


def _item_started(course: Course, event: LoggedEvent) -> None:
    item = event.body["item"]
    title = event.body["title"] or course.words.say("heading.internal")
    heading = course.words.say("item-again", title=title) if item in course.started else title
    course.started.add(item)
    course.titles[item] = Known(title, (event.seq,))
    course.begin(Section(heading, (event.seq,)))


def _deferred(course: Course, event: LoggedEvent) -> None:
    if event.body["item"] not in course.internal:
        course.say("deferred", [event.seq], title=course.title(event.body["item"]))


def _visitor_admitted(course: Course, event: LoggedEvent) -> None:
    course.say(f"{event.body['kind']}-admitted", [event.seq], name=course.name(event, "visitor"))


def _floor_granted(course: Course, event: LoggedEvent) -> None:
    who = event.body["member"]
    told = event.body.get("name")
    if told and who not in course.names:
        course.names[who] = Known(told, (event.seq,))
    turn = event.body.get("turn") or who
    course.turns[turn] = Turn(who, event.body.get("kind") or "contribution", event.seq)


def _floor_withdrawn(course: Course, event: LoggedEvent) -> None:
    turn = course.turns.pop(event.body.get("turn") or event.body["member"], None)
    if turn is not None:
        name = course.names.get(turn.person) or course.name(event)
        spoken = course.words.duration(event.body.get("spoken_s", 0))
        course.say(f"spoke.{turn.kind}", [turn.began, event.seq], name=name, duration=spoken)


def _motion(course: Course, event: LoggedEvent) -> None:
    body = event.body
    course.titles[body["motion"]] = Known(body["number"], (event.seq,))
    movers = course.words.listed([one["name"] for one in body["movers"]])
    given: dict[str, Any] = {"number": body["number"], "title": body["title"], "hash": _short(body["hash"])}
    if body["base"]:
        course.say("amendment", [event.seq], movers=movers, base=course.title(body["base"]), **given)
    else:
        course.say("motion", [event.seq], movers=movers, **given)


def _motion_changed(course: Course, event: LoggedEvent) -> None:
    motion = course.title(event.body["motion"])
    course.say("motion-changed", [event.seq], motion=motion, hash=_short(event.body["hash"]))


def _seconded(course: Course, event: LoggedEvent) -> None:
    course.say("seconded", [event.seq], name=course.name(event), motion=course.title(event.body["motion"]))


def _amended(course: Course, event: LoggedEvent) -> None:
    motion, by = course.title(event.body["motion"]), course.title(event.body["by"])
    course.say("amended", [event.seq], motion=motion, by=by, hash=_short(event.body["hash"]))


def _conflict(course: Course, event: LoggedEvent) -> None:
    key = "conflict" if event.body["declared"] else "no-conflict"
    course.say(key, [event.seq], name=course.name(event), motion=course.title(event.body["motion"]))


def _decided(course: Course, event: LoggedEvent) -> None:
    course.say(f"decided.{event.body['outcome']}", [event.seq], motion=course.title(event.body["motion"]))


def _resolution(course: Course, event: LoggedEvent) -> None:
    body = event.body
    given = {"resolution": body["resolution"], "title": body["title"], "hash": body["hash"]}
    course.say("resolution", [event.seq], **given)
    course.resolutions.sentences.append(course.sentence("resolution", [event.seq], **given))


def _vote_drafted(course: Course, event: LoggedEvent) -> None:
    course.titles[event.body["election"]] = Known(event.body["title"], (event.seq,))


def _excluded(course: Course, event: LoggedEvent) -> None:
    key = "excluded" if event.body["excluded"] else "included"
    course.say(key, [event.seq], name=course.name(event), title=course.title(event.body["election"]))


def _vote_opened(course: Course, event: LoggedEvent) -> None:
    body = event.body
    course.titles[body["election"]] = Known(body["title"], (event.seq,))
    given = {"time": course.clock(event.at), "title": body["title"], "n": body["present"]}
    course.say(f"vote-opened.{body['secrecy']}", [event.seq], **given)


def _vote_timer(course: Course, event: LoggedEvent) -> None:
    body = event.body
    if body["reason"]:
        until, title = course.clock(body["ends_at"]), course.title(body["election"])
        course.say("vote-timer", [event.seq], title=title, time=until, reason=ended(body["reason"]))


def _vote_closed(course: Course, event: LoggedEvent) -> None:
    title = course.title(event.body["election"])
    course.say("vote-closed", [event.seq], title=title, time=course.clock(event.at), n=event.body["cast"])


def _declared(course: Course, event: LoggedEvent) -> None:
    body, say = event.body, course.words.say
    majority = body["majority"]
    rule = say(f"majority.{majority['kind']}", of=say(f"of.{majority['of']}"))
    results = [
        _question(course, question, outcome)
        for question, outcome in zip(body["questions"], body["outcome"], strict=True)
    ]
    course.say("result", [event.seq], title=body["title"], majority=rule, results=" ".join(results))
    for hall in body.get("halls", ()):  # logs of before halls had relays say nothing of them
        minutes_sites.tell_hall(course, event.seq, hall)


def _question(course: Course, question: Mapping[str, Any], outcome: Mapping[str, Any]) -> str:
    say = course.words.say
    options = question["options"]
    if question["type"] == "yes-no-abstain":
        options = [say(key) for key in _OPTION_KEYS]
    elected = course.words.listed([options[index] for index in outcome["options"]])
    decided = say(f"outcome.{outcome['kind']}", options=elected)
    if not outcome["votes"]:
        return say("result-bare", question=question["text"], outcome=decided)
    pairs = zip(options, outcome["votes"], strict=True)
    votes = ", ".join(say("votes-for", option=option, n=number) for option, number in pairs)
    return say("result-question", question=question["text"], votes=votes, outcome=decided)


def _paper(course: Course, event: LoggedEvent) -> None:
    body = event.body
    course.say("paper", [event.seq], name=body["name"], hash=_short(body["sha256"]))


HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        "MeetingDrafted": _drafted,
        "MeetingRescheduled": _rescheduled,
        "MeetingCancelled": _says("cancelled", "reason"),
        "NoticeWaived": _says("waived", "reason"),
        "MeetingConvened": _convened,
        "MemberExcused": _excused,
        "ExcuseWithdrawn": _excuse_withdrawn,
        "RollFrozen": _roll,
        "CheckInBegan": _says("check-in-began", "sent", "delivered", "read", "excused"),
        "KeyGenerated": _says("key"),
        "KeyRestarted": _says("key-restarted", "reason"),
        "MeetingOpened": _opened,
        "MeetingContinued": _says("continued"),
        "MeetingClosed": _says("closed"),
        "RecessBegan": _recess,
        "MeetingResumed": _says("resumed"),
        "MeetingAdjourned": _adjourned,
        "QuorumReached": _says("quorum-reached", "present", "needed"),
        "QuorumLost": _says("quorum-lost", "present", "needed"),
        "AgendaItemAdded": _item_added,
        "AgendaItemChanged": _item_added,
        "AgendaItemStarted": _item_started,
        "AgendaItemDeferred": _deferred,
        "ChairTaken": _names("took-chair"),
        "ChairHandedOver": _names("handed-over"),
        "DeputyPresides": _names("deputy"),
        "ChairResumed": _names("chair-resumed"),
        "FloorGranted": _floor_granted,
        "FloorWithdrawn": _floor_withdrawn,
        "QueueClosed": _says("queue-closed"),
        "QueueOpened": _says("queue-opened"),
        "MemberRemoved": _names("removed"),
        "MemberReadmitted": _names("readmitted"),
        "VisitorAdmitted": _visitor_admitted,
        "VisitorRemoved": _names("visitor-removed"),
        "MotionSubmitted": _motion,
        "MotionChanged": _motion_changed,
        "MotionSeconded": _seconded,
        "MotionAdmitted": _about("admitted"),
        "MotionWithdrawn": _about("withdrawn"),
        "MotionReferred": _about("referred"),
        "AmendmentSetBack": _about("set-back"),
        "TextAmended": _amended,
        "ConflictDeclared": _conflict,
        "MotionDecided": _decided,
        "ResolutionAdopted": _resolution,
        "ElectionDrafted": _vote_drafted,
        "ElectorExcluded": _excluded,
        "ElectionOpened": _vote_opened,
        "VoteTimerSet": _vote_timer,
        "ElectionClosed": _vote_closed,
        "ElectionAborted": _about("vote-aborted", "election"),
        "ElectionVoided": _about("vote-voided", "election"),
        "ResultDeclared": _declared,
        "PaperAdded": _paper,
        **minutes_sites.HANDLERS,
        **minutes_closed.HANDLERS,
    }
)
# What happens in every meeting without being worth a sentence, or is told by a later event.
SILENT: Final = minutes_sites.SILENT | frozenset(
    {
        "AgendaItemMoved",
        "AgendaItemRemoved",
        "AllMuted",
        "BallotAccepted",
        "BoardPublished",
        "ClosingCosigned",
        "CosignerNamed",
        "EventWithheld",  # stands in no log: what some get in the place of an event
        "FloorModeSet",
        "HandLowered",
        "HandRaised",
        "HandoverOffered",
        "IntentPosted",
        "KeyMessagePosted",
        "LobbyEntered",
        "MemberAway",
        "MemberCheckedIn",
        "MemberDeparted",
        "MemberMuted",
        "MemberReturned",
        "MessageHidden",
        "MessagePosted",
        "MessageRulesSet",
        "MotionPutToVote",
        "MotionRulesSet",
        "PagePresented",
        "PaperChanged",
        "PaperRemoved",
        "ShareDestroyed",
        "SharePosted",
        "ShareRejected",
        "SpeakingRulesSet",
        "TallyComputed",
        "TallySigned",
        "TurnExtended",
        "TurnPaused",
        "TurnResumed",
        "VisitorLeft",
        "VisitorRefused",
    }
)
