"""The compiled fan-out library under the sanitizers, and against the back end in Python on hostile datagrams.

Each guard has a control: the guard is taken out of a copy of the C source, and the same test must fail.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.media.fan_rig import Guest, RoomRig, TableRig, made, picture
from tests.media.support import Dice, audio_parameters, mutate, rtp, video_parameters
from tests.media.test_fan_equality import complain, consume, table_outcome
from tools import native_build

from folkmoot_media.fan import compiled_backend
from folkmoot_media.transport.active import ActiveTransport
from folkmoot_media.transport.aiortc_adapter import DtlsIdentity

ROOT = Path(__file__).resolve().parents[2]
TARGET = next(target for target in native_build.TARGETS if target.name == "fan")
INPUTS = 4000


@pytest.fixture(scope="module")
def harness() -> Path:
    """The harness with the library inside, built with sanitizers."""
    made_files = native_build.build_sanitized(ROOT, lambda _: None, ("fan",))
    return next(path for path in made_files if path.name == "fan_harness")


def fuzz(program: Path, seed: int, count: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ASAN_OPTIONS": "abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}
    return subprocess.run(
        [program, str(seed), str(count)], capture_output=True, text=True, timeout=240, check=False, env=environment
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_arbitrary_tables_and_datagrams_break_nothing(harness: Path, seed: int) -> None:
    done = fuzz(harness, seed, INPUTS)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, f"{INPUTS} inputs", "")


def altered(folder: Path, name: str, guard: str, without: str) -> list[str]:
    """Copy the sources with one place changed; return the paths of the C files."""
    native = ROOT / compiled_backend.LIBRARY.parent.relative_to(ROOT)
    for source in [*native.glob("*.c"), *native.glob("*.h")]:
        text = source.read_text()
        if source.name == name:
            assert text.count(guard) == 1
            text = text.replace(guard, without)
        (folder / source.name).write_text(text)
    return [str(folder / Path(source).name) for source in TARGET.sources]


GUARDS = {
    "piece-inside-blob": ("send.c", "found->length > table->blob_size - found->offset", "0"),
    "lane-number": ("send.c", "number >= fan->lane_count || ", ""),
    "words-of-an-extension": ("send.c", " ||\n        4 * words > patched + rest", ""),
    "packet-length": ("send.c", "start + patched + rest > FAN_LARGEST_RTP", "0"),
    "slots": ("send.c", "fan->out.slots == FAN_BATCH", "fan->out.slots == FAN_BATCH + 1"),
    "decrypted-length": ("receive.c", "failed || size < 0 || (uint32_t)size > *length", "failed"),
    "lane-of-a-row": (
        "express.c",
        "row->lane < fan->lane_count ? &fan->lanes[row->lane] : NULL",
        "&fan->lanes[row->lane]",
    ),
    "copies-of-rules": ("express.c", "express->count + rule->count > FAN_EXPRESS_COPIES || ", ""),
    "heads-of-rules": ("express.c", " || express->pieces + rule->count + 3 > FAN_EXPRESS_PIECES", ""),
    "row-of-an-asker": ("again.c", "row >= fan->rules[number].count", "0"),
    "one-head-for-a-row": ("express.c", "rule->vp8 ? 0 : ", ""),
    "copies-sent-again": ("again.c", "express->count + 1 > FAN_EXPRESS_COPIES || ", ""),
    "pieces-sent-again": ("again.c", "express->pieces + 2 > FAN_EXPRESS_PIECES", "0"),
    "packets-sent-again": ("again.c", "express->again == FAN_MOST_AGAIN", "0"),
    "room-of-what-is-kept": ("again.c", "kept->room < length", "kept->payload == NULL"),
    "nothing-kept": ("again.c", "kept->length != 0 && ", ""),
    "numbers-of-a-request": ("again.c", "bit < 17 && request->count < FAN_MOST_ASKED", "bit < 17"),
    "rows-for-askers": ("again.c", "fan->rules[number].rows == NULL || ", ""),
    "receiver-number": ("table.c", "receiver >= fan->receiver_count || ", ""),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_the_sanitizers_complain(guard: str, tmp_path: Path) -> None:
    compiler = native_build.find_compiler()
    assert compiler is not None
    sources = altered(tmp_path, *GUARDS[guard])
    shutil.copy(ROOT / TARGET.harness[0], tmp_path / "fuzz.c")
    text = (tmp_path / "fuzz.c").read_text()
    (tmp_path / "fuzz.c").write_text(text.replace("../../media/folkmoot_media/fan/native/", ""))
    flags = [*native_build.FLAGS, *native_build.SANITIZERS, "-O0", "-w"]
    command = [compiler, *flags, *sources, str(tmp_path / "fuzz.c")]
    assert native_build.compile_to(tmp_path / "fuzz", command, TARGET.libraries) == ""
    done = fuzz(tmp_path / "fuzz", 1, INPUTS)
    assert done.returncode != 0
    assert "Sanitizer" in done.stderr or "runtime error" in done.stderr or "broken promise" in done.stderr


MISTAKES = {
    "marker": ("send.c", "(uint8_t)(copy->word >> 16)", "(uint8_t)(copy->word >> 16 & 0x7F)"),
    "stamp": ("send.c", "put16(slot + FAN_HEADER + 5, copy->stamp)", "put16(slot + FAN_HEADER + 5, copy->stamp ^ 1)"),
    "words": ("send.c", "put16(at + 2, words + (stamp != 0))", "put16(at + 2, words)"),
    "short": ("send.c", "words <= FAN_SHORT_WORDS", "words < FAN_SHORT_WORDS"),
    "long stamp": ("send.c", "id << 24 | 2 << 16", "id << 24 | 1 << 16"),
    "patch": ("send.c", "payload + (length - rest), rest", "payload, rest"),
    "control": ("send.c", "copies[at].word & FAN_CONTROL ? fan_srtp.protect_rtcp", "0 ? fan_srtp.protect_rtcp"),
    "segments": ("send.c", "return length <= first && ", "return "),
    "order": ("send.c", "fan->next[lane->last] = i;", "fan->next[i] = lane->first, lane->first = i; continue;"),
    "port": ("address.c", "out->v4.sin_port = htons(port)", "out->v4.sin_port = htons((uint16_t)(port ^ 1))"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_library_is_seen_by_the_comparison_of_bytes(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = native_build.find_compiler()
    assert compiler is not None
    sources = altered(tmp_path, *MISTAKES[mistake])
    flags = [*native_build.FLAGS, "-O1", "-w", "-fPIC", "-shared"]
    library = tmp_path / "fan.so"
    assert native_build.compile_to(library, [compiler, *flags, *sources], TARGET.libraries) == ""
    reference = table_outcome(made("python"), "mistakes", socket.AF_INET)
    assert table_outcome(made("compiled"), "mistakes", socket.AF_INET) == reference
    monkeypatch.setattr(compiled_backend, "LIBRARY", library)
    assert table_outcome(made("compiled"), "mistakes", socket.AF_INET) != reference


# -- hostile datagrams: both back ends take them the same way ---------------------------------------------------


def samples(rig: RoomRig, anna: Guest, cleo: Guest, check: bytes) -> list[tuple[Guest, bytes]]:
    """Return good datagrams of every kind, encrypted where they must be."""
    protect, report = anna.keys.send.protect, cleo.keys.send.protect_rtcp
    video = [protect(picture(number, key=number % 9 == 0, body=bytes(50))) for number in range(100, 700)]
    level = {10: b"\x90"}
    voices = [
        protect(rtp(ssrc=5000, sequence=number, timestamp=960 * number, payload=b"voice", extensions=level))
        for number in range(100, 130)
    ]
    control = [report(bytes.fromhex("80c9000100000003") + rig.dice.bytes(4 * rig.dice.below(9))) for _ in range(30)]
    return [(anna, wire) for wire in video + voices] + [(cleo, wire) for wire in control] + [(anna, check)]


def hostile_outcome(name: str, seed: str, count: int) -> tuple[Any, ...]:
    rig = RoomRig(made(name), "hostile", socket.AF_INET)
    anna, cleo = rig.join("anna", "send"), rig.join("cleo", "recv")
    produced = []
    for kind, source, parameters in (
        ("video", "camera", video_parameters(("r0",))),
        ("audio", "microphone", audio_parameters()),
    ):
        data = {"transport_id": anna.id, "kind": kind, "source": source, "rtpParameters": parameters, "paused": False}
        produced.append(str(rig.methods.call("transport.produce", data, rig.now)["id"]))
    for producer in (produced[0], *(slot.producer_id for slot in rig.rooms.router("r").slots)):
        consume(rig, cleo, producer)
    anna.send(picture(1, key=True, body=bytes(50)))
    rig.receive()
    check = ActiveTransport(DtlsIdentity(), lambda _: None, rig.dice.bytes)
    credentials = anna.attached.endpoint.credentials[0]
    check.set_remote(credentials.fragment, credentials.password)
    good = samples(rig, anna, cleo, check.binding_request())
    dice, server = Dice(seed), rig.reach
    for number in range(count):
        guest, wire = good[dice.below(len(good))]
        changed = mutate(wire, dice) if dice.below(6) else wire
        if changed and 20 <= changed[0] < 64:
            continue
        guest.socket.sendto(changed[:3000], server)
        if number % 40 == 0:
            rig.now += 0.05
            rig.receive()
            complain(rig, cleo)
    rig.receive()
    router, mux = rig.rooms.router("r"), rig.rooms.mux
    outcome = (
        [(comparable(guest.arrived), dict(guest.attached.endpoint.counters)) for guest in rig.guests],
        router.counters,
        mux.counters,
        rig.fan.sent,
        rig.fan.dropped,
    )
    rig.close()
    return outcome


def comparable(wires: list[bytes]) -> list[bytes]:
    """Return what does not depend on the ports that this run happened to get: of STUN answers only the head."""
    return [wire if wire[0] > 127 else wire[:20] for wire in wires]


def test_ten_thousand_hostile_datagrams_are_taken_the_same_way() -> None:
    reference = hostile_outcome("python", "hostile", 10_000)
    arrived, counters = reference[0][1]
    assert len(arrived) > 50
    assert reference[0][0][1]["unprotect_failed"] > 500
    assert reference[2]["stun_refused"] > 5
    assert hostile_outcome("compiled", "hostile", 10_000) == reference
    assert hostile_outcome("compiled", "hostile-2", 10_000) != reference
    assert counters["unprotect_failed"] > 100


def test_with_the_real_libsrtp_under_the_address_sanitizer_nothing_is_touched_that_should_not_be() -> None:
    made_files = native_build.build_sanitized(ROOT, lambda _: None, ("fan",))
    library = next(path for path in made_files if path.name == "fan.so")
    compiler = native_build.find_compiler()
    assert compiler is not None
    runtime = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    program = (
        "import socket, sys\n"
        "from pathlib import Path\n"
        "from folkmoot_media.fan import compiled_backend\n"
        "compiled_backend.LIBRARY = Path(sys.argv[1])\n"
        "from tests.media.fan_rig import TableRig, made\n"
        "for family in (socket.AF_INET, socket.AF_INET6):\n"
        "    rig = TableRig(made('compiled'), 'sanitized', family).run(300)\n"
        "    assert rig.fan.sent > 500 and rig.fan.name == 'compiled'\n"
        "    rig.close()\n"
        "print('clean')\n"
    )
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=99",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *(path for path in sys.path if path)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, str(library)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env=environment,
    )
    assert (done.returncode, done.stdout) == (0, "clean\n"), done.stderr[-2000:]


def test_the_rig_can_be_run_twice_with_the_same_outcome() -> None:
    outcomes = []
    for _ in range(2):
        rig = TableRig(made("compiled"), "twice", socket.AF_INET)
        outcomes.append(rig.run(60).outcome())
        rig.close()
    assert outcomes[0] == outcomes[1]
