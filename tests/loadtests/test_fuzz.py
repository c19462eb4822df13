"""Ten thousand seeded mutations at every parser, and planted faults that the fuzzer must find."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from loadtests import fuzz
from loadtests.fuzz_pipes import PipedPictures
from tests.media.support import Client, Dice

from folkmoot_media import methods
from folkmoot_media.forwarding import codecs, dependency_descriptor, pipe_pictures, red, rtcp
from folkmoot_media.transport import framing, stun_lite

COUNT = 10_000


@pytest.mark.parametrize("name", fuzz.PARSERS)
def test_ten_thousand_mutations_raise_nothing(name: str) -> None:
    found = fuzz.run(name, COUNT, "ci")
    assert found["raised"] == 0, found["findings"]
    assert found["taken"] + found["refused"] == COUNT
    assert found["taken"] > COUNT // 100
    assert found["refused"] > COUNT // 100


def fail_stun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun_lite, "PARSE_ERRORS", (KeyError,))


def fail_rtp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "parse_h264", lambda payload: payload[9])


def fail_rtcp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcp, "_parse_nacks", lambda body: (body[40],))


def fail_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(bits: Any, count: int) -> int:
        raise IndexError(count)

    monkeypatch.setattr(dependency_descriptor._Bits, "take", take)


def fail_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "checked", lambda model, data: model.model_validate(data))


def fail_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    unpack = red.unpack

    def cut(payload: bytes) -> Any:
        return unpack(payload) if payload[30] >= 0 else None

    monkeypatch.setattr(red, "unpack", cut)


def fail_piped_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    unfold = pipe_pictures.unfold

    def trusting(layer: Any, packet: Any) -> Any:
        # The byte behind the descriptor is looked at before it is known that there is one.
        return unfold(layer, packet) if packet.payload[1 + packet.payload[0]] >= 0 else None

    monkeypatch.setattr(pipe_pictures, "unfold", trusting)


def fail_framing(monkeypatch: pytest.MonkeyPatch) -> None:
    # A piece that begins with two zeros is taken for an empty frame.
    feed = framing.Frames.feed

    def careless(self: framing.Frames, data: bytes) -> list[bytes]:
        return feed(self, data) if data[:2] != b"\0\0" else []

    monkeypatch.setattr(framing.Frames, "feed", careless)


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "stun": fail_stun,
    "rtp": fail_rtp,
    "rtcp": fail_rtcp,
    "dependency-descriptor": fail_descriptor,
    "parameters": fail_parameters,
    "pipe": fail_pipe,
    "piped-pictures": fail_piped_pictures,
    "framing": fail_framing,
}


@pytest.mark.parametrize("name", fuzz.PARSERS)
def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    parser = fuzz.PARSERS[name]

    def broken(dice: Dice) -> fuzz.Parser:
        target = parser(dice)
        FAULTS[name](monkeypatch)
        return target

    monkeypatch.setitem(fuzz.PARSERS, name, broken)
    found = fuzz.run(name, 1000, "planted")
    assert found["raised"] > 0
    assert found["findings"][0]["input"]


def test_a_room_whose_picture_stands_still_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    room = fuzz.Room("still")
    feed = fuzz.Room.feed

    def swallow(self: fuzz.Room, client: Client, data: bytes, control: bool) -> None:
        if client is not self.bela:
            feed(self, client, data, control)

    monkeypatch.setattr(fuzz.Room, "feed", swallow)
    with pytest.raises(AssertionError, match="stands still"):
        room.check()


def test_descriptors_that_are_lost_on_the_way_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = PipedPictures(Dice("lost"), fuzz.descriptor_seed())
    pictures.check()
    unfold = pipe_pictures.unfold

    def forgetful(layer: Any, packet: Any) -> Any:
        parted = unfold(layer, packet)
        return None if parted is None else (parted[0], {})

    monkeypatch.setattr(pipe_pictures, "unfold", forgetful)
    with pytest.raises(AssertionError, match="not known"):
        pictures.check()


def test_a_stream_of_frames_without_a_limit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "LARGEST_FRAME", 1 << 16)
    assert fuzz.run("framing", 1000, "planted")["raised"] > 0


def test_the_descriptor_to_mutate_is_a_key_frame_with_its_structure() -> None:
    frame = dependency_descriptor.parse(fuzz.descriptor_seed(), None)
    assert frame is not None
    assert frame.is_key
    assert frame.structure is not None
    assert frame.structure.sizes == ((640, 360),)


def test_the_command_says_what_it_did() -> None:
    command = [sys.executable, str(Path(fuzz.__file__)), "--parser", "stun", "--count", "50"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stun: 50 inputs, ")
