"""What the load test of a hall's clients makes of its counts, and what it says where there are no namespaces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loadtests import clients_at_hall as tool
from loadtests.emulator import Mover

NOT_HERE = "network namespaces and TUN devices are not to be had here"


def counted(octets: int, tcp: int, lost: int = 0) -> dict[str, Any]:
    """What the emulator says of one way."""
    return {"octets": octets, "tcp": tcp, "overflowed": lost}


def part(up: int, tcp: int, seconds: float = 10.0) -> dict[str, Any]:
    before = {way: counted(500, 100) for way in tool.WAYS}
    after = {"up": counted(500 + up, 100 + tcp), "down": counted(500 + 4 * up, 100 + 2 * tcp, 3)}
    return {**tool.between(before, after, seconds), "heard": {"the hub": 9}}


def found(many: dict[str, Any], control: dict[str, Any]) -> dict[str, Any]:
    one = part(10_000, 1_000)
    shares = {"all": tool.more(one, many), tool.CONTROL: tool.more(one, control)}
    return {"more": shares, "parts": {"one": one, "all": many}}


def test_what_has_crossed_is_the_difference_of_two_answers() -> None:
    one = part(10_000, 1_000)
    assert (one["up_octets"], one["up_tcp"], one["up_kbit"]) == (10_000, 1_000, 8.0)
    assert (one["down_octets"], one["down_tcp"], one["down_overflowed"]) == (40_000, 2_000, 3)


def test_a_share_is_by_the_second_and_requests_stand_by_themselves() -> None:
    one, longer = part(10_000, 1_000), part(20_800, 2_400, 20.0)
    assert tool.more(one, longer) == {"up": 0.04, "up, requests": 0.02, "down": 0.04, "down, requests": 0.01}
    # Media that gave way hide in the sum what the requests took more.
    assert tool.more(one, part(10_000, 3_000))["up"] == 0
    assert tool.more(one, part(10_000, 3_000))["up, requests"] == 0.2


@pytest.mark.parametrize(
    ("up", "tcp", "said"),
    [(10_500, 1_500, 0), (10_600, 1_100, 2), (10_000, 1_600, 1), (10_000, 2_100, 2)],
)
def test_more_than_a_twentieth_fails_the_run(up: int, tcp: int, said: int) -> None:
    problems = tool.problems(found(part(up, tcp), part(12_000, 3_000)))
    assert len(problems) == said, problems
    assert all("not 5 % at most" in one for one in problems)


def test_a_control_that_is_not_noticed_and_silence_fail_it_too() -> None:
    good = part(10_100, 1_100)
    assert tool.problems(found(good, good)) == ["pages that ask every few seconds were not noticed"]
    silent = found({**good, "heard": {"the hub": 0}}, part(12_000, 3_000))
    assert tool.problems(silent) == ["all: no sound or picture came to the hub"]


def test_what_each_did_is_counted_without_what_goes_anyway() -> None:
    idle, did = part(9_000, 1_000, 20.0), part(9_000, 5_500, 10.0)
    assert tool.each(did, 5, idle) == {"up": 1_000, "down": 2_000}


def test_the_link_says_what_of_it_was_tcp() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    mover = Mover(reading, writing)

    def packet(protocol: int, size: int) -> bytes:
        return bytes((0x45,)) + bytes(8) + bytes((protocol,)) + bytes(size - 10)

    try:
        for data in (packet(6, 100), packet(17, 60)):
            os.write(writing, data)
            mover._take(reading)
    finally:
        os.close(reading)
        os.close(writing)
    carried = mover.ways[reading].carried
    assert (carried.octets, carried.tcp) == (160, 100)


def test_without_namespaces_it_says_so_and_ends_with_2(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(tool.__file__))]
    surroundings = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=surroundings)
    assert (done.returncode, done.stdout) == (2, "")
    assert NOT_HERE in done.stderr
