"""The attendance log: its head is signed at the opening and the closing of each vote (voting.md section 9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from folkmoot_server.commands.attendance import presence
from folkmoot_server.domain.ids import Rng, from_b64u
from folkmoot_server.domain.ledger import Notary
from folkmoot_server.storage import attendance_log, events, ledger, rolls
from folkmoot_server.storage.attendance_log import Chain
from folkmoot_server.storage.elections import StoredElection
from folkmoot_server.storage.events import StoredEvent
from folkmoot_voting import attendance
from folkmoot_voting.encoding import JsonObject, jcs
from folkmoot_voting.manifest import Manifest

TOLD: Final = ("MemberCheckedIn", "MemberReturned", "MemberDeparted")
NO_LIMIT: Final = -1


def mark_opening(tx: Connection, meeting: str, opened: Manifest, now: int, *, notary: Notary, rng: Rng) -> JsonObject:
    """Sign what the log says when a vote is opened, with the numbers that its manifest has; return the mark."""
    chain = attendance_log.chain(tx, meeting)
    if chain is None:
        salt = rng(32)
        chain = Chain(salt, 0, 0, attendance.first_head(meeting, salt))
    counted = opened.present, opened.present_weight
    return _mark(tx, meeting, opened, chain, counted, attendance.OPENING, notary=notary, now=now)


def mark_closing(tx: Connection, stored: StoredElection, now: int, notary: Notary) -> JsonObject | None:
    """Sign what the log says when a vote is closed, and return the mark; None if its opening has none."""
    chain = attendance_log.chain(tx, stored.meeting)
    if chain is None or (stored.id, attendance.OPENING) not in attendance_log.marks(tx, stored.meeting):
        return None
    counted = present_now(tx, stored.meeting)
    return _mark(tx, stored.meeting, stored.opened, chain, counted, attendance.CLOSING, notary=notary, now=now)


def present_now(tx: Connection, meeting: str) -> tuple[int, int]:
    """Return how many are present, and their weight on the roll."""
    here = presence(tx, meeting)
    core = rolls.frozen(tx, meeting).core
    if core["weight"] == core["size"]:
        return len(here), len(here)
    weights = {entry["member"]: int(entry["weight"]) for entry in rolls.entries(tx, meeting)}
    return len(here), sum(weights[member] for member in here)


def _mark(
    tx: Connection,
    meeting: str,
    opened: Manifest,
    chain: Chain,
    counted: tuple[int, int],
    when: str,
    *,
    notary: Notary,
    now: int,
) -> JsonObject:
    chain = _grown(tx, meeting, chain)
    attendance_log.save_chain(tx, meeting, chain)
    present, weight = counted
    mark = attendance.make_mark(opened, when, count=chain.count, head=chain.head, present=present, weight=weight)
    attendance_log.add_mark(tx, meeting, mark)
    digest = attendance.mark_hash(meeting, mark)
    ledger.append(tx, notary, kind="attendance", meeting=meeting, election=opened.election, digest=digest, now=now)
    return mark


def _grown(tx: Connection, meeting: str, chain: Chain) -> Chain:
    """Return the chain with the lines of the events since."""
    for event in events.of_types(tx, meeting, TOLD, after=chain.seq, limit=NO_LIMIT):
        head = attendance.next_head(chain.head, jcs(line(event)))
        chain = replace(chain, seq=event.seq, count=chain.count + 1, head=head)
    return chain


def line(event: StoredEvent) -> JsonObject:
    """Return the line of the log that tells an event of one of the types TOLD.

    Times are left out: numbers of events say as much as the order of the log does, and the attendance list has both.
    """
    body = event.body
    if event.type == "MemberCheckedIn":
        return attendance.arrived(event.seq, body["member"], body["site"], from_b64u(body["proof"]))
    if event.type == "MemberReturned":
        return attendance.returned(event.seq, body["member"])
    return attendance.departed(event.seq, body["member"], body["reason"])


def lines(tx: Connection, meeting: str, count: int) -> list[JsonObject]:
    """Return the first line of a meeting's log and the first `count` after it; nothing without a log."""
    chain = attendance_log.chain(tx, meeting)
    if chain is None or not count:
        return []
    told = events.of_types(tx, meeting, TOLD, limit=count)
    return [attendance.start_line(meeting, chain.salt), *map(line, told)]
