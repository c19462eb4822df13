"""The meeting with text alone, short: its JSON, its controls, and what it says where there are no namespaces."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loadtests import l0, l0_member

SHORT = ["--kbit", "512", "--rtt-ms", "40", "--loss", "0.02", "--members", "9", "--turns", "2", "--idle-s", "11"]
NOT_HERE = "network namespaces and TUN devices are not to be had here"


def hold(*more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(l0.__file__)), *SHORT, "--check-s", "0", *more]
    surroundings = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=surroundings)


def test_a_short_meeting_is_held_from_signing_in_to_leaving_and_every_part_is_counted(tmp_path: Path) -> None:
    target = tmp_path / "l0.json"
    done = hold("--json", str(target))
    assert done.returncode == 0, done.stderr
    assert "page turn" in done.stdout
    result: dict[str, Any] = json.loads(target.read_text())
    parts = result["parts"]
    assert parts.pop("nobody there (control)")["sent"] == 0
    for name, part in parts.items():
        assert part["down_sent"] > 0, name
        assert part["up_sent"] > 0, name
    assert parts["idle beside a voice (control)"]["sent"] > 2 * parts["idle"]["sent"]
    assert result["cold"]["files"] > 10
    assert 20_000 < result["cold"]["octets"] < parts["the cold load, apart"]["down_sent"]
    whole = result["whole"]
    assert whole["down_sent"] + whole["up_sent"] >= sum(part["sent"] for part in parts.values())
    turns = result["page_turns"]
    assert (turns["turns"], turns["least_down"] > turns["frame_octets"] > 0) == (2, True)
    # One page changed: the list of hashes and that page cross the link, and the others do not again.
    second = result["second_version"]
    assert (second["fetched"], second["pages"] >= 5) == (1, True)
    assert 0 < second["octets"] < second["first"] / 2
    assert result["presence"]["confirmed"] == 1
    assert result["vote"]["proof_requests"] >= 1
    assert result["hour"]["together"] == pytest.approx(
        sum(octets for name, octets in result["hour"].items() if name != "together"), abs=10
    )


def test_without_namespaces_it_says_so_and_ends_with_2(tmp_path: Path) -> None:
    done = hold(PATH=str(tmp_path))
    assert done.returncode == 2
    assert NOT_HERE in done.stderr
    assert not done.stdout


def test_the_snapshot_is_asked_for_by_the_lists_of_the_pages() -> None:
    listed = l0_member.incomplete()
    assert {"ElectionOpened", "MotionDecided", "SeatMoved"} <= listed
    assert not {"PagePresented", "FloorGranted", "BallotAccepted"} & listed


def test_an_hour_is_what_happened_once_and_the_usual_acts_above_what_runs_anyway() -> None:
    def part(sent: int, counted_s: float = 10) -> dict[str, float]:
        return {"sent": sent, "counted_s": counted_s}

    names = ("sign in and open the room", "check in", "opening", "leave", "fetch the paper once", "request to speak")
    names += ("a vote opens", "vote", "others vote", "proof", "counting and result")
    parts = {"idle": part(100), **{name: part(300) for name in names}}
    found = l0.hour(parts, {"sent": 500, "counted_s": 10, "turns": 2})
    once, leases, turns, asked, voting = 4 * 200, 36_000, 60 * 200, 3 * 200, 4 * 5 * 200
    assert found["together"] == once + 200 + leases + turns + asked + voting
