"""The load test of sockets, small: its JSON, and that it sees what is late, missing, out of order or out of date."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from loadtests import sockets

SMALL = ["--sockets", "8", "--events", "10", "--rate", "20", "--items", "3", "--elections", "2"]
SHORT = ["--idle", "0.5", "--refetch", "--storms", "2", "--storm-s", "0.5"]
MEETING = "meeting"


def page(seqs: dict[int, float]) -> sockets.Page:
    person: Any = SimpleNamespace(member="m")
    opened = sockets.Page(person, MEETING)
    for seq, at in seqs.items():
        opened.heard[seq] = at
    return opened


def test_the_json_says_what_came_when_and_what_it_cost(tmp_path: Path) -> None:
    target = tmp_path / "sockets.json"
    command = [sys.executable, str(Path(sockets.__file__)), *SMALL, *SHORT, "--json", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "p95" in done.stdout
    result: dict[str, Any] = json.loads(target.read_text())
    (found,) = result["rounds"]
    assert (found["deliveries"], found["missing"], found["out_of_order"]) == (80, 0, 0)
    assert 0 < found["delivery_ms"]["p50"] <= found["delivery_ms"]["p95"] <= found["delivery_ms"]["max"]
    assert found["cpu_us_per_delivery"] > 0
    assert (found["refetch"]["snapshots"], found["refetch"]["wrong"]) == (16, 0)
    assert found["refetch"]["bytes"] > 1000
    assert found["refetch"]["events_meanwhile_missing"] == 0


def test_what_is_missing_or_late_shows() -> None:
    commands: Any = SimpleNamespace(sent={5: 10.0, 6: 11.0}, answered=[0.1])
    whole = [page({5: 10.1, 6: 11.1}), page({5: 10.1, 6: 11.1})]
    assert sockets.figures(whole, commands)["missing"] == 0
    lacking = sockets.figures([whole[0], page({5: 10.5})], commands)
    assert (lacking["missing"], lacking["deliveries"]) == (1, 3)
    assert lacking["delivery_ms"]["max"] == 500.0


def test_a_gap_and_a_repetition_show() -> None:
    for seqs, wrong in (((1, 2, 3), 0), ((1, 3), 1), ((1, 2, 2, 3), 1)):
        heard = page({})
        for seq in seqs:
            heard._hear('42["event",' + json.dumps({"seq": seq, "type": "HandRaised", "at": 1, "body": {}}) + "]")
        assert heard.wrong == wrong, seqs


def test_a_snapshot_that_is_too_old_or_not_whole_is_wrong() -> None:
    good = {"seq": 7, "present": [{}] * 3, "me": {"checked_in": True}}
    assert not sockets.wrong(7, json.dumps(good).encode(), 3)
    spoiled: list[dict[str, Any]] = [{"seq": 6}, {"present": [{}] * 2}, {"me": {"checked_in": False}}]
    for worse in spoiled:
        assert sockets.wrong(7, json.dumps({**good, **worse}).encode(), 3), worse
    assert sockets.wrong(-1, b"", 3)
