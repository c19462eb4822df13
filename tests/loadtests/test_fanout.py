"""The fan-out benchmark: its JSON, its answer to losses, and its honesty about packets that never came."""

import json
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from loadtests import fanout
from loadtests.clients import Load, PacketSource, until
from loadtests.namespace import LOOPBACK
from loadtests.streams import Stream

SCRIPT = Path(fanout.__file__)
TINY = ["--subscribers", "2", "--rate", "100", "--rounds", "1", "--seconds", "0.5", "--size", "300"]


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *TINY, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)


def options(*arguments: str) -> Namespace:
    return fanout.parse([*TINY, *arguments])


async def one_round(chosen: Namespace) -> tuple[fanout.Bench, fanout.Round]:
    (bench,) = await fanout.run(chosen, LOOPBACK)
    return bench, bench.rounds[0]


def test_the_json_has_both_figures_and_their_ratio(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    done = run_script("--backend", "python", "--peer", "python", "--delay", "--json", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(target.read_text())
    assert result["ours_us"] > 0
    assert result["peer_us"] > 0
    assert result["ratio"] == pytest.approx(result["ours_us"] / result["peer_us"], abs=0.01)
    assert result["delay_p50_ratio"] > 0
    assert result["ours_delay_p99_us"] >= result["ours_delay_p50_us"]
    for did in result["did"].values():
        assert did["forwarded"] == 2 * did["packets_in"] - did["missing"]
        assert did["decrypted_and_compared"] > 0
        assert did["wrong_inside"] == did["faults_contained"] == 0


@pytest.mark.parametrize("peer", fanout.JANUSES)
def test_janus_is_driven_by_the_same_generator_or_asked_for(tmp_path: Path, peer: str) -> None:
    target = tmp_path / "result.json"
    done = run_script("--backend", "python", "--peer", peer, "--loss", "5", "--json", str(target))
    if shutil.which("janus") is None:
        assert done.returncode == 1
        assert "apt-get install janus" in done.stderr or "namespace" in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(target.read_text())
    assert result["peer"] == peer
    assert result["peer_us"] > 0
    assert result["did"]["peer"]["forwarded"] > 0
    assert result["did"]["peer"]["wrong_inside"] == 0


async def test_lost_packets_are_asked_for_and_come_again() -> None:
    bench, made = await one_round(options("--loss", "20", "--rate", "400"))
    assert made.good
    assert made.missing_percent == 0
    did = fanout.what_it_did(bench)
    assert did["lost_on_purpose"] > 0
    assert did["nacked"] >= did["lost_on_purpose"]
    assert 0 < did["repaired"] <= did["nack_answered"]


async def test_a_receiver_that_drops_packets_unasked_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Stream.take
    count = 0

    def deaf(stream: Stream, sequence: int, keep: bool) -> bool:
        nonlocal count
        count += 1
        return count % 10 != 0 and heard(stream, sequence, keep)

    monkeypatch.setattr(Stream, "take", deaf)
    _, made = await one_round(options())
    assert made.missing_percent > 5
    assert not made.good
    assert "DISCARDED" in fanout.describe(0, "python", made)


async def test_a_forged_payload_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator looks inside: a server that sent other bytes would show."""
    made = PacketSource.__init__

    def other_body(source: PacketSource, *arguments: Any) -> None:
        made(source, *arguments)
        source._body = b"x" * len(source._body)

    monkeypatch.setattr(PacketSource, "__init__", other_body)
    bench, _ = await one_round(options("--delay"))
    assert fanout.what_it_did(bench)["wrong_inside"] > 0


async def test_voices_go_through_a_slot() -> None:
    _, made = await one_round(options("--kind", "audio", "--size", "120"))
    assert made.good
    assert made.arrived == 2 * made.sent


def test_an_unknown_back_end_is_a_clear_error() -> None:
    done = run_script("--backend", "quantum")
    assert done.returncode == 2
    assert "invalid choice: 'quantum'" in done.stderr


async def test_a_generator_that_stopped_says_why() -> None:
    load = Load(LOOPBACK)
    load.start()
    load._drain = lambda: 1 / 0  # type: ignore[method-assign, assignment]
    with pytest.raises(ZeroDivisionError):
        await until(load, lambda: False, 10, "never")
    await load.close()
