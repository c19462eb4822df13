"""Which fan-out back end a worker takes, and when a back end refuses to work."""

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pylibsrtp
import pytest
from tests.media.support import Dice

from folkmoot_config.settings import Settings
from folkmoot_media.__main__ import parse_arguments
from folkmoot_media.errors import MediaError
from folkmoot_media.fan import choice, compiled_backend, libsrtp
from folkmoot_media.fan.cffi_backend import CffiFan
from folkmoot_media.fan.compiled_backend import CompiledFan
from folkmoot_media.fan.interface import Unavailable
from folkmoot_media.worker import MediaSelector, Worker, WorkerSettings


@pytest.fixture
def wire() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.setblocking(False)
        yield opened


def choose(wanted: str, wire: socket.socket) -> choice.Choice:
    return choice.choose(wanted, wire, False, Dice("choice").bytes)


def test_the_best_comes_first_and_any_can_be_asked_for(wire: socket.socket) -> None:
    assert choose("auto", wire).fan.name == "compiled"
    assert choose("auto", wire).passed_over == ()
    for name in ("compiled", "cffi", "python"):
        assert choose(name, wire).fan.name == name


def test_without_the_compiled_library_the_next_best_is_taken_and_the_reason_kept(
    wire: socket.socket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(compiled_backend, "LIBRARY", tmp_path / "absent.so")
    chosen = choose("auto", wire)
    assert chosen.fan.name == "cffi"
    assert chosen.passed_over == ("compiled: it has not been compiled (tools/native_build.py does)",)
    with pytest.raises(MediaError, match="not been compiled") as refused:
        choose("compiled", wire)
    assert refused.value.code == "media.fan-unavailable"


@pytest.mark.parametrize("strange", ["binding", "library"])
def test_beside_an_unknown_libsrtp_only_python_is_left(
    strange: str, wire: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    if strange == "binding":
        monkeypatch.setattr(pylibsrtp, "__version__", "1.1.0")
    else:
        monkeypatch.setattr(libsrtp, "KNOWN_LIBRARIES", (b"libsrtp2 2.6.0", b"libsrtp2 2.7.0 "))
    chosen = choose("auto", wire)
    assert chosen.fan.name == "python"
    assert [reason.partition(":")[0] for reason in chosen.passed_over] == ["compiled", "cffi"]
    with pytest.raises(Unavailable):
        CompiledFan(wire, False, Dice("x").bytes)
    with pytest.raises(Unavailable):
        CffiFan(wire, False)


def test_the_library_itself_refuses_what_has_no_known_libsrtp_inside() -> None:
    library = compiled_backend.load(compiled_backend.LIBRARY)
    known = (compiled_backend.ctypes.c_char_p * 1)(b"libsrtp2 2.7.0")
    other = (compiled_backend.ctypes.c_char_p * 1)(b"libsrtp2 9.9.9")
    path = libsrtp.library_path().encode()
    assert library.fan_load(path, other, 1) == b"its libsrtp is of an unknown version"
    assert library.fan_load(path, known, 0) == b"its libsrtp is of an unknown version"
    assert library.fan_load(b"/nowhere.so", known, 1) == b"the shared object cannot be opened"
    assert library.fan_load(str(compiled_backend.LIBRARY).encode(), known, 1) == (
        b"the shared object has no libsrtp inside"
    )
    assert library.fan_load(path, known, 1) is None


def test_a_library_that_is_none_or_of_another_version_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(Unavailable, match="cannot be loaded"):
        compiled_backend.load(broken)
    foreign = tmp_path / "foreign.so"
    shutil.copy(libsrtp.library_path(), foreign)
    with pytest.raises(Unavailable, match="cannot be loaded"):
        compiled_backend.load(foreign)


def test_a_library_of_another_version_of_ours_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_backend, "ABI", 999)
    with pytest.raises(Unavailable, match="another version"):
        compiled_backend.load(compiled_backend.LIBRARY)


def test_pylibsrtp_keeps_its_sessions_where_the_back_ends_look_for_them() -> None:
    ffi, lib = libsrtp.calls()
    policy = pylibsrtp.Policy(key=bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    session = pylibsrtp.Session(policy)
    handle = libsrtp.handle(session)
    assert libsrtp.pointer(session) == int(ffi.cast("uintptr_t", handle)) != 0
    packet = bytes.fromhex("806000010000000200000003") + b"payload"
    buffer, length = ffi.new("char[]", packet + bytes(200)), ffi.new("int *", len(packet))
    assert lib.srtp_protect(handle, buffer, length) == 0
    assert bytes(ffi.buffer(buffer)[0 : length[0]]) == pylibsrtp.Session(policy).protect(packet)


def test_command_line_setting_and_pool_name_the_back_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from folkmoot_server.app import _media_pool

    socket_path = str(tmp_path / "s")
    assert parse_arguments(["--socket", socket_path]).fan == "auto"
    assert parse_arguments(["--socket", socket_path, "--fan", "cffi"]).fan == "cffi"
    with pytest.raises(SystemExit):
        parse_arguments(["--socket", socket_path, "--fan", "fastest"])
    monkeypatch.setenv("FOLKMOOT_MEDIA_FAN", "python")
    assert _media_pool(Settings(data=tmp_path), closed=False).settings.fan == "python"
    monkeypatch.setenv("FOLKMOOT_MEDIA_FAN", "fastest")
    with pytest.raises(ValueError, match="media_fan"):
        Settings(data=tmp_path)


def test_a_worker_says_which_back_end_it_took(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        worker = Worker(WorkerSettings(tmp_path / "w.sock", "127.0.0.1", ("127.0.0.1",), 0, fan="cffi"))
    assert "fan-out back end: cffi" in caplog.text
    assert worker._figures()["fan"] == "cffi"
    worker._udp.close()


def test_a_worker_that_cannot_have_the_back_end_it_must_have_says_so_and_ends(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from folkmoot_media.fan import compiled_backend\n"
        "compiled_backend.LIBRARY = Path('/nowhere.so')\n"
        "from folkmoot_media.__main__ import main\n"
        "sys.argv = ['worker', '--socket', sys.argv[1], '--fan', 'compiled']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "w.sock")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: This fan-out back end does not work here: compiled:")


# -- the selector that serves media meanwhile -----------------------------------------------------------------


def run_with_media(wire: socket.socket, play: Any) -> Any:
    """Run `play(heard, selector)` on a loop whose selector reads `wire` into the list `heard`."""
    selector = MediaSelector()
    heard: list[bytes] = []
    selector.serve(wire.fileno(), lambda: heard.append(wire.recv(2048)))
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        return runner.run(play(heard, selector))


def test_media_is_served_while_the_loop_waits_and_without_a_turn_of_it(wire: socket.socket) -> None:
    async def play(heard: list[bytes], selector: MediaSelector) -> tuple[int, int]:
        turns = 0
        honest = selector.select

        def counted(timeout: float | None = None) -> Any:
            nonlocal turns
            turns += 1
            return honest(timeout)

        selector.select = counted  # type: ignore[method-assign]
        for _ in range(100):
            wire.sendto(b"media", wire.getsockname())
        await asyncio.sleep(0.05)
        return len(heard), turns

    heard, turns = run_with_media(wire, play)
    assert heard == 100
    assert turns < 20


def test_timers_and_other_descriptors_get_their_turn_under_a_flood(wire: socket.socket) -> None:
    async def play(heard: list[bytes], selector: MediaSelector) -> str:
        state = SimpleNamespace(flooding=True)
        one, other = socket.socketpair()
        one.setblocking(False)

        def again() -> None:
            heard.append(wire.recv(2048))
            if state.flooding:
                wire.sendto(b"flood", wire.getsockname())

        selector.stop_serving()
        selector.serve(wire.fileno(), again)
        wire.sendto(b"flood", wire.getsockname())
        await asyncio.sleep(0.02)
        other.send(b"control")
        async with asyncio.timeout(20):
            answer = await asyncio.get_running_loop().sock_recv(one, 100)
        state.flooding = False
        await asyncio.sleep(0.02)
        one.close()
        other.close()
        return answer.decode()

    assert run_with_media(wire, play) == "control"


def test_a_descriptor_no_longer_served_is_left_alone(wire: socket.socket) -> None:
    async def play(heard: list[bytes], selector: MediaSelector) -> int:
        selector.stop_serving()
        wire.sendto(b"media", wire.getsockname())
        await asyncio.sleep(0.02)
        return len(heard)

    assert run_with_media(wire, play) == 0
    assert wire.recv(2048) == b"media"
