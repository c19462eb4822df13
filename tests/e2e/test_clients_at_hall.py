"""A small hall's line, counted with one page at its relay and with all of them; the control is noticed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loadtests import clients_at_hall as tool

CLIENTS = 6
SHORT = ["--clients", str(CLIENTS), "--seconds", "24", "--idle", "4", "--settle", "4", "--rtt-ms", "100"]


@pytest.mark.timeout(600)
def test_all_pages_of_a_hall_hear_and_ask_the_same_and_the_line_hardly_carries_more(tmp_path: Path) -> None:
    target = tmp_path / "clients.json"
    command = [sys.executable, str(Path(tool.__file__)), *SHORT, "--json", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=540)
    assert target.exists(), done.stderr
    result: dict[str, Any] = json.loads(target.read_text())
    one, everybody, control = (result["parts"][name] for name in ("one", "all", tool.CONTROL))
    # Each page has followed to both pages of the paper and asked for the meeting after what no event says whole.
    assert (one["pages"], everybody["pages"]) == (2, 2 * CLIENTS)
    assert one["snapshots"] >= 1
    assert everybody["snapshots"] >= CLIENTS * one["snapshots"] / 2
    assert all(count > 0 for part in (one, everybody, control) for count in part["heard"].values())
    # What media take differs from part to part; what the pages' requests take does not.
    requests = {way: share for way, share in result["more"]["all"].items() if "requests" in way}
    assert max(requests.values()) <= tool.MOST_MORE, requests
    assert result["more"][tool.CONTROL]["up, requests"] > tool.MOST_MORE
    assert set(result["apart"]) == {"coming in", "a hand", "a ballot, with booth and announcement"}
