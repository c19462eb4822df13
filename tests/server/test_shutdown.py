"""SIGTERM while people are connected: the server and its workers are gone soon, and the next start goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from folkmoot_server.app import FILES_MAX

FOLKMOOT = Path(sys.executable).parent / "folkmoot"
EXIT_S = 20.0


@contextmanager
def server(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run `folkmoot serve` on a free port; yield the process and what it wrote when it was ready."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    command = [
        "sh",
        "-c",
        'ulimit -Sn 256; exec "$@"',
        "sh",
        str(FOLKMOOT),
        "serve",
        "--demo",
        "--port",
        "0",
        "--media-workers",
        "2",
        *words,
    ]
    command += ["--data", str(folder / "data"), "--print-links-json", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            deadline = time.monotonic() + 90
            while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(0.1)
            assert ready.exists(), process.stdout.read() if process.poll() is not None and process.stdout else "slow"
            yield process, json.loads(ready.read_text())
        finally:
            process.kill()


def children(pid: int) -> set[int]:
    """Process ids of the children (Linux)."""
    return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def half_a_request(port: int) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(
        b"POST /api/sign-in/begin HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    return client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_server_and_workers_although_clients_stall(tmp_path: Path, number: signal.Signals) -> None:
    with server(tmp_path) as (process, told):
        workers = children(process.pid)
        assert len(workers) >= 2  # one that makes page images may run beside them
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
        assert int(soft) == min(int(hard), FILES_MAX) > 256
        clients = [half_a_request(told["port"]), socket.create_connection(("127.0.0.1", told["port"]))]
        process.send_signal(number)
        output, _ = process.communicate(timeout=EXIT_S)
        assert process.returncode == 0, output
        assert "Traceback" not in output
        for client in clients:
            client.close()
    assert not [pid for pid in workers if alive(pid)]
    assert not list((tmp_path / "data" / "run").glob("*.sock"))


def test_control_a_killed_server_leaves_its_workers_for_the_next_one(tmp_path: Path) -> None:
    with server(tmp_path) as (process, _):
        workers = children(process.pid)
        process.kill()
        process.wait()
    assert [pid for pid in workers if alive(pid)]
    with server(tmp_path) as (process, told):
        assert told["links"]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=EXIT_S)
        assert process.returncode == 0
    left = [pid for pid in workers if alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
