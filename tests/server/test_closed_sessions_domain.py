"""Closed sessions as rules: who is inside at each event of any history, against a plain model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folkmoot_server.domain import closed_sessions
from folkmoot_server.domain.audience import WITHHELD, Audience, Listener, heard
from folkmoot_server.domain.closed_sessions import (
    ADMITTED,
    BEGAN,
    ELSEWHERE,
    ENDED,
    Admission,
    Party,
    fold,
    hall,
    is_inside,
    is_insider,
    is_kept_out_by_way,
)
from folkmoot_server.domain.roles import Role

SITES = ("main", "hall")
VISITORS = ("gwen", "ned")
PARTIES = [
    Party(person, insider, frozenset(ways))
    for person, insider in (("binh", True), ("greta", False), *((one, False) for one in VISITORS))
    for ways in ((), ("main",), ("hall",), ("main", "hall"), (ELSEWHERE,))
]


@dataclass(frozen=True)
class Logged:
    seq: int
    type: str
    body: dict[str, Any]
    at: int = 0


def changes() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    some = st.fixed_dictionaries(
        {
            "sites": st.lists(st.sampled_from(SITES), unique=True),
            "visitors": st.lists(st.sampled_from(VISITORS), unique=True),
        }
    )
    one = st.one_of(
        st.fixed_dictionaries({"site": st.sampled_from(SITES), "visitor": st.just(""), "admitted": st.booleans()}),
        st.fixed_dictionaries({"site": st.just(""), "visitor": st.sampled_from(VISITORS), "admitted": st.booleans()}),
    )
    return st.one_of(
        st.tuples(st.just("MessagePosted"), st.just({"id": 1})),
        st.tuples(st.just("FloorGranted"), st.just({"member": "binh"})),
        st.tuples(st.just(BEGAN), some),
        st.tuples(st.just(ADMITTED), one),
        st.tuples(st.just(ENDED), st.just({})),
    )


def logs() -> st.SearchStrategy[list[Logged]]:
    listed = st.lists(changes(), max_size=40)
    return listed.map(lambda found: [Logged(seq, *one) for seq, one in enumerate(found, 1)])


def model(log: list[Logged], party: Party, seq: int) -> bool:
    """Whether a party may know of event `seq`, told from the beginning with nothing but sets."""
    if log[seq - 1].type in (BEGAN, ADMITTED, ENDED):
        return True
    running, sites, visitors = False, set[str](), set[str]()
    for event in log[: seq - 1]:
        if event.type == BEGAN:
            running, sites, visitors = True, set(event.body["sites"]), set(event.body["visitors"])
        elif event.type == ENDED:
            running = False
        elif event.type == ADMITTED and running:
            for kind, names in (("site", sites), ("visitor", visitors)):
                if event.body[kind]:
                    (names.add if event.body["admitted"] else names.discard)(event.body[kind])
    if not running:
        return True
    return all(way in sites for way in party.ways) and (party.insider or party.person in visitors)


@given(logs())
def test_nobody_outside_at_an_event_ever_gets_its_body(log: list[Logged]) -> None:
    history = fold(log)
    for party in PARTIES:
        ranges = history.outside(party)
        for event in log:
            may = model(log, party, event.seq)
            assert any(first <= event.seq <= last for first, last in ranges) is not may
            for audience in Audience:
                kind, body = heard(event.type, event.body, history.at(event.seq), Listener(audience, party))
                assert may or (kind, body) == (WITHHELD, {})
                assert not (may and kind == WITHHELD)


@given(logs())
def test_the_same_comes_of_the_events_of_closed_sessions_alone(log: list[Logged]) -> None:
    alone = [event for event in log if event.type in closed_sessions.CHANGES]
    assert fold(alone) == fold(log)
    last = fold(log).running
    assert fold(log).after(len(log)) == last


@pytest.mark.parametrize("fault", ["ways", "visitors", "end"])
def test_control_a_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halls that are not asked about, everybody named, and an end that is one event too early."""
    log = [
        Logged(1, BEGAN, {"sites": [], "visitors": ["gwen"]}),
        Logged(2, "MessagePosted", {"id": 1}),
        Logged(3, ENDED, {}),
    ]
    wrong = {
        "ways": lambda party, admission: party.insider or party.person in admission.visitors,
        "visitors": lambda party, admission: party.ways <= admission.sites,
    }
    if fault == "end":
        monkeypatch.setattr(closed_sessions.History, "at", lambda _self, _seq: None)
    else:
        monkeypatch.setattr("folkmoot_server.domain.audience.is_inside", wrong[fault])
        monkeypatch.setattr(closed_sessions, "is_inside", wrong[fault])
    run: Any = test_nobody_outside_at_an_event_ever_gets_its_body
    with pytest.raises(AssertionError):
        run.hypothesis.inner_test(log)


def test_who_is_an_insider_and_who_is_kept_out_by_a_hall_alone() -> None:
    assert [role for role in Role if not is_insider(entitled=False, roles={role})] == [Role.OBSERVER, Role.MEMBER]
    assert is_insider(entitled=True, roles={Role.MEMBER, Role.OBSERVER})
    closed, open_hall = Admission(), Admission(frozenset({"hall"}))
    by_hall = Party("binh", True, frozenset({"hall"}))
    assert is_kept_out_by_way(by_hall, closed)
    assert not is_kept_out_by_way(by_hall, open_hall)
    assert not is_kept_out_by_way(Party("greta", False, frozenset({"hall"})), closed)
    assert is_inside(hall("hall"), open_hall)
    assert not is_inside(hall("main"), open_hall)
    assert not is_inside(Party("binh", True, frozenset({ELSEWHERE})), open_hall)
    assert not is_inside(Party("", False), Admission(visitors=frozenset({"gwen"})))
