"""A flood from strangers: the voice goes on, what they send is refused, and the log stays quiet."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from loadtests import flood


def test_a_voice_goes_on_under_a_flood_from_addresses_that_nobody_checked(tmp_path: Path) -> None:
    target = tmp_path / "flood.json"
    short = ["--flood", "4000", "--seconds", "1", "--rounds", "1", "--json", str(target)]
    command = [sys.executable, str(Path(flood.__file__)), *short]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(target.read_text())
    quiet, flooded = result["rounds"]
    assert quiet["voice_packets"] > 0
    assert flooded["voice_packets"] > 0
    assert result["faults_contained"] == 0
    refused, before = (sum(one["refused"].values()) for one in (flooded, quiet))
    assert refused > flooded["strangers_sent"] / 10
    # One line a second at most, however many come; the log is really looked at: a worker's start is in it.
    assert flooded["log_lines"] <= 5
    assert result["log_lines_in_all"] >= 1
    assert before == 0  # the control: nobody is refused while nobody floods
