"""A relay behind a router that translates addresses: enrolled, synced, heard and hearing, whatever is forgotten."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loadtests import halls, halls_nat

SHORT = ["--scenario", "nat", "--times", "1", "--lives", "1", "--rest-s", "1"]


def hold(*more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(halls.__file__)), *more]
    surroundings = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, env=surroundings)


@pytest.mark.timeout(300)
def test_voices_and_the_outbox_cross_a_router_that_forgets_moves_and_lets_nothing_in(tmp_path: Path) -> None:
    target = tmp_path / "nat.json"
    done = hold(*SHORT, "--json", str(target))
    assert target.exists(), done.stderr
    result: dict[str, Any] = json.loads(target.read_text())
    assert result["problems"] == []
    (reach,) = result["reach"].values()
    assert set(reach["hub to relay"].values()) == set(reach["hub to relay, by a route"].values()) == {False}
    assert reach["control: the router's door is open"]["connection"]
    assert reach["control: the router's door is open"]["datagram"]
    for change in (*result["mappings forgotten"], *result["another address"], result["cut and forgotten"]):
        assert change["new mappings"] > 0
    assert result["hub hears"] == ["10.79.1.2", "10.79.1.3"]
    assert result["hand in the cut"]["status"] == 202


def test_without_translation_it_says_so_and_goes_on_only_when_told(tmp_path: Path) -> None:
    for name in ("ip", "python3"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / name).symlink_to(found)
    done = hold(PATH=str(tmp_path))
    assert done.returncode == 2
    assert "no router can translate addresses here" in done.stderr
    assert "--no-nat" in done.stderr
    assert not done.stdout
    done = hold("--scenario", "nat", "--no-nat", PATH=str(tmp_path))
    assert done.returncode == 2
    assert "the scenario nat is about the router" in done.stderr


def closed(**changes: Any) -> dict[str, Any]:
    nothing = {"connection": False, "datagram": False, "connection to the router": False}
    everything = {**nothing, "connection": True, "datagram": True}
    whole = {
        "hub to relay": nothing,
        "hub to relay, by a route": nothing,
        "control: the router's door is open": everything,
        "unasked packets dropped": 9,
        "hub hears the router alone": True,
    }
    return {"https://hall1.folkmoot.test": {**whole, **changes}}


def test_a_router_that_lets_something_in_and_a_control_that_shows_nothing_are_noticed() -> None:
    got_in = {"connection": True, "datagram": False, "connection to the router": False}
    nothing = dict.fromkeys(got_in, False)
    assert halls_nat.closed_problems(closed()) == []
    assert len(halls_nat.closed_problems(closed(**{"hub to relay": got_in}))) == 1
    assert len(halls_nat.closed_problems(closed(**{"hub to relay, by a route": got_in}))) == 1
    assert len(halls_nat.closed_problems(closed(**{"control: the router's door is open": nothing}))) == 1
    assert len(halls_nat.closed_problems(closed(**{"unasked packets dropped": 0}))) == 1
    assert len(halls_nat.closed_problems(closed(**{"hub hears the router alone": False}))) == 1
    assert halls_nat.closed_problems({"https://hall1.folkmoot.test": {"relay to hub": True}}) == []
