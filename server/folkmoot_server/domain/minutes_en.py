"""The minutes in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EN_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

EN: Final[Mapping[str, str]] = {
    "title": "Minutes: {title}",
    "untitled": "(without a title)",
    "somebody": "a person who had not checked in",
    "moment": "{day}, {time}",
    "day": "{day} {month} {year}",
    "duration": "{minutes}:{seconds} minutes",
    "and": "{first} and {last}",
    "heading.before": "Notice and check-in",
    "heading.opening": "Opening",
    "heading.attendance": "Attendance",
    "heading.resolutions": "Resolutions",
    "heading.internal": "Internal item",
    "drafted": "Meeting of {unit}, {organisation}: “{title}”.",
    "drafted-whole": "Meeting of {organisation}: “{title}”.",
    "quorum-rule": "The quorum is {num}/{den} of the members on the roll.",
    "called-for": "It was called for {moment}.",
    "rescheduled": "It was put off to {moment}.",
    "waived": "The lead time of the notice was waived: {reason}",
    "convened": "The notice went to {n} members on {moment}.",
    "convened.one": "The notice went to 1 member on {moment}.",
    "roll": "The roll was frozen with {n} members; exceptions: {exceptions}.",
    "roll.one": "The roll was frozen with 1 member; exceptions: {exceptions}.",
    "check-in-began": (
        "Check-in began at {time}; of {sent} notices {delivered} had been delivered and {read} read; "
        "excused: {excused}."
    ),
    "cancelled": "The meeting was cancelled: {reason}",
    "key": "The tellers made the key for the secret votes.",
    "key-restarted": "The making of the key was begun anew: {reason}",
    "opened": "The meeting was opened at {time} with {present} of {roll} members present.",
    "continued": "The meeting was continued on {moment}.",
    "closed": "The meeting was closed at {time}.",
    "recess": "The meeting went into recess at {time}.",
    "recess-until": "The meeting went into recess at {time}, until {until}.",
    "resumed": "The meeting was resumed at {time}.",
    "adjourned": "The meeting was adjourned at {time}.",
    "adjourned-to": "The meeting was adjourned at {time} and continues on {moment}.",
    "quorum-reached": "At {time} the quorum was reached: {present} present, {needed} needed.",
    "quorum-lost": "At {time} the quorum was lost: {present} present, {needed} needed.",
    "item-again": "{title} (taken up again)",
    "deferred": "The item “{title}” was deferred.",
    "took-chair": "{name} took the chair.",
    "handed-over": "{name} took over the chair at {time}; both signed.",
    "deputy": "At {time} the chair's connection was lost; {name} presided as deputy.",
    "chair-resumed": "{name} presided again from {time}.",
    "spoke.contribution": "{name} spoke ({duration}).",
    "spoke.pro": "{name} spoke for it ({duration}).",
    "spoke.contra": "{name} spoke against it ({duration}).",
    "spoke.point-of-order": "{name} raised a point of order ({duration}).",
    "spoke.reply": "{name} replied ({duration}).",
    "queue-closed": "The list of speakers was closed.",
    "queue-opened": "The list of speakers was opened again.",
    "removed": "The chair removed {name} from the meeting at {time}.",
    "readmitted": "{name} was let in again at {time}.",
    "guest-admitted": "{name} was admitted as a guest.",
    "observer-admitted": "{name} was admitted as an observer.",
    "visitor-removed": "The chair sent the visitor {name} out at {time}.",
    "excused": "Excused: {name}.",
    "present": "{name}: {spans}.",
    "span": "{since} to {until} ({reason})",
    "span.open": "from {since}",
    "departure.left": "left",
    "departure.lost": "connection lost",
    "departure.removed": "removed",
    "departure.closed": "end of the meeting",
    "departure.adjourned": "adjournment",
    "departure.moved": "moved to another site",
    "departure.cut": "link of the hall cut",
    "site.main": "The main room",
    "site-joined": "{site} joined at {time}.",
    "site-lost": "{site}: the link was lost at {time}.",
    "site-back": "{site}: the link was back at {time}.",
    "caught-up": (
        "{site}: {n} entries noted there while the link was cut, from {time} on, have come; "
        "{refused} of them were not accepted."
    ),
    "caught-up.one": (
        "{site}: 1 entry noted there while the link was cut, from {time} on, has come; "
        "{refused} of them were not accepted."
    ),
    "hall-unreachable": "{hall} was cut off when the vote ended.",
    "hall-late": "{hall} was cut off when the vote ended; {n} ballots from there came too late and did not count.",
    "hall-late.one": "{hall} was cut off when the vote ended; 1 ballot from there came too late and did not count.",
    "seats-signed": (
        "{site}: its custodian signed a list of {n} members; {missing} of them had not checked in there, "
        "{extra} had and are not on it."
    ),
    "seats-signed.one": (
        "{site}: its custodian signed a list of 1 member; {missing} of them had not checked in there, "
        "{extra} had and are not on it."
    ),
    "dispute.keep": "{name} had been claimed at several sites; the chair let the seat stand.",
    "dispute.remove": "{name} had been claimed at several sites; the chair did not let the seat stand.",
    "presence": (
        "At {time} {n} members were asked to confirm that they were present: {confirmed} confirmed, "
        "{missed} did not and kept the seat unconfirmed."
    ),
    "presence.one": (
        "At {time} 1 member was asked to confirm the own presence: {confirmed} confirmed, "
        "{missed} did not and kept the seat unconfirmed."
    ),
    "motion": "{movers} moved {number}, “{title}” (SHA-256 {hash}).",
    "amendment": "{movers} moved amendment {number} to {base}, “{title}” (SHA-256 {hash}).",
    "motion-changed": "The movers changed the text of {motion} (SHA-256 {hash}).",
    "seconded": "{name} seconded {motion}.",
    "admitted": "The chair admitted {motion}.",
    "withdrawn": "{motion} was withdrawn.",
    "referred": "{motion} was referred.",
    "set-back": "{motion} must be fitted to the new text before it can be voted on.",
    "amended": "The text of {motion} was changed by {by} (SHA-256 {hash}).",
    "conflict": "{name} declared a conflict of interest on {motion} and takes no part in votes on it.",
    "no-conflict": "{name} withdrew the conflict of interest on {motion}.",
    "decided.carried": "{motion} was carried.",
    "decided.rejected": "{motion} was rejected.",
    "decided.undecided": "{motion} was not decided.",
    "resolution": "Resolution {resolution}: “{title}” (SHA-256 {hash}).",
    "excluded": "{name} was left out of the vote “{title}” for a conflict of interest.",
    "included": "{name} was taken into the vote “{title}” again.",
    "vote-opened.trustees": "At {time} the secret vote “{title}” was opened; {n} present.",
    "vote-opened.open": "At {time} the open vote “{title}” was opened; {n} present.",
    "vote-opened.roll-call": "At {time} the roll-call vote “{title}” was opened; {n} present.",
    "vote-timer": "The vote “{title}” stays open until {time}: {reason}",
    "vote-closed": "At {time} the vote “{title}” was closed; {n} had voted.",
    "vote-aborted": "The vote “{title}” was broken off at {time}: {reason} Its ballots were not opened.",
    "vote-voided": "The vote “{title}” was not counted in time and is void.",
    "result": "Result of “{title}” ({majority}): {results}",
    "result-question": "{question} {votes}: {outcome}.",
    "result-bare": "{question} {outcome}.",
    "votes-for": "{option} {n}",
    "option.yes": "in favour",
    "option.no": "against",
    "option.abstain": "abstentions",
    "outcome.carried": "carried",
    "outcome.rejected": "rejected",
    "outcome.elected": "elected: {options}",
    "outcome.none": "nobody elected",
    "outcome.no-quorum": "no quorum, so nothing is decided",
    "outcome.too-few": "too few voted; the box stays shut",
    "majority.simple": "simple majority",
    "majority.absolute": "absolute majority of {of}",
    "majority.two-thirds": "two thirds of {of}",
    "majority.three-quarters": "three quarters of {of}",
    "of.cast": "the votes cast",
    "of.decided": "the votes for and against",
    "of.present": "those present",
    "of.roll": "the roll",
    "paper": "The paper “{name}” was laid before the meeting (SHA-256 {hash}).",
    "cites": "events {numbers}",
    "cites.one": "event {numbers}",
    "draft-note": "Drafted from the event log. Every sentence names the events it rests on.",
}
