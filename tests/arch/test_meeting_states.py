"""``docs/spec/meeting_states.md`` is exactly what its tool makes of the table."""

import re

import pytest
from tools import gen_meeting_states

from folkmoot_server.domain.meetings import NEXT, State


def test_the_picture_of_the_states_is_current() -> None:
    up_to_date = gen_meeting_states.TARGET.read_text() == gen_meeting_states.document()
    assert up_to_date, "run: python tools/gen_meeting_states.py"


def test_the_document_says_the_whole_table_and_nothing_else() -> None:
    """Read the document back, without the tool."""
    text = gen_meeting_states.TARGET.read_text()
    moves = {
        (before.replace("_", "-"), act, after.replace("_", "-"))
        for before, after, act in re.findall(r"^    (\w+) --> (\w+): ([a-z-]+)$", text, re.MULTILINE)
    }
    rows = re.findall(r"^\| ([a-z-]+) \| ([a-z, -]+) \|$", text.split("|---|---|")[1], re.MULTILINE)
    stays = {(state, act, state) for state, acts in rows for act in acts.split(", ")}
    assert moves | stays == {(state.value, act.value, after.value) for (state, act), after in NEXT.items()}
    assert {before for before, _, _ in moves} | {after for _, _, after in moves} == {state.value for state in State}


def test_control_another_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = dict(list(NEXT.items())[1:])
    monkeypatch.setattr(gen_meeting_states, "NEXT", fewer)
    assert gen_meeting_states.TARGET.read_text() != gen_meeting_states.document()
