"""The 300-seat load test, small: its JSON, and that it sees a gap and a leak that are there."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from loadtests import meeting
from loadtests.clients import PacketSource
from loadtests.namespace import LOOPBACK

SMALL = ["--seats", "8", "--sites", "2", "--hall", "3", "--watchers", "2", "--microphones", "5"]
SHORT = ["--join-within", "0.5", "--seconds", "1", "--backend", "python"]


def options(*arguments: str) -> Namespace:
    return meeting.parse([*SMALL, *SHORT, *arguments])


def test_the_json_says_what_was_joined_sent_and_used(tmp_path: Path) -> None:
    target = tmp_path / "meeting.json"
    command = [sys.executable, str(Path(meeting.__file__)), *SMALL, *SHORT, "--json", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    assert meeting.NOTE in done.stdout
    result: dict[str, Any] = json.loads(target.read_text())
    assert (result["direct"], result["sites"], result["joins"], result["joins_failed"]) == (2, 2, 10, 0)
    assert result["receivers"] == 2 + 2 + 2
    assert result["steady"]["forwarded"] > 0
    assert result["steady"]["cpu_us_per_packet"] > 0
    assert result["joining"]["longest_floor_gap_ms"] > 0
    assert result["memory_kb_last"] > 0
    assert result["wrong_inside"] == 0
    assert result["decrypted_and_compared"] > 0


async def test_a_floor_that_is_silent_for_a_while_shows_as_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    due = PacketSource.send_due

    def halting(source: PacketSource, now: float) -> None:
        # The floor's microphone is the loudest; it says nothing for 0.3 of every 0.6 s.
        if source.kind == "video" or source.level > meeting.LOUD or now % 0.6 < 0.3:
            due(source, now)

    monkeypatch.setattr(PacketSource, "send_due", halting)
    result = await meeting.run(options("--seconds", "2"), LOOPBACK)
    assert result["steady"]["longest_floor_gap_ms"] > 200


def test_a_memory_that_grows_has_a_slope() -> None:
    assert meeting.slope([(0.0, 1000), (1.0, 1010), (2.0, 1020)]) == pytest.approx(600)
    assert meeting.slope([(0.0, 1000), (1.0, 1000), (2.0, 1000)]) == pytest.approx(0)


def test_arrivals_are_mixed_and_complete() -> None:
    order = meeting.arrivals(meeting.parse([]))
    assert (order.count("direct"), order.count("hall"), order.count("site")) == (100, 200, 20)
    assert {"direct", "hall", "site"} == set(order[:30])
