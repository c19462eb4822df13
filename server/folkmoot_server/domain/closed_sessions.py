"""Closed sessions: who is inside, now and at every event of the log (conduct.md section 11).

The one place that decides it. Whoever gives something of a meeting away builds a `Party` of who asks and asks here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from folkmoot_server.domain.attendance import LoggedEvent
from folkmoot_server.domain.roles import Role

BEGAN: Final = "ClosedSessionBegan"
ADMITTED: Final = "ClosedSessionAdmitted"
ENDED: Final = "ClosedSessionEnded"
# They go to everybody.
CHANGES: Final = (BEGAN, ADMITTED, ENDED)
# By way of a relay of another meeting; no site has such an id.
ELSEWHERE: Final = "/"
FOR_EVER: Final = 2**63 - 1
# What of the snapshot goes outside as it is. What is not named here does not, `me` and `closed_session` excepted.
OUTSIDE: Final = (
    "id",
    "title",
    "organisation",
    "unit",
    "state",
    "starts_at",
    "time_zone",
    "seq",
    "sites",
    "quorum",
)
# Roles that make nobody an insider.
_NO_OFFICE: Final = frozenset({Role.MEMBER, Role.OBSERVER})


@dataclass(frozen=True, slots=True)
class Admission:
    """Who is inside beside the insiders: ids of sites, without which no hall is, and of visitors."""

    sites: frozenset[str] = frozenset()
    visitors: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks: id, whether on the roll or in an office here, and through which halls it reaches them (site ids)."""

    person: str
    insider: bool
    ways: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Session:
    """A closed session that runs; `since` in seconds UTC."""

    since: int
    reason: str
    admission: Admission


def hall(site: str) -> Party:
    """Return a hall as a party: whoever stands before its screens and loudspeakers, or uses its relay."""
    return Party("", True, frozenset({site}))


def is_insider(*, entitled: bool, roles: Collection[Role]) -> bool:
    """Say whether somebody is inside by kind: entitled to vote here, or in an office that is more than watching."""
    return entitled or bool(set(roles) - _NO_OFFICE)


def is_inside(party: Party, admission: Admission) -> bool:
    """Say whether a party is inside: by kind or by name, and through no hall that is not admitted."""
    return party.ways <= admission.sites and (party.insider or party.person in admission.visitors)


def is_kept_out_by_way(party: Party, admission: Admission) -> bool:
    """Say whether a party is outside only because of the halls through which it reaches them."""
    direct = replace(party, ways=frozenset())
    return not is_inside(party, admission) and is_inside(direct, admission)


@dataclass(frozen=True, slots=True)
class Change:
    """From just after event `seq` on, until the next change, this holds; None where no closed session runs."""

    seq: int
    admission: Admission | None


@dataclass(frozen=True, slots=True)
class History:
    """The closed sessions of one meeting; changes ascend by event number."""

    changes: tuple[Change, ...] = ()

    @property
    def running(self) -> Admission | None:
        """Who is admitted to the session that runs, None without one."""
        return self.changes[-1].admission if self.changes else None

    def at(self, seq: int) -> Admission | None:
        """Return who was admitted when event `seq` happened, None of an event that everybody may know of."""
        place = bisect_left(self.changes, seq, key=lambda change: change.seq)
        if place < len(self.changes) and self.changes[place].seq == seq:
            return None
        return self.changes[place - 1].admission if place else None

    def after(self, seq: int) -> Admission | None:
        """Return who was admitted just after event `seq`, None outside of closed sessions."""
        place = bisect_right(self.changes, seq, key=lambda change: change.seq)
        return self.changes[place - 1].admission if place else None

    def outside(self, party: Party) -> list[tuple[int, int]]:
        """Return the ranges of event numbers, both ends included, of which a party may not know."""
        ends = [change.seq - 1 for change in self.changes[1:]] + [FOR_EVER]
        return [
            (change.seq + 1, last)
            for change, last in zip(self.changes, ends, strict=False)
            if change.admission is not None and not is_inside(party, change.admission) and last > change.seq
        ]


def fold(events: Iterable[LoggedEvent]) -> History:
    """Return the closed sessions of a log, or of its events that say so alone."""
    changes: list[Change] = []
    admission: Admission | None = None
    for event in events:
        if event.type == BEGAN:
            admission = Admission(frozenset(event.body["sites"]), frozenset(event.body["visitors"]))
        elif event.type == ADMITTED and admission is not None:
            admission = admitted(admission, event.body["site"], event.body["visitor"], event.body["admitted"])
        elif event.type == ENDED:
            admission = None
        else:
            continue
        changes.append(Change(event.seq, admission))
    return History(tuple(changes))


def admitted(before: Admission, site: str, visitor: str, inside: bool) -> Admission:
    """Return an admission with a site or a visitor (the other one empty) let in or sent out."""
    sites, visitors = {site} - {""}, {visitor} - {""}
    if inside:
        return replace(before, sites=before.sites | sites, visitors=before.visitors | visitors)
    return replace(before, sites=before.sites - sites, visitors=before.visitors - visitors)


def from_outside(whole: Mapping[str, Any], address: str = "") -> dict[str, Any]:
    """Return what goes outside of a snapshot of a meeting in closed session; of `me` nothing that may be of it.

    `address` is where whoever asks would be inside, or empty.
    """
    closed = whole["closed_session"]
    view = {name: whole[name] for name in OUTSIDE}
    shown = {"since": closed["since"], "reason": "", "sites": closed["sites"], "visitors": []}
    view["closed_session"] = {**shown, "address": address}
    if "me" in whole:
        view["me"] = {**whole["me"], "drafts": []}
    return view
