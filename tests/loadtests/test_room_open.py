"""What the tool for the large room reads out of a trace, and when it says that a task was too long."""

from __future__ import annotations

from typing import Any

import pytest
from loadtests import room_open


def named(tid: int, name: str) -> dict[str, Any]:
    return {"name": "thread_name", "pid": 1, "tid": tid, "args": {"name": name}}


def task(tid: int, ms: float, name: str = "RunTask") -> dict[str, Any]:
    return {"name": name, "pid": 1, "tid": tid, "tdur": ms * 1000, "dur": ms * 5000}


TRACE = [
    named(1, "CrRendererMain"),
    named(2, "Compositor"),
    task(1, 12),
    task(1, 40),
    task(2, 90),
    task(1, 70, "Layout"),
]


def test_the_longest_task_is_one_of_the_pages_thread() -> None:
    assert room_open.cpu_of_tasks(TRACE) == [40, 12]


def test_a_trace_without_processor_time_is_refused() -> None:
    silent = [{key: value for key, value in event.items() if key != "tdur"} for event in TRACE]
    with pytest.raises(RuntimeError, match="no processor time"):
        room_open.cpu_of_tasks(silent)


@pytest.mark.parametrize(("ms", "code"), [(room_open.AIM_MS, 0), (room_open.AIM_MS + 1, 1)])
def test_a_task_over_the_aim_fails_the_run(ms: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"pages": pages, "screen": "chair: chair", "cpu": {"open": ms, "events": 1}, "wall": {"open": 1, "events": 1}}
        for pages in ("this", "this", "this")
    ]
    before = {**rows[0], "pages": "beside", "cpu": {"open": 900, "events": 900}}
    found = {"slow": 6, "factors": [{"page": 5.9}], "rounds": [*rows, before]}
    assert room_open.show(found) == code
    assert "slower by 5.9" in capsys.readouterr().out
