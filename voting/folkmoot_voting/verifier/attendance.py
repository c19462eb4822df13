"""Check V34: the attendance log of the annex gives every mark that the ledger has of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from folkmoot_voting import attendance, board
from folkmoot_voting.encoding import JsonObject, unb64u
from folkmoot_voting.manifest import Manifest

from .context import Context, NotApplicable, require, within
from .members import Roll

_STATEMENT = ("assertion", "checkpoint", "credential", "member", "nonce", "passkey", "site")


@dataclass
class Replay:
    """Folds the lines of a log; `present` and `weight` hold after the `count` events taken so far.

    Attributes:
        head: of the chain.
        signed: by hash of a check-in's statement, whose it is.
    """

    head: bytes
    roll: Roll
    signed: Mapping[bytes, str]
    count: int = 0
    weight: int = 0
    present: set[str] = field(default_factory=set)
    _last: int = 0
    _gone: dict[str, str] = field(default_factory=dict)  # why who is away has gone

    def take(self, line: bytes, one: JsonObject) -> None:
        """Take one well-formed line, given as its JCS bytes and parsed.

        Raises:
            CheckFailed: it cannot follow, or a check-in that it cites is not the member's.
            RollInvalid: the member is not on the roll.
        """
        self.head = attendance.next_head(self.head, line)
        self.count += 1
        require(one["seq"] > self._last, "its number is not above that of the event before")
        self._last = one["seq"]
        kind, member = one["type"], one["member"]
        if kind == "departed":
            require(member in self.present, "a departure of somebody who was not there")
            self.weight -= self.roll.entry(member)["weight"]
            self.present.remove(member)
            self._gone[member] = one["reason"]
            return
        if kind == "arrived":
            require(self.signed.get(unb64u(one["statement"])) == member, "an arrival without the member's check-in")
        elif member not in self.present:
            require(self._gone.get(member) in attendance.RETURNING, "a return of somebody who was not lost")
        if member not in self.present:
            self.weight += self.roll.entry(member)["weight"]
            self.present.add(member)


def check_attendance(context: Context) -> None:
    """V34."""
    annex, marks = context.annex, deque(context.bundle.marks)
    has_log = annex is not None and annex.has_log
    if not marks:
        require(not has_log, "an attendance log that no mark vouches for")
        raise NotApplicable("the record holds no attendance log")
    if annex is None or annex.log_start is None:
        require(has_log, "the annex has no attendance log")
        return
    start = annex.log_start
    require(start["meeting"] == context.meeting, "the attendance log is of another meeting")
    signed, electors = _check_ins(context)
    replay = Replay(attendance.first_head(start["meeting"], unb64u(start["salt"])), context.people.roll, signed)
    _compare(context, marks, replay, electors)
    for line, one in annex.log_lines():
        with within(f"attendance event {replay.count + 1}"):
            require(bool(marks), "no mark vouches for it")
            replay.take(line, one)
        _compare(context, marks, replay, electors)
    require(not marks, "the attendance log ends before its last mark")


def _check_ins(context: Context) -> tuple[dict[bytes, str], dict[str, list[str]]]:
    """Return whose statements were signed, and the members of each electorate."""
    signed: dict[bytes, str] = {}
    electors: dict[str, list[str]] = {name: [] for name in context.elections}
    for one in context.items("checkins"):
        statement = {name: one[name] for name in _STATEMENT}
        signed[board.statement_hash(unb64u(one["salt"]), statement)] = one["member"]
        for name in one["elections"]:
            if name in electors:
                electors[name].append(one["member"])
    return signed, electors


def _compare(context: Context, marks: deque[JsonObject], replay: Replay, electors: Mapping[str, list[str]]) -> None:
    """Compare every mark that stands at this place of the log."""
    while marks and marks[0]["count"] == replay.count:
        mark = marks.popleft()
        with within(f"{mark['election']}, {mark['when']}"):
            require(mark["election"] in context.elections, "no such election")
            opened = context.elections[mark["election"]].manifest
            _compare_one(opened, mark, replay)
            if mark["when"] == attendance.OPENING:
                require(
                    (opened.present, opened.present_weight) == (len(replay.present), replay.weight),
                    "another number present than the manifest says",
                )
                require(replay.present.issuperset(electors[opened.election]), "an elector was not present")


def _compare_one(opened: Manifest, mark: JsonObject, replay: Replay) -> None:
    require(unb64u(mark["head"]) == replay.head, "another head of the attendance log")
    require(mark["present"] == len(replay.present), "another number present")
    require(mark["present_weight"] == replay.weight, "another weight present")
    met = attendance.quorum_met(opened, mark["present"], mark["present_weight"])
    require(mark["met"] is met, "whether the quorum was met")


CHECKS = {"V34": check_attendance}
