"""Ways to spoil a record.

An `edit` changes a finished record. A `hold` runs the meeting again with a dishonest server, trustee, voter
or registrar who signs what they can sign, so that only the named check can notice.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from tests.voting.record import Record, write
from tests.voting.scenario import FIRST, SIMPLE, Meeting
from tests.voting.votes import EVERY_CHOICE, EVERY_TYPE, Choices, Vote, full_meeting, open_vote

from folkmoot_voting import bundle
from folkmoot_voting.encoding import JsonObject, b64u, jcs, unb64u
from folkmoot_voting.questions import Question

AT = FIRST + 600
VOTE = "vote-1"
FOLDER = f"elections/{VOTE}/"
BOARD = FOLDER + "board.jsonl"
# The annex's second file, among the files of a record.
LOG = "annex/attendance.jsonl"
YES_NO = EVERY_TYPE[0]

Files = dict[str, Any]
Edit = Callable[[Files, JsonObject], None]
Spoil = dict[str, Callable[[Any], Any]]


def checked_in(members: int = 7, present: int = 6, **options: Any) -> Meeting:
    """Members on the roll, all but the last checked in."""
    meeting = Meeting("mutations", members=members, **options)
    meeting.check_in_all(present)
    return meeting


def choice(question: Question, voter: int) -> Choices:
    """Return a choice to one of the questions of EVERY_TYPE; voters differ."""
    return [EVERY_CHOICE[voter % 3][EVERY_TYPE.index(question)]]


def run(
    question: Question = YES_NO,
    *,
    meeting: Callable[[], Meeting] = checked_in,
    opened: Callable[[Vote], None] | None = None,
    act: Callable[[Vote], None] | None = None,
    spoil: Callable[[Vote], Spoil] | None = None,
    after: Callable[[Meeting], None] | None = None,
    voters: int = 5,
    finish: dict[str, Any] | None = None,
    **options: Any,
) -> Record:
    """Hold one election and return bundle and annex.

    Args:
        question: one of EVERY_TYPE.
        meeting: makes the meeting before the vote.
        opened: changes the vote before anybody votes.
        act: what voters do after all have voted.
        spoil: what `Vote.finish` lets dishonest people change.
        after: changes the meeting afterwards.
        voters: how many vote.
        finish: further arguments of `Vote.finish`.
        options: of `open_vote`.
    """
    held = meeting()
    rules = options.pop("rules", SIMPLE)
    vote = open_vote(held, VOTE, [question], rules, AT, **options)
    if opened:
        opened(vote)
    for index, person in enumerate(held.present()[:voters]):
        vote.cast(person, choice(question, index))
    if act:
        act(vote)
    vote.finish(spoil(vote) if spoil else None, **(finish or {}))
    if after:
        after(held)
    return write(held)


def hold(question: Question = YES_NO, **how: Any) -> Callable[[], Record]:
    """Run the meeting with these dishonest steps."""
    return lambda: run(question, **how)


@cache
def good() -> Record:
    """Return one yes/no/abstain vote of six members, five of whom voted."""
    return run()


@cache
def full() -> Record:
    """Return a meeting with every feature of the protocol."""
    return write(full_meeting())


GOOD: Record = good()


def parsed(record: Record) -> tuple[Files, JsonObject]:
    """Return the files of a bundle, JSON as objects, boards and the log as lists of entries, and annex.json."""
    files: Files = {}
    for name, raw in bundle.unpack(record[0]).items():
        if name.endswith(".json"):
            files[name] = json.loads(raw)
        elif name.endswith(".jsonl"):
            files[name] = [json.loads(line) for line in raw.splitlines()]
        else:
            files[name] = raw.decode()
    annex = bundle.unpack(record[1])
    if "attendance.jsonl" in annex:
        files[LOG] = [json.loads(line) for line in annex["attendance.jsonl"].splitlines()]
    return files, json.loads(annex["annex.json"])


def packed(files: Files, annex: JsonObject) -> Record:
    """Return the zips of parsed files; a value of bytes is taken as it is."""
    raw = {name: encoded(name, value) for name, value in files.items()}
    log = {"attendance.jsonl": raw.pop(LOG)} if LOG in raw else {}
    return bundle.pack(raw), bundle.pack({"annex.json": jcs(annex), **log})


def encoded(name: str, value: Any) -> bytes:
    """Return a file's bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return b"".join(jcs(one) + b"\n" for one in value) if name.endswith(".jsonl") else jcs(value)


def edit(change: Edit, base: Callable[[], Record] = good) -> Callable[[], Record]:
    """Change parsed files of a good record."""

    def make() -> Record:
        files, annex = parsed(base())
        change(files, annex)
        return packed(files, annex)

    return make


def walk(files: Files, annex: JsonObject, path: str) -> tuple[Any, Any]:
    """Return the holder of the last step of a path and that step; steps are separated by `|`."""
    *way, last = path.split("|")
    target: Any = {**files, "annex": annex} if way else files
    for step in way:
        target = target[int(step) if isinstance(target, list) else step]
    return target, int(last) if isinstance(target, list) else last


def put(path: str, value: Any) -> Edit:
    """Set one value, or change it when a function is given."""

    def change(files: Files, annex: JsonObject) -> None:
        target, last = walk(files, annex, path)
        target[last] = value(target[last]) if callable(value) else value

    return change


def drop(path: str) -> Edit:
    """Delete one item."""

    def change(files: Files, annex: JsonObject) -> None:
        target, last = walk(files, annex, path)
        del target[last]

    return change


def swap(path: str, first: int, second: int) -> Edit:
    """Exchange two items of a list."""

    def change(files: Files, annex: JsonObject) -> None:
        target, last = walk(files, annex, path)
        items = target[last]
        items[first], items[second] = items[second], items[first]

    return change


def again(path: str, item: int) -> Edit:
    """Append an item of a list once more."""

    def change(files: Files, annex: JsonObject) -> None:
        target, last = walk(files, annex, path)
        target[last].append(copy.deepcopy(target[last][item]))

    return change


def in_manifest(name: str, value: Any, election: str = VOTE) -> Edit:
    """Change a value of the opening entry's manifest; inner names are separated by `|`."""
    return put(f"elections/{election}/board.jsonl|0|manifest|{name}", value)


def flip(text: str) -> str:
    """Change one bit of a b64u value."""
    raw = bytearray(unb64u(text))
    raw[len(raw) // 2] ^= 1
    return b64u(bytes(raw))
