"""The edges of the worker's loop."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from folkmoot_media.__main__ import parse_arguments
from folkmoot_media.transport.limits import SourceLimiter, ThrottledLog, TokenBucket
from folkmoot_media.worker import Worker, WorkerSettings


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    fresh = Worker(WorkerSettings(tmp_path / "w.sock", "127.0.0.1", ("127.0.0.1",), 0))
    yield fresh
    fresh._udp.close()


def test_a_fault_behind_the_socket_is_contained_counted_and_logged_once_a_second(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret \x00 bytes of the datagram")

    monkeypatch.setattr(worker._rooms.mux, "datagram", fail)
    with caplog.at_level(logging.WARNING):
        for number in range(3000):
            worker.take_datagram(b"x", ("127.0.0.1", 1), 10.0 + number / 1000)
    assert worker._counters["contained_errors"] == 3000
    assert [record.message for record in caplog.records] == [
        "contained error in datagram: RuntimeError",
        "contained error in datagram: RuntimeError (999 more not shown)",
        "contained error in datagram: RuntimeError (999 more not shown)",
    ]


def test_the_command_line_announces_what_it_listens_on_unless_told_otherwise(tmp_path: Path) -> None:
    socket = str(tmp_path / "s")
    settings = parse_arguments(["--socket", socket, "--listen-ip", "10.0.0.1", "--udp-port", "40000"])
    assert (settings.announced, settings.udp_port, settings.orphan_lifetime) == (("10.0.0.1",), 40000, 60.0)
    settings = parse_arguments(["--socket", socket, "--listen-ip", "::", "--announce-ip", "192.0.2.7,2001:db8::7"])
    assert (settings.listen_ip, settings.announced) == ("::", ("192.0.2.7", "2001:db8::7"))


def test_a_bucket_refills_with_time_and_never_overflows() -> None:
    bucket = TokenBucket(10, 20)
    assert all(bucket.take(1, 100.0) for _ in range(20))
    assert not bucket.take(1, 100.0)
    assert bucket.take(1, 100.2)
    assert bucket.level(1e6) == 20


def test_a_source_limiter_forgets_the_oldest_source_first() -> None:
    limiter = SourceLimiter(1, 2, 3)
    for source in "aabb":
        limiter.charge(source, 0.0)
    assert limiter.exhausted("a", 0.0)
    for source in "cd":
        limiter.charge(source, 0.0)
    assert not limiter.exhausted("a", 0.0)
    assert limiter.exhausted("b", 0.0)


def test_a_throttled_log_starts_at_once_and_counts_what_it_left_out() -> None:
    lines: list[str] = []
    log = ThrottledLog(lines.append)
    for now in (0.0, 0.5, 0.9, 1.0, 5.0):
        log.line("x", now)
    assert lines == ["x", "x (2 more not shown)", "x"]
