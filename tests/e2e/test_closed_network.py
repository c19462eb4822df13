"""A real Chromium joins a real meeting from a network that lets out nothing but TCP to port 443."""

import copy
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from loadtests import closed_net, coturn_host, name_server


def hold(*more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(closed_net.__file__)), *more]
    surroundings = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=400, env=surroundings)


@pytest.mark.browser
@pytest.mark.timeout(420)
def test_a_closed_network_is_left_by_tls_alone_and_the_page_says_when_it_cannot_be(tmp_path: Path) -> None:
    target = tmp_path / "closed.json"
    done = hold("--kbit", "10000", "--json", str(target))
    assert target.exists(), done.stderr
    result: dict[str, Any] = json.loads(target.read_text())
    assert result["problems"] == []
    (joined,) = result["M12"]
    assert set(joined["goes by"]) == set(joined["goes by, after the cut"]) == {"relay/tls"}
    assert joined["dropped"]["udp_out"] > 0
    assert joined["dropped"]["tcp_out"] > 0
    assert result["expired"]["came"] == {"frame": False, "sound": False}
    assert "lets no sound and pictures through" in result["expired"]["words"]
    (free,) = result["without firewall"]
    assert all("relay" not in one for one in free["goes by"])


def test_without_namespaces_it_says_so_and_ends_with_2(tmp_path: Path) -> None:
    done = hold(PATH=str(tmp_path))
    assert done.returncode == 2
    assert "no closed network can be made here" in done.stderr
    assert not done.stdout


def figures() -> dict[str, Any]:
    dropped = {"unasked": 0, "udp_out": 9, "tcp_out": 3}
    times = {"first frame_s": 2.0, "first sound_s": 2.0, "rtt_ms": 40}
    back = {"back after a cut_s": 3.0, "goes by, after the cut": ["relay/tls"]}
    return {
        "M12": [{**times, **back, "goes by": ["relay/tls", "relay/tls"], "dropped": dropped}],
        "expired": {"words": "Nothing gets through.", "came": {"frame": False, "sound": False}},
        "without firewall": [{**times, "goes by": ["prflx/udp"], "dropped": {**dropped, "udp_out": 0}}],
    }


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("M12", {"goes by": ["relay/tls", "prflx/tcp"]}),
        ("M12", {"goes by": []}),
        ("M12", {"goes by, after the cut": ["relay/udp"]}),
        ("M12", {"back after a cut_s": None}),
        ("M12", {"dropped": {"udp_out": 0, "tcp_out": 3}}),
        ("M12", {"dropped": {"udp_out": 9, "tcp_out": 0}}),
        ("expired", {"came": {"frame": False, "sound": True}}),
        ("expired", {"words": ""}),
        ("without firewall", {"goes by": ["relay/tls"]}),
        ("without firewall", {"dropped": {"udp_out": 1}}),
    ],
)
def test_what_is_not_as_it_must_be_is_noticed(part: str, change: dict[str, Any]) -> None:
    whole = figures()
    assert closed_net.problems(whole) == []
    wrong = copy.deepcopy(whole)
    target = wrong[part]
    (target[0] if isinstance(target, list) else target).update(change)
    assert len(closed_net.problems(wrong)) == 1


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes((len(part),)) + part.encode() for part in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def test_the_routers_name_server_knows_its_names_and_says_what_it_does_not_know() -> None:
    names = {coturn_host.NAME: coturn_host.ADDRESS}
    known = name_server.answer(question(coturn_host.NAME.upper()), names)
    assert known is not None
    assert struct.unpack_from("!HHHH", known) == (7, 0x8580, 1, 1)
    assert known.endswith(socket.inet_aton(coturn_host.ADDRESS))
    other_family = name_server.answer(question(coturn_host.NAME, 28), names)
    assert other_family is not None
    assert struct.unpack_from("!HHHH", other_family) == (7, 0x8580, 1, 0)
    unknown = name_server.answer(question("example.org"), names)
    assert unknown is not None
    assert struct.unpack_from("!HHHH", unknown) == (7, 0x8583, 1, 0)
    assert name_server.answer(known, names) is None
    assert [name_server.answer(question("a.b")[:size], names) for size in range(16)] == [None] * 16
