"""Random comings and goings on several days against the real tables: log, intervals, quorum and state agree."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Connection, create_engine, select

from folkmoot_server.commands import attendance, floor, meetings, presiding, sites
from folkmoot_server.domain.attendance import fold
from folkmoot_server.domain.errors import FolkmootError
from folkmoot_server.domain.meetings import IN_SESSION, State
from folkmoot_server.domain.members import Member, Unit
from folkmoot_server.domain.quorum_curve import curve
from folkmoot_server.domain.roles import Grant, Role
from folkmoot_server.domain.sites import Site, SiteKind, SiteState
from folkmoot_server.queries.attendance import whole_log
from folkmoot_server.storage import meetings as stored
from folkmoot_server.storage import members, schema, seats, speaking, units
from folkmoot_server.storage import sites as halls
from folkmoot_server.storage.events import StoredEvent

PEOPLE = ("chair", "ana", "binh", "greta")
ROLL = 4
AWAY_S, LOST_S, SITE_LOST_S = 45, 120, 20
# What came before the check-in.
RULE = StoredEvent(0, "m", 0, "MeetingDrafted", 0, {"quorum": {"num": 1, "den": 2}})
FROZEN = StoredEvent(0, "m", 0, "RollFrozen", 0, {"size": ROLL})
person = st.sampled_from(PEOPLE)


def build(tx: Connection) -> None:
    """One unit, four members, a meeting in check-in with a frozen roll of four."""
    units.add(tx, Unit("u", None, "Unit"))
    for number, name in enumerate(PEOPLE):
        members.add(tx, Member(name, str(number), name, "u", name.encode(), 0, None))
    members.add_grant(tx, Grant("g", "chair", Role.CHAIR, "u", 0, 10**9), "test")
    tx.execute(
        schema.meeting.insert().values(
            id="m",
            unit="u",
            title="M",
            state="checking-in",
            starts_at=0,
            time_zone="UTC",
            quorum_num=1,
            quorum_den=2,
            floor_mode="open",
            binding=1,
        )
    )
    core = json.dumps({"size": ROLL})
    tx.execute(schema.roll.insert().values(meeting="m", core=core, roll_hash=b"", statement="{}", registrar=None))
    for kind in (SiteKind.MAIN, SiteKind.HALL):
        halls.save(tx, Site("m", kind.value, "", kind, state=SiteState.TESTED))


class Hall(RuleBasedStateMachine):
    """Members arrive, leave, fall silent, come back, are removed and readmitted, in any order."""

    def __init__(self) -> None:
        super().__init__()
        engine = create_engine("sqlite://")
        self.tx = engine.connect()
        schema.metadata.create_all(self.tx)
        build(self.tx)
        self.now = 1000
        self.epochs: dict[str, int] = {}

    def attempt(self, run: Callable[[], Any]) -> Any:
        """Run a command in a savepoint; a refusal must leave everything as it was."""
        before = self.state()
        with contextlib.suppress(FolkmootError), self.tx.begin_nested():
            return run()
        assert self.state() == before
        return None

    def state(self) -> list[Any]:
        tables = (schema.seat, schema.attendance_interval, schema.event, schema.meeting)
        return [[tuple(row) for row in self.tx.execute(select(table))] for table in tables]

    @initialize(seconds=st.integers(0, 5))
    def begin(self, seconds: int) -> None:
        self.now += seconds

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(who=person, site=st.sampled_from(["remote", "main", "hall"]), kiosk=st.booleans())
    def arrive(self, who: str, site: str, kiosk: bool) -> None:
        self.attempt(lambda: attendance.arrive(self.tx, "m", who, site, bytes(32), self.now, kiosk=kiosk))

    @rule(site=st.sampled_from(["main", "hall"]))
    def hear(self, site: str) -> None:
        sites.heard(self.tx, "m", site, self.now)

    @rule()
    def lose_halls(self) -> None:
        sites.lose_silent(self.tx, self.now, SITE_LOST_S, 0)

    @rule(who=person)
    def leave(self, who: str) -> None:
        self.attempt(lambda: attendance.leave(self.tx, "m", who, self.now))

    @rule(who=person)
    def connect(self, who: str) -> None:
        epoch = self.attempt(lambda: attendance.take_lease(self.tx, "m", who, self.now))
        if epoch is not None:
            assert epoch == self.epochs.get(who, 0) + 1
            self.epochs[who] = epoch

    @rule(who=person, behind=st.integers(0, 1))
    def renew(self, who: str, behind: int) -> None:
        epoch = self.epochs.get(who, 0) - behind
        self.attempt(lambda: attendance.renew(self.tx, "m", who, epoch, self.now))

    @rule()
    def expire(self) -> None:
        attendance.expire_leases(self.tx, self.now, AWAY_S, LOST_S, 0)

    @rule(who=person)
    def remove(self, who: str) -> None:
        self.attempt(lambda: floor.remove(self.tx, "m", "chair", who, self.now))

    @rule(who=person)
    def readmit(self, who: str) -> None:
        self.attempt(lambda: floor.readmit(self.tx, "m", "chair", who, self.now))

    @rule(who=person, change=st.sampled_from([floor.grant_floor, floor.withdraw_floor, floor.mute]))
    def lead(self, who: str, change: Callable[..., int]) -> None:
        self.attempt(lambda: change(self.tx, "m", "chair", who, self.now))

    @rule()
    def open(self) -> None:
        self.attempt(lambda: meetings.open_meeting(self.tx, "m", "chair", self.now))

    @rule(until=st.sampled_from([0, 10**6]))
    def recess(self, until: int) -> None:
        self.attempt(lambda: meetings.recess(self.tx, "m", "chair", until, self.now))

    @rule()
    def resume(self) -> None:
        self.attempt(lambda: meetings.resume(self.tx, "m", "chair", self.now))

    @rule()
    def adjourn(self) -> None:
        self.attempt(lambda: meetings.adjourn(self.tx, "m", "chair", 0, self.now))

    @rule()
    def next_day(self) -> None:
        self.attempt(lambda: meetings.begin_check_in(self.tx, "m", "chair", self.now))

    @rule()
    def look_for_the_chair(self) -> None:
        presiding.deputise(self.tx, self.now, 20, 0)

    @invariant()
    def a_binding_quorum_and_the_state_agree(self) -> None:
        meeting = stored.get(self.tx, "m")
        if meeting.state in (State.OPENED, State.QUORUM_LOST):
            assert (meeting.state is State.OPENED) == attendance.quorum(self.tx, "m").met
        if meeting.state is State.ADJOURNED:
            assert attendance.presence(self.tx, "m") == []
        assert bool(meeting.presiding) == (meeting.state in IN_SESSION)

    @invariant()
    def the_log_tells_the_intervals(self) -> None:
        table = schema.attendance_interval
        rows = self.tx.execute(select(table).order_by(table.c.id))
        stored = [(row.member, row.from_at, row.until_at) for row in rows]
        told = [(line.member, line.from_at, line.until_at) for line in fold(whole_log(self.tx, "m"))]
        assert stored == told

    @invariant()
    def the_curve_ends_where_the_quorum_stands(self) -> None:
        log = whole_log(self.tx, "m")
        points = curve([RULE, FROZEN, *log])
        assert points[-1].present == attendance.quorum(self.tx, "m").present
        assert points[-1].needed == attendance.quorum(self.tx, "m").needed
        assert points[-1].by_site == seats.by_site(self.tx, "m")

    @invariant()
    def intervals_of_a_member_never_overlap(self) -> None:
        last: dict[str, int | None] = {}
        for line in fold(whole_log(self.tx, "m")):
            if line.member in last:
                ended = last[line.member]
                assert ended is not None
                assert ended <= line.from_at
            assert line.until_at is None or line.until_at >= line.from_at
            last[line.member] = line.until_at

    @invariant()
    def presence_seats_and_quorum_agree(self) -> None:
        here = attendance.presence(self.tx, "m")
        open_lines = sorted(line.member for line in fold(whole_log(self.tx, "m")) if line.until_at is None)
        assert here == open_lines
        told = ("QuorumReached", "QuorumLost", "MeetingAdjourned")
        changes = [event.type for event in whole_log(self.tx, "m") if event.type in told]
        while "MeetingAdjourned" in changes:  # every day begins in an empty hall
            changes = changes[changes.index("MeetingAdjourned") + 1 :]
        assert changes == ["QuorumReached", "QuorumLost"] * (len(changes) // 2) + ["QuorumReached"] * (
            len(changes) % 2
        )
        assert (len(here) * 2 >= ROLL) == (len(changes) % 2 == 1)

    @invariant()
    def who_is_gone_holds_nothing(self) -> None:
        for seat in self.tx.execute(select(schema.seat)):
            if seat.departed:
                assert seat.away == 0
                assert speaking.open_turn(self.tx, "m", seat.member) is None

    @invariant()
    def numbers_have_no_gap(self) -> None:
        log = whole_log(self.tx, "m")
        assert [event.seq for event in log] == list(range(1, len(log) + 1))

    def teardown(self) -> None:
        self.tx.close()


Hall.TestCase.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
TestHall = Hall.TestCase
