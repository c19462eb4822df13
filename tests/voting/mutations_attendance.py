"""Spoiled attendance logs and marks, and servers that tell another story of who was there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from tests.voting.record import Record, write
from tests.voting.scenario import FIRST, Meeting, Person
from tests.voting.spoiling import LOG, YES_NO, Edit, Files, checked_in, drop, edit, encoded, flip, hold, put, swap
from tests.voting.votes import Vote, small_meeting
from tests.voting.votes import hold as hold_vote

from folkmoot_voting import attendance
from folkmoot_voting.encoding import JsonObject, b64u

Mutation = tuple[str, Callable[[], Record], str]

MARKS = "attendance.json|marks"
YES = [[1, 0, 0]]


@cache
def three() -> Record:
    """Return three votes with all that a log tells between them."""
    return write(small_meeting())


def votes_with_log(*kept: bool) -> Record:
    """Return one vote after another, the log of some of them kept."""
    meeting = checked_in()
    for number, keeps in enumerate(kept):
        meeting.keeps_log = keeps
        at = FIRST + 600 * (number + 1)
        hold_vote(meeting, f"vote-{number + 1}", [YES_NO], [YES] * 5, at=at)
        meeting.depart(meeting.persons[number])
        meeting.come_back(meeting.persons[number])
    return write(meeting)


def _log(change: Callable[[list[Any]], Any]) -> Callable[[], Record]:
    """Change the lines of the log."""

    def apply(files: Files, _annex: JsonObject) -> None:
        change(files[LOG])

    return edit(apply, three)


def _set(path: str, value: Any) -> Callable[[], Record]:
    return edit(put(path, value), three)


def _bytes(change: Callable[[bytes], bytes]) -> Edit:
    def apply(files: Files, _annex: JsonObject) -> None:
        files[LOG] = change(encoded(LOG, files[LOG]))

    return apply


def _log_of_nothing() -> Record:
    """A record without marks gets the log of another."""
    return votes_with_log(False)[0], votes_with_log(True)[1]


FORM: list[Mutation] = [
    ("unknown attendance event", _set(f"{LOG}|2|type", "slept"), "V01"),
    ("surplus field in an attendance event", _set(f"{LOG}|2|at", 5), "V01"),
    ("unknown reason of a departure", _set(f"{LOG}|7|reason", "asleep"), "V01"),
    ("attendance log without its first line", edit(drop(f"{LOG}|0"), three), "V01"),
    ("empty attendance log", _set(LOG, []), "V01"),
    ("attendance log without its last line feed", edit(_bytes(lambda raw: raw[:-1]), three), "V01"),
    ("spaces in the attendance log", edit(_bytes(lambda raw: raw.replace(b",", b", ", 1)), three), "V01"),
    ("no attendance marks in their file", _set(MARKS, []), "V01"),
    ("unknown moment of a mark", _set(f"{MARKS}|0|when", "noon"), "V01"),
    ("attendance marks of another meeting", _set("attendance.json|meeting", "meeting-2"), "V02"),
]

LEDGER: list[Mutation] = [
    ("head of the attendance log altered", _set(f"{MARKS}|1|head", flip), "V04"),
    ("count of the attendance log altered", _set(f"{MARKS}|1|count", 5), "V04"),
    ("number present at the closing altered", _set(f"{MARKS}|5|present", 5), "V04"),
    ("a mark missing", edit(drop(f"{MARKS}|3"), three), "V04"),
    ("marks of a vote missing", edit(lambda files, _: _cut(files, slice(2, 4)), three), "V04"),
    ("marks exchanged", edit(swap(MARKS, 0, 1), three), "V04"),
    ("all marks missing", edit(drop("attendance.json"), three), "V04"),
    ("mark of an unknown vote", _set(f"{MARKS}|0|election", "vote-9"), "V04"),
    ("attendance given up between votes", lambda: votes_with_log(True, False), "V04"),
    ("surplus mark in the ledger", hold(after=lambda meeting: meeting.record("attendance", FIRST, bytes(32))), "V04"),
    ("mark of the opening after the closing",
     hold(after=lambda meeting: _exchange(meeting, "closed", "attendance")), "V04"),
]  # fmt: skip


def _cut(files: Files, part: slice) -> None:
    del files["attendance.json"]["marks"][part]


def _exchange(meeting: Meeting, one: str, other: str) -> None:
    """Let the server's ledger have two entries in the other order."""
    entries = meeting.ledger_entries
    places = [next(i for i, entry in enumerate(entries) if i % 2 and entry["type"] == kind) for kind in (one, other)]
    entries[places[0]], entries[places[1]] = entries[places[1]], entries[places[0]]


STORY: list[Mutation] = [
    ("attendance event removed", edit(drop(f"{LOG}|3"), three), "V34"),
    ("last attendance event removed", edit(drop(f"{LOG}|14"), three), "V34"),
    ("first attendance event removed", edit(drop(f"{LOG}|1"), three), "V34"),
    ("attendance event added", _log(lambda lines: lines.insert(9, {**lines[7], "member": "m-004"})), "V34"),
    ("attendance event added at the end", _log(lambda lines: lines.append({**lines[7], "seq": 999})), "V34"),
    ("attendance event altered", _set(f"{LOG}|7|reason", "cut"), "V34"),
    ("member of an attendance event altered", _set(f"{LOG}|7|member", "m-004"), "V34"),
    ("number of an attendance event altered", _set(f"{LOG}|3|seq", 12), "V34"),
    ("site of an arrival altered", _set(f"{LOG}|2|site", "hall-2"), "V34"),
    ("attendance events reordered", edit(swap(LOG, 1, 2), three), "V34"),
    ("attendance events reordered under their numbers", _log(lambda lines: _cross(lines[1], lines[2])), "V34"),
    ("salt of the attendance log altered", _set(f"{LOG}|0|salt", flip), "V34"),
    ("attendance log of another meeting", _set(f"{LOG}|0|meeting", "meeting-2"), "V34"),
    ("attendance log missing", edit(drop(LOG), three), "V34"),
    ("attendance log without marks", _log_of_nothing, "V34"),
]  # fmt: skip


def _cross(one: JsonObject, other: JsonObject) -> None:
    """Exchange what two arrivals tell and leave their numbers."""
    for name in ("member", "statement"):
        one[name], other[name] = other[name], one[name]


def _mark(moment: str, **changed: Any) -> Callable[[Vote], dict[str, Callable[[Any], Any]]]:
    """The server signs another mark."""
    return lambda _vote: {f"{moment} mark": lambda mark: {**mark, **changed}}


def _told(change: Callable[[Meeting, list[Person]], Any]) -> Callable[[], Meeting]:
    """The server's log tells something else from the beginning."""

    def make() -> Meeting:
        meeting = checked_in()
        change(meeting, meeting.persons)
        return meeting

    return make


def _phantom(meeting: Meeting, _persons: list[Person]) -> None:
    """A seventh member arrives without a check-in."""
    meeting.log.append(attendance.arrived(900, "m-006", "main", bytes(32)))


def _foreign_check_in(meeting: Meeting, _persons: list[Person]) -> None:
    """A seventh member arrives with the check-in of another."""
    meeting.log.append({**meeting.lines()[0], "seq": 900, "member": "m-006"})


def _back_after_leaving(meeting: Meeting, persons: list[Person]) -> None:
    meeting.depart(persons[5], "left")
    meeting.come_back(persons[5])


def _back_from_nowhere(meeting: Meeting, _persons: list[Person]) -> None:
    meeting.log.append(attendance.returned(900, "m-006"))


def _gone_twice(meeting: Meeting, persons: list[Person]) -> None:
    meeting.depart(persons[5])
    meeting.depart(persons[5])


def _same_number(meeting: Meeting, persons: list[Person]) -> None:
    meeting.depart(persons[5])
    meeting.come_back(persons[5])
    meeting.log[-1]["seq"] = meeting.log[-2]["seq"]


def _stranger(meeting: Meeting, persons: list[Person]) -> None:
    """Somebody of no roll is in the log, and nobody has departed."""
    meeting.depart(persons[5])
    meeting.log[-1]["member"] = "m-999"
    meeting.gone.clear()


def _other_electors(meeting: Meeting, persons: list[Person]) -> None:
    """The log has one of the electors gone, and another member there in the place."""
    meeting.check_in(persons[6], FIRST + 400)
    meeting.depart(persons[5])
    meeting.gone = {persons[6].member}


def _lost_in_silence(meeting: Meeting, persons: list[Person]) -> None:
    """The log has one gone who stands in the manifest as present."""
    meeting.depart(persons[5])
    meeting.gone.clear()


SERVER: list[Mutation] = [
    ("more present at the opening than the log has", hold(meeting=_told(_lost_in_silence)), "V34"),
    ("manifest says more than the mark",
     hold(meeting=_told(_lost_in_silence), spoil=_mark("opening", present=5, present_weight=5)), "V34"),
    ("more present at the closing than the log has", hold(spoil=_mark("closing", present=7)), "V34"),
    ("more weight at the closing than the log has", hold(spoil=_mark("closing", present_weight=9)), "V34"),
    ("quorum denied at the closing", hold(spoil=_mark("closing", met=False)), "V34"),
    ("head of another log", hold(spoil=_mark("closing", head=b64u(bytes(32)))), "V34"),
    ("mark of fewer events than before", hold(spoil=_mark("closing", count=0)), "V34"),
    ("mark of more events than there are", hold(spoil=_mark("opening", count=7)), "V34"),
    ("arrival without a check-in", hold(meeting=_told(_phantom)), "V34"),
    ("arrival with another's check-in", hold(meeting=_told(_foreign_check_in)), "V34"),
    ("return of who has left", hold(meeting=_told(_back_after_leaving)), "V34"),
    ("return of who was never there", hold(meeting=_told(_back_from_nowhere)), "V34"),
    ("departure of who is not there", hold(meeting=_told(_gone_twice)), "V34"),
    ("departure of a stranger", hold(meeting=_told(_stranger)), "V34"),
    ("two events of one number", hold(meeting=_told(_same_number)), "V34"),
    ("elector who was not present", hold(meeting=_told(_other_electors)), "V34"),
]  # fmt: skip

ATTENDANCE_MUTATIONS: list[Mutation] = [*FORM, *LEDGER, *STORY, *SERVER]
